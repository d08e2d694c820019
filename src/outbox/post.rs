use std::time::Duration;

use sqlx::Row;

use super::trouble::{concerns_another, failed, last_channel, note_posted, note_read, tell};
use super::{CLAIM_HOLDS_MS, CLOCK_SLACK_MS, Kind, find, settle, touch};
use crate::app::App;
use crate::domain::WorkspaceId;
use crate::slack::{self, Message, Posted};
use crate::store::Db;
use crate::workspace::{SlackConnection, Workspace};

/// A delivery that takes longer is given up; whether the message was posted is then unknown.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(45);
const _: () = assert!(DELIVERY_TIMEOUT.as_millis() < CLAIM_HOLDS_MS as u128);

/// Posts `message` unless a message of this kind and subject stands or is being posted.
///
/// `Ok(None)` means that another call holds the claim and the sweep comes back, or that Slack refused
/// the message for good, which must not hold up the others: what it holds, or the thread of a channel that was left for
/// another. A picture that Slack refuses comes later,
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
            settle(&app.db, &workspace.id, kind, subject, &posted).await?;
            note_posted(&app.db, &workspace.id, slack, &posted.channel).await?;
            Ok(Some(posted))
        }
        Err(Undelivered::Slack(error)) if delivery.fails_alone(&error).await? => {
            tracing::warn!(workspace.id = %workspace.id, kind = kind.as_str(), subject, %error, "a message is given up");
            give_up(&app.db, &workspace.id, kind, subject, &error.to_string()).await?;
            Ok(None)
        }
        Err(Undelivered::Slack(error)) => {
            if !error.may_have_happened() && claim.attempts == 1 {
                release(&app.db, &workspace.id, kind, subject).await?;
            }
            tell(app, workspace, slack, &error).await?;
            Err(failed(slack, error))
        }
        Err(Undelivered::Database(error)) => Err(error.into()),
    }
}

pub(super) struct Claim {
    attempts: i64,
    first_claimed_at_ms: i64,
}

/// Why a claimed message was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error(transparent)]
    Slack(#[from] slack::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub(super) async fn in_time<T>(
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

    /// Whether other messages may pass where Slack refuses this one so.
    async fn fails_alone(&self, error: &slack::Error) -> sqlx::Result<bool> {
        match self.thread {
            _ if error.concerns_the_content() => Ok(true),
            Some(parent) => {
                let channel = parent.channel.as_str();
                concerns_another(self.db, self.workspace, self.slack, channel, error).await
            }
            None => Ok(false),
        }
    }

    async fn look_for(&self, claim: &Claim) -> Result<Option<Posted>, Undelivered> {
        let oldest = slack_time(claim.first_claimed_at_ms - CLOCK_SLACK_MS);
        let metadata = self.kind.metadata(self.subject);
        for channel in self.channels().await? {
            let client = &self.slack.client;
            let found = client.find_message(&channel, self.thread_ts(), &metadata, &oldest);
            let found = match found.await {
                Err(error) if self.is_out_of_reach(&channel, &error) => continue,
                found => found?,
            };
            note_read(self.db, self.workspace).await?;
            if found.is_some() {
                return Ok(found);
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

fn slack_time(ms: i64) -> String {
    format!("{}.{:06}", ms / 1000, (ms % 1000) * 1000)
}

/// A claim from before this time is nobody's any more.
pub(super) fn abandoned_before(app: &App) -> i64 {
    let before = app.db.now_ms() - CLAIM_HOLDS_MS;
    match app.db.is_embedded() {
        // Nobody else uses the database, so what was claimed before this start is abandoned.
        true => before.max(app.started_at_ms),
        false => before,
    }
}

/// Takes the right to post; `None` where another holds it or the message stands.
pub(super) async fn claim(
    app: &App,
    workspace: &WorkspaceId,
    kind: Kind,
    subject: &str,
) -> sqlx::Result<Option<Claim>> {
    let now = app.db.now_ms();
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
    .bind(abandoned_before(app))
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
