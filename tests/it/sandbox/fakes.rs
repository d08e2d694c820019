//! Workers that are none: programs that end, say nothing, or say what no worker would.

use std::os::unix::fs::PermissionsExt;

use iofold::domain::{ErrorKind, Verdict};
use iofold::sandbox::protocol::{Frames, Greeting, Question, Ready};
use iofold::sandbox::walls::{Wall, WallState};
use iofold::sandbox::{Answers, Reply, SandboxError};

use tracing::Level;

use super::*;
use crate::support::logs::logged;

/// What every fake starts with.
const START: &str = r#"#!/usr/bin/env python3
import os, socket, sys, time
host = socket.socket(fileno=0)
def frame(body, version=1):
    return (len(body) + 1).to_bytes(4, "little") + bytes([version]) + body
# Ok(Ready { walls: [] }), and Done(Outcome { result: Ok((Pass, "")), printed: "", fuel: 0, duration_us: 0 }).
READY, PASS = frame(bytes(2)), frame(bytes(7))
def receive(count):
    data = b""
    while len(data) < count:
        data += host.recv(count - len(data)) or sys.exit(0)
    return data
def job():
    return receive(int.from_bytes(receive(4), "little"))
"#;

/// A sandbox whose one worker is this program.
pub struct Fake {
    den: Den,
    program: PathBuf,
}

impl Fake {
    pub fn new(lines: &str) -> Self {
        let den = Den::new();
        let program = den.cache_home().join("fake");
        fs::write(&program, format!("{START}{lines}")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("its mode is set");
        Self { den, program }
    }

    pub fn open(&self) -> Result<Sandbox, SandboxError> {
        let opened = Sandbox::open_with_workers(&self.program, &self.den.files, 1);
        opened.map(|sandbox| sandbox.with_limits(patient()))
    }

    /// A file that it reads or writes: its own path and this ending.
    pub fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}{ending}", self.program.display()))
    }

    /// Why it can't be opened.
    fn refused(&self) -> String {
        match self.open() {
            Ok(_) => panic!("it opens"),
            Err(error) => error.to_string(),
        }
    }
}

/// A fake that greets and then, at its first job, does this.
fn at_a_job(lines: &str) -> Fake {
    Fake::new(&format!("host.sendall(READY)\njob()\n{lines}"))
}

fn call(sandbox: &Sandbox) -> Outcome {
    sandbox.evaluate(&eval("return True"), &trace("t"))
}

/// The error message of a call on a sandbox of such workers, after both of its workers answered nonsense.
#[track_caller]
fn nonsense(lines: &str) -> String {
    let fake = at_a_job(lines);
    let sandbox = fake.open().expect("it greets");
    let outcome = call(&sandbox);
    assert_eq!(kind(&outcome), Some(ErrorKind::Host), "{outcome:?}");
    assert_eq!(sandbox.counts(), counts(1, 0, 0, 2, 1));
    outcome.result.expect_err("an error").message
}

#[test]
fn a_fake_that_does_as_a_worker_does_is_believed() {
    let fake = Fake::new("host.sendall(READY)\nwhile True:\n    job()\n    host.sendall(PASS)\n");
    let sandbox = fake.open().expect("it greets");
    for _ in 0..3 {
        assert_eq!(call(&sandbox).verdict(), Some(Verdict::Pass));
    }
    assert_eq!(sandbox.counts(), counts(3, 0, 0, 0, 0));
}

#[test]
fn a_program_that_is_not_there_or_ends_at_once_is_a_clear_error() {
    let missing = Sandbox::open_with_workers(Path::new("/nowhere/iofold"), &Den::new().files, 1);
    let message = missing.err().expect("it does not start").to_string();
    assert!(
        message.contains("can't be started: No such file"),
        "{message}"
    );
    let message = Fake::new("sys.exit(7)").refused();
    assert_eq!(
        message,
        "a sandbox worker can't start: it died (exit status: 7)"
    );
}

#[test]
fn a_worker_that_can_not_start_says_why() {
    let reason = "no memory is left";
    let says = format!(
        "host.sendall(frame(bytes([1, {}]) + b\"{reason}\"))",
        reason.len()
    );
    let message = Fake::new(&says).refused();
    assert_eq!(message, format!("a sandbox worker can't start: {reason}"));
}

#[test]
fn a_wall_that_is_missing_is_told_once_with_its_cost_and_the_counts_at_the_end() {
    let walls = [Wall::NoCapabilities, Wall::Seccomp].map(|wall| WallState {
        wall,
        stands: wall == Wall::NoCapabilities,
        why: (wall == Wall::Seccomp).then(|| "it is switched off".to_owned()),
    });
    let mut greeting = Vec::new();
    let ready: Greeting = Ok(Ready {
        walls: walls.to_vec(),
    });
    let mut frames = Frames::of_worker();
    frames.write(&mut greeting, &ready).expect("it fits");
    let fake = Fake::new(&format!(
        "host.sendall(bytes({greeting:?}))\njob()\nsys.exit(3)"
    ));
    let (log, ()) = logged(Level::INFO, || {
        let sandbox = fake.open().expect("it greets");
        assert_eq!(kind(&call(&sandbox)), Some(ErrorKind::Host));
    });
    let warning = "the sandbox lacks a wall: code that breaks out could try every system call";
    assert_eq!(log.matches(warning).count(), 1, "{log}");
    assert_eq!(log.matches("lacks a wall").count(), 1, "{log}");
    assert!(log.contains("it is switched off"), "{log}");
    assert!(
        log.contains("calls=1 died=2 hung=0 nonsense=0 replaced=1"),
        "{log}"
    );
}

#[test]
fn a_greeting_that_is_none_is_a_clear_error() {
    let message = Fake::new("host.sendall(b'HTTP/1.1 200 OK')").refused();
    assert!(
        message.contains("it answered nonsense: a frame of more"),
        "{message}"
    );
    let message = Fake::new("host.sendall(frame(bytes(2), version=9))").refused();
    assert!(message.contains("version 9 of the protocol"), "{message}");
}

#[test]
fn a_worker_that_dies_at_every_job_is_the_hosts_failure() {
    let fake = at_a_job("sys.exit(3)");
    let sandbox = fake.open().expect("it greets");
    let outcome = call(&sandbox);
    assert_eq!(kind(&outcome), Some(ErrorKind::Host));
    let message = outcome.result.expect_err("an error").message;
    assert!(message.ends_with("it died (exit status: 3)"), "{message}");
    assert_eq!(sandbox.counts(), counts(1, 2, 0, 0, 1));
}

#[test]
fn a_worker_that_dies_once_costs_a_retried_call() {
    let fake = Fake::new(
        "host.sendall(READY)\n\
         job()\n\
         try: os.close(os.open(sys.argv[0] + '.died', os.O_CREAT | os.O_EXCL))\n\
         except FileExistsError: host.sendall(PASS)\n",
    );
    let sandbox = fake.open().expect("it greets");
    assert_eq!(call(&sandbox).verdict(), Some(Verdict::Pass));
    assert_eq!(sandbox.counts(), counts(1, 1, 0, 0, 1));
}

#[test]
fn garbage_a_wrong_version_and_too_long_a_frame_are_nonsense() {
    let message = nonsense("host.sendall(frame(b'\\xff' * 100))");
    assert!(message.contains("a malformed frame"), "{message}");
    let message = nonsense("host.sendall(frame(bytes(7), version=2))");
    assert!(message.contains("version 2 of the protocol"), "{message}");
    let message = nonsense("host.sendall((3 << 20).to_bytes(4, 'little'))");
    assert!(
        message.contains("a frame of more than 2097152 bytes"),
        "{message}"
    );
    let message = nonsense("host.sendall(bytes(4))");
    assert!(message.contains("it is empty"), "{message}");
}

#[test]
fn what_follows_a_reply_without_being_asked_for_is_nonsense() {
    let message = nonsense("host.sendall(PASS + PASS)");
    assert!(message.contains("more follows it"), "{message}");
}

#[test]
fn a_reply_that_was_sent_ahead_is_nonsense_and_not_the_next_calls() {
    let fake = at_a_job(
        "host.sendall(PASS)\n\
         if os.path.exists(sys.argv[0] + '.sent'): sys.exit(job() and 0)\n\
         while not os.path.exists(sys.argv[0] + '.answered'): time.sleep(0.005)\n\
         # Fail.\n\
         host.sendall(frame(bytes([0, 0, 1, 0, 0, 0, 0])))\n\
         os.mkdir(sys.argv[0] + '.sent')\n\
         time.sleep(1000)",
    );
    let sandbox = fake.open().expect("it greets");
    assert_eq!(call(&sandbox).verdict(), Some(Verdict::Pass));
    fs::write(fake.beside(".answered"), "").expect("written");
    wait_for("a forged reply", || {
        fake.beside(".sent").exists().then_some(())
    });
    assert_eq!(call(&sandbox).verdict(), Some(Verdict::Pass));
    assert_eq!(sandbox.counts(), counts(2, 0, 0, 1, 1));
}

#[test]
fn an_endless_answer_is_cut_off() {
    let message =
        nonsense("host.sendall(frame(bytes(1000))[:4])\nwhile True: host.sendall(b'\\1' * 65536)");
    assert!(message.contains("more follows it"), "{message}");
}

#[test]
fn what_only_the_host_may_say_and_what_no_database_stores_is_nonsense() {
    // Err(RunError { kind: Host, message: "" })
    let message = nonsense("host.sendall(frame(bytes([0, 1, 10, 0, 0, 0, 0])))");
    assert!(message.contains("not a worker's to say"), "{message}");
    let message = nonsense("host.sendall(frame(bytes([0, 0, 0, 1, 0, 0, 0, 0])))");
    assert!(message.contains("NUL"), "{message}");
    let message =
        nonsense("host.sendall(frame(bytes([0, 0, 0, 209, 15]) + b'x' * 2001 + bytes(3)))");
    assert!(message.contains("too long"), "{message}");
    let message = nonsense("host.sendall(frame(bytes(5) + b'\\xff' * 9 + bytes([1, 0])))");
    assert!(message.contains("more fuel"), "{message}");
    let message = nonsense("host.sendall(frame(bytes(6) + b'\\xff' * 9 + bytes([1])))");
    assert!(message.contains("more time"), "{message}");
}

#[test]
fn a_worker_that_hangs_or_drips_is_stopped_at_the_deadline_and_one_that_reads_nothing_is_not_the_evals_fault()
 {
    const DRIPS: &str = "job()\nfor byte in frame(bytes(10000)):\n    host.sendall(bytes([byte]))\n    time.sleep(0.05)";
    for (lines, expected) in [
        ("job()\ntime.sleep(1000)", ErrorKind::Deadline),
        (DRIPS, ErrorKind::Deadline),
        ("time.sleep(1000)", ErrorKind::Host),
    ] {
        let fake = Fake::new(&format!("host.sendall(READY)\n{lines}"));
        let sandbox = fake.open().expect("it greets").with_limits(Limits {
            deadline: Duration::from_millis(200),
            ..Limits::default()
        });
        let largest = format!("\"{}\"", "x".repeat((8 << 20) - 2));
        let outcome = sandbox.evaluate(&eval("return True"), &largest);
        assert_eq!(kind(&outcome), Some(expected), "{lines}");
        assert_eq!(sandbox.counts(), counts(1, 0, 2, 0, 1), "{lines}");
    }
}

#[test]
fn a_question_is_asked_until_its_answer_is_sent_along_and_is_no_verdict_without_an_llm() {
    let question = Question {
        question: "kind?".to_owned(),
        text: "hi".to_owned(),
    };
    let mut answers = Answers::default();
    answers.insert(&question, true);
    let known = answers.to_json();
    let fake = Fake::new(&format!(
        "host.sendall(READY)\n\
         while True:\n    \
             known = b'{known}' in job()\n    \
             host.sendall(PASS if known else frame(b'\\1\\5kind?\\2hi'))\n"
    ));
    let sandbox = fake.open().expect("it greets");
    let step = |answers: &Answers| sandbox.step(&eval("return True"), &trace("t"), answers);
    assert_eq!(step(&Answers::default()), Reply::Asks(question));
    assert!(matches!(step(&answers), Reply::Done(outcome) if outcome.result.is_ok()));
    let outcome = call(&sandbox);
    assert_eq!(kind(&outcome), Some(ErrorKind::JudgeUnavailable));
    assert_eq!(sandbox.counts(), counts(3, 0, 0, 0, 0));
}
