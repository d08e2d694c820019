//! One candidate: looked at, run on the labels it was written from, and what is wrong with it said.

use std::collections::BTreeSet;

use super::desk::Desk;
use super::inspect::{Finding, Origins, inspect, memorises};
use super::labels::{Decided, count};
use super::material::Material;
use super::score::{Score, Weight};
use super::{Kind, WriteError};
use crate::domain::{Class, Criterion, ErrorKind, EvalSource, Outcome, Verdict};

/// Traces that a candidate is run on first: one that loops on all of these is not run on the others.
const PROBED: usize = 3;
/// One in so many may fail.
const ERRORS_ONE_IN: usize = 10;

/// What candidates are written from.
pub struct Shown<'l, 'b> {
    /// The labels.
    pub all: Tests<'l, 'b>,
    /// Those of them that candidates with `judge` are tried on.
    pub asked_about: Tests<'l, 'b>,
    /// What a prompt says of them.
    pub material: Material,
    /// What people seem to look at.
    pub criteria: Vec<Criterion>,
    /// Where literals of a candidate may come from.
    pub origins: Origins,
}

impl<'l, 'b> Shown<'l, 'b> {
    /// What candidates of a kind are tried on.
    pub fn of(&self, kind: Kind) -> &Tests<'l, 'b> {
        match kind.asks() {
            true => &self.asked_about,
            false => &self.all,
        }
    }
}

/// Labels that evals are tried on.
pub struct Tests<'l, 'b> {
    /// The labels.
    pub labels: Vec<&'l Decided<'b>>,
    /// Their traces, as an eval gets them.
    pub traces: Vec<String>,
}

impl<'l, 'b> Tests<'l, 'b> {
    /// These labels.
    pub fn new(labels: Vec<&'l Decided<'b>>) -> Self {
        let traces = labels.iter().map(|label| label.json.clone()).collect();
        Self { labels, traces }
    }
}

/// A candidate that was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What kind it is.
    pub kind: Kind,
    /// The Python.
    pub source: EvalSource,
    /// What changed and why, where it is the next version of another.
    pub changes: Vec<String>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What it did on the labels it was written from; empty where it was not run.
    pub outcomes: Vec<Outcome>,
    /// How well it agrees with them.
    pub score: Score,
    /// How hard it is to read.
    pub weight: Weight,
}

impl Tried {
    /// Whether nothing speaks against it.
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(|finding| finding.is_grave)
    }

    /// Whether another round could gain anything.
    pub fn can_be_mended(&self) -> bool {
        !self.findings.is_empty() || self.score.agreed() < self.score.total()
    }
}

/// Tries a candidate.
///
/// # Errors
/// The host failed.
pub fn attempt(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    kind: Kind,
    source: EvalSource,
    changes: Vec<String>,
) -> Result<Tried, WriteError> {
    desk.count(&source);
    let tests = shown.of(kind);
    let mut inspected =
        inspect(&source, &shown.origins, desk.runner()).map_err(WriteError::Host)?;
    let asks = inspected.weight.asks;
    if asks && kind == Kind::Function {
        let why = "It asks judge, and was to decide by code alone.";
        inspected.findings.push(Finding::grave(why));
    }
    // What is thrown out anyway is not worth the questions.
    let is_in_vain = asks && inspected.findings.iter().any(|finding| finding.is_grave);
    let outcomes = match inspected.is_broken || is_in_vain {
        true => Vec::new(),
        false => run(desk, &source, &tests.traces)?,
    };
    let score = Score::new(&tests.labels, &outcomes);
    let weight = inspected.weight;
    let mut findings = inspected.findings;
    findings.extend(said_of(tests, &outcomes));
    findings.extend(by_heart(&inspected.singled, shown, tests, &score));
    Ok(Tried {
        kind,
        source,
        changes,
        findings,
        outcomes,
        score,
        weight,
    })
}

/// Runs on the first traces, and on the others unless it used up what it may on all of those.
fn run(
    desk: &Desk<'_>,
    source: &EvalSource,
    traces: &[String],
) -> Result<Vec<Outcome>, WriteError> {
    let (first, rest) = traces.split_at(traces.len().min(PROBED));
    let mut outcomes = desk.run(source, first)?;
    if !outcomes.iter().all(is_exhausted) {
        outcomes.extend(desk.run(source, rest)?);
    }
    Ok(outcomes)
}

fn is_exhausted(outcome: &Outcome) -> bool {
    use ErrorKind::{Deadline, Fuel, Memory};
    matches!(outcome.error_kind(), Some(Deadline | Fuel | Memory))
}

/// What is wrong with what it said.
fn said_of(tests: &Tests<'_, '_>, outcomes: &[Outcome]) -> Vec<Finding> {
    let found = [
        failing(outcomes),
        constant(&tests.labels, outcomes),
        abstaining(outcomes),
    ];
    found.into_iter().flatten().collect()
}

/// An eval that knows labelled traces; `singled` are places among all labels that are shown.
fn by_heart(
    singled: &BTreeSet<usize>,
    shown: &Shown<'_, '_>,
    tests: &Tests<'_, '_>,
    score: &Score,
) -> Option<Finding> {
    let known: BTreeSet<&str> = singled
        .iter()
        .filter_map(|at| Some(shown.all.labels.get(*at)?.tag.as_str()))
        .collect();
    let is_known = |at: &usize| known.contains(tests.labels[*at].tag.as_str());
    let singled = (0..tests.labels.len()).filter(is_known).collect();
    memorises(&singled, &tests.labels, &score.right()).then(|| {
        Finding::grave(
            "It recognises single labelled traces by their words; say what a good answer is like instead.",
        )
    })
}

/// Errors; a few count against the agreement, more throw the candidate out.
fn failing(outcomes: &[Outcome]) -> Option<Finding> {
    let errors: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().err())
        .collect();
    let first = errors.first()?;
    let sentence = format!(
        "It fails on {} of {} labelled traces, the first time with the error {}{}.",
        errors.len(),
        outcomes.len(),
        first.kind.as_str(),
        advice(first.kind),
    );
    match errors.len() * ERRORS_ONE_IN > outcomes.len() {
        true => Some(Finding::grave(sentence)),
        false => Some(Finding::mild(sentence)),
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Fuel | ErrorKind::Deadline => {
            ": it loops, or a regular expression backtracks without end"
        }
        ErrorKind::Forbidden => ": it reached for what an eval can't have",
        ErrorKind::JudgeBudget => ": it asks judge too often",
        ErrorKind::JudgeUnavailable => ": judge can't be asked",
        ErrorKind::NotAVerdict => ": evaluate must return (True, False or None, reason)",
        _ => "",
    }
}

/// An eval that says the same of all.
fn constant(labels: &[&Decided<'_>], outcomes: &[Outcome]) -> Option<Finding> {
    let mut verdicts = outcomes.iter().filter_map(Outcome::verdict);
    let first = verdicts.next()?;
    let both = count(labels, Class::Pass) > 0 && count(labels, Class::Fail) > 0;
    if !both || verdicts.any(|verdict| verdict != first) {
        return None;
    }
    let said = match first {
        Verdict::Pass => "passes",
        Verdict::Fail => "fails",
        Verdict::Abstain => "abstains on",
    };
    Some(Finding::grave(format!(
        "It {said} every labelled trace, so it tells nothing apart."
    )))
}

/// An eval that mostly has nothing to say.
fn abstaining(outcomes: &[Outcome]) -> Option<Finding> {
    let abstained = outcomes
        .iter()
        .filter(|outcome| outcome.verdict() == Some(Verdict::Abstain))
        .count();
    (abstained * 2 > outcomes.len()).then(|| {
        Finding::mild(format!(
            "It abstains on {abstained} of {} labelled traces.",
            outcomes.len()
        ))
    })
}
