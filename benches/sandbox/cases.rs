//! The evals that all ways run, each with the trace that it runs on.

use serde_json::json;

/// Which of the evals a case is: some bars are set for one alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Eval {
    Trivial,
    Regex,
    ToolCalls,
}

pub struct Case {
    pub eval: Eval,
    pub name: &'static str,
    pub source: &'static str,
    /// JSON, schema version 1.
    pub trace: String,
}

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

pub fn all() -> [Case; 3] {
    let sentence = "Your order #12345 left our warehouse on Tuesday and should arrive soon. ";
    [
        Case {
            eval: Eval::Trivial,
            name: "trivial eval",
            source: TRIVIAL,
            trace: trace("Yes.", 0),
        },
        Case {
            eval: Eval::Regex,
            name: "regex eval over 4 KB",
            source: REGEX,
            trace: trace(&sentence.repeat(4_096 / sentence.len()), 0),
        },
        Case {
            eval: Eval::ToolCalls,
            name: "tool-call eval over 40 KB",
            source: TOOL_CALLS,
            trace: trace("Booked.", 142),
        },
    ]
}

/// A trace with `calls` tool calls of about 280 bytes each.
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
