//! Whose message an inbound payload is about.

use serde_json::Value;

use crate::app::App;
use crate::domain::TraceId;
use crate::outbox::{self, Kind};
use crate::slack::{self, Posted};
use crate::workspace::Workspace;

use super::interaction::{Interaction, microseconds};
use super::person::teams;

/// The workspace whose message was clicked: the signature's team, and the channel where the message
/// of this kind and subject stands, or stood: the lines that only one person sees outlive it. The button's value alone is
/// never believed.
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
        let stands = match outbox::find_even_gone(&app.db, &workspace.id, kind, subject).await? {
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
///
/// # Errors
/// The place may be that of a card that is just being posted: Slack sends the event again.
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
    for team in teams(envelope) {
        anyhow::ensure!(
            !may_be_posted_to(app, team, place).await?,
            "a card is posted, and it is not written down yet where"
        );
    }
    Ok(None)
}

/// By which people of the workspace's team can be answered; `None` once the app is gone from it.
pub(super) fn client_of(workspace: &Workspace) -> Option<&slack::Client> {
    let slack = workspace.slack();
    let slack = slack.filter(|slack| !slack.health.is_over());
    slack.map(|slack| &slack.client)
}

async fn may_be_posted_to(app: &App, team: &str, place: &Posted) -> anyhow::Result<bool> {
    let posted_at_ms = microseconds(&place.ts) / 1_000;
    for workspace in app.workspaces() {
        let Some(slack) = workspace.slack() else {
            continue;
        };
        if !app.is_of_team(workspace, team).await? {
            continue;
        }
        let (db, id) = (&app.db, &workspace.id);
        let channel = outbox::channel_of(db, id, slack).await?;
        if channel.is_none_or(|channel| channel == place.channel)
            && outbox::may_stand(db, id, Kind::Card, posted_at_ms).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells the person, where they can be told, that their click changed nothing.
pub(super) fn refuse(app: &App, interaction: &Interaction) {
    let channel = interaction.channel().to_owned();
    let user = interaction.user.id.clone();
    let app_in_task = app.clone();
    let team = interaction.team().to_owned();
    app.tasks.spawn(async move {
        for workspace in app_in_task.workspaces() {
            let Some(client) = client_of(workspace) else {
                continue;
            };
            if matches!(app_in_task.is_of_team(workspace, &team).await, Ok(true)) {
                let text = "iofold doesn't know this message, or you are a guest in this channel, so your \
                            click changed nothing.";
                let _ = client.post_ephemeral(&channel, &user, text).await;
                return;
            }
        }
    });
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::WorkspaceId;
    use crate::outbox::tests::app;
    use crate::slack::scripted::ScriptedSlack;
    use crate::workspace::{SlackConnection, register};

    /// A team's two workspaces: the app is gone from C1, and C2 is the channel since people left C7 for it.
    pub async fn two_workspaces(
        gone: &ScriptedSlack,
        alive: &ScriptedSlack,
        folder: &tempfile::TempDir,
    ) -> App {
        let app = app(gone, folder, "C1").await;
        let second = WorkspaceId::from("second");
        register(&app.db, &second).await.expect("a row");
        let url = format!("{}/api/", alive.url).parse().expect("a URL");
        let client = slack::Client::new(&url, &"xoxb-2".into()).expect("a client");
        let slack = SlackConnection::new(client, "C2".to_owned());
        app.ensure_workspace(Workspace {
            id: second,
            langfuse: None,
            webhook_secret: None,
            langsmith: None,
            openai: None,
            slack: Some(slack).into(),
        });
        let earlier = "insert into posts (workspace_id, kind, subject_id, channel_id, ts, first_claimed_at_ms, claimed_at_ms, posted_at_ms)
             values ('second', 'card', 't', 'C7', '1.1', 1, 1, 1)";
        let earlier = sqlx::query(earlier).execute(app.db.pool()).await;
        earlier.expect("a row");
        for workspace in app.workspaces() {
            let slack = workspace.slack().expect("it is connected");
            slack.identity().await.expect("Slack answers");
        }
        let first = app.workspace(&"default".into()).and_then(Workspace::slack);
        let health = &first.expect("it is connected").health;
        health.end("The app was uninstalled in Slack.".to_owned());
        app
    }

    #[tokio::test]
    async fn a_refusal_comes_by_a_connection_that_is_not_at_its_end() {
        let (gone, alive) = (ScriptedSlack::start().await, ScriptedSlack::start().await);
        let folder = tempfile::tempdir().expect("a folder");
        let app = two_workspaces(&gone, &alive, &folder).await;
        let click = json!({"type": "block_actions", "user": {"id": "U7"}, "team": {"id": "T1"}, "channel": {"id": "C2"}});
        let click = serde_json::from_value(click).expect("an interaction");
        refuse(&app, &click);
        app.tasks.close();
        app.tasks.wait().await;
        assert!(gone.calls_of("chat.postEphemeral").is_empty());
        assert_eq!(alive.calls_of("chat.postEphemeral").len(), 1);
    }
}
