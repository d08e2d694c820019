//! Memory and output: bombs and floods.

use super::{Act, Attack, Expect, Source, Trace, body, module};
use crate::domain::ErrorKind::{Exception, Fuel, Memory};
use crate::domain::Verdict::Pass;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "an integer is shifted by its own memory",
        act: body("return 1 << (1 << 31) > 0"),
        twin: body("return 1 << (1 << 13) > 0"),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "decimals of any precision",
        act: body(
            r"
            import decimal
            decimal.getcontext().prec = decimal.MAX_PREC
            return decimal.Decimal(1) / 3 > 0
            ",
        ),
        twin: body(
            r"
            import decimal
            decimal.getcontext().prec = 100
            return decimal.Decimal(1) / 3 > 0
            ",
        ),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "a regular expression that is huge once it is compiled",
        act: body(
            "import re\nreturn re.compile('|'.join(f'[{chr(n)}-{chr(n + 9)}x]' for n in range(256, 60_000))) is not None",
        ),
        twin: body(
            "import re\nreturn re.compile('|'.join(f'[{chr(n)}-{chr(n + 9)}x]' for n in range(256, 300))) is not None",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "one allocation of a gigabyte",
        act: body("return len(bytearray(1 << 30)) > 0"),
        twin: body("return len(bytearray(1 << 24)) > 0"),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "a list that doubles",
        act: body("x = [0]\nwhile True: x += x"),
        twin: body("x = [0]\nfor _ in range(16): x += x\nreturn len(x) == 1 << 16"),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "a memory bomb that swallows every exception",
        act: body(
            r"
            x = []
            while True:
                try:
                    while True: x.append(bytearray(1 << 16))
                except BaseException:
                    pass
            ",
        ),
        twin: body(
            r"
            try:
                bytearray(1 << 30)
            except BaseException:
                return True, 'caught'
            ",
        ),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "memory is filled while the eval loads, and kept",
        act: module("kept = []\nwhile True: kept.append(bytearray(1 << 20))\n"),
        twin: module(
            "kept = [bytearray(1 << 20)]\n\ndef evaluate(trace):\n    return len(kept) == 1\n",
        ),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "a format string with a width of a billion",
        act: body("return f'{1:>1000000000}' != '' and '%0999999999d' % 1 != ''"),
        twin: body("return f'{1:>1000}' != '' and '%0999d' % 1 != ''"),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "format strings reach for globals and nest without end",
        act: body(
            "return True, '{0.__globals__[__builtins__]}{1:{2:{3}}}'.format(evaluate, 1, 2, 3)",
        ),
        twin: body("return True, '{0.__name__}{1:{2}}'.format(evaluate, 1, 2)"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "replace multiplies a text by itself",
        act: body("x = 'x' * 1_000_000\nreturn len(x.replace('x', x)) > 0"),
        twin: body("x = 'x' * 1_000\nreturn len(x.replace('x', x)) > 0"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "Unicode that grows when it is folded and normalised",
        act: body(
            "import unicodedata\nx = '\\ufdfa' * 3_000_000\nreturn len(unicodedata.normalize('NFKC', x).casefold()) > 0",
        ),
        twin: body(
            "import unicodedata\nx = '\\ufdfa' * 300\nreturn len(unicodedata.normalize('NFKC', x).casefold()) > 0",
        ),
        expect: Expect::Error(Memory),
    },
    Attack {
        name: "print floods its reader",
        act: body("while True: print('x' * 10_000)"),
        twin: body("for _ in range(10): print('x' * 10)\nreturn True"),
        expect: Expect::Error(Fuel),
    },
    Attack {
        name: "sys.stderr and warnings flood their reader",
        act: body(
            r"
            import sys, warnings
            warnings.simplefilter('always')
            for n in range(2_000):
                sys.stderr.write('x' * 100_000)
                warnings.warn('y' * 1_000)
            return True, 'flooded'
            ",
        ),
        twin: body("import sys\nsys.stderr.write('x' * 100)\nreturn True, 'said'"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "ten evals leave 50 MB behind each when they load",
        act: Act::Eval(
            Source::Series(
                "kept = [bytearray(b'$NUMBER') * 50_000_000]\n\ndef evaluate(trace):\n    return len(kept) == 1, '$NUMBER'\n",
            ),
            Trace::Small,
        ),
        twin: Act::Eval(
            Source::Series(
                "kept = [bytearray(b'$NUMBER') * 50]\n\ndef evaluate(trace):\n    return len(kept) == 1, '$NUMBER'\n",
            ),
            Trace::Small,
        ),
        expect: Expect::Verdict(Pass, "0"),
    },
];
