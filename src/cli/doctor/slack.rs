//! Slack, part by part: the token and its team, its scopes, the channel.

use std::time::Duration;

use anyhow::Context;

use super::super::terminal;
use super::{base, not_configured, said};
use crate::config::{Config, Environment, InstallConfig, SLACK_API, SlackConfig};
use crate::inbound::SocketMode;
use crate::install::{self, Installation};
use crate::slack::{self, Client, scopes};
use crate::store::Db;
use crate::vault::Vault;

/// Slack greets a new connection at once.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Checks what is configured, and says what to do about each part that is wrong.
pub async fn check(config: Option<&SlackConfig>, otherwise: &str) -> bool {
    let Some(config) = config else {
        return said("Slack", Ok(otherwise));
    };
    let client = match Client::new(&config.api_url, &config.bot_token) {
        Ok(client) => client,
        Err(error) => return said("Slack", Err::<String, _>(error)),
    };
    let is_in = said("Slack", team(&client).await);
    // A token that Slack does not take has neither scopes nor a channel.
    is_in
        && [
            said("Slack scopes", scopes_of(&client).await),
            said("Slack channel", channel(&client, &config.channel).await),
        ]
        .into_iter()
        .all(|passed| passed)
}

/// The token alone, where the rest of the configuration keeps the service from starting.
pub async fn check_half(environment: &Environment) {
    let Some(token) = environment.get("SLACK_BOT_TOKEN") else {
        return;
    };
    let url = environment.get("SLACK_API_URL").unwrap_or(SLACK_API);
    let url = format!("{}/", url.trim_end_matches('/'));
    let Ok(url) = url.parse() else {
        return;
    };
    if let Ok(client) = Client::new(&url, &token.into())
        && said("Slack", team(&client).await)
    {
        said("Slack scopes", scopes_of(&client).await);
    }
}

async fn team(client: &Client) -> anyhow::Result<String> {
    let identity = client.identity().await?;
    Ok(format!("team {}, as {}", identity.team, identity.user_id))
}

async fn scopes_of(client: &Client) -> anyhow::Result<String> {
    let Some(granted) = client.scopes().await? else {
        return Ok("this server does not name them".to_owned());
    };
    let missing = scopes::missing(&granted);
    anyhow::ensure!(
        missing.is_empty(),
        "{} missing. Paste slack-manifest.yml into the app's manifest again, and reinstall the app",
        missing.join(", ")
    );
    Ok(format!(
        "all {} of slack-manifest.yml",
        scopes::wanted().len()
    ))
}

async fn channel(client: &Client, channel: &str) -> anyhow::Result<String> {
    if slack::is_channel(channel) {
        match client.channel(channel).await {
            Ok(found) => return usable(&found),
            // It says less, but needs no other scope than what the service does.
            Err(error) if error.code() == Some("missing_scope") => {}
            Err(error) => return Err(error.into()),
        }
    }
    let readable = client.can_read(channel).await;
    readable.with_context(|| format!("channel {channel}"))?;
    Ok(channel.to_owned())
}

fn usable(channel: &slack::Channel) -> anyhow::Result<String> {
    let name = &channel.name;
    anyhow::ensure!(
        !channel.is_archived,
        "#{name} is archived. Unarchive it, or set SLACK_CHANNEL to another"
    );
    anyhow::ensure!(
        channel.is_member || !channel.is_private,
        "iofold is not in #{name}, which is private. Invite it there with /invite"
    );
    Ok(match channel.is_member {
        true => format!("#{name}"),
        false => format!(
            "#{name}, which iofold is not in: it can post there, but not find again what a crash left. Invite it with /invite"
        ),
    })
}

/// How clicks, commands and events come in.
pub async fn clicks(config: &Config) -> anyhow::Result<String> {
    if config.slack.is_none() && config.install.is_none() {
        return Ok(not_configured(config));
    }
    let Some(socket_mode) = SocketMode::of(config)? else {
        let address = match &config.public_url {
            Some(_) => format!("{}/slack/…", base(config)),
            None => {
                "the address in the app's manifest (not known here; IOFOLD_PUBLIC_URL names it)"
                    .to_owned()
            }
        };
        return Ok(format!(
            "signed requests to {address}, which is not tried; SLACK_APP_TOKEN has them come by Socket Mode, without an address"
        ));
    };
    let mut socket = socket_mode.open().await?;
    let hello = tokio::time::timeout(HELLO_WITHIN, socket.greeted()).await;
    socket.close().await;
    match hello {
        Ok(Some(connections)) => Ok(format!(
            "Socket Mode, a connection was opened and closed; Slack counted {connections}, and allows ten"
        )),
        _ => anyhow::bail!(
            "Socket Mode opened a connection, but Slack sent no hello. Try again in a minute"
        ),
    }
}

/// Each team and org that installed the app. That one has ended is its own decision, and no failure of ours.
pub async fn installations(config: &Config) -> bool {
    let Some(given) = &config.install else {
        return true;
    };
    let listed = async {
        let db = Db::open(&config.database_url).await?;
        anyhow::Ok((install::installations(&db).await?, install::vault(config)?))
    };
    let (rows, vault) = match listed.await {
        Ok(listed) => listed,
        Err(error) => return said("Slack's installations", Err::<String, _>(error)),
    };
    let mut all_work = true;
    for row in rows {
        let name = terminal::visible_line(&format!("Slack, {} ({})", row.name, row.id));
        all_work &= said(&name, installation(given, &vault, &row).await);
    }
    all_work
}

async fn installation(
    given: &InstallConfig,
    vault: &Vault,
    row: &Installation,
) -> anyhow::Result<String> {
    let workspace = &row.workspace;
    let Some(token) = install::token_of(vault, row)? else {
        let because = row.ended_because.as_deref().unwrap_or_default();
        return Ok(format!("workspace {workspace}, ended. {because}"));
    };
    let client = Client::new(&given.api_url, &token)?;
    let by = &row.installed_by;
    let identity = client.identity().await;
    identity.with_context(|| format!("workspace {workspace}, installed by {by}"))?;
    let granted: Vec<_> = row.scopes.split(',').map(str::to_owned).collect();
    let missing = scopes::missing(&granted).join(", ");
    anyhow::ensure!(
        missing.is_empty(),
        "workspace {workspace} lacks {missing}; {by} or an admin has to install the app again"
    );
    if row.channel.is_empty() {
        return Ok(format!(
            "workspace {workspace}, no channel yet: somebody has to type /iofold here in one"
        ));
    }
    let readable = client.can_read(&row.channel).await;
    readable.with_context(|| format!("workspace {workspace}, channel {}", row.channel))?;
    Ok(format!("workspace {workspace}, channel {}", row.channel))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slack::scripted::{Answer, ScriptedSlack};

    #[test]
    fn a_channel_is_usable_unless_it_is_archived_or_private_without_the_app() {
        let said = |is_archived, is_private, is_member| {
            let name = "answers".to_owned();
            let channel = slack::Channel {
                name,
                is_archived,
                is_private,
                is_member,
            };
            usable(&channel).map_err(|error| error.to_string())
        };
        assert_eq!(said(false, true, true).as_deref(), Ok("#answers"));
        assert!(
            said(false, false, false)
                .expect("it can post")
                .contains("/invite")
        );
        assert!(
            said(true, false, true)
                .expect_err("archived")
                .contains("Unarchive")
        );
        assert!(
            said(false, true, false)
                .expect_err("private")
                .contains("/invite")
        );
    }

    #[tokio::test]
    async fn a_token_that_slack_does_not_take_is_not_asked_for_more() {
        let slack = ScriptedSlack::start_with(|_, _, _| Answer::Refusal("account_inactive")).await;
        let config = SlackConfig {
            api_url: format!("{}/api/", slack.url).parse().expect("a URL"),
            bot_token: "xoxb-1".into(),
            signing_secret: None,
            app_token: None,
            channel: "C1".to_owned(),
            pace: slack::Pace::AsTold,
        };
        assert!(!check(Some(&config), "").await);
        assert!(slack.calls_of("conversations.info").is_empty());
    }
}
