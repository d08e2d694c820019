"""LlamaIndex: messages of blocks, responses of a chat."""

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
    tools,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)


def dumped(messages):
    return [message.model_dump(mode="json") for message in messages]


def text():
    question = ChatMessage(
        role="user", blocks=[ImageBlock(image=PNG.encode(), image_mimetype="image/png"), TextBlock(text=QUESTION)]
    )
    told = [
        ChatMessage(SYSTEM, role="system"),
        ChatMessage("Hello"),
        ChatMessage("How can I help?", role="assistant"),
        question,
    ]
    answer = ChatMessage(role="assistant", blocks=[ThinkingBlock(content=THOUGHT), TextBlock(text=ANSWER)])
    output = ChatResponse(message=answer).model_dump(mode="json")
    trace = {"input": {"messages": dumped(told)}, "output": output}
    return ["llama-index-core"], trace, chat(question=f"[image/png]\n{QUESTION}")


def used_tools():
    calls = [ToolCallBlock(tool_call_id=id, tool_name=TOOL, tool_kwargs=asked) for id, asked in ASKED]
    told = [
        ChatMessage(SYSTEM, role="system"),
        ChatMessage(QUESTION),
        ChatMessage(role="assistant", blocks=calls),
        ChatMessage('{"status":"shipped"}', role="tool", additional_kwargs={"tool_call_id": "call_1"}),
        ChatMessage(f"Error: {MISSING}", role="tool", additional_kwargs={"tool_call_id": "call_2"}),
    ]
    failed = f"Error: {MISSING}"
    trace = {"input": dumped(told), "output": ChatMessage(ANSWER, role="assistant").model_dump(mode="json")}
    return ["llama-index-core"], trace, tools(missing=failed, error=failed)


SHAPES = {"llama_index_blocks": text, "llama_index_tools": used_tools}
