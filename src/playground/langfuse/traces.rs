//! v3: `GET /api/public/traces` and `/traces/{id}`.

use std::collections::HashSet;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::Langfuse;
use super::api::{ProjectId, Refusal, need_v3};
use super::observations::seconds;
use super::query::{Query, conditions};
use super::recorded::time;
use super::state::{Project, Stored};

const LIMIT_MAX: usize = 100;
const GROUPS: [&str; 5] = ["core", "io", "scores", "observations", "metrics"];

pub async fn list(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    need_v3(&langfuse)?;
    let query = Query::of(query.as_deref());
    let pages = query.pages(LIMIT_MAX)?;
    let groups = query.words("fields", &GROUPS, &GROUPS)?;
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    let found = wanted(project, &query)?;
    Ok(pages.of(&found, |trace| line(project, trace, &groups)))
}

pub async fn detail(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    need_v3(&langfuse)?;
    let groups = Query::of(query.as_deref()).words("fields", &GROUPS, &GROUPS)?;
    let state = langfuse.locked();
    let project = state.own_project(&project.0);
    let missing = || Refusal::not_found(format!("Trace {id} not found within authorized project"));
    let trace = project.trace(&id).ok_or_else(missing)?;
    let mut shown = common(project, trace, &groups);
    shown["observations"] = match groups.contains("observations") {
        true => steps(trace).map(|step| view(trace, step)).collect(),
        false => json!([]),
    };
    shown["scores"] = match groups.contains("scores") {
        true => scores(project, &id).cloned().collect(),
        false => json!([]),
    };
    Ok(Json(shown))
}

/// The project's scores on a trace.
pub fn scores<'a>(project: &'a Project, trace_id: &'a str) -> impl Iterator<Item = &'a Value> {
    project
        .scores
        .iter()
        .filter(move |score| score["traceId"] == trace_id)
}

/// The traces a request asks for, in the order it asks for: by default the newest first.
fn wanted<'a>(project: &'a Project, query: &Query) -> Result<Vec<&'a Stored>, Refusal> {
    if let Some(filter) = query.text("filter") {
        let conditions = conditions(filter)?;
        let all = |trace: &&Stored| conditions.iter().all(|one| one.holds(&columns(trace)));
        return in_order(project.traces.iter().filter(all).collect(), query);
    }
    let (from, to) = (query.time("fromTimestamp")?, query.time("toTimestamp")?);
    let begun = |trace: &Stored| time(&trace.detail["timestamp"]);
    let is_wanted = |trace: &&Stored| {
        let same = |key: &str| {
            query
                .text(key)
                .is_none_or(|wanted| trace.detail[key] == wanted)
        };
        let has_tag = |tag: &str| {
            trace.detail["tags"]
                .as_array()
                .is_some_and(|tags| tags.contains(&json!(tag)))
        };
        ["name", "userId", "sessionId", "version", "release"]
            .into_iter()
            .all(same)
            && query.all("tags").all(has_tag)
            && from.is_none_or(|from| begun(trace) >= Some(from))
            && to.is_none_or(|to| begun(trace) < Some(to))
    };
    in_order(project.traces.iter().filter(is_wanted).collect(), query)
}

/// What a condition may speak of.
fn columns(trace: &Stored) -> Value {
    let detail = &trace.detail;
    json!({
        "id": trace.id, "timestamp": detail["timestamp"], "name": detail["name"],
        "userId": detail["userId"], "sessionId": detail["sessionId"], "tags": detail["tags"],
        "version": detail["version"], "release": detail["release"],
        "environment": detail["environment"].as_str().unwrap_or("default"),
    })
}

/// A filter takes precedence over the parameters, all but the order.
fn in_order<'a>(mut found: Vec<&'a Stored>, query: &Query) -> Result<Vec<&'a Stored>, Refusal> {
    found.sort_by_key(|trace| (time(&trace.detail["timestamp"]), &trace.id));
    match query.text("orderBy") {
        Some("timestamp.asc") => {}
        None | Some("timestamp.desc") => found.reverse(),
        Some(_) => {
            return Err(Refusal::invalid(
                "this stand-in orders by timestamp only".to_owned(),
            ));
        }
    }
    Ok(found)
}

/// A trace in the list: its observations and scores are ids.
fn line(project: &Project, trace: &Stored, groups: &HashSet<String>) -> Value {
    let mut line = common(project, trace, groups);
    line["observations"] = match groups.contains("observations") {
        true => steps(trace).map(|step| step["id"].clone()).collect(),
        false => json!([]),
    };
    line["scores"] = match groups.contains("scores") {
        true => scores(project, &trace.id)
            .map(|score| score["id"].clone())
            .collect(),
        false => json!([]),
    };
    line
}

/// What the list and the detail have in common.
fn common(project: &Project, trace: &Stored, groups: &HashSet<String>) -> Value {
    let detail = &trace.detail;
    let metrics = groups.contains("metrics");
    let figure = |key: &str, otherwise: Value| match (metrics, &detail[key]) {
        (false, _) => json!(-1),
        (true, Value::Null) => otherwise,
        (true, figure) => figure.clone(),
    };
    let or = |key: &str, otherwise: Value| match &detail[key] {
        Value::Null => otherwise,
        value => value.clone(),
    };
    let mut shown = json!({
        "id": trace.id, "projectId": project.id, "timestamp": detail["timestamp"],
        "name": detail["name"], "userId": detail["userId"], "sessionId": detail["sessionId"],
        "release": detail["release"], "version": detail["version"], "tags": or("tags", json!([])),
        "public": or("public", json!(false)), "environment": or("environment", json!("default")),
        "bookmarked": false, "createdAt": detail["timestamp"],
        "updatedAt": or("updatedAt", detail["timestamp"].clone()),
        "htmlPath": format!("/project/{}/traces/{}", project.id, trace.id),
        "latency": figure("latency", json!(0)), "totalCost": figure("totalCost", json!(0)),
    });
    if groups.contains("io") {
        for key in ["input", "output", "metadata"] {
            shown[key] = detail[key].clone();
        }
    }
    shown
}

fn steps(trace: &Stored) -> impl Iterator<Item = &Value> {
    let steps = trace.detail["observations"].as_array();
    steps.into_iter().flatten().filter(|step| step.is_object())
}

/// An observation with every field that the API promises.
fn view(trace: &Stored, step: &Value) -> Value {
    let mut view = json!({
        "traceId": trace.id, "type": "SPAN", "name": null, "endTime": null,
        "completionStartTime": null, "model": null, "modelParameters": null, "input": null,
        "version": null, "metadata": {}, "output": null, "level": "DEFAULT", "statusMessage": null,
        "parentObservationId": null, "promptId": null, "promptName": null, "promptVersion": null,
        "usage": {"input": 0, "output": 0, "total": 0, "unit": "TOKENS"}, "usageDetails": {},
        "costDetails": {}, "environment": "default", "modelId": null, "inputPrice": null,
        "outputPrice": null, "totalPrice": null, "calculatedInputCost": null,
        "calculatedOutputCost": null, "calculatedTotalCost": null, "latency": seconds(step),
        "timeToFirstToken": null,
    });
    for (key, value) in step.as_object().into_iter().flatten() {
        if !value.is_null() {
            view[key] = value.clone();
        }
    }
    view
}
