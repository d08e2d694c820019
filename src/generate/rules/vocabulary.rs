//! The patterns, phrases and endings that people recognise.

use std::sync::LazyLock;

use regex::Regex;

use super::reading::Reading;
use super::text::pattern;

/// A regular expression that means the same to Python and to this crate: no `\w`, `\d`, `\s`, `\b`, and `$` only
/// where a line feed is taken before it.
///
/// No text makes Python's search slow: a repeat is bounded, or it passes no place where a match could begin, or nothing
/// has to follow it.
#[derive(Debug)]
pub struct Pattern {
    /// The constant's name in Python.
    pub constant: &'static str,
    /// Plural: "links".
    pub noun: &'static str,
    pub text: &'static str,
    /// Whether what was found tells more than how often.
    pub is_telling: bool,
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
    ($($constant:literal $noun:literal $is_telling:literal $text:literal),* $(,)?) => {
        &[$(Pattern { constant: $constant, noun: $noun, is_telling: $is_telling, text: $text }),*]
    };
}

/// All patterns; each is sought in the answer in lower case.
pub static PATTERNS: &[Pattern] = patterns![
    "NUMBER" "numbers" true r"[0-9]+(?:[.,][0-9]+)*",
    "DATE" "dates" true r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}|(?:january|february|march|april|may|june|july|august|september|october|november|december) [0-9]{1,4}",
    "AMOUNT" "amounts of money" true r"[$€£] ?[0-9]+(?:[.,][0-9]+)*",
    "PERCENTAGE" "percentages" true r"[0-9]{1,9}(?:[.,][0-9]{1,9}){0,4} ?%",
    "LINK" "links" true r"https?://[^ \n)]+",
    "EMAIL" "e-mail addresses" true r"[a-z0-9.+-]{1,64}@[a-z0-9-]{1,64}\.[a-z]+",
    "CODE_BLOCK" "code fences" false r"```",
    "INLINE_CODE" "inline code spans" true r"`[^`\n]+`",
    "BULLET" "bullet points" false r"(?m)^[ \t]*[-*•+] ",
    "STEP" "numbered points" false r"(?m)^[ \t]*[0-9]+[.)] ",
    "HEADING" "headings" false r"(?m)^#{1,6} ",
    "BOLD" "bold passages" true r"\*\*[^*\n]+\*\*",
    "QUESTION" "question marks" false r"\?",
    "EXCLAMATION" "exclamation marks" false r"!",
    "QUOTATION" "quotations" true "[\"“][^\"“”\\n]+[\"”]",
    "COMMA" "commas" false r",",
    "BRACKET" "brackets" false r"[(\[]",
    "LINE" "lines" false r"[^\n]+",
    "SENTENCE" "sentences" false r"[.!?][^a-z0-9 \n]{0,9}(?:[ \n]|$)",
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
        noun: "a closing mark",
        endings: &[
            ".", "!", "?", "\"", ")", "]", "}", "`", "*", ":", "'", "”", "…", "。",
        ],
    },
];
