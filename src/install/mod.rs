//! Teams that install the Slack app by themselves: consent, their tokens, and what becomes of both.
//!
//! What comes in: people on their way through Slack's consent (`http`), the events that an installation ended, and
//! `/iofold here`. What goes out: a workspace with a connection for each installation, kept up by [`keep`]. The rows are
//! the truth, and every change is a row first; [`sync`] takes over what rows say, in this process and, within seconds,
//! in every other one. A token is in a row sealed and in a client, nowhere else: not in logs, errors or `Debug`.

mod command;
mod http;
mod orgs;
mod page;
mod renew;
mod store;

use std::collections::HashMap;

use anyhow::Context;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::WorkspaceId;
use crate::slack::{self, Grant, OAuth};
use crate::vault::{Key, Vault};
use crate::workspace::{self, SlackConnection, SlackSlot, Workspace};

pub use command::{here, set_channel};
pub use http::{begin, complete};
pub use orgs::Orgs;
pub use renew::keep;
pub use store::{Installation, all as installations};

const DEFAULT: &str = "default";

/// What lets teams install the app.
pub struct Installing {
    oauth: OAuth,
    vault: Vault,
    api_url: Url,
    pace: slack::Pace,
    clock: Clock,
    public_url: Url,
    first_channel: String,
    /// Whether the environment leaves the `default` workspace to the first team that installs.
    default_is_free: bool,
    /// The revision of each installation that this process has taken over.
    seen: tokio::sync::Mutex<HashMap<String, i64>>,
}

impl Installing {
    /// From the configuration; `None` where the app is not for teams to install.
    ///
    /// # Errors
    /// There is no key to seal tokens with, and none can be made.
    pub fn of(config: &Config, clock: &Clock) -> anyhow::Result<Option<Self>> {
        let Some(given) = &config.install else {
            return Ok(None);
        };
        let callback = given.public_url.join("slack/oauth/callback")?;
        let oauth = OAuth::new(
            given.api_url.clone(),
            given.client_id.clone(),
            given.client_secret.clone(),
            callback.to_string(),
        )?;
        Ok(Some(Self {
            oauth,
            vault: vault(config)?,
            api_url: given.api_url.clone(),
            pace: given.pace,
            clock: clock.clone(),
            public_url: given.public_url.clone(),
            first_channel: given.channel.clone().unwrap_or_default(),
            default_is_free: config.slack.is_none(),
            seen: tokio::sync::Mutex::default(),
        }))
    }

    /// Where people install the app.
    fn page(&self) -> Url {
        let page = self.public_url.join("slack/install");
        page.expect("a plain path can be joined to a base")
    }

    fn is_served(&self, row: &Installation) -> bool {
        self.default_is_free || row.workspace.as_str() != DEFAULT
    }

    /// The installation's token, or a sentence that says why there is none to use.
    fn token(&self, row: &Installation) -> Result<SecretString, String> {
        let page = self.page();
        let Some(sealed) = row.bot_token.as_deref() else {
            let because = row.ended_because.as_deref().unwrap_or("It ended.");
            return Err(format!(
                "{because} Install the app again at {page}; what was posted stays"
            ));
        };
        let opened = self.vault.open(&place(&row.id, "bot_token"), sealed);
        opened.map_err(|_| {
            format!("The token can't be read. Set IOFOLD_SECRET_KEY to the key of before, or install the app again at {page}")
        })
    }

    fn connection(
        &self,
        row: &Installation,
        token: &SecretString,
    ) -> anyhow::Result<SlackConnection> {
        let client = slack::Client::new(&self.api_url, token)?;
        let client = client.paced(self.pace, self.clock.clone());
        Ok(SlackConnection::installed(
            client,
            row.channel.clone(),
            row.id.clone(),
        ))
    }
}

/// What seals the tokens of this configuration.
///
/// # Errors
/// As [`Key::beside`].
pub fn vault(config: &Config) -> anyhow::Result<Vault> {
    let key = match &config.secret_key {
        Some(key) => key.clone(),
        None => Key::beside(&config.database_url)?,
    };
    Ok(Vault::new(&key))
}

/// The token of an installation, for a check from outside the service; `None` once it has ended.
///
/// # Errors
/// It was sealed with another key.
pub fn token_of(vault: &Vault, row: &Installation) -> anyhow::Result<Option<SecretString>> {
    let sealed = row.bot_token.as_deref();
    let opened = sealed.map(|sealed| vault.open(&place(&row.id, "bot_token"), sealed));
    Ok(opened.transpose()?)
}

/// Where a token is kept, which it is bound to.
fn place(id: &str, column: &str) -> String {
    format!("slack_installations/{id}/{column}")
}

/// Writes down what a team's consent gave; the same team's earlier installation lives again.
async fn take(app: &App, installing: &Installing, grant: &Grant) -> anyhow::Result<Installation> {
    let (id, name) = grant.tenant().context("Slack names neither team nor org")?;
    let tokens = sealed(installing, id, grant);
    let mut attempts = 0;
    loop {
        let workspace = workspace_for(app, installing, id).await?;
        workspace::register(&app.db, &workspace).await?;
        let is_default = workspace.as_str() == DEFAULT;
        let channel = if is_default {
            &installing.first_channel
        } else {
            ""
        };
        let written = store::install(&app.db, (id, name), &workspace, channel, grant, &tokens);
        match written.await {
            // Another team took the workspace between the two.
            Err(error) if is_taken(&error) && attempts < 3 => attempts += 1,
            written => {
                written?;
                break;
            }
        }
    }
    sync(app).await?;
    let row = store::find(&app.db, id).await?;
    row.context("an installation that was just written is there")
}

fn is_taken(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// The tenant's workspace of before; else the free `default` one; else one of its own.
async fn workspace_for(
    app: &App,
    installing: &Installing,
    id: &str,
) -> anyhow::Result<WorkspaceId> {
    let rows = store::all(&app.db).await?;
    let is_known = |row: &&Installation| row.id == id && installing.is_served(row);
    if let Some(known) = rows.iter().find(is_known) {
        return Ok(known.workspace.clone());
    }
    let is_taken = rows.iter().any(|row| row.workspace.as_str() == DEFAULT);
    Ok(match installing.default_is_free && !is_taken {
        true => WorkspaceId::from(DEFAULT),
        false => WorkspaceId::from(id.to_lowercase()),
    })
}

fn sealed(installing: &Installing, id: &str, grant: &Grant) -> store::Tokens {
    let seal = |column: &str, secret: &SecretString| {
        let place = place(id, column);
        installing.vault.seal(&place, secret)
    };
    // Of Slack's twelve hours, the last two are left for trying.
    let renew_after_ms = |seconds: i64| seconds.saturating_mul(1_000) / 6 * 5;
    store::Tokens {
        bot: seal("bot_token", &grant.token),
        refresh: grant
            .refresh_token
            .as_ref()
            .map(|t| seal("refresh_token", t)),
        renew_at_ms: grant
            .expires_in
            .map(|s| crate::store::now_ms() + renew_after_ms(s)),
    }
}

/// Takes over what the rows say and this process does not know yet.
///
/// # Errors
/// The database's.
pub async fn sync(app: &App) -> anyhow::Result<()> {
    let Some(installing) = &app.installing else {
        return Ok(());
    };
    let mut seen = installing.seen.lock().await;
    for row in store::all(&app.db).await? {
        if seen.get(&row.id) != Some(&row.revision) && installing.is_served(&row) {
            adopt(app, installing, &row)?;
            seen.insert(row.id, row.revision);
        }
    }
    Ok(())
}

fn adopt(app: &App, installing: &Installing, row: &Installation) -> anyhow::Result<()> {
    let workspace = app.ensure_workspace(Workspace {
        id: row.workspace.clone(),
        langfuse: None,
        webhook_secret: None,
        langsmith: None,
        openai: None,
        slack: SlackSlot::default(),
    });
    match installing.token(row) {
        Ok(token) => connect(app, installing, workspace, row, &token),
        Err(why) => {
            tracing::warn!(workspace.id = %row.workspace, "Slack: {why}");
            let connection = installing.connection(row, &SecretString::default())?;
            connection.health.end(why);
            workspace.slack.put(connection);
            Ok(())
        }
    }
}

/// Gives the connection that is there its next token, so that calls under way go on; else makes one.
fn connect(
    app: &App,
    installing: &Installing,
    workspace: &Workspace,
    row: &Installation,
    token: &SecretString,
) -> anyhow::Result<()> {
    let goes_on =
        |slack: &&SlackConnection| !slack.health.is_over() && slack.channel == row.channel;
    if let Some(slack) = workspace.slack().filter(goes_on) {
        slack.client.set_token(token);
        slack.health.recovered();
        return Ok(());
    }
    workspace.slack.put(installing.connection(row, token)?);
    app.tasks
        .spawn(app::learn_team(app.clone(), row.workspace.clone()));
    Ok(())
}

/// An event by which a team ended its installation: `app_uninstalled`, or `tokens_revoked` of the bot's own token.
///
/// One from before the current installation is late, and changes nothing.
///
/// # Errors
/// The database's.
pub async fn ended(app: &App, envelope: &Value) -> anyhow::Result<()> {
    if app.installing.is_none() {
        return Ok(());
    }
    let event = &envelope["event"];
    let revoked = event["tokens"]["bot"].as_array();
    let is_revocation = event["type"] == "tokens_revoked";
    if is_revocation && revoked.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let because = match is_revocation {
        true => "The app's token was revoked in Slack.",
        false => "The app was uninstalled in Slack.",
    };
    // To the end of the second, which is as far as Slack's times go.
    let happened = envelope["event_time"].as_i64();
    let happened_ms = happened.map_or(i64::MAX, |s| s.saturating_mul(1_000).saturating_add(999));
    if let Some(tenant) = tenant_of(app, envelope).await? {
        store::end(&app.db, &tenant, because, happened_ms).await?;
        sync(app).await?;
    }
    Ok(())
}

/// Whose installation an event is about: the team's own, else its org's.
async fn tenant_of(app: &App, envelope: &Value) -> sqlx::Result<Option<String>> {
    let by_org = envelope["authorizations"][0]["is_enterprise_install"] == true;
    let org = envelope["enterprise_id"].as_str();
    let team = envelope["team_id"].as_str().filter(|_| !by_org);
    for id in [team, org].into_iter().flatten() {
        if store::find(&app.db, id).await?.is_some() {
            return Ok(Some(id.to_owned()));
        }
    }
    Ok(None)
}
