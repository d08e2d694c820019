use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::api::Refusal;
use super::state::{BOT_USER_ID, TEAM_ID};
use super::{Channel, Slack, User};

/// What the app is granted in a team that has installed it.
pub const GRANTED: [&str; 11] = [
    "app_mentions:read",
    "channels:history",
    "channels:read",
    "chat:write",
    "chat:write.public",
    "commands",
    "files:write",
    "groups:history",
    "groups:read",
    "reactions:read",
    "users:read",
];

/// Who may do what in the team; as it is at first after a restart.
pub struct Standing {
    /// The app's scopes.
    pub scopes: BTreeSet<String>,
    /// The scopes that calls have needed.
    used: BTreeSet<&'static str>,
    /// Channels that are closed for good.
    archived: BTreeSet<String>,
    /// Channels that only their members see.
    private: BTreeSet<String>,
    /// Channels from which the app was removed.
    left: BTreeSet<String>,
    /// Slack's word for a token that is no longer one.
    token: Option<&'static str>,
    /// Users who see a part of the team only.
    restricted: BTreeSet<String>,
    /// Users of another team, by Slack Connect.
    strangers: BTreeMap<String, String>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            scopes: GRANTED.map(str::to_owned).into(),
            used: BTreeSet::new(),
            archived: BTreeSet::new(),
            private: BTreeSet::new(),
            left: BTreeSet::new(),
            token: None,
            restricted: BTreeSet::new(),
            strangers: BTreeMap::new(),
        }
    }
}

impl Standing {
    /// Whether the channel is closed.
    pub fn is_archived(&self, channel: &str) -> bool {
        self.archived.contains(channel)
    }

    /// Whether only its members see the channel.
    pub fn is_private(&self, channel: &str) -> bool {
        self.private.contains(channel)
    }

    /// Whether the app is in the channel.
    pub fn is_member(&self, channel: &str) -> bool {
        !self.left.contains(channel)
    }

    /// Makes the app a member.
    pub fn join(&mut self, channel: &str) {
        self.left.remove(channel);
    }

    /// Whether the user is a guest of the team.
    pub fn is_restricted(&self, user: &str) -> bool {
        self.restricted.contains(user)
    }

    /// The user's own team.
    pub fn team_of(&self, user: &str) -> &str {
        self.strangers.get(user).map_or(TEAM_ID, String::as_str)
    }

    /// `Err` with Slack's word where the token is no longer one.
    pub fn token(&self) -> Result<(), &'static str> {
        self.token.map_or(Ok(()), Err)
    }

    /// Notes that a call needs a scope; refuses it where it is not granted.
    pub fn need(&mut self, scope: &'static str) -> Result<(), Refusal> {
        self.used.insert(scope);
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(Refusal::MissingScope {
            needed: scope.to_owned(),
            provided: self.provided(),
        })
    }

    /// The granted scopes as Slack lists them.
    pub fn provided(&self) -> String {
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        scopes.join(",")
    }

    /// Slack's words where the app can't read in this channel.
    pub fn can_read(&self, channel: &Channel) -> Result<(), Refusal> {
        match self.is_member(&channel.id) {
            true => Ok(()),
            false if self.is_private(&channel.id) => Err("channel_not_found".into()),
            false => Err("not_in_channel".into()),
        }
    }

    /// Slack's words where the app can't post in this channel: it need not be in a public one
    /// if it has `chat:write.public`.
    pub fn can_write(&mut self, channel: &Channel) -> Result<(), Refusal> {
        if self.is_archived(&channel.id) {
            return Err("is_archived".into());
        }
        let is_public = !self.is_private(&channel.id);
        if is_public && !self.is_member(&channel.id) && self.scopes.contains("chat:write.public") {
            self.used.insert("chat:write.public");
            return Ok(());
        }
        self.can_read(channel)
    }
}

/// What may go wrong for an app in a team; each as a person there would do it, with the event that Slack
/// sends about it.
impl Slack {
    /// The scopes that the app's calls have needed so far.
    pub fn scopes_used(&self) -> Vec<&'static str> {
        self.state().standing.used.iter().copied().collect()
    }

    /// Takes a scope away, as a reinstallation without it does.
    pub fn take_scope(&self, scope: &str) {
        self.state().standing.scopes.remove(scope);
    }

    /// Grants a scope.
    pub fn grant_scope(&self, scope: &str) {
        self.state().standing.scopes.insert(scope.to_owned());
    }

    /// Archives a channel: nothing can be posted there any more.
    pub fn archive(&self, channel: &str, user: &str) {
        self.state().standing.archived.insert(channel.to_owned());
        self.emit_of(
            channel,
            ("channel_archive", "group_archive"),
            json!({"user": user}),
        );
    }

    /// Opens an archived channel again.
    pub fn unarchive(&self, channel: &str, user: &str) {
        self.state().standing.archived.remove(channel);
        let kinds = ("channel_unarchive", "group_unarchive");
        self.emit_of(channel, kinds, json!({"user": user}));
    }

    /// Makes a channel private.
    pub fn make_private(&self, channel: &str) {
        self.state().standing.private.insert(channel.to_owned());
    }

    /// Removes the app from a channel. It can't read there any more; it can still post in a public one
    /// while it has `chat:write.public`.
    pub fn remove_app(&self, channel: &str, actor: &str) {
        let left = json!({"actor_id": actor});
        self.emit_of(channel, ("channel_left", "group_left"), left);
        self.emit_of(
            channel,
            ("member_left_channel", "member_left_channel"),
            membership(),
        );
        self.state().standing.left.insert(channel.to_owned());
    }

    /// Invites the app to a channel.
    pub fn invite_app(&self, channel: &str, inviter: &str) {
        self.state().standing.join(channel);
        let mut joined = membership();
        joined["inviter"] = json!(inviter);
        self.emit_of(
            channel,
            ("member_joined_channel", "member_joined_channel"),
            joined,
        );
    }

    /// Revokes the app's token.
    pub fn revoke_token(&self) {
        self.state().standing.token = Some("token_revoked");
        let tokens = json!({"oauth": [], "bot": [BOT_USER_ID]});
        self.emit(json!({"type": "tokens_revoked", "tokens": tokens}));
    }

    /// Removes the app from the team; Slack tells of the token first.
    pub fn uninstall(&self) {
        self.revoke_token();
        self.state().standing.token = Some("account_inactive");
        self.emit(json!({"type": "app_uninstalled"}));
    }

    /// Installs the app again, with the same token.
    pub fn install(&self) {
        self.state().standing.token = None;
    }

    /// Makes a user a guest of the team.
    pub fn restrict(&self, user: &User) {
        self.state().standing.restricted.insert(user.id.clone());
    }

    /// Makes a user one of another team, who is here by Slack Connect.
    pub fn move_to_team(&self, user: &User, team: &str) {
        let mut state = self.state();
        state
            .standing
            .strangers
            .insert(user.id.clone(), team.to_owned());
    }

    /// An event about a channel, by its kind: public or private.
    fn emit_of(&self, channel: &str, (public, private): (&str, &str), mut event: Value) {
        let is_private = self.state().standing.is_private(channel);
        event["type"] = json!(if is_private { private } else { public });
        event["channel"] = json!(channel);
        self.emit(event);
    }
}

fn membership() -> Value {
    json!({"user": BOT_USER_ID, "channel_type": "C", "team": TEAM_ID})
}
