//! Slack's Web API and signatures: one client for the real service and for the playground.

mod client;
pub mod family;
mod message;
mod pace;
pub mod scopes;
#[cfg(test)]
pub mod scripted;
mod signature;
mod trouble;

pub use client::{Channel, Client, Identity, Posted};
pub use message::*;
pub use pace::Pace;
pub use signature::is_signed;
pub use trouble::Error;

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
