//! Why a verdict is what it is, on request: the lines of the eval that ran and the one that decided, the words of the
//! trace that it decided on, the smallest change to the trace that flips it, and how many breaks of good answers an
//! eval notices.
//!
//! In: an eval's source and traces, all hostile. Out: what a person reads. Everything of the eval runs in the sandbox.
//! What must stay true: the verdict that is shown is the plain run's; an eval that fools the tracer spoils its own
//! explanation and nothing else; the same eval and trace give the same explanation; nobody is asked (`judge` answers
//! what it answered before).

mod change;
mod edit;
mod flip;
mod literals;
mod mutate;
mod observed;
mod operators;
mod propose;
mod text;
mod told;
mod traced;
mod words;

pub use edit::{Edit, Part};
pub use flip::{Flip, NoFlip, flip};
pub use literals::literals;
use mutate::mutation_score;
pub use mutate::{Mutations, Noticed, OfOperator, draw};
pub use observed::{Explanation, Step, StepKind, Unexplained};
pub use operators::Operator;
pub use traced::explain;
pub use words::{Place, Word};

use std::ops::ControlFlow;

use anyhow::anyhow;

use crate::domain::{EvalSource, Outcome, Trace};
use crate::run::repeat;
use crate::sandbox::{Answers, Sandbox};

/// Runs one eval on traces, an outcome each, in order; `Err` where the host failed.
pub type Evaluate<'e> = &'e dyn Fn(&[Trace]) -> anyhow::Result<Vec<Outcome>>;

/// The mutation score of `source` on traces that it and people say pass of; nothing that it asks `judge` is answered.
/// `None` without traces. Blocks.
///
/// # Errors
/// The host failed.
pub fn mutations(
    sandbox: &Sandbox,
    source: &EvalSource,
    passing: &[Trace],
) -> anyhow::Result<Option<Mutations>> {
    let nothing_known = Answers::default();
    mutation_score(passing, &|traces| {
        evaluate(sandbox, source, &nothing_known, traces)
    })
}

/// Runs `source` on each trace with what `judge` is known to answer; nobody is asked. Blocks.
///
/// # Errors
/// The host failed.
pub fn evaluate(
    sandbox: &Sandbox,
    source: &EvalSource,
    answers: &Answers,
    traces: &[Trace],
) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(traces.len());
    if answers.is_empty() {
        let traces = traces.iter().map(|trace| ((), trace.to_json()));
        sandbox.evaluate_in_order(source.as_str(), traces, |(), _, outcome| {
            outcomes.push(outcome);
            ControlFlow::Continue(())
        });
    } else {
        let ran = traces
            .iter()
            .map(|trace| repeat(sandbox, source, &trace.to_json(), answers.clone()));
        outcomes.extend(ran.map(|ran| ran.outcome));
    }
    match outcomes.iter().find_map(Outcome::host_failure) {
        Some(error) => Err(anyhow!("the sandbox host failed: {error}")),
        None => Ok(outcomes),
    }
}
