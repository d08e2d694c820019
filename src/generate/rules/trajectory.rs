//! What an agent did on the way to its answer: which tools, in what order, what went wrong and what followed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::reading::{Reading, failed};
use super::text::{has_run, words};
use super::vocabulary::PhraseList;
use crate::domain::{ToolCall, Trace};

/// What a tool's name begins with where a call changes something in the world.
pub const CHANGING_VERBS: &str =
    "book buy cancel change create delete edit exchange insert modify pay place purchase
refund remove return send set_ submit update write";
/// What a tool's name holds where a call hands the user over to a person.
pub const PERSON_MARKS: &[&str] = &["human", "transfer_to", "escalat", "handoff", "hand_off"];
/// What users say who agree to what an agent is about to do.
pub const AGREEMENTS: &[&str] = &[
    "yes", "sure", "ok", "okay", "please", "proceed", "go ahead", "confirm", "agree", "do it",
];
/// What an agent says of a change that it made.
pub const CLAIMS: &[&str] = &[
    "successfully",
    "has been booked",
    "has been cancelled",
    "has been canceled",
    "has been changed",
    "has been sent",
    "has been updated",
    "have been updated",
];
/// What an agent says that means to go on.
pub static PROMISES: PhraseList = PhraseList {
    constant: "PROMISES",
    verb: "promises to go on",
    infinitive: "promise to go on",
    phrases: &[
        "I will now",
        "I'll now",
        "let me",
        "one moment",
        "hold on",
        "please hold",
        "please wait",
    ],
};

/// A number read off the calls and turns of a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum Trajectory {
    /// Calls that change something.
    Changes,
    /// Calls that change something right after the user said anything but yes.
    UnaskedChanges,
    /// Whether the last call changes something.
    EndsOnChange,
    /// Whether the answer claims a change that no call made.
    ClaimsChange,
    /// Calls that an earlier one made already, with the same arguments.
    Repeats,
    /// The most calls of one tool in a row.
    LongestRun,
    /// Tools whose last call failed.
    LeftFailing,
    /// Different tools.
    DifferentTools,
    /// Whether a call hands over to a person.
    HandsOver,
    /// Turns of the user.
    UserTurns,
    /// Whether the conversation ends with a turn of the user.
    Unanswered,
    /// Whether the last call is one of this tool.
    EndsBy(String),
    /// Whether a call of the first tool comes before one of the second.
    Before(String, String),
}

impl Trajectory {
    /// Whether [`Self::value`] counts something; else it is a flag.
    pub fn counts(&self) -> bool {
        matches!(
            self,
            Self::Changes
                | Self::UnaskedChanges
                | Self::Repeats
                | Self::LongestRun
                | Self::LeftFailing
                | Self::DifferentTools
                | Self::UserTurns
        )
    }

    /// Whether the two would need one name for two texts.
    pub fn clashes(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::EndsBy(_), Self::EndsBy(_)) | (Self::Before(..), Self::Before(..))
        )
    }

    /// The number for a trace; flags are 0 or 1.
    pub fn value(&self, reading: &Reading<'_>) -> f64 {
        let trace = reading.trace;
        let calls = &trace.tool_calls;
        let flag = usize::from;
        let number = match self {
            Self::Changes => calls.iter().filter(|call| changes(call)).count(),
            Self::UnaskedChanges => unasked_changes(trace),
            Self::EndsOnChange => flag(calls.last().is_some_and(changes)),
            Self::ClaimsChange => flag(claims(reading) && !calls.iter().any(changes)),
            Self::Repeats => calls.len() - calls.iter().map(key).collect::<HashSet<_>>().len(),
            Self::LongestRun => longest_run(calls),
            Self::LeftFailing => left_failing(calls),
            Self::DifferentTools => names(trace).collect::<HashSet<_>>().len(),
            Self::HandsOver => flag(calls.iter().any(hands_over)),
            Self::UserTurns => trace
                .messages
                .iter()
                .filter(|turn| turn.role == "user")
                .count(),
            Self::Unanswered => flag(
                trace
                    .messages
                    .last()
                    .is_some_and(|turn| turn.role == "user"),
            ),
            Self::EndsBy(tool) => flag(names(trace).last() == Some(tool)),
            Self::Before(first, then) => flag(comes_before(trace, first, then)),
        };
        number as f64
    }
}

/// The order in which tools are called, and which comes last: of those in the same traces, one.
pub fn orders(readings: &[Reading<'_>], least: usize) -> Vec<Trajectory> {
    let mut traces_with: BTreeMap<(&str, Option<&str>), Vec<usize>> = BTreeMap::new();
    for (index, reading) in readings.iter().enumerate() {
        for order in orders_in(reading.trace) {
            traces_with.entry(order).or_default().push(index);
        }
    }
    let mut seen = HashSet::new();
    traces_with
        .into_iter()
        .filter(|(_, traces)| (least..readings.len()).contains(&traces.len()))
        .filter(|(_, traces)| seen.insert(traces.clone()))
        .map(|((tool, then), _)| match then {
            Some(then) => Trajectory::Before(tool.to_owned(), then.to_owned()),
            None => Trajectory::EndsBy(tool.to_owned()),
        })
        .collect()
}

/// Each pair of tools of which the first comes before the second, and the last tool.
fn orders_in(trace: &Trace) -> BTreeSet<(&str, Option<&str>)> {
    let mut all: BTreeSet<_> = names(trace)
        .last()
        .map(|tool| (tool, None))
        .into_iter()
        .collect();
    let mut earlier = BTreeSet::new();
    for tool in names(trace) {
        all.extend(earlier.iter().map(|first| (*first, Some(tool))));
        earlier.insert(tool);
    }
    all
}

fn names(trace: &Trace) -> impl Iterator<Item = &str> {
    trace.tool_calls.iter().map(|call| call.name.as_str())
}

fn changes(call: &ToolCall) -> bool {
    let name = call.name.to_lowercase();
    CHANGING_VERBS
        .split_whitespace()
        .any(|verb| name.starts_with(verb))
}

fn hands_over(call: &ToolCall) -> bool {
    let name = call.name.to_lowercase();
    PERSON_MARKS.iter().any(|mark| name.contains(mark))
}

fn says_one(text: &[String], phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| has_run(text, &words(phrase)))
}

fn claims(reading: &Reading<'_>) -> bool {
    says_one(&reading.words, CLAIMS)
}

fn unasked_changes(trace: &Trace) -> usize {
    let mut agreed = false;
    let mut unasked = 0;
    for turn in &trace.messages {
        if turn.role == "user" {
            agreed = says_one(&words(&turn.content), AGREEMENTS);
        }
        if !agreed {
            unasked += turn.tool_calls.iter().filter(|call| changes(call)).count();
        }
    }
    unasked
}

/// A call's name and arguments, as text that is the same for the same call.
fn key(call: &ToolCall) -> (&str, String) {
    (&call.name, sorted(&call.arguments).to_string())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().collect();
            let fields = fields.into_iter();
            fields
                .map(|(name, value)| (name.clone(), sorted(value)))
                .collect()
        }
        other => other.clone(),
    }
}

fn longest_run(calls: &[ToolCall]) -> usize {
    let runs = calls.chunk_by(|one, next| one.name == next.name);
    runs.map(<[_]>::len).max().unwrap_or(0)
}

fn left_failing(calls: &[ToolCall]) -> usize {
    let last: HashMap<_, _> = calls.iter().map(|call| (&call.name, call)).collect();
    last.into_values().filter(|call| failed(call)).count()
}

fn comes_before(trace: &Trace, first: &str, then: &str) -> bool {
    names(trace)
        .skip_while(|name| *name != first)
        .skip(1)
        .any(|name| name == then)
}
