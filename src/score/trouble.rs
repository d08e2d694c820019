//! That scores do not reach Langfuse: said in the channel once, after an hour, and there too when they do again; the
//! overview shows it at once.

use std::time::Duration;

use chrono::DateTime;

use super::pending::backlog;
use super::store;
use crate::app::App;
use crate::outbox::{self, Kind};
use crate::slack::family::{self, Mark};
use crate::slack::{Message, escape};
use crate::workspace::{LangfuseConnection, Workspace};

/// Shorter troubles pass by themselves.
const SAID_AFTER: Duration = Duration::from_hours(1);

/// Says it where it has lasted and scores wait; once from the last score that was written on.
pub async fn say(
    app: &App,
    workspace: &Workspace,
    langfuse: &LangfuseConnection,
) -> anyhow::Result<()> {
    let (Some(trouble), Some(slack)) = (langfuse.writing.trouble(), workspace.awake_slack()) else {
        return Ok(());
    };
    if langfuse.writing.in_trouble_for() < SAID_AFTER {
        return Ok(());
    }
    let backlog = backlog(&app.db, &workspace.id).await?;
    if backlog.waiting == 0 {
        return Ok(());
    }
    let subject = backlog.last_written_at_ms.to_string();
    let message = message(&trouble, backlog.waiting);
    outbox::post_once(
        app,
        workspace,
        slack,
        Kind::Unwritten,
        &subject,
        None,
        message,
    )
    .await?;
    Ok(())
}

/// Says where an outage was told that scores reach Langfuse again.
pub async fn say_mended(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(slack) = workspace.awake_slack() else {
        return Ok(());
    };
    let (db, id) = (&app.db, &workspace.id);
    store::note_mended(db, id).await?;
    while let Some(stale) = outbox::next_stale(app, id, Kind::Unwritten).await? {
        let last_ms = stale.subject.parse().unwrap_or(0);
        if let Some(since_ms) = store::first_written_after(db, id, last_ms).await? {
            let message = mended(since_ms);
            outbox::refresh(app, workspace, slack, Kind::Unwritten, &stale, message).await?;
        }
    }
    Ok(())
}

fn message(trouble: &str, waiting: i64) -> Message {
    let scores = match waiting {
        1 => "1 score waits".to_owned(),
        many => format!("{many} scores wait"),
    };
    let waits =
        format!("{scores} here. None is lost, and all are written as soon as Langfuse takes them.");
    let why = format!("{}.", escape(trouble.trim_end_matches('.')));
    family::message(
        Mark::Trouble,
        "No score has reached Langfuse for an hour",
        &[&waits, &why],
        &[],
    )
}

fn mended(since_ms: i64) -> Message {
    let since = DateTime::from_timestamp_millis(since_ms).unwrap_or_default();
    let since = since.format("%H:%M UTC");
    let head = "No score reached Langfuse for an hour or more";
    family::message(
        Mark::Mended,
        head,
        &[&format!("Since {since} they do again, and none was lost.")],
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Turned;
    use crate::langfuse::Client;
    use crate::outbox::tests::app;
    use crate::slack::scripted::ScriptedSlack;

    const WAITING: &str = "
        insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                            started_at_ms, first_seen_at_ms, changed_at_ms)
        values ('default', 't', '{}', 'h', 'g', 1, 0, 0, 0, 0);
        insert into annotators values ('default', 'U1', 0);
        insert into labels values ('default', 't', 'U1', 'up', null, 0, 0);
        insert into human_scores (workspace_id, trace_id, annotator_id, wanted_at_ms)
        values ('default', 't', 'U1', 0)";

    #[tokio::test]
    async fn an_outage_is_said_in_the_channel_once_and_only_where_it_lasts_and_scores_wait() {
        let slack = ScriptedSlack::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let app = app(&slack, &folder, "C1").await;
        let workspace = app.workspace(&"default".into()).expect("it is configured");
        let start = "2026-06-01T00:00:00Z".parse().expect("a time");
        let (_, clock) = Turned::starting(start, 1);
        let base = "http://127.0.0.1:9".parse().expect("it is a URL");
        let client = Client::new(&base, "pk", &"sk".into()).expect("it is made");
        let langfuse =
            LangfuseConnection::new(client.on(crate::langfuse::Plan::Hobby, clock.clone()));
        let change = async |rows: &'static str| {
            let changed = sqlx::raw_sql(rows).execute(app.db.pool()).await;
            changed.expect("they are changed");
        };
        let hour = Duration::from_secs(3_601);
        langfuse.writing.failed("no (401)".to_owned(), None);
        clock.sleep(hour).await;
        let said = async || {
            for _ in 0..2 {
                let said = say(&app, workspace, &langfuse).await;
                said.expect("Slack answers");
            }
            slack.posted().len()
        };
        assert_eq!(said().await, 0, "nothing waits");
        change(WAITING).await;
        assert_eq!(said().await, 1);
        assert_eq!(slack.posted(), ["iofold_unwritten"]);
        let mended = async || {
            for _ in 0..2 {
                say_mended(&app, workspace).await.expect("Slack answers");
            }
            slack.calls_of("chat.update")
        };
        assert!(mended().await.is_empty(), "none is written yet");
        langfuse.writing.recovered();
        change("update human_scores set written_at_ms = 780000").await;
        let updates = mended().await;
        assert_eq!(updates.len(), 1);
        assert_eq!(
            updates[0]["blocks"][0]["text"]["text"],
            "✅ *No score reached Langfuse for an hour or more.* Since 00:13 UTC they do again, and none was lost."
        );
        langfuse.writing.failed("no (403)".to_owned(), None);
        assert_eq!(said().await, 1, "it has just begun");
        clock.sleep(hour).await;
        change(
            "insert into annotators values ('default', 'U2', 0);
             insert into labels values ('default', 't', 'U2', 'up', null, 0, 0);
             insert into human_scores (workspace_id, trace_id, annotator_id, wanted_at_ms)
             values ('default', 't', 'U2', 0)",
        )
        .await;
        assert_eq!(said().await, 2, "another outage");
    }

    #[test]
    fn it_says_how_many_wait_and_what_to_do() {
        let error = crate::langfuse::Error::Unauthorised.to_string();
        let message = message(&error, 12);
        let said = message.blocks[0]["text"]["text"].as_str().expect("a text");
        assert!(
            said.starts_with(
                "⚠️ *No score has reached Langfuse for an hour.* 12 scores wait here."
            )
        );
        assert!(said.contains("LANGFUSE_SECRET_KEY"), "{said}");
        assert!(
            super::message("x", 1)
                .text
                .contains("hour. 1 score waits here")
        );
    }
}
