use serde_json::{Map, Value, json};

use super::{Convention, Field};
use crate::ingest::otlp::span::{Attributes, Event, Span, is_empty};
use crate::ingest::otlp::values::parsed;

/// OpenTelemetry's semantic conventions for generative AI: messages in attributes, as of 2025, or in span events,
/// as before.
///
/// Source: `docs/gen-ai/` of open-telemetry/semantic-conventions, at versions 1.28 to 1.40.
pub const GENAI: Convention = Convention {
    fields: &[
        ("gen_ai.tool.name", Field::Name),
        ("gen_ai.response.model", Field::Model),
        ("gen_ai.request.model", Field::Model),
        ("gen_ai.tool.call.arguments", Field::Input),
        ("gen_ai.tool.call.result", Field::Output),
        ("gen_ai.retrieval.query.text", Field::Input),
        ("gen_ai.retrieval.documents", Field::Output),
        ("gen_ai.conversation.id", Field::SessionId),
        ("enduser.id", Field::UserId),
        ("gen_ai.usage.input_tokens", Field::Usage("input")),
        ("gen_ai.usage.output_tokens", Field::Usage("output")),
        ("gen_ai.usage.prompt_tokens", Field::Usage("input")),
        ("gen_ai.usage.completion_tokens", Field::Usage("output")),
        ("gen_ai.usage.total_tokens", Field::Usage("total")),
        (
            "gen_ai.usage.cache_read.input_tokens",
            Field::Usage("input_cached_tokens"),
        ),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            Field::Usage("input_cache_creation"),
        ),
        (
            "gen_ai.usage.reasoning.output_tokens",
            Field::Usage("output_reasoning_tokens"),
        ),
        ("gen_ai.usage.cost", Field::Cost("total")),
    ],
    types: &[
        (
            "gen_ai.operation.name",
            &[
                ("chat", "GENERATION"),
                ("text_completion", "GENERATION"),
                ("completion", "GENERATION"),
                ("generate_content", "GENERATION"),
                ("embeddings", "EMBEDDING"),
                ("retrieval", "RETRIEVER"),
                ("create_agent", "AGENT"),
                ("invoke_agent", "AGENT"),
                ("invoke_workflow", "CHAIN"),
                ("execute_tool", "TOOL"),
            ],
        ),
        ("gen_ai.tool.call.id", &[("*", "TOOL")]),
    ],
    metadata: &[],
    pieces: &[INPUT, OUTPUT, INSTRUCTIONS],
    input,
    output,
};

const INPUT: &str = "gen_ai.input.messages";
const OUTPUT: &str = "gen_ai.output.messages";
const INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// Carries the same attributes in an event.
const DETAILS: &str = "gen_ai.client.inference.operation.details";
/// The events that hold a message each, and who speaks in it.
const MESSAGES: [(&str, &str); 4] = [
    ("gen_ai.system.message", "system"),
    ("gen_ai.user.message", "user"),
    ("gen_ai.assistant.message", "assistant"),
    ("gen_ai.tool.message", "tool"),
];
const CHOICE: &str = "gen_ai.choice";
/// The oldest form: the whole prompt, the whole completion, in one attribute of one event.
const PROMPT: (&str, &str) = ("gen_ai.content.prompt", "gen_ai.prompt");
const COMPLETION: (&str, &str) = ("gen_ai.content.completion", "gen_ai.completion");

fn input(span: &Span) -> Option<Value> {
    let messages = with_details(span).find_map(instructed);
    let spoken = || {
        let messages = span.events.iter().filter_map(message).collect();
        listed(messages)
    };
    messages.or_else(spoken).or_else(|| content(span, PROMPT))
}

fn output(span: &Span) -> Option<Value> {
    let messages = with_details(span).find_map(|attributes| filled(attributes, OUTPUT));
    let choices = || {
        let choices = span.events.iter().filter(|event| event.name == CHOICE);
        listed(choices.map(choice).collect())
    };
    messages
        .or_else(choices)
        .or_else(|| content(span, COMPLETION))
}

/// The span's attributes, then those of the event that stands in for them.
fn with_details(span: &Span) -> impl Iterator<Item = &Attributes> {
    let details = span.events.iter().filter(|event| event.name == DETAILS);
    std::iter::once(&span.attributes).chain(details.map(|event| &event.attributes))
}

/// The messages, the instructions first, which stand by themselves.
fn instructed(attributes: &Attributes) -> Option<Value> {
    let messages = filled(attributes, INPUT);
    let Some(instructions) = filled(attributes, INSTRUCTIONS) else {
        return messages;
    };
    let system = match instructions {
        parts @ Value::Array(_) => json!({"role": "system", "parts": parts}),
        text => json!({"role": "system", "content": text}),
    };
    let mut all = vec![system];
    match messages {
        Some(Value::Array(messages)) => all.extend(messages),
        Some(other) => all.push(json!({"role": "user", "content": other})),
        None => {}
    }
    Some(Value::Array(all))
}

fn filled(attributes: &Attributes, key: &str) -> Option<Value> {
    let value = attributes.get(key).filter(|value| !is_empty(value))?;
    Some(parsed(value))
}

fn message(event: &Event) -> Option<Value> {
    let (_, role) = MESSAGES.iter().find(|(name, _)| *name == event.name)?;
    let mut message = Map::from_iter([("role".to_owned(), json!(role))]);
    for (key, value) in &event.attributes {
        // A tool's answer names its call so.
        let key = match key.as_str() {
            "id" if *role == "tool" => "tool_call_id",
            other => other,
        };
        message.insert(key.to_owned(), said(key, value));
    }
    // An assistant that only calls tools says nothing.
    message.entry("content").or_insert(Value::Null);
    Some(Value::Object(message))
}

/// What may be JSON in a text; `content` stays the text that it is.
fn said(key: &str, value: &Value) -> Value {
    match key {
        "tool_calls" | "message" => parsed(value),
        _ => value.clone(),
    }
}

/// The message of a choice, which may stand under a key of its own.
fn choice(event: &Event) -> Value {
    let attributes = &event.attributes;
    let mut message = match attributes.get("message").map(parsed) {
        Some(Value::Object(message)) => message,
        Some(text) => Map::from_iter([("content".to_owned(), text)]),
        None => {
            let kept = ["role", "content", "tool_calls"].into_iter();
            let pairs =
                kept.filter_map(|key| Some((key.to_owned(), said(key, attributes.get(key)?))));
            pairs.collect()
        }
    };
    message.entry("role").or_insert_with(|| json!("assistant"));
    message.entry("content").or_insert(Value::Null);
    Value::Object(message)
}

fn listed(messages: Vec<Value>) -> Option<Value> {
    (!messages.is_empty()).then_some(Value::Array(messages))
}

fn content(span: &Span, (name, key): (&str, &str)) -> Option<Value> {
    let event = span.events.iter().find(|event| event.name == name)?;
    filled(&event.attributes, key)
}
