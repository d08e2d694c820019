use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::WorkspaceId;
use crate::slack::Grant;
use crate::store::{Db, now_ms};

/// A team or org that installed the app.
pub struct Installation {
    /// `T…`, or `E…` for an org as a whole.
    pub id: String,
    /// The workspace that is its own.
    pub workspace: WorkspaceId,
    /// As people see it.
    pub name: String,
    /// `U…`: who is told of trouble.
    pub installed_by: String,
    /// Where people are asked; empty while none is chosen.
    pub channel: String,
    /// The scopes that were granted, with commas between them.
    pub scopes: String,
    /// When it ended; `None` while it lasts.
    pub ended_at_ms: Option<i64>,
    /// A sentence that says why it ended.
    pub ended_because: Option<String>,
    pub(super) bot_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) renew_at_ms: Option<i64>,
    pub(super) revision: i64,
}

/// Sealed tokens, and when to renew them; `None` where they are for good.
pub struct Tokens {
    pub bot: String,
    pub refresh: Option<String>,
    pub renew_at_ms: Option<i64>,
}

const COLUMNS: &str =
    "select id, workspace_id, name, scopes, installed_by, channel, bot_token, refresh_token, renew_at_ms,
    revision, ended_at_ms, ended_because from slack_installations";

fn read(row: &AnyRow) -> sqlx::Result<Installation> {
    Ok(Installation {
        id: row.try_get("id")?,
        workspace: WorkspaceId::from(row.try_get::<String, _>("workspace_id")?),
        name: row.try_get("name")?,
        installed_by: row.try_get("installed_by")?,
        channel: row.try_get("channel")?,
        scopes: row.try_get("scopes")?,
        ended_at_ms: row.try_get("ended_at_ms")?,
        ended_because: row.try_get("ended_because")?,
        bot_token: row.try_get("bot_token")?,
        refresh_token: row.try_get("refresh_token")?,
        renew_at_ms: row.try_get("renew_at_ms")?,
        revision: row.try_get("revision")?,
    })
}

/// Every installation, ended ones among them, oldest first.
///
/// # Errors
/// The database's.
pub async fn all(db: &Db) -> sqlx::Result<Vec<Installation>> {
    let query = sqlx::AssertSqlSafe(format!("{COLUMNS} order by installed_at_ms, id"));
    let rows = sqlx::query(query).fetch_all(db.pool()).await?;
    rows.iter().map(read).collect()
}

/// The installation of this team or org.
pub async fn find(db: &Db, id: &str) -> sqlx::Result<Option<Installation>> {
    let query = sqlx::AssertSqlSafe(format!("{COLUMNS} where id = $1"));
    let row = sqlx::query(query)
        .bind(id)
        .fetch_optional(db.pool())
        .await?;
    row.as_ref().map(read).transpose()
}

/// Writes an installation, new or again; one that is there keeps its workspace and its channel.
pub async fn install(
    db: &Db,
    (id, name): (&str, &str),
    workspace: &WorkspaceId,
    channel: &str,
    grant: &Grant,
    tokens: &Tokens,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into slack_installations
           (id, workspace_id, is_org, name, bot_user_id, scopes, installed_by, channel, bot_token, refresh_token,
            renew_at_ms, revision, renewing_until_ms, installed_at_ms, updated_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, 0, $12, $12)
         on conflict (id) do update set
           workspace_id = excluded.workspace_id, name = excluded.name,
           bot_user_id = excluded.bot_user_id, scopes = excluded.scopes,
           installed_by = excluded.installed_by, bot_token = excluded.bot_token,
           refresh_token = excluded.refresh_token, renew_at_ms = excluded.renew_at_ms,
           revision = slack_installations.revision + 1, renewing_until_ms = 0,
           installed_at_ms = excluded.installed_at_ms, updated_at_ms = excluded.updated_at_ms,
           ended_at_ms = null, ended_because = null",
    )
    .bind(id)
    .bind(workspace.as_str())
    .bind(i64::from(grant.is_enterprise_install))
    .bind(name)
    .bind(&grant.bot_user_id)
    .bind(&grant.scope)
    .bind(grant.installed_by())
    .bind(channel)
    .bind(&tokens.bot)
    .bind(tokens.refresh.as_deref())
    .bind(tokens.renew_at_ms)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// Erases the tokens of an installation that is not from after `happened_ms`; says whether it lasted until now.
pub async fn end(db: &Db, id: &str, because: &str, happened_ms: i64) -> sqlx::Result<bool> {
    let ended = sqlx::query(
        "update slack_installations set bot_token = null, refresh_token = null, renew_at_ms = null,
           ended_at_ms = $1, ended_because = $2, updated_at_ms = $1, revision = revision + 1
         where id = $3 and ended_at_ms is null and installed_at_ms <= $4",
    )
    .bind(now_ms())
    .bind(because)
    .bind(id)
    .bind(happened_ms)
    .execute(db.pool())
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// Chooses the channel of a workspace; `false` where no installation is its own.
pub async fn choose_channel(db: &Db, workspace: &WorkspaceId, channel: &str) -> sqlx::Result<bool> {
    let chosen = sqlx::query(
        "update slack_installations set channel = $1, updated_at_ms = $2, revision = revision + 1
         where workspace_id = $3",
    )
    .bind(channel)
    .bind(now_ms())
    .bind(workspace.as_str())
    .execute(db.pool())
    .await?;
    Ok(chosen.rows_affected() == 1)
}

/// Claims the renewal of a token until `until_ms`; `false` where another process has it, or the row has changed.
pub async fn claim_renewal(db: &Db, row: &Installation, until_ms: i64) -> sqlx::Result<bool> {
    let claimed = sqlx::query(
        "update slack_installations set renewing_until_ms = $1
         where id = $2 and revision = $3 and renewing_until_ms < $4 and ended_at_ms is null",
    )
    .bind(until_ms)
    .bind(&row.id)
    .bind(row.revision)
    .bind(now_ms())
    .execute(db.pool())
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// Writes renewed tokens; `false` where the team installed again or ended it meanwhile, which stands.
pub async fn renewed(db: &Db, row: &Installation, tokens: &Tokens) -> sqlx::Result<bool> {
    let written = sqlx::query(
        "update slack_installations set bot_token = $1, refresh_token = $2, renew_at_ms = $3, updated_at_ms = $4,
           revision = revision + 1, renewing_until_ms = 0
         where id = $5 and refresh_token = $6",
    )
    .bind(&tokens.bot)
    .bind(tokens.refresh.as_deref())
    .bind(tokens.renew_at_ms)
    .bind(now_ms())
    .bind(&row.id)
    .bind(row.refresh_token.as_deref())
    .execute(db.pool())
    .await?;
    Ok(written.rows_affected() == 1)
}

/// Notes an installation under way, by the hashes of its state and of what the browser keeps.
pub async fn insert_state(
    db: &Db,
    state_hash: &str,
    browser_hash: &str,
    expires_at_ms: i64,
) -> sqlx::Result<()> {
    let old = sqlx::query("delete from slack_install_states where expires_at_ms <= $1");
    old.bind(now_ms()).execute(db.pool()).await?;
    sqlx::query(
        "insert into slack_install_states (state_hash, browser_hash, expires_at_ms) values ($1, $2, $3)",
    )
    .bind(state_hash)
    .bind(browser_hash)
    .bind(expires_at_ms)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Takes the state that this browser began with, once and in its time.
pub async fn take_state(db: &Db, state_hash: &str, browser_hash: &str) -> sqlx::Result<bool> {
    let taken = sqlx::query(
        "delete from slack_install_states where state_hash = $1 and browser_hash = $2 and expires_at_ms > $3",
    )
    .bind(state_hash)
    .bind(browser_hash)
    .bind(now_ms())
    .execute(db.pool())
    .await?;
    Ok(taken.rows_affected() == 1)
}
