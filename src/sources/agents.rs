//! Traces of OpenAI's Agents SDK, as its exporter sends them: `{"data": [{"object": "trace", …}, {"object":
//! "trace.span", …}]}`.
//!
//! A span is sent when it has ended, a trace when it begins. Source: `agents.tracing` of the package `openai-agents`
//! 0.24.

use serde_json::{Map, Value, json};

use super::ORIGIN;
use crate::domain::{Origin, bounded, parsed};
use crate::langfuse::ABOUT_TRACE;

type Fields = Map<String, Value>;

/// What is not taken of an export.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Observations of Langfuse's shape.
    pub observations: Vec<Fields>,
    /// Items without an id, or of no known kind.
    pub rejected: usize,
}

/// Reads a body; `None` for what is no export.
pub fn read_export(body: Value) -> Option<Export> {
    let Value::Object(mut body) = body else {
        return None;
    };
    let Some(Value::Array(items)) = body.remove("data") else {
        return None;
    };
    let mut export = Export::default();
    for item in items {
        match observation(item) {
            Some(observation) => export.observations.push(observation),
            None => export.rejected += 1,
        }
    }
    Some(export)
}

fn observation(item: Value) -> Option<Fields> {
    let Value::Object(mut item) = item else {
        return None;
    };
    let mut observation = match item.get("object")?.as_str()? {
        "trace" => about_trace(&mut item)?,
        "trace.span" => step(&mut item)?,
        _ => return None,
    };
    observation.insert(ORIGIN.to_owned(), json!(Origin::Agents.name()));
    observation.retain(|_, value| !is_nothing(value));
    Some(observation)
}

/// What the SDK says of the trace itself. It has no end of its own.
fn about_trace(item: &mut Fields) -> Option<Fields> {
    let id = id_of(item, "id")?;
    Some(fields([
        // A row under the trace's own id is v3's line.
        ("id", json!(format!("about-{id}"))),
        ("traceId", json!(id)),
        ("type", json!(ABOUT_TRACE)),
        ("isRootObservation", json!(false)),
        ("traceName", taken(item, "workflow_name")),
        ("sessionId", taken(item, "group_id")),
        ("traceMetadata", bounded(taken(item, "metadata"))),
    ]))
}

fn step(item: &mut Fields) -> Option<Fields> {
    let said = match item.remove("span_data") {
        Some(Value::Object(said)) => said,
        _ => Fields::new(),
    };
    let error = item.remove("error").unwrap_or_default();
    let mut observation = fields([
        ("id", json!(id_of(item, "id")?)),
        ("traceId", json!(id_of(item, "trace_id")?)),
        ("parentObservationId", taken(item, "parent_id")),
        ("startTime", taken(item, "started_at")),
        ("endTime", taken(item, "ended_at")),
        ("level", json!((!is_nothing(&error)).then_some("ERROR"))),
        ("statusMessage", error["message"].clone()),
    ]);
    let kind = said.get("type").and_then(Value::as_str);
    let kind = kind.unwrap_or_default().to_owned();
    observation.insert("type".to_owned(), json!(langfuses_type(&kind)));
    observation.extend(of_span(&kind, said));
    let name = observation.entry("name").or_insert(Value::Null);
    if is_nothing(name) {
        *name = json!(kind);
    }
    observation.insert("metadata".to_owned(), bounded(taken(item, "metadata")));
    Some(observation)
}

/// What a span says, by its kind.
fn of_span(kind: &str, mut said: Fields) -> Fields {
    let mut part = |key: &str| bounded(said.remove(key).unwrap_or_default());
    match kind {
        "custom" => of_custom(part("name"), part("data")),
        "guardrail" => fields([
            ("name", part("name")),
            ("output", json!({"triggered": part("triggered")})),
        ]),
        "handoff" => fields([
            ("input", json!({"from_agent": part("from_agent")})),
            ("output", json!({"to_agent": part("to_agent")})),
        ]),
        "mcp_tools" => fields([
            ("input", json!({"server": part("server")})),
            ("output", part("result")),
        ]),
        _ => fields([
            ("name", part("name")),
            ("model", part("model")),
            ("usageDetails", part("usage")),
            ("input", parsed(&part("input"))),
            ("output", parsed(&part("output"))),
        ]),
    }
}

/// The SDK's own tasks and turns are custom spans, with the sum of the usage below them.
fn of_custom(name: Value, data: Value) -> Fields {
    if is_nothing(&data["sdk_span_type"]) {
        return fields([("name", name), ("input", data)]);
    }
    let own = [&data["name"], &data["agent_name"]];
    let own = own.into_iter().find(|name| !is_nothing(name));
    fields([
        ("name", own.cloned().unwrap_or(name)),
        ("type", json!("CHAIN")),
    ])
}

fn langfuses_type(kind: &str) -> &'static str {
    match kind {
        "agent" => "AGENT",
        "generation" | "response" | "transcription" | "speech" => "GENERATION",
        "function" => "TOOL",
        "guardrail" => "GUARDRAIL",
        _ => "SPAN",
    }
}

fn id_of(item: &Fields, key: &str) -> Option<String> {
    let id = item.get(key)?.as_str()?;
    (!id.is_empty()).then(|| id.to_owned())
}

fn taken(from: &mut Fields, key: &str) -> Value {
    from.remove(key).unwrap_or_default()
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Fields {
    let pairs = pairs.into_iter();
    pairs.map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
#[path = "agents_tests.rs"]
mod tests;
