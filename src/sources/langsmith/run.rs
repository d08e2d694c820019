use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use crate::domain::{Origin, bounded};
use crate::sources::ORIGIN;

type Fields = Map<String, Value>;

/// Where LangSmith looks for a thread's id, in its order.
const THREAD_KEYS: [&str; 3] = ["session_id", "thread_id", "conversation_id"];

/// A run as an observation of Langfuse's shape; `None` without ids. Either route's form of a run is read.
///
/// Tokens and costs are those of calls of models alone: of other runs they are the sums of what is below them.
pub fn observation(run: Value) -> Option<Fields> {
    let Value::Object(mut run) = run else {
        return None;
    };
    let id = text(&run, "id")?;
    let trace_id = text(&run, "trace_id")?;
    let parent = text(&run, "parent_run_id").or_else(|| nearest_parent(&run));
    let kind = text(&run, "run_type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let is_model = kind == "llm";
    let extra = run.remove("extra").unwrap_or_default();
    let metadata = &extra["metadata"];
    let named = |keys: &[&str]| keys.iter().find_map(|key| filled(&metadata[*key])).cloned();
    let error = text(&run, "error");
    let tags = run.remove("tags").filter(|_| parent.is_none());
    let mut found = Fields::new();
    for (key, value) in [
        ("id", json!(step_id(&id, &trace_id))),
        ("traceId", json!(trace_id)),
        (
            "parentObservationId",
            json!(parent.map(|parent| step_id(&parent, &trace_id))),
        ),
        ("type", json!(langfuses_type(&kind))),
        ("name", run.remove("name").unwrap_or_default()),
        ("startTime", json!(time(&run, "start_time"))),
        ("endTime", json!(time(&run, "end_time"))),
        ("input", bounded(run.remove("inputs").unwrap_or_default())),
        (
            "output",
            bounded(unwrapped(run.remove("outputs").unwrap_or_default())),
        ),
        ("level", json!(error.as_ref().map(|_| "ERROR"))),
        ("statusMessage", json!(error)),
        ("tags", tags.unwrap_or_default()),
        ("sessionId", named(&THREAD_KEYS).unwrap_or_default()),
        ("userId", named(&["user_id"]).unwrap_or_default()),
        ("model", model(&extra)),
        ("usageDetails", if_model(is_model, || usage(&run))),
        ("costDetails", if_model(is_model, || cost(&run))),
        ("metadata", bounded(metadata.clone())),
        (ORIGIN, json!(Origin::LangSmith.name())),
    ] {
        if !value.is_null() {
            found.insert(key.to_owned(), value);
        }
    }
    Some(found)
}

/// A root run has its trace's id, under which a row would be v3's line of the trace.
fn step_id(id: &str, trace_id: &str) -> String {
    match id == trace_id {
        true => format!("{id}-root"),
        false => id.to_owned(),
    }
}

/// The second route names all runs around a run, the nearest last.
fn nearest_parent(run: &Fields) -> Option<String> {
    let parents = run.get("parent_run_ids")?.as_array()?;
    Some(parents.last()?.as_str()?.to_owned())
}

/// LangSmith's SDKs put what is no object under the key `output`.
fn unwrapped(outputs: Value) -> Value {
    match outputs {
        Value::Object(mut fields) if fields.len() == 1 && fields.contains_key("output") => {
            fields.remove("output").unwrap_or_default()
        }
        outputs => outputs,
    }
}

fn langfuses_type(run_type: &str) -> &'static str {
    match run_type {
        "llm" => "GENERATION",
        "tool" => "TOOL",
        "retriever" => "RETRIEVER",
        "embedding" => "EMBEDDING",
        "chain" => "CHAIN",
        _ => "SPAN",
    }
}

fn model(extra: &Value) -> Value {
    let parameters = &extra["invocation_params"];
    let said = [
        &extra["metadata"]["ls_model_name"],
        &parameters["model"],
        &parameters["model_name"],
    ];
    let said = said.into_iter().find_map(filled);
    said.cloned().unwrap_or_default()
}

fn if_model(is_model: bool, said: impl FnOnce() -> Value) -> Value {
    match is_model {
        true => said(),
        false => Value::Null,
    }
}

fn usage(run: &Fields) -> Value {
    let counts = [
        ("input", "prompt_tokens"),
        ("output", "completion_tokens"),
        ("total", "total_tokens"),
    ];
    let counts = counts.into_iter().filter_map(|(name, key)| {
        let count = run.get(key).filter(|count| count.is_number())?;
        Some((name.to_owned(), count.clone()))
    });
    let counts: Fields = counts.collect();
    match counts.is_empty() {
        true => Value::Null,
        false => Value::Object(counts),
    }
}

fn cost(run: &Fields) -> Value {
    match run.get("total_cost").filter(|cost| !cost.is_null()) {
        Some(total) => json!({ "total": total }),
        None => Value::Null,
    }
}

/// RFC 3339 in UTC; LangSmith leaves the zone out.
fn time(run: &Fields, key: &str) -> Option<String> {
    let text = text(run, key)?;
    let zoned = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
    let bare =
        || NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc());
    let time = zoned.or_else(|_| bare()).ok()?;
    Some(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn text(run: &Fields, key: &str) -> Option<String> {
    Some(filled(run.get(key)?)?.as_str()?.to_owned())
}

fn filled(value: &Value) -> Option<&Value> {
    let is_empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
    (!is_empty).then_some(value)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
