//! Time: loops, in Python and in the C below it.

use super::{Act, Attack, Expect, Source, body, made, module};
use crate::domain::ErrorKind::{Deadline, Exception, Fuel};

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "an endless loop",
        act: body("while True: pass"),
        twin: body("for _ in range(100_000): pass\nreturn True"),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "an endless loop that swallows every exception",
        act: body(
            r"
            while True:
                try:
                    while True: pass
                except BaseException:
                    pass
            ",
        ),
        twin: body(
            r"
            for _ in range(1_000):
                try:
                    raise ValueError
                except BaseException:
                    pass
            return True
            ",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "an endless loop while the eval loads",
        act: module("while True: pass\n"),
        twin: module("for _ in range(1_000): pass\n\ndef evaluate(trace):\n    return True\n"),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "an endless loop while an object is freed",
        act: body(
            r"
            class Last:
                def __del__(self):
                    while True: pass
            Last()
            return True
            ",
        ),
        twin: body(
            r"
            class Last:
                def __del__(self):
                    for _ in range(1_000): pass
            Last()
            return True
            ",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "an endless generator is summed up in C",
        act: body("import itertools\nreturn sum(itertools.repeat(1)) > 0"),
        twin: body("import itertools\nreturn sum(itertools.repeat(1, 1_000)) > 0"),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "a power tower",
        act: body("return 10**10**10 > 0"),
        twin: body("return 10**10**2 > 0"),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "a factorial and its digits",
        act: body(
            "import math, sys\nsys.set_int_max_str_digits(0)\nreturn len(str(math.factorial(1_000_000))) > 0",
        ),
        twin: body("import math\nreturn len(str(math.factorial(100))) > 0"),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "an integer of a million digits is read",
        act: body("return int('9' * 1_000_000) > 0"),
        twin: body("return int('9' * 1_000) > 0"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "a regular expression that backtracks without end",
        act: body("import re\nreturn re.match('(a+)+$', 'a' * 64 + 'b') is None"),
        twin: body("import re\nreturn re.match('(a+)+$', 'a' * 64) is not None"),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "fnmatch and difflib on texts made for them",
        act: body(
            "import difflib, fnmatch\nfnmatch.fnmatch('a' * 5_000, '*a' * 500 + 'b')\nreturn difflib.SequenceMatcher(None, 'ab' * 20_000, 'ba' * 20_000, False).ratio() > 0",
        ),
        twin: body(
            "import difflib, fnmatch\nfnmatch.fnmatch('a' * 50, '*a' * 5 + 'b')\nreturn difflib.SequenceMatcher(None, 'ab' * 20, 'ba' * 20, False).ratio() > 0",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "hashes of long texts, again and again",
        act: body(
            "import hashlib\nlong = b'x' * 10_000_000\nwhile True: hashlib.sha3_512(long).digest()",
        ),
        twin: body(
            "import hashlib\nlong = b'x' * 10_000\nreturn hashlib.sha3_512(long).digest() != b''",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "a sort whose comparison never ends",
        act: body(
            r"
            class Never:
                def __lt__(self, other):
                    while True: pass
            return sorted([Never(), Never()]) != []
            ",
        ),
        twin: body(
            r"
            class Once:
                def __lt__(self, other): return False
            return sorted([Once(), Once()]) != []
            ",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "a million combining marks on one letter",
        act: body(
            "import unicodedata\nreturn unicodedata.normalize('NFD', 'a' + '\\u0316\\u0301' * 500_000) != ''",
        ),
        twin: body(
            "import unicodedata\nreturn unicodedata.normalize('NFD', 'a' + '\\u0316\\u0301' * 50) != ''",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "classes are made without end",
        act: body(
            "known = object\nwhile True: known = type('Bomb', (known,), {'__slots__': tuple(f'a{n}' for n in range(100))})",
        ),
        twin: body(
            "known = object\nfor _ in range(10): known = type('Bomb', (known,), {'__slots__': ('a',)})\nreturn True",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "XML entities that multiply (a billion laughs)",
        act: body(
            r#"
            import xml.etree.ElementTree as xml
            laughs = ''.join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
            text = xml.fromstring(f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><a>&l9;</a>').text
            return len(text) > 0
            "#,
        ),
        twin: body(
            r#"
            import xml.etree.ElementTree as xml
            laughs = ''.join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 2}">' for n in range(3))
            text = xml.fromstring(f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><a>&l3;</a>').text
            return len(text) > 0
            "#,
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "an endless loop whose fuel never ends",
        act: Act::Endless(Source::Body("while True: pass")),
        twin: Act::Endless(Source::Body("for _ in range(1_000): pass\nreturn True")),
        expect: Expect::Error(Deadline),
    },
    Attack {
        name: "a hundred patterns that take long to compile are named but not used",
        act: made(|| patterns(900)),
        twin: made(|| patterns(2)),
        expect: Expect::OwnResult,
    },
];

/// An eval with a hundred patterns of this many ranges that it never gets to.
fn patterns(ranges: usize) -> String {
    let search = |number| format!("    re.search('[{}]{number}', '')\n", "x".repeat(ranges));
    let searches: String = (0..100).map(search).collect();
    format!("import re\n\ndef evaluate(trace):\n    return True\n{searches}")
}
