"""Vercel's AI SDK, run by vercel.mjs: its telemetry as Langfuse maps it, its messages and its results."""

import json
import subprocess
from functools import cache
from pathlib import Path

from conversation import TOOL, chat, tools


@cache
def made():
    run = subprocess.run(["node", "vercel.mjs"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def shape(name, expected):
    return lambda: (["ai"], made()[name], expected)


SHAPES = {
    "vercel_text_spans": shape("text", chat()),
    "vercel_tools_spans": shape("tools", tools(tool_name=TOOL)),
    "vercel_text_and_tools_spans": shape("both", tools(text="Let me look.", tool_name=TOOL)),
    "vercel_model_messages": shape("messages", tools(tool_name=TOOL)),
    "vercel_ui_messages": shape("ui", tools(system=False, tool_name=TOOL)),
}
