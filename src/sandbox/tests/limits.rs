//! Loops, bombs and sizes.

use super::*;

fn kind(lines: &str) -> ErrorKind {
    error(lines).kind
}

#[test]
fn an_endless_loop_uses_up_its_fuel() {
    let outcome = outcome("while True: pass");
    assert_eq!(outcome.result.unwrap_err().kind, ErrorKind::Fuel);
    assert_eq!(outcome.fuel, limits().fuel);
    assert_eq!(
        said("for _ in range(100_000): pass\nreturn True").0,
        Verdict::Pass
    );
}

#[test]
fn a_loop_that_swallows_every_exception_is_stopped_as_well() {
    let lines =
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass";
    assert_eq!(kind(lines), ErrorKind::Fuel);
}

#[test]
fn a_loop_while_loading_is_stopped_as_well() {
    let error = sandbox()
        .evaluate("while True: pass", TRACE)
        .result
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Fuel);
}

#[test]
fn a_power_tower_is_stopped() {
    let error = error("return 10**10**10 > 0");
    assert!(
        [ErrorKind::Fuel, ErrorKind::Memory].contains(&error.kind),
        "{error:?}"
    );
    assert_eq!(said("return 10**10**2 > 0").0, Verdict::Pass);
}

#[test]
fn a_catastrophic_regex_is_stopped() {
    assert_eq!(
        kind("import re\nreturn re.match('(a+)+$', 'a' * 64 + 'b') is None"),
        ErrorKind::Fuel
    );
    assert_eq!(
        said("import re\nreturn re.match('(a+)+$', 'a' * 64) is not None").0,
        Verdict::Pass
    );
}

#[test]
fn the_wall_clock_stands_behind_the_fuel() {
    let sandbox = with_limits(|limits| {
        limits.fuel = u64::MAX;
        limits.deadline = Duration::from_millis(50);
    });
    let error = sandbox
        .evaluate(&eval("while True: pass"), TRACE)
        .result
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Deadline);
    assert_eq!(error.message, "the eval ran longer than 0.05 s");
}

#[test]
fn deep_recursion_ends_as_the_evals_own_error() {
    let attacks = [
        "def f(): return f()\nreturn f()",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return f()\nreturn f()",
        "class A:\n    def __getattr__(self, name): return getattr(self, name + 'x')\nreturn A().a",
        "import json\nx = []\nfor _ in range(200_000): x = [x]\nreturn json.dumps(x) == ''",
        "x = ()\nfor _ in range(200_000): x = (x,)\nreturn hash(x) == repr(x)",
    ];
    for lines in attacks {
        let kind = kind(lines);
        assert!(
            [ErrorKind::Exception, ErrorKind::Memory, ErrorKind::Fuel].contains(&kind),
            "{lines}: {kind:?}"
        );
    }
    assert_eq!(kind(attacks[0]), ErrorKind::Exception);
    assert_eq!(
        said("def f(n): return n == 0 or f(n - 1)\nreturn f(100)").0,
        Verdict::Pass
    );
    assert_the_next_call_is_clean();
}

#[test]
fn a_memory_bomb_is_stopped_and_the_host_keeps_its_memory() {
    let bombs = [
        "return len(bytearray(1 << 30)) > 0",
        "return len('x' * (1 << 30)) > 0",
        "x = [0]\nwhile True: x += x",
        "x = []\nwhile True:\n    try:\n        x.append(bytearray(1 << 20))\n    except MemoryError:\n        raise",
    ];
    let before = resident_bytes();
    for _ in 0..4 {
        for lines in bombs {
            assert_eq!(kind(lines), ErrorKind::Memory, "{lines}");
        }
    }
    // Leaked, they would be 2 GiB; other tests run beside this one.
    assert!(resident_bytes().saturating_sub(before) < 512 << 20);
    assert_eq!(said("return len(bytearray(32 << 20)) > 0").0, Verdict::Pass);
}

#[test]
fn a_caught_memory_error_spoils_nothing() {
    let lines = "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    return True, 'caught'";
    assert_eq!(said(lines).1, "caught");
}

#[test]
fn memory_below_what_the_interpreter_takes_is_the_hosts_fault() {
    let sandbox = with_limits(|limits| limits.memory_bytes = 1 << 20);
    let error = sandbox
        .evaluate(&eval("return True"), TRACE)
        .result
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Host);
}

#[test]
fn a_source_over_its_limit_is_refused_with_its_size() {
    let padded = |bytes| {
        let source = eval("return True");
        let padding = " ".repeat(bytes - source.len());
        source + &padding
    };
    assert_eq!(
        sandbox().evaluate(&padded(256 << 10), TRACE).verdict(),
        Some(Verdict::Pass)
    );
    let outcome = sandbox().evaluate(&padded((256 << 10) + 1), TRACE);
    assert_eq!(outcome.fuel, 0);
    let error = outcome.result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
    assert_eq!(
        error.message,
        "the eval's source has 262145 bytes; the limit is 262144"
    );
}

#[test]
fn a_trace_over_its_limit_is_refused_with_its_size() {
    let padded = |bytes: usize| format!("{{\"output_text\": \"{}\"}}", "x".repeat(bytes - 19));
    let source = eval("return len(trace['output_text']) > 8_000_000");
    assert_eq!(
        sandbox().evaluate(&source, &padded(8 << 20)).verdict(),
        Some(Verdict::Pass)
    );
    let error = sandbox()
        .evaluate(&source, &padded((8 << 20) + 1))
        .result
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::TraceTooLarge);
    assert_eq!(
        error.message,
        "the trace has 8388609 bytes; the limit is 8388608"
    );
}

#[test]
fn the_largest_trace_fits_into_memory_when_it_is_dense() {
    let call = r#"{"name": "search", "arguments": {"page": 1, "to": ["SFO", "JFK"]}, "result": {"price": 120.5, "ok": true}, "error": null},"#;
    let calls = call.repeat((8 << 20) / call.len() - 1);
    let trace = format!("{{\"tool_calls\": [{}]}}", calls.trim_end_matches(','));
    let source = eval("return len(trace['tool_calls']) > 60_000");
    let outcome = sandbox().evaluate(&source, &trace);
    assert_eq!(outcome.result, Ok((Verdict::Pass, String::new())));
}

#[test]
fn more_callers_than_slots_wait_for_each_other() {
    std::thread::scope(|scope| {
        for _ in 0..crate::sandbox::engine::SLOTS * 3 {
            scope.spawn(|| assert_eq!(said("return True").0, Verdict::Pass));
        }
    });
}

/// Resident memory of this process.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
