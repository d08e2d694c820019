//! Clicks and submitted modals, each to its room.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::owner::{counts, owner, refuse};
use super::{Answer, home, malformed, swipe, thumb};
use crate::app::App;
use crate::domain::{AnnotatorId, VersionId};
use crate::error::ApiError;
use crate::jobs::Work;
use crate::label;
use crate::label::card::{PAGES_BACK, PAGES_NEXT};
use crate::outbox::Kind;
use crate::report::{self, Decision};
use crate::slack::Whisper;

/// What Slack says of a click or a submitted modal, as far as it is of use here.
#[derive(Deserialize)]
pub(super) struct Interaction {
    #[serde(rename = "type")]
    kind: String,
    pub user: User,
    team: Option<Id>,
    enterprise: Option<Id>,
    channel: Option<Id>,
    pub trigger_id: Option<String>,
    response_url: Option<String>,
    #[serde(default)]
    container: Value,
    #[serde(default)]
    pub message: Value,
    #[serde(default)]
    actions: Vec<Action>,
    #[serde(default)]
    pub view: Value,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub id: String,
    /// As people see it, where Slack says so; under either key, or both.
    username: Option<String>,
    name: Option<String>,
    /// Another team's in a channel shared by Slack Connect.
    team_id: Option<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Action {
    #[serde(default)]
    pub action_id: String,
    /// Empty where the element has none.
    #[serde(default, deserialize_with = "or_empty")]
    pub value: String,
    #[serde(default)]
    pub action_ts: String,
    #[serde(default)]
    selected_option: Value,
}

fn or_empty<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

impl Action {
    /// What was chosen in a menu; empty where it is none.
    pub fn option(&self) -> &str {
        self.selected_option["value"].as_str().unwrap_or_default()
    }
}

impl User {
    pub fn name(&self) -> Option<&str> {
        let names = [&self.username, &self.name].into_iter().flatten();
        names.map(String::as_str).find(|name| !name.is_empty())
    }
}

impl Interaction {
    /// The team where it happened; the org where Slack names no team, as it does for an org's installation.
    pub fn team(&self) -> &str {
        let place = self.team.as_ref().or(self.enterprise.as_ref());
        place.map_or("", |place| &place.id)
    }

    /// Guests see the channel, but what they click counts only where the operator says so.
    pub fn is_a_guests(&self, app: &App) -> bool {
        !counts(app, self.user.team_id.as_deref(), self.team())
    }

    pub fn channel(&self) -> &str {
        self.channel.as_ref().map_or("", |channel| &channel.id)
    }

    /// Where whoever clicked is told what nobody else sees.
    pub fn whisper(&self) -> Whisper {
        Whisper {
            channel: self.channel().to_owned(),
            user: self.user.id.clone(),
            response_url: self.response_url.clone(),
            replaces: self.container["is_ephemeral"] == true,
        }
    }
}

/// # Errors
/// What is not an interaction, and the database's.
pub(super) async fn handle(app: &App, payload: Value) -> Result<Answer, ApiError> {
    let interaction: Interaction = serde_json::from_value(payload)
        .map_err(|_| malformed("the payload is not an interaction"))?;
    match interaction.kind.as_str() {
        "block_actions" => {
            for action in &interaction.actions {
                act(app, &interaction, action).await?;
            }
            Ok(None)
        }
        "view_submission" => submit(app, &interaction).await,
        // Closed modals, shortcuts and what Slack may add: nothing to do, and nothing wrong.
        _ => Ok(None),
    }
}

async fn act(app: &App, interaction: &Interaction, action: &Action) -> anyhow::Result<()> {
    if thumb::act(app, interaction, action).await?
        || swipe::act(app, interaction, action).await?
        || home::act(app, interaction, action).await?
    {
        return Ok(());
    }
    if [PAGES_BACK, PAGES_NEXT].contains(&action.action_id.as_str()) {
        return label::turn_page(app, interaction.team(), &interaction.view, &action.value).await;
    }
    if action.action_id == label::DIGEST_ACTION {
        return label_digest(app, interaction, &action.value).await;
    }
    let Some(decision) = Decision::of_action(&action.action_id) else {
        return Ok(());
    };
    let Some(workspace) = owner(app, interaction, Kind::Report, &action.value).await? else {
        refuse(app, interaction);
        return Ok(());
    };
    let version = VersionId::from(action.value.as_str());
    report::decide(app, workspace, &version, decision, &interaction.user.id).await?;
    app.hint(&workspace.id, &[Work::RefreshPosts]);
    Ok(())
}

/// Opens the modal for labelling from a digest's message.
async fn label_digest(app: &App, interaction: &Interaction, subject: &str) -> anyhow::Result<()> {
    match owner(app, interaction, Kind::Digest, subject).await? {
        Some(workspace) => home::open_swipe(app, &workspace.id, interaction),
        None => refuse(app, interaction),
    }
    Ok(())
}

async fn submit(app: &App, interaction: &Interaction) -> Result<Answer, ApiError> {
    if let Some(answer) = swipe::submit(app, interaction).await? {
        return Ok(answer);
    }
    let view = &interaction.view;
    if view["callback_id"] != label::REASON_CALLBACK {
        return Ok(None);
    }
    let stored = label::give_reason(
        app,
        interaction.team(),
        &AnnotatorId::from(interaction.user.id.as_str()),
        view["private_metadata"].as_str().unwrap_or_default(),
        &label::reason_of(view),
    )
    .await?;
    if stored {
        return Ok(Some(json!({})));
    }
    let problem = "Your label on this trace is another one by now, so no reason was saved.";
    let errors = json!({"response_action": "errors", "errors": {"reason": problem}});
    Ok(Some(errors))
}

/// Slack's `action_ts`, "seconds.microseconds"; 0, older than any click, where it is something else.
pub(super) fn microseconds(timestamp: &str) -> i64 {
    let (seconds, fraction) = timestamp.split_once('.').unwrap_or((timestamp, "0"));
    let seconds: i64 = seconds.parse().unwrap_or(0);
    let padded: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let fraction: i64 = padded.parse().unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slacks_times_are_read_to_the_microsecond() {
        for (text, expected) in [
            ("1700000000.000100", 1_700_000_000_000_100),
            ("1700000000.5", 1_700_000_000_500_000),
            ("1700000000", 1_700_000_000_000_000),
            ("", 0),
            ("99999999999999999999.1", 100_000),
        ] {
            assert_eq!(microseconds(text), expected, "{text}");
        }
    }
}
