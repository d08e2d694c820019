//! The stack: recursion in Python, and in the C below it.

use super::{Attack, Expect, body};
use crate::domain::ErrorKind::{Exception, Fuel, Memory};

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "generators are nested without end",
        act: body(
            r"
            def grow(n):
                yield n
                yield from grow(n + 1)
            return sum(grow(0)) > 0
            ",
        ),
        twin: body(
            r"
            def grow(n):
                yield n
                if n < 50: yield from grow(n + 1)
            return sum(grow(0)) > 0
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "a metaclass that makes classes of itself",
        act: body(
            r"
            class Meta(type):
                def __new__(meta, name, bases, names):
                    return Meta(name + 'x', bases, names)
            class Bomb(metaclass=Meta): pass
            ",
        ),
        twin: body(
            r"
            class Meta(type):
                def __new__(meta, name, bases, names):
                    return type.__new__(meta, name + 'x', bases, names)
            class Mild(metaclass=Meta): pass
            return Mild.__name__ == 'Mildx'
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "recursion without end",
        act: body("def down(): return down()\nreturn down()"),
        twin: body("def down(n): return n == 0 or down(n - 1)\nreturn down(100)"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "recursion with its limit lifted",
        act: body(
            "import sys\nsys.setrecursionlimit(10**9)\ndef down(): return down()\nreturn down()",
        ),
        twin: body(
            "import sys\nsys.setrecursionlimit(500)\ndef down(n): return n == 0 or down(n - 1)\nreturn down(100)",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "recursion through C: getattr, repr and comparison",
        act: body(
            r"
            import sys
            sys.setrecursionlimit(10**9)
            class Deep:
                def __getattr__(self, name): return getattr(self, name + 'x')
                def __repr__(self): return repr(self)
                def __eq__(self, other): return self == other
            for act in (repr, lambda deep: deep == 1, lambda deep: deep.a):
                try:
                    act(Deep())
                except RecursionError:
                    pass
            return Deep().a
            ",
        ),
        twin: body(
            r"
            class Deep:
                def __getattr__(self, name): return len(name)
                def __repr__(self): return 'deep'
            return repr(Deep()) == 'deep' and Deep().abc == 3
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "json writes 200,000 nested lists",
        act: body(
            "import json\nx = []\nfor _ in range(200_000): x = [x]\nreturn json.dumps(x) != ''",
        ),
        twin: body("import json\nx = []\nfor _ in range(200): x = [x]\nreturn json.dumps(x) != ''"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "json reads a million brackets",
        act: body("import json\nreturn json.loads('[' * 1_000_000 + ']' * 1_000_000) != []"),
        twin: body("import json\nreturn json.loads('[' * 100 + ']' * 100) != []"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "repr, hash and comparison of 200,000 nested tuples",
        act: body(
            "x = ()\nfor _ in range(200_000): x = (x,)\nreturn hash(x) == hash(repr(x)) or x == (x,)",
        ),
        twin: body("x = ()\nfor _ in range(200): x = (x,)\nreturn hash(x) != hash(repr(x))"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "two million nested objects are freed at once",
        act: body("x = None\nfor _ in range(2_000_000): x = (x,)\nx = None\nreturn True, 'freed'"),
        twin: body("x = None\nfor _ in range(2_000): x = (x,)\nx = None\nreturn True, 'freed'"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "compile is given 100,000 brackets",
        act: body("return eval('(' * 100_000 + '1' + ')' * 100_000) == 1"),
        twin: body("return eval('(' * 50 + '1' + ')' * 50) == 1"),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "compile is given a sum of 100,000 terms and a long chain of attributes",
        act: body("eval('1' + '+1' * 100_000)\nreturn eval('trace' + '.a' * 100_000)"),
        twin: body("eval('1' + '+1' * 100)\nreturn eval('trace' + '.keys' * 1) is not None"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "copy, pprint and ast walk 100,000 nested lists",
        act: body(
            r"
            import ast, copy, pprint
            x = []
            for _ in range(100_000): x = [x]
            for act in (copy.deepcopy, pprint.pformat, lambda x: ast.literal_eval('[' * 100_000)):
                try:
                    act(x)
                except (RecursionError, SyntaxError, MemoryError):
                    pass
            return True, 'survived'
            ",
        ),
        twin: body(
            r"
            import ast, copy, pprint
            x = []
            for _ in range(10): x = [x]
            for act in (copy.deepcopy, pprint.pformat, lambda x: ast.literal_eval('[' * 10 + ']' * 10)):
                act(x)
            return True, 'survived'
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a traceback with long lines from deep down",
        act: body(
            r"
            def down(n):
                if n: return down(n - 1) # xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                raise ValueError('x' * 10_000_000)
            return down(150)
            ",
        ),
        twin: body("def down(n):\n    if n: return down(n - 1)\n    return True\nreturn down(100)"),
        expect: Expect::Error(Exception),
    },
];
