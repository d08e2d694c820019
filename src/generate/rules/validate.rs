//! How well the search does on labels that it has not seen: repeated stratified cross-validation, with
//! the whole search, and with it the choice of measures, inside each fold.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::columns::{Column, format_columns};
use super::measure::RuleList;
use super::reading::Reading;
use super::search::{best_score, search};
use crate::domain::{Class, Verdict};
use crate::generate::folds::deal;

/// What the search said of each label while it had not seen it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// Parts the labels were cut into.
    pub folds: u32,
    /// How often, each time into other parts.
    pub repeats: u32,
    /// One for each label that is not neutral.
    pub labels: Vec<CrossValidated>,
}

/// One label's out-of-fold verdicts, one a repeat.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct CrossValidated {
    /// The labelled trace's id.
    pub id: String,
    /// What people say.
    pub label: Class,
    /// Repeats in which the eval learnt from the others passed it.
    pub pass: u32,
    /// Repeats in which it failed it.
    pub fail: u32,
    /// Repeats in which it abstained, or nothing could be learnt from the others.
    pub abstained: u32,
}

/// One label as cross-validation needs it.
pub struct Labelled<'l> {
    pub id: &'l str,
    pub group: &'l str,
    pub class: Class,
    /// What it counts.
    pub weight: f64,
}

/// Cross-validates the search.
pub fn cross_validate(
    readings: &[Reading<'_>],
    columns: &[Column],
    labels: &[Labelled<'_>],
    (folds, repeats): (u32, u32),
    seed: u64,
) -> CrossValidation {
    let mut counted: Vec<CrossValidated> = labels.iter().map(uncounted).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let of_groups: Vec<_> = labels
        .iter()
        .map(|label| (label.group, label.class))
        .collect();
    let smallest = |fails, all| (all, fails);
    for _ in 0..repeats {
        for mut fold in deal(&of_groups, folds as usize, &mut random, smallest) {
            fold.sort_unstable();
            let (unseen, seen): (Vec<_>, Vec<_>) =
                (0..labels.len()).partition(|index| fold.binary_search(index).is_ok());
            let training: Vec<_> = seen
                .into_iter()
                .map(|index| (index, labels[index].class, labels[index].weight))
                .collect();
            let learnt = format_columns(readings, &training);
            let tried = columns.iter().chain(&learnt);
            let rules = search(tried, &training).map(|found| found.rules);
            unseen
                .into_iter()
                .for_each(|index| counted[index].count(rules.as_ref(), &readings[index]));
        }
    }
    CrossValidation {
        folds,
        repeats,
        labels: counted,
    }
}

impl CrossValidated {
    fn count(&mut self, rules: Option<&RuleList>, reading: &Reading<'_>) {
        match rules.map_or(Verdict::Abstain, |rules| rules.verdict(reading)) {
            Verdict::Pass => self.pass += 1,
            Verdict::Fail => self.fail += 1,
            Verdict::Abstain => self.abstained += 1,
        }
    }
}

fn uncounted(label: &Labelled<'_>) -> CrossValidated {
    CrossValidated {
        id: label.id.to_owned(),
        label: label.class,
        pass: 0,
        fail: 0,
        abstained: 0,
    }
}

/// The out-of-fold confusion table, averaged over the repeats.
pub struct Table {
    pub fails: usize,
    pub passes: usize,
    pub caught: f64,
    pub passed: f64,
}

impl CrossValidation {
    /// The averaged table.
    pub fn table(&self) -> Table {
        let of = |class: Class| self.labels.iter().filter(move |label| label.label == class);
        let repeats = f64::from(self.repeats);
        Table {
            fails: of(Class::Fail).count(),
            passes: of(Class::Pass).count(),
            caught: of(Class::Fail)
                .map(|label| f64::from(label.fail))
                .sum::<f64>()
                / repeats,
            passed: of(Class::Pass)
                .map(|label| f64::from(label.pass))
                .sum::<f64>()
                / repeats,
        }
    }
}

impl Table {
    /// The share of labels on which verdict and label agree; an abstention does not.
    pub fn agreement(&self) -> f64 {
        (self.caught + self.passed) / self.total()
    }

    /// The agreement of guessing the commoner class every time.
    pub fn majority(&self) -> f64 {
        self.fails.max(self.passes) as f64 / self.total()
    }

    /// The standard error of [`Self::majority`] on so many labels.
    pub fn majority_error(&self) -> f64 {
        let majority = self.majority();
        (majority * (1.0 - majority) / self.total()).sqrt()
    }

    /// Youden's J: the true positive rate less the false alarms; 0 for any guess.
    pub fn informedness(&self) -> f64 {
        self.caught / self.fails as f64 + self.passed / self.passes as f64 - 1.0
    }

    fn total(&self) -> f64 {
        (self.fails + self.passes) as f64
    }
}

/// Sums of weights in another order differ by less; scores that differ at all, by more.
const ROUNDING: f64 = 1e-9;

/// How often shuffled labels give a single condition that scores as well: an upper bound of a permutation test's p-value.
///
/// Stops as soon as it is sure to exceed `accepted`.
pub fn chance(
    readings: &[Reading<'_>],
    columns: &[Column],
    labels: &[Labelled<'_>],
    (score, accepted): (f64, f64),
    (shuffles, seed): (u32, u64),
) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut shuffled: Vec<_> = labels
        .iter()
        .enumerate()
        .map(|(index, label)| (index, label.class, label.weight))
        .collect();
    let mut as_good = 1;
    for _ in 0..shuffles {
        shuffle_classes(&mut shuffled, labels, &mut random);
        let learnt = format_columns(readings, &shuffled);
        let tried = columns.iter().chain(&learnt);
        as_good +=
            u32::from(best_score(tried, &shuffled).is_some_and(|best| best > score - ROUNDING));
        if f64::from(as_good) > accepted * f64::from(shuffles + 1) {
            break;
        }
    }
    f64::from(as_good) / f64::from(shuffles + 1)
}

/// Deals the classes of whole groups to other groups of their size: traces of a group are alike, and so are their labels.
fn shuffle_classes(
    training: &mut [(usize, Class, f64)],
    labels: &[Labelled<'_>],
    random: &mut ChaCha8Rng,
) {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, label) in labels.iter().enumerate() {
        groups.entry(label.group).or_default().push(index);
    }
    let mut of_size: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    for members in groups.into_values() {
        of_size.entry(members.len()).or_default().push(members);
    }
    for groups in of_size.into_values() {
        let mut givers = groups.clone();
        givers.shuffle(random);
        for (taker, giver) in groups.iter().flatten().zip(givers.iter().flatten()) {
            training[*taker] = (*taker, labels[*giver].class, labels[*giver].weight);
        }
    }
}
