use sqlx::{Any, Executor, Row};

use crate::domain::{VersionId, WorkspaceId};
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

/// A score is to be written, with the verdict that the version's outcome holds; unless the trace has changed or was
/// deleted meanwhile, or Langfuse does not have it.
pub async fn want_score(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    run: &PendingRun,
    score_id: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into scores (workspace_id, version_id, trace_id, score_id, payload_hash, wanted_at_ms)
         select $1, $2, $3, $4, $5, $6 from traces
         where workspace_id = $1 and id = $3 and payload_hash = $5 and deleted_at_ms is null and origin is null
         on conflict (workspace_id, version_id, trace_id) do update
         set payload_hash = excluded.payload_hash, revision = scores.revision + 1,
             wanted_at_ms = excluded.wanted_at_ms, written_at_ms = null, refusal = null,
             failures = 0, next_try_at_ms = 0
         where scores.payload_hash <> excluded.payload_hash",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(run.trace.as_str())
    .bind(score_id)
    .bind(&run.payload_hash)
    .bind(now_ms())
    .execute(db)
    .await
    .map(drop)
}

/// Has the messages brought up to date that tell of outages after which a score was written.
pub async fn note_mended(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<()> {
    sqlx::query(
        "update posts set wanted = 1
         where workspace_id = $1 and kind = 'unwritten' and wanted = 0 and posted_at_ms is not null
           and (exists (select 1 from scores where scores.workspace_id = posts.workspace_id
                        and written_at_ms > case when kind = 'unwritten' then cast(subject_id as bigint) end)
                or exists (select 1 from human_scores where human_scores.workspace_id = posts.workspace_id
                           and written_at_ms > case when kind = 'unwritten' then cast(subject_id as bigint) end))",
    )
    .bind(workspace.as_str())
    .execute(db.pool())
    .await
    .map(drop)
}

/// When the first score after a time was written, in milliseconds since 1970.
pub async fn first_written_after(
    db: &Db,
    workspace: &WorkspaceId,
    after_ms: i64,
) -> sqlx::Result<Option<i64>> {
    sqlx::query(
        "select min(written) as written from (
           select min(written_at_ms) as written from scores
           where workspace_id = $1 and written_at_ms > $2
           union all
           select min(written_at_ms) from human_scores where workspace_id = $3 and written_at_ms > $4
         ) as both_kinds",
    )
    .bind(workspace.as_str())
    .bind(after_ms)
    .bind(workspace.as_str())
    .bind(after_ms)
    .fetch_one(db.pool())
    .await?
    .try_get("written")
}
