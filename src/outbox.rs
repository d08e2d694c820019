//! Our messages in Slack, each posted exactly once.
//!
//! A row claims the message before it is posted and records it after. A claim without a record, left by
//! a crash or an unanswered call, is settled by looking for the message in the channel: it carries its
//! kind and subject as metadata.

use serde_json::{Value, json};
use sqlx::Row;

use crate::app::App;
use crate::domain::WorkspaceId;
use crate::slack::{Message, Posted};
use crate::store::{Db, now_ms};
use crate::workspace::{SlackConnection, Workspace};

/// A claim older than this is not held by a running call, which times out after 30 s.
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

/// Posts `message` unless a message of this kind and subject stands or is being posted.
///
/// `Ok(None)` means that another call holds the claim and the sweep comes back, or that Slack refused
/// the message for good, which must not hold up the others.
///
/// # Errors
/// Slack's or the database's. What Slack certainly refused can be posted again at once; what may have
/// happened is looked for first.
pub async fn post_once(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    kind: Kind,
    subject: &str,
    thread: Option<&Posted>,
    mut message: Message,
) -> anyhow::Result<Option<Posted>> {
    if let Some(posted) = find(&app.db, &workspace.id, kind, subject).await? {
        return Ok(Some(posted));
    }
    let Some(claim) = claim(app, &workspace.id, kind, subject).await? else {
        return Ok(None);
    };
    message.metadata = Some(kind.metadata(subject));
    let result = deliver(slack, thread, &message, &claim).await;
    match result {
        Ok(posted) => {
            slack.health.recovered();
            settle(&app.db, &workspace.id, kind, subject, &posted).await?;
            Ok(Some(posted))
        }
        Err(error) if error.concerns_this_message_only() => {
            tracing::warn!(workspace.id = %workspace.id, kind = kind.as_str(), subject, %error, "a message is given up");
            give_up(&app.db, &workspace.id, kind, subject, &error.to_string()).await?;
            Ok(None)
        }
        Err(error) => {
            if !error.may_have_happened() && claim.attempts == 1 {
                release(&app.db, &workspace.id, kind, subject).await?;
            }
            Err(failed(slack, error))
        }
    }
}

/// Notes Slack's error at the connection and hands it on.
pub fn failed(slack: &SlackConnection, error: crate::slack::Error) -> anyhow::Error {
    let wait = match &error {
        crate::slack::Error::RateLimited { retry_after, .. } => Some(*retry_after),
        _ => None,
    };
    slack.health.failed(error.to_string(), wait);
    error.into()
}

struct Claim {
    attempts: i64,
    first_claimed_at_ms: i64,
}

async fn deliver(
    slack: &SlackConnection,
    thread: Option<&Posted>,
    message: &Message,
    claim: &Claim,
) -> Result<Posted, crate::slack::Error> {
    let channel = thread.map_or(slack.channel.as_str(), |parent| &parent.channel);
    let thread_ts = thread.map(|parent| parent.ts.as_str());
    if claim.attempts > 1 {
        let oldest = slack_time(claim.first_claimed_at_ms - CLOCK_SLACK_MS);
        let metadata = message.metadata.as_ref().unwrap_or(&Value::Null);
        let found = slack
            .client
            .find_message(channel, thread_ts, metadata, &oldest)
            .await?;
        if let Some(posted) = found {
            return Ok(posted);
        }
    }
    slack.client.post_message(channel, thread_ts, message).await
}

fn slack_time(ms: i64) -> String {
    format!("{}.{:06}", ms / 1000, (ms % 1000) * 1000)
}

/// Takes the right to post; `None` where another holds it or the message stands.
async fn claim(
    app: &App,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<Option<Claim>> {
    let now = now_ms();
    let mut abandoned_before = now - CLAIM_HOLDS_MS;
    if app.db.is_embedded() {
        // Nobody else uses the database, so what was claimed before this start is abandoned.
        abandoned_before = abandoned_before.max(app.started_at_ms);
    }
    let row = sqlx::query(
        "insert into posts (workspace_id, kind, subject_id, first_claimed_at_ms, claimed_at_ms)
         values ($1, $2, $3, $4, $5)
         on conflict (workspace_id, kind, subject_id) do update
         set claimed_at_ms = excluded.claimed_at_ms, attempts = posts.attempts + 1
         where posts.posted_at_ms is null and posts.refusal is null and posts.claimed_at_ms < $6
         returning attempts, first_claimed_at_ms",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .bind(now)
    .bind(now)
    .bind(abandoned_before)
    .fetch_optional(app.db.pool())
    .await?;
    row.map(|row| {
        Ok(Claim {
            attempts: row.try_get("attempts")?,
            first_claimed_at_ms: row.try_get("first_claimed_at_ms")?,
        })
    })
    .transpose()
}

/// Gives up a claim whose message was certainly not posted.
async fn release(db: &Db, workspace: &WorkspaceId, kind: Kind, subject: &str) -> sqlx::Result<()> {
    sqlx::query(
        "delete from posts where workspace_id = $1 and kind = $2 and subject_id = $3
         and posted_at_ms is null",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .execute(db.pool())
    .await
    .map(drop)
}

async fn give_up(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
    refusal: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update posts set refusal = $1 where workspace_id = $2 and kind = $3 and subject_id = $4",
    )
    .bind(refusal)
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Records where a claimed message stands; says whether one was claimed.
///
/// Not only for who has posted it: a verified click says so too, and can come before the service,
/// started again after a crash, has found the message.
pub async fn settle(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
    posted: &Posted,
) -> sqlx::Result<bool> {
    let settled = sqlx::query(
        "update posts set channel_id = $1, ts = $2, posted_at_ms = $3
         where workspace_id = $4 and kind = $5 and subject_id = $6 and posted_at_ms is null",
    )
    .bind(&posted.channel)
    .bind(&posted.ts)
    .bind(now_ms())
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .execute(db.pool())
    .await?;
    Ok(settled.rows_affected() == 1)
}

/// Where the message of this kind and subject stands; `None` while it is not posted.
pub async fn find(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<Option<Posted>> {
    let row = sqlx::query(
        "select channel_id, ts from posts
         where workspace_id = $1 and kind = $2 and subject_id = $3 and posted_at_ms is not null",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
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

/// A posted message whose content has changed since it was last shown.
pub struct Stale {
    /// The trace or version that it is about.
    pub subject: String,
    /// Where it stands.
    pub posted: Posted,
    wanted: i64,
}

/// Says that the message's content has changed; in the transaction that changes it.
pub async fn touch(
    db: impl sqlx::Executor<'_, Database = sqlx::Any>,
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

/// The messages of a kind that show something old.
pub async fn stale(db: &Db, workspace: &WorkspaceId, kind: Kind) -> sqlx::Result<Vec<Stale>> {
    let rows = sqlx::query(
        "select subject_id, channel_id, ts, wanted from posts
         where workspace_id = $1 and kind = $2 and wanted > shown and posted_at_ms is not null
         order by posted_at_ms desc limit 100",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .fetch_all(db.pool())
    .await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(Stale {
            subject: row.try_get("subject_id")?,
            posted: Posted {
                channel: row.try_get("channel_id")?,
                ts: row.try_get("ts")?,
            },
            wanted: row.try_get("wanted")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Puts the new content into a stale message.
pub async fn refresh(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    kind: Kind,
    stale: &Stale,
    mut message: Message,
) -> anyhow::Result<()> {
    message.metadata = Some(kind.metadata(&stale.subject));
    match slack.client.update_message(&stale.posted, &message).await {
        Ok(()) => slack.health.recovered(),
        // Deleted by a person: there is nothing left to bring up to date.
        Err(crate::slack::Error::Refused { code, .. }) if code == "message_not_found" => {}
        Err(error) => return Err(failed(slack, error)),
    }
    sqlx::query(
        "update posts set shown = $1 where workspace_id = $2 and kind = $3 and subject_id = $4",
    )
    .bind(stale.wanted)
    .bind(workspace.id.as_str())
    .bind(kind.as_str())
    .bind(&stale.subject)
    .execute(app.db.pool())
    .await?;
    Ok(())
}
