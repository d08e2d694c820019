//! Attacks, looked at from the host. Each has a twin without the attack that succeeds.

mod attacks;
mod cache;
mod contract;
mod limits;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::{Limits, Sandbox};
use crate::domain::{ErrorKind, Outcome, RunError, Verdict};

const TRACE: &str =
    r#"{"id": "t-1", "input_text": "Where is #12345?", "output_text": "It is on its way."}"#;

/// Kept between test runs.
fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache")
}

/// With less fuel than in service, so that loops end soon, and with time enough for a busy machine.
fn limits() -> Limits {
    Limits {
        fuel: 4_000_000_000,
        deadline: Duration::from_secs(120),
        ..Limits::default()
    }
}

fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::open(&cache_dir()).unwrap().with_limits(limits()))
}

fn with_limits(change: impl FnOnce(&mut Limits)) -> Sandbox {
    let mut limits = limits();
    change(&mut limits);
    sandbox().clone().with_limits(limits)
}

/// `lines` as the body of `evaluate`.
fn eval(lines: &str) -> String {
    let body: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("def evaluate(trace):\n{body}")
}

fn outcome(lines: &str) -> Outcome {
    sandbox().evaluate(&eval(lines), TRACE)
}

fn said(lines: &str) -> (Verdict, String) {
    outcome(lines).result.unwrap()
}

fn error(lines: &str) -> RunError {
    outcome(lines).result.expect_err(lines)
}

fn assert_forbidden(lines: &str) -> String {
    let error = error(lines);
    assert_eq!(
        error.kind,
        ErrorKind::Forbidden,
        "{lines}: {}",
        error.message
    );
    error.message
}

/// The call after an attack: a fresh one, or it would not answer this.
fn assert_the_next_call_is_clean() {
    let lines = "import json, re\nreturn json.loads('[1]') == [1] and len(re.findall('a', 'aa')) == 2, trace['id']";
    assert_eq!(said(lines), (Verdict::Pass, "t-1".to_owned()));
}
