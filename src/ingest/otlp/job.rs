use std::time::Duration;

use super::progress::{Progress, assume_roots, progress_of};
use crate::app::App;
use crate::ingest::arrive::{self, Ending};
use crate::ingest::deliveries::AFTER_A_TRACE;
use crate::ingest::store::{self, ArrivedTrace};
use crate::store::now_ms;
use crate::workspace::Workspace;

/// A trace whose spans come in several requests at once is put together after the last of them.
pub const QUIET: Duration = Duration::from_millis(200);
/// A trace that could not be put together holds up no other.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Traces looked up at once.
const TRACES_AT_ONCE: i64 = 100;

/// Puts the traces together whose spans came by OTLP, once they have been quiet for a moment.
///
/// A whole one is settled at once; any other is settled by the usual quiet period.
pub async fn assemble_traces(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    while !app.is_stopping() {
        let due = store::due_traces(&app.db, &workspace.id, TRACES_AT_ONCE).await?;
        if due.is_empty() {
            match store::next_due_ms(&app.db, &workspace.id).await? {
                Some(at) if at - now_ms() <= QUIET.as_millis() as i64 => {
                    let wait = (at - now_ms()).max(1) as u64;
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    continue;
                }
                _ => break,
            }
        }
        for arrived in &due {
            if let Err(error) = assemble(app, workspace, arrived).await {
                tracing::error!(trace.id = arrived.trace_id, error = ?error, "a trace could not be put together");
                postpone(app, workspace, arrived, now_ms(), AGAIN_AFTER).await?;
            }
        }
        for work in AFTER_A_TRACE {
            app.jobs.push(&workspace.id, work).await;
        }
    }
    Ok(())
}

async fn assemble(app: &App, workspace: &Workspace, arrived: &ArrivedTrace) -> anyhow::Result<()> {
    let (db, id, trace_id) = (&app.db, &workspace.id, &arrived.trace_id);
    let quiet = app.settings.settle_after;
    let quiet_for = now_ms() - arrived.arrived_at_ms;
    let mut awaited = None;
    arrive::assemble(db, id, trace_id, |observations| {
        match progress_of(observations, quiet) {
            Progress::Whole => Ending::Whole,
            Progress::Partial => Ending::AsItIs,
            Progress::Rootless { assumed_after } => {
                match quiet_for >= assumed_after.as_millis() as i64 {
                    true => assume_roots(observations),
                    false => awaited = Some(assumed_after),
                }
                Ending::AsItIs
            }
        }
    })
    .await?;
    match awaited {
        Some(wait) => postpone(app, workspace, arrived, arrived.arrived_at_ms, wait).await,
        None => Ok(store::finish_arrived(db, id, arrived).await?),
    }
}

async fn postpone(
    app: &App,
    workspace: &Workspace,
    arrived: &ArrivedTrace,
    from_ms: i64,
    wait: Duration,
) -> anyhow::Result<()> {
    let due_at_ms = from_ms + wait.as_millis() as i64;
    Ok(store::postpone_arrived(&app.db, &workspace.id, arrived, due_at_ms).await?)
}
