"""An eval around an eval: runs it, and prints which of its lines ran, which one decided, and on what, as JSON.

The host appends a line that calls `watch` with the eval's source. The eval runs as it would alone, except that each
expression that a branch or a verdict depends on goes through `__saw__`, which returns what it is given. Verdict, reason
and exceptions are the eval's own. It can reach and break all of this, and then spoils its own explanation only.
"""

import ast
import json
import random
import re
import sys
import types

ROOM = 3_900  # Characters that a run can print.
QUOTE_CHARS = 200
SHOWN_CHARS = 80
EXAMPLES = 6
VALUES = 5
STEPS = 12
DEPTH = 3
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)
LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
PLAIN = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Load, ast.Slice)
NUMBERS = (int, float, bool, type(None))
MUTABLE = (list, dict, set)
SHOWN = (str, re.Match, list, tuple, set, frozenset, dict)
name_of_type = type.__dict__["__name__"].__get__


# ---- Values, without running a line of the eval's code. ----


def shown(value, depth=0):
    """A short text for a value; of types that are not Python's own, the name alone."""
    kind = type(value)
    if kind is str:
        cut = len(value) > SHOWN_CHARS
        return f"{value[:SHOWN_CHARS]!r}… ({len(value):,} characters)" if cut else repr(value)
    if kind in NUMBERS and not (kind is int and value.bit_length() > 200):
        return repr(value)
    if kind is re.Match:
        return f"a match, {shown(value.group())}"
    if kind in (list, tuple, set, frozenset) and not depth:
        return bracketed(kind, [shown(item, 1) for _, item in zip(range(VALUES), value)], len(value))
    if kind is dict and not depth:
        pairs = zip(range(VALUES), value.items())
        return bracketed(set, [f"{shown(key, 1)}: {shown(item, 1)}" for _, (key, item) in pairs], len(value))
    return f"<{name_of_type(kind)}>"


def bracketed(kind, items, length):
    opening, closing = {list: "[]", tuple: "()"}.get(kind, "{}")
    more = f", … {length:,} in all" if length > len(items) else ""
    return f"{opening}{', '.join(items)}{more}{closing}"


def quotes(value):
    """The short texts in a value: what a person would look for in the trace."""
    kind = type(value)
    if kind is re.Match:
        return quotes(value.group())
    if kind is str:
        return [value] if 0 < len(value) <= QUOTE_CHARS else []
    if kind in (list, tuple, set, frozenset):
        texts = [item for _, item in zip(range(EXAMPLES), value) if type(item) is str]
        return [text for text in texts if 0 < len(text) <= QUOTE_CHARS]
    return []


def truth(value):
    """What a branch makes of a value; None where only the eval's own code could say."""
    kind = type(value)
    return bool(value) if kind in NUMBERS or kind in SHOWN else None


# ---- What was seen. ----


class Seen:
    """What one expression came to, the last time that it was asked."""

    __slots__ = ("at", "value", "shown", "quotes", "held", "failed")

    def __init__(self):
        self.held, self.failed = [], []

    def take(self, at, value):
        self.at, self.value = at, value
        # Containers may change later; all else is looked at only where it is wanted.
        changes = type(value) in MUTABLE
        self.shown, self.quotes = (shown(value), quotes(value)) if changes else (None, None)

    def text(self):
        return shown(self.value) if self.shown is None else self.shown

    def words(self):
        return quotes(self.value) if self.quotes is None else self.quotes


class Marks(ast.NodeTransformer):
    """Puts `__saw__(number, …)` around the expressions that branches and verdicts depend on."""

    def watch(self, node, number):
        name = ast.copy_location(ast.Name("__saw__", ast.Load()), node)
        place = ast.copy_location(ast.Constant(number), node)
        return ast.copy_location(ast.Call(name, [place, node], []), node)

    def test(self, node):
        """`node`, and each part of it that has a say in what it comes to."""
        if isinstance(node, (ast.Constant, ast.Starred, ast.Lambda)):
            return self.visit(node)
        if isinstance(node, (ast.IfExp, *COMPREHENSIONS)):
            return self.watch(self.visit(node), node.number)
        parts = {
            ast.BoolOp: ["values"], ast.UnaryOp: ["operand"], ast.NamedExpr: ["value"], ast.Call: ["args"],
            ast.Compare: ["left", "comparators"], ast.BinOp: ["left", "right"],
        }.get(type(node), [])
        for field, value in ast.iter_fields(node):
            change = self.test if field in parts else self.visit
            if isinstance(value, list):
                setattr(node, field, [change(item) if isinstance(item, ast.AST) else item for item in value])
            elif isinstance(value, ast.AST):
                setattr(node, field, change(value))
        return self.watch(node, node.number)

    def visit_block(self, node):
        node.test = self.test(node.test)
        node.body = [self.visit(statement) for statement in node.body]
        node.orelse = [self.visit(statement) for statement in node.orelse]
        return node

    visit_If = visit_While = visit_block

    def visit_IfExp(self, node):
        node.test, node.body, node.orelse = self.test(node.test), self.visit(node.body), self.visit(node.orelse)
        return node

    def visit_Assert(self, node):
        node.test = self.test(node.test)
        return node

    def visit_Compare(self, node):
        return self.test(node)

    def visit_comprehension(self, node):
        node.iter = self.visit(node.iter)
        node.ifs = [self.test(test) for test in node.ifs]
        return node

    def visit_each(self, node):
        node.elt = self.test(node.elt)
        node.generators = [self.visit(part) for part in node.generators]
        return node

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_each

    def visit_Return(self, node):
        value = node.value or ast.copy_location(ast.Constant(None), node)
        node.value = self.watch(self.verdict(value), node.number)
        return node

    def visit_Lambda(self, node):
        node.args = self.visit(node.args)
        node.body = self.watch(self.verdict(node.body), node.number)
        return node

    def verdict(self, node):
        if isinstance(node, ast.Tuple) and node.elts:
            node.elts = [self.test(item) for item in node.elts]
            return node
        return self.test(node)

    def visit_value(self, node):
        node.value = node.value and self.test(node.value)
        return node

    visit_Assign = visit_AugAssign = visit_AnnAssign = visit_value

    def visit_Match(self, node):
        node.subject = self.test(node.subject)
        node.cases = [self.visit(case) for case in node.cases]
        return node

    def visit_match_case(self, node):
        node.guard = node.guard and self.test(node.guard)
        node.body = [self.visit(statement) for statement in node.body]
        return node


class Silent:
    """Takes what the eval prints, and forgets it."""

    encoding = "utf-8"

    def write(self, text):
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def isatty(self):
        return False


# ---- The run. ----


def numbered(source):
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    for number, node in enumerate(nodes):
        node.number = number
    return tree, nodes


class Watched:
    """The eval, loaded."""

    def __init__(self, source):
        tree, self.nodes = numbered(source)
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.seen, self.clock, self.lines = {}, 0, set()
        marked = ast.fix_missing_locations(Marks().visit(numbered(source)[0]))
        self.code = compile(marked, "eval.py", "exec", dont_inherit=True)
        self.out = sys.stdout
        self.function = self.load()

    def load(self):
        module = types.ModuleType("eval")
        module.__file__ = "eval.py"
        module.__builtins__ = dict(__builtins__, __saw__=self.saw)
        sys.modules["eval"] = module
        random.seed(0)
        sys.stdout = sys.stderr = Silent()
        exec(self.code, module.__dict__)
        return module.__dict__["evaluate"]

    def saw(self, number, value):
        self.clock += 1
        seen = self.seen.get(number)
        if seen is None:
            seen = self.seen[number] = Seen()
        seen.take(self.clock, value)
        node = self.nodes[number]
        if type(node) is ast.Compare and (value is True or value is False):
            self.keep_example(node, seen.held if value else seen.failed)
        return value

    def keep_example(self, node, examples):
        left = node.left.value if type(node.left) is ast.Constant else self.value_of(node.left)
        is_quotable = type(left) is str and 0 < len(left) <= QUOTE_CHARS
        if is_quotable and len(examples) < EXAMPLES and left not in examples:
            examples.append(left)

    def value_of(self, node):
        seen = self.seen.get(node.number)
        return seen and seen.value

    def run(self, trace):
        self.seen.clear()
        self.trace = trace
        self.watch_lines()
        raised, result = None, Watched
        try:
            result = self.function(trace)
            return result
        except BaseException as error:
            raised = self.line_of(error)
            raise
        finally:
            self.say(Causes(self, result), raised)

    def watch_lines(self):
        def ran(code, line):
            self.lines.add(line)
            return sys.monitoring.DISABLE

        tool, event = sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE
        sys.monitoring.use_tool_id(tool, "iofold")
        sys.monitoring.register_callback(tool, event, ran)
        codes = [self.code]
        for code in codes:
            sys.monitoring.set_local_events(tool, code, event)
            codes.extend(part for part in code.co_consts if type(part) is types.CodeType)
        self.codes = codes

    def line_of(self, error):
        """The eval's innermost line on the way to the error."""
        traceback, line = error.__traceback__, None
        while traceback is not None:
            if traceback.tb_frame.f_code in self.codes:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return line

    def say(self, causes, raised):
        # A lambda has no line event of its own.
        self.lines.update(self.nodes[number].lineno for number in self.seen)
        lines = sorted(self.lines)
        starts = [line for line in lines if line - 1 not in self.lines]
        ends = [line for line in lines if line + 1 not in self.lines]
        steps, left_out = causes.steps[:STEPS], len(causes.steps[STEPS:])
        while True:
            told = {"lines": list(zip(starts, ends)), "decided": causes.decided and place(causes.decided),
                    "raised": raised, "steps": steps, "left_out": left_out}
            text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
            if len(text) <= ROOM or not steps:
                break
            steps, left_out = steps[:-1], left_out + 1
        self.out.write("\n" + text)


# ---- Why the verdict is what it is. ----


def place(node):
    return [node.lineno, node.col_offset, node.end_lineno, node.end_col_offset]


class Causes:
    """The way back from the verdict: returns, the branches that led to them, and what those were made from.

    What a function saw is known from its last call only.
    """

    def __init__(self, watched, result):
        self.watched, self.nodes, self.seen = watched, watched.nodes, watched.seen
        self.steps, self.done = [], set()
        returned = self.last_return(result, self.nodes)
        self.decided = returned and self.passed_on_from(returned)
        if returned is not None:
            self.because(returned, 0)

    def passed_on_from(self, returned):
        """The return that the verdict of this one comes from: `return check(trace)` decides nothing."""
        chain = [returned]
        while chain[-1] is not None and chain[-1] not in chain[:-1]:
            verdict = self.verdict(chain[-1])
            while isinstance(verdict, ast.UnaryOp) and isinstance(verdict.op, ast.Not):
                verdict = verdict.operand
            chain.append(self.inner_return(verdict) if isinstance(verdict, ast.Call) else None)
        return chain[-2]

    def verdict(self, returned):
        value = returned.body if type(returned) is ast.Lambda else returned.value
        return value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value

    def last_return(self, result, nodes, before=float("inf")):
        """The last of the returns among `nodes` that gave exactly this value before that time."""
        returns = [node for node in nodes if type(node) in (ast.Return, ast.Lambda) and node.number in self.seen]
        gave = [node for node in returns if self.seen[node.number].value is result and self.time(node) < before]
        return max(gave, key=self.time, default=None)

    def time(self, node):
        seen = self.seen.get(node.number)
        return seen.at if seen else 0

    def because(self, returned, depth):
        if depth > DEPTH or returned in self.done:
            return
        self.done.add(returned)
        self.steps.append(self.step("return", returned, depth))
        verdict, (around, before) = self.verdict(returned), self.controls(returned)
        steps = len(self.steps)
        if verdict is not None:
            self.test(verdict, depth)
        for test in around:
            self.test(test, depth)
        # Where the verdict was worked out, or a branch decided, what was passed on the way says little.
        for test in before if steps == len(self.steps) else []:
            self.test(test, depth, is_guard=True)

    def step(self, kind, node, depth, **more):
        return {"kind": kind, "at": place(node), "in": self.function_name(node), "depth": depth, **more}

    def function_name(self, node):
        function = self.function_of(node)
        return getattr(function, "name", "lambda") if function else None

    def function_of(self, node):
        while node is not None and not isinstance(node, FUNCTIONS):
            node = self.watched.parents.get(node)
        return node

    def controls(self, node):
        """The tests that led here, the nearest first: those around it, and those before it that let pass."""
        around, before = [], []
        while isinstance(node, (ast.stmt, ast.match_case, ast.ExceptHandler)) and not isinstance(node, FUNCTIONS):
            parent = self.watched.parents[node]
            if isinstance(parent, (ast.If, ast.While)):
                around.append(parent.test)
            elif isinstance(parent, ast.Match):
                around.append(parent.subject)
            elif isinstance(parent, ast.ExceptHandler) and parent.type is not None:
                around.append(parent.type)
            before += self.guards(node, parent)
            node = parent
        return around, before

    def guards(self, node, parent):
        blocks = [getattr(parent, name, []) for name in ("body", "orelse", "finalbody")]
        block = next((block for block in blocks if isinstance(block, list) and node in block), [])
        passed = block[: block.index(node)] if block else []
        return [one.test for one in reversed(passed) if isinstance(one, ast.If) and isinstance(one.body[-1], LEAVES)]

    def test(self, node, depth, is_guard=False):
        for leaf in self.leaves(node):
            if leaf in self.done:
                continue
            self.done.add(leaf)
            is_caught = isinstance(self.watched.parents[leaf], ast.ExceptHandler)
            if is_caught:
                self.steps.append(self.step("except", leaf, depth))
            elif leaf.number in self.seen:
                self.steps.append(self.tested(leaf, depth, is_guard))
                self.made_from(leaf, depth)

    def leaves(self, node):
        """The parts of a test that made it what it came to: of `a and b` that is false, the one that is."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.leaves(node.operand)
        if isinstance(node, ast.IfExp):
            return self.leaves(node.test)
        if not isinstance(node, ast.BoolOp):
            return [] if isinstance(node, ast.Constant) else [node]
        asked = [value for value in node.values if value.number in self.seen]
        came_to = truth(self.value_of(node))
        is_decided_by_one = came_to is isinstance(node.op, ast.Or)
        decisive = asked[-1:] if is_decided_by_one else asked
        return [leaf for value in decisive for leaf in self.leaves(value)]

    def value_of(self, node):
        return self.watched.value_of(node)

    def tested(self, leaf, depth, is_guard):
        parts = self.parts(leaf)
        values = [node for node in parts if self.is_telling(node)][:VALUES]
        keys = {part for node in parts if type(node) is ast.Subscript for part in ast.walk(node.slice)}
        words = [word for node in parts if node not in keys for word in self.words_of(node, leaf, is_guard)]
        return self.step(
            "test", leaf, depth, truth=truth(self.value_of(leaf)),
            values=[[*place(node), self.seen[node.number].text()] for node in values],
            words=list(dict.fromkeys(words))[:EXAMPLES],
        )

    def is_telling(self, node):
        """Whether its value says more than that a test held: no yes or no, nothing without a text of its own."""
        value = self.value_of(node)
        is_known = node.number in self.seen and value is not self.watched.trace
        return is_known and type(value) is not bool and type(value) in (*SHOWN, *NUMBERS)

    def words_of(self, node, leaf, is_guard):
        """The texts that a part of a test brings in; of a container, where it is what is tested."""
        if type(node) is ast.Constant:
            return quotes(node.value)
        if node.number not in self.seen:
            return []
        is_container = type(self.value_of(node)) in (list, tuple, set, frozenset)
        is_tested = node is leaf and not is_guard
        return self.seen[node.number].words() if is_tested or not is_container else []

    def parts(self, leaf):
        """The nodes of an expression, without those that run many times or for another call."""
        inner = {part for node in ast.walk(leaf) if isinstance(node, (*COMPREHENSIONS, ast.DictComp, ast.Lambda))
                 for part in ast.walk(node) if part is not node}
        return [node for node in ast.walk(leaf) if node not in inner]

    def made_from(self, leaf, depth):
        for node in ast.walk(leaf):
            if node.number not in self.seen:
                continue
            if isinstance(node, ast.Compare) and node is not leaf:
                self.each(node, depth)
            elif isinstance(node, ast.Call):
                self.called(node, depth)
            elif isinstance(node, ast.Name):
                self.defined(node, depth)

    def each(self, node, depth):
        """A comparison that was made many times."""
        seen = self.seen[node.number]
        if node not in self.done and (seen.held or seen.failed):
            self.done.add(node)
            self.steps.append(self.step("each", node, depth, held=seen.held, failed=seen.failed))

    def called(self, call, depth):
        """Into a function of the eval's own."""
        returned = self.inner_return(call)
        if returned is not None:
            self.because(returned, depth + 1)

    def inner_return(self, call):
        """The return of the eval's own code that gave a call its value, if one did."""
        name = getattr(call.func, "id", getattr(call.func, "attr", None))
        functions = [node for node in self.nodes if isinstance(node, FUNCTIONS) and self.name_of(node) == name]
        inside = [node for function in functions for node in ast.walk(function)]
        value = self.value_of(call)
        # A tuple is passed on as it is: it shows where it was made, whatever the function is called there.
        anywhere = inside or self.nodes
        return self.last_return(value, anywhere if type(value) is tuple else inside, self.time(call))

    def name_of(self, function):
        parent = self.watched.parents[function]
        is_named = isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name)
        return getattr(function, "name", parent.targets[0].id if is_named else None)

    def defined(self, name, depth):
        """What the last assignments to a name came to, where they compute something."""
        if depth >= DEPTH:
            return
        function = self.function_of(name)
        given = [node for node in ast.walk(function) if self.assigns(node, name.id)] if function else []
        fresh = [node for node in given if not isinstance(node, ast.AugAssign)]
        start = max(map(self.time_of_value, fresh), default=0)
        for node in given:
            counts = self.time_of_value(node) >= start > 0 or isinstance(node, ast.AugAssign)
            ran = node.lineno in self.watched.lines
            if counts and ran and node not in self.done and not self.is_plain(node):
                self.done.add(node)
                self.steps.append(self.assigned(node, depth + 1))
                for test in self.controls(node)[0] if isinstance(node, ast.AugAssign) else []:
                    self.test(test, depth + 1)
                if isinstance(node.value, (ast.BoolOp, ast.UnaryOp, ast.Compare, ast.IfExp)):
                    self.test(node.value, depth + 1)
                else:
                    self.made_from(node.value, depth + 1)

    def assigns(self, node, name):
        if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) or node.value is None:
            return False
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Name) and target.id == name for target in targets)

    def time_of_value(self, node):
        return self.time(node.value)

    def is_plain(self, node):
        is_augmented = isinstance(node, ast.AugAssign)
        return not is_augmented and all(isinstance(part, PLAIN) for part in ast.walk(node.value))

    def assigned(self, node, depth):
        value = self.seen.get(node.value.number)
        text, words = (value.text(), value.words()) if value else (None, [])
        values = [[*place(node.value), text]] if text is not None else []
        return self.step("value", node, depth, values=values, words=words[:EXAMPLES])


watched = None


def watch(source):
    global watched
    watched = Watched(source)


def evaluate(trace):
    return watched.run(trace)
