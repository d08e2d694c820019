//! Slack's Web API and signatures: one client for the real service and for the playground.

mod client;
mod message;
mod oauth;
pub mod scopes;
#[cfg(test)]
pub mod scripted;
mod signature;

pub use client::{Client, Error, Identity, Posted};
pub use message::*;
pub use oauth::{Grant, OAuth};
pub use signature::is_signed;
