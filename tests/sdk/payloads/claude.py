"""Anthropic's messages: the request as it is given, the message as the SDK dumps it."""

from anthropic import Anthropic
from conversation import (
    ANSWER,
    ASKED,
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
from standin import BASE, replying

EARLIER = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "How can I help?"}]
USER = {"role": "user", "content": QUESTION}
TEXT = {"type": "text", "text": ANSWER}


def message(*content):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-5",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 9},
    }


def asked(request, *content):
    with replying(message(*content)):
        made = Anthropic(api_key="k", base_url=BASE).messages.create(model="claude-opus-4-5", max_tokens=99, **request)
    return made.model_dump(exclude_none=True)


def text():
    request = {"system": SYSTEM, "messages": [*EARLIER, USER]}
    return ["anthropic"], {"input": request, "output": asked(request, TEXT)}, chat()


def used_tools():
    calls = [{"type": "tool_use", "id": id, "name": TOOL, "input": arguments} for id, arguments in ASKED]
    thinking = {"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"}
    request = {"system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}], "messages": [USER]}
    first = asked(request, thinking, {"type": "text", "text": "Let me look."}, *calls)
    results = [
        {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": '{"status":"shipped"}'}]},
        {"type": "tool_result", "tool_use_id": "call_2", "content": MISSING, "is_error": True},
    ]
    request["messages"] = [
        USER,
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": results},
    ]
    return ["anthropic"], {"input": request, "output": asked(request, thinking, TEXT)}, tools(text="Let me look.")


def server_tool():
    searched = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "order 10042"}}
    failed = {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
    }
    output = asked({"messages": [USER]}, {"type": "text", "text": "Let me look."}, searched, failed, TEXT)
    error = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    call = {"name": "web_search", "arguments": {"query": "order 10042"}, "result": error, "error": "max_uses_exceeded"}
    told = '{"error_code":"max_uses_exceeded","type":"web_search_tool_result_error"}'
    messages = [
        said("user", QUESTION),
        said("assistant", "Let me look.", [call]),
        said("tool", told),
        said("assistant", ANSWER),
    ]
    return ["anthropic"], {"input": [USER], "output": output}, reading(messages)


def media():
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    document = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    content = [{"type": "image", "source": source}, document, {"type": "text", "text": QUESTION}]
    request = {"messages": [{"role": "user", "content": content}]}
    trace = {"input": request, "output": asked(request, TEXT)}
    return ["anthropic"], trace, chat(system=False, earlier=False, question=f"[image/png]\n[document]\n{QUESTION}")


SHAPES = {
    "anthropic_text": text,
    "anthropic_tools": used_tools,
    "anthropic_server_tool": server_tool,
    "anthropic_media": media,
}
