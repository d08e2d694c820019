//! Our messages in Slack, each posted exactly once.
//!
//! A row claims the message before it is posted and records it after; where a message is decided about
//! earlier, its row stands unclaimed until then. A claim without a record, left by a crash or an
//! unanswered call, is settled by looking for the message in the channel: it carries its kind and
//! subject as metadata.
//!
//! A message that a person deletes is let be. Changes of a message are shown together, at most once a second. What
//! needs a person is told to one who can help, once.

mod gone;
mod post;
mod refresh;
mod trouble;

use serde_json::{Value, json};
use sqlx::{Any, Executor, Row};

use crate::domain::WorkspaceId;
use crate::slack::Posted;
use crate::store::{Db, now_ms};

pub use gone::{note_deleted, want_again};
pub use post::post_once;
pub use refresh::{Stale, next_stale, refresh};
pub use trouble::{channel_of, failed, last_channel, tell};

/// A claim, to post a message or to update it, that is older than this is not held by a running delivery.
const CLAIM_HOLDS_MS: i64 = 60_000;
/// Clocks differ; a lost message is looked for this much before its claim.
const CLOCK_SLACK_MS: i64 = 60_000;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The card that asks about a trace; the subject is the trace.
    Card,
    /// The report on an eval version.
    Report,
    /// The version's Python, in the report's thread.
    ReportCode,
    /// What the version gets wrong, in the report's thread.
    ReportMisses,
    /// Why no eval was made; the subject is the eval and the number of labels.
    NotYet,
    /// Which traces to label next, in the report's thread.
    Refine,
    /// A deployed version's figures fell; the subject is the version and the number of labels.
    Fallen,
    /// Why a refinement made no version, in the thread of what it was wanted by; the subject is as that of [`Kind::Refine`].
    Kept,
    /// That scores don't reach Langfuse; the subject is the time of the last that did.
    Unwritten,
    /// Of the cards that waited while Slack was away; the subject is a [`crate::label::Digest`].
    Digest,
    /// That the channel can't be used, to one person; the subject is what is refused, and Slack's word for why.
    Trouble,
    /// A deployed version's verdict that people contradict, in the card's thread; the subject is the trace and the version.
    Contradiction,
    /// That people differ on a trace, in its card's thread.
    Conflict,
}

impl Kind {
    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Report => "report",
            Self::ReportCode => "report_code",
            Self::ReportMisses => "report_misses",
            Self::NotYet => "not_yet",
            Self::Refine => "refine",
            Self::Fallen => "fallen",
            Self::Kept => "kept",
            Self::Unwritten => "unwritten",
            Self::Digest => "digest",
            Self::Trouble => "trouble",
            Self::Contradiction => "contradiction",
            Self::Conflict => "conflict",
        }
    }

    /// How a message of this kind and subject is found again in its channel.
    pub fn metadata(self, subject: &str) -> Value {
        match self {
            Self::Card => {
                json!({"event_type": "iofold_trace", "event_payload": {"trace_id": subject}})
            }
            Self::Report => {
                json!({"event_type": "iofold_report", "event_payload": {"version_id": subject}})
            }
            other => json!({
                "event_type": format!("iofold_{}", other.as_str()),
                "event_payload": {"subject": subject},
            }),
        }
    }
}

/// Says that a message of this kind and subject is to be posted; in the transaction that decides it.
///
/// The row is one that nobody has claimed: `attempts` and `claimed_at_ms` are 0, and
/// `first_claimed_at_ms` is the time of the wish. A card that stands in a digest is wanted in the channel from then on.
pub async fn want(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into posts
           (workspace_id, kind, subject_id, attempts, first_claimed_at_ms, claimed_at_ms)
         values ($1, $2, $3, 0, $4, 0) on conflict (workspace_id, kind, subject_id) do update
         set digested_at_ms = null where posts.digested_at_ms is not null",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .bind(now_ms())
    .execute(db)
    .await
    .map(drop)
}

/// Records where a claimed message stands, unless that is known already; gives where it stands then, and
/// `None` where no such message was claimed.
///
/// Not only for who has posted it: a verified click says so too, and can come before the service,
/// started again after a crash, has found the message, or while it writes down what it has just posted.
pub async fn settle(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
    posted: &Posted,
) -> sqlx::Result<Option<Posted>> {
    sqlx::query(
        "update posts set channel_id = $1, ts = $2, posted_at_ms = $3
         where workspace_id = $4 and kind = $5 and subject_id = $6 and posted_at_ms is null",
    )
    .bind(&posted.channel)
    .bind(&posted.ts)
    .bind(db.now_ms())
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .execute(db.pool())
    .await?;
    find(db, workspace, kind, subject).await
}

/// Where the message of this kind and subject stands; `None` while it is not posted, and once a person deleted it.
pub async fn find(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<Option<Posted>> {
    look_up(db, workspace, (kind, subject), false).await
}

/// Where it stands, or stood until a person deleted it: what it was about stays the workspace's.
pub async fn find_even_gone(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<Option<Posted>> {
    look_up(db, workspace, (kind, subject), true).await
}

async fn look_up(
    db: &Db,
    workspace: &WorkspaceId,
    (kind, subject): (Kind, &str),
    even_gone: bool,
) -> sqlx::Result<Option<Posted>> {
    let row = sqlx::query(
        "select channel_id, ts from posts
         where workspace_id = $1 and kind = $2 and subject_id = $3 and posted_at_ms is not null
           and (gone_at_ms is null or $4 = 1)",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .bind(i64::from(even_gone))
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| {
        Ok(Posted {
            channel: row.try_get("channel_id")?,
            ts: row.try_get("ts")?,
        })
    })
    .transpose()
}

/// What the message of this kind that stands at a place is about; `None` where none of the workspace's does.
pub async fn subject_at(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    place: &Posted,
) -> sqlx::Result<Option<String>> {
    let row = sqlx::query(
        "select subject_id from posts
         where workspace_id = $1 and kind = $2 and channel_id = $3 and ts = $4",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(&place.channel)
    .bind(&place.ts)
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| row.try_get("subject_id")).transpose()
}

/// Whether a message of this kind that is claimed, and whose place is not known yet, may be the one that was posted at
/// `posted_at_ms`.
pub async fn may_stand(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    posted_at_ms: i64,
) -> sqlx::Result<bool> {
    let found = sqlx::query(
        "select 1 from posts
         where workspace_id = $1 and kind = $2 and posted_at_ms is null and refusal is null
           and attempts > 0 and first_claimed_at_ms < $3 and claimed_at_ms > $4 limit 1",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(posted_at_ms.saturating_add(CLOCK_SLACK_MS))
    .bind(posted_at_ms.saturating_sub(CLAIM_HOLDS_MS + CLOCK_SLACK_MS))
    .fetch_optional(db.pool())
    .await?;
    Ok(found.is_some())
}

/// Says that the message's content has changed; in the transaction that changes it.
pub async fn touch(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update posts set wanted = wanted + 1
         where workspace_id = $1 and kind = $2 and subject_id = $3",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .execute(db)
    .await
    .map(drop)
}

#[cfg(test)]
pub(crate) mod tests;
