use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::api::{Answer, Refusal};
use super::arguments::Arguments;
use super::conversations::channel_of;
use super::state::random_id;
use super::{Channel, Entry, Message, Slack, State, blocks};

/// Slack cuts the text of a posted message here, in characters ("chat.postMessage").
const TEXT_MAX: usize = 40_000;
/// Slack refuses an update whose text is longer, in characters ("chat.update").
const UPDATE_TEXT_MAX: usize = 4_000;

/// By id or name, as `chat.postMessage` takes it; a user's id stands for the direct channel.
fn named_channel<'a>(slack: &'a Slack, arguments: &Arguments) -> Result<&'a Channel, Refusal> {
    let given = arguments.text("channel");
    let name = given.trim_start_matches('#');
    let mut channels = slack.channels().iter();
    let found = channels
        .find(|channel| channel.name == name)
        .or_else(|| slack.channel(&given))
        .or_else(|| slack.direct_channel(&given));
    found.ok_or(Refusal::Error("channel_not_found"))
}

/// `chat.postMessage`.
pub fn post(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = named_channel(slack, arguments)?;
    let mut state = slack.state();
    state.standing.need("chat:write")?;
    state.standing.can_write(channel)?;
    let (text, blocks) = content(&state, arguments)?;
    let thread_ts = thread_of(&state, channel, arguments)?;
    let text = text.chars().take(TEXT_MAX).collect();
    let mut message = Message::new(state.next_ts(), &channel.id, text);
    message.blocks = blocks;
    message.metadata = metadata(arguments);
    message.thread_ts = thread_ts;
    let shown = message.to_slack(true);
    let answer = json!({"channel": channel.id, "ts": message.ts, "message": shown});
    slack.record(&mut state, Entry::Posted(message))?;
    Ok(answer)
}

/// `chat.update`.
pub fn update(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let mut state = slack.state();
    state.standing.need("chat:write")?;
    let ts = arguments.text("ts");
    let mut message = own(&state, channel, &ts, "cant_update_message")?;
    if state.standing.is_archived(&channel.id) {
        return Err(Refusal::Error("is_archived"));
    }
    let (text, blocks) = content(&state, arguments)?;
    if text.chars().count() > UPDATE_TEXT_MAX {
        return Err(Refusal::Error("msg_too_long"));
    }
    message.edited_ts = Some(state.next_ts());
    message.text = text;
    // An update that says nothing of blocks leaves them; an empty list takes them away ("chat.update").
    if arguments.structure("blocks").is_some() {
        message.blocks = blocks;
    }
    message.metadata = metadata(arguments).or(message.metadata);
    let shown = message.to_slack(true);
    let answer = json!({"channel": channel.id, "ts": ts, "text": message.text, "message": shown});
    slack.record(&mut state, Entry::Updated(message))?;
    Ok(answer)
}

/// The app's own message that all can see; a tombstone is none.
fn own(
    state: &State,
    channel: &Channel,
    ts: &str,
    anothers: &'static str,
) -> Result<Message, Refusal> {
    let message = state.message(&channel.id, ts);
    let message = message.filter(|m| m.only_for.is_none() && !m.is_tombstone());
    let message = message.ok_or("message_not_found")?;
    match message.user {
        None => Ok(message.clone()),
        Some(_) => Err(Refusal::Error(anothers)),
    }
}

/// `chat.delete`.
pub fn delete(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let mut state = slack.state();
    state.standing.need("chat:write")?;
    let ts = arguments.text("ts");
    own(&state, channel, &ts, "cant_delete_message")?;
    let channel = channel.id.clone();
    let answer = json!({"channel": channel, "ts": ts});
    let gone = state.deletion(&channel, &ts);
    slack.record(&mut state, gone)?;
    Ok(answer)
}

/// `chat.getPermalink`.
pub fn permalink(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let ts = arguments.text("message_ts");
    let state = slack.state();
    let message = state.message(&channel.id, &ts).ok_or("message_not_found")?;
    let digits = message.ts.replace('.', "");
    let mut link = format!(
        "{}archives/{}/p{digits}",
        slack.0.config.team_url, channel.id
    );
    if let Some(parent) = &message.thread_ts {
        link = format!("{link}?thread_ts={parent}&cid={}", channel.id);
    }
    Ok(json!({"channel": channel.id, "permalink": link}))
}

/// `chat.postEphemeral`.
pub fn post_ephemeral(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = named_channel(slack, arguments)?;
    let id = arguments.text("user");
    let user = slack
        .users()
        .iter()
        .find(|user| user.id == id)
        .ok_or("user_not_in_channel")?;
    let mut state = slack.state();
    state.standing.need("chat:write")?;
    state.standing.can_write(channel)?;
    let (text, blocks) = content(&state, arguments)?;
    if text.chars().count() > TEXT_MAX {
        return Err(Refusal::Error("msg_too_long"));
    }
    let mut message = Message::new(state.next_ts(), &channel.id, text);
    message.blocks = blocks;
    message.thread_ts = thread_of(&state, channel, arguments)?;
    message.only_for = Some(user.id.clone());
    let answer = json!({"message_ts": message.ts});
    slack.record(&mut state, Entry::Posted(message))?;
    Ok(answer)
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

/// Whether a message can show the uploaded file of this id.
pub fn can_show(state: &State, id: &str) -> bool {
    state
        .files
        .get(id)
        .is_some_and(|file| file.is_ready(Instant::now()))
}

/// The blocks, each with a `block_id`.
pub fn with_ids(blocks: Value) -> Vec<Value> {
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

/// An app's late answer to a click or command, by its `response_url`: ephemeral unless it says otherwise.
pub async fn respond(
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
    if !arguments.is_set("replace_original") {
        return show_answer(slack, &mut state, (&to.channel, &to.user), arguments);
    }
    let (text, blocks) = content(&state, arguments)?;
    let original = state.message(&to.channel, &to.ts).cloned();
    let mut message = original.ok_or("message_not_found")?;
    message.edited_ts = Some(state.next_ts());
    message.text = text;
    message.blocks = blocks;
    Ok(slack.record(&mut state, Entry::Updated(message))?)
}

/// Shows what a command was answered with at once, as a message.
pub fn post_answer(
    slack: &Slack,
    channel: &str,
    user: &str,
    answer: &Value,
) -> Result<(), Refusal> {
    let fields = answer.as_object().cloned().unwrap_or_default();
    let mut state = slack.state();
    show_answer(slack, &mut state, (channel, user), &Arguments::of(fields))
}

fn show_answer(
    slack: &Slack,
    state: &mut State,
    (channel, user): (&str, &str),
    arguments: &Arguments,
) -> Result<(), Refusal> {
    let (text, blocks) = content(state, arguments)?;
    let mut message = Message::new(state.next_ts(), channel, text);
    message.blocks = blocks;
    message.thread_ts = arguments.optional("thread_ts");
    message.only_for = (arguments.text("response_type") != "in_channel").then(|| user.to_owned());
    Ok(slack.record(state, Entry::Posted(message))?)
}
