use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ingest::normalise;
use crate::langfuse::TracePayload;

/// As the normaliser makes it of a chat with this answer.
pub fn trace(answer: &str) -> Trace {
    let reply = json!({"role": "assistant", "content": answer});
    let asked = json!([{"role": "user", "content": "What is the fee?"}]);
    read(&json!({
        "id": "t", "timestamp": "2026-01-01T00:00:00Z", "input": asked, "output": reply,
        "observations": [{"id": "o", "type": "GENERATION", "input": asked, "output": reply}],
    }))
}

/// With two calls of one tool, and something retrieved that stands in the prompt.
pub fn trace_with_tools() -> Trace {
    let call = |id: &str, order: u32| {
        let arguments = json!({"order": order}).to_string();
        json!({"role": "assistant", "content": "", "tool_calls": [
            {"id": id, "function": {"name": "look_up", "arguments": arguments}}]})
    };
    let result = |id: &str, text: &str| json!({"role": "tool", "name": "look_up", "tool_call_id": id, "content": text});
    let knowledge = "Parcels to Norway take four days, and cost €40.";
    let output = json!({"role": "assistant", "content": "It costs €40."});
    read(&json!({
        "id": "t", "timestamp": "2026-01-01T00:00:00Z", "metadata": {"reference": "€40", "team": "mail"},
        "input": [{"role": "system", "content": format!("Use this: {knowledge}")},
                  {"role": "user", "content": "What is the fee?"}],
        "output": output,
        "observations": [
            {"id": "r", "type": "RETRIEVER", "name": "search", "input": "fee", "output": [knowledge], "startTime": "2026-01-01T00:00:01Z"},
            {"id": "g", "type": "GENERATION", "startTime": "2026-01-01T00:00:02Z", "output": output,
             "input": [{"role": "system", "content": format!("Use this: {knowledge}")},
                       {"role": "user", "content": "What is the fee?"},
                       call("a", 1), result("a", "first: €40"), call("b", 2), result("b", "second: €50")]},
            {"id": "t1", "type": "TOOL", "name": "look_up", "input": {"order": 1}, "output": "first: €40", "startTime": "2026-01-01T00:00:03Z"},
            {"id": "t2", "type": "TOOL", "name": "look_up", "input": {"order": 2}, "output": "second: €50", "startTime": "2026-01-01T00:00:04Z"},
        ],
    }))
}

pub fn read(value: &Value) -> Trace {
    let payload: TracePayload = serde_json::from_value(value.clone()).unwrap();
    normalise(&payload)
}

/// Read again from its own JSON.
fn read_again(trace: &Trace) -> Trace {
    read(&serde_json::from_str(&trace.to_json()).unwrap())
}

fn bundled() -> impl Iterator<Item = Trace> {
    let files = std::fs::read_dir("examples")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    files.into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .take(30)
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines.into_iter().map(|line| read(&line["trace"]))
    })
}

#[test]
fn a_new_answer_or_question_is_what_the_normaliser_would_read_of_such_a_source() {
    let mut read_alike = 0;
    for trace in bundled().filter(|trace| read_again(trace) == *trace) {
        let answered = Edit::Answer("Something else.".to_owned()).apply(&trace);
        assert_eq!(read_again(&answered), answered, "{}", trace.id);
        let asked = Edit::Question("Something else?".to_owned()).apply(&trace);
        assert_eq!(read_again(&asked), asked, "{}", trace.id);
        read_alike += 1;
    }
    assert!(read_alike > 50, "only {read_alike}");
}

#[test]
fn an_answer_changes_everywhere_it_stands() {
    let changed = Edit::Answer("€50".to_owned()).apply(&trace("It is €40."));
    assert_eq!(changed.output_text, "€50");
    assert_eq!(changed.output["content"], "€50");
    assert_eq!(changed.messages.last().unwrap().content, "€50");
    assert_eq!(changed.observations[0].output["content"], "€50");
    assert!(!changed.to_json().contains("€40"));
}

#[test]
fn an_answer_that_stands_nowhere_in_the_output_replaces_it() {
    let mut trace = trace("{\"a\":1}");
    trace.output = json!({"a": 1});
    let changed = Edit::Answer("none".to_owned()).apply(&trace);
    assert_eq!(read_again(&changed).output_text, "none");
    let mut silent = super::tests::trace("");
    silent.output = Value::Null;
    assert_eq!(
        read_again(&Edit::Answer("hello".to_owned()).apply(&silent)).output_text,
        "hello"
    );
}

#[test]
fn a_call_is_dropped_from_the_calls_the_turns_and_the_steps() {
    let trace = trace_with_tools();
    let changed = Edit::DropCall(1).apply(&trace);
    assert_eq!(changed.tool_calls, trace.tool_calls[..1]);
    assert_eq!(changed.messages.len(), trace.messages.len() - 1);
    let said = serde_json::to_string(&changed.messages).unwrap();
    assert!(!said.contains("second") && said.contains("first"), "{said}");
    let steps: Vec<_> = changed
        .observations
        .iter()
        .map(|step| step.id.as_str())
        .collect();
    assert_eq!(steps, ["r", "g", "t1"]);
}

#[test]
fn a_call_fails_in_the_calls_the_turns_and_the_steps() {
    let changed = Edit::FailCall(0).apply(&trace_with_tools());
    assert_eq!(changed.tool_calls[0].error.as_deref(), Some(TOOL_FAILED));
    assert_eq!(changed.tool_calls[1].error, None);
    let contents: Vec<_> = changed
        .messages
        .iter()
        .map(|said| said.content.as_str())
        .collect();
    assert!(
        contents.contains(&TOOL_FAILED) && contents.contains(&"second: €50"),
        "{contents:?}"
    );
    assert_eq!(changed.observations[2].level, "ERROR");
    assert_eq!(changed.observations[3].level, "DEFAULT");
}

#[test]
fn what_was_retrieved_changes_also_in_the_prompt() {
    let trace = trace_with_tools();
    let changed = Edit::Without(Part::Retrieved(0), "€40".to_owned()).apply(&trace);
    assert_eq!(
        changed.observations[0].output[0],
        "Parcels to Norway take four days, and cost ."
    );
    assert!(
        changed.messages[0].content.ends_with("and cost ."),
        "{:?}",
        changed.messages[0]
    );
    let nothing = Edit::DropRetrieved.apply(&trace);
    assert!(!nothing.to_json().contains("Norway"));
    assert_eq!(nothing.output_text, trace.output_text);
    let more = Edit::With(Part::Result(1), "soon".to_owned()).apply(&trace);
    assert_eq!(more.tool_calls[1].result, "second: €50 soon");
}

#[test]
fn what_the_trace_has_not_stays_as_it_is() {
    let trace = trace("It is €40.");
    for edit in [
        Edit::DropCall(0),
        Edit::FailCall(7),
        Edit::DropMetadata("none".to_owned()),
        Edit::DropRetrieved,
        Edit::With(Part::Retrieved(0), "x".to_owned()),
        Edit::Without(Part::Result(3), "x".to_owned()),
    ] {
        assert_eq!(edit.apply(&trace), trace, "{edit:?}");
    }
}

proptest! {
    #[test]
    fn every_edit_leaves_schema_1_and_says_the_same_twice(text in "(?s).{0,80}", at in 0..4_usize) {
        for trace in [trace_with_tools(), trace(&text)] {
            let before = trace.clone();
            for edit in [
                Edit::Answer(text.clone()), Edit::Question(text.clone()), Edit::DropCall(at), Edit::FailCall(at),
                Edit::DropMetadata(text.clone()), Edit::DropRetrieved,
                Edit::Without(Part::Result(at), text.clone()), Edit::With(Part::Retrieved(at), text.clone()),
            ] {
                let changed = edit.apply(&trace);
                let read: Trace = serde_json::from_str(&changed.to_json()).unwrap();
                prop_assert_eq!(&read, &changed);
                prop_assert_eq!(&edit.apply(&trace), &changed);
            }
            prop_assert_eq!(before, trace);
        }
    }
}

#[test]
fn a_change_reaches_the_sessions_last_trace_and_no_earlier_one() {
    let session = trace("last").after(vec![trace("first")]);
    let changed = Edit::Answer("new".to_owned()).apply(&session);
    let answers = changed.session.iter().map(|one| one.output_text.as_str());
    assert_eq!(answers.collect::<Vec<_>>(), ["first", "new"]);
    assert_eq!(
        changed,
        Edit::Answer("new".to_owned())
            .apply(&trace("last"))
            .after(vec![trace("first")])
    );
    assert!(
        Edit::Answer("new".to_owned())
            .apply(&trace("last"))
            .session
            .is_empty()
    );
}
