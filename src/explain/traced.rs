//! Runs an eval once more, watched.

use super::observed::{self, Explanation, Unexplained};
use super::words::find_words;
use crate::domain::{ErrorKind, EvalSource, Outcome, RunError, Trace};
use crate::run::repeat;
use crate::sandbox::{Answers, Sandbox};

/// The program around the eval, which is an eval itself.
const EXPLAINER: &str = include_str!("explainer.py");

/// Why `source` said what it said in `plain` of `trace`, with the answers that `judge` gave then.
///
/// Blocks. Watching takes 10 to 50 times the fuel of a short eval, within the same limit.
///
/// # Errors
/// Nothing ran (no Python, a limit, the host), or the eval can't be watched.
pub fn explain(
    sandbox: &Sandbox,
    source: &EvalSource,
    trace: &Trace,
    plain: &Outcome,
    answers: Answers,
) -> Result<Explanation, Unexplained> {
    if let Err(error) = &plain.result {
        runs_to_an_end(error)?;
    }
    let watched = repeat(sandbox, &program(source), &trace.to_json(), answers).outcome;
    if let Err(error) = &watched.result {
        can_be_watched(plain, error)?;
    }
    let mut explanation = observed::read(&watched.printed, source)?;
    explanation.differs = difference(plain, &watched);
    explanation.words = find_words(&explanation, trace, plain.verdict());
    Ok(explanation)
}

/// A JSON text is a Python literal, of the same text.
fn program(source: &EvalSource) -> EvalSource {
    let literal = serde_json::to_string(source.as_str()).expect("a text is JSON");
    EvalSource::new(format!("{EXPLAINER}\n\nwatch({literal})\n"))
}

/// An error that the eval raised has lines that led to it; others have none to show.
fn runs_to_an_end(error: &RunError) -> Result<(), Unexplained> {
    match error.kind {
        ErrorKind::Exception | ErrorKind::NotAVerdict | ErrorKind::Forbidden => Ok(()),
        kind => {
            let kind = kind.as_str();
            let said =
                format!("there is no verdict to explain: the run ended with the error {kind}");
            Err(Unexplained(said))
        }
    }
}

fn can_be_watched(plain: &Outcome, error: &RunError) -> Result<(), Unexplained> {
    let why = match error.kind {
        ErrorKind::Fuel | ErrorKind::Deadline => {
            "watching it takes more time than an eval may take; unwatched, it fits"
        }
        ErrorKind::Memory => "watching it takes more memory than an eval may have",
        ErrorKind::Syntax => "together with what watches it, it is too long",
        ErrorKind::JudgeUnavailable | ErrorKind::JudgeBudget => {
            "while it was watched, it asked judge() something new"
        }
        ErrorKind::Host => "the sandbox host failed",
        _ if plain.result.is_ok() => "it raised an error where it is watched",
        _ => return Ok(()),
    };
    Err(Unexplained(format!("this eval can't be explained: {why}")))
}

/// Where the eval said something else while it was watched. Tracebacks name other lines then, so of errors the
/// kind counts.
fn difference(plain: &Outcome, watched: &Outcome) -> Option<String> {
    let said = |outcome: &Outcome| match &outcome.result {
        Ok((verdict, reason)) => (verdict.as_str(), reason.clone()),
        Err(error) => (error.kind.as_str(), String::new()),
    };
    let (plain, watched) = (said(plain), said(watched));
    let differs = match (plain.0 == watched.0, plain.1 == watched.1) {
        (true, true) => return None,
        (false, _) => format!("it said {} while it was watched", watched.0),
        (true, false) => "it gave another reason while it was watched".to_owned(),
    };
    Some(format!("The explanation is of another run: {differs}."))
}
