//! Each fault of a source is found, and its twin without the fault is not.

use super::*;
use crate::generate::written::inspect::{Finding, inspect};

/// A module whose `evaluate` has these lines.
fn module(imports: &str, body: &str) -> String {
    let body = body.replace('\n', "\n    ");
    format!(
        "\"\"\"A good answer is good.\"\"\"\n\n{imports}\n\n\ndef evaluate(trace):\n    {body}\n"
    )
}

fn findings_among(source: &str, labels: &[LabelledTrace], pool: &[Trace]) -> Vec<Finding> {
    let decided = decided(labels);
    let all: Vec<_> = decided.iter().collect();
    let origins = Origins::new(&all, pool);
    inspect(&EvalSource::new(source), &origins, &run)
        .unwrap()
        .findings
}

fn findings(source: &str) -> Vec<Finding> {
    findings_among(source, &cited(8), &[])
}

#[track_caller]
fn assert_found(source: &str, said: &str) {
    let found = findings(source);
    assert!(
        found.iter().any(|finding| finding.sentence.contains(said)),
        "{source}\n{found:?}"
    );
}

#[track_caller]
fn assert_clean(source: &str) {
    assert_eq!(findings(source), [], "{source}");
}

const VERDICT: &str = "return len(trace[\"output_text\"]) > 3, \"by its length\"";

#[test]
fn a_sound_eval_has_no_fault() {
    assert_clean(CITES);
    assert_clean(&module("import re", VERDICT));
    assert_clean(&module(
        "import json\nimport re\nfrom iofold import judge",
        r#"failed = [step for step in trace["observations"] if step["level"] == "ERROR"]
for number, step in enumerate(failed):
    if step["name"] == "search" and step.get("type") == "TOOL":
        return False, f"step {number} failed: {step['status_message']}"
wanted = trace["metadata"].get("references") or []
answer = json.loads(trace["output_text"])
if answer["id"] in wanted or answer["model"]:
    return True, f"names {answer['name']}"
calls = [call["name"] for call in trace["tool_calls"] if not call["error"]]
return judge("Is it right?", " ".join(calls)), "as judged""#,
    ));
}

#[test]
fn what_is_no_python_is_found_with_its_line() {
    let broken = "\"\"\"Good.\"\"\"\n\n\ndef evaluate(trace)\n    return True\n";
    assert_found(broken, "It is not Python: expected ':' (line 4)");
    assert_found("I can't write that.", "It is not Python");
    assert_found("", "defines no function evaluate(trace)");
    assert_found(&"(".repeat(3_000), "It is not Python");
    assert_found(&format!("x = {}1", "-".repeat(15_000)), "");
    assert_found(&"x".repeat(30_000), "too long");
}

#[test]
fn a_module_without_evaluate_of_one_trace_is_found() {
    for source in [
        "\"\"\"Good.\"\"\"\n\n\ndef judge_it(trace):\n    return True\n",
        "\"\"\"Good.\"\"\"\n\n\ndef evaluate():\n    return True\n",
        "\"\"\"Good.\"\"\"\n\n\ndef evaluate(trace, other):\n    return True\n",
        "\"\"\"Good.\"\"\"\n\n\nasync def evaluate(trace):\n    return True\n",
        "\"\"\"Good.\"\"\"\n\n\nclass Eval:\n    def evaluate(trace):\n        return True\n",
    ] {
        assert_found(source, "defines no function evaluate(trace)");
    }
    assert_found(
        "def evaluate(trace):\n    return True\n",
        "does not begin with a docstring",
    );
}

#[test]
fn imports_that_an_eval_can_not_or_should_not_have_are_found() {
    for (imports, said) in [
        ("import requests", "can't import"),
        ("from urllib.request import urlopen", "can't import"),
        ("import socket", "can't import"),
        ("import os", "imports os"),
        ("import os.path as path", "imports os.path"),
        ("import hashlib", "imports hashlib"),
        ("import json, random", "imports random"),
        ("from . import helpers", "relatively"),
        ("from re import *", "imports all"),
        (
            "from iofold import answers",
            "only `from iofold import judge`",
        ),
        ("import iofold", "only `from iofold import judge`"),
    ] {
        assert_found(&module(imports, VERDICT), said);
    }
    assert_clean(&module(
        "from iofold import judge\nfrom collections import Counter\nimport urllib.parse",
        VERDICT,
    ));
}

#[test]
fn reading_what_says_nothing_of_an_answer_is_found_however_it_is_reached() {
    for body in [
        "return trace[\"id\"] > \"m\"",
        "return trace.get(\"timestamp\") > \"2026\"",
        "return trace[\"session_id\"] is None",
        "return trace[\"user_id\"] == \"u\"",
        "return trace[\"latency_ms\"] < 100",
        "return (trace[\"total_cost\"] or 0) < 1",
        "return trace[\"name\"] == \"chat\"",
        "return \"x\" in trace[\"tags\"]",
        "same = trace\nreturn same[\"id\"] > \"m\"",
        "return any(step[\"model\"] == \"gpt\" for step in trace[\"observations\"])",
        "return trace[\"observations\"][0][\"id\"] > \"m\"",
        "steps = [step for step in trace[\"observations\"] if step[\"type\"] == \"TOOL\"]\nfor step in steps:\n    if step[\"usage\"]:\n        return True\nreturn False",
        "first = next(iter(trace[\"observations\"]), None)\nreturn first.get(\"cost\")",
        "return sorted(trace[\"observations\"], key=lambda step: step[\"start_time\"]) == []",
        "def model(step):\n    return step[\"model\"]\nreturn \"x\" in [model(step) for step in trace[\"observations\"]]",
        "def model(step):\n    return step[\"model\"]\nreturn \"x\" in map(model, trace[\"observations\"])",
        "return trace[\"session\"][-1][\"user_id\"] == \"u\"",
        "return trace[\"output\"][\"model\"] == \"gpt\"",
    ] {
        assert_found(&module("", body), "say nothing about an answer");
    }
}

#[test]
fn using_the_trace_as_a_whole_is_found() {
    for body in [
        "key = \"i\" + \"d\"\nreturn trace[key] > \"m\"",
        "return str(trace) > \"m\"",
        "return \"gpt\" in f\"{trace}\"",
        "return \"gpt\" in str(trace[\"observations\"])",
        "return \"gpt\" in \"%s\" % trace",
        "return list(trace.values())[0] > \"m\"",
        "return {**trace}[\"id\"] > \"m\"",
        "return (lambda t: t[\"id\"])(trace) > \"m\"",
        "return [trace][0][\"id\"] > \"m\"",
        "match trace:\n    case {\"id\": found}:\n        return found > \"m\"\nreturn False",
    ] {
        let found = findings(&module("", body));
        let said = |finding: &Finding| {
            finding.sentence.contains("as a whole") || finding.sentence.contains("computed key")
        };
        assert!(found.iter().any(said), "{body}\n{found:?}");
    }
}

#[test]
fn reading_what_may_be_the_label_is_found() {
    for body in [
        "return trace[\"metadata\"][\"label\"] == \"up\"",
        "return trace[\"metadata\"].get(\"userRating\", 0) > 3",
        "return \"thumb\" in trace[\"metadata\"]",
        "facts = trace[\"metadata\"]\nreturn facts[\"eval\"][\"score\"] > 0",
        "return trace[\"metadata\"][\"is_correct\"]",
    ] {
        assert_found(&module("", body), "which may be the label itself");
    }
    assert_clean(&module(
        "",
        "return trace[\"metadata\"].get(\"correct_answers\") == []",
    ));
    let whole = module("", "return \"up\" in str(trace[\"metadata\"])");
    assert_clean(&whole);
    let mut leaky = cited(8);
    leaky[0].trace.metadata = json!({"run": [{"feedback": "up"}]});
    let found = findings_among(&whole, &leaky, &[]);
    assert!(
        found[0].sentence.contains("may be the label itself"),
        "{found:?}"
    );
}

#[test]
fn code_that_reaches_outside_is_found_even_though_the_sandbox_holds() {
    for body in [
        "return eval(\"1\")",
        "exec(\"x = 1\")\nreturn True",
        "return bool(open(\"/etc/passwd\"))",
        "return __import__(\"os\").name == \"x\"",
        "return trace.__class__ is dict",
        "return getattr(\"x\", \"upper\")() == \"X\"",
        "return hash(trace[\"output_text\"]) % 2 == 0",
        "return id(trace) > 0",
    ] {
        assert_found(&module("", body), "has no place in an eval");
    }
    assert_clean(&module(
        "import re\nPATTERN = re.compile(\"x\")",
        "return bool(PATTERN.search(trace[\"output_text\"]))",
    ));
}

#[test]
fn clutter_and_slips_are_found() {
    assert_found(
        &module("", &format!("print(trace[\"output_text\"])\n{VERDICT}")),
        "prints",
    );
    assert_found(
        &module("", "return lenght(trace[\"output_text\"]) > 3"),
        "the name lenght",
    );
    assert_found(
        &format!("{CITES}\n\nassert evaluate\n"),
        "runs while the module is loaded",
    );
    assert_found(
        &module("", &format!("{}{VERDICT}", "pass\n".repeat(60))),
        "an eval has at most 60",
    );
    assert_found(
        &module("", "return \"a\u{202e}b\" in trace[\"output_text\"]"),
        "can't be seen",
    );
    assert_clean(&module(
        "",
        "return \"👩‍💻 é 你好\" in trace[\"output_text\"]",
    ));
    let lengths = module(
        "",
        "return len(trace[\"output_text\"]) in (101, 102, 133, 187, 212)",
    );
    assert_found(&lengths, "many exact numbers");
}

#[test]
fn a_sentence_of_one_labelled_trace_is_a_copy_however_it_is_written() {
    for (test, copied) in [
        (
            r#""much is known of castles, and number 2 most" in trace["output_text"].lower()"#,
            true,
        ),
        (
            r#"trace["output_text"] == "Much is known of castles, " + "and number 2 most. Source: the castles handbook.""#,
            true,
        ),
        (
            r#"bool(re.search(r"known\s+of castles,\s+and number 2", trace["output_text"]))"#,
            true,
        ),
        (
            r#"bool(re.search(r"^(?:never so|Tell me about rivers, part 0\.)$", trace["input_text"]))"#,
            true,
        ),
        (
            r#""it is not known to anybody in the whole wide world" in trace["output_text"]"#,
            false,
        ),
        (
            r#""Source:" in trace["output_text"], "much is known of castles, and number 2 most""#,
            false,
        ),
        (r#""castles handbook" in trace["output_text"]"#, false),
    ] {
        let found = findings(&module("import re", &format!("return {test}")));
        let said = found
            .iter()
            .any(|finding| finding.sentence.contains("it is copied"));
        assert_eq!(said, copied, "{test}");
    }
}

#[test]
fn what_several_traces_say_is_a_turn_of_phrase_and_no_copy() {
    let phrase = "I can't help with that, for it would be unsafe to";
    let refusal = |id| {
        let answer = format!("Well {id}. {phrase} {id}");
        labelled(id, Thumb::Down, trace(id, "?", &answer))
    };
    let refuses = module(
        "",
        &format!("return {phrase:?} not in trace[\"output_text\"]"),
    );
    let said = |refusals: usize, pool: &[Trace]| {
        let labels: Vec<_> = (0..refusals).map(refusal).chain(cited(6)).collect();
        findings_among(&refuses, &labels, pool).len()
    };
    assert_eq!((said(2, &[]), said(3, &[])), (1, 0));
    let unlabelled = trace(9, "?", &format!("{phrase} say."));
    assert_eq!(said(2, &[unlabelled]), 0, "one more without a label");
}

#[test]
fn a_judges_question_may_hold_examples_but_code_may_not_use_them() {
    let example = "Much is known of castles, and number 2 most. Source: the castles handbook.";
    let asks = |test: &str| {
        format!(
            "\"\"\"Good.\"\"\"\n\nfrom iofold import judge\n\nQUESTION = {example:?}\n\n\ndef evaluate(trace):\n    return {test}\n"
        )
    };
    assert_clean(&asks("judge(QUESTION, trace[\"output_text\"])"));
    assert_found(
        &asks("judge(QUESTION, trace[\"output_text\"]) or trace[\"output_text\"] in QUESTION"),
        "it is copied",
    );
}

#[test]
fn an_eval_that_knows_single_traces_by_their_words_is_found_and_a_list_of_cues_is_not() {
    let labels = cited(16);
    let words = [
        "number 1 ",
        "number 3 ",
        "number 5 ",
        "number 7 ",
        "number 9 ",
        "number 11 ",
        "number 13 ",
        "number 15 ",
    ];
    let by_heart = format!("return not any(word in trace[\"output_text\"] for word in {words:?})");
    let by_cue = "return any(cue in trace[\"output_text\"] for cue in [\"Source:\", \"See:\", \"According to\"])";
    for (body, expected) in [(by_heart.as_str(), true), (by_cue, false)] {
        let scene = Scene::new(labels.clone());
        let played = scene.play_source(&module("", body));
        let thrown_out = match &played.result {
            Ok(written) => written.thrown_out.join(" "),
            Err(_) => played.none().0.to_owned(),
        };
        assert_eq!(
            thrown_out.contains("by their words"),
            expected,
            "{body}\n{thrown_out}"
        );
        assert_eq!(played.result.is_err(), expected);
    }
}
