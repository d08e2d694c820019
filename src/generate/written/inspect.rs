//! What is wrong with a candidate's source. It is parsed by an eval of ours, in the sandbox: it is as hostile as the
//! traces that it was written from.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Try;
use super::labels::Decided;
use super::score::Weight;
use crate::domain::{Class, EvalSource, Outcome, Trace, head};

/// Our eval that inspects; it is given a candidate for a trace.
const INSPECTOR: &str = concat!(include_str!("inspector.py"), include_str!("names.py"));
/// Lines of an eval, blank ones included.
pub const MOST_LINES: usize = 60;
/// Characters of a source that is looked at.
const SOURCE_CHARS: usize = 20_000;
/// Characters of traces that literals are looked for in: of each text, and of all.
const TEXT_CHARS: usize = 20_000;
const ALL_TEXT_CHARS: usize = 500_000;
/// Keys of the metadata that are looked at.
const MOST_KEYS: usize = 200;

/// Something wrong with a candidate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// For the LLM, and for the eval's owner. It quotes no trace.
    pub sentence: String,
    /// A candidate that keeps it is thrown out.
    pub is_grave: bool,
}

impl Finding {
    /// One that throws a candidate out.
    pub fn grave(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            is_grave: true,
        }
    }

    /// One that it may keep.
    pub fn mild(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            is_grave: false,
        }
    }
}

/// What an inspection came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspected {
    /// What is wrong, in the order of the source's lines.
    pub findings: Vec<Finding>,
    /// It is no Python with `evaluate(trace)`: there is nothing to run.
    pub is_broken: bool,
    /// How hard it is to read.
    pub weight: Weight,
    /// Labels whose trace one of its literals singles out.
    pub singled: BTreeSet<usize>,
}

/// Where literals of a candidate may come from.
pub struct Origins(Value);

impl Origins {
    /// The labelled traces that candidates are written from, and the unlabelled ones.
    pub fn new(labels: &[&Decided<'_>], pool: &[Trace]) -> Self {
        let mut room = ALL_TEXT_CHARS;
        let mut text = |trace: &Trace| {
            let output = cut(&trace.output_text, &mut room);
            let input = cut(&trace.input_text, &mut room);
            format!("{output}\n{input}")
        };
        let texts: Vec<_> = labels
            .iter()
            .map(|label| [label.label.group.clone(), text(&label.label.trace)])
            .collect();
        let pool: Vec<_> = pool.iter().map(text).collect();
        let mut keys = BTreeSet::new();
        for label in labels {
            add_keys(&label.label.trace.metadata, &mut keys);
        }
        Self(json!({ "texts": texts, "pool": pool, "keys": keys }))
    }
}

fn add_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().take(MOST_KEYS.saturating_sub(keys.len())) {
                keys.insert(key.clone());
                add_keys(value, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| add_keys(item, keys)),
        _ => {}
    }
}

/// The beginning of a text, as much as there is room for.
fn cut<'t>(text: &'t str, room: &mut usize) -> &'t str {
    let kept = head(text, TEXT_CHARS.min(*room));
    *room = room.saturating_sub(kept.len());
    kept
}

/// What the inspector says.
#[derive(Deserialize)]
struct Report {
    faults: Vec<(String, u32, String)>,
    judge: bool,
    imports: usize,
    singled: BTreeSet<usize>,
}

/// Inspects a source.
///
/// # Errors
/// The host failed.
pub fn inspect(source: &EvalSource, origins: &Origins, run: Try<'_>) -> anyhow::Result<Inspected> {
    let text = source.as_str();
    let lines = text.lines().count();
    if text.chars().nth(SOURCE_CHARS).is_some() {
        return Ok(unreadable("It is too long to be an eval."));
    }
    let mut given = origins.0.clone();
    given["source"] = json!(text);
    let outcomes = run(&EvalSource::new(INSPECTOR), &[given.to_string()])?;
    let Some(report) = outcomes.first().and_then(report_of) else {
        return Ok(unreadable("It is too tangled to be read."));
    };
    let mut findings: Vec<Finding> = report.faults.iter().map(in_words).collect();
    if lines > MOST_LINES {
        findings.push(Finding::grave(format!(
            "It has {lines} lines; an eval has at most {MOST_LINES}."
        )));
    }
    let breaks = |(code, ..): &(String, u32, String)| code == "syntax" || code == "no_evaluate";
    Ok(Inspected {
        findings,
        is_broken: report.faults.iter().any(breaks),
        weight: Weight {
            asks: report.judge,
            lines: text.lines().filter(|line| !line.trim().is_empty()).count(),
            imports: report.imports,
        },
        singled: report.singled,
    })
}

fn report_of(outcome: &Outcome) -> Option<Report> {
    let (_, reason) = outcome.result.as_ref().ok()?;
    serde_json::from_str(reason).ok()
}

fn unreadable(why: &str) -> Inspected {
    Inspected {
        findings: vec![Finding::grave(why)],
        is_broken: true,
        ..Inspected::default()
    }
}

/// A fault as a sentence.
fn in_words((code, line, word): &(String, u32, String)) -> Finding {
    let grave = |what: String| Finding::grave(format!("Line {line} {what}."));
    match code.as_str() {
        "syntax" => Finding::grave(format!(
            "It is not Python: {word} (line {line}). The source must be Python and nothing else."
        )),
        "no_evaluate" => Finding::grave("It defines no function evaluate(trace) with one parameter."),
        "no_docstring" => Finding::grave("It does not begin with a docstring that states the criterion."),
        "print" => Finding::mild(format!("Line {line} prints; nobody reads it.")),
        "loose" => Finding::mild(format!(
            "Line {line} runs while the module is loaded; a module has imports, constants and functions only."
        )),
        "hidden" => grave("holds characters that can't be seen; write them as escapes".to_owned()),
        "star" => grave("imports all of a module, or relatively; name what is imported".to_owned()),
        "iofold" => grave(format!("imports {word}; of iofold only `from iofold import judge` is there")),
        "import" => grave(format!("imports {word}, which an eval can't import: only the standard library's modules that compute")),
        "unwanted" => grave(format!("imports {word}: an eval is a plain function of its trace, with no system, clock, chance or hashes")),
        "danger" => grave(format!("uses {word}, which has no place in an eval")),
        "undefined" => grave(format!("uses the name {word}, which is defined nowhere")),
        "numbers" => grave("lists many exact numbers, which looks like answers learnt by heart".to_owned()),
        "reads" => grave(format!("reads {word}: ids, names, times, models, usage and costs say nothing about an answer")),
        "computed" => grave("reads the trace by a computed key; name the key".to_owned()),
        "whole" => grave("uses the trace or an observation as a whole, with ids, times and models in it; name the parts".to_owned()),
        "leak" => grave(format!("reads the metadata's {word}, which may be the label itself")),
        "copy" => grave("holds a long literal that occurs in one or two of the labelled traces: it is copied, not a criterion".to_owned()),
        other => grave(format!("has a fault ({other})")),
    }
}

/// Labels singled out in fewer traces are chance.
const FEWEST_SINGLED: usize = 4;
/// Of one class's labels so many are singled out, and hardly any of the other: learnt by heart.
const SHARE_OF_CLASS: f64 = 0.6;
/// Or so many of all labels.
const SHARE_OF_ALL: f64 = 0.9;
/// Or so much more agreement on those singled out than on the others.
const GAIN: f64 = 0.25;

/// Whether a candidate knows single traces by their words.
///
/// A word that only one labelled trace has is no proof: constraints that requests state are rare words too. What gives
/// a candidate away is that those traces are most of one class alone, are nearly all, or are where it agrees with people.
pub fn memorises(singled: &BTreeSet<usize>, labels: &[&Decided<'_>], right: &[bool]) -> bool {
    if singled.len() < FEWEST_SINGLED || right.len() != labels.len() {
        return false;
    }
    let (on, off): (Vec<usize>, Vec<usize>) =
        (0..labels.len()).partition(|at| singled.contains(at));
    let of = |class| {
        on.iter()
            .filter(move |at| labels[**at].class == class)
            .count()
    };
    let most_of = |class, other| {
        let all = labels.iter().filter(|label| label.class == class).count();
        of(class) >= FEWEST_SINGLED
            && of(class) as f64 >= SHARE_OF_CLASS * all as f64
            && of(other) <= 1
    };
    let share = |of: &[usize]| of.iter().filter(|at| right[**at]).count() as f64 / of.len() as f64;
    let gains = !off.is_empty() && share(&on) - share(&off) >= GAIN;
    let nearly_all = on.len() as f64 >= SHARE_OF_ALL * labels.len() as f64;
    gains || nearly_all || most_of(Class::Pass, Class::Fail) || most_of(Class::Fail, Class::Pass)
}
