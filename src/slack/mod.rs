//! Slack's Web API, signatures and Socket Mode: one client for the real service and for the playground.

mod client;
#[cfg(test)]
#[path = "../../tests/judged/mod.rs"]
pub mod judged;
mod message;
mod oauth;
mod people;
mod respond;
pub mod scopes;
#[cfg(test)]
pub mod scripted;
mod signature;
mod socket;
mod whisper;

pub use client::{Client, Error, Identity, Posted};
pub use message::*;
pub use oauth::{Grant, OAuth};
pub use people::Person;
pub use signature::is_signed;
pub use socket::{Envelope, Received, Socket};
pub use whisper::Whisper;
