//! Deployed versions score every settled new trace, and the verdict goes back to Langfuse.
//!
//! A trace is scored once for a version; one that changes afterwards is scored again under the same id.

mod job;
mod store;

pub use job::score_traces;
