//! Our messages in Slack, each posted exactly once.
//!
//! A row claims the message before it is posted and records it after; where a message is decided about
//! earlier, its row stands unclaimed until then. A claim without a record, left by a crash or an
//! unanswered call, is settled by looking for the message in the channel: it carries its kind and
//! subject as metadata.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Any, Executor, Row};

use crate::app::App;
use crate::domain::WorkspaceId;
use crate::slack::{self, Message, Posted};
use crate::store::{Db, now_ms};
use crate::workspace::{SlackConnection, Workspace};

/// A delivery that takes longer is given up; whether the message was posted is then unknown.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(45);
/// A claim older than this is not held by a running delivery.
const CLAIM_HOLDS_MS: i64 = 60_000;
const _: () = assert!(DELIVERY_TIMEOUT.as_millis() < CLAIM_HOLDS_MS as u128);
/// Clocks differ; a lost message is looked for this much before its claim.
const CLOCK_SLACK_MS: i64 = 60_000;
/// Slack looks at an uploaded picture for a moment, and refuses messages that show it until then. A
/// message without its picture is updated again until it is this old.
const PICTURE_AWAITED_MS: i64 = 10 * 60_000;

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
/// `first_claimed_at_ms` is the time of the wish.
pub async fn want(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into posts
           (workspace_id, kind, subject_id, attempts, first_claimed_at_ms, claimed_at_ms)
         values ($1, $2, $3, 0, $4, 0) on conflict (workspace_id, kind, subject_id) do nothing",
    )
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .bind(now_ms())
    .execute(db)
    .await
    .map(drop)
}

/// Posts `message` unless a message of this kind and subject stands or is being posted.
///
/// `Ok(None)` means that another call holds the claim and the sweep comes back, or that Slack refused
/// the message for good, which must not hold up the others. A picture that Slack refuses comes later,
/// by [`refresh`].
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
    let delivery = Delivery {
        db: &app.db,
        workspace: &workspace.id,
        slack,
        kind,
        subject,
        thread,
    };
    match in_time(DELIVERY_TIMEOUT, delivery.deliver(&claim, &message)).await {
        Ok(posted) => {
            slack.health.recovered();
            settle(&app.db, &workspace.id, kind, subject, &posted).await?;
            Ok(Some(posted))
        }
        Err(Undelivered::Slack(error)) if error.concerns_the_content() => {
            tracing::warn!(workspace.id = %workspace.id, kind = kind.as_str(), subject, %error, "a message is given up");
            give_up(&app.db, &workspace.id, kind, subject, &error.to_string()).await?;
            Ok(None)
        }
        Err(Undelivered::Slack(error)) => {
            if !error.may_have_happened() && claim.attempts == 1 {
                release(&app.db, &workspace.id, kind, subject).await?;
            }
            Err(failed(slack, error))
        }
        Err(Undelivered::Database(error)) => Err(error.into()),
    }
}

/// Notes Slack's error at the connection and hands it on.
pub fn failed(slack: &SlackConnection, error: slack::Error) -> anyhow::Error {
    let wait = match &error {
        slack::Error::RateLimited { retry_after, .. } => Some(*retry_after),
        _ => None,
    };
    slack.health.failed(error.to_string(), wait);
    error.into()
}

struct Claim {
    attempts: i64,
    first_claimed_at_ms: i64,
}

/// Why a claimed message was not delivered.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error(transparent)]
    Slack(#[from] slack::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

async fn in_time<T>(
    limit: Duration,
    delivery: impl Future<Output = Result<T, Undelivered>>,
) -> Result<T, Undelivered> {
    let unknown = || slack::Error::Unknown {
        method: "chat.postMessage",
        problem: format!("no end in {} s", limit.as_secs()),
    };
    let ended = tokio::time::timeout(limit, delivery).await;
    ended.unwrap_or_else(|_| Err(unknown().into()))
}

/// A claimed message on its way into the channel or a thread of it.
struct Delivery<'a> {
    db: &'a Db,
    workspace: &'a WorkspaceId,
    slack: &'a SlackConnection,
    kind: Kind,
    subject: &'a str,
    thread: Option<&'a Posted>,
}

impl Delivery<'_> {
    async fn deliver(&self, claim: &Claim, message: &Message) -> Result<Posted, Undelivered> {
        if claim.attempts > 1
            && let Some(posted) = self.look_for(claim).await?
        {
            return Ok(posted);
        }
        match (self.post(message).await, message.without_pictures()) {
            (Err(error), Some(rest)) if error.concerns_the_content() => {
                // Before the post, so that the picture comes even if the post's answer is lost.
                touch(self.db.pool(), self.workspace, self.kind, self.subject).await?;
                Ok(self.post(&rest).await?)
            }
            (result, _) => Ok(result?),
        }
    }

    async fn post(&self, message: &Message) -> Result<Posted, slack::Error> {
        let channel = self.thread.map(|parent| parent.channel.as_str());
        let channel = channel.unwrap_or(&self.slack.channel);
        let client = &self.slack.client;
        client
            .post_message(channel, self.thread_ts(), message)
            .await
    }

    async fn look_for(&self, claim: &Claim) -> Result<Option<Posted>, Undelivered> {
        let oldest = slack_time(claim.first_claimed_at_ms - CLOCK_SLACK_MS);
        let metadata = self.kind.metadata(self.subject);
        for channel in self.channels().await? {
            let client = &self.slack.client;
            let found = client.find_message(&channel, self.thread_ts(), &metadata, &oldest);
            match found.await {
                Ok(None) => {}
                Err(error) if self.is_out_of_reach(&channel, &error) => {}
                found => return Ok(found?),
            }
        }
        Ok(None)
    }

    /// Where the message may stand. A channel's history is read by its id, which our posts tell where
    /// the settings name the channel otherwise.
    async fn channels(&self) -> sqlx::Result<Vec<String>> {
        if let Some(parent) = self.thread {
            return Ok(vec![parent.channel.clone()]);
        }
        let mut channels = vec![self.slack.channel.clone()];
        let last = last_channel(self.db, self.workspace).await?;
        channels.extend(last.filter(|last| *last != self.slack.channel));
        Ok(channels)
    }

    /// Whether the channel holds no message that could be found: it is gone, was left for another, or
    /// only its name is known.
    fn is_out_of_reach(&self, channel: &str, error: &slack::Error) -> bool {
        let slack::Error::Refused { code, .. } = error else {
            return false;
        };
        code == "channel_not_found" || (code == "not_in_channel" && channel != self.slack.channel)
    }

    fn thread_ts(&self) -> Option<&str> {
        self.thread.map(|parent| parent.ts.as_str())
    }
}

/// The id of the channel in which the newest of the workspace's messages stands.
pub async fn last_channel(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<String>> {
    let row = sqlx::query(
        "select channel_id from posts
         where workspace_id = $1 and channel_id is not null and posted_at_ms is not null
         order by posted_at_ms desc limit 1",
    )
    .bind(workspace.as_str())
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| row.try_get("channel_id")).transpose()
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
         set claimed_at_ms = excluded.claimed_at_ms, attempts = posts.attempts + 1,
             first_claimed_at_ms = case when posts.attempts = 0 then excluded.first_claimed_at_ms
                                        else posts.first_claimed_at_ms end
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

/// Lets go of a claim whose message was certainly not posted; it is still wanted.
async fn release(db: &Db, workspace: &WorkspaceId, kind: Kind, subject: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update posts set claimed_at_ms = 0, attempts = 0
         where workspace_id = $1 and kind = $2 and subject_id = $3 and posted_at_ms is null",
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
    .bind(now_ms())
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(subject)
    .execute(db.pool())
    .await?;
    find(db, workspace, kind, subject).await
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

/// A posted message whose content has changed since it was last shown.
pub struct Stale {
    /// The trace or version that it is about.
    pub subject: String,
    /// Where it stands.
    pub posted: Posted,
    posted_at_ms: i64,
    wanted: i64,
}

impl Stale {
    /// Whether Slack may still be looking at a picture of the message.
    fn awaits_its_picture(&self) -> bool {
        now_ms() - self.posted_at_ms < PICTURE_AWAITED_MS
    }
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

/// The messages of a kind that show something old.
pub async fn stale(db: &Db, workspace: &WorkspaceId, kind: Kind) -> sqlx::Result<Vec<Stale>> {
    let rows = sqlx::query(
        "select subject_id, channel_id, ts, posted_at_ms, wanted from posts
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
            posted_at_ms: row.try_get("posted_at_ms")?,
            wanted: row.try_get("wanted")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Puts the new content into a stale message.
///
/// A message that Slack refuses to change, as one that a person deleted, counts as shown: it must not
/// hold up the others. One whose picture Slack refuses shows the rest, and stays stale for a while.
///
/// # Errors
/// Slack's, where they pass by themselves or concern the whole connection, or the database's.
pub async fn refresh(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    kind: Kind,
    stale: &Stale,
    mut message: Message,
) -> anyhow::Result<()> {
    message.metadata = Some(kind.metadata(&stale.subject));
    match update(slack, &stale.posted, &message).await {
        Ok(Shown::Whole) => slack.health.recovered(),
        Ok(Shown::WithoutPictures) => {
            slack.health.recovered();
            if stale.awaits_its_picture() {
                return Ok(());
            }
        }
        Err(error) if error.is_transient() || error.concerns_the_connection() => {
            return Err(failed(slack, error));
        }
        Err(error) => {
            tracing::warn!(workspace.id = %workspace.id, kind = kind.as_str(), subject = stale.subject.as_str(), %error, "a message cannot be brought up to date");
        }
    }
    set_shown(&app.db, &workspace.id, kind, stale).await?;
    Ok(())
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

async fn set_shown(
    db: &Db,
    workspace: &WorkspaceId,
    kind: Kind,
    stale: &Stale,
) -> sqlx::Result<()> {
    sqlx::query(
        "update posts set shown = $1 where workspace_id = $2 and kind = $3 and subject_id = $4",
    )
    .bind(stale.wanted)
    .bind(workspace.as_str())
    .bind(kind.as_str())
    .bind(&stale.subject)
    .execute(db.pool())
    .await
    .map(drop)
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
pub(crate) mod tests;
