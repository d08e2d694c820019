//! How well an eval version agrees with people, said honestly.
//!
//! Takes a version's outcomes and people's labels; leaves figures as a row, a message with a picture in
//! Slack, and in its thread the Python and what it gets wrong. Never shows a figure without its n and
//! its interval, and never mixes held-out, cross-validated and fresh labels.

mod decision;
mod differ;
mod explained;
mod fall;
mod figures;
mod job;
mod making;
mod message;
mod picture;
mod refine;
mod refinements;
mod store;
mod summary;
mod text;
mod thread;
mod words;

pub use decision::{Decision, decide};
pub use figures::{Evidence, Figures, Judged, LabelCounts, People, Report, Source};
pub use job::{post_again, post_reports, refresh_reports};
pub use store::State;
pub use summary::{Summary, newest, summaries};
pub use text::text;
