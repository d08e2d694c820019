//! Making an eval smaller never changes what it says.

use proptest::prelude::*;

use super::*;
use crate::generate::written::minimise::minimise;

fn smaller_among(source: &str, labels: &[LabelledTrace], unlabelled: &[Trace]) -> String {
    let scene = Scene::new(Vec::new());
    let brief = Brief {
        development: labels,
        unlabelled,
        from: None,
        effort: scene.effort.clone(),
        progress: &|_| {},
    };
    let model = Scripted {
        script: Box::new(|_| Ok(json!({}))),
        asked: Mutex::default(),
    };
    let writer = Writer::new(Arc::new(model), runtime().handle().clone());
    let desk = Desk::new(&brief, &writer, &run);
    let decided = decided(labels);
    let all: Vec<_> = decided.iter().collect();
    let source = EvalSource::new(source);
    let asks = source.as_str().contains("judge");
    minimise(&desk, &source, asks, &all)
        .unwrap()
        .as_str()
        .to_owned()
}

const LONG: &str = r#""""A good answer names its source."""

import json
import re, math

LIMIT = 10
# How a source is marked.
MARK = re.compile(r"Source: ")
UNUSED = ["a", "b"]


def parsed(text):
    return json.loads(text)


def evaluate(trace):
    text = trace["output_text"]
    # Never so.
    if "zebra" in text and len(text) > LIMIT:
        return False, "a zebra"
    if not text or not text.strip() or "quagga" in text:
        return False, "empty"
    if MARK.search(text):
        return True, "named"
    else:
        text = text.strip()
    return False, "not named"
"#;

#[test]
fn what_is_not_needed_goes_and_layout_and_comments_of_the_rest_stay() {
    insta::assert_snapshot!(smaller_among(LONG, &cited(12), &[]));
}

#[test]
fn what_a_trace_of_the_unlabelled_pool_needs_stays() {
    let with = smaller_among(LONG, &cited(12), &[trace(1, "?", "A zebra. Source: none.")]);
    assert!(with.contains("zebra"), "{with}");
}

#[test]
fn what_guards_against_missing_parts_stays() {
    let guarded = r#""""A good answer names its source."""


def evaluate(trace):
    if not trace["messages"]:
        return None, "no conversation"
    last = trace["messages"][-1]["content"]
    return "Source:" in trace["output_text"] and bool(last), "by its source"
"#;
    let smaller = smaller_among(guarded, &cited(8), &[]);
    assert!(smaller.contains("no conversation"), "{smaller}");
}

#[test]
fn what_asks_judge_loses_only_what_nobody_uses() {
    let asks = "\"\"\"Good.\"\"\"\n\nimport re\n\nfrom iofold import judge\n\nLEFT = 1\n\n\ndef evaluate(trace):\n    text = trace[\"output_text\"]\n    if not text:\n        return False, \"empty\"\n    return judge(\"Is it good?\", text), \"as judged\"\n";
    let smaller = smaller_among(asks, &cited(8), &[]);
    let expected = asks
        .replace("import re\n\n", "")
        .replace("LEFT = 1\n\n\n", "\n");
    assert_eq!(smaller, expected);
}

#[test]
fn what_can_not_be_read_stays_as_it_is() {
    for source in [
        "",
        "def evaluate(trace",
        "\"\"\"é\"\"\"\n\n\ndef evaluate(trace):\n    return \"é🎉\" in trace[\"output_text\"]\n",
    ] {
        assert_eq!(smaller_among(source, &cited(2), &[]), source);
    }
}

/// A line of an eval that may matter.
fn statement() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["Source:", "rivers", "number", "zebra", "é", "1"]);
    let other = word.clone();
    prop_oneof![
        (word.clone(), any::<bool>()).prop_map(|(word, verdict)| {
            let verdict = if verdict { "True" } else { "False" };
            format!("    if {word:?} in text:\n        return {verdict}, \"by a word\"\n")
        }),
        (word.clone(), other).prop_map(|(one, other)| {
            format!("    if {one:?} in text and {other:?} in text or len(text) > 70:\n        found += 1\n    else:\n        text = text + {one:?}\n")
        }),
        word.prop_map(|word| format!("    for _ in range(2):\n        found += text.count({word:?})\n")),
        Just("    if found > 3:\n        return None\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn no_verdict_changes(lines in prop::collection::vec(statement(), 1..5)) {
        let body = lines.concat();
        let source = format!(
            "\"\"\"Good.\"\"\"\n\n\ndef evaluate(trace):\n    text, found = trace[\"output_text\"], 0\n{body}    return found % 2 == 0, \"by count\"\n"
        );
        let (labels, pool) = (cited(6), [trace(20, "?", "zebra é"), trace(21, "?", "")]);
        let smaller = smaller_among(&source, &labels, &pool);
        prop_assert!(smaller.len() <= source.len());
        let traces = labels.iter().map(|label| &label.trace).chain(&pool);
        for trace in traces {
            let json = trace.to_json();
            let said = |source: &str| {
                let outcome = run_one(&EvalSource::new(source), &json, nobody);
                (outcome.verdict(), outcome.error_kind())
            };
            prop_assert_eq!(said(&source), said(&smaller), "{}\n{}", source, smaller);
        }
    }
}
