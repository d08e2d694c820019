//! The LLM's generator: criteria from comments and contrasts, candidate evals of several kinds, each tried in the
//! sandbox on development labels and mended by what went wrong, the best by cross-validation, made as small as it goes.
//!
//! In: development labels and an unlabelled pool, all hostile. Out: one Python file, which only ever ran in the sandbox.

mod digest;

pub use digest::{Digest, digest};

use crate::domain::{Criterion, EvalSource, LabelledTrace, Outcome, Trace};
use crate::llm::{LlmError, Usage, Writer};

/// Runs an eval on traces (JSON of schema version 1), an outcome each, in order; `Err` where the host failed.
pub type Try<'t> = &'t (dyn Fn(&EvalSource, &[String]) -> anyhow::Result<Vec<Outcome>> + Sync);

/// What the LLM is to write an eval from.
pub struct Brief<'b> {
    /// The labels that may shape it.
    pub development: &'b [LabelledTrace],
    /// Traces without labels: where verdicts must stay the same while the eval is made smaller.
    pub unlabelled: &'b [Trace],
    /// The version to start from, in a refinement.
    pub from: Option<&'b EvalSource>,
    /// How far to go.
    pub effort: Effort,
    /// Told what is being done, a phrase each: "writing eval 2 of 4".
    pub progress: &'b (dyn Fn(&str) + Sync),
}

/// How far the LLM's generator goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Effort {
    /// The same labels, answers and seed give the same eval.
    pub seed: u64,
    /// How often a candidate's failures are fed back.
    pub rounds: u32,
    /// Characters of labelled traces in a prompt.
    pub material_chars: usize,
}

/// What kind of eval it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A function that the LLM wrote as a whole.
    Function,
    /// Single predicates that the LLM wrote, chosen and combined by the rule learner.
    Predicates,
    /// A question to `judge`.
    Judge,
    /// Code first, `judge` for the rest.
    Hybrid,
}

/// An eval that the LLM wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The Python.
    pub source: EvalSource,
    /// Its docstring.
    pub criterion: Criterion,
    /// What people seem to look at, a sentence each.
    pub criteria: Vec<Criterion>,
    /// What kind it is.
    pub kind: Kind,
    /// Evals that were tried, those thrown out included.
    pub candidates_tried: usize,
    /// Why candidates were thrown out, a sentence each.
    pub thrown_out: Vec<String>,
    /// In a refinement: what changed and why, a sentence each.
    pub changes: Vec<String>,
    /// What it took.
    pub usage: Usage,
}

/// Why the LLM wrote no eval.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The LLM.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The host.
    #[error("the sandbox host failed")]
    Host(#[source] anyhow::Error),
    /// It wrote some, and none is worth an offer.
    #[error("{reason}")]
    None {
        /// A sentence for the channel.
        reason: String,
        /// Evals that were tried.
        candidates_tried: usize,
        /// What it took.
        usage: Usage,
    },
}
