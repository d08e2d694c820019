use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::TracePayload;
use crate::domain::utc;

/// The type of what is no step: a sender's words about the trace itself.
pub const ABOUT_TRACE: &str = "TRACE";
/// What an OTLP span can say of its trace's own fields, where they are not its root's.
const OF_THE_TRACE: [(&str, &str); 2] = [("traceInput", "input"), ("traceOutput", "output")];
/// The trace's fields that v4 puts on each of its observations, and their names on the trace.
const ON_EVERY_OBSERVATION: [(&str, &str); 3] = [
    ("traceName", "name"),
    ("sessionId", "sessionId"),
    ("userId", "userId"),
];

impl TracePayload {
    /// Puts a trace together from v4's observations of it, in whatever order they come.
    ///
    /// The trace's input, output, metadata and time are its root's; name, session, user and tags
    /// stand on every observation, and are the root's where that says. An observation made of an OTLP span
    /// may say the trace's own input, output and metadata. One of the type `TRACE` is no step, and says only such
    /// things; what it says comes first. `None` without steps.
    pub fn of_observations(observations: Vec<Map<String, Value>>) -> Option<Self> {
        let (about, observations): (Vec<_>, Vec<_>) =
            observations.into_iter().partition(is_about_trace);
        let root = root_of(&observations)?;
        let mut trace = Map::new();
        for (on_trace, on_root) in [
            ("id", "traceId"),
            ("timestamp", "startTime"),
            ("input", "input"),
            ("output", "output"),
            ("metadata", "metadata"),
        ] {
            let value = root.get(on_root).cloned().unwrap_or_default();
            trace.insert(on_trace.to_owned(), value);
        }
        let others = || about.iter().chain([root]).chain(&observations);
        for (on_observation, on_trace) in OF_THE_TRACE {
            if let Some(said) = others().find_map(|o| filled(o, on_observation)) {
                trace.insert(on_trace.to_owned(), said.clone());
            }
        }
        add_metadata(&mut trace, about.iter().chain(&observations));
        for (on_observation, on_trace) in ON_EVERY_OBSERVATION {
            let said = others().find_map(|o| filled(o, on_observation));
            // Without a trace name, Langfuse shows the root's own.
            let said = said.or_else(|| filled(root, on_trace));
            trace.insert(on_trace.to_owned(), said.cloned().unwrap_or_default());
        }
        let tags = others().find_map(|o| filled(o, "tags"));
        trace.insert("tags".to_owned(), tags.cloned().unwrap_or_default());
        trace.insert("observations".to_owned(), json!(observations));
        Some(Self::from(trace))
    }

    /// Whether the trace's root has ended. One without a root is still to come.
    pub fn has_ended(&self) -> bool {
        let root =
            |step: &&super::ObservationPayload| step.is_root.unwrap_or(step.parent_id.is_none());
        let mut roots = self.observations.iter().filter(root).peekable();
        roots.peek().is_some() && roots.all(|root| root.end_time.is_some() || root.kind == "EVENT")
    }
}

/// Whether this is what a sender says of the trace itself.
fn is_about_trace(observation: &Map<String, Value>) -> bool {
    observation
        .get("type")
        .is_some_and(|kind| kind == ABOUT_TRACE)
}

/// Adds to a trace's metadata what its spans say of it.
fn add_metadata<'a>(
    trace: &mut Map<String, Value>,
    observations: impl Iterator<Item = &'a Map<String, Value>>,
) {
    let said = observations.filter_map(|o| o.get("traceMetadata")?.as_object());
    for fields in said {
        let metadata = trace.entry("metadata").or_insert(Value::Null);
        if !metadata.is_object() {
            *metadata = match metadata.take() {
                Value::Null => json!({}),
                other => json!({"metadata": other}),
            };
        }
        if let Value::Object(metadata) = metadata {
            metadata.extend(fields.clone());
        }
    }
}

/// A value that says something: not null, not an empty text or list.
fn filled<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    fields.get(key).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    })
}

/// The earliest of the roots; without one (it may come late) the earliest observation.
fn root_of(observations: &[Map<String, Value>]) -> Option<&Map<String, Value>> {
    let is_root = |o: &Map<String, Value>| match o.get("isRootObservation") {
        Some(Value::Bool(said)) => *said,
        _ => filled(o, "parentObservationId").is_none(),
    };
    observations.iter().min_by_key(|observation| {
        let text = |key: &str| observation.get(key).and_then(Value::as_str);
        let start = text("startTime").and_then(utc);
        let start = start.unwrap_or(DateTime::<Utc>::MAX_UTC);
        (!is_root(observation), start, text("id"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[Value]) -> Vec<Map<String, Value>> {
        let object = |value: &Value| value.as_object().expect("a row is an object").clone();
        values.iter().map(object).collect()
    }

    fn root() -> Value {
        json!({"id": "r", "traceId": "t", "isRootObservation": true, "parentObservationId": "outside",
               "startTime": "2026-01-01T00:00:01.000Z", "endTime": "2026-01-01T00:00:03.000Z",
               "type": "SPAN", "name": "handle", "input": "Q", "output": "A", "metadata": {"k": 1}})
    }

    fn child() -> Value {
        json!({"id": "c", "traceId": "t", "isRootObservation": false, "parentObservationId": "r",
               "startTime": "2026-01-01T00:00:00.900Z", "endTime": null, "type": "GENERATION",
               "input": "inner", "userId": "u", "sessionId": "", "traceName": "chat", "tags": ["x"]})
    }

    #[test]
    fn order_of_arrival_does_not_change_the_trace() {
        let one = TracePayload::of_observations(rows(&[root(), child()])).expect("a trace");
        let other = TracePayload::of_observations(rows(&[child(), root()])).expect("a trace");
        for trace in [&one, &other] {
            assert_eq!(
                (trace.id.as_str(), trace.name.as_deref()),
                ("t", Some("chat"))
            );
            assert_eq!((&trace.input, &trace.output), (&json!("Q"), &json!("A")));
            assert_eq!(
                (trace.user_id.as_deref(), trace.session_id.as_deref()),
                (Some("u"), None)
            );
            assert_eq!(
                (&trace.tags, &trace.metadata),
                (&vec!["x".to_owned()], &json!({"k": 1}))
            );
            assert!(
                trace.has_ended(),
                "the root has ended, whatever its children do"
            );
        }
    }

    #[test]
    fn a_span_may_say_what_its_trace_was_given_and_gave() {
        let mut step = child();
        step["traceInput"] = json!("asked");
        step["traceMetadata"] = json!({"plan": "pro"});
        let trace = TracePayload::of_observations(rows(&[root(), step])).expect("a trace");
        assert_eq!(
            (&trace.input, &trace.output),
            (&json!("asked"), &json!("A"))
        );
        assert_eq!(trace.metadata, json!({"k": 1, "plan": "pro"}));
        assert_eq!(
            trace.observations[0].input,
            json!("Q"),
            "the step's own stays"
        );
    }

    #[test]
    fn a_trace_whose_root_is_missing_or_runs_has_not_ended() {
        let orphan = TracePayload::of_observations(rows(&[child()])).expect("a trace");
        assert!(!orphan.has_ended());
        let mut running = root();
        running["endTime"] = Value::Null;
        let running = TracePayload::of_observations(rows(&[running])).expect("a trace");
        assert!(!running.has_ended());
        assert_eq!(
            running.name.as_deref(),
            Some("handle"),
            "the root's own name"
        );
        assert!(TracePayload::of_observations(Vec::new()).is_none());
    }
}
