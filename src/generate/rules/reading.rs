//! A trace taken apart once, for all measures.

use std::collections::{BTreeMap, HashSet};

use super::constraints::{self, Checked};
use super::json::{self, Shape};
use super::text::{key_words, names, numbers, text_of, words};
use crate::domain::{ToolCall, Trace};

/// An eval that reads these has learnt who answered or when, not whether the answer is good.
const BOOKKEEPING: &[&str] = &[
    "id",
    "ids",
    "uuid",
    "model",
    "models",
    "engine",
    "provider",
    "version",
    "time",
    "timestamp",
    "date",
    "created",
    "updated",
    "latency",
    "duration",
    "cost",
    "tokens",
    "score",
    "scores",
    "label",
    "labels",
    "rating",
    "verdict",
    "grade",
    "feedback",
    "annotator",
    "session",
    "user",
    "environment",
    "release",
    "hash",
    "seed",
];

/// Where the words of an answer could have come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The last user turn.
    Request,
    /// What RETRIEVER observations returned.
    Retrieved,
    /// The system messages.
    Instructions,
    /// What tools returned.
    Tools,
    /// A field of the metadata.
    Metadata(String),
}

/// A source's text, taken apart.
pub struct Material {
    pub words: HashSet<String>,
    pub numbers: HashSet<String>,
}

impl Material {
    fn of(text: &str) -> Self {
        Self {
            words: words(text).into_iter().collect(),
            numbers: numbers(text).into_iter().collect(),
        }
    }
}

/// A trace with its answer's words and its sources.
pub struct Reading<'a> {
    pub trace: &'a Trace,
    pub answer: &'a str,
    pub lower_answer: String,
    pub words: Vec<String>,
    pub key_words: Vec<String>,
    pub numbers: Vec<String>,
    pub names: Vec<String>,
    pub shape: Option<Shape>,
    pub fenced: bool,
    pub constraints: Checked,
    pub sources: BTreeMap<Source, Material>,
    /// The texts of each metadata field that has some, as [`key_words`].
    pub references: BTreeMap<String, Vec<Vec<String>>>,
    /// What written predicates said of it, by name.
    pub written: BTreeMap<String, bool>,
}

impl<'a> Reading<'a> {
    /// Takes `trace` apart.
    pub fn new(trace: &'a Trace) -> Self {
        let answer = trace.output_text.as_str();
        let lower_answer = answer.to_lowercase();
        Self {
            trace,
            answer,
            constraints: constraints::check(&trace.input_text, answer, &lower_answer),
            lower_answer,
            words: words(answer),
            key_words: key_words(answer),
            numbers: numbers(answer),
            names: names(answer),
            shape: json::shape_of_answer(answer),
            fenced: json::is_fenced(answer),
            sources: sources(trace),
            references: references(trace),
            written: BTreeMap::new(),
        }
    }
}

/// The sources of a trace that hold words.
fn sources(trace: &Trace) -> BTreeMap<Source, Material> {
    let mut texts = vec![
        (Source::Request, trace.input_text.clone()),
        (Source::Retrieved, retrieved(trace)),
        (Source::Instructions, instructions(trace)),
        (Source::Tools, tool_results(trace)),
    ];
    texts.extend(fields(trace).map(|(name, text)| (Source::Metadata(name), text)));
    let materials = texts
        .into_iter()
        .map(|(source, text)| (source, Material::of(&text)));
    materials
        .filter(|(_, material)| !material.words.is_empty())
        .collect()
}

fn retrieved(trace: &Trace) -> String {
    let steps = trace
        .observations
        .iter()
        .filter(|step| step.kind == "RETRIEVER");
    steps
        .map(|step| text_of(&step.output))
        .collect::<Vec<_>>()
        .join("\n")
}

fn instructions(trace: &Trace) -> String {
    let turns = trace
        .messages
        .iter()
        .filter(|message| message.role == "system");
    turns
        .map(|message| message.content.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

fn tool_results(trace: &Trace) -> String {
    let results = trace.tool_calls.iter().map(|call| text_of(&call.result));
    results.collect::<Vec<_>>().join("\n")
}

/// The metadata's fields that hold text, with that text.
fn fields(trace: &Trace) -> impl Iterator<Item = (String, String)> {
    let fields = trace.metadata.as_object().into_iter().flatten();
    let texts = fields.map(|(name, value)| (name.clone(), text_of(value)));
    texts.filter(|(name, text)| !text.is_empty() && !says_nothing(name))
}

/// Whether a field of the metadata, by its name, describes the call, not what a good answer is.
pub fn says_nothing(name: &str) -> bool {
    words(&name.replace('_', " "))
        .iter()
        .any(|word| BOOKKEEPING.contains(&word.as_str()))
}

fn references(trace: &Trace) -> BTreeMap<String, Vec<Vec<String>>> {
    let read = |(name, text): (String, String)| {
        let texts: Vec<_> = text
            .split('\n')
            .map(key_words)
            .filter(|text| !text.is_empty())
            .collect();
        (name, texts)
    };
    fields(trace)
        .map(read)
        .filter(|(_, texts)| !texts.is_empty())
        .collect()
}

/// Whether a tool call went wrong: it says so, or its result begins with the word.
pub fn failed(call: &ToolCall) -> bool {
    call.error.is_some() || text_of(&call.result).to_lowercase().starts_with("error")
}
