use super::{Spoken, flag, number};
use crate::generate::rules::helpers::Helper;
use crate::generate::rules::python::{self, assignment, literal};
use crate::generate::rules::trajectory::{
    AGREEMENTS, CHANGING_VERBS, CLAIMS, PERSON_MARKS, Trajectory,
};

const CHANGES: &str = r#"def changes(call):
    return call["name"].lower().startswith(tuple(CHANGING_VERBS))"#;

const UNASKED_CHANGES: &str = r#"def unasked_changes(trace):
    """The changes made when the user's last turn did not agree to anything."""
    said, unasked = "", []
    for turn in trace["messages"]:
        if turn["role"] == "user":
            said = turn["content"]
        if not any(says(said, phrase) for phrase in AGREEMENTS):
            unasked += filter(changes, turn["tool_calls"])
    return unasked"#;

const REPEATED_CALLS: &str = r#"def repeated_calls(trace):
    """How many calls an earlier one made already, with the same arguments."""
    calls = [[call["name"], call["arguments"]] for call in trace["tool_calls"]]
    return len(calls) - len({json.dumps(call, sort_keys=True) for call in calls})"#;

const LONGEST_RUN: &str = r#"def longest_run(trace):
    """The most calls of one tool in a row."""
    names = [call["name"] for call in trace["tool_calls"]]
    return max((len(list(run)) for _, run in itertools.groupby(names)), default=0)"#;

const LEFT_FAILING: &str = r#"def left_failing(trace):
    """The tools whose last call failed."""
    last = {call["name"]: call for call in trace["tool_calls"]}
    return [name for name, call in last.items() if has_failed(call)]"#;

const HANDS_OVER: &str = r#"def hands_over(call):
    return any(mark in call["name"].lower() for mark in PERSON_MARKS)"#;

const COMES_BEFORE: &str = r#"def comes_before(trace, first, then):
    names = [call["name"] for call in trace["tool_calls"]]
    return first in names and then in names[names.index(first) + 1 :]"#;

/// How the measure reads in Python and in words.
pub fn trajectory(measure: &Trajectory) -> Spoken {
    match measure {
        Trajectory::Changes => change_count(),
        Trajectory::UnaskedChanges => unasked(),
        Trajectory::EndsOnChange => ends_on_change(),
        Trajectory::ClaimsChange => claims_change(),
        Trajectory::Repeats => repeats(),
        Trajectory::LongestRun => run(),
        Trajectory::LeftFailing => failing(),
        Trajectory::DifferentTools => different_tools(),
        Trajectory::HandsOver => handed_over(),
        Trajectory::UserTurns => user_turns(),
        Trajectory::Unanswered => unanswered(),
        Trajectory::EndsBy(tool) => ends_by(tool),
        Trajectory::Before(first, then) => before(first, then),
    }
}

fn strings(name: &str, items: &[&str]) -> String {
    let items: Vec<_> = items.iter().map(|item| literal(item)).collect();
    python::list(name, &items)
}

fn changing_verbs() -> String {
    format!("CHANGING_VERBS = \"\"\"\n{CHANGING_VERBS}\n\"\"\".split()")
}

const CHANGED: &str = "changed = [call for call in trace[\"tool_calls\"] if changes(call)]";

fn change_count() -> Spoken {
    let clause = |amount: &str| format!("makes {amount} calls that change something");
    let reason = "f\"{len(changed)} of its calls change something\"";
    Spoken {
        constants: vec![changing_verbs()],
        functions: vec![CHANGES.to_owned()],
        setup: vec![CHANGED.to_owned()],
        ..Spoken::new(number("len(changed)", "CHANGES", reason, clause))
    }
}

fn unasked() -> Spoken {
    let clause = |amount: &str| format!("makes {amount} changes that the user did not agree to");
    let reason = "f\"it makes {len(unasked)} changes that the user did not agree to\"";
    Spoken {
        helpers: vec![Helper::Says],
        constants: vec![changing_verbs(), strings("AGREEMENTS", AGREEMENTS)],
        functions: vec![CHANGES.to_owned(), UNASKED_CHANGES.to_owned()],
        setup: vec!["unasked = unasked_changes(trace)".to_owned()],
        ..Spoken::new(number("len(unasked)", "UNASKED_CHANGES", reason, clause))
    }
}

fn ends_on_change() -> Spoken {
    let value = flag(
        ["any(map(changes, final))", "not any(map(changes, final))"],
        [
            "\"its last call changes something\"",
            "\"its last call, if any, changes nothing\"",
        ],
        [
            "ends on a call that changes something",
            "does not end on a call that changes something",
        ],
    );
    Spoken {
        constants: vec![changing_verbs()],
        functions: vec![CHANGES.to_owned()],
        setup: vec!["final = trace[\"tool_calls\"][-1:]".to_owned()],
        ..Spoken::new(value)
    }
}

fn claims_change() -> Spoken {
    let value = flag(
        ["claimed and not changed", "not claimed or changed"],
        [
            "f'it says \"{claimed[0]}\", and no call changed anything'",
            "\"it claims no change that no call made\"",
        ],
        [
            "claims a change that no call made",
            "claims no change that no call made",
        ],
    );
    let claimed = "claimed = [claim for claim in CLAIMS if says(trace[\"output_text\"], claim)]";
    Spoken {
        helpers: vec![Helper::Says],
        constants: vec![changing_verbs(), strings("CLAIMS", CLAIMS)],
        functions: vec![CHANGES.to_owned()],
        setup: vec![claimed.to_owned(), CHANGED.to_owned()],
        ..Spoken::new(value)
    }
}

fn repeats() -> Spoken {
    let clause = |amount: &str| format!("repeats {amount} tool calls");
    Spoken {
        imports: vec!["json"],
        functions: vec![REPEATED_CALLS.to_owned()],
        setup: vec!["repeats = repeated_calls(trace)".to_owned()],
        ..Spoken::new(number(
            "repeats",
            "REPEATS",
            "f\"it repeats {repeats} tool calls\"",
            clause,
        ))
    }
}

fn run() -> Spoken {
    let clause = |amount: &str| format!("makes {amount} calls of one tool in a row");
    Spoken {
        imports: vec!["itertools"],
        functions: vec![LONGEST_RUN.to_owned()],
        setup: vec!["in_a_row = longest_run(trace)".to_owned()],
        ..Spoken::new(number(
            "in_a_row",
            "IN_A_ROW",
            "f\"it makes {in_a_row} calls of one tool in a row\"",
            clause,
        ))
    }
}

fn failing() -> Spoken {
    let clause = |amount: &str| format!("leaves {amount} tools failing");
    Spoken {
        helpers: vec![Helper::HasFailed],
        functions: vec![LEFT_FAILING.to_owned()],
        setup: vec!["failing = left_failing(trace)".to_owned()],
        ..Spoken::new(number(
            "len(failing)",
            "TOOLS_FAILING",
            "f\"the last calls of {len(failing)} tools failed\"",
            clause,
        ))
    }
}

fn different_tools() -> Spoken {
    let clause = |amount: &str| format!("uses {amount} different tools");
    Spoken {
        setup: vec!["tools = {call[\"name\"] for call in trace[\"tool_calls\"]}".to_owned()],
        ..Spoken::new(number(
            "len(tools)",
            "TOOLS",
            "f\"it uses {len(tools)} different tools\"",
            clause,
        ))
    }
}

fn handed_over() -> Spoken {
    let value = flag(
        ["handed_over", "not handed_over"],
        [
            "\"it hands over to a person\"",
            "\"it does not hand over to a person\"",
        ],
        ["hands over to a person", "does not hand over to a person"],
    );
    Spoken {
        constants: vec![strings("PERSON_MARKS", PERSON_MARKS)],
        functions: vec![HANDS_OVER.to_owned()],
        setup: vec!["handed_over = any(map(hands_over, trace[\"tool_calls\"]))".to_owned()],
        ..Spoken::new(value)
    }
}

fn user_turns() -> Spoken {
    let clause = |amount: &str| format!("takes {amount} turns of the user");
    let turns = "turns = [turn for turn in trace[\"messages\"] if turn[\"role\"] == \"user\"]";
    Spoken {
        setup: vec![turns.to_owned()],
        ..Spoken::new(number(
            "len(turns)",
            "USER_TURNS",
            "f\"it takes {len(turns)} turns of the user\"",
            clause,
        ))
    }
}

fn unanswered() -> Spoken {
    let value = flag(
        ["last_turn == [\"user\"]", "last_turn != [\"user\"]"],
        [
            "\"the user's last turn is not answered\"",
            "\"the user's last turn is answered\"",
        ],
        [
            "leaves the user's last turn unanswered",
            "answers the user's last turn",
        ],
    );
    Spoken {
        setup: vec!["last_turn = [turn[\"role\"] for turn in trace[\"messages\"][-1:]]".to_owned()],
        ..Spoken::new(value)
    }
}

fn ends_by(tool: &str) -> Spoken {
    let value = flag(
        ["last_tool == [LAST_TOOL]", "last_tool != [LAST_TOOL]"],
        [
            "f\"{LAST_TOOL} was the last tool\"",
            "f\"{LAST_TOOL} was not the last tool\"",
        ],
        [
            &format!("ends by calling {tool}"),
            &format!("does not end by calling {tool}"),
        ],
    );
    let last = "last_tool = [call[\"name\"] for call in trace[\"tool_calls\"][-1:]]";
    Spoken {
        constants: vec![assignment("LAST_TOOL", &literal(tool))],
        setup: vec![last.to_owned()],
        ..Spoken::new(value)
    }
}

fn before(first: &str, then: &str) -> Spoken {
    let value = flag(
        ["in_order", "not in_order"],
        [
            "f\"{FIRST} was called before {THEN}\"",
            "f\"{FIRST} was not called before {THEN}\"",
        ],
        [
            &format!("calls {first} before {then}"),
            &format!("does not call {first} before {then}"),
        ],
    );
    Spoken {
        constants: vec![
            assignment("FIRST", &literal(first)),
            assignment("THEN", &literal(then)),
        ],
        functions: vec![COMES_BEFORE.to_owned()],
        setup: vec!["in_order = comes_before(trace, FIRST, THEN)".to_owned()],
        ..Spoken::new(value)
    }
}
