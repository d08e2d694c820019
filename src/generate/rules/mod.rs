//! The LLM-free generator: labels become the rule list that people would name.
//!
//! A trace is taken apart once (`reading`), measured in every way that people would name (`columns`, `measure`,
//! `vocabulary`, `language`, `trajectory`, `constraints`), and the best rule list of one to three conditions is sought
//! (`search`). It is offered only where shuffled labels hardly ever give one as good and cross-validation, with the whole
//! search inside each fold, says that it beats guessing; the published cross-validation is drawn anew (`evidence`,
//! `validate`, `induce`). It is written out as Python (`emit`, `fragment`, `spoken`, `helpers`, `python`), and every
//! measure here must agree with its Python on every trace.
//!
//! What must stay true: names of models, ids, times, costs and scores are no candidates; text of traces enters the
//! Python as escaped literals only.

mod columns;
mod constraints;
mod emit;
mod evidence;
mod fragment;
mod helpers;
mod induce;
mod json;
mod language;
mod measure;
mod overlap;
mod predicate;
pub(super) mod python;
mod reading;
mod search;
mod spoken;
#[cfg(test)]
mod tests;
mod text;
mod trajectory;
mod unproven;
mod validate;
mod vocabulary;

pub use induce::{
    Generation, InducedEval, MIN_OF_EACH_CLASS, Settings, generate, generate_with, too_few,
};
pub use predicate::Predicate;
pub use reading::says_nothing;
pub use unproven::unproven;
pub use validate::{CrossValidated, CrossValidation};
