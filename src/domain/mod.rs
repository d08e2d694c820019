//! The vocabulary every room shares: traces, labels, evals, outcomes. No I/O.

mod eval;
mod ids;
mod label;
pub mod lenient;
mod markup;
mod outcome;
mod trace;

pub use eval::{Criterion, EvalSource};
pub use ids::{AnnotatorId, EvalId, TraceId, VersionId, WorkspaceId};
pub use label::{AnnotatorLabel, Class, LabelledTrace, Thumb, consensus};
pub use markup::escape_markup;
pub use outcome::{ErrorKind, Outcome, RunError, Verdict};
pub use trace::{Message, Observation, ToolCall, Trace};
