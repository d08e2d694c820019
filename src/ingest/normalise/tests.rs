mod fixtures;
mod laws;
mod writers;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::ToolCall;

fn of(trace: Value) -> Trace {
    normalise(&serde_json::from_value(trace).expect("every object is read"))
}

/// `role: content`, a line a message; calls in brackets.
fn script(trace: &Trace) -> Vec<String> {
    let line = |message: &Message| {
        let calls: Vec<&str> = message
            .tool_calls
            .iter()
            .map(|call| call.name.as_str())
            .collect();
        match calls.is_empty() {
            true => format!("{}: {}", message.role, message.content),
            false => format!(
                "{}: {} [{}]",
                message.role,
                message.content,
                calls.join(" ")
            ),
        }
    };
    trace.messages.iter().map(line).collect()
}

fn generation(second: u32, input: Value, output: Value) -> Value {
    json!({"id": format!("g{second}"), "type": "GENERATION", "input": input, "output": output,
           "startTime": format!("2026-01-01T00:00:{second:02}.000Z"),
           "endTime": format!("2026-01-01T00:00:{:02}.500Z", second)})
}

fn tool(second: u32, name: &str, input: Value, output: Value) -> Value {
    json!({"id": format!("t{second}"), "type": "TOOL", "name": name, "input": input, "output": output,
           "startTime": format!("2026-01-01T00:00:{second:02}.000Z")})
}

fn asks(id: &str, name: &str, arguments: &str) -> Value {
    json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]})
}

#[test]
fn question_and_answer_are_found_in_every_known_form() {
    let user = json!({"role": "user", "content": "Q"});
    let assistant = json!({"role": "assistant", "content": "A"});
    for (input, output) in [
        (json!("Q"), json!("A")),
        (json!([user]), assistant.clone()),
        (json!([user]), json!([assistant])),
        (
            json!({"messages": [{"role": "system", "content": "S"}, user]}),
            json!("A"),
        ),
        (
            json!({"messages": [user]}),
            json!({"messages": [user, assistant]}),
        ),
        (
            json!([user, {"role": "assistant", "content": "X"}, user]),
            json!({"choices": [{"message": assistant}]}),
        ),
        (
            json!([{"role": "user", "content": [{"type": "text", "text": "Q"}]}]),
            json!({"content": "A"}),
        ),
        (
            json!("[{\"role\": \"user\", \"content\": \"Q\"}]"),
            json!({"answer": "A"}),
        ),
        (
            json!({"question": "Q", "top_k": 3}),
            json!({"role": "assistant", "content": "A"}),
        ),
    ] {
        let trace = of(json!({"id": "t", "input": input, "output": output}));
        assert_eq!(
            (trace.input_text.as_str(), trace.output_text.as_str()),
            ("Q", "A"),
            "{input}"
        );
        assert_eq!(
            (&trace.input, &trace.output),
            (&input, &output),
            "untouched"
        );
    }
}

#[test]
fn what_is_no_text_reads_as_json() {
    for (value, text) in [
        (json!(null), ""),
        (json!(4.5), "4.5"),
        (json!(true), "true"),
        (
            json!({"rows": [1, 2], "ok": true}),
            "{\"rows\":[1,2],\"ok\":true}",
        ),
        (
            json!({"answer": "A", "query": "B"}),
            "{\"answer\":\"A\",\"query\":\"B\"}",
        ),
        (json!([]), "[]"),
    ] {
        assert_eq!(of(json!({"output": value})).output_text, text, "{value}");
    }
}

#[test]
fn media_show_as_placeholders() {
    let trace = of(json!({"input": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "text", "text": "@@@langfuseMedia:type=image/jpeg|id=1|source=base64_data_uri@@@"},
        {"type": "text", "text": "data:audio/mpeg;base64,AAAA+/=="},
        {"type": "odd", "value": 1},
    ]}]}));
    assert_eq!(
        trace.input_text,
        "What is this?\n[image]\n[image/jpeg]\n[audio/mpeg]\n{\"type\":\"odd\",\"value\":1}"
    );
}

#[test]
fn the_root_and_then_the_generations_speak_for_a_trace_without_own_texts() {
    let by_root = of(json!({"observations": [
        generation(2, json!("inner"), json!("inner")),
        {"id": "r", "type": "SPAN", "input": "Q", "output": "A", "startTime": "2026-01-01T00:00:01Z"},
    ]}));
    assert_eq!(
        (by_root.input_text.as_str(), by_root.output_text.as_str()),
        ("Q", "A")
    );
    let by_generations = of(json!({"observations": [
        {"id": "r", "type": "SPAN", "startTime": "2026-01-01T00:00:01Z"},
        generation(2, json!([{"role": "user", "content": "Q"}]), json!("first")),
        generation(3, json!([{"role": "tool", "content": "x"}]), json!("A")),
    ]}));
    assert_eq!(
        (
            by_generations.input_text.as_str(),
            by_generations.output_text.as_str()
        ),
        ("Q", "A")
    );
}

#[test]
fn whole_conversations_and_only_what_is_new_give_the_same_messages() {
    let system = json!({"role": "system", "content": "S"});
    let turn = |role: &str, text: &str| json!({"role": role, "content": text});
    let (q1, a1, yes, a2, a3) = (
        turn("user", "Q"),
        turn("assistant", "sure?"),
        turn("user", "yes"),
        turn("assistant", "really?"),
        turn("assistant", "done"),
    );
    let whole = json!([
        generation(1, json!([system, q1]), a1.clone()),
        generation(2, json!([system, q1, a1, yes]), a2.clone()),
        generation(3, json!([system, q1, a1, yes, a2, yes]), a3.clone()),
    ]);
    let new = json!([
        generation(1, json!([system, q1]), a1.clone()),
        generation(2, json!([yes]), a2.clone()),
        generation(3, json!([yes]), a3.clone()),
    ]);
    let window = json!([
        generation(1, json!([system, q1]), a1.clone()),
        generation(2, json!([system, a1, yes]), a2.clone()),
        generation(3, json!([system, yes, a2, yes]), a3.clone()),
    ]);
    let retried = json!([
        generation(1, json!([system, q1]), a1.clone()),
        generation(2, json!([system, q1, a1, yes]), Value::Null),
        generation(3, json!([system, q1, a1, yes]), a2.clone()),
        generation(4, json!([system, q1, a1, yes, a2, yes]), a3.clone()),
    ]);
    let expected = [
        "system: S",
        "user: Q",
        "assistant: sure?",
        "user: yes",
        "assistant: really?",
        "user: yes",
        "assistant: done",
    ];
    for observations in [whole, new, window, retried] {
        let trace = of(json!({"input": "Q", "observations": observations}));
        assert_eq!(script(&trace), expected, "{observations}");
    }
}

#[test]
fn without_generations_the_traces_own_input_and_output_are_the_conversation() {
    let trace =
        of(json!({"input": "Q", "output": "A", "observations": [{"id": "s", "type": "SPAN"}]}));
    assert_eq!(script(&trace), ["user: Q", "assistant: A"]);
}

#[test]
fn the_output_answers_a_conversation_that_the_user_ends() {
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let input = json!([
        said("user", "Hi"),
        said("assistant", "Hello"),
        said("user", "Where is it?")
    ]);
    let expected = ["user: Hi", "assistant: Hello", "user: Where is it?"];
    for output in [json!("Here."), said("assistant", "Here.")] {
        let trace = of(json!({"input": input, "output": output, "observations": []}));
        assert_eq!(
            script(&trace),
            [&expected[..], &["assistant: Here."]].concat()
        );
    }
    let trace = of(json!({"input": input, "output": null, "observations": []}));
    assert_eq!(script(&trace), expected, "no output ends nothing");
}

/// An agent's trace as tau-bench's are recorded: the calls stand in the messages and as TOOL steps.
fn agent() -> Value {
    let result = |id: &str, name: &str, text: &str| json!([{"role": "tool", "tool_call_id": id, "name": name, "content": text}]);
    json!({"id": "t", "input": [{"role": "user", "content": "Change my flight"}],
        "output": {"role": "assistant", "content": "Done"}, "observations": [
        generation(1, json!([{"role": "user", "content": "Change my flight"}]), asks("c1", "find", "{\"user\":\"u1\"}")),
        tool(2, "find", json!({"user": "u1"}), json!("{\"flights\": 2}")),
        generation(3, result("c1", "find", "{\"flights\": 2}"), asks("c2", "book", "{\"seat\": 1}")),
        {"id": "t4", "type": "TOOL", "name": "book", "input": {"seat": 1}, "output": "Error: no seats",
         "startTime": "2026-01-01T00:00:04Z", "level": "ERROR", "statusMessage": "Error: no seats"},
        generation(5, result("c2", "book", "Error: no seats"), asks("c3", "book", "{\"seat\": 1}")),
        tool(6, "book", json!({"seat": 1}), json!("ok")),
        generation(7, result("c3", "book", "ok"), json!({"role": "assistant", "content": "Done"})),
    ]})
}

#[test]
fn a_call_in_messages_and_as_a_tool_step_is_one_call() {
    let trace = of(agent());
    let call = |name: &str, arguments: Value, result: Value, error: Option<&str>| ToolCall {
        name: name.to_owned(),
        arguments,
        result,
        error: error.map(str::to_owned),
    };
    let expected = [
        call("find", json!({"user": "u1"}), json!({"flights": 2}), None),
        call(
            "book",
            json!({"seat": 1}),
            json!("Error: no seats"),
            Some("Error: no seats"),
        ),
        call("book", json!({"seat": 1}), json!("ok"), None),
    ];
    assert_eq!(trace.tool_calls, expected);
    let in_messages: Vec<ToolCall> = trace
        .messages
        .iter()
        .flat_map(|m| m.tool_calls.clone())
        .collect();
    assert_eq!(in_messages, expected);
    assert_eq!(
        (trace.input_text.as_str(), trace.output_text.as_str()),
        ("Change my flight", "Done")
    );
}

#[test]
fn tool_steps_alone_are_calls_in_start_order() {
    let trace = of(json!({"observations": [
        tool(3, "second", json!("{\"a\": 1}"), json!({"error": "timeout"})),
        tool(1, "first", Value::Null, json!("fine")),
        {"id": "t", "type": "TOOL", "name": "third", "level": "ERROR", "startTime": "2026-01-01T00:00:05Z"},
    ]}));
    let seen: Vec<_> = trace
        .tool_calls
        .iter()
        .map(|c| (c.name.as_str(), c.error.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("first", None),
            ("second", Some("timeout")),
            ("third", Some("the tool failed"))
        ]
    );
    assert_eq!(trace.tool_calls[1].arguments, json!({"a": 1}));
}

#[test]
fn an_unanswered_call_and_an_answer_to_nothing_are_calls_too() {
    let trace = of(json!({"input": [
        {"role": "user", "content": "Q"},
        {"role": "tool", "tool_call_id": "lost", "name": "search", "content": "found"},
        asks("c1", "book", "not JSON"),
    ]}));
    let [search, book] = &trace.tool_calls[..] else {
        panic!("two calls: {:?}", trace.tool_calls)
    };
    assert_eq!(
        (search.name.as_str(), &search.result),
        ("search", &json!("found"))
    );
    assert_eq!(
        (&book.arguments, &book.result),
        (&json!("not JSON"), &Value::Null)
    );
}

#[test]
fn ids_that_a_model_uses_twice_are_answered_in_order() {
    let answer = |text: &str| json!({"role": "tool", "tool_call_id": "c", "content": text});
    let trace = of(json!({"input": [
        asks("c", "f", "1"), answer("one"), asks("c", "f", "2"), answer("two"),
    ]}));
    let results: Vec<_> = trace
        .tool_calls
        .iter()
        .map(|c| (c.arguments.clone(), c.result.clone()))
        .collect();
    assert_eq!(
        results,
        [(json!(1), json!("one")), (json!(2), json!("two"))]
    );
}

#[test]
fn times_are_utc_and_unknown_figures_are_none() {
    let trace =
        of(json!({"timestamp": "2026-01-01T02:00:00+02:00", "latency": -1, "totalCost": -1}));
    assert_eq!(trace.timestamp, "2026-01-01T00:00:00.000Z");
    assert_eq!((trace.latency_ms, trace.total_cost), (None, None));
    let trace = of(json!({"observations": [
        {"startTime": "2026-01-01 00:00:01.5", "endTime": "2026-01-01T00:00:02Z", "totalCost": 0.5},
        {"startTime": "never", "endTime": null, "totalCost": 0.25},
    ]}));
    assert_eq!(trace.timestamp, "2026-01-01T00:00:01.500Z");
    assert_eq!(
        (trace.latency_ms, trace.total_cost),
        (Some(500.0), Some(0.75))
    );
    assert_eq!(trace.observations[1].start_time, None);
    assert_eq!(
        of(json!({"timestamp": 3})).timestamp,
        "1970-01-01T00:00:00.000Z"
    );
}

#[test]
fn scores_are_not_in_the_trace() {
    let with = of(json!({"id": "t", "scores": [{"name": "human", "value": 1}]}));
    assert_eq!(with.to_json(), of(json!({"id": "t"})).to_json());
}

#[test]
fn a_trace_in_schema_version_1_stays_what_it_is() {
    let once = of(agent());
    let again = of(serde_json::to_value(&once).expect("a trace is JSON"));
    assert_eq!(again, once);
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("role".to_owned()),
        Just("content".to_owned()),
        Just("tool_calls".to_owned()),
        Just("function".to_owned()),
        Just("name".to_owned()),
        Just("messages".to_owned()),
        Just("tool".to_owned()),
        Just("user".to_owned()),
        Just("GENERATION".to_owned()),
        Just("TOOL".to_owned()),
        Just("type".to_owned()),
        Just("input".to_owned()),
        Just("output".to_owned()),
        Just("observations".to_owned()),
        Just("startTime".to_owned()),
        Just("[{\"role\":\"user\",\"content\":\"x\"}]".to_owned()),
        ".{0,8}".prop_map(String::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_becomes_a_trace_and_its_input_and_output_stay(
        input in any_json(), output in any_json(), steps in prop::collection::vec(any_json(), 0..5),
        rest in any_json(),
    ) {
        let mut payload = json!({"input": input, "output": output, "observations": steps});
        if let (Value::Object(payload), Value::Object(rest)) = (&mut payload, rest) {
            for (key, value) in rest {
                payload.entry(key).or_insert(value);
            }
        }
        let trace = of(payload);
        prop_assert_eq!(&trace.input, &input);
        prop_assert_eq!(&trace.output, &output);
        let again: Trace = serde_json::from_str(&trace.to_json()).expect("it reads back");
        prop_assert_eq!(again.to_json(), trace.to_json());
    }

    #[test]
    fn the_whole_text_of_a_plain_input_is_the_question(text in "[^@:]{1,40}") {
        prop_assume!(!text.trim_start().starts_with(['{', '[']));
        prop_assert_eq!(of(json!({"input": text.clone()})).input_text, text);
    }

    #[test]
    fn giving_each_generation_the_whole_conversation_or_its_end_is_the_same(
        texts in prop::collection::vec("[ab]", 1..12), kept in prop::collection::vec(0usize..30, 12),
    ) {
        let turns: Vec<Value> = texts.iter().enumerate()
            .flat_map(|(i, text)| [
                json!({"role": "user", "content": text}),
                json!({"role": "assistant", "content": format!("{text}{i}")}),
            ])
            .collect();
        let steps = |from: &dyn Fn(usize) -> usize| -> Vec<Value> {
            (0..texts.len())
                .map(|i| generation(i as u32, json!(turns[from(i)..=2 * i]), turns[2 * i + 1].clone()))
                .collect()
        };
        let whole = of(json!({"observations": steps(&|_| 0)}));
        let ends = of(json!({"observations": steps(&|i| (2 * i).saturating_sub(kept[i]))}));
        prop_assert_eq!(whole.messages.len(), turns.len());
        prop_assert_eq!(whole.messages, ends.messages);
    }
}
