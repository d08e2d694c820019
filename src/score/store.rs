use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::{EvalSource, TraceId, Verdict, VersionId, WorkspaceId};
use crate::run::PendingRun;
use crate::store::{Db, now_ms};

/// A deployed version.
pub struct Deployed {
    pub id: VersionId,
    pub eval_name: String,
    pub source: EvalSource,
    pub labels: i64,
    pub deployed_at_ms: i64,
}

/// The versions that score new traces.
pub async fn deployed_versions(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<Deployed>> {
    let rows = sqlx::query(
        "select eval_versions.id, evals.name, source, label_count, decided_at_ms
         from eval_versions join evals
           on evals.workspace_id = eval_versions.workspace_id and evals.id = eval_versions.eval_id
         where eval_versions.workspace_id = $1 and state = 'deployed'",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        Ok(Deployed {
            id: row.try_get::<String, _>("id")?.into(),
            eval_name: row.try_get("name")?,
            source: EvalSource::new(row.try_get::<String, _>("source")?),
            labels: row.try_get("label_count")?,
            deployed_at_ms: row.try_get("decided_at_ms")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Settled traces that came after the deployment and that the version has not run on as they are.
pub async fn unscored(
    db: &Db,
    workspace: &WorkspaceId,
    version: &Deployed,
    settled_before_ms: i64,
    limit: i64,
) -> sqlx::Result<Vec<PendingRun>> {
    let rows = sqlx::query(
        "select id, payload, payload_hash from traces
         where workspace_id = $1 and first_seen_at_ms >= $2 and complete = 1 and changed_at_ms <= $3
           and not exists (select 1 from outcomes where outcomes.workspace_id = traces.workspace_id
                           and outcomes.trace_id = traces.id and outcomes.version_id = $4
                           and outcomes.payload_hash = traces.payload_hash)
         order by started_at_ms desc limit $5",
    )
    .bind(workspace.as_str())
    .bind(version.deployed_at_ms)
    .bind(settled_before_ms)
    .bind(version.id.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(PendingRun::of_row).collect()
}

/// A verdict that Langfuse does not have yet.
pub struct Unwritten {
    pub trace: TraceId,
    pub payload_hash: String,
    pub verdict: Verdict,
    pub reason: String,
}

/// Verdicts on traces that came after the deployment and whose score is not written, or was written
/// for an older form of the trace.
pub async fn unwritten(
    db: &Db,
    workspace: &WorkspaceId,
    version: &Deployed,
    limit: i64,
) -> anyhow::Result<Vec<Unwritten>> {
    let rows = sqlx::query(
        "select trace_id, outcomes.payload_hash, verdict, reason from outcomes join traces
           on traces.workspace_id = outcomes.workspace_id and traces.id = outcomes.trace_id
         where outcomes.workspace_id = $1 and version_id = $2 and first_seen_at_ms >= $3
           and verdict in ('pass', 'fail')
           and not exists (select 1 from scores where scores.workspace_id = outcomes.workspace_id
                           and scores.version_id = outcomes.version_id
                           and scores.trace_id = outcomes.trace_id
                           and scores.payload_hash = outcomes.payload_hash)
         order by ran_at_ms limit $4",
    )
    .bind(workspace.as_str())
    .bind(version.id.as_str())
    .bind(version.deployed_at_ms)
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(unwritten_of).collect()
}

fn unwritten_of(row: &AnyRow) -> anyhow::Result<Unwritten> {
    let word: String = row.try_get("verdict")?;
    Ok(Unwritten {
        trace: row.try_get::<String, _>("trace_id")?.into(),
        payload_hash: row.try_get("payload_hash")?,
        verdict: Verdict::parse(&word).ok_or_else(|| anyhow::anyhow!("no verdict: {word}"))?,
        reason: row.try_get("reason")?,
    })
}

/// Records that Langfuse has the score.
pub async fn insert_score(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
    written: &Unwritten,
    score_id: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into scores (workspace_id, version_id, trace_id, score_id, payload_hash, written_at_ms)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (workspace_id, version_id, trace_id) do update
         set payload_hash = excluded.payload_hash, written_at_ms = excluded.written_at_ms",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(written.trace.as_str())
    .bind(score_id)
    .bind(&written.payload_hash)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}
