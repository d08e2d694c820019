//! Deployed versions score every settled new trace, and the verdict goes back to Langfuse.
//!
//! A trace is scored once for a version; one that changes afterwards is scored again under the same id. One on which
//! a version failed, not by its own doing, waits for the version's next run.

mod job;
mod store;

pub use job::score_traces;
