use chrono::{DateTime, Utc};
use sqlx::Row;

use crate::domain::{Origin, WorkspaceId};
use crate::store::Db;

/// Traces of a source that began between two times, the second excluded, and have not ended: ids, and when they began.
pub async fn open_traces(
    db: &Db,
    workspace: &WorkspaceId,
    origin: Origin,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
) -> sqlx::Result<Vec<(String, DateTime<Utc>)>> {
    let rows = sqlx::query(
        "select id, started_at_ms from traces
         where workspace_id = $1 and origin = $2 and complete = 0
           and started_at_ms >= $3 and started_at_ms < $4
         order by id",
    )
    .bind(workspace.as_str())
    .bind(origin.name())
    .bind(from.timestamp_millis())
    .bind(before.timestamp_millis())
    .fetch_all(db.pool())
    .await?;
    let read = |row: &sqlx::any::AnyRow| {
        let began = DateTime::from_timestamp_millis(row.try_get("started_at_ms")?);
        Ok((row.try_get("id")?, began.unwrap_or_default()))
    };
    rows.iter().map(read).collect()
}

/// Up to when everything of a source is read, in milliseconds since 1970; `None` before the first look.
pub async fn source_mark(
    db: &Db,
    workspace: &WorkspaceId,
    source: Origin,
) -> sqlx::Result<Option<i64>> {
    let row = sqlx::query(
        "select read_through_ms from source_marks where workspace_id = $1 and source = $2",
    )
    .bind(workspace.as_str())
    .bind(source.name())
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| row.try_get("read_through_ms")).transpose()
}

/// Moves a source's mark; never backwards.
pub async fn set_source_mark(
    db: &Db,
    workspace: &WorkspaceId,
    source: Origin,
    mark_ms: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into source_marks (workspace_id, source, read_through_ms) values ($1, $2, $3)
         on conflict (workspace_id, source) do update set read_through_ms = excluded.read_through_ms
         where source_marks.read_through_ms < excluded.read_through_ms",
    )
    .bind(workspace.as_str())
    .bind(source.name())
    .bind(mark_ms)
    .execute(db.pool())
    .await
    .map(drop)
}
