"""Uses the stand-in for Langfuse as the official SDK uses Langfuse. Says what went wrong, or nothing.

With a second argument, `seen`: prints what it sees as JSON, as langfuse_sdk.mjs does.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from langfuse import Langfuse
from langfuse.api import ConfigCategory, NotFoundError, UnauthorizedError

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
ALL_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"


def client(host, public_key="pk-lf-test"):
    return Langfuse(public_key=public_key, secret_key="sk-lf-test", host=host, flush_at=1)


def equal(found, expected, what):
    assert found == expected, f"{what}: found {found!r}, not {expected!r}"


def keys(host, langfuse):
    assert langfuse.auth_check(), "the keys are right"
    equal([project.name for project in langfuse.api.projects.get().data], ["Support"], "project")
    equal(langfuse.api.health.health().status, "OK", "health")
    try:
        client(host, "pk-lf-wrong").api.projects.get()
    except UnauthorizedError:
        return
    raise AssertionError("a wrong key was let in")


def every_observation(langfuse, **fields):
    found, cursor = [], None
    while True:
        page = langfuse.api.observations.get_many(
            fields=ALL_FIELDS,
            limit=4,
            cursor=cursor,
            from_start_time=START,
            to_start_time=START + timedelta(minutes=1),
            **fields,
        )
        found += page.data
        cursor = page.meta.cursor
        if cursor is None:
            return found


def observations(langfuse):
    found = every_observation(langfuse)
    equal(len(found), 10, "observations")
    equal(len({row.id for row in found}), 10, "different observations")
    roots = [row for row in found if row.is_root_observation]
    equal(len(roots), 5, "roots")
    row = next(row for row in found if row.id == "t1-g")
    equal(json.loads(row.input), [{"role": "user", "content": "Q"}], "raw input")
    equal((row.output, row.name, row.trace_name, row.latency), ("A", "answer", "chat", 2.0), "fields")
    one = langfuse.api.observations.get_many(trace_id="t1", fields="core,metadata", is_root_observation=True)
    equal(len(one.data[0].metadata["long"]), 200, "cut metadata")
    one = langfuse.api.observations.get_many(
        trace_id="t1", fields="core,metadata", is_root_observation=True, expand_metadata="long"
    )
    equal(len(one.data[0].metadata["long"]), 300, "whole metadata")


def traces(langfuse):
    page = langfuse.api.trace.list(limit=2, order_by="timestamp.asc", from_timestamp=START)
    equal([trace.id for trace in page.data], ["t0", "t1"], "page")
    equal((page.meta.total_items, page.meta.total_pages), (5, 3), "pages")
    slim = langfuse.api.trace.list(limit=1, fields="core").data[0]
    equal((slim.latency, slim.total_cost, slim.observations), (-1, -1, []), "left out")
    trace = langfuse.api.trace.get("t1")
    equal((trace.output, trace.tags, trace.user_id), ("A", ["a"], "u"), "detail")
    equal([step.type for step in trace.observations], ["GENERATION"], "steps")
    try:
        langfuse.api.trace.get("none")
    except NotFoundError:
        return
    raise AssertionError("a trace that is not there was found")


def scores(langfuse):
    words = [ConfigCategory(label="up", value=1), ConfigCategory(label="down", value=0)]
    made = langfuse.api.score_configs.create(name="human", data_type="CATEGORICAL", categories=words)
    langfuse.api.score_configs.create(name="cites", data_type="BOOLEAN")
    equal([c.name for c in langfuse.api.score_configs.get(limit=10).data], ["human", "cites"], "configs")
    equal(langfuse.api.score_configs.get_by_id(made.id).data_type, "CATEGORICAL", "config")
    for value in (0, 1):
        langfuse.create_score(
            score_id="s1", trace_id="t1", name="cites", value=value, data_type="BOOLEAN", comment="why",
            metadata={"by": "sdk"},
        )
        langfuse.flush()
    api = langfuse.api.legacy.score_v1
    api.create(id="s2", trace_id="t1", name="human", value="up", config_id=made.id)
    api.create(id="s3", trace_id="t2", name="length", value=0.5)
    found = langfuse.api.scores.get_many(trace_id="t1")
    equal(sorted((s.id, s.value, s.string_value) for s in found.data),
          [("s1", 1, "True"), ("s2", 1, "up")], "scores")
    equal(langfuse.api.scores.get_by_id("s1").metadata, {"by": "sdk"}, "score")
    newest = langfuse.api.scores_v3.get_many_v3(limit=2)
    rest = langfuse.api.scores_v3.get_many_v3(limit=2, cursor=newest.meta.cursor)
    equal([s.value for s in newest.data + rest.data], [0.5, "up", True], "scores of v3")
    equal([s.name for s in langfuse.api.trace.get("t1").scores], ["cites", "human"], "on the trace")


def seen(api, observations):
    traces = api.trace.list(limit=2, page=2, order_by="timestamp.asc", from_timestamp=START)
    trace = api.trace.get("t1")
    return {
        "projects": [project.name for project in api.projects.get().data],
        "observations": [
            [
                row.id, row.trace_id, row.type, row.name, row.trace_name, row.is_root_observation, row.input, row.output,
                row.latency, row.metadata, row.tags, row.user_id, row.start_time.timestamp(), row.end_time.timestamp(),
            ]
            for row in observations
        ],
        "traces": [[row.id for row in traces.data], traces.meta.total_items, traces.meta.total_pages],
        "trace": [
            trace.input, trace.output, trace.metadata, trace.tags, trace.user_id, trace.latency, trace.timestamp.timestamp(),
        ],
        "steps": [[step.id, step.type, step.model, step.input, step.output] for step in trace.observations],
        "configs": [[config.name, config.data_type] for config in api.score_configs.get(limit=10).data],
        "scores": [
            [score.id, score.trace_id, score.name, score.value, getattr(score, "string_value", None)]
            for score in api.scores.get_many(limit=10).data
        ],
        "scores_v3": [[score.id, score.name, score.value] for score in api.scores_v3.get_many_v3(limit=10).data],
    }


def number(text):
    """As JavaScript has them: 2.0 is 2."""
    return int(float(text)) if float(text).is_integer() else float(text)


def main():
    host = sys.argv[1]
    langfuse = client(host)
    if sys.argv[2:] == ["seen"]:
        found = json.dumps(seen(langfuse.api, every_observation(langfuse, expand_metadata="long")))
        print(json.dumps(json.loads(found, parse_float=number)))
        return
    keys(host, langfuse)
    observations(langfuse)
    traces(langfuse)
    scores(langfuse)
    langfuse.shutdown()


main()
