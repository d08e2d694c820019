//! Slack, part by part: the token and its team, its scopes, the channel.

use anyhow::Context;

use super::said;
use crate::config::{Environment, SLACK_API, SlackConfig};
use crate::slack::{self, Client, scopes};

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
            signing_secret: "s".into(),
            channel: "C1".to_owned(),
            pace: slack::Pace::AsTold,
        };
        assert!(!check(Some(&config), "").await);
        assert!(slack.calls_of("conversations.info").is_empty());
    }
}
