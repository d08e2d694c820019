//! How well a candidate agrees with people, and which of two is to be preferred.

use std::fmt;

use super::labels::Decided;
use crate::domain::{Class, Outcome};

/// Whether a candidate is right, for each label. An error, and an abstention, agree with nobody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    of: Vec<(Class, bool)>,
}

impl Score {
    /// Outcomes against labels, in order.
    pub fn new(labels: &[&Decided<'_>], outcomes: &[Outcome]) -> Self {
        let right = |label: &&Decided<'_>, outcome: Option<&Outcome>| {
            outcome.and_then(Outcome::class) == Some(label.class)
        };
        let of = labels
            .iter()
            .enumerate()
            .map(|(at, label)| (label.class, right(label, outcomes.get(at))));
        Self { of: of.collect() }
    }

    /// This one, and another on other labels.
    pub fn and(mut self, other: &Self) -> Self {
        self.of.extend(&other.of);
        self
    }

    /// Whether it is right, for each label.
    pub fn right(&self) -> Vec<bool> {
        self.of.iter().map(|(_, right)| *right).collect()
    }

    /// Labels.
    pub fn total(&self) -> usize {
        self.of.len()
    }

    /// Labels on which it is right.
    pub fn agreed(&self) -> usize {
        self.of.iter().filter(|(_, right)| *right).count()
    }

    /// The mean of the agreement on 👍 and that on 👎; `None` where a class is missing.
    pub fn balanced(&self) -> Option<f64> {
        let share = |class| {
            mean(
                self.of
                    .iter()
                    .filter(move |(of, _)| *of == class)
                    .map(|(_, right)| f64::from(u8::from(*right))),
            )
        };
        Some((share(Class::Pass)? + share(Class::Fail)?) / 2.0)
    }

    /// By how much this one's balanced agreement is above another's on the same labels, in standard errors of that
    /// difference. `None` where they are right for the same labels: nothing tells them apart.
    ///
    /// Paired: labels on which both are right, or both wrong, say nothing, so that the error is that of the others.
    pub fn above(&self, other: &Self) -> Option<f64> {
        let differences = |class| {
            let both = self.of.iter().zip(&other.of);
            let of = both.filter(move |((of, _), _)| *of == class);
            of.map(|((_, here), (_, there))| {
                f64::from(u8::from(*here)) - f64::from(u8::from(*there))
            })
            .collect::<Vec<f64>>()
        };
        let (passes, fails) = (differences(Class::Pass), differences(Class::Fail));
        let difference = mean(passes.iter().copied())? + mean(fails.iter().copied())?;
        let error = (variance_of_mean(&passes) + variance_of_mean(&fails)).sqrt();
        (error > 0.0 || difference != 0.0).then(|| difference / error.max(f64::MIN_POSITIVE))
    }
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let count = values.clone().count();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

/// The square of the mean's standard error.
///
/// Of one value the variance is taken as 1, the most that differences of rights and wrongs come to.
fn variance_of_mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let Some(mean) = mean(values.iter().copied()) else {
        return 0.0;
    };
    if values.len() == 1 {
        return if mean == 0.0 { 0.0 } else { 1.0 };
    }
    values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (n - 1.0)
        / n
}

impl fmt::Display for Score {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} of {} labels", self.agreed(), self.total())
    }
}

/// What makes an eval hard to read and to run; the less of it the better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight {
    /// It asks `judge`.
    pub asks: bool,
    /// Lines that are not blank.
    pub lines: usize,
    /// Imports.
    pub imports: usize,
}

/// Standard errors from which on one candidate is better than another. One that is right wherever the other is, and once
/// more, is above it by exactly one: that much is no tie. Less, for rounding.
const BETTER: f64 = 1.0 - 1e-9;

/// The place of the best: of those that tie with the highest balanced agreement, being less than a standard error below
/// it, the simplest, and of those as simple the first. `None` of none.
///
/// All must be scored on the same labels.
pub fn best(of: &[(&Score, Weight)]) -> Option<usize> {
    let balanced = |at: &usize| of[*at].0.balanced().unwrap_or(0.0);
    let all = 0..of.len();
    let top = all.clone().max_by(|a, b| {
        let simpler = of[*b].1.cmp(&of[*a].1);
        balanced(a)
            .total_cmp(&balanced(b))
            .then(simpler)
            .then(b.cmp(a))
    })?;
    let tied = |at: &usize| {
        *at == top
            || of[top]
                .0
                .above(of[*at].0)
                .is_none_or(|errors| errors < BETTER)
    };
    all.filter(tied).min_by_key(|at| (of[*at].1, *at))
}
