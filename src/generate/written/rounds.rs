//! Candidates of one kind: written, tried, and mended by what went wrong, for a few rounds.

use serde_json::Value;

use super::answer::sources;
use super::attempt::{Shown, Tried, attempt};
use super::desk::Desk;
use super::inspect::Finding;
use super::predicates::combine;
use super::prompt::Prompts;
use super::score::best;
use super::{Kind, WriteError, question};
use crate::domain::ErrorKind;
use crate::generate::Predicate;
use crate::llm::Prompt;

/// The best sound candidate of a kind; `None` where there is none.
///
/// # Errors
/// The host failed, or the process ends.
pub fn candidate(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    kind: Kind,
) -> Result<Option<Tried>, WriteError> {
    let prompts = prompts(desk, shown);
    let first = prompts.first(kind);
    rounds(desk, shown, &prompts, (kind, first))
}

/// The next version of the eval that is refined, which was tried as it stands.
///
/// # Errors
/// As [`candidate`].
pub fn next_version(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    from: &Tried,
) -> Result<Option<Tried>, WriteError> {
    let prompts = prompts(desk, shown);
    let misses = prompts.misses(&shown.of(from.kind).labels, &from.outcomes, &from.score);
    let first = prompts.next(&from.source, &from.findings, &misses);
    rounds(desk, shown, &prompts, (from.kind, first))
}

fn prompts<'s>(desk: &Desk<'_>, shown: &'s Shown<'_, '_>) -> Prompts<'s> {
    Prompts {
        material: &shown.material,
        criteria: &shown.criteria,
        on_sessions: shown
            .all
            .labels
            .iter()
            .any(|label| !label.label.trace.session.is_empty()),
        seed: desk.brief.effort.seed,
    }
}

fn rounds(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    prompts: &Prompts<'_>,
    (kind, first): (Kind, Prompt),
) -> Result<Option<Tried>, WriteError> {
    let Some(answer) = desk.ask(&first)? else {
        return Ok(None);
    };
    let mut kept = Vec::new();
    let mut all = tried_of(desk, shown, kind, &answer, &mut kept)?;
    for _ in 0..desk.brief.effort.rounds {
        let Some(tried) = most_promising(&all).filter(|tried| is_worth_mending(tried)) else {
            break;
        };
        let misses = prompts.misses(&shown.of(kind).labels, &tried.outcomes, &tried.score);
        let mend = prompts.mend(kind, &tried.source, &tried.findings, &misses);
        let Some(answer) = desk.ask(&mend)? else {
            break;
        };
        let earlier = tried.changes.clone();
        let mut mended = tried_of(desk, shown, kind, &answer, &mut kept)?;
        for new in &mut mended {
            new.changes.splice(0..0, earlier.iter().cloned());
        }
        let known = |new: &Tried| all.iter().any(|old| old.source == new.source);
        if mended.iter().all(known) {
            break;
        }
        all.extend(mended);
    }
    Ok(settled(desk, all))
}

/// The candidates of an answer, tried.
fn tried_of(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    kind: Kind,
    answer: &Value,
    kept: &mut Vec<Predicate>,
) -> Result<Vec<Tried>, WriteError> {
    let tried = match kind {
        Kind::Predicates => combine(desk, shown, answer, kept)?.into_iter().collect(),
        Kind::Function | Kind::Hybrid | Kind::Judge => {
            let mut written = sources(answer);
            written.extend(question::source(answer, shown).map(|source| (source, Vec::new())));
            let tried = written
                .into_iter()
                .map(|(source, changes)| attempt(desk, shown, kind, source, changes));
            tried.collect::<Result<Vec<_>, _>>()?
        }
    };
    if tried.is_empty() {
        desk.throw_out(named(kind), &[Finding::grave("The answer held none.")]);
    }
    Ok(tried)
}

/// A sound one rather than one with faults, then the one that agrees most.
fn most_promising(all: &[Tried]) -> Option<&Tried> {
    let promise = |tried: &&Tried| (tried.is_sound(), tried.score.agreed());
    // Of equals, the latest.
    all.iter().max_by_key(promise)
}

/// An eval that nobody answers can't be mended.
fn is_worth_mending(tried: &Tried) -> bool {
    let unanswered = tried
        .outcomes
        .iter()
        .any(|outcome| outcome.error_kind() == Some(ErrorKind::JudgeUnavailable));
    tried.can_be_mended() && !unanswered
}

/// The best of the sound ones; of the others is said why they are thrown out.
fn settled(desk: &mut Desk<'_>, all: Vec<Tried>) -> Option<Tried> {
    let (mut sound, faulty): (Vec<Tried>, Vec<Tried>) = all.into_iter().partition(Tried::is_sound);
    for tried in &faulty {
        desk.throw_out(named(tried.kind), &tried.findings);
    }
    let scored: Vec<_> = sound
        .iter()
        .map(|tried| (&tried.score, tried.weight))
        .collect();
    best(&scored).map(|at| sound.swap_remove(at))
}

fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Function => "A function",
        Kind::Predicates => "A rule over predicates",
        Kind::Judge => "A question to judge",
        Kind::Hybrid => "An eval of code and judge",
    }
}
