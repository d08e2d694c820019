//! A Slack for tests: it answers every call, keeps what it was asked, and follows a script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

/// What the script says to one call.
pub enum Answer {
    /// As if all were well.
    Usual,
    /// A refusal, by its code.
    Refusal(&'static str),
    /// Status 429 with this `Retry-After`, in seconds.
    Wait(u64),
    /// Messages in the channel, for a history.
    Messages(Value),
}

type Script = dyn Fn(&str, &Value, usize) -> Answer + Send + Sync;

/// A server whose script decides by method, arguments and the number of calls of the method before.
#[derive(Clone)]
pub struct ScriptedSlack {
    /// Where its `/api/` is.
    pub url: String,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
    script: Arc<Script>,
}

impl ScriptedSlack {
    /// A Slack in which everything works.
    pub async fn start() -> Self {
        Self::start_with(|_, _, _| Answer::Usual).await
    }

    /// A Slack that follows a script.
    pub async fn start_with(
        script: impl Fn(&str, &Value, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slack = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            calls: Arc::default(),
            script: Arc::new(script),
        };
        let router = Router::new()
            .fallback(async || "OK")
            .route("/api/{method}", axum::routing::any(Self::answer))
            .with_state(slack.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        slack
    }

    async fn answer(
        State(slack): State<Self>,
        Path(method): Path<String>,
        Query(query): Query<BTreeMap<String, String>>,
        body: Bytes,
    ) -> Response {
        let arguments = serde_json::from_slice(&body).unwrap_or_else(|_| json!(query));
        let before = slack.calls_of(&method).len();
        let answer = (slack.script)(&method, &arguments, before);
        slack.calls.lock().unwrap().push((method, arguments));
        match answer {
            Answer::Usual => Json(slack.usual(&json!([]))).into_response(),
            Answer::Messages(messages) => Json(slack.usual(&messages)).into_response(),
            Answer::Refusal(code) => Json(refusal(code)).into_response(),
            Answer::Wait(seconds) => {
                let wait = [(header::RETRY_AFTER, seconds.to_string())];
                let status = StatusCode::TOO_MANY_REQUESTS;
                (status, wait, Json(refusal("ratelimited"))).into_response()
            }
        }
    }

    fn usual(&self, messages: &Value) -> Value {
        let calls = self.calls.lock().unwrap().len();
        json!({
            "ok": true, "team_id": "T1", "team": "t", "user_id": "U0", "channel": "C1",
            "ts": format!("1700000000.{calls:06}"), "url": "https://t.slack.com/",
            "upload_url": format!("{}/upload", self.url), "file_id": "F1", "files": [],
            "messages": messages, "has_more": false,
        })
    }

    /// The arguments of all calls of a method so far.
    pub fn calls_of(&self, method: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        let of_method = calls.iter().filter(|(name, _)| name == method);
        of_method.map(|(_, arguments)| arguments.clone()).collect()
    }

    /// The event types of what was posted.
    pub fn posted(&self) -> Vec<String> {
        let kind = |body: &Value| body["metadata"]["event_type"].as_str().unwrap().to_owned();
        self.calls_of("chat.postMessage").iter().map(kind).collect()
    }
}

fn refusal(code: &str) -> Value {
    json!({"ok": false, "error": code})
}
