//! From Langfuse's trace detail to schema version 1: one reading of a trace, whatever its source.
//!
//! `input` and `output` stay untouched; texts, messages and tool calls are read out of them as far as
//! their form is known. The same payload always gives the same trace.

mod chat;
mod content;
mod conversation;
mod media;
mod message;
mod tools;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::domain::{Message, Observation, Trace, utc};
use crate::langfuse::{ObservationPayload, TracePayload};
use conversation::{Said, conversation};
use tools::Calls;

/// The trace in schema version 1 (`docs/design.md`, section 3.1).
///
/// Which forms of texts and conversations are known says `docs/shapes.md`. A trace without a readable timestamp takes its first
/// step's start, or 1970. Without an own input or output, those texts come from its root step, then
/// from its generations.
pub fn normalise(payload: &TracePayload) -> Trace {
    let steps = in_start_order(&payload.observations);
    let said = conversation(payload, &steps);
    let calls = Calls::of(&said, &steps);
    let first_start = steps.iter().find_map(|step| at(&step.start_time));
    let timestamp = at(&payload.timestamp).or(first_start);
    Trace {
        id: payload.id.clone(),
        name: payload.name.clone(),
        session_id: payload.session_id.clone(),
        user_id: payload.user_id.clone(),
        timestamp: rfc3339(timestamp.unwrap_or_default()),
        tags: payload.tags.clone(),
        metadata: payload.metadata.clone(),
        input: payload.input.clone(),
        output: payload.output.clone(),
        input_text: input_text(payload, &steps, &said),
        output_text: output_text(payload, &steps, &said),
        messages: messages(&said, &calls),
        tool_calls: calls.in_order(),
        observations: steps.iter().map(|step| observation(step)).collect(),
        latency_ms: payload.latency_ms.or_else(|| latency_ms(&steps)),
        total_cost: payload.total_cost.or_else(|| total_cost(&steps)),
        session: Vec::new(),
    }
}

/// Steps that start together, or at a time that cannot be read, stay as the source orders them.
fn in_start_order(observations: &[ObservationPayload]) -> Vec<&ObservationPayload> {
    let mut steps: Vec<&ObservationPayload> = observations.iter().collect();
    steps.sort_by_cached_key(|step| at(&step.start_time).unwrap_or(DateTime::<Utc>::MAX_UTC));
    steps
}

/// The step without an enclosing one, or the one that v4 calls the root.
fn root<'a>(steps: &[&'a ObservationPayload]) -> Option<&'a ObservationPayload> {
    let named = steps.iter().find(|step| step.is_root == Some(true));
    let topmost = || steps.iter().find(|step| step.parent_id.is_none());
    named.or_else(topmost).copied()
}

/// The last user turn of the trace's input; else of its root's input, else of the conversation.
fn input_text(payload: &TracePayload, steps: &[&ObservationPayload], said: &[Said]) -> String {
    let own = [Some(&payload.input), root(steps).map(|root| &root.input)];
    let texts = own.into_iter().flatten().map(asked_in);
    texts
        .chain([last_of(said, "user")])
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn asked_in(input: &Value) -> String {
    let turns = conversation::given(input);
    let asked = turns
        .iter()
        .rev()
        .find(|turn| turn.role == "user" && !turn.content.is_empty());
    match asked {
        Some(turn) => turn.content.clone(),
        None => chat::last_said(&turns).unwrap_or_default(),
    }
}

/// The assistant's answer in the trace's output; else in its root's output, else in the conversation.
fn output_text(payload: &TracePayload, steps: &[&ObservationPayload], said: &[Said]) -> String {
    let own = [Some(&payload.output), root(steps).map(|root| &root.output)];
    let texts = own.into_iter().flatten().map(answered_in);
    texts
        .chain([last_of(said, "assistant")])
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// What the assistant said last; else the last thing that anybody said.
fn answered_in(output: &Value) -> String {
    let turns = conversation::answered(output);
    let said = chat::last_said_by(&turns, "assistant").or_else(|| chat::last_said(&turns));
    said.unwrap_or_default()
}

fn last_of(said: &[Said], role: &str) -> String {
    let turns = said.iter().rev().map(|said| &said.turn);
    let spoken = turns
        .into_iter()
        .find(|turn| turn.role == role && !turn.content.is_empty());
    spoken.map(|turn| turn.content.clone()).unwrap_or_default()
}

fn messages(said: &[Said], calls: &Calls) -> Vec<Message> {
    let mut asked = calls.by_message();
    let message = |(index, Said { turn, .. }): (usize, &Said)| Message {
        role: turn.role.clone(),
        content: turn.content.clone(),
        tool_calls: asked.remove(&index).unwrap_or_default(),
        name: turn.name.clone(),
    };
    said.iter().enumerate().map(message).collect()
}

fn observation(step: &ObservationPayload) -> Observation {
    let time = |text: &Option<String>| at(text).map(rfc3339);
    Observation {
        id: step.id.clone(),
        parent_id: step.parent_id.clone(),
        kind: step.kind.clone(),
        name: step.name.clone(),
        model: step.model.clone(),
        input: step.input.clone(),
        output: step.output.clone(),
        level: step.level.clone(),
        status_message: step.status_message.clone(),
        start_time: time(&step.start_time),
        end_time: time(&step.end_time),
        usage: step.usage.clone(),
        cost: step.cost,
    }
}

fn latency_ms(steps: &[&ObservationPayload]) -> Option<f64> {
    let start = steps.iter().filter_map(|step| at(&step.start_time)).min()?;
    let end = steps.iter().filter_map(|step| at(&step.end_time)).max()?;
    let micros = (end - start).num_microseconds()?;
    (micros >= 0).then_some(micros as f64 / 1e3)
}

/// The known costs added up; `None` where none is known.
fn total_cost(steps: &[&ObservationPayload]) -> Option<f64> {
    steps
        .iter()
        .filter_map(|step| step.cost)
        .reduce(|sum, cost| sum + cost)
}

fn at(text: &Option<String>) -> Option<DateTime<Utc>> {
    utc(text.as_deref()?)
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
