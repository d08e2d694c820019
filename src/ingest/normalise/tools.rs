use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::chat::{self, Call, Turn};
use super::conversation::Said;
use crate::domain::ToolCall;
use crate::langfuse::ObservationPayload;

/// A TOOL step is looked for among so many of the calls of its name that have no step yet.
const LOOK_AHEAD: usize = 64;

/// The tool calls of a trace, from what its messages say and from its TOOL steps, each call once.
#[derive(Default)]
pub struct Calls {
    found: Vec<Found>,
    /// Calls that nothing answered yet, by id, and by name for answers that name no id.
    open_by_id: HashMap<String, VecDeque<usize>>,
    open_by_name: HashMap<String, VecDeque<usize>>,
    /// The same calls in order, for answers that name nothing.
    open: VecDeque<usize>,
}

struct Found {
    call: ToolCall,
    step: usize,
    /// The message that asked for it.
    message: Option<usize>,
    has_id: bool,
    is_answered: bool,
}

impl Calls {
    /// Reads the messages first, then joins the TOOL steps to what they asked for.
    pub fn of(said: &[Said], steps: &[&ObservationPayload]) -> Self {
        let mut calls = Self::default();
        for (message, Said { turn, step }) in said.iter().enumerate() {
            for call in &turn.calls {
                calls.ask(call, message, *step);
            }
            if turn.role == "tool" {
                calls.answer(turn, *step);
            }
        }
        calls.observe(steps);
        calls
    }

    /// The calls that a message asked for, message by message.
    pub fn by_message(&self) -> HashMap<usize, Vec<ToolCall>> {
        let mut by_message: HashMap<usize, Vec<ToolCall>> = HashMap::new();
        for found in &self.found {
            if let Some(message) = found.message {
                by_message
                    .entry(message)
                    .or_default()
                    .push(found.call.clone());
            }
        }
        by_message
    }

    /// Every call, in the order of the steps that made them.
    pub fn in_order(mut self) -> Vec<ToolCall> {
        self.found.sort_by_key(|found| found.step);
        self.found.into_iter().map(|found| found.call).collect()
    }

    fn ask(&mut self, call: &Call, message: usize, step: usize) {
        let index = self.push(&call.name, call.arguments.clone(), step);
        self.found[index].message = Some(message);
        self.open.push_back(index);
        if let Some(id) = &call.id {
            self.found[index].has_id = true;
            self.open_by_id
                .entry(id.clone())
                .or_default()
                .push_back(index);
        }
        self.open_by_name
            .entry(call.name.clone())
            .or_default()
            .push_back(index);
    }

    fn push(&mut self, name: &str, arguments: Value, step: usize) -> usize {
        self.found.push(Found {
            call: ToolCall {
                name: name.to_owned(),
                arguments,
                result: Value::Null,
                error: None,
            },
            step,
            message: None,
            has_id: false,
            is_answered: false,
        });
        self.found.len() - 1
    }

    /// Joins a tool's message to its call. One whose call is not in the messages is a call all the same.
    fn answer(&mut self, turn: &Turn, step: usize) {
        let asked = self.asked_by(turn);
        let name = turn.name.as_deref().unwrap_or_default();
        let index = asked.unwrap_or_else(|| self.push(name, Value::Null, step));
        let content = Value::String(turn.content.clone());
        let result = chat::parsed(&content).into_owned();
        let found = &mut self.found[index];
        found.is_answered = true;
        found.call.error =
            error_in(&result).or_else(|| turn.has_failed.then(|| failure_text(&result)));
        found.call.result = result;
    }

    /// The open call that a tool's message answers: the one of its id; else the first of its name or, where it has
    /// none, the first. One that says an id answers no call of another id.
    fn asked_by(&mut self, turn: &Turn) -> Option<usize> {
        let by_id = turn
            .answers
            .as_ref()
            .and_then(|id| self.open_by_id.get_mut(id));
        let (open, is_sure) = match (by_id, &turn.name) {
            (Some(open), _) => (open, true),
            (None, Some(name)) => (self.open_by_name.get_mut(name)?, turn.answers.is_none()),
            (None, None) => (&mut self.open, turn.answers.is_none()),
        };
        while open
            .front()
            .is_some_and(|index| self.found[*index].is_answered)
        {
            open.pop_front();
        }
        let index = *open.front()?;
        (is_sure || !self.found[index].has_id).then_some(index)
    }

    fn observe(&mut self, steps: &[&ObservationPayload]) {
        let mut unobserved: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (index, found) in self.found.iter().enumerate() {
            unobserved
                .entry(found.call.name.clone())
                .or_default()
                .push_back(index);
        }
        for (step, observation) in steps.iter().enumerate() {
            if observation.kind == "TOOL" {
                let name = observation.name.as_deref().unwrap_or_default();
                let arguments = chat::arguments_of(&observation.input);
                let asked = unobserved
                    .get_mut(name)
                    .and_then(|open| self.best(open, &arguments));
                let index = asked.unwrap_or_else(|| self.push(name, arguments, step));
                self.found[index].take(observation);
            }
        }
    }

    /// Of the calls of one name, the first with these arguments, else the first.
    fn best(&self, open: &mut VecDeque<usize>, arguments: &Value) -> Option<usize> {
        let alike = |index: &usize| self.found[*index].call.arguments == *arguments;
        let place = open.iter().take(LOOK_AHEAD).position(alike);
        open.remove(place.unwrap_or(0))
    }
}

impl Found {
    /// What a TOOL step knows of this call beyond the messages.
    fn take(&mut self, observation: &ObservationPayload) {
        let output = chat::parsed(&observation.output).into_owned();
        let error = step_error(observation, &output);
        if !self.is_answered {
            self.call.result = output;
        }
        if self.call.arguments.is_null() {
            self.call.arguments = chat::arguments_of(&observation.input);
        }
        self.call.error = error.or(self.call.error.take());
    }
}

/// Why a TOOL step failed: its status message, or what it returned; `None` where it did not fail.
fn step_error(observation: &ObservationPayload, output: &Value) -> Option<String> {
    let said = observation.status_message.clone();
    match observation.level.as_str() {
        "ERROR" => said
            .or_else(|| error_in(output))
            .or_else(|| Some(failure_text(output))),
        _ => said.or_else(|| error_in(output)),
    }
}

fn failure_text(output: &Value) -> String {
    let code = output.get("error_code").and_then(Value::as_str);
    match code.map_or_else(|| chat::plain_text(output), str::to_owned) {
        text if text.trim().is_empty() => "the tool failed".to_owned(),
        text => text,
    }
}

/// A result that is an error: text that starts with "Error", or an object with text under `error`.
fn error_in(result: &Value) -> Option<String> {
    let text = match result {
        Value::String(text) => Some(text.trim()).filter(|text| text.starts_with("Error")),
        Value::Object(fields) => fields.get("error").and_then(Value::as_str),
        _ => None,
    };
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}
