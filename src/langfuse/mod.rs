//! Langfuse's public API: one client for the real service and for the playground.
//!
//! Traces are read by whichever of two APIs the server has: v4's observations or v3's traces. Both
//! become a [`TracePayload`]. What comes back is another party's text: it is read leniently and within
//! bounds, and never shows in an error.

mod assemble;
mod budget;
mod client;
mod error;
mod evaluators;
mod filter;
mod pace;
mod payload;
mod plan;
mod reading;
mod score;
pub mod signature;
mod writing;

pub use assemble::ABOUT_TRACE;
pub use budget::{Budget, Priority, Resource};
pub use client::{Api, Client, Health, Project};
pub use error::Error;
pub use evaluators::{CodeEvaluator, Promoted};
pub use filter::Filter;
pub use pace::{Looked, Pace};
pub use payload::{ObservationPayload, TracePayload};
pub use plan::Plan;
pub use reading::{OBSERVATIONS_MAX, Page, TRACES_MAX, Window};
pub use score::{Score, ScoreType, ScoreValue, Subject};
pub use writing::{BATCH_BYTES, Batches, Event, ScoreConfig};

#[cfg(test)]
mod elsewhere_tests;
#[cfg(test)]
mod tests;
