use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::state::{APP_ID, BOT_ID, BOT_USER_ID, TEAM_ID, random_id};
use super::{Channel, Entry, Message, Slack, State, User, blocks, files};

/// A message with fifty full sections is below this.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// Slack cuts the text of a posted message here, in characters ("chat.postMessage").
const TEXT_MAX: usize = 40_000;
/// Slack refuses an update whose text is longer, in characters ("chat.update").
const UPDATE_TEXT_MAX: usize = 4_000;
/// Slack refuses a modal that is larger, in bytes ("views.open").
const VIEW_MAX: usize = 250_000;
/// Messages in a page of a channel or thread, unless asked otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 999;

/// Why a call is refused; all but the rate limit are answered with status 200, as Slack does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Slack's word for it.
    Error(&'static str),
    /// Slack's word, and what exactly is wrong.
    Invalid(&'static str, Vec<String>),
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
        .route("/actions/{key}", post(respond))
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
    match answered {
        Ok(mut fields) => {
            fields["ok"] = json!(true);
            Json(fields).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn answer(slack: &Slack, method: &str, arguments: &Arguments) -> Answer {
    if method != "api.test" {
        authenticate(slack, arguments)?;
        slack.ordered_refusal(method, arguments)?;
        count(slack, method, arguments)?;
    }
    match method {
        "api.test" => Ok(json!({})),
        "auth.test" => Ok(slack.identity_of(arguments.token.as_deref(), identity(slack))),
        "chat.postMessage" => post_message(slack, arguments),
        "chat.update" => update(slack, arguments),
        "chat.postEphemeral" => post_ephemeral(slack, arguments),
        "views.open" => open_view(slack, arguments),
        "conversations.history" => history(slack, arguments),
        "conversations.replies" => replies(slack, arguments),
        "conversations.info" => channel_info(slack, arguments),
        "users.info" => user_info(slack, arguments),
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
    if bool::from(same) {
        Ok(())
    } else {
        Err(Refusal::Error("invalid_auth"))
    }
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

/// By id, as every method takes it.
fn channel_of<'a>(slack: &'a Slack, arguments: &Arguments) -> Result<&'a Channel, Refusal> {
    let id = arguments.text("channel");
    slack
        .channel(&id)
        .ok_or(Refusal::Error("channel_not_found"))
}

/// By id or name, as `chat.postMessage` takes it.
fn named_channel<'a>(slack: &'a Slack, arguments: &Arguments) -> Result<&'a Channel, Refusal> {
    let given = arguments.text("channel");
    let name = given.trim_start_matches('#');
    let mut channels = slack.channels().iter();
    channels
        .find(|channel| channel.id == given || channel.name == name)
        .ok_or(Refusal::Error("channel_not_found"))
}

fn post_message(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = named_channel(slack, arguments)?;
    let mut state = slack.state();
    let (text, blocks) = content(&state, arguments)?;
    let thread_ts = thread_of(&state, channel, arguments)?;
    let text = text.chars().take(TEXT_MAX).collect();
    let mut message = plain_message(&mut state, &channel.id, (text, blocks));
    message.metadata = metadata(arguments);
    message.thread_ts = thread_ts;
    let shown = message.to_slack(true);
    let answer = json!({"channel": channel.id, "ts": message.ts, "message": shown});
    slack.record(&mut state, Entry::Posted(message))?;
    Ok(answer)
}

fn update(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let mut state = slack.state();
    let ts = arguments.text("ts");
    let found = state
        .message(&channel.id, &ts)
        .filter(|m| m.only_for.is_none());
    let mut message = found.cloned().ok_or("message_not_found")?;
    let (text, blocks) = content(&state, arguments)?;
    if text.chars().count() > UPDATE_TEXT_MAX {
        return Err(Refusal::Error("msg_too_long"));
    }
    message.edited_ts = Some(state.next_ts());
    message.text = text;
    message.blocks = blocks;
    message.metadata = metadata(arguments).or(message.metadata);
    let shown = message.to_slack(true);
    let answer = json!({"channel": channel.id, "ts": ts, "text": message.text, "message": shown});
    slack.record(&mut state, Entry::Updated(message))?;
    Ok(answer)
}

fn post_ephemeral(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = named_channel(slack, arguments)?;
    let id = arguments.text("user");
    let user = slack
        .users()
        .iter()
        .find(|user| user.id == id)
        .ok_or("user_not_in_channel")?;
    let mut state = slack.state();
    let (text, blocks) = content(&state, arguments)?;
    if text.chars().count() > TEXT_MAX {
        return Err(Refusal::Error("msg_too_long"));
    }
    let thread_ts = thread_of(&state, channel, arguments)?;
    let mut message = plain_message(&mut state, &channel.id, (text, blocks));
    message.thread_ts = thread_ts;
    message.only_for = Some(user.id.clone());
    let answer = json!({"message_ts": message.ts});
    slack.record(&mut state, Entry::Posted(message))?;
    Ok(answer)
}

/// A new message for everybody in the channel, with nothing but its content.
fn plain_message(
    state: &mut State,
    channel: &str,
    (text, blocks): (String, Vec<Value>),
) -> Message {
    Message {
        ts: state.next_ts(),
        channel: channel.to_owned(),
        text,
        blocks,
        metadata: None,
        thread_ts: None,
        edited_ts: None,
        only_for: None,
        change: 0,
    }
}

/// A message's text and blocks, each block with a `block_id`. A message over a limit is refused whole.
fn content(state: &State, arguments: &Arguments) -> Result<(String, Vec<Value>), Refusal> {
    let text = arguments.text("text");
    let Some(blocks) = arguments.structure("blocks").filter(|b| *b != json!([])) else {
        return match text.trim() {
            "" => Err(Refusal::Error("no_text")),
            _ => Ok((text, Vec::new())),
        };
    };
    if !blocks.is_array() {
        return Err(Refusal::Error("invalid_blocks_format"));
    }
    let problems = blocks::check_message(&blocks, &|id| can_show(state, id));
    if !problems.is_empty() {
        return Err(Refusal::Invalid("invalid_blocks", problems));
    }
    Ok((text, with_ids(blocks)))
}

fn can_show(state: &State, id: &str) -> bool {
    state
        .files
        .get(id)
        .is_some_and(|file| file.is_ready(Instant::now()))
}

fn with_ids(blocks: Value) -> Vec<Value> {
    let Value::Array(mut blocks) = blocks else {
        return Vec::new();
    };
    for block in &mut blocks {
        if block["block_id"].is_null() {
            block["block_id"] = json!(random_id());
        }
    }
    blocks
}

/// Slack keeps metadata only in this shape ("Message metadata").
fn metadata(arguments: &Arguments) -> Option<Value> {
    let metadata = arguments.structure("metadata")?;
    let has_type = metadata["event_type"]
        .as_str()
        .is_some_and(|name| !name.is_empty());
    let kept =
        json!({"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]});
    (has_type && metadata["event_payload"].is_object()).then_some(kept)
}

fn thread_of(
    state: &State,
    channel: &Channel,
    arguments: &Arguments,
) -> Result<Option<String>, Refusal> {
    let Some(ts) = arguments.optional("thread_ts") else {
        return Ok(None);
    };
    let parent = state.message(&channel.id, &ts).ok_or("thread_not_found")?;
    Ok(Some(parent.thread_ts.clone().unwrap_or(ts)))
}

fn open_view(slack: &Slack, arguments: &Arguments) -> Answer {
    let view = arguments.structure("view").ok_or("invalid_arguments")?;
    let mut state = slack.state();
    let problems = blocks::check_view(&view, &|id| can_show(&state, id));
    if !problems.is_empty() {
        return Err(Refusal::Invalid("invalid_arguments", problems));
    }
    if view.to_string().len() > VIEW_MAX {
        return Err(Refusal::Error("view_too_large"));
    }
    let user = state.take_trigger(&arguments.text("trigger_id"), Instant::now())?;
    let opened = state.open_view(&user, view_with_ids(view));
    slack.tell(&state);
    Ok(json!({"view": opened.to_slack()}))
}

/// The view, each block with a `block_id`.
pub fn view_with_ids(mut view: Value) -> Value {
    view["blocks"] = Value::Array(with_ids(view["blocks"].take()));
    view
}

fn history(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let state = slack.state();
    let posted = state
        .of_channel(&channel.id)
        .filter(|m| m.only_for.is_none());
    let newest_first = posted.filter(|m| m.thread_ts.is_none()).rev();
    let mut page = page(newest_first, arguments, |ts, cursor| ts < cursor)?;
    for shown in page["messages"].as_array_mut().into_iter().flatten() {
        add_reply_count(&state, &channel.id, shown);
    }
    Ok(page)
}

fn replies(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let state = slack.state();
    let ts = arguments.text("ts");
    if state.message(&channel.id, &ts).is_none() {
        return Err(Refusal::Error("thread_not_found"));
    }
    let of_thread = |m: &&Message| m.ts == ts || m.thread_ts.as_ref() == Some(&ts);
    let posted = state
        .of_channel(&channel.id)
        .filter(|m| m.only_for.is_none());
    page(posted.filter(of_thread), arguments, |ts, cursor| {
        ts > cursor
    })
}

fn add_reply_count(state: &State, channel: &str, shown: &mut Value) {
    let ts = shown["ts"].clone();
    let of_thread = |m: &&Message| m.thread_ts.as_deref() == ts.as_str();
    let count = state.of_channel(channel).filter(of_thread).count();
    if count > 0 {
        shown["reply_count"] = json!(count);
        shown["thread_ts"] = ts;
    }
}

/// A page between `oldest` and `latest`; the cursor is the last ts shown.
fn page<'a>(
    messages: impl Iterator<Item = &'a Message>,
    arguments: &Arguments,
    is_after: impl Fn(&str, &str) -> bool,
) -> Answer {
    let limit = match arguments.optional("limit") {
        Some(limit) => limit.parse().map_err(|_| "invalid_limit")?,
        None => PAGE,
    };
    let (oldest, latest) = (arguments.optional("oldest"), arguments.optional("latest"));
    let inclusive = arguments.is_set("inclusive");
    let cursor = arguments.optional("cursor");
    let wanted = |m: &&Message| {
        let above = oldest
            .as_ref()
            .is_none_or(|o| m.ts > *o || (inclusive && m.ts == *o));
        let below = latest
            .as_ref()
            .is_none_or(|l| m.ts < *l || (inclusive && m.ts == *l));
        above && below && cursor.as_ref().is_none_or(|c| is_after(&m.ts, c))
    };
    let mut rest = messages.filter(wanted).peekable();
    let with_metadata = arguments.is_set("include_all_metadata");
    let shown = rest.by_ref().take(limit.clamp(1, PAGE_MAX));
    let shown: Vec<Value> = shown.map(|m| m.to_slack(with_metadata)).collect();
    let has_more = rest.peek().is_some();
    let last = shown
        .last()
        .filter(|_| has_more)
        .map_or(json!(""), |m| m["ts"].clone());
    let next = json!({"next_cursor": last});
    Ok(json!({"messages": shown, "has_more": has_more, "pin_count": 0, "response_metadata": next}))
}

fn channel_info(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    Ok(json!({"channel": {
        "id": channel.id, "name": channel.name, "name_normalized": channel.name, "is_channel": true,
        "is_private": false, "is_archived": false, "is_member": true, "created": 0,
        "creator": BOT_USER_ID, "topic": {"value": channel.topic, "creator": BOT_USER_ID, "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }}))
}

fn user_info(slack: &Slack, arguments: &Arguments) -> Answer {
    let id = arguments.text("user");
    let bot = User {
        id: BOT_USER_ID.to_owned(),
        name: "iofold".to_owned(),
        real_name: "iofold".to_owned(),
        is_bot: true,
    };
    let known = slack
        .users()
        .iter()
        .chain([&bot])
        .find(|user| user.id == id);
    let user = known.ok_or("user_not_found")?;
    let app = if user.is_bot {
        json!(APP_ID)
    } else {
        Value::Null
    };
    Ok(json!({"user": {
        "id": user.id, "team_id": TEAM_ID, "name": user.name, "real_name": user.real_name,
        "deleted": false, "is_bot": user.is_bot, "tz": "Etc/UTC", "tz_offset": 0,
        "profile": {"real_name": user.real_name, "display_name": user.name, "api_app_id": app},
    }}))
}

/// An app's late answer to a click, by its `response_url`: ephemeral unless it says otherwise.
async fn respond(
    Shared(slack): Shared<Slack>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = Arguments::read(&headers, &RawQuery(None), &body)
        .map_err(Refusal::from)
        .and_then(|arguments| answer_click(&slack, &key, &arguments));
    match answered {
        Ok(()) => Json(Map::from_iter([("ok".to_owned(), json!(true))])).into_response(),
        Err(Refusal::Error("used_url")) => (StatusCode::NOT_FOUND, "used_url").into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn answer_click(slack: &Slack, key: &str, arguments: &Arguments) -> Result<(), Refusal> {
    let mut state = slack.state();
    let to = state.take_response(key).ok_or("used_url")?;
    if arguments.is_set("delete_original") {
        let (channel, ts) = (to.channel, to.ts);
        return Ok(slack.record(&mut state, Entry::Deleted { channel, ts })?);
    }
    let (text, blocks) = content(&state, arguments)?;
    if !arguments.is_set("replace_original") {
        let mut message = plain_message(&mut state, &to.channel, (text, blocks));
        message.only_for = (arguments.text("response_type") != "in_channel").then_some(to.user);
        return Ok(slack.record(&mut state, Entry::Posted(message))?);
    }
    let original = state.message(&to.channel, &to.ts).cloned();
    let mut message = original.ok_or("message_not_found")?;
    message.edited_ts = Some(state.next_ts());
    message.text = text;
    message.blocks = blocks;
    Ok(slack.record(&mut state, Entry::Updated(message))?)
}
