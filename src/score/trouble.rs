//! That scores do not reach Langfuse: said in the channel once, after an hour; the overview shows it at once.

use std::time::Duration;

use super::pending::backlog;
use crate::app::App;
use crate::outbox::{self, Kind};
use crate::slack::{Message, escape, section};
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

fn message(trouble: &str, waiting: i64) -> Message {
    let scores = match waiting {
        1 => "1 score waits".to_owned(),
        many => format!("{many} scores wait"),
    };
    let text = format!("⚠️ No score has reached Langfuse for an hour: {scores}");
    let rest = format!(
        "{text} here. None is lost, and all are written as soon as Langfuse takes them.\n{}.",
        escape(trouble.trim_end_matches('.'))
    );
    Message {
        text,
        blocks: vec![section(&rest)],
        metadata: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_wait_and_what_to_do() {
        let error = crate::langfuse::Error::Unauthorised.to_string();
        let message = message(&error, 12);
        let said = message.blocks[0]["text"]["text"].as_str().expect("a text");
        assert!(
            said.starts_with("⚠️ No score has reached Langfuse for an hour: 12 scores wait here.")
        );
        assert!(said.contains("LANGFUSE_SECRET_KEY"), "{said}");
        assert!(super::message("x", 1).text.ends_with("1 score waits"));
    }
}
