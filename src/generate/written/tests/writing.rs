//! A generation from first prompt to eval, and all that may go wrong on the way.

use super::*;

const EVERY_KIND: [Asked; 4] = [
    Asked::Functions,
    Asked::Predicates,
    Asked::Hybrid,
    Asked::Question,
];

#[test]
fn an_eval_is_written_from_labels() {
    let played = Scene::new(cited(16)).play_source(CITES);
    let written = played.written();
    assert!(
        written
            .source
            .as_str()
            .contains("in trace[\"output_text\"]")
    );
    assert_eq!(written.criterion, "A good answer names its source.");
    assert_eq!(written.criteria, ["A good answer cites its source."]);
    assert_eq!(
        (written.kind, written.candidates_tried),
        (Kind::Function, 1)
    );
    assert_eq!(written.changes, [""; 0]);
}

#[test]
fn the_same_brief_and_answers_give_the_same_prompts_and_eval() {
    let play = || {
        let played = Scene::new(cited(20)).play_source(CITES_MOSTLY);
        (played.prompts.clone(), played.written())
    };
    assert_eq!(play(), play());
}

#[test]
fn every_kind_is_written_from_each_part_and_one_from_all_labels() {
    let played = Scene::new(cited(16)).play_source(CITES);
    let all: Vec<Asked> = played.prompts.iter().map(asked).collect();
    for kind in EVERY_KIND {
        let of_kind = all.iter().filter(|asked| **asked == kind).count();
        let once_more = usize::from(kind == Asked::Functions);
        assert_eq!(of_kind, choose::PARTS + once_more, "{kind:?}: {all:?}");
    }
    let criteria = all
        .iter()
        .filter(|asked| **asked == Asked::Criteria)
        .count();
    assert_eq!(criteria, choose::PARTS + 1);
    let cheap = |prompt: &&Prompt| prompt.task == Task::Propose;
    assert_eq!(played.prompts.iter().filter(cheap).count(), criteria);
}

#[test]
fn prose_around_code_is_taken_off_and_said_nothing_about() {
    let played =
        Scene::new(cited(12)).play_source(&format!("Sure!\n\n```python\n{CITES}```\nDone."));
    assert!(
        !played
            .prompts
            .iter()
            .any(|prompt| asked(prompt) == Asked::Mend)
    );
    assert!(
        played
            .written()
            .source
            .as_str()
            .starts_with("\"\"\"A good answer")
    );
}

/// The first answer is `faulty`, the mended one agrees.
#[track_caller]
fn assert_fed_back(faulty: &str, said: &str) {
    let first = faulty.to_owned();
    let played = Scene::new(cited(16)).play(move |prompt| {
        Ok(match asked(prompt) {
            Asked::Criteria => json!({"criteria": []}),
            Asked::Functions => sources(&[&first]),
            Asked::Mend => json!({"source": CITES, "changes": ["Reads the source."]}),
            _ => json!({}),
        })
    });
    let mut mends = played
        .prompts
        .iter()
        .filter(|prompt| asked(prompt) == Asked::Mend);
    let request = &mends.next().expect(said).request;
    assert!(request.contains(said), "{said}: {request}");
    let written = played.written();
    let source = written.source.as_str();
    assert!(source.contains("MARK in trace"), "{said}: {source}");
    assert_eq!(written.candidates_tried, 2);
}

#[test]
fn what_is_wrong_is_fed_back_and_the_mended_eval_is_taken() {
    let with = |from: &str, to: &str| CITES.replace(from, to);
    assert_fed_back(&with("MARK in trace", "MARK + 1 in trace"), "TypeError");
    assert_fed_back(&with("(trace):", "(trace)"), "expected ':' (line 6)");
    assert_fed_back(&with("MARK =", "import requests\n\nMARK ="), "can't import");
    assert_fed_back(
        &with("    if MARK", "    while True:\n        pass\n    if MARK"),
        "it loops",
    );
    let always = "\"\"\"Good.\"\"\"\n\n\ndef evaluate(trace):\n    return True, \"fine\"\n";
    assert_fed_back(always, "passes every labelled trace");
    assert_fed_back(CITES_MOSTLY, "says pass");
    assert_fed_back(
        "I am not able to do that.",
        "must be Python and nothing else",
    );
}

#[test]
fn mending_ends_after_the_rounds_and_when_nothing_is_left_to_mend() {
    for rounds in [0, 1, 3] {
        let mut scene = Scene::new(cited(16));
        scene.effort.rounds = rounds;
        let mends = |played: &Played| {
            played
                .prompts
                .iter()
                .filter(|prompt| asked(prompt) == Asked::Mend)
                .count()
        };
        assert_eq!(mends(&scene.play_source(CITES)), 0);
        let number = std::sync::atomic::AtomicUsize::new(0);
        let never_right = scene.play(move |prompt| {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let source = CITES_MOSTLY.replace("(\"7\") > 0", &format!("(\"1\") > 0 * {number}"));
            Ok(match asked(prompt) {
                Asked::Functions => sources(&[&source]),
                Asked::Mend => json!({ "source": source }),
                _ => json!({}),
            })
        });
        assert_eq!(
            mends(&never_right),
            3 * rounds as usize,
            "two parts, and all labels"
        );
    }
}

#[test]
fn where_nothing_is_any_good_the_reasons_are_said_and_the_tries_counted() {
    let leaks = CITES.replace("trace[\"output_text\"]", "trace[\"id\"]");
    let played = Scene::new(cited(16)).play_source(&leaks);
    let (reason, tried) = played.none();
    assert!(
        reason.contains("A function was thrown out: Line 7 reads trace.id"),
        "{reason}"
    );
    assert_eq!(tried, 1, "each distinct source counts once");
    let no_better = CITES.replace(
        "MARK in trace[\"output_text\"]",
        "len(trace[\"input_text\"]) % 2",
    );
    let played = Scene::new(cited(16)).play_source(&no_better);
    assert!(played.result.is_err());
}

#[test]
fn answers_of_another_shape_are_thrown_out() {
    for answer in [
        json!(null),
        json!([1]),
        json!({"evals": "no"}),
        json!({"source": 7}),
        json!({"criteria": {"a": 1}}),
    ] {
        let played = Scene::new(cited(12)).play({
            let answer = answer.clone();
            move |_| Ok(answer.clone())
        });
        let (reason, tried) = played.none();
        assert!(
            reason.contains("The answer held none."),
            "{answer}: {reason}"
        );
        assert_eq!(tried, 0);
    }
}

fn failing_from(calls: usize, error: LlmError) -> Played {
    let asked_so_far = std::sync::atomic::AtomicUsize::new(0);
    Scene::new(cited(16)).play(move |prompt| {
        if asked_so_far.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= calls {
            return Err(error.clone());
        }
        Ok(match asked(prompt) {
            Asked::Functions => sources(&[CITES]),
            _ => json!({}),
        })
    })
}

#[test]
fn an_llm_that_fails_half_way_leaves_what_was_written_by_then() {
    let budget = LlmError::Budget("the budget is spent".to_owned());
    let down = LlmError::Unavailable("it is down".to_owned());
    for error in [budget, down] {
        for calls in [2, 3, 5, 7, 9, 11] {
            let played = failing_from(calls, error.clone());
            let asked = played.prompts.len();
            let written = played.written();
            assert!(
                written
                    .source
                    .as_str()
                    .contains("in trace[\"output_text\"]"),
                "{calls} calls"
            );
            assert!(
                asked <= calls + 2,
                "nobody is asked for ever: {asked} after {calls}"
            );
        }
        let played = failing_from(0, error.clone());
        assert!(
            matches!(&played.result, Err(WriteError::Llm(why)) if *why == error),
            "{:?}",
            played.result
        );
        let played = failing_from(1, error.clone());
        let (reason, tried) = played.none();
        assert!(
            reason.contains(&error.to_string()) && tried == 0,
            "{reason}"
        );
    }
    let played = failing_from(4, LlmError::Stopping);
    assert!(matches!(
        played.result,
        Err(WriteError::Llm(LlmError::Stopping))
    ));
}

#[test]
fn a_host_that_fails_is_nobodys_fault() {
    let labels = cited(12);
    let model = Arc::new(Scripted {
        script: Box::new(|_| Ok(sources(&[CITES]))),
        asked: Mutex::default(),
    });
    let writer = Writer::new(model, runtime().handle().clone());
    let scene = Scene::new(Vec::new());
    let brief = Brief {
        development: &labels,
        unlabelled: &[],
        from: None,
        effort: scene.effort.clone(),
        progress: &|_| {},
    };
    let failed = write(&brief, &writer, &|_, _| anyhow::bail!("no worker"));
    assert!(matches!(failed, Err(WriteError::Host(_))), "{failed:?}");
}

#[test]
fn a_class_without_labels_is_no_ground_for_an_eval() {
    let ups: Vec<_> = cited(12)
        .into_iter()
        .filter(|label| label.label == Thumb::Up)
        .collect();
    for labels in [Vec::new(), ups] {
        let played = Scene::new(labels).play_source(CITES);
        assert!(played.none().0.contains("may shape an LLM's eval is no"));
        assert!(played.prompts.is_empty(), "nothing is spent");
    }
}

#[test]
fn one_label_of_each_class_is_enough_to_write_from() {
    let played = Scene::new(cited(2)).play_source(CITES);
    assert_eq!(played.written().kind, Kind::Function);
}

#[test]
fn neutral_labels_have_no_part() {
    let mut labels = cited(12);
    labels.push(labelled(
        99,
        Thumb::Neutral,
        trace(99, "A neutral request", "A neutral answer"),
    ));
    let played = Scene::new(labels).play_source(CITES);
    assert!(
        !played
            .prompts
            .iter()
            .any(|prompt| prompt.material.contains("neutral"))
    );
    played.written();
}

#[test]
fn giant_traces_duplicates_unicode_and_empty_comments_are_written_from() {
    let mut labels = cited(16);
    labels[3].trace.output_text = "Ünïcödé 🎉 \u{202e} ".repeat(60_000);
    labels[4].trace.input_text = "你".repeat(400_000);
    labels[5].comments = vec![
        String::new(),
        " \n".to_owned(),
        "👎 keine Quelle".to_owned(),
    ];
    for at in [6, 8] {
        labels[at].trace = labels[0].trace.clone();
        labels[at].group = labels[0].group.clone();
    }
    let played = Scene::new(labels).play_source(CITES);
    for prompt in &played.prompts {
        assert!(
            prompt.material.chars().count() < 21_000,
            "{}",
            prompt.material.chars().count()
        );
    }
    played.written();
}

/// The first labels of a set that ships with the playground.
fn example(set: &str, count: usize) -> Vec<LabelledTrace> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{set}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    let labelled = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let payload = serde_json::from_value(value["trace"].clone()).unwrap();
        LabelledTrace {
            id: value["id"].as_str().unwrap().to_owned(),
            group: value["group"].as_str().unwrap().to_owned(),
            trace: crate::ingest::normalise(&payload),
            label: Thumb::parse(value["label"].as_str().unwrap()).unwrap(),
            votes: Vec::new(),
            comments: value["comment"]
                .as_str()
                .map(str::to_owned)
                .into_iter()
                .collect(),
        }
    };
    text.lines().take(count).map(labelled).collect()
}

/// Reads an answer's JSON, with more caution than it takes.
const READS_JSON: &str = r#""""A good answer is a JSON object with the fields reasoning and answer, both text."""

import json
import re
import string

FENCED = re.compile(r"\A\s*```(?:json)?\n(.*?)\n?```\s*\Z", re.DOTALL)
FIELDS = {"reasoning", "answer"}
WORDS = 3


def parsed(text):
    fenced = FENCED.match(text)
    try:
        return json.loads(fenced.group(1) if fenced else text)
    except ValueError:
        return None


def evaluate(trace):
    answer = parsed(trace["output_text"])
    if answer is None or "zebra" in trace["input_text"]:
        return False, "it is no JSON"
    if not isinstance(answer, dict) or set(answer) != FIELDS:
        return False, "it has other fields"
    if not all(isinstance(value, str) for value in answer.values()):
        return False, "a field is no text"
    return True, "it has both fields"
"#;

#[test]
fn an_eval_for_a_set_that_ships_holds_for_traces_that_it_has_not_seen() {
    let mut labels = example("math_json_format", 80);
    let rest = labels.split_off(30);
    let mut scene = Scene::new(labels);
    scene.unlabelled = rest.iter().map(|label| label.trace.clone()).collect();
    let played = scene.play_source(READS_JSON);
    let written = played.written();
    let source = written.source.as_str();
    for gone in ["string", "WORDS", "zebra"] {
        assert!(!source.contains(gone), "{source}");
    }
    for label in rest {
        let outcome = run_one(&written.source, &label.trace.to_json(), nobody);
        assert_eq!(outcome.class(), label.label.class(), "{source}");
    }
}
