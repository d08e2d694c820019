"""Checks a Langfuse, given by its base URL, against Langfuse's OpenAPI description.

Standard input holds a JSON list of [route, body]: requests of ours, which are checked, then sent. Says
what does not fit, or nothing.
"""

import json
import sys
import urllib.parse
import urllib.request
from base64 import b64encode
from pathlib import Path

from jsonschema import Draft202012Validator

SCHEMAS = json.loads((Path(__file__).parent / "../fixtures/langfuse-openapi.json").read_text())
KEYS = b64encode(b"pk-lf-test:sk-lf-test").decode()
ALL_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
FIELDS = "core,basic,time,io,metadata,model,usage,trace_context"


def compared(column, operator, time):
    return {"type": "datetime", "column": column, "operator": operator, "value": time}


def chosen(start, name):
    """The conditions of a window, and of a user's filter, as the service sends them."""
    own = [compared(start, ">=", "2026-01-01T00:00:00.000Z"), compared(start, "<", "2026-01-01T00:01:00.000Z")]
    return own + [
        {"type": "stringOptions", "column": "environment", "operator": "any of", "value": ["default", "x"]},
        {"type": "arrayOptions", "column": "tags", "operator": "any of", "value": ["a"]},
        {"type": "string", "column": name, "operator": "=", "value": "chat"},
    ]


def asked(path, **parameters):
    return f"{path}?{urllib.parse.urlencode(parameters)}"


WINDOW = {"fromStartTime": "2026-01-01T00:00:00.000Z", "toStartTime": "2026-01-01T00:01:00.000Z"}
TRACES = {"page": 1, "limit": 100, "orderBy": "timestamp.asc", "fields": "core,observations,metrics"}
# Asked for after our requests were sent, so that the lists are not empty.
READS = [
    ("GET health", "health"),
    ("GET projects", "projects"),
    ("GET v2/observations", "v2/observations"),
    ("GET v2/observations", f"v2/observations?limit=3&fields={ALL_FIELDS}"),
    ("GET traces", "traces"),
    ("GET traces", "traces?fields=core&limit=1"),
    # The service's own questions.
    ("GET v2/observations", asked("v2/observations", limit=1000, fields=FIELDS, expandMetadata="long", **WINDOW)),
    ("GET v2/observations", asked("v2/observations", limit=1, fields=FIELDS, traceId="t1")),
    (
        "GET v2/observations",
        asked("v2/observations", limit=1000, fields=FIELDS, filter=json.dumps(chosen("startTime", "traceName"))),
    ),
    (
        "GET traces",
        asked("traces", fromTimestamp=WINDOW["fromStartTime"], toTimestamp=WINDOW["toStartTime"], **TRACES),
    ),
    ("GET traces", asked("traces", filter=json.dumps(chosen("timestamp", "name")), **TRACES)),
    ("GET score-configs", "score-configs?page=1&limit=100"),
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


def check_parameters(route, path):
    """A parameter that Langfuse does not describe would be passed over, and too much be read."""
    given = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    unknown = set(given) - set(SCHEMAS["parameters"].get(route, []))
    assert not unknown, f"parameters of {route}: {unknown}"


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
        check_parameters(route, path)
        found = answer(base, path)
        check("answers", route, found)
        assert "filter" not in path or found["data"], f"nothing is chosen by {path}"


main()
