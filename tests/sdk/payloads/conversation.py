"""The two conversations that every payload tells, and how they must be read."""

SYSTEM = "Answer in one sentence."
QUESTION = "Where are my orders 10042 and 10043?"
THOUGHT = "Two orders, so two look-ups."
ANSWER = "Order 10042 has shipped, and there is no order 10043."
FOUND = {"status": "shipped"}
MISSING = "no such order"
TOOL = "find_order"
ASKED = [("call_1", {"order": "10042"}), ("call_2", {"order": "10043"})]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def said(role, content, calls=(), name=None):
    return {"role": role, "content": content, "tool_calls": list(calls), "name": name}


def reading(messages, question=QUESTION, answer=ANSWER):
    """What the normaliser must make of a payload."""
    calls = [call for message in messages for call in message["tool_calls"]]
    return {"input_text": question, "output_text": answer, "messages": messages, "tool_calls": calls}


def call(asked, result, error=None):
    return {"name": TOOL, "arguments": asked, "result": result, "error": error}


def chat(system=True, earlier=True, question=QUESTION):
    """The last question of a chat, answered."""
    turns = [said("system", SYSTEM)] if system else []
    if earlier:
        turns += [said("user", "Hello"), said("assistant", "How can I help?")]
    return reading([*turns, said("user", question), said("assistant", ANSWER)], question)


def tools(system=True, found=FOUND, missing=MISSING, error=MISSING, text="", tool_name=None, told=None):
    """Two calls in one turn, the second of which fails. `told`: the results as the tool's messages say them."""
    calls = [call(ASKED[0][1], found), call(ASKED[1][1], missing, error)]
    told = told or ['{"status":"shipped"}', missing]
    answers = [said("tool", result, name=tool_name) for result in told]
    turns = [said("system", SYSTEM)] if system else []
    turns += [said("user", QUESTION), said("assistant", text, calls), *answers, said("assistant", ANSWER)]
    return reading(turns)
