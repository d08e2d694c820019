"""OpenAI's chat completions and responses: as Langfuse's wrapper observes them, and as the SDK dumps them."""

import json

from conversation import (
    ANSWER,
    ASKED,
    FOUND,
    MISSING,
    PNG,
    QUESTION,
    SYSTEM,
    THOUGHT,
    TOOL,
    chat,
    reading,
    said,
    tools,
)
from langfuse.openai import openai as observed
from openai import OpenAI
from standin import BASE, langfuse, replying, traced

from langfuse import observe

KEYS = {"api_key": "k", "base_url": f"{BASE}/v1"}
EARLIER = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "How can I help?"}]
USER = {"role": "user", "content": QUESTION}
MESSAGES = [{"role": "system", "content": SYSTEM}, *EARLIER, USER]
TOOLS = [{"type": "function", "function": {"name": TOOL, "parameters": {"type": "object", "properties": {}}}}]
RESULTS = [json.dumps(FOUND, separators=(",", ":")), json.dumps({"error": MISSING}, separators=(",", ":"))]


def completion(**message):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1767225600,
        "model": "gpt-5-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
    }


def function_calls():
    return [
        {"id": id, "type": "function", "function": {"name": TOOL, "arguments": json.dumps(asked)}}
        for id, asked in ASKED
    ]


def response(*output):
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1767225600,
        "model": "gpt-5-mini",
        "status": "completed",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": THOUGHT}]}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
}


def observed_chat():
    with replying(completion(content=ANSWER)):
        observed.OpenAI(**KEYS).chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
        return ["openai", "langfuse"], traced(), chat()


def observed_tools():
    client = observed.OpenAI(**KEYS)
    messages = [{"role": "developer", "content": SYSTEM}, USER]
    with replying(completion(content=None, tool_calls=function_calls()), completion(content=ANSWER)):
        with langfuse.start_as_current_observation(name="agent", input=QUESTION) as agent:
            first = client.chat.completions.create(model="gpt-5-mini", messages=messages, tools=TOOLS)
            messages.append(first.choices[0].message)
            for (id, asked), result in zip(ASKED, RESULTS):
                with langfuse.start_as_current_observation(name=TOOL, as_type="tool", input=asked) as tool:
                    tool.update(output=result)
                messages.append({"role": "tool", "tool_call_id": id, "content": result})
            second = client.chat.completions.create(model="gpt-5-mini", messages=messages, tools=TOOLS)
            agent.update(output=second.choices[0].message.content)
        return ["openai", "langfuse"], traced(), tools(missing={"error": MISSING}, told=RESULTS)


def parts_and_refusal():
    content = [
        {"type": "text", "text": "What is in these?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
        {"type": "text", "text": "Be brief."},
    ]
    with replying(completion(content=None, refusal="I cannot look at them.")):
        made = OpenAI(**KEYS).chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
    question = "What is in these?\n[image]\n[image]\n[audio]\n[file]\nBe brief."
    messages = [said("user", question), said("assistant", "I cannot look at them.")]
    trace = {"input": {"messages": [{"role": "user", "content": content}]}, "output": made.model_dump()}
    return ["openai"], trace, reading(messages, question, "I cannot look at them.")


def completion_dump():
    with replying(completion(content=ANSWER)):
        made = OpenAI(**KEYS).chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
    request = {"model": "gpt-5-mini", "messages": MESSAGES, "temperature": 0.2}
    return ["openai"], {"input": request, "output": made.model_dump()}, chat()


def old_function_call():
    asked = {"name": TOOL, "arguments": json.dumps(ASKED[0][1])}
    with replying(completion(content=None, function_call=asked)):
        made = OpenAI(**KEYS).chat.completions.create(model="m", messages=[USER])
    messages = [USER, made.choices[0].message.model_dump(), {"role": "function", "name": TOOL, "content": RESULTS[0]}]
    expected = tools(system=False)
    del expected["messages"][3], expected["messages"][1]["tool_calls"][1], expected["tool_calls"][1]
    expected["messages"][2]["name"] = TOOL
    return ["openai"], {"input": messages, "output": {"role": "assistant", "content": ANSWER}}, expected


def observed_responses():
    with replying(response(REASONING, MESSAGE)):
        observed.OpenAI(**KEYS).responses.create(model="gpt-5-mini", instructions=SYSTEM, input=QUESTION)
        return ["openai", "langfuse"], traced(), chat(earlier=False)


def responses_tools():
    asked = [
        {
            "type": "function_call",
            "id": f"fc_{id}",
            "call_id": id,
            "name": TOOL,
            "arguments": json.dumps(arguments),
            "status": "completed",
        }
        for id, arguments in ASKED
    ]
    client = observed.OpenAI(**KEYS)
    items = [
        {"role": "developer", "content": SYSTEM},
        {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
    ]
    with replying(response(REASONING, *asked), response(MESSAGE)):
        with langfuse.start_as_current_observation(name="agent", input=QUESTION) as agent:
            items += client.responses.create(model="gpt-5-mini", input=items).output
            for (id, _), result in zip(ASKED, RESULTS):
                items.append({"type": "function_call_output", "call_id": id, "output": result})
            agent.update(output=client.responses.create(model="gpt-5-mini", input=items).output_text)
        return ["openai", "langfuse"], traced(), tools(missing={"error": MISSING}, told=RESULTS)


def response_dump():
    with replying(response(REASONING, MESSAGE)):
        made = OpenAI(**KEYS).responses.create(model="gpt-5-mini", instructions=SYSTEM, input=[*EARLIER, USER])
    request = {"model": "gpt-5-mini", "instructions": SYSTEM, "input": [*EARLIER, USER]}
    return ["openai"], {"input": request, "output": made.model_dump(exclude_none=True)}, chat()


def wrapped_in_a_function():
    @observe()
    def answer(messages, *, model):
        return observed.OpenAI(**KEYS).chat.completions.create(model=model, messages=messages)

    with replying(completion(content=ANSWER)):
        answer(MESSAGES, model="gpt-5-mini")
        return ["openai", "langfuse"], traced(), chat()


SHAPES = {
    "openai_chat_observed": observed_chat,
    "openai_chat_tools_observed": observed_tools,
    "openai_chat_parts_and_refusal": parts_and_refusal,
    "openai_chat_dump": completion_dump,
    "openai_chat_function_call": old_function_call,
    "openai_responses_observed": observed_responses,
    "openai_responses_tools_observed": responses_tools,
    "openai_responses_dump": response_dump,
    "openai_chat_in_a_decorated_function": wrapped_in_a_function,
}
