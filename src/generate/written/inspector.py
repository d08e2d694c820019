"""What is wrong with an eval's source, found without running it.

The trace is `{"source", "texts": [[group, text]], "pool": [text], "keys": [key]}`; the reason is a report as JSON:
faults (a code, a line, a word), facts, and which texts are singled out by a literal. inspect.rs says it in sentences.
"""

import ast
import json
import re
import unicodedata

MOST_FAULTS = 12
WORD_CHARS = 40
# A literal this long is a sentence: it can be a copy.
LONG_CHARS = 30
LONG_WORDS = 6
SHORT_CHARS = 3
MOST_LITERALS = 300
# In so many groups of traces a long literal is a turn of phrase.
COMMON_GROUPS = 3
MOST_NUMBERS = 4
SMALL_NUMBER = 20

UNWANTED_MODULES = {"hashlib", "hmac", "os", "random", "sys", "time", "traceback", "warnings", "weakref"}
DANGEROUS = {
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "getattr", "globals", "hash", "help",
    "id", "input", "locals", "open", "quit", "setattr", "vars",
}
TRACE_KEYS = {"id", "latency_ms", "name", "session_id", "tags", "timestamp", "total_cost", "user_id"}
STEP_KEYS = {"cost", "end_time", "id", "model", "parent_id", "start_time", "usage"}
PAYLOAD_KEYS = {"model", "system_fingerprint"}
LEAKS = {
    "annotation", "annotations", "annotator", "annotators", "approved", "downvote", "feedback", "grade", "graded",
    "grades", "hallucination", "incorrect", "judgement", "judgment", "label", "labeled", "labelled", "labels", "llm",
    "model", "quality", "rated", "rating", "ratings", "rejected", "reward", "score", "scores", "thumb", "thumbs",
    "upvote", "verdict", "vote", "votes",
}
WHOLE_LEAKS = {"correct", "is_correct", "was_correct", "failed", "passed"}

PART_OF_TRACE = {"observations": "steps", "metadata": "metadata", "session": "traces", "input": "payload",
                 "output": "payload"}
SINGLE = {"traces": "trace", "steps": "step", "metadata": "metadata", "payload": "payload"}
SEVERAL = {one: several for several, one in SINGLE.items()}
CLOSED = {"trace", "traces", "step", "steps"}
SAME = {"enumerate", "filter", "iter", "list", "reversed", "sorted", "tuple"}
ELEMENT = {"max", "min", "next"}
HARMLESS = SAME | ELEMENT | {"all", "any", "bool", "isinstance", "len", "map", "range", "sum", "zip"}


def evaluate(trace):
    source = trace["source"]
    report = {"faults": [], "judge": False, "imports": 0, "singled": []}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        report["faults"].append(["syntax", getattr(error, "lineno", 0) or 0, str(getattr(error, "msg", error))])
    except (MemoryError, RecursionError):
        report["faults"].append(["syntax", 0, "it is too deeply nested"])
    else:
        report.update(inspected(tree, trace))
    return None, json.dumps(report, separators=(",", ":"))


def inspected(tree, trace):
    uses = Uses(tree)
    copied, singled = literals_in(tree, trace["texts"], trace["pool"])
    faults = [*shape(tree), *hidden(trace["source"]), *imports(tree), *dangers(tree), *undefined(tree)]
    faults += [*uses.faults(any(map(is_leak, trace["keys"]))), *copied, *numbers(tree)]
    distinct = list(dict.fromkeys((code, line, word[:WORD_CHARS]) for code, line, word in faults))
    return {
        "faults": sorted(distinct, key=lambda fault: fault[1])[:MOST_FAULTS],
        "judge": any(isinstance(node, ast.Name) and node.id == "judge" for node in ast.walk(tree)),
        "imports": sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(tree)),
        "singled": singled,
    }


def shape(tree):
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "evaluate"]
    if not found or not takes_one(found[-1].args):
        yield "no_evaluate", 0, ""
    if not (ast.get_docstring(tree) or "").strip():
        yield "no_docstring", 0, ""
    kept = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef)
    for at, node in enumerate(tree.body):
        if not isinstance(node, kept) and not (at == 0 and is_text(node)):
            yield "loose", node.lineno, ""


def takes_one(args):
    positional = args.posonlyargs + args.args
    required = len(positional) - len(args.defaults)
    return len(positional) >= 1 and required <= 1 and all(args.kw_defaults)


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def hidden(source):
    for number, line in enumerate(source.split("\n"), 1):
        if any(unicodedata.category(c) in ("Cc", "Cf", "Co") and c not in "\t\u200d" for c in line):
            yield "hidden", number, ""


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (fault for alias in node.names for fault in module(alias.name, node.lineno))
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if node.level or "*" in names:
                yield "star", node.lineno, ""
            elif node.module == "iofold":
                yield from (("iofold", node.lineno, name) for name in names if name != "judge")
            else:
                yield from module(node.module, node.lineno)


def module(name, line):
    if name.split(".")[0] == "iofold":
        yield "iofold", line, name
    elif name.split(".")[0] in UNWANTED_MODULES:
        yield "unwanted", line, name
    else:
        try:
            __import__(name)
        except ImportError:
            yield "import", line, name


def dangers(tree):
    dangerous = DANGEROUS - bound(tree)
    for node in ast.walk(tree):
        name = getattr(node, "attr", getattr(node, "id", ""))
        if is_read(node) and name in dangerous or is_dunder(name):
            yield "danger", node.lineno, name
        if is_read(node) and name == "print":
            yield "print", node.lineno, ""


def is_dunder(name):
    return isinstance(name, str) and name.startswith("__") and name.endswith("__")


def undefined(tree):
    for node in unbound(tree):
        yield "undefined", node.lineno, node.id


def numbers(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Set, ast.Tuple)):
            exact = [item for item in node.elts if isinstance(item, ast.Constant) and type(item.value) in (int, float)]
            if sum(item.value > SMALL_NUMBER for item in exact) > MOST_NUMBERS:
                yield "numbers", node.lineno, ""


# ---- What an eval reads of its trace. ----


class Uses:
    """Follows the trace and its parts through names and functions."""

    def __init__(self, tree):
        self.tree = tree
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self.names = {}
        self.returned = {}
        for function in self.functions.values():
            for at, parameter in enumerate(parameters(function)):
                if parameter == "trace" or (function.name == "evaluate" and at == 0):
                    self.add(function, parameter, {"trace"})
        self.changed = True
        while self.changed:
            self.changed = False
            for node in ast.walk(tree):
                self.follow(node)

    def add(self, scope, name, kinds):
        known = self.names.setdefault((scope, name), set())
        self.changed = not kinds <= known or getattr(self, "changed", False)
        known |= kinds

    def scope(self, node):
        node = self.parents.get(node)
        while node is not None and not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            node = self.parents.get(node)
        return node

    def lookup(self, node):
        scope = self.scope(node)
        while (scope, node.id) not in self.names and scope is not None:
            scope = self.scope(scope)
        return self.names.get((scope, node.id), set())

    def follow(self, node):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self.bind(target, self.kinds(node.value))
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr, ast.AugAssign)) and node.value is not None:
            self.bind(node.target, self.kinds(node.value))
        elif isinstance(node, (ast.For, ast.comprehension)):
            self.bind_items(node.target, node.iter)
        elif isinstance(node, ast.Return) and node.value is not None:
            function = self.scope(node)
            name = getattr(function, "name", None)
            known, kinds = self.returned.setdefault(name, set()), self.kinds(node.value)
            self.changed |= not kinds <= known
            known |= kinds
        elif isinstance(node, ast.Call):
            self.follow_call(node)

    def bind(self, target, kinds):
        if isinstance(target, ast.Name):
            if kinds:
                self.add(self.scope(target), target.id, kinds)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for item in target.elts:
                self.bind(item, singles(kinds))
        elif isinstance(target, ast.Starred):
            self.bind(target.value, {SEVERAL.get(kind, kind) for kind in kinds})

    def bind_items(self, target, iterated):
        called = iterated.func.id if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name) else ""
        pair = isinstance(target, ast.Tuple)
        if called == "enumerate" and pair and len(target.elts) == 2:
            self.bind(target.elts[1], singles(self.kinds(iterated)))
        elif called == "zip" and pair:
            for item, zipped in zip(target.elts, iterated.args):
                self.bind(item, singles(self.kinds(zipped)))
        elif pair and isinstance(iterated, ast.Call) and called == "":
            for item in target.elts[1:]:
                self.bind(item, singles(self.kinds(iterated)))
        else:
            self.bind(target, singles(self.kinds(iterated)))

    def follow_call(self, call):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in self.functions:
            function = self.functions[name]
            given = list(zip(parameters(function), call.args))
            given += [(keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg]
            for parameter, value in given:
                self.add(function, parameter, self.kinds(value))
            return
        values = call.args + [keyword.value for keyword in call.keywords]
        items = {kind for value in call.args for kind in singles(self.kinds(value))}
        for value in values:
            callee = value if isinstance(value, ast.Lambda) else self.functions.get(getattr(value, "id", None))
            if callee is not None and parameters(callee):
                self.add(callee, parameters(callee)[0], items)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "append" and call.args:
            self.bind(call.func.value, {SEVERAL.get(kind, kind) for kind in self.kinds(call.args[0])})

    def kinds(self, node):
        """Which parts of a trace an expression may be."""
        if isinstance(node, ast.Name):
            return self.lookup(node)
        if isinstance(node, ast.Subscript):
            return part(self.kinds(node.value), node.slice)
        if isinstance(node, ast.Call):
            return self.kinds_of_call(node)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            return {SEVERAL.get(kind, kind) for kind in self.kinds(node.elt)}
        if isinstance(node, (ast.NamedExpr, ast.Starred)):
            return self.kinds(node.value)
        if isinstance(node, ast.IfExp):
            return self.kinds(node.body) | self.kinds(node.orelse)
        if isinstance(node, ast.BoolOp):
            return {kind for value in node.values for kind in self.kinds(value)}
        if isinstance(node, ast.BinOp):
            return self.kinds(node.left) | self.kinds(node.right)
        return set()

    def kinds_of_call(self, call):
        if isinstance(call.func, ast.Attribute):
            base = self.kinds(call.func.value)
            if call.func.attr == "get" and call.args:
                return part(base, call.args[0]) | {kind for more in call.args[1:] for kind in self.kinds(more)}
            return base & {"metadata", "payload"} if call.func.attr in ("items", "values", "copy") else set()
        name = getattr(call.func, "id", "")
        if name in self.functions:
            return self.returned.get(name, set())
        inside = {kind for value in call.args for kind in self.kinds(value)}
        return inside if name in SAME else singles(inside) if name in ELEMENT else set()

    def faults(self, leaky):
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Subscript):
                yield from self.read(node, node.value, node.slice, leaky)
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("get", "pop") and node.args:
                yield from self.read(node, node.func.value, node.args[0], leaky)
            elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
                yield from self.read(node, node.comparators[0], node.left, False, asked=True)
            if is_value(node) and self.kinds(node) & CLOSED and self.is_open(node):
                yield "whole", node.lineno, ""
            if leaky and is_value(node) and "metadata" in self.kinds(node) and self.is_dumped(node):
                yield "leak", node.lineno, "all of it"

    def read(self, node, base, key, leaky, asked=False):
        kinds, name = self.kinds(base), key.value if isinstance(key, ast.Constant) else None
        forbidden = {"trace": TRACE_KEYS, "step": STEP_KEYS, "payload": PAYLOAD_KEYS}
        if name is None and not isinstance(key, ast.Slice) and not asked:
            if kinds & {"trace", "step"}:
                yield "computed", node.lineno, ""
            if leaky and "metadata" in kinds:
                yield "leak", node.lineno, "a computed key"
        if isinstance(name, str):
            for kind in kinds & forbidden.keys():
                if name in forbidden[kind] and not asked:
                    yield "reads", node.lineno, f"{'observation' if kind == 'step' else kind}.{name}"
            if "metadata" in kinds and is_leak(name):
                yield "leak", node.lineno, name

    def is_open(self, node):
        """Whether the trace, or a step, is used as a whole: all it holds is read then."""
        parent, kinds = self.parents.get(node), self.kinds(node)
        if isinstance(parent, ast.keyword):
            node, parent = parent, self.parents.get(parent)
        if isinstance(parent, ast.Call) and parent.func is not node:
            return self.opens(parent, node)
        if isinstance(parent, ast.Attribute):
            return bool(kinds & {"trace", "step"}) and parent.attr != "get"
        if isinstance(parent, (ast.For, ast.comprehension)):
            return parent.iter is node and bool(kinds & {"trace", "step"})
        if isinstance(parent, ast.Assign):
            return parent.value is node and not all(isinstance(to, (ast.Name, ast.Tuple)) for to in parent.targets)
        if isinstance(parent, ast.BinOp):
            return isinstance(parent.op, ast.Mod)
        return isinstance(parent, (ast.Dict, ast.FormattedValue, ast.List, ast.Match, ast.Set, ast.Tuple, ast.Yield))

    def opens(self, call, argument):
        if isinstance(argument, ast.keyword) and argument.arg is None:
            return True
        if isinstance(call.func, ast.Attribute):
            return call.func.attr not in ("append", "extend", "get")
        name = getattr(call.func, "id", "")
        if name == "map":
            return not (isinstance(call.args[0], ast.Lambda) or getattr(call.args[0], "id", "") in self.functions)
        return name not in HARMLESS and name not in self.functions

    def is_dumped(self, node):
        parent = self.parents.get(node)
        return isinstance(parent, (ast.Call, ast.FormattedValue)) and getattr(parent, "func", None) is not node


def is_value(node):
    return isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def parameters(function):
    return [argument.arg for argument in function.args.posonlyargs + function.args.args]


def singles(kinds):
    return {SINGLE[kind] for kind in kinds if kind in SINGLE}


def part(kinds, key):
    name = key.value if isinstance(key, ast.Constant) else None
    found = kinds & {"metadata", "payload"}
    if isinstance(key, ast.Slice):
        return found | kinds & {"steps", "traces"}
    found |= singles(kinds)
    if "trace" in kinds and name in PART_OF_TRACE:
        found.add(PART_OF_TRACE[name])
    if "step" in kinds and name in ("input", "output"):
        found.add("payload")
    return found


def is_leak(key):
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", key).lower()
    return words in WHOLE_LEAKS or any(word in LEAKS for word in re.split(r"[^a-z]+", words))


# ---- Literals that come from the labelled traces. ----


def literals_in(tree, texts, pool):
    """Faults of long literals, and the places in `texts` that a short one singles out."""
    texts = [(group, normal(text)) for group, text in texts]
    pool = [normal(text) for text in pool]
    groups = len({group for group, _ in texts})
    copied, singled = [], set()
    for line, literal in parts_of(tree):
        places = {at for at, (_, text) in enumerate(texts) if literal in text}
        within = {texts[at][0] for at in places}
        if not within or any(literal in text for text in pool):
            continue
        if is_long(literal):
            if len(within) < min(COMMON_GROUPS, groups):
                copied.append(("copy", line, ""))
        elif len(within) == 1 < groups:
            singled |= places
    return copied, sorted(singled)


def is_long(text):
    return len(text) >= LONG_CHARS or len(text.split()) >= LONG_WORDS


def parts_of(tree):
    """Alternatives of the literals that can shape a verdict, as they would stand in a text."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    parts = {}
    for node in ast.walk(tree):
        text = text_of(node)
        if text is None or text_of(parents.get(node)) is not None or is_beside(node, parents):
            continue
        for alternative in [text, *text.split("|")]:
            for plain in (normal(alternative), normal(unescaped(alternative))):
                if len(plain) >= SHORT_CHARS:
                    parts.setdefault(plain, node.lineno)
    return [(line, part) for part, line in parts.items()][:MOST_LITERALS]


def text_of(node):
    """The text of a literal, or of literals that are added up."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return left + right if left is not None and right is not None else None
    return None


def is_beside(node, parents):
    """Docstrings, keys, reasons and what only `judge` is asked: they shape no verdict of the code's."""
    parent = parents.get(node)
    if isinstance(parent, ast.JoinedStr):
        node, parent = parent, parents.get(parent)
    if isinstance(parent, (ast.Expr, ast.Subscript)):
        return True
    if isinstance(parent, ast.Call):
        return getattr(parent.func, "attr", "") == "get" or is_asked(node, parent)
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        named = [use for use in parents if is_read(use) and use.id == parent.targets[0].id]
        return bool(named) and all(is_asked(use, parents[use]) for use in named)
    return isinstance(parent, ast.Tuple) and isinstance(parents.get(parent), ast.Return) and parent.elts[0] is not node


def is_asked(node, call):
    asks = isinstance(call, ast.Call) and getattr(call.func, "id", "") == "judge"
    return asks and bool(call.args) and call.args[0] is node


def unescaped(pattern):
    spaced = re.sub(r"\\s[+*?]?", " ", pattern)
    bare = re.sub(r"\\[bB]|\(\?[a-zA-Z:=!<]*|[()^$]", "", spaced)
    return re.sub(r"\\(.)", r"\1", bare)


def normal(text):
    return " ".join(text.lower().split())
