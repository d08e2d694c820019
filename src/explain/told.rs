//! A change in words.

use super::change::Change;
use super::edit::{Edit, Part};
use crate::domain::{Trace, head, tail};

/// Characters of a text that was removed or put in.
const QUOTED_CHARS: usize = 80;
/// Texts of a list that are shown.
const LISTED: usize = 3;
/// Characters of what stands around it.
const AROUND_CHARS: usize = 40;

/// What to do, and what it looks like; hostile texts.
pub struct Told {
    pub change: String,
    pub before: String,
    pub after: String,
}

/// An edit of `trace`, for people.
pub fn told(edit: &Edit, trace: &Trace) -> Told {
    match edit {
        Edit::Answer(text) => text_change(&trace.output_text, text, "answer"),
        Edit::Question(text) => text_change(&trace.input_text, text, "question"),
        Edit::Without(part, word) => plain(format!(
            "remove {} from {}",
            quoted(word),
            name(*part, trace)
        )),
        Edit::With(part, word) => plain(format!("add {} to {}", quoted(word), name(*part, trace))),
        Edit::DropMetadata(key) => plain(format!("leave out metadata {}", quoted(key))),
        Edit::DropCall(at) => plain(format!("leave out {}", call(*at, trace))),
        Edit::FailCall(at) => plain(format!("let {} fail", call(*at, trace))),
        Edit::DropRetrieved => plain("retrieve nothing".to_owned()),
    }
}

fn plain(change: String) -> Told {
    Told {
        change,
        before: String::new(),
        after: String::new(),
    }
}

fn text_change(from: &str, to: &str, what: &str) -> Told {
    let difference = Change::between(from, to);
    let [start, was, is, end] = difference.around();
    let (removed, inserted) = difference.stretches();
    let change = match (&removed[..], &inserted[..]) {
        _ if to.is_empty() => format!("empty the {what}"),
        ([_, ..], []) => format!("remove {} from the {what}", listed(&removed)),
        ([], [_, ..]) => format!("add {} to the {what}", listed(&inserted)),
        _ => format!("change {} to {} in the {what}", quoted(&was), quoted(&is)),
    };
    let around = |middle: &str| {
        let (start, end) = (tail(&start, AROUND_CHARS), head(&end, AROUND_CHARS));
        format!("{start}[{}]{end}", cut(middle))
    };
    Told {
        change,
        before: around(&was),
        after: around(&is),
    }
}

/// The first few.
fn listed(texts: &[String]) -> String {
    let shown: Vec<String> = texts.iter().take(LISTED).map(|text| quoted(text)).collect();
    match texts.len() - shown.len() {
        0 => shown.join(" and "),
        more => format!("{} and {more} more places", shown.join(", ")),
    }
}

fn call(at: usize, trace: &Trace) -> String {
    let name = trace
        .tool_calls
        .get(at)
        .map_or("", |call| call.name.as_str());
    format!(
        "the call of {} ({} of {})",
        quoted(name),
        at + 1,
        trace.tool_calls.len()
    )
}

fn name(part: Part, trace: &Trace) -> String {
    match part {
        Part::Result(at) => format!("the result of {}", call(at, trace)),
        Part::Retrieved(_) => "what was retrieved".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("“{}”", cut(text.trim()))
}

fn cut(text: &str) -> String {
    match head(text, QUOTED_CHARS) {
        whole if whole.len() == text.len() => text.to_owned(),
        beginning => format!("{beginning}… ({} characters)", text.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::edit::tests::{trace, trace_with_tools};

    #[test]
    fn changes_read_as_a_person_would_say_them() {
        let said = |answer: &str| {
            told(
                &Edit::Answer(answer.to_owned()),
                &trace("The fee is €40, in all."),
            )
        };
        assert_eq!(
            said("The fee is €, in all.").change,
            "remove “40” from the answer"
        );
        let changed = said("The fee is €50, in all.");
        assert_eq!(changed.change, "change “40” to “50” in the answer");
        assert_eq!(
            (changed.before.as_str(), changed.after.as_str()),
            ("The fee is €[40], in all.", "The fee is €[50], in all.")
        );
        assert_eq!(
            said("The fee is €40, in all. Sorry!").change,
            "add “Sorry!” to the answer"
        );
        assert_eq!(said("").change, "empty the answer");
        let tools = trace_with_tools();
        let said = |edit| told(&edit, &tools).change;
        assert_eq!(
            said(Edit::FailCall(1)),
            "let the call of “look_up” (2 of 2) fail"
        );
        let part = Part::Result(0);
        let without = Edit::Without(part, "€40".to_owned());
        assert_eq!(
            said(without),
            "remove “€40” from the result of the call of “look_up” (1 of 2)"
        );
        assert_eq!(said(Edit::DropRetrieved), "retrieve nothing");
    }

    #[test]
    fn a_long_text_is_cut_with_its_length() {
        let change = told(&Edit::Answer("é".repeat(900)), &trace("")).change;
        assert_eq!(
            change,
            format!("add “{}… (900 characters)” to the answer", "é".repeat(80))
        );
    }
}
