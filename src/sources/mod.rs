//! Where traces come from beside Langfuse: LangSmith, OpenAI, files. Each source's form goes in, traces or
//! observations of Langfuse's shape come out, so that everything behind them is one.
//!
//! What comes in is another party's text: it is read leniently and within bounds, never makes this panic, and never
//! shows in an error. Scores are not written back to these.

use chrono::{DateTime, SecondsFormat};

pub mod agents;
pub mod langsmith;
mod line;
pub mod openai;
mod sender;

pub use line::{Lined, read_line};
pub use sender::Error;

/// The key of an observation under which an adapter writes its [`crate::domain::Origin`].
pub const ORIGIN: &str = "origin";

/// Seconds since 1970 as a trace's time; `None` for what no calendar has.
pub(crate) fn rfc3339(seconds: f64) -> Option<String> {
    let millis = (seconds * 1e3).round();
    let is_time = millis.is_finite() && millis > 0.0 && millis < 1e15;
    let time = DateTime::from_timestamp_millis(is_time.then_some(millis as i64)?)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
