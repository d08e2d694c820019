"""Runs one code evaluator of Langfuse's in the sandbox.

`trace` is what Langfuse dispatched: {"code": {"source"}, "payload": {"observation", "experiment"?}}. The answer,
{"scores": [...]} or {"error": {"code", "message"}}, goes out in parts as questions to `judge`, the one way out of
the sandbox for long texts. The host believes nothing of it.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from iofold import judge

MARK = "iofold code evaluator, part"
PART_CHARS = 100_000
RESULT_BYTES = 256 * 1024
SOURCE_NAME = "<evaluator>"
WIRE_NAMES = {"data_type": "dataType", "config_id": "configId"}


# ---- What an evaluator is given, and what it makes. ----


@dataclass
class ToolCall:
    id: str = ""
    name: str = ""
    arguments: Any = None
    type: str = ""
    index: int = 0


@dataclass
class ObservationContext:
    input: Any = None
    output: Any = None
    metadata: Any = None
    tool_calls: list[ToolCall] = field(default_factory=list)


@dataclass
class ExperimentContext:
    item_expected_output: Any = None
    item_metadata: Any = None


@dataclass
class EvaluationContext:
    observation: ObservationContext
    experiment: ExperimentContext | None = None


@dataclass
class Score:
    value: int | float | str | bool
    name: str
    data_type: str | None = None
    comment: str | None = None
    config_id: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class EvaluationResult:
    scores: list[Score] = field(default_factory=list)


INJECTED = (EvaluationContext, EvaluationResult, Score, ToolCall)


def object_in(value, key):
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def tool_call(value):
    known = value if isinstance(value, dict) else {}
    call = ToolCall(arguments=known.get("arguments"))
    for key in ("id", "name", "type", "index"):
        setattr(call, key, known.get(key) or getattr(call, key))
    return call


def context_of(payload):
    observation = object_in(payload, "observation")
    calls = observation.get("toolCalls")
    seen = ObservationContext(
        *(observation.get(key) for key in ("input", "output", "metadata")),
        [tool_call(call) for call in (calls if isinstance(calls, list) else [])],
    )
    if not isinstance(payload.get("experiment"), dict):
        return EvaluationContext(seen)
    item = payload["experiment"]
    # Earlier versions of Langfuse call it expectedOutput.
    expected = item.get("itemExpectedOutput", item.get("expectedOutput"))
    return EvaluationContext(seen, ExperimentContext(expected, item.get("itemMetadata")))


# ---- Running it. ----


def evaluate(trace):
    try:
        text = as_text(answer_to(trace["code"]["source"], trace.get("payload") or {}))
    except (RecursionError, ValueError, TypeError) as error:
        text = as_text(failure("INVALID_RESULT", f"The result can't be written as JSON: {told(error)}"))
    if len(text.encode("utf-8", "surrogatepass")) > RESULT_BYTES:
        text = as_text(failure("RESULT_TOO_LARGE", f"The result has more than {RESULT_BYTES} bytes as JSON"))
    parts = [text[at : at + PART_CHARS] for at in range(0, len(text), PART_CHARS)]
    for number, part in enumerate(parts, 1):
        judge(f"{MARK} {number} of {len(parts)}", part)


def answer_to(source, payload):
    names = {injected.__name__: injected for injected in INJECTED}
    try:
        exec(compile(source, SOURCE_NAME, "exec", dont_inherit=True), names)
    except BaseException as error:
        return failure("INVALID_SOURCE", f"Failed to load evaluator source: {told(error)}")
    function = names.get("evaluate")
    if not callable(function):
        return failure("INVALID_SOURCE", "Evaluator source must define an evaluate(ctx) function")
    try:
        result = function(context_of(payload))
        if hasattr(result, "send") and hasattr(result, "cr_frame"):
            result = awaited(result)
    except BaseException as error:
        return failure("USER_CODE_ERROR", told(error))
    return checked(wire(result))


def awaited(coroutine):
    """What a coroutine returns that waits for nothing: there is nothing here to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("evaluate() waits for something that never comes; there is no event loop")


def checked(result):
    scores = result.get("scores") if isinstance(result, dict) else None
    if not isinstance(scores, list):
        return failure("INVALID_RESULT", "Evaluator must return an EvaluationResult, or {\"scores\": [...]}")
    for score in scores:
        for name, wire_name in WIRE_NAMES.items() if isinstance(score, dict) else ():
            value = score.pop(name, None)
            if value is not None:
                score.setdefault(wire_name, value)
    return {"scores": scores}


def wire(value):
    """`value` as JSON values: data classes as objects without their empty fields, what JSON lacks as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((known.name, getattr(value, known.name)) for known in dataclasses.fields(value))
        return {WIRE_NAMES.get(name, name): wire(held) for name, held in fields if held is not None}
    if isinstance(value, list):
        return [wire(item) for item in value]
    if isinstance(value, dict):
        return {key: wire(item) for key, item in value.items()}
    try:
        json.dumps(value)
    except TypeError:
        return str(value)
    return value


def as_text(answer):
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def failure(code, message):
    return {"error": {"code": code, "message": message[:4000]}}


def told(error):
    """The error as Python names it, with the evaluator's own line."""
    try:
        message = str(error)
    except BaseException:
        message = ""
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == SOURCE_NAME:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return text if line is None else f"{text} (line {line})"
