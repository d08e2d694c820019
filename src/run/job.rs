use super::evaluate_all;
use super::store::{self, PendingRun, VersionSource};
use crate::app::App;
use crate::domain::{Outcome, WorkspaceId};
use crate::jobs::Work;
use crate::workspace::Workspace;

/// Traces run between two writes: what a crash repeats at most.
const TRACES_AT_ONCE: i64 = 50;

/// Runs every version of use on the labelled traces that it has not run on.
pub async fn run_evals(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    for version in store::live_versions(&app.db, &workspace.id).await? {
        let mut ran = false;
        while !app.is_stopping() {
            let pending = store::labelled_without_outcome(
                &app.db,
                &workspace.id,
                &version.id,
                TRACES_AT_ONCE,
            )
            .await?;
            if pending.is_empty() {
                break;
            }
            run_on(app, &workspace.id, &version, &pending).await?;
            ran = true;
        }
        if ran {
            app.jobs.push(&workspace.id, Work::PostReports).await;
        }
    }
    Ok(())
}

/// Runs one version on a few traces and records the outcomes together.
///
/// # Errors
/// The host's failures are not outcomes: they end the job, which is tried again.
pub async fn run_on(
    app: &App,
    workspace: &WorkspaceId,
    version: &VersionSource,
    pending: &[PendingRun],
) -> anyhow::Result<Vec<Outcome>> {
    let traces = pending.iter().map(|run| run.payload.clone()).collect();
    let outcomes = evaluate_all(&app.sandbox, &version.source, traces).await?;
    if let Some(error) = outcomes.iter().find_map(Outcome::host_failure) {
        anyhow::bail!("the sandbox host failed: {error}");
    }
    let mut transaction = app.db.begin().await?;
    for (run, outcome) in pending.iter().zip(&outcomes) {
        store::insert_outcome(&mut *transaction, workspace, &version.id, run, outcome).await?;
    }
    transaction.commit().await?;
    Ok(outcomes)
}
