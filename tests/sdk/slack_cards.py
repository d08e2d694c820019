"""Slack's own models of blocks take our cards and modals.

Reads `{"messages": [[block, …], …], "views": [view, …]}` from standard input; ends with status 0 if every block is
known, within the limits that the models know, and written back as it was read.
"""

import json
import logging
import sys

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View


class Unknown(logging.Handler):
    """What the models don't know, they only warn about."""

    def emit(self, record):
        raise AssertionError(record.getMessage())


def check(blocks):
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None, block
        parsed.validate_json()
        back = json.loads(json.dumps(parsed.to_dict()))
        assert back == block, (block, back)


def main():
    logging.getLogger().addHandler(Unknown(logging.WARNING))
    given = json.load(sys.stdin)
    for blocks in given["messages"]:
        check(blocks)
    for view in given["views"]:
        check(view["blocks"])
        View(**view).validate_json()
    print(json.dumps({"messages": len(given["messages"]), "views": len(given["views"])}))


main()
