use super::*;
use crate::generate::rules::trajectory::{PROMISES, Trajectory};

/// All measures of what an agent did.
pub fn measures() -> Vec<Measure> {
    use Trajectory::*;
    let own = [
        Changes,
        UnaskedChanges,
        EndsOnChange,
        ClaimsChange,
        Repeats,
        LongestRun,
        LeftFailing,
        DifferentTools,
        HandsOver,
        UserTurns,
        Unanswered,
        EndsBy("look_up".to_owned()),
        Before("look_up".to_owned(), "Cancel_order".to_owned()),
    ];
    own.into_iter()
        .map(Measure::Trajectory)
        .chain([Measure::SaysAny(&PROMISES)])
        .collect()
}

fn turn(role: &str, content: &str, calls: &[Value]) -> Value {
    json!({"role": role, "content": content, "tool_calls": calls, "name": null})
}

fn called(name: &str, arguments: Value, result: &str) -> Value {
    json!({"name": name, "arguments": arguments, "result": result, "error": null})
}

/// An agent's trace: what it says at last, its turns, and its calls.
fn agent(answer: &str, turns: &[Value], calls: &[Value]) -> Trace {
    changed(
        "Cancel it.",
        answer,
        json!({"messages": turns, "tool_calls": calls}),
    )
}

fn agents() -> Vec<Trace> {
    let look = |number: Value| called("look_up", json!({"a": number, "b": ["x"]}), "found");
    let swapped = called("look_up", json!({"b": ["x"], "a": 1}), "found");
    let cancel = called("Cancel_order", json!("7"), "Error: no such order");
    let again = called("Cancel_order", json!("7"), "done");
    let person = called("transfer_to_human", json!({}), "");
    let ask = turn("user", "Cancel order 7.", &[]);
    let yes = turn("user", "Yes, go ahead!", &[]);
    let does = turn("assistant", "", std::slice::from_ref(&cancel));
    vec![
        agent("", &[], &[]),
        agent("Let me see, one moment.", std::slice::from_ref(&ask), &[]),
        agent(
            "It has been cancelled.",
            &[ask.clone(), does.clone()],
            &[look(json!(1)), cancel.clone()],
        ),
        agent(
            "It has been cancelled.",
            &[ask.clone(), yes.clone(), does],
            &[cancel.clone(), again.clone()],
        ),
        agent(
            "Successfully done",
            &[ask, yes],
            &[look(json!(1)), look(json!(1.0)), swapped],
        ),
        agent(
            "I’ll hand you over.",
            &[turn("tool", "x", &[])],
            &[look(json!(-0.0)), look(json!(0.0)), person],
        ),
        agent(
            "İt",
            &[],
            &[
                again,
                cancel,
                called("ſET_İ", json!([true, 1, null]), "error"),
            ],
        ),
    ]
}

#[test]
fn what_an_agent_did_means_the_same_in_rust_and_in_python() {
    let traces = agents();
    for (index, measure) in measures().into_iter().enumerate() {
        let cuts: &[f64] = if measure.counts() {
            &[1.0, 2.0]
        } else {
            &[1.0]
        };
        for cut in cuts {
            let mut rules = single(measure.clone(), even(index), Class::Fail);
            rules.conditions[0].cut = *cut;
            assert_agrees(&rules, &traces);
        }
    }
}

#[test]
fn what_an_agent_did_is_counted() {
    use Trajectory::*;
    let before = || Before("look_up".to_owned(), "Cancel_order".to_owned());
    for (measure, expected) in [
        (Changes, [0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 2.0]),
        (UnaskedChanges, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
        (EndsOnChange, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
        (ClaimsChange, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        (Repeats, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0]),
        (LongestRun, [0.0, 0.0, 1.0, 2.0, 3.0, 2.0, 2.0]),
        (LeftFailing, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0]),
        (DifferentTools, [0.0, 0.0, 2.0, 1.0, 1.0, 2.0, 2.0]),
        (HandsOver, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        (UserTurns, [0.0, 1.0, 1.0, 2.0, 2.0, 0.0, 0.0]),
        (Unanswered, [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        (before(), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
    ] {
        let found: Vec<f64> = agents()
            .iter()
            .map(|trace| measure.value(&Reading::new(trace)))
            .collect();
        assert_eq!(found, expected, "{measure:?}");
    }
}

#[test]
fn an_error_that_is_never_mended_is_found_out() {
    let one = |index: usize| {
        let failed = called("look_up", json!(index), "Error: busy");
        let mended = called("look_up", json!(index), "found");
        let (thumb, calls) = match index % 4 {
            0 => (Thumb::Up, vec![failed, mended]),
            1 => (Thumb::Down, vec![mended, failed]),
            2 => (Thumb::Up, vec![mended.clone(), failed, mended]),
            _ => (Thumb::Down, vec![mended.clone(), mended, failed]),
        };
        labelled(index, thumb, agent("Here it is.", &[], &calls))
    };
    let labels: Vec<_> = (0..24).map(one).collect();
    let induced = eval_of(generate(&labels, &Settings::default()));
    assert_eq!(induced.criterion, "A good answer leaves no tools failing.");
    insta::assert_snapshot!(induced.source.as_str());
}
