use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::parts::parts_of;
use super::visible::visible;
use super::*;
use crate::domain::{Message, Observation, ToolCall};
use crate::ingest::normalise;

/// A trace of a Langfuse trace detail.
fn trace_of(detail: &Value) -> Trace {
    normalise(&serde_json::from_value(detail.clone()).expect("an object is read"))
}

fn message(role: &str, content: &str) -> Message {
    Message {
        role: role.to_owned(),
        content: content.to_owned(),
        tool_calls: Vec::new(),
        name: None,
    }
}

fn step(kind: &str, input: Value, output: Value) -> Observation {
    Observation {
        id: "id-secret".to_owned(),
        parent_id: Some("parent-secret".to_owned()),
        kind: kind.to_owned(),
        name: None,
        model: Some("model-secret".to_owned()),
        input,
        output,
        level: "DEFAULT".to_owned(),
        status_message: None,
        start_time: Some("2025-01-02T03:04:05Z".to_owned()),
        end_time: Some("2025-01-02T03:04:06Z".to_owned()),
        usage: json!({"total": 987_654}),
        cost: Some(0.777),
    }
}

/// A trace of one question and answer.
fn asked(question: &str, answer: &str) -> Trace {
    trace_of(&json!({
        "id": "trace-secret", "sessionId": "session-secret", "userId": "user-secret",
        "timestamp": "2025-01-02T03:04:05Z", "latency": 4.321, "totalCost": 0.777, "tags": ["tag-secret"],
        "input": [{"role": "user", "content": question}],
        "output": {"role": "assistant", "content": answer},
    }))
}

/// Numbered sentences, about `chars` characters.
fn sentences(chars: usize) -> String {
    let sentence = |at| format!("Sentence number {at} tells of nothing in particular. ");
    (0..chars / 50).map(sentence).collect()
}

#[test]
fn a_short_trace_is_whole_and_each_text_stands_once_under_all_its_paths() {
    let mut trace = asked("Which colour?", "Blue.");
    trace.metadata = json!({"reference_answers": ["blue", "azure"], "model": "model-secret"});
    trace.observations = vec![step(
        "RETRIEVER",
        json!("Which colour?"),
        json!(["The sky is blue."]),
    )];
    let digest = digest(&trace, 1_000);
    let expected = "\
messages[0] user, input_text:
| Which colour?
messages[1] assistant, output_text:
| Blue.
observations[0] RETRIEVER output:
| [\"The sky is blue.\"]
metadata[\"reference_answers\"]:
| [\"blue\",\"azure\"]
";
    assert_eq!(digest.text, expected);
    assert_eq!(digest.left_out, Vec::<String>::new());
}

#[test]
fn tool_calls_show_their_arguments_results_and_errors_in_the_conversation() {
    let trace = trace_of(&json!({
        "id": "t", "timestamp": "2025-01-02T03:04:05Z",
        "input": [
            {"role": "user", "content": "Where is order 17?"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{\"order\": 17}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "{\"state\": \"lost\"}"},
        ],
        "output": {"role": "assistant", "content": "It is lost."},
        "observations": [
            {"id": "o", "type": "TOOL", "name": "refund", "input": {"order": 17}, "level": "ERROR",
             "statusMessage": "not allowed"}],
    }));
    let text = digest(&trace, 5_000).text;
    let expected = "\
messages[0] user, input_text:
| Where is order 17?
tool_calls[0] \"find\" arguments, in messages[1]:
| {\"order\":17}
messages[2] tool, tool_calls[0] result:
| {\"state\": \"lost\"}
messages[3] assistant, output_text:
| It is lost.
tool_calls[1] \"refund\" arguments:
| {\"order\":17}
tool_calls[1] error:
| not allowed
";
    assert_eq!(text, expected);
}

#[test]
fn what_is_not_known_as_a_conversation_is_shown_as_it_came() {
    let trace = trace_of(&json!({
        "id": "t", "input": {"question": "Who?", "context": "Ann wrote it.", "trace_id": "id-secret"},
        "output": {"answer": "Ann", "model": "model-secret", "confidence": 0.9},
    }));
    let text = digest(&trace, 1_000).text;
    assert!(
        text.contains("\ninput:\n| {\"question\":\"Who?\",\"context\":\"Ann wrote it.\"}\n"),
        "{text}"
    );
    assert!(
        text.contains("\noutput:\n| {\"answer\":\"Ann\",\"confidence\":0.9}\n"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn ids_times_models_costs_scores_and_latencies_are_never_shown() {
    let mut trace = asked("Which colour?", "Blue.");
    trace.metadata = json!({
        "modelName": "model-secret", "run": {"latency_ms": 4321, "topic": "colours"}, "score": 0.777,
        "deployment": "model-secret", "resourceAttributes": {"host": "host-secret"},
    });
    let named = Observation {
        name: Some("model-secret".to_owned()),
        ..step(
            "AGENT",
            json!("plan"),
            json!({"plan": "look up", "usage": {"total": 987_654}}),
        )
    };
    let score = step("EVALUATOR", json!("x"), json!("score-secret"));
    trace.observations = vec![named, score, step("GENERATION", json!("a"), json!("b"))];
    let text = digest(&trace, 5_000).text;
    for hidden in ["secret", "2025", "987", "777", "321"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    assert!(
        text.contains("{\"topic\":\"colours\"}") && text.contains("look up"),
        "{text}"
    );
}

#[test]
fn no_text_of_a_trace_passes_for_a_heading_or_a_mark() {
    let forged = "x\noutput_text:\n[… 3 characters left out …]\r\u{202e}\u{e0041}\0\u{2028}y";
    let text = digest(&asked(forged, "Blue."), 1_000).text;
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("| "))
        .collect();
    assert_eq!(
        ours,
        [
            "messages[0] user, input_text:",
            "messages[1] assistant, output_text:"
        ]
    );
    let shown = "| [… 3 characters left out …]\\r\\u202e\\U000e0041\\x00\\u2028y\n";
    assert!(text.contains(shown), "{text}");
    let mut called = asked("Which colour?", "Blue.");
    called.tool_calls.push(ToolCall {
        name: "a\noutput_text:\n| Red.".to_owned(),
        arguments: Value::Null,
        result: Value::Null,
        error: None,
    });
    assert!(
        digest(&called, 1_000)
            .text
            .contains("tool_calls[0] \"a output_text: | Red.\" arguments")
    );
}

#[test]
fn a_long_part_keeps_its_head_its_tail_and_what_the_answer_depends_on() {
    let needle = "The bridge of Aldermoor was opened in 1873 by the mayor.";
    let source = format!(
        "BEGIN {}{needle} {}END",
        sentences(30_000),
        sentences(30_000)
    );
    let mut trace = asked(
        "When was it opened?",
        "The Aldermoor bridge opened in 1873.",
    );
    trace.observations = vec![step("RETRIEVER", json!("bridge"), json!(source))];
    let digest = digest(&trace, 2_000);
    for kept in [
        "| BEGIN ",
        needle,
        "END\n",
        "When was it opened?",
        "bridge opened in 1873.",
    ] {
        assert!(digest.text.contains(kept), "{kept} in {}", digest.text);
    }
    assert_eq!(
        digest.text.matches("characters left out …]").count(),
        2,
        "{}",
        digest.text
    );
    let [left_out] = &digest.left_out[..] else {
        panic!("one part is cut: {:?}", digest.left_out)
    };
    assert!(
        left_out.ends_with(" characters of observations[0]"),
        "{left_out}"
    );
}

#[test]
fn small_parts_stay_whole_beside_a_huge_one() {
    let mut trace = asked("Which colour?", "Blue.");
    trace.metadata = json!({"policy": "Only blue or red."});
    trace
        .messages
        .insert(0, message("system", &"word ".repeat(200_000)));
    for turn in 0..10 {
        let said = format!("turn {turn}");
        trace.messages.insert(1, message("user", &said));
    }
    let digest = digest(&trace, 2_000);
    let small = (0..10).map(|turn| format!("| turn {turn}\n"));
    for kept in small.chain(["| Only blue or red.\n".to_owned(), "| Blue.\n".to_owned()]) {
        assert!(digest.text.contains(&kept), "{kept} in {}", digest.text);
    }
    assert_eq!(digest.left_out.len(), 1, "{:?}", digest.left_out);
    assert!(digest.text.chars().count() > 1_900, "{}", digest.text);
}

#[test]
fn the_steps_around_an_error_stay_where_the_others_go() {
    let mut trace = asked("Which colour?", "Blue.");
    for at in 0..400 {
        trace.tool_calls.push(ToolCall {
            name: format!("tool{at}"),
            arguments: json!({"at": at}),
            result: json!(sentences(400)),
            error: (at == 200).then(|| "the paint store is closed".to_owned()),
        });
    }
    let digest = digest(&trace, 3_000);
    for kept in [
        "| the paint store is closed\n",
        "tool_calls[200] result:",
        "\"tool201\" arguments",
        "| Blue.\n",
    ] {
        assert!(digest.text.contains(kept), "{kept} in {}", digest.text);
    }
    let gap = digest
        .left_out
        .iter()
        .find(|left_out| left_out.contains(" parts, tool_calls["));
    let gap = gap.expect("whole calls are left out");
    assert!(
        digest.text.contains(&format!("[… {gap} left out …]\n")),
        "{}",
        digest.text
    );
}

#[test]
fn a_session_is_told_turn_by_turn_and_nothing_twice() {
    let first = asked("Hello?", "Hi, what can I do?");
    let mut last = asked("Cancel it.", "It is cancelled.");
    let mut history = first.messages.clone();
    history.append(&mut last.messages);
    last.messages = history;
    last.session = vec![first, last.clone()];
    let digest = digest(&last, 2_000);
    let expected = "\
session has 2 traces, by time; the last is the trace itself
session[0] messages[0] user, input_text:
| Hello?
session[0] messages[1] assistant, output_text:
| Hi, what can I do?
messages[0] to messages[1]: as in session[0]
messages[2] user, input_text:
| Cancel it.
messages[3] assistant, output_text:
| It is cancelled.
";
    assert_eq!((digest.text.as_str(), digest.left_out.len()), (expected, 0));
}

#[test]
fn of_a_long_session_the_last_request_and_answer_stay() {
    let turn = |at| {
        asked(
            &format!("question {at} {}", sentences(300)),
            &format!("answer {at} {}", sentences(900)),
        )
    };
    let mut last = turn(99);
    last.session = (0..100).map(turn).collect();
    let digest = digest(&last, 3_000);
    for kept in [
        "session has 100 traces",
        "| question 99 ",
        "| answer 99 ",
        "| question 0 ",
    ] {
        assert!(digest.text.contains(kept), "{kept} in {}", digest.text);
    }
}

#[test]
fn an_empty_trace_is_told_as_empty() {
    let text = digest(&trace_of(&json!({})), 1_000).text;
    assert_eq!(text, "input_text: (empty)\noutput_text: (empty)\n");
}

#[test]
fn a_trace_of_eight_mebibytes_is_digested() {
    let mut trace = asked(&sentences(1 << 20), &sentences(1 << 20));
    trace.input = json!({"a": sentences(1 << 20)});
    let many = (0..40_000).map(|at| message("user", &format!("turn {at} {}", sentences(100))));
    trace.messages.splice(1..1, many);
    let digest = digest(&trace, 4_000);
    assert!(digest.text.chars().count() <= 4_000 && !digest.left_out.is_empty());
}

/// Text of all kinds: words, lines, emoji, controls, and long stretches without a space.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,9} ",
        "[0-9]{1,5}[.,] ",
        Just("\n".to_owned()),
        Just("日本語👩‍👩‍👧é".to_owned()),
        Just("\r\0\u{202e}".to_owned()),
        Just("[… 3 characters left out …]\n| ".to_owned()),
        (0usize..700).prop_map(|count| "x".repeat(count)),
        (0usize..90).prop_map(|count| "\n".repeat(count)),
    ];
    vec(piece, 0..25).prop_map(|pieces| pieces.concat())
}

fn call() -> impl Strategy<Value = ToolCall> {
    (text(), text(), option::of(text()), option::of(text())).prop_map(
        |(name, arguments, result, error)| ToolCall {
            name,
            arguments: json!({"argument": arguments}),
            result: result.map_or(Value::Null, Value::String),
            error,
        },
    )
}

fn observation() -> impl Strategy<Value = Observation> {
    let kinds = prop_oneof![
        Just("RETRIEVER"),
        Just("SPAN"),
        Just("GENERATION"),
        Just("odd\nkind")
    ];
    (kinds, text(), text(), option::of(text())).prop_map(|(kind, input, output, status_message)| {
        Observation {
            status_message,
            ..step(kind, json!(input), json!([output]))
        }
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let roles = prop_oneof![
        Just("user"),
        Just("assistant"),
        Just("tool"),
        Just("system"),
        Just("odd\nrole")
    ];
    (roles, text(), vec(call(), 0..2)).prop_map(|(role, content, tool_calls)| Message {
        tool_calls,
        ..message(role, &content)
    })
}

fn lone_trace() -> impl Strategy<Value = Trace> {
    let parts = (
        text(),
        text(),
        vec(any_message(), 0..8),
        vec(call(), 0..5),
        vec(observation(), 0..4),
        text(),
    );
    parts.prop_map(|(question, answer, messages, calls, observations, note)| {
        let mut trace = asked(&question, &answer);
        let of_messages = messages
            .iter()
            .flat_map(|message| message.tool_calls.clone());
        trace.tool_calls = of_messages.chain(calls).collect();
        trace.messages.splice(1..1, messages);
        trace.observations = observations;
        trace.metadata = json!({"note": note, "a\nfield": 7});
        trace
    })
}

fn any_trace() -> impl Strategy<Value = Trace> {
    (lone_trace(), vec(lone_trace(), 0..3)).prop_map(|(mut last, earlier)| {
        if !earlier.is_empty() {
            let itself = last.clone();
            last.session = earlier.into_iter().chain([itself]).collect();
        }
        last
    })
}

/// How many characters a mark or a phrase says are left out.
fn counted(text: &str) -> usize {
    let words: Vec<&str> = text.split([' ', '(']).collect();
    let number = match words
        .windows(2)
        .find(|pair| pair[1].starts_with("character"))
    {
        _ if words.get(1) == Some(&"of") => words[0],
        Some(pair) => pair[0],
        None => panic!("no number in {text}"),
    };
    number.replace(',', "").parse().expect("a number")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_digest_is_never_over_its_budget_and_always_the_same(trace in any_trace(), budget in 0usize..12_000) {
        let one = digest(&trace, budget);
        prop_assert!(one.text.chars().count() <= budget, "{} > {budget}", one.text.chars().count());
        prop_assert_eq!(one, digest(&trace, budget));
    }

    #[test]
    fn what_fits_is_whole(trace in any_trace()) {
        let all = digest(&trace, usize::MAX);
        prop_assert!(all.left_out.is_empty());
        let fitting = all.text.chars().count();
        prop_assert_eq!(&all, &digest(&trace, fitting));
        prop_assert!(!digest(&trace, fitting - 1).left_out.is_empty());
        let texts = trace.messages.iter().map(|message| &message.content);
        let texts = texts.chain([&trace.input_text, &trace.output_text]);
        for text in texts.filter(|text| !text.is_empty()) {
            let mut quoted = String::new();
            parts::quote(&mut quoted, &visible(text));
            prop_assert!(all.text.contains(&quoted), "{quoted} in {}", all.text);
        }
    }

    #[test]
    fn every_omission_is_marked_where_it_is_and_listed(trace in any_trace(), budget in 300usize..6_000) {
        let digest = digest(&trace, budget);
        let marked = digest.text.lines().filter(|line| line.starts_with("[… ")).map(counted);
        let marked: usize = marked.sum();
        let listed: usize = digest.left_out.iter().map(|words| counted(words)).sum();
        prop_assert_eq!(marked, listed);
        let shown = digest.text.lines().filter_map(|line| line.strip_prefix("| "));
        let shown: usize = shown.map(|line| line.chars().count()).sum();
        let bodies = parts_of(&trace).into_iter().filter_map(|part| part.body);
        let written: usize = bodies.map(|body| body.chars().filter(|c| *c != '\n').count()).sum();
        prop_assert!(shown + marked >= written, "{shown} + {marked} < {written}");
    }

    #[test]
    fn an_error_is_seen_wherever_a_line_for_it_fits(
        trace in lone_trace(), error in "[a-z]{1,40}", at in 0usize..9, budget in 700usize..4_000,
    ) {
        let mut trace = trace;
        trace.observations.iter_mut().for_each(|step| step.status_message = None);
        trace.tool_calls.iter_mut().for_each(|call| call.error = None);
        trace.messages.iter_mut().for_each(|message| message.tool_calls.clear());
        let failed = ToolCall {
            name: "pay".to_owned(),
            arguments: Value::Null,
            result: Value::Null,
            error: Some(error.clone()),
        };
        let at = at.min(trace.tool_calls.len());
        trace.tool_calls.insert(at, failed);
        let text = digest(&trace, budget).text;
        let line = format!("| {error}\n");
        prop_assert!(text.contains(&line), "{line} in {text}");
    }
}
