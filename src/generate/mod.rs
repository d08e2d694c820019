//! Labels become an eval, by two generators behind one face: rules, which need no LLM, and an LLM.
//!
//! In: labels, and traces without any. Out: a new, immutable eval version, or a sentence that says why there is none yet.
//! What must stay true: [`choose`] alone hands labels to the generators; no held-out label shapes an eval or chooses one.

pub mod choose;
mod contest;
mod folds;
mod job;
mod offer;
mod progress;
mod refine;
mod rules;
mod split;
mod store;
mod submit;
mod turn;
mod wish;
pub mod written;

pub use choose::{Order, Which, make};
pub use job::{Asked, EVAL_NAME, ask_for_eval, attempt_after, generate_eval};
pub use offer::{Comparison, Descent, Gain, Made, Maker, Making, NotYet, Offer, Over, Versus};
pub use progress::{Progress, progress};
pub use refine::{refine, refine_evals};
pub use rules::{
    CrossValidated, CrossValidation, Generation, InducedEval, MIN_OF_EACH_CLASS, Predicate,
    Settings, generate, generate_with,
};
pub use split::{CROSS_VALIDATE_BELOW, Split, is_development, split};
pub use submit::{Submitted, fault, submit};
