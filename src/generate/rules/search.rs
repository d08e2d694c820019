//! The best small rule list on some labels: weighted agreement, less a price for what it is made of.

use super::columns::Column;
use super::measure::{Condition, RuleList, Scale};
use crate::domain::Class;

/// What one more condition must gain, in labels.
const CONDITION_PRICE: f64 = 3.0;
/// What a measure costs the wrong way round (an answer fails for being grounded), in labels.
const REVERSED_PRICE: f64 = 8.0;
/// What a cut costs for each whole that it lies away from where people would put it, in labels.
const UNUSUAL_CUT_PRICE: f64 = 3.0;
/// More do not make a rule that people can keep in mind.
const MAX_CONDITIONS: usize = 3;
/// Rule lists that are carried on to the next length.
const BEAM: usize = 8;
/// How far classes are weighted to count alike: 0 not at all, 1 fully.
const BALANCE: f64 = 0.75;

/// Labels to learn from: the index of a trace in the columns, and its class.
pub type Training<'t> = &'t [(usize, Class)];

/// The best found, with what it is worth.
pub struct Found {
    pub rules: RuleList,
    /// Weighted agreement less prices, in labels, of the best single condition.
    pub score: f64,
    /// The price of its dearest measure, in labels.
    pub dearest: f64,
}

/// Finds the rule list with the best weighted agreement on `training` less its price.
///
/// `None` without columns or with one class only.
pub fn search<'c>(
    columns: impl Iterator<Item = &'c Column> + Clone,
    training: Training<'_>,
) -> Option<Found> {
    let weights = weights(training)?;
    let labels = Labels {
        training,
        weights: &weights,
    };
    let mut singles: Vec<Partial<'c>> = columns
        .clone()
        .flat_map(|column| labels.best_cuts(column))
        .collect();
    // Stable: of equals, the one listed first.
    singles.sort_by(|a, b| b.score.total_cmp(&a.score));
    singles.truncate(BEAM);
    let score = singles.first()?.score;
    let best = labels.lengthen(singles, columns)?;
    Some(Found {
        rules: best.rules(),
        score,
        dearest: best.dearest(),
    })
}

/// The score of the best single condition; what shuffled labels are compared by.
pub fn best_score<'c>(
    columns: impl Iterator<Item = &'c Column>,
    training: Training<'_>,
) -> Option<f64> {
    let weights = weights(training)?;
    let labels = Labels {
        training,
        weights: &weights,
    };
    columns
        .flat_map(|column| labels.best_cuts(column))
        .map(|single| single.score)
        .max_by(f64::total_cmp)
}

/// Each label's weight: classes count nearly alike, and all labels together as many as they are.
fn weights(training: Training<'_>) -> Option<Vec<f64>> {
    let total = training.len() as f64;
    let fails = training
        .iter()
        .filter(|(_, class)| *class == Class::Fail)
        .count() as f64;
    let raw = |class: &Class| match class {
        Class::Fail => (total / fails).powf(BALANCE),
        Class::Pass => (total / (total - fails)).powf(BALANCE),
    };
    let sum: f64 = training.iter().map(|(_, class)| raw(class)).sum();
    let both = fails > 0.0 && fails < total;
    both.then(|| {
        training
            .iter()
            .map(|(_, class)| raw(class) * total / sum)
            .collect()
    })
}

/// The labels of one search.
struct Labels<'t> {
    training: Training<'t>,
    weights: &'t [f64],
}

/// One condition of a partial rule list.
#[derive(Clone, Copy)]
struct Part<'c> {
    column: &'c Column,
    cut: f64,
    at_least: bool,
}

/// A rule list being grown.
#[derive(Clone)]
struct Partial<'c> {
    parts: Vec<Part<'c>>,
    when_met: Class,
    score: f64,
}

impl Part<'_> {
    fn condition(&self) -> Condition {
        Condition {
            measure: self.column.measure.clone(),
            at_least: self.at_least,
            cut: self.cut,
        }
    }

    fn holds(&self, index: usize) -> Option<bool> {
        self.column.values[index].map(|value| (value >= self.cut) == self.at_least)
    }
}

impl Partial<'_> {
    fn rules(&self) -> RuleList {
        let conditions = self.parts.iter().map(Part::condition).collect();
        RuleList {
            conditions,
            when_met: self.when_met,
        }
    }

    fn dearest(&self) -> f64 {
        let prices = self.parts.iter().map(|part| part.column.price);
        prices.fold(0.0, f64::max)
    }

    /// Whether no condition decides on the trace, and none abstains.
    fn leaves_open(&self, index: usize) -> bool {
        self.parts
            .iter()
            .all(|part| part.holds(index) == Some(false))
    }
}

impl<'t> Labels<'t> {
    fn weighted(&self) -> impl Iterator<Item = (usize, Class, f64)> + '_ {
        self.training
            .iter()
            .zip(self.weights)
            .map(|((index, class), weight)| (*index, *class, *weight))
    }

    /// A column's best cut where low values fail, and where they pass; each as a rule for either class.
    fn best_cuts<'c>(&self, column: &'c Column) -> Vec<Partial<'c>> {
        let agreements = self.agreements(column);
        let both = [Class::Fail, Class::Pass].into_iter().flat_map(|low_is| {
            let raw: Vec<f64> = agreements
                .iter()
                .map(|(low_fails, low_passes)| {
                    if low_is == Class::Fail {
                        *low_fails
                    } else {
                        *low_passes
                    }
                })
                .collect();
            let scores = priced(column, smoothed(&raw, column.measure.scale()), low_is);
            let best = scores
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
            best.map(|(at, score)| as_rules(column, column.cuts[at], low_is, *score))
        });
        both.flatten().collect()
    }

    /// For each cut, the weight of what is right if values below it fail, and if they pass.
    fn agreements(&self, column: &Column) -> Vec<(f64, f64)> {
        let mut all = vec![(0.0, 0.0); column.cuts.len()];
        for (index, class, weight) in self.weighted() {
            let Some(value) = column.values[index] else {
                continue;
            };
            for (cut, (low_fails, low_passes)) in column.cuts.iter().zip(&mut all) {
                if (value < *cut) == (class == Class::Fail) {
                    *low_fails += weight;
                } else {
                    *low_passes += weight;
                }
            }
        }
        all
    }

    /// Grows rule lists a condition at a time, as long as each is worth its price; the best of all.
    fn lengthen<'c>(
        &self,
        mut beam: Vec<Partial<'c>>,
        columns: impl Iterator<Item = &'c Column> + Clone,
    ) -> Option<Partial<'c>> {
        let mut best = beam.first()?.clone();
        for _ in 1..MAX_CONDITIONS {
            let mut longer: Vec<_> = beam
                .iter()
                .flat_map(|partial| {
                    columns
                        .clone()
                        .filter_map(|column| self.with_one_more(partial, column))
                })
                .collect();
            longer.sort_by(|a, b| b.score.total_cmp(&a.score));
            longer.truncate(BEAM);
            if let Some(first) = longer.first().filter(|first| first.score > best.score) {
                best = first.clone();
            }
            beam = longer;
        }
        Some(best)
    }

    /// `partial` with the best condition of `column`, if that is worth its price.
    fn with_one_more<'c>(&self, partial: &Partial<'c>, column: &'c Column) -> Option<Partial<'c>> {
        if partial
            .parts
            .iter()
            .any(|part| part.column.measure.clashes(&column.measure))
        {
            return None;
        }
        let open: Vec<_> = self
            .weighted()
            .filter(|(index, ..)| partial.leaves_open(*index))
            .collect();
        let sides = column.cuts.iter().flat_map(|cut| {
            [true, false].map(|at_least| Part {
                column,
                cut: *cut,
                at_least,
            })
        });
        let worth = |part: Part<'c>| {
            let change = open.iter().map(|(index, class, weight)| {
                gain(part.holds(*index), *class == partial.when_met, *weight)
            });
            (
                change.sum::<f64>()
                    - column.price
                    - reversed(column, low_is(part.at_least, partial.when_met)),
                part,
            )
        };
        let (worth, part) = sides.map(worth).max_by(|a, b| a.0.total_cmp(&b.0))?;
        let mut longer = partial.clone();
        longer.parts.push(part);
        longer.score += worth - CONDITION_PRICE;
        (longer.score > partial.score).then_some(longer)
    }
}

/// What changes for a label that was open: it was right where it is not of the class that conditions name.
fn gain(holds: Option<bool>, is_named: bool, weight: f64) -> f64 {
    match (holds, is_named) {
        (Some(false), _) | (None, true) => 0.0,
        (Some(true), true) => weight,
        (Some(true), false) | (None, false) => -weight,
    }
}

/// A single condition that says pass, and its twin that says fail: the same verdicts.
fn as_rules(column: &Column, cut: f64, low_is: Class, score: f64) -> [Partial<'_>; 2] {
    [Class::Fail, Class::Pass].map(|when_met| {
        let at_least = low_is != when_met;
        Partial {
            parts: vec![Part {
                column,
                cut,
                at_least,
            }],
            when_met,
            score,
        }
    })
}

fn low_is(at_least: bool, when_met: Class) -> Class {
    if at_least {
        opposite(when_met)
    } else {
        when_met
    }
}

fn priced(column: &Column, mut scores: Vec<f64>, low_is: Class) -> Vec<f64> {
    let price = column.price + reversed(column, low_is);
    for (score, cut) in scores.iter_mut().zip(&column.cuts) {
        let away = column
            .measure
            .usual_cut()
            .map_or(0.0, |usual| (cut - usual).abs());
        *score -= price + UNUSUAL_CUT_PRICE * away;
    }
    scores
}

fn reversed(column: &Column, low_is: Class) -> f64 {
    match column.low_is {
        Some(plain) if plain != low_is => REVERSED_PRICE,
        _ => 0.0,
    }
}

/// The mean over neighbouring cuts, the nearer the heavier: a cut that is good by chance has poor neighbours.
fn smoothed(raw: &[f64], scale: Scale) -> Vec<f64> {
    let reach: isize = match scale {
        Scale::Flag => return raw.to_vec(),
        Scale::Count => 1,
        Scale::Share => 2,
    };
    let near = |at: isize| raw[at.clamp(0, raw.len() as isize - 1) as usize];
    let mean = |at: isize| {
        let weighted =
            (-reach..=reach).map(|step| ((reach + 1 - step.abs()) as f64, near(at + step)));
        let (weights, sum) = weighted.fold((0.0, 0.0), |(w, s), (weight, value)| {
            (w + weight, s + weight * value)
        });
        sum / weights
    };
    (0..raw.len() as isize).map(mean).collect()
}

/// The other class.
pub fn opposite(class: Class) -> Class {
    match class {
        Class::Pass => Class::Fail,
        Class::Fail => Class::Pass,
    }
}
