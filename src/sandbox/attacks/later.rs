//! Traps laid for a later call: each changes something that the runner or another eval will use.
//!
//! There is no later call to fool: the suite runs the same eval again and a neighbour after it, and both must
//! answer as if nothing had been, to the last unit of fuel.

use super::{Attack, Expect, body, module};
use crate::domain::Verdict::{Fail, Pass};

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "json's functions are replaced",
        act: body(
            r"
            import json
            if json.loads('[1]') != [1]:
                return False, 'fooled'
            json.loads = json.dumps = lambda *arguments, **named: 'fooled'
            json.JSONDecoder.decode = json.JSONEncoder.encode = json.loads
            json.encoder.encode_basestring_ascii = json.encoder.c_make_encoder = json.loads
            return True, 'first'
            ",
        ),
        twin: body("import json\nreturn json.loads('[1]') == [1], 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "re's functions and its cache are replaced",
        act: body(
            r"
            import re
            if re.findall('a+', 'caat') != ['aa']:
                return False, 'fooled'
            re._cache.clear()
            re._cache2.clear()
            never = re.compile('never')
            for pattern in ('a+', '[a-z]+', r'\d+', 'x'):
                re._cache[str, pattern, 0] = re._cache2[str, pattern, 0] = never
            re.findall = re.search = re.match = lambda *arguments: ['fooled']
            return True, 'first'
            ",
        ),
        twin: body("import re\nreturn re.findall('a+', 'caat') == ['aa'], 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "builtins are replaced",
        act: body(
            r"
            import sys
            if len('four') != 4 or sorted([2, 1]) != [1, 2]:
                return False, 'fooled'
            builtins = sys.modules['builtins']
            for name in ('len', 'sorted', 'any', 'all', 'sum', 'min', 'max', 'print', 'enumerate', 'range'):
                setattr(builtins, name, lambda *arguments: 'fooled')
                evaluate.__builtins__[name] = lambda *arguments: 'fooled'
            return True, 'first'
            ",
        ),
        twin: body("return len('four') == 4 and sorted([2, 1]) == [1, 2], 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "the runner's functions are replaced for good",
        act: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            if 'fooled' in runner:
                return False, 'fooled'
            runner['fooled'] = True
            forged = lambda returned: b'{"verdict":false,"reason":"fooled"}'
            for name in ('evaluate', 'parse_json', 'failure_result'):
                runner[name] = forged
            return True, 'first'
            "#,
        ),
        twin: body(
            r"
            import sys
            runner = sys._getframe(1).f_globals
            return 'fooled' not in runner, 'first'
            ",
        ),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "random is seeded for those who come after",
        act: body(
            r"
            import random
            drawn = str(random.random())
            random.seed(12345)
            random.random = lambda: 0.5
            random._inst.setstate(random.Random(1).getstate())
            return True, drawn
            ",
        ),
        twin: body("import random\nreturn True, str(random.random())"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "state is kept in modules, types and defaults",
        act: module(
            r"
            import json, string

            seen = []

            def evaluate(trace, calls=[]):
                counts = len(seen), len(calls), getattr(json, 'calls', 0), len(string.Formatter.__dict__)
                seen.append(1)
                calls.append(1)
                json.calls = getattr(json, 'calls', 0) + 1
                setattr(string.Formatter, f'extra{len(calls)}', 1)
                return counts[0] == counts[1] == counts[2], str(counts)
            ",
        ),
        twin: module(
            r"
            seen = []

            def evaluate(trace, calls=[]):
                counts = len(seen), len(calls)
                return counts[0] == counts[1], str(counts)
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a long-lived object is kept in a cycle with __del__",
        act: body(
            r"
            import sys
            class Sleeper:
                def __init__(self): self.me = self
                def __del__(self): sys.modules['json'].loads = None
            evaluate.sleeper = Sleeper()
            del evaluate.sleeper
            return True, 'first'
            ",
        ),
        twin: body(
            r"
            class Sleeper:
                def __init__(self): self.me = self
            evaluate.sleeper = Sleeper()
            del evaluate.sleeper
            return True, 'first'
            ",
        ),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "the garbage collector is bent: thresholds, callbacks, frozen objects",
        act: body(
            r"
            import sys
            gc = sys.modules['gc']
            gc.set_threshold(1)
            gc.callbacks.append(lambda phase, info: sys.modules['json'].__dict__.clear())
            gc.unfreeze()
            gc.collect()
            return True, 'first'
            ",
        ),
        twin: body("import sys\nreturn len(sys.modules['gc'].callbacks) == 0, 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "switch interval, recursion limit and digits limit are set",
        act: body(
            r"
            import sys
            if sys.getrecursionlimit() < 100:
                return False, 'fooled'
            sys.setswitchinterval(1e-9)
            sys.set_int_max_str_digits(640)
            sys.setrecursionlimit(60)
            return True, 'first'
            ",
        ),
        twin: body("import sys\nreturn sys.getrecursionlimit() >= 100, 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "class caches and abstract bases are poisoned",
        act: body(
            r"
            import collections.abc, numbers
            if isinstance(5, collections.abc.Mapping):
                return False, 'fooled'
            collections.abc.Mapping.register(int)
            numbers.Number.register(str)
            collections.abc.Sized.__subclasshook__ = classmethod(lambda cls, other: False)
            return isinstance(5, collections.abc.Mapping), 'first'
            ",
        ),
        twin: body(
            "import collections.abc\nreturn not isinstance(5, collections.abc.Mapping), 'first'",
        ),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "sys.modules['eval'] and the module's globals are kept by the next eval",
        act: body(
            r"
            import sys
            left = getattr(sys, 'left_behind', None)
            sys.left_behind = sys.modules['eval'].__dict__
            sys.modules['re'] = sys.modules['eval']
            return left is None, 'first'
            ",
        ),
        twin: body("import sys\nreturn getattr(sys, 'left_behind', None) is None, 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "codecs and error handlers are registered",
        act: body(
            r"
            import codecs
            try:
                b'\xff'.decode('utf-8', 'fooled')
                return False, 'fooled'
            except LookupError:
                pass
            codecs.register_error('fooled', lambda error: ('?', error.end))
            codecs.register_error('replace', lambda error: ('fooled', error.end))
            codecs.register_error('surrogatepass', lambda error: ('fooled', error.end))
            codecs.register(lambda name: None)
            return True, 'first'
            ",
        ),
        twin: body("import codecs\nreturn codecs.lookup('utf-8').name == 'utf-8', 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "sys.stdout is the eval's from now on",
        act: body(
            r"
            import sys
            class Fooled:
                def write(self, text): raise SystemExit
                def flush(self): raise SystemExit
            sys.stdout = sys.stderr = Fooled()
            return True, 'first'
            ",
        ),
        twin: body("import sys\nsys.stdout.flush()\nreturn True, 'first'"),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a verdict is left in the answer's memory by an eval that never answers",
        act: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            left = runner.get('left', 0)
            runner['left'] = left + 1
            runner['kept'] = [b'{"verdict":true,"reason":"fooled"}' + b' ' * 64 for _ in range(1_000)]
            return left > 0, 'first'
            "#,
        ),
        twin: body(
            "import sys\nrunner = sys._getframe(1).f_globals\nreturn runner.get('left', 0) == 0, 'first'",
        ),
        expect: Expect::Verdict(Fail, "first"),
    },
    Attack {
        name: "re.compile is replaced while the eval loads, for whoever compiles next",
        act: module(
            r"
            import re

            def fooled(*arguments):
                raise SystemExit('fooled')

            re.compile = re._compile = fooled

            def evaluate(trace):
                return re.search('a+', 'caat') is not None, 'first'
            ",
        ),
        twin: module(
            r"
            import re

            def evaluate(trace):
                return re.search('a+', 'caat') is not None, 'first'
            ",
        ),
        expect: Expect::OwnResult,
    },
];
