//! Starting, ending and signalling processes.

use super::{Attack, Expect, body};
use crate::domain::ErrorKind::{Exception, Forbidden};

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "os.system runs a command",
        act: body("import os\nreturn os.system('touch $FOLDER/new') == 0"),
        twin: body("import shlex\nreturn shlex.split('touch $FOLDER/new')[0] == 'touch'"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "os.popen runs a command and reads its output",
        act: body("import os\nreturn True, os.popen('cat $FILE').read()"),
        twin: body("import shlex\nreturn True, shlex.join(['cat', '$FILE'])"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "subprocess runs a command",
        act: body("import subprocess\nsubprocess.run(['touch', '$FOLDER/new'])\nreturn True"),
        twin: body("import string\nstring.Template('touch $FOLDER/new')\nreturn True"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "popen, found in the globals of a class of os, runs a command",
        act: body(
            r"
            for known in object.__subclasses__():
                if known.__name__ == '_wrap_close':
                    return True, known.__init__.__globals__['popen']('cat $FILE').read()
            return False, 'there is no such class'
            ",
        ),
        twin: body(
            r"
            for known in object.__subclasses__():
                if known.__name__ == '_wrap_close':
                    return True, known.__init__.__globals__['fsdecode']('$FILE')
            return False, 'there is no such class'
            ",
        ),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "os.fork makes a second process",
        act: body("import os\nreturn os.fork() >= 0"),
        twin: body("import os\nreturn os.fspath('fork') == 'fork'"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "os.execv becomes another program",
        act: body("import os\nos.execv('/bin/sh', ['sh', '-c', 'touch $FOLDER/new'])\nreturn True"),
        twin: body("import os\nos.get_exec_path({})\nreturn True"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "os.kill signals the parent and the init process",
        act: body("import os\nos.kill(os.getppid(), 9)\nos.kill(1, 15)\nreturn True"),
        twin: body("import os\nreturn os.name == 'posix'"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "os._exit ends the process",
        act: body("import os\nos._exit(0)\nreturn True"),
        twin: body("import os\nos.fsencode('0')\nreturn True"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "os.abort ends the process",
        act: body("import os\nos.abort()\nreturn True"),
        twin: body("import os\nos.strerror(6)\nreturn True"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "faulthandler makes the process crash",
        act: body("import sys\nsys.modules['faulthandler']._sigsegv()\nreturn True"),
        twin: body("import sys\nreturn 'json' in sys.modules or True"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "sys.exit ends the process",
        act: body("import sys\nsys.exit(0)\nreturn True"),
        twin: body("import sys\nsys.intern('0')\nreturn True"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "interrupts are raised by hand",
        act: body("raise KeyboardInterrupt('stop the host')"),
        twin: body(
            "try:\n    raise KeyboardInterrupt('stop the host')\nexcept BaseException:\n    return True",
        ),
        expect: Expect::Error(Exception),
    },
];
