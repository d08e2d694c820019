

# ---- For Langfuse's code evaluators, by iofold. What stands above is the eval, unchanged. ----
#
# What it can't see here: one observation, and not the trace that it belongs to. So `id`, `name`, `user_id`, `session_id`,
# `tags`, times, costs and the other observations are empty, and `metadata` is the observation's own.

import json as _iofold_json
import re as _iofold_re

_iofold_evaluate = evaluate
_IOFOLD_NAME = "$NAME"
_IOFOLD_MEDIA = _iofold_re.compile(
    r"@@@langfuseMedia:type=([^|@]*)\|[^@]*@@@|data:([a-z]+/[a-z0-9.+-]+);base64,[A-Za-z0-9+/=]+"
)
_IOFOLD_TEXT_KEYS = (
    "text content question query prompt input message answer output response result completion".split()
)
_IOFOLD_MEDIA_PARTS = {
    "image_url": "[image]", "image": "[image]", "input_image": "[image]",
    "input_audio": "[audio]", "audio": "[audio]", "file": "[file]", "input_file": "[file]",
}


def evaluate(ctx):
    if isinstance(ctx, dict):
        return _iofold_evaluate(ctx)  # The eval calls itself.
    returned = _iofold_evaluate(_iofold_trace(ctx))
    verdict, reason = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, None)
    if not (verdict is True or verdict is False or verdict is None) or not isinstance(reason, str | None):
        raise TypeError("the eval returned neither True, False or None nor a pair of that and a reason")
    # Langfuse wants a score; an abstention is one by itself, so that it counts neither as pass nor as fail.
    name, value = (_IOFOLD_NAME, verdict) if verdict is not None else (_IOFOLD_NAME + "_abstained", True)
    comment = reason[:2000] if reason else None
    return EvaluationResult(scores=[Score(name=name, value=value, data_type="BOOLEAN", comment=comment)])


def _iofold_trace(ctx):
    seen = ctx.observation
    given, answer = (_iofold_parsed(value) for value in (seen.input, seen.output))
    metadata = _iofold_parsed(seen.metadata)
    asked, answered = _iofold_turns_of(given, "user"), _iofold_turns_of(answer, "assistant")
    said = list(asked)
    said += answered[_iofold_known(said, answered):]
    # What is said by nobody yet is looked for in the trace's own input and output, here the same ones.
    if not any(turn["role"] == "user" for turn in said):
        said = _iofold_turns_of(given, "user") + said
    if not any(turn["role"] == "assistant" for turn in said):
        again = _iofold_turns_of(answer, "assistant")
        said += again[_iofold_known(said, again):]
    calls = _iofold_join(said)
    known = {(call["name"], _iofold_json.dumps(call["arguments"], sort_keys=True, default=str)) for call in calls}
    for call in getattr(seen, "tool_calls", None) or []:
        arguments = _iofold_arguments(call.arguments)
        if (call.name, _iofold_json.dumps(arguments, sort_keys=True, default=str)) not in known:
            calls.append({"name": call.name, "arguments": arguments, "result": None, "error": None})
    users = [turn["content"] for turn in asked if turn["role"] == "user" and turn["content"]]
    texts = {
        "input_text": users[-1] if users else _iofold_last(asked) or "",
        "output_text": _iofold_last(answered) or "",
    }
    for role, key in (("user", "input_text"), ("assistant", "output_text")):
        spoken = [turn["content"] for turn in said if turn["role"] == role and turn["content"]]
        texts[key] = texts[key] or (spoken[-1] if spoken else "")
    return {
        "id": "", "name": None, "session_id": None, "user_id": None, "timestamp": "1970-01-01T00:00:00.000Z",
        "tags": [], "metadata": metadata if isinstance(metadata, dict) else {}, "input": given, "output": answer,
        **texts,
        "messages": [{key: turn[key] for key in ("role", "content", "tool_calls", "name")} for turn in said],
        "tool_calls": calls,
        "observations": [{
            "id": "", "parent_id": None, "type": "GENERATION", "name": None, "model": None, "input": given,
            "output": answer, "level": "DEFAULT", "status_message": None, "start_time": None, "end_time": None,
            "usage": None, "cost": None,
        }],
        "latency_ms": None, "total_cost": None,
    }


def _iofold_parsed(value):
    """JSON that stands in a text, where that is an object or a list."""
    if not isinstance(value, str) or not value.strip().startswith(("{", "[")):
        return value
    try:
        return _iofold_json.loads(value)
    except ValueError:
        return value


def _iofold_arguments(value):
    try:
        return _iofold_json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _iofold_compact(value):
    return _iofold_json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _iofold_turns_of(value, role):
    """The turns of an input or an output; text is said by `role`."""
    turns = _iofold_turns(value, "assistant" if role == "assistant" else None)
    if turns is not None:
        return turns
    text = _iofold_text(value)
    return [_iofold_plain(role, text)] if text else []


def _iofold_plain(role, content):
    return {"role": role, "content": content, "name": None, "asks": [], "answers": None}


def _iofold_turns(value, role):
    value = _iofold_parsed(value)
    if isinstance(value, list) and value:
        turns = [_iofold_turn(item, None) for item in value]
        return None if None in turns else turns
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("messages"), list):
        return _iofold_turns(value["messages"], None)
    if isinstance(value.get("choices"), list):
        first = value["choices"][0] if value["choices"] else None
        value = first.get("message") if isinstance(first, dict) else None
    turn = _iofold_turn(value, role)
    return None if turn is None else [turn]


def _iofold_turn(fields, role):
    if not isinstance(fields, dict) or not {"content", "tool_calls", "function_call"} & fields.keys():
        return None
    role = fields["role"] if isinstance(fields.get("role"), str) else role
    if role is None:
        return None
    turn = _iofold_plain(role, _iofold_content(fields.get("content")))
    for key, name in (("name", "name"), ("answers", "tool_call_id")):
        turn[key] = fields[name] if isinstance(fields.get(name), str) else None
    listed = fields["tool_calls"] if isinstance(fields.get("tool_calls"), list) else []
    asks = [_iofold_call(call) for call in [*listed, fields.get("function_call")]]
    turn["asks"] = [call for call in asks if call is not None]
    return turn


def _iofold_call(value):
    function = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    given = [function[key] for key in ("arguments", "args", "input") if key in function]
    identity = value["id"] if isinstance(value.get("id"), str) else None
    return {"id": identity, "name": function["name"], "arguments": _iofold_arguments(given[0]) if given else None}


def _iofold_content(value):
    if value is None or isinstance(value, str):
        return _iofold_media(value or "")
    return "\n".join(map(_iofold_part, value)) if isinstance(value, list) else _iofold_compact(value)


def _iofold_part(value):
    if isinstance(value, str):
        return _iofold_media(value)
    fields = value if isinstance(value, dict) else {}
    texts = [fields[key] for key in ("text", "refusal") if isinstance(fields.get(key), str)]
    kind = fields["type"] if isinstance(fields.get("type"), str) else None
    return _iofold_media(texts[0]) if texts else _IOFOLD_MEDIA_PARTS.get(kind) or _iofold_compact(value)


def _iofold_media(text):
    return _IOFOLD_MEDIA.sub(lambda found: f"[{found.group(1) or ''}{found.group(2) or ''}]", text)


def _iofold_text(value):
    """A value as plain text: what a person would read."""
    if value is None or isinstance(value, str):
        return _iofold_media(value or "")
    turns = _iofold_turns(value, None)
    if turns is not None:
        return _iofold_last(turns) or ""
    fields = value if isinstance(value, dict) else {}
    texts = [fields[key] for key in _IOFOLD_TEXT_KEYS if isinstance(fields.get(key), str)]
    return _iofold_media(texts[0]) if len(texts) == 1 else _iofold_compact(value)


def _iofold_last(turns):
    said = [turn["content"] for turn in turns if turn["content"].strip()]
    return said[-1] if said else None


def _iofold_same(one, other):
    def key(turn):
        asks = [(call["name"], call["arguments"]) for call in turn["asks"]]
        return turn["role"], turn["content"].strip(), turn["answers"], asks

    return key(one) == key(other)


def _iofold_known(said, turns):
    """How many of the first turns were said already."""
    pairs = list(zip(said, turns))
    shared = next((at for at, pair in enumerate(pairs) if not _iofold_same(*pair)), len(pairs))
    if shared == len(turns) > 1:
        return shared
    systems = {turn["content"] for turn in said if turn["role"] == "system"}
    known = [turn["role"] == "system" and turn["content"] in systems for turn in turns]
    skipped = known.index(False) if False in known else len(known)
    whole, rest = _iofold_overlap(said, turns), _iofold_overlap(said, turns[skipped:])
    if whole == rest == 0 and skipped < shared < len(turns):
        return shared
    return whole or skipped + rest


def _iofold_overlap(said, turns):
    """How many of the first of `turns` are the last of what was said."""
    for length in range(min(len(said), len(turns)), 0, -1):
        if all(map(_iofold_same, said[-length:], turns[:length])):
            return length
    return 0


def _iofold_join(said):
    """Every tool call, with what the tool's turn says came back; each turn gets its own."""
    calls = []
    for turn in said:
        turn["tool_calls"] = []
        for asked in turn["asks"]:
            call = {"name": asked["name"], "arguments": asked["arguments"], "result": None, "error": None}
            turn["tool_calls"].append(call)
            calls.append((asked["id"], call, [False]))
        if turn["role"] != "tool":
            continue
        is_asked = (
            (lambda identity, call: identity == turn["answers"])
            if turn["answers"] is not None
            else (lambda identity, call: call["name"] == (turn["name"] or ""))
        )
        still_open = [entry for entry in calls if not entry[2][0] and is_asked(*entry[:2])]
        if not still_open:
            call = {"name": turn["name"] or "", "arguments": None, "result": None, "error": None}
            calls.append((None, call, [False]))
            still_open = calls[-1:]
        _, call, answered = still_open[0]
        answered[0] = True
        result = call["result"] = _iofold_parsed(turn["content"])
        error = result.get("error") if isinstance(result, dict) else result
        is_error = isinstance(error, str) and error and (isinstance(result, dict) or error.strip().startswith("Error"))
        call["error"] = (error if isinstance(result, dict) else error.strip()) if is_error else None
    return [call for _, call, _ in calls]
