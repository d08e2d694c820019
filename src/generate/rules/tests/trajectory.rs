use super::*;
use crate::generate::rules::trajectory::{NAMELESS, Trajectory, known_tools};

/// A trace whose tools are called so; a name with `!` at its end fails.
fn steps(calls: &[(&str, Value)]) -> Trace {
    let calls: Vec<Value> = calls
        .iter()
        .map(|(name, arguments)| {
            let result = if name.ends_with('!') { "Error: no" } else { "ok" };
            json!({"name": name.trim_end_matches('!'), "arguments": arguments, "result": result, "error": null})
        })
        .collect();
    changed("Do it.", "Done.", json!({"tool_calls": calls}))
}

fn named(calls: &[&str]) -> Trace {
    let calls: Vec<_> = calls
        .iter()
        .enumerate()
        .map(|(at, name)| (*name, json!({"at": at})))
        .collect();
    steps(&calls)
}

fn talk(turns: &[(&str, &str)]) -> Trace {
    let turns: Vec<Value> = turns
        .iter()
        .map(|(role, content)| json!({"role": role, "content": content, "tool_calls": [], "name": null}))
        .collect();
    changed("Do it.", "Done.", json!({"messages": turns}))
}

fn step_measures() -> Vec<Trajectory> {
    let mut all = NAMELESS.to_vec();
    all.push(Trajectory::CallsOf("find".to_owned()));
    all.push(Trajectory::LastCall("find".to_owned()));
    all.push(Trajectory::Before("find".to_owned(), "update".to_owned()));
    all.push(Trajectory::Before("find".to_owned(), "find".to_owned()));
    all
}

#[test]
fn steps_mean_the_same_in_rust_and_in_python() {
    let traces = [
        named(&[]),
        named(&["find"]),
        named(&["find!"]),
        named(&["find!", "find"]),
        named(&["find", "update", "find!"]),
        named(&["update", "find"]),
        named(&["find!", "crm.deleteAccount"]),
        named(&[
            "Update\n",
            "updates",
            "\u{17f}end",
            "\u{212a}eep",
            "get_update",
        ]),
        named(&["SETTINGS_GET", "sendSMS\n"]),
        named(&["setURL"]),
        named(&["place_order_history", "open_map"]),
        steps(&[
            ("find", json!({"a": 1, "b": [1.0]})),
            ("find", json!({"b": [1.0], "a": 1})),
        ]),
        steps(&[("find", json!({"a": 1})), ("find", json!({"a": 1.0}))]),
        steps(&[("find", json!({"a": true})), ("find", json!({"a": 1}))]),
        steps(&[("find", json!("{}")), ("find", json!({}))]),
        steps(&[
            ("find", Value::Null),
            ("update", Value::Null),
            ("find", Value::Null),
        ]),
        talk(&[("user", "Why?"), ("assistant", "So."), ("user", "Really?")]),
        talk(&[("user", "Why?"), ("assistant", "So.")]),
        talk(&[("user", "Why?"), ("assistant", " \u{1c}")]),
        talk(&[("user", "Thanks.")]),
    ];
    for (index, step) in step_measures().into_iter().enumerate() {
        for when_met in [Class::Fail, Class::Pass] {
            let rules = single(Measure::Trajectory(step.clone()), even(index), when_met);
            assert_agrees(&rules, &traces);
        }
    }
}

#[test]
fn steps_are_what_they_are_called() {
    let value = |step: &Trajectory, trace: &Trace| step.value(trace);
    let find = || "find".to_owned();
    let looped = steps(&[
        ("find", json!({"a": 1, "b": 2})),
        ("find", json!({"b": 2, "a": 1})),
    ]);
    for (step, trace, expected) in [
        (
            Trajectory::CallsOf(find()),
            named(&["find", "x", "find"]),
            2,
        ),
        (Trajectory::LastCall(find()), named(&["find", "x"]), 0),
        (Trajectory::LastCall(find()), named(&["x", "find"]), 1),
        (
            Trajectory::Before(find(), "x".to_owned()),
            named(&["x", "find"]),
            0,
        ),
        (
            Trajectory::Before(find(), "x".to_owned()),
            named(&["x", "find", "x"]),
            1,
        ),
        (Trajectory::Repeats, named(&["find", "find"]), 0),
        (Trajectory::Repeats, looped, 1),
        (Trajectory::LeftFailed, named(&["find!", "x"]), 1),
        (Trajectory::LeftFailed, named(&["find!", "x", "find"]), 0),
        (Trajectory::LeftFailed, named(&["find!", "find!"]), 1),
        (
            Trajectory::Changes,
            named(&[
                "update_seat",
                "sendMail",
                "crm__create",
                "get_order",
                "settle",
            ]),
            3,
        ),
        (
            Trajectory::Changes,
            named(&[
                "order_history",
                "place_details",
                "open_weather_map",
                "issue_search",
                "SETTINGS_GET",
                "ADDRESS_LOOKUP",
            ]),
            0,
        ),
        (
            Trajectory::Changes,
            named(&[
                "place_order",
                "issueRefund",
                "SET_SEAT",
                "open_ticket",
                "sendSMS",
                "books.setURL",
            ]),
            6,
        ),
        (
            Trajectory::LastCallChanges,
            named(&["update_seat", "get_order"]),
            0,
        ),
        (
            Trajectory::ChangesAfterFailure,
            named(&["update!", "find", "update"]),
            1,
        ),
        (
            Trajectory::ChangesAfterFailure,
            named(&["update!", "find"]),
            0,
        ),
        (
            Trajectory::Unanswered,
            talk(&[("assistant", "Hi."), ("user", "Where is it?")]),
            1,
        ),
        (
            Trajectory::Unanswered,
            talk(&[("user", "Where is it?"), ("assistant", "Here.")]),
            0,
        ),
    ] {
        assert_eq!(
            value(&step, &trace),
            expected,
            "{step:?} {:?}",
            trace.tool_calls
        );
    }
}

#[test]
fn arguments_nested_deeply_are_compared_without_growing() {
    let nested = |leaf: Value| (0..100).fold(leaf, |inner, _| json!({"\"a": inner, "b": [1]}));
    let twice = |one: i64, another: i64| {
        steps(&[
            ("find", nested(json!(one))),
            ("find", nested(json!(another))),
        ])
    };
    let traces = [twice(1, 1), twice(1, 2)];
    assert_eq!(
        traces
            .each_ref()
            .map(|trace| Trajectory::Repeats.value(trace)),
        [1, 0]
    );
    let rules = single(Measure::Trajectory(Trajectory::Repeats), true, Class::Fail);
    assert_agrees(&rules, &traces);
}

#[test]
fn a_tool_that_few_traces_call_is_not_known() {
    let mut traces = vec![named(&["often", "often"]); 3];
    traces.extend(vec![named(&["seldom", "seldom", "seldom"]); 2]);
    assert_eq!(known_tools(traces.iter()), ["often"]);
    traces.extend(vec![named(&[]); 26]);
    assert_eq!(known_tools(traces.iter()), [] as [&str; 0]);
}

#[test]
fn a_call_that_is_made_twice_is_found_and_named() {
    let one = |index: usize| {
        let again = if even(index) { "b" } else { "a" };
        let trace = steps(&[
            ("find", json!({"key": "a"})),
            ("find", json!({"key": again})),
        ]);
        labelled(
            index,
            if even(index) { Thumb::Up } else { Thumb::Down },
            trace,
        )
    };
    let labels: Vec<_> = (0..24).map(one).collect();
    let induced = eval_of(generate(&labels, &Settings::default()));
    assert_eq!(
        induced.criterion.as_str(),
        "A good answer makes no tool call twice with the same arguments."
    );
    let outcome = run(&induced.source, &labels[1].trace);
    assert_eq!(
        outcome.result.unwrap().1,
        "find was called twice with the same arguments"
    );
}
