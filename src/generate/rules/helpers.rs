//! The small Python functions that an eval is made of. Each has a twin in this crate that must agree with it.

use super::text::{MIN_PASSAGE_WORDS, NUMBER_WORDS, STOP_WORDS};

/// A function, or a constant that one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Helper {
    StopWords,
    NumberWords,
    MinPassageWords,
    TextOf,
    RetrievedText,
    Instructions,
    ToolResults,
    Words,
    ContentWords,
    Numbers,
    Names,
    KeyWords,
    References,
    HasRun,
    LongestRun,
    Plain,
    ShareSaid,
    Says,
    HasFailed,
    SourceTexts,
    Quotations,
    Links,
    Sentences,
    Runs,
    Repeated,
}

impl Helper {
    /// What it calls itself.
    pub fn needs(self) -> &'static [Helper] {
        use Helper::*;
        match self {
            SourceTexts => &[TextOf],
            Quotations => &[MinPassageWords, Words],
            Sentences => &[MinPassageWords, Words],
            RetrievedText | ToolResults | HasFailed => &[TextOf],
            ContentWords => &[StopWords, NumberWords, Words],
            Numbers => &[NumberWords, Words],
            KeyWords => &[NumberWords, Words],
            References => &[TextOf, KeyWords],
            Says => &[Plain],
            Plain => &[Words],
            _ => &[],
        }
    }

    /// Whether it is written above the functions.
    pub fn is_constant(self) -> bool {
        matches!(
            self,
            Self::StopWords | Self::NumberWords | Self::MinPassageWords
        )
    }

    /// Whether it uses regular expressions.
    pub fn uses_re(self) -> bool {
        matches!(
            self,
            Self::Words
                | Self::Numbers
                | Self::Names
                | Self::Quotations
                | Self::Links
                | Self::Sentences
        )
    }

    /// Its Python.
    pub fn source(self) -> String {
        match self {
            Self::StopWords => format!("STOP_WORDS = \"\"\"\n{}\n\"\"\"", wrapped(STOP_WORDS)),
            Self::NumberWords => format!("NUMBER_WORDS = \"{NUMBER_WORDS}\""),
            Self::TextOf => TEXT_OF.to_owned(),
            Self::RetrievedText => RETRIEVED_TEXT.to_owned(),
            Self::Instructions => INSTRUCTIONS.to_owned(),
            Self::ToolResults => TOOL_RESULTS.to_owned(),
            Self::Words => WORDS.to_owned(),
            Self::ContentWords => CONTENT_WORDS.to_owned(),
            Self::Numbers => NUMBERS.to_owned(),
            Self::Names => NAMES.to_owned(),
            Self::KeyWords => KEY_WORDS.to_owned(),
            Self::References => REFERENCES.to_owned(),
            Self::HasRun => HAS_RUN.to_owned(),
            Self::LongestRun => LONGEST_RUN.to_owned(),
            Self::Plain => PLAIN.to_owned(),
            Self::ShareSaid => SHARE_SAID.to_owned(),
            Self::Says => SAYS.to_owned(),
            Self::HasFailed => HAS_FAILED.to_owned(),
            Self::MinPassageWords => format!("MIN_PASSAGE_WORDS = {MIN_PASSAGE_WORDS}"),
            Self::SourceTexts => SOURCE_TEXTS.to_owned(),
            Self::Quotations => QUOTATIONS.to_owned(),
            Self::Links => LINKS.to_owned(),
            Self::Sentences => SENTENCES.to_owned(),
            Self::Runs => RUNS.to_owned(),
            Self::Repeated => REPEATED.to_owned(),
        }
    }
}

fn wrapped(words: &str) -> String {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if last.len() + word.len() > 80 {
            lines.push(word.to_owned());
        } else {
            last.push_str(if last.is_empty() { "" } else { " " });
            last.push_str(word);
        }
    }
    lines.join("\n")
}

const TEXT_OF: &str = r#"def text_of(value):
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    return "\n".join(map(text_of, value)) if isinstance(value, list) else """#;

const RETRIEVED_TEXT: &str = r#"def retrieved_text(trace):
    steps = [step for step in trace["observations"] if step["type"] == "RETRIEVER"]
    return text_of([step["output"] for step in steps])"#;

const INSTRUCTIONS: &str = r#"def instructions(trace):
    turns = [turn for turn in trace["messages"] if turn["role"] == "system"]
    return "\n".join(turn["content"] for turn in turns)"#;

const TOOL_RESULTS: &str = r#"def tool_results(trace):
    return text_of([call["result"] for call in trace["tool_calls"]])"#;

const WORDS: &str = r#"def words(text):
    return [word.lower() for word in re.findall(r"[^\W_]+", text)]"#;

const CONTENT_WORDS: &str = r#"def content_words(text):
    """The words that say something, with digits for number words."""
    stop_words, digits = set(words(STOP_WORDS)), words(NUMBER_WORDS)
    kept = [word for word in words(text) if word not in stop_words]
    return [str(digits.index(word)) if word in digits else word for word in kept]"#;

const NUMBERS: &str = r#"def numbers(text):
    """The numbers, those from two on also where they are words."""
    digits = words(NUMBER_WORDS)
    named = [digits.index(word) for word in words(text) if word in digits]
    found = re.findall(r"[0-9]+(?:[.,][0-9]+)*", text)
    written = [number.replace(",", "") for number in found]
    return written + [str(number) for number in named if number > 1]"#;

const NAMES: &str = r#"def names(text):
    found = re.findall(r"[a-z0-9,;] ([A-Z][a-z]+)", text)
    return [name.lower() for name in found]"#;

const KEY_WORDS: &str = r#"def key_words(text):
    """The words without articles, and with digits for number words."""
    digits = {word: str(number) for number, word in enumerate(words(NUMBER_WORDS))}
    return [digits.get(w, w) for w in words(text) if w not in ("a", "an", "the")]"#;

const REFERENCES: &str = r#"def references(trace):
    lines = text_of(trace["metadata"].get(FIELD)).split("\n")
    return [found for found in map(key_words, lines) if found]"#;

const HAS_RUN: &str = r#"def has_run(whole, part):
    return f" {' '.join(part)} " in f" {' '.join(whole)} ""#;

const LONGEST_RUN: &str = r#"def longest_run(part, whole):
    text, best = f" {' '.join(whole)} ", []
    for end in range(1, len(part) + 1):
        run = part[end - len(best) - 1 : end]
        best = run if f" {' '.join(run)} " in text else best
    return " ".join(best)"#;

const SHARE_SAID: &str = r#"def share_said(reference, answer):
    return sum(word in answer for word in reference) / max(1, len(reference))"#;

const SAYS: &str = r#"def says(text, phrase):
    return plain(phrase) in plain(text)"#;

const PLAIN: &str = r#"def plain(text):
    return f" {' '.join(words(text))} ""#;

const HAS_FAILED: &str = r#"def has_failed(call):
    result = text_of(call["result"]).lower()
    return call["error"] is not None or result.startswith("error")"#;

const SOURCE_TEXTS: &str = r#"def source_texts(trace):
    """All that the answer was made from."""
    turns = [turn for turn in trace["messages"] if turn["role"] != "assistant"]
    steps = [step for step in trace["observations"] if step["type"] == "RETRIEVER"]
    texts = [turn["content"] for turn in turns] + [step["output"] for step in steps]
    results = [call["result"] for call in trace["tool_calls"]]
    return text_of([trace["input_text"], *texts, *results])"#;

const QUOTATIONS: &str = r#"def quotations(text):
    found = re.findall(r'["“]([^"“”\n]+)["”]', text)
    return [quote for quote in found if len(words(quote)) >= MIN_PASSAGE_WORDS]"#;

const LINKS: &str = r#"def links(text):
    found = re.findall(r"https?://[^ \t\r\n<>()\[\]\"'`]+", text)
    return [link.rstrip(".,;:!?*/") for link in found]"#;

const SENTENCES: &str = r#"def sentences(text):
    parts = [words(part) for part in re.split(r"[.!?\n]+", text)]
    return [" ".join(part) for part in parts if len(part) >= MIN_PASSAGE_WORDS]"#;

const RUNS: &str = r#"def runs(said, length):
    """All runs of so many words."""
    starts = range(len(said) - length + 1)
    return [" ".join(said[start : start + length]) for start in starts]"#;

const REPEATED: &str = r#"def repeated(parts):
    return [part for part, count in collections.Counter(parts).items() if count > 1]"#;
