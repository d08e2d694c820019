//! The vocabulary every room shares: traces, labels, evals, outcomes. No I/O.

mod bounded;
mod eval;
mod hash;
mod ids;
mod label;
pub mod lenient;
mod markup;
mod origin;
mod outcome;
mod session;
mod text;
mod time;
mod trace;

pub use bounded::{bounded, is_deeper_than, parsed};
pub use eval::{Criterion, EvalSource};
pub use hash::{same_secret, sha256_hex};
pub use ids::{AnnotatorId, EvalId, TraceId, VersionId, WorkspaceId};
pub use label::{AnnotatorLabel, Class, LabelUnit, LabelledTrace, Thumb, consensus};
pub use markup::escape_markup;
pub use origin::Origin;
pub use outcome::{ErrorKind, Outcome, RunError, TOO_DEEP, Verdict};
pub use session::{Session, SessionError};
pub use text::{head, one_line, tail};
pub use time::utc;
pub use trace::{Message, Observation, ToolCall, Trace, session_group};
