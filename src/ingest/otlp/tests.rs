mod conventions;
mod properties;
mod vercel;

use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;
use serde_json::{Map, Value, json};

use super::decode::{Batch, Encoding, Undecodable};
use super::message::{
    Any, AnyValue, Event, ExportRequest, KeyValue, ResourceSpans, ScopeSpans, Span, Status,
};
use super::observation::observation;
use crate::ingest::normalise;
use crate::langfuse::TracePayload;

const TRACE_ID: &str = "0123456789abcdef0123456789abcdef";
const SPAN_ID: &str = "0123456789abcdef";

/// A JSON export of one span with these fields beside its ids and times.
fn export(fields: Value) -> Value {
    let mut span = json!({
        "traceId": TRACE_ID, "spanId": SPAN_ID, "name": "step",
        "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225601500000000",
    });
    let more = fields.as_object().expect("fields").clone();
    span.as_object_mut().expect("a span").extend(more);
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"scope": {"name": "lib", "version": "1"}, "spans": [span]}],
    }]})
}

fn wire(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(wire).collect::<Vec<_>>()}})
        }
        Value::Object(_) => json!({"kvlistValue": {"values": pairs(value)}}),
        Value::Null => json!({}),
    }
}

fn pairs(fields: &Value) -> Value {
    let fields = fields.as_object().expect("fields").iter();
    fields
        .map(|(key, value)| json!({"key": key, "value": wire(value)}))
        .collect()
}

fn decoded(export: &Value) -> Batch {
    let body = export.to_string().into_bytes();
    Batch::decode(Encoding::Json, body.into()).expect("it is an export")
}

fn observed(fields: Value) -> Map<String, Value> {
    let batch = decoded(&export(fields));
    observation(batch.spans.first().expect("it is taken"))
}

/// The observation of a span with these attributes.
fn of(attributes: Value) -> Map<String, Value> {
    observed(json!({"attributes": pairs(&attributes)}))
}

fn with_events(events: &[(&str, Value)]) -> Map<String, Value> {
    let events = events
        .iter()
        .map(|(name, attributes)| json!({"name": name, "attributes": pairs(attributes)}));
    observed(json!({"events": events.collect::<Vec<_>>()}))
}

/// The roles and contents of the messages that a trace of this one observation has.
fn script(observation: Map<String, Value>) -> Vec<(String, String)> {
    let payload = TracePayload::of_observations(vec![observation]).expect("a trace");
    let messages = normalise(&payload).messages.into_iter();
    messages
        .map(|message| (message.role, message.content))
        .collect()
}

fn said(turns: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(role, text): &(&str, &str)| (role.to_string(), text.to_string());
    turns.iter().map(owned).collect()
}

#[test]
fn a_span_without_any_convention_is_a_span_with_what_it_says() {
    let found = observed(json!({
        "parentSpanId": "FEDCBA9876543210", "flags": 0x301, "kind": 3, "unknown": [1],
        "attributes": pairs(&json!({"http.route": "/x", "n": 7, "list": ["a", 1], "none": null})),
    }));
    assert_eq!(
        Value::Object(found),
        json!({
            "id": SPAN_ID, "traceId": TRACE_ID, "parentObservationId": "fedcba9876543210",
            "hasRemoteParent": true, "type": "SPAN", "name": "step", "level": "DEFAULT",
            "startTime": "2026-01-01T00:00:00.000000Z", "endTime": "2026-01-01T00:00:01.500000Z",
            "metadata": {
                "attributes": {"http.route": "/x", "n": "7", "list": "[\"a\",1]"},
                "resourceAttributes": {"service.name": "shop"},
                "scope": {"name": "lib", "version": "1"},
            },
        })
    );
}

#[test]
fn both_encodings_say_the_same() {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let pair = |key: &str, value| KeyValue {
        key: text(key),
        value: Some(AnyValue { value: Some(value) }),
    };
    let span = Span {
        trace_id: hex::decode(TRACE_ID).expect("hex").into(),
        span_id: hex::decode(SPAN_ID).expect("hex").into(),
        name: text("step"),
        start_time_unix_nano: 1_767_225_600_000_000_000,
        end_time_unix_nano: 1_767_225_601_500_000_000,
        attributes: vec![
            pair("gen_ai.request.model", Any::Text(text("m"))),
            pair("i", Any::Int(-3)),
        ],
        events: vec![Event {
            name: text("exception"),
            attributes: vec![pair("exception.message", Any::Text(text("no")))],
        }],
        status: Some(Status {
            code: 2,
            ..Status::default()
        }),
        ..Span::default()
    };
    let origin = json!({"attributes": []});
    let scope = ScopeSpans {
        spans: vec![span.encode_to_vec().into()],
        ..ScopeSpans::default()
    };
    let group = ResourceSpans {
        scope_spans: vec![scope.encode_to_vec().into()],
        ..ResourceSpans::default()
    };
    let request = ExportRequest {
        resource_spans: vec![group.encode_to_vec().into()],
    };
    let batch = Batch::decode(Encoding::Protobuf, request.encode_to_vec().into());
    let by_protobuf = observation(&batch.expect("it is an export").spans[0]);
    let mut written = export(json!({
        "attributes": pairs(&json!({"gen_ai.request.model": "m", "i": -3})),
        "events": [{"name": "exception", "attributes": pairs(&json!({"exception.message": "no"}))}],
        "status": {"code": 2},
    }));
    written["resourceSpans"][0]["resource"] = origin;
    written["resourceSpans"][0]["scopeSpans"][0]["scope"] = Value::Null;
    let by_json = observation(&decoded(&written).spans[0]);
    assert_eq!(by_protobuf, by_json);
    assert_eq!(by_json["level"], "ERROR");
    assert_eq!(by_json["statusMessage"], "no");
    assert_eq!(by_json["type"], "GENERATION", "it asks a model");
}

#[test]
fn an_exception_alone_is_a_warning_and_a_failed_status_an_error() {
    let exception = json!([{"name": "exception", "attributes": pairs(&json!({
        "exception.type": "ValueError", "exception.message": "no"}))}]);
    for (status, level, message) in [
        (json!({}), "WARNING", "ValueError: no"),
        (json!({"code": 1}), "DEFAULT", "ValueError: no"),
        (json!({"code": 2, "message": "boom"}), "ERROR", "boom"),
        (
            json!({"code": "STATUS_CODE_ERROR"}),
            "ERROR",
            "ValueError: no",
        ),
    ] {
        let found = observed(json!({"events": exception, "status": status}));
        assert_eq!(
            (&found["level"], &found["statusMessage"]),
            (&json!(level), &json!(message)),
            "{status}"
        );
    }
}

#[test]
fn what_cannot_be_taken_is_rejected_and_the_rest_is_taken() {
    let mut export = export(json!({}));
    let spans = export["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array_mut()
        .expect("spans");
    let good = spans[0].clone();
    let mut zero = good.clone();
    zero["spanId"] = json!("0000000000000000");
    let mut short = good.clone();
    short["traceId"] = json!("abcd");
    let mut huge = good.clone();
    huge["name"] = json!("x".repeat(5 * 1024 * 1024));
    spans.extend([json!("a text"), zero, short, huge, good]);
    let batch = decoded(&export);
    assert_eq!((batch.spans.len(), batch.rejected), (2, 4));
    let complaint = batch.complaint().expect("it complains");
    assert!(complaint.starts_with("4 not taken"), "{complaint}");
    assert!(decoded(&json!({})).complaint().is_none());
    for body in [
        "",
        "[]",
        "{",
        "{\"resourceSpans\": 1}",
        "{\"resourceSpans\": [1]}",
    ] {
        let read = Batch::decode(Encoding::Json, Bytes::from_static(body.as_bytes()));
        assert_eq!(read.err(), Some(Undecodable), "{body}");
    }
    let read = Batch::decode(Encoding::Protobuf, Bytes::from_static(b"\xff\xff"));
    assert_eq!(read.err(), Some(Undecodable));
}

#[test]
fn text_that_no_row_can_hold_is_cleaned_in_both_encodings() {
    let body = export(json!({"attributes": pairs(&json!({"input.value": "SURROGATE"}))}));
    let body = body.to_string().replace("SURROGATE", "a\\u0000b\\ud800c");
    let batch = Batch::decode(Encoding::Json, body.into()).expect("it is an export");
    assert_eq!(observation(&batch.spans[0])["input"], "a\u{fffd}b\u{fffd}c");
    let span = Span {
        trace_id: Bytes::from_static(&[1; 16]),
        span_id: Bytes::from_static(&[1; 8]),
        // A lone surrogate as JavaScript's encoders write it.
        name: Bytes::from_static(b"a\0b\xed\xa0\x80c"),
        ..Span::default()
    };
    let read = super::span::Span::of(span, &Arc::default()).expect("it has ids");
    assert_eq!(read.name, "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}c");
}

#[test]
fn what_is_nested_without_end_is_still_read_from_its_row() {
    let deep = (0..90).fold(json!("core"), |inner, _| json!({ "k": inner }));
    let found =
        of(json!({"input.value": deep.to_string(), "langfuse.trace.metadata.d": deep.to_string()}));
    let row = Value::Object(found).to_string();
    let read: Map<String, Value> = serde_json::from_str(&row).expect("a row is read again");
    assert!(
        read["input"]
            .as_str()
            .is_some_and(|text| text.contains("core"))
    );
    let payload = TracePayload::of_observations(vec![read]).expect("a trace");
    let trace = normalise(&payload).to_json();
    serde_json::from_str::<Value>(&trace).expect("so is a trace");
}

#[tokio::test]
async fn a_sender_that_has_to_come_again_is_told_when() {
    use super::reply::Refused;
    for (refused, status, wait) in [
        (Refused::Busy, 429, Some("1")),
        (Refused::Unavailable, 503, Some("5")),
        (Refused::TooLarge, 413, None),
        (Refused::Unauthorized, 401, None),
    ] {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let reply = refused.reply(encoding);
            assert_eq!(reply.status().as_u16(), status);
            let said = reply.headers().get("retry-after");
            assert_eq!(said.map(|wait| wait.as_bytes()), wait.map(str::as_bytes));
        }
    }
}
