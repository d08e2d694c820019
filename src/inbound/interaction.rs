//! Clicks and submitted modals, each to its room.

use serde::Deserialize;
use serde_json::{Value, json};

use super::owner::{owner, refuse};
use super::{Answer, malformed};
use crate::app::App;
use crate::domain::{AnnotatorId, TraceId, VersionId};
use crate::error::ApiError;
use crate::jobs::Work;
use crate::label::card::{PAGES_BACK, PAGES_NEXT, SHOW_ALL};
use crate::label::{self, THUMB_ACTIONS, Thumbed};
use crate::outbox::Kind;
use crate::report::{self, Decision};

/// What Slack says of a click or a submitted modal, as far as it is of use here.
#[derive(Deserialize)]
pub(super) struct Interaction {
    #[serde(rename = "type")]
    kind: String,
    pub user: User,
    team: Option<Id>,
    channel: Option<Id>,
    trigger_id: Option<String>,
    #[serde(default)]
    pub message: Value,
    #[serde(default)]
    actions: Vec<Action>,
    #[serde(default)]
    view: Value,
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

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    action_id: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    action_ts: String,
}

impl User {
    fn name(&self) -> Option<&str> {
        let names = [&self.username, &self.name].into_iter().flatten();
        names.map(String::as_str).find(|name| !name.is_empty())
    }
}

impl Interaction {
    pub fn team(&self) -> &str {
        self.team.as_ref().map_or("", |team| &team.id)
    }

    /// Guests see the channel, but their thumbs are not the team's.
    pub fn is_a_guests(&self) -> bool {
        let home = self.user.team_id.as_deref();
        home.is_some_and(|home| home != self.team())
    }

    pub fn channel(&self) -> &str {
        self.channel.as_ref().map_or("", |channel| &channel.id)
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
    let thumb = THUMB_ACTIONS
        .iter()
        .find(|(name, _)| *name == action.action_id);
    if let Some((_, thumb)) = thumb {
        let Some(workspace) = owner(app, interaction, Kind::Card, &action.value).await? else {
            refuse(app, interaction);
            return Ok(());
        };
        let click = Thumbed {
            trace: TraceId::from(action.value.as_str()),
            annotator: AnnotatorId::from(interaction.user.id.as_str()),
            annotator_name: interaction.user.name(),
            thumb: *thumb,
            acted_at_us: microseconds(&action.action_ts),
            trigger_id: interaction.trigger_id.as_deref(),
        };
        return label::give_thumb(app, workspace, click).await;
    }
    if action.action_id == SHOW_ALL {
        let Some(workspace) = owner(app, interaction, Kind::Card, &action.value).await? else {
            refuse(app, interaction);
            return Ok(());
        };
        let trace = TraceId::from(action.value.as_str());
        let trigger_id = interaction.trigger_id.as_deref().unwrap_or_default();
        return label::show_all(app, workspace, &trace, trigger_id).await;
    }
    if [PAGES_BACK, PAGES_NEXT].contains(&action.action_id.as_str()) {
        return label::turn_page(app, interaction.team(), &interaction.view, &action.value).await;
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
    app.jobs.push(&workspace.id, Work::RefreshPosts).await;
    Ok(())
}

async fn submit(app: &App, interaction: &Interaction) -> Result<Answer, ApiError> {
    let view = &interaction.view;
    if view["callback_id"] != label::REASON_CALLBACK {
        return Ok(None);
    }
    let reason = view["state"]["values"]["reason"]["reason"]["value"].as_str();
    let stored = label::give_reason(
        app,
        interaction.team(),
        &AnnotatorId::from(interaction.user.id.as_str()),
        view["private_metadata"].as_str().unwrap_or_default(),
        reason.unwrap_or_default(),
    )
    .await?;
    if stored {
        return Ok(Some(json!({})));
    }
    let problem = "There is no 👎 of yours on this trace any more, so no reason was saved.";
    let errors = json!({"response_action": "errors", "errors": {"reason": problem}});
    Ok(Some(errors))
}

/// Slack's `action_ts`, "seconds.microseconds"; 0, older than any click, where it is something else.
fn microseconds(timestamp: &str) -> i64 {
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
