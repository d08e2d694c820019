//! Traces come in: by verified webhooks and by polling Langfuse; each is stored once, normalised.
//!
//! Never blocks the sender on slow work, and never believes a payload that it can read again from its
//! source.

mod arrive;
mod deliveries;
mod http;
mod job;
mod normalise;
mod poll;
mod store;

pub use http::receive;
pub use job::{handle_deliveries, poll_traces, prune};
pub use normalise::normalise;

#[cfg(test)]
mod tests;
