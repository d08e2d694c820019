//! What a message is made of: text, calls, answers of tools and media, in the words of any SDK.
//!
//! Reasoning is left out: it is not said to anybody. What has no reading stays as JSON.

use serde_json::{Map, Value};

use super::chat::{Call, Turn, arguments_of, first, text};
use super::media::{json_text, placeholder, without_media};

/// One part of a message.
#[derive(Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Call(Call),
    /// What came back: a turn of role `tool`.
    Answer(Turn),
    /// A call together with what came back.
    Answered(Call, Turn),
    /// The model is asked anew.
    Break,
    /// Said to nobody: reasoning, marks for caches.
    Silence,
}

/// The parts of a message's content.
pub fn pieces(content: &Value) -> Vec<Piece> {
    match content {
        Value::Null => Vec::new(),
        Value::Array(parts) => parts.iter().map(piece).collect(),
        one => vec![piece(one)],
    }
}

/// A content's text alone: parts joined by line breaks, media as placeholders.
pub fn content_text(content: &Value) -> String {
    let texts = pieces(content).into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Answer(turn) => Some(turn.content),
        _ => None,
    });
    texts.collect::<Vec<String>>().join("\n")
}

fn piece(part: &Value) -> Piece {
    let lenient = || {
        let text = part.get("text").and_then(Value::as_str).map(without_media);
        Piece::Text(text.unwrap_or_else(|| json_text(part)))
    };
    match part {
        Value::String(text) => Piece::Text(without_media(text)),
        Value::Object(fields) => known_piece(fields).unwrap_or_else(lenient),
        other => Piece::Text(other.to_string()),
    }
}

/// The reading of a part that says what it is; `None` for any other object.
pub fn known_piece(part: &Map<String, Value>) -> Option<Piece> {
    let kind = first(part, &["type", "block_type"]).and_then(Value::as_str);
    let kind = kind.unwrap_or_default();
    silence(kind, part)
        .or_else(|| ui_tool(kind, part))
        .or_else(|| hosted_tool(kind, part))
        .or_else(|| answer(kind, part).map(Piece::Answer))
        .or_else(|| asked(kind, part).map(Piece::Call))
        .or_else(|| written(kind, part).map(|text| Piece::Text(without_media(text))))
        .or_else(|| placeholder(kind, part).map(Piece::Text))
        .or_else(|| lone_json(part))
}

fn silence(kind: &str, part: &Map<String, Value>) -> Option<Piece> {
    let is_thought = part.get("thought") == Some(&Value::Bool(true));
    let is_mark = part.contains_key("reasoningContent") || part.contains_key("cachePoint");
    match kind {
        "step-start" => Some(Piece::Break),
        "reasoning" | "thinking" | "redacted_thinking" | "item_reference" => Some(Piece::Silence),
        _ if is_thought || is_mark => Some(Piece::Silence),
        _ => None,
    }
}

/// Text under its key. Without a type, it stands alone: a record that has a text among others is none.
fn written<'a>(kind: &str, part: &'a Map<String, Value>) -> Option<&'a str> {
    const MARKS: [&str; 3] = ["text", "thought_signature", "thoughtSignature"];
    let alone = || {
        let mut said = part.iter().filter(|(_, value)| !value.is_null());
        said.all(|(key, _)| MARKS.contains(&key.as_str()))
    };
    match kind {
        "text" => {
            let under = |key: &str| part.get(key).and_then(Value::as_str);
            let value = || part.get("text")?.get("value")?.as_str();
            under("text").or_else(|| under("content")).or_else(value)
        }
        "input_text" | "output_text" | "summary_text" => text(part, "text"),
        "refusal" => text(part, "refusal"),
        "" if alone() => text(part, "text"),
        _ => None,
    }
}

/// Bedrock's results of tools are `{"json": …}` or text.
fn lone_json(part: &Map<String, Value>) -> Option<Piece> {
    let value = part.get("json").filter(|_| part.len() == 1)?;
    Some(Piece::Text(json_text(value)))
}

/// The objects that hold a call: OpenAI's, Bedrock's, Gemini's.
const CALLED: [&str; 4] = ["function", "toolUse", "functionCall", "function_call"];
const ARGUMENTS: [&str; 5] = ["arguments", "args", "input", "tool_kwargs", "parameters"];
const IDS: [&str; 6] = [
    "call_id",
    "toolCallId",
    "tool_call_id",
    "toolUseId",
    "tool_use_id",
    "id",
];

fn asked(kind: &str, part: &Map<String, Value>) -> Option<Call> {
    let is_call = matches!(
        kind,
        "tool_use"
            | "server_tool_use"
            | "mcp_tool_use"
            | "tool-call"
            | "tool_call"
            | "function_call"
            | "custom_tool_call"
            | "tool_call_chunk"
            | "server_tool_call"
            | "function"
    );
    let is_held = CALLED
        .iter()
        .any(|key| part.get(*key).is_some_and(Value::is_object));
    let is_sdks = part.contains_key("toolCallId") && part.contains_key("toolName");
    match is_call || (kind.is_empty() && (is_held || is_sdks)) {
        true => call(part),
        false => None,
    }
}

/// A call as any SDK writes it; `None` where it has no name.
pub fn call(fields: &Map<String, Value>) -> Option<Call> {
    let held = first(fields, &CALLED)
        .and_then(Value::as_object)
        .unwrap_or(fields);
    let name = first(held, &["name", "toolName", "tool_name"])?.as_str()?;
    let id = first(fields, &IDS).or_else(|| first(held, &IDS));
    Some(Call {
        id: id.and_then(Value::as_str).map(str::to_owned),
        name: name.to_owned(),
        arguments: first(held, &ARGUMENTS)
            .map(arguments_of)
            .unwrap_or_default(),
    })
}

/// A part of the AI SDK's messages for pages: the call, and what came back once it has.
fn ui_tool(kind: &str, part: &Map<String, Value>) -> Option<Piece> {
    part.get("state")?;
    let id = text(part, "toolCallId")?;
    let name = match kind {
        "dynamic-tool" => text(part, "toolName")?,
        _ => kind.strip_prefix("tool-")?,
    };
    let call = Call {
        id: Some(id.to_owned()),
        name: name.to_owned(),
        arguments: part.get("input").map(arguments_of).unwrap_or_default(),
    };
    let failure = first(part, &["errorText"]);
    let Some(body) = failure.or_else(|| first(part, &["output"])) else {
        return Some(Piece::Call(call));
    };
    let answer = came_back(Some(id), Some(name), body, failure.is_some());
    Some(Piece::Answered(call, answer))
}

/// A tool that the provider of OpenAI's responses runs: `web_search_call`, `mcp_call`, ….
fn hosted_tool(kind: &str, part: &Map<String, Value>) -> Option<Piece> {
    let stem = kind
        .strip_suffix("_call")
        .filter(|stem| !matches!(*stem, "tool" | "function" | "custom_tool" | "server_tool"))?;
    let name = text(part, "name").unwrap_or(stem);
    let arguments = first(part, &["arguments", "action", "queries", "code"]);
    let call = Call {
        id: first(part, &["call_id", "id"])
            .and_then(Value::as_str)
            .map(str::to_owned),
        name: name.to_owned(),
        arguments: arguments.map(arguments_of).unwrap_or_default(),
    };
    let failure = first(part, &["error"]);
    let body = failure.or_else(|| first(part, &["output", "outputs", "results"]));
    Some(match body {
        Some(body) => {
            let answer = came_back(call.id.as_deref(), None, body, failure.is_some());
            Piece::Answered(call, answer)
        }
        None => Piece::Call(call),
    })
}

/// The objects that hold what came back: Bedrock's and Gemini's.
const RETURNED: [&str; 3] = ["toolResult", "functionResponse", "function_response"];

fn answer(kind: &str, part: &Map<String, Value>) -> Option<Turn> {
    let is_answer = matches!(kind, "tool-result" | "tool-error" | "tool_call_response")
        || ["tool_result", "_call_output"]
            .iter()
            .any(|end| kind.ends_with(end));
    let held = first(part, &RETURNED).and_then(Value::as_object);
    let fields = match (held, kind.is_empty(), is_answer) {
        (Some(held), true, _) => held,
        (_, _, true) => part,
        _ => return None,
    };
    let body = first(
        fields,
        &["content", "output", "result", "response", "error"],
    );
    let (body, is_failure) = unwrapped(body.unwrap_or(&Value::Null));
    let id = first(fields, &IDS).and_then(Value::as_str);
    let name = first(fields, &["name", "toolName"]).and_then(Value::as_str);
    Some(came_back(
        id,
        name,
        body,
        is_failure || kind == "tool-error" || has_failed(fields),
    ))
}

/// The AI SDK says beside an output what it is.
fn unwrapped(body: &Value) -> (&Value, bool) {
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let is_failure = kind.starts_with("error-") || kind.ends_with("_error");
    match (kind, body.get("value")) {
        ("text" | "json" | "content" | "error-text" | "error-json", Some(value)) => {
            (value, is_failure)
        }
        _ => (body, is_failure),
    }
}

/// Whether a tool's message says that the tool failed.
pub fn has_failed(fields: &Map<String, Value>) -> bool {
    let flag = first(fields, &["is_error", "isError"]);
    let status = text(fields, "status");
    flag == Some(&Value::Bool(true))
        || status.is_some_and(|status| matches!(status, "error" | "failed"))
}

fn came_back(id: Option<&str>, name: Option<&str>, body: &Value, has_failed: bool) -> Turn {
    let content = match body {
        Value::Object(_) => json_text(body),
        other => content_text(other),
    };
    Turn {
        role: "tool".to_owned(),
        content,
        name: name.map(str::to_owned),
        answers: id.map(str::to_owned),
        has_failed,
        ..Turn::default()
    }
}

/// The turns that one speaker's parts make: what tools answered stands in turns of its own, after the calls.
#[derive(Debug, Default)]
pub struct Turns {
    role: String,
    done: Vec<Turn>,
    texts: Vec<String>,
    calls: Vec<Call>,
    answers: Vec<Turn>,
}

impl Turns {
    pub fn of(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            ..Self::default()
        }
    }

    pub fn add(&mut self, piece: Piece) {
        let follows = matches!(piece, Piece::Text(_) | Piece::Call(_)) && !self.answers.is_empty();
        if follows || piece == Piece::Break {
            self.end_turn();
        }
        match piece {
            Piece::Text(text) => self.texts.push(text),
            Piece::Call(call) => self.calls.push(call),
            Piece::Answer(answer) => self.answers.push(answer),
            Piece::Answered(call, answer) => {
                self.calls.push(call);
                self.answers.push(answer);
            }
            Piece::Break | Piece::Silence => {}
        }
    }

    /// A whole turn of any speaker.
    pub fn push(&mut self, turn: Turn) {
        self.end_turn();
        self.done.push(turn);
    }

    pub fn end(mut self) -> Vec<Turn> {
        self.end_turn();
        self.done
    }

    /// A user calls no tools: in a list of items, such calls are the assistant's.
    fn end_turn(&mut self) {
        if !self.texts.is_empty() || !self.calls.is_empty() {
            let role = match (self.role.as_str(), self.calls.is_empty()) {
                ("user", false) => "assistant",
                (role, _) => role,
            };
            self.done.push(Turn {
                role: role.to_owned(),
                content: std::mem::take(&mut self.texts).join("\n"),
                calls: std::mem::take(&mut self.calls),
                ..Turn::default()
            });
        }
        self.done.append(&mut self.answers);
    }
}
