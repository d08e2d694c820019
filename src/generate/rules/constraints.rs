//! Constraints that a request states in the usual words, and answers can be counted by.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::helpers::Helper;
use super::python::raw_literal;
use super::spoken::{Spoken, Value, flag};
use super::text::{NUMBER_WORDS, pattern};
use crate::domain::Trace;

/// What is asked for, where at least; how the request says so (in lower case, the number as a group, if it names
/// one); and what is counted in the answer. Without a number, one is the least and none the most.
const CONSTRAINTS: &[(bool, &str, &str)] = &[
    (
        false,
        r"(?:no|any|without|use|using|of) commas|avoid[a-z ]* commas?",
        r",",
    ),
    (
        false,
        r"lowercase|(?:no|without|without using) capital letters",
        r"[A-Z]",
    ),
    (
        false,
        r"(?:english,? and )in all capital|only capital|all caps",
        r"[a-z]",
    ),
    (true, r"6 asterisk", r"\*{6}"),
    (true, r"double angular brackets", r"<<[^>\n]+>>"),
    (true, r"at least NUMBER placeholders?", r"\[[^\]\n]+\]"),
    (
        true,
        r"at least NUMBER words|NUMBER or more words",
        r"[^ \n]+",
    ),
    (false, r"(?:less|fewer|more) than NUMBER words", r"[^ \n]+"),
    (true, r"at least NUMBER sentences", r"[.!?]+"),
    (false, r"(?:less|fewer) than NUMBER sentences", r"[.!?]+"),
    (
        true,
        r"(?:highlight|italicize) at least NUMBER",
        r"\*[^*\n]+\*",
    ),
    (true, r"NUMBER bullet", r"(?m)^[ \t]*[-*] "),
    (false, r"exactly NUMBER bullet", r"(?m)^[ \t]*[-*] "),
];

/// What stands for NUMBER; a word that is none states nothing.
const NUMBER: &str = "([0-9]{1,6}|[a-z]+)";

static COMPILED: LazyLock<Vec<(bool, Regex, Regex)>> = LazyLock::new(|| {
    let compiled = |(at_least, ask, counted): &(bool, &str, &str)| {
        (
            *at_least,
            pattern(&ask.replace("NUMBER", NUMBER)),
            pattern(counted),
        )
    };
    CONSTRAINTS.iter().map(compiled).collect()
});

/// Whether the answer follows all constraints that the request states; one that states none is followed.
pub fn followed(trace: &Trace) -> bool {
    let request = trace.input_text.to_lowercase();
    COMPILED.iter().all(|(at_least, ask, counted)| {
        let Some(limit) = ask
            .captures(&request)
            .and_then(|stated| limit(&stated, *at_least))
        else {
            return true;
        };
        let count = counted.find_iter(&trace.output_text).count();
        if *at_least {
            count >= limit
        } else {
            count <= limit
        }
    })
}

fn limit(stated: &Captures<'_>, at_least: bool) -> Option<usize> {
    if stated.len() == 1 {
        return Some(usize::from(at_least));
    }
    let word = stated.iter().skip(1).flatten().last()?.as_str();
    word.parse()
        .ok()
        .or_else(|| NUMBER_WORDS.split(' ').position(|number| number == word))
}

const LIMIT: &str = r#"def limit(stated, at_least):
    """How many are asked for; None where a word is no number."""
    if stated.lastindex is None:
        return 1 if at_least else 0
    word, digits = stated[stated.lastindex], words(NUMBER_WORDS)
    if word in digits:
        return digits.index(word)
    return int(word) if re.match(r"[0-9]", word) else None"#;

const BROKEN: &str = r#"def broken(request, answer):
    """The first constraint that the request states and the answer breaks, or None."""
    for at_least, ask, counted in CONSTRAINTS:
        stated = re.search(ask.replace("NUMBER", NUMBER), request.lower())
        wanted = limit(stated, at_least) if stated else None
        count = len(re.findall(counted, answer))
        if wanted is not None and (count < wanted if at_least else count > wanted):
            return stated[0]
    return None"#;

/// How the measure reads in Python and in words.
pub fn spoken() -> Spoken {
    Spoken {
        imports: vec!["re"],
        helpers: vec![Helper::NumberWords, Helper::Words],
        constants: vec![format!("NUMBER = {}", raw_literal(NUMBER)), table()],
        functions: vec![LIMIT.to_owned(), BROKEN.to_owned()],
        setup: vec!["breach = broken(trace[\"input_text\"], trace[\"output_text\"])".to_owned()],
        ..Spoken::new(value())
    }
}

fn value() -> Value {
    flag(
        ["breach is None", "breach is not None"],
        [
            "\"it follows what the request asks for\"",
            "f\"it does not follow: {breach}\"",
        ],
        [
            "follows the constraints that its request states",
            "does not follow the constraints that its request states",
        ],
    )
}

fn table() -> String {
    let line = |(at_least, ask, counted): &(bool, &str, &str)| {
        let at_least = if *at_least { "True" } else { "False" };
        format!(
            "    ({at_least}, {}, {}),\n",
            raw_literal(ask),
            raw_literal(counted)
        )
    };
    let lines: String = CONSTRAINTS.iter().map(line).collect();
    format!("CONSTRAINTS = [\n{lines}]")
}
