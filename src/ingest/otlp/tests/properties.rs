use proptest::prelude::*;
use prost::Message;
use prost::bytes::Bytes;
use serde_json::{Value, json};

use super::{decoded, export, pairs};
use crate::ingest::normalise;
use crate::ingest::otlp::decode::{Batch, Encoding, Undecodable};
use crate::ingest::otlp::message::{ExportRequest, ResourceSpans, ScopeSpans, Span};
use crate::ingest::otlp::observation::observation;
use crate::langfuse::TracePayload;

/// Every key that a convention reads, and some that come near.
fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.prompt.0.role",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt.0.tool_calls.0.name",
        "gen_ai.completion.99999999999999999999.role",
        "llm.input_messages.0.message.role",
        "llm.input_messages.0.message.contents.0.message_content.text",
        "llm.output_messages.3.message.tool_calls.1.tool_call.function.name",
        "langfuse.observation.input",
        "langfuse.observation.usage_details",
        "langfuse.observation.metadata",
        "langfuse.trace.metadata.a.b",
        "langfuse.trace.tags",
        "session.id",
        "ai.response.toolCalls",
        "retrieval.documents.0.document.metadata",
        "traceloop.entity.input",
        "metadata",
        "gen_ai.usage.input_tokens",
        "langfuse.internal.as_root",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "\\PC{0,20}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(
            "[{\"role\": 1, \"parts\": [{\"type\": \"text\"}, null]}]"
        )),
        Just(json!("{\"args\": [], \"kwargs\": {}}")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn survives(batch: Result<Batch, Undecodable>) {
    let Ok(batch) = batch else {
        return;
    };
    let observations: Vec<_> = batch.spans.iter().map(observation).collect();
    for observation in &observations {
        assert!(
            !Value::Object(observation.clone())
                .to_string()
                .contains("\\u0000")
        );
    }
    if let Some(payload) = TracePayload::of_observations(observations) {
        let trace = normalise(&payload).to_json();
        serde_json::from_str::<Value>(&trace).expect("it is read again");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused_and_never_panic(bytes: Vec<u8>) {
        survives(Batch::decode(Encoding::Protobuf, bytes.clone().into()));
        survives(Batch::decode(Encoding::Json, bytes.into()));
    }

    #[test]
    fn any_span_in_a_good_frame_never_panics(mut span: Vec<u8>, ids in any::<bool>()) {
        if ids {
            let known = Span {
                trace_id: Bytes::from_static(&[1; 16]),
                span_id: Bytes::from_static(&[1; 8]),
                ..Span::default()
            };
            span.extend(known.encode_to_vec());
        }
        let scope = ScopeSpans { spans: vec![span.into()], ..ScopeSpans::default() };
        let group = ResourceSpans { scope_spans: vec![scope.encode_to_vec().into()], ..ResourceSpans::default() };
        let request = ExportRequest { resource_spans: vec![group.encode_to_vec().into()] };
        survives(Batch::decode(Encoding::Protobuf, request.encode_to_vec().into()));
    }

    #[test]
    fn any_attributes_and_events_make_an_observation(
        attributes in prop::collection::btree_map(key(), value(), 0..12),
        event in prop::collection::btree_map(key(), value(), 0..4),
        name in prop::sample::select(vec!["gen_ai.choice", "gen_ai.tool.message", "exception", "x"]),
        times in any::<(u64, u64)>(),
    ) {
        let fields = |map: std::collections::BTreeMap<String, Value>| Value::Object(map.into_iter().collect());
        survives(Ok(decoded(&export(json!({
            "attributes": pairs(&fields(attributes)),
            "events": [{"name": name, "attributes": pairs(&fields(event))}],
            "startTimeUnixNano": times.0.to_string(), "endTimeUnixNano": times.1.to_string(),
        })))));
    }
}
