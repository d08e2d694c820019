//! The labels that may shape the eval, as the generator handles them.

use std::collections::{BTreeSet, HashSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::domain::{Class, LabelledTrace, Trace, head};
use crate::generate::folds::deal;

/// Characters of input and of output by which two traces are alike.
const COMPARED_CHARS: usize = 2_000;

/// A label that is 👍 or 👎; 😐 is not a class.
pub struct Decided<'b> {
    /// Its place among all labels that may shape the eval.
    pub at: usize,
    /// The label.
    pub label: &'b LabelledTrace,
    /// What people say.
    pub class: Class,
    /// Its name in prompts: the source's own id says nothing to the LLM, and may say too much.
    pub tag: String,
    /// The trace as an eval gets it.
    pub json: String,
}

/// The labels that are 👍 or 👎, tagged in order.
pub fn decided(labels: &[LabelledTrace]) -> Vec<Decided<'_>> {
    let decided = labels
        .iter()
        .enumerate()
        .filter_map(|(at, label)| Some((at, label, label.label.class()?)));
    decided
        .zip(1..)
        .map(|((at, label, class), number)| Decided {
            at,
            label,
            class,
            tag: format!("T{number}"),
            json: label.trace.to_json(),
        })
        .collect()
}

/// How many labels are of a class.
pub fn count(labels: &[&Decided<'_>], class: Class) -> usize {
    labels.iter().filter(|label| label.class == class).count()
}

/// So many labels at most, of the rarer class as many as make half; in the order of their tags.
pub fn drawn<'l, 'b>(labels: &[&'l Decided<'b>], most: usize, seed: u64) -> Vec<&'l Decided<'b>> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let (rare, common) = match count(labels, Class::Fail) <= count(labels, Class::Pass) {
        true => (Class::Fail, Class::Pass),
        false => (Class::Pass, Class::Fail),
    };
    let of = |class| {
        order
            .iter()
            .copied()
            .filter(move |at| labels[*at].class == class)
    };
    let mut kept: Vec<usize> = of(rare).take(most / 2).collect();
    let room = most - kept.len();
    kept.extend(of(common).take(room));
    kept.sort_unstable();
    kept.into_iter().map(|at| labels[at]).collect()
}

/// Parts of the labels: groups whole, each class spread evenly. `None` where a part would lack a class.
pub fn folds<'l, 'b>(
    labels: &'l [Decided<'b>],
    parts: usize,
    seed: u64,
) -> Option<Vec<Vec<&'l Decided<'b>>>> {
    let of_groups: Vec<_> = labels
        .iter()
        .map(|label| (label.label.group.as_str(), label.class))
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let fewest_passes = |fails, all| (all - fails, all);
    let dealt = deal(&of_groups, parts, &mut random, fewest_passes);
    let labels_of = |part: Vec<usize>| part.into_iter().map(|at| &labels[at]).collect();
    let folds: Vec<Vec<&Decided<'_>>> = dealt.into_iter().map(labels_of).collect();
    let whole =
        |fold: &Vec<&Decided<'_>>| count(fold, Class::Fail) > 0 && count(fold, Class::Pass) > 0;
    folds.iter().all(whole).then_some(folds)
}

/// 👍 and 👎 that are alike, the most alike first; each label in one pair at most.
pub fn contrasts<'l, 'b>(labels: &[&'l Decided<'b>]) -> Vec<(&'l Decided<'b>, &'l Decided<'b>)> {
    let words: Vec<HashSet<&str>> = labels
        .iter()
        .map(|label| words(&label.label.trace))
        .collect();
    let of = |class| (0..labels.len()).filter(move |at| labels[*at].class == class);
    let mut pairs: Vec<(f64, usize, usize)> = of(Class::Pass)
        .flat_map(|pass| of(Class::Fail).map(move |fail| (pass, fail)))
        .map(|(pass, fail)| {
            let same = labels[pass].label.group == labels[fail].label.group;
            let alike = overlap(&words[pass], &words[fail]) + f64::from(u8::from(same));
            (alike, pass, fail)
        })
        .collect();
    pairs.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    let mut taken = BTreeSet::new();
    pairs.retain(|(_, pass, fail)| {
        let free = !taken.contains(pass) && !taken.contains(fail);
        if free {
            taken.extend([*pass, *fail]);
        }
        free
    });
    let pair = |(_, pass, fail): (f64, usize, usize)| (labels[pass], labels[fail]);
    pairs.into_iter().map(pair).collect()
}

fn words(trace: &Trace) -> HashSet<&str> {
    [&trace.input_text, &trace.output_text]
        .into_iter()
        .flat_map(|text| head(text, COMPARED_CHARS).split_whitespace())
        .collect()
}

/// Shared words of all words.
fn overlap(a: &HashSet<&str>, b: &HashSet<&str>) -> f64 {
    let shared = a.intersection(b).count();
    let all = a.len() + b.len() - shared;
    if all == 0 {
        0.0
    } else {
        shared as f64 / all as f64
    }
}
