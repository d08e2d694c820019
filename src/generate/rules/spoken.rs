//! How each measure reads in Python and in words, whatever it is compared with.

mod format;
mod relations;
mod repetition;
mod trajectory;

use super::constraints;
use super::helpers::Helper;
use super::language;
use super::measure::Measure;
use super::python::{self, assignment, literal, raw_literal};
use super::vocabulary::{Ending, Pattern, PhraseList};

/// What a measure alone says.
pub struct Spoken {
    pub imports: Vec<&'static str>,
    pub helpers: Vec<Helper>,
    pub constants: Vec<String>,
    pub functions: Vec<String>,
    pub setup: Vec<String>,
    pub undefined: Option<(&'static str, &'static str)>,
    pub value: Value,
}

/// How a measure's number is written.
pub enum Value {
    /// True or false: an expression and its opposite, reasons and clauses for both.
    Flag {
        tests: [String; 2],
        reasons: [String; 2],
        clauses: [String; 2],
    },
    /// An expression, the constant's subject, what is said of it from the cut on and below, and the clause around
    /// "at least 3".
    Number {
        expression: String,
        subject: String,
        reasons: [String; 2],
        clause: Box<dyn Fn(&str) -> String>,
    },
}

impl Spoken {
    pub fn new(value: Value) -> Self {
        Self {
            imports: Vec::new(),
            helpers: Vec::new(),
            constants: Vec::new(),
            functions: Vec::new(),
            setup: Vec::new(),
            undefined: None,
            value,
        }
    }
}

/// A flag's value: each pair where it holds, and where it does not.
pub fn flag(tests: [&str; 2], reasons: [&str; 2], clauses: [&str; 2]) -> Value {
    Value::Flag {
        tests: tests.map(str::to_owned),
        reasons: reasons.map(str::to_owned),
        clauses: clauses.map(str::to_owned),
    }
}

/// A number's value.
fn number(
    expression: &str,
    subject: &str,
    reason: &str,
    clause: impl Fn(&str) -> String + 'static,
) -> Value {
    Value::Number {
        expression: expression.to_owned(),
        subject: subject.to_owned(),
        reasons: [reason.to_owned(), reason.to_owned()],
        clause: Box::new(clause),
    }
}

impl Value {
    /// The same number with more to say from the cut on (0), or below it (1).
    fn saying(mut self, side: usize, reason: &str) -> Self {
        if let Self::Number { reasons, .. } = &mut self {
            reasons[side] = reason.to_owned();
        }
        self
    }
}

/// What a measure says.
pub fn spoken(measure: &Measure) -> Spoken {
    match measure {
        Measure::Share(claim, source) => relations::share(*claim, source),
        Measure::Missing(claim, source) => relations::missing(*claim, source),
        Measure::Invented(passage, source) => relations::invented(*passage, source),
        Measure::Copies(source, length) => relations::copies(source, *length),
        Measure::LongestRun(source) => relations::longest_run(source),
        Measure::Reference(field, how) => relations::reference(field, *how),
        Measure::Format(format) => format::json_format(format),
        Measure::Fenced => format::fenced(),
        Measure::Pattern(pattern) => occurrences(pattern),
        Measure::SaysAny(list) => says_any(list),
        Measure::Says(phrase) => says(phrase),
        Measure::Ends(ending) => ends(ending),
        Measure::Words => word_count(),
        Measure::Characters => character_count(),
        Measure::Variety => variety(),
        Measure::RepeatedSentences => repetition::repeated_sentences(),
        Measure::Repetition => repetition::repetition(),
        Measure::OtherLanguage => language::spoken(),
        Measure::Unclosed => format::unclosed(),
        Measure::ToolCalls => tool_calls(),
        Measure::FailedCalls => failed_calls(),
        Measure::Uses(tool) => uses(tool),
        Measure::Trajectory(step) => trajectory::spoken(step),
        Measure::Constraints(asked) => constraints::spoken(*asked),
        Measure::Written(predicate) => predicate.spoken(),
    }
}

fn occurrences(pattern: &'static Pattern) -> Spoken {
    let (constant, noun) = (pattern.constant, pattern.noun);
    let reason = format!("f\"it has {{len(found)}} {noun}\"");
    let clause = move |amount: &str| format!("has {amount} {noun}");
    let mut value = number("len(found)", &format!("{constant}S"), &reason, clause);
    if pattern.is_telling {
        value = value.saying(
            0,
            &format!("f\"it has {{len(found)}} {noun}: {{', '.join(found):.60}}\""),
        );
    }
    Spoken {
        imports: vec!["re"],
        constants: vec![assignment(constant, &raw_literal(pattern.text))],
        setup: vec![format!(
            "found = re.findall({constant}, trace[\"output_text\"].lower())"
        )],
        ..Spoken::new(value)
    }
}

fn says_any(list: &'static PhraseList) -> Spoken {
    let items: Vec<_> = list.phrases.iter().map(|phrase| literal(phrase)).collect();
    let no = format!("does not {}", list.infinitive);
    let value = flag(
        ["said", "not said"],
        [
            "f\"it says “{', '.join(said):.60}”\"",
            &literal(&format!("it {no}")),
        ],
        [list.verb, &no],
    );
    let setup = format!(
        "said = [phrase for phrase in {} if says(answer, phrase)]",
        list.constant
    );
    Spoken {
        helpers: vec![Helper::Says],
        constants: vec![python::list(list.constant, &items)],
        setup: vec!["answer = trace[\"output_text\"]".to_owned(), setup],
        ..Spoken::new(value)
    }
}

fn ends(ending: &'static Ending) -> Spoken {
    let test = format!("answer.endswith({})", ending.constant);
    let yes = format!("ends with {}", ending.noun);
    let no = format!("does not end with {}", ending.noun);
    let reasons = [&yes, &no].map(|clause| format!("f\"it {clause}: “{{' '.join(last):.60}}”\""));
    let items: Vec<_> = ending
        .endings
        .iter()
        .map(|ending| literal(ending))
        .collect();
    let tuple = if items.len() == 1 {
        format!("({},)", items[0])
    } else {
        format!("({})", items.join(", "))
    };
    let value = flag(
        [&test, &format!("not {test}")],
        [&reasons[0], &reasons[1]],
        [&yes, &no],
    );
    Spoken {
        constants: vec![
            assignment(ending.constant, &tuple),
            "LAST_WORDS = 5".to_owned(),
        ],
        setup: vec![
            "answer = trace[\"output_text\"].strip()".to_owned(),
            "last = answer.split()[-LAST_WORDS:]".to_owned(),
        ],
        ..Spoken::new(value)
    }
}

fn word_count() -> Spoken {
    let clause = |amount: &str| format!("has {amount} words");
    Spoken {
        helpers: vec![Helper::Words],
        setup: vec!["length = len(words(trace[\"output_text\"]))".to_owned()],
        ..Spoken::new(number(
            "length",
            "WORDS",
            "f\"it has {length} words\"",
            clause,
        ))
    }
}

fn character_count() -> Spoken {
    let clause = |amount: &str| format!("has {amount} characters");
    Spoken {
        setup: vec!["size = len(trace[\"output_text\"])".to_owned()],
        ..Spoken::new(number(
            "size",
            "CHARACTERS",
            "f\"it has {size} characters\"",
            clause,
        ))
    }
}

fn variety() -> Spoken {
    let clause = |amount: &str| format!("has {amount} different words");
    let reason = "f\"{variety:.0%} of its words are different\"";
    Spoken {
        helpers: vec![Helper::Words],
        setup: vec![
            "spoken = words(trace[\"output_text\"])".to_owned(),
            "variety = len(set(spoken)) / max(1, len(spoken))".to_owned(),
        ],
        undefined: Some(("not spoken", "\"the answer has no words\"")),
        ..Spoken::new(number("variety", "VARIETY", reason, clause))
    }
}

fn tool_calls() -> Spoken {
    let clause = |amount: &str| format!("takes {amount} tool calls");
    Spoken {
        setup: vec!["calls = len(trace[\"tool_calls\"])".to_owned()],
        ..Spoken::new(number(
            "calls",
            "CALLS",
            "f\"it took {calls} tool calls\"",
            clause,
        ))
    }
}

const FAILED: &str =
    "failed = [call[\"name\"] for call in trace[\"tool_calls\"] if has_failed(call)]";

fn failed_calls() -> Spoken {
    let clause = |amount: &str| format!("has {amount} failed tool calls");
    let reason = "f\"{len(failed)} tool calls failed\"";
    let quoting = "f\"{len(failed)} tool calls failed: {', '.join(failed):.60}\"";
    let value = number("len(failed)", "FAILED_CALLS", reason, clause).saying(0, quoting);
    Spoken {
        helpers: vec![Helper::HasFailed],
        setup: vec![FAILED.to_owned()],
        ..Spoken::new(value)
    }
}

fn says(phrase: &str) -> Spoken {
    let value = flag(
        [
            "says(trace[\"output_text\"], PHRASE)",
            "not says(trace[\"output_text\"], PHRASE)",
        ],
        ["f\"it says “{PHRASE}”\"", "f\"it does not say “{PHRASE}”\""],
        [
            &format!("says “{phrase}”"),
            &format!("does not say “{phrase}”"),
        ],
    );
    Spoken {
        helpers: vec![Helper::Says],
        constants: vec![assignment("PHRASE", &literal(phrase))],
        ..Spoken::new(value)
    }
}

fn uses(tool: &str) -> Spoken {
    let value = flag(
        ["TOOL in called", "TOOL not in called"],
        ["f\"{TOOL} was called\"", "f\"{TOOL} was not called\""],
        [
            &format!("calls the tool {tool}"),
            &format!("does not call the tool {tool}"),
        ],
    );
    Spoken {
        constants: vec![assignment("TOOL", &literal(tool))],
        setup: vec!["called = [call[\"name\"] for call in trace[\"tool_calls\"]]".to_owned()],
        ..Spoken::new(value)
    }
}
