use serde_json::{Value, json};

use super::{of, said, script, with_events};
use crate::ingest::normalise;
use crate::langfuse::TracePayload;

#[test]
fn langfuses_attributes_say_everything_and_come_first() {
    let found = of(json!({
        "langfuse.observation.type": "generation", "langfuse.observation.input": "[{\"role\":\"user\",\"content\":\"Q\"}]",
        "langfuse.observation.output": "A", "langfuse.observation.model.name": "m",
        "langfuse.observation.usage_details": "{\"input\": 3, \"output\": 4}",
        "langfuse.observation.cost_details": "{\"total\": 0.5}", "langfuse.observation.level": "WARNING",
        "langfuse.observation.status_message": "slow", "langfuse.observation.metadata.k": "v",
        "langfuse.observation.metadata.o": "{\"n\": 1}", "langfuse.trace.metadata.plan": "pro",
        "langfuse.trace.name": "chat", "langfuse.trace.tags": ["a", "b"], "langfuse.trace.input": "asked",
        "langfuse.trace.output": "{\"answer\": 1}", "langfuse.environment": "staging",
        "langfuse.internal.is_app_root": true, "session.id": "s", "user.id": "u",
        "gen_ai.input.messages": "[]", "input.value": "other", "openinference.span.kind": "TOOL",
    }));
    for (key, expected) in [
        ("type", json!("GENERATION")),
        ("input", json!([{"role": "user", "content": "Q"}])),
        ("output", json!("A")),
        ("model", json!("m")),
        ("usageDetails", json!({"input": 3, "output": 4})),
        ("costDetails", json!({"total": 0.5})),
        ("level", json!("WARNING")),
        ("statusMessage", json!("slow")),
        ("traceMetadata", json!({"plan": "pro"})),
        ("traceName", json!("chat")),
        ("tags", json!(["a", "b"])),
        ("traceInput", json!("asked")),
        ("traceOutput", json!({"answer": 1})),
        ("environment", json!("staging")),
        ("isRootObservation", json!(true)),
        ("sessionId", json!("s")),
        ("userId", json!("u")),
    ] {
        assert_eq!(found[key], expected, "{key}");
    }
    let metadata = &found["metadata"];
    assert_eq!(
        (&metadata["k"], &metadata["o"]),
        (&json!("v"), &json!({"n": 1}))
    );
    assert!(
        metadata.get("attributes").is_none(),
        "nothing is left: {metadata}"
    );
}

#[test]
fn genai_messages_in_attributes_are_a_conversation() {
    let found = of(json!({
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "asked", "gen_ai.response.model": "answered",
        "gen_ai.conversation.id": "c", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5,
        "gen_ai.system_instructions": json!([{"type": "text", "content": "S"}]).to_string(),
        "gen_ai.input.messages": json!([
            {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "weather", "arguments": {"at": "Rome"}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "rainy"}]},
        ]).to_string(),
        "gen_ai.output.messages": json!([{"role": "assistant", "finish_reason": "stop", "parts": [
            {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Rainy."}]}]).to_string(),
    }));
    assert_eq!(
        (&found["type"], &found["model"]),
        (&json!("GENERATION"), &json!("answered"))
    );
    assert_eq!(found["usageDetails"], json!({"input": 10, "output": 5}));
    assert_eq!(found["sessionId"], "c");
    let payload = TracePayload::of_observations(vec![found.clone()]).expect("a trace");
    let trace = normalise(&payload);
    assert_eq!(
        (trace.input_text.as_str(), trace.output_text.as_str()),
        ("Weather?", "Rainy.")
    );
    let [call] = &trace.tool_calls[..] else {
        panic!("one call: {:?}", trace.tool_calls)
    };
    assert_eq!(
        (call.name.as_str(), &call.arguments, &call.result),
        ("weather", &json!({"at": "Rome"}), &json!("rainy"))
    );
    let turns = [
        ("system", "S"),
        ("user", "Weather?"),
        ("assistant", ""),
        ("tool", "rainy"),
        ("assistant", "Rainy."),
    ];
    assert_eq!(script(found), said(&turns));
}

#[test]
fn genai_messages_in_events_are_a_conversation_too() {
    let spoken = with_events(&[
        ("gen_ai.system.message", json!({"content": "S"})),
        ("gen_ai.user.message", json!({"content": "{not json"})),
        (
            "gen_ai.assistant.message",
            json!({"tool_calls": "[{\"id\": \"1\", \"function\": {\"name\": \"f\"}}]"}),
        ),
        ("gen_ai.tool.message", json!({"id": "1", "content": "42"})),
        (
            "gen_ai.choice",
            json!({"index": 0, "message": "{\"role\": \"assistant\", \"content\": \"A\"}"}),
        ),
    ]);
    let turns = [
        ("system", "S"),
        ("user", "{not json"),
        ("assistant", ""),
        ("tool", "42"),
        ("assistant", "A"),
    ];
    let Value::Object(generation) = json!({"type": "GENERATION"}) else {
        panic!("it is an object")
    };
    let mut spoken = spoken;
    spoken.extend(generation.clone());
    assert_eq!(script(spoken), said(&turns));
    let details = with_events(&[(
        "gen_ai.client.inference.operation.details",
        json!({"gen_ai.output.messages": "[{\"role\": \"assistant\", \"parts\": []}]"}),
    )]);
    assert_eq!(
        details["output"],
        json!([{"role": "assistant", "parts": []}])
    );
    let old = with_events(&[
        ("gen_ai.content.prompt", json!({"gen_ai.prompt": "Q"})),
        (
            "gen_ai.content.completion",
            json!({"gen_ai.completion": "A"}),
        ),
        ("gen_ai.choice", json!({})),
    ]);
    assert_eq!(old["input"], "Q");
}

#[test]
fn genai_tools_are_tools() {
    let found = of(json!({
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather", "gen_ai.tool.call.id": "1",
        "gen_ai.tool.call.arguments": "{\"at\": \"Rome\"}", "gen_ai.tool.call.result": "rainy",
    }));
    assert_eq!(
        (&found["type"], &found["name"]),
        (&json!("TOOL"), &json!("weather"))
    );
    assert_eq!(
        (&found["input"], &found["output"]),
        (&json!({"at": "Rome"}), &json!("rainy"))
    );
}

#[test]
fn openllmetrys_numbered_attributes_are_a_conversation() {
    let found = of(json!({
        "llm.request.type": "chat", "gen_ai.request.model": "m", "llm.usage.total_tokens": 9,
        "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "Q",
        "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "S",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.finish_reason": "tool_calls",
        "gen_ai.completion.0.tool_calls.0.id": "1", "gen_ai.completion.0.tool_calls.0.name": "f",
        "gen_ai.completion.0.tool_calls.0.arguments": "{\"a\": 1}",
        "traceloop.association.properties.session_id": "s", "traceloop.association.properties.plan": "pro",
    }));
    assert_eq!(
        (&found["type"], &found["sessionId"]),
        (&json!("GENERATION"), &json!("s"))
    );
    assert_eq!(found["traceMetadata"], json!({"plan": "pro"}));
    assert_eq!(found["usageDetails"], json!({"total": 9}));
    let payload = TracePayload::of_observations(vec![found.clone()]).expect("a trace");
    let calls = normalise(&payload).tool_calls;
    assert_eq!(
        (calls[0].name.as_str(), &calls[0].arguments),
        ("f", &json!({"a": 1}))
    );
    assert_eq!(script(found)[..2], said(&[("system", "S"), ("user", "Q")]));
}

#[test]
fn openllmetrys_workflows_have_what_went_in_and_came_out() {
    let found = of(json!({
        "traceloop.span.kind": "workflow", "traceloop.workflow.name": "jokes",
        "traceloop.entity.input": "{\"args\": [\"Tell one.\"], \"kwargs\": {}}", "traceloop.entity.output": "\"Ha.\"",
    }));
    assert_eq!(
        (&found["type"], &found["traceName"]),
        (&json!("CHAIN"), &json!("jokes"))
    );
    let payload = TracePayload::of_observations(vec![found]).expect("a trace");
    assert_eq!(normalise(&payload).input_text, "Tell one.");
}

#[test]
fn openinferences_messages_and_documents_are_read() {
    let found = of(json!({
        "openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 3, "llm.cost.total": 0.25,
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "Q",
        "llm.input_messages.1.message.role": "assistant",
        "llm.input_messages.1.message.tool_calls.0.tool_call.id": "1",
        "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "f",
        "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments": "{\"a\": 1}",
        "llm.input_messages.2.message.role": "tool", "llm.input_messages.2.message.tool_call_id": "1",
        "llm.input_messages.2.message.content": "two",
        "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "A",
        "input.value": "{\"raw\": true}", "output.value": "raw", "metadata": "{\"plan\": \"pro\"}", "tag.tags": ["t"],
    }));
    assert_eq!(
        (&found["type"], &found["model"]),
        (&json!("GENERATION"), &json!("m"))
    );
    assert_eq!(
        (&found["usageDetails"], &found["costDetails"]),
        (&json!({"input": 3}), &json!({"total": 0.25}))
    );
    assert_eq!(
        (&found["metadata"]["plan"], &found["tags"]),
        (&json!("pro"), &json!(["t"]))
    );
    let turns = [
        ("user", "Q"),
        ("assistant", ""),
        ("tool", "two"),
        ("assistant", "A"),
    ];
    assert_eq!(script(found), said(&turns));
    let found = of(json!({
        "openinference.span.kind": "RETRIEVER", "input.value": "refunds", "output.value": "raw",
        "retrieval.documents.0.document.content": "Within 30 days.",
        "retrieval.documents.1.document.content": "Shoes too.", "retrieval.documents.1.document.score": 0.5,
    }));
    assert_eq!(
        (&found["type"], &found["input"]),
        (&json!("RETRIEVER"), &json!("refunds"))
    );
    assert_eq!(
        found["output"],
        json!(["Within 30 days.", {"content": "Shoes too.", "score": 0.5}])
    );
}

#[test]
fn vercels_attributes_are_read() {
    let found = of(json!({
        "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m",
        "ai.prompt.messages": "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Q\"}]}]",
        "ai.response.text": "A", "ai.usage.promptTokens": 3, "ai.telemetry.metadata.userId": "u",
        "ai.telemetry.metadata.plan": "pro",
    }));
    assert_eq!(
        (&found["type"], &found["userId"]),
        (&json!("GENERATION"), &json!("u"))
    );
    assert_eq!(found["metadata"]["plan"], "pro");
    assert!(found["metadata"].get("userId").is_none());
    assert_eq!(script(found), said(&[("user", "Q"), ("assistant", "A")]));
    let calls = "[{\"toolCallId\": \"1\", \"toolName\": \"f\", \"args\": \"{}\"}]";
    let found =
        of(json!({"ai.operationId": "ai.streamText.doStream", "ai.response.toolCalls": calls}));
    assert_eq!(found["output"]["tool_calls"][0]["name"], "f");
}
