use std::ops::ControlFlow;

use anyhow::Context;
use tokio::runtime::Handle;

use super::evaluate::{Ran, Runner};
use super::judge::{Jury, KnownAnswers};
use super::store::{self, KnownOutcome, PendingRun, VersionSource};
use crate::app::App;
use crate::domain::{EvalSource, Outcome, WorkspaceId};
use crate::jobs::Work;
use crate::workspace::Workspace;

/// Traces run between two writes: what a crash repeats at most.
const TRACES_AT_ONCE: i64 = 50;

/// Runs every version of use on the labelled traces that it has not run on, or with another interpreter.
pub async fn run_evals(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    for version in store::live_versions(&app.db, &workspace.id).await? {
        let mut ran = false;
        while !app.is_stopping() {
            let pending = store::labelled_without_outcome(
                &app.db,
                &workspace.id,
                &version.id,
                app.started_at_ms,
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

/// The outcomes of one version on a few traces, in their order. What no row has is run, and what is not yet
/// this version's is recorded, together.
///
/// # Errors
/// The host's failures are not outcomes: they end the job, which is tried again.
pub async fn run_on(
    app: &App,
    workspace: &WorkspaceId,
    version: &VersionSource,
    pending: &[PendingRun],
) -> anyhow::Result<Vec<Outcome>> {
    let known = store::known_outcomes(&app.db, workspace, version, pending).await?;
    let find = |run: &PendingRun| known.get(&run.payload_hash).cloned();
    let mut found: Vec<Option<KnownOutcome>> = pending.iter().map(find).collect();
    let missing = pending.iter().zip(&found).enumerate();
    let missing = missing.filter(|(_, (_, found))| found.is_none());
    let missing = missing
        .map(|(at, (run, _))| (at, run.payload.clone()))
        .collect();
    for (at, ran) in evaluate_all(runner(app, workspace), version.source.clone(), missing).await? {
        let recorded = false;
        found[at] = Some(KnownOutcome { ran, recorded });
    }
    let outcomes: Option<Vec<KnownOutcome>> = found.into_iter().collect();
    let outcomes = outcomes.context("every trace has run")?;
    record(app, workspace, version, pending.iter().zip(&outcomes)).await?;
    Ok(outcomes
        .into_iter()
        .map(|known| known.ran.outcome)
        .collect())
}

async fn record<'r>(
    app: &App,
    workspace: &WorkspaceId,
    version: &VersionSource,
    outcomes: impl Iterator<Item = (&'r PendingRun, &'r KnownOutcome)>,
) -> anyhow::Result<()> {
    let new: Vec<_> = outcomes.filter(|(_, known)| !known.recorded).collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut transaction = app.db.begin().await?;
    for (run, known) in new {
        store::insert_outcome(&mut *transaction, workspace, version, run, &known.ran).await?;
    }
    Ok(transaction.commit().await?)
}

/// A workspace's traces are not seen by a worker that has seen another's, and its answers are its own.
fn runner(app: &App, workspace: &WorkspaceId) -> Runner {
    let jury = app.judge.as_ref().map(|judge| {
        let known = KnownAnswers::Rows {
            db: app.db.clone(),
            workspace: workspace.clone(),
        };
        Jury::new(judge.clone(), known, Handle::current())
    });
    Runner::new(app.sandbox.for_tenant(workspace.as_str()), jury)
}

/// Runs traces, each with its place, away from the asynchronous threads.
async fn evaluate_all(
    runner: Runner,
    source: EvalSource,
    traces: Vec<(usize, String)>,
) -> anyhow::Result<Vec<(usize, Ran)>> {
    let ran = tokio::task::spawn_blocking(move || {
        let mut all = Vec::with_capacity(traces.len());
        runner.evaluate_in_order(&source, traces.into_iter(), |at, ran| {
            all.push((at, ran));
            ControlFlow::Continue(())
        });
        all
    });
    let ran = ran.await?;
    match ran.iter().find_map(|(_, ran)| ran.outcome.host_failure()) {
        Some(error) => anyhow::bail!("the sandbox host failed: {error}"),
        None => Ok(ran),
    }
}
