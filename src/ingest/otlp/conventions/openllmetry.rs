use serde_json::{Map, Value};

use super::{Convention, Field, Of};
use crate::ingest::otlp::span::Span;
use crate::ingest::otlp::values::gathered;

/// OpenLLMetry (Traceloop): messages in numbered attributes, workflows with their inputs and outputs.
///
/// Source: `opentelemetry/semconv_ai/__init__.py` of traceloop/openllmetry and its instrumentations' tests.
pub const OPENLLMETRY: Convention = Convention {
    fields: &[
        ("traceloop.entity.input", Field::Input),
        ("traceloop.entity.output", Field::Output),
        ("traceloop.workflow.name", Field::TraceName),
        (
            "traceloop.association.properties.session_id",
            Field::SessionId,
        ),
        ("traceloop.association.properties.user_id", Field::UserId),
        ("llm.user", Field::UserId),
        ("llm.usage.total_tokens", Field::Usage("total")),
        (
            "gen_ai.usage.cache_read_input_tokens",
            Field::Usage("input_cached_tokens"),
        ),
        (
            "gen_ai.usage.cache_creation_input_tokens",
            Field::Usage("input_cache_creation"),
        ),
    ],
    types: &[
        (
            "traceloop.span.kind",
            &[
                ("workflow", "CHAIN"),
                ("task", "SPAN"),
                ("agent", "AGENT"),
                ("tool", "TOOL"),
            ],
        ),
        (
            "llm.request.type",
            &[
                ("chat", "GENERATION"),
                ("completion", "GENERATION"),
                ("embedding", "EMBEDDING"),
                ("rerank", "RETRIEVER"),
            ],
        ),
    ],
    metadata: &[("traceloop.association.properties", Of::Trace)],
    pieces: &[PROMPT, COMPLETION],
    input: |span| messages(span, PROMPT),
    output: |span| messages(span, COMPLETION),
};

const PROMPT: &str = "gen_ai.prompt";
const COMPLETION: &str = "gen_ai.completion";

fn messages(span: &Span, prefix: &str) -> Option<Value> {
    let messages = gathered(&span.attributes, prefix);
    let messages: Vec<Value> = messages.into_iter().map(message).collect();
    (!messages.is_empty()).then_some(Value::Array(messages))
}

/// `role`, `content` and what else there is as they are; `tool_calls.0.name`, … as a list.
fn message(pieces: Map<String, Value>) -> Value {
    let calls = gathered(&pieces, "tool_calls").into_iter().map(call);
    let calls: Vec<Value> = calls.collect();
    let plain = pieces.into_iter().filter(|(key, _)| !key.contains('.'));
    let mut message: Map<String, Value> = plain.collect();
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    message.entry("content").or_insert(Value::Null);
    Value::Object(message)
}

/// Some instrumentations write `function.name` for `name`.
fn call(pieces: Map<String, Value>) -> Value {
    let plain = |key: String| match key.strip_prefix("function.") {
        Some(inner) => inner.to_owned(),
        None => key,
    };
    let pairs = pieces.into_iter().map(|(key, value)| (plain(key), value));
    Value::Object(pairs.collect())
}
