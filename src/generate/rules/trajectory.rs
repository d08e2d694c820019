//! What can be said of the steps that a trace took: which tools, in which order, what failed and what followed.
//!
//! A trace goes in, a number comes out. Names of tools are learnt from the traces at hand, none is built in; what a tool
//! does is read off its name's verb alone ([`CHANGE`]).

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::reading::failed;
use super::text::{pattern, strip};
use crate::domain::{ToolCall, Trace};

/// A tool that fewer of the traces call is chance.
const MIN_TOOL_TRACES: usize = 3;
const MIN_TOOL_SHARE: f64 = 0.1;

/// A tool's name, with a name space before it or not, that opens with a verb of change; "order" and such words count only
/// with an object, for they are nouns too.
pub const CHANGE: &str = "(?:^|__|[./:])(?i:add|apply|approve|assign|book|buy|cancel|change|close|commit|create|delete|\
disable|edit|enable|execute|insert|\
issue_?(?:credit|refund)|merge|modify|move|open_?(?:account|case|ticket)|patch|pay|place_?order|post|publish|purchase|push|put|\
refund|remove|rename|replace|reschedule|reserve|reset|save|schedule|send|set|submit|update|upload|upsert|write)\
(?:[^A-Za-z]|[A-Z]+(?:[^A-Z_]|$)|$)";

static COMPILED: LazyLock<Regex> = LazyLock::new(|| pattern(CHANGE));

/// A number read off a trace's steps. Those without a count are 0 or 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trajectory {
    /// How often a tool was called.
    CallsOf(String),
    /// Whether a tool was called last.
    LastCall(String),
    /// Whether one tool was called, and at any time after its first call another.
    Before(String, String),
    /// Whether a tool was called twice with the same arguments.
    Repeats,
    /// Whether a call failed and its tool was not called again.
    LeftFailed,
    /// Calls of tools that change something.
    Changes,
    /// Whether the last call was of a tool that changes something.
    LastCallChanges,
    /// Whether a tool that changes something was called after any call had failed.
    ChangesAfterFailure,
    /// Whether the conversation ends with a question of the user's.
    Unanswered,
}

impl Trajectory {
    /// Whether [`Self::value`] counts something.
    pub fn counts(&self) -> bool {
        matches!(self, Self::CallsOf(_) | Self::Changes)
    }

    /// The lines that it adds to an eval, at most.
    pub fn lines(&self) -> usize {
        match self {
            Self::LeftFailed | Self::ChangesAfterFailure => 29,
            Self::Repeats => 18,
            Self::Before(..) | Self::Changes | Self::LastCallChanges => 14,
            Self::Unanswered => 12,
            Self::CallsOf(_) | Self::LastCall(_) => 8,
        }
    }

    /// Whether the two are of one kind, and their Python shares its constants.
    pub fn is_like(&self, other: &Self) -> bool {
        discriminant(self) == discriminant(other)
    }

    /// The number for a trace.
    pub fn value(&self, trace: &Trace) -> usize {
        let calls = trace.tool_calls.as_slice();
        match self {
            Self::CallsOf(tool) => calls.iter().filter(|call| call.name == *tool).count(),
            Self::LastCall(tool) => {
                usize::from(calls.last().is_some_and(|call| call.name == *tool))
            }
            Self::Before(first, then) => usize::from(comes_before(calls, first, then)),
            Self::Repeats => usize::from(repeats(calls)),
            Self::LeftFailed => usize::from(left_failed(calls)),
            Self::Changes => calls.iter().filter(|call| changes(call)).count(),
            Self::LastCallChanges => usize::from(calls.last().is_some_and(changes)),
            Self::ChangesAfterFailure => usize::from(
                calls
                    .iter()
                    .skip_while(|call| !failed(call))
                    .skip(1)
                    .any(changes),
            ),
            Self::Unanswered => usize::from(is_unanswered(trace)),
        }
    }
}

fn changes(call: &ToolCall) -> bool {
    COMPILED.is_match(&call.name)
}

fn comes_before(calls: &[ToolCall], first: &str, then: &str) -> bool {
    let from_first = calls.iter().skip_while(|call| call.name != first);
    from_first.skip(1).any(|call| call.name == then)
}

fn repeats(calls: &[ToolCall]) -> bool {
    let mut asked = BTreeSet::new();
    calls
        .iter()
        .any(|call| !asked.insert((&call.name, canonical(&call.arguments))))
}

/// The value's JSON with the keys of objects in order, as Python's `json.dumps(…, sort_keys=True)` compares.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields
                .iter()
                .map(|(name, value)| (name, canonical(value)))
                .collect();
            let fields: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        plain => plain.to_string(),
    }
}

fn left_failed(calls: &[ToolCall]) -> bool {
    let left = |(at, call): (usize, &ToolCall)| {
        failed(call) && calls[at + 1..].iter().all(|later| later.name != call.name)
    };
    calls.iter().enumerate().any(left)
}

fn is_unanswered(trace: &Trace) -> bool {
    let last = trace
        .messages
        .iter()
        .rfind(|turn| !strip(&turn.content).is_empty());
    last.is_some_and(|turn| turn.role == "user" && turn.content.contains('?'))
}

/// Those that need no tool's name.
pub const NAMELESS: [Trajectory; 6] = [
    Trajectory::Repeats,
    Trajectory::LeftFailed,
    Trajectory::Changes,
    Trajectory::LastCallChanges,
    Trajectory::ChangesAfterFailure,
    Trajectory::Unanswered,
];

/// The tools that enough of the traces call, by name.
pub fn known_tools<'t>(traces: impl ExactSizeIterator<Item = &'t Trace>) -> Vec<String> {
    let least = MIN_TOOL_TRACES.max((MIN_TOOL_SHARE * traces.len() as f64).ceil() as usize);
    let mut called: BTreeMap<&str, usize> = BTreeMap::new();
    for trace in traces {
        let names: BTreeSet<&str> = trace
            .tool_calls
            .iter()
            .map(|call| call.name.as_str())
            .collect();
        for name in names {
            *called.entry(name).or_default() += 1;
        }
    }
    let known = called.into_iter().filter(|(_, traces)| *traces >= least);
    known.map(|(name, _)| name.to_owned()).collect()
}
