use sqlx::Row;

use super::Kind;
use super::gone::set_deleted;
use super::post::abandoned_before;
use super::trouble::{concerns_another, failed, tell};
use crate::app::App;
use crate::domain::WorkspaceId;
use crate::slack::{self, Message, Posted};
use crate::store::Db;
use crate::workspace::{SlackConnection, Workspace};

/// Changes of one message are shown together, once in so long.
const UPDATED_EVERY_MS: i64 = 1_000;
/// Slack looks at an uploaded picture for a moment, and refuses messages that show it until then. A
/// message without its picture is updated again until it is this old.
const PICTURE_AWAITED_MS: i64 = 10 * 60_000;

/// A posted message whose content has changed since it was last shown.
pub struct Stale {
    /// The trace or version that it is about.
    pub subject: String,
    /// Where it stands.
    pub posted: Posted,
    posted_at_ms: i64,
    wanted: i64,
}

/// Takes the right to update the newest message of a kind that shows something old; `None` where none is due: each is
/// updated at most once a second, and by one at a time.
pub async fn next_stale(
    app: &App,
    workspace: &WorkspaceId,
    kind: Kind,
) -> sqlx::Result<Option<Stale>> {
    let now = app.db.now_ms();
    let row = sqlx::query(
        "update posts set updating = 1, updated_at_ms = $1
         where workspace_id = $2 and kind = $3 and subject_id =
           (select subject_id from posts
            where workspace_id = $4 and kind = $5 and wanted > shown
              and posted_at_ms is not null and gone_at_ms is null
              and ((updating = 0 and updated_at_ms <= $6) or updated_at_ms < $7)
            order by posted_at_ms desc limit 1)
           and ((updating = 0 and updated_at_ms <= $8) or updated_at_ms < $9)
         returning subject_id, channel_id, ts, posted_at_ms, wanted",
    )
    .bind(now)
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(now - UPDATED_EVERY_MS)
    .bind(abandoned_before(app))
    .bind(now - UPDATED_EVERY_MS)
    .bind(abandoned_before(app))
    .fetch_optional(app.db.pool())
    .await?;
    let read = |row: sqlx::any::AnyRow| {
        Ok(Stale {
            subject: row.try_get("subject_id")?,
            posted: Posted {
                channel: row.try_get("channel_id")?,
                ts: row.try_get("ts")?,
            },
            posted_at_ms: row.try_get("posted_at_ms")?,
            wanted: row.try_get("wanted")?,
        })
    };
    row.map(read).transpose()
}

/// Puts the new content into a stale message, which was looked at after [`next_stale`] took it.
///
/// A message that Slack refuses to change counts as shown: it must not hold up the others. One that is gone is
/// left alone from then on. One whose picture Slack refuses shows the rest, and stays stale for a while.
///
/// # Errors
/// Slack's, where they pass by themselves or concern the connection or its channel, or the database's.
pub async fn refresh(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    kind: Kind,
    stale: &Stale,
    mut message: Message,
) -> anyhow::Result<()> {
    message.metadata = Some(kind.metadata(&stale.subject));
    let (db, id) = (&app.db, &workspace.id);
    let is_shown = match update(slack, &stale.posted, &message).await {
        Ok(shown) => {
            slack.health.recovered();
            let awaited = db.now_ms() - stale.posted_at_ms < PICTURE_AWAITED_MS;
            matches!(shown, Shown::Whole) || !awaited
        }
        Err(error) if error.says_that_it_is_gone() => {
            set_deleted(db, id, &stale.posted).await?;
            true
        }
        Err(error) if holds_up_all(app, workspace, slack, stale, &error).await? => {
            let_go(db, id, kind, stale, false).await?;
            tell(app, workspace, slack, &error).await?;
            return Err(failed(slack, error));
        }
        Err(error) => {
            tracing::warn!(workspace.id = %id, kind = kind.as_str(), subject = stale.subject.as_str(), %error, "a message cannot be brought up to date");
            true
        }
    };
    Ok(let_go(db, id, kind, stale, is_shown).await?)
}

/// Whether an update of any other message would fail too; in a channel that was left for another none does.
async fn holds_up_all(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    stale: &Stale,
    error: &slack::Error,
) -> sqlx::Result<bool> {
    if error.is_transient() || error.concerns_the_connection() {
        return Ok(true);
    }
    let channel = stale.posted.channel.as_str();
    let concerns_another = concerns_another(&app.db, &workspace.id, slack, channel, error).await?;
    Ok(error.concerns_the_channel() && !concerns_another)
}

/// How much of a message an update shows.
enum Shown {
    Whole,
    WithoutPictures,
}

async fn update(
    slack: &SlackConnection,
    posted: &Posted,
    message: &Message,
) -> Result<Shown, slack::Error> {
    let updated = slack.client.update_message(posted, message).await;
    match (updated, message.without_pictures()) {
        (Err(error), Some(rest)) if error.concerns_the_content() => {
            let updated = slack.client.update_message(posted, &rest).await;
            updated.map(|()| Shown::WithoutPictures)
        }
        (updated, _) => updated.map(|()| Shown::Whole),
    }
}

/// Ends an update, after which the message shows what it was to show, or still has to.
async fn let_go(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    stale: &Stale,
    is_shown: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "update posts set updating = 0, shown = case when $1 = 1 then $2 else shown end
         where workspace_id = $3 and kind = $4 and subject_id = $5",
    )
    .bind(i64::from(is_shown))
    .bind(stale.wanted)
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(&stale.subject)
    .execute(db.pool())
    .await
    .map(drop)
}
