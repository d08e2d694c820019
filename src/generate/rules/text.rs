//! Text as the emitted Python sees it: what `helpers.rs` and the constants of measures do in Python is done here in Rust.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Python's `[^\W_]+`: letters and numbers of any script, as of the Unicode version that CPython 3.13 knows.
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[[\p{L}\p{N}]&&\p{Age:15.1}]+"));
/// A number with its separators.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]+(?:[.,][0-9]+)*"));
/// A capitalised word that does not open a sentence.
static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"[a-z0-9,;] ([A-Z][a-z]+)"));

/// What stands between quotation marks on one line.
static QUOTATION: LazyLock<Regex> = LazyLock::new(|| pattern(r#"["“]([^"“”\n]+)["”]"#));
/// An address on the web; what may close the sentence is taken off afterwards.
static LINK: LazyLock<Regex> = LazyLock::new(|| pattern(r#"https?://[^ \t\r\n<>()\[\]"'`]+"#));
/// Where a sentence or a line ends.
static SENTENCE_END: LazyLock<Regex> = LazyLock::new(|| pattern(r"[.!?\n]+"));

/// Fewer words in quotation marks are a title or a word that is only mentioned; fewer in a line are a label.
pub const MIN_PASSAGE_WORDS: usize = 3;

/// Words that say nothing by themselves.
pub const STOP_WORDS: &str = "a an and are as at be been but by can do for from had has have he her his i if \
in is it its me my no not of on or our she so that the their them there they this to was we were what when \
which who will with would you your";
/// Number words; each one's place is its number.
pub const NUMBER_WORDS: &str =
    "zero one two three four five six seven eight nine ten eleven twelve";

static STOPPED: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split(' ').collect());
static NUMBERS: LazyLock<HashMap<&str, usize>> = LazyLock::new(|| {
    let words = NUMBER_WORDS.split(' ').enumerate();
    words.map(|(number, word)| (word, number)).collect()
});

/// Compiles a pattern of this crate's own.
pub fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the crate's own patterns are valid")
}

/// The words of `text`, in lower case.
pub fn words(text: &str) -> Vec<String> {
    WORD.find_iter(text)
        .map(|word| word.as_str().to_lowercase())
        .collect()
}

/// Whether a word says something by itself.
pub fn is_content(word: &str) -> bool {
    !STOPPED.contains(word)
}

/// The number that a word names.
pub fn named_number(word: &str) -> Option<usize> {
    NUMBERS.get(word).copied()
}

/// The word, as digits where it names a number.
pub fn in_digits(word: &str) -> String {
    named_number(word).map_or_else(|| word.to_owned(), |number| number.to_string())
}

/// The numbers of `text`, without thousands separators; in words from two on, for "one" mostly names no number.
pub fn numbers(text: &str, words: &[String]) -> Vec<String> {
    let named = words.iter().filter_map(|word| named_number(word));
    let named = named.filter(|number| *number > 1);
    let written = NUMBER.find_iter(text);
    written
        .map(|number| number.as_str().replace(',', ""))
        .chain(named.map(|number| number.to_string()))
        .collect()
}

/// The names in `text`, in lower case: capitalised words inside sentences.
pub fn names(text: &str) -> Vec<String> {
    NAME.captures_iter(text)
        .map(|found| found[1].to_lowercase())
        .collect()
}

/// What the text quotes, if it has some words.
pub fn quotations(text: &str) -> Vec<String> {
    QUOTATION
        .captures_iter(text)
        .map(|found| found[1].to_owned())
        .filter(|quotation| words(quotation).len() >= MIN_PASSAGE_WORDS)
        .collect()
}

/// The web addresses in `text`.
pub fn links(text: &str) -> Vec<String> {
    LINK.find_iter(text)
        .map(|link| {
            link.as_str()
                .trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '/'])
        })
        .map(str::to_owned)
        .collect()
}

/// The sentences and lines of `text` that have some words, as those words.
pub fn sentences(text: &str) -> Vec<String> {
    let parts = SENTENCE_END.split(text).map(words);
    parts
        .filter(|part| part.len() >= MIN_PASSAGE_WORDS)
        .map(|part| part.join(" "))
        .collect()
}

/// All runs of `length` words.
pub fn runs(words: &[String], length: usize) -> Vec<String> {
    words.windows(length).map(|run| run.join(" ")).collect()
}

/// How many different parts are there more than once.
pub fn repeated(parts: &[String]) -> usize {
    let mut counts: HashMap<&String, usize> = HashMap::new();
    for part in parts {
        *counts.entry(part).or_default() += 1;
    }
    counts.values().filter(|count| **count > 1).count()
}

/// Whether `text` opens a code fence or a bracket that it does not close.
pub fn unclosed(text: &str) -> bool {
    let count = |part: &str| text.matches(part).count();
    let brackets = [("(", ")"), ("[", "]"), ("{", "}")];
    count("```") % 2 == 1
        || brackets
            .iter()
            .any(|(open, close)| count(open) > count(close))
}

/// Words without articles, number words as digits: what two spellings of one answer share.
pub fn key_words(words: &[String]) -> Vec<String> {
    let kept = words
        .iter()
        .filter(|word| !matches!(word.as_str(), "a" | "an" | "the"));
    kept.map(|word| in_digits(word)).collect()
}

/// Whether `part` occurs in `whole` as a run of words.
pub fn has_run(whole: &[String], part: &[String]) -> bool {
    !part.is_empty() && whole.windows(part.len()).any(|run| run == part)
}

/// All text in a JSON value, a line each.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => joined(items.iter()),
        Value::Object(fields) => joined(fields.values()),
        _ => String::new(),
    }
}

fn joined<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    values.map(text_of).collect::<Vec<_>>().join("\n")
}

/// Python's `str.strip()`, which also takes the four separators of ASCII for white space.
pub fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}
