use serde_json::json;
use uuid::Uuid;

use super::store::{self, Deployed, Unwritten};
use crate::app::App;
use crate::domain::{TraceId, Verdict, VersionId, WorkspaceId};
use crate::langfuse::{self, Score, ScoreType, ScoreValue};
use crate::run::{self, VersionSource};
use crate::workspace::{LangfuseConnection, Workspace};

/// Traces handled between two looks at the rows.
const BATCH: i64 = 50;

/// Scores what came since each deployed version was deployed, and writes what Langfuse lacks.
///
/// Verdicts are rows before they are sent, so nothing is lost while Langfuse is away.
pub async fn score_traces(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    for version in store::deployed_versions(&app.db, &workspace.id).await? {
        run_new(app, workspace, &version).await?;
        let resting = |connection: &&LangfuseConnection| !connection.health.is_resting();
        if let Some(langfuse) = workspace.langfuse.as_ref().filter(resting) {
            write_scores(app, workspace, langfuse, &version).await?;
        }
    }
    Ok(())
}

async fn run_new(app: &App, workspace: &Workspace, deployed: &Deployed) -> anyhow::Result<()> {
    let version = VersionSource {
        id: deployed.id.clone(),
        source: deployed.source.clone(),
    };
    while !app.is_stopping() {
        let settled = app.settled_before_ms();
        let new = store::unscored(&app.db, &workspace.id, deployed, settled, BATCH).await?;
        if new.is_empty() {
            break;
        }
        run::run_batch(app, &workspace.id, &version, &new).await?;
    }
    Ok(())
}

async fn write_scores(
    app: &App,
    workspace: &Workspace,
    langfuse: &LangfuseConnection,
    version: &Deployed,
) -> anyhow::Result<()> {
    while !app.is_stopping() {
        let unwritten = store::unwritten(&app.db, &workspace.id, version, BATCH).await?;
        if unwritten.is_empty() {
            break;
        }
        langfuse
            .ensure_score_config(&version.eval_name, ScoreType::Boolean)
            .await
            .map_err(|error| failed(langfuse, error))?;
        for verdict in &unwritten {
            write_score(app, &workspace.id, langfuse, version, verdict).await?;
        }
    }
    Ok(())
}

async fn write_score(
    app: &App,
    workspace: &WorkspaceId,
    langfuse: &LangfuseConnection,
    version: &Deployed,
    verdict: &Unwritten,
) -> anyhow::Result<()> {
    let id = score_id(workspace, &version.id, &verdict.trace);
    let score = Score {
        id: id.clone(),
        trace_id: verdict.trace.to_string(),
        name: version.eval_name.clone(),
        value: ScoreValue::Boolean(verdict.verdict == Verdict::Pass),
        comment: Some(verdict.reason.clone()).filter(|reason| !reason.is_empty()),
        metadata: json!({"eval_version": version.id, "labels": version.labels, "by": "iofold"}),
    };
    match langfuse.client.put_score(&score).await {
        Ok(()) => langfuse.health.recovered(),
        // A trace that is gone, or a score that Langfuse will never take, is not sent for ever.
        Err(error) if error.concerns_this_request_only() => {
            tracing::warn!(trace.id = %verdict.trace, %error, "Langfuse refused a score");
        }
        Err(error) => return Err(failed(langfuse, error)),
    }
    store::insert_score(&app.db, workspace, &version.id, verdict, &id).await?;
    Ok(())
}

fn failed(langfuse: &LangfuseConnection, error: langfuse::Error) -> anyhow::Error {
    langfuse
        .health
        .failed(error.to_string(), error.retry_after());
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
