//! LangSmith as far as its SDK and we use it: projects, runs written in batches, runs queried by both routes.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

pub const KEY: &str = "lsv2_test";
pub const PROJECT: &str = "Support";
const PROJECT_ID: &str = "0b3f2a52-9a6c-4b39-9f59-0c8f4b1a2d01";

/// What it holds, and how it behaves.
#[derive(Default)]
pub struct Held {
    pub runs: Vec<Map<String, Value>>,
    /// Whether it serves the second route instead of the first.
    pub is_second: bool,
    /// So many queries are refused from now on.
    pub refusals: usize,
    /// Queries that were answered.
    pub queries: usize,
    /// The most runs that a page has; 0 is as many as are asked for.
    pub page: usize,
}

#[derive(Clone, Default)]
pub struct LangSmith(Arc<Mutex<Held>>);

impl LangSmith {
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("no holder of the lock panics")
    }

    /// Serves it on a port of its own; its URL.
    pub async fn serve(&self) -> String {
        let routes = Router::new()
            .route("/info", get(info))
            .route("/sessions", get(projects))
            .route("/runs/batch", post(write))
            .route("/runs/query", post(first))
            .route("/api/v2/runs/query", post(second))
            .with_state(self.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(axum::serve(listener, routes).into_future());
        format!("http://{address}")
    }

    /// Writes runs, or what is new of them.
    pub fn write(&self, runs: &[Value]) {
        let mut held = self.held();
        for run in runs {
            let run = run.as_object().expect("a run is an object");
            match held.runs.iter_mut().find(|known| known["id"] == run["id"]) {
                Some(known) => known.extend(run.clone()),
                None => held.runs.push(run.clone()),
            }
        }
    }

    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        if headers.get("x-api-key").is_none_or(|key| key != KEY) {
            return Some(StatusCode::UNAUTHORIZED.into_response());
        }
        let mut held = self.held();
        held.queries += 1;
        if held.refusals > 0 {
            held.refusals -= 1;
            return Some(
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    [("retry-after", "1")],
                    "slow down",
                )
                    .into_response(),
            );
        }
        None
    }
}

async fn info(State(langsmith): State<LangSmith>) -> Json<Value> {
    let is_second = langsmith.held().is_second;
    Json(json!({
        "version": if is_second { "0.16.0" } else { "0.12.0" },
        "batch_ingest_config": {
            "use_multipart_endpoint": false, "size_limit": 100, "size_limit_bytes": 20_971_520,
            "scale_up_qsize_trigger": 1_000, "scale_up_nthreads_limit": 16, "scale_down_nempty_trigger": 4,
        },
        "instance_flags": {"sdb_query_enabled": is_second, "ch_query_enabled": !is_second},
    }))
}

async fn projects(headers: HeaderMap, Query(asked): Query<Map<String, Value>>) -> Response {
    if headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let known = json!([{
        "id": PROJECT_ID, "name": PROJECT, "tenant_id": PROJECT_ID, "start_time": "2026-01-01T00:00:00",
        "reference_dataset_id": null,
    }]);
    let found = if asked["name"] == PROJECT {
        known
    } else {
        json!([])
    };
    Json(found).into_response()
}

async fn write(
    State(langsmith): State<LangSmith>,
    Json(batch): Json<Value>,
) -> (StatusCode, Json<Value>) {
    for part in ["post", "patch"] {
        langsmith.write(batch[part].as_array().map_or(&[], Vec::as_slice));
    }
    (StatusCode::ACCEPTED, Json(json!({})))
}

async fn first(
    State(langsmith): State<LangSmith>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refusal) = langsmith.refusal(&headers) {
        return refusal;
    }
    if langsmith.held().is_second {
        return StatusCode::NOT_FOUND.into_response();
    }
    let limit = body["limit"].as_u64().unwrap_or(100);
    if limit > 100 || body["session"] != json!([PROJECT_ID]) {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let before = body["filter"].as_str().map(|filter| {
        let time = filter
            .strip_prefix("lt(start_time, \"")
            .and_then(|rest| rest.strip_suffix("\")"));
        time.expect("the only filter that this understands")
            .to_owned()
    });
    let bounds = (
        instant(&body["start_time"]),
        before.map(|time| instant(&json!(time)).expect("a time")),
    );
    let (runs, next) = langsmith.page(&body, bounds, &body["trace"], limit);
    let runs: Vec<Value> = runs
        .iter()
        .map(|run| selected(run, &body["select"]))
        .collect();
    Json(json!({"runs": runs, "cursors": {"next": next}})).into_response()
}

async fn second(
    State(langsmith): State<LangSmith>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refusal) = langsmith.refusal(&headers) {
        return refusal;
    }
    if body["project_ids"] != json!([PROJECT_ID]) {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let bounds = (
        instant(&body["min_start_time"]),
        instant(&body["max_start_time"]),
    );
    let limit = body["page_size"].as_u64().unwrap_or(100);
    let (runs, next) = langsmith.page(&body, bounds, &body["trace_id"], limit);
    let runs: Vec<Value> = runs
        .iter()
        .map(|run| selected(&as_second(run), &body["selects"]))
        .collect();
    Json(json!({"items": runs, "next_cursor": next})).into_response()
}

impl LangSmith {
    fn page(
        &self,
        body: &Value,
        (from, before): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        trace: &Value,
        limit: u64,
    ) -> (Vec<Map<String, Value>>, Option<String>) {
        let held = self.held();
        let mut runs: Vec<_> = held
            .runs
            .iter()
            .filter(|run| {
                let began = instant(&run["start_time"]).expect("a run has begun");
                from.is_none_or(|from| began >= from)
                    && before.is_none_or(|before| began < before)
                    && (trace.is_null() || run["trace_id"] == *trace)
            })
            .cloned()
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse(instant(&run["start_time"])));
        let skipped: usize = body["cursor"]
            .as_str()
            .map_or(0, |cursor| cursor.parse().expect("our cursor"));
        let limit = match held.page {
            0 => limit as usize,
            page => page.min(limit as usize),
        };
        let next = (skipped + limit < runs.len()).then(|| (skipped + limit).to_string());
        (runs.into_iter().skip(skipped).take(limit).collect(), next)
    }
}

/// What is asked for of a run, and no more.
fn selected(run: &Map<String, Value>, names: &Value) -> Value {
    let names = names.as_array().map_or(&[][..], Vec::as_slice);
    let is_asked = |key: &String| {
        names.iter().any(|name| {
            name.as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(key))
        })
    };
    run.iter()
        .filter(|(key, _)| is_asked(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn as_second(run: &Map<String, Value>) -> Map<String, Value> {
    let mut run = run.clone();
    let run_type = run["run_type"].as_str().expect("a type").to_uppercase();
    run.insert("run_type".to_owned(), json!(run_type));
    let parent = run
        .remove("parent_run_id")
        .filter(|parent| !parent.is_null());
    run.insert(
        "parent_run_ids".to_owned(),
        json!(parent.into_iter().collect::<Vec<_>>()),
    );
    run
}

fn instant(time: &Value) -> Option<DateTime<Utc>> {
    Some(
        DateTime::parse_from_rfc3339(time.as_str()?)
            .expect("RFC 3339")
            .to_utc(),
    )
}
