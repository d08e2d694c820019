use std::collections::HashSet;
use std::time::Duration;

use super::deliveries::{AFTER_A_TRACE, Deliveries};
use super::poll::Poll;
use super::store;
use crate::app::App;
use crate::jobs::Work;
use crate::langfuse::{self, OBSERVATIONS_MAX};
use crate::store::now_ms;
use crate::workspace::{LangfuseConnection, Workspace};

/// A handled delivery is known again for this long; Langfuse repeats one within minutes.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// Looks at the deliveries that wait: the traces they name are read, any other makes the poller look.
pub async fn handle_deliveries(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let deliveries = Deliveries {
        db: &app.db,
        workspace,
        settled_before_ms: app.settled_before_ms(),
    };
    let hints = deliveries.handle(|| app.is_stopping()).await?;
    push(app, workspace, hints).await;
    Ok(())
}

/// Asks Langfuse for what is new.
pub async fn poll_traces(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(langfuse) = workspace.awake_langfuse() else {
        return Ok(());
    };
    let poll = Poll {
        db: &app.db,
        workspace: &workspace.id,
        langfuse,
        settled_before_ms: app.settled_before_ms(),
        observations_a_page: OBSERVATIONS_MAX,
    };
    if noted(langfuse, poll.run(|| app.is_stopping()).await).await? > 0 {
        push(app, workspace, AFTER_A_TRACE).await;
    }
    Ok(())
}

/// Deletes what is kept of webhooks for too long.
pub async fn prune(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let before_ms = now_ms() - KEPT_FOR.as_millis() as i64;
    store::prune_deliveries(&app.db, &workspace.id, before_ms).await?;
    Ok(())
}

async fn push<H>(app: &App, workspace: &Workspace, hints: H)
where
    H: IntoIterator<Item = Work>,
{
    for work in hints.into_iter().collect::<HashSet<_>>() {
        app.jobs.push(&workspace.id, work).await;
    }
}

/// Keeps how the connection is doing. An API that has gone is looked for anew.
pub async fn noted<T>(langfuse: &LangfuseConnection, done: anyhow::Result<T>) -> anyhow::Result<T> {
    match &done {
        Ok(_) => langfuse.health.recovered(),
        Err(error) => {
            if let Some(error) = error.downcast_ref::<langfuse::Error>() {
                if error.is_missing() {
                    langfuse.client.forget_api().await;
                }
                langfuse.failed(error);
            }
        }
    }
    done
}
