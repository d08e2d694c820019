"""The texts that an eval may look for: those its source holds, and one that each of its patterns matches, as JSON.

The host appends a line that calls `read` with the eval's source, of which nothing runs. Itself an eval, which abstains.
"""

import ast
import json
import re

ROOM = 3_900  # Characters that a run can print.
TEXT_CHARS = 100
TEXTS = 60
READ_WITH = re.compile(r"[\\\[\](){}|^$*+?.]")


def texts_of(source):
    tree = ast.parse(source)
    keys = {part for node in ast.walk(tree) if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is str and node not in keys | docstrings:
            for text in [*samples(node.value), node.value]:
                if text.strip() and len(text) <= TEXT_CHARS:
                    found.setdefault(text)
    return list(found)[:TEXTS]


def samples(pattern):
    """What a pattern matches at its shortest, once for each of its alternatives."""
    if not READ_WITH.search(pattern) or len(pattern) > 500:
        return []
    try:
        return matched(re._parser.parse(pattern))[:6]
    except (re.PatternError, RecursionError, ValueError, OverflowError):
        return []


def matched(parts):
    texts = [""]
    for operation, argument in parts:
        texts = [start + end for start in texts for end in pieces(str(operation), argument)][:12]
    return texts


def pieces(operation, argument):
    if operation == "LITERAL":
        return [chr(argument)]
    if operation == "IN":
        return [one_of(argument)]
    if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, _, repeated = argument
        return [text * min(max(least, 1), 20) for text in matched(repeated)]
    if operation == "SUBPATTERN":
        return matched(argument[-1])
    if operation == "BRANCH":
        return [text for branch in argument[1] for text in matched(branch)]
    return ["a"] if operation in ("ANY", "NOT_LITERAL") else [""]


def one_of(choices):
    operation, argument = choices[0]
    if str(operation) == "LITERAL":
        return chr(argument)
    if str(operation) == "RANGE":
        return chr(argument[0])
    return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}.get(str(argument), "a")


texts = []


def read(source):
    texts.extend(texts_of(source))


def evaluate(trace):
    while len(said := json.dumps(texts, ensure_ascii=False)) > ROOM:
        texts.pop()
    print(said)
    return None
