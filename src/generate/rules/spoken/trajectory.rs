use super::{Spoken, flag, number};
use crate::generate::rules::helpers::Helper;
use crate::generate::rules::python::{assignment, literal, wrapped_pattern};
use crate::generate::rules::trajectory::{CHANGE, Trajectory};

/// How a measure of a trace's steps reads in Python and in words.
pub fn spoken(step: &Trajectory) -> Spoken {
    match step {
        Trajectory::CallsOf(tool) => calls_of(tool),
        Trajectory::LastCall(tool) => last_call(tool),
        Trajectory::Before(first, then) => before(first, then),
        Trajectory::Repeats => repeats(),
        Trajectory::LeftFailed => left_failed(),
        Trajectory::Changes => changes(),
        Trajectory::LastCallChanges => last_call_changes(),
        Trajectory::ChangesAfterFailure => changes_after_failure(),
        Trajectory::Unanswered => unanswered(),
    }
}

const CALLED: &str = "called = [call[\"name\"] for call in trace[\"tool_calls\"]]";

fn calls_of(tool: &str) -> Spoken {
    let named = tool.to_owned();
    let clause = move |amount: &str| format!("makes {amount} calls of the tool {named}");
    let reason = "f\"{COUNTED_TOOL} was called {times} times\"";
    Spoken {
        constants: vec![assignment("COUNTED_TOOL", &literal(tool))],
        setup: vec![
            CALLED.to_owned(),
            "times = called.count(COUNTED_TOOL)".to_owned(),
        ],
        ..Spoken::new(number("times", "CALLS_OF_TOOL", reason, clause))
    }
}

fn last_call(tool: &str) -> Spoken {
    let value = flag(
        ["called[-1:] == [LAST_TOOL]", "called[-1:] != [LAST_TOOL]"],
        [
            "f\"{LAST_TOOL} was called last\"",
            "f\"{LAST_TOOL} was not called last\"",
        ],
        [
            &format!("calls the tool {tool} last"),
            &format!("does not call the tool {tool} last"),
        ],
    );
    Spoken {
        constants: vec![assignment("LAST_TOOL", &literal(tool))],
        setup: vec![CALLED.to_owned()],
        ..Spoken::new(value)
    }
}

const COMES_BEFORE: &str = r#"def comes_before(first, then, called):
    return first in called and then in called[called.index(first) + 1 :]"#;

fn before(first: &str, then: &str) -> Spoken {
    let value = flag(
        ["in_order", "not in_order"],
        [
            "f\"{FIRST_TOOL} was called before {NEXT_TOOL}\"",
            "f\"{FIRST_TOOL} was not called before {NEXT_TOOL}\"",
        ],
        [
            &format!("calls the tool {first} before {then}"),
            &format!("does not call the tool {first} before {then}"),
        ],
    );
    Spoken {
        constants: vec![
            assignment("FIRST_TOOL", &literal(first)),
            assignment("NEXT_TOOL", &literal(then)),
        ],
        functions: vec![COMES_BEFORE.to_owned()],
        setup: vec![
            CALLED.to_owned(),
            "in_order = comes_before(FIRST_TOOL, NEXT_TOOL, called)".to_owned(),
        ],
        ..Spoken::new(value)
    }
}

const REPEATED_TOOL: &str = r#"def repeated_tool(calls):
    """The first tool that was called twice with the same arguments, or None."""
    seen = set()
    for call in calls:
        asked = (call["name"], json.dumps(call["arguments"], sort_keys=True))
        if asked in seen:
            return call["name"]
        seen.add(asked)
    return None"#;

fn repeats() -> Spoken {
    let value = flag(
        ["twice is not None", "twice is None"],
        [
            "f\"{twice} was called twice with the same arguments\"",
            "\"no call was made twice\"",
        ],
        [
            "makes a tool call twice with the same arguments",
            "makes no tool call twice with the same arguments",
        ],
    );
    Spoken {
        imports: vec!["json"],
        functions: vec![REPEATED_TOOL.to_owned()],
        setup: vec!["twice = repeated_tool(trace[\"tool_calls\"])".to_owned()],
        ..Spoken::new(value)
    }
}

const GIVEN_UP_TOOL: &str = r#"def given_up_tool(calls):
    """The first tool whose call failed and that was not called again, or None."""
    called = [call["name"] for call in calls]
    for number, call in enumerate(calls, start=1):
        if has_failed(call) and call["name"] not in called[number:]:
            return call["name"]
    return None"#;

fn left_failed() -> Spoken {
    let value = flag(
        ["given_up is not None", "given_up is None"],
        [
            "f\"{given_up} failed and was not tried again\"",
            "\"no failed call was given up\"",
        ],
        [
            "leaves a failed tool call as it is",
            "tries failed tool calls again",
        ],
    );
    Spoken {
        helpers: vec![Helper::HasFailed],
        functions: vec![GIVEN_UP_TOOL.to_owned()],
        setup: vec!["given_up = given_up_tool(trace[\"tool_calls\"])".to_owned()],
        ..Spoken::new(value)
    }
}

fn change_constant() -> String {
    wrapped_pattern("CHANGE", CHANGE)
}

fn changes() -> Spoken {
    let clause = |amount: &str| format!("makes {amount} calls that change something");
    Spoken {
        imports: vec!["re"],
        constants: vec![change_constant()],
        setup: vec![
            CALLED.to_owned(),
            "changes = [name for name in called if re.search(CHANGE, name)]".to_owned(),
        ],
        ..Spoken::new(number(
            "len(changes)",
            "CHANGES",
            "f\"{len(changes)} of its calls change something\"",
            clause,
        ))
    }
}

fn last_call_changes() -> Spoken {
    let value = flag(
        ["changing", "not changing"],
        [
            "f\"the last call, {called[-1]}, changes something\"",
            "\"it does not end with a call that changes something\"",
        ],
        [
            "ends with a call that changes something",
            "does not end with a call that changes something",
        ],
    );
    Spoken {
        imports: vec!["re"],
        constants: vec![change_constant()],
        setup: vec![
            CALLED.to_owned(),
            "changing = called and re.search(CHANGE, called[-1])".to_owned(),
        ],
        ..Spoken::new(value)
    }
}

const CHANGE_AFTER_FAILURE: &str = r#"def change_after_failure(calls):
    """The first tool that changed something after a call had failed, or None."""
    failed = False
    for call in calls:
        if failed and re.search(CHANGE, call["name"]):
            return call["name"]
        failed = failed or has_failed(call)
    return None"#;

fn changes_after_failure() -> Spoken {
    let value = flag(
        ["changer is not None", "changer is None"],
        [
            "f\"{changer} was called although a call had failed\"",
            "\"nothing was changed after a failed call\"",
        ],
        [
            "changes something after a failed tool call",
            "changes nothing after a failed tool call",
        ],
    );
    Spoken {
        imports: vec!["re"],
        helpers: vec![Helper::HasFailed],
        constants: vec![change_constant()],
        functions: vec![CHANGE_AFTER_FAILURE.to_owned()],
        setup: vec!["changer = change_after_failure(trace[\"tool_calls\"])".to_owned()],
        ..Spoken::new(value)
    }
}

const OPEN_QUESTION: &str = r#"def open_question(turns):
    """The user's question that the conversation ends with, or None."""
    said = [turn for turn in turns if turn["content"].strip()]
    last = said[-1] if said and said[-1]["role"] == "user" else None
    return last["content"] if last and "?" in last["content"] else None"#;

fn unanswered() -> Spoken {
    let value = flag(
        ["question is not None", "question is None"],
        [
            "f\"this question has no answer: {question}\"",
            "\"no question is left open\"",
        ],
        [
            "leaves the user's last question open",
            "leaves no question of the user's open",
        ],
    );
    Spoken {
        functions: vec![OPEN_QUESTION.to_owned()],
        setup: vec!["question = open_question(trace[\"messages\"])".to_owned()],
        ..Spoken::new(value)
    }
}
