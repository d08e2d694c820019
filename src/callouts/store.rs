use std::collections::BTreeSet;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::request::{Item, Subject};
use crate::domain::{WorkspaceId, session_group};
use crate::store::{Db, now_ms};

/// Callouts looked at in one job.
const AT_ONCE: i64 = 50;

/// A callout that waits.
pub struct PendingCallout {
    pub item: Item,
    pub asked_by: Option<String>,
    pub attempts: i64,
}

/// Records what is asked for, all of it or nothing. What was asked for before starts anew.
pub async fn insert(
    db: &Db,
    workspace: &WorkspaceId,
    items: &BTreeSet<Item>,
    asked_by: Option<&str>,
) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    for item in items {
        let (kind, id) = item.subject.parts();
        sqlx::query(
            "insert into callouts (workspace_id, kind, subject_id, project_id, asked_by, received_at_ms)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (workspace_id, kind, subject_id) do update
             set project_id = excluded.project_id, received_at_ms = excluded.received_at_ms,
                 asked_by = coalesce(excluded.asked_by, callouts.asked_by),
                 handled_at_ms = null, attempts = 0",
        )
        .bind(workspace.as_str())
        .bind(kind)
        .bind(id)
        .bind(item.project.as_deref())
        .bind(asked_by)
        .bind(now_ms())
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// The oldest callouts that wait; one tried before waits longer each time, as deliveries do.
pub async fn pending(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<PendingCallout>> {
    let rows = sqlx::query(
        "select kind, subject_id, project_id, asked_by, attempts from callouts
         where workspace_id = $1 and handled_at_ms is null
           and received_at_ms + attempts * attempts * 2000 <= $2
         order by received_at_ms, subject_id limit $3",
    )
    .bind(workspace.as_str())
    .bind(now_ms())
    .bind(AT_ONCE)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        let kind: String = row.try_get("kind")?;
        Ok(PendingCallout {
            item: Item {
                subject: Subject::of(&kind, row.try_get("subject_id")?),
                project: row.try_get("project_id")?,
            },
            asked_by: row.try_get("asked_by")?,
            attempts: row.try_get("attempts")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Marks a callout as handled.
pub async fn finish(db: &Db, workspace: &WorkspaceId, subject: &Subject) -> sqlx::Result<()> {
    let (kind, id) = subject.parts();
    sqlx::query(
        "update callouts set handled_at_ms = $1
         where workspace_id = $2 and kind = $3 and subject_id = $4",
    )
    .bind(now_ms())
    .bind(workspace.as_str())
    .bind(kind)
    .bind(id)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Counts a try at a callout that has to wait.
pub async fn postpone(db: &Db, workspace: &WorkspaceId, subject: &Subject) -> sqlx::Result<()> {
    let (kind, id) = subject.parts();
    sqlx::query(
        "update callouts set attempts = attempts + 1
         where workspace_id = $1 and kind = $2 and subject_id = $3",
    )
    .bind(workspace.as_str())
    .bind(kind)
    .bind(id)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Deletes the callouts that were handled before `before_ms`.
pub async fn prune(db: &Db, workspace: &WorkspaceId, before_ms: i64) -> sqlx::Result<()> {
    sqlx::query("delete from callouts where workspace_id = $1 and handled_at_ms < $2")
        .bind(workspace.as_str())
        .bind(before_ms)
        .execute(db.pool())
        .await
        .map(drop)
}

/// Whether a stored trace has ended; `None` where it is not stored, or was deleted in Langfuse.
pub async fn has_ended(
    db: &Db,
    workspace: &WorkspaceId,
    trace_id: &str,
) -> sqlx::Result<Option<bool>> {
    let row = sqlx::query(
        "select complete from traces
         where workspace_id = $1 and id = $2 and deleted_at_ms is null",
    )
    .bind(workspace.as_str())
    .bind(trace_id)
    .fetch_optional(db.pool())
    .await?;
    let read = |row: AnyRow| Ok(row.try_get::<i64, _>("complete")? == 1);
    row.map(read).transpose()
}

/// The last of a session's stored traces.
pub async fn last_of_session(
    db: &Db,
    workspace: &WorkspaceId,
    session_id: &str,
) -> sqlx::Result<Option<String>> {
    let row = sqlx::query(
        "select id from traces
         where workspace_id = $1 and trace_group = $2 and deleted_at_ms is null
         order by started_at_ms desc, id desc limit 1",
    )
    .bind(workspace.as_str())
    .bind(session_group(session_id))
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| row.try_get("id")).transpose()
}
