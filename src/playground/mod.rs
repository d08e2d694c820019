//! The playground: stand-ins for Slack and Langfuse, and a page on which one can live through the loop.
//!
//! Real recorded traces arrive in the stand-in for Langfuse ([`langfuse`]). The service reads them, and
//! posts its messages to the stand-in for Slack ([`slack`]); neither the service nor its clients can
//! tell the difference. A click on the page goes to the service as Slack's signed interaction. The
//! tests use the same stand-ins, so what a user tries is what is tested.
//!
//! Mounted at `/playground` only by [`crate::app`], and answering only to loopback host names and to no
//! proxy:
//!
//! | Route | For |
//! |---|---|
//! | `GET /playground/` | the page |
//! | `/playground/slack/api/{method}`, `…/upload/v1/…`, `…/actions/…`, `…/link/` | Slack's Web API, uploads, `response_url`s, Socket Mode |
//! | `/playground/langfuse/…` | Langfuse's public API |
//! | `GET /playground/api/channels` | `{channels: [{id, name, topic, workspace, cards, labelled, up, down, wanted, …}]}` |
//! | `GET /playground/api/users` | `{users: [{id, name, real_name}]}`; the page begins as the user `you` |
//! | `GET /playground/api/channels/{id}/messages?user=` | `{messages: [{ts, text, blocks, metadata, replies: […]}]}`, oldest first |
//! | `POST /playground/api/channels/{id}/click` | `{user, ts, action_id, value, selected?, block_id?}`: a click, answered when the service has; `value` is the button's or the option's, `selected` the ticked ones of checkboxes |
//! | `POST /playground/api/channels/{id}/react` | `{user, ts, name, remove?}`: a reaction by its emoji's name, as `+1` |
//! | `POST /playground/api/channels/{id}/say` | `{user, text, thread_ts?}`: a person's message; `{ts}` |
//! | `POST /playground/api/channels/{id}/delete` | `{user, ts}` |
//! | `POST /playground/api/channels/{id}/command` | `{user, text}`: `/iofold` and its text; `{answer}` is what was said at once, or null |
//! | `POST /playground/api/home/open` | `{user}`: the user opens the app's Home |
//! | `GET /playground/api/home?user=` | `{view}`: what the user's Home shows, or null |
//! | `GET /playground/api/views?user=` | `{views: […]}`: the user's open modals, the one in front last |
//! | `POST /playground/api/views/{id}/submit` | `{user, values: {block_id: {action_id: text, option's value, or a list of those}}}`; `{ok: false, errors: {block_id: text}}` leaves it open |
//! | `POST /playground/api/views/{id}/click` | `{user, action_id, value, selected?, block_id?, values?}`: a click in a modal or on the Home, with what stands in its fields |
//! | `POST /playground/api/views/{id}/close` | `{user}` |
//! | `POST /playground/api/channels/{id}/annotators` | `{count}`: the recorded annotators label the next cards |
//! | `POST /playground/api/channels/{id}/release` | `{count}`: the next recorded traces happen now; `{traces: [id]}` |
//! | `GET /playground/api/channels/{id}/traces` | `{traces: […], waiting}`: the newest traces of the channel's project with their scores |
//! | `GET /playground/api/changes?epoch=&after=&user=` | what changed since, as soon as something does; at most 25 s later |
//! | `GET /playground/files/{id}` | an uploaded picture |
//! | `GET /playground/archives/{channel}/p{ts}` | a message's permalink |
//!
//! Users and channels may be given by id or by name. Each POST wants a JSON body, comes from the page's
//! own origin, and is answered with `{ok, …}`; `{ok: false, error}` says what is wrong.
//!
//! What must stay true: secrets are random and made once; all that a team would still show tomorrow
//! survives `kill -9`; more traces arrive by themselves only while somebody watches.

mod annotators;
mod bundled;
mod cards;
mod doors;
mod guard;
pub mod journal;
pub mod langfuse;
mod page;
mod secrets;
pub mod slack;
mod stream;
mod web;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::annotators::Progress;
use self::journal::Journal;
use self::langfuse::{Apis, Langfuse, Limits, Options, ProjectConfig, Recorded};
use self::secrets::Secrets;
use self::slack::{Channel, RateLimits, Slack, Timing, User};
use self::stream::Releases;

pub use self::bundled::refuse_its_database;
pub use self::web::router;

/// The handle of the person at the page.
const YOU: &str = "you";

/// What a playground is made of; tests make their own.
pub struct PlaygroundConfig {
    /// Where the service listens: the stand-ins are below `/playground` there.
    pub address: SocketAddr,
    /// The service's address, ending in a slash: Slack's interactions, events and commands go below it.
    pub service_url: Url,
    /// The channels, each with its project.
    pub places: Vec<PlaceConfig>,
    /// Where journals and secrets are kept; `None` keeps nothing.
    pub folder: Option<PathBuf>,
    /// Whether traces arrive by themselves.
    pub releases_by_itself: bool,
    /// How strictly Slack's stand-in counts calls.
    pub rate_limits: RateLimits,
    /// How patient Slack's stand-in is, and how slow.
    pub slack_timing: Timing,
    /// Which of Langfuse's APIs are there.
    pub apis: Apis,
    /// Langfuse's rate limits.
    pub limits: Limits,
    /// The time between two clicks of the recorded annotators.
    pub annotator_pause: Duration,
    /// The time between two traces that arrive by themselves.
    pub release_pause: Duration,
    /// How many labelled cards the page says are needed.
    pub labels_wanted: usize,
}

/// One channel and its project.
pub struct PlaceConfig {
    /// The workspace's id.
    pub workspace: String,
    /// The channel's name, without `#`.
    pub channel: String,
    /// One line about what arrives there.
    pub topic: String,
    /// The traces that will arrive, in order.
    pub recorded: Vec<Recorded>,
}

impl PlaygroundConfig {
    /// The playground that `make run` shows: three channels with bundled traces, its state beside the
    /// database.
    pub fn bundled(address: SocketAddr, database_url: &str) -> Self {
        Self {
            address,
            service_url: service_url(address),
            places: bundled::places(),
            folder: Some(bundled::folder(database_url)),
            releases_by_itself: true,
            rate_limits: RateLimits::Documented,
            slack_timing: Timing::default(),
            apis: Apis::Both,
            limits: Limits::Open,
            annotator_pause: Duration::from_millis(150),
            release_pause: Duration::from_secs(5),
            labels_wanted: crate::config::Settings::default().labels_to_generate,
        }
    }
}

/// The address of a service that listens at `address`.
pub fn service_url(address: SocketAddr) -> Url {
    url_of(address, "")
}

fn url_of(address: SocketAddr, path: &str) -> Url {
    format!("http://{address}/{path}")
        .parse()
        .expect("a socket address and a plain path make a URL")
}

/// How the service reaches one channel and its project.
pub struct Connection {
    /// The workspace's id.
    pub workspace: String,
    /// Langfuse's base URL.
    pub langfuse_url: Url,
    /// `pk-lf-…`.
    pub public_key: String,
    /// `sk-lf-…`.
    pub secret_key: SecretString,
    /// Slack's Web API, ending in a slash.
    pub slack_api_url: Url,
    /// `xoxb-…`.
    pub bot_token: SecretString,
    /// `xapp-…`.
    pub app_token: SecretString,
    /// The channel's id.
    pub channel: String,
}

/// The stand-ins and what drives them; cheap to clone.
#[derive(Clone)]
pub struct Playground(Arc<Parts>);

struct Parts {
    address: SocketAddr,
    slack: Slack,
    langfuse: Langfuse,
    secrets: Secrets,
    places: Vec<Place>,
    /// Changes with each start: a page that knows another one starts anew.
    epoch: String,
    releases_by_itself: bool,
    annotator_pause: Duration,
    release_pause: Duration,
    labels_wanted: usize,
    watched: stream::Watched,
    stopping: CancellationToken,
}

/// A channel and its project, at work.
struct Place {
    workspace: String,
    channel: String,
    project: String,
    releases: Mutex<Releases>,
    annotators: Mutex<Option<Progress>>,
}

impl Playground {
    /// The playground as its journals left it.
    ///
    /// # Errors
    /// The folder or a journal cannot be read or written.
    pub fn open(config: PlaygroundConfig) -> anyhow::Result<Self> {
        let secrets = Secrets::open(config.folder.as_deref(), &config.places)?;
        let slack = open_slack(&config, &secrets)?;
        let places = config.places.iter().map(place).collect();
        let options = Options {
            journal: config
                .folder
                .as_ref()
                .map(|folder| folder.join("langfuse.jsonl")),
            apis: config.apis,
            limits: config.limits,
            clock: crate::clock::Clock::default(),
        };
        let projects = config
            .places
            .into_iter()
            .map(|place| project(place, &secrets));
        let langfuse = Langfuse::open(projects.collect(), options)?;
        Ok(Self(Arc::new(Parts {
            address: config.address,
            slack,
            langfuse,
            secrets,
            places,
            epoch: uuid::Uuid::new_v4().simple().to_string(),
            releases_by_itself: config.releases_by_itself,
            annotator_pause: config.annotator_pause,
            release_pause: config.release_pause,
            labels_wanted: config.labels_wanted,
            watched: stream::Watched::default(),
            stopping: CancellationToken::new(),
        })))
    }

    /// What the service connects to, a workspace each.
    pub fn places(&self) -> Vec<Connection> {
        self.0
            .places
            .iter()
            .map(|place| self.connection(place))
            .collect()
    }

    fn connection(&self, place: &Place) -> Connection {
        let keys = self.0.secrets.keys_of(&place.workspace);
        Connection {
            workspace: place.workspace.clone(),
            langfuse_url: url_of(self.0.address, "playground/langfuse"),
            public_key: keys.public.clone(),
            secret_key: keys.secret.clone(),
            slack_api_url: url_of(self.0.address, "playground/slack/api/"),
            bot_token: self.0.secrets.bot_token.clone(),
            app_token: self.0.secrets.app_token.clone(),
            channel: place.channel.clone(),
        }
    }

    /// Verifies what comes from the stand-in for Slack.
    pub fn signing_secret(&self) -> SecretString {
        self.0.secrets.signing_secret.clone()
    }

    /// The stand-in for Slack.
    pub fn slack(&self) -> &Slack {
        &self.0.slack
    }

    /// The stand-in for Langfuse.
    pub fn langfuse(&self) -> &Langfuse {
        &self.0.langfuse
    }

    /// The place whose channel has this id or name.
    fn place(&self, id_or_name: &str) -> Option<&Place> {
        let named = |channel: &&Channel| channel.id == id_or_name || channel.name == id_or_name;
        let channel = self.0.slack.channels().iter().find(named)?;
        self.0
            .places
            .iter()
            .find(|place| place.channel == channel.id)
    }
}

fn open_slack(config: &PlaygroundConfig, secrets: &Secrets) -> anyhow::Result<Slack> {
    let path = config
        .folder
        .as_ref()
        .map(|folder| folder.join("slack.jsonl"));
    let (journal, lines) = Journal::open(path.as_deref())?;
    let team = slack::TeamConfig {
        channels: config.places.iter().map(channel).collect(),
        users: users(&config.places),
        bot_token: secrets.bot_token.clone(),
        app_token: secrets.app_token.clone(),
        signing_secret: secrets.signing_secret.clone(),
        service_url: config.service_url.clone(),
        team_url: url_of(config.address, "playground/"),
        base_url: url_of(config.address, "playground/slack/"),
        rate_limits: config.rate_limits,
        timing: config.slack_timing,
    };
    Slack::open(team, journal, lines)
}

fn channel(place: &PlaceConfig) -> Channel {
    Channel {
        id: derived_id("C", &place.workspace),
        name: place.channel.clone(),
        topic: place.topic.clone(),
    }
}

fn place(config: &PlaceConfig) -> Place {
    Place {
        workspace: config.workspace.clone(),
        channel: derived_id("C", &config.workspace),
        project: format!("project-{}", config.workspace),
        releases: Mutex::default(),
        annotators: Mutex::default(),
    }
}

fn project(config: PlaceConfig, secrets: &Secrets) -> ProjectConfig {
    let keys = secrets.keys_of(&config.workspace);
    ProjectConfig {
        id: format!("project-{}", config.workspace),
        name: config.channel,
        public_key: keys.public.clone(),
        secret_key: keys.secret.clone(),
        recorded: config.recorded,
    }
}

/// The person at the page, and everyone who has labelled a recorded trace.
fn users(places: &[PlaceConfig]) -> Vec<User> {
    let recorded = places.iter().flat_map(|place| &place.recorded);
    let labels = recorded.flat_map(|recorded| &recorded.labels);
    let names: BTreeSet<String> = labels.map(|label| label.annotator.to_string()).collect();
    let names = std::iter::once(YOU.to_owned()).chain(names);
    names.map(user).collect()
}

fn user(name: String) -> User {
    let split = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    let (word, number) = name.split_at(split);
    let capital: String = word.chars().take(1).flat_map(char::to_uppercase).collect();
    let rest: String = word.chars().skip(1).collect();
    User {
        id: derived_id("U", &name),
        real_name: format!("{capital}{rest} {number}").trim().to_owned(),
        name,
        is_bot: false,
    }
}

/// An id in Slack's form that is the same for the same name.
fn derived_id(kind: &str, name: &str) -> String {
    let digest = hex::encode_upper(Sha256::digest(name.as_bytes()));
    format!("{kind}{}", &digest[..10])
}

#[cfg(test)]
mod tests;
