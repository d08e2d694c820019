use std::time::Duration;

use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cards::{cards, eval_state};
use super::langfuse::{ScoreOverview, TraceOverview};
use super::slack::{Channel, ClickError, Message, State, User, View};
use super::{Place, Playground, YOU, doors, guard, page};
use crate::domain::Class;

/// A question for changes is answered at the latest after this.
const CHANGES_WITHIN: Duration = Duration::from_secs(25);
/// Traces in the Langfuse panel.
const TRACES_SHOWN: usize = 100;

/// The page, its API and both stand-ins, for `nest_service` at `/playground` (`nest` would leave out
/// the address that ends in a slash).
pub fn router(playground: Playground) -> Router {
    let slack = playground.slack().router();
    let langfuse = playground.langfuse().router();
    Router::new()
        .nest("/api", api())
        .route("/files/{id}", get(file))
        .route("/archives/{channel}/{message}", get(permalink))
        .with_state(playground)
        .merge(page::routes())
        .nest("/slack", slack)
        .nest("/langfuse", langfuse)
        .layer(middleware::from_fn(guard::loopback_only))
}

fn api() -> Router<Playground> {
    Router::new()
        .route("/channels", get(channels))
        .route("/users", get(users))
        .route("/changes", get(changes))
        .route("/channels/{id}/messages", get(messages))
        .route("/channels/{id}/traces", get(traces))
        .merge(doors::routes())
        .route("/channels/{id}/annotators", post(annotators))
        .route("/channels/{id}/release", post(release))
        .route("/views", get(views))
        .route("/views/{id}/submit", post(submit))
        .route("/views/{id}/close", post(close))
        .layer(middleware::from_fn(guard::own_page_only))
        .layer(middleware::from_fn(page::with_headers))
}

/// Why the page's request failed, in words for a person.
pub(super) struct PageError(StatusCode, Value);

impl PageError {
    pub(super) fn missing(what: &'static str) -> Self {
        ClickError::Missing(what).into()
    }
}

impl From<ClickError> for PageError {
    fn from(error: ClickError) -> Self {
        let text = error.to_string();
        match error {
            ClickError::Missing(_) => Self(StatusCode::NOT_FOUND, json!({"error": text})),
            ClickError::Fields(errors) => {
                let body = json!({"error": text, "errors": errors});
                Self(StatusCode::UNPROCESSABLE_ENTITY, body)
            }
            ClickError::Unacknowledged(_) => Self(StatusCode::BAD_GATEWAY, json!({"error": text})),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Self(status, mut body) = self;
        body["ok"] = json!(false);
        (status, Json(body)).into_response()
    }
}

pub(super) type Answer = Result<Json<Value>, PageError>;

#[derive(Deserialize)]
pub(super) struct Viewer {
    user: Option<String>,
}

impl Viewer {
    /// The person who looks; the page's own unless another is named.
    pub(super) fn of<'a>(&self, playground: &'a Playground) -> Result<&'a User, PageError> {
        let name = self.user.as_deref().unwrap_or(YOU);
        let user = playground.slack().user(name);
        user.ok_or_else(|| PageError::missing("this user"))
    }
}

impl Playground {
    fn known_place(&self, id_or_name: &str) -> Result<&Place, PageError> {
        self.place(id_or_name)
            .ok_or_else(|| PageError::missing("this channel"))
    }

    fn channel_summaries(&self) -> Vec<Value> {
        let state = self.slack().state();
        let places = self.0.places.iter();
        places
            .filter_map(|place| {
                Some(self.summary(&state, place, self.slack().channel(&place.channel)?))
            })
            .collect()
    }

    fn summary(&self, state: &State, place: &Place, channel: &Channel) -> Value {
        let cards = cards(state, &channel.id);
        let of = |class: Class| {
            cards
                .iter()
                .filter(|card| card.class() == Some(class))
                .count()
        };
        let eval = eval_state(state, &channel.id);
        let annotators = place
            .annotators
            .lock()
            .expect("no holder of the lock panics")
            .clone();
        json!({
            "id": channel.id, "name": channel.name, "topic": channel.topic,
            "workspace": place.workspace, "project": place.project, "cards": cards.len(),
            "labelled": cards.iter().filter(|card| card.is_labelled()).count(),
            "up": of(Class::Pass), "down": of(Class::Fail), "wanted": self.0.labels_wanted,
            "report_ts": eval.report_ts, "not_yet_ts": eval.not_yet_ts, "deployed": eval.is_deployed,
            "discarded": eval.is_discarded,
            "waiting": self.langfuse().waiting(&place.project), "annotators": annotators,
        })
    }
}

async fn channels(Shared(playground): Shared<Playground>) -> Json<Value> {
    Json(json!({"channels": playground.channel_summaries()}))
}

async fn users(Shared(playground): Shared<Playground>) -> Json<Value> {
    let shown =
        |user: &User| json!({"id": user.id, "name": user.name, "real_name": user.real_name});
    let users: Vec<Value> = playground.slack().users().iter().map(shown).collect();
    Json(json!({"users": users}))
}

fn message_value(state: &State, message: &Message) -> Value {
    let mut shown = state.shown(message, true);
    shown["channel"] = json!(message.channel);
    shown["ephemeral"] = json!(message.only_for.is_some());
    shown
}

fn is_shown_to(message: &Message, user: &User) -> bool {
    message
        .only_for
        .as_ref()
        .is_none_or(|only| *only == user.id)
}

async fn messages(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Query(viewer): Query<Viewer>,
) -> Answer {
    let user = viewer.of(&playground)?;
    let channel = &playground.known_place(&id)?.channel;
    let state = playground.slack().state();
    let shown = state
        .of_channel(channel)
        .filter(|message| is_shown_to(message, user));
    let (replies, top): (Vec<&Message>, Vec<&Message>) = shown.partition(|m| m.thread_ts.is_some());
    let with_replies = |message: &&Message| {
        let mut value = message_value(&state, message);
        let of_it = replies
            .iter()
            .filter(|reply| reply.thread_ts.as_ref() == Some(&message.ts));
        value["replies"] = of_it.map(|reply| message_value(&state, reply)).collect();
        value
    };
    let messages: Vec<Value> = top.iter().map(with_replies).collect();
    Ok(Json(json!({"messages": messages})))
}

#[derive(Deserialize)]
struct Since {
    epoch: Option<String>,
    #[serde(default)]
    after: u64,
    user: Option<String>,
}

/// What a page has to change; `epoch` differs after a restart, and then everything is in it.
async fn changes(Shared(playground): Shared<Playground>, Query(since): Query<Since>) -> Answer {
    playground.0.watched.note();
    let viewer = Viewer { user: since.user };
    let user = viewer.of(&playground)?;
    let is_known = since.epoch.as_ref() == Some(&playground.0.epoch);
    let after = if is_known { since.after } else { 0 };
    if is_known {
        wait_for_change(&playground, after).await;
    }
    let channels = playground.channel_summaries();
    let state = playground.slack().state();
    let changed = state
        .messages
        .values()
        .filter(|m| m.change > after && is_shown_to(m, user));
    Ok(Json(json!({
        "epoch": playground.0.epoch, "change": state.change, "channels": channels,
        "messages": changed.map(|message| message_value(&state, message)).collect::<Vec<_>>(),
        "deleted": state.deleted_since(after),
        "views": views_of(&state, user),
        "home": state.homes.get(&user.id).map(View::to_slack),
    })))
}

/// Until something changes, the service stops, or a proxy or browser would lose patience.
async fn wait_for_change(playground: &Playground, after: u64) {
    let mut changes = playground.slack().changes();
    tokio::select! {
        _ = changes.wait_for(|change| *change > after) => {}
        () = playground.0.stopping.cancelled() => {}
        () = tokio::time::sleep(CHANGES_WITHIN) => {}
    }
}

fn views_of(state: &State, user: &User) -> Vec<Value> {
    state.views_of(&user.id).map(View::to_slack).collect()
}

async fn views(Shared(playground): Shared<Playground>, Query(viewer): Query<Viewer>) -> Answer {
    let user = viewer.of(&playground)?;
    let views = views_of(&playground.slack().state(), user);
    Ok(Json(json!({"views": views})))
}

async fn traces(Shared(playground): Shared<Playground>, Path(id): Path<String>) -> Answer {
    let place = playground.known_place(&id)?;
    let traces = playground.langfuse().traces(&place.project);
    let newest = traces.iter().take(TRACES_SHOWN);
    let shown: Vec<Value> = newest.map(trace_value).collect();
    let waiting = playground.langfuse().waiting(&place.project);
    Ok(Json(
        json!({"traces": shown, "total": traces.len(), "waiting": waiting}),
    ))
}

fn trace_value(trace: &TraceOverview) -> Value {
    let score = |score: &ScoreOverview| json!({"name": score.name, "value": score.value, "comment": score.comment});
    let scores: Vec<Value> = trace.scores.iter().map(score).collect();
    json!({
        "id": trace.id, "name": trace.name, "input": trace.input, "output": trace.output,
        "timestamp": trace.timestamp, "scores": scores,
    })
}

#[derive(Deserialize)]
struct Count {
    count: usize,
}

async fn annotators(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<Count>,
) -> Answer {
    let channel = playground.known_place(&id)?.channel.clone();
    if playground.start_annotators(&channel, body.count) {
        return Ok(Json(json!({"ok": true})));
    }
    let error = json!({"error": "the recorded annotators are at it already"});
    Err(PageError(StatusCode::CONFLICT, error))
}

async fn release(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<Count>,
) -> Answer {
    let place = playground.known_place(&id)?;
    let released = playground.release(place, body.count);
    Ok(Json(json!({"ok": true, "traces": released})))
}

#[derive(Deserialize)]
struct ViewBody {
    user: Option<String>,
    #[serde(default)]
    values: Value,
}

async fn submit(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<ViewBody>,
) -> Answer {
    let user = body.user.as_deref().unwrap_or(YOU);
    playground.slack().submit(&id, user, &body.values).await?;
    Ok(Json(json!({"ok": true})))
}

async fn close(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<ViewBody>,
) -> Answer {
    let user = body.user.as_deref().unwrap_or(YOU);
    playground.slack().close(&id, user).await?;
    Ok(Json(json!({"ok": true})))
}

async fn file(Shared(playground): Shared<Playground>, Path(id): Path<String>) -> Response {
    let state = playground.slack().state();
    match state.files.get(&id).filter(|file| file.is_complete) {
        Some(file) => page::picture(file.bytes()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A message's permalink, `…/archives/C…/p` and its ts without the dot, leads to the page.
async fn permalink(
    Shared(playground): Shared<Playground>,
    Path((channel, message)): Path<(String, String)>,
) -> Response {
    let digits = message.strip_prefix('p').unwrap_or_default();
    let is_ts = digits.len() > 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let Some(channel) = playground.slack().channel(&channel).filter(|_| is_ts) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (seconds, microseconds) = digits.split_at(digits.len() - 6);
    Redirect::to(&format!("../../#{}/{seconds}.{microseconds}", channel.name)).into_response()
}
