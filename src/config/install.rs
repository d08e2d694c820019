use secrecy::SecretString;
use url::Url;

use super::slack::{SLACK_API, app_token, pace_of};
use super::{ConfigError, Environment, default_url, with_slash};
use crate::slack::Pace;
use crate::store;
use crate::vault;

/// The Slack app that many teams install by themselves.
#[derive(Clone, Debug)]
pub struct InstallConfig {
    /// Slack's Web API, ending in a slash.
    pub api_url: Url,
    /// Whose limits are kept.
    pub pace: Pace,
    /// The app's public id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Signs Slack's requests to us; `None` where they come by Socket Mode.
    pub signing_secret: Option<SecretString>,
    /// `xapp-…`: opens Socket Mode.
    pub app_token: Option<SecretString>,
    /// The address below which Slack sends people back.
    pub public_url: Url,
    /// The first channel of the `default` workspace; others are chosen by `/iofold here`.
    pub channel: Option<String>,
}

const ID: &str = "SLACK_CLIENT_ID";
const SECRET: &str = "SLACK_CLIENT_SECRET";

/// Whether teams may install the app.
pub fn is_wanted(environment: &Environment) -> bool {
    environment.first_set(&[ID, SECRET]).is_some()
}

/// The app that many teams install, if one is set.
pub fn install(environment: &Environment) -> Result<Option<InstallConfig>, ConfigError> {
    let Some(set) = environment.first_set(&[ID, SECRET]) else {
        return Ok(None);
    };
    let fix = "Copy Client ID and Client Secret from the Slack app's page, Basic Information";
    let client_id = environment.needed(ID, set, fix)?;
    let client_secret = environment.needed(SECRET, set, fix)?.into();
    // Socket Mode needs no signatures.
    let app_token = app_token(environment)?;
    let signing_secret = match &app_token {
        Some(_) => environment.secret("SLACK_SIGNING_SECRET"),
        None => Some(
            environment
                .needed("SLACK_SIGNING_SECRET", set, SIGNING)?
                .into(),
        ),
    };
    environment.needed("IOFOLD_PUBLIC_URL", set, ADDRESS)?;
    let public_url = environment.url("IOFOLD_PUBLIC_URL")?;
    let api_url = environment.url("SLACK_API_URL")?;
    let api_url = with_slash(api_url.unwrap_or_else(|| default_url(SLACK_API)));
    Ok(Some(InstallConfig {
        pace: pace_of(&api_url),
        api_url,
        client_id,
        client_secret,
        signing_secret,
        app_token,
        public_url: with_slash(public_url.expect("it is set")),
        channel: environment.get("SLACK_CHANNEL").map(str::to_owned),
    }))
}

const SIGNING: &str = "Copy the Signing Secret from the Slack app's page, Basic Information";
const ADDRESS: &str = "Set it to the address where people's browsers and Slack reach iofold, such as https://iofold.example.com";

/// What seals tokens at rest. `None`: the one beside an embedded database.
pub fn secret_key(
    environment: &Environment,
    database_url: &str,
) -> Result<Option<vault::Key>, ConfigError> {
    let name = "IOFOLD_SECRET_KEY";
    let fix = "Make one with `openssl rand -base64 32`, and set the same for every replica";
    let Some(text) = environment.get(name) else {
        return match is_wanted(environment) && store::embedded_path(database_url).is_none() {
            true => Err(ConfigError::new(
                name,
                "is not set, but SLACK_CLIENT_ID and a database on a server are",
                fix,
            )),
            false => Ok(None),
        };
    };
    let key = text.parse();
    let key = key.map_err(|_| ConfigError::new(name, "is not 32 bytes in base64 or hex", fix))?;
    Ok(Some(key))
}

/// Whether labels of other teams' people in shared channels count.
pub fn guests(environment: &Environment) -> Result<bool, ConfigError> {
    match environment.get("IOFOLD_SLACK_GUESTS") {
        Some("yes") => Ok(true),
        None | Some("no") => Ok(false),
        Some(other) => Err(ConfigError::new(
            "IOFOLD_SLACK_GUESTS",
            format!("is `{other}`"),
            "It must be `yes` or `no`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment};

    const APP: [(&str, &str); 4] = [
        (super::ID, "1.2"),
        (super::SECRET, "s3cret"),
        ("SLACK_SIGNING_SECRET", "signs"),
        ("IOFOLD_PUBLIC_URL", "https://iofold.example/below"),
    ];

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let owned = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Config::read(&Environment::from_pairs(owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_app_for_many_teams_needs_no_bot_token_and_no_channel() {
        let config = read(&APP).expect("it is complete");
        assert!(!config.wants_playground() && config.slack.is_none());
        let install = config.install.expect("it is set");
        assert_eq!(install.public_url.as_str(), "https://iofold.example/below/");
        assert_eq!(install.api_url.as_str(), "https://slack.com/api/");
        let traces = [("LANGFUSE_PUBLIC_KEY", "pk"), ("LANGFUSE_SECRET_KEY", "sk")];
        let config = read(&[&APP[..], &traces].concat()).expect("traces may come from Langfuse");
        assert!(config.langfuse.is_some() && config.slack.is_none());
    }

    #[test]
    fn a_half_set_app_names_the_variable() {
        for missing in 0..APP.len() {
            let mut given = APP.to_vec();
            let (name, _) = given.remove(missing);
            let error = read(&given).expect_err("it is half set");
            assert!(error.starts_with(name), "{error}");
        }
        let socket = [APP[0], APP[1], APP[3], ("SLACK_APP_TOKEN", "xapp-1")];
        let environment = socket.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let install = super::install(&Environment::from_pairs(environment));
        let install = install
            .expect("Socket Mode signs nothing")
            .expect("it is set");
        assert!(install.signing_secret.is_none() && install.app_token.is_some());
    }

    #[test]
    fn a_database_on_a_server_needs_a_key_and_a_wrong_one_is_not_shown() {
        let server = ("DATABASE_URL", "postgres://host/db");
        let error = read(&[&APP[..], &[server]].concat()).expect_err("there is no key");
        assert!(error.starts_with("IOFOLD_SECRET_KEY is not set"), "{error}");
        let key = hex::encode([1; 32]);
        let set = ("IOFOLD_SECRET_KEY", key.as_str());
        let config = read(&[&APP[..], &[server, set]].concat()).expect("it is complete");
        assert!(!format!("{config:?}").contains("0101"));
        let error = read(&[("IOFOLD_SECRET_KEY", "hunter2")]).expect_err("it is no key");
        assert!(
            error.starts_with("IOFOLD_SECRET_KEY") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn guests_are_out_unless_they_are_let_in() {
        let guests = |value| read(&[("IOFOLD_SLACK_GUESTS", value)]);
        assert!(!read(&[]).expect("defaults hold").settings.slack_guests);
        assert!(guests("yes").expect("a setting").settings.slack_guests);
        assert!(!guests("no").expect("a setting").settings.slack_guests);
        let error = guests("maybe").expect_err("it is none");
        assert!(error.contains("must be `yes` or `no`"), "{error}");
    }
}
