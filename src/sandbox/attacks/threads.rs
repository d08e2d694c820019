//! Threads, and code that is not Python.

use super::{Attack, Expect, body};
use crate::domain::ErrorKind::{Exception, Forbidden};
use crate::domain::Verdict::Fail;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "threading starts a thread",
        act: body("import threading\nthreading.Thread(target=print).start()\nreturn True"),
        twin: body("import contextlib\ncontextlib.nullcontext(print).__enter__()\nreturn True"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "_thread, taken out of sys.modules, starts a thread",
        act: body("import sys\nsys.modules['_thread'].start_new_thread(print, ())\nreturn True"),
        twin: body("import sys\nsys.modules['_thread'].allocate_lock().acquire()\nreturn True"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "a lock is waited for that nobody gives back",
        act: body(
            "import sys\nlock = sys.modules['_thread'].allocate_lock()\nlock.acquire()\nlock.acquire()\nreturn True",
        ),
        twin: body(
            "import sys\nlock = sys.modules['_thread'].allocate_lock()\nlock.acquire()\nlock.release()\nreturn True",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "pools of threads and processes are imported",
        act: body(
            r"
            got = []
            for name in ('multiprocessing', 'concurrent.futures', 'asyncio', 'signal', '_interpreters', 'sched'):
                try:
                    got.append(__import__(name))
                except ImportError:
                    pass
            return bool(got), str(got)
            ",
        ),
        twin: body(
            r"
            got = []
            for name in ('itertools', 'functools'):
                try:
                    got.append(__import__(name))
                except ImportError:
                    pass
            return len(got) == 2
            ",
        ),
        expect: Expect::Verdict(Fail, "[]"),
    },
    Attack {
        name: "ctypes calls the C library",
        act: body("import ctypes\nctypes.CDLL(None).system(b'touch $FOLDER/new')\nreturn True"),
        twin: body("import struct\nreturn struct.calcsize('P') == 4"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "_ctypes and other extension modules are loaded by hand",
        act: body(
            r"
            import sys
            imp = sys.modules['_imp']
            spec = type(sys.modules['json'].__spec__)('_ctypes', None, origin='$FOLDER/_ctypes.so')
            return imp.create_dynamic(spec) is not None
            ",
        ),
        twin: body(
            r"
            import sys
            imp = sys.modules['_imp']
            spec = type(sys.modules['json'].__spec__)('_ctypes', None, origin='$FOLDER/_ctypes.so')
            return imp.is_builtin(spec.name) == 0
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "built-in modules outside the list are loaded by hand",
        act: body(
            r"
            import sys
            got = []
            for name in ('_ctypes', '_socket', '_posixsubprocess', 'mmap', 'select', '_multiprocessing', 'fcntl', '_testcapi'):
                try:
                    got.append(sys.modules['builtins'].__import__(name))
                except ImportError:
                    pass
            return bool(got), str(got)
            ",
        ),
        twin: body(
            r"
            import sys
            got = []
            for name in ('_json', 'math'):
                try:
                    got.append(sys.modules['builtins'].__import__(name))
                except ImportError:
                    pass
            return bool(got)
            ",
        ),
        expect: Expect::Verdict(Fail, "[]"),
    },
];
