"""Sends traces as the official SDKs do: OpenTelemetry's (protobuf, gzip) and Langfuse's. Prints their ids as JSON."""

import json
import sys

from langfuse import Langfuse, propagate_attributes
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import format_trace_id

QUESTION = "Where is my order?"
ANSWER = "It is on its way."


def spoken(role, text):
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def by_opentelemetry(base, key):
    exporter = OTLPSpanExporter(
        endpoint=f"{base}/v1/traces", headers={"Authorization": f"Bearer {key}"}, compression=Compression.Gzip
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("handle") as root:
        with tracer.start_as_current_span("chat m") as span:
            span.set_attributes({
                "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.conversation.id": "s",
                "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4,
                "gen_ai.input.messages": spoken("user", QUESTION),
                "gen_ai.output.messages": spoken("assistant", ANSWER),
            })
    provider.shutdown()
    return format_trace_id(root.get_span_context().trace_id)


def by_langfuse(base, public_key, secret_key):
    langfuse = Langfuse(
        public_key=public_key, secret_key=secret_key, base_url=base, tracer_provider=TracerProvider()
    )
    with propagate_attributes(session_id="s", user_id="u", tags=["a"], trace_name="support"):
        with langfuse.start_as_current_observation(name="handle", input=QUESTION, metadata={"plan": "pro"}) as root:
            with langfuse.start_as_current_observation(
                name="answer", as_type="generation", model="m", input=[{"role": "user", "content": QUESTION}],
                output={"role": "assistant", "content": ANSWER}, usage_details={"input": 3, "output": 4},
            ):
                pass
            root.update(output=ANSWER)
    langfuse.shutdown()
    return root.trace_id


def main():
    base, key, public_key, secret_key = sys.argv[1:]
    print(json.dumps({
        "opentelemetry": by_opentelemetry(base, key),
        "langfuse": by_langfuse(base, public_key, secret_key),
    }))


main()
