//! Slack's Web API and signatures: one client for the real service and for the playground.

mod client;
#[cfg(test)]
#[path = "../../tests/judged/mod.rs"]
pub mod judged;
mod message;
#[cfg(test)]
pub mod scripted;
mod signature;

pub use client::{Client, Error, Identity, Posted};
pub use message::*;
pub use signature::is_signed;
