//! OpenAI's stored chat completions, as far as its SDK and we read them.

use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

pub const KEY: &str = "sk-stored";

/// A completion and its messages.
type Stored = (Value, Vec<Value>);

/// Completions, oldest first, each with its messages.
#[derive(Clone, Default)]
pub struct OpenAi {
    pub stored: Arc<Mutex<Vec<Stored>>>,
    /// The completions whose messages were asked for.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl OpenAi {
    pub async fn serve(&self) -> String {
        let routes = Router::new()
            .route("/v1/chat/completions", get(list))
            .route("/v1/chat/completions/{id}/messages", get(messages))
            .with_state(self.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(axum::serve(listener, routes).into_future());
        format!("http://{address}/v1")
    }

    pub fn store(&self, id: &str, created: i64, question: &str, answer: &str) {
        let completion = json!({
            "object": "chat.completion", "id": id, "created": created, "model": "gpt-x", "metadata": {"plan": "pro"},
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                         "message": {"role": "assistant", "content": answer, "refusal": null}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        });
        let turns = [("system", "Be brief."), ("user", question)];
        let turns = turns.iter().enumerate().map(|(number, (role, content))| {
            json!({"id": format!("{id}-{number}"), "role": role, "content": content})
        });
        self.stored
            .lock()
            .expect("no panic")
            .push((completion, turns.collect()));
    }
}

async fn list(
    State(openai): State<OpenAi>,
    headers: HeaderMap,
    Query(asked): Query<Map<String, Value>>,
) -> Response {
    let stored = openai.stored.lock().expect("no panic");
    let mut items: Vec<Value> = stored
        .iter()
        .map(|(completion, _)| completion.clone())
        .collect();
    if asked.get("order").is_some_and(|order| order == "desc") {
        items.reverse();
    }
    page(&headers, &asked, &items)
}

async fn messages(
    State(openai): State<OpenAi>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(asked): Query<Map<String, Value>>,
) -> Response {
    openai.asked.lock().expect("no panic").push(id.clone());
    let stored = openai.stored.lock().expect("no panic");
    match stored.iter().find(|(completion, _)| completion["id"] == id) {
        Some((_, messages)) => page(&headers, &asked, messages),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A page of two at most, whatever is asked for.
fn page(headers: &HeaderMap, asked: &Map<String, Value>, items: &[Value]) -> Response {
    if headers
        .get("authorization")
        .is_none_or(|key| key != "Bearer sk-stored")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let start = match asked.get("after") {
        Some(after) => {
            items
                .iter()
                .position(|item| item["id"] == *after)
                .expect("an id of ours")
                + 1
        }
        None => 0,
    };
    let page: Vec<&Value> = items[start..].iter().take(2).collect();
    Json(json!({
        "object": "list", "data": page, "has_more": start + page.len() < items.len(),
        "first_id": page.first().map(|item| &item["id"]), "last_id": page.last().map(|item| &item["id"]),
    }))
    .into_response()
}
