"""Answers as the providers do, from what each payload needs next; and the spans that Langfuse's SDK would send."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langfuse import Langfuse


class Handler(BaseHTTPRequestHandler):
    replies: ClassVar[list] = []

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        of_langfuse = self.path.startswith("/api/public")
        body = json.dumps({"mediaId": "m1", "uploadUrl": None} if of_langfuse else self.replies.pop(0)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST
    do_PATCH = do_POST

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
BASE = f"http://127.0.0.1:{server.server_port}"

exporter = InMemorySpanExporter()
langfuse = Langfuse(public_key="pk-lf-1", secret_key="sk-lf-1", base_url=BASE, span_exporter=exporter)


@contextmanager
def replying(*replies):
    """The requests made within are answered so, in order."""
    Handler.replies[:] = replies
    yield
    assert not Handler.replies, "every reply was asked for"


def forget():
    """Drops the spans so far: Langfuse's wrapper observes the plain client as well."""
    langfuse.flush()
    exporter.clear()


def traced():
    """What Langfuse holds of the spans so far: each value parsed where its text is JSON."""
    langfuse.flush()
    spans = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time)
    exporter.clear()
    observations = [observation(span, at) for at, span in enumerate(spans)]
    root = next(one for one in observations if one["parentObservationId"] not in {o["id"] for o in observations})
    root["parentObservationId"] = None
    ids = {one["id"]: f"step-{at}" for at, one in enumerate(observations)}
    for one in observations:
        one["id"], parent = ids[one["id"]], one["parentObservationId"]
        one["parentObservationId"] = ids.get(parent)
    return {"input": root["input"], "output": root["output"], "observations": observations}


def observation(span, at):
    value = lambda key: parsed(span.attributes.get(f"langfuse.observation.{key}"))
    return {
        "id": f"{span.context.span_id:016x}",
        "parentObservationId": f"{span.parent.span_id:016x}" if span.parent else None,
        "type": (value("type") or "span").upper(),
        "name": span.name,
        "startTime": f"2026-01-01T00:00:{at:02}.000Z",
        "level": value("level") or "DEFAULT",
        "statusMessage": value("status_message"),
        "input": value("input"),
        "output": value("output"),
    }


def parsed(text):
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
