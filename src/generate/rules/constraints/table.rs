//! The kinds of constraints: how requests state them, and what is counted in the answer.
//!
//! The patterns mean the same to Python, with `re.ASCII`, and to this crate, after [`compiled`] has said `\b`, `\w`, `\s`
//! and `\Z` in its words. No text makes Python's search slow: a repeat is bounded, or begins only where few of its kind can.

use std::sync::LazyLock;

use regex::Regex;

use super::super::text::pattern;

/// What a constraint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    Length,
    Letters,
    Layout,
    Wording,
    Frame,
}

impl Family {
    pub const ALL: [Self; 5] = [
        Self::Length,
        Self::Letters,
        Self::Layout,
        Self::Wording,
        Self::Frame,
    ];

    /// What such constraints are about, after "what its request asks of".
    pub fn subject(self) -> &'static str {
        match self {
            Self::Length => "its length",
            Self::Letters => "its letters and marks",
            Self::Layout => "its layout",
            Self::Wording => "its words",
            Self::Frame => "how it opens and ends",
        }
    }
}

/// One kind of constraint.
pub struct Kind {
    pub family: Family,
    /// How many there may be: [`NAMED`], "0", or "1+".
    pub usual: &'static str,
    /// How requests say so, in lower case; [`TOKENS`] stand for their patterns. Each takes a line of an eval.
    pub asks: &'static [&'static str],
    /// What is counted. `KEY` stands for each of the words that the request names, both then in lower case.
    pub counted: &'static str,
}

/// Stands for what the request says: "at least 3".
pub const NAMED: &str = "N";
/// How often a request may state a kind: more are not read.
pub const MAX_STATED: usize = 9;

/// Number words; each one's place is its number.
pub const NUMBERS: &str = "zero one two three four five six seven eight nine ten";

/// Names that patterns may use, each with its pattern, in which earlier names may stand.
///
/// No name is the beginning of a later one, so that they can be replaced from the last to the first.
pub const TOKENS: [(&str, &str); 10] = [
    ("NUM", r"\b([0-9]{1,6}|SPELT)\b"),
    (
        "HOW",
        r"(at (least|most)|(not? )?(less|fewer|more) than|m..imum of|exactly|only|up to)",
    ),
    (
        "MANY",
        r"(HOW (a \w+ of )?)?NUM((-| (to|or|and) )NUM| or (more|less|fewer)|\+)?",
    ),
    ("TIMES", "HOW (MANY time|once|twice)"),
    // What may follow "not": a first word that is not like "forget", "hesitate", "know" or "understand".
    (
        "GAP",
        " ?(([a-egijl-tv-z]|f[^o]|h[^e]|k[^n]|u[^n])[a-z ]{0,40})?",
    ),
    (
        "NOT",
        r"\b(no|\w*n[o'’]t|without|avoid|exclude|refrain|free of)\bGAP",
    ),
    (
        "DO",
        r"(^|\n|[.,:] |\b(must|to|and|that) )(include|use|mention|contain)s? [a-z ]{0,20}",
    ),
    ("QUOTE", r#"(?:["“][^"“”\n]+["”]|['‘][^'‘’\n]+['’])"#),
    ("WORD", r#"(?:QUOTE|[^ \t-\r,.:;"“”'‘’()\[\]]+)"#),
    (
        "LIST",
        r"(?P<words>((the |key)words?:? WORD|QUOTE)((,? (and|or)|,) WORD){0,9})",
    ),
];

const fn kind(
    family: Family,
    usual: &'static str,
    asks: &'static [&'static str],
    counted: &'static str,
) -> Kind {
    Kind {
        family,
        usual,
        asks,
        counted,
    }
}

use Family::{Frame, Layout, Length, Letters, Wording};

/// All kinds. At most 32: see [`super::Kinds`].
pub static KINDS: &[Kind] = &[
    kind(
        Letters,
        "0",
        &[r"NOT\bcommas?|commas are not|comma-free"],
        ",",
    ),
    kind(
        Letters,
        "0",
        &[r"(in|all|only|use) [a-z ]{0,9}lower.?case|NOT\bcapital [lw]"],
        "[A-Z]",
    ),
    kind(
        Letters,
        "0",
        &[
            r"([^es]|answer|response) in all ?-?cap|english,( and)? all cap",
            r"only [a-z ]{0,9}(capital|upper)|NOT\blower ?-?case",
        ],
        "[a-z]",
    ),
    kind(
        Letters,
        NAMED,
        &[
            r"HOW MANY( \w+){1,6} all ?-?cap",
            r"\bcap[a-z ,-]{0,50}?HOW MANY",
        ],
        r"\b[A-Z]+\b",
    ),
    kind(Letters, NAMED, &[r"MANY exclamation (marks|points)"], "!"),
    kind(Letters, "0", &[r"NOT\bpunctuation"], "[.,;:!?]"),
    kind(
        Length,
        NAMED,
        &[r"HOW MANY words|NUM(\+|( to| and) NUM| or \w+)[- ]word"],
        r"[^\s]+",
    ),
    kind(
        Length,
        NAMED,
        &[r"MANY( \w+)? sentences?"],
        r#"[.!?]["')*]*(\s|\Z)"#,
    ),
    kind(
        Length,
        NAMED,
        &[r"MANY \w+s\b[^*]{0,90} \*\*\*([^*]|\Z)"],
        r"[^*\s][^*]*(\*{1,2}[^*]+)*",
    ),
    kind(
        Length,
        NAMED,
        &[r"MANY paragraphs?[^*]{0,90}(lines|breaks|\\n)"],
        r"[^\n]+(\n[^\n]+)*",
    ),
    kind(Length, NAMED, &[r"HOW MANY characters"], r"(?s)."),
    kind(Length, NAMED, &[r"HOW MANY lines"], r"[^\n]+"),
    kind(
        Layout,
        NAMED,
        &[r"MANY( markdown)? bullet"],
        r"(?m)^[ \t]*[*-] ",
    ),
    kind(
        Layout,
        NAMED,
        &[r"MANY (section|part|para).{0,90} (?P<words>\w+) x\b"],
        r"\bKEY [0-9x]",
    ),
    kind(
        Layout,
        NAMED,
        &[r"MANY( \w+)? placeholders?"],
        r"\[[^\[\]\n]+\]",
    ),
    kind(
        Layout,
        NAMED,
        &[r"(light|alici.e) MANY|MANY( \w+){0,4} (highl|ital)"],
        r"\*[^*\n]+\*",
    ),
    kind(Layout, "1+", &[r"(6|six) asterisk|\*{6}"], r"\*{6}"),
    kind(
        Layout,
        "1+",
        &[r"double angular brackets|<<title>>"],
        r"<<[^<>\n]+>>",
    ),
    kind(
        Layout,
        "1+",
        &[r"(in|as( a)?|valid) json"],
        r"(?s)\A\s?(```\w*)?\s*[{\[].*[}\]][`\s]*\Z",
    ),
    kind(Layout, NAMED, &[r"HOW MANY hashtags?"], r"#\w"),
    kind(
        Wording,
        NAMED,
        &[r"(letter|word) (?P<words>WORD)( \w+){0,5}? TIMES"],
        "KEY",
    ),
    kind(Wording, "0", &[r"NOT\bthe letter (?P<words>WORD)"], "KEY"),
    kind(Wording, "0", &["NOTLIST"], r"\bKEY\b"),
    kind(Wording, "1+", &[r"DOLIST"], "KEY"),
    kind(
        Wording,
        "0",
        &[r"in [a-cf-z]\w+( lang\w+)?,?( and)? no other lang"],
        r"\b(the|and|of|is)\b",
    ),
    kind(
        Frame,
        "1+",
        &[r"\b(end|finish)\b[a-z ]{0,60}:? (?P<words>QUOTE)"],
        r#"KEY["\s]{0,9}\Z"#,
    ),
    kind(
        Frame,
        "1+",
        &[r"response \w+ start[a-z ]{0,30} (?P<words>QUOTE)"],
        r#"\A["\s]{0,9}KEY"#,
    ),
    kind(
        Frame,
        "1+",
        &[r"(wrap|put|with|in) [a-z ]{0,40}double quot"],
        r#"(?s)\A\s*".*"\s*\Z"#,
    ),
    kind(Frame, "1+", &[r"\bp\.(p\.)?s\b"], r"\bP\.(P\.)?S"),
    kind(
        Frame,
        "1+",
        &["my answer is yes"],
        "My answer is (yes|no|maybe)",
    ),
    kind(
        Frame,
        "1+",
        &[r"(?s)\A(?P<words>[^\n]{1,24}).*\n[^\n]*\brepeat "],
        r"(?s)\A.{0,60}\bKEY",
    ),
];

/// A kind's patterns, compiled.
pub struct Compiled {
    pub asks: Vec<Regex>,
    /// `None` where it has to be made for each `KEY`.
    pub counted: Option<Regex>,
}

pub static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let compiled_kind = |kind: &Kind| Compiled {
        asks: kind
            .asks
            .iter()
            .map(|ask| compiled(&expanded(ask)))
            .collect(),
        counted: (!kind.counted.contains("KEY")).then(|| compiled(kind.counted)),
    };
    KINDS.iter().map(compiled_kind).collect()
});

/// A pattern with the tokens replaced by what they stand for.
pub fn expanded(text: &str) -> String {
    let replaced = TOKENS
        .iter()
        .rev()
        .fold(text.to_owned(), |text, (name, meaning)| {
            text.replace(name, meaning)
        });
    replaced.replace("SPELT", &NUMBERS.replace(' ', "|"))
}

/// Compiles a pattern that Python reads with `re.ASCII`.
pub fn compiled(text: &str) -> Regex {
    pattern(&in_rust(text))
}

/// A pattern that Python reads with `re.ASCII`, as this crate reads it.
pub fn in_rust(text: &str) -> String {
    text.replace(r"\b", r"(?-u:\b)")
        .replace(r"\w", "[0-9A-Za-z_]")
        .replace(r"\s", r"[ \t\n\r\x0b\x0c]")
        .replace(r"\Z", r"\z")
}
