"""The guest's Python side: runs while the snapshot is taken, then answers `load` and `evaluate`.

What is imported here is what an eval can import. What an eval may not do raises a PermissionError
with a sentence, where Python can raise; the sealed system calls in runner.c and the host's traps stand
behind it. Nothing here is a wall: an eval can reach and break this module, and then spoils its own result
only, because every call has a fresh instance and the host believes no byte of the result.
"""

import _frozen_importlib
import _iofold
import marshal
import sys

SOURCE_NAME = "eval.py"
REASON_CHARS = 2_000
MESSAGE_CHARS = 4_000
TRACEBACK_CALLS = 16
PRINTED_CHARS = 4_000

IMPORTABLE = tuple(
    """__future__ abc array ast base64 binascii bisect calendar cmath codecs collections collections.abc
    colorsys contextlib copy csv dataclasses datetime decimal difflib enum fnmatch fractions functools
    hashlib heapq hmac html html.entities html.parser io iofold ipaddress itertools json keyword math numbers
    operator os os.path pprint random re reprlib shlex statistics string struct sys textwrap time tomllib
    traceback types typing unicodedata urllib.parse uuid warnings weakref xml.etree.ElementTree""".split()
)
# Imported inside functions, some of them by C in the name of the eval that called it (`strptime`), so
# they must be there beforehand.
IMPORTED_LATER = tuple(
    """_pylong _strptime encodings.ascii encodings.cp1252 encodings.hex_codec encodings.base64_codec
    encodings.idna encodings.latin_1 encodings.punycode encodings.raw_unicode_escape encodings.rot_13
    encodings.unicode_escape encodings.utf_8_sig encodings.utf_16 encodings.utf_16_le encodings.utf_16_be
    encodings.utf_32 encodings.utf_32_le encodings.utf_32_be re._casefix""".split()
)


# ---- Importing, while the snapshot is taken. ----


class CodeFinder:
    """Finds the modules that freeze.py compiled. Gone from `sys.meta_path` afterwards."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        for file, is_package in ((name, False), (name + ".__init__", True)):
            code = _iofold.read_code("/code/" + file)
            if code is not None:
                loader = CodeLoader(code)
                return _frozen_importlib.ModuleSpec(name, loader, is_package=is_package)
        return None


class CodeLoader:
    """Runs one compiled module."""

    def __init__(self, code):
        self.code = code

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        code, self.code = self.code, None
        exec(marshal.loads(code), module.__dict__)


sys.meta_path.append(CodeFinder)
for name in IMPORTABLE + IMPORTED_LATER:
    __import__(name)
sys.meta_path.remove(CodeFinder)

import _io
import ast
import builtins
import gc
import io
import json
import linecache
import os
import random
import re
import reprlib
import time
import types
import warnings

import iofold
import posix

quote = json.encoder.encode_basestring_ascii
parse_json = json.JSONDecoder().decode
name_of_type = type.__dict__["__name__"].__get__
bounded_repr = reprlib.Repr(maxstring=200, maxother=200).repr
seed_random = random.seed


# ---- What an eval can't do, said in a sentence. ----


class Forbidden(PermissionError):
    """An eval reached for what it can't have."""


Forbidden.__name__ = Forbidden.__qualname__ = "PermissionError"


def refusing(name, what):
    """A function called `name` that raises: an eval can't do `what`."""

    def refuse(*arguments, **named):
        raise Forbidden(f"an eval can't {what}")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


REFUSED = {
    builtins: {"open": "open files", "input": "ask for input", "breakpoint": "start a debugger"},
    io: dict.fromkeys(("open", "open_code", "FileIO"), "open files"),
    _io: dict.fromkeys(("open", "open_code", "FileIO"), "open files"),
    random: {"_urandom": "draw true randomness; `random` works, and is seeded"},
    time: dict.fromkeys(
        ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
         "process_time_ns", "clock_gettime", "clock_gettime_ns"),
        "read the clock; a trace has its own timestamps",
    ) | {"sleep": "sleep"},
}
# Of `os`, these only compute.
HARMLESS = {"fspath", "strerror", "fsencode", "fsdecode", "get_exec_path", "getenv", "getenvb"}


def refuse_the_system():
    """Replaces what would make a system call by functions that say what is not possible."""
    for module, names in REFUSED.items():
        for name, what in names.items():
            setattr(module, name, refusing(name, what))
    for name, value in list(vars(posix).items()):
        if isinstance(value, types.BuiltinFunctionType) and name not in HARMLESS:
            refusal = refusing(name, f"reach the system (os.{name})")
            setattr(posix, name, refusal)
            setattr(os, name, refusal)
    for name in ("popen", "fdopen"):
        setattr(os, name, refusing(name, f"reach the system (os.{name})"))


def refusing_import(name, globals=None, locals=None, fromlist=(), level=0):
    """`__import__` for evals: what IMPORTABLE names, and a sentence for anything else."""
    known = level or name in IMPORTED_LATER or any(name == top or top.startswith(name + ".") for top in IMPORTABLE)
    if known:
        return builtins.__import__(name, globals, locals, fromlist, level)
    raise ModuleNotFoundError(
        f"an eval can't import {name}; it may import: {', '.join(IMPORTABLE)}", name=name
    )


class Printed:
    """Takes what an eval prints, and keeps the beginning."""

    encoding = "utf-8"

    def __init__(self):
        self.parts, self.room, self.cut = [], PRINTED_CHARS, False

    def write(self, text):
        if not is_a(text, str):
            raise TypeError(f"write() argument must be str, not {name_of_type(type(text))}")
        length = str.__len__(text)
        if length and self.room > 0:
            self.parts.append(str.__getitem__(text, slice(0, self.room)))
        self.cut |= length > self.room
        self.room = max(self.room - length, 0)
        return length

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def isatty(self):
        return False

    def text(self):
        return "".join(self.parts) + ("…" if self.cut else "")


# ---- Results: JSON made by hand, of plain strings only. ----


def is_a(value, kind):
    """`isinstance` that asks the type itself: a value can claim another one by its `__class__`."""
    return issubclass(type(value), kind)


def clean(text, limit):
    """`text` as an exact str of at most `limit` characters, without NUL and lone surrogates."""
    text = str.__getitem__(text, slice(0, limit))
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")


def result(body):
    """An answer with what the eval printed, if it printed anything."""
    text = printed.text()
    shown = f',"printed":{quote(clean(text, PRINTED_CHARS + 1))}' if text else ""
    return f"{{{body}{shown}}}".encode()


def error_result(kind, message):
    return result(f'"error":{{"kind":"{kind}","message":{quote(clean(message, MESSAGE_CHARS))}}}')


printed = Printed()
# Made beforehand: there may be no memory left when it is needed.
OUT_OF_MEMORY = error_result("memory", "the eval used up its memory")


def verdict_result(returned):
    verdict, reason = returned, None
    if is_a(returned, tuple) and tuple.__len__(returned) == 2:
        verdict, reason = tuple.__iter__(returned)
    if not (verdict is True or verdict is False or verdict is None):
        return not_a_verdict(returned, "True, False or None, or a pair of that and a reason")
    if reason is not None and not is_a(reason, str):
        return not_a_verdict(returned, "a reason that is a str")
    word = "null" if verdict is None else "true" if verdict else "false"
    reason = clean("" if reason is None else reason, REASON_CHARS)
    return result(f'"verdict":{word},"reason":{quote(reason)}')


def not_a_verdict(returned, expected):
    return error_result("not_a_verdict", f"evaluate returned {safely(bounded_repr, returned)}, not {expected}")


def safely(function, value):
    """`function(value)`, which runs the eval's code, or a placeholder where that raises."""
    try:
        return clean(function(value), MESSAGE_CHARS)
    except MemoryError:
        raise
    except BaseException:
        return f"<{name_of_type(type(value))} that can't be shown>"


# ---- Errors: whose fault, and where in the eval. ----


def failure_result(error, source):
    """The result for an exception that the eval let out."""
    if is_a(error, MemoryError):
        return OUT_OF_MEMORY
    calls = own_calls(error.__traceback__)
    forbidden = forbidden_sentence(error)
    if forbidden is not None:
        where = f" (line {calls[-1][0]})" if calls else ""
        return error_result("forbidden", forbidden + where)
    return error_result("exception", traceback_text(error, calls, source))


def forbidden_sentence(error):
    if is_a(error, (Forbidden, ModuleNotFoundError)):
        return safely(str, error)
    if type(error) is PermissionError and _iofold.last_refused():
        return f"an eval can't {_iofold.last_refused()}"
    return None


def own_calls(traceback):
    """The eval's own lines on the way to the error: (line, function), outermost first."""
    calls = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == SOURCE_NAME:
            calls.append((traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return calls


def traceback_text(error, calls, source):
    """As Python would print it, of the eval's own lines only, and without reading files."""
    lines = source.split("\n")
    texts = [call_text(line, function, lines) for line, function in calls]
    if len(texts) > TRACEBACK_CALLS:
        half = TRACEBACK_CALLS // 2
        texts[half:-half] = [f"  ... {len(texts) - TRACEBACK_CALLS} more calls ..."]
    message = safely(str, error)
    last = name_of_type(type(error)) + (f": {message}" if message else "")
    head = ["Traceback (most recent call last):"] if texts else []
    return "\n".join([*head, *(text[:300] for text in texts), last])


def call_text(line, function, lines):
    place = f'  File "{SOURCE_NAME}", line {line}, in {function}'
    if line is None or not 0 < line <= len(lines):
        return place
    return f"{place}\n    {lines[line - 1].strip()}"


def syntax_result(error):
    if not is_a(error, SyntaxError):
        return error_result("syntax", "the source is too deeply nested or too large to compile")
    place = f"line {error.lineno}: " if error.lineno else ""
    shown = f"\n    {str(error.text).strip()}" if error.text else ""
    return error_result("syntax", f"{place}{error.msg}{shown[:300]}")


# ---- What the host calls. ----

loaded = None


def load(source):
    """Compiles and runs the eval's module. None, or a result that says why it can't be used."""
    global loaded
    try:
        code = compile(source, SOURCE_NAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return syntax_result(error)
    module = types.ModuleType("eval")
    module.__file__ = SOURCE_NAME
    module.__builtins__ = dict(vars(builtins), __import__=refusing_import)
    # `dataclasses` and `typing` look a class's module up by its name.
    sys.modules["eval"] = module
    seed_random(0)
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        return failure_result(error, source)
    function = module.__dict__.get("evaluate")
    if not callable(function):
        return error_result("syntax", "the source defines no function evaluate(trace)")
    compile_patterns(source, module.__dict__)
    loaded = function, source
    iofold.loaded = True
    gc.collect()
    gc.freeze()
    return None


def know(answers_json):
    """Takes what `judge` is known to answer."""
    iofold.answers.update(parse_json(answers_json))


def evaluate(trace_json):
    """The result of the loaded eval on one trace."""
    function, source = loaded
    try:
        trace = parse_json(trace_json)
    except MemoryError:
        return OUT_OF_MEMORY
    except (ValueError, RecursionError) as error:
        return error_result("exception", f"the trace can't be read: {safely(str, error)}")
    try:
        answer = verdict_result(function(trace))
    except BaseException as error:
        try:
            answer = failure_result(error, source)
        except MemoryError:
            return OUT_OF_MEMORY
    return asking() or answer


def asking():
    """The question that suspends the run, whatever the eval made of that; or None."""
    if iofold.asked is None:
        return None
    question, text = (quote(clean(part, iofold.TEXT_CHARS)) for part in iofold.asked)
    return result(f'"asks":{{"question":{question},"text":{text}}}')


# ---- Regular expressions that the eval will need. ----

PATTERNS = 50
PATTERN_CHARS = 500
# Functions of `re`, and where their flags are among the arguments.
RE_FUNCTIONS = {"compile": 1, "search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2,
                "split": 3, "sub": 4, "subn": 4}


def compile_patterns(source, names):
    """Compiles the patterns that functions of `re` are called with: each call would have to do it again.

    It shows nowhere but in the time: `re` keeps what it has compiled.
    """
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and is_of_re(node)]
    except BaseException:
        return
    for call in calls[:PATTERNS]:
        try:
            flags = flags_of(call)
            if not flags & re.DEBUG:  # That prints.
                re.compile(value_of(call.args[0], names), flags)
        except BaseException:
            pass  # The eval meets it where it stands.


def is_of_re(call):
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in RE_FUNCTIONS
        and call.args
    )


def value_of(node, names):
    value = node.value if isinstance(node, ast.Constant) else names.get(node.id)
    if type(value) is not str or len(value) > PATTERN_CHARS:
        raise TypeError("no pattern")
    return value


def flags_of(call):
    at = RE_FUNCTIONS[call.func.attr]
    for keyword in call.keywords:
        if keyword.arg == "flags":
            return flag(keyword.value)
    return flag(call.args[at]) if len(call.args) > at else 0


def flag(node):
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return flag(node.left) | flag(node.right)
    return re.RegexFlag[node.attr]


# ---- The end of the snapshot. ----


WARM_UP_SOURCE = '''
"""A criterion."""
import re

def evaluate(trace):
    words = re.findall(r"[a-z]+", trace["output_text"].lower())
    order = re.search(r"#\\d{5,}", trace["input_text"])
    if order is None:
        return None, "no order is mentioned"
    if order.group() in trace["output_text"] and len(words) > 1:
        return True, f"quotes {order.group()}"
    return False, f"does not mention {order.group()}"
'''
WARM_UP_TRACE = (
    '{"id": "t", "input_text": "Where is #12345?", "output_text": "Order #12345 is on its way.", '
    '"tags": [], "metadata": {"a": 1.5, "b": null}, "messages": [{"role": "user", "content": "x"}]}'
)


def warm_up():
    for _ in range(40):
        if load(WARM_UP_SOURCE) is not None:
            raise RuntimeError("the warm-up eval does not load")
        answer = evaluate(WARM_UP_TRACE)
        if answer != b'{"verdict":true,"reason":"quotes #12345"}':
            raise RuntimeError(f"the warm-up eval answered {answer}")


def forget_the_build():
    global loaded, printed
    loaded, printed, iofold.loaded = None, Printed(), False
    del sys.modules["eval"], sys.modules["_iofold_prelude"]
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.stdin = sys.__stdin__ = None
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = printed
    linecache.updatecache = lambda *arguments: []
    warnings.simplefilter("ignore")
    re.purge()


def finish():
    """Called last: leaves the interpreter as every eval will find it."""
    refuse_the_system()
    warm_up()
    forget_the_build()
    gc.collect()
    gc.freeze()
