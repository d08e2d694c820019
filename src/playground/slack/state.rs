use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An app may answer a click by its `response_url` this long, and five times.
const RESPONSE_URL_LIVES: Duration = Duration::from_secs(30 * 60);
const RESPONSE_URL_USES: u8 = 5;

/// The team of the playground.
pub const TEAM_ID: &str = "T0PLAYGROUND";
/// The app's own user in the team.
pub const BOT_USER_ID: &str = "U0IOFOLDBOT";
/// The app as a bot.
pub const BOT_ID: &str = "B0IOFOLDBOT";
/// The app.
pub const APP_ID: &str = "A0IOFOLDAPP";

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
    /// Counts changes of the whole team; the page asks for what is newer than it knows.
    #[serde(default)]
    pub change: u64,
}

impl Message {
    /// The message as Slack's API and payloads show it.
    pub fn to_slack(&self, with_metadata: bool) -> Value {
        let mut shown = json!({
            "type": "message", "user": BOT_USER_ID, "bot_id": BOT_ID, "app_id": APP_ID,
            "team": TEAM_ID, "ts": self.ts, "text": self.text, "blocks": self.blocks,
        });
        if let Some(thread_ts) = &self.thread_ts {
            shown["thread_ts"] = json!(thread_ts);
            shown["parent_user_id"] = json!(BOT_USER_ID);
        }
        if let Some(edited) = &self.edited_ts {
            shown["edited"] = json!({"user": BOT_USER_ID, "ts": edited});
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

    /// The button of this `action_id` and `value`, with its block's id.
    pub fn button(&self, action_id: &str, value: &str) -> Option<(String, Value)> {
        self.buttons().find(|(_, button)| {
            button["action_id"] == action_id
                && button["value"].as_str().unwrap_or_default() == value
        })
    }

    /// Every button, with its block's id.
    pub fn buttons(&self) -> impl Iterator<Item = (String, Value)> + '_ {
        self.blocks.iter().flat_map(|block| {
            let id = block["block_id"].as_str().unwrap_or_default().to_owned();
            let elements = block["elements"].as_array().into_iter().flatten();
            let accessory = std::iter::once(&block["accessory"]);
            let buttons = elements.chain(accessory).filter(|e| e["type"] == "button");
            buttons.map(move |button| (id.clone(), button.clone()))
        })
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
    /// The button's text.
    pub text: String,
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

/// An open modal; gone with a restart, as in Slack when the page is reloaded.
#[derive(Clone, Debug)]
pub struct View {
    /// `V…`.
    pub id: String,
    /// Who sees it.
    pub user: String,
    /// As the app gave it.
    pub content: Value,
    /// As in [`Message::change`].
    pub change: u64,
}

impl View {
    /// The view as Slack's API and payloads show it.
    pub fn to_slack(&self) -> Value {
        let mut view = self.content.clone();
        view["id"] = json!(self.id);
        view["team_id"] = json!(TEAM_ID);
        view["app_id"] = json!(APP_ID);
        view["bot_id"] = json!(BOT_ID);
        view["root_view_id"] = json!(self.id);
        view["hash"] = json!(format!("{}.view", self.change));
        view["state"] = json!({"values": {}});
        view
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
    /// A file was completed.
    Completed(File),
    /// A click was acknowledged.
    Clicked(Click),
}

pub struct Trigger {
    user: String,
    until: Instant,
    is_used: bool,
}

/// Where a `response_url` leads.
#[derive(Clone)]
pub struct ResponseTo {
    pub channel: String,
    pub ts: String,
    pub user: String,
    until: Instant,
    uses_left: u8,
}

/// All that the team holds. Changed only by [`State::apply`], so that a replay gives the same.
#[derive(Default)]
pub struct State {
    /// By channel and ts; a ts sorts by time.
    pub messages: BTreeMap<(String, String), Message>,
    /// The files by id, complete or not.
    pub files: HashMap<String, File>,
    /// Who clicked which button of a message last, by its text.
    pub clicks: HashMap<(String, String), BTreeMap<String, String>>,
    /// The open modals, oldest first.
    pub views: Vec<View>,
    /// Counts changes.
    pub change: u64,
    deleted: Vec<(u64, String, String)>,
    last_us: i64,
    triggers: HashMap<String, Trigger>,
    response_urls: HashMap<String, ResponseTo>,
}

impl State {
    /// Makes true what an entry says.
    pub fn apply(&mut self, entry: Entry) {
        self.change += 1;
        match entry {
            Entry::Posted(message) | Entry::Updated(message) => self.put(message),
            Entry::Deleted { channel, ts } => {
                self.messages.remove(&(channel.clone(), ts.clone()));
                self.deleted.push((self.change, channel, ts));
            }
            Entry::Completed(file) => {
                self.files.insert(file.id.clone(), file);
            }
            Entry::Clicked(click) => {
                let clicks = self.clicks.entry((click.channel, click.ts)).or_default();
                clicks.insert(click.user, click.text);
            }
        }
    }

    fn put(&mut self, mut message: Message) {
        message.change = self.change;
        self.last_us = self.last_us.max(microseconds(&message.ts));
        let key = (message.channel.clone(), message.ts.clone());
        self.messages.insert(key, message);
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

    /// A trigger for a click of `user`, which opens a modal while it `lives`.
    pub fn new_trigger(&mut self, user: &str, lives: Duration) -> String {
        let now = Instant::now();
        self.triggers
            .retain(|_, trigger| now < trigger.until + lives);
        let id = format!(
            "{}.{}.{:032x}",
            self.change,
            self.last_us,
            rand::random::<u128>()
        );
        let trigger = Trigger {
            user: user.to_owned(),
            until: now + lives,
            is_used: false,
        };
        self.triggers.insert(id.clone(), trigger);
        id
    }

    /// Whose trigger this is; it can't be used again. The error is Slack's word.
    pub fn take_trigger(&mut self, id: &str, now: Instant) -> Result<String, &'static str> {
        let trigger = self.triggers.get_mut(id).ok_or("invalid_trigger_id")?;
        if trigger.is_used {
            return Err("exchanged_trigger_id");
        }
        if now >= trigger.until {
            return Err("expired_trigger_id");
        }
        trigger.is_used = true;
        Ok(trigger.user.clone())
    }

    /// A key for a `response_url` that answers a click.
    pub fn new_response_key(&mut self, channel: &str, ts: &str, user: &str) -> String {
        let now = Instant::now();
        self.response_urls.retain(|_, to| now < to.until);
        let key = format!("{:032x}", rand::random::<u128>());
        let to = ResponseTo {
            channel: channel.to_owned(),
            ts: ts.to_owned(),
            user: user.to_owned(),
            until: now + RESPONSE_URL_LIVES,
            uses_left: RESPONSE_URL_USES,
        };
        self.response_urls.insert(key.clone(), to);
        key
    }

    /// Where a `response_url` leads; `None` where it is unknown, too old or used up.
    pub fn take_response(&mut self, key: &str) -> Option<ResponseTo> {
        let to = self.response_urls.get_mut(key)?;
        if Instant::now() >= to.until || to.uses_left == 0 {
            return None;
        }
        to.uses_left -= 1;
        Some(to.clone())
    }

    /// Opens a modal for a user, who sees one at a time.
    pub fn open_view(&mut self, user: &str, content: Value) -> View {
        self.change += 1;
        self.views.retain(|view| view.user != user);
        let view = View {
            id: format!("V{}", random_id()),
            user: user.to_owned(),
            content,
            change: self.change,
        };
        self.views.push(view.clone());
        view
    }

    /// The open modal of this id.
    pub fn view(&self, id: &str) -> Option<&View> {
        self.views.iter().find(|view| view.id == id)
    }

    /// Shows other content in an open modal.
    pub fn update_view(&mut self, id: &str, content: Value) {
        self.change += 1;
        let change = self.change;
        if let Some(view) = self.views.iter_mut().find(|view| view.id == id) {
            view.content = content;
            view.change = change;
        }
    }

    /// Closes a modal.
    pub fn close_view(&mut self, id: &str) {
        self.change += 1;
        self.views.retain(|view| view.id != id);
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
    use super::super::Timing;
    use super::*;

    fn message(state: &mut State, text: &str) -> Message {
        Message {
            ts: state.next_ts(),
            channel: "C1".to_owned(),
            text: text.to_owned(),
            blocks: Vec::new(),
            metadata: None,
            thread_ts: None,
            edited_ts: None,
            only_for: None,
            change: 0,
        }
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
    fn a_trigger_opens_one_modal_for_the_one_who_clicked_within_three_seconds() {
        let mut state = State::default();
        let lives = Timing::default().trigger_lives;
        let before = Instant::now();
        let trigger = state.new_trigger("U1", lives);
        let late = state.new_trigger("U1", lives);
        let after = Instant::now();
        let just_in_time = before + Duration::from_millis(2_999);
        assert_eq!(
            state.take_trigger(&trigger, just_in_time).as_deref(),
            Ok("U1")
        );
        assert_eq!(
            state.take_trigger(&trigger, just_in_time),
            Err("exchanged_trigger_id")
        );
        assert_eq!(
            state.take_trigger("1.2.x", just_in_time),
            Err("invalid_trigger_id")
        );
        let too_late = after + Duration::from_secs(3);
        assert_eq!(
            state.take_trigger(&late, too_late),
            Err("expired_trigger_id")
        );
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
    fn a_response_url_works_five_times() {
        let mut state = State::default();
        let key = state.new_response_key("C1", "1.0", "U1");
        let used = (0..9)
            .filter(|_| state.take_response(&key).is_some())
            .count();
        assert_eq!(used, 5);
    }

    #[test]
    fn the_last_click_of_a_user_is_kept() {
        let mut state = State::default();
        let click = |text: &str| {
            Entry::Clicked(Click {
                channel: "C1".to_owned(),
                ts: "1.0".to_owned(),
                user: "U1".to_owned(),
                text: text.to_owned(),
            })
        };
        state.apply(click("👍"));
        state.apply(click("👎"));
        let clicks = &state.clicks[&("C1".to_owned(), "1.0".to_owned())];
        assert_eq!(clicks.get("U1").map(String::as_str), Some("👎"));
        assert_eq!(state.change, 2);
    }
}
