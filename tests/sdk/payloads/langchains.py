"""LangChain and LangGraph: as Langfuse's callback handler observes them, and in LangChain's own forms."""

import json

from conversation import (
    ANSWER,
    ASKED,
    FOUND,
    MISSING,
    QUESTION,
    SYSTEM,
    TOOL,
    chat,
    tools,
)
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_to_dict,
)
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.tools import tool
from langfuse.langchain import CallbackHandler
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from standin import traced

CALLS = [{"name": TOOL, "args": asked, "id": id, "type": "tool_call"} for id, asked in ASKED]
EARLIER = [HumanMessage("Hello"), AIMessage("How can I help?")]
CHAT = [SystemMessage(SYSTEM), *EARLIER, HumanMessage(QUESTION)]
RESULT = json.dumps(FOUND, separators=(",", ":"))
USED = [
    SystemMessage(SYSTEM),
    HumanMessage(QUESTION),
    AIMessage("", tool_calls=CALLS),
    ToolMessage(RESULT, tool_call_id="call_1", name=TOOL),
    ToolMessage(MISSING, tool_call_id="call_2", name=TOOL, status="error"),
]
SAID = AIMessage(ANSWER)
CORE = ["langchain-core"]


def model(*messages):
    return GenericFakeChatModel(messages=iter(messages))


def observed(runnable, given):
    runnable.invoke(given, config={"callbacks": [CallbackHandler()]})
    return traced()


def chain():
    prompt = ChatPromptTemplate([("system", SYSTEM), MessagesPlaceholder("chat_history"), ("human", "{input}")])
    trace = observed(prompt | model(SAID), {"chat_history": EARLIER, "input": QUESTION})
    return [*CORE, "langfuse"], trace, chat()


@tool(TOOL)
def find_order(order: str) -> str:
    """Finds an order."""
    if order == "10043":
        raise ValueError(MISSING)
    return RESULT


def agent():
    answers = model(AIMessage("", tool_calls=CALLS), SAID)
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [answers.invoke([SystemMessage(SYSTEM), *state["messages"]])]})
    graph.add_node("tools", ToolNode([find_order], handle_tool_errors=str))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    trace = observed(graph.compile(), {"messages": [("user", QUESTION)]})
    return ["langgraph", "langchain-core", "langfuse"], trace, tools()


def serialised():
    return CORE, {"input": dumpd(USED), "output": dumpd(SAID)}, tools(tool_name=TOOL)


def as_dicts():
    return CORE, {"input": messages_to_dict(USED), "output": messages_to_dict([SAID])}, tools(tool_name=TOOL)


def model_dumps():
    dumps = [message.model_dump() for message in [*USED, SAID]]
    return CORE, {"input": {"messages": dumps[:2]}, "output": {"messages": dumps}}, tools(tool_name=TOOL)


def batch():
    """As `on_chat_model_start` and `on_llm_end` give them: a list for each prompt of the batch."""
    result = LLMResult(generations=[[ChatGeneration(message=SAID)]])
    trace = {"input": {"messages": [[dumpd(message) for message in CHAT]]}, "output": result.model_dump()}
    return CORE, trace, chat()


def tuples():
    """A graph's input as it is written by hand, and its updates as `stream` gives them."""
    state = {"messages": [("system", SYSTEM), ("user", "Hello"), ("assistant", "How can I help?"), ("human", QUESTION)]}
    return CORE, {"input": state, "output": {"agent": {"messages": [SAID.model_dump()]}}}, chat()


def content_blocks():
    """Version 1 of the content blocks, whose calls stand in `tool_calls` too."""
    blocks = [{"type": "reasoning", "reasoning": "Two look-ups."}, {"type": "text", "text": "Let me look."}, *CALLS]
    asked = AIMessage(content_blocks=blocks)
    messages = [message.model_dump() for message in [*USED[:2], asked, *USED[3:]]]
    return CORE, {"input": messages, "output": SAID.model_dump()}, tools(text="Let me look.", tool_name=TOOL)


SHAPES = {
    "langchain_chain_observed": chain,
    "langchain_serialised": serialised,
    "langchain_messages_to_dict": as_dicts,
    "langchain_model_dump": model_dumps,
    "langchain_batch": batch,
    "langchain_content_blocks": content_blocks,
    "langgraph_agent_observed": agent,
    "langgraph_tuples_and_updates": tuples,
}
