//! v4: `GET /api/public/v2/observations`.

use std::collections::HashSet;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::Langfuse;
use super::api::{ProjectId, Refusal, need_v4};
use super::query::{Condition, Query, conditions};
use super::recorded::{millis, time};

/// Langfuse's largest page.
const LIMIT_MAX: usize = 1_000;
/// Metadata values are cut at so many characters unless their key is named.
const METADATA_CUT: usize = 200;

/// The field groups and their fields; `core` is always there.
const GROUPS: [(&str, &[&str]); 10] = [
    (
        "core",
        &[
            "id",
            "traceId",
            "startTime",
            "endTime",
            "projectId",
            "parentObservationId",
            "type",
            "modelId",
            "inputPrice",
            "outputPrice",
            "totalPrice",
        ],
    ),
    (
        "basic",
        &[
            "name",
            "level",
            "statusMessage",
            "version",
            "environment",
            "bookmarked",
            "public",
            "userId",
            "sessionId",
            "isRootObservation",
        ],
    ),
    ("time", &["completionStartTime", "createdAt", "updatedAt"]),
    ("io", &["input", "output"]),
    ("metadata", &["metadata"]),
    (
        "model",
        &["providedModelName", "internalModelId", "modelParameters"],
    ),
    (
        "usage",
        &[
            "usageDetails",
            "costDetails",
            "totalCost",
            "usagePricingTierName",
        ],
    ),
    ("prompt", &["promptId", "promptName", "promptVersion"]),
    ("metrics", &["latency", "timeToFirstToken"]),
    ("trace_context", &["tags", "release", "traceName"]),
];

/// The parameters that are compared with a field of their name.
const EQUAL: [&str; 8] = [
    "name",
    "userId",
    "sessionId",
    "type",
    "traceId",
    "level",
    "parentObservationId",
    "version",
];

pub async fn list(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    need_v4(&langfuse)?;
    let query = Query::of(query.as_deref());
    let wanted = Wanted::of(&query)?;
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    let rows = project.traces.iter().flat_map(|trace| &trace.observations);
    let mut rows: Vec<&Value> = rows.filter(|row| wanted.holds(row)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(position(row)));
    let cursor = match rows.len() > wanted.limit {
        true => Some(STANDARD.encode(json!(position(rows[wanted.limit - 1])).to_string())),
        false => None,
    };
    let data: Vec<Value> = rows
        .iter()
        .take(wanted.limit)
        .map(|row| wanted.cut(row))
        .collect();
    let meta = cursor.map_or(json!({}), |cursor| json!({ "cursor": cursor }));
    Ok(Json(json!({"data": data, "meta": meta})))
}

/// Rows come newest first, and are told apart by trace and id.
type Position = (i64, String, String);

fn position(row: &Value) -> Position {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let started = time(&row["startTime"]).map_or(0, |time| time.timestamp_millis());
    (started, text("traceId"), text("id"))
}

/// What a request asks for.
struct Wanted {
    limit: usize,
    after: Option<Position>,
    groups: HashSet<String>,
    expanded: HashSet<String>,
    conditions: Vec<Condition>,
    equal: Vec<(&'static str, String)>,
    environments: Vec<String>,
    is_root: Option<bool>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, Refusal> {
        if query.flag("parseIoAsJson")? == Some(true) {
            let message = "parseIoAsJson is no longer supported: parse input and output yourself";
            return Err(Refusal::invalid(message.to_owned()));
        }
        let groups = GROUPS.map(|(group, _)| group);
        let conditions = query.text("filter").map(conditions).transpose()?;
        let by_parameters = conditions.is_none();
        let equal = EQUAL
            .iter()
            .filter_map(|key| Some((*key, query.text(key)?.to_owned())));
        Ok(Self {
            limit: query.number("limit", 50, 1, LIMIT_MAX)?,
            after: query.text("cursor").map(cursor).transpose()?,
            groups: query.words("fields", &groups, &["core", "basic"])?,
            expanded: query.names("expandMetadata"),
            conditions: conditions.unwrap_or_default(),
            // A filter takes precedence over the parameters.
            equal: equal.filter(|_| by_parameters).collect(),
            environments: query
                .all("environment")
                .filter(|_| by_parameters)
                .map(str::to_owned)
                .collect(),
            is_root: query.flag("isRootObservation")?.filter(|_| by_parameters),
            from: query.time("fromStartTime")?.filter(|_| by_parameters),
            to: query.time("toStartTime")?.filter(|_| by_parameters),
        })
    }

    fn holds(&self, row: &Value) -> bool {
        let started = time(&row["startTime"]);
        let is_environment = |wanted: &String| row["environment"] == wanted.as_str();
        self.after
            .as_ref()
            .is_none_or(|after| position(row) < *after)
            && self.conditions.iter().all(|condition| condition.holds(row))
            && self
                .equal
                .iter()
                .all(|(key, value)| row[*key] == value.as_str())
            && (self.environments.is_empty() || self.environments.iter().any(is_environment))
            && self
                .is_root
                .is_none_or(|wanted| row["isRootObservation"] == wanted)
            && self.from.is_none_or(|from| started >= Some(from))
            && self.to.is_none_or(|to| started < Some(to))
    }

    /// The row's fields of the wanted groups.
    fn cut(&self, row: &Value) -> Value {
        let is_wanted = |group: &&str| *group == "core" || self.groups.contains(*group);
        let groups = GROUPS.iter().filter(|(group, _)| is_wanted(group));
        let fields = groups.flat_map(|(_, fields)| fields.iter());
        let mut cut: Map<String, Value> = fields
            .map(|field| (field.to_string(), row[*field].clone()))
            .collect();
        if let Some(Value::Object(metadata)) = cut.get_mut("metadata") {
            let long = metadata
                .iter_mut()
                .filter(|(key, _)| !self.expanded.contains(*key));
            long.for_each(|(_, value)| cut_value(value));
        }
        Value::Object(cut)
    }
}

fn cursor(text: &str) -> Result<Position, Refusal> {
    let decoded = STANDARD.decode(text).ok();
    let position = decoded.and_then(|json| serde_json::from_slice(&json).ok());
    position.ok_or_else(|| Refusal::invalid("Invalid cursor format".to_owned()))
}

/// Cuts a metadata value as text.
fn cut_value(value: &mut Value) {
    let text = raw(value);
    if let Value::String(text) = text
        && text.chars().count() > METADATA_CUT
    {
        *value = text.chars().take(METADATA_CUT).collect::<String>().into();
    }
}

/// v4 keeps values as text: strings as they are, JSON as its text.
fn raw(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) => Value::String(text.clone()),
        other => Value::String(other.to_string()),
    }
}

/// The rows of a trace detail. What the trace itself has stands on a root `t-<trace id>`, as Langfuse
/// writes it where a trace was not made of OpenTelemetry spans, unless an observation says that it is
/// the root.
pub fn rows_of(project_id: &str, detail: &Value) -> Vec<Value> {
    let steps = detail["observations"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let steps: Vec<&Value> = steps.iter().filter(|step| step.is_object()).collect();
    let named = steps.iter().any(|step| step["isRootObservation"] == true);
    let root = (!named).then(|| root_of(detail, &steps));
    let root_id = root.as_ref().map(|root| root["id"].clone());
    let steps = steps.into_iter().map(|step| {
        let mut step = step.clone();
        if step["parentObservationId"].is_null() && step["isRootObservation"] != true {
            step["parentObservationId"] = root_id.clone().unwrap_or_default();
        }
        step
    });
    root.into_iter()
        .chain(steps)
        .map(|step| row(project_id, detail, &step))
        .collect()
}

fn root_of(detail: &Value, steps: &[&Value]) -> Value {
    let top = steps
        .iter()
        .filter(|step| step["parentObservationId"].is_null());
    let is_running = top
        .clone()
        .any(|step| step["endTime"].is_null() && step["type"] != "EVENT");
    let end = steps.iter().filter_map(|step| time(&step["endTime"])).max();
    let latency = detail["latency"]
        .as_f64()
        .filter(|seconds| *seconds >= 0.0)
        .unwrap_or(0.0);
    let by_latency = || {
        let length = TimeDelta::milliseconds((latency * 1e3) as i64);
        time(&detail["timestamp"])?.checked_add_signed(length)
    };
    let end = end.or_else(by_latency).filter(|_| !is_running);
    json!({
        "id": format!("t-{}", detail["id"].as_str().unwrap_or_default()), "type": "SPAN",
        "name": detail["name"], "startTime": detail["timestamp"], "endTime": end.map(millis),
        "input": detail["input"], "output": detail["output"], "metadata": detail["metadata"],
        "level": "DEFAULT", "isRootObservation": true, "environment": detail["environment"],
    })
}

fn row(project_id: &str, detail: &Value, step: &Value) -> Value {
    let mut row = json!({
        "traceId": detail["id"], "projectId": project_id, "isRootObservation": false,
        "bookmarked": false, "public": false, "environment": "default",
        "userId": detail["userId"], "sessionId": detail["sessionId"], "tags": detail["tags"],
        "release": detail["release"], "traceName": detail["name"],
        "providedModelName": step["model"], "internalModelId": null,
        "createdAt": step["startTime"],
        "updatedAt": if step["endTime"].is_null() { &step["startTime"] } else { &step["endTime"] },
        "totalCost": step["calculatedTotalCost"], "latency": seconds(step),
    });
    let fields = GROUPS.iter().flat_map(|(_, fields)| fields.iter());
    for field in fields {
        match &step[*field] {
            Value::Null => {}
            value => row[*field] = value.clone(),
        }
    }
    for key in ["input", "output"] {
        row[key] = raw(&step[key]);
    }
    row
}

/// How long a step took; null while it runs.
pub fn seconds(step: &Value) -> Value {
    match (time(&step["startTime"]), time(&step["endTime"])) {
        (Some(start), Some(end)) => json!((end - start).num_milliseconds() as f64 / 1e3),
        _ => Value::Null,
    }
}
