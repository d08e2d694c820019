//! The second way in: Socket Mode, for services that Slack can't reach.
//!
//! Connections are opened from here and kept: Slack closes one now and then and says so before, and then the next
//! one is open before the old one is left. An envelope is acknowledged after its rows are written, so one whose
//! connection breaks half-way has done its work or is sent again. At a shutdown, what has come is acknowledged
//! first, and nothing more is taken.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{Answer, Command, Inbound, handle, malformed};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::ApiError;
use crate::slack::{self, Envelope, Received, Socket};
use crate::workspace::Health;

/// Connections at once: while one is broken and nobody has noticed, the other one still brings half of the clicks.
/// Slack allows ten an app, those of other machines counted.
const CONNECTIONS: usize = 2;
/// How often a connection is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A connection without one for so long is taken for broken.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// Slack closes a connection about ten seconds after its warning; one that it leaves open is closed from here.
const LEAVES_WITHIN: Duration = Duration::from_secs(30);
/// The first wait between two connections that don't last; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A connection that was there so long lasts, and the next one needs no wait.
const LASTS: Duration = Duration::from_secs(30);

/// The Slack app itself, for opening connections.
pub struct SocketMode {
    client: slack::Client,
    /// How opening them is doing.
    pub health: Health,
}

impl SocketMode {
    /// By the app-level token; `None` where there is none.
    ///
    /// # Errors
    /// The TLS set-up of this machine cannot be read.
    pub fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let one_team = config.slack.as_ref();
        let one_team = one_team.map(|given| (&given.api_url, given.app_token.as_ref()));
        let many = config.install.as_ref();
        let many = many.map(|given| (&given.api_url, given.app_token.as_ref()));
        let Some((api_url, Some(token))) = one_team.or(many) else {
            return Ok(None);
        };
        let client = slack::Client::new(api_url, token)?;
        let health = Health::new("Slack's Socket Mode", Clock::default());
        Ok(Some(Self { client, health }))
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Slack's refusal of the token, or that no connection came about.
    pub async fn open(&self) -> Result<Socket, slack::Error> {
        self.client.open_socket().await
    }
}

/// Opens and keeps the connections of Socket Mode until the service stops, where it is configured.
pub fn keep_sockets(app: &App) {
    if app.socket_mode.is_some() {
        for _ in 0..CONNECTIONS {
            let (app_in_task, stopping) = (app.clone(), app.stopping().clone());
            let kept = stopping.run_until_cancelled_owned(keep_socket(app_in_task));
            app.tasks.spawn(kept);
        }
    }
}

async fn keep_socket(app: App) {
    let Some(socket_mode) = &app.socket_mode else {
        return;
    };
    let mut waits = Waits::default();
    loop {
        let wait = match socket_mode.open().await {
            Ok(socket) => {
                socket_mode.health.recovered();
                let opened = Instant::now();
                let (leaves, left) = oneshot::channel();
                app.tasks.spawn(serve(app.clone(), socket, leaves));
                // It is gone, or will be soon.
                let _ = left.await;
                waits.after(opened.elapsed())
            }
            Err(error) => {
                let problem = format!("no click comes in: {error}");
                socket_mode.health.failed(problem, None);
                waits.because_of(&error)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// How long to wait between two connections.
#[derive(Default)]
struct Waits {
    /// Connections in a row that did not come about or did not last.
    failures: u32,
}

impl Waits {
    /// After a connection that was there for `lasted`.
    fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= LASTS {
            self.failures = 0;
            return Duration::ZERO;
        }
        let doubled = FIRST_WAIT.saturating_mul(2u32.saturating_pow(self.failures));
        self.failures += 1;
        doubled.min(LONGEST_WAIT)
    }

    /// After one that did not come about.
    fn because_of(&mut self, error: &slack::Error) -> Duration {
        let asked = match error {
            slack::Error::RateLimited { retry_after, .. } => *retry_after,
            error if error.is_transient() => Duration::ZERO,
            // Until a person helps.
            _ => LONGEST_WAIT,
        };
        self.after(Duration::ZERO).max(asked)
    }
}

/// An envelope's id and what is said to it.
type Acknowledgement = (String, Answer);

/// Takes envelopes until the connection is gone, or is left; `leaves` is dropped as soon as another one is due.
async fn serve(app: App, mut socket: Socket, leaves: oneshot::Sender<()>) {
    let mut leaves = Some(leaves);
    let mut leaves_at = None;
    let mut heard = Instant::now();
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        tokio::select! {
            received = socket.receive() => {
                heard = Instant::now();
                match received {
                    Some(Received::Envelope(envelope)) => {
                        app.tasks.spawn(take(app.clone(), envelope, acknowledge.clone()));
                    }
                    Some(Received::Disconnect { reason }) => {
                        note_disconnect(&reason);
                        leaves = None;
                        leaves_at.get_or_insert(heard + LEAVES_WITHIN);
                    }
                    Some(Received::Hello { connections }) => {
                        tracing::debug!(connections, "a connection of Socket Mode is open");
                    }
                    Some(Received::Alive) => {}
                    None => return,
                }
            }
            Some((envelope_id, answer)) = acknowledged.recv() => {
                socket.acknowledge(&envelope_id, answer).await;
            }
            _ = ping.tick() => {
                let is_late = leaves_at.is_some_and(|at| Instant::now() > at);
                if is_late || heard.elapsed() > SILENT_MAX || !socket.ping().await {
                    break;
                }
            }
            () = app.stopping().cancelled() => break,
        }
    }
    drop((leaves, acknowledge));
    while let Some((envelope_id, answer)) = acknowledged.recv().await {
        socket.acknowledge(&envelope_id, answer).await;
    }
    socket.close().await;
}

fn note_disconnect(reason: &str) {
    match reason {
        "link_disabled" => tracing::warn!("Socket Mode is switched off on the Slack app's page"),
        "too_many_websockets" => {
            tracing::warn!("the Slack app has ten connections of Socket Mode already")
        }
        _ => tracing::debug!(reason, "Slack will close a connection of Socket Mode"),
    }
}

/// Has an envelope handled and acknowledged. One that could not be is not acknowledged: the person is told, and an
/// event comes again.
async fn take(app: App, envelope: Envelope, to: mpsc::UnboundedSender<Acknowledgement>) {
    let id = envelope.envelope_id.clone();
    let takes_answer = envelope.accepts_response_payload;
    let answer = match dispatch(&app, envelope).await {
        Ok(answer) => answer,
        // Sending the same again can't help.
        Err(error @ ApiError::Malformed(_)) => {
            tracing::warn!(%error, "an envelope of Socket Mode holds nothing that is Slack's");
            None
        }
        Err(error) => {
            tracing::error!(error = ?error, "an envelope of Socket Mode was not handled");
            return;
        }
    };
    let is_empty = |answer: &Value| answer.as_object().is_some_and(serde_json::Map::is_empty);
    let answer = answer.filter(|answer| takes_answer && !is_empty(answer));
    // Without a connection there is nobody to tell.
    let _ = to.send((id, answer));
}

async fn dispatch(app: &App, envelope: Envelope) -> Result<Answer, ApiError> {
    let payload = envelope.payload;
    match envelope.kind.as_str() {
        "interactive" => handle(app, Inbound::Interaction(payload)).await,
        "events_api" => handle(app, Inbound::Event(payload)).await,
        "slash_commands" => {
            let command: Command = serde_json::from_value(payload)
                .map_err(|_| malformed("this is not a slash command: it names no user_id"))?;
            handle(app, Inbound::Command(command)).await
        }
        // What Slack may add.
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: &str = "apps.connections.open";

    #[test]
    fn a_connection_that_lasted_is_replaced_at_once_and_others_after_growing_waits() {
        let mut waits = Waits::default();
        assert_eq!(waits.after(LASTS), Duration::ZERO);
        let growing: Vec<u64> = (0..12)
            .map(|_| waits.after(Duration::ZERO).as_millis() as u64)
            .collect();
        assert_eq!(growing[..4], [250, 500, 1_000, 2_000]);
        assert_eq!(growing[11], 60_000);
        for _ in 0..100 {
            waits.after(Duration::ZERO);
        }
        assert_eq!(waits.after(Duration::ZERO), LONGEST_WAIT);
        assert_eq!(waits.after(LASTS), Duration::ZERO);
        assert_eq!(waits.after(Duration::ZERO), FIRST_WAIT);
    }

    #[test]
    fn a_refused_token_waits_for_a_person_and_a_limit_for_as_long_as_slack_says() {
        let refused = |code: &str| slack::Error::refused(METHOD, code);
        let limited = slack::Error::RateLimited {
            method: METHOD,
            retry_after: Duration::from_secs(40),
        };
        let wait = |error| Waits::default().because_of(&error);
        assert_eq!(wait(refused("invalid_auth")), LONGEST_WAIT);
        assert_eq!(wait(refused("internal_error")), FIRST_WAIT);
        assert_eq!(wait(limited), Duration::from_secs(40));
        let advice = refused("missing_scope").to_string();
        assert!(advice.contains("connections:write"), "{advice}");
    }
}
