use super::*;
use crate::ingest::normalise;
use crate::langfuse::TracePayload;
use proptest::prelude::*;

fn recorded() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/sources/agents.json")).expect("JSON")
}

#[test]
fn what_the_sdk_sent_of_a_run_is_a_trace_with_its_tool_call() {
    let export = read_export(recorded()).expect("it is an export");
    assert_eq!((export.observations.len(), export.rejected), (8, 0));
    let payload = TracePayload::of_observations(export.observations).expect("a trace");
    assert!(payload.has_ended());
    let trace = normalise(&payload);
    assert_eq!(trace.name.as_deref(), Some("Support desk"));
    assert_eq!(trace.session_id.as_deref(), Some("thread-1"));
    assert_eq!(trace.metadata, json!({"plan": "pro"}));
    assert_eq!(trace.input_text, "Where is order #12345?");
    assert_eq!(trace.output_text, "Order #12345 was sent.");
    let [call] = &trace.tool_calls[..] else {
        panic!("there is one call: {:?}", trace.tool_calls);
    };
    assert_eq!(
        (call.name.as_str(), &call.arguments),
        ("order_status", &json!({"number": "#12345"}))
    );
    assert_eq!(call.result, json!({"number": "#12345", "status": "sent"}));
    let kinds: Vec<&str> = trace
        .observations
        .iter()
        .map(|step| step.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "CHAIN",
            "AGENT",
            "CHAIN",
            "GENERATION",
            "TOOL",
            "CHAIN",
            "GENERATION"
        ]
    );
    assert_eq!(trace.observations[3].model.as_deref(), Some("gpt-x"));
    assert!(trace.timestamp.starts_with("2026-11-30T15:14:25"));
}

#[test]
fn the_trace_alone_is_none_yet_and_an_error_is_said() {
    let Value::Array(items) = recorded()["data"].clone() else {
        panic!("a list");
    };
    let about = read_export(json!({"data": [items[0]]})).expect("an export");
    assert!(TracePayload::of_observations(about.observations).is_none());
    let mut failed = items[2].clone();
    failed["error"] = json!({"message": "boom", "data": {"error": "no such order"}});
    let export = read_export(json!({"data": [failed]})).expect("an export");
    let step = &export.observations[0];
    assert_eq!(
        (&step["level"], &step["statusMessage"]),
        (&json!("ERROR"), &json!("boom"))
    );
}

#[test]
fn every_kind_of_span_keeps_what_it_says() {
    let text = |span_data: Value| {
        let span =
            json!({"object": "trace.span", "id": "s", "trace_id": "t", "span_data": span_data});
        let export = read_export(json!({"data": [span]})).expect("an export");
        Value::Object(export.observations[0].clone()).to_string()
    };
    for (span_data, kept) in [
        (
            json!({"type": "handoff", "from_agent": "KEPT", "to_agent": "b"}),
            "SPAN",
        ),
        (
            json!({"type": "guardrail", "name": "KEPT", "triggered": true}),
            "GUARDRAIL",
        ),
        (
            json!({"type": "custom", "name": "n", "data": {"k": "KEPT"}}),
            "SPAN",
        ),
        (
            json!({"type": "mcp_tools", "server": "s", "result": ["KEPT"]}),
            "SPAN",
        ),
        (
            json!({"type": "speech", "input": "KEPT", "model": "m"}),
            "GENERATION",
        ),
        (json!({"type": "new", "output": "KEPT"}), "SPAN"),
    ] {
        let found = text(span_data);
        assert!(found.contains("KEPT") && found.contains(kept), "{found}");
    }
}

#[test]
fn what_is_no_span_is_counted() {
    let items = json!([1, {}, {"object": "trace"}, {"object": "trace.span", "id": "s"}, {"object": "x", "id": "s"},
        {"object": "trace.span", "id": "s", "trace_id": "t"}]);
    let export = read_export(json!({"data": items})).expect("an export");
    assert_eq!((export.observations.len(), export.rejected), (1, 5));
    for body in [json!([]), json!({}), json!({"data": 1}), json!(null)] {
        assert_eq!(read_export(body), None);
    }
}

proptest! {
    #[test]
    fn no_kind_and_no_text_makes_it_panic(kind in "[a-z_]{0,12}", name: String, depth in 0..200_usize) {
        let deep = (0..depth).fold(json!(name), |inner, _| json!([inner]));
        let span = json!({"object": "trace.span", "id": "s", "trace_id": "t", "error": name,
            "span_data": {"type": kind, "name": name, "input": deep, "data": deep}});
        let export = read_export(json!({"data": [span]})).expect("an export");
        let row = Value::Object(export.observations[0].clone()).to_string();
        prop_assert!(serde_json::from_str::<Value>(&row).is_ok());
    }
}
