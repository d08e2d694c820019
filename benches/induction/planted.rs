//! Rules that people might label by, to be found again: each is told here, by itself, not by what the learner measures.

use std::collections::BTreeMap;

use iofold::domain::{LabelledTrace, Thumb, Trace};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many verdicts are turned: nobody labels without a slip.
const NOISE: f64 = 0.05;
/// The rarer class must have this share of the rows, or few draws have any of it.
const LEAST_SHARE: f64 = 0.2;
/// And so many rows, or there is nothing to test on.
const LEAST_ROWS: usize = 40;

/// What a good answer is, in a few words, and whether a trace is one.
pub type Rule = (&'static str, Box<dyn Fn(&Trace) -> bool>);

/// The rules, their numbers and names taken from the traces of the set.
pub fn rules(labels: &[LabelledTrace]) -> Vec<Rule> {
    let (words, lines) = (median(labels, word_count), median(labels, line_count));
    let last = commonest_last_tool(labels);
    let rule = |name, holds: fn(&Trace) -> bool| -> Rule { (name, Box::new(holds)) };
    vec![
        (
            "over N words",
            Box::new(move |trace| word_count(trace) > words),
        ),
        (
            "over N lines",
            Box::new(move |trace| line_count(trace) > lines),
        ),
        rule("no list", |trace| !trace.output_text.lines().any(is_item)),
        rule("a number", |trace| {
            trace.output_text.contains(|c: char| c.is_ascii_digit())
        }),
        rule("no amount of money", |trace| {
            !has_amount(&trace.output_text)
        }),
        rule("no question at the end", |trace| {
            !trace.output_text.trim_end().ends_with('?')
        }),
        rule("no refusal", |trace| !has_any(trace, REFUSALS)),
        rule("no “I”", |trace| {
            !has_any(
                trace,
                &["i am ", "i'm ", "i have ", "i've ", "i will ", "i think "],
            )
        }),
        rule("numbers of the request", numbers_are_given),
        rule("valid JSON", |trace| {
            serde_json::from_str::<serde_json::Value>(&trace.output_text).is_ok()
        }),
        rule("no failed call", |trace| {
            !trace.tool_calls.iter().any(has_failed)
        }),
        rule("no tool twice", |trace| !calls_one_twice(trace)),
        rule("no handover", |trace| {
            !trace
                .tool_calls
                .iter()
                .any(|call| call.name.contains("human"))
        }),
        (
            "last step not tool X",
            Box::new(move |trace| last_tool(trace) != last.as_deref()),
        ),
    ]
}

const REFUSALS: &[&str] = &[
    "i can't",
    "i can’t",
    "i cannot",
    "i'm unable",
    "i am unable",
    "i won't",
    "i'm not able",
    "as an ai",
];

/// The set labelled by the rule; `None` where one class has too few rows.
pub fn planted(labels: &[LabelledTrace], rule: &Rule, seed: u64) -> Option<Vec<LabelledTrace>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut planted = labels.to_vec();
    for label in &mut planted {
        let is_good = (rule.1)(&label.trace) != random.random_bool(NOISE);
        label.label = if is_good { Thumb::Up } else { Thumb::Down };
        label.votes.clear();
    }
    let fails = planted
        .iter()
        .filter(|label| label.label == Thumb::Down)
        .count();
    let rarer = fails.min(planted.len() - fails);
    let enough = rarer >= LEAST_ROWS && rarer as f64 >= LEAST_SHARE * planted.len() as f64;
    enough.then_some(planted)
}

fn median(labels: &[LabelledTrace], of: fn(&Trace) -> usize) -> usize {
    let mut values: Vec<usize> = labels.iter().map(|label| of(&label.trace)).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn word_count(trace: &Trace) -> usize {
    trace.output_text.split_whitespace().count()
}

fn line_count(trace: &Trace) -> usize {
    trace
        .output_text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count()
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = after_number.len() < line.len() && after_number.starts_with(". ");
    is_numbered || line.starts_with("- ") || line.starts_with("* ")
}

fn has_amount(text: &str) -> bool {
    let after_sign = text.split(['$', '€', '£']).skip(1);
    after_sign
        .into_iter()
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn has_any(trace: &Trace, phrases: &[&str]) -> bool {
    let answer = trace.output_text.to_lowercase();
    phrases.iter().any(|phrase| answer.contains(phrase))
}

fn numbers_are_given(trace: &Trace) -> bool {
    let digits = |text: &str| -> Vec<String> {
        let runs = text.split(|c: char| !c.is_ascii_digit());
        runs.filter(|run| !run.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let given = digits(&trace.input_text);
    digits(&trace.output_text)
        .iter()
        .all(|number| given.contains(number))
}

fn has_failed(call: &iofold::domain::ToolCall) -> bool {
    let says_so = call
        .result
        .as_str()
        .is_some_and(|text| text.to_lowercase().starts_with("error"));
    call.error.is_some() || says_so
}

fn calls_one_twice(trace: &Trace) -> bool {
    let names: Vec<&str> = trace
        .tool_calls
        .iter()
        .map(|call| call.name.as_str())
        .collect();
    names
        .iter()
        .enumerate()
        .any(|(at, name)| names[..at].contains(name))
}

fn last_tool(trace: &Trace) -> Option<&str> {
    trace.tool_calls.last().map(|call| call.name.as_str())
}

fn commonest_last_tool(labels: &[LabelledTrace]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in labels.iter().filter_map(|label| last_tool(&label.trace)) {
        *counts.entry(name).or_default() += 1;
    }
    let commonest = counts.into_iter().max_by_key(|(_, count)| *count);
    Some(commonest.map_or_else(|| "no tool".to_owned(), |(name, _)| name.to_owned()))
}
