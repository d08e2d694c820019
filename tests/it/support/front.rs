//! Slack with views: it stands in front of the stand-in, keeps every call, and opens, changes and publishes views itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use iofold::playground::langfuse::{Apis, Recorded};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Database;
use super::signed::{form, interaction_body, now};
use super::stage::{Stage, eventually};

/// What is in front.
#[derive(Clone)]
pub struct Front(Arc<Parts>);

struct Parts {
    url: String,
    behind: OnceLock<String>,
    http: reqwest::Client,
    calls: Mutex<Vec<(String, Value)>>,
    views: Mutex<BTreeMap<String, Value>>,
    /// A change of a view takes one and gives it back.
    may_change: Semaphore,
}

impl Front {
    /// A stage whose service meets this Slack.
    pub async fn with_stage(
        database: Database,
        recorded: Vec<Recorded>,
        settings: &[(&str, &str)],
    ) -> (Self, Stage) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let front = Self(Arc::new(Parts {
            url: format!("http://{address}"),
            behind: OnceLock::new(),
            http: reqwest::Client::new(),
            calls: Mutex::default(),
            views: Mutex::default(),
            may_change: Semaphore::new(1),
        }));
        let router = Router::new()
            .route("/api/{method}", any(Self::call))
            .route("/hooks/{key}", post(Self::late))
            .with_state(front.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        let api = format!("{}/api/", front.0.url);
        let settings: Vec<_> = settings
            .iter()
            .copied()
            .chain([("SLACK_API_URL", api.as_str())])
            .collect();
        let stage = Stage::set(database, Apis::Both, recorded, &settings).await;
        let places = stage.playground.places();
        let behind = places[0].slack_api_url.to_string();
        front.0.behind.set(behind).expect("it is set once");
        (front, stage)
    }

    async fn call(
        State(front): State<Self>,
        Path(method): Path<String>,
        verb: Method,
        uri: OriginalUri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let arguments: Value = serde_json::from_slice(&body).unwrap_or_default();
        front.keep(&method, &arguments);
        match method.as_str() {
            "views.open" => Json(front.open(&arguments)).into_response(),
            "views.update" => Json(front.change(&arguments).await).into_response(),
            "views.publish" => Json(json!({"ok": true})).into_response(),
            _ => front.hand_on(&method, verb, &uri, headers, body).await,
        }
    }

    async fn late(State(front): State<Self>, Json(said): Json<Value>) {
        front.keep("response_url", &said);
    }

    fn keep(&self, method: &str, arguments: &Value) {
        let mut calls = self.0.calls.lock().expect("not poisoned");
        calls.push((method.to_owned(), arguments.clone()));
    }

    fn open(&self, arguments: &Value) -> Value {
        let mut views = self.0.views.lock().expect("not poisoned");
        let id = format!("V{}", views.len() + 1);
        let mut view = arguments["view"].clone();
        (view["id"], view["hash"]) = (json!(id), json!("1.0"));
        views.insert(id, view.clone());
        json!({"ok": true, "view": view})
    }

    async fn change(&self, arguments: &Value) -> Value {
        let _permit = self.0.may_change.acquire().await.expect("it stays open");
        let mut views = self.0.views.lock().expect("not poisoned");
        let id = arguments["view_id"].as_str().unwrap_or_default();
        let Some(old) = views.get_mut(id) else {
            return json!({"ok": false, "error": "not_found"});
        };
        if arguments["hash"].is_string() && arguments["hash"] != old["hash"] {
            return json!({"ok": false, "error": "hash_conflict"});
        }
        let count: f64 = old["hash"]
            .as_str()
            .and_then(|h| h.parse().ok())
            .unwrap_or(0.0);
        let mut view = arguments["view"].clone();
        (view["id"], view["hash"]) = (json!(id), json!(format!("{:.1}", count + 1.0)));
        *old = view.clone();
        json!({"ok": true, "view": view})
    }

    async fn hand_on(
        &self,
        method: &str,
        verb: Method,
        uri: &OriginalUri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let behind = self.0.behind.get().expect("a stage is set");
        let query = uri
            .query()
            .map_or_else(String::new, |query| format!("?{query}"));
        let mut request = self
            .0
            .http
            .request(verb, format!("{behind}{method}{query}"));
        for name in ["authorization", "content-type"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let answer = request
            .body(body)
            .send()
            .await
            .expect("the stand-in answers");
        let status = answer.status();
        let waits = answer.headers().get("retry-after").cloned();
        let body = answer.bytes().await.expect("a body");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert("content-type", "application/json".parse().expect("a value"));
        if let Some(waits) = waits {
            headers.insert("retry-after", waits);
        }
        response
    }

    /// The arguments of all calls of a method so far.
    pub fn calls_of(&self, method: &str) -> Vec<Value> {
        let calls = self.0.calls.lock().expect("not poisoned");
        let of_method = calls.iter().filter(|(name, _)| name == method);
        of_method.map(|(_, arguments)| arguments.clone()).collect()
    }

    /// An address for late answers.
    pub fn response_url(&self) -> String {
        format!("{}/hooks/1", self.0.url)
    }

    /// While this is held, no view changes.
    pub async fn hold_views(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.0.may_change.acquire().await.expect("it stays open")
    }

    /// The modal that was opened last, as it is now.
    pub fn modal(&self) -> Option<Value> {
        let views = self.0.views.lock().expect("not poisoned");
        views.values().next_back().cloned()
    }

    /// Looks until the modal is one that `fits`.
    pub async fn modal_that(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async { self.modal().filter(&fits) }).await
    }

    /// The Home that a person sees.
    pub fn home_of(&self, user: &str) -> Option<Value> {
        let mut published = self.calls_of("views.publish");
        published.retain(|call| call["user_id"] == user);
        published.pop().map(|mut call| call["view"].take())
    }
}

/// A time as Slack writes it, later than each before.
pub fn stamp() -> String {
    static LAST: Mutex<u128> = Mutex::new(0);
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let mut last = LAST.lock().expect("not poisoned");
    *last = since.as_micros().max(*last + 1);
    format!("{}.{:06}", *last / 1_000_000, *last % 1_000_000)
}

/// Sends a payload as Slack does; gives the status and the answer.
pub async fn send(stage: &Stage, payload: &Value) -> (u16, Value) {
    let url = stage.url("/slack/interactions");
    let (status, text) = interaction_body(stage, &url, now(), &form(payload)).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// Types a command in the channel; gives the answer.
pub async fn command(stage: &Stage, front: &Front, text: &str) -> Value {
    let place = stage.playground.places().remove(0);
    let typed = [
        ("command", "/iofold"),
        ("text", text),
        ("team_id", iofold::playground::slack::TEAM_ID),
        ("channel_id", &place.channel),
        ("user_id", "ADA"),
    ];
    command_with(stage, front, &typed).await
}

/// Sends a command of these fields.
pub async fn command_with(stage: &Stage, front: &Front, fields: &[(&str, &str)]) -> Value {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    body.append_pair("trigger_id", "1.2.3");
    body.append_pair("response_url", &front.response_url());
    let (url, body) = (stage.url("/slack/commands"), body.finish());
    let (status, text) = interaction_body(stage, &url, now(), body.as_bytes()).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// A press of a button of a view, by a person of the stage's team.
pub fn pressed(view: &Value, user: &str, action_id: &str, action_ts: &str) -> Value {
    let blocks = view["blocks"].as_array().expect("a view has blocks");
    let mut elements = blocks
        .iter()
        .filter_map(|block| block["elements"].as_array())
        .flatten();
    let button = elements.find(|element| element["action_id"] == action_id);
    let button = button.unwrap_or_else(|| panic!("no {action_id} in {view}"));
    let team = iofold::playground::slack::TEAM_ID;
    json!({
        "type": "block_actions", "user": {"id": user, "username": "ada", "team_id": team},
        "team": {"id": team, "domain": "team"}, "trigger_id": "1.2.3", "view": view,
        "container": {"type": "view", "view_id": view["id"]},
        "actions": [{"type": "button", "action_id": action_id, "value": button["value"],
                     "action_ts": action_ts}],
    })
}
