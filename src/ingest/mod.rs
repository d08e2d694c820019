//! Traces come in: by verified webhooks, by polling Langfuse and by OTLP; each is stored once, normalised.
//!
//! Never blocks the sender on slow work, and never believes a payload that it can read again from its
//! source.

mod arrive;
mod deliveries;
mod http;
mod job;
mod normalise;
mod otlp;
mod poll;
mod read;
mod store;

pub use deliveries::ATTEMPTS_MAX;
pub use http::receive;
pub use job::{handle_deliveries, noted, poll_traces, prune};
pub use normalise::normalise;
pub use otlp::{Intake, assemble_traces, receive as receive_spans};
pub use read::{last_of_session, read_trace};

#[cfg(test)]
mod tests;
