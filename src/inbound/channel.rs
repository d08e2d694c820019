//! What happens to our messages and to the channel they stand in.

use serde_json::Value;

use super::person::teams;
use crate::app::App;
use crate::jobs::Work;
use crate::outbox;
use crate::slack::{self, Posted};
use crate::workspace::{SlackConnection, Workspace};

/// Takes note of an event about a message or a channel; what concerns none of ours changes nothing.
pub(super) async fn handle(app: &App, envelope: &Value) -> anyhow::Result<()> {
    for team in teams(envelope) {
        notice(app, team, &envelope["event"]).await?;
    }
    Ok(())
}

async fn notice(app: &App, team: &str, event: &Value) -> anyhow::Result<()> {
    for workspace in app.workspaces() {
        let Some(slack) = workspace.slack() else {
            continue;
        };
        if app.is_of_team(workspace, team).await? {
            if let Some(place) = deleted(event) {
                outbox::note_deleted(&app.db, &workspace.id, &place).await?;
            }
            notice_channel(app, workspace, slack, event).await?;
        }
    }
    Ok(())
}

/// Where the message stood that an event says was deleted. Of one with replies Slack leaves a tombstone.
fn deleted(event: &Value) -> Option<Posted> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let tombstone = event["message"]["subtype"] == "tombstone";
    let ts = match event["subtype"].as_str()? {
        "message_deleted" => text(&event["deleted_ts"]),
        "message_changed" if tombstone => text(&event["message"]["ts"]),
        _ => None,
    };
    Some(Posted {
        channel: text(&event["channel"])?,
        ts: ts?,
    })
}

/// What a channel's event means for its messages.
#[derive(Debug, PartialEq)]
enum Change<'e> {
    /// Nothing can be posted until a person helps, by Slack's word for it.
    Shut(&'static str),
    /// What could not be posted may be now.
    Open,
    /// The app was removed from the channel, where a public one still takes its messages.
    Left,
    /// By this name from now on.
    Renamed(&'e str),
}

/// The channel of an event and what becomes of it; `None` for what is none of a channel's, and for other people's comings
/// and goings.
fn change<'e>(event: &'e Value, bot: &str) -> Option<(&'e str, Change<'e>)> {
    let id = |channel: &'e Value| channel.as_str().or_else(|| channel["id"].as_str());
    let is_ours = event["user"] == bot;
    let change = match event["type"].as_str()? {
        "channel_archive" | "group_archive" => Change::Shut("is_archived"),
        "channel_deleted" | "group_deleted" => Change::Shut("channel_not_found"),
        "channel_unarchive" | "group_unarchive" => Change::Open,
        "member_joined_channel" if is_ours => Change::Open,
        "channel_left" | "group_left" => Change::Left,
        "member_left_channel" if is_ours => Change::Left,
        "channel_rename" | "group_rename" => Change::Renamed(event["channel"]["name"].as_str()?),
        _ => return None,
    };
    Some((id(&event["channel"])?, change))
}

async fn notice_channel(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    event: &Value,
) -> anyhow::Result<()> {
    let bot = slack
        .known_identity()
        .map_or("", |identity| &identity.user_id);
    let Some((channel, change)) = change(event, bot) else {
        return Ok(());
    };
    let ours = outbox::channel_of(&app.db, &workspace.id, slack).await?;
    if ours.as_deref() != Some(channel) {
        return Ok(());
    }
    match change {
        Change::Shut(code) => {
            outbox::failed(slack, slack::Error::of_channel(code));
            tell(app, workspace, code);
        }
        Change::Open | Change::Left => {
            if change == Change::Left {
                tracing::warn!(workspace.id = %workspace.id, channel, "iofold was removed from its channel; a private one takes no messages until it is invited again");
            }
            slack.health.wake();
            app.jobs.push(&workspace.id, Work::PostCards).await;
            app.jobs.push(&workspace.id, Work::PostReports).await;
        }
        Change::Renamed(_) if slack::is_channel(&slack.channel) => {}
        Change::Renamed(name) => {
            tracing::warn!(workspace.id = %workspace.id, channel, name, "the channel was renamed; set SLACK_CHANNEL to its id, which stays");
        }
    }
    Ok(())
}

/// Has a person told beside the answer to Slack, unless the channel is open or another by then.
fn tell(app: &App, workspace: &Workspace, code: &'static str) {
    let (app_in_task, id) = (app.clone(), workspace.id.clone());
    app.tasks.spawn(async move {
        let Some(workspace) = app_in_task.workspace(&id) else {
            return;
        };
        let slack = workspace.slack();
        let Some(slack) = slack.filter(|slack| slack.health.trouble().is_some()) else {
            return;
        };
        let error = slack::Error::of_channel(code);
        if let Err(error) = outbox::tell(&app_in_task, workspace, slack, &error).await {
            tracing::warn!(workspace.id = %id, %error, "nobody was told of the channel");
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outbox::tests::app;
    use crate::slack::scripted::ScriptedSlack;

    #[test]
    fn a_deleted_message_is_known_by_its_place_with_replies_or_without() {
        let plain = json!({"type": "message", "subtype": "message_deleted", "channel": "C1", "ts": "9.9", "deleted_ts": "1.1"});
        let thread = json!({"type": "message", "subtype": "message_changed", "channel": "C1",
                            "message": {"subtype": "tombstone", "ts": "1.1"}});
        for event in [plain, thread] {
            let place = deleted(&event).expect("it was deleted");
            assert_eq!((place.channel.as_str(), place.ts.as_str()), ("C1", "1.1"));
        }
        for other in [
            json!({"type": "message", "channel": "C1", "ts": "1.1"}),
            json!({"subtype": "message_changed", "channel": "C1", "message": {"ts": "1.1"}}),
            json!({"subtype": "message_deleted", "channel": "C1"}),
            json!({}),
        ] {
            assert_eq!(deleted(&other), None, "{other}");
        }
    }

    #[test]
    fn a_channels_events_shut_or_open_it_and_other_peoples_goings_do_neither() {
        for (event, expected) in [
            (
                json!({"type": "channel_archive", "channel": "C1", "user": "U9"}),
                Some(Change::Shut("is_archived")),
            ),
            (
                json!({"type": "group_deleted", "channel": "C1"}),
                Some(Change::Shut("channel_not_found")),
            ),
            (
                json!({"type": "channel_unarchive", "channel": "C1"}),
                Some(Change::Open),
            ),
            (
                json!({"type": "member_joined_channel", "channel": "C1", "user": "U0"}),
                Some(Change::Open),
            ),
            (
                json!({"type": "member_joined_channel", "channel": "C1", "user": "U9"}),
                None,
            ),
            (
                json!({"type": "member_left_channel", "channel": "C1", "user": "U0"}),
                Some(Change::Left),
            ),
            (
                json!({"type": "channel_left", "channel": "C1"}),
                Some(Change::Left),
            ),
            (
                json!({"type": "channel_rename", "channel": {"id": "C1", "name": "n"}}),
                Some(Change::Renamed("n")),
            ),
            (json!({"type": "channel_rename", "channel": 7}), None),
            (json!({"type": 7}), None),
        ] {
            let found = change(&event, "U0");
            assert_eq!(found, expected.map(|change| ("C1", change)), "{event}");
        }
    }

    #[tokio::test]
    async fn an_archived_channel_rests_until_it_is_open_again_and_others_dont_matter() {
        let slack = ScriptedSlack::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let app = app(&slack, &folder, "C1").await;
        let workspace = app.workspace(&"default".into()).expect("it is configured");
        let connection = workspace.slack().expect("it is connected");
        let after = async |team: &str, kind: &str, channel: &str| {
            let event = json!({"type": kind, "channel": channel});
            notice(&app, team, &event).await.expect("rows");
            connection.health.is_resting()
        };
        assert!(!after("T1", "channel_archive", "C2").await);
        assert!(!after("T2", "channel_archive", "C1").await);
        assert!(after("T1", "channel_archive", "C1").await);
        let said = connection.health.trouble().expect("it is in trouble");
        assert!(said.contains("Unarchive the channel"), "{said}");
        assert!(after("T2", "channel_unarchive", "C1").await);
        assert!(!after("T1", "channel_unarchive", "C1").await);
    }

    #[tokio::test]
    async fn of_an_archived_channel_a_person_is_told_after_slack_has_its_answer() {
        let slack = ScriptedSlack::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let app = app(&slack, &folder, "C1").await;
        let person = "insert into annotators values ('default', 'U7', 0);
            insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                                started_at_ms, first_seen_at_ms, changed_at_ms)
            values ('default', 't', '{}', 'h', 'g', 1, 0, 0, 0, 0);
            insert into labels values ('default', 't', 'U7', 'up', null, 0, 0);";
        let person = sqlx::raw_sql(person).execute(app.db.pool()).await;
        person.expect("rows");
        let workspace = app.workspace(&"default".into()).expect("it is configured");
        let connection = workspace.slack().expect("it is connected");
        connection.identity().await.expect("Slack answers");
        let event = json!({"type": "channel_archive", "channel": "C1"});
        notice(&app, "T1", &event).await.expect("rows");
        assert!(connection.health.is_resting());
        assert!(slack.calls_of("chat.postMessage").is_empty());
        app.tasks.close();
        app.tasks.wait().await;
        let told = slack.calls_of("chat.postMessage");
        assert_eq!((told.len(), &told[0]["channel"]), (1, &json!("U7")));
    }
}
