//! Whose message an inbound payload is about.

use serde_json::Value;

use crate::app::App;
use crate::domain::TraceId;
use crate::outbox::{self, Kind};
use crate::slack::Posted;
use crate::workspace::Workspace;

use super::interaction::Interaction;
use super::person::teams;

/// The workspace whose message was clicked: the signature's team, and the channel where the message
/// of this kind and subject stands. The button's value alone is never believed.
pub(super) async fn owner<'a>(
    app: &'a App,
    interaction: &Interaction,
    kind: Kind,
    subject: &str,
) -> anyhow::Result<Option<&'a Workspace>> {
    if interaction.is_a_guests(app) {
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

/// Whether what a person of `user_team` gives in a channel of `team` is the team's: guests of a channel shared by Slack
/// Connect see it, but count only where the operator says so. People of one org are no guests of each other.
pub fn counts(app: &App, user_team: Option<&str>, team: &str) -> bool {
    let is_at_home = |home| app.orgs.are_together(home, team);
    app.settings.slack_guests || user_team.is_none_or(is_at_home)
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

/// The card that stands at this place of a team's channel, by our own record of it; `None` where none of ours does.
pub async fn card_at<'a>(
    app: &'a App,
    team: &str,
    place: &Posted,
) -> anyhow::Result<Option<(&'a Workspace, TraceId)>> {
    for workspace in app.workspaces() {
        if !app.is_of_team(workspace, team).await? {
            continue;
        }
        let subject = outbox::subject_at(&app.db, &workspace.id, Kind::Card, place).await?;
        if let Some(trace) = subject {
            return Ok(Some((workspace, TraceId::from(trace))));
        }
    }
    Ok(None)
}

/// The card that an event is about, and the team whose it is.
pub(super) async fn card_of_event<'a, 'e>(
    app: &'a App,
    envelope: &'e Value,
    place: &Posted,
) -> anyhow::Result<Option<(&'a Workspace, TraceId, &'e str)>> {
    for team in teams(envelope) {
        if let Some((workspace, trace)) = card_at(app, team, place).await? {
            return Ok(Some((workspace, trace, team)));
        }
    }
    Ok(None)
}

/// Tells the person, where they can be told, that their click changed nothing.
pub(super) fn refuse(app: &App, interaction: &Interaction) {
    let channel = interaction.channel().to_owned();
    let user = interaction.user.id.clone();
    let app_in_task = app.clone();
    let team = interaction.team().to_owned();
    app.tasks.spawn(async move {
        for workspace in app_in_task.workspaces() {
            let Some(slack) = workspace.slack() else {
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
}
