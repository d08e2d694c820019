use std::fs;

use iofold::domain::{EvalSource, Trace, Verdict};
use iofold::explain::{self, StepKind, explain, literals};
use iofold::llm::Question;
use iofold::sandbox::Answers;
use serde_json::Value;

use super::{deciding, explained, sandbox, trace};
use crate::cli::{eval, stderr};
use crate::support::example_lines;

/// An eval, the line that decides on "Sorry, I am UNABLE to tell.", the test that led there, and a word.
const SHAPES: &[(&str, usize, &str, Option<&str>)] = &[
    // Early returns.
    (
        "def evaluate(trace):\n    if not trace[\"output_text\"]:\n        return None\n    if \"Sorry\" in trace[\"output_text\"]:\n        return False, \"sorry\"\n    return True\n",
        5,
        "\"Sorry\" in trace[\"output_text\"]",
        Some("Sorry"),
    ),
    // A verdict without a branch.
    (
        "def evaluate(trace):\n    return \"UNABLE\" not in trace[\"output_text\"]\n",
        2,
        "\"UNABLE\" not in trace[\"output_text\"]",
        Some("UNABLE"),
    ),
    // One branch of a condition decides.
    (
        "def evaluate(trace):\n    t = trace[\"output_text\"]\n    if len(t) < 5 or t.endswith(\"tell.\") or t == \"x\":\n        return False, \"no\"\n    return True, \"yes\"\n",
        4,
        "t.endswith(\"tell.\")",
        Some("tell."),
    ),
    // A pattern.
    (
        "import re\nNUMBER = re.compile(r\"(sorry|unable)\", re.I)\n\ndef evaluate(trace):\n    found = NUMBER.search(trace[\"output_text\"])\n    if found:\n        return False, found.group()\n    return True\n",
        7,
        "found",
        Some("Sorry"),
    ),
    // A loop.
    (
        "BAD = [\"cannot\", \"unable\", \"never\"]\ndef evaluate(trace):\n    for word in BAD:\n        if word in trace[\"output_text\"].lower():\n            return False, word\n    return True\n",
        5,
        "word in trace[\"output_text\"].lower()",
        Some("unable"),
    ),
    // A comprehension, and a name for what it found.
    (
        "def evaluate(trace):\n    shouted = [w for w in trace[\"output_text\"].split() if w.isupper() and len(w) > 1]\n    if shouted:\n        return False, \"shouts\"\n    return True\n",
        4,
        "shouted",
        Some("UNABLE"),
    ),
    // A generator in any().
    (
        "def evaluate(trace):\n    return not any(w in trace[\"output_text\"] for w in (\"never\", \"Sorry\"))\n",
        2,
        "any(w in trace[\"output_text\"] for w in (\"never\", \"Sorry\"))",
        Some("Sorry"),
    ),
    // A generator function.
    (
        "def shouted(text):\n    for word in text.split():\n        if word.isupper():\n            yield word\n\ndef evaluate(trace):\n    ok = \"UNABLE\" not in list(shouted(trace[\"output_text\"]))\n    return ok, \"shouts\"\n",
        8,
        "ok",
        Some("UNABLE"),
    ),
    // A lambda.
    (
        "evaluate = lambda trace: trace[\"output_text\"].count(\"Sorry\") == 0\n",
        1,
        "trace[\"output_text\"].count(\"Sorry\") == 0",
        Some("Sorry"),
    ),
    // A function that decides for another, through a decorator.
    (
        "def fair(check):\n    def wrapper(trace):\n        return check(trace)\n    return wrapper\n\ndef polite(text):\n    if text.startswith(\"Sorry\"):\n        return False, \"sorry\"\n    return True, \"ok\"\n\n@fair\ndef evaluate(trace):\n    return polite(trace[\"output_text\"])\n",
        8,
        "text.startswith(\"Sorry\")",
        Some("Sorry"),
    ),
    // A class.
    (
        "class Check:\n    word = \"tell\"\n    def __call__(self, trace):\n        if self.word in trace[\"output_text\"]:\n            return False, self.word\n        return True\n\nevaluate = Check()\n",
        5,
        "self.word in trace[\"output_text\"]",
        Some("tell"),
    ),
    // Recursion.
    (
        "def found(words):\n    if not words:\n        return False\n    if words[0] == \"UNABLE\":\n        return True\n    return found(words[1:])\n\ndef evaluate(trace):\n    if found(trace[\"output_text\"].split()):\n        return False, \"found\"\n    return True\n",
        10,
        "found(trace[\"output_text\"].split())",
        Some("UNABLE"),
    ),
    // An exception that is caught.
    (
        "import json\n\ndef evaluate(trace):\n    try:\n        json.loads(trace[\"output_text\"])\n    except ValueError:\n        return False, \"no JSON\"\n    return True\n",
        7,
        "ValueError",
        None,
    ),
    // A scorecard.
    (
        "def evaluate(trace):\n    score = 0\n    if \"Sorry\" in trace[\"output_text\"]:\n        score += 2\n    if len(trace[\"output_text\"]) < 5:\n        score += 1\n    return score < 2, f\"{score} points\"\n",
        7,
        "score < 2",
        Some("Sorry"),
    ),
    // A match statement, an assignment in a test, a condition in an expression.
    (
        "def evaluate(trace):\n    if (first := trace[\"output_text\"].split(\",\")[0]) and first:\n        match first.lower():\n            case \"sorry\":\n                return (False, \"sorry\") if len(first) < 9 else None\n    return True\n",
        5,
        "len(first) < 9",
        Some("Sorry"),
    ),
];

#[test]
fn evals_of_all_shapes_show_the_line_that_decided_the_test_and_the_words() {
    let (sandbox, trace) = (
        sandbox(),
        trace("What is the fee?", "Sorry, I am UNABLE to tell."),
    );
    for (source, line, test, word) in SHAPES {
        let (plain, why) = explained(&sandbox, source, &trace);
        assert_eq!(plain.verdict(), Some(Verdict::Fail), "{source}");
        let why = why.unwrap_or_else(|error| panic!("{error}\n{source}"));
        assert_eq!(
            (why.decided, why.differs.as_deref()),
            (Some(*line), None),
            "{source}"
        );
        assert_eq!(deciding(&why), *test, "{source}\n{:#?}", why.steps);
        assert!(
            why.lines
                .iter()
                .any(|[first, last]| (first..=last).contains(&line)),
            "{source}"
        );
        let words: Vec<&str> = why.words.iter().map(|word| word.text.as_str()).collect();
        if let Some(word) = word {
            let is_it = |found: &&str| found.eq_ignore_ascii_case(word);
            assert!(
                words.iter().any(is_it),
                "{words:?}\n{source}\n{:#?}",
                why.steps
            );
        }
    }
}

#[test]
fn the_same_eval_and_trace_have_the_same_explanation_on_whatever_worker() {
    let trace = trace("What is the fee?", "Sorry, I am UNABLE to tell.");
    let of = |(source, ..): &(&str, usize, &str, Option<&str>)| {
        explained(&sandbox(), source, &trace)
            .1
            .expect("it is explained")
    };
    for shape in SHAPES.iter().step_by(4) {
        assert_eq!(of(shape), of(shape));
    }
}

#[test]
fn lines_that_did_not_run_are_none_of_those_that_ran() {
    let (source, ..) = SHAPES[0];
    let (_, why) = explained(&sandbox(), source, &trace("?", "All is well."));
    let why = why.expect("it is explained");
    assert_eq!(
        (why.decided, why.lines),
        (Some(6), vec![[2, 2], [4, 4], [6, 6]])
    );
}

#[test]
fn of_a_scorecard_only_the_points_that_were_given_are_told() {
    let source = "def evaluate(trace):\n    score = 1\n    if \"Sorry\" in trace[\"output_text\"]:\n        score -= 2\n    if \"please\" in trace[\"output_text\"]:\n        score += 1\n    return score > 0\n";
    let (_, why) = explained(&sandbox(), source, &trace("?", "Sorry."));
    let why = why.expect("it is explained");
    let codes: Vec<&str> = why.steps.iter().map(|step| step.code.as_str()).collect();
    assert!(
        codes.contains(&"score -= 2") && !codes.contains(&"score += 1"),
        "{codes:?}"
    );
}

#[test]
fn an_eval_that_just_ends_or_raises_shows_what_ran() {
    let ends = "def evaluate(trace):\n    if trace[\"output_text\"]:\n        pass\n";
    let (plain, why) = explained(&sandbox(), ends, &trace("?", "x"));
    let why = why.expect("it is explained");
    assert_eq!(
        (plain.verdict(), why.decided),
        (Some(Verdict::Abstain), None)
    );
    assert!(!why.lines.is_empty());
    let raises = "def evaluate(trace):\n    number = len(trace)\n    return number / 0\n";
    let (plain, why) = explained(&sandbox(), raises, &trace("?", "x"));
    let why = why.expect("it is explained");
    assert_eq!(
        (plain.verdict(), why.raised, why.decided),
        (None, Some(3), None)
    );
    assert_eq!(why.differs, None);
}

#[test]
fn empty_long_and_strange_traces_are_explained() {
    let (source, ..) = SHAPES[3];
    let long = format!(
        "{}unable{}",
        "é👍 ".repeat(100_000),
        "\u{202e}\u{1b}[2J".repeat(10)
    );
    for answer in ["", " \n", "\u{0}", "naïve \u{1f1fa}\u{1f1e6} 測試", &long] {
        let (plain, why) = explained(&sandbox(), source, &trace(answer, answer));
        let why = why.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(why.differs, None);
        let is_bad = plain.verdict() == Some(Verdict::Fail);
        assert_eq!(why.decided, Some(if is_bad { 7 } else { 8 }));
        assert_eq!(why.words.len(), usize::from(is_bad), "{:?}", why.words);
    }
}

#[test]
fn what_judge_answered_is_answered_again_and_nobody_is_asked() {
    let source = "from iofold import judge\n\ndef evaluate(trace):\n    if judge(\"Is it polite?\", trace[\"output_text\"]):\n        return True, \"polite\"\n    return False, \"rude\"\n";
    let (sandbox, source, trace) = (sandbox(), EvalSource::new(source), trace("?", "Go away."));
    let (question, text) = ("Is it polite?".to_owned(), "Go away.".to_owned());
    for (answer, line, said) in [(true, 5, Verdict::Pass), (false, 6, Verdict::Fail)] {
        let mut answers = Answers::default();
        let (question, text) = (question.clone(), text.clone());
        answers.insert(&Question { question, text }, answer);
        let plain = explain::evaluate(&sandbox, &source, &answers, std::slice::from_ref(&trace))
            .expect("it runs");
        let why = explain(&sandbox, &source, &trace, &plain[0], answers).expect("it is explained");
        assert_eq!((plain[0].verdict(), why.decided), (Some(said), Some(line)));
        let test = why
            .steps
            .iter()
            .find(|step| step.kind == StepKind::Test)
            .expect("a test");
        assert_eq!(
            (test.truth, test.code.as_str()),
            (
                Some(answer),
                "judge(\"Is it polite?\", trace[\"output_text\"])"
            )
        );
    }
}

#[test]
fn what_an_eval_may_look_for_is_read_from_its_source() {
    let source = r#""""A criterion."""
import re
WORDS = ["sorry", "un able"]

def evaluate(trace):
    "A docstring."
    text = trace["output_text"]
    return re.search(r"\b(order|ticket) #\d{3,}|^€[0-9]+$", text) is None and "?" not in text
"#;
    let found = literals(&sandbox(), &EvalSource::new(source));
    for text in ["sorry", "un able", "order #111", "ticket #111", "€0", "?"] {
        assert!(found.iter().any(|found| found == text), "{text}: {found:?}");
    }
    for text in ["A criterion.", "A docstring.", "output_text"] {
        assert!(
            !found.iter().any(|found| found == text),
            "{text}: {found:?}"
        );
    }
    assert!(literals(&sandbox(), &EvalSource::new("not Python (")).is_empty());
}

#[test]
fn a_flipped_trace_flips_in_the_plain_sandbox_and_the_same_flip_is_found_again() {
    let (sandbox, trace) = (
        sandbox(),
        trace("What is the fee?", "Sorry, I am UNABLE to tell."),
    );
    for (source, ..) in SHAPES {
        let source = EvalSource::new(*source);
        let nothing_known = Answers::default();
        let evaluate =
            |traces: &[Trace]| explain::evaluate(&sandbox, &source, &nothing_known, traces);
        let (_, why) = explained(&sandbox, source.as_str(), &trace);
        let (words, literals) = (
            why.expect("it is explained").words,
            literals(&sandbox, &source),
        );
        let flip =
            || explain::flip(&trace, Verdict::Fail, &words, &literals, &evaluate).expect("it runs");
        let found = flip();
        assert_eq!(found, flip());
        let found = found.unwrap_or_else(|none| panic!("{none:?}\n{}", source.as_str()));
        let again = sandbox.evaluate(source.as_str(), &found.trace.to_json());
        assert_eq!(
            again.verdict(),
            Some(Verdict::Pass),
            "{found:?}\n{}",
            source.as_str()
        );
    }
}

#[test]
fn evals_made_by_rules_are_explained_on_every_trace() {
    for set in ["math_json_format", "wow_grounded"] {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = example_lines(set, 0..40);
        fs::write(folder.path().join("labelled.jsonl"), lines.concat()).expect("it is written");
        let made = eval(
            folder.path(),
            &["generate", "labelled.jsonl", "--generator", "rules"],
            "",
        );
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
        for line in &lines[..10] {
            let id = serde_json::from_str::<Value>(line).expect("JSON")["id"].clone();
            let id = id.as_str().expect("an id");
            let said = eval(
                folder.path(),
                &["explain", "eval.py", "labelled.jsonl", "--id", id, "--json"],
                "",
            );
            assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
            let told: Value = serde_json::from_slice(&said.stdout).expect("JSON");
            assert_eq!(told["unexplained"], Value::Null, "{told}");
            assert!(told["explanation"]["decided"].is_u64(), "{told}");
            assert_eq!(told["explanation"]["differs"], Value::Null, "{told}");
        }
    }
}
