use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::state::{BOT_ID, BOT_USER_ID, TEAM_ID};
use super::{Slack, conversations, files, messages, socket, views};

/// A message with fifty full sections is below this.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// Why a call is refused; all but the rate limit are answered with status 200, as Slack does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Slack's word for it.
    Error(&'static str),
    /// Slack's word, and what exactly is wrong.
    Invalid(&'static str, Vec<String>),
    /// A scope is missing.
    MissingScope {
        /// The scope that the call needs.
        needed: String,
        /// The scopes that are granted, with commas between them.
        provided: String,
    },
    /// Too many calls; whole seconds to wait.
    RateLimited(u64),
}

impl From<&'static str> for Refusal {
    fn from(error: &'static str) -> Self {
        Self::Error(error)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "the playground's journal cannot be written");
        Self::Error("internal_error")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Error(error) => Json(json!({"ok": false, "error": error})).into_response(),
            Self::Invalid(error, problems) => {
                let messages: Vec<String> =
                    problems.iter().map(|p| format!("[ERROR] {p}")).collect();
                let details = json!({"messages": messages});
                Json(json!({"ok": false, "error": error, "errors": problems, "response_metadata": details}))
                    .into_response()
            }
            Self::MissingScope { needed, provided } => Json(json!({
                "ok": false, "error": "missing_scope", "needed": needed, "provided": provided,
            }))
            .into_response(),
            Self::RateLimited(seconds) => (
                StatusCode::TOO_MANY_REQUESTS,
                [(header::RETRY_AFTER, seconds.to_string())],
                Json(json!({"ok": false, "error": "ratelimited"})),
            )
                .into_response(),
        }
    }
}

pub type Answer = Result<Value, Refusal>;

pub fn routes() -> Router<Slack> {
    Router::new()
        .route(
            "/api/{method}",
            any(call).layer(DefaultBodyLimit::max(BODY_MAX)),
        )
        .route("/actions/{key}", post(messages::respond))
}

async fn call(
    Shared(slack): Shared<Slack>,
    Path(method): Path<String>,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    let answered = Arguments::read(&headers, &query, &body)
        .map_err(Refusal::from)
        .and_then(|arguments| answer(&slack, &method, &arguments));
    let mut response = match answered {
        Ok(mut fields) => {
            fields["ok"] = json!(true);
            Json(fields).into_response()
        }
        Err(refusal) => refusal.into_response(),
    };
    let scopes = slack.state().standing.provided();
    if let Ok(scopes) = scopes.parse() {
        response.headers_mut().insert("x-oauth-scopes", scopes);
    }
    response
}

fn answer(slack: &Slack, method: &str, arguments: &Arguments) -> Answer {
    if method == "apps.connections.open" {
        return socket::open(slack, arguments);
    }
    if method != "api.test" {
        authenticate(slack, arguments)?;
        slack.ordered_refusal(method, arguments)?;
        count(slack, method, arguments)?;
    }
    match method {
        "api.test" => Ok(json!({})),
        "auth.test" => Ok(slack.identity_of(arguments.token.as_deref(), identity(slack))),
        "chat.postMessage" => messages::post(slack, arguments),
        "chat.update" => messages::update(slack, arguments),
        "chat.delete" => messages::delete(slack, arguments),
        "chat.postEphemeral" => messages::post_ephemeral(slack, arguments),
        "chat.getPermalink" => messages::permalink(slack, arguments),
        "views.open" => views::open(slack, arguments),
        "views.push" => views::push(slack, arguments),
        "views.update" => views::update(slack, arguments),
        "views.publish" => views::publish(slack, arguments),
        "conversations.history" => conversations::history(slack, arguments),
        "conversations.replies" => conversations::replies(slack, arguments),
        "conversations.info" => conversations::info(slack, arguments),
        "conversations.open" => conversations::open(slack, arguments),
        "conversations.join" => conversations::join(slack, arguments),
        "conversations.list" => conversations::list(slack, arguments, false),
        "users.conversations" => conversations::list(slack, arguments, true),
        "users.info" => conversations::user_info(slack, arguments),
        "reactions.get" => conversations::reactions(slack, arguments),
        "files.getUploadURLExternal" => files::upload_url(slack, arguments),
        "files.completeUploadExternal" => files::complete(slack, arguments),
        _ => Err(Refusal::Error("unknown_method")),
    }
}

fn authenticate(slack: &Slack, arguments: &Arguments) -> Result<(), Refusal> {
    let token = arguments.token.as_deref().ok_or("not_authed")?;
    if let Some(granted) = slack.granted(token) {
        return granted;
    }
    let expected = slack.0.config.bot_token.expose_secret();
    let same = subtle::ConstantTimeEq::ct_eq(token.as_bytes(), expected.as_bytes());
    if !bool::from(same) {
        return Err(Refusal::Error("invalid_auth"));
    }
    Ok(slack.state().standing.token()?)
}

fn count(slack: &Slack, method: &str, arguments: &Arguments) -> Result<(), Refusal> {
    let mut rates = slack.0.rates.lock().expect("no holder of the lock panics");
    let channel = arguments.text("channel");
    rates
        .take(method, &channel, Instant::now())
        .map_err(Refusal::RateLimited)
}

fn identity(slack: &Slack) -> Value {
    json!({
        "url": slack.0.config.team_url, "team": "Playground", "user": "iofold",
        "team_id": TEAM_ID, "user_id": BOT_USER_ID, "bot_id": BOT_ID, "is_enterprise_install": false,
    })
}
