mod constraints;
mod predicates;
mod readable;
mod trajectory;
mod wording;

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::emit::emit;
use super::json::{self as json_shape, Kind};
use super::measure::{Claim, Condition, Format, Match, Measure, Passage, RuleList, Scale};
use super::reading::{COPIED_RUNS, Reading, Source};
use super::vocabulary::{ENDINGS, PATTERNS, PHRASE_LISTS};
use super::*;
use crate::domain::{Class, EvalSource, LabelledTrace, Outcome, Thumb, Trace, Verdict};
use crate::generate::{Split, split};
use crate::sandbox::cache;
use crate::sandbox::guest::{Guest, engine};
use crate::sandbox::protocol::{Job, Reply};

/// In this process: there is no program to start workers from.
fn guest() -> &'static Mutex<Guest> {
    static GUEST: OnceLock<Mutex<Guest>> = OnceLock::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache");
    GUEST.get_or_init(|| Mutex::new(Guest::open(cache::prepare(&kept).unwrap()).unwrap()))
}

fn trace(request: &str, answer: &str) -> Trace {
    changed(request, answer, json!({}))
}

/// A trace with some of its fields given.
fn changed(request: &str, answer: &str, fields: Value) -> Trace {
    let mut trace = json!({
        "id": "t", "name": null, "session_id": null, "user_id": null, "timestamp": "2026-01-01T00:00:00Z",
        "tags": [], "metadata": {}, "input": request, "output": answer, "input_text": request,
        "output_text": answer, "messages": [], "tool_calls": [], "observations": [], "latency_ms": null,
        "total_cost": null,
    });
    for (name, value) in fields.as_object().unwrap() {
        trace[name] = value.clone();
    }
    serde_json::from_value(trace).unwrap()
}

fn labelled(id: usize, label: Thumb, trace: Trace) -> LabelledTrace {
    let id = format!("trace-{id}");
    LabelledTrace {
        group: id.clone(),
        id,
        trace,
        label,
        votes: Vec::new(),
        comments: Vec::new(),
    }
}

fn retrieved(text: &Value) -> Value {
    json!([{
        "id": "o", "parent_id": null, "type": "RETRIEVER", "name": null, "model": null, "input": null,
        "output": text, "level": "DEFAULT", "status_message": null, "start_time": null, "end_time": null,
        "usage": null, "cost": null,
    }])
}

fn call(name: &str, result: &str, error: Option<&str>) -> Value {
    json!({"name": name, "arguments": {}, "result": result, "error": error})
}

/// Answers on which Python and Rust could differ: scripts, white space, case, JSON that only one of them takes.
const ANSWERS: &[&str] = &[
    "",
    " \u{1c}\u{a0}\n",
    "The answer is 42, in Paris, on 2024-01-31. See https://example.com/a (or mail a.b@example.com)!",
    "I’m sorry, but I can't help with that… maybe? Perhaps it's 12.5 %\u{1c}",
    "ΑΣ ὈΔΥΣΣΕΎΣ İstanbul ß ŉ Ⅷ ² ½ ⓐ ͅ e\u{301} नमस्ते தமிழ் 你好 ٣٤ _x_ a_b",
    "- one\n* two\n1. three\n2) four\n\n# Head\n**bold** `code`\n```python\nx\n```",
    "{\"answer\": \"42\", \"reasoning\": \"x\"}",
    "```json\n{\"answer\": \"42\", \"reasoning\": \"x\"}\n```\n",
    "```\n[1, 2,]\n```",
    "{\"answer\": 1, \"answer\": true, \"more\": null}",
    "{\"answer\": \"a\\u00e9\\ud800\", \"reasoning\": \"\\/\"}",
    "{\"answer\": NaN, \"reasoning\": -Infinity}",
    "{\"answer\": \"line\nbreak\"}",
    "{\"answer\": \"\\x\"}",
    "[1e999, -0.0, 1.5E+3]",
    "01",
    "-",
    "1.",
    "null",
    "\u{feff}{}",
    "Twelve angry men and the three musketeers, said Anna Smith, \"quoted\" [note].",
    "He said “Paris has 42 men” and \"nobody else was there\" (see http://a.example/x/, https://b.example/?q=1&r=2).",
    "Anna lives in Paris since 1999. Anna lives in Paris since 1999!\n- anna lives in PARIS since 1999\n\u{2028}a.b.C? d",
    "Das ist nicht die Antwort, und ich weiß es auch nicht … Es ist zu spät",
    "Это не ответ, 你好吗 안녕 γειά",
    "```python\nprint('a'",
    "(a [b {c}]) :( — March 5, 2024: €1,000.50 and 12,5 %",
];

const REQUEST: &str =
    "Say “42”, and tell me what you know of that, for this is https://b.example/?q=1&r=2.";

fn traces() -> Vec<Trace> {
    let fields = json!({
        "metadata": {"refs": ["The Twelve Angry Men", {"deep": ["42", 7, null]}, ""], "note": "", "n": 3},
        "messages": [{"role": "system", "content": "Anna lives in Paris since 1999.", "tool_calls": [], "name": null}],
        "tool_calls": [call("look_up", "ERROR: none", None), call("look_up", "Paris 42", Some("late"))],
        "observations": retrieved(&json!([{"text": "Paris has 42 men; 1,000 angry", "score": 0.5}, ["Maybe"]])),
    });
    let bare = ANSWERS
        .iter()
        .map(|answer| trace("Who is in Paris?", answer));
    bare.chain(
        ANSWERS
            .iter()
            .map(|answer| changed(REQUEST, answer, fields.clone())),
    )
    .collect()
}

fn measures() -> Vec<Measure> {
    let sources = [
        Source::Request,
        Source::Retrieved,
        Source::Instructions,
        Source::Tools,
        Source::Metadata("refs".to_owned()),
        Source::Any,
    ];
    let mut all = vec![
        Measure::Format(Format::Json),
        Measure::Fenced,
        Measure::Words,
        Measure::Characters,
        Measure::Variety,
        Measure::RepeatedSentences,
        Measure::Repetition,
        Measure::OtherLanguage,
        Measure::Unclosed,
        Measure::ToolCalls,
        Measure::FailedCalls,
        Measure::Uses("look_up".to_owned()),
        Measure::Says("i m sorry".to_owned()),
    ];
    for source in sources {
        for claim in [Claim::Words, Claim::Numbers, Claim::Names] {
            all.push(Measure::Share(claim, source.clone()));
            all.push(Measure::Missing(claim, source.clone()));
        }
        for passage in [Passage::Quotation, Passage::Link] {
            all.push(Measure::Invented(passage, source.clone()));
        }
        all.extend(COPIED_RUNS.map(|length| Measure::Copies(source.clone(), length)));
        all.push(Measure::LongestRun(source));
    }
    let compared = [Match::Best, Match::Either, Match::Equal, Match::Covered];
    all.extend(compared.map(|how| Measure::Reference("refs".to_owned(), how)));
    let fields = vec![
        ("answer".to_owned(), Some(Kind::Text)),
        ("reasoning".to_owned(), None),
    ];
    all.push(Measure::Format(Format::Fields(fields.clone())));
    all.push(Measure::Format(Format::ExactFields(fields)));
    let number = vec![("answer".to_owned(), Some(Kind::Number))];
    all.push(Measure::Format(Format::Fields(number)));
    all.extend(PATTERNS.iter().map(Measure::Pattern));
    all.extend(PHRASE_LISTS.iter().map(Measure::SaysAny));
    all.extend(ENDINGS.iter().map(Measure::Ends));
    all
}

fn single(measure: Measure, at_least: bool, when_met: Class) -> RuleList {
    let cut = if measure.scale() == Scale::Share {
        0.5
    } else {
        1.0
    };
    RuleList {
        conditions: vec![Condition {
            measure,
            at_least,
            cut,
        }],
        when_met,
    }
}

/// The eval's outcome on a trace, as users get it.
fn run(source: &EvalSource, trace: &Trace) -> Outcome {
    let trace = trace.to_json();
    let job = Job {
        source: source.as_str(),
        trace: &trace,
        answers: "{}",
        fuel: engine::FUEL,
        memory_bytes: engine::MEMORY_BYTES as u64,
    };
    let mut guest = guest().lock().unwrap_or_else(PoisonError::into_inner);
    match guest.evaluate(&job).unwrap() {
        Reply::Done(outcome) => outcome,
        Reply::Asks(question) => panic!("rules ask nobody: {question:?}"),
    }
}

#[track_caller]
fn assert_agrees(rules: &RuleList, traces: &[Trace]) {
    let (source, _) = emit(rules);
    for trace in traces {
        let here = rules.verdict(&Reading::new(trace));
        let outcome = run(&source, trace);
        assert_eq!(
            outcome.verdict(),
            Some(here),
            "{:?}\n{outcome:?}\n{}",
            trace.output_text,
            source.as_str()
        );
    }
}

#[test]
fn every_measure_means_the_same_in_rust_and_in_python() {
    let traces = traces();
    for (index, measure) in measures().into_iter().enumerate() {
        let when_met = if even(index) {
            Class::Fail
        } else {
            Class::Pass
        };
        for (at_least, cut) in telling_cuts(&measure, &traces) {
            let condition = Condition {
                measure: measure.clone(),
                at_least,
                cut,
            };
            let rules = RuleList {
                conditions: vec![condition],
                when_met,
            };
            assert_agrees(&rules, &traces);
        }
    }
}

/// Cuts of which at least one would tell another number for any of the traces: the smallest value above none, one in the
/// middle and the largest, from both sides by turns.
fn telling_cuts(measure: &Measure, traces: &[Trace]) -> Vec<(bool, f64)> {
    let values = traces
        .iter()
        .filter_map(|trace| measure.value(&Reading::new(trace)));
    let mut values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let Some(largest) = values.last() else {
        return vec![(true, 1.0), (false, 1.0)];
    };
    let mut cuts = vec![values[0], values[values.len() / 2], *largest];
    cuts.dedup();
    let sides = cuts.into_iter().enumerate();
    sides.map(|(at, cut)| (even(at), cut)).collect()
}

/// What a search that tries each place anew reads again and again, 20 KB of each.
fn hostile_texts() -> impl Iterator<Item = String> {
    let pieces = [
        "1",
        "1,",
        "a",
        "a@",
        "A",
        ".",
        ".'",
        "“",
        "\"",
        "'",
        " ",
        "\n",
        "*",
        "* ",
        "`",
        "ital",
        "end ",
        "no ",
        "the word ",
        "3 ",
        "[",
        "{",
        "}",
        "<",
        "\t",
    ];
    let repeated = pieces.map(|piece| format!("{}x", piece.repeat(20_000 / piece.len())));
    repeated.into_iter()
}

#[test]
fn no_text_takes_longer_to_search_than_an_eval_may() {
    for text in hostile_texts() {
        for pattern in PATTERNS {
            let rules = single(Measure::Pattern(pattern), true, Class::Pass);
            assert_agrees(&rules, &[trace("", &text)]);
        }
    }
}

#[test]
fn a_list_of_conditions_means_the_same_in_rust_and_in_python() {
    let condition = |measure, at_least, cut| Condition {
        measure,
        at_least,
        cut,
    };
    let conditions = vec![
        condition(Measure::Share(Claim::Words, Source::Request), true, 0.5),
        condition(
            Measure::Reference("refs".to_owned(), Match::Best),
            false,
            0.3,
        ),
        condition(Measure::Pattern(&PATTERNS[0]), true, 2.0),
    ];
    for when_met in [Class::Pass, Class::Fail] {
        assert_agrees(
            &RuleList {
                conditions: conditions.clone(),
                when_met,
            },
            &traces(),
        );
    }
}

#[test]
fn a_word_is_the_same_run_of_characters_in_rust_and_in_python() {
    let count = Measure::Words;
    for start in (0..0x3_0000).step_by(0x1000) {
        let each: String = (start..start + 0x1000)
            .filter_map(char::from_u32)
            .flat_map(|c| [c, ' '])
            .collect();
        let here = count.value(&Reading::new(&trace("", &each))).unwrap();
        let rules = RuleList {
            conditions: vec![Condition {
                measure: count.clone(),
                at_least: true,
                cut: here,
            }],
            when_met: Class::Pass,
        };
        let outcome = run(&emit(&rules).0, &trace("", &each));
        let expected = format!("it has {here} words");
        assert_eq!(outcome.result.unwrap().1, expected, "from U+{start:04X}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_of_a_trace_can_break_out_of_the_eval(text in "[^\0]{1,40}") {
        let field = changed("", "yes", json!({"metadata": {&text: ["yes"]}}));
        let tool = changed("", "yes", json!({"tool_calls": [call(&text, "", None)]}));
        let object = trace("", &json!({&text: "yes"}).to_string());
        let fields = vec![(text.clone(), Some(Kind::Text))];
        for (measure, trace) in [
            (Measure::Reference(text.clone(), Match::Equal), field),
            (Measure::Uses(text.clone()), tool),
            (Measure::Format(Format::ExactFields(fields)), object),
        ] {
            let (source, _) = emit(&single(measure, true, Class::Pass));
            prop_assert_eq!(run(&source, &trace).verdict(), Some(Verdict::Pass), "{}", source.as_str());
        }
    }
}

#[test]
fn quotes_and_marks_that_turn_the_writing_round_stay_inside_the_literal() {
    for text in [
        "\"\"\"",
        "'\"",
        "\\",
        "\\\"",
        "a\nb",
        "\u{202e}evil",
        "\u{2028}",
        "{x}",
        "\"); import os #",
        "\u{7f}\u{85}",
    ] {
        let trace = changed("", "yes", json!({"tool_calls": [call(text, "", None)]}));
        let (source, _) = emit(&single(Measure::Uses(text.to_owned()), true, Class::Pass));
        assert!(!source.as_str().contains('\u{202e}') && !source.as_str().contains('\u{2028}'));
        assert_eq!(
            run(&source, &trace).verdict(),
            Some(Verdict::Pass),
            "{}",
            source.as_str()
        );
    }
}

fn even(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// Replies that take their words from the retrieved text, and replies that do not.
fn grounded_and_not(count: usize) -> Vec<LabelledTrace> {
    let facts = [
        "rivers carry silt towards northern deltas",
        "copper conducts heat better than iron does",
    ];
    let one = |index: usize| {
        let fact = facts[index / 2 % 2];
        let answer = if even(index) {
            format!("Well, {fact} number{index}.")
        } else {
            format!("Honestly nobody ever told anyone about that thing{index}.")
        };
        let label = if even(index) { Thumb::Up } else { Thumb::Down };
        let steps = json!({"observations": retrieved(&json!([fact]))});
        labelled(index, label, changed("Tell me.", &answer, steps))
    };
    (0..count).map(one).collect()
}

fn eval_of(generation: Generation) -> InducedEval {
    match generation {
        Generation::Eval(induced) => induced,
        Generation::NotYet { reason, .. } => panic!("not yet: {reason}"),
    }
}

fn reason_of(labels: &[LabelledTrace]) -> String {
    match generate(labels, &Settings::default()) {
        Generation::Eval(induced) => panic!("an eval: {}", induced.source.as_str()),
        Generation::NotYet { reason, .. } => reason,
    }
}

#[test]
fn replies_that_are_not_grounded_are_found_out_and_the_eval_runs() {
    let labels = grounded_and_not(20);
    let induced = eval_of(generate(&labels, &Settings::default()));
    assert!(
        induced.criterion.contains("retrieved text"),
        "{}",
        induced.criterion
    );
    assert!(induced.candidates_tried > 20);
    for label in &labels {
        assert_eq!(
            run(&induced.source, &label.trace).class(),
            label.label.class()
        );
    }
}

#[test]
fn every_label_is_judged_once_a_repeat_by_an_eval_that_has_not_seen_it() {
    let mut labels = grounded_and_not(20);
    labels[3].label = Thumb::Neutral;
    let validation = eval_of(generate(&labels, &Settings::default())).cross_validation;
    assert_eq!(validation.labels.len(), 19);
    for label in &validation.labels {
        assert_eq!(
            label.pass + label.fail + label.abstained,
            validation.repeats,
            "{label:?}"
        );
    }
}

#[test]
fn the_same_labels_and_seed_give_the_same_eval() {
    let labels = grounded_and_not(24);
    let settings = Settings::default();
    assert_eq!(generate(&labels, &settings), generate(&labels, &settings));
}

#[test]
fn labels_that_have_nothing_to_do_with_the_traces_give_no_eval() {
    for seed in 0..5 {
        let labels: Vec<_> = grounded_and_not(30)
            .into_iter()
            .enumerate()
            .map(|(index, mut label)| {
                let coin = ((index * 7 + seed * 13) * 2_654_435_761) >> 7;
                label.label = if even(coin) { Thumb::Up } else { Thumb::Down };
                label
            })
            .collect();
        assert!(
            reason_of(&labels).contains("these labels apart"),
            "seed {seed}"
        );
    }
}

#[test]
fn too_few_labels_are_said_to_be_too_few() {
    let mut one_class = grounded_and_not(20);
    one_class.retain(|label| label.label == Thumb::Up);
    let few_fails = |ids: &[&str]| {
        let mut labels = grounded_and_not(20);
        labels.retain(|label| label.label == Thumb::Up || ids.contains(&label.id.as_str()));
        labels
    };
    let mut neutral = grounded_and_not(4);
    neutral
        .iter_mut()
        .for_each(|label| label.label = Thumb::Neutral);
    for (labels, expected) in [
        (Vec::new(), "No trace has a 👍 or a 👎 yet"),
        (neutral, "No trace has a 👍 or a 👎 yet"),
        (one_class, "No trace has a 👎 so far; it takes at least 3"),
        (
            few_fails(&["trace-1"]),
            "Only 1 trace has a 👎 so far; it takes at least 3",
        ),
        (
            few_fails(&["trace-1", "trace-3"]),
            "Only 2 traces have a 👎 so far; it takes at least 3",
        ),
    ] {
        let reason = reason_of(&labels);
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[test]
fn python_reads_the_same_json() {
    for (text, is_json) in [
        ("{}", true),
        (" [1, -2.5e3, \"a\", true, null] ", true),
        ("{\"a\": NaN}", true),
        ("\"\\ud800\"", true),
        ("[1,]", false),
        ("{\"a\": 1,}", false),
        ("\"\t\"", false),
        ("01", false),
        ("1.", false),
        ("+1", false),
        ("nul", false),
        ("{\"a\" 1}", false),
        ("[1] 2", false),
        ("", false),
    ] {
        assert_eq!(json_shape::shape(text).is_some(), is_json, "{text}");
        assert_agrees(
            &single(Measure::Format(Format::Json), true, Class::Pass),
            &[trace("", text)],
        );
    }
}

#[test]
fn integers_and_nesting_beyond_what_python_reads_are_no_json() {
    assert!(json_shape::shape(&"9".repeat(4_300)).is_some());
    assert!(json_shape::shape(&"9".repeat(4_301)).is_none());
    let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [150, 598, 599, 100_000] {
        assert_agrees(
            &single(Measure::Format(Format::Json), true, Class::Pass),
            &[trace("", &deep(depth))],
        );
    }
}

#[test]
fn traces_that_are_all_the_same_give_a_reason() {
    let labels: Vec<_> = (0..20)
        .map(|index| {
            labelled(
                index,
                if even(index) { Thumb::Up } else { Thumb::Down },
                trace("a", "b"),
            )
        })
        .collect();
    assert_eq!(
        reason_of(&labels),
        "The labelled traces are all alike: there is nothing to tell good answers by."
    );
}

#[test]
fn fields_that_name_models_and_scores_are_not_read() {
    let fields = json!({"metadata": {"model": "alpha", "quality_score": "beta", "trace_id": "gamma",
        "modelName": "a", "traceId": "b", "createdAt": "c", "qualityScore": "d", "topic": "delta"}});
    let trace = changed("", "", fields);
    let reading = Reading::new(&trace);
    assert_eq!(reading.references.keys().collect::<Vec<_>>(), ["topic"]);
}

#[test]
fn a_split_keeps_groups_whole_and_shows_six_of_ten() {
    let mut labels = grounded_and_not(2_000);
    for (index, label) in labels.iter_mut().enumerate() {
        label.group = format!("group-{}", index / 2);
    }
    let Split {
        development,
        held_out,
    } = split(labels.clone(), &"good_answer".into());
    let groups = |labels: &[LabelledTrace]| {
        labels
            .iter()
            .map(|label| label.group.clone())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert!(groups(&development).is_disjoint(&groups(&held_out)));
    assert_eq!(development.len() + held_out.len(), 2_000);
    assert!(
        (1_100..1_300).contains(&development.len()),
        "{}",
        development.len()
    );
    let other = split(labels, &"another".into());
    assert_ne!(groups(&other.development), groups(&development));
}
