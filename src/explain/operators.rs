//! Ways to break a good answer on purpose.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edit::Edit;
use super::text::{first_part, numbers, other_number, sentences};
use crate::domain::Trace;

const REFUSAL: &str = "I'm sorry, but I can't help with that.";
/// Said instead of an answer, in a language that it is not in.
const SPANISH: &str =
    "La respuesta depende de varios factores que conviene revisar con calma antes de decidir nada.";
const GERMAN: &str = "Die Antwort hängt von mehreren Umständen ab, die man in Ruhe prüfen sollte, bevor man etwas entscheidet.";
/// Words by which Spanish is known.
const SPANISH_WORDS: [&str; 6] = ["de", "que", "el", "los", "una", "para"];

/// One way to break a trace with a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// The answer says nothing.
    EmptyAnswer,
    /// It refuses.
    Refuse,
    /// It is another trace's.
    OtherAnswer,
    /// It ends half-way.
    Truncate,
    /// It is in another language, and about nothing.
    SwapLanguage,
    /// Its last number is another.
    ChangeNumber,
    /// Its last sentence is missing.
    DropSentence,
    /// Its last sentence comes twice.
    RepeatSentence,
    /// The last field of an answer in JSON is missing; else the last one of the trace's metadata.
    DropField,
    /// JSON has words around it.
    WrapInProse,
    /// JSON is cut before its end.
    BreakJson,
    /// Nothing was retrieved.
    DropRetrieved,
    /// The last tool was never called.
    DropToolCall,
    /// The last tool call failed.
    FailToolCall,
}

impl Operator {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 14] = [
        Self::EmptyAnswer,
        Self::Refuse,
        Self::OtherAnswer,
        Self::Truncate,
        Self::SwapLanguage,
        Self::ChangeNumber,
        Self::DropSentence,
        Self::RepeatSentence,
        Self::DropField,
        Self::WrapInProse,
        Self::BreakJson,
        Self::DropRetrieved,
        Self::DropToolCall,
        Self::FailToolCall,
    ];

    /// What it does, for people: "the answer is cut half-way".
    pub fn words(self) -> &'static str {
        match self {
            Self::EmptyAnswer => "an empty answer",
            Self::Refuse => "a refusal",
            Self::OtherAnswer => "another trace's answer",
            Self::Truncate => "the answer cut half-way",
            Self::SwapLanguage => "another language",
            Self::ChangeNumber => "a changed number",
            Self::DropSentence => "a dropped sentence",
            Self::RepeatSentence => "a repeated sentence",
            Self::DropField => "a dropped field",
            Self::WrapInProse => "words around JSON",
            Self::BreakJson => "broken JSON",
            Self::DropRetrieved => "nothing retrieved",
            Self::DropToolCall => "a dropped tool call",
            Self::FailToolCall => "a failed tool call",
        }
    }

    /// The trace, broken, where that changes it; `other` is an answer to something else.
    pub fn apply(self, trace: &Trace, other: Option<&str>) -> Option<Trace> {
        let answer = trace.output_text.as_str();
        let edit = match self {
            Self::EmptyAnswer => Edit::Answer(String::new()),
            Self::Refuse => Edit::Answer(REFUSAL.to_owned()),
            Self::OtherAnswer => Edit::Answer(other?.to_owned()),
            Self::Truncate => Edit::Answer(first_part(answer, 2)?),
            Self::SwapLanguage => Edit::Answer(in_another_language(answer)?),
            Self::ChangeNumber => Edit::Answer(other_number(answer, numbers(answer).last()?)),
            Self::DropSentence => Edit::Answer(without_last_sentence(answer)?),
            Self::RepeatSentence => {
                let last = sentences(answer).pop()?.trim();
                Edit::Answer(format!("{} {last}", answer.trim_end()))
            }
            Self::DropField => drop_field(trace)?,
            Self::WrapInProse => {
                json(answer)?;
                Edit::Answer(format!(
                    "Sure! Here it is:\n\n{answer}\n\nLet me know if you need more."
                ))
            }
            Self::BreakJson => {
                json(answer)?;
                let end = answer.rfind(['}', ']'])?;
                Edit::Answer(answer[..end].to_owned())
            }
            Self::DropRetrieved => Edit::DropRetrieved,
            Self::DropToolCall => Edit::DropCall(trace.tool_calls.len().checked_sub(1)?),
            Self::FailToolCall => Edit::FailCall(trace.tool_calls.len().checked_sub(1)?),
        };
        Some(edit.apply(trace)).filter(|broken| broken != trace)
    }
}

/// As long as the answer, to a sentence; `None` for an empty one.
fn in_another_language(answer: &str) -> Option<String> {
    let words = answer.split_whitespace().count();
    let is_spanish = |word: &str| SPANISH_WORDS.contains(&word.to_lowercase().as_str());
    let known = answer
        .split_whitespace()
        .filter(|word| is_spanish(word))
        .count();
    let said = if known * 8 > words { GERMAN } else { SPANISH };
    let times = words.div_ceil(said.split_whitespace().count());
    (words > 0).then(|| vec![said; times].join(" "))
}

fn without_last_sentence(answer: &str) -> Option<String> {
    let sentences = sentences(answer);
    let (_, kept) = sentences.split_last()?;
    let kept = kept.concat();
    (!kept.trim().is_empty()).then(|| kept.trim_end().to_owned())
}

fn drop_field(trace: &Trace) -> Option<Edit> {
    if let Some(Value::Object(mut fields)) = json(&trace.output_text) {
        let last = fields.keys().next_back()?.clone();
        fields.shift_remove(&last);
        return Some(Edit::Answer(Value::Object(fields).to_string()));
    }
    let key = trace.metadata.as_object()?.keys().next_back()?;
    Some(Edit::DropMetadata(key.clone()))
}

/// The object or list that an answer is, whether in a fence or not.
fn json(answer: &str) -> Option<Value> {
    let body = answer.trim();
    let fenced = body
        .strip_prefix("```")
        .and_then(|body| body.strip_suffix("```"));
    let body = fenced
        .and_then(|body| body.split_once('\n'))
        .map_or(body, |(_, body)| body);
    let value: Value = serde_json::from_str(body).ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::edit::tests::{trace, trace_with_tools};
    use proptest::prelude::*;

    fn broken(operator: Operator, answer: &str) -> Option<String> {
        let broken = operator.apply(&trace(answer), Some("Rome"))?;
        Some(broken.output_text)
    }

    #[test]
    fn each_way_breaks_an_answer_as_it_says() {
        for (operator, answer, expected) in [
            (Operator::EmptyAnswer, "Yes.", Some("")),
            (Operator::EmptyAnswer, "", None),
            (Operator::OtherAnswer, "Paris", Some("Rome")),
            (Operator::OtherAnswer, "Rome", None),
            (Operator::Truncate, "one two three four", Some("one two")),
            (Operator::ChangeNumber, "1 of 29", Some("1 of 20")),
            (Operator::ChangeNumber, "none", None),
            (Operator::DropSentence, "One. Two.", Some("One.")),
            (Operator::DropSentence, "One.", None),
            (
                Operator::RepeatSentence,
                "One. Two.",
                Some("One. Two. Two."),
            ),
            (
                Operator::DropField,
                "{\"a\": 1, \"b\": 2}",
                Some("{\"a\":1}"),
            ),
            (Operator::DropField, "```json\n{\"a\": 1}\n```", Some("{}")),
            (Operator::DropField, "no JSON", None),
            (
                Operator::BreakJson,
                "```json\n{\"a\": [1]}\n```",
                Some("```json\n{\"a\": [1]"),
            ),
            (Operator::BreakJson, "12", None),
            (Operator::WrapInProse, "no JSON", None),
        ] {
            assert_eq!(
                broken(operator, answer).as_deref(),
                expected,
                "{operator:?} {answer}"
            );
        }
    }

    #[test]
    fn another_language_is_another_one_and_as_long() {
        let english = broken(Operator::SwapLanguage, &"It is on its way. ".repeat(9)).unwrap();
        assert!(english.starts_with("La respuesta") && english.split(' ').count() >= 45);
        let spanish = broken(
            Operator::SwapLanguage,
            "La capital de España es la que el mapa dice.",
        )
        .unwrap();
        assert!(spanish.starts_with("Die Antwort"), "{spanish}");
    }

    #[test]
    fn what_an_answer_rests_on_is_broken_where_there_is_any() {
        let apply = |operator: Operator, trace: &Trace| operator.apply(trace, None);
        let broken = apply(Operator::DropField, &trace_with_tools()).unwrap();
        assert_eq!(broken.metadata, serde_json::json!({"reference": "€40"}));
        for operator in [
            Operator::DropRetrieved,
            Operator::DropToolCall,
            Operator::FailToolCall,
        ] {
            assert!(
                apply(operator, &trace_with_tools()).is_some(),
                "{operator:?}"
            );
            assert_eq!(apply(operator, &trace("nothing")), None, "{operator:?}");
        }
    }

    proptest! {
        #[test]
        fn every_broken_trace_is_schema_1_another_trace_and_the_same_twice(answer in "(?s).{0,60}[0-9.{}\\[\\]\" a]{0,60}") {
            let mut rich = trace_with_tools();
            rich = Edit::Answer(answer.clone()).apply(&rich);
            for trace in [rich, trace(&answer)] {
                for operator in Operator::ALL {
                    let broken = operator.apply(&trace, Some("Rome"));
                    prop_assert_eq!(&operator.apply(&trace, Some("Rome")), &broken);
                    let Some(broken) = broken else { continue };
                    prop_assert_ne!(&broken, &trace);
                    let read: Trace = serde_json::from_str(&broken.to_json()).unwrap();
                    prop_assert_eq!(read, broken);
                }
            }
        }
    }
}
