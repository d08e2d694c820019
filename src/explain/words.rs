//! Where in a trace the words stand that an eval decided on.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use serde::Serialize;
use serde_json::Value;

use super::observed::{Explanation, Step};
use crate::domain::{Trace, Verdict, head, tail};

/// Words that are looked for.
const WORDS_MAX: usize = 8;
/// Characters of a trace around a word.
const AROUND_CHARS: usize = 40;
/// Characters of a longer word that are looked for.
const WORD_CHARS: usize = 200;
/// How deep into a trace's JSON.
const DEPTH_MAX: usize = 20;

/// A text that the eval decided on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// The text, as the eval had it.
    pub text: String,
    /// Where it stands in the answer; `None` where it does not.
    pub answer: Option<Place>,
    /// Where else in the trace it stands first; `None` where nowhere.
    pub elsewhere: Option<Place>,
}

/// A place in a trace, with what stands around it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// As Python would reach it: `output_text`, `tool_calls[0].result.fee`.
    pub path: String,
    /// At most 40 characters.
    pub before: String,
    /// The word as it stands there.
    pub text: String,
    /// At most 40 characters.
    pub after: String,
}

/// The words of the deciding test that the trace holds; where it has none, those of the steps nearest to it.
pub fn find_words(explanation: &Explanation, trace: &Trace, said: Option<Verdict>) -> Vec<Word> {
    let texts = Texts::of(trace);
    let mut levels: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for step in &explanation.steps {
        let level = if step.decides { 0 } else { 1 + step.depth };
        levels
            .entry(level)
            .or_default()
            .extend(words_of(step, said));
    }
    let found = levels.into_values().map(|level| {
        let parts = distinct(level);
        let parts = parts.filter(|text| is_a_part(text, &trace.output_text));
        let words = parts.filter_map(|text| texts.find(&text));
        words.take(WORDS_MAX).collect::<Vec<_>>()
    });
    let mut found = found.filter(|words| !words.is_empty());
    found.next().unwrap_or_default()
}

/// Without those that differ from one before in case alone.
fn distinct(texts: Vec<String>) -> impl Iterator<Item = String> {
    let mut known = BTreeSet::new();
    texts
        .into_iter()
        .filter(move |text| known.insert(text.to_lowercase()))
}

/// Of a test made for many things, what the verdict may hang on comes first.
fn words_of(step: &Step, said: Option<Verdict>) -> impl Iterator<Item = String> {
    let each = match said {
        Some(Verdict::Fail) => [&step.failed, &step.held],
        _ => [&step.held, &step.failed],
    };
    step.words.iter().chain(each[0]).chain(each[1]).cloned()
}

/// A long answer as a whole is no word of it.
fn is_a_part(text: &str, answer: &str) -> bool {
    let (text, answer) = (text.trim(), answer.trim());
    let is_short = text.split_whitespace().nth(3).is_none();
    !text.is_empty() && (is_short || text.to_lowercase() != answer.to_lowercase())
}

/// The texts of a trace with their paths: what a person would look at first comes first.
struct Texts<'t> {
    answer: &'t str,
    others: Vec<(String, &'t str)>,
}

impl<'t> Texts<'t> {
    fn of(trace: &'t Trace) -> Self {
        let mut others = vec![("input_text".to_owned(), trace.input_text.as_str())];
        for (at, call) in trace.tool_calls.iter().enumerate() {
            let path = format!("tool_calls[{at}]");
            others.push((format!("{path}.name"), call.name.as_str()));
            add(&mut others, format!("{path}.arguments"), &call.arguments, 0);
            add(&mut others, format!("{path}.result"), &call.result, 0);
            let error = call
                .error
                .as_deref()
                .map(|error| (format!("{path}.error"), error));
            others.extend(error);
        }
        add(&mut others, "metadata".to_owned(), &trace.metadata, 0);
        let messages = trace.messages.iter().enumerate();
        others.extend(
            messages.map(|(at, said)| (format!("messages[{at}].content"), said.content.as_str())),
        );
        for (at, step) in trace.observations.iter().enumerate() {
            add(
                &mut others,
                format!("observations[{at}].input"),
                &step.input,
                0,
            );
            add(
                &mut others,
                format!("observations[{at}].output"),
                &step.output,
                0,
            );
        }
        for (at, earlier) in trace.session.iter().enumerate() {
            let path = format!("session[{at}]");
            others.push((format!("{path}.input_text"), earlier.input_text.as_str()));
            others.push((format!("{path}.output_text"), earlier.output_text.as_str()));
        }
        let answer = trace.output_text.as_str();
        // A copy of the answer is no other place.
        others.retain(|(_, text)| *text != answer);
        Self { answer, others }
    }

    /// `None` for a text that stands nowhere: it is the eval's own, and says nothing of the trace.
    fn find(&self, text: &str) -> Option<Word> {
        let text = head(text, WORD_CHARS).to_owned();
        let patterns = patterns(text.trim());
        let answer = place("output_text", self.answer, &patterns);
        let mut elsewhere = self.others.iter();
        let elsewhere = elsewhere.find_map(|(path, within)| place(path, within, &patterns));
        (answer.is_some() || elsewhere.is_some()).then_some(Word {
            text,
            answer,
            elsewhere,
        })
    }
}

fn add<'t>(texts: &mut Vec<(String, &'t str)>, path: String, value: &'t Value, depth: usize) {
    match value {
        Value::String(text) => texts.push((path, text)),
        _ if depth == DEPTH_MAX => {}
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                add(texts, format!("{path}[{at}]"), item, depth + 1);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                add(texts, format!("{path}.{key}"), item, depth + 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// As a word of its own, else within others; both in whatever case, for evals often lower it.
fn patterns(text: &str) -> Vec<Regex> {
    let literal = regex::escape(text);
    let edge = |c: Option<char>| {
        if c.is_some_and(char::is_alphanumeric) {
            r"\b"
        } else {
            ""
        }
    };
    let (start, end) = (edge(text.chars().next()), edge(text.chars().next_back()));
    let forms = [format!("{start}{literal}{end}"), literal];
    // The shortest stand within others by chance.
    let count = if text.chars().nth(2).is_some() { 2 } else { 1 };
    let built = forms[..count]
        .iter()
        .map(|form| RegexBuilder::new(form).case_insensitive(true).build());
    built.filter_map(Result::ok).collect()
}

fn place(path: &str, within: &str, patterns: &[Regex]) -> Option<Place> {
    let found = patterns.iter().find_map(|pattern| pattern.find(within))?;
    Some(Place {
        path: path.to_owned(),
        before: tail(&within[..found.start()], AROUND_CHARS).to_owned(),
        text: found.as_str().to_owned(),
        after: head(&within[found.end()..], AROUND_CHARS).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::edit::tests::trace;
    use crate::explain::observed::StepKind;
    use proptest::prelude::*;

    fn explained(words: &[&str]) -> Explanation {
        let step = Step {
            kind: StepKind::Test,
            line: 1,
            code: String::new(),
            function: None,
            depth: 0,
            decides: true,
            truth: Some(true),
            values: Vec::new(),
            held: Vec::new(),
            failed: Vec::new(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        Explanation {
            lines: Vec::new(),
            decided: None,
            raised: None,
            steps: vec![step],
            left_out: 0,
            words: Vec::new(),
            differs: None,
        }
    }

    #[test]
    fn a_word_of_an_earlier_turn_of_the_session_is_shown_there() {
        let session = trace("It costs €40.").after(vec![trace("Delivery is free.")]);
        let words = find_words(&explained(&["free"]), &session, None);
        let place = words[0].elsewhere.as_ref().unwrap();
        assert_eq!(place.path, "session[0].output_text");
    }

    #[test]
    fn a_word_is_shown_where_it_stands_in_the_answer_and_elsewhere() {
        let mut trace = trace("The fee is €40, in all.");
        trace.metadata = serde_json::json!({"references": ["free", "all of €40"]});
        let words = find_words(&explained(&["€40", "nowhere", "ALL"]), &trace, None);
        let [fee, all] = &words[..] else {
            panic!("{words:?}")
        };
        let answer = fee.answer.as_ref().unwrap();
        assert_eq!(
            (answer.before.as_str(), answer.after.as_str()),
            ("The fee is ", ", in all.")
        );
        assert_eq!(
            fee.elsewhere.as_ref().unwrap().path,
            "metadata.references[1]"
        );
        assert_eq!(all.answer.as_ref().unwrap().text, "all");
    }

    #[test]
    fn a_word_of_its_own_comes_before_a_part_of_another() {
        let words = find_words(&explained(&["and"]), &trace("a band and a hand"), None);
        assert_eq!(words[0].answer.as_ref().unwrap().before, "a band ");
    }

    #[test]
    fn a_long_answer_as_a_whole_is_no_word_but_a_short_one_is() {
        for (answer, count) in [("Ants", 1), ("the whole of a long answer", 0)] {
            assert_eq!(
                find_words(&explained(&[answer]), &trace(answer), None).len(),
                count
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_the_text_a_place_quotes_it(answer in "(?s).{0,120}", from in 0..60_usize, long in 1..20_usize) {
            let word: String = answer.chars().skip(from).take(long).collect();
            let trace = trace(&answer);
            for word in find_words(&explained(&[&word]), &trace, None) {
                let place = word.answer.expect("it is from the answer");
                let quoted = format!("{}{}{}", place.before, place.text, place.after);
                prop_assert!(answer.contains(&quoted));
            }
        }
    }
}
