//! The smallest change to a trace that flips the verdict.

use serde::Serialize;

use super::Evaluate;
use super::change::Change;
use super::edit::Edit;
use super::propose::proposals;
use super::words::Word;
use crate::domain::{Outcome, Trace, Verdict};

/// Runs of one search, at most.
pub const TRIES_MAX: usize = 240;
/// Of them, those kept for making the change smaller.
const KEPT_FOR_SHRINKING: usize = 90;
/// Runs between two looks; fewer of long traces, which are all held meanwhile.
const AT_ONCE: usize = 16;
/// Bytes of traces between two looks.
const BYTES_AT_ONCE: usize = 16 << 20;

/// A change that flips the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    /// What to do, in a phrase: `remove “€40” from the answer`. Hostile text.
    pub change: String,
    /// The changed text before, with a little around it; empty where no text changes.
    pub before: String,
    /// And after.
    pub after: String,
    /// What the eval says then.
    pub verdict: Verdict,
    /// And why.
    pub reason: String,
    /// Runs that it took.
    pub tries: usize,
    /// Whether no part of the change can be left out.
    pub is_minimal: bool,
    /// The trace with the change.
    #[serde(skip)]
    pub trace: Trace,
}

/// None was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NoFlip {
    /// Runs that were made.
    pub tries: usize,
}

/// Searches for a small change to `trace` after which the eval, which `said` this of it, says the opposite (of an
/// abstention: pass or fail). Changes are tried by their size, those of the `words` that it decided on and of the
/// `literals` in its source among them, and the first that flips is made as small as it goes.
///
/// Deterministic; at most [`TRIES_MAX`] runs.
///
/// # Errors
/// The host failed.
pub fn flip(
    trace: &Trace,
    said: Verdict,
    words: &[Word],
    literals: &[String],
    evaluate: Evaluate<'_>,
) -> anyhow::Result<Result<Flip, NoFlip>> {
    let mut search = Search {
        trace,
        said,
        evaluate,
        at_once: (BYTES_AT_ONCE / trace.to_json().len()).clamp(1, AT_ONCE),
        tries: 0,
    };
    let proposals = proposals(trace, words, literals);
    let limit = TRIES_MAX - KEPT_FOR_SHRINKING;
    let Some((at, outcome)) = search.first(&proposals, limit)? else {
        return Ok(Err(NoFlip {
            tries: search.tries,
        }));
    };
    search.smaller(&proposals[at], outcome).map(Ok)
}

struct Search<'s> {
    trace: &'s Trace,
    said: Verdict,
    evaluate: Evaluate<'s>,
    at_once: usize,
    tries: usize,
}

impl Search<'_> {
    /// The first of these edits that flips, within so many tries altogether.
    fn first(&mut self, edits: &[Edit], limit: usize) -> anyhow::Result<Option<(usize, Outcome)>> {
        let affordable = edits.len().min(limit.saturating_sub(self.tries));
        for (batch, edits) in edits[..affordable].chunks(self.at_once).enumerate() {
            let traces: Vec<Trace> = edits.iter().map(|edit| edit.apply(self.trace)).collect();
            let outcomes = (self.evaluate)(&traces)?;
            self.tries += traces.len();
            let mut said = outcomes.into_iter().enumerate();
            if let Some((at, outcome)) = said.find(|(_, outcome)| self.is_flipped(outcome)) {
                return Ok(Some((batch * self.at_once + at, outcome)));
            }
        }
        Ok(None)
    }

    fn is_flipped(&self, outcome: &Outcome) -> bool {
        let class = outcome.class();
        class.is_some() && class != self.said.class()
    }

    /// Takes out parts of the change for as long as the rest flips: halves first, then ever smaller parts (delta
    /// debugging; A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002).
    fn smaller(&mut self, edit: &Edit, outcome: Outcome) -> anyhow::Result<Flip> {
        let Some((mut change, remake)) = change_of(edit, self.trace) else {
            return Ok(self.found(edit, outcome, true));
        };
        let (mut best, mut outcome) = (edit.clone(), outcome);
        let mut size = change.len().div_ceil(2);
        loop {
            if self.tries + change.len().div_ceil(size) > TRIES_MAX {
                return Ok(self.found(&best, outcome, false));
            }
            let smaller = change.without_each(size);
            let edits: Vec<Edit> = smaller.iter().map(|change| remake(change.text())).collect();
            match self.first(&edits, TRIES_MAX)? {
                Some((at, said)) => {
                    (change, best, outcome) = (smaller[at].clone(), edits[at].clone(), said);
                    size = size.min(change.len().div_ceil(2));
                }
                None if size <= 1 => return Ok(self.found(&best, outcome, true)),
                None => size = size.div_ceil(2),
            }
        }
    }

    fn found(&self, edit: &Edit, outcome: Outcome, is_minimal: bool) -> Flip {
        let (verdict, reason) = outcome.result.unwrap_or((Verdict::Abstain, String::new()));
        let told = super::told::told(edit, self.trace);
        Flip {
            change: told.change,
            before: told.before,
            after: told.after,
            verdict,
            reason,
            tries: self.tries,
            is_minimal,
            trace: edit.apply(self.trace),
        }
    }
}

/// Makes an edit of another text.
type Remake = fn(String) -> Edit;

/// The change that an edit makes to a text, and how to make an edit of another text; `None` where it has no parts.
fn change_of(edit: &Edit, trace: &Trace) -> Option<(Change, Remake)> {
    match edit {
        Edit::Answer(text) => Some((Change::between(&trace.output_text, text), Edit::Answer)),
        Edit::Question(text) => Some((Change::between(&trace.input_text, text), Edit::Question)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "flip_tests.rs"]
mod tests;
