//! The language of a text, by its commonest words or by its script.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::helpers::Helper;
use super::python::{dict, literal, raw_literal};
use super::spoken::{Spoken, flag};
use super::text::{pattern, words};

/// Languages with words that nearly every sentence has; words that several of them share say little.
const COMMON_WORDS: &[(&str, &str)] = &[
    (
        "English",
        "the and of to is that with for you what how this are",
    ),
    (
        "German",
        "der die das und ist nicht ein eine mit ich sie zu auf",
    ),
    (
        "French",
        "le la les et est des une du que pas pour dans qui vous",
    ),
    (
        "Spanish",
        "el los las y es en de que una por para con como del",
    ),
    (
        "Italian",
        "il di che è una per con non del gli sono della le nel",
    ),
    (
        "Portuguese",
        "o os as e que não um uma para com em do da por",
    ),
    (
        "Dutch",
        "de het een en van is niet dat ik met voor op zijn wat",
    ),
];

/// Scripts with a run of their letters; each run counts as a word.
const SCRIPTS: &[(&str, &str)] = &[
    ("Greek", r"[\u0370-\u03ff]+"),
    ("Cyrillic", r"[\u0400-\u04ff]+"),
    ("Hebrew", r"[\u0590-\u05ff]+"),
    ("Arabic", r"[\u0600-\u06ff]+"),
    ("Hindi", r"[\u0900-\u097f]+"),
    ("Thai", r"[\u0e00-\u0e7f]+"),
    ("Korean", r"[\uac00-\ud7a3]+"),
    ("Chinese or Japanese", r"[\u3040-\u30ff\u4e00-\u9fff]"),
];

/// Fewer words tell no language.
const MIN_COMMON_WORDS: usize = 3;

static LANGUAGES_OF: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut all: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, (_, words)) in COMMON_WORDS.iter().enumerate() {
        for word in words.split(' ') {
            all.entry(word).or_default().push(index);
        }
    }
    all
});
static COMPILED: LazyLock<Vec<Regex>> =
    LazyLock::new(|| SCRIPTS.iter().map(|(_, text)| pattern(text)).collect());

/// The language, or script, that most words of `text` speak for, of equals the first listed; `None` where too few do.
pub fn language(text: &str) -> Option<&'static str> {
    let mut counts = vec![0; COMMON_WORDS.len()];
    for word in words(text) {
        for index in LANGUAGES_OF.get(word.as_str()).into_iter().flatten() {
            counts[*index] += 1;
        }
    }
    counts.extend(COMPILED.iter().map(|script| script.find_iter(text).count()));
    let most = *counts.iter().max()?;
    let at = counts.iter().position(|count| *count == most)?;
    let mut names = COMMON_WORDS.iter().chain(SCRIPTS).map(|(name, _)| *name);
    names.nth(at).filter(|_| most >= MIN_COMMON_WORDS)
}

/// Whether both languages are known, and differ.
pub fn differ([asked, answered]: [Option<&str>; 2]) -> bool {
    asked
        .zip(answered)
        .is_some_and(|(asked, answered)| asked != answered)
}

const LANGUAGE: &str = r#"def language(text):
    """The language that most words speak for; None where too few do."""
    said, counts = words(text), {}
    for name, common in COMMON_WORDS.items():
        known = set(words(common))
        counts[name] = sum(word in known for word in said)
    for name, letters in SCRIPTS.items():
        counts[name] = len(re.findall(letters, text))
    likely = max(counts, key=counts.get)
    return likely if counts[likely] >= MIN_COMMON_WORDS else None"#;

/// How the measure reads in Python and in words.
pub fn spoken() -> Spoken {
    let value = flag(
        ["differs", "not differs"],
        [
            "f\"it is in {answered}, the request in {asked}\"",
            "\"it is not in another language than the request\"",
        ],
        [
            "is in another language than the request",
            "is not in another language than the request",
        ],
    );
    Spoken {
        imports: vec!["re"],
        helpers: vec![Helper::Words],
        constants: vec![
            table("COMMON_WORDS", COMMON_WORDS, literal),
            table("SCRIPTS", SCRIPTS, raw_literal),
            format!("MIN_COMMON_WORDS = {MIN_COMMON_WORDS}"),
        ],
        functions: vec![LANGUAGE.to_owned()],
        setup: vec![
            "asked = language(trace[\"input_text\"])".to_owned(),
            "answered = language(trace[\"output_text\"])".to_owned(),
            "differs = asked and answered and asked != answered".to_owned(),
        ],
        ..Spoken::new(value)
    }
}

fn table(name: &str, rows: &[(&str, &str)], quoted: fn(&str) -> String) -> String {
    let items: Vec<_> = rows
        .iter()
        .map(|(key, value)| (literal(key), quoted(value)))
        .collect();
    dict(name, &items)
}
