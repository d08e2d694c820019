//! What people of the team do beside clicking: they write, delete, react, give commands, open Home.

use serde_json::{Value, json};

use super::clicks::{ClickError, Result};
use super::deliver::Parcel;
use super::messages::post_answer;
use super::state::{APP_ID, random_id};
use super::{Channel, Entry, Message, Slack, User};

/// The app's one slash command.
pub const COMMAND: &str = "/iofold";

impl Slack {
    /// Puts a reaction on a message, or takes it away; neither twice.
    ///
    /// # Errors
    /// The user or the message is not there.
    pub fn react(&self, channel: &str, user: &str, ts: &str, name: &str, add: bool) -> Result<()> {
        let (channel, user) = self.open_place(channel, user)?;
        let mut state = self.state();
        let message = state.message(&channel.id, ts);
        message
            .filter(|message| message.only_for.is_none())
            .ok_or(ClickError::Missing("this message"))?;
        if state.has_reacted(&channel.id, ts, &user.id, name) == add {
            return Ok(());
        }
        let entry = Entry::Reacted {
            channel: channel.id.clone(),
            ts: ts.to_owned(),
            user: user.id.clone(),
            name: name.to_owned(),
            removed: !add,
        };
        Ok(self.record(&mut state, entry)?)
    }

    /// Writes a message as a person, in a thread where `thread_ts` is given; gives its ts.
    ///
    /// # Errors
    /// The user, the channel or the thread is not there.
    pub fn say(
        &self,
        channel: &str,
        user: &str,
        text: &str,
        thread_ts: Option<&str>,
    ) -> Result<String> {
        let (channel, user) = self.open_place(channel, user)?;
        let mut state = self.state();
        let mut message = Message::new(state.next_ts(), &channel.id, text.to_owned());
        if let Some(ts) = thread_ts {
            let parent = state.message(&channel.id, ts);
            let parent = parent.ok_or(ClickError::Missing("this thread"))?;
            message.thread_ts = Some(parent.thread_ts.clone().unwrap_or(ts.to_owned()));
        }
        message.user = Some(user.id.clone());
        message.blocks = vec![json!({
            "type": "rich_text", "block_id": random_id(),
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}],
        })];
        let ts = message.ts.clone();
        self.record(&mut state, Entry::Posted(message))?;
        Ok(ts)
    }

    /// Deletes a message as a person may: an own one, or as an administrator any. One with replies leaves
    /// a tombstone, and Slack tells of that as of a change.
    ///
    /// # Errors
    /// The user or the message is not there.
    pub fn delete(&self, channel: &str, user: &str, ts: &str) -> Result<()> {
        let (channel, _) = self.open_place(channel, user)?;
        let mut state = self.state();
        state
            .message(&channel.id, ts)
            .filter(|message| !message.is_tombstone())
            .ok_or(ClickError::Missing("this message"))?;
        let gone = state.deletion(&channel.id, ts);
        Ok(self.record(&mut state, gone)?)
    }

    /// Gives the app's slash command; what it answers at once is shown to that person, and returned.
    ///
    /// # Errors
    /// The user or the channel is not there, or the app does not acknowledge.
    pub async fn command(&self, channel: &str, user: &str, text: &str) -> Result<Value> {
        let (channel, user) = self.open_place(channel, user)?;
        let fields = self.command_fields(channel, user, text);
        let answer = self.deliver(Parcel::Command(&fields)).await?;
        if answer.body.trim().is_empty() {
            return Ok(Value::Null);
        }
        let answer = match answer.is_json {
            false => json!({"text": answer.body}),
            true => serde_json::from_str(&answer.body).map_err(|_| {
                ClickError::Unacknowledged("its answer is not the JSON that it claims".to_owned())
            })?,
        };
        post_answer(self, &channel.id, &user.id, &answer)
            .map_err(|refusal| ClickError::Unacknowledged(format!("Slack says {refusal:?}")))?;
        Ok(answer)
    }

    /// docs.slack.dev, "Implementing slash commands".
    fn command_fields(
        &self,
        channel: &Channel,
        user: &User,
        text: &str,
    ) -> Vec<(&'static str, String)> {
        let mut state = self.state();
        let key = state.new_response_key(&channel.id, "", &user.id);
        let trigger = state.new_trigger(&user.id, self.timing().trigger_lives);
        let team = state.standing.team_of(&user.id).to_owned();
        vec![
            ("token", "the-verification-token-is-deprecated".to_owned()),
            ("team_id", team),
            ("team_domain", "playground".to_owned()),
            ("channel_id", channel.id.clone()),
            ("channel_name", channel.name.clone()),
            ("user_id", user.id.clone()),
            ("user_name", user.name.clone()),
            ("command", COMMAND.to_owned()),
            ("text", text.to_owned()),
            ("api_app_id", APP_ID.to_owned()),
            ("is_enterprise_install", "false".to_owned()),
            ("response_url", self.response_url(&key)),
            ("trigger_id", trigger),
        ]
    }

    /// Opens the app's Home.
    ///
    /// # Errors
    /// The user is not there.
    pub fn open_home(&self, user: &str) -> Result<()> {
        let user = self.user(user).ok_or(ClickError::Missing("this user"))?;
        let mut event = json!({
            "type": "app_home_opened", "user": user.id, "tab": "home",
            "channel": self.direct_channel(&user.id).map(|channel| &channel.id),
        });
        if let Some(home) = self.state().homes.get(&user.id) {
            event["view"] = home.to_slack();
        }
        self.emit(event);
        Ok(())
    }

    /// Somebody of the team, and a channel that is not archived.
    pub(super) fn open_place(&self, channel: &str, user: &str) -> Result<(&Channel, &User)> {
        let user = self.user(user).ok_or(ClickError::Missing("this user"))?;
        let channel = self.channel(channel);
        let channel = channel.filter(|channel| !self.state().standing.is_archived(&channel.id));
        Ok((channel.ok_or(ClickError::Missing("this channel"))?, user))
    }
}
