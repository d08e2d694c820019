//! Labels become an eval, by two generators behind one face: rules, which need no LLM, and an LLM.
//!
//! In: development labels, and nothing else of the workspace. Out: a new, immutable eval version, or a sentence that
//! says why there is none yet. What must stay true: no held-out label is read.

mod folds;
mod job;
mod rules;
mod split;
mod store;
pub mod written;

pub use job::{EVAL_NAME, attempt_after, generate_eval};
pub use rules::{
    CrossValidated, CrossValidation, Generation, InducedEval, Predicate, Settings, generate,
    generate_with,
};
pub use split::{CROSS_VALIDATE_BELOW, Split, split};
