use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::Handle;

use super::evaluate::{Ran, Runner};
use super::judge::{Jury, KnownAnswers};
use super::store::{self, Conditions, KnownOutcome, PendingRun, VersionSource};
use crate::app::App;
use crate::domain::{Outcome, WorkspaceId};
use crate::jobs::Work;
use crate::llm::Judge;
use crate::store::now_ms;
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
                &version,
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

/// The outcomes of one version on a few traces, in their order; an eval of sessions is given each with its session.
/// What no row has is run, and what is not yet this version's is recorded, together. What another run may come to otherwise is recorded too, so that it waits
/// for that run and holds up no other trace.
///
/// # Errors
/// The database can't be used, or the service stops; what had run by then is recorded.
pub async fn run_on(
    app: &App,
    workspace: &WorkspaceId,
    version: &VersionSource,
    pending: &[PendingRun],
) -> anyhow::Result<Vec<Outcome>> {
    if pending.is_empty() {
        // A list without members is no SQL for Postgres.
        return Ok(Vec::new());
    }
    let read_at_ms = now_ms();
    let conditions = Conditions::of(version, app.sandbox.limits());
    let pending = &*with_sessions(app, workspace, version, pending).await?;
    let known = store::known_outcomes(&app.db, workspace, &conditions, pending).await?;
    let find = |run: &PendingRun| known.get(run.ran_on()).cloned();
    let mut found: Vec<Option<KnownOutcome>> = pending.iter().map(find).collect();
    let missing = pending.iter().zip(&found).enumerate();
    let missing = missing.filter(|(_, (_, found))| found.is_none());
    let missing = missing
        .map(|(at, (run, _))| (at, run.payload.clone()))
        .collect();
    for (at, ran) in evaluate_all(app, workspace, version, missing).await? {
        let recorded = false;
        found[at] = Some(KnownOutcome { ran, recorded });
    }
    let outcomes = pending.iter().zip(&found);
    record(app, workspace, &conditions, outcomes, read_at_ms).await?;
    let outcomes = found.into_iter().map(|found| Some(found?.ran.outcome));
    let outcomes: Option<Vec<Outcome>> = outcomes.collect();
    outcomes.context("the service stops before every trace has run")
}

/// As they are, unless the version judges sessions.
async fn with_sessions<'r>(
    app: &App,
    workspace: &WorkspaceId,
    version: &VersionSource,
    pending: &'r [PendingRun],
) -> anyhow::Result<Cow<'r, [PendingRun]>> {
    if !version.source.reads_session() {
        return Ok(Cow::Borrowed(pending));
    }
    let mut with_sessions = Vec::with_capacity(pending.len());
    for run in pending {
        let limits = app.sandbox.limits();
        with_sessions.push(run.with_session(&app.db, workspace, limits).await?);
    }
    Ok(Cow::Owned(with_sessions))
}

async fn record<'r>(
    app: &App,
    workspace: &WorkspaceId,
    conditions: &Conditions,
    outcomes: impl Iterator<Item = (&'r PendingRun, &'r Option<KnownOutcome>)>,
    read_at_ms: i64,
) -> anyhow::Result<()> {
    let ran = outcomes.filter_map(|(run, known)| Some((run, known.as_ref()?)));
    let new: Vec<_> = ran.filter(|(_, known)| !known.recorded).collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut transaction = app.db.begin().await?;
    for (run, known) in new {
        if let Some(error) = known.ran.outcome.host_failure() {
            tracing::warn!(workspace.id = %workspace, trace.id = %run.trace, error, "the sandbox host failed; the trace runs again later");
        }
        let (db, ran) = (&mut *transaction, &known.ran);
        store::insert_outcome(db, workspace, conditions, run, ran, read_at_ms).await?;
    }
    Ok(transaction.commit().await?)
}

/// Runs a workspace's evals, with their questions put to `judge`. A workspace's traces are not seen by a worker that has
/// seen another's, and its answers are its own.
pub fn runner(app: &App, workspace: &WorkspaceId, judge: Option<Arc<dyn Judge>>) -> Runner {
    let jury = judge.map(|judge| {
        let known = KnownAnswers::Rows {
            db: app.db.clone(),
            workspace: workspace.clone(),
        };
        Jury::new(judge, known, Handle::current())
            .beside(&app.underway)
            .until(app.stopping().clone())
    });
    Runner::new(app.sandbox.for_tenant(workspace.as_str()), jury)
}

/// Runs traces, each with its place, away from the asynchronous threads, until the service stops.
async fn evaluate_all(
    app: &App,
    workspace: &WorkspaceId,
    version: &VersionSource,
    traces: Vec<(usize, String)>,
) -> anyhow::Result<Vec<(usize, Ran)>> {
    // What the answers take is written down for the eval.
    let runner = runner(app, workspace, app.judge(workspace, &version.eval));
    let (app, source) = (app.clone(), version.source.clone());
    let ran = tokio::task::spawn_blocking(move || {
        let mut all = Vec::with_capacity(traces.len());
        runner.evaluate_in_order(&source, traces.into_iter(), |at, ran| {
            // From here on, a failure may be the end's doing.
            if app.is_stopping() {
                return ControlFlow::Break(());
            }
            all.push((at, ran));
            ControlFlow::Continue(())
        });
        all
    });
    Ok(ran.await?)
}
