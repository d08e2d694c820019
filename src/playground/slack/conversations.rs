use std::sync::MutexGuard;

use serde_json::{Value, json};

use super::api::{Answer, Refusal};
use super::arguments::Arguments;
use super::state::{APP_ID, BOT_USER_ID, TEAM_ID};
use super::{Channel, Message, Slack, State, User};

/// Messages in a page of a channel or thread, unless asked otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 999;

/// By id, as nearly every method takes it.
pub fn channel_of<'a>(slack: &'a Slack, arguments: &Arguments) -> Result<&'a Channel, Refusal> {
    let id = arguments.text("channel");
    slack
        .channel(&id)
        .ok_or(Refusal::Error("channel_not_found"))
}

/// `conversations.history`: newest first, without replies.
pub fn history(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let state = readable(slack, channel)?;
    let posted = state
        .of_channel(&channel.id)
        .filter(|m| m.only_for.is_none());
    let newest_first = posted.filter(|m| m.thread_ts.is_none()).rev();
    let mut page = page(&state, newest_first, arguments, |ts, cursor| ts < cursor)?;
    for shown in page["messages"].as_array_mut().into_iter().flatten() {
        add_reply_count(&state, &channel.id, shown);
    }
    Ok(page)
}

/// The state, where the app may read the channel's messages.
fn readable<'a>(slack: &'a Slack, channel: &Channel) -> Result<MutexGuard<'a, State>, Refusal> {
    let mut state = slack.state();
    let scope = reading(&state, &channel.id, SCOPES_HISTORY);
    state.standing.need(scope)?;
    state.standing.can_read(channel)?;
    Ok(state)
}

/// `conversations.replies`: a thread, oldest first.
pub fn replies(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let state = readable(slack, channel)?;
    let ts = arguments.text("ts");
    if state.message(&channel.id, &ts).is_none() {
        return Err(Refusal::Error("thread_not_found"));
    }
    let of_thread = |m: &&Message| m.ts == ts || m.thread_ts.as_ref() == Some(&ts);
    let posted = state
        .of_channel(&channel.id)
        .filter(|m| m.only_for.is_none());
    page(&state, posted.filter(of_thread), arguments, |ts, cursor| {
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
    state: &State,
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
    let shown: Vec<Value> = shown.map(|m| state.shown(m, with_metadata)).collect();
    let has_more = rest.peek().is_some();
    let last = shown
        .last()
        .filter(|_| has_more)
        .map_or(json!(""), |m| m["ts"].clone());
    let next = json!({"next_cursor": last});
    Ok(json!({"messages": shown, "has_more": has_more, "pin_count": 0, "response_metadata": next}))
}

/// `conversations.info`.
pub fn info(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let mut state = slack.state();
    let scope = reading(&state, &channel.id, SCOPES_READ);
    state.standing.need(scope)?;
    let standing = &state.standing;
    if standing.is_private(&channel.id) && !standing.is_member(&channel.id) {
        return Err(Refusal::Error("channel_not_found"));
    }
    Ok(json!({"channel": shown(&state, channel)}))
}

fn shown(state: &State, channel: &Channel) -> Value {
    if channel.is_direct() {
        return json!({
            "id": channel.id, "created": 0, "is_archived": false, "is_im": true,
            "is_org_shared": false, "user": channel.name, "is_user_deleted": false,
        });
    }
    let standing = &state.standing;
    json!({
        "id": channel.id, "name": channel.name, "name_normalized": channel.name,
        "is_channel": true, "is_group": false, "is_im": false, "is_mpim": false,
        "is_private": standing.is_private(&channel.id), "is_archived": standing.is_archived(&channel.id),
        "is_member": standing.is_member(&channel.id), "is_general": false, "is_shared": false,
        "is_ext_shared": false, "is_org_shared": false, "context_team_id": TEAM_ID, "created": 0,
        "creator": BOT_USER_ID, "num_members": 0, "previous_names": [],
        "topic": {"value": channel.topic, "creator": BOT_USER_ID, "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    })
}

/// The scopes for channels, private channels and direct messages.
type Scopes = [&'static str; 3];
const SCOPES_READ: Scopes = ["channels:read", "groups:read", "im:read"];
const SCOPES_HISTORY: Scopes = ["channels:history", "groups:history", "im:history"];

fn reading(state: &State, channel: &str, [public, private, direct]: Scopes) -> &'static str {
    match channel {
        _ if channel.starts_with('D') => direct,
        _ if state.standing.is_private(channel) => private,
        _ => public,
    }
}

/// `conversations.open`: the direct channel with a user.
pub fn open(slack: &Slack, arguments: &Arguments) -> Answer {
    slack.state().standing.need("im:write")?;
    let given = arguments.optional("channel");
    let user = arguments.text("users");
    let channel = match given {
        Some(id) => slack.channel(&id),
        None => slack.direct_channel(&user),
    };
    let channel = channel.ok_or("user_not_found")?;
    Ok(json!({"channel": {"id": channel.id}, "no_op": true, "already_open": true}))
}

/// `conversations.join`.
pub fn join(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let mut state = slack.state();
    state.standing.need("channels:join")?;
    if state.standing.is_archived(&channel.id) {
        return Err(Refusal::Error("is_archived"));
    }
    if state.standing.is_private(&channel.id) || channel.is_direct() {
        return Err(Refusal::Error("method_not_supported_for_channel_type"));
    }
    state.standing.join(&channel.id);
    Ok(json!({"channel": shown(&state, channel)}))
}

/// `users.conversations` and `conversations.list`: the team's channels, in one page; `mine` are those that
/// the app is in.
pub fn list(slack: &Slack, arguments: &Arguments, mine: bool) -> Answer {
    let mut state = slack.state();
    state.standing.need("channels:read")?;
    let standing = &state.standing;
    let types = arguments.optional("types");
    let types = types.as_deref().unwrap_or("public_channel");
    let no_archived = arguments.is_set("exclude_archived");
    let wanted = |channel: &&Channel| {
        let (is_private, is_member) = (
            standing.is_private(&channel.id),
            standing.is_member(&channel.id),
        );
        let kind = if is_private {
            "private_channel"
        } else {
            "public_channel"
        };
        types.split(',').any(|given| given.trim() == kind)
            && (is_member || (!mine && !is_private))
            && !(no_archived && standing.is_archived(&channel.id))
    };
    let listed = slack.channels().iter().filter(wanted);
    let channels: Vec<Value> = listed.map(|channel| shown(&state, channel)).collect();
    Ok(json!({"channels": channels, "response_metadata": {"next_cursor": ""}}))
}

/// `users.info`.
pub fn user_info(slack: &Slack, arguments: &Arguments) -> Answer {
    let mut state = slack.state();
    state.standing.need("users:read")?;
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
    let mut profile = json!({
        "real_name": user.real_name, "real_name_normalized": user.real_name,
        "display_name": user.name, "display_name_normalized": user.name,
        "team": state.standing.team_of(&user.id),
    });
    if user.is_bot {
        profile["api_app_id"] = json!(APP_ID);
    }
    Ok(json!({"user": {
        "id": user.id, "team_id": state.standing.team_of(&user.id), "name": user.name,
        "real_name": user.real_name, "deleted": false, "is_bot": user.is_bot, "is_app_user": false,
        "is_admin": false, "is_owner": false, "is_stranger": state.standing.team_of(&user.id) != TEAM_ID,
        "is_restricted": state.standing.is_restricted(&user.id), "is_ultra_restricted": false,
        "tz": "Etc/UTC", "tz_label": "Coordinated Universal Time", "tz_offset": 0, "updated": 0,
        "profile": profile,
    }}))
}

/// `reactions.get`: a message with its reactions.
pub fn reactions(slack: &Slack, arguments: &Arguments) -> Answer {
    let channel = channel_of(slack, arguments)?;
    let mut state = slack.state();
    state.standing.need("reactions:read")?;
    let message = state.message(&channel.id, &arguments.text("timestamp"));
    let message = message.filter(|message| message.only_for.is_none());
    let message = message.ok_or("message_not_found")?;
    Ok(json!({"type": "message", "channel": channel.id, "message": state.shown(message, false)}))
}
