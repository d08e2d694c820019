use super::*;
use crate::ingest::normalise;
use crate::langfuse::TracePayload;
use proptest::prelude::*;

/// What the SDK sent of a traced function, as either route gives it back.
fn recorded() -> Vec<Value> {
    let sent = include_str!("../../../tests/fixtures/sources/langsmith.json");
    let Value::Object(mut sent) = serde_json::from_str(sent).expect("JSON") else {
        panic!("an object");
    };
    let Some(Value::Array(runs)) = sent.remove("post") else {
        panic!("runs");
    };
    runs
}

fn as_second_route(mut run: Value) -> Value {
    run["run_type"] = json!(run["run_type"].as_str().expect("a type").to_uppercase());
    if let Some(parent) = run.as_object_mut().expect("fields").remove("parent_run_id") {
        run["parent_run_ids"] = json!(["outermost", parent]);
    }
    run
}

#[test]
fn what_the_sdk_sent_is_the_same_trace_by_either_route_and_in_any_order() {
    let mut backwards: Vec<Value> = recorded().into_iter().map(as_second_route).collect();
    backwards.reverse();
    for runs in [recorded(), backwards] {
        let observations = runs.into_iter().filter_map(observation).collect();
        let payload = TracePayload::of_observations(observations).expect("a trace");
        assert!(payload.has_ended());
        let trace = normalise(&payload);
        assert_eq!(trace.name.as_deref(), Some("Support desk"));
        assert_eq!(
            (trace.session_id.as_deref(), trace.user_id.as_deref()),
            (Some("thread-1"), Some("u1"))
        );
        assert_eq!(trace.tags, ["beta"]);
        assert_eq!(trace.input, json!({"question": "Where is order #12345?"}));
        assert_eq!(trace.output, json!("Order #12345 was sent."));
        assert_eq!(trace.input_text, "Where is order #12345?");
        assert_eq!(trace.output_text, "Order #12345 was sent.");
        let [call] = &trace.tool_calls[..] else {
            panic!("there is one call: {:?}", trace.tool_calls);
        };
        assert_eq!(
            (call.name.as_str(), &call.result["status"]),
            ("order_status", &json!("sent"))
        );
        let kinds: Vec<&str> = trace
            .observations
            .iter()
            .map(|step| step.kind.as_str())
            .collect();
        assert_eq!(kinds, ["CHAIN", "TOOL", "GENERATION"]);
        assert_eq!(trace.observations[2].model.as_deref(), Some("gpt-x"));
        let root = &trace.observations[0];
        assert_eq!(
            trace.observations[1].parent_id.as_deref(),
            Some(root.id.as_str())
        );
        assert_ne!(root.id, trace.id);
    }
}

#[test]
fn sums_are_not_counted_twice_and_an_error_is_said() {
    let run = |run_type: &str, parent: Option<&str>| {
        observation(json!({"id": run_type, "trace_id": "t", "parent_run_id": parent, "run_type": run_type,
            "start_time": "2026-01-01T00:00:00.25", "end_time": "2026-01-01T00:00:01", "total_tokens": 4,
            "total_cost": "0.5", "error": "boom", "tags": ["x"]}))
        .expect("it has ids")
    };
    let observations = vec![run("chain", None), run("llm", Some("chain"))];
    assert_eq!(observations[1].get("tags"), None);
    let trace = normalise(&TracePayload::of_observations(observations).expect("a trace"));
    assert_eq!(trace.total_cost, Some(0.5));
    assert_eq!(trace.observations[0].usage, Value::Null);
    assert_eq!(trace.observations[1].usage, json!({"total": 4}));
    assert_eq!(
        trace.observations[1].status_message.as_deref(),
        Some("boom")
    );
    assert_eq!(
        (trace.timestamp.as_str(), trace.latency_ms),
        ("2026-01-01T00:00:00.250Z", Some(750.0))
    );
}

#[test]
fn what_has_no_ids_is_left_out() {
    for run in [
        json!(1),
        json!({}),
        json!({"id": "r"}),
        json!({"id": "", "trace_id": "t"}),
    ] {
        assert!(observation(run).is_none());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_is_lost(text: String, depth in 0..200_usize) {
        let deep = (0..depth).fold(json!(text), |inner, _| json!([inner]));
        let run = json!({"id": text, "trace_id": "t", "start_time": text, "error": text, "inputs": deep, "extra": text});
        if let Some(found) = observation(run) {
            let row = Value::Object(found).to_string();
            prop_assert!(serde_json::from_str::<Value>(&row).is_ok());
        }
    }
}
