//! One conversation, written as each SDK writes it, is read as what was said; and nothing is lost of what is
//! written in no known way.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::FIXTURES;
use super::of;
use super::writers::{Round, Spoken, Turn, Used, WRITERS, vercel_ui};
use crate::domain::{Message, ToolCall, Trace};

impl Spoken {
    fn turns(&self) -> Vec<Turn<'_>> {
        let system = self.system.as_deref().map(Turn::System);
        let rounds = self.rounds.iter().flat_map(|round| {
            let steps = round.steps.iter();
            let steps = steps.flat_map(|used| [Turn::Calls(used), Turn::Results(used)]);
            let question = [Turn::User(&round.question)].into_iter();
            question
                .chain(steps)
                .chain([Turn::Assistant(&round.answer)])
        });
        system.into_iter().chain(rounds).collect()
    }

    fn last(&self) -> &Round {
        self.rounds.last().expect("there is a round")
    }

    /// Role, content and names of calls, turn by turn.
    fn script(&self) -> Vec<(String, String, Vec<ToolCall>)> {
        let line = |role: &str, text: &str| (role.to_owned(), text.to_owned(), Vec::new());
        let turns = self.turns();
        let lines = turns.iter().flat_map(|turn| match turn {
            Turn::System(text) => vec![line("system", text)],
            Turn::User(text) => vec![line("user", text)],
            Turn::Assistant(text) => vec![line("assistant", text)],
            Turn::Results(used) => {
                let results = used.iter().map(|used| used.result.to_string());
                results.map(|text| line("tool", &text)).collect()
            }
            Turn::Calls(used) => {
                let calls = used.iter().map(Used::call).collect();
                vec![("assistant".to_owned(), String::new(), calls)]
            }
        });
        lines.collect()
    }
}

impl Used {
    fn call(&self) -> ToolCall {
        let error = self.result.get("error").and_then(Value::as_str);
        ToolCall {
            name: self.name.clone(),
            arguments: self.arguments.clone(),
            result: self.result.clone(),
            error: error.map(str::to_owned),
        }
    }
}

fn script(messages: &[Message]) -> Vec<(String, String, Vec<ToolCall>)> {
    let lines = messages.iter();
    lines
        .map(|message| {
            (
                message.role.clone(),
                message.content.clone(),
                message.tool_calls.clone(),
            )
        })
        .collect()
}

/// What frameworks put around messages; none of it is said.
fn wrapped(messages: Value, how: usize) -> Value {
    match how {
        0 => messages,
        1 => json!({"messages": messages, "model": "m", "temperature": 0}),
        2 => json!({"messages": [messages]}),
        3 => json!({"args": [messages], "kwargs": {"model": "m"}}),
        4 => json!({"args": [], "kwargs": {"messages": messages, "model": "m"}}),
        5 => json!({"input": {"messages": messages}}),
        6 => json!(messages.to_string()),
        7 => json!({"body": json!({"messages": messages}).to_string()}),
        8 => json!({"agent": {"messages": messages}}),
        _ => json!({"state": {"inputs": messages}}),
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zé漢][a-z {}\\[\\]\"\\\\é漢😀\n]{0,12}"
}

fn used() -> impl Strategy<Value = Used> {
    let result = prop_oneof![
        any::<i32>().prop_map(|n| json!({"n": n})),
        text().prop_map(|text| json!({"error": text})),
    ];
    ("[a-c]", any::<u16>(), result).prop_map(|(name, n, result)| Used {
        id: String::new(),
        name,
        arguments: json!({"n": n}),
        result,
    })
}

fn spoken() -> impl Strategy<Value = Spoken> {
    let steps = prop::collection::vec(prop::collection::vec(used(), 1..4), 0..3);
    let round = (text(), steps, text()).prop_map(|(question, steps, answer)| Round {
        question,
        steps,
        answer,
    });
    let rounds = prop::collection::vec(round, 1..4);
    (prop::option::of(text()), rounds).prop_map(|(system, rounds)| {
        let mut spoken = Spoken { system, rounds };
        let steps = spoken.rounds.iter_mut().flat_map(|round| &mut round.steps);
        for (at, used) in steps.flatten().enumerate() {
            used.id = format!("call_{at}");
        }
        spoken
    })
}

fn assert_reads(trace: &Trace, spoken: &Spoken, form: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(script(&trace.messages), spoken.script(), "{}", form);
    prop_assert_eq!(&trace.input_text, &spoken.last().question, "{}", form);
    prop_assert_eq!(&trace.output_text, &spoken.last().answer, "{}", form);
    let steps = spoken.rounds.iter().flat_map(|round| &round.steps);
    let calls: Vec<ToolCall> = steps.flatten().map(Used::call).collect();
    prop_assert_eq!(&trace.tool_calls, &calls, "{}", form);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_conversation_is_what_was_said_whoever_writes_it(
        spoken in spoken(), around in 0usize..10, behind in prop::sample::select(vec![0, 1, 2, 5, 6, 7, 8]), whole: bool,
    ) {
        for (form, write) in WRITERS {
            let turns = spoken.turns();
            let (answer, given) = turns.split_last().expect("there is an answer");
            let given: Vec<Value> = given.iter().flat_map(write).collect();
            let answer = write(answer);
            // A graph's output is the whole state.
            let output = if whole { [given.clone(), answer].concat() } else { answer };
            let trace = of(json!({
                "input": wrapped(json!(given), around), "output": wrapped(json!(output), behind),
            }));
            assert_reads(&trace, &spoken, form)?;
        }
    }

    #[test]
    fn messages_for_pages_are_what_was_said(spoken in spoken()) {
        let spoken = Spoken { system: None, ..spoken };
        let mut messages: Vec<Value> = spoken.rounds.iter().flat_map(vercel_ui).collect();
        let answer = messages.pop();
        assert_reads(&of(json!({"input": {"messages": messages}, "output": answer})), &spoken, "vercel_ui")?;
    }

    #[test]
    fn the_instructions_beside_the_messages_come_first(system in text(), question in text(), answer in text()) {
        let messages = json!([{"role": "user", "content": question}]);
        let spoken = Spoken {
            system: Some(system.clone()),
            rounds: vec![Round { question: question.clone(), steps: Vec::new(), answer: answer.clone() }],
        };
        for input in [
            json!({"system": system, "messages": messages}),
            json!({"system": [{"type": "text", "text": system}], "messages": messages}),
            json!({"instructions": system, "input": question}),
            json!({"instructions": system, "input": messages}),
            json!({"systemInstruction": {"parts": [{"text": system}]}, "contents": [{"parts": [{"text": question}]}]}),
            json!({"config": {"system_instruction": system}, "contents": question}),
            json!({"system": system, "prompt": question}),
            json!([["system", system], ["human", question]]),
        ] {
            assert_reads(&of(json!({"input": input, "output": answer})), &spoken, &input.to_string())?;
        }
    }

    #[test]
    fn no_part_of_a_message_is_lost(parts in prop::collection::vec(unknown(), 1..5)) {
        let content = Value::Array(parts);
        let trace = of(json!({"input": [{"role": "user", "content": content}]}));
        for word in words(&content) {
            prop_assert!(trace.input_text.contains(&word), "{} in {}", word, trace.input_text);
        }
    }

    #[test]
    fn a_broken_payload_of_an_sdk_stays_whole_and_is_read_the_same_each_time(
        at: prop::sample::Index, places in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4),
    ) {
        let mut trace = at.get(&FIXTURES).1.clone();
        for (place, how) in places {
            let count = size(&trace);
            break_at(&mut trace, place.index(count), how);
        }
        prop_assume!(trace.is_object());
        let read = of(trace.clone());
        prop_assert_eq!(&read.input, trace.get("input").unwrap_or(&Value::Null));
        prop_assert_eq!(&read.output, trace.get("output").unwrap_or(&Value::Null));
        prop_assert_eq!(read.to_json(), of(trace).to_json());
    }
}

/// Parts in no known form.
fn unknown() -> impl Strategy<Value = Value> {
    let word = "[A-Z]{3}".prop_map(Value::from);
    word.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 1..4).prop_map(|fields| json!(fields)),
        ]
    })
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(word) => vec![word.clone()],
        Value::Array(items) => items.iter().flat_map(words).collect(),
        Value::Object(fields) => fields.values().flat_map(words).collect(),
        _ => Vec::new(),
    }
}

/// How many values there are in a value, itself among them.
fn size(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    };
    inner + 1
}

/// Changes the value at a place, counted in depth-first order.
fn break_at(value: &mut Value, mut place: usize, how: u8) {
    if place == 0 {
        *value = broken(value.take(), how);
        return;
    }
    place -= 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    for value in inner {
        match size(value) {
            count if place < count => return break_at(value, place, how),
            count => place -= count,
        }
    }
}

fn broken(value: Value, how: u8) -> Value {
    match how {
        0 => Value::Null,
        1 => json!(7),
        2 => json!([value.clone(), value]),
        3 => json!({ "messages": value }),
        4 => json!(value.to_string()),
        5 => (0..100).fold(value, |inner, _| json!([inner])),
        6 => json!("long \u{fffd}".repeat(10_000)),
        _ => json!({}),
    }
}

#[test]
fn huge_conversations_and_texts_are_read_whole() {
    let turn = |n: usize| match n % 2 {
        0 => json!({"role": "user", "content": format!("question {n}")}),
        _ => json!({"role": "model", "parts": [{"text": format!("answer {n}")}]}),
    };
    let messages: Vec<Value> = (0..4_001).map(turn).collect();
    let long = "é".repeat(200_000);
    let trace =
        of(json!({"input": {"contents": messages}, "output": [{"type": "text", "text": long}]}));
    assert_eq!(trace.messages.len(), 4_002);
    assert_eq!(
        (trace.input_text.as_str(), trace.output_text),
        ("question 4000", long)
    );
    let calls: Vec<Value> = (0..4_000)
        .map(|n| json!({"type": "tool_use", "id": n.to_string(), "name": "f", "input": {}}))
        .collect();
    let trace = of(json!({"output": {"role": "assistant", "content": calls}}));
    assert_eq!(trace.tool_calls.len(), 4_000);
}

#[test]
fn deep_wrappers_and_texts_in_texts_end() {
    let message = json!({"role": "user", "content": "Q"});
    for wrap in [
        |inner: Value| json!({ "input": inner }),
        |inner: Value| json!({ "messages": inner, "system": "S" }),
        |inner: Value| json!([inner]),
        |inner: Value| json!({"type": "tool_result", "content": [inner]}),
    ] {
        let deep = (0..120).fold(message.clone(), |inner, _| wrap(inner));
        assert_ne!(of(json!({"input": deep})).input_text, "");
    }
    let quoted = (0..12).fold(message, |inner, _| json!(inner.to_string()));
    assert!(of(json!({"input": quoted})).input_text.contains('Q'));
}
