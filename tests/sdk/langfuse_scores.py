"""Reads the scores of the service back with the official SDK.

The second argument holds, as JSON and by the scores' ids, what is expected of each: name, trace, session, type,
value, config. Says what went wrong, or nothing.
"""

import json
import sys

from langfuse import Langfuse


def equal(found, expected, what):
    assert found == expected, f"{what}: found {found!r}, not {expected!r}"


def main():
    langfuse = Langfuse(public_key="pk-lf-test", secret_key="sk-lf-test", host=sys.argv[1])
    expected = json.loads(sys.argv[2])
    found = {score.id: score for score in langfuse.api.scores.get_many().data}
    equal(set(found), set(expected), "scores")
    for name, score in found.items():
        of = [score.name, score.trace_id, score.session_id, score.data_type, score.string_value, score.config_id]
        equal(of, expected[name], name)
        equal((score.comment, score.source), ("why \N{THUMBS DOWN SIGN}", "API"), name)
        equal(score.metadata, {"by": "iofold", "annotator": "U1"}, name)
    values = {score.id: score.value for score in langfuse.api.scores_v3.get_many_v3(limit=10).data}
    equal(values, {"single": "down", "session": "neutral", "verdict": False}, "values of v3")
    configs = {config.name: config for config in langfuse.api.score_configs.get(limit=10).data}
    equal(sorted(configs), ["cites a source", "human"], "configs")
    equal([c.label for c in configs["human"].categories], ["up", "neutral", "down"], "categories")


main()
