//! The clock and true randomness: with either, the same eval and trace could give another verdict.

use super::{Attack, Expect, body};
use crate::domain::ErrorKind::Forbidden;
use crate::domain::Verdict::{Fail, Pass};

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "time.time is read",
        act: body("import time\nreturn time.time() > 0"),
        twin: body("import time\nreturn time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, 0)) > 0"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "every other clock of time is read, errors ignored",
        act: body(
            r"
            import time
            read = []
            for name in dir(time):
                if name.endswith('_ns') or name in ('monotonic', 'perf_counter', 'process_time', 'thread_time'):
                    try:
                        read.append(getattr(time, name)())
                    except (PermissionError, TypeError, OSError):
                        pass
            return bool(read), str(read)
            ",
        ),
        twin: body(
            r"
            import time
            read = []
            for name in dir(time):
                if name.endswith('_ns') or name in ('monotonic', 'perf_counter', 'process_time', 'thread_time'):
                    read.append(name)
            return bool(read), str(read)
            ",
        ),
        expect: Expect::Verdict(Fail, "[]"),
    },
    Attack {
        name: "the time of day is read by formatting it",
        act: body("import time\nreturn True, time.strftime('%Y-%m-%d %H:%M:%S')"),
        twin: body("import time\nreturn True, time.strftime('%Y', (2026, 1, 2, 3, 4, 5, 0, 2, 0))"),
        expect: Expect::Verdict(Pass, "1970-01-01 00:00:00"),
    },
    Attack {
        name: "datetime.now is read",
        act: body("import datetime\nreturn True, datetime.datetime.now(datetime.UTC).isoformat()"),
        twin: body(
            "import datetime\nreturn True, datetime.datetime.fromisoformat('2026-01-02T03:04:05Z').isoformat()",
        ),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "an eval sleeps to hold a worker",
        act: body("import time\ntime.sleep(3600)\nreturn True"),
        twin: body("import time\ntime.gmtime(3600)\nreturn True"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "os.urandom is read",
        act: body("import os\nreturn True, os.urandom(16).hex()"),
        twin: body("import random\nreturn True, random.randbytes(16).hex()"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "SystemRandom draws a verdict",
        act: body("import random\nreturn random.SystemRandom().random() < 2"),
        twin: body("import random\nreturn random.Random(7).random() < 2"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "random is seeded anew from the system",
        act: body("import random\nrandom.seed()\nreturn True, str(random.random())"),
        twin: body("import random\nrandom.seed(1)\nreturn True, str(random.random())"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "uuid makes a random and a timed identifier",
        act: body("import uuid\nreturn True, str(uuid.uuid4()) + str(uuid.uuid1())"),
        twin: body("import uuid\nreturn True, str(uuid.uuid5(uuid.NAMESPACE_URL, 'x'))"),
        expect: Expect::Error(Forbidden),
    },
];
