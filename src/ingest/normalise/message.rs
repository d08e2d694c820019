//! One message of any SDK, as the turns that it holds.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::chat::{Call, Turn, arguments_of, first, parsed, text};
use super::content::{self, Turns, call};

/// The turns of an object that says who speaks, and what; `None` for any other.
///
/// Known are OpenAI's, Anthropic's, Gemini's, Bedrock's, LlamaIndex's, the AI SDK's and OpenTelemetry's
/// messages with a `role`; LangChain's, which name it in `type` or in the class they are an instance of.
/// A message without a role is `default_role`'s, where one is given: outputs leave it out at times.
pub fn message(fields: &Map<String, Value>, default_role: Option<&str>) -> Option<Vec<Turn>> {
    if let Some((class, inner)) = instance(fields) {
        return said(inner, &role_of_class(inner, class)?);
    }
    let typed = || {
        let class = text(fields, "type").filter(|_| fields.contains_key("content"))?;
        role_of_class(fields, class)
    };
    let role = text(fields, "role").map(named).or_else(typed);
    said(fields, &role.or_else(|| default_role.map(str::to_owned))?)
}

/// What LangChain's `dumpd` and `messages_to_dict` write: the class or its short name, and its fields.
fn instance(fields: &Map<String, Value>) -> Option<(&str, &Map<String, Value>)> {
    let held = |key: &str| fields.get(key).and_then(Value::as_object);
    match (held("kwargs"), held("data")) {
        (Some(kwargs), _) => Some((fields.get("id")?.as_array()?.last()?.as_str()?, kwargs)),
        (_, Some(data)) => Some((text(fields, "type")?, data)),
        _ => None,
    }
}

/// LangChain's names: `human`, `HumanMessage`, `AIMessageChunk`, …; `None` for what is no message.
fn role_of_class(fields: &Map<String, Value>, class: &str) -> Option<String> {
    let class = class.strip_suffix("Chunk").unwrap_or(class);
    let class = class.strip_suffix("Message").unwrap_or(class);
    match class.to_lowercase().as_str() {
        short @ ("human" | "ai" | "system" | "tool" | "function") => Some(named(short)),
        "chat" => text(fields, "role").map(named),
        _ => None,
    }
}

/// The role in the words of schema version 1; one that nobody else has stays as it is.
pub fn named(role: &str) -> String {
    let lower = role.to_lowercase();
    let known = match lower.as_str() {
        "user" | "human" => "user",
        "assistant" | "ai" | "model" => "assistant",
        "system" | "developer" => "system",
        "tool" | "function" => "tool",
        _ => role,
    };
    known.to_owned()
}

/// Whether a role is one of schema version 1's own.
pub fn is_known(role: &str) -> bool {
    matches!(role, "user" | "assistant" | "system" | "tool")
}

/// The keys that hold what is said.
const BODIES: [&str; 3] = ["content", "parts", "blocks"];

fn said(fields: &Map<String, Value>, role: &str) -> Option<Vec<Turn>> {
    const CALLS: [&str; 2] = ["tool_calls", "function_call"];
    let has_body = BODIES
        .iter()
        .chain(&CALLS)
        .any(|key| fields.contains_key(*key));
    if !has_body {
        return None;
    }
    let body = first(fields, &BODIES).unwrap_or(&Value::Null);
    let mut turns = Turns::of(role);
    content::pieces(body)
        .into_iter()
        .for_each(|piece| turns.add(piece));
    let mut turns = turns.end();
    if !turns.iter().any(|turn| turn.role == role)
        && (turns.is_empty() || !calls(fields).is_empty())
    {
        turns.push(Turn::by(role));
    }
    complete(&mut turns, role, fields);
    Some(turns)
}

/// What stands beside the content.
fn complete(turns: &mut [Turn], role: &str, fields: &Map<String, Value>) {
    let said = turns.iter().flat_map(|turn| &turn.calls);
    let known: HashSet<String> = said.filter_map(|call| call.id.clone()).collect();
    let is_new = |call: &Call| call.id.as_ref().is_none_or(|id| !known.contains(id));
    let calls: Vec<Call> = calls(fields).into_iter().filter(is_new).collect();
    let Some(turn) = turns.iter_mut().find(|turn| turn.role == role) else {
        return;
    };
    turn.calls.extend(calls);
    if turn.content.is_empty() {
        turn.content = instead(fields).unwrap_or_default().to_owned();
    }
    turn.name = turn
        .name
        .take()
        .or_else(|| text(fields, "name").map(str::to_owned));
    if role == "tool" && turn.answers.is_none() {
        let more = fields.get("additional_kwargs").and_then(Value::as_object);
        let id = [Some(fields), more]
            .into_iter()
            .flatten()
            .find_map(|fields| text(fields, "tool_call_id"));
        turn.answers = id.map(str::to_owned);
        turn.has_failed |= content::has_failed(fields);
    }
}

/// What OpenAI's assistant says where its content is empty: why it does not answer, or the text of its speech.
fn instead(fields: &Map<String, Value>) -> Option<&str> {
    let more = fields.get("additional_kwargs");
    let refusal = text(fields, "refusal").or_else(|| more?.get("refusal")?.as_str());
    refusal.or_else(|| fields.get("audio")?.get("transcript")?.as_str())
}

/// The calls in lists of their own. LangChain and LlamaIndex keep the provider's form of them as well.
fn calls(fields: &Map<String, Value>) -> Vec<Call> {
    let found = listed(fields);
    match fields.get("additional_kwargs").and_then(Value::as_object) {
        Some(more) if found.is_empty() => listed(more),
        _ => found,
    }
}

fn listed(fields: &Map<String, Value>) -> Vec<Call> {
    let mut found = Vec::new();
    for key in ["tool_calls", "invalid_tool_calls"] {
        if let Some(Value::Array(calls)) = fields.get(key).map(parsed).as_deref() {
            found.extend(calls.iter().filter_map(|value| call(value.as_object()?)));
        }
    }
    // OpenAI's older form has one call, without an id.
    let old = fields.get("function_call").and_then(Value::as_object);
    found.extend(old.and_then(|old| {
        let name = text(old, "name")?.to_owned();
        let arguments = old.get("arguments").map(arguments_of).unwrap_or_default();
        Some(Call {
            id: None,
            name,
            arguments,
        })
    }));
    found
}
