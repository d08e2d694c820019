//! The patterns, phrases and endings that people recognise.

use std::sync::LazyLock;

use regex::Regex;

use super::reading::Reading;
use super::text::pattern;

/// A regular expression that means the same to Python and to this crate: no `\w`, `\d`, `\s`, `\b`, `$`.
#[derive(Debug)]
pub struct Pattern {
    /// The constant's name in Python.
    pub constant: &'static str,
    /// Plural: "links".
    pub noun: &'static str,
    pub text: &'static str,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.constant == other.constant
    }
}

impl Pattern {
    /// How often it occurs in the answer, in lower case.
    pub fn count(&self, reading: &Reading<'_>) -> usize {
        let index = PATTERNS.iter().position(|known| known == self);
        let index = index.expect("every pattern is listed in PATTERNS");
        COMPILED[index].find_iter(&reading.lower_answer).count()
    }
}

static COMPILED: LazyLock<Vec<Regex>> =
    LazyLock::new(|| PATTERNS.iter().map(|known| pattern(known.text)).collect());

macro_rules! patterns {
    ($($constant:literal $noun:literal $text:literal),* $(,)?) => {
        &[$(Pattern { constant: $constant, noun: $noun, text: $text }),*]
    };
}

/// All patterns; each is sought in the answer in lower case.
pub static PATTERNS: &[Pattern] = patterns![
    "NUMBER" "numbers" r"[0-9]+(?:[.,][0-9]+)*",
    "DATE" "dates" r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}",
    "AMOUNT" "amounts of money" r"[$€£] ?[0-9]",
    "PERCENTAGE" "percentages" r"[0-9] ?%",
    "LINK" "links" r"https?://[^ \n)]+",
    "EMAIL" "e-mail addresses" r"[a-z0-9.+-]+@[a-z0-9-]+\.[a-z]+",
    "CODE_BLOCK" "code fences" r"```",
    "INLINE_CODE" "pieces of inline code" r"`[^`\n]+`",
    "BULLET" "bullet points" r"(?m)^[ \t]*[-*•+] ",
    "STEP" "numbered points" r"(?m)^[ \t]*[0-9]+[.)] ",
    "HEADING" "headings" r"(?m)^#{1,6} ",
    "BOLD" "bold passages" r"\*\*[^*\n]+\*\*",
    "QUESTION" "question marks" r"\?",
    "EXCLAMATION" "exclamation marks" r"!",
    "QUOTATION" "quotations" "[\"“][^\"”\\n]+[\"”]",
    "COMMA" "commas" r",",
    "BRACKET" "brackets" r"[(\[]",
    "LINE" "lines" r"[^\n]+",
];

/// Phrases of one kind; written as people write them, compared word by word.
#[derive(Debug)]
pub struct PhraseList {
    /// The constant's name in Python.
    pub constant: &'static str,
    /// With the answer as subject: "hedges".
    pub verb: &'static str,
    /// The same without it: "hedge".
    pub infinitive: &'static str,
    pub phrases: &'static [&'static str],
}

impl PartialEq for PhraseList {
    fn eq(&self, other: &Self) -> bool {
        self.constant == other.constant
    }
}

/// All phrase lists.
pub static PHRASE_LISTS: &[PhraseList] = &[
    PhraseList {
        constant: "REFUSALS",
        verb: "refuses",
        infinitive: "refuse",
        phrases: &[
            "I can't",
            "I cannot",
            "I'm unable",
            "I am unable",
            "I won't",
            "I'm not able",
            "I am not able",
            "as an AI",
            "can't assist",
            "can't help",
            "cannot provide",
            "not appropriate",
            "against my",
        ],
    },
    PhraseList {
        constant: "APOLOGIES",
        verb: "apologises",
        infinitive: "apologise",
        phrases: &["sorry", "apologies", "apologize", "apologise", "regret"],
    },
    PhraseList {
        constant: "HEDGES",
        verb: "hedges",
        infinitive: "hedge",
        phrases: &[
            "maybe",
            "perhaps",
            "probably",
            "possibly",
            "might be",
            "may be",
            "I think",
            "I believe",
            "not sure",
            "unclear",
            "likely",
            "it seems",
            "I guess",
            "don't know",
        ],
    },
];

/// How an answer ends, white space apart.
#[derive(Debug, PartialEq)]
pub struct Ending {
    /// The constant's name in Python.
    pub constant: &'static str,
    /// After "the answer ends with".
    pub noun: &'static str,
    pub endings: &'static [&'static str],
}

impl Ending {
    /// Whether `answer` ends so.
    pub fn fits(&self, answer: &str) -> bool {
        self.endings.iter().any(|ending| answer.ends_with(ending))
    }
}

/// All endings.
pub static ENDINGS: &[Ending] = &[
    Ending {
        constant: "QUESTION_END",
        noun: "a question",
        endings: &["?"],
    },
    Ending {
        constant: "SENTENCE_END",
        noun: "the end of a sentence",
        endings: &[".", "!", "?", "\"", ")", "]", "}", "`", "*", ":", "'", "”"],
    },
];
