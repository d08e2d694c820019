//! Traces come in: by verified webhooks, by polling Langfuse and reading it backwards, and by OTLP; each is
//! stored once, normalised.
//!
//! Never blocks the sender on slow work, and never believes a payload that it can read again from its
//! source.

mod agents;
mod arrive;
pub mod backfill;
mod deliveries;
mod gone;
mod http;
mod import;
mod job;
mod named;
mod normalise;
mod otlp;
mod poll;
mod read;
mod recorder;
mod sources;
mod store;

pub use agents::receive as receive_agents;
pub use deliveries::ATTEMPTS_MAX;
pub use http::receive;
pub use import::{Imported, import_traces};
pub use job::{backfill_by_command, backfill_traces, handle_deliveries, noted, poll_traces, prune};
pub use named::{last_of_session, read_trace};
pub use normalise::normalise;
pub use otlp::{Intake, assemble_traces, receive as receive_spans};
pub use recorder::Recorder;
pub use sources::read_sources;

#[cfg(test)]
mod tests;
