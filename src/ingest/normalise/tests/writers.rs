//! A conversation as each SDK writes it.

use serde_json::{Value, json};

/// What is said in a conversation whose last turn is the answer.
#[derive(Clone, Debug)]
pub struct Spoken {
    pub system: Option<String>,
    pub rounds: Vec<Round>,
}

#[derive(Clone, Debug)]
pub struct Round {
    pub question: String,
    /// Each step calls some tools.
    pub steps: Vec<Vec<Used>>,
    pub answer: String,
}

#[derive(Clone, Debug)]
pub struct Used {
    pub id: String,
    pub name: String,
    pub arguments: Value,
    pub result: Value,
}

/// A turn of it.
pub enum Turn<'a> {
    System(&'a str),
    User(&'a str),
    Calls(&'a [Used]),
    Results(&'a [Used]),
    Assistant(&'a str),
}

/// How an SDK writes the messages; each turn as none, one or several items.
pub type Writes = fn(&Turn) -> Vec<Value>;

fn each(used: &[Used], write: impl Fn(&Used) -> Value) -> Vec<Value> {
    used.iter().map(write).collect()
}

fn openai_chat(turn: &Turn) -> Vec<Value> {
    match turn {
        Turn::System(text) => vec![json!({"role": "developer", "content": text})],
        Turn::User(text) => {
            vec![json!({"role": "user", "content": [{"type": "text", "text": text}]})]
        }
        Turn::Assistant(text) => {
            vec![json!({"role": "assistant", "content": text, "tool_calls": null})]
        }
        Turn::Calls(used) => {
            let calls = each(used, |used| {
                json!({"id": used.id, "type": "function",
                "function": {"name": used.name, "arguments": used.arguments.to_string()}})
            });
            vec![json!({"role": "assistant", "content": null, "tool_calls": calls})]
        }
        Turn::Results(used) => each(
            used,
            |used| json!({"role": "tool", "tool_call_id": used.id, "content": used.result.to_string()}),
        ),
    }
}

fn openai_responses(turn: &Turn) -> Vec<Value> {
    match turn {
        Turn::System(text) => vec![json!({"role": "system", "content": text})],
        Turn::User(text) => {
            vec![json!({"role": "user", "content": [{"type": "input_text", "text": text}]})]
        }
        Turn::Assistant(text) => vec![
            json!({"type": "reasoning", "id": "rs", "summary": []}),
            json!({"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": text, "annotations": []}]}),
        ],
        Turn::Calls(used) => each(used, |used| {
            json!({"type": "function_call", "call_id": used.id, "id": "fc",
            "name": used.name, "arguments": used.arguments.to_string()})
        }),
        Turn::Results(used) => each(used, |used| {
            json!({"type": "function_call_output", "call_id": used.id,
            "output": used.result.to_string()})
        }),
    }
}

fn anthropic(turn: &Turn) -> Vec<Value> {
    match turn {
        Turn::System(text) => vec![json!({"role": "system", "content": text})],
        Turn::User(text) => vec![json!({"role": "user", "content": text})],
        Turn::Assistant(text) => vec![json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": text}]})],
        Turn::Calls(used) => vec![json!({"role": "assistant", "content": each(used, |used|
            json!({"type": "tool_use", "id": used.id, "name": used.name, "input": used.arguments}))})],
        Turn::Results(used) => vec![
            json!({"role": "user", "content": each(used, |used| json!({"type": "tool_result",
            "tool_use_id": used.id, "content": [{"type": "text", "text": used.result.to_string()}]}))}),
        ],
    }
}

fn langchain(turn: &Turn) -> Vec<Value> {
    match turn {
        Turn::System(text) => vec![json!({"type": "system", "content": text})],
        Turn::User(text) => vec![json!({"type": "human", "content": text, "name": null})],
        Turn::Assistant(text) => vec![json!({"type": "ai", "content": text, "tool_calls": []})],
        Turn::Calls(used) => vec![
            json!({"type": "ai", "content": "", "tool_calls": each(used, |used|
            json!({"id": used.id, "name": used.name, "args": used.arguments, "type": "tool_call"}))}),
        ],
        Turn::Results(used) => each(used, |used| {
            json!({"type": "tool", "name": used.name, "status": "success",
            "tool_call_id": used.id, "content": used.result.to_string()})
        }),
    }
}

fn langchain_dicts(turn: &Turn) -> Vec<Value> {
    let wrap = |fields: Value| json!({"type": fields["type"], "data": fields});
    langchain(turn).into_iter().map(wrap).collect()
}

fn langchain_serialised(turn: &Turn) -> Vec<Value> {
    let wrap = |fields: Value| {
        let class = match fields["type"].as_str() {
            Some("human") => "HumanMessage",
            Some("ai") => "AIMessageChunk",
            Some("tool") => "ToolMessage",
            _ => "SystemMessage",
        };
        json!({"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", class], "kwargs": fields})
    };
    langchain(turn).into_iter().map(wrap).collect()
}

fn gemini(turn: &Turn) -> Vec<Value> {
    let said = |role: &str, parts: Vec<Value>| vec![json!({"role": role, "parts": parts})];
    match turn {
        Turn::System(text) => said("system", vec![json!({"text": text})]),
        Turn::User(text) => said("user", vec![json!({"text": text})]),
        Turn::Assistant(text) => said(
            "model",
            vec![
                json!({"text": "hm", "thought": true}),
                json!({"text": text}),
            ],
        ),
        Turn::Calls(used) => said(
            "model",
            each(
                used,
                |used| json!({"functionCall": {"name": used.name, "args": used.arguments}}),
            ),
        ),
        Turn::Results(used) => said(
            "user",
            each(
                used,
                |used| json!({"functionResponse": {"name": used.name, "response": used.result}}),
            ),
        ),
    }
}

fn bedrock(turn: &Turn) -> Vec<Value> {
    let said = |role: &str, content: Vec<Value>| vec![json!({"role": role, "content": content})];
    match turn {
        Turn::System(text) => said("system", vec![json!({"text": text})]),
        Turn::User(text) => said(
            "user",
            vec![
                json!({"text": text}),
                json!({"cachePoint": {"type": "default"}}),
            ],
        ),
        Turn::Assistant(text) => said(
            "assistant",
            vec![json!({"reasoningContent": {}}), json!({"text": text})],
        ),
        Turn::Calls(used) => said(
            "assistant",
            each(
                used,
                |used| json!({"toolUse": {"toolUseId": used.id, "name": used.name, "input": used.arguments}}),
            ),
        ),
        Turn::Results(used) => said(
            "user",
            each(
                used,
                |used| json!({"toolResult": {"toolUseId": used.id, "content": [{"json": used.result}], "status": "success"}}),
            ),
        ),
    }
}

fn vercel(turn: &Turn) -> Vec<Value> {
    let said = |role: &str, content: Vec<Value>| vec![json!({"role": role, "content": content})];
    match turn {
        Turn::System(text) => vec![json!({"role": "system", "content": text})],
        Turn::User(text) => said("user", vec![json!({"type": "text", "text": text})]),
        Turn::Assistant(text) => said(
            "assistant",
            vec![
                json!({"type": "reasoning", "text": "hm"}),
                json!({"type": "text", "text": text}),
            ],
        ),
        Turn::Calls(used) => said(
            "assistant",
            each(
                used,
                |used| json!({"type": "tool-call", "toolCallId": used.id, "toolName": used.name, "input": used.arguments}),
            ),
        ),
        Turn::Results(used) => said(
            "tool",
            each(used, |used| {
                json!({"type": "tool-result", "toolCallId": used.id, "toolName": used.name,
            "output": {"type": "json", "value": used.result}})
            }),
        ),
    }
}

fn llama_index(turn: &Turn) -> Vec<Value> {
    let said = |role: &str, blocks: Vec<Value>| {
        vec![json!({"role": role, "additional_kwargs": {}, "blocks": blocks})]
    };
    let text = |text: &str| json!({"block_type": "text", "text": text});
    match turn {
        Turn::System(said_text) => said("system", vec![text(said_text)]),
        Turn::User(said_text) => said("user", vec![text(said_text)]),
        Turn::Assistant(said_text) => said(
            "assistant",
            vec![
                json!({"block_type": "thinking", "content": "hm"}),
                text(said_text),
            ],
        ),
        Turn::Calls(used) => said(
            "assistant",
            each(
                used,
                |used| json!({"block_type": "tool_call", "tool_call_id": used.id, "tool_name": used.name, "tool_kwargs": used.arguments}),
            ),
        ),
        Turn::Results(used) => each(
            used,
            |used| json!({"role": "tool", "additional_kwargs": {"tool_call_id": used.id}, "blocks": [text(&used.result.to_string())]}),
        ),
    }
}

fn opentelemetry(turn: &Turn) -> Vec<Value> {
    let said = |role: &str, parts: Vec<Value>| vec![json!({"role": role, "parts": parts})];
    let text = |text: &str| json!({"type": "text", "content": text});
    match turn {
        Turn::System(said_text) => said("system", vec![text(said_text)]),
        Turn::User(said_text) => said("user", vec![text(said_text)]),
        Turn::Assistant(said_text) => said(
            "assistant",
            vec![
                json!({"type": "reasoning", "content": "hm"}),
                text(said_text),
            ],
        ),
        Turn::Calls(used) => said(
            "assistant",
            each(
                used,
                |used| json!({"type": "tool_call", "id": used.id, "name": used.name, "arguments": used.arguments}),
            ),
        ),
        Turn::Results(used) => said(
            "tool",
            each(
                used,
                |used| json!({"type": "tool_call_response", "id": used.id, "response": used.result}),
            ),
        ),
    }
}

pub const WRITERS: [(&str, Writes); 11] = [
    ("openai_chat", openai_chat),
    ("openai_responses", openai_responses),
    ("anthropic", anthropic),
    ("langchain", langchain),
    ("langchain_dicts", langchain_dicts),
    ("langchain_serialised", langchain_serialised),
    ("gemini", gemini),
    ("bedrock", bedrock),
    ("vercel", vercel),
    ("llama_index", llama_index),
    ("opentelemetry", opentelemetry),
];

/// The AI SDK's messages for pages: calls, results and the answer in one message.
pub fn vercel_ui(round: &Round) -> [Value; 2] {
    let steps = round.steps.iter().flat_map(|used| {
        let tools = each(used, |used| {
            json!({"type": format!("tool-{}", used.name), "toolCallId": used.id,
            "state": "output-available", "input": used.arguments, "output": used.result})
        });
        std::iter::once(json!({"type": "step-start"})).chain(tools)
    });
    let answer = [
        json!({"type": "step-start"}),
        json!({"type": "text", "text": round.answer, "state": "done"}),
    ];
    [
        json!({"id": "q", "role": "user", "parts": [{"type": "text", "text": round.question}]}),
        json!({"id": "a", "role": "assistant", "parts": steps.chain(answer).collect::<Vec<_>>()}),
    ]
}
