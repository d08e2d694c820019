use crate::store::{Db, now_ms};

/// Slack tries an event again within an hour or so; what is older is forgotten.
const KEPT_FOR_MS: i64 = 24 * 3_600_000;

/// Whether the event was handled before.
pub async fn was_handled(db: &Db, event_id: &str) -> sqlx::Result<bool> {
    let found = sqlx::query("select 1 from slack_events where event_id = $1")
        .bind(event_id)
        .fetch_optional(db.pool())
        .await?;
    Ok(found.is_some())
}

/// Notes that the event was handled.
pub async fn note_handled(db: &Db, event_id: &str) -> sqlx::Result<()> {
    sqlx::query(
        "insert into slack_events (event_id, received_at_ms) values ($1, $2)
         on conflict (event_id) do nothing",
    )
    .bind(event_id)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// Forgets events that Slack does not send again.
pub async fn prune(db: &Db) -> sqlx::Result<()> {
    sqlx::query("delete from slack_events where received_at_ms < $1")
        .bind(now_ms() - KEPT_FOR_MS)
        .execute(db.pool())
        .await
        .map(drop)
}
