use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::WorkspaceId;
use crate::store::{Db, now_ms};

/// A key as it is listed.
pub struct WorkspaceKey {
    /// The part of the key that is no secret.
    pub id: String,
    /// Whom it opens.
    pub workspace: String,
    /// What its maker called it; may be empty.
    pub name: String,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it was revoked; `None` while it opens.
    pub revoked_at_ms: Option<i64>,
}

pub async fn insert_key(
    db: &Db,
    workspace: &WorkspaceId,
    id: &str,
    name: &str,
    secret_hash: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into workspace_keys (id, workspace_id, name, secret_hash, created_at_ms)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(workspace.as_str())
    .bind(name)
    .bind(secret_hash)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// The workspace and the secret's hash of a key that is not revoked. An id that no key has is not looked for.
pub async fn valid_key(db: &Db, id: &str) -> sqlx::Result<Option<(WorkspaceId, String)>> {
    if id.contains('\0') {
        return Ok(None);
    }
    let row = sqlx::query(
        "select workspace_id, secret_hash from workspace_keys
         where id = $1 and revoked_at_ms is null",
    )
    .bind(id)
    .fetch_optional(db.pool())
    .await?;
    let read = |row: AnyRow| {
        let workspace: String = row.try_get("workspace_id")?;
        Ok((WorkspaceId::from(workspace), row.try_get("secret_hash")?))
    };
    row.map(read).transpose()
}

/// All keys of all workspaces, oldest first.
pub async fn workspace_keys(db: &Db) -> sqlx::Result<Vec<WorkspaceKey>> {
    let rows = sqlx::query(
        "select id, workspace_id, name, created_at_ms, revoked_at_ms from workspace_keys
         order by created_at_ms, id",
    )
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        Ok(WorkspaceKey {
            id: row.try_get("id")?,
            workspace: row.try_get("workspace_id")?,
            name: row.try_get("name")?,
            created_at_ms: row.try_get("created_at_ms")?,
            revoked_at_ms: row.try_get("revoked_at_ms")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Revokes a key at once and for good; `false` where there is none of this id, or not any more.
pub async fn revoke_key(db: &Db, id: &str) -> sqlx::Result<bool> {
    let revoked = sqlx::query(
        "update workspace_keys set revoked_at_ms = $1 where id = $2 and revoked_at_ms is null",
    )
    .bind(now_ms())
    .bind(id)
    .execute(db.pool())
    .await?;
    Ok(revoked.rows_affected() == 1)
}
