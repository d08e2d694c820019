//! What an eval tries against the host, and against the interpreter that runs it.

use std::fs;
use std::io::ErrorKind::WouldBlock;
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::sandbox::answer;

/// Would an eval read this, it would be in its reason or message.
const CANARY: &str = "canary-7b1e";

#[test]
fn a_file_of_the_host_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("canary");
    fs::write(&file, CANARY).unwrap();
    let path = file.display();
    let attacks = [
        format!("return True, open('{path}').read()"),
        format!("import io\nreturn True, io.open('{path}').read()"),
        format!("import io\nreturn True, io.FileIO('{path}').read().decode()"),
        format!("import codecs\nreturn True, codecs.open('{path}').read()"),
        format!("import os\nreturn True, os.read(os.open('{path}', 0), 99).decode()"),
        format!("import sys\nreturn True, sys.modules['posix'].open('{path}', 0)"),
        format!("import sys\nreturn True, sys.modules['_io'].open('{path}').read()"),
        format!("import os\nreturn True, os.popen('cat {path}').read()"),
        "import io\nreturn True, io.FileIO(0).read().decode()".to_owned(),
    ];
    for lines in attacks {
        let message = assert_forbidden(&lines);
        assert!(!message.contains(CANARY), "{message}");
    }
    let guess = "for number in range(32):\n    try:\n        import io\n        return True, io.FileIO(number).read().decode()\n    \
        except OSError:\n        pass\nreturn False, 'none'";
    assert_eq!(said(guess), (Verdict::Fail, "none".to_owned()));
    assert_eq!(
        said("import io\nreturn True, io.StringIO('text').read()").1,
        "text"
    );
}

#[test]
fn a_file_of_the_host_is_not_written_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("canary");
    fs::write(&file, CANARY).unwrap();
    let (path, folder) = (file.display(), directory.path().display());
    let attacks = [
        format!("open('{path}', 'w').write('x')"),
        format!("import io\nio.FileIO('{folder}/new', 'w').write(b'x')"),
        format!("import os\nos.remove('{path}')"),
        format!("import os\nos.rename('{path}', '{folder}/new')"),
        format!("import os\nos.mkdir('{folder}/new')"),
        format!("import os\nos.makedirs('{folder}/new/new')"),
    ];
    for lines in attacks {
        assert_forbidden(&lines);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), CANARY);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn folders_are_not_listed() {
    for call in [
        "os.listdir('/')",
        "os.listdir()",
        "list(os.scandir('/'))",
        "os.getcwd()",
        "os.stat('/')",
    ] {
        assert_forbidden(&format!("import os\nreturn True, str({call})"));
    }
    let quiet = "import os\nreturn os.path.exists('/etc') or bool(list(os.walk('/'))), 'nothing'";
    let quiet = outcome(quiet);
    assert_ne!(quiet.verdict(), Some(Verdict::Pass));
    assert_eq!(
        said("import os\nreturn True, os.path.join('a', 'b')").1,
        "a/b"
    );
}

#[test]
fn a_listener_on_the_host_sees_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let attacks = [
        format!("import socket\nsocket.create_connection(('127.0.0.1', {port}))"),
        format!("import _socket\n_socket.socket().connect(('127.0.0.1', {port}))"),
        format!("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}')"),
        format!("import http.client\nhttp.client.HTTPConnection('127.0.0.1', {port}).connect()"),
        "import sys\nsys.modules['_socket']".to_owned(),
    ];
    for lines in attacks {
        outcome(&lines).result.unwrap_err();
    }
    assert_eq!(listener.accept().unwrap_err().kind(), WouldBlock);
    let _connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(
        (0..1_000_000).any(|_| listener.accept().is_ok()),
        "the listener sees connections"
    );
    assert_eq!(
        said("import urllib.parse\nreturn True, urllib.parse.quote('a b')").1,
        "a%20b"
    );
}

#[test]
fn no_process_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("made-by-the-eval");
    let touch = format!("touch {}", file.display());
    let attacks = [
        format!("import os\nos.system('{touch}')"),
        format!("import os\nos.popen('{touch}')"),
        format!("import subprocess\nsubprocess.run('{touch}', shell=True)"),
        format!("import posix\nposix.system('{touch}')"),
        "import os\nos.fork()".to_owned(),
        "import os\nos.execv('/bin/true', ['true'])".to_owned(),
        "import os\nos.kill(1, 9)".to_owned(),
        "import os\nos._exit(0)".to_owned(),
        "import os\nos.abort()".to_owned(),
    ];
    for lines in attacks {
        outcome(&lines).result.unwrap_err();
    }
    assert!(!file.exists());
    assert_the_next_call_is_clean();
}

#[test]
fn the_hosts_environment_is_not_seen() {
    let secret = std::env::var("PATH").unwrap();
    let seen = said("import os\nreturn os.environ == {}, str(os.environ) + str(os.getenv('PATH'))");
    assert_eq!(seen.0, Verdict::Pass);
    assert!(!seen.1.contains(&secret), "{}", seen.1);
    let arguments = said("import sys\nreturn True, str((sys.argv, sys.path, sys.executable))");
    assert!(!arguments.1.contains('/'), "{}", arguments.1);
}

#[test]
fn foreign_code_and_threads_are_not_to_be_had() {
    for module in [
        "ctypes",
        "_ctypes",
        "threading",
        "multiprocessing",
        "asyncio",
        "signal",
        "importlib",
    ] {
        assert_forbidden(&format!("import {module}"));
    }
    let thread = "import sys\nsys.modules['_thread'].start_new_thread(print, ())\nreturn True";
    outcome(thread).result.unwrap_err();
    assert_the_next_call_is_clean();
}

#[test]
fn the_clock_is_not_read_and_nothing_sleeps() {
    for call in [
        "time.time()",
        "time.sleep(99)",
        "time.monotonic_ns()",
        "time.perf_counter()",
        "time.clock_gettime(0)",
    ] {
        let message = assert_forbidden(&format!("import time\n{call}"));
        assert!(message.starts_with("an eval can't "), "{message}");
    }
    for call in [
        "datetime.datetime.now()",
        "datetime.date.today()",
        "datetime.datetime.now(datetime.UTC)",
    ] {
        assert_forbidden(&format!("import datetime\n{call}"));
    }
    assert_forbidden("import random\nrandom.SystemRandom().random()");
    assert_forbidden("import uuid\nuuid.uuid4()");
    let known = "import datetime\nreturn True, datetime.datetime.fromisoformat('2026-01-02T03:04:05Z').isoformat()";
    assert_eq!(said(known).1, "2026-01-02T03:04:05+00:00");
}

#[test]
fn a_forbidden_call_that_is_caught_is_the_evals_own_business() {
    let lines = "try:\n    open('/etc/passwd')\nexcept PermissionError as error:\n    return False, str(error)";
    assert_eq!(
        said(lines),
        (Verdict::Fail, "an eval can't open files".to_owned())
    );
}

#[test]
fn exits_and_interrupts_are_exceptions_of_the_eval() {
    for name in [
        "SystemExit",
        "KeyboardInterrupt",
        "GeneratorExit",
        "BaseException",
        "StopIteration",
    ] {
        let error = error(&format!("raise {name}(0)"));
        assert_eq!(error.kind, ErrorKind::Exception);
        assert!(
            error.message.ends_with(&format!("\n{name}: 0")),
            "{}",
            error.message
        );
    }
    assert_eq!(error("import sys\nsys.exit(3)").kind, ErrorKind::Exception);
    assert_eq!(error("exit()").kind, ErrorKind::Exception);
}

#[test]
fn evil_strings_and_exceptions_are_shown_without_their_help() {
    let class = |base: &str, method: &str, body: &str| {
        format!("class Evil({base}):\n    def {method}(self, *a): {body}\n")
    };
    for body in [
        "raise SystemExit",
        "return 5",
        "return self",
        "return Evil()",
    ] {
        let shown = error(&(class("Exception", "__str__", body) + "raise Evil()"));
        assert_eq!(shown.kind, ErrorKind::Exception);
        assert!(shown.message.contains("Evil"), "{}", shown.message);
        assert_eq!(
            error(&(class("object", "__repr__", body) + "return Evil()")).kind,
            ErrorKind::NotAVerdict
        );
    }
    for method in [
        "__str__",
        "__repr__",
        "__len__",
        "__getitem__",
        "encode",
        "replace",
        "__iter__",
        "__bool__",
    ] {
        let reason = class("str", method, "raise ValueError") + "return True, Evil('plain')";
        let (verdict, text) = said(&reason);
        assert_eq!(
            (verdict, text.as_str()),
            (Verdict::Pass, "plain"),
            "{method}"
        );
    }
    let endless = class("object", "__repr__", "\n        while True: pass") + "return Evil()";
    assert_eq!(error(&endless).kind, ErrorKind::Fuel);
    let lying_tuple = class("tuple", "__len__", "return 2") + "return Evil((True,))";
    assert_eq!(error(&lying_tuple).kind, ErrorKind::NotAVerdict);
}

#[test]
fn an_eval_that_rewrites_the_interpreter_spoils_its_own_result_only() {
    let forged = |answer: &str| {
        format!(
            "import sys\nprelude = sys._getframe(1).f_globals\n\
             prelude['verdict_result'].__code__ = (lambda returned: {answer}).__code__\nreturn True"
        )
    };
    let attacks = [
        forged("b'not json'"),
        forged(r#"b'{"verdict":true,"reason":7}'"#),
        forged("b'[' * 50_000"),
        forged("b'x' * 50_000_000"),
        forged("'a str'"),
        forged("{}[0]"),
        "import sys\nsys._getframe(1).f_globals.clear()\nreturn True".to_owned(),
        "import sys\nvars(sys.modules['builtins']).clear()\nreturn True".to_owned(),
    ];
    for lines in attacks {
        assert_eq!(error(&lines).kind, ErrorKind::Exception, "{lines}");
        assert_the_next_call_is_clean();
    }
}

#[test]
fn modules_changed_while_loading_are_whole_again_in_the_next_call() {
    let sources = [
        "import json, re, sys\njson.loads = re.findall = None\nsys.modules.clear()\n",
        "import sys\nbuiltins = sys.modules['builtins']\nbuiltins.len = lambda x: 0\nbuiltins.isinstance = lambda *a: True\n",
        "import json\njson.encoder.encode_basestring_ascii = lambda s: '\"forged\"'\njson.JSONDecoder.decode = None\n",
        "import sys\nsys.modules['gc'].unfreeze()\n",
        "import sys\nsys.meta_path.clear()\nsys.setrecursionlimit(50)\n",
    ];
    for source in sources {
        let outcome = sandbox().evaluate(&format!("{source}{}", eval("return True, 'own'")), TRACE);
        assert!(outcome.host_failure().is_none(), "{source}");
        assert_the_next_call_is_clean();
    }
}

#[test]
fn an_eval_that_forges_bytecode_breaks_its_own_instance_only() {
    let lines = "code = evaluate.__code__\nforged = code.replace(co_code=bytes([100, 255]) * 64, co_consts=())\n\
        evaluate.__code__ = forged\nreturn evaluate(trace)";
    assert!(outcome(lines).host_failure().is_none());
    assert_the_next_call_is_clean();
}

#[test]
fn answers_that_make_no_sense_are_the_evals_doing() {
    let answers: [&[u8]; 9] = [
        b"",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"{\"verdict\":1,\"reason\":\"\"}",
        b"{\"verdict\":true}",
        b"{\"error\":{\"kind\":\"host\",\"message\":\"\"}}",
        b"{\"error\":{\"kind\":\"fuel\",\"message\":\"\"}}",
        b"{\"error\":{\"kind\":\"exception\"}}",
    ];
    for bytes in answers {
        assert_eq!(
            answer::read(bytes, 10).unwrap_err().kind,
            ErrorKind::Exception,
            "{bytes:?}"
        );
    }
    let sound = answer::read(b"{\"verdict\":null,\"reason\":\"a\\u0000bcdefghijkl\"}", 10);
    assert_eq!(
        sound,
        Ok((
            Verdict::Abstain,
            "a\u{fffd}bcdefghij".chars().take(10).collect()
        ))
    );
}
