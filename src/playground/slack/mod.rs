//! The stand-in for Slack: one team, its channels, and the Web API that apps talk to.
//!
//! What comes in: calls of the Web API (`api`), uploads (`files`), and what people do: clicks (`clicks`),
//! and the rest (`people`). What goes out, signed as Slack signs it (`deliver`) or, once the app has opened Socket Mode, by a
//! connection of it (`socket`): interactions, commands, and events (`events`). What an administrator may do to an app is in `standing`. Everything that a team would still show tomorrow is in
//! a journal before it is answered for. Nothing here knows what iofold's messages mean.

mod api;
mod arguments;
mod blocks;
mod clicks;
mod conversations;
mod deliver;
mod elements;
mod events;
mod files;
mod messages;
mod oauth;
mod people;
mod rate;
mod refusals;
mod socket;
mod standing;
mod state;
mod tickets;
mod views;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::watch;
use url::Url;

pub use api::Refusal;
pub use clicks::ClickError;
pub use elements::Choice;
pub use oauth::{CLIENT_ID, ORG_ID, OTHER_TEAM_ID};
pub use people::COMMAND;
pub use rate::RateLimits;
pub use standing::{GRANTED, Standing};
pub use state::{
    APP_ID, BOT_USER_ID, Channel, Click, File, Message, Reaction, State, TEAM_ID, User,
};
pub use views::View;

use self::rate::RateCounter;
use self::refusals::Ordered;
use self::socket::Sockets;
use self::state::Entry;
use super::journal::Journal;

/// How patient the stand-in is, and how slow; Slack's own times by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// An app must acknowledge within this (docs.slack.dev, "Handling user interaction").
    pub acknowledge_within: Duration,
    /// An event that is not acknowledged is sent again after these (docs.slack.dev, "The Events API").
    pub event_retries: [Duration; 3],
    /// A trigger opens a modal this long (docs.slack.dev, "Opening modals").
    pub trigger_lives: Duration,
    /// An uploaded file is processed after this, and a message that shows it is refused until then.
    /// Slack names no time; a second is what small pictures take.
    pub file_ready_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            acknowledge_within: Duration::from_secs(3),
            event_retries: [0, 60, 300].map(Duration::from_secs),
            trigger_lives: Duration::from_secs(3),
            file_ready_after: Duration::from_secs(1),
        }
    }
}

/// What a team is made of.
pub struct TeamConfig {
    /// The channels; the app is in all of them.
    pub channels: Vec<Channel>,
    /// The people; the app's own user comes by itself.
    pub users: Vec<User>,
    /// The app's token.
    pub bot_token: SecretString,
    /// The app's own token, `xapp-…`, by which it opens Socket Mode.
    pub app_token: SecretString,
    /// Signs what goes to the app.
    pub signing_secret: SecretString,
    /// The app's address, ending in a slash: below it are `slack/interactions`, `slack/events` and
    /// `slack/commands`.
    pub service_url: Url,
    /// The team's own address, below which messages have permalinks; ends in a slash.
    pub team_url: Url,
    /// Where this stand-in is mounted, ending in a slash: `…/playground/slack/`.
    pub base_url: Url,
    /// How strictly calls are counted.
    pub rate_limits: RateLimits,
    /// How patient it is, and how slow.
    pub timing: Timing,
}

/// The stand-in; cheap to clone.
#[derive(Clone)]
pub struct Slack(Arc<Parts>);

struct Parts {
    config: TeamConfig,
    /// Each person's own channel with the app.
    direct: Vec<Channel>,
    http: reqwest::Client,
    journal: Journal,
    state: Mutex<State>,
    rates: Mutex<RateCounter>,
    ordered: Mutex<Ordered>,
    sockets: Sockets,
    desk: Mutex<oauth::Desk>,
    changed: watch::Sender<u64>,
}

impl Slack {
    /// The team as its journal left it.
    ///
    /// # Errors
    /// Lines of the journal that are not the stand-in's own.
    pub fn open(config: TeamConfig, journal: Journal, lines: Vec<Value>) -> anyhow::Result<Self> {
        let mut state = State::default();
        for line in lines {
            state.apply(serde_json::from_value(line)?);
        }
        let rates = Mutex::new(RateCounter::new(config.rate_limits));
        let changed = watch::Sender::new(state.change);
        let http = reqwest::Client::builder()
            .timeout(config.timing.acknowledge_within)
            .build()?;
        let direct = config.users.iter().map(Channel::direct).collect();
        Ok(Self(Arc::new(Parts {
            config,
            direct,
            http,
            journal,
            state: Mutex::new(state),
            rates,
            ordered: Mutex::default(),
            sockets: Sockets::default(),
            desk: Mutex::default(),
            changed,
        })))
    }

    /// The Web API under `api/`, uploads under `upload/`, `response_url`s under `actions/`, Socket Mode under `link/`.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(api::routes())
            .merge(files::routes())
            .merge(socket::routes())
            .merge(oauth::routes())
            .with_state(self.clone())
    }

    /// The team's channels.
    pub fn channels(&self) -> &[Channel] {
        &self.0.config.channels
    }

    /// The channel of this id, a direct one among them.
    pub fn channel(&self, id: &str) -> Option<&Channel> {
        let mut all = self.channels().iter().chain(&self.0.direct);
        all.find(|channel| channel.id == id)
    }

    /// The direct channel with the user of this id.
    pub fn direct_channel(&self, user: &str) -> Option<&Channel> {
        self.0.direct.iter().find(|channel| channel.name == user)
    }

    /// The team's people.
    pub fn users(&self) -> &[User] {
        &self.0.config.users
    }

    /// The person of this id or handle.
    pub fn user(&self, id_or_name: &str) -> Option<&User> {
        let mut users = self.users().iter();
        users.find(|user| user.id == id_or_name || user.name == id_or_name)
    }

    /// How patient the stand-in is, and how slow.
    pub fn timing(&self) -> Timing {
        self.0.config.timing
    }

    /// What the team holds now; never kept across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder of the lock panics")
    }

    /// Tells of changes: the number of them so far.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Tells of a change that is none of the team's own.
    pub fn touch(&self) {
        let mut state = self.state();
        state.change += 1;
        self.tell(&state);
    }

    /// Writes the entry down, makes it true, and tells the app of it.
    fn record(&self, state: &mut State, entry: Entry) -> std::io::Result<()> {
        let line = serde_json::to_value(&entry).expect("an entry is JSON");
        self.0.journal.append(&line)?;
        let events = self.events_of(state, &entry);
        state.apply(entry);
        self.tell(state);
        for event in events {
            self.emit(event);
        }
        Ok(())
    }

    fn tell(&self, state: &State) {
        self.0.changed.send_replace(state.change);
    }
}
