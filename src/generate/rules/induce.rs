//! From labels to an eval, or to the reason why there is none yet.

use super::columns::{Column, columns, format_columns, written};
use super::emit::emit;
use super::predicate::{Predicate, sound, usable};
use super::reading::Reading;
use super::search::{Found, search};
use super::validate::{CrossValidation, Labelled, Table, chance, cross_validate};
use crate::domain::{Class, Criterion, EvalSource, LabelledTrace};
use crate::stats::wilson;

/// What generation can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The same labels and seed give the same eval.
    pub seed: u64,
    /// With fewer 👍 or 👎 nothing is tried: cross-validation needs one to learn from and one to test on.
    pub min_of_each_class: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            min_of_each_class: 2,
        }
    }
}

/// What generation came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Generation {
    /// An eval that beats the majority guess.
    Eval(InducedEval),
    /// None does.
    NotYet {
        /// A sentence for the channel.
        reason: String,
        /// Conditions tried alone.
        candidates_tried: usize,
    },
}

/// An eval learnt from labels.
#[derive(Clone, Debug, PartialEq)]
pub struct InducedEval {
    /// The Python.
    pub source: EvalSource,
    /// The docstring: what a good answer is, in plain words.
    pub criterion: Criterion,
    /// Conditions tried alone.
    pub candidates_tried: usize,
    /// How the same search did on labels that it had not seen.
    ///
    /// The search and its choice of measures run anew in each fold, and whether to offer the eval was decided on other
    /// cuts. One selection remains: both kinds of cuts are of the same labels, so that an eval offered by luck also looks
    /// good here; and each new attempt, on half more labels, is another chance for luck. Where labels were
    /// shuffled, about 1 attempt in 100 was offered, and then reported .78 to .81 where the majority guess was .68
    /// (`cargo bench --bench induction -- --null`). Fresh labels have no part in it.
    pub cross_validation: CrossValidation,
}

/// Folds of the cross-validation: each eval learns from four fifths of the labels.
const FOLDS: u32 = 5;
/// How often, with few labels; each repeat smooths the luck of the cut.
const REPEATS: u32 = 10;
/// From here on fewer repeats are as steady.
const MANY_LABELS: usize = 60;
const REPEATS_OF_MANY: u32 = 4;

/// Learns an eval from labels: deterministic for a seed, and without any I/O.
///
/// 😐 is not a class and is left out. All labels given may shape the eval.
pub fn generate(labels: &[LabelledTrace], settings: &Settings) -> Generation {
    generate_with(labels, &[], settings)
}

/// [`generate`] with more to choose from: predicates that somebody else wrote, with what they say of `labels`.
pub fn generate_with(
    labels: &[LabelledTrace],
    predicates: &[Predicate],
    settings: &Settings,
) -> Generation {
    let decided: Vec<(usize, &LabelledTrace, Class)> = labels
        .iter()
        .enumerate()
        .filter_map(|(at, label)| Some((at, label, label.label.class()?)))
        .collect();
    if let Some(reason) = too_few(&decided, settings.min_of_each_class) {
        return Generation::NotYet {
            reason,
            candidates_tried: 0,
        };
    }
    let training: Vec<_> = decided
        .iter()
        .enumerate()
        .map(|(index, (.., class))| (index, *class))
        .collect();
    let predicates = sound(predicates);
    let readings: Vec<Reading<'_>> = decided
        .iter()
        .map(|(at, label, _)| read(*at, label, &predicates))
        .collect();
    let mut columns = columns(&readings);
    let learnt = format_columns(&readings, &training);
    let usable = usable(predicates, columns.iter().chain(&learnt));
    columns.extend(written(&readings, &usable));
    let material = Material {
        readings: &readings,
        columns: &columns,
        labels: decided
            .iter()
            .map(|(_, label, class)| Labelled {
                id: &label.id,
                group: &label.group,
                class: *class,
            })
            .collect(),
        training,
    };
    material.induce(settings.seed)
}

/// The label's trace, with what the predicates say of it.
fn read<'l>(at: usize, label: &'l LabelledTrace, predicates: &[&Predicate]) -> Reading<'l> {
    let said = |predicate: &&Predicate| {
        let value = predicate.values.get(at).copied().flatten()?;
        Some((predicate.name.clone(), value))
    };
    Reading {
        written: predicates.iter().filter_map(said).collect(),
        ..Reading::new(&label.trace)
    }
}

fn too_few(decided: &[(usize, &LabelledTrace, Class)], least: usize) -> Option<String> {
    let fails = decided
        .iter()
        .filter(|(.., class)| *class == Class::Fail)
        .count();
    let passes = decided.len() - fails;
    if decided.is_empty() {
        return Some("No trace has a 👍 or a 👎 yet.".to_owned());
    }
    let (count, thumb) = if fails < passes {
        (fails, "👎")
    } else {
        (passes, "👍")
    };
    let so_far = match count {
        0 => "No trace has".to_owned(),
        1 => "Only 1 trace has".to_owned(),
        _ => format!("Only {count} traces have"),
    };
    (count < least).then(|| {
        format!("{so_far} a {thumb} so far; it takes at least {least} to see what sets them apart.")
    })
}

/// Measures that cost less are relations and formats: what people name as reasons themselves.
const PLAIN_PRICE: f64 = 0.5;
/// How often shuffled labels may give as good a rule: for rules of plain measures, and for others.
const CHANCE_OF_PLAIN: f64 = 0.04;
const CHANCE_OF_OTHERS: f64 = 0.005;
const SHUFFLES: u32 = 399;
/// Youden's J on labels not seen; with both classes equally common, .3 is 65 % agreement.
///
/// With [`CHANCE_OF_PLAIN`], chosen so that about one attempt in a hundred is offered where labels mean nothing
/// (`cargo bench --bench induction -- --null`).
const LEAST_INFORMEDNESS: f64 = 0.3;
/// Standard errors by which a rule with other measures must clear the majority guess.
const CLEARLY: f64 = 1.5;
/// Makes the seed of the cuts that decide whether to offer from the seed of those that are published.
const DECIDING: u64 = 0x6f66_6665_7221;

/// The labels and what can be said of their traces.
struct Material<'m> {
    readings: &'m [Reading<'m>],
    columns: &'m [Column],
    labels: Vec<Labelled<'m>>,
    training: Vec<(usize, Class)>,
}

impl Material<'_> {
    fn induce(&self, seed: u64) -> Generation {
        let learnt = format_columns(self.readings, &self.training);
        let all = self.columns.iter().chain(&learnt);
        let candidates_tried = all.clone().map(|column| 2 * column.cuts.len()).sum();
        let not_yet = |reason| Generation::NotYet {
            reason,
            candidates_tried,
        };
        let Some(found) = search(all, &self.training) else {
            return not_yet(ALL_ALIKE.to_owned());
        };
        let (source, criterion) = emit(&found.rules);
        let table = self.cross_validate(seed ^ DECIDING).table();
        if !self.beats_guessing(&found, &table, seed) {
            return not_yet(no_better(&criterion, &table));
        }
        Generation::Eval(InducedEval {
            source,
            criterion,
            candidates_tried,
            cross_validation: self.cross_validate(seed),
        })
    }

    fn cross_validate(&self, seed: u64) -> CrossValidation {
        let repeats = if self.labels.len() < MANY_LABELS {
            REPEATS
        } else {
            REPEATS_OF_MANY
        };
        cross_validate(
            self.readings,
            self.columns,
            &self.labels,
            (FOLDS, repeats),
            seed,
        )
    }

    /// Whether the rules are more than luck, and no worse than guessing on labels that they had not seen.
    ///
    /// Luck is measured by shuffling the labels: that corrects for all candidates tried. With relations and formats alone,
    /// agreement may be within its standard error of the majority guess: where few labels fail, the eval is wanted for
    /// those. A rule that uses any other measure must clear the guess.
    fn beats_guessing(&self, found: &Found, table: &Table, seed: u64) -> bool {
        let margin = if found.dearest < PLAIN_PRICE {
            -1.0
        } else {
            CLEARLY
        };
        table.agreement() >= table.majority() + margin * table.majority_error()
            && table.informedness() >= LEAST_INFORMEDNESS
            && self.is_no_luck(found, seed)
    }

    fn is_no_luck(&self, found: &Found, seed: u64) -> bool {
        let accepted = if found.dearest < PLAIN_PRICE {
            CHANCE_OF_PLAIN
        } else {
            CHANCE_OF_OTHERS
        };
        let chance = chance(
            self.readings,
            self.columns,
            &self.labels,
            (found.score, accepted),
            (SHUFFLES, seed),
        );
        chance <= accepted
    }
}

const ALL_ALIKE: &str =
    "The labelled traces are all alike: there is nothing to tell good answers by.";

fn no_better(criterion: &str, table: &Table) -> String {
    let thumb = if table.fails > table.passes {
        "👎"
    } else {
        "👍"
    };
    let n = (table.fails + table.passes) as f64;
    let interval = wilson(table.agreement() * n, n).map_or_else(String::new, |interval| {
        format!(
            " (95 % interval {:.0}–{:.0} %)",
            interval.lo * 100.0,
            interval.hi * 100.0
        )
    });
    format!(
        "No rule tells these labels apart reliably. The best one found (“{}”) is right for {:.0} % of {n} labels while it \
         had not seen them{interval}, which may be luck: always guessing {thumb} is right for {:.0} %. More labels may \
         help; where people judge by what the trace does not show, code cannot.",
        criterion.trim_end_matches('.'),
        table.agreement() * 100.0,
        table.majority() * 100.0,
    )
}
