//! Which constraints a request states, and which of them the answer breaks; the Python in [`super::python`] does the same.

use std::sync::LazyLock;

use regex::{Captures, Regex, escape};

use super::super::text::pattern;
use super::Kinds;
use super::table::{COMPILED, KINDS, MAX_STATED, NAMED, NUMBERS, compiled, expanded, in_rust};

/// What a request asks for, and what of it the answer does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub stated: Kinds,
    pub broken: Kinds,
}

static AMOUNT: LazyLock<Regex> = LazyLock::new(|| compiled(&expanded("MANY")));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| compiled(&expanded("NUM")));
static NO_LESS: LazyLock<Regex> = LazyLock::new(|| pattern("not? less"));
static NO_MORE: LazyLock<Regex> = LazyLock::new(|| pattern("not? more"));
static WORD: LazyLock<Regex> = LazyLock::new(|| compiled(&expanded("WORD")));

/// Words in a list of keywords that are none.
pub const NO_KEYS: [&str; 7] = ["and", "or", "the", "word", "words", "keyword", "keywords"];
/// What keywords are quoted with.
pub const QUOTES: &str = "\"'“”‘’";

/// The spellings that are made one before an amount is read.
pub const SPELLINGS: [(&str, &str); 3] = [("once", "one"), ("twice", "two"), ("fewer", "less")];

/// Checks an answer, given also in lower case.
pub fn check(request: &str, answer: &str, lower_answer: &str) -> Checked {
    let request = request.to_lowercase();
    let texts = [answer, lower_answer];
    let mut checked = Checked::default();
    for index in 0..KINDS.len() {
        let mut found = stated(index, &request).peekable();
        if found.peek().is_some() {
            checked.stated.insert(index);
        }
        if found.any(|stated| is_broken(index, &stated, texts)) {
            checked.broken.insert(index);
        }
    }
    checked
}

/// Where the request states a kind.
fn stated<'r>(index: usize, request: &'r str) -> impl Iterator<Item = Captures<'r>> {
    COMPILED[index]
        .asks
        .iter()
        .flat_map(move |ask| ask.captures_iter(request).take(MAX_STATED))
}

fn is_broken(index: usize, stated: &Captures<'_>, [answer, lower_answer]: [&str; 2]) -> bool {
    let kind = &KINDS[index];
    let said = if kind.usual == NAMED {
        &stated[0]
    } else {
        kind.usual
    };
    let (low, high) = limits(said);
    let allowed = |found: usize| found >= low && high.is_none_or(|high| found as i64 <= high);
    if let Some(counted) = &COMPILED[index].counted {
        return !allowed(counted.find_iter(answer).count());
    }
    let words = stated.name("words").map_or("", |words| words.as_str());
    let keys: Vec<&str> = WORD.find_iter(words).map(|key| key.as_str()).collect();
    let broken = |key: &str, text: &str| {
        let literal = escape(key.trim_matches(|c| QUOTES.contains(c)));
        let counted = compiled_for(kind.counted, &literal);
        !NO_KEYS.contains(&key) && !allowed(counted.find_iter(text).count())
    };
    match keys.as_slice() {
        [] => broken("", answer),
        keys => keys.iter().any(|key| broken(key, lower_answer)),
    }
}

/// The pattern with a keyword in it, which is not to be read as one.
fn compiled_for(counted: &str, key: &str) -> Regex {
    pattern(&in_rust(counted).replace("KEY", key))
}

/// The least and the most that "at least 3", "less than five" or "2 to 4" allow; no most is no limit.
///
/// Only the amount counts, not what is said around it.
pub fn limits(said: &str) -> (usize, Option<i64>) {
    let said = SPELLINGS
        .iter()
        .fold(said.to_owned(), |text, (from, to)| text.replace(from, to));
    let amount = AMOUNT.find(&said).expect("what is asked has an amount");
    let said = NO_MORE.replace_all(amount.as_str(), "most");
    let said = NO_LESS.replace_all(&said, "least");
    let numbers: Vec<usize> = NUMBER
        .find_iter(&said)
        .map(|found| number(found.as_str()))
        .collect();
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let says = |any: &[&str]| any.iter().any(|word| said.contains(word));
    let low = if says(&["most", "less", "max", "up"]) {
        0
    } else {
        first + usize::from(says(&["more than"]))
    };
    let high = last as i64 - i64::from(says(&["less than"]));
    (low, (!says(&["least", "more", "min", "+"])).then_some(high))
}

fn number(text: &str) -> usize {
    let place = NUMBERS.split(' ').position(|number| number == text);
    place.unwrap_or_else(|| text.parse().expect("a number has at most six digits"))
}
