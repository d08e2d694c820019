use serde_json::{Map, Value, json};

use super::{Convention, Field, Of};
use crate::ingest::otlp::span::{Attributes, Span};
use crate::ingest::otlp::values::{gathered, parsed};

/// OpenInference (Arize Phoenix and the instrumentations made for it).
///
/// Source: `spec/semantic_conventions.md` of Arize-ai/openinference.
pub const OPENINFERENCE: Convention = Convention {
    fields: &[
        ("tool.name", Field::Name),
        ("llm.response.model_name", Field::Model),
        ("llm.model_name", Field::Model),
        ("llm.request.model_name", Field::Model),
        ("embedding.model_name", Field::Model),
        ("reranker.model_name", Field::Model),
        ("input.value", Field::Input),
        ("output.value", Field::Output),
        ("tool.parameters", Field::Input),
        ("tag.tags", Field::Tags),
        ("llm.token_count.prompt", Field::Usage("input")),
        ("llm.token_count.completion", Field::Usage("output")),
        ("llm.token_count.total", Field::Usage("total")),
        (
            "llm.token_count.prompt_details.cache_read",
            Field::Usage("input_cached_tokens"),
        ),
        (
            "llm.token_count.prompt_details.cache_write",
            Field::Usage("input_cache_creation"),
        ),
        (
            "llm.token_count.completion_details.reasoning",
            Field::Usage("output_reasoning_tokens"),
        ),
        ("llm.cost.prompt", Field::Cost("input")),
        ("llm.cost.completion", Field::Cost("output")),
        ("llm.cost.total", Field::Cost("total")),
    ],
    types: &[(
        "openinference.span.kind",
        &[
            ("LLM", "GENERATION"),
            ("EMBEDDING", "EMBEDDING"),
            ("CHAIN", "CHAIN"),
            ("RETRIEVER", "RETRIEVER"),
            ("RERANKER", "RETRIEVER"),
            ("TOOL", "TOOL"),
            ("AGENT", "AGENT"),
            ("GUARDRAIL", "GUARDRAIL"),
            ("EVALUATOR", "EVALUATOR"),
        ],
    )],
    metadata: &[("metadata", Of::Observation)],
    pieces: &[
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        RETRIEVED,
        RERANKED_FROM,
        RERANKED,
        "input.mime_type",
        "output.mime_type",
    ],
    input: |span| messages(span, INPUT_MESSAGES).or_else(|| documents(span, RERANKED_FROM)),
    output: |span| {
        let found = || documents(span, RETRIEVED).or_else(|| documents(span, RERANKED));
        messages(span, OUTPUT_MESSAGES).or_else(found)
    },
};

const INPUT_MESSAGES: &str = "llm.input_messages";
const OUTPUT_MESSAGES: &str = "llm.output_messages";
const RETRIEVED: &str = "retrieval.documents";
const RERANKED_FROM: &str = "reranker.input_documents";
const RERANKED: &str = "reranker.output_documents";

fn messages(span: &Span, prefix: &str) -> Option<Value> {
    let messages = gathered(&span.attributes, prefix).into_iter();
    let messages: Vec<Value> = messages
        .map(|pieces| message(&within(pieces, "message.")))
        .collect();
    (!messages.is_empty()).then_some(Value::Array(messages))
}

/// As OpenAI writes chat: `role`, `content`, `tool_calls`, `tool_call_id`, `name`.
fn message(pieces: &Attributes) -> Value {
    let mut message = Map::new();
    for key in ["role", "name", "tool_call_id"] {
        if let Some(value) = pieces.get(key) {
            message.insert(key.to_owned(), value.clone());
        }
    }
    message.insert("content".to_owned(), content(pieces));
    let calls: Vec<Value> = gathered(pieces, "tool_calls")
        .into_iter()
        .map(call)
        .collect();
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    if let Some(name) = pieces.get("function_call_name") {
        let arguments = pieces.get("function_call_arguments_json");
        let call = json!({"name": name, "arguments": arguments});
        message.insert("function_call".to_owned(), call);
    }
    Value::Object(message)
}

/// The one text, or the list of parts where there are several kinds.
fn content(pieces: &Attributes) -> Value {
    let parts = gathered(pieces, "contents").into_iter();
    let parts: Vec<Value> = parts
        .map(|part| Value::Object(within(part, "message_content.")))
        .collect();
    match pieces.get("content") {
        Some(content) if parts.is_empty() => content.clone(),
        _ if parts.is_empty() => Value::Null,
        _ => Value::Array(parts),
    }
}

fn call(pieces: Map<String, Value>) -> Value {
    let pieces = within(pieces, "tool_call.");
    json!({
        "id": pieces.get("id"),
        "type": "function",
        "function": {
            "name": pieces.get("function.name"),
            "arguments": pieces.get("function.arguments"),
        },
    })
}

/// The documents as a list; one that has only its text is that text.
fn documents(span: &Span, prefix: &str) -> Option<Value> {
    let documents = gathered(&span.attributes, prefix).into_iter();
    let documents: Vec<Value> = documents
        .map(|pieces| document(within(pieces, "document.")))
        .collect();
    (!documents.is_empty()).then_some(Value::Array(documents))
}

fn document(mut fields: Map<String, Value>) -> Value {
    if let Some(metadata) = fields.get_mut("metadata") {
        *metadata = parsed(metadata);
    }
    match (fields.len(), fields.get("content")) {
        (1, Some(content)) => content.clone(),
        _ => Value::Object(fields),
    }
}

/// The fields whose names begin so, without that beginning.
fn within(pieces: Map<String, Value>, prefix: &str) -> Map<String, Value> {
    let named = pieces.into_iter();
    let named =
        named.filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value)));
    named.collect()
}
