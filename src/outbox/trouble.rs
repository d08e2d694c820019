//! What only a person can mend: told once, to one who can, while the connection rests.

use sqlx::Row;

use super::{Kind, settle};
use crate::app::App;
use crate::domain::WorkspaceId;
use crate::slack::{self, Message, family};
use crate::store::Db;
use crate::workspace::{SlackConnection, Workspace};

/// Notes Slack's error at the connection and hands it on.
pub fn failed(slack: &SlackConnection, error: slack::Error) -> anyhow::Error {
    match &error {
        slack::Error::RateLimited { retry_after, .. } => {
            slack.health.failed(error.to_string(), Some(*retry_after));
        }
        error if error.needs_a_person() => slack.health.needs_a_person(error.to_string()),
        error => slack.health.failed(error.to_string(), None),
    }
    error.into()
}

/// Slack's errors about the token, which every method meets (docs.slack.dev, "Web API errors").
const OF_TOKEN: [&str; 5] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
];

/// Writes to one person who can help that nothing can be posted, once until what is refused works again.
///
/// A direct message from the app needs no scope but that for posting. Where the app as a whole is refused it does not
/// arrive either: the log, the overview and `iofold doctor` say it.
pub async fn tell(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    error: &slack::Error,
) -> sqlx::Result<()> {
    let Some(subject) = subject_of(error) else {
        return Ok(());
    };
    let (db, id) = (&app.db, &workspace.id);
    let Some(person) = who_can_help(db, id).await? else {
        return Ok(());
    };
    if !is_news(db, id, &subject).await? {
        return Ok(());
    }
    let mut message = message(&slack.channel, error);
    message.metadata = Some(Kind::Trouble.metadata(&subject));
    match slack.client.post_message(&person, None, &message).await {
        Ok(posted) => {
            let settled = settle(db, id, Kind::Trouble, &subject, &posted);
            return settled.await.map(drop);
        }
        Err(error) if error.is_transient() => forget(db, id, &subject).await?,
        Err(error) => {
            tracing::warn!(workspace.id = %id, %error, "nobody could be told in Slack");
        }
    }
    Ok(())
}

/// What is refused, `token` or the methods' common name, and Slack's word: posting may work where reading does not.
/// `None` for what passes without a person.
fn subject_of(error: &slack::Error) -> Option<String> {
    let slack::Error::Refused { method, code, .. } = error else {
        return None;
    };
    let family = method.split('.').next().unwrap_or(method);
    let refused = match OF_TOKEN.contains(&code.as_str()) {
        true => "token",
        false => family,
    };
    error.needs_a_person().then(|| format!("{refused}:{code}"))
}

fn message(channel: &str, error: &slack::Error) -> Message {
    let said = format!(
        "Nothing can be posted in {}. {error}. Nothing is lost: it goes on by itself once that is mended.",
        slack::channel_name(channel)
    );
    family::message(family::Mark::Trouble, "iofold can't post", &[&said], &[])
}

/// Whether nobody was told of it since it last worked.
async fn is_news(db: &Db, workspace: &WorkspaceId, subject: &str) -> sqlx::Result<bool> {
    let now = db.now_ms();
    let inserted = sqlx::query(
        "insert into posts (workspace_id, kind, subject_id, first_claimed_at_ms, claimed_at_ms)
         values ($1, 'trouble', $2, $3, $4) on conflict (workspace_id, kind, subject_id) do nothing",
    )
    .bind(workspace.as_str())
    .bind(subject)
    .bind(now)
    .bind(now)
    .execute(db.pool())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// A message was posted: the next trouble with that is told anew. One in a thread of a channel that was left for another
/// says nothing of the new one.
pub(super) async fn note_posted(
    db: &Db,
    workspace: &WorkspaceId,
    slack: &SlackConnection,
    channel: &str,
) -> sqlx::Result<()> {
    slack.health.recovered();
    forget(db, workspace, "token:%").await?;
    match channel_of(db, workspace, slack).await?.as_deref() == Some(channel) {
        true => forget(db, workspace, "chat:%").await,
        false => Ok(()),
    }
}

/// Messages could be read: the next trouble with that is told anew.
pub(super) async fn note_read(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<()> {
    forget(db, workspace, "conversations:%").await
}

/// Forgets what was told, by a pattern of SQL's for its subject.
async fn forget(db: &Db, workspace: &WorkspaceId, subjects: &str) -> sqlx::Result<()> {
    sqlx::query(
        "delete from posts where workspace_id = $1 and kind = 'trouble' and subject_id like $2",
    )
    .bind(workspace.as_str())
    .bind(subjects)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Who installed the app, else who last decided about an eval, else who has labelled most: they look after it, as far
/// as rows tell.
async fn who_can_help(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<String>> {
    let rows = sqlx::query(
        "select person from (
           select installed_by as person, 0 as rank, updated_at_ms as weight from slack_installations
           where workspace_id = $1
           union all
           select decided_by as person, 1 as rank, decided_at_ms as weight from eval_versions
           where workspace_id = $2 and decided_by is not null
           union all
           select annotator_id, 2, count(*) from labels where workspace_id = $3 group by annotator_id
         ) as people order by rank, weight desc limit 20",
    )
    .bind(workspace.as_str())
    .bind(workspace.as_str())
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    let people: Vec<String> = rows
        .iter()
        .map(|row| row.try_get("person"))
        .collect::<sqlx::Result<_>>()?;
    Ok(people.into_iter().find(|person| slack::is_user(person)))
}

/// Whether Slack refuses `channel`, and it is not the one where people are asked: all others may pass.
pub(super) async fn concerns_another(
    db: &Db,
    workspace: &WorkspaceId,
    slack: &SlackConnection,
    channel: &str,
    error: &slack::Error,
) -> sqlx::Result<bool> {
    let ours = channel_of(db, workspace, slack).await?;
    Ok(error.concerns_the_channel() && ours.as_deref() != Some(channel))
}

/// The id of the workspace's channel: as it is set, or as our newest message there tells where its name is set.
pub async fn channel_of(
    db: &Db,
    workspace: &WorkspaceId,
    slack: &SlackConnection,
) -> sqlx::Result<Option<String>> {
    match slack::is_channel(&slack.channel) {
        true => Ok(Some(slack.channel.clone())),
        false => last_channel(db, workspace).await,
    }
}

/// The id of the channel in which the newest of the workspace's messages stands.
pub async fn last_channel(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<String>> {
    let row = sqlx::query(
        "select channel_id from posts
         where workspace_id = $1 and channel_id is not null and posted_at_ms is not null
           and kind <> 'trouble'
         order by posted_at_ms desc limit 1",
    )
    .bind(workspace.as_str())
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| row.try_get("channel_id")).transpose()
}
