//! What one call costs, from a trace's JSON text to the verdict: `cargo bench --bench sandbox`.
//!
//! One thread, a fresh instance a call. Beside it, in the same run: a native `python3` started for every
//! call, and as the floor one warm native interpreter that runs every call with no wall at all.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use iofold::sandbox::Sandbox;
use serde_json::json;

const CALLS: usize = 1_000;
/// Fewer: each starts a process.
const NATIVE_CALLS: usize = 100;

const TRIVIAL: &str = "def evaluate(trace):\n    return True, ''\n";

const REGEX: &str = r##"
import re

def evaluate(trace):
    text = trace["output_text"]
    words = re.findall(r"[a-z]{4,}", text.lower())
    sentences = re.split(r"[.!?]\s+", text)
    order = re.search(r"#\d{5,}", text)
    if order is None:
        return False, f"no order among {len(words)} words"
    return len(sentences) > 3, f"quotes {order.group()} in {len(sentences)} sentences"
"##;

const TOOL_CALLS: &str = r#"
def evaluate(trace):
    calls = trace["tool_calls"]
    failed = [call["name"] for call in calls if call["error"]]
    repeated = len(calls) - len({(call["name"], str(call["arguments"])) for call in calls})
    if failed:
        return False, f"failed: {', '.join(failed)}"
    return repeated == 0, f"{len(calls)} calls, {repeated} of them repeated"
"#;

/// Reads the eval and the trace as JSON, runs the one on the other `calls` times with everything anew
/// that the sandbox makes anew, and prints the microseconds of each.
const NATIVE: &str = r#"
import json, sys, time
job = json.load(sys.stdin)
for _ in range(job["calls"]):
    start = time.perf_counter()
    module = {}
    exec(compile(job["source"], "eval.py", "exec"), module)
    module["evaluate"](json.loads(job["trace"]))
    print((time.perf_counter() - start) * 1e6)
"#;

struct Case {
    name: &'static str,
    source: &'static str,
    trace: String,
}

fn main() -> io::Result<()> {
    let sandbox =
        Sandbox::open(&std::env::temp_dir().join("iofold-bench")).map_err(io::Error::other)?;
    println!("milliseconds, p50 and p90; ratio of the sandbox's p50 to the other's");
    for case in cases() {
        let sandboxed = in_sandbox(&sandbox, &case);
        let process = native_processes(&case)?;
        let warm = native_warm(&case, CALLS)?;
        println!("{} ({} bytes of trace)", case.name, case.trace.len());
        println!("  sandbox, fresh instance  {}", shown(&sandboxed));
        println!(
            "  python3 -I -c a call     {}  ratio {:.3}",
            shown(&process),
            ratio(&sandboxed, &process)
        );
        println!(
            "  one warm interpreter     {}  ratio {:.3}",
            shown(&warm),
            ratio(&sandboxed, &warm)
        );
    }
    Ok(())
}

fn cases() -> [Case; 3] {
    let sentence = "Your order #12345 left our warehouse on Tuesday and should arrive soon. ";
    let regex = trace(&sentence.repeat(4_096 / sentence.len()), 0);
    [
        Case {
            name: "trivial eval",
            source: TRIVIAL,
            trace: trace("Yes.", 0),
        },
        Case {
            name: "regex eval over 4 KB",
            source: REGEX,
            trace: regex,
        },
        Case {
            name: "tool-call eval",
            source: TOOL_CALLS,
            trace: trace("Booked.", 142),
        },
    ]
}

/// A trace in schema version 1 with `calls` tool calls of about 340 bytes each.
fn trace(answer: &str, calls: usize) -> String {
    let flight = json!({"id": "HAT001", "price": 120.5, "seats": 3, "stops": ["ORD"]});
    let call = |number| {
        json!({
            "name": "search_flights",
            "arguments": {"from": "JFK", "to": "SFO", "page": number},
            "result": {"flights": [flight, flight, flight]},
            "error": null,
        })
    };
    let question = "Where is my order #12345?";
    json!({
        "id": "t-1", "name": null, "session_id": null, "user_id": null, "timestamp": "2026-01-01T00:00:00Z",
        "tags": [], "metadata": {}, "input": question, "output": answer, "input_text": question,
        "output_text": answer, "messages": [{"role": "user", "content": question, "tool_calls": [], "name": null}],
        "tool_calls": (0..calls).map(call).collect::<Vec<_>>(), "observations": [], "latency_ms": 812.5,
        "total_cost": null,
    })
    .to_string()
}

fn in_sandbox(sandbox: &Sandbox, case: &Case) -> Vec<f64> {
    let call = || {
        let start = Instant::now();
        let outcome = sandbox.evaluate(case.source, &case.trace);
        let ms = start.elapsed().as_secs_f64() * 1e3;
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        ms
    };
    for _ in 0..50 {
        call();
    }
    sorted((0..CALLS).map(|_| call()).collect())
}

fn native_processes(case: &Case) -> io::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(NATIVE_CALLS);
    for _ in 0..NATIVE_CALLS {
        let start = Instant::now();
        native(case, 1)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(sorted(times))
}

fn native_warm(case: &Case, calls: usize) -> io::Result<Vec<f64>> {
    let printed = native(case, calls)?;
    let microseconds = printed
        .lines()
        .map(|line| line.parse::<f64>().map_err(io::Error::other));
    let times: io::Result<Vec<f64>> = microseconds.map(|us| Ok(us? / 1e3)).collect();
    Ok(sorted(times?))
}

/// What one native interpreter prints of `calls` calls.
fn native(case: &Case, calls: usize) -> io::Result<String> {
    let job = json!({"source": case.source, "trace": case.trace, "calls": calls}).to_string();
    let mut python = Command::new(python()?)
        .args(["-I", "-c", NATIVE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = python.stdin.take() {
        stdin.write_all(job.as_bytes())?;
    }
    let output = python.wait_with_output()?;
    if !output.status.success() {
        return Err(io::Error::other("the native python3 failed"));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The interpreter itself, past launchers that choose one and cost more than it does.
fn python() -> io::Result<&'static str> {
    static PATH: OnceLock<String> = OnceLock::new();
    if let Some(path) = PATH.get() {
        return Ok(path);
    }
    let asked = Command::new("python3")
        .args(["-I", "-c", "import sys; print(sys.executable)"])
        .output()?;
    let path = String::from_utf8(asked.stdout).map_err(io::Error::other)?;
    Ok(PATH.get_or_init(|| path.trim().to_owned()))
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}

fn shown(times: &[f64]) -> String {
    format!("{:8.3} {:8.3}", quantile(times, 0.5), quantile(times, 0.9))
}

fn ratio(one: &[f64], other: &[f64]) -> f64 {
    quantile(one, 0.5) / quantile(other, 0.5)
}

/// The sorted value below which `share` of all lie.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
