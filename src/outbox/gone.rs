use sqlx::{Any, Executor, Row};

use super::Kind;
use crate::domain::WorkspaceId;
use crate::slack::Posted;
use crate::store::Db;

/// Notes that a person deleted the message of ours at a place; says whether one stood there.
///
/// Nothing is updated or posted again then. A trace whose card it was has been asked about, and labels stay.
pub async fn note_deleted(db: &Db, workspace: &WorkspaceId, place: &Posted) -> sqlx::Result<bool> {
    let stood = set_deleted(db, workspace, place).await?;
    if let Some((kind, subject)) = &stood {
        tracing::info!(workspace.id = %workspace, kind, subject, "a message was deleted in Slack, and is let be");
    }
    Ok(stood.is_some())
}

/// Writes it down; gives the message's kind and subject, where it was not known to be gone.
pub(super) async fn set_deleted(
    db: &Db,
    workspace: &WorkspaceId,
    place: &Posted,
) -> sqlx::Result<Option<(String, String)>> {
    let row = sqlx::query(
        "update posts set gone_at_ms = $1
         where workspace_id = $2 and channel_id = $3 and ts = $4 and gone_at_ms is null
         returning kind, subject_id",
    )
    .bind(db.now_ms())
    .bind(workspace.as_str())
    .bind(&place.channel)
    .bind(&place.ts)
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| Ok((row.try_get("kind")?, row.try_get("subject_id")?)))
        .transpose()
}

/// Forgets a message that was deleted, so that it is posted anew; says whether there was one.
pub async fn want_again(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<bool> {
    let forgotten = sqlx::query(
        "delete from posts
         where workspace_id = $1 and kind = $2 and subject_id = $3 and gone_at_ms is not null",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected() == 1)
}
