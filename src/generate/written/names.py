

# ---- Names of a module, for both of our evals. ----


def bound(tree):
    """Every name that the module binds anywhere."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
    return names


def unbound(tree):
    """Uses of names that the module binds nowhere."""
    known = bound(tree) | set(__builtins__) | {"__name__"}
    return [node for node in ast.walk(tree) if is_read(node) and node.id not in known]


def is_read(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
