//! Slack's Web API, signatures and Socket Mode: one client for the real service and for the playground.

mod client;
pub mod family;
#[cfg(test)]
#[path = "../../tests/judged/mod.rs"]
pub mod judged;
mod message;
mod oauth;
mod pace;
mod people;
mod respond;
pub mod scopes;
#[cfg(test)]
pub mod scripted;
mod signature;
mod socket;
mod trouble;
mod whisper;

pub use client::{Channel, Client, Identity, Posted};
pub use message::*;
pub use oauth::{Grant, OAuth};
pub use pace::Pace;
pub use people::Person;
pub use signature::is_signed;
pub use socket::{Envelope, Received, Socket};
pub use trouble::Error;
pub use whisper::Whisper;

/// Whether this is the id of a channel (`C…`, `G…`), and not its name.
pub fn is_channel(text: &str) -> bool {
    is_id(text, ['C', 'G'])
}

/// Whether this is the id of a person (`U…`, `W…`).
pub fn is_user(text: &str) -> bool {
    is_id(text, ['U', 'W'])
}

fn is_id(text: &str, first: [char; 2]) -> bool {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    text.len() <= 32 && text.starts_with(first) && text.chars().all(is_part)
}

/// A channel as people see it in `mrkdwn`, by its id or its name.
pub fn channel_name(channel: &str) -> String {
    match is_channel(channel) {
        true => format!("<#{channel}>"),
        false => format!("#{}", escape(channel.trim_start_matches('#'))),
    }
}
