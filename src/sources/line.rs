//! The lines of a file as traces.

use serde_json::{Map, Value, json};

use crate::domain::{is_deeper_than, lenient, sha256_hex};
use crate::langfuse::TracePayload;

/// What a line may be, for the sentence about one that is nothing of it.
const FORMS: &str = "make it a trace detail, {\"input\", \"output\"}, {\"messages\"}, {\"item\", \"sample\"} or {\"trace\"}";
/// Values are stored some levels down in a row, which is read again with a limit of 128 levels.
const DEPTH_MAX: usize = 100;

type Fields = Map<String, Value>;

/// A trace of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Lined {
    /// With an id, which is made of the content where the line has none.
    pub trace: TracePayload,
    /// Whether the line says when the trace began; where it does not, `trace.timestamp` is `None`.
    pub is_timed: bool,
}

/// The traces of a line: one, or those of a session.
///
/// A line is, in this order: a recorded output of OpenAI's Evals (`item`, or `datasource_item`, and `sample`), a
/// labelled line (`trace`, `session`), of which only the traces are taken, a trace detail or a trace in schema
/// version 1, or a chat (`messages`).
///
/// # Errors
/// A sentence that says what is wrong and what to do; nothing of the line is in it.
pub fn read_line(line: &[u8]) -> Result<Vec<Lined>, String> {
    let (value, _) = lenient::parse(line).map_err(|error| {
        let at = error.column();
        format!("this is not JSON from character {at} on; write one object on a line")
    })?;
    if is_deeper_than(&value, DEPTH_MAX) {
        return Err(format!(
            "this is nested deeper than {DEPTH_MAX} levels; flatten it"
        ));
    }
    let Value::Object(fields) = value else {
        return Err("this is not a JSON object; write one object on a line".to_owned());
    };
    let traces = traces_of(fields)?;
    Ok(traces.into_iter().map(lined).collect())
}

/// Trace details.
fn traces_of(mut line: Fields) -> Result<Vec<Fields>, String> {
    if line.contains_key("sample") {
        return Ok(vec![of_eval(line)]);
    }
    if let Some(Value::Array(session)) = line.remove("session") {
        return of_session(session);
    }
    if let Some(Value::Object(mut trace)) = line.remove("trace") {
        if let (None, Some(id)) = (filled(&trace, "id"), filled(&line, "id")) {
            trace.insert("id".to_owned(), id.clone());
        }
        return Ok(vec![trace]);
    }
    let is_trace = ["input", "output", "observations"]
        .iter()
        .any(|key| line.get(*key).is_some_and(|value| !value.is_null()));
    match (is_trace, line.remove("messages")) {
        (true, _) => Ok(vec![line]),
        (false, Some(Value::Array(messages))) => Ok(vec![of_chat(messages, line)]),
        _ => Err(format!("there is no trace in this; {FORMS}")),
    }
}

fn of_session(session: Vec<Value>) -> Result<Vec<Fields>, String> {
    let object = |trace| match trace {
        Value::Object(fields) => Ok(fields),
        _ => Err("\"session\" must be a list of traces".to_owned()),
    };
    session.into_iter().map(object).collect()
}

/// A chat: what the assistant said last is the output, everything before it the input, and the rest metadata.
fn of_chat(mut messages: Vec<Value>, rest: Fields) -> Fields {
    let is_answered = messages
        .last()
        .is_some_and(|last| last["role"] == "assistant");
    let output = match is_answered {
        true => messages.pop().unwrap_or_default(),
        false => Value::Null,
    };
    let mut trace = with_rest(rest);
    trace.insert("input".to_owned(), Value::Array(messages));
    trace.insert("output".to_owned(), output);
    trace
}

/// An output of an Evals run. The grades (`results`) are left out: scores are never in a trace.
fn of_eval(mut line: Fields) -> Fields {
    let item = ["item", "datasource_item"];
    let item = item.into_iter().find_map(|key| line.remove(key));
    let item = item.unwrap_or_default();
    let sample = line.remove("sample").unwrap_or_default();
    line.remove("results");
    let said = |keys: &[&str]| {
        let filled = |key: &&str| Some(&sample[*key]).filter(|value| !is_empty(value));
        keys.iter().find_map(filled).cloned()
    };
    let asked = said(&["input"]);
    let mut trace = with_rest(line);
    let metadata = trace.entry("metadata").or_insert_with(|| json!({}));
    if asked.is_some() {
        metadata["item"] = item.clone();
    }
    if let Some(model) = said(&["model"]) {
        metadata["model"] = model;
    }
    let output = said(&["output", "output_text", "output_json", "output_tools"]);
    trace.insert("input".to_owned(), asked.unwrap_or(item));
    trace.insert("output".to_owned(), output.unwrap_or(sample));
    trace
}

/// The keys that a trace has stay; others become metadata.
fn with_rest(rest: Fields) -> Fields {
    const OF_A_TRACE: [&str; 8] = [
        "id",
        "name",
        "timestamp",
        "sessionId",
        "session_id",
        "userId",
        "user_id",
        "tags",
    ];
    let mut trace = Fields::new();
    let mut metadata = Fields::new();
    for (key, value) in rest {
        match (key.as_str(), value) {
            ("metadata", Value::Object(fields)) => metadata.extend(fields),
            ("custom_id", id) => _ = trace.entry("id").or_insert(id),
            ("created" | "created_at", at) => _ = trace.entry("timestamp").or_insert(at),
            (own, value) if OF_A_TRACE.contains(&own) => _ = trace.insert(key, value),
            (_, value) => _ = metadata.insert(key, value),
        }
    }
    trace.insert("metadata".to_owned(), Value::Object(metadata));
    trace
}

fn lined(mut trace: Fields) -> Lined {
    if filled(&trace, "id").is_none() {
        let content = Value::Object(trace.clone()).to_string();
        let id = format!("file-{}", &sha256_hex(content)[..32]);
        trace.insert("id".to_owned(), Value::String(id));
    }
    if let Some(at) = trace.get("timestamp").and_then(Value::as_f64) {
        trace.insert("timestamp".to_owned(), json!(super::rfc3339(at)));
    }
    let trace = TracePayload::from(trace);
    let began = trace
        .observations
        .iter()
        .find_map(|step| step.start_time.as_ref());
    let is_timed = began.or(trace.timestamp.as_ref()).is_some();
    Lined { trace, is_timed }
}

/// An id that says something: a text or a number.
fn filled<'a>(fields: &'a Fields, key: &str) -> Option<&'a Value> {
    let value = fields.get(key)?;
    (!is_empty(value)).then_some(value)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
