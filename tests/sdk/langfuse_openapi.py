"""Checks a Langfuse, given by its base URL, against Langfuse's OpenAPI description.

Standard input holds a JSON list of [route, body]: requests of ours, which are checked, then sent. Says
what does not fit, or nothing.
"""

import json
import sys
import urllib.request
from base64 import b64encode
from pathlib import Path

from jsonschema import Draft202012Validator

SCHEMAS = json.loads((Path(__file__).parent / "../fixtures/langfuse-openapi.json").read_text())
KEYS = b64encode(b"pk-lf-test:sk-lf-test").decode()
ALL_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
# Asked for after our requests were sent, so that the lists are not empty.
READS = [
    ("GET health", "health"),
    ("GET projects", "projects"),
    ("GET v2/observations", "v2/observations"),
    ("GET v2/observations", f"v2/observations?limit=3&fields={ALL_FIELDS}"),
    ("GET traces", "traces"),
    ("GET traces", "traces?fields=core&limit=1"),
    ("GET traces/{traceId}", "traces/t1"),
    ("GET v2/scores", "v2/scores"),
    ("GET v3/scores", "v3/scores?limit=1"),
    ("GET score-configs", "score-configs"),
    ("GET unstable/evaluators", "unstable/evaluators"),
]


def check(part, route, value):
    schema = dict(SCHEMAS[part][route], **{"$defs": SCHEMAS["$defs"]})
    problems = list(Draft202012Validator(schema).iter_errors(value))
    assert not problems, f"{part} of {route}: {problems[0]}"


def answer(base, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Basic {KEYS}", "content-type": "application/json"}
    request = urllib.request.Request(f"{base}/api/public/{path}", data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def main():
    base = sys.argv[1]
    for route, body in json.load(sys.stdin):
        check("requests", route, body)
        check("answers", route, answer(base, route.split()[1], body))
    score = {"id": "e", "traceId": "t1", "name": "n", "value": 1}
    event = {"id": "1", "type": "score-create", "timestamp": "2026-01-01T00:00:00Z", "body": score}
    batch = {"batch": [event, dict(event, id="2", type="unknown")]}
    check("answers", "POST ingestion", answer(base, "ingestion", batch))
    for route, path in READS:
        check("answers", route, answer(base, path))


main()
