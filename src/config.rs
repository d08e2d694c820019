//! The configuration: the only file that reads the environment.

mod install;
mod langfuse;
mod llm;
mod slack;
mod sources;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::code_evals::Key;
use crate::domain::LabelUnit;
use crate::generate::MIN_OF_EACH_CLASS;
use crate::langfuse::{Filter, Plan};
use crate::llm::LlmConfig;
use crate::sandbox;
use crate::sources::langsmith::LangSmithConfig;
use crate::sources::openai::StoredConfig;
use crate::vault;

pub use install::InstallConfig;
use langfuse::langfuse;
pub use llm::llm;
use slack::slack;
pub use slack::{SLACK_API, SlackConfig};

/// Everything the service is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sqlite://path` or `postgres://…`.
    pub database_url: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How people's browsers reach the service; `None` means the listener's own address.
    pub public_url: Option<Url>,
    /// Langfuse's project of the `default` workspace.
    pub langfuse: Option<LangfuseConfig>,
    /// LangSmith's project, read beside it or instead.
    pub langsmith: Option<LangSmithConfig>,
    /// Whose stored completions the `default` workspace reads.
    pub stored_completions: Option<StoredConfig>,
    /// Signs Langfuse's webhooks; also usable without API keys.
    pub langfuse_webhook_secret: Option<SecretString>,
    /// Lets Langfuse's Web Callouts in.
    pub langfuse_callout_token: Option<SecretString>,
    /// Lets Langfuse's HTTP dispatcher of code evaluators in.
    pub code_eval_token: Option<SecretString>,
    /// Signs the calls of Langfuse's AWS Lambda dispatcher.
    pub lambda_key: Option<Key>,
    /// The Slack app and channel of the `default` workspace.
    pub slack: Option<SlackConfig>,
    /// The Slack app that teams install, beside that one or instead.
    pub install: Option<InstallConfig>,
    /// Seals tokens at rest; `None`: a key beside an embedded database does.
    pub secret_key: Option<vault::Key>,
    /// The LLMs that write evals and answer what evals ask.
    pub llm: Option<LlmConfig>,
    /// How often things happen, and from how many labels on.
    pub settings: Settings,
    /// Where compiled sandbox images are kept between starts.
    pub cache_dir: PathBuf,
    /// The program that sandbox workers are started from: this one.
    pub worker: PathBuf,
}

/// How to reach one Langfuse project.
#[derive(Clone, Debug)]
pub struct LangfuseConfig {
    /// The host, possibly with a path prefix.
    pub base_url: Url,
    /// `pk-lf-…`.
    pub public_key: String,
    /// `sk-lf-…`.
    pub secret_key: SecretString,
    /// What the organisation pays for; `None` where that is not said.
    pub plan: Option<Plan>,
    /// Which traces are read.
    pub filter: Filter,
}

/// Numbers a team may want otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Labelled traces that start the first generation.
    pub labels_to_generate: usize,
    /// Cards posted in a channel within an hour at most.
    pub cards_per_hour: u32,
    /// Time between two looks at Langfuse.
    pub poll_interval: Duration,
    /// A trace is settled when nothing new came for this long.
    pub settle_after: Duration,
    /// What people's thumbs are about.
    pub label_unit: LabelUnit,
    /// Whether labels of another team's people count, in channels shared by Slack Connect.
    pub slack_guests: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            labels_to_generate: 20,
            cards_per_hour: 60,
            poll_interval: Duration::from_secs(10),
            settle_after: Duration::from_secs(30),
            label_unit: LabelUnit::Trace,
            slack_guests: false,
        }
    }
}

impl Settings {
    /// Recorded traces arrive whole and nobody's working day is interrupted: no long waits, no tight budget.
    fn of_playground() -> Self {
        Self {
            cards_per_hour: 600,
            poll_interval: Duration::from_secs(2),
            settle_after: Duration::from_secs(1),
            ..Self::default()
        }
    }
}

/// Below this there are not so many labels of each class as it takes to learn anything.
const LEAST_LABELS_TO_GENERATE: usize = 2 * MIN_OF_EACH_CLASS;

/// A variable that is missing or wrong, and what to do about it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name} {problem}. {fix}")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
    fix: String,
}

impl ConfigError {
    fn new(name: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// The variables that the service reads, blank ones left out.
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's environment, after `.env` in the working directory has filled the gaps.
    pub fn of_process() -> anyhow::Result<Self> {
        match dotenvy::dotenv() {
            Err(error) if !error.not_found() => {
                anyhow::bail!(".env cannot be read: {error}. Correct that line or remove the file")
            }
            _ => Ok(Self::from_pairs(std::env::vars())),
        }
    }

    /// An environment made of these pairs, as tests need it.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let filled = |(name, value): (String, String)| {
            let value = value.trim().to_owned();
            (!value.is_empty()).then_some((name, value))
        };
        Self(pairs.into_iter().filter_map(filled).collect())
    }

    /// A variable's value; `None` where it is not set, or blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }

    fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, ConfigError> {
        let parse = |value: &str| {
            value.parse().map_err(|_| {
                ConfigError::new(
                    name,
                    format!("is `{value}`"),
                    format!("It must be {expected}"),
                )
            })
        };
        self.get(name).map(parse).transpose()
    }

    fn url(&self, name: &'static str) -> Result<Option<Url>, ConfigError> {
        let url: Option<Url> = self.parsed(name, "an http or https address")?;
        match url {
            Some(url) if !matches!(url.scheme(), "http" | "https") => Err(ConfigError::new(
                name,
                format!("is `{url}`"),
                "It must be an http or https address",
            )),
            url => Ok(url),
        }
    }

    fn needed(&self, name: &'static str, beside: &str, fix: &str) -> Result<String, ConfigError> {
        let missing = || ConfigError::new(name, format!("is not set, but {beside} is"), fix);
        self.get(name).map(str::to_owned).ok_or_else(missing)
    }

    fn first_set(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.get(name).is_some())
    }
}

impl Config {
    /// Reads and checks the environment; the error names the variable and the fix.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let database_url = database_url(environment)?;
        let mut config = Self {
            secret_key: install::secret_key(environment, &database_url)?,
            database_url,
            listen: environment
                .parsed(
                    "IOFOLD_LISTEN",
                    "an address and port such as 127.0.0.1:8080",
                )?
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            public_url: environment.url("IOFOLD_PUBLIC_URL")?,
            langfuse: langfuse(environment)?,
            langsmith: sources::langsmith(environment)?,
            stored_completions: sources::stored_completions(environment)?,
            langfuse_webhook_secret: environment.secret("LANGFUSE_WEBHOOK_SECRET"),
            langfuse_callout_token: environment.secret("LANGFUSE_CALLOUT_TOKEN"),
            code_eval_token: environment.secret("IOFOLD_CODE_EVAL_TOKEN"),
            lambda_key: lambda_key(environment)?,
            slack: slack(environment)?,
            install: install::install(environment)?,
            llm: llm(environment)?,
            settings: Settings::default(),
            cache_dir: cache_dir(environment),
            worker: sandbox::this_program(),
        };
        config.check_pairing()?;
        let defaults = match config.wants_playground() {
            true => Settings::of_playground(),
            false => Settings::default(),
        };
        config.settings = settings(environment, defaults)?;
        Ok(config)
    }

    /// How to reach Langfuse, for what needs nothing else.
    pub fn langfuse_of(environment: &Environment) -> Result<Option<LangfuseConfig>, ConfigError> {
        langfuse(environment)
    }

    /// Whether the service should be its own Slack and Langfuse: only with neither configured, and
    /// only where no other machine can reach it.
    pub fn wants_playground(&self) -> bool {
        let is_private =
            self.listen.ip().is_loopback() && self.public_url.as_ref().is_none_or(is_loopback);
        !self.reads_traces() && !self.has_slack() && is_private
    }

    /// Whether there is a Slack app to ask people by.
    pub fn has_slack(&self) -> bool {
        self.slack.is_some() || self.install.is_some()
    }

    fn reads_traces(&self) -> bool {
        self.langfuse.is_some() || self.langsmith.is_some() || self.stored_completions.is_some()
    }

    /// One without the other would read traces and ask nobody, or ask people about nothing.
    fn check_pairing(&self) -> Result<(), ConfigError> {
        let doors = [
            ("a source of traces is configured", self.reads_traces()),
            (
                "LANGFUSE_WEBHOOK_SECRET is",
                self.langfuse_webhook_secret.is_some(),
            ),
            (
                "LANGFUSE_CALLOUT_TOKEN is",
                self.langfuse_callout_token.is_some(),
            ),
        ];
        let open = doors.iter().find(|(_, is_set)| *is_set);
        if let (Some((what, _)), false) = (open, self.has_slack()) {
            return Err(ConfigError::new(
                "SLACK_BOT_TOKEN",
                format!("is not set, but {what}"),
                "Create the Slack app from slack-manifest.yml, then set SLACK_BOT_TOKEN, SLACK_CHANNEL, and \
                 SLACK_SIGNING_SECRET or SLACK_APP_TOKEN; or unset LANGFUSE_*, LANGSMITH_* and \
                 OPENAI_STORED_COMPLETIONS_* for the playground",
            ));
        }
        let traces_arrive = self.reads_traces() || self.langfuse_webhook_secret.is_some();
        if self.slack.is_some() && !traces_arrive {
            return Err(ConfigError::new(
                "LANGFUSE_PUBLIC_KEY",
                "is not set, but Slack is configured",
                "Create an API key in Langfuse's project settings, then set LANGFUSE_PUBLIC_KEY and \
                 LANGFUSE_SECRET_KEY; or set another source's (docs/sources.md); or unset SLACK_* to try the playground",
            ));
        }
        Ok(())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Where the rows are.
pub fn database_url(environment: &Environment) -> Result<String, ConfigError> {
    let url = environment
        .get("DATABASE_URL")
        .unwrap_or("sqlite://data/iofold.db");
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(url.to_owned());
    }
    Err(ConfigError::new(
        "DATABASE_URL",
        "has an unknown scheme",
        "It must start with sqlite:// or postgres://",
    ))
}

fn lambda_key(environment: &Environment) -> Result<Option<Key>, ConfigError> {
    let (id, secret) = (
        "IOFOLD_LAMBDA_ACCESS_KEY_ID",
        "IOFOLD_LAMBDA_SECRET_ACCESS_KEY",
    );
    let Some(set) = environment.first_set(&[id, secret]) else {
        return Ok(None);
    };
    let fix = "Choose one, and set the same as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for Langfuse's worker and web";
    Ok(Some(Key {
        id: environment.needed(id, set, fix)?,
        secret: environment.needed(secret, set, fix)?.into(),
    }))
}

fn settings(environment: &Environment, default: Settings) -> Result<Settings, ConfigError> {
    let seconds = |name, otherwise| {
        let read: Option<u64> = environment.parsed(name, "a whole number of seconds")?;
        Ok(read.map_or(otherwise, Duration::from_secs))
    };
    Ok(Settings {
        labels_to_generate: labels_to_generate(environment)?.unwrap_or(default.labels_to_generate),
        cards_per_hour: environment
            .parsed("IOFOLD_CARDS_PER_HOUR", "a whole number")?
            .unwrap_or(default.cards_per_hour),
        poll_interval: seconds("IOFOLD_POLL_SECONDS", default.poll_interval)?
            .max(Duration::from_secs(1)),
        settle_after: seconds("IOFOLD_SETTLE_SECONDS", default.settle_after)?,
        label_unit: environment
            .parsed("IOFOLD_LABEL_UNIT", "`trace` or `session`")?
            .unwrap_or(default.label_unit),
        slack_guests: install::guests(environment)?,
    })
}

fn labels_to_generate(environment: &Environment) -> Result<Option<usize>, ConfigError> {
    let name = "IOFOLD_LABELS_TO_GENERATE";
    let expected = "a whole number, 6 or more";
    match environment.parsed(name, expected)? {
        Some(few) if few < LEAST_LABELS_TO_GENERATE => Err(ConfigError::new(
            name,
            format!("is `{few}`"),
            format!("It must be {expected}"),
        )),
        read => Ok(read),
    }
}

/// What to log, in `tracing-subscriber`'s words; `None` where that is not set.
pub fn log_filter(environment: &Environment) -> Option<&str> {
    environment.get("RUST_LOG")
}

/// `$XDG_CACHE_HOME/iofold`, else `~/.cache/iofold`, else `data/cache`.
pub fn cache_dir(environment: &Environment) -> PathBuf {
    let home = || {
        environment
            .get("HOME")
            .map(|home| PathBuf::from(home).join(".cache"))
    };
    environment
        .get("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .map_or_else(|| PathBuf::from("data/cache"), |dir| dir.join("iofold"))
}

/// A base that relative paths can be joined to without losing its last segment.
fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

fn default_url(text: &str) -> Url {
    Url::parse(text).expect("the default addresses are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let owned = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Config::read(&Environment::from_pairs(owned))
    }

    const LANGFUSE: [(&str, &str); 2] =
        [("LANGFUSE_PUBLIC_KEY", "pk"), ("LANGFUSE_SECRET_KEY", "sk")];
    const SLACK: [(&str, &str); 3] = [
        ("SLACK_BOT_TOKEN", "xoxb-1"),
        ("SLACK_SIGNING_SECRET", "s"),
        ("SLACK_CHANNEL", "C1"),
    ];

    #[test]
    fn nothing_configured_is_the_playground_on_loopback_only() {
        assert!(read(&[]).expect("defaults hold").wants_playground());
        let open = read(&[("IOFOLD_LISTEN", "0.0.0.0:8080")]).expect("it is an address");
        assert!(!open.wants_playground());
        let behind_a_proxy = read(&[("IOFOLD_PUBLIC_URL", "https://iofold.example")]);
        assert!(!behind_a_proxy.expect("it is an address").wants_playground());
        let local = read(&[("IOFOLD_PUBLIC_URL", "http://localhost:8080")]);
        assert!(local.expect("it is an address").wants_playground());
    }

    #[test]
    fn a_half_set_configuration_names_the_variable_and_the_fix() {
        for (given, missing) in [
            (vec![LANGFUSE[0]], "LANGFUSE_SECRET_KEY"),
            (vec![LANGFUSE[1]], "LANGFUSE_PUBLIC_KEY"),
            (
                vec![("LANGFUSE_HOST", "https://lf.example")],
                "LANGFUSE_PUBLIC_KEY",
            ),
            (LANGFUSE.to_vec(), "SLACK_BOT_TOKEN"),
            (SLACK.to_vec(), "LANGFUSE_PUBLIC_KEY"),
            (vec![SLACK[0]], "SLACK_SIGNING_SECRET"),
            (vec![SLACK[0], SLACK[1]], "SLACK_CHANNEL"),
            (vec![SLACK[2]], "SLACK_BOT_TOKEN"),
            (vec![("LANGFUSE_WEBHOOK_SECRET", "s")], "SLACK_BOT_TOKEN"),
            (vec![("LANGFUSE_CALLOUT_TOKEN", "s")], "SLACK_BOT_TOKEN"),
            (vec![("LANGFUSE_PLAN", "core")], "LANGFUSE_PUBLIC_KEY"),
            (vec![("LANGFUSE_ENVIRONMENTS", "a")], "LANGFUSE_PUBLIC_KEY"),
            (vec![("LANGFUSE_TRACE_NAMES", "a")], "LANGFUSE_PUBLIC_KEY"),
            (vec![("LANGFUSE_TAGS", "a")], "LANGFUSE_PUBLIC_KEY"),
            (vec![("LANGFUSE_FILTER", "[]")], "LANGFUSE_PUBLIC_KEY"),
            (
                vec![("IOFOLD_LAMBDA_ACCESS_KEY_ID", "AKIA1")],
                "IOFOLD_LAMBDA_SECRET_ACCESS_KEY",
            ),
            (
                vec![SLACK[0], SLACK[1], ("SLACK_CHANNEL", "  ")],
                "SLACK_CHANNEL",
            ),
        ] {
            let error = read(&given).expect_err("it is half set").to_string();
            assert!(error.starts_with(missing), "{given:?}: {error}");
            if let [(set, _)] = given[..] {
                assert!(error.contains(set), "names what is set: {error}");
            }
            assert!(error.len() > missing.len() + 40, "says the fix: {error}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_it_must_be() {
        for (name, value) in [
            ("DATABASE_URL", "mysql://x"),
            ("IOFOLD_LISTEN", "8080"),
            ("IOFOLD_PUBLIC_URL", "ftp://x"),
            ("LANGFUSE_BASE_URL", "not an address"),
            ("IOFOLD_CARDS_PER_HOUR", "many"),
            ("IOFOLD_LABELS_TO_GENERATE", "2"),
            ("IOFOLD_LABEL_UNIT", "turn"),
            ("LANGFUSE_PLAN", "gold"),
            ("LANGFUSE_FILTER", "environment=production"),
        ] {
            let mut given = vec![(name, value)];
            if name.starts_with("LANGFUSE_") {
                given.extend(LANGFUSE);
            }
            let error = read(&given).expect_err("it is wrong").to_string();
            assert!(error.contains(name) && error.contains("must"), "{error}");
        }
    }

    #[test]
    fn both_configured_is_the_real_thing() {
        let both: Vec<_> = LANGFUSE.into_iter().chain(SLACK).collect();
        let config = read(&both).expect("it is complete");
        assert!(!config.wants_playground());
        assert!(config.slack.is_some());
        assert_eq!(
            config.langfuse.expect("Langfuse is set").base_url.as_str(),
            "https://cloud.langfuse.com/"
        );
    }

    #[test]
    fn the_playground_does_not_keep_people_waiting_and_a_variable_still_wins() {
        let playground = read(&[("IOFOLD_SETTLE_SECONDS", "7")]).expect("it is a number");
        assert_eq!(playground.settings.settle_after, Duration::from_secs(7));
        assert!(playground.settings.poll_interval < Settings::default().poll_interval);
        let both: Vec<_> = LANGFUSE.into_iter().chain(SLACK).collect();
        let real = read(&both).expect("it is complete");
        assert_eq!(real.settings, Settings::default());
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let both: Vec<_> = LANGFUSE.into_iter().chain(SLACK).collect();
        let shown = format!("{:?}", read(&both).expect("it is complete"));
        assert!(
            !shown.contains("xoxb-1") && !shown.contains("\"sk\""),
            "{shown}"
        );
    }
}
