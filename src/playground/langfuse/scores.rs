//! Scores, their configs, and the batches that Langfuse's SDKs send scores in.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Langfuse;
use super::api::{ProjectId, Refusal};
use super::query::Query;
use super::recorded::millis;
use super::state::{Project, State as Held};

const LIMIT_MAX: usize = 100;
const TEXT_MAX: usize = 500;
const CONFIG_NAME_MAX: usize = 35;
/// The fields that scores are looked for by, under the same name in a query.
const EQUAL: [&str; 8] = [
    "name",
    "traceId",
    "observationId",
    "sessionId",
    "configId",
    "source",
    "dataType",
    "environment",
];

type Answer = Result<Json<Value>, Refusal>;

pub fn router() -> Router<Langfuse> {
    Router::new()
        .route("/scores", post(create))
        .route("/scores/{id}", delete(remove))
        .route("/v2/scores", get(list_v2))
        .route("/v2/scores/{id}", get(read))
        .route("/v3/scores", get(list_v3))
        .route("/score-configs", get(list_configs).post(create_config))
        .route("/score-configs/{id}", get(read_config))
        .route("/ingestion", post(ingest))
}

async fn create(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    body: Bytes,
) -> Answer {
    let id = put_score(&mut langfuse.locked(), &project.0, &json_of(&body)?)?;
    Ok(Json(json!({ "id": id })))
}

async fn remove(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let mut state = langfuse.locked();
    by_id(&state.own_project(&project.0).scores, &id, "Score").map(drop)?;
    state.delete_score(&project.0, &id);
    Ok(StatusCode::NO_CONTENT)
}

/// A batch: each event is taken or refused for itself, and the answer is 207.
async fn ingest(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body = json_of(&body)?;
    let batch = body["batch"].as_array();
    let batch =
        batch.ok_or_else(|| Refusal::invalid("batch must be a list of events".to_owned()))?;
    let (mut successes, mut errors) = (Vec::new(), Vec::new());
    for event in batch {
        match take_event(&mut langfuse.locked(), &project.0, event) {
            Ok(()) => successes.push(json!({"id": event["id"], "status": 201})),
            Err(refusal) => errors.push(refusal.for_event(&event["id"])),
        }
    }
    let answer = json!({"successes": successes, "errors": errors});
    Ok((StatusCode::MULTI_STATUS, Json(answer)).into_response())
}

fn take_event(state: &mut Held, project_id: &str, event: &Value) -> Result<(), Refusal> {
    match event["type"].as_str() {
        Some("score-create") => put_score(state, project_id, &event["body"]).map(drop),
        Some("sdk-log") => Ok(()),
        _ => Err(Refusal::invalid(
            "this stand-in takes score-create events only".to_owned(),
        )),
    }
}

fn json_of(body: &[u8]) -> Result<Value, Refusal> {
    let parsed: Option<Value> = serde_json::from_slice(body).ok().filter(Value::is_object);
    parsed.ok_or_else(|| Refusal::invalid("Invalid request data: not a JSON object".to_owned()))
}

/// Stores a score after Langfuse's rules; gives its id.
fn put_score(state: &mut Held, project_id: &str, request: &Value) -> Result<String, Refusal> {
    let project = state.own_project(project_id);
    let score = score_of(project, request)?;
    let trace = score["traceId"].as_str().unwrap_or_default();
    if let Some(status) = state.faults.scores_of.get(trace) {
        return Err(Refusal::by_order(*status));
    }
    state.put_score(project_id, &score);
    Ok(score["id"].as_str().unwrap_or_default().to_owned())
}

fn score_of(project: &Project, request: &Value) -> Result<Value, Refusal> {
    let name = request["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::invalid("name: a text is required".to_owned()))?;
    check_subject(request)?;
    let config = config_of(project, request)?;
    check_source(request, config)?;
    let kind = match config {
        Some(config) => config["dataType"].as_str().unwrap_or_default(),
        None => kind_of(request)?,
    };
    let (value, text) = checked_value(kind, &request["value"], config)?;
    let id = request["id"]
        .as_str()
        .filter(|id| !id.is_empty())
        .map(str::to_owned);
    let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let now = millis(Utc::now());
    let known = project
        .scores
        .iter()
        .find(|score| score["id"] == id.as_str());
    Ok(json!({
        "id": id, "projectId": project.id, "name": name, "value": value, "stringValue": text,
        "dataType": kind, "source": request["source"].as_str().unwrap_or("API"),
        "traceId": request["traceId"], "observationId": request["observationId"],
        "sessionId": request["sessionId"], "datasetRunId": request["datasetRunId"],
        "comment": request["comment"], "metadata": request["metadata"],
        "configId": request["configId"], "queueId": request["queueId"], "authorUserId": null,
        "environment": request["environment"].as_str().unwrap_or("default"), "timestamp": now,
        "createdAt": known.map_or(json!(now), |known| known["createdAt"].clone()), "updatedAt": now,
    }))
}

/// A score is about one trace (or a step of it), session or experiment. Langfuse takes a trace's id
/// before the trace has arrived.
fn check_subject(request: &Value) -> Result<(), Refusal> {
    let subjects = ["traceId", "sessionId", "datasetRunId"];
    let named = subjects
        .iter()
        .filter(|key| request[**key].is_string())
        .count();
    match (named, request["observationId"].is_string() && !request["traceId"].is_string()) {
        (1, false) => Ok(()),
        _ => Err(Refusal::invalid(
            "Provide exactly one of traceId (with or without observationId), sessionId, datasetRunId".to_owned(),
        )),
    }
}

fn check_source(request: &Value, config: Option<&Value>) -> Result<(), Refusal> {
    match request["source"].as_str() {
        None | Some("API") => Ok(()),
        Some("ANNOTATION") if config.is_some() => Ok(()),
        _ => Err(Refusal::invalid(
            "source: API, or ANNOTATION with a configId".to_owned(),
        )),
    }
}

/// The config that a score names; its name must be the score's.
fn config_of<'a>(project: &'a Project, request: &Value) -> Result<Option<&'a Value>, Refusal> {
    let Some(id) = request["configId"].as_str() else {
        return Ok(None);
    };
    let config = project.configs.iter().find(|config| config["id"] == id);
    match config {
        Some(config) if config["name"] == request["name"] => Ok(Some(config)),
        Some(_) => Err(Refusal::invalid(
            "name: must be the name of the score config".to_owned(),
        )),
        None => Err(Refusal::not_found(
            "The configId you provided does not exist".to_owned(),
        )),
    }
}

/// The named data type, or the one that the value suggests.
fn kind_of(request: &Value) -> Result<&str, Refusal> {
    match (&request["dataType"], &request["value"]) {
        (Value::Null, Value::String(_)) => Ok("CATEGORICAL"),
        (Value::Null, _) => Ok("NUMERIC"),
        (Value::String(kind), _) => Ok(kind),
        _ => Err(Refusal::invalid("dataType: a text is required".to_owned())),
    }
}

/// A score's `value` and `stringValue` as they are read back.
fn checked_value(
    kind: &str,
    value: &Value,
    config: Option<&Value>,
) -> Result<(Value, Value), Refusal> {
    match (kind, value) {
        ("NUMERIC", Value::Number(_)) => Ok((value.clone(), Value::Null)),
        ("BOOLEAN", Value::Number(number)) => match number.as_f64() {
            Some(1.0) => Ok((json!(1), json!("True"))),
            Some(0.0) => Ok((json!(0), json!("False"))),
            _ => Err(Refusal::invalid(
                "value: must be 1 or 0 for BOOLEAN scores".to_owned(),
            )),
        },
        ("CATEGORICAL", Value::String(word)) => Ok((category(word, config)?, value.clone())),
        ("TEXT", Value::String(text)) if (1..=TEXT_MAX).contains(&text.chars().count()) => {
            Ok((json!(0), value.clone()))
        }
        _ => Err(Refusal::invalid(format!(
            "value: does not fit the data type {kind}"
        ))),
    }
}

/// A category's number: its config's, or 0.
fn category(word: &str, config: Option<&Value>) -> Result<Value, Refusal> {
    let Some(config) = config else {
        return Ok(json!(0));
    };
    let categories = config["categories"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let found = categories.iter().find(|category| category["label"] == word);
    let missing = || Refusal::invalid("value: is no category of the score config".to_owned());
    Ok(found.ok_or_else(missing)?["value"].clone())
}

async fn list_v2(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = Query::of(query.as_deref());
    let pages = query.pages(LIMIT_MAX)?;
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    let found = wanted(project, &query)?;
    Ok(pages.of(&found, |score| with_trace(project, score)))
}

async fn read(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    Path(id): Path<String>,
) -> Answer {
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    by_id(&project.scores, &id, "Score")
}

/// v4: by cursor, with values of their own types.
async fn list_v3(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = Query::of(query.as_deref());
    let limit = query.number("limit", 50, 1, LIMIT_MAX)?;
    let skipped = query.text("cursor").map(skipped).transpose()?.unwrap_or(0);
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    let found = wanted(project, &query)?;
    let data: Vec<Value> = found
        .iter()
        .skip(skipped)
        .take(limit)
        .map(|score| v3(score))
        .collect();
    let mut meta = json!({ "limit": limit });
    if skipped + limit < found.len() {
        meta["cursor"] = STANDARD.encode((skipped + limit).to_string()).into();
    }
    Ok(Json(json!({"data": data, "meta": meta})))
}

fn skipped(cursor: &str) -> Result<usize, Refusal> {
    let decoded = STANDARD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let number = decoded.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Refusal::invalid("Invalid cursor format".to_owned()))
}

/// The scores that a request asks for, newest first.
fn wanted<'a>(project: &'a Project, query: &Query) -> Result<Vec<&'a Value>, Refusal> {
    let (from, to) = (query.time("fromTimestamp")?, query.time("toTimestamp")?);
    let ids = ["scoreIds", "id"]
        .into_iter()
        .find_map(|key| query.text(key).map(|_| query.names(key)));
    let is_wanted = |score: &&Value| {
        let at = super::recorded::time(&score["timestamp"]);
        let is_named = |ids: &std::collections::HashSet<String>| {
            score["id"].as_str().is_some_and(|id| ids.contains(id))
        };
        EQUAL
            .iter()
            .all(|key| query.text(key).is_none_or(|wanted| score[*key] == wanted))
            && ids.as_ref().is_none_or(is_named)
            && from.is_none_or(|from| at >= Some(from))
            && to.is_none_or(|to| at < Some(to))
    };
    Ok(project.scores.iter().rev().filter(is_wanted).collect())
}

fn with_trace(project: &Project, score: &Value) -> Value {
    let mut shown = score.clone();
    let trace = project.trace(score["traceId"].as_str().unwrap_or_default());
    shown["trace"] = trace.map_or(Value::Null, |trace| {
        let detail = &trace.detail;
        let environment = detail["environment"].as_str().unwrap_or("default");
        let tags = detail["tags"].as_array().cloned().unwrap_or_default();
        json!({"userId": detail["userId"], "sessionId": detail["sessionId"], "tags": tags,
               "environment": environment})
    });
    shown
}

/// A score as v3 of the scores API writes it.
fn v3(score: &Value) -> Value {
    let mut shown = json!({});
    for key in [
        "id",
        "projectId",
        "name",
        "source",
        "timestamp",
        "environment",
        "createdAt",
        "updatedAt",
        "dataType",
        "comment",
        "configId",
        "metadata",
        "authorUserId",
        "queueId",
    ] {
        shown[key] = score[key].clone();
    }
    shown["value"] = match score["dataType"].as_str() {
        Some("BOOLEAN") => json!(score["value"] == 1),
        Some("NUMERIC") => score["value"].clone(),
        _ => score["stringValue"].clone(),
    };
    shown["subject"] = match (
        &score["observationId"],
        &score["traceId"],
        &score["sessionId"],
    ) {
        (Value::String(id), trace, _) => json!({"kind": "observation", "id": id, "traceId": trace}),
        (_, Value::String(id), _) => json!({"kind": "trace", "id": id}),
        (_, _, Value::String(id)) => json!({"kind": "session", "id": id}),
        _ => json!({"kind": "experiment", "id": score["datasetRunId"]}),
    };
    shown
}

async fn list_configs(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = Query::of(query.as_deref());
    let pages = query.pages(LIMIT_MAX)?;
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    let configs = &project.configs;
    Ok(pages.of(configs, Value::clone))
}

async fn read_config(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    Path(id): Path<String>,
) -> Answer {
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    by_id(&project.configs, &id, "Score config")
}

fn by_id(objects: &[Value], id: &str, what: &str) -> Answer {
    let found = objects.iter().find(|object| object["id"] == id);
    let missing = || Refusal::not_found(format!("{what} not found within authorized project"));
    Ok(Json(found.ok_or_else(missing)?.clone()))
}

async fn create_config(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    body: Bytes,
) -> Answer {
    let request = json_of(&body)?;
    let name = request["name"].as_str().filter(|name| is_config_name(name));
    let name = name.ok_or_else(|| {
        Refusal::invalid(format!(
            "name: 1 to {CONFIG_NAME_MAX} letters, digits, spaces or _.()-"
        ))
    })?;
    let categories = categories_of(&request)?;
    let now = millis(Utc::now());
    let config = json!({
        "id": Uuid::new_v4().to_string(), "projectId": project.0, "name": name, "createdAt": now,
        "updatedAt": now, "dataType": request["dataType"], "isArchived": false,
        "minValue": request["minValue"], "maxValue": request["maxValue"],
        "categories": categories, "description": request["description"],
    });
    langfuse.locked().put_config(&project.0, &config);
    Ok(Json(config))
}

fn is_config_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " _.()-".contains(c);
    (1..=CONFIG_NAME_MAX).contains(&name.len()) && name.chars().all(allowed)
}

/// A config's categories: made for BOOLEAN, given for CATEGORICAL, none otherwise.
fn categories_of(request: &Value) -> Result<Value, Refusal> {
    let given = &request["categories"];
    let is_category =
        |category: &Value| category["label"].is_string() && category["value"].is_number();
    match (request["dataType"].as_str(), given) {
        (Some("BOOLEAN"), Value::Null) => {
            Ok(json!([{"label": "True", "value": 1}, {"label": "False", "value": 0}]))
        }
        (Some("CATEGORICAL"), Value::Array(items))
            if !items.is_empty() && items.iter().all(is_category) =>
        {
            Ok(given.clone())
        }
        (Some("NUMERIC" | "TEXT"), Value::Null) => Ok(Value::Null),
        _ => Err(Refusal::invalid(
            "dataType and categories do not fit together".to_owned(),
        )),
    }
}
