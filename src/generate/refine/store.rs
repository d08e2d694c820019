use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

use crate::domain::{EvalId, EvalSource, VersionId, WorkspaceId};
use crate::generate::offer::NotYet;
use crate::store::{Db, now_ms};

/// A refinement that is due.
pub struct Wanted {
    /// The version to start from.
    pub version: VersionId,
    /// Labelled traces when it was wanted; with the version, its key.
    pub label_count: i64,
    /// Whether the version's figures fell; else a person asked.
    pub fallen: bool,
    /// What it is a version of.
    pub eval: EvalId,
    /// Its Python.
    pub source: EvalSource,
    /// Whether people still have a use for it: it is proposed or deployed.
    pub is_live: bool,
}

/// The refinements that wait for no more than `labelled` labelled traces, oldest first.
pub async fn due(db: &Db, workspace: &WorkspaceId, labelled: i64) -> sqlx::Result<Vec<Wanted>> {
    let rows = sqlx::query(
        "select version_id, refinements.label_count as wanted_at, cause, eval_id, source, eval_versions.state as its
         from refinements join eval_versions
           on eval_versions.workspace_id = refinements.workspace_id and eval_versions.id = version_id
         where refinements.workspace_id = $1 and refinements.state = 'waiting' and due_label_count <= $2
         order by wanted_at_ms",
    )
    .bind(workspace.as_str())
    .bind(labelled)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(wanted_of).collect()
}

fn wanted_of(row: &AnyRow) -> sqlx::Result<Wanted> {
    let state: String = row.try_get("its")?;
    Ok(Wanted {
        version: row.try_get::<String, _>("version_id")?.into(),
        label_count: row.try_get("wanted_at")?,
        fallen: row.try_get::<String, _>("cause")? == "fallen",
        eval: row.try_get::<String, _>("eval_id")?.into(),
        source: EvalSource::new(row.try_get::<String, _>("source")?),
        is_live: matches!(state.as_str(), "proposed" | "deployed"),
    })
}

/// Whether any refinement waits, so that labels need not be counted for none.
pub async fn any_waits(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<bool> {
    let waiting = sqlx::query(
        "select 1 from refinements where workspace_id = $1 and state = 'waiting' limit 1",
    )
    .bind(workspace.as_str())
    .fetch_optional(db.pool())
    .await?;
    Ok(waiting.is_some())
}

/// Whether it still waits: another process may have ended it.
pub async fn waits(db: &Db, workspace: &WorkspaceId, wanted: &Wanted) -> sqlx::Result<bool> {
    let waiting = sqlx::query(
        "select 1 from refinements
         where workspace_id = $1 and version_id = $2 and label_count = $3 and state = 'waiting'",
    )
    .bind(workspace.as_str())
    .bind(wanted.version.as_str())
    .bind(wanted.label_count)
    .fetch_optional(db.pool())
    .await?;
    Ok(waiting.is_some())
}

/// Records what a refinement came to, `kept` where the old one stays; says whether it was still waiting.
pub async fn finish(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    wanted: &Wanted,
    kept: Option<&NotYet>,
) -> anyhow::Result<bool> {
    let usage = kept.map(|kept| serde_json::to_string(&kept.usage));
    let finished = sqlx::query(
        "update refinements set state = $1, reason = $2, usage = $3, finished_at_ms = $4
         where workspace_id = $5 and version_id = $6 and label_count = $7 and state = 'waiting'",
    )
    .bind(kept.map_or("made", |_| "kept"))
    .bind(kept.map(|kept| kept.reason.as_str()))
    .bind(usage.transpose()?)
    .bind(now_ms())
    .bind(workspace.as_str())
    .bind(wanted.version.as_str())
    .bind(wanted.label_count)
    .execute(db)
    .await?;
    Ok(finished.rows_affected() == 1)
}
