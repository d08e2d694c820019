//! The mutation score: of good answers that are broken on purpose, how many the eval notices.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Evaluate;
use super::operators::Operator;
use crate::domain::{Trace, Verdict};
use crate::stats::{Interval, wilson};

/// Traces that are broken, at most: more move the score by less than its interval.
pub const TRACES_MAX: usize = 50;
/// Changes with the draw of traces.
const SEED: &str = "iofold mutation score 1";

/// How many breaks an eval notices. An eval on one criterion need not notice all: one that checks the language has
/// no say in a changed number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mutations {
    /// Traces that were broken: people and the eval said pass of each.
    pub traces: u64,
    /// The share of breaks noticed, of those with a verdict; `None` where there are none.
    pub score: Option<f64>,
    /// Wilson's, with as many trials as traces: the breaks of one trace are too alike to count each.
    pub interval: Option<Interval>,
    /// All ways together.
    pub total: Noticed,
    /// Each way that broke a trace.
    pub operators: Vec<OfOperator>,
}

/// What became of broken traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noticed {
    /// Traces that could be broken this way.
    pub broken: u64,
    /// The eval said fail.
    pub noticed: u64,
    /// The eval still said pass.
    pub missed: u64,
    /// It abstained, which is neither.
    pub abstained: u64,
    /// It errored, which is neither; an eval that asks `judge` something new is not answered.
    pub errors: u64,
}

/// The same of one way of breaking.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfOperator {
    /// Which way.
    pub operator: Operator,
    /// What became of them.
    #[serde(flatten)]
    pub noticed: Noticed,
    /// The share noticed, of those with a verdict.
    pub share: Option<f64>,
    /// Wilson's.
    pub interval: Option<Interval>,
}

impl Noticed {
    fn count(&mut self, said: Option<Verdict>) {
        self.broken += 1;
        *match said {
            Some(Verdict::Fail) => &mut self.noticed,
            Some(Verdict::Pass) => &mut self.missed,
            Some(Verdict::Abstain) => &mut self.abstained,
            None => &mut self.errors,
        } += 1;
    }

    fn add(&mut self, other: &Self) {
        self.broken += other.broken;
        self.noticed += other.noticed;
        self.missed += other.missed;
        self.abstained += other.abstained;
        self.errors += other.errors;
    }

    /// Broken traces on which the eval gave a verdict.
    pub fn judged(&self) -> u64 {
        self.noticed + self.missed
    }

    fn share(&self) -> Option<f64> {
        (self.judged() > 0).then(|| self.noticed as f64 / self.judged() as f64)
    }
}

/// Some [`TRACES_MAX`] of `all`, by their ids alone: the same ones each time.
pub fn draw<T>(mut all: Vec<T>, id: impl Fn(&T) -> &str) -> Vec<T> {
    all.sort_by_cached_key(|one| Sha256::digest(format!("{SEED}\n{}", id(one))));
    all.truncate(TRACES_MAX);
    all
}

/// Breaks each of `passing`, of which people and the eval say pass, and counts what `evaluate` says then. `None`
/// without traces.
///
/// # Errors
/// The host failed.
pub fn mutation_score(
    passing: &[Trace],
    evaluate: Evaluate<'_>,
) -> anyhow::Result<Option<Mutations>> {
    let mut found = Operator::ALL.map(|operator| (operator, Noticed::default()));
    for (at, trace) in passing.iter().enumerate() {
        let other = another(passing, at);
        let broken = found.iter_mut().filter_map(|(operator, noticed)| {
            let broken = operator.apply(trace, other)?;
            Some((noticed, broken))
        });
        let (noticed, broken): (Vec<_>, Vec<_>) = broken.unzip();
        for (noticed, outcome) in noticed.into_iter().zip(evaluate(&broken)?) {
            noticed.count(outcome.verdict());
        }
    }
    Ok((!passing.is_empty()).then(|| sum_up(passing.len() as u64, &found)))
}

/// The next trace's answer that is another one.
fn another(passing: &[Trace], at: usize) -> Option<&str> {
    let own = passing[at].output_text.as_str();
    let others = passing[at + 1..].iter().chain(&passing[..at]);
    let mut answers = others.map(|trace| trace.output_text.as_str());
    answers.find(|answer| *answer != own && !answer.is_empty())
}

fn sum_up(traces: u64, found: &[(Operator, Noticed)]) -> Mutations {
    let mut total = Noticed::default();
    found.iter().for_each(|(_, noticed)| total.add(noticed));
    let score = total.share();
    let trials = traces.min(total.judged()) as f64;
    let of_operator = |(operator, noticed): &(Operator, Noticed)| OfOperator {
        operator: *operator,
        noticed: *noticed,
        share: noticed.share(),
        interval: wilson(noticed.noticed as f64, noticed.judged() as f64),
    };
    let used = found.iter().filter(|(_, noticed)| noticed.broken > 0);
    Mutations {
        traces,
        score,
        interval: score.and_then(|score| wilson(score * trials, trials)),
        total,
        operators: used.map(of_operator).collect(),
    }
}

#[cfg(test)]
#[path = "mutate_tests.rs"]
mod tests;
