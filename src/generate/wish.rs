//! That a person wants an eval from the labels there are: a row until the next attempt.

use sqlx::{Any, Executor};

use crate::domain::WorkspaceId;
use crate::store::{Db, now_ms};

/// Writes it down; asked again, it is the same wish.
pub async fn want(db: &Db, workspace: &WorkspaceId, by: &str) -> sqlx::Result<()> {
    sqlx::query(
        "insert into wanted_generations (workspace_id, wanted_by, wanted_at_ms)
         values ($1, $2, $3) on conflict (workspace_id) do nothing",
    )
    .bind(workspace.as_str())
    .bind(by)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// Whether a person does.
pub async fn is_wanted(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
) -> sqlx::Result<bool> {
    let found = sqlx::query("select 1 from wanted_generations where workspace_id = $1")
        .bind(workspace.as_str())
        .fetch_optional(db)
        .await?;
    Ok(found.is_some())
}

/// An attempt was made, whatever came of it.
pub async fn answer(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
) -> sqlx::Result<()> {
    sqlx::query("delete from wanted_generations where workspace_id = $1")
        .bind(workspace.as_str())
        .execute(db)
        .await
        .map(drop)
}
