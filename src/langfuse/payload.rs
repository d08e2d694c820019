use serde::Deserialize;
use serde_json::{Map, Value};

/// Langfuse's trace detail (`GET /api/public/traces/{id}`), read leniently.
///
/// Every field may be absent, null or of another type than documented: a number becomes text where
/// text belongs, and what cannot be used counts as absent, so that one odd field never loses a trace.
/// Unknown fields are left out. The keys of our own schema (`session_id`, `start_time`, …) are read
/// as well, so that a trace in schema version 1 is accepted where a file brings one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct TracePayload {
    /// Empty where the source has none.
    pub id: String,
    /// The trace's name.
    pub name: Option<String>,
    /// The session it belongs to.
    pub session_id: Option<String>,
    /// The product's user.
    pub user_id: Option<String>,
    /// When it began, as the source writes it.
    pub timestamp: Option<String>,
    /// Its tags, each as text.
    pub tags: Vec<String>,
    /// Always an object: anything else stands under the key `metadata`.
    pub metadata: Value,
    /// Any JSON.
    pub input: Value,
    /// Any JSON.
    pub output: Value,
    /// The steps inside it; entries that are mere ids are left out.
    pub observations: Vec<ObservationPayload>,
    /// Milliseconds; `None` where the source does not say, which v3 writes as -1.
    pub latency_ms: Option<f64>,
    /// US dollars; `None` where the source does not say, which v3 writes as -1.
    pub total_cost: Option<f64>,
}

/// A step inside a trace, of either reading API.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct ObservationPayload {
    /// Empty where the source has none.
    pub id: String,
    /// The enclosing step.
    pub parent_id: Option<String>,
    /// v4 only: whether this is the trace's root, which may have a parent all the same.
    pub is_root: Option<bool>,
    /// `SPAN`, `GENERATION`, `TOOL`, …
    pub kind: String,
    /// The step's name.
    pub name: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Any JSON.
    pub input: Value,
    /// Any JSON.
    pub output: Value,
    /// `DEFAULT` where the source has none.
    pub level: String,
    /// The source's words about the level.
    pub status_message: Option<String>,
    /// As the source writes it.
    pub start_time: Option<String>,
    /// As the source writes it; `None` while the step runs.
    pub end_time: Option<String>,
    /// Token counts, or null.
    pub usage: Value,
    /// US dollars.
    pub cost: Option<f64>,
}

impl TracePayload {
    /// Whether nothing of a trace is in it: no field that is known, or nothing in any.
    pub fn is_blank(&self) -> bool {
        *self == Self::from(Map::new())
    }
}

impl From<Map<String, Value>> for TracePayload {
    fn from(fields: Map<String, Value>) -> Self {
        let seconds = number(&fields, &["latency"]);
        Self {
            id: text(&fields, &["id"]).unwrap_or_default(),
            name: text(&fields, &["name"]),
            session_id: text(&fields, &["sessionId", "session_id"]),
            user_id: text(&fields, &["userId", "user_id"]),
            timestamp: text(&fields, &["timestamp"]),
            tags: texts(&fields, "tags"),
            metadata: object(value(&fields, &["metadata"])),
            input: value(&fields, &["input"]),
            output: value(&fields, &["output"]),
            observations: observations(&fields),
            latency_ms: seconds
                .map(|seconds| (seconds * 1e6).round() / 1e3)
                .or_else(|| number(&fields, &["latency_ms"])),
            total_cost: number(&fields, &["totalCost", "total_cost"]),
        }
    }
}

impl From<Map<String, Value>> for ObservationPayload {
    fn from(fields: Map<String, Value>) -> Self {
        let level = text(&fields, &["level"]);
        let costs = ["calculatedTotalCost", "totalCost", "cost"];
        Self {
            id: text(&fields, &["id"]).unwrap_or_default(),
            parent_id: text(&fields, &["parentObservationId", "parent_id"]),
            is_root: fields.get("isRootObservation").and_then(Value::as_bool),
            kind: text(&fields, &["type"]).unwrap_or_else(|| "SPAN".to_owned()),
            name: text(&fields, &["name"]),
            model: text(&fields, &["model", "providedModelName"]),
            input: value(&fields, &["input"]),
            output: value(&fields, &["output"]),
            level: level.unwrap_or_else(|| "DEFAULT".to_owned()),
            status_message: text(&fields, &["statusMessage", "status_message"]),
            start_time: text(&fields, &["startTime", "start_time"]),
            end_time: text(&fields, &["endTime", "end_time"]),
            usage: usage(&fields),
            cost: number(&fields, &costs).or_else(|| total(fields.get("costDetails"))),
        }
    }
}

/// The first of the keys that holds something; null where none does.
fn value(fields: &Map<String, Value>, keys: &[&str]) -> Value {
    let found = keys.iter().filter_map(|key| fields.get(*key));
    found
        .into_iter()
        .find(|value| !value.is_null())
        .cloned()
        .unwrap_or_default()
}

fn text(fields: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    as_text(&value(fields, keys)).filter(|text| !text.is_empty())
}

/// Strings as they are, anything else but null as JSON.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A list of texts; a lone text is a list of one.
fn texts(fields: &Map<String, Value>, key: &str) -> Vec<String> {
    match fields.get(key) {
        Some(Value::Array(items)) => items.iter().filter_map(as_text).collect(),
        Some(other) => as_text(other).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A number that is not negative, for -1 stands for "not asked for".
fn number(fields: &Map<String, Value>, keys: &[&str]) -> Option<f64> {
    let number = match value(fields, keys) {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite() && *number >= 0.0)
}

fn total(costs: Option<&Value>) -> Option<f64> {
    costs
        .and_then(Value::as_object)
        .and_then(|costs| number(costs, &["total"]))
}

/// Langfuse itself keeps metadata that is no object under this key (its OpenTelemetry intake).
fn object(metadata: Value) -> Value {
    match metadata {
        Value::Null => Value::Object(Map::new()),
        Value::Object(fields) => Value::Object(fields),
        other => serde_json::json!({ "metadata": other }),
    }
}

/// The newer `usageDetails` where it says anything, else `usage`.
fn usage(fields: &Map<String, Value>) -> Value {
    let details = value(fields, &["usageDetails"]);
    match details.as_object() {
        Some(counts) if !counts.is_empty() => details,
        _ => value(fields, &["usage"]),
    }
}

fn observations(fields: &Map<String, Value>) -> Vec<ObservationPayload> {
    let Some(Value::Array(items)) = fields.get("observations") else {
        return Vec::new();
    };
    let objects = items.iter().filter_map(Value::as_object);
    objects
        .map(|fields| ObservationPayload::from(fields.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> TracePayload {
        serde_json::from_value(value).expect("every object is read")
    }

    #[test]
    fn odd_types_lose_a_field_at_most_and_never_the_trace() {
        let trace = read(json!({
            "id": 7, "name": null, "tags": ["a", 1, null, {"b": 2}], "metadata": "free text",
            "input": false, "latency": -1, "totalCost": "0.25", "scores": [1], "sessionId": "",
            "observations": ["only-an-id", null, {"id": "o", "level": null, "endTime": 5}],
        }));
        assert_eq!(
            (trace.id.as_str(), trace.name, trace.session_id),
            ("7", None, None)
        );
        assert_eq!(trace.tags, ["a", "1", "{\"b\":2}"]);
        assert_eq!(trace.metadata, json!({"metadata": "free text"}));
        assert_eq!((trace.input, trace.output), (json!(false), Value::Null));
        assert_eq!((trace.latency_ms, trace.total_cost), (None, Some(0.25)));
        let [step] = &trace.observations[..] else {
            panic!("one is an object")
        };
        assert_eq!(
            (step.level.as_str(), step.end_time.as_deref()),
            ("DEFAULT", Some("5"))
        );
    }

    #[test]
    fn what_is_no_object_is_no_trace() {
        for value in [json!(null), json!([]), json!("text"), json!(1)] {
            assert!(serde_json::from_value::<TracePayload>(value).is_err());
        }
        assert_eq!(read(json!({})).metadata, json!({}));
    }

    #[test]
    fn both_apis_names_of_a_field_are_read() {
        let v3 = json!({"model": "m", "usage": {"total": 3}, "usageDetails": {},
                        "calculatedTotalCost": 0.5});
        let v4 = json!({"providedModelName": "m", "usageDetails": {"total": 3},
                        "costDetails": {"total": 0.5}});
        for value in [v3, v4] {
            let step: ObservationPayload = serde_json::from_value(value).expect("it is read");
            assert_eq!(step.model.as_deref(), Some("m"));
            assert_eq!((step.usage, step.cost), (json!({"total": 3}), Some(0.5)));
        }
    }

    #[test]
    fn seconds_become_milliseconds_without_noise() {
        assert_eq!(read(json!({"latency": 1.1})).latency_ms, Some(1100.0));
        assert_eq!(read(json!({"latency_ms": 7.5})).latency_ms, Some(7.5));
    }
}
