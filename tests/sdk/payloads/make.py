"""Makes tests/fixtures/normaliser/*.json by running the SDKs against a local stand-in.

python3 -m venv v && v/bin/pip install --requirement requirements.txt && npm install && v/bin/python make.py
"""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import bedrock
import claude
import gemini
import langchains
import llamaindex
import openais
import own
import vercel
from standin import forget

HERE = Path(__file__).parent
FIXTURES = HERE.parents[1] / "fixtures" / "normaliser"
ROOMS = [openais, claude, gemini, bedrock, langchains, llamaindex, vercel, own]


def steady(text):
    """Ids and times that differ from run to run, made the same."""
    seen = {}
    number = lambda found: seen.setdefault(found[0], f"id-{len(seen)}")
    text = re.sub(r"(lc_)?(run-+)?[0-9a-f]{8}(-[0-9a-f]{4,12}){4}(-\d+)?", number, text)
    text = re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "Thu, 01 Jan 2026 00:00:00 GMT", text)
    return re.sub(r"aitxt-\w+|msg-\w+|call-\w{8,}", number, text)


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name, (sdks, trace, reading) in sorted(shapes().items()):
        # What the SDK sent, for the OpenTelemetry door.
        spans = trace.pop("spans", None)
        made = {"made_by": [f"{sdk} {installed(sdk)}" for sdk in sdks], "trace": trace, "reading": reading}
        if spans:
            made["spans"] = spans
        text = json.dumps(json.loads(steady(json.dumps(made))), indent=1, ensure_ascii=False)
        (FIXTURES / f"{name}.json").write_text(text + "\n")
        print(name)


def shapes():
    found = {}
    for room in ROOMS:
        for name, shape in room.SHAPES.items():
            forget()
            found[name] = shape()
    return found


def installed(sdk):
    if sdk != "ai":
        return version(sdk)
    return json.loads((HERE / "node_modules/ai/package.json").read_text())["version"]


if __name__ == "__main__":
    sys.exit(main())
