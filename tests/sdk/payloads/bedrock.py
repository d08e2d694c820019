"""Bedrock's Converse by boto3."""

import boto3
from conversation import (
    ANSWER,
    ASKED,
    FOUND,
    MISSING,
    QUESTION,
    SYSTEM,
    THOUGHT,
    TOOL,
    chat,
    tools,
)
from standin import BASE, replying

MODEL = "anthropic.claude-opus-4-5"
THINKING = {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": "c2ln"}}}


def user(*content):
    return {"role": "user", "content": list(content)}


def answered(messages, *content):
    client = boto3.client(
        "bedrock-runtime", region_name="eu-west-1", endpoint_url=BASE, aws_access_key_id="a", aws_secret_access_key="s"
    )
    reply = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 9, "outputTokens": 9, "totalTokens": 18},
        "metrics": {"latencyMs": 9},
    }
    request = {"modelId": MODEL, "system": [{"text": SYSTEM}], "messages": messages}
    with replying(reply):
        made = client.converse(**request)
    del made["ResponseMetadata"]
    return {"input": request, "output": made}


def text():
    messages = [
        user({"text": "Hello"}),
        {"role": "assistant", "content": [{"text": "How can I help?"}]},
        user({"text": QUESTION}),
    ]
    return ["boto3"], answered(messages, THINKING, {"text": ANSWER}), chat()


def used_tools():
    calls = [{"toolUse": {"toolUseId": id, "name": TOOL, "input": asked}} for id, asked in ASKED]
    first = answered([user({"text": QUESTION})], THINKING, *calls)["output"]["output"]["message"]
    results = [
        {"toolResult": {"toolUseId": "call_1", "content": [{"json": FOUND}]}},
        {"toolResult": {"toolUseId": "call_2", "content": [{"text": MISSING}], "status": "error"}},
    ]
    trace = answered([user({"text": QUESTION}), first, user(*results)], {"text": ANSWER})
    return ["boto3"], trace, tools()


SHAPES = {"bedrock_text": text, "bedrock_tools": used_tools}
