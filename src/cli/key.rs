use anyhow::anyhow;
use chrono::{DateTime, SecondsFormat};

use super::{DEFAULT_WORKSPACE, Failure, KeyCommand, no_such_workspace, say_if_new, terminal};
use crate::auth::{self, WorkspaceKey};
use crate::config::{self, Environment};
use crate::domain::WorkspaceId;
use crate::store::Db;
use crate::workspace;

/// Makes, lists or revokes workspace keys, in the database that `DATABASE_URL` names.
#[tokio::main]
pub async fn key(environment: &Environment, command: &KeyCommand) -> Result<(), Failure> {
    let url = config::database_url(environment).map_err(|error| Failure::Usage(error.into()))?;
    say_if_new(&url);
    let db = Db::open(&url).await?;
    match command {
        KeyCommand::Create { name, workspace } => create(&db, name, workspace).await,
        KeyCommand::List => list(&db).await,
        KeyCommand::Revoke { id } => revoke(&db, id).await,
    }
}

async fn create(db: &Db, name: &str, workspace: &str) -> Result<(), Failure> {
    let id = WorkspaceId::from(workspace);
    // The service makes it at its first start, which may be yet to come.
    if workspace == DEFAULT_WORKSPACE {
        let registered = workspace::register(db, &id).await;
        registered.map_err(anyhow::Error::from)?;
    }
    let others = workspace::others_than(db, &id).await;
    if let Some(others) = others.map_err(anyhow::Error::from)? {
        return Err(no_such_workspace(workspace, &others));
    }
    let key = auth::create_key(db, &id, name).await;
    let key = key.map_err(anyhow::Error::from)?;
    eprintln!("Keep this key now: it is not shown again.");
    terminal::say(&key)
}

async fn list(db: &Db) -> Result<(), Failure> {
    let keys = auth::workspace_keys(db)
        .await
        .map_err(anyhow::Error::from)?;
    if keys.is_empty() {
        eprintln!("There are no keys. `iofold key create` makes one.");
    }
    keys.iter().try_for_each(|key| terminal::say(&line(key)))
}

fn line(key: &WorkspaceKey) -> String {
    let state = match key.revoked_at_ms {
        Some(at) => format!("revoked {}", day(at)),
        None => "valid".to_owned(),
    };
    let made = day(key.created_at_ms);
    let line = format!(
        "{}  {}  made {made}  {state}  {}",
        key.id, key.workspace, key.name
    );
    terminal::visible_line(line.trim_end())
}

fn day(at_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

async fn revoke(db: &Db, id: &str) -> Result<(), Failure> {
    match auth::revoke_key(db, id)
        .await
        .map_err(anyhow::Error::from)?
    {
        true => terminal::say(&format!("Key {id} is revoked: it opens nothing any more.")),
        false => Err(Failure::Data(anyhow!(
            "there is no valid key of this id; `iofold key list` shows them"
        ))),
    }
}
