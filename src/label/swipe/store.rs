use sqlx::Row;

use crate::domain::{AnnotatorId, TraceId, WorkspaceId};
use crate::store::Db;

/// Whether people are asked about the trace: it has a card or is to have one.
pub async fn is_asked_about(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &TraceId,
) -> sqlx::Result<bool> {
    let found = sqlx::query(
        "select 1 from posts join traces
           on traces.workspace_id = posts.workspace_id and traces.id = posts.subject_id
         where posts.workspace_id = $1 and posts.kind = 'card' and posts.subject_id = $2",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .fetch_optional(db.pool())
    .await?;
    Ok(found.is_some())
}

/// Traces that a person has labelled.
pub async fn labelled_by(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
) -> sqlx::Result<i64> {
    let row = sqlx::query(
        "select count(*) as labels from labels where workspace_id = $1 and annotator_id = $2",
    )
    .bind(workspace.as_str())
    .bind(annotator.as_str())
    .fetch_one(db.pool())
    .await?;
    row.try_get("labels")
}
