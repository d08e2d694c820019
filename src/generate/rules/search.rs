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

/// Labels to learn from: the index of a trace in the columns, its class, and what the label counts.
pub type Training<'t> = &'t [(usize, Class, f64)];

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
    let labels = Labels::new(training)?;
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
    let labels = Labels::new(training)?;
    columns
        .flat_map(|column| labels.best_cuts(column))
        .map(|single| single.score)
        .max_by(f64::total_cmp)
}

/// Each label's weight: classes count nearly alike, and all labels together as much as they do.
fn weights(training: Training<'_>) -> Option<Vec<f64>> {
    let sum = |of: &dyn Fn(Class) -> f64| -> f64 {
        let weights = training
            .iter()
            .map(|(_, class, weight)| weight * of(*class));
        weights.sum()
    };
    let total = sum(&|_| 1.0);
    let fails = sum(&|class| f64::from(u8::from(class == Class::Fail)));
    let raw = |class| match class {
        Class::Fail => (total / fails).powf(BALANCE),
        Class::Pass => (total / (total - fails)).powf(BALANCE),
    };
    let all = sum(&raw);
    let of = |class| training.iter().any(|(_, found, _)| *found == class);
    (of(Class::Fail) && of(Class::Pass)).then(|| {
        training
            .iter()
            .map(|(_, class, weight)| weight * raw(*class) * total / all)
            .collect()
    })
}

/// The labels of one search.
struct Labels<'t> {
    training: Training<'t>,
    weights: Vec<f64>,
    /// For fail, against pass.
    tally: Tally,
}

/// What labels weigh, trace by trace: those for something, and those against it.
struct Tally {
    weights: Vec<[f64; 2]>,
    total: [f64; 2],
}

impl Tally {
    /// Of traces with whether they are for it, and their weight.
    fn of(votes: impl Iterator<Item = (usize, bool, f64)>) -> Self {
        let mut weights: Vec<[f64; 2]> = Vec::new();
        let mut total = [0.0; 2];
        for (index, is_for, weight) in votes {
            if weights.len() <= index {
                weights.resize(index + 1, [0.0; 2]);
            }
            let side = usize::from(!is_for);
            weights[index][side] += weight;
            total[side] += weight;
        }
        Self { weights, total }
    }

    /// What lies in each place between the column's cuts, and what in none.
    fn by_place(&self, column: &Column) -> (Vec<[f64; 2]>, [f64; 2]) {
        let mut places = vec![[0.0; 2]; column.cuts.len() + 1];
        let (mut usual, mut none) = (self.total, [0.0; 2]);
        for (index, place) in &column.places.others {
            let Some(weights) = self.weights.get(*index) else {
                continue;
            };
            let place = place.map_or(&mut none, |place| &mut places[place]);
            for side in [0, 1] {
                place[side] += weights[side];
                usual[side] -= weights[side];
            }
        }
        places[column.places.usual] = usual;
        (places, none)
    }
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
    fn new(training: Training<'t>) -> Option<Self> {
        let weights = weights(training)?;
        let votes = training.iter().zip(&weights);
        let tally = Tally::of(
            votes.map(|((index, class, _), weight)| (*index, *class == Class::Fail, *weight)),
        );
        Some(Self {
            training,
            weights,
            tally,
        })
    }

    fn weighted(&self) -> impl Iterator<Item = (usize, Class, f64)> + '_ {
        self.training
            .iter()
            .zip(&self.weights)
            .map(|((index, class, _), weight)| (*index, *class, *weight))
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
        let (places, _) = self.tally.by_place(column);
        let sum = |side: usize| places.iter().map(|place| place[side]).sum::<f64>();
        let (fails, passes) = (sum(0), sum(1));
        let (mut low_fails, mut low_passes) = (0.0, 0.0);
        let below = places[..column.cuts.len()].iter().map(|[fail, pass]| {
            low_fails += fail;
            low_passes += pass;
            (
                low_fails + passes - low_passes,
                low_passes + fails - low_fails,
            )
        });
        below.collect()
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
                    let open = self.open(partial);
                    columns
                        .clone()
                        .filter_map(move |column| with_one_more(partial, &open, column))
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

    /// The labels that `partial` does not decide: for the class that its conditions name, and against it.
    fn open(&self, partial: &Partial<'_>) -> Tally {
        let open = self
            .weighted()
            .filter(|(index, ..)| partial.leaves_open(*index));
        Tally::of(open.map(|(index, class, weight)| (index, class == partial.when_met, weight)))
    }
}

/// `partial` with the best condition of `column`, if that is worth its price; `open` is what `partial` leaves open.
///
/// What was open was right where it is not of the class that conditions name. A trace without a value is decided no more.
fn with_one_more<'c>(
    partial: &Partial<'c>,
    open: &Tally,
    column: &'c Column,
) -> Option<Partial<'c>> {
    let mut parts = partial.parts.iter();
    if parts.any(|part| part.column.measure.clashes(&column.measure)) {
        return None;
    }
    let (places, [_, lost]) = open.by_place(column);
    let all: f64 = places.iter().map(|[named, others]| named - others).sum();
    let mut below = 0.0;
    let sides = column.cuts.iter().zip(&places).flat_map(|(cut, place)| {
        below += place[0] - place[1];
        [(true, all - below), (false, below)].map(|(at_least, gain)| {
            let low_is = low_is(at_least, partial.when_met);
            let worth = gain - lost - column.price - reversed(column, low_is);
            let part = Part {
                column,
                cut: *cut,
                at_least,
            };
            (worth, part)
        })
    });
    let (worth, part) = sides.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let score = partial.score + worth - CONDITION_PRICE;
    (score > partial.score).then(|| {
        let mut parts = partial.parts.clone();
        parts.push(part);
        Partial {
            parts,
            when_met: partial.when_met,
            score,
        }
    })
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
