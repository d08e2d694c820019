//! Changes to a trace that keep its parts in step: what is derived from what the source says changes with it.

use serde_json::Value;

use crate::domain::{Message, Observation, ToolCall, Trace};

/// What a failed tool call says.
pub const TOOL_FAILED: &str = "Error: the tool failed";
/// Shorter texts stand in other places by chance, so only longer ones are followed there.
const FOLLOWED_FROM_CHARS: usize = 20;

/// A change to a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// The final answer becomes this.
    Answer(String),
    /// The last user turn becomes this.
    Question(String),
    /// A word is taken out of a text that the answer may rest on.
    Without(Part, String),
    /// A word is added to it.
    With(Part, String),
    /// A field of `metadata` is left out.
    DropMetadata(String),
    /// A tool was never called; by its place among the calls.
    DropCall(usize),
    /// A tool's call failed.
    FailCall(usize),
    /// Nothing was retrieved.
    DropRetrieved,
}

/// What an answer may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The result of a tool call; by its place among the calls.
    Result(usize),
    /// What a step of type `RETRIEVER` gave; by its place among the observations.
    Retrieved(usize),
}

impl Edit {
    /// The trace with the change; what it names and the trace has not stays as it is.
    ///
    /// The answer and the question change in `output` and `input`, in `messages` and in the observations that hold
    /// them; a call in `tool_calls`, in `messages` and in its `TOOL` step; what was retrieved wherever it was passed
    /// on. Chats that generations were given stay as the source had them otherwise. Where the trace is a session's last,
    /// it changes there too; the traces before it stay.
    pub fn apply(&self, trace: &Trace) -> Trace {
        let mut changed = trace.clone();
        let mut earlier = std::mem::take(&mut changed.session);
        self.change(&mut changed);
        match earlier.pop() {
            Some(_) => changed.after(earlier),
            None => changed,
        }
    }

    fn change(&self, trace: &mut Trace) {
        match self {
            Self::Answer(text) => set_answer(trace, text),
            Self::Question(text) => set_question(trace, text),
            Self::Without(part, word) => rewrite(trace, *part, &|text| text.replace(word, "")),
            Self::With(part, word) => rewrite(trace, *part, &|text| format!("{text} {word}")),
            Self::DropMetadata(key) => {
                if let Value::Object(fields) = &mut trace.metadata {
                    fields.shift_remove(key);
                }
            }
            Self::DropCall(at) => drop_call(trace, *at),
            Self::FailCall(at) => change_call(trace, *at, &fail),
            Self::DropRetrieved => {
                for at in 0..trace.observations.len() {
                    rewrite(trace, Part::Retrieved(at), &|_| String::new());
                }
            }
        }
    }
}

fn set_answer(trace: &mut Trace, text: &str) {
    let old = std::mem::replace(&mut trace.output_text, text.to_owned());
    if old == text {
        return;
    }
    if old.is_empty() {
        trace.output = Value::from(text);
    } else if !replace_last(&mut trace.output, &old, text) && !trace.output.is_null() {
        trace.output = serde_json::json!({"role": "assistant", "content": text});
    }
    set_last_turn(&mut trace.messages, "assistant", &old, text);
    let spoken = |step: &&mut Observation| !matches!(step.kind.as_str(), "TOOL" | "RETRIEVER");
    for step in trace.observations.iter_mut().filter(spoken) {
        replace_last(&mut step.output, &old, text);
    }
}

fn set_question(trace: &mut Trace, text: &str) {
    let old = std::mem::replace(&mut trace.input_text, text.to_owned());
    if old == text {
        return;
    }
    if old.is_empty() {
        trace.input = Value::from(text);
    } else {
        replace_last(&mut trace.input, &old, text);
    }
    set_last_turn(&mut trace.messages, "user", &old, text);
    for step in &mut trace.observations {
        replace_last(&mut step.input, &old, text);
    }
}

fn set_last_turn(messages: &mut [Message], role: &str, old: &str, text: &str) {
    let mut turns = messages.iter_mut().rev();
    if let Some(turn) = turns.find(|turn| turn.role == role && turn.content == old) {
        text.clone_into(&mut turn.content);
    }
}

/// Replaces the last of the texts in `value` that are `old`; whether there was one. An empty text is none.
fn replace_last(value: &mut Value, old: &str, new: &str) -> bool {
    match value {
        Value::String(text) if !old.is_empty() && text == old => {
            new.clone_into(text);
            true
        }
        Value::Array(items) => items
            .iter_mut()
            .rev()
            .any(|item| replace_last(item, old, new)),
        Value::Object(fields) => {
            let mut items = fields.iter_mut().rev();
            items.any(|(_, item)| replace_last(item, old, new))
        }
        _ => false,
    }
}

/// Changes the texts of a part, and the copies of them that were passed on.
fn rewrite(trace: &mut Trace, part: Part, change: &dyn Fn(&str) -> String) {
    match part {
        Part::Result(at) => change_call(trace, at, &|found| match found {
            Found::Call(call) => each_text(&mut call.result, &mut |text| change(text)),
            Found::Turn(turn) => turn.content = change(&turn.content),
            Found::Step(step) => each_text(&mut step.output, &mut |text| change(text)),
        }),
        Part::Retrieved(at) => {
            let step = trace.observations.get_mut(at);
            if let Some(step) = step.filter(|step| step.kind == "RETRIEVER") {
                let mut pairs = Vec::new();
                each_text(&mut step.output, &mut |text| {
                    let new = change(text);
                    pairs.push((text.to_owned(), new.clone()));
                    new
                });
                pairs.iter().for_each(|(old, new)| follow(trace, old, new));
            }
        }
    }
}

fn each_text(value: &mut Value, change: &mut dyn FnMut(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(_, item)| each_text(item, change)),
        _ => {}
    }
}

/// What was retrieved is put into prompts: there it changes too.
fn follow(trace: &mut Trace, old: &str, new: &str) {
    if old.chars().count() < FOLLOWED_FROM_CHARS {
        return;
    }
    let mut change = |text: &str| text.replace(old, new);
    each_text(&mut trace.input, &mut change);
    for turn in &mut trace.messages {
        if turn.role != "assistant" {
            turn.content = change(&turn.content);
        }
    }
    for step in &mut trace.observations {
        each_text(&mut step.input, &mut change);
    }
}

/// Where a tool call stands.
enum Found<'t> {
    /// In `tool_calls`, and in the turn that asked for it.
    Call(&'t mut ToolCall),
    /// The turn that answered it.
    Turn(&'t mut Message),
    /// Its `TOOL` step.
    Step(&'t mut Observation),
}

/// The places of the call in a trace: the turn that asked and the call's place there, the turn that answered, its step.
struct Places {
    asked: Option<(usize, usize)>,
    answered: Option<usize>,
    step: Option<usize>,
}

/// Calls of one name stand in the same order everywhere.
fn places(trace: &Trace, at: usize) -> Option<Places> {
    let name = trace.tool_calls.get(at)?.name.as_str();
    let earlier = trace.tool_calls[..at].iter();
    let earlier = earlier.filter(|call| call.name == name).count();
    let turns = trace.messages.iter().enumerate();
    let asked = turns.clone().flat_map(|(turn, said)| {
        let calls = said.tool_calls.iter().enumerate();
        calls.map(move |(place, call)| ((turn, place), call))
    });
    let mut asked = asked
        .filter(|(_, call)| call.name == name)
        .map(|(place, _)| place);
    let is_answer = |said: &Message| said.role == "tool" && said.name.as_deref() == Some(name);
    let mut answered = turns
        .filter(|(_, said)| is_answer(said))
        .map(|(turn, _)| turn);
    let is_step = |step: &Observation| step.kind == "TOOL" && step.name.as_deref() == Some(name);
    let steps = trace.observations.iter().enumerate();
    let mut steps = steps
        .filter(|(_, step)| is_step(step))
        .map(|(place, _)| place);
    Some(Places {
        asked: asked.nth(earlier),
        answered: answered.nth(earlier),
        step: steps.nth(earlier),
    })
}

fn change_call(trace: &mut Trace, at: usize, change: &dyn Fn(Found<'_>)) {
    let Some(places) = places(trace, at) else {
        return;
    };
    change(Found::Call(&mut trace.tool_calls[at]));
    if let Some((turn, place)) = places.asked {
        change(Found::Call(&mut trace.messages[turn].tool_calls[place]));
    }
    if let Some(turn) = places.answered {
        change(Found::Turn(&mut trace.messages[turn]));
    }
    if let Some(step) = places.step {
        change(Found::Step(&mut trace.observations[step]));
    }
}

fn fail(found: Found<'_>) {
    match found {
        Found::Call(call) => {
            call.error = Some(TOOL_FAILED.to_owned());
            call.result = Value::from(TOOL_FAILED);
        }
        Found::Turn(turn) => TOOL_FAILED.clone_into(&mut turn.content),
        Found::Step(step) => {
            step.output = Value::from(TOOL_FAILED);
            step.level = "ERROR".to_owned();
            step.status_message = Some(TOOL_FAILED.to_owned());
        }
    }
}

fn drop_call(trace: &mut Trace, at: usize) {
    let Some(places) = places(trace, at) else {
        return;
    };
    trace.tool_calls.remove(at);
    if let Some((turn, place)) = places.asked {
        trace.messages[turn].tool_calls.remove(place);
    }
    if let Some(turn) = places.answered {
        trace.messages.remove(turn);
    }
    if let Some(step) = places.step {
        trace.observations.remove(step);
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
pub(super) mod tests;
