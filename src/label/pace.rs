//! How fast people are asked, as they have set it themselves: cards an hour, and a pause.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::app::App;
use crate::domain::{AnnotatorId, WorkspaceId};
use crate::store::{Db, now_ms};

/// Cards an hour that a person may set.
pub const CARDS_PER_HOUR: std::ops::RangeInclusive<i64> = 1..=1_000;

/// How fast people are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Cards an hour at most: what people have set, else the service's setting.
    pub cards_per_hour: i64,
    /// `None` while cards come.
    pub pause: Option<Pause>,
}

/// No cards come for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who wanted it.
    pub by: AnnotatorId,
    /// When it ends, in milliseconds since 1970; `None` where somebody has to end it.
    pub until_ms: Option<i64>,
}

/// The pace of a workspace's channel now; a pause that is over is none.
pub async fn pace(app: &App, workspace: &WorkspaceId) -> sqlx::Result<Pace> {
    let row = sqlx::query("select * from channel_settings where workspace_id = $1")
        .bind(workspace.as_str())
        .fetch_optional(app.db.pool())
        .await?;
    let cards_per_hour = |row: &AnyRow| row.try_get::<Option<i64>, _>("cards_per_hour");
    let set = row.as_ref().map(cards_per_hour).transpose()?.flatten();
    Ok(Pace {
        cards_per_hour: set.unwrap_or_else(|| app.settings.cards_per_hour.into()),
        pause: row.as_ref().map(pause_of).transpose()?.flatten(),
    })
}

fn pause_of(row: &AnyRow) -> sqlx::Result<Option<Pause>> {
    let by: Option<String> = row.try_get("paused_by")?;
    let until_ms: Option<i64> = row.try_get("paused_until_ms")?;
    let goes_on = until_ms.is_none_or(|until| until > now_ms());
    Ok(by.filter(|_| goes_on).map(|by| Pause {
        by: by.into(),
        until_ms,
    }))
}

/// Has no cards posted, for a while or until somebody resumes; the last word counts.
pub async fn pause(
    db: &Db,
    workspace: &WorkspaceId,
    by: &AnnotatorId,
    lasts: Option<Duration>,
) -> sqlx::Result<()> {
    let now = now_ms();
    let until = lasts.map(|lasts| now.saturating_add(lasts.as_millis() as i64));
    set_pause(db, workspace, Some((by, now, until))).await
}

/// Has cards posted again.
pub async fn resume(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<()> {
    set_pause(db, workspace, None).await
}

async fn set_pause(
    db: &Db,
    workspace: &WorkspaceId,
    pause: Option<(&AnnotatorId, i64, Option<i64>)>,
) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(upsert(
        "paused_by = excluded.paused_by, paused_at_ms = excluded.paused_at_ms,
         paused_until_ms = excluded.paused_until_ms",
    )))
    .bind(workspace.as_str())
    .bind(None::<i64>)
    .bind(pause.map(|(by, ..)| by.as_str()))
    .bind(pause.map(|(_, since, _)| since))
    .bind(pause.and_then(|(.., until)| until))
    .execute(db.pool())
    .await
    .map(drop)
}

/// Sets the cards an hour, within [`CARDS_PER_HOUR`].
pub async fn set_cards_per_hour(db: &Db, workspace: &WorkspaceId, cards: i64) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(upsert(
        "cards_per_hour = excluded.cards_per_hour",
    )))
    .bind(workspace.as_str())
    .bind(Some(cards))
    .bind(None::<&str>)
    .bind(None::<i64>)
    .bind(None::<i64>)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Makes the workspace's row, or changes some of it.
fn upsert(changes: &str) -> String {
    format!(
        "insert into channel_settings
           (workspace_id, cards_per_hour, paused_by, paused_at_ms, paused_until_ms)
         values ($1, $2, $3, $4, $5) on conflict (workspace_id) do update set {changes}"
    )
}
