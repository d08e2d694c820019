"""Smaller sources that an eval's source could be, as edits of its bytes.

The trace is `{"source"}`; the reason is `[[start, end, text]]` as JSON: bytes of the source and what stands there
instead, the largest first. Each edit leaves a module with its docstring and `evaluate`, and no name without a meaning.
What asks `judge` loses nothing but what nobody uses: another question would be asked anew.
"""

import ast
import json

MOST_CHARS = 1900


def evaluate(trace):
    source = trace["source"]
    tree = ast.parse(source)
    source = source.encode()
    lines = source.split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    missing = {node.id for node in unbound(tree)}
    edits, size = [], 0
    for start, end, text in proposals(tree, lines, starts):
        if not is_sound(source[:start] + text.encode() + source[end:], missing):
            continue
        size += len(json.dumps([start, end, text])) + 1
        if size > MOST_CHARS:
            break
        edits.append([start, end, text])
    return None, json.dumps(edits, separators=(",", ":"))


def proposals(tree, lines, starts):
    asks = any(isinstance(node, ast.Name) and node.id == "judge" for node in ast.walk(tree))
    found = []
    for node in ast.walk(tree):
        for body in bodies(node):
            kept = [statement for statement in body if not asks or is_unused(statement, tree)]
            found.extend(whole_lines(statement, lines, starts) for statement in kept if removable(statement, tree))
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.extend(one_less(node.names, starts))
        if isinstance(node, ast.BoolOp) and not asks:
            found.extend(one_less(node.values, starts))
        if isinstance(node, ast.If) and node.orelse and not asks:
            found.append((starts[node.body[-1].end_lineno], starts[node.orelse[-1].end_lineno], ""))
    return sorted(set(found), key=lambda edit: (edit[0] - edit[1], edit[0]))


def bodies(node):
    fields = (getattr(node, name, None) for name in ("body", "orelse", "finalbody"))
    return [body for body in fields if isinstance(body, list)]


def removable(statement, tree):
    is_evaluate = isinstance(statement, ast.FunctionDef) and statement.name == "evaluate"
    return not (is_evaluate and statement in tree.body) and statement is not tree.body[0]


def is_unused(statement, tree):
    """Whether it stands outside functions, and binds only names that nobody reads."""
    if statement not in tree.body or isinstance(statement, ast.Expr):
        return False
    inside = set(ast.walk(statement))
    read = {node.id for node in ast.walk(tree) if is_read(node) and node not in inside}
    return not bound(statement) & read


def whole_lines(statement, lines, starts):
    """The statement's lines, with the comments right above it, and with the blank lines on one side of it."""
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)]) - 1
    last = statement.end_lineno
    while first > 0 and lines[first - 1].lstrip().startswith(b"#"):
        first -= 1
    before, after = blank(lines[:first][::-1]), blank(lines[last:])
    if before <= after:
        first -= before
    else:
        last += after
    return starts[first], min(starts[last], starts[-1] - 1), ""


def blank(lines):
    """How many of the first lines are blank."""
    return next((at for at, line in enumerate(lines) if line.strip()), len(lines))


def one_less(items, starts):
    """Each of several items in a row, with what joins it to its neighbour."""
    at = [(starts[item.lineno - 1] + item.col_offset, starts[item.end_lineno - 1] + item.end_col_offset)
          for item in items]
    if len(at) < 2:
        return
    for here, after in zip(at, at[1:]):
        yield here[0], after[0], ""
    yield at[-2][1], at[-1][1], ""


def is_sound(source, missing):
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    has_evaluate = any(isinstance(node, ast.FunctionDef) and node.name == "evaluate" for node in tree.body)
    names = {node.id for node in unbound(tree)}
    return has_evaluate and bool(ast.get_docstring(tree)) and names <= missing
