//! Which kind of eval to write: cross-validated on labels that its candidates were not written from.
//!
//! A candidate agrees best with the labels that it was written and mended from, so those say little. The labels are cut
//! into [`PARTS`] parts, groups whole. From all parts but one the LLM is given criteria, writes candidates of every kind
//! and mends them, without a word of that one; the best of each kind is then run on it, and so on for each part. What is
//! compared is thus the way a kind of eval comes about, on every label once, each unseen. The kind that agrees best, or a
//! simpler one less than a standard error below it, is then written once more from all labels: that is the eval. Held-out labels
//! judge it later.
//!
//! The best of several kinds looks better than it is on the labels that chose it. What is said of the eval on a part is
//! therefore that of the kind which the other parts alone prefer.
//!
//! The price, in prompts: for each part one for criteria, one a kind, and up to `rounds` a kind for mending; then the
//! same for one kind from all labels, or for the next one where that fails. With 2 parts, 4 kinds and 2 rounds that is 12
//! at least and 30 as a rule at most; all of a part read their labelled traces from the provider's cache. More parts would
//! show a little more to each candidate, and cost as much again for each.

use super::attempt::{Shown, Tests, Tried};
use super::desk::Desk;
use super::labels::{Decided, folds};
use super::rounds::candidate;
use super::score::{Score, Weight, best};
use super::{Kind, Unseen, WriteError, shown};

/// Parts of the labels.
pub const PARTS: usize = 2;
/// The kinds, the plainest first.
pub const KINDS: [Kind; 4] = [Kind::Function, Kind::Predicates, Kind::Hybrid, Kind::Judge];
/// What a guess comes to.
const GUESS: f64 = 0.5;

/// A kind to prefer to those after it.
pub struct Crossed {
    /// The kind.
    pub kind: Kind,
    /// The candidates, the best of each part.
    pub candidates: Vec<Tried>,
    /// How this way of choosing and writing did, part by part, on labels that had no part in either.
    pub unseen: Vec<Unseen>,
}

/// How a kind did, part by part, on labels that its candidates were not written from.
struct Way {
    kind: Kind,
    parts: Vec<Judged>,
}

/// A part, judged by what was written without it.
struct Judged {
    labels: Vec<usize>,
    score: Score,
    /// Whether the candidate is right, for each label.
    right: Vec<Option<bool>>,
    /// The best candidate, if there is a sound one.
    written: Option<Tried>,
}

impl Way {
    /// On all parts, or all but one.
    fn score(&self, without: Option<usize>) -> Score {
        let parts = self.parts.iter().enumerate();
        let parts = parts.filter(|(at, _)| Some(*at) != without);
        parts.fold(Score::default(), |score, (_, part)| score.and(&part.score))
    }

    fn candidates(&self) -> impl Iterator<Item = &Tried> {
        self.parts.iter().filter_map(|part| part.written.as_ref())
    }

    /// The heaviest candidate's.
    fn weight(&self) -> Weight {
        let weights = self.candidates().map(|tried| tried.weight);
        weights.max().unwrap_or_default()
    }

    fn beats_guessing(&self) -> bool {
        let balanced = self.score(None).balanced();
        balanced.is_some_and(|balanced| balanced > GUESS)
    }
}

/// How each kind did, the one to prefer first; those no better than a guess are left out. `None` where the labels
/// can't be cut.
///
/// # Errors
/// The host failed, or the process ends.
pub fn cross_validated(
    desk: &mut Desk<'_>,
    labels: &[Decided<'_>],
) -> Result<Option<Vec<Crossed>>, WriteError> {
    let Some(parts) = folds(labels, PARTS, desk.brief.effort.seed) else {
        return Ok(None);
    };
    let mut ways: Vec<Way> = Vec::new();
    for (at, unseen) in parts.iter().enumerate() {
        let others = parts.iter().enumerate().filter(|(other, _)| *other != at);
        let seen: Vec<&Decided<'_>> = others.flat_map(|(_, part)| part.iter().copied()).collect();
        let shown = shown(desk, seen)?;
        let of_part = part(desk, &shown, unseen, at + 1)?;
        if at > 0 && desk.ended().is_some() {
            // What came of this part is not of all kinds; the parts before it are.
            break;
        }
        add(&mut ways, of_part);
    }
    Ok(Some(in_order(ways)))
}

/// Every kind, written from some labels and judged on others.
fn part(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    unseen: &[&Decided<'_>],
    number: usize,
) -> Result<Vec<(Kind, Judged)>, WriteError> {
    let tests = Tests::new(unseen.to_vec());
    let mut all = Vec::new();
    for (at, kind) in KINDS.into_iter().enumerate() {
        let (step, steps) = ((number - 1) * KINDS.len() + at + 1, PARTS * KINDS.len() + 1);
        (desk.brief.progress)(&format!("writing eval {step} of {steps}"));
        let written = candidate(desk, shown, kind)?;
        if written.is_none() && desk.ended().is_some() {
            break;
        }
        let outcomes = match &written {
            Some(tried) => desk.run(&tried.source, &tests.traces)?,
            None => Vec::new(),
        };
        let said = unseen.iter().zip(&outcomes);
        let judged = Judged {
            labels: unseen.iter().map(|label| label.at).collect(),
            score: Score::new(unseen, &outcomes),
            right: said
                .map(|(label, outcome)| outcome.is_right(label.class))
                .collect(),
            written,
        };
        all.push((kind, judged));
    }
    Ok(all)
}

fn add(ways: &mut Vec<Way>, of_part: Vec<(Kind, Judged)>) {
    for (kind, judged) in of_part {
        match ways.iter_mut().find(|known| known.kind == kind) {
            Some(known) => known.parts.push(judged),
            None => ways.push(Way {
                kind,
                parts: vec![judged],
            }),
        }
    }
}

/// The preferred one first, then the preferred one of the rest.
fn in_order(ways: Vec<Way>) -> Vec<Crossed> {
    let (mut better, worse): (Vec<Way>, Vec<Way>) = ways.into_iter().partition(Way::beats_guessing);
    let mut order = Vec::new();
    loop {
        let of: Vec<&Way> = better.iter().collect();
        let Some(at) = preferred(&of, None) else {
            return order;
        };
        let unseen = chosen_without(&better, &worse);
        let way = better.remove(at);
        order.push(Crossed {
            kind: way.kind,
            unseen,
            candidates: way
                .parts
                .into_iter()
                .filter_map(|part| part.written)
                .collect(),
        });
    }
}

/// The place of the preferred one by all parts, or all but one; by none, that of the simplest.
fn preferred(of: &[&Way], without: Option<usize>) -> Option<usize> {
    let scores: Vec<Score> = of.iter().map(|way| way.score(without)).collect();
    let weights = of.iter().map(|way| way.weight());
    let scored: Vec<_> = scores.iter().zip(weights).collect();
    best(&scored)
}

/// For each part, how the kind that the other parts prefer did on it; all kinds take part that anything was written of,
/// for those no better than a guess are known only by all parts.
fn chosen_without(better: &[Way], worse: &[Way]) -> Vec<Unseen> {
    let all = better.iter().chain(worse);
    let all: Vec<&Way> = all.filter(|way| way.candidates().count() > 0).collect();
    let parts = all.first().map_or(0, |way| way.parts.len());
    let of_part = |part| {
        let judged = &all[preferred(&all, Some(part))?].parts[part];
        Some(Unseen {
            labels: judged.labels.clone(),
            right: judged.written.as_ref().map(|_| judged.right.clone()),
        })
    };
    (0..parts).filter_map(of_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EvalSource, Outcome, Thumb, Verdict};
    use crate::generate::written::labels::decided;
    use crate::generate::written::tests::{labelled, trace};

    /// Right on both labels, a 👍 and a 👎, of the parts that say so, and wrong on both of the others.
    fn way(kind: Kind, right_on: &[bool]) -> Way {
        let labels = [Thumb::Up, Thumb::Down]
            .into_iter()
            .enumerate()
            .map(|(id, label)| labelled(id, label, trace(id, "a", "b")));
        let labels: Vec<_> = labels.collect();
        let decided = decided(&labels);
        let of: Vec<&Decided<'_>> = decided.iter().collect();
        let part = |(number, right): (usize, &bool)| {
            let verdicts = match right {
                true => [Verdict::Pass, Verdict::Fail],
                false => [Verdict::Fail, Verdict::Pass],
            };
            let outcomes = verdicts.map(|verdict| Outcome {
                result: Ok((verdict, String::new())),
                printed: String::new(),
                fuel: 0,
                duration_us: 0,
            });
            Judged {
                labels: vec![2 * number, 2 * number + 1],
                score: Score::new(&of, &outcomes),
                right: vec![Some(*right); 2],
                written: Some(Tried {
                    kind,
                    source: EvalSource::new(kind.as_str()),
                    changes: Vec::new(),
                    findings: Vec::new(),
                    outcomes: Vec::new(),
                    score: Score::default(),
                    weight: Weight {
                        asks: kind.asks(),
                        ..Weight::default()
                    },
                }),
            }
        };
        Way {
            kind,
            parts: right_on.iter().enumerate().map(part).collect(),
        }
    }

    #[test]
    fn what_is_said_of_a_part_is_of_the_kind_that_the_others_prefer() {
        let good = way(Kind::Function, &[true, true]);
        let order = in_order(vec![good, way(Kind::Judge, &[false, true])]);
        assert_eq!(order.len(), 1, "one is no better than a guess");
        let right = Some(vec![Some(true); 2]);
        assert!(order[0].unseen.iter().all(|part| part.right == right));
        assert_eq!(order[0].unseen[1].labels, [2, 3]);
    }

    #[test]
    fn kinds_that_are_each_right_where_the_other_is_not_have_gained_nothing() {
        let ways = [
            way(Kind::Function, &[true, false]),
            way(Kind::Judge, &[false, true]),
        ];
        let unseen = chosen_without(&ways, &[]);
        let wrong = Some(vec![Some(false); 2]);
        assert!(
            unseen.len() == 2 && unseen.iter().all(|part| part.right == wrong),
            "the other part prefers the wrong one: {unseen:?}"
        );
    }

    #[test]
    fn one_part_alone_chooses_nothing_and_judges_the_simplest() {
        let ways = vec![way(Kind::Judge, &[true]), way(Kind::Function, &[false])];
        let order = in_order(ways);
        assert_eq!(order[0].kind, Kind::Judge);
        assert_eq!(order[0].unseen[0].right, Some(vec![Some(false); 2]));
        assert!(in_order(Vec::new()).is_empty());
    }

    #[test]
    fn a_part_that_nothing_was_written_for_is_not_said_to_be_judged() {
        let mut half = way(Kind::Function, &[true, true]);
        half.parts[1].written = None;
        let unseen = chosen_without(&[half], &[]);
        assert_eq!(unseen[0].right, Some(vec![Some(true); 2]));
        assert_eq!(unseen[1].right, None);
    }
}
