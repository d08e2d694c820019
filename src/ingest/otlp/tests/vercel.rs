//! Spans of Vercel's AI SDK (`tests/sdk/payloads`): read from here as they are read from Langfuse.

use std::path::Path;

use serde_json::{Value, json};

use super::{observed, pairs};
use crate::ingest::normalise;
use crate::langfuse::TracePayload;

fn observation(at: usize, span: &Value) -> serde_json::Map<String, Value> {
    let time = |ms: usize| (1_767_225_600_000_000_000 + (at * 1_000 + ms) * 1_000_000).to_string();
    let id = |name: &str| {
        let step = name.strip_prefix("step-").expect("an id");
        format!("{:016x}", step.parse::<u64>().expect("a number") + 1)
    };
    observed(json!({
        "spanId": id(&format!("step-{at}")), "parentSpanId": span["parent"].as_str().map(id),
        "startTimeUnixNano": time(0), "endTimeUnixNano": time(500),
        "attributes": pairs(&span["attributes"]),
    }))
}

#[test]
fn the_ai_sdks_spans_are_read_as_langfuse_has_them() {
    for name in ["text", "tools", "text_and_tools"] {
        let path = format!("tests/fixtures/normaliser/vercel_{name}_spans.json");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(path).expect("it can be read");
        let fixture: Value = serde_json::from_str(&text).expect("it is JSON");
        let spans = fixture["spans"].as_array().expect("spans").iter();
        let observations = spans.enumerate().map(|(at, span)| observation(at, span));
        let payload = TracePayload::of_observations(observations.collect()).expect("a trace");
        let trace = normalise(&payload);
        let reading = &fixture["reading"];
        assert_eq!(json!(trace.input_text), reading["input_text"], "{name}");
        assert_eq!(json!(trace.output_text), reading["output_text"], "{name}");
        let said = |messages: &Value| -> Vec<(Value, Value)> {
            let messages = messages.as_array().expect("messages").iter();
            messages
                .map(|message| (message["role"].clone(), message["content"].clone()))
                .collect()
        };
        assert_eq!(
            said(&json!(trace.messages)),
            said(&reading["messages"]),
            "{name}"
        );
        let results = |calls: &Value| -> Vec<Value> {
            let calls = calls.as_array().expect("calls").iter();
            calls.map(|call| call["result"].clone()).collect()
        };
        assert_eq!(
            results(&json!(trace.tool_calls)),
            results(&reading["tool_calls"]),
            "{name}"
        );
    }
}
