//! An eval that asks `judge` one question: the LLM gives question, rubric and examples, the Python is always the same.

use serde_json::Value;

use super::attempt::Shown;
use super::labels::Decided;
use crate::domain::{Class, EvalSource, head, one_line};
use crate::generate::rules::python::literal;

/// Parts of a trace that a question may be about, each as an item of a list in Python.
const PARTS: [(&str, &str); 7] = [
    ("input", "section(\"Request\", [trace[\"input_text\"]]),"),
    ("output", ANSWER),
    (
        "conversation",
        r#"section(
            "Conversation",
            [f"{turn['role']}: {turn['content']}" for turn in trace["messages"]],
        ),"#,
    ),
    (
        "session",
        r#"section(
            "Session",
            [
                f"{turn['input_text']}\n{turn['output_text']}"
                for turn in trace.get("session", [])
            ],
        ),"#,
    ),
    (
        "tools",
        r#"section(
            "Tools",
            [f"{call['name']}: {call['result']}" for call in trace["tool_calls"]],
        ),"#,
    ),
    (
        "retrieved",
        r#"section(
            "Retrieved",
            [
                str(step["output"])
                for step in trace["observations"]
                if step["type"] == "RETRIEVER"
            ],
        ),"#,
    ),
    (
        "metadata",
        "section(\"Metadata\", [str(trace[\"metadata\"])]),",
    ),
];
const ANSWER: &str = "section(\"Answer\", [trace[\"output_text\"]]),";

/// The names of the parts.
pub fn part_names() -> Vec<&'static str> {
    PARTS.iter().map(|(name, _)| *name).collect()
}

/// Characters of a question with its rubric and examples: `judge` takes 2,000.
const QUESTION_CHARS: usize = 1_900;
const ASKED_CHARS: usize = 500;
const RUBRIC_LINES: usize = 8;
const RUBRIC_CHARS: usize = 160;
/// Examples, and characters of a request and an answer in one.
const EXAMPLES: usize = 4;
const EXAMPLE_CHARS: usize = 160;
const CRITERION_CHARS: usize = 200;
/// Characters of a literal on one line.
const LINE_CHARS: usize = 76;

const HEAD: &str = r#"
from iofold import judge

QUESTION = (
"#;
const BODY: &str = r#")
MOST_CHARS = 20_000


def section(title, texts):
    text = "\n".join(texts)
    if len(text) > MOST_CHARS:
        half = MOST_CHARS // 2
        text = f"{text[:half]}\n[… the middle is left out …]\n{text[-half:]}"
    return f"{title}:\n{text}"


def evaluate(trace):
    parts = [
"#;
const TAIL: &str = r#"    ]
    if judge(QUESTION, "\n\n".join(parts)):
        return True, "an LLM finds that it meets the criterion"
    return False, "an LLM finds that it does not meet the criterion"
"#;

/// The eval that asks what an answer says; `None` where it asks nothing.
///
/// Examples are taken from the labels that the LLM was shown, and from no others.
pub fn source(answer: &Value, shown: &Shown<'_, '_>) -> Option<EvalSource> {
    let asked = line(answer["question"].as_str()?, ASKED_CHARS);
    if asked.is_empty() {
        return None;
    }
    let question = question(&asked, &texts(&answer["rubric"]), &examples(answer, shown));
    let criterion = line(
        answer["criterion"].as_str().unwrap_or(&asked),
        CRITERION_CHARS,
    );
    let named = texts(&answer["parts"]);
    let parts: String = PARTS
        .iter()
        .filter(|(name, python)| named.contains(name) || *python == ANSWER)
        .map(|(_, python)| format!("        {python}\n"))
        .collect();
    let docstring = criterion.replace('"', "'").replace('\\', "/");
    let question = literals(&question);
    Some(EvalSource::new(format!(
        "\"\"\"{docstring}\"\"\"\n{HEAD}{question}{BODY}{parts}{TAIL}"
    )))
}

fn question(asked: &str, rubric: &[&str], examples: &[String]) -> String {
    let rubric = rubric
        .iter()
        .take(RUBRIC_LINES)
        .map(|text| format!("- {}", line(text, RUBRIC_CHARS)));
    let mut question = asked.to_owned();
    let checked: Vec<String> = rubric.collect();
    if !checked.is_empty() {
        question.push_str("\nCheck each; yes only where all hold:");
    }
    for line in checked.iter().chain(examples) {
        if question.chars().count() + line.chars().count() < QUESTION_CHARS {
            question.push('\n');
            question.push_str(line);
        }
    }
    question
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// One line of at most so many characters.
fn line(text: &str, chars: usize) -> String {
    head(&one_line(text), chars).to_owned()
}

fn examples(answer: &Value, shown: &Shown<'_, '_>) -> Vec<String> {
    let named = texts(&answer["examples"]);
    let labels = shown
        .all
        .labels
        .iter()
        .filter(|label| named.contains(&label.tag.as_str()));
    labels.take(EXAMPLES).map(|label| example(label)).collect()
}

fn example(label: &Decided<'_>) -> String {
    let expected = match label.class {
        Class::Pass => "yes",
        Class::Fail => "no",
    };
    let trace = &label.label.trace;
    format!(
        "Example ({expected}). Request: {} Answer: {}",
        line(&trace.input_text, EXAMPLE_CHARS),
        line(&trace.output_text, EXAMPLE_CHARS)
    )
}

/// A text as literals on lines of their own, which Python joins.
fn literals(text: &str) -> String {
    let mut lines = Vec::new();
    let mut open = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        if open.ends_with('\n') || open.chars().count() + word.chars().count() > LINE_CHARS {
            lines.push(std::mem::take(&mut open));
        }
        open.push_str(word);
    }
    lines.push(open);
    let filled = lines.iter().filter(|line| !line.is_empty());
    filled
        .map(|line| format!("    {}\n", literal(line)))
        .collect()
}
