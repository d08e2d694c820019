use std::collections::HashSet;
use std::time::Duration;

use super::backfill::{self, Backfill, Ended, Owner, Progress};
use super::deliveries::{AFTER_A_TRACE, Deliveries};
use super::poll::Poll;
use super::read::Reader;
use super::{gone, store};
use crate::app::App;
use crate::domain::WorkspaceId;
use crate::jobs::Work;
use crate::langfuse::{self, OBSERVATIONS_MAX, Priority};
use crate::store::{Db, now_ms};
use crate::workspace::{LangfuseConnection, Workspace};

/// A handled delivery is known again for this long; Langfuse repeats one within minutes.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// To a command, an old v3 trace that began longer ago is complete.
const QUIET: Duration = Duration::from_secs(300);

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

/// Asks Langfuse for what is new, unless looks are far ahead of what its limits pay for: then a later sweep does.
pub async fn poll_traces(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(langfuse) = workspace.awake_langfuse() else {
        return Ok(());
    };
    let clock = langfuse.client.budget().clock();
    if !langfuse.pace.takes_hint(clock.elapsed()) {
        return Ok(());
    }
    let poll = Poll {
        langfuse,
        reader: reader(app, workspace, langfuse, Priority::Live),
    };
    if noted(langfuse, poll.run(|| app.is_stopping()).await).await? > 0 {
        push(app, workspace, AFTER_A_TRACE).await;
    }
    Ok(())
}

/// Asks for the traces that are missing, and goes on with the stretches of old traces that are to be read, one
/// after the other. Where that fails, it rests by itself, and looking for new traces goes on.
pub async fn backfill_traces(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    if workspace.langfuse.is_some() {
        app.backfill_owner.attend(&app.db, &workspace.id).await?;
    }
    let langfuse = workspace.awake_langfuse();
    let Some(langfuse) = langfuse.filter(|langfuse| !langfuse.backfilling.is_resting()) else {
        return Ok(());
    };
    let reader_of = || reader(app, workspace, langfuse, Priority::Backfill);
    let settled = gone::settle(&reader_of(), || app.is_stopping()).await;
    let mut all = noted_of_old(langfuse, settled).await;
    for stretch in backfill::stretches(&app.db, &workspace.id).await? {
        if stretch.finished_at_ms.is_some() || langfuse.health.is_resting() {
            continue;
        }
        let backfill = Backfill {
            reader: reader_of(),
            owner: &app.backfill_owner,
        };
        let done = backfill.run(&stretch, || app.is_stopping(), &|_| {}).await;
        all = all.and(noted_of_old(langfuse, done.map(drop)).await);
        push(app, workspace, AFTER_A_TRACE).await;
    }
    if all.is_ok() {
        langfuse.backfilling.recovered();
    }
    all
}

/// Keeps how reading old traces is doing; what would stop everything else, too, is the connection's.
async fn noted_of_old(
    langfuse: &LangfuseConnection,
    done: anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Err(error) = &done
        && let Some(error) = error.downcast_ref::<langfuse::Error>()
    {
        if error.is_missing() {
            langfuse.client.forget_api().await;
        }
        match error.concerns_the_connection() {
            true => langfuse.failed(error),
            false => langfuse.backfilling.failed(error.to_string(), None),
        }
    }
    done
}

/// The same for one stretch in a process that is no service.
///
/// # Errors
/// Langfuse's or the database's.
pub async fn backfill_by_command(
    (db, workspace): (&Db, &WorkspaceId),
    client: &langfuse::Client,
    (stretch, owner): (&Progress, &Owner),
    said: &(dyn Fn(&Progress) + Sync),
) -> anyhow::Result<Ended> {
    let reader = Reader {
        db,
        workspace,
        client: client.at(Priority::Backfill),
        settled_before_ms: now_ms() - QUIET.as_millis() as i64,
        observations_a_page: OBSERVATIONS_MAX,
    };
    let backfill = Backfill { reader, owner };
    backfill.run(stretch, || false, said).await
}

fn reader<'a>(
    app: &'a App,
    workspace: &'a Workspace,
    langfuse: &LangfuseConnection,
    priority: Priority,
) -> Reader<'a> {
    Reader {
        db: &app.db,
        workspace: &workspace.id,
        client: langfuse.client.at(priority),
        settled_before_ms: app.settled_before_ms(),
        observations_a_page: OBSERVATIONS_MAX,
    }
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
