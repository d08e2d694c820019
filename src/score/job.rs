use std::collections::BTreeSet;

use uuid::Uuid;

use super::write::{Writer, Wrote};
use super::{store, trouble};
use crate::app::App;
use crate::domain::{Outcome, TraceId, VersionId, WorkspaceId};
use crate::run::{self, PendingRun, VersionSource};
use crate::workspace::{Workspace, slack_url_of};

/// Traces handled between two looks at the rows.
const TRACES_AT_ONCE: i64 = 50;

/// Runs the deployed versions on what is new, and writes the scores that Langfuse lacks.
///
/// A verdict and its pending score are rows before anything is sent, so nothing is lost while Langfuse
/// is away, nor when another version is deployed meanwhile.
pub async fn score_traces(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    loop {
        let ran = run_new(app, workspace).await;
        // People's labels do not wait for an eval that can't run.
        let has_more = write_some(app, workspace).await?;
        ran?;
        // What is new does not wait until all is written.
        if !has_more || app.is_stopping() {
            return Ok(());
        }
    }
}

/// Says whether more may be written now.
async fn write_some(app: &App, workspace: &Workspace) -> anyhow::Result<bool> {
    let langfuse = workspace.langfuse.as_ref();
    let Some(langfuse) = langfuse.filter(|langfuse| !langfuse.writing.is_resting()) else {
        return Ok(false);
    };
    let writer = Writer {
        db: &app.db,
        workspace: &workspace.id,
        langfuse,
        slack_url: slack_url_of(&app.db, &workspace.id).await?,
    };
    let wrote = writer.run(|| app.is_stopping()).await?;
    match wrote {
        Wrote::None => trouble::say(app, workspace, langfuse).await?,
        Wrote::All | Wrote::Some => trouble::say_mended(app, workspace).await?,
    }
    Ok(wrote == Wrote::Some)
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
