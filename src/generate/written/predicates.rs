//! Predicates that the LLM wrote, each checked by itself; the rule learner chooses from them and combines them.

use serde_json::Value;

use super::answer::{MOST_OF_ONE, code};
use super::attempt::{Shown, Tried, attempt};
use super::desk::Desk;
use super::inspect::{Finding, inspect};
use super::score::{Score, Weight};
use super::{Kind, WriteError};
use crate::domain::{Class, EvalSource, LabelledTrace, Outcome, head};
use crate::generate::{Generation, Predicate, Settings, generate_with};

/// Predicates that are kept over the rounds.
const MOST_KEPT: usize = 24;
/// Characters of a name that is told of.
const NAME_CHARS: usize = 40;

/// Takes the sound predicates of an answer to those kept, and has the rule learner make an eval of all. `None` where
/// there is none at all.
///
/// # Errors
/// The host failed.
pub fn combine(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    answer: &Value,
    kept: &mut Vec<Predicate>,
) -> Result<Option<Tried>, WriteError> {
    let stated = answer["predicates"].as_array().into_iter().flatten();
    let mut findings = Vec::new();
    for predicate in stated.take(MOST_OF_ONE).filter_map(read) {
        match check(desk, shown, predicate)? {
            Ok(sound) => keep(kept, sound),
            Err(finding) => findings.push(finding),
        }
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let mut tried = learnt(desk, shown, kept)?;
    if tried.score.agreed() < tried.score.total() {
        let figures = kept.iter().map(|predicate| in_figures(predicate, shown));
        tried.findings.extend(findings.into_iter().chain(figures));
    }
    Ok(Some(tried))
}

/// What the rule learner makes of the labels with these predicates.
fn learnt(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    kept: &[Predicate],
) -> Result<Tried, WriteError> {
    let labels = shown.all.labels.iter();
    let labels: Vec<LabelledTrace> = labels.map(|label| label.label.clone()).collect();
    let settings = Settings {
        seed: desk.brief.effort.seed,
    };
    match generate_with(&labels, kept, &settings) {
        Generation::Eval(induced) => {
            desk.count_conditions(induced.candidates_tried);
            attempt(desk, shown, Kind::Predicates, induced.source, Vec::new())
        }
        Generation::NotYet {
            candidates_tried, ..
        } => {
            desk.count_conditions(candidates_tried);
            Ok(uncombined(kept, shown))
        }
    }
}

fn read(value: &Value) -> Option<Predicate> {
    let text = |key: &str| value[key].as_str().map(str::trim);
    Some(Predicate {
        name: text("name")?.to_owned(),
        clause: text("clause")?.trim_end_matches('.').to_owned(),
        source: code(text("source")?),
        values: Vec::new(),
    })
}

/// A newer one of the same name takes the place of the older.
fn keep(kept: &mut Vec<Predicate>, predicate: Predicate) {
    kept.retain(|known| known.name != predicate.name);
    if kept.len() < MOST_KEPT {
        kept.push(predicate);
    }
}

/// The predicate with what it says of each label, or why it is thrown out.
fn check(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    mut predicate: Predicate,
) -> Result<Result<Predicate, Finding>, WriteError> {
    let findings = match predicate.fault() {
        Some(fault) => vec![Finding::grave(fault)],
        None => answer_all(desk, shown, &mut predicate)?,
    };
    if findings.is_empty() {
        return Ok(Ok(predicate));
    }
    let name = head(&predicate.name, NAME_CHARS);
    let what = format!("A predicate of the name {name:?}");
    desk.throw_out(&what, &findings);
    let why: Vec<String> = findings
        .into_iter()
        .map(|finding| finding.sentence)
        .collect();
    let finding = Finding::mild(format!("{what} was left out: {}", why.join(" ")));
    Ok(Err(finding))
}

/// Has a predicate answer for each label; what is wrong with it.
fn answer_all(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    predicate: &mut Predicate,
) -> Result<Vec<Finding>, WriteError> {
    let source = as_eval(predicate);
    desk.count(&source);
    let inspected = inspect(&source, &shown.origins, desk.runner()).map_err(WriteError::Host)?;
    let mut findings = inspected.findings;
    findings.retain(|finding| finding.is_grave);
    if inspected.weight.asks {
        findings.push(Finding::grave(
            "It asks judge; a predicate decides by code.",
        ));
    }
    if findings.is_empty() {
        let outcomes = desk.run(&source, &shown.all.traces)?;
        predicate.values = outcomes.iter().map(holds).collect();
        findings.extend(says_nothing(&predicate.values));
    }
    Ok(findings)
}

/// An eval that says pass where the predicate holds.
fn as_eval(predicate: &Predicate) -> EvalSource {
    let Predicate { name, source, .. } = predicate;
    EvalSource::new(format!(
        "\"\"\"A predicate.\"\"\"\n{source}\n\ndef evaluate(trace):\n    return bool({name}(trace))\n"
    ))
}

fn holds(outcome: &Outcome) -> Option<bool> {
    outcome.class().map(|class| class == Class::Pass)
}

fn says_nothing(values: &[Option<bool>]) -> Option<Finding> {
    let defined: Vec<bool> = values.iter().copied().flatten().collect();
    let Some(first) = defined.first() else {
        return Some(Finding::grave("It fails on every labelled trace."));
    };
    let same = defined.iter().all(|value| value == first);
    same.then(|| Finding::grave(format!("It is {first} of every labelled trace.")))
}

/// What a predicate says of the labels, for the LLM.
fn in_figures(predicate: &Predicate, shown: &Shown<'_, '_>) -> Finding {
    let of = |class: Class| {
        let labels = shown.all.labels.iter().zip(&predicate.values);
        let of = labels.filter(move |(label, _)| label.class == class);
        let all = of.clone().count();
        let held = of.filter(|(_, value)| **value == Some(true)).count();
        format!("{held} of {all}")
    };
    Finding::mild(format!(
        "The predicate {} holds for {} 👍 and {} 👎.",
        predicate.name,
        of(Class::Pass),
        of(Class::Fail)
    ))
}

/// Predicates of which no rule can be made; nothing was run.
fn uncombined(kept: &[Predicate], shown: &Shown<'_, '_>) -> Tried {
    let sources: Vec<&str> = kept
        .iter()
        .map(|predicate| predicate.source.as_str())
        .collect();
    Tried {
        kind: Kind::Predicates,
        source: EvalSource::new(sources.join("\n\n")),
        changes: Vec::new(),
        findings: vec![Finding::grave(
            "No rule over these predicates tells the labels apart.",
        )],
        outcomes: Vec::new(),
        score: Score::new(&shown.all.labels, &[]),
        weight: Weight::default(),
    }
}
