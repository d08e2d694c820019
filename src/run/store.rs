use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

use crate::domain::{EvalSource, Outcome, TraceId, VersionId, WorkspaceId};
use crate::store::{Db, now_ms};

/// A version's source text.
pub struct VersionSource {
    /// Which version.
    pub id: VersionId,
    /// Its Python.
    pub source: EvalSource,
}

/// A trace that a version has not run on as it now is.
pub struct PendingRun {
    /// Which trace.
    pub trace: TraceId,
    /// Schema version 1, as JSON.
    pub payload: String,
    /// SHA-256 of the payload: which form of the trace this is.
    pub payload_hash: String,
}

impl PendingRun {
    /// Reads a row with `id`, `payload` and `payload_hash`.
    pub fn of_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            trace: row.try_get::<String, _>("id")?.into(),
            payload: row.try_get("payload")?,
            payload_hash: row.try_get("payload_hash")?,
        })
    }
}

/// The versions that are of use: proposed or deployed.
pub async fn live_versions(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<VersionSource>> {
    let rows = sqlx::query(
        "select id, source from eval_versions
         where workspace_id = $1 and state in ('proposed', 'deployed') order by created_at_ms",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(source_of).collect()
}

fn source_of(row: &AnyRow) -> sqlx::Result<VersionSource> {
    Ok(VersionSource {
        id: row.try_get::<String, _>("id")?.into(),
        source: EvalSource::new(row.try_get::<String, _>("source")?),
    })
}

/// Labelled traces that a version has not run on as they now are.
pub async fn labelled_without_outcome(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
    limit: i64,
) -> sqlx::Result<Vec<PendingRun>> {
    let rows = sqlx::query(
        "select id, payload, payload_hash from traces
         where workspace_id = $1
           and id in (select trace_id from labels where workspace_id = $1)
           and not exists (select 1 from outcomes where outcomes.workspace_id = traces.workspace_id
                           and outcomes.trace_id = traces.id and outcomes.version_id = $2
                           and outcomes.payload_hash = traces.payload_hash)
         order by id limit $3",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(PendingRun::of_row).collect()
}

/// Records what a version did on a trace; a newer payload's outcome replaces the older one's.
pub async fn insert_outcome(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    run: &PendingRun,
    outcome: &Outcome,
) -> anyhow::Result<()> {
    let (verdict, reason) = match &outcome.result {
        Ok((verdict, reason)) => (Some(verdict.as_str()), Some(reason.as_str())),
        Err(_) => (None, None),
    };
    let error = outcome.result.as_ref().err();
    let kind = error.map(|error| error.kind.as_str());
    sqlx::query(
        "insert into outcomes (workspace_id, version_id, trace_id, payload_hash, verdict, reason,
                               error_kind, error_message, duration_us, fuel, ran_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (workspace_id, version_id, trace_id) do update
         set payload_hash = excluded.payload_hash, verdict = excluded.verdict,
             reason = excluded.reason, error_kind = excluded.error_kind,
             error_message = excluded.error_message, duration_us = excluded.duration_us,
             fuel = excluded.fuel, ran_at_ms = excluded.ran_at_ms",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(run.trace.as_str())
    .bind(&run.payload_hash)
    .bind(verdict)
    .bind(reason)
    .bind(kind)
    .bind(error.map(|error| error.message.as_str()))
    .bind(outcome.duration_us as i64)
    .bind(outcome.fuel as i64)
    .bind(now_ms())
    .execute(db)
    .await?;
    Ok(())
}
