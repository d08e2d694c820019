use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::store::{self, PendingScore};
use crate::app::App;
use crate::domain::{Outcome, TraceId, Verdict, VersionId, WorkspaceId};
use crate::langfuse::{self, Priority, Score, ScoreType, ScoreValue};
use crate::run::{self, PendingRun, VersionSource};
use crate::workspace::{LangfuseConnection, Workspace};

/// Traces handled between two looks at the rows.
const TRACES_AT_ONCE: i64 = 50;

/// Runs the deployed versions on what is new, and writes the scores that Langfuse lacks.
///
/// A verdict and its pending score are rows before anything is sent, so nothing is lost while Langfuse
/// is away, nor when another version is deployed meanwhile.
pub async fn score_traces(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    run_new(app, workspace).await?;
    match workspace.awake_langfuse() {
        Some(langfuse) => write_scores(app, workspace, langfuse).await,
        None => Ok(()),
    }
}

async fn run_new(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    while !app.is_stopping() {
        // Each time: a version that is retired meanwhile holds up no trace.
        let versions = store::deployed_versions(&app.db, &workspace.id).await?;
        if versions.is_empty() {
            break;
        }
        let settled = app.settled_before_ms();
        let new = store::to_score(&app.db, &workspace.id, settled, TRACES_AT_ONCE).await?;
        if new.is_empty() {
            break;
        }
        let mut again = BTreeSet::new();
        for version in &versions {
            let outcomes = run::run_on(app, &workspace.id, version, &new).await?;
            want_scores(app, &workspace.id, version, &new, &outcomes).await?;
            let ran = new.iter().zip(outcomes);
            again.extend(ran.filter_map(|(run, outcome)| {
                (!outcome.is_repeatable()).then_some(run.trace.as_str())
            }));
        }
        let done = |run: &&PendingRun| !again.contains(run.trace.as_str());
        for run in new.iter().filter(done) {
            store::finish_trace(app.db.pool(), &workspace.id, run).await?;
        }
    }
    Ok(())
}

/// Neither an abstention nor an error is a score.
async fn want_scores(
    app: &App,
    workspace: &WorkspaceId,
    version: &VersionSource,
    runs: &[PendingRun],
    outcomes: &[Outcome],
) -> anyhow::Result<()> {
    let mut transaction = app.db.begin().await?;
    for (run, outcome) in runs.iter().zip(outcomes) {
        if outcome.class().is_some() {
            let id = score_id(workspace, &version.id, &run.trace);
            store::want_score(&mut *transaction, workspace, &version.id, run, &id).await?;
        }
    }
    Ok(transaction.commit().await?)
}

async fn write_scores(
    app: &App,
    workspace: &Workspace,
    langfuse: &LangfuseConnection,
) -> anyhow::Result<()> {
    while !app.is_stopping() {
        let pending = store::pending_scores(&app.db, &workspace.id, TRACES_AT_ONCE).await?;
        if pending.is_empty() {
            break;
        }
        for score in &pending {
            write_score(app, &workspace.id, langfuse, score).await?;
        }
    }
    Ok(())
}

async fn write_score(
    app: &App,
    workspace: &WorkspaceId,
    langfuse: &LangfuseConnection,
    pending: &PendingScore,
) -> anyhow::Result<()> {
    let made = langfuse.ensure_score_config(&pending.eval_name, ScoreType::Boolean);
    made.await.map_err(|error| failed(langfuse, error))?;
    let client = langfuse.client.at(Priority::Scores);
    let refusal = match client.put_score(&score_of(pending)).await {
        Ok(()) => {
            langfuse.health.recovered();
            None
        }
        // A trace that is gone, or a score that Langfuse will never take, is not sent for ever.
        Err(error) if error.concerns_this_request_only() => {
            tracing::warn!(trace.id = %pending.trace, %error, "Langfuse refused a score");
            Some(error.to_string())
        }
        Err(error) => return Err(failed(langfuse, error)),
    };
    Ok(store::finish_score(&app.db, workspace, pending, refusal.as_deref()).await?)
}

fn score_of(pending: &PendingScore) -> Score {
    Score {
        id: pending.id.clone(),
        trace_id: pending.trace.to_string(),
        name: pending.eval_name.clone(),
        value: ScoreValue::Boolean(pending.verdict == Verdict::Pass),
        comment: Some(pending.reason.clone()).filter(|reason| !reason.is_empty()),
        metadata: json!({
            "eval_version": pending.version, "labels": pending.labels, "by": "iofold",
        }),
    }
}

fn failed(langfuse: &LangfuseConnection, error: langfuse::Error) -> anyhow::Error {
    langfuse.failed(&error);
    error.into()
}

/// The same for a retry and for a re-scoring, so that Langfuse replaces rather than adds.
fn score_id(workspace: &WorkspaceId, version: &VersionId, trace: &TraceId) -> String {
    let name = format!("iofold-score\n{workspace}\n{version}\n{trace}");
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scores_id_depends_on_workspace_version_and_trace_and_on_nothing_else() {
        let id = |w: &str, v: &str, t: &str| score_id(&w.into(), &v.into(), &t.into());
        assert_eq!(id("a", "b", "c"), id("a", "b", "c"));
        let others = [id("x", "b", "c"), id("a", "x", "c"), id("a", "b", "x")];
        assert!(others.iter().all(|other| *other != id("a", "b", "c")));
    }
}
