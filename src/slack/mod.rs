//! Slack's Web API and signatures: one client for the real service and for the playground.

mod message;

pub use message::*;
