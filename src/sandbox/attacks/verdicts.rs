//! What comes back: verdicts, reasons and exceptions whose methods are the eval's.

use super::{Attack, Expect, body, module};
use crate::domain::ErrorKind::{Exception, Fuel, JudgeUnavailable, NotAVerdict};
use crate::domain::Verdict::Pass;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "an object claims to be true by __bool__, __eq__ and __class__",
        act: body(
            r"
            class Verdict:
                __class__ = bool
                def __bool__(self): return True
                def __eq__(self, other): return True
                def __hash__(self): return hash(True)
                def __repr__(self): return 'True'
            return Verdict()
            ",
        ),
        twin: body(
            r"
            class Verdict:
                def __bool__(self): return True
            return bool(Verdict())
            ",
        ),
        expect: Expect::Error(NotAVerdict),
    },
    Attack {
        name: "a tuple lies about its length and contents",
        act: body(
            r"
            class Pair(tuple):
                def __len__(self): return 2
                def __iter__(self): return iter((True, 'lied'))
                def __getitem__(self, index): return (True, 'lied')[index]
            return Pair((True,))
            ",
        ),
        twin: body(
            r"
            class Pair(tuple):
                pass
            return Pair((True, 'said'))
            ",
        ),
        expect: Expect::Error(NotAVerdict),
    },
    Attack {
        name: "a pair says other things than it holds",
        act: body(
            r"
            class Pair(tuple):
                def __iter__(self): return iter((False, 'lied'))
                def __getitem__(self, index): return (False, 'lied')[index]
            return Pair((True, 'held'))
            ",
        ),
        twin: body("return tuple((True, 'held'))"),
        expect: Expect::Verdict(Pass, "held"),
    },
    Attack {
        name: "a reason's methods raise, loop and lie",
        act: body(
            r#"
            def hostile(self, *arguments):
                while True: pass
            names = ['__str__', '__repr__', '__len__', '__getitem__', '__iter__', '__bool__', '__format__', '__hash__',
                     '__eq__', '__add__', '__contains__', 'encode', 'replace', 'translate', '__class_getitem__']
            Evil = type('Evil', (str,), dict.fromkeys(names, hostile))
            return True, Evil('plain')
            "#,
        ),
        twin: body("Mild = type('Mild', (str,), {})\nreturn True, Mild('plain')"),
        expect: Expect::Verdict(Pass, "plain"),
    },
    Attack {
        name: "a reason is an object that claims to be a string",
        act: body(
            r"
            class Reason:
                __class__ = str
                def __str__(self): return 'lied'
                def encode(self, *arguments): return b'lied'
            return True, Reason()
            ",
        ),
        twin: body("return True, str('said')"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a reason breaks out of the JSON that carries it",
        act: body(r#"return True, '"}, "verdict": false, "reason": "\\" \u2028 \0'"#),
        twin: body(r"return True, 'plain'"),
        expect: Expect::Verdict(
            Pass,
            "\"}, \"verdict\": false, \"reason\": \"\\\" \u{2028} \u{fffd}",
        ),
    },
    Attack {
        name: "a reason holds half of a character",
        act: body(r"return True, '\ud83d' + '\udfff' * 3"),
        twin: body(r"return True, '\ud83d\udc4d'"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a reason of 20 million characters is returned",
        act: body("return True, 'x' * 20_000_000"),
        twin: body("return True, 'x' * 2_000"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "__repr__ of what is no verdict never returns",
        act: body(
            r"
            class Endless:
                def __repr__(self):
                    while True: pass
            return Endless()
            ",
        ),
        twin: body(
            r"
            class Endless:
                def __repr__(self):
                    while True: pass
            Endless()
            return True
            ",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "__repr__ of what is no verdict exits and returns nonsense",
        act: body(
            r"
            class Exits:
                def __repr__(self): raise SystemExit
            class Nonsense:
                def __repr__(self): return self
            return Exits() if trace is None else Nonsense()
            ",
        ),
        twin: body(
            r"
            class Nonsense:
                def __repr__(self): return 'sense'
            return repr(Nonsense()) == 'sense'
            ",
        ),
        expect: Expect::Error(NotAVerdict),
    },
    Attack {
        name: "an exception's __str__ exits and its name is a lie",
        act: body(
            r"
            class Evil(Exception):
                def __str__(self): raise SystemExit(0)
                __class__ = MemoryError
            Evil.__name__ = 'Traceback (most recent call last)'
            raise Evil
            ",
        ),
        twin: body(
            r"
            class Mild(Exception):
                def __str__(self): return 'mild'
            try:
                raise Mild
            except Mild:
                return True
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a long chain of exceptions is raised",
        act: body(
            r"
            error = None
            for _ in range(100_000):
                new = ValueError('x' * 50)
                new.__cause__ = new.__context__ = error
                error = new
            raise error
            ",
        ),
        twin: body(
            r"
            error = None
            for _ in range(10):
                new = ValueError('x' * 50)
                new.__cause__ = new.__context__ = error
                error = new
            return error is not None
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "a generator and a coroutine stand in for the verdict",
        act: body("yield True\nreturn True"),
        twin: body("def steps():\n    yield True\nreturn next(steps())"),
        expect: Expect::Error(NotAVerdict),
    },
    Attack {
        name: "evaluate is an object that changes with every look at it",
        act: module(
            r"
            class Changing:
                calls = 0
                def __call__(self, trace):
                    Changing.calls += 1
                    self.__class__ = type('Other', (Changing,), {'__call__': None})
                    return True, 'first'
                def __getattribute__(self, name):
                    raise SystemExit
            evaluate = Changing()
            ",
        ),
        twin: module(
            r"
            class Callable:
                def __call__(self, trace):
                    return True, 'first'
            evaluate = Callable()
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "an eval goes on after judge and makes up the answer",
        act: body(
            r"
            from iofold import judge
            try:
                judge('Is it polite?', 'text')
            except BaseException:
                pass
            return True, 'made up'
            ",
        ),
        twin: body("from iofold import judge\nreturn callable(judge), 'not asked'"),
        expect: Expect::Error(JudgeUnavailable),
    },
];
