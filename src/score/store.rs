use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

use crate::domain::{TraceId, Verdict, VersionId, WorkspaceId};
use crate::run::{AGAIN_AFTER_MS, PendingRun, VersionSource};
use crate::store::{Db, now_ms};

/// The versions that score new traces.
pub async fn deployed_versions(
    db: &Db,
    workspace: &WorkspaceId,
) -> sqlx::Result<Vec<VersionSource>> {
    let rows = sqlx::query(
        "select id, source, eval_id from eval_versions where workspace_id = $1 and state = 'deployed'
         order by id",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(VersionSource::of_row).collect()
}

/// Settled traces that the deployed versions have not run on as they are, newest first; without those on which one
/// failed a short while ago.
pub async fn to_score(
    db: &Db,
    workspace: &WorkspaceId,
    settled_before_ms: i64,
    limit: i64,
) -> sqlx::Result<Vec<PendingRun>> {
    let rows = sqlx::query(
        "select id, payload, payload_hash from traces
         where workspace_id = $1 and to_score = 1 and complete = 1 and (changed_at_ms <= $2 or whole = 1)
           and not exists (select 1 from outcomes join eval_versions
                             on eval_versions.workspace_id = outcomes.workspace_id
                            and eval_versions.id = outcomes.version_id and state = 'deployed'
                           where outcomes.workspace_id = traces.workspace_id
                             and outcomes.trace_id = traces.id
                             and outcomes.payload_hash = traces.payload_hash
                             and failures > 0 and ran_at_ms + failures * failures * $3 > $4)
         order by started_at_ms desc limit $5",
    )
    .bind(workspace.as_str())
    .bind(settled_before_ms)
    .bind(AGAIN_AFTER_MS)
    .bind(now_ms())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(PendingRun::of_row).collect()
}

/// Says that the deployed versions have run on a trace, unless it has changed since.
pub async fn finish_trace(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    run: &PendingRun,
) -> sqlx::Result<()> {
    sqlx::query(
        "update traces set to_score = 0
         where workspace_id = $1 and id = $2 and payload_hash = $3",
    )
    .bind(workspace.as_str())
    .bind(run.trace.as_str())
    .bind(&run.payload_hash)
    .execute(db)
    .await
    .map(drop)
}

/// A score is to be written, with the verdict that the version's outcome holds; none of a trace that Langfuse does not
/// have.
pub async fn want_score(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    run: &PendingRun,
    score_id: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into scores (workspace_id, version_id, trace_id, score_id, payload_hash)
         select $1, $2, $3, $4, $5
         where not exists (select 1 from traces
               where workspace_id = $1 and id = $3 and origin is not null)
         on conflict (workspace_id, version_id, trace_id) do update
         set payload_hash = excluded.payload_hash, written_at_ms = null, refusal = null
         where scores.payload_hash <> excluded.payload_hash",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(run.trace.as_str())
    .bind(score_id)
    .bind(&run.payload_hash)
    .execute(db)
    .await
    .map(drop)
}

/// A score that Langfuse does not have yet.
pub struct PendingScore {
    /// Stable: the same for a retry and for a re-scoring.
    pub id: String,
    pub version: VersionId,
    /// The score's name.
    pub eval_name: String,
    /// Labelled traces that the version was made from.
    pub labels: i64,
    pub trace: TraceId,
    /// The trace as it was.
    pub payload_hash: String,
    pub verdict: Verdict,
    pub reason: String,
}

/// The scores that Langfuse does not have yet and has not refused, whatever became of their version.
pub async fn pending_scores(
    db: &Db,
    workspace: &WorkspaceId,
    limit: i64,
) -> anyhow::Result<Vec<PendingScore>> {
    let rows = sqlx::query(
        "select score_id, scores.version_id, evals.name, label_count, scores.trace_id,
                scores.payload_hash, verdict, outcomes.reason
         from scores
         join outcomes on outcomes.workspace_id = scores.workspace_id
          and outcomes.version_id = scores.version_id and outcomes.trace_id = scores.trace_id
         join eval_versions on eval_versions.workspace_id = scores.workspace_id
          and eval_versions.id = scores.version_id
         join evals on evals.workspace_id = scores.workspace_id
          and evals.id = eval_versions.eval_id
         where scores.workspace_id = $1 and written_at_ms is null and refusal is null
           and verdict in ('pass', 'fail')
         order by ran_at_ms limit $2",
    )
    .bind(workspace.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(pending_of).collect()
}

fn pending_of(row: &AnyRow) -> anyhow::Result<PendingScore> {
    let word: String = row.try_get("verdict")?;
    Ok(PendingScore {
        id: row.try_get("score_id")?,
        version: row.try_get::<String, _>("version_id")?.into(),
        eval_name: row.try_get("name")?,
        labels: row.try_get("label_count")?,
        trace: row.try_get::<String, _>("trace_id")?.into(),
        payload_hash: row.try_get("payload_hash")?,
        verdict: Verdict::parse(&word).ok_or_else(|| anyhow::anyhow!("no verdict: {word}"))?,
        reason: row.try_get("reason")?,
    })
}

/// Records that Langfuse has a score, or why it never will; unless the trace has changed since.
pub async fn finish_score(
    db: &Db,
    workspace: &WorkspaceId,
    score: &PendingScore,
    refusal: Option<&str>,
) -> sqlx::Result<()> {
    let written = refusal.is_none().then(now_ms);
    sqlx::query(
        "update scores set written_at_ms = $1, refusal = $2
         where workspace_id = $3 and version_id = $4 and trace_id = $5 and payload_hash = $6",
    )
    .bind(written)
    .bind(refusal)
    .bind(workspace.as_str())
    .bind(score.version.as_str())
    .bind(score.trace.as_str())
    .bind(&score.payload_hash)
    .execute(db.pool())
    .await
    .map(drop)
}
