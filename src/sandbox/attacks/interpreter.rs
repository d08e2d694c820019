//! The interpreter that runs the eval: its frames, its objects, its own runner, its bytecode.

use super::{Attack, Expect, body, module};
use crate::domain::ErrorKind::{Exception, Forbidden};
use crate::domain::Verdict::Pass;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "the runner, found by its frame, answers with what is no JSON",
        act: body(
            r"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'not json').__code__
            return True
            ",
        ),
        twin: body(
            r"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__.co_consts
            return True
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "the runner answers with JSON of the wrong shape",
        act: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'{"verdict":1,"reason":7}').__code__
            return True
            "#,
        ),
        twin: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'{"verdict":true,"reason":""}').__code__
            return False
            "#,
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "the runner answers with an error of the host's",
        act: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'{"error":{"kind":"host","message":"retry"}}').__code__
            return True
            "#,
        ),
        twin: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'{"verdict":true,"reason":"own"}').__code__
            return True
            "#,
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "the runner answers with 50 MB",
        act: body(
            r"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'[' * 50_000_000).__code__
            return True
            ",
        ),
        twin: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'{"verdict":true,"reason":"%s"}' % (b'x' * 50_000)).__code__
            return True
            "#,
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "the runner answers with deeply nested JSON",
        act: body(
            r"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'[' * 500_000).__code__
            return True
            ",
        ),
        twin: body(
            r#"
            import sys
            runner = sys._getframe(1).f_globals
            runner['verdict_result'].__code__ = (lambda returned: b'{"verdict":true,"reason":"","more":[[[]]]}').__code__
            return True
            "#,
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "the runner's globals are emptied",
        act: body("import sys\nsys._getframe(1).f_globals.clear()\nreturn True"),
        twin: body("import sys\nreturn len(sys._getframe(1).f_globals) > 0"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "builtins are emptied",
        act: body("import sys\nvars(sys.modules['builtins']).clear()\nreturn True"),
        twin: body("import sys\nreturn len(vars(sys.modules['builtins'])) > 100"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "gc finds the runner's functions and rewires them",
        act: body(
            r"
            import sys
            sys.modules['gc'].unfreeze()
            for thing in sys.modules['gc'].get_objects():
                if type(thing) is dict and 'verdict_result' in thing and 'quote' in thing:
                    thing['quote'] = thing['clean'] = None
                    return True, 'rewired'
            return False, 'not found'
            ",
        ),
        twin: body(
            r"
            import sys
            sys.modules['gc'].unfreeze()
            for thing in sys.modules['gc'].get_objects():
                if type(thing) is dict:
                    return True, 'found'
            return False, 'not found'
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "the true __import__ is taken back from builtins",
        act: body("import sys\nreturn sys.modules['builtins'].__import__('socket') is not None"),
        twin: body("import sys\nreturn sys.modules['builtins'].__import__('json') is not None"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "an importer that reads folders is put back",
        act: body(
            r"
            import sys
            external = sys.modules['_frozen_importlib_external']
            sys.path_hooks.append(external.FileFinder.path_hook((external.SourceFileLoader, ['canary'])))
            sys.meta_path.append(external.PathFinder)
            sys.path.append('$FOLDER')
            return True, str(sys.modules['builtins'].__import__('canary'))
            ",
        ),
        twin: body(
            r"
            import sys
            external = sys.modules['_frozen_importlib_external']
            return True, str(external.PathFinder)
            ",
        ),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "bytecode is forged to read beyond the frame",
        act: body(
            r"
            def victim(a):
                return a
            load_fast = bytes([85, 200]) * 8
            victim.__code__ = victim.__code__.replace(co_code=bytes([149, 0]) + load_fast + victim.__code__.co_code[4:])
            return True, repr(victim(1))
            ",
        ),
        twin: body(
            r"
            def victim(a):
                return a
            victim.__code__ = victim.__code__.replace(co_code=victim.__code__.co_code)
            return True, repr(victim(1))
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "every single opcode is forged, constants and names gone",
        act: body(
            r"
            code = evaluate.__code__
            evaluate.__code__ = code.replace(co_code=bytes(n % 256 for n in range(512)), co_consts=(), co_names=())
            return evaluate(trace)
            ",
        ),
        twin: body(
            r"
            if trace is None:
                return True
            evaluate.__code__ = evaluate.__code__.replace(co_firstlineno=1)
            return evaluate(None)
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "marshal loads a forged code object",
        act: body(
            r"
            import sys
            forged = sys.modules['marshal'].loads(b'c' + bytes(range(256)) * 4)
            return True, str(forged)
            ",
        ),
        twin: body(
            r"
            import sys
            loaded = sys.modules['marshal'].loads(sys.modules['marshal'].dumps(evaluate.__code__))
            return True, loaded.co_name
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a buffer is used after it was freed",
        act: body(
            r"
            class Index:
                def __index__(self):
                    data.clear()
                    other.append(bytearray(b'x' * 4096))
                    return 65
            other, data = [], bytearray(b'a' * 4096)
            view = memoryview(bytearray(8)).cast('B')
            data[4000] = Index()
            return True, str(len(data))
            ",
        ),
        twin: body(
            r"
            class Index:
                def __index__(self):
                    return 65
            data = bytearray(b'a' * 4096)
            data[4000] = Index()
            return True, str(len(data))
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "trace functions and audit hooks watch the runner",
        act: body(
            r"
            import sys
            seen = []
            def watch(frame, event, argument):
                seen.append(frame.f_code.co_name)
                if frame.f_code.co_name == 'verdict_result':
                    frame.f_locals['returned'] = None, 'rewritten'
                return watch
            sys.settrace(watch)
            sys.setprofile(lambda *a: seen.append(a))
            sys.addaudithook(lambda *a: None)
            return True, 'watched'
            ",
        ),
        twin: body(
            r"
            import sys
            seen = []
            def watch(frame, event, argument):
                seen.append(frame.f_code.co_name)
                return watch
            watch(sys._getframe(), 'call', None)
            return True, 'watched'
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "something is left to run at the interpreter's end",
        act: body(
            r"
            import sys, weakref
            class Last:
                def __del__(self):
                    while True: pass
            evaluate.kept = Last()
            weakref.finalize(evaluate.kept, print)
            sys.modules['atexit'].register(print) if 'atexit' in sys.modules else None
            return True, 'own'
            ",
        ),
        twin: body(
            r"
            import weakref
            class Last:
                def __del__(self):
                    pass
            evaluate.kept = Last()
            return weakref.ref(evaluate.kept)() is not None, 'own'
            ",
        ),
        expect: Expect::Verdict(Pass, "own"),
    },
    Attack {
        name: "excepthook, unraisablehook and displayhook are the eval's",
        act: body(
            r"
            import sys
            def hook(*arguments):
                while True: pass
            sys.excepthook = sys.unraisablehook = sys.displayhook = hook
            raise ValueError('hooked')
            ",
        ),
        twin: body(
            r"
            import sys
            def hook(*arguments):
                while True: pass
            sys.displayhook = hook
            return True
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "sys.modules is emptied while the eval loads",
        act: module(
            r"
            import json, re, sys
            json.loads = re.findall = None
            sys.modules.clear()

            def evaluate(trace):
                return False, 'own'
            ",
        ),
        twin: module(
            r"
            import json, re, sys
            len(sys.modules)

            def evaluate(trace):
                return True, 'own'
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "unpickling makes what was asked for",
        act: body(
            "import pickle\nreturn pickle.loads(b'cos\\nsystem\\n(S\\'touch $FOLDER/new\\'\\ntR.') == 0",
        ),
        twin: body("import json\nreturn json.loads('0') == 0"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "__reduce_ex__ and copy make what was asked for",
        act: body(
            r"
            import copy, os
            class Recipe:
                def __reduce_ex__(self, protocol):
                    return os.popen, ('touch $FOLDER/new',)
            return copy.copy(Recipe()) == 0
            ",
        ),
        twin: body(
            r"
            import copy
            class Recipe:
                def __reduce_ex__(self, protocol):
                    return len, ('touch $FOLDER/new',)
            return copy.copy(Recipe()) > 0
            ",
        ),
        expect: Expect::Error(Forbidden),
    },
];
