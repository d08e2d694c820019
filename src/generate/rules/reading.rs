//! A trace taken apart once, for all measures.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;

use super::constraints::{self, Checked};
use super::json::{self, Shape};
use super::language::language;
use super::overlap::Runs;
use super::text::{
    in_digits, is_content, key_words, links, names, numbers, pattern, quotations, runs, text_of,
    words,
};
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

/// Where a word begins in a name such as `modelName`.
static INNER_CAPITAL: LazyLock<Regex> = LazyLock::new(|| pattern("([a-z0-9])([A-Z])"));

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
    /// All that the answer was made from: every turn but the assistant's, what was retrieved and what tools returned.
    Any,
}

/// How many words in a row are looked for in a source, ascending: a turn of phrase, a sentence, a passage.
pub const COPIED_RUNS: [usize; 3] = [5, 10, 20];

/// Words in a row that count as repeated where they come again.
pub const REPEATED_RUN: usize = 3;

/// A source's text, taken apart.
pub struct Material {
    /// As they are, and those that name numbers as digits too.
    pub words: HashSet<String>,
    pub numbers: HashSet<String>,
    pub links: HashSet<String>,
    /// The words as one text, for what must be there as a run.
    pub said: String,
    /// The longest of [`COPIED_RUNS`] that the answer has from here; 0 if it has none.
    pub copied: usize,
    /// The most [`key_words`] in a row that the answer has from here; `None` without any of either.
    pub shared: Option<usize>,
}

/// The answer as sources are compared with it.
struct Answer<'a> {
    words: &'a [String],
    key_words: Runs<'a>,
}

impl Material {
    fn of(text: &str, answer: &Answer<'_>) -> Self {
        let said = words(text);
        Self {
            numbers: numbers(text, &said).into_iter().collect(),
            links: links(text).into_iter().collect(),
            copied: longest_copied(answer.words, &said),
            shared: answer.key_words.longest_in(&key_words(&said)),
            said: format!(" {} ", said.join(" ")),
            words: said
                .into_iter()
                .flat_map(|word| [in_digits(&word), word])
                .collect(),
        }
    }
}

fn longest_copied(answer: &[String], source: &[String]) -> usize {
    let copies = |length: &usize| {
        let known: HashSet<_> = source.windows(*length).collect();
        answer.windows(*length).any(|run| known.contains(run))
    };
    let copied = COPIED_RUNS.into_iter().take_while(copies);
    copied.last().unwrap_or(0)
}

/// A trace with its answer's words and its sources.
pub struct Reading<'a> {
    pub trace: &'a Trace,
    pub answer: &'a str,
    pub lower_answer: String,
    pub words: Vec<String>,
    /// Without stop words, and with digits for words that name numbers.
    pub content_words: Vec<String>,
    pub key_words: Vec<String>,
    pub numbers: Vec<String>,
    pub names: Vec<String>,
    pub quotations: Vec<String>,
    pub links: Vec<String>,
    /// Runs of three words.
    pub runs: Vec<String>,
    /// The request's language and the answer's, where they can be told.
    pub languages: [Option<&'static str>; 2],
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
        let (said, lower_answer) = (words(answer), answer.to_lowercase());
        let key_words = key_words(&said);
        let content = said.iter().filter(|word| is_content(word));
        Self {
            trace,
            answer,
            constraints: constraints::check(&trace.input_text, answer, &lower_answer),
            lower_answer,
            quotations: quotations(answer),
            links: links(answer),
            runs: runs(&said, REPEATED_RUN),
            languages: [trace.input_text.as_str(), answer].map(language),
            sources: sources(trace, &said, &key_words),
            content_words: content.map(|word| in_digits(word)).collect(),
            numbers: numbers(answer, &said),
            words: said,
            key_words,
            names: names(answer),
            shape: json::shape_of_answer(answer),
            fenced: json::is_fenced(answer),
            references: references(trace),
            written: BTreeMap::new(),
        }
    }
}

/// The sources of a trace that hold words.
fn sources(trace: &Trace, words: &[String], key_words: &[String]) -> BTreeMap<Source, Material> {
    let answer = Answer {
        words,
        key_words: Runs::of(key_words),
    };
    let (retrieved, results) = (retrieved(trace), tool_results(trace));
    let turns = turns(trace, |role| role != "assistant");
    let all = [&trace.input_text, &turns, &retrieved, &results];
    let all = all.map(String::as_str).join("\n");
    let mut texts = vec![
        (Source::Request, trace.input_text.clone()),
        (Source::Retrieved, retrieved),
        (
            Source::Instructions,
            self::turns(trace, |role| role == "system"),
        ),
        (Source::Tools, results),
        (Source::Any, all),
    ];
    texts.extend(fields(trace).map(|(name, text)| (Source::Metadata(name), text)));
    let materials = texts
        .into_iter()
        .map(|(source, text)| (source, Material::of(&text, &answer)));
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

/// The turns of some roles.
fn turns(trace: &Trace, of: impl Fn(&str) -> bool) -> String {
    let turns = trace.messages.iter().filter(|turn| of(&turn.role));
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
    words(&INNER_CAPITAL.replace_all(name, "$1 $2").replace('_', " "))
        .iter()
        .any(|word| BOOKKEEPING.contains(&word.as_str()))
}

fn references(trace: &Trace) -> BTreeMap<String, Vec<Vec<String>>> {
    let read = |(name, text): (String, String)| {
        let texts: Vec<_> = text
            .split('\n')
            .map(|line| key_words(&words(line)))
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
