//! Where fuel, memory and sizes end, and what is still within them.

use std::thread;

use iofold::domain::Verdict;

use super::*;

fn outcome(lines: &str) -> Outcome {
    shared().evaluate(&eval(lines), &trace("t"))
}

fn passes(outcome: &Outcome) -> bool {
    outcome.verdict() == Some(Verdict::Pass)
}

fn with_limits(change: impl FnOnce(&mut Limits)) -> Sandbox {
    let mut limits = patient();
    change(&mut limits);
    shared().clone().with_limits(limits)
}

#[test]
fn an_endless_loop_uses_up_exactly_its_fuel() {
    let sandbox = with_limits(|limits| limits.fuel = 1_000_000_000);
    let outcome = sandbox.evaluate(&eval("while True: pass"), &trace("t"));
    assert_eq!(kind(&outcome), Some(ErrorKind::Fuel));
    assert_eq!(outcome.fuel, 1_000_000_000);
    let twin = sandbox.evaluate(
        &eval("for _ in range(100_000): pass\nreturn True"),
        &trace("t"),
    );
    assert!(passes(&twin), "{twin:?}");
}

#[test]
fn a_call_uses_the_same_fuel_under_any_limit_that_it_fits() {
    let source = eval("return sum(range(1_000_000)) > 0");
    let used = shared().evaluate(&source, &trace("t")).fuel;
    let enough = with_limits(|limits| limits.fuel = used * 2).evaluate(&source, &trace("t"));
    assert!(passes(&enough) && enough.fuel == used, "{enough:?}");
    let short = with_limits(|limits| limits.fuel = used / 2).evaluate(&source, &trace("t"));
    assert_eq!(
        (kind(&short), short.fuel),
        (Some(ErrorKind::Fuel), used / 2)
    );
}

#[test]
fn memory_ends_at_its_limit_and_large_texts_fit() {
    assert_eq!(
        kind(&outcome("return len(bytearray(1 << 30)) > 0")),
        Some(ErrorKind::Memory)
    );
    assert!(passes(&outcome("return len(bytearray(32 << 20)) > 0")));
    let small = with_limits(|limits| limits.memory_bytes = 24 << 20);
    let source = eval("return len(bytearray(32 << 20)) > 0");
    assert_eq!(
        kind(&small.evaluate(&source, &trace("t"))),
        Some(ErrorKind::Memory)
    );
    assert!(passes(&small.evaluate(&eval("return True"), &trace("t"))));
}

#[test]
fn a_caught_memory_error_spoils_nothing() {
    let lines = "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    return True, 'caught'";
    assert_eq!(reason(&outcome(lines)), "caught");
}

#[test]
fn a_source_over_its_limit_is_refused_with_its_size() {
    let own = eval("return True");
    let padded = |bytes: usize| own.clone() + &" ".repeat(bytes - own.len());
    let fits = shared().evaluate(&padded(256 << 10), &trace("t"));
    assert!(passes(&fits), "{fits:?}");
    let outcome = shared().evaluate(&padded((256 << 10) + 1), &trace("t"));
    assert_eq!(outcome.fuel, 0);
    let error = outcome.result.expect_err("it is too long");
    assert_eq!(error.kind, ErrorKind::Syntax);
    let message = "the eval's source has 262145 bytes; the limit is 262144";
    assert_eq!(error.message, message);
}

#[test]
fn a_trace_over_its_limit_is_refused_with_its_size() {
    let padded = |bytes: usize| format!("{{\"output_text\": \"{}\"}}", "x".repeat(bytes - 19));
    let source = eval("return len(trace['output_text']) > 8_000_000");
    let fits = shared().evaluate(&source, &padded(8 << 20));
    assert!(passes(&fits), "{fits:?}");
    let outcome = shared().evaluate(&source, &padded((8 << 20) + 1));
    let error = outcome.result.expect_err("it is too long");
    assert_eq!(error.kind, ErrorKind::TraceTooLarge);
    let message = "the trace has 8388609 bytes; the limit is 8388608";
    assert_eq!(error.message, message);
}

#[test]
fn the_largest_trace_fits_into_memory_when_it_is_dense() {
    let call = r#"{"name": "search", "arguments": {"page": 1, "to": ["SFO", "JFK"]}, "result": {"price": 120.5, "ok": true}, "error": null},"#;
    let calls = call.repeat((8 << 20) / call.len() - 1);
    let trace = format!("{{\"tool_calls\": [{}]}}", calls.trim_end_matches(','));
    let source = eval("return len(trace['tool_calls']) > 60_000");
    let outcome = shared().evaluate(&source, &trace);
    assert!(passes(&outcome), "{outcome:?}");
}

#[test]
fn more_callers_than_workers_wait_for_each_other() {
    thread::scope(|scope| {
        for _ in 0..48 {
            scope.spawn(|| assert!(passes(&outcome("return True"))));
        }
    });
}

/// The command line on a host with little memory for processes: what `ulimit -d` limits.
#[cfg(target_os = "linux")]
fn run_with_host_memory(kib: u32) -> (Option<i32>, serde_json::Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let eval = file(
        "eval.py",
        &eval("return len(bytearray(50_000_000)) > 0, 'it fits'"),
    );
    let traces = file("traces.jsonl", "{\"id\": \"t\"}\n");
    let output = Command::new("bash")
        .args(["-c", &format!("ulimit -d {kib} && exec \"$@\""), "bash"])
        .arg(env!("CARGO_BIN_EXE_iofold"))
        .args(["eval", "run"])
        .args([eval, traces])
        .env(
            "XDG_CACHE_HOME",
            concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp"),
        )
        .output()
        .expect("bash runs");
    let line = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), line)
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_the_host_lacks_is_not_the_evals_fault() {
    let (code, line) = run_with_host_memory(2_000_000);
    assert_eq!((code, &line["reason"]), (Some(0), &"it fits".into()));
    let (code, line) = run_with_host_memory(40_000);
    assert_eq!(
        (code, &line["error"]["kind"], &line["receipt"]),
        (Some(3), &"host".into(), &serde_json::Value::Null)
    );
}

#[test]
fn what_overflows_the_engines_stack_is_no_lasting_outcome() {
    let nested = |depth: u32| {
        outcome(&format!(
            "values = iter(range(9))\nfor _ in range({depth}): values = map(int, values)\nreturn sum(values) == 36"
        ))
    };
    assert!(passes(&nested(1_000)));
    let overflown = nested(100_000);
    assert_eq!(kind(&overflown), Some(ErrorKind::Exception));
    assert!(
        !overflown.is_repeatable(),
        "how deep it got depends on the processor"
    );
}
