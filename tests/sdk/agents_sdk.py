"""Runs an agent with OpenAI's Agents SDK, whose model is scripted, and sends its trace to a URL with a key.

Prints the trace's id.
"""

import json
import sys

import httpx2
from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool, gen_trace_id
from agents.tracing import flush_traces, set_trace_processors
from agents.tracing.processors import BackendSpanExporter, BatchTraceProcessor
from openai import AsyncOpenAI

CALL = {"id": "c1", "type": "function", "function": {"name": "order_status", "arguments": '{"number": "#12345"}'}}
TURNS = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": "Order #12345 was sent."},
]


@function_tool
def order_status(number: str) -> str:
    return json.dumps({"number": number, "status": "sent"})


def scripted_model():
    turns = iter(TURNS)

    def answer(_request):
        choice = {"index": 0, "finish_reason": "stop", "message": next(turns)}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        completion = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        return httpx2.Response(200, json=dict(completion, usage=usage))

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return OpenAIChatCompletionsModel(model="m", openai_client=AsyncOpenAI(api_key="unused", http_client=http))


def main():
    url, key = sys.argv[1:]
    exporter = BackendSpanExporter(endpoint=f"{url}/v1/traces/ingest", api_key=key)
    set_trace_processors([BatchTraceProcessor(exporter)])
    agent = Agent(name="Support", instructions="Be brief.", model=scripted_model(), tools=[order_status])
    trace_id = gen_trace_id()
    config = RunConfig(
        workflow_name="Support desk", trace_id=trace_id, group_id="thread-1", trace_metadata={"plan": "pro"}
    )
    Runner.run_sync(agent, "Where is order #12345?", run_config=config)
    flush_traces()
    print(trace_id)


main()
