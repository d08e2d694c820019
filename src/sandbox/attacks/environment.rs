//! What the host's process was told: environment, arguments, names.

use super::{Attack, Expect, body};
use crate::domain::ErrorKind::Forbidden;
use crate::domain::Verdict::Fail;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "os.environ is read",
        act: body("import os\nreturn len(os.environ) > 0, ' '.join(os.environ.values())"),
        twin: body("import os\nreturn len(os.environ) == 0, ' '.join(os.environ.values())"),
        expect: Expect::Verdict(Fail, ""),
    },
    Attack {
        name: "posix.environ, behind it, is read",
        act: body(
            "import sys\nbehind = sys.modules['posix'].environ\nreturn len(behind) > 0, str(behind)",
        ),
        twin: body(
            "import sys\nbehind = sys.modules['posix'].environ\nreturn len(behind) == 0, str(behind)",
        ),
        expect: Expect::Verdict(Fail, "{}"),
    },
    Attack {
        name: "os.getenv is asked for secrets by name",
        act: body(
            r"
            import os
            names = ['PATH', 'HOME', 'DATABASE_URL', 'SLACK_BOT_TOKEN', 'LANGFUSE_SECRET_KEY', 'IOFOLD_CANARY']
            found = [os.getenv(name) for name in names if os.getenv(name)]
            return bool(found), ' '.join(found)
            ",
        ),
        twin: body(
            r"
            import os
            names = ['PATH', 'HOME', 'DATABASE_URL', 'SLACK_BOT_TOKEN', 'LANGFUSE_SECRET_KEY', 'IOFOLD_CANARY']
            found = [name for name in names if os.getenv(name) is None]
            return bool(found), ' '.join(found)
            ",
        ),
        expect: Expect::Verdict(Fail, ""),
    },
    Attack {
        name: "the environment is read from /proc",
        act: body("return True, open('/proc/self/environ').read()"),
        twin: body("return True, '/proc/self/environ'.upper()"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "the command line and the program's path are read",
        act: body(
            "import sys\nsaid = [*sys.argv, *sys.path, sys.executable, *sys.orig_argv]\nreturn any('/' in one for one in said), str(said)",
        ),
        twin: body(
            "import sys\nsaid = [*sys.argv, *sys.path, sys.executable, *sys.orig_argv]\nreturn not any('/' in one for one in said), str(said)",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "host name and kernel are asked for",
        act: body("import os\nreturn True, str(os.uname())"),
        twin: body("import os, sys\nreturn True, os.name + sys.platform"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "the working folder and the users are asked for",
        act: body("import os\nreturn True, os.getcwd() + str(os.getuid())"),
        twin: body("import os\nreturn True, os.curdir + os.sep"),
        expect: Expect::Error(Forbidden),
    },
];
