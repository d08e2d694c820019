use serde_json::{Map, Value, json};

/// A message as OpenTelemetry's GenAI conventions write it, `{"role", "parts": [{"type", …}]}`, in the words of
/// plain chat; `None` where it is none. The answers of tools become messages of their own, and reasoning is
/// left out: it is not said to anybody.
pub fn as_chat(fields: &Map<String, Value>) -> Option<Vec<Value>> {
    let parts = fields.get("parts")?.as_array()?;
    let kinds: Option<Vec<&str>> = parts
        .iter()
        .map(|part| part.get("type")?.as_str())
        .collect();
    let typed: Vec<(&str, &Value)> = kinds?.into_iter().zip(parts).collect();
    let of = |kind: &'static str| typed.iter().filter(move |(is, _)| *is == kind);
    let answers: Vec<Value> = of("tool_call_response")
        .map(|(_, part)| answer(part))
        .collect();
    let content: Vec<Value> = typed
        .iter()
        .filter_map(|(kind, part)| content(kind, part))
        .collect();
    let calls: Vec<Value> = of("tool_call").map(|(_, part)| (*part).clone()).collect();
    if content.is_empty() && calls.is_empty() && !answers.is_empty() {
        return Some(answers);
    }
    let mut message = json!({
        "role": fields.get("role"), "name": fields.get("name"), "content": content,
    });
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    Some(answers.into_iter().chain([message]).collect())
}

/// The result was called `result` in the conventions' first drafts.
fn answer(part: &Value) -> Value {
    let response = ["response", "result"].iter().find_map(|key| part.get(*key));
    let text = match response {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    json!({"role": "tool", "tool_call_id": part.get("id"), "name": part.get("name"), "content": text})
}

fn content(kind: &str, part: &Value) -> Option<Value> {
    match kind {
        "text" => Some(json!({"type": "text", "text": part.get("content")?})),
        "tool_call" | "tool_call_response" | "reasoning" => None,
        // Media by what they are, instead of their bytes.
        "blob" | "uri" | "file" | "file_data" => {
            let modality = part.get("modality").and_then(Value::as_str);
            Some(json!({"type": modality.unwrap_or("file")}))
        }
        _ => Some(part.clone()),
    }
}
