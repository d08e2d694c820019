//! `POST /slack/interactions`: every click and every submitted modal, verified once, sent to its room.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Body;
use crate::domain::{AnnotatorId, TraceId, VersionId, lenient};
use crate::error::ApiError;
use crate::jobs::Work;
use crate::label::{self, THUMB_ACTIONS, Thumbed};
use crate::outbox::{self, Kind};
use crate::report::{self, Decision};
use crate::slack::{self, Posted};
use crate::workspace::Workspace;

/// Slack's payloads are small; a card's own blocks come back in them.
const BODY_MAX: usize = 2 * 1024 * 1024;

#[derive(Deserialize)]
struct Interaction {
    #[serde(rename = "type")]
    kind: String,
    user: User,
    team: Option<Id>,
    channel: Option<Id>,
    trigger_id: Option<String>,
    #[serde(default)]
    message: Value,
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
struct User {
    id: String,
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
    fn team(&self) -> &str {
        self.team.as_ref().map_or("", |team| &team.id)
    }

    /// Guests see the channel, but their thumbs are not the team's.
    fn is_a_guests(&self) -> bool {
        let home = self.user.team_id.as_deref();
        home.is_some_and(|home| home != self.team())
    }

    fn channel(&self) -> &str {
        self.channel.as_ref().map_or("", |channel| &channel.id)
    }
}

/// Acknowledges within Slack's three seconds: rows are written before the answer, Slack is called after.
pub async fn receive(
    State(app): State<App>,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Result<Response, ApiError> {
    let interaction = verified(&app, &headers, &body)?;
    match interaction.kind.as_str() {
        "block_actions" => {
            for action in &interaction.actions {
                act(&app, &interaction, action).await?;
            }
            Ok(().into_response())
        }
        "view_submission" => submit(&app, &interaction).await,
        // Closed modals, shortcuts and what Slack may add: nothing to do, and nothing wrong.
        _ => Ok(().into_response()),
    }
}

fn verified(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Interaction, ApiError> {
    let secret = app.slack_signing_secret.as_ref();
    if !secret.is_some_and(|secret| slack::is_signed(secret, headers, body)) {
        return Err(ApiError::BadSignature);
    }
    let malformed = |problem: &str| {
        ApiError::Malformed(format!(
            "{problem}; Slack sends a form with one field, payload, that holds JSON"
        ))
    };
    let payload = url::form_urlencoded::parse(body)
        .find(|(name, _)| name == "payload")
        .ok_or_else(|| malformed("there is no payload"))?
        .1;
    let (payload, _) =
        lenient::parse(payload.as_bytes()).map_err(|_| malformed("the payload is not JSON"))?;
    serde_json::from_value(payload).map_err(|_| malformed("the payload is not an interaction"))
}

async fn act(app: &App, interaction: &Interaction, action: &Action) -> Result<(), ApiError> {
    let thumb = THUMB_ACTIONS
        .iter()
        .find(|(name, _)| *name == action.action_id);
    if let Some((_, thumb)) = thumb {
        let Some(workspace) = owner(app, interaction, Kind::Card, &action.value).await? else {
            return refuse(app, interaction);
        };
        let click = Thumbed {
            trace: TraceId::from(action.value.as_str()),
            annotator: AnnotatorId::from(interaction.user.id.as_str()),
            annotator_name: interaction.user.name(),
            thumb: *thumb,
            acted_at_us: microseconds(&action.action_ts),
            trigger_id: interaction.trigger_id.as_deref(),
        };
        return Ok(label::give_thumb(app, workspace, click).await?);
    }
    let Some(decision) = Decision::of_action(&action.action_id) else {
        return Ok(());
    };
    let Some(workspace) = owner(app, interaction, Kind::Report, &action.value).await? else {
        return refuse(app, interaction);
    };
    let version = VersionId::from(action.value.as_str());
    report::decide(app, workspace, &version, decision, &interaction.user.id).await?;
    app.jobs.push(&workspace.id, Work::RefreshPosts).await;
    Ok(())
}

/// The workspace whose message was clicked: the signature's team, and the channel where the message
/// of this kind and subject stands. The button's value alone is never believed.
async fn owner<'a>(
    app: &'a App,
    interaction: &Interaction,
    kind: Kind,
    subject: &str,
) -> anyhow::Result<Option<&'a Workspace>> {
    if interaction.is_a_guests() {
        return Ok(None);
    }
    for workspace in app.workspaces() {
        if !app.is_of_team(workspace, interaction.team()).await? {
            continue;
        }
        let stands = match outbox::find(&app.db, &workspace.id, kind, subject).await? {
            Some(posted) => posted.channel == interaction.channel(),
            None => settle(app, workspace, interaction, kind, subject).await?,
        };
        if stands {
            return Ok(Some(workspace));
        }
    }
    Ok(None)
}

/// Takes Slack's word for where a message stands that was posted just before a crash.
async fn settle(
    app: &App,
    workspace: &Workspace,
    interaction: &Interaction,
    kind: Kind,
    subject: &str,
) -> anyhow::Result<bool> {
    let message = &interaction.message;
    let Some(ts) = message["ts"].as_str() else {
        return Ok(false);
    };
    let ours = kind.metadata(subject);
    if ["event_type", "event_payload"]
        .iter()
        .any(|key| message["metadata"][key] != ours[key])
    {
        return Ok(false);
    }
    let posted = Posted {
        channel: interaction.channel().to_owned(),
        ts: ts.to_owned(),
    };
    let stands = outbox::settle(&app.db, &workspace.id, kind, subject, &posted).await?;
    Ok(stands.is_some_and(|stands| stands.channel == posted.channel))
}

/// Tells the person, where they can be told, that their click changed nothing.
fn refuse(app: &App, interaction: &Interaction) -> Result<(), ApiError> {
    let channel = interaction.channel().to_owned();
    let user = interaction.user.id.clone();
    let app_in_task = app.clone();
    let team = interaction.team().to_owned();
    app.tasks.spawn(async move {
        for workspace in app_in_task.workspaces() {
            let Some(slack) = &workspace.slack else {
                continue;
            };
            if matches!(app_in_task.is_of_team(workspace, &team).await, Ok(true)) {
                let text = "iofold doesn't know this message, or you are a guest in this channel, so your \
                            click changed nothing.";
                let _ = slack.client.post_ephemeral(&channel, &user, text).await;
                return;
            }
        }
    });
    Ok(())
}

async fn submit(app: &App, interaction: &Interaction) -> Result<Response, ApiError> {
    let view = &interaction.view;
    if view["callback_id"] != label::REASON_CALLBACK {
        return Ok(().into_response());
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
        return Ok(axum::Json(json!({})).into_response());
    }
    let problem = "There is no 👎 of yours on this trace any more, so no reason was saved.";
    Ok(
        axum::Json(json!({"response_action": "errors", "errors": {"reason": problem}}))
            .into_response(),
    )
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
