//! From a span to an observation of the shape that Langfuse's API gives.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::conventions::{self, Field, Of, said, said_here_or_around};
use super::span::{Span, Status, is_empty};
use super::values::{as_text, bounded};

/// The observation of a span, as `TracePayload::of_observations` takes it.
///
/// Beside Langfuse's fields there are `traceInput`, `traceOutput` and `traceMetadata`, which say those of the
/// trace where they are not its root's, and `hasRemoteParent`. What says nothing is left out.
pub fn observation(span: &Span) -> Map<String, Value> {
    let fields = [
        ("id", json!(span.id)),
        ("traceId", json!(span.trace_id)),
        ("parentObservationId", json!(span.parent_id)),
        ("isRootObservation", is_marked_as_root(span)),
        ("hasRemoteParent", if_true(span.has_remote_parent)),
        ("type", json!(conventions::observation_type(span))),
        ("name", json!(name(span))),
        ("startTime", json!(time(span.started_ns))),
        ("endTime", json!(time(span.ended_ns))),
        ("level", json!(level(span))),
        ("statusMessage", json!(status_message(span))),
        ("model", text(span, Field::Model)),
        ("input", bounded(conventions::input(span))),
        ("output", bounded(conventions::output(span))),
        ("usageDetails", conventions::usage(span)),
        ("costDetails", conventions::costs(span)),
        ("metadata", bounded(Value::Object(metadata(span)))),
        ("sessionId", text(span, Field::SessionId)),
        ("userId", text(span, Field::UserId)),
        ("tags", json!(conventions::tags(span))),
        ("environment", around(span, Field::Environment)),
        ("traceName", text(span, Field::TraceName)),
        ("traceInput", parsed(span, Field::TraceInput)),
        ("traceOutput", parsed(span, Field::TraceOutput)),
        (
            "traceMetadata",
            Value::Object(conventions::metadata(span, Of::Trace)),
        ),
    ];
    let said = fields.into_iter().filter(|(_, value)| !is_empty(value));
    said.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn text(span: &Span, field: Field) -> Value {
    json!(said(span, field).and_then(as_text))
}

fn around(span: &Span, field: Field) -> Value {
    json!(said_here_or_around(span, field).and_then(as_text))
}

fn parsed(span: &Span, field: Field) -> Value {
    said(span, field)
        .map(super::values::parsed)
        .unwrap_or_default()
}

/// Langfuse's SDKs mark the topmost of their own spans, whose parent may never be exported.
fn is_marked_as_root(span: &Span) -> Value {
    let mark = said(span, Field::IsRoot);
    if_true(mark.is_some_and(|mark| *mark == true || *mark == "true"))
}

fn if_true(flag: bool) -> Value {
    match flag {
        true => Value::Bool(true),
        false => Value::Null,
    }
}

fn name(span: &Span) -> String {
    let named = said(span, Field::Name).and_then(as_text);
    named.unwrap_or_else(|| span.name.clone())
}

/// RFC 3339 in UTC; `None` for 0 and for what no calendar has.
fn time(ns: u64) -> Option<String> {
    let ns = i64::try_from(ns).ok().filter(|ns| *ns > 0)?;
    let time = DateTime::from_timestamp_nanos(ns);
    Some(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// A span that failed is an error; one that recorded an exception and says nothing of itself is a warning, for
/// the exception may have been handled.
fn level(span: &Span) -> String {
    let said = said(span, Field::Level).and_then(as_text);
    said.unwrap_or_else(|| {
        let level = match span.status {
            Status::Error => "ERROR",
            Status::Unset if exception(span).is_some() => "WARNING",
            _ => "DEFAULT",
        };
        level.to_owned()
    })
}

fn status_message(span: &Span) -> Option<String> {
    let own = || Some(span.status_message.clone()).filter(|text| !text.is_empty());
    let said = said(span, Field::StatusMessage).and_then(as_text);
    said.or_else(own).or_else(|| exception(span))
}

/// The last exception that was recorded: its type and what it says.
fn exception(span: &Span) -> Option<String> {
    let event = span
        .events
        .iter()
        .rfind(|event| event.name == "exception")?;
    let part = |key: &str| event.attributes.get(key).and_then(as_text);
    let parts = [part("exception.type"), part("exception.message")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(parts.join(": "))
}

/// The named metadata, and under the keys that Langfuse gives them what is left of the attributes, the
/// resource's attributes and the scope.
fn metadata(span: &Span) -> Map<String, Value> {
    let mut metadata = conventions::metadata(span, Of::Observation);
    let left = span
        .attributes
        .iter()
        .filter(|(key, _)| !conventions::is_read(key));
    let attributes = texts(left);
    let resource = texts(span.origin.resource.iter());
    for (key, value) in [("attributes", attributes), ("resourceAttributes", resource)] {
        if !is_empty(&value) {
            metadata.insert(key.to_owned(), value);
        }
    }
    let scope = &span.origin;
    if !scope.scope_name.is_empty() {
        let scope = json!({"name": scope.scope_name, "version": scope.scope_version});
        metadata.insert("scope".to_owned(), scope);
    }
    metadata
}

/// Langfuse keeps these as texts; so that a trace is the same from either source, so do we.
fn texts<'a>(pairs: impl Iterator<Item = (&'a String, &'a Value)>) -> Value {
    let texts = pairs.filter_map(|(key, value)| Some((key.clone(), json!(as_text(value)?))));
    Value::Object(texts.collect())
}
