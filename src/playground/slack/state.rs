use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::elements;
use super::standing::Standing;
use super::tickets::{ResponseTo, Trigger};
use super::views::View;

/// The team of the playground.
pub const TEAM_ID: &str = "T0PLAYGROUND";
/// The app's own user in the team.
pub const BOT_USER_ID: &str = "U0IOFOLDBOT";
/// The app as a bot.
pub const BOT_ID: &str = "B0IOFOLDBOT";
/// The app.
pub const APP_ID: &str = "A0IOFOLDAPP";
/// Slack's own user, who stands for deleted messages.
pub const SLACKBOT_ID: &str = "USLACKBOT";

/// A channel of the team.
#[derive(Clone, Debug)]
pub struct Channel {
    /// `C…`.
    pub id: String,
    /// Without `#`.
    pub name: String,
    /// One line about it.
    pub topic: String,
}

impl Channel {
    /// A user's own channel with the app; its name is the user's id.
    pub fn direct(user: &User) -> Self {
        Self {
            id: format!("D{}", &user.id[1..]),
            name: user.id.clone(),
            topic: String::new(),
        }
    }

    /// Whether it is such a channel.
    pub fn is_direct(&self) -> bool {
        self.id.starts_with('D')
    }
}

/// A person, or the app's own user.
#[derive(Clone, Debug)]
pub struct User {
    /// `U…`.
    pub id: String,
    /// The handle, without `@`.
    pub name: String,
    /// As shown.
    pub real_name: String,
    /// Whether it is the app's own user.
    pub is_bot: bool,
}

/// A message in a channel, or in a thread of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Its id in the channel.
    pub ts: String,
    /// The channel's id.
    pub channel: String,
    /// The fallback text.
    pub text: String,
    /// Block Kit, each block with its `block_id`.
    pub blocks: Vec<Value>,
    /// `{event_type, event_payload}`.
    pub metadata: Option<Value>,
    /// The thread's first message, for a reply.
    pub thread_ts: Option<String>,
    /// When it was last updated.
    pub edited_ts: Option<String>,
    /// The only user who sees it, for an ephemeral message.
    pub only_for: Option<String>,
    /// Who wrote it; `None` is the app.
    #[serde(default)]
    pub user: Option<String>,
    /// Counts changes of the whole team; the page asks for what is newer than it knows.
    #[serde(default)]
    pub change: u64,
}

impl Message {
    /// The app's message for everybody in the channel, with nothing but a text.
    pub fn new(ts: String, channel: &str, text: String) -> Self {
        Self {
            ts,
            channel: channel.to_owned(),
            text,
            blocks: Vec::new(),
            metadata: None,
            thread_ts: None,
            edited_ts: None,
            only_for: None,
            user: None,
            change: 0,
        }
    }

    /// Its author's id.
    pub fn author(&self) -> &str {
        self.user.as_deref().unwrap_or(BOT_USER_ID)
    }

    /// Whether it stands for a deleted message that had replies.
    pub fn is_tombstone(&self) -> bool {
        self.author() == SLACKBOT_ID
    }

    /// The message as Slack's API and payloads show it, without reactions.
    pub fn to_slack(&self, with_metadata: bool) -> Value {
        let mut shown = json!({
            "type": "message", "user": self.author(), "team": TEAM_ID, "ts": self.ts,
            "text": self.text, "blocks": self.blocks,
        });
        if self.user.is_none() {
            shown["bot_id"] = json!(BOT_ID);
            shown["app_id"] = json!(APP_ID);
        }
        if self.is_tombstone() {
            shown["subtype"] = json!("tombstone");
            shown["hidden"] = json!(true);
            shown["thread_ts"] = json!(self.ts);
        }
        if let Some(thread_ts) = &self.thread_ts {
            shown["thread_ts"] = json!(thread_ts);
        }
        if let Some(edited) = &self.edited_ts {
            shown["edited"] = json!({"user": self.author(), "ts": edited});
        }
        if let Some(metadata) = self.metadata.as_ref().filter(|_| with_metadata) {
            shown["metadata"] = metadata.clone();
        }
        shown
    }

    /// `metadata.event_type`; empty where there is none.
    pub fn event_type(&self) -> &str {
        let metadata = self.metadata.as_ref();
        metadata
            .and_then(|m| m["event_type"].as_str())
            .unwrap_or_default()
    }

    /// Every button, with its block's id.
    pub fn buttons(&self) -> impl Iterator<Item = (String, Value)> + '_ {
        elements::of_blocks(&self.blocks).filter(|(_, element)| element["type"] == "button")
    }
}

/// A click that the service has acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Click {
    /// The channel's id.
    pub channel: String,
    /// The message.
    pub ts: String,
    /// Who.
    pub user: String,
    /// The button's text, or the chosen option's.
    pub text: String,
    /// The button's value, or the chosen option's.
    #[serde(default)]
    pub value: String,
}

/// What somebody put on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The emoji's name, without colons.
    pub name: String,
    /// Who, first to last.
    pub users: Vec<String>,
}

/// A file; its bytes come before it is complete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    /// `F…`.
    pub id: String,
    /// The part of the upload address that nobody can guess.
    pub key: String,
    /// The file's name.
    pub name: String,
    /// As announced, in bytes.
    pub length: usize,
    /// Shown above it.
    pub title: Option<String>,
    /// For those who do not see it.
    pub alt_text: Option<String>,
    /// The content, in Base64.
    pub content: String,
    /// Whether all of it is there.
    pub is_complete: bool,
    /// When Slack has processed it; `None` after a restart, which takes longer than that.
    #[serde(skip)]
    pub ready_at: Option<Instant>,
}

impl File {
    /// Whether a message can show it.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.is_complete && self.ready_at.is_none_or(|at| at <= now)
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.content).unwrap_or_default()
    }
}

/// What a line of the journal says happened.
#[derive(Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum Entry {
    /// A message was posted.
    Posted(Message),
    /// A message was updated; this is all of it.
    Updated(Message),
    /// A message was deleted.
    Deleted {
        /// The channel's id.
        channel: String,
        /// The message.
        ts: String,
    },
    /// A reaction was put on a message, or taken away.
    Reacted {
        /// The channel's id.
        channel: String,
        /// The message.
        ts: String,
        /// Who.
        user: String,
        /// The emoji's name.
        name: String,
        /// Whether it was taken away.
        removed: bool,
    },
    /// A file was completed.
    Completed(File),
    /// A click was acknowledged.
    Clicked(Click),
}

/// All that the team holds. Changed only by [`State::apply`], so that a replay gives the same.
#[derive(Default)]
pub struct State {
    /// By channel and ts; a ts sorts by time.
    pub messages: BTreeMap<(String, String), Message>,
    /// The files by id, complete or not.
    pub files: HashMap<String, File>,
    /// Each user's clicks on a message, in their order.
    pub clicks: HashMap<(String, String), BTreeMap<String, Vec<Click>>>,
    /// The reactions by message, oldest first.
    pub reactions: HashMap<(String, String), Vec<Reaction>>,
    /// The open modals; of one user's, the last is in front.
    pub views: Vec<View>,
    /// What the app has published on each user's Home.
    pub homes: BTreeMap<String, View>,
    /// Who may do what.
    pub standing: Standing,
    /// Counts changes.
    pub change: u64,
    deleted: Vec<(u64, String, String)>,
    last_us: i64,
    pub(super) triggers: HashMap<String, Trigger>,
    pub(super) response_urls: HashMap<String, ResponseTo>,
}

impl State {
    /// Makes true what an entry says.
    pub fn apply(&mut self, entry: Entry) {
        self.change += 1;
        match entry {
            Entry::Posted(message) | Entry::Updated(message) => self.put(message),
            Entry::Deleted { channel, ts } => {
                let key = (channel.clone(), ts.clone());
                self.messages.remove(&key);
                self.reactions.remove(&key);
                self.deleted.push((self.change, channel, ts));
            }
            Entry::Completed(file) => {
                self.files.insert(file.id.clone(), file);
            }
            Entry::Clicked(click) => {
                let key = (click.channel.clone(), click.ts.clone());
                let clicks = self.clicks.entry(key).or_default();
                clicks.entry(click.user.clone()).or_default().push(click);
            }
            Entry::Reacted {
                channel,
                ts,
                user,
                name,
                removed,
            } => self.react((channel, ts), user, &name, removed),
        }
    }

    fn put(&mut self, mut message: Message) {
        message.change = self.change;
        self.last_us = self.last_us.max(microseconds(&message.ts));
        let key = (message.channel.clone(), message.ts.clone());
        self.messages.insert(key, message);
    }

    fn react(&mut self, key: (String, String), user: String, name: &str, removed: bool) {
        if let Some(message) = self.messages.get_mut(&key) {
            message.change = self.change;
        }
        let all = self.reactions.entry(key).or_default();
        for reaction in all.iter_mut().filter(|reaction| reaction.name == name) {
            reaction.users.retain(|other| *other != user);
        }
        match all.iter_mut().find(|reaction| reaction.name == name) {
            _ if removed => {}
            Some(reaction) => reaction.users.push(user),
            None => all.push(Reaction {
                name: name.to_owned(),
                users: vec![user],
            }),
        }
        all.retain(|reaction| !reaction.users.is_empty());
    }

    /// Whether `user` has put this reaction on a message.
    pub fn has_reacted(&self, channel: &str, ts: &str, user: &str, name: &str) -> bool {
        let on_it = self.reactions.get(&(channel.to_owned(), ts.to_owned()));
        let mut same = on_it.into_iter().flatten().filter(|r| r.name == name);
        same.any(|reaction| reaction.users.iter().any(|other| other == user))
    }

    /// A message as Slack shows it where it lists messages: with its reactions.
    pub fn shown(&self, message: &Message, with_metadata: bool) -> Value {
        let mut shown = message.to_slack(with_metadata);
        if let Some(parent) = &message.thread_ts {
            let author = self.message(&message.channel, parent).map(Message::author);
            shown["parent_user_id"] = json!(author.unwrap_or(BOT_USER_ID));
        }
        let key = (message.channel.clone(), message.ts.clone());
        let reactions = self.reactions.get(&key).into_iter().flatten();
        let reactions: Vec<Value> = reactions
            .map(|r| json!({"name": r.name, "users": r.users, "count": r.users.len()}))
            .collect();
        if !reactions.is_empty() {
            shown["reactions"] = json!(reactions);
        }
        shown
    }

    /// The message of this ts.
    pub fn message(&self, channel: &str, ts: &str) -> Option<&Message> {
        self.messages.get(&(channel.to_owned(), ts.to_owned()))
    }

    /// The messages of a channel, oldest first, replies and ephemeral ones among them.
    pub fn of_channel<'a>(
        &'a self,
        channel: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Message> {
        let all = self.messages.values();
        all.filter(move |message| message.channel == channel)
    }

    /// The messages that were deleted after a change: `[channel, ts]` each.
    pub fn deleted_since(&self, change: u64) -> Vec<[&str; 2]> {
        let newer = self.deleted.iter().filter(|(at, ..)| *at > change);
        newer
            .map(|(_, channel, ts)| [channel.as_str(), ts.as_str()])
            .collect()
    }

    /// A ts that no message has yet, now or just after.
    pub fn next_ts(&mut self) -> String {
        self.last_us = (self.last_us + 1).max(chrono::Utc::now().timestamp_micros());
        format!(
            "{}.{:06}",
            self.last_us / 1_000_000,
            self.last_us % 1_000_000
        )
    }
}

/// Ten capital letters and digits, as in Slack's ids.
pub fn random_id() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let letter = |_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]);
    (0..10).map(letter).collect()
}

/// A ts in microseconds; 0 where it is none.
pub fn microseconds(ts: &str) -> i64 {
    let digits: String = ts.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Timing;
    use super::*;

    fn message(state: &mut State, text: &str) -> Message {
        Message::new(state.next_ts(), "C1", text.to_owned())
    }

    #[test]
    fn every_message_has_a_ts_of_its_own_that_grows_even_after_a_replay() {
        let mut state = State::default();
        let all: Vec<String> = (0..1_000).map(|_| state.next_ts()).collect();
        assert!(
            all.windows(2).all(|pair| pair[0] < pair[1]),
            "each is newer than the one before"
        );
        let mut last = message(&mut state, "a");
        last.ts = "99999999999.000000".to_owned();
        let mut replayed = State::default();
        replayed.apply(Entry::Posted(last));
        assert_eq!(replayed.next_ts(), "99999999999.000001");
    }

    #[test]
    fn a_file_can_be_shown_once_it_is_processed_and_after_a_restart() {
        let now = Instant::now();
        let mut file = File {
            id: "F1".to_owned(),
            key: "k".to_owned(),
            name: "table.png".to_owned(),
            length: 1,
            title: None,
            alt_text: None,
            content: "AA==".to_owned(),
            is_complete: false,
            ready_at: None,
        };
        assert!(!file.is_ready(now), "it is not uploaded");
        file.is_complete = true;
        file.ready_at = Some(now + Timing::default().file_ready_after);
        assert!(!file.is_ready(now + Duration::from_millis(999)));
        assert!(file.is_ready(now + Duration::from_secs(1)));
        let kept = serde_json::to_value(&file).unwrap();
        let replayed: File = serde_json::from_value(kept).unwrap();
        assert!(replayed.is_ready(now));
    }

    #[test]
    fn the_clicks_of_a_user_are_kept_in_their_order() {
        let mut state = State::default();
        for text in ["👍", "👎"] {
            state.apply(Entry::Clicked(Click {
                channel: "C1".to_owned(),
                ts: "1.0".to_owned(),
                user: "U1".to_owned(),
                text: text.to_owned(),
                value: String::new(),
            }));
        }
        let clicks = &state.clicks[&("C1".to_owned(), "1.0".to_owned())]["U1"];
        let texts: Vec<&str> = clicks.iter().map(|click| click.text.as_str()).collect();
        assert_eq!((texts, state.change), (vec!["👍", "👎"], 2));
    }

    #[test]
    fn a_reaction_counts_once_a_person_until_it_is_taken_away() {
        let mut state = State::default();
        let posted = message(&mut state, "a");
        let ts = posted.ts.clone();
        state.apply(Entry::Posted(posted.clone()));
        for (user, removed, users) in [
            ("U1", false, json!(["U1"])),
            ("U1", false, json!(["U1"])),
            ("U2", false, json!(["U1", "U2"])),
            ("U1", true, json!(["U2"])),
            ("U2", true, Value::Null),
        ] {
            state.apply(Entry::Reacted {
                channel: "C1".to_owned(),
                ts: ts.clone(),
                user: user.to_owned(),
                name: "+1".to_owned(),
                removed,
            });
            assert_eq!(state.shown(&posted, false)["reactions"][0]["users"], users);
        }
        assert!(state.shown(&posted, false).get("reactions").is_none());
    }
}
