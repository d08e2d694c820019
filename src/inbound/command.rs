//! `/iofold …`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::install;

/// What works, for whoever asks or types something else.
const HELP: &str = "`/iofold help` shows this";

/// A slash command as Slack sends it (docs.slack.dev, "Slash commands"), as far as it is of use here.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    /// What was typed after `/iofold`.
    #[serde(default)]
    pub text: String,
    /// `T…`.
    #[serde(default)]
    pub team_id: String,
    /// `E…`: the org that the team is of; empty outside an Enterprise Grid.
    #[serde(default)]
    pub enterprise_id: String,
    /// `C…`: where it was typed.
    #[serde(default)]
    pub channel_id: String,
    /// `U…`.
    pub user_id: String,
    /// Their handle.
    #[serde(default)]
    pub user_name: String,
    /// Opens a modal within three seconds.
    #[serde(default)]
    pub trigger_id: String,
    /// Takes late answers.
    #[serde(default)]
    pub response_url: String,
}

impl Command {
    /// Where it was typed, in a payload's words.
    pub(super) fn place(&self) -> Value {
        json!({"team_id": self.team_id, "enterprise_id": self.enterprise_id})
    }
}

/// The answer, for whoever typed it alone.
pub(super) async fn handle(app: &App, command: &Command) -> anyhow::Result<Value> {
    let text = match command.text.trim() {
        "" | "help" => HELP.to_owned(),
        "here" => install::here(app, command).await?,
        _ => format!("iofold doesn't know that. {HELP}"),
    };
    Ok(json!({"response_type": "ephemeral", "text": text}))
}
