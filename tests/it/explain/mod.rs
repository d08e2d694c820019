//! Why a verdict is what it is, from outside: evals of all shapes, hostile ones, and the command.

mod command;
mod hostile;
mod shapes;

use std::path::Path;

use iofold::domain::{EvalSource, Outcome, Trace};
use iofold::explain::{Explanation, Unexplained, explain};
use iofold::sandbox::{Answers, Sandbox};
use serde_json::{Value, json};

use crate::support::cache_folder;

fn sandbox() -> Sandbox {
    let worker = Path::new(env!("CARGO_BIN_EXE_iofold"));
    Sandbox::open_with_workers(worker, &cache_folder(), 1).expect("it opens")
}

/// A trace in which a question got an answer, and nothing else happened.
fn trace(question: &str, answer: &str) -> Trace {
    let said = |role: &str, content: &str| json!({"role": role, "content": content, "tool_calls": [], "name": null});
    let trace: Value = json!({
        "id": "t", "name": null, "session_id": null, "user_id": null, "timestamp": "2026-01-01T00:00:00Z",
        "tags": [], "metadata": {}, "input": question, "output": answer, "input_text": question,
        "output_text": answer, "messages": [said("user", question), said("assistant", answer)],
        "tool_calls": [], "observations": [], "latency_ms": null, "total_cost": null,
    });
    serde_json::from_value(trace).expect("it is schema 1")
}

/// What the eval says, and why.
fn explained(
    sandbox: &Sandbox,
    source: &str,
    trace: &Trace,
) -> (Outcome, Result<Explanation, Unexplained>) {
    let source = EvalSource::new(source);
    let plain = sandbox.evaluate(source.as_str(), &trace.to_json());
    let why = explain(sandbox, &source, trace, &plain, Answers::default());
    (plain, why)
}

/// The code of the deciding test; of the deciding return where no test led there.
fn deciding(explanation: &Explanation) -> &str {
    let mut deciding = explanation.steps.iter().filter(|step| step.decides);
    deciding.next_back().map_or("", |step| step.code.as_str())
}
