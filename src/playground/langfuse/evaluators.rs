//! Evaluators in code: `/v2/evaluators`, by id, and the older `/unstable/evaluators`, by name. They are kept, not run.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::routing::{get, patch};
use axum::{Extension, Json, Router};
use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::{ProjectId, Refusal};
use super::query::Query;
use super::recorded::millis;
use super::{Apis, Langfuse};

const LIMIT_MAX: usize = 100;
const SOURCE_MAX: usize = 256 * 1024;

type Answer = Result<Json<Value>, Refusal>;

pub fn router() -> Router<Langfuse> {
    Router::new()
        .route("/v2/evaluators", get(list).post(create))
        .route("/v2/evaluators/{id}", patch(update))
        .route(
            "/unstable/evaluators",
            get(list_by_page).post(create_by_name),
        )
}

/// The newer API came with v4.
fn need_v2(langfuse: &Langfuse) -> Result<(), Refusal> {
    match langfuse.apis {
        Apis::V3 => Err(Refusal::not_found("Not Found".to_owned())),
        Apis::V4 | Apis::Both => Ok(()),
    }
}

async fn create(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    need_v2(&langfuse)?;
    let made = version_of(&definition(&body, true)?, None);
    langfuse.locked().put_evaluator(&project.0, &made);
    Ok((StatusCode::CREATED, Json(by_id(&made))))
}

async fn update(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    need_v2(&langfuse)?;
    let mut state = langfuse.locked();
    let known = &state.own_project(&project.0).evaluators;
    let known = known.iter().find(|known| known["id"] == id.as_str());
    let missing = || Refusal::not_found("Evaluator not found".to_owned());
    let made = version_of(&definition(&body, false)?, Some(known.ok_or_else(missing)?));
    state.put_evaluator(&project.0, &made);
    Ok(Json(by_id(&made)))
}

async fn create_by_name(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    body: Bytes,
) -> Answer {
    let mut state = langfuse.locked();
    let definition = definition(&body, true)?;
    let known = &state.own_project(&project.0).evaluators;
    let known = known
        .iter()
        .find(|known| known["name"] == definition["name"]);
    let made = version_of(&definition, known);
    state.put_evaluator(&project.0, &made);
    Ok(Json(by_name(&made)))
}

async fn list(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    RawQuery(query): RawQuery,
) -> Answer {
    need_v2(&langfuse)?;
    let query = Query::of(query.as_deref());
    let limit = query.number("limit", 50, 1, LIMIT_MAX)?;
    let start = query.number("cursor", 0, 0, usize::MAX)?;
    let state = langfuse.locked();
    let newest = state.own_project(&project.0).evaluators.iter().rev();
    let data: Vec<Value> = newest.clone().skip(start).take(limit).map(by_id).collect();
    let next = start.saturating_add(limit);
    let meta = match newest.len() > next {
        true => json!({"cursor": next.to_string()}),
        false => json!({}),
    };
    Ok(Json(json!({"data": data, "meta": meta})))
}

async fn list_by_page(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = Query::of(query.as_deref());
    let pages = query.pages(LIMIT_MAX)?;
    let state = langfuse.locked();
    let all = &state.own_project(&project.0).evaluators;
    Ok(pages.of(all, by_name))
}

/// What a request says of an evaluator, checked.
fn definition(body: &Bytes, needs_name: bool) -> Result<Value, Refusal> {
    let invalid = |message: &str| Err(Refusal::invalid(message.to_owned()));
    let Ok(definition) = serde_json::from_slice::<Value>(body) else {
        return invalid("the body is not JSON");
    };
    let source = definition["sourceCode"].as_str().unwrap_or_default();
    if definition["type"] != "code" || source.is_empty() || source.len() > SOURCE_MAX {
        return invalid("this stand-in knows type code, with a sourceCode of 256 KB at most");
    }
    if !matches!(
        definition["sourceCodeLanguage"].as_str(),
        Some("PYTHON" | "TYPESCRIPT")
    ) {
        return invalid("sourceCodeLanguage must be PYTHON or TYPESCRIPT");
    }
    if needs_name && definition["name"].as_str().is_none_or(str::is_empty) {
        return invalid("name is required");
    }
    Ok(definition)
}

/// The evaluator with this definition: a new one, or the next version of `known`.
fn version_of(definition: &Value, known: Option<&Value>) -> Value {
    let now = millis(Utc::now());
    let of = |key: &str, otherwise: Value| match (&definition[key], known) {
        (Value::Null, Some(known)) => known[key].clone(),
        (Value::Null, None) => otherwise,
        (given, _) => given.clone(),
    };
    let version = known.map_or(0, |known| known["version"].as_u64().unwrap_or_default()) + 1;
    json!({
        "id": known.map_or_else(|| json!(Uuid::now_v7().to_string()), |known| known["id"].clone()),
        "name": of("name", Value::Null), "description": of("description", Value::Null), "type": "code",
        "sourceCode": definition["sourceCode"], "sourceCodeLanguage": definition["sourceCodeLanguage"],
        "version": version, "updatedAt": now,
        "createdAt": known.map_or(json!(now), |known| known["createdAt"].clone()),
    })
}

fn by_id(evaluator: &Value) -> Value {
    let mut shown = json!({
        "createdBy": null, "status": "active", "pausedAt": null, "pausedReason": null, "pausedMessage": null,
        "evaluationRuleAssignments": [], "versionId": format!("{}-{}", evaluator["id"], evaluator["version"]),
        "versionCreatedAt": evaluator["updatedAt"], "versionCreatedBy": null,
    });
    add(&mut shown, evaluator);
    shown
}

fn by_name(evaluator: &Value) -> Value {
    let variables = ["input", "output", "metadata"];
    let mut shown = json!({"variables": variables, "mapping": null, "evaluationRuleCount": 0});
    add(&mut shown, evaluator);
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("description");
    }
    shown
}

fn add(shown: &mut Value, evaluator: &Value) {
    for (key, value) in evaluator.as_object().into_iter().flatten() {
        shown[key] = value.clone();
    }
}
