//! An eval version over traces: one outcome each, a verdict, an abstention or an error.
//!
//! Everything runs in the sandbox; nothing reaches an eval but its own trace and what `judge` answers. An
//! outcome that another run could only repeat is not run for: what a workspace's rows say of the same eval,
//! interpreter, engine, limits and trace is taken over. One that another run may mend (the clock's doing, the host's
//! or an LLM's) is recorded and runs again, each time after a longer while, so that it holds up no other trace.
//!
//! **`judge`: a run that asks ends, and is repeated from its start with the answer known**, until it asks
//! nothing new. So no instance and no worker waits for a network; a crash in between loses nothing, for the
//! answers are rows; and a run stays a function of its eval, its trace and the answers that it is given, so those
//! in a receipt reproduce it with nobody asked. Repeating costs a millisecond, asking a thousand.

mod evaluate;
mod job;
mod judge;
mod store;

pub use evaluate::{Ran, Runner, repeat};
pub use job::{run_evals, run_on, runner};
pub use judge::{Jury, KnownAnswers, QUESTIONS_MAX, Underway};
pub use store::{AGAIN_AFTER_MS, PendingRun, VersionSource, find_payload, find_source};
