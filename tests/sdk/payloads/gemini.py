"""Google's Gen AI SDK: contents, candidates, function calls without ids."""

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
    tools,
)
from google import genai
from google.genai import types
from standin import BASE, replying

CONFIG = types.GenerateContentConfig(system_instruction=SYSTEM, temperature=0.2)
MODEL = "gemini-3-pro"


def answered(contents, *parts):
    reply = {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}],
        "modelVersion": MODEL,
        "responseId": "r1",
    }
    client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=BASE))
    with replying(reply):
        return client.models.generate_content(model=MODEL, contents=contents, config=CONFIG)


def dumped(value):
    return value.model_dump(mode="json", exclude_none=True)


def request(contents):
    return {"model": MODEL, "contents": contents, "config": dumped(CONFIG)}


def text():
    made = answered(QUESTION, {"text": THOUGHT, "thought": True}, {"text": ANSWER})
    return ["google-genai"], {"input": request(QUESTION), "output": dumped(made)}, chat(earlier=False)


def contents():
    told = [
        types.UserContent("Hello"),
        types.ModelContent("How can I help?"),
        types.UserContent([types.Part.from_bytes(data=PNG.encode(), mime_type="image/png"), QUESTION]),
    ]
    made = answered(told, {"text": ANSWER})
    expected = chat(question=f"[image/png]\n{QUESTION}")
    return ["google-genai"], {"input": request([dumped(one) for one in told]), "output": dumped(made)}, expected


def wire():
    """As the REST API spells it, with camel case."""
    told = [{"role": "user", "parts": [{"text": QUESTION}]}]
    made = answered(QUESTION, {"text": ANSWER}).model_dump(mode="json", exclude_none=True, by_alias=True)
    body = {"systemInstruction": {"parts": [{"text": SYSTEM}]}, "contents": told}
    return ["google-genai"], {"input": body, "output": made}, chat(earlier=False)


def used_tools():
    calls = [{"functionCall": {"name": TOOL, "args": asked}} for _, asked in ASKED]
    first = answered(QUESTION, *calls).candidates[0].content
    results = [{"result": FOUND}, {"error": MISSING}]
    parts = [types.Part.from_function_response(name=TOOL, response=result) for result in results]
    told = [types.UserContent(QUESTION), first, types.Content(role="user", parts=parts)]
    trace = {"input": request([dumped(one) for one in told]), "output": dumped(answered(told, {"text": ANSWER}))}
    told = ['{"result":{"status":"shipped"}}', '{"error":"no such order"}']
    return ["google-genai"], trace, tools(found=results[0], missing=results[1], tool_name=TOOL, told=told)


SHAPES = {"gemini_text": text, "gemini_contents": contents, "gemini_wire": wire, "gemini_tools": used_tools}
