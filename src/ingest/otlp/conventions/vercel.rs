use serde_json::{Value, json};

use super::{Convention, Field, Of, none};
use crate::ingest::otlp::span::Span;
use crate::ingest::otlp::values::parsed;

/// Vercel's AI SDK (`experimental_telemetry`), whose spans Langfuse's JavaScript SDK passes on as they are.
///
/// Source: the SDK's page "Telemetry".
pub const VERCEL: Convention = Convention {
    fields: &[
        ("ai.toolCall.name", Field::Name),
        ("ai.model.id", Field::Model),
        ("ai.prompt.messages", Field::Input),
        ("ai.prompt", Field::Input),
        ("ai.toolCall.args", Field::Input),
        ("ai.value", Field::Input),
        ("ai.values", Field::Input),
        ("ai.response.text", Field::Output),
        ("ai.result.text", Field::Output),
        ("ai.response.object", Field::Output),
        ("ai.result.object", Field::Output),
        ("ai.toolCall.result", Field::Output),
        ("ai.telemetry.metadata.sessionId", Field::SessionId),
        ("ai.telemetry.metadata.userId", Field::UserId),
        ("ai.telemetry.metadata.tags", Field::Tags),
        ("ai.usage.inputTokens", Field::Usage("input")),
        ("ai.usage.promptTokens", Field::Usage("input")),
        ("ai.usage.outputTokens", Field::Usage("output")),
        ("ai.usage.completionTokens", Field::Usage("output")),
        ("ai.usage.totalTokens", Field::Usage("total")),
        (
            "ai.usage.cachedInputTokens",
            Field::Usage("input_cached_tokens"),
        ),
        (
            "ai.usage.reasoningTokens",
            Field::Usage("output_reasoning_tokens"),
        ),
    ],
    types: &[(
        "ai.operationId",
        &[
            ("ai.generateText.doGenerate*", "GENERATION"),
            ("ai.streamText.doStream*", "GENERATION"),
            ("ai.generateObject.doGenerate*", "GENERATION"),
            ("ai.streamObject.doStream*", "GENERATION"),
            ("ai.embed.doEmbed*", "EMBEDDING"),
            ("ai.embedMany.doEmbed*", "EMBEDDING"),
            ("ai.toolCall*", "TOOL"),
            ("ai.*", "SPAN"),
        ],
    )],
    metadata: &[("ai.telemetry.metadata", Of::Observation)],
    pieces: &[CALLS],
    input: none,
    output,
};

const CALLS: &str = "ai.response.toolCalls";

/// An answer that calls tools, beside what it says.
fn output(span: &Span) -> Option<Value> {
    let Value::Array(calls) = parsed(span.said(CALLS)?) else {
        return None;
    };
    let calls: Vec<Value> = calls.iter().map(call).collect();
    let text = span.said("ai.response.text");
    Some(json!({"role": "assistant", "content": text, "tool_calls": calls}))
}

/// As OpenAI writes calls; the arguments are called `args` or, from version 5 on, `input`.
fn call(call: &Value) -> Value {
    let arguments = ["args", "input"].iter().find_map(|key| call.get(*key));
    json!({"id": call["toolCallId"], "name": call["toolName"], "arguments": arguments})
}
