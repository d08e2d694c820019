//! Changes to try, smaller ones first.

use serde_json::Value;

use super::edit::{Edit, Part};
use super::text::{first_part, numbers, other_number, sentences};
use super::words::Word;
use crate::domain::{Trace, one_line};

/// Fine changes; the rest of the tries is for coarse ones.
const FINE_MAX: usize = 110;
/// In longer answers, a change of one word is not looked for: each is a copy of the answer.
const FINE_BYTES: usize = 100_000;
/// Numbers, sentences, tool calls and other parts that are each tried.
const EACH_MAX: usize = 12;
/// Into how many parts an answer is cut.
const PARTS: [usize; 5] = [8, 4, 3, 2, 1];

/// Edits of a trace by size, without any that changes nothing: fine ones of what the eval looks at, then coarse ones.
pub fn proposals(trace: &Trace, words: &[Word], literals: &[String]) -> Vec<Edit> {
    let answers = match trace.output_text.len() > FINE_BYTES {
        true => Vec::new(),
        false => answers(trace, words, literals),
    };
    let fine = answers.into_iter().map(Edit::Answer);
    let mut fine: Vec<Edit> = fine.chain(elsewhere(trace, words)).collect();
    tidy(&mut fine, trace);
    fine.truncate(FINE_MAX);
    let mut coarse = coarse(trace);
    tidy(&mut coarse, trace);
    coarse.retain(|edit| !fine.contains(edit));
    fine.extend(coarse);
    fine
}

/// By size; of the same size, as they came.
fn tidy(edits: &mut Vec<Edit>, trace: &Trace) {
    let mut known: Vec<Edit> = Vec::new();
    for edit in edits.drain(..) {
        let says_nothing = matches!(&edit, Edit::Answer(text) if *text == trace.output_text)
            || matches!(&edit, Edit::Question(text) if *text == trace.input_text);
        if !says_nothing && !known.contains(&edit) {
            known.push(edit);
        }
    }
    known.sort_by_cached_key(|edit| size(edit, trace));
    *edits = known;
}

/// Roughly, characters that change.
fn size(edit: &Edit, trace: &Trace) -> usize {
    match edit {
        Edit::Answer(text) => differing(&trace.output_text, text),
        Edit::Question(text) => differing(&trace.input_text, text),
        Edit::Without(_, word) | Edit::With(_, word) => word.chars().count(),
        Edit::DropMetadata(key) => key.chars().count() + trace.metadata[key].to_string().len(),
        Edit::DropCall(at) => {
            serde_json::to_string(&trace.tool_calls[*at]).map_or(0, |json| json.len())
        }
        Edit::FailCall(_) => super::edit::TOOL_FAILED.len(),
        Edit::DropRetrieved => usize::MAX,
    }
}

/// Characters between what two texts share at their start and at their end.
fn differing(from: &str, to: &str) -> usize {
    let same = |(a, b): &(char, char)| a == b;
    let start = from.chars().zip(to.chars()).take_while(same).count();
    let (rest, other) = (from.chars().count() - start, to.chars().count() - start);
    let ends = from.chars().rev().zip(to.chars().rev()).take_while(same);
    let end = ends.count().min(rest).min(other);
    rest + other - 2 * end
}

/// Other answers.
fn answers(trace: &Trace, words: &[Word], literals: &[String]) -> Vec<String> {
    let answer = trace.output_text.as_str();
    let mut answers = Vec::new();
    for word in words {
        match &word.answer {
            Some(place) => answers.extend(without(answer, &place.text)),
            None => answers.extend(with(answer, &word.text)),
        }
    }
    for text in literals {
        match answer.contains(text.as_str()) {
            true => answers.extend(without(answer, text)),
            false => answers.extend(with(answer, text)),
        }
    }
    let found = numbers(answer);
    answers.extend(
        found
            .iter()
            .take(EACH_MAX)
            .map(|number| other_number(answer, number)),
    );
    let found = sentences(answer);
    answers.extend(
        (0..found.len().min(EACH_MAX)).map(|at| [&found[..at], &found[at + 1..]].concat().concat()),
    );
    answers.extend(in_other_form(answer));
    answers.extend(as_json(answer, literals));
    answers
}

/// The answer without a text: the first time that it stands there, or at all; or in another case.
fn without(answer: &str, text: &str) -> Vec<String> {
    let changed = |to: &str| [answer.replacen(text, to, 1), answer.replace(text, to)];
    let [once, always] = changed("");
    let [lower, _] = changed(&text.to_lowercase());
    let [upper, _] = changed(&text.to_uppercase());
    vec![once, always, lower, upper]
}

/// The answer with a text after it, or before it.
fn with(answer: &str, text: &str) -> Vec<String> {
    let text = text.trim();
    vec![
        format!("{} {text}", answer.trim_end()),
        format!("{text} {}", answer.trim_start()),
    ]
}

fn in_other_form(answer: &str) -> Vec<String> {
    let trimmed = answer.trim();
    let inner = trimmed.find(['{', '[']).zip(trimmed.rfind(['}', ']']));
    let bare = inner.and_then(|(start, end)| trimmed.get(start..=end));
    let mut forms = vec![
        trimmed.to_owned(),
        answer.to_lowercase(),
        answer.to_uppercase(),
        answer.replace(',', ""),
        answer.replace(['*', '#', '`'], ""),
        trimmed.trim_end_matches(['.', '!', '?']).to_owned(),
        one_line(answer),
    ];
    forms.extend(["?", ".", "!", "}", ","].map(|mark| format!("{trimmed}{mark}")));
    forms.extend(bare.map(str::to_owned));
    forms
}

/// The answer as a JSON text, and as the value of fields that the eval may ask for.
fn as_json(answer: &str, literals: &[String]) -> Vec<String> {
    let is_key = |text: &&String| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !text.is_empty() && text.chars().all(is_part)
    };
    let keys = literals.iter().filter(is_key).take(EACH_MAX);
    let fields = keys.map(|key| (key.clone(), Value::from(answer)));
    let object = Value::Object(fields.collect());
    vec![Value::from(answer).to_string(), object.to_string()]
}

/// Changes to what the answer rests on.
fn elsewhere(trace: &Trace, words: &[Word]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let texts = words
        .iter()
        .map(|word| (word.elsewhere.as_ref(), word.text.as_str()));
    for (place, text) in texts {
        let text = place.map_or(text, |place| place.text.as_str());
        if trace.input_text.contains(text) {
            edits.push(Edit::Question(trace.input_text.replace(text, "")));
        }
        for part in parts(trace) {
            edits.push(match holds(trace, part, text) {
                true => Edit::Without(part, text.to_owned()),
                false => Edit::With(part, text.to_owned()),
            });
        }
    }
    let calls = trace.tool_calls.len();
    for at in calls.saturating_sub(EACH_MAX)..calls {
        edits.extend([Edit::FailCall(at), Edit::DropCall(at)]);
    }
    let fields = trace.metadata.as_object().into_iter().flatten();
    edits.extend(
        fields
            .take(EACH_MAX)
            .map(|(key, _)| Edit::DropMetadata(key.clone())),
    );
    edits
}

/// The last tool results, and what was retrieved.
fn parts(trace: &Trace) -> Vec<Part> {
    let steps = trace.observations.iter().enumerate();
    let retrieved = steps
        .filter(|(_, step)| step.kind == "RETRIEVER")
        .take(EACH_MAX);
    let calls = trace.tool_calls.len();
    let results = (calls.saturating_sub(EACH_MAX)..calls).map(Part::Result);
    retrieved
        .map(|(at, _)| Part::Retrieved(at))
        .chain(results)
        .collect()
}

fn holds(trace: &Trace, part: Part, text: &str) -> bool {
    let value = match part {
        Part::Result(at) => &trace.tool_calls[at].result,
        Part::Retrieved(at) => &trace.observations[at].output,
    };
    value.to_string().contains(text)
}

/// Changes to the whole answer, and to all that was retrieved.
fn coarse(trace: &Trace) -> Vec<Edit> {
    let answer = trace.output_text.trim();
    let mut answers: Vec<String> = PARTS
        .iter()
        .filter_map(|parts| first_part(answer, *parts))
        .collect();
    answers.extend(
        sentences(answer)
            .into_iter()
            .take(EACH_MAX)
            .map(|one| one.trim().to_owned()),
    );
    if answer.len() <= FINE_BYTES {
        answers.extend([2, 4, 8].map(|times| vec![answer; times].join(" ")));
    }
    answers.extend(references(trace));
    answers.extend([trace.input_text.clone(), String::new()]);
    let retrieved = trace
        .observations
        .iter()
        .filter(|step| step.kind == "RETRIEVER");
    let texts = retrieved
        .flat_map(|step| texts(&step.output))
        .take(EACH_MAX);
    answers.extend(texts);
    let edits = answers.into_iter().map(Edit::Answer);
    edits
        .chain([Edit::Question(String::new()), Edit::DropRetrieved])
        .collect()
}

/// Texts in `metadata`, which may hold the right answer.
fn references(trace: &Trace) -> Vec<String> {
    let fields = trace.metadata.as_object().into_iter().flatten();
    fields
        .flat_map(|(_, value)| texts(value))
        .take(EACH_MAX)
        .collect()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
