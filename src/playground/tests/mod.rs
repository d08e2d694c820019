mod annotators;
mod clicks;
mod doors;
mod page;
mod standing;
mod web_api;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::domain::{AnnotatorId, AnnotatorLabel, Thumb};
use crate::slack::{Message, actions, button, is_signed, section};

/// Whatever is waited for comes within this, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until `look` finds something.
async fn eventually<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.expect("it comes within a minute")
}

/// An event's id, and the number and reason of its retry.
type Retry = (Value, Option<String>);

/// A playground that runs, and an app behind it that notes what Slack sends.
struct Running {
    address: SocketAddr,
    playground: Playground,
    http: reqwest::Client,
    slack: crate::slack::Client,
    received: Arc<Mutex<Vec<Value>>>,
    /// The body of the app's answers, and its type.
    answer: Arc<Mutex<String>>,
    answer_kind: Arc<Mutex<&'static str>>,
    commands: Arc<Mutex<Vec<Value>>>,
    events: Arc<Mutex<Vec<Value>>>,
    retries: Arc<Mutex<Vec<Retry>>>,
    /// How events are answered, and whether they may be sent again then.
    event_status: Arc<Mutex<(u16, bool)>>,
}

fn config(address: SocketAddr) -> PlaygroundConfig {
    let recorded = Recorded {
        trace: json!({"id": "t1"}),
        label: Thumb::Down,
        labels: vec![AnnotatorLabel {
            annotator: AnnotatorId::from("grader4"),
            label: Thumb::Down,
            comment: Some("it is made up".to_owned()),
        }],
    };
    PlaygroundConfig {
        address,
        service_url: service_url(address),
        places: vec![PlaceConfig {
            workspace: "default".to_owned(),
            channel: "answers".to_owned(),
            topic: "Answers.".to_owned(),
            recorded: vec![recorded],
        }],
        folder: None,
        releases_by_itself: false,
        rate_limits: RateLimits::Lifted,
        slack_timing: Timing {
            acknowledge_within: PATIENCE,
            trigger_lives: PATIENCE,
            ..Timing::default()
        },
        apis: Apis::Both,
        limits: langfuse::Limits::Open,
        annotator_pause: Duration::ZERO,
        release_pause: Duration::ZERO,
        labels_wanted: 20,
    }
}

impl Running {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut PlaygroundConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = config(address);
        change(&mut config);
        let playground = Playground::open(config).unwrap();
        let place = playground.places().remove(0);
        let slack = crate::slack::Client::new(&place.slack_api_url, &place.bot_token).unwrap();
        let running = Self {
            address,
            playground,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            slack,
            received: Arc::default(),
            answer: Arc::default(),
            answer_kind: Arc::default(),
            commands: Arc::default(),
            events: Arc::default(),
            retries: Arc::default(),
            event_status: Arc::new(Mutex::new((200, false))),
        };
        let app = app(&running).nest_service("/playground", router(running.playground.clone()));
        tokio::spawn(axum::serve(listener, app).into_future());
        running
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/playground/{path}", self.address)
    }

    fn channel(&self) -> String {
        self.playground.places().remove(0).channel
    }

    async fn get(&self, path: &str) -> Value {
        self.http
            .get(self.url(path))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let answer = self
            .http
            .post(self.url(path))
            .json(&body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// A call of the Web API by hand.
    async fn call(&self, method: &str, body: &Value) -> Value {
        let token = self.playground.places().remove(0).bot_token;
        let request = self.http.post(self.url(&format!("slack/api/{method}")));
        let request = request.bearer_auth(token.expose_secret()).json(body);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn post_card(&self) -> crate::slack::Posted {
        let channel = self.channel();
        self.slack
            .post_message(&channel, None, &card("t1"))
            .await
            .unwrap()
    }

    async fn click(&self, ts: &str, action_id: &str) -> (StatusCode, Value) {
        let body = json!({"user": "you", "ts": ts, "action_id": action_id, "value": "t1"});
        self.post("api/channels/answers/click", body).await
    }
}

/// An app that takes what is signed.
fn app(running: &Running) -> Router {
    let form = |body: &[u8]| -> Value {
        let pairs = url::form_urlencoded::parse(body).into_owned();
        pairs.map(|(name, value)| (name, json!(value))).collect()
    };
    let (received, commands) = (Arc::clone(&running.received), Arc::clone(&running.commands));
    let (answer, kind) = (
        Arc::clone(&running.answer),
        Arc::clone(&running.answer_kind),
    );
    let answered = move || {
        let kind = *kind.lock().unwrap();
        ([("content-type", kind)], answer.lock().unwrap().clone())
    };
    let answered_too = answered.clone();
    let interactions = move |body: Bytes| async move {
        let payload = form(&body)["payload"].take();
        let payload = serde_json::from_str(payload.as_str().unwrap()).unwrap();
        received.lock().unwrap().push(payload);
        answered()
    };
    let commands = move |body: Bytes| async move {
        commands.lock().unwrap().push(form(&body));
        answered_too()
    };
    Router::new()
        .route("/slack/interactions", post(interactions))
        .route("/slack/commands", post(commands))
        .route("/slack/events", events(running))
        .layer(axum::middleware::from_fn_with_state(
            running.playground.signing_secret(),
            signed_only,
        ))
}

fn events(running: &Running) -> axum::routing::MethodRouter {
    let (events, retries) = (Arc::clone(&running.events), Arc::clone(&running.retries));
    let status = Arc::clone(&running.event_status);
    post(move |headers: HeaderMap, body: Bytes| async move {
        let event: Value = serde_json::from_slice(&body).unwrap();
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let retry = header("x-slack-retry-num").zip(header("x-slack-retry-reason"));
        let retry = retry.map(|(number, reason)| format!("{number} {reason}"));
        (retries.lock().unwrap()).push((event["event_id"].clone(), retry));
        let challenge = event["challenge"].as_str().unwrap_or_default().to_owned();
        events.lock().unwrap().push(event);
        let (status, no_retry) = *status.lock().unwrap();
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let no_retry = [("x-slack-no-retry", if no_retry { "1" } else { "0" })];
        (status, no_retry, challenge)
    })
}

async fn signed_only(
    axum::extract::State(secret): axum::extract::State<SecretString>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let is_playground = request.uri().path().starts_with("/playground");
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    assert!(is_playground || is_signed(&secret, &parts.headers, &body));
    let request = axum::extract::Request::from_parts(parts, body.into());
    next.run(request).await
}

fn card(trace_id: &str) -> Message {
    let buttons = [
        button("thumb_up", "👍 Good", "Good answer", trace_id),
        button("thumb_down", "👎 Bad", "Bad answer", trace_id),
    ];
    Message {
        text: "Is this answer good?".to_owned(),
        blocks: vec![section("*Question*"), actions("thumbs", &buttons)],
        metadata: Some(
            json!({"event_type": "iofold_trace", "event_payload": {"trace_id": trace_id}}),
        ),
    }
}

fn modal() -> Value {
    json!({
        "type": "modal", "callback_id": "why", "private_metadata": "x", "notify_on_close": true,
        "title": {"type": "plain_text", "text": "Why?"}, "submit": {"type": "plain_text", "text": "Save"},
        "blocks": [{"type": "input", "block_id": "reason", "label": {"type": "plain_text", "text": "Why?"},
            "element": {"type": "plain_text_input", "action_id": "reason", "max_length": 10}}],
    })
}
