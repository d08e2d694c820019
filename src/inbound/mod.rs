//! What comes from Slack, by whichever way: clicks and modals, slash commands, events.
//!
//! A way in verifies that a payload is Slack's and hands it to [`handle`]; the room that it concerns writes its
//! rows before the answer, which Slack awaits for three seconds, and calls Slack after it. A workspace is
//! found by its team and by where its message stands, never by what a payload carries of ours.

mod channel;
mod command;
mod event;
mod home;
mod http;
mod interaction;
mod owner;
mod person;
mod reaction;
mod reply;
mod socket;
mod store;
mod swipe;
mod thumb;

use serde_json::Value;

use crate::app::App;
use crate::error::ApiError;

pub use command::Command;
pub use home::Homes;
pub use http::{receive_command, receive_event, receive_interaction};
pub use owner::{card_at, counts};
pub use socket::{SocketMode, keep_sockets};
pub use store::prune;

/// What is said back at once; `None` is an empty answer.
pub type Answer = Option<Value>;

/// A verified payload.
pub enum Inbound {
    /// A click, a submitted or a closed modal: `payload` of `/slack/interactions`.
    Interaction(Value),
    /// A slash command.
    Command(Command),
    /// The envelope of an event, `event_callback`.
    Event(Value),
}

/// Sends a payload to its room.
///
/// # Errors
/// What is not a payload of Slack's, and the database's.
pub async fn handle(app: &App, inbound: Inbound) -> Result<Answer, ApiError> {
    match &inbound {
        Inbound::Interaction(payload) | Inbound::Event(payload) => app.orgs.note(payload),
        Inbound::Command(command) => app.orgs.note(&command.place()),
    }
    match inbound {
        Inbound::Interaction(payload) => interaction::handle(app, payload).await,
        Inbound::Command(command) => Ok(command::handle(app, &command).await?),
        Inbound::Event(envelope) => {
            event::handle(app, envelope).await?;
            Ok(None)
        }
    }
}

fn malformed(problem: &str) -> ApiError {
    ApiError::Malformed(problem.to_owned())
}
