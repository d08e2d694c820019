//! Which kind of eval to write: cross-validated on labels that its candidates were not written from.
//!
//! A candidate agrees best with the labels that it was written and mended from, so those say little. The labels are cut
//! into [`PARTS`] parts, groups whole. From all parts but one the LLM is given criteria, writes candidates of every kind
//! and mends them, without a word of that one; the best of each kind is then run on it, and so on for each part. What is
//! compared is thus the way a kind of eval comes about, on every label once, each unseen. The kind that agrees best, or a
//! simpler one less than a standard error below it, is then written once more from all labels: that is the eval. Held-out labels
//! judge it later.
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

/// How a kind did on labels that its candidates were not written from.
pub struct Crossed {
    /// The kind.
    pub kind: Kind,
    /// The candidates, the best of each part.
    pub candidates: Vec<Tried>,
    /// On the labels that they had not seen.
    pub unseen: Score,
    /// The same, part by part.
    pub parts: Vec<Unseen>,
    /// The heaviest candidate's.
    weight: Weight,
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
    let mut crossed: Vec<Crossed> = Vec::new();
    for (at, unseen) in parts.iter().enumerate() {
        let others = parts.iter().enumerate().filter(|(other, _)| *other != at);
        let seen: Vec<&Decided<'_>> = others.flat_map(|(_, part)| part.iter().copied()).collect();
        let shown = shown(desk, seen)?;
        let of_part = part(desk, &shown, unseen, at + 1)?;
        if at > 0 && desk.ended().is_some() {
            // What came of this part is not of all kinds; the parts before it are.
            break;
        }
        add(&mut crossed, of_part);
    }
    crossed.retain(|kind| {
        kind.unseen
            .balanced()
            .is_some_and(|balanced| balanced > GUESS)
    });
    Ok(Some(in_order(crossed)))
}

/// Every kind, written from some labels and judged on others.
fn part(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    unseen: &[&Decided<'_>],
    number: usize,
) -> Result<Vec<Crossed>, WriteError> {
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
        let score = Score::new(unseen, &outcomes);
        let part = Unseen {
            labels: unseen.iter().map(|label| label.at).collect(),
            right: score.right(),
        };
        all.push(Crossed {
            kind,
            unseen: score,
            parts: vec![part],
            weight: written
                .as_ref()
                .map_or_else(Weight::default, |tried| tried.weight),
            candidates: written.into_iter().collect(),
        });
    }
    Ok(all)
}

fn add(crossed: &mut Vec<Crossed>, of_part: Vec<Crossed>) {
    for new in of_part {
        let Some(at) = crossed.iter().position(|known| known.kind == new.kind) else {
            crossed.push(new);
            continue;
        };
        let known = &mut crossed[at];
        known.unseen = std::mem::take(&mut known.unseen).and(&new.unseen);
        known.weight = known.weight.max(new.weight);
        known.candidates.extend(new.candidates);
        known.parts.extend(new.parts);
    }
}

/// The preferred one first, then the preferred one of the rest.
fn in_order(mut crossed: Vec<Crossed>) -> Vec<Crossed> {
    let mut order = Vec::new();
    loop {
        let scored: Vec<_> = crossed
            .iter()
            .map(|kind| (&kind.unseen, kind.weight))
            .collect();
        let Some(at) = best(&scored) else {
            return order;
        };
        order.push(crossed.remove(at));
    }
}
