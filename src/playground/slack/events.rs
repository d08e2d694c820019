//! The Events API: what happened in the team, told to the app.
//!
//! In: what the state has just recorded, and what people do that leaves no record. Out: an
//! `event_callback` each, in the background, sent again up to three times until it is acknowledged. An
//! app hears of channels it is in, and of what its scopes allow.

use serde_json::{Value, json};
use uuid::Uuid;

use super::deliver::Parcel;
use super::state::{APP_ID, BOT_USER_ID, SLACKBOT_ID, TEAM_ID, random_id};
use super::{Entry, Message, Slack, State};

impl Slack {
    /// Tells the app of an event, in the background.
    pub(super) fn emit(&self, event: Value) {
        let envelope = self.envelope(event);
        let slack = self.clone();
        tokio::spawn(async move { slack.tell_until_acknowledged(&envelope).await });
    }

    /// docs.slack.dev, "The Events API": the outer payload.
    fn envelope(&self, mut event: Value) -> Value {
        let now = chrono::Utc::now();
        if event["event_ts"].is_null() {
            let micros = now.timestamp_micros();
            event["event_ts"] = json!(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000));
        }
        json!({
            "token": "the-verification-token-is-deprecated", "team_id": TEAM_ID,
            "context_team_id": TEAM_ID, "context_enterprise_id": null, "api_app_id": APP_ID,
            "event": event, "type": "event_callback", "event_id": format!("Ev{}", random_id()),
            "event_time": now.timestamp(), "is_ext_shared_channel": false,
            "authorizations": [{
                "enterprise_id": null, "team_id": TEAM_ID, "user_id": BOT_USER_ID, "is_bot": true,
                "is_enterprise_install": false,
            }],
            "event_context": format!("4-{}", Uuid::new_v4().simple()),
        })
    }

    async fn tell_until_acknowledged(&self, envelope: &Value) {
        let mut retry = None;
        for (i, pause) in self.timing().event_retries.iter().enumerate() {
            match self.deliver(Parcel::Event(envelope, retry)).await {
                Err(failed) if !failed.is_final => retry = Some((i + 1, failed.reason)),
                _ => return,
            }
            tokio::time::sleep(*pause).await;
        }
        // Slack gives up on it, whatever the answer.
        let _ = self.deliver(Parcel::Event(envelope, retry)).await;
    }

    /// Sends an event again as Slack does that has not heard the acknowledgement: the same `event_id`.
    pub async fn send_event_twice(&self, event: Value) -> bool {
        let envelope = self.envelope(event);
        let first = self.deliver(Parcel::Event(&envelope, None)).await;
        let again = Parcel::Event(&envelope, Some((1, "http_timeout")));
        let second = self.deliver(again).await;
        first.is_ok() && second.is_ok()
    }

    /// Asks the app's address to prove itself, as when it is entered; says whether it did.
    pub async fn verify_url(&self) -> bool {
        let challenge = Uuid::new_v4().simple().to_string();
        let asked = json!({
            "token": "the-verification-token-is-deprecated", "challenge": challenge,
            "type": "url_verification",
        });
        let Ok(answer) = self.deliver(Parcel::Event(&asked, None)).await else {
            return false;
        };
        let json = serde_json::from_str::<Value>(&answer.body).unwrap_or_default();
        answer.body.trim() == challenge || json["challenge"] == challenge
    }

    /// The events that an entry makes; asked before the entry is applied.
    pub(super) fn events_of(&self, state: &mut State, entry: &Entry) -> Vec<Value> {
        let (channel, events) = match entry {
            Entry::Posted(message) if message.only_for.is_none() => {
                (&message.channel, posted(state, message))
            }
            Entry::Updated(message) if message.only_for.is_none() => {
                (&message.channel, vec![updated(state, message)])
            }
            Entry::Deleted { channel, ts } => (channel, deleted(state, channel, ts)),
            Entry::Reacted {
                channel,
                ts,
                user,
                name,
                removed,
            } => (
                channel,
                vec![reacted(state, (channel, ts), user, name, *removed)],
            ),
            _ => return Vec::new(),
        };
        let kind = self.channel_type(state, channel);
        let mut events = events;
        events.retain_mut(|event| {
            if event["type"] == "message" {
                event["channel_type"] = json!(kind);
            }
            state.standing.is_member(channel) && may_hear(state, event, kind)
        });
        events
    }

    /// `im`, `group` or `channel`.
    fn channel_type(&self, state: &State, channel: &str) -> &'static str {
        match channel {
            _ if channel.starts_with('D') => "im",
            _ if state.standing.is_private(channel) => "group",
            _ => "channel",
        }
    }
}

fn may_hear(state: &State, event: &Value, channel_type: &str) -> bool {
    let scope = match (event["type"].as_str(), channel_type) {
        (Some("reaction_added" | "reaction_removed"), _) => "reactions:read",
        (Some("app_mention"), _) => "app_mentions:read",
        (_, "im") => "im:history",
        (_, "group") => "groups:history",
        _ => "channels:history",
    };
    state.standing.scopes.contains(scope)
}

/// `message`, and `app_mention` where a person names the app.
fn posted(state: &State, message: &Message) -> Vec<Value> {
    let mut event = state.shown(message, true);
    event["channel"] = json!(message.channel);
    event["event_ts"] = json!(message.ts);
    let names_the_app = message.text.contains(&format!("<@{BOT_USER_ID}>"));
    let mut events = vec![event.clone()];
    if message.user.is_some() && names_the_app {
        event["type"] = json!("app_mention");
        events.push(event);
    }
    events
}

fn updated(state: &mut State, message: &Message) -> Value {
    let previous = state.message(&message.channel, &message.ts);
    let previous = previous.map(|message| state.shown(message, true));
    let shown = state.shown(message, true);
    let at = state.next_ts();
    json!({
        "type": "message", "subtype": "message_changed", "hidden": true, "channel": message.channel,
        "ts": at, "event_ts": at, "message": shown, "previous_message": previous,
    })
}

fn deleted(state: &mut State, channel: &str, ts: &str) -> Vec<Value> {
    let previous = state.message(channel, ts).cloned();
    let Some(previous) = previous.filter(|message| message.only_for.is_none()) else {
        return Vec::new();
    };
    let shown = state.shown(&previous, true);
    let at = state.next_ts();
    vec![json!({
        "type": "message", "subtype": "message_deleted", "hidden": true, "channel": channel,
        "ts": at, "event_ts": at, "deleted_ts": ts, "previous_message": shown,
    })]
}

fn reacted(
    state: &mut State,
    (channel, ts): (&str, &str),
    user: &str,
    name: &str,
    removed: bool,
) -> Value {
    let kind = if removed {
        "reaction_removed"
    } else {
        "reaction_added"
    };
    let author = state.message(channel, ts).map(Message::author);
    json!({
        "type": kind, "user": user, "reaction": name, "item_user": author,
        "item": {"type": "message", "channel": channel, "ts": ts}, "event_ts": state.next_ts(),
    })
}

impl State {
    /// What deleting a message does: one with replies leaves a tombstone, and Slack tells of that as of
    /// a change.
    pub fn deletion(&self, channel: &str, ts: &str) -> Entry {
        let mut others = self.of_channel(channel);
        if !others.any(|other| other.thread_ts.as_deref() == Some(ts)) {
            return Entry::Deleted {
                channel: channel.to_owned(),
                ts: ts.to_owned(),
            };
        }
        let text = "This message was deleted.".to_owned();
        let mut tombstone = Message::new(ts.to_owned(), channel, text);
        tombstone.user = Some(SLACKBOT_ID.to_owned());
        Entry::Updated(tombstone)
    }
}
