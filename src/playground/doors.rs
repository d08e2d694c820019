use axum::extract::{Path, Query, State as Shared};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::slack::{Choice, View};
use super::web::{Answer, PageError, Viewer};
use super::{Playground, YOU};

/// What a person at the page may do in Slack.
pub fn routes() -> Router<Playground> {
    Router::new()
        .route("/channels/{id}/click", post(click))
        .route("/channels/{id}/react", post(react))
        .route("/channels/{id}/say", post(say))
        .route("/channels/{id}/delete", post(delete))
        .route("/channels/{id}/command", post(command))
        .route("/views/{id}/click", post(click_view))
        .route("/home", get(home))
        .route("/home/open", post(open_home))
}

impl Playground {
    /// The id of the channel of this name or id, a direct one among them.
    fn channel_id(&self, id_or_name: &str) -> Result<String, PageError> {
        let slack = self.slack();
        let mut named = slack.channels().iter();
        let channel = named
            .find(|channel| channel.name == id_or_name)
            .or_else(|| slack.channel(id_or_name));
        let channel = channel.ok_or_else(|| PageError::missing("this channel"))?;
        Ok(channel.id.clone())
    }
}

#[derive(Deserialize)]
struct ChoiceBody {
    block_id: Option<String>,
    action_id: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    selected: Vec<String>,
}

impl ChoiceBody {
    fn choice(&self) -> Choice<'_> {
        Choice {
            block_id: self.block_id.as_deref(),
            action_id: &self.action_id,
            value: &self.value,
            selected: &self.selected,
        }
    }
}

#[derive(Deserialize)]
struct ClickBody {
    user: Option<String>,
    ts: String,
    #[serde(flatten)]
    choice: ChoiceBody,
}

async fn click(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<ClickBody>,
) -> Answer {
    let channel = playground.channel_id(&id)?;
    let user = body.user.as_deref().unwrap_or(YOU);
    let slack = playground.slack();
    let choice = body.choice.choice();
    slack.click(&channel, user, &body.ts, &choice).await?;
    Ok(Json(json!({"ok": true})))
}

#[derive(Deserialize)]
struct ViewClickBody {
    user: Option<String>,
    #[serde(flatten)]
    choice: ChoiceBody,
    #[serde(default)]
    values: Value,
}

async fn click_view(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<ViewClickBody>,
) -> Answer {
    let user = body.user.as_deref().unwrap_or(YOU);
    let slack = playground.slack();
    let choice = body.choice.choice();
    slack.click_view(&id, user, &choice, &body.values).await?;
    Ok(Json(json!({"ok": true})))
}

#[derive(Deserialize)]
struct ReactionBody {
    user: Option<String>,
    ts: String,
    name: String,
    #[serde(default)]
    remove: bool,
}

async fn react(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<ReactionBody>,
) -> Answer {
    let channel = playground.channel_id(&id)?;
    let user = body.user.as_deref().unwrap_or(YOU);
    let slack = playground.slack();
    slack.react(&channel, user, &body.ts, &body.name, !body.remove)?;
    Ok(Json(json!({"ok": true})))
}

#[derive(Deserialize)]
struct SayBody {
    user: Option<String>,
    text: String,
    thread_ts: Option<String>,
}

async fn say(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<SayBody>,
) -> Answer {
    let channel = playground.channel_id(&id)?;
    let user = body.user.as_deref().unwrap_or(YOU);
    let thread_ts = body.thread_ts.as_deref();
    let slack = playground.slack();
    let ts = slack.say(&channel, user, &body.text, thread_ts)?;
    Ok(Json(json!({"ok": true, "ts": ts})))
}

#[derive(Deserialize)]
struct DeleteBody {
    user: Option<String>,
    ts: String,
}

async fn delete(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<DeleteBody>,
) -> Answer {
    let channel = playground.channel_id(&id)?;
    let user = body.user.as_deref().unwrap_or(YOU);
    playground.slack().delete(&channel, user, &body.ts)?;
    Ok(Json(json!({"ok": true})))
}

#[derive(Deserialize)]
struct CommandBody {
    user: Option<String>,
    #[serde(default)]
    text: String,
}

async fn command(
    Shared(playground): Shared<Playground>,
    Path(id): Path<String>,
    Json(body): Json<CommandBody>,
) -> Answer {
    let channel = playground.channel_id(&id)?;
    let user = body.user.as_deref().unwrap_or(YOU);
    let slack = playground.slack();
    let answer = slack.command(&channel, user, &body.text).await?;
    Ok(Json(json!({"ok": true, "answer": answer})))
}

async fn open_home(Shared(playground): Shared<Playground>, Json(viewer): Json<Viewer>) -> Answer {
    let user = viewer.of(&playground)?.id.clone();
    playground.slack().open_home(&user)?;
    Ok(Json(json!({"ok": true})))
}

async fn home(Shared(playground): Shared<Playground>, Query(viewer): Query<Viewer>) -> Answer {
    let user = viewer.of(&playground)?;
    let state = playground.slack().state();
    let view = state.homes.get(&user.id).map(View::to_slack);
    Ok(Json(json!({"view": view})))
}
