//! Deployed versions score every settled new trace; their verdicts and people's labels go to Langfuse as scores.
//!
//! A trace is scored once for a version; one that changes afterwards is scored again under the same id. One on which
//! a version failed, not by its own doing, waits for the version's next run. What is to be written is a row first, and
//! stays one until Langfuse has it or will never take it; a score that is at fault holds up no other.

mod job;
mod pending;
mod store;
mod trouble;
mod write;

pub use job::score_traces;
pub use pending::{Backlog, backlog};

#[cfg(test)]
mod tests;
