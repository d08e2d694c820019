//! The variables by which Slack is reached.

use secrecy::SecretString;
use url::Url;

use crate::slack::Pace;

use super::{ConfigError, Environment, default_url, install, with_slash};

/// Slack's Web API.
pub const SLACK_API: &str = "https://slack.com/api/";

/// How to reach one Slack channel.
#[derive(Clone, Debug)]
pub struct SlackConfig {
    /// Slack's Web API, ending in a slash.
    pub api_url: Url,
    /// `xoxb-…`.
    pub bot_token: SecretString,
    /// Verifies Slack's signed requests; `None` only beside an app token.
    pub signing_secret: Option<SecretString>,
    /// `xapp-…`: opens Socket Mode, by which Slack needs no address of ours.
    pub app_token: Option<SecretString>,
    /// The channel's id or name.
    pub channel: String,
    /// Whose limits are kept.
    pub pace: Pace,
}

/// Slack's own limits at its own address; another server says itself when it is too much.
pub(super) fn pace_of(api_url: &Url) -> Pace {
    match api_url.host_str() {
        Some("slack.com") => Pace::Documented,
        _ => Pace::AsTold,
    }
}

/// How to reach Slack; `None` where none of its variables is set.
///
/// # Errors
/// A variable is wrong, or another one is needed beside it.
pub fn slack(environment: &Environment) -> Result<Option<SlackConfig>, ConfigError> {
    let names = [
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "SLACK_CHANNEL",
        "SLACK_API_URL",
        "SLACK_APP_TOKEN",
    ];
    let Some(set) = environment.first_set(&names) else {
        return Ok(None);
    };
    if install::is_wanted(environment) && environment.get("SLACK_BOT_TOKEN").is_none() {
        return Ok(None);
    }
    let bot_token = environment.needed(
        "SLACK_BOT_TOKEN",
        set,
        "Copy the Bot User OAuth Token (xoxb-…) from the Slack app's page, OAuth & Permissions",
    )?;
    if bot_token.starts_with("xapp-") {
        return Err(ConfigError::new(
            "SLACK_BOT_TOKEN",
            "is an app-level token",
            "It must be the Bot User OAuth Token (xoxb-…) from the Slack app's page, OAuth & Permissions; an xapp-… token \
             is for SLACK_APP_TOKEN",
        ));
    }
    let app_token = app_token(environment)?;
    if app_token.is_none() {
        environment.needed(
            "SLACK_SIGNING_SECRET",
            set,
            "Copy the Signing Secret from the Slack app's page, Basic Information; or, where Slack can't reach \
             this machine, set SLACK_APP_TOKEN for Socket Mode",
        )?;
    }
    let channel = environment.needed(
        "SLACK_CHANNEL",
        set,
        "Set it to the channel's id (C…), shown at the end of the channel's details",
    )?;
    let api_url = environment.url("SLACK_API_URL")?;
    let api_url = with_slash(api_url.unwrap_or_else(|| default_url(SLACK_API)));
    Ok(Some(SlackConfig {
        pace: pace_of(&api_url),
        api_url,
        bot_token: bot_token.into(),
        signing_secret: environment.secret("SLACK_SIGNING_SECRET"),
        app_token,
        channel,
    }))
}

pub(super) fn app_token(environment: &Environment) -> Result<Option<SecretString>, ConfigError> {
    let name = "SLACK_APP_TOKEN";
    match environment.get(name) {
        Some(token) if !token.starts_with("xapp-") => Err(ConfigError::new(
            name,
            "is no app-level token",
            "It must be one that begins with xapp-: make it on the Slack app's page, Basic Information, App-Level \
             Tokens, with the scope connections:write",
        )),
        _ => Ok(environment.secret(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<SlackConfig>, ConfigError> {
        let owned = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        slack(&Environment::from_pairs(owned))
    }

    const TOKEN: (&str, &str) = ("SLACK_BOT_TOKEN", "xoxb-1");
    const CHANNEL: (&str, &str) = ("SLACK_CHANNEL", "C1");
    const SECRET: (&str, &str) = ("SLACK_SIGNING_SECRET", "s");
    const APP_TOKEN: (&str, &str) = ("SLACK_APP_TOKEN", "xapp-1");

    #[test]
    fn either_way_in_is_enough_and_both_may_be_set() {
        for (ways, has_secret, has_app_token) in [
            (&[SECRET][..], true, false),
            (&[APP_TOKEN], false, true),
            (&[SECRET, APP_TOKEN], true, true),
        ] {
            let given = [&[TOKEN, CHANNEL], ways].concat();
            let config = read(&given).expect("it is right").expect("it is set");
            assert_eq!(config.signing_secret.is_some(), has_secret);
            assert_eq!(config.app_token.is_some(), has_app_token);
            assert_eq!(config.api_url.as_str(), SLACK_API);
        }
    }

    #[test]
    fn half_of_it_is_refused_with_what_is_missing() {
        for (given, named) in [
            (vec![TOKEN, CHANNEL], "SLACK_SIGNING_SECRET"),
            (vec![TOKEN, APP_TOKEN], "SLACK_CHANNEL"),
            (vec![APP_TOKEN, CHANNEL], "SLACK_BOT_TOKEN"),
            (
                vec![TOKEN, CHANNEL, ("SLACK_APP_TOKEN", "xoxb-2")],
                "SLACK_APP_TOKEN",
            ),
            (
                vec![("SLACK_BOT_TOKEN", "xapp-1"), CHANNEL, SECRET],
                "SLACK_BOT_TOKEN",
            ),
        ] {
            let error = read(&given).expect_err("it is half set").to_string();
            assert!(error.starts_with(named), "{given:?}: {error}");
            assert!(!error.contains("xoxb-2"), "no secret is shown: {error}");
        }
    }
}
