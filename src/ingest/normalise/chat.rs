use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::parts;
use crate::domain::lenient;

/// A turn as a source has it, before its tool calls are joined to what came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    pub role: String,
    pub content: String,
    pub name: Option<String>,
    /// What this turn asked for.
    pub calls: Vec<Call>,
    /// For a turn of role `tool`: the call it answers.
    pub answers: Option<String>,
}

/// A tool call that a turn asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: Option<String>,
    pub name: String,
    pub arguments: Value,
}

/// The turns in an input or output that holds OpenAI-style chat; `None` where it does not.
///
/// Known are a list of messages, `{"messages": […]}`, one message, and a completion with `choices`; messages may
/// have their content in parts, as OpenTelemetry writes them.
/// A lone message without a role has `default_role`, where one is given: outputs leave it out at times.
pub fn turns(value: &Value, default_role: Option<&str>) -> Option<Vec<Turn>> {
    match parsed(value).as_ref() {
        Value::Array(items) if !items.is_empty() => {
            let turns = items.iter().map(|item| turns_in(item.as_object()?, None));
            Some(turns.collect::<Option<Vec<_>>>()?.concat())
        }
        Value::Object(fields) => match (fields.get("messages"), fields.get("choices")) {
            (Some(messages @ Value::Array(_)), _) => turns(messages, None),
            (_, Some(Value::Array(choices))) => {
                let message = choices.first()?.get("message")?.as_object()?;
                Some(vec![turn(message, default_role)?])
            }
            _ => turns_in(fields, default_role),
        },
        _ => None,
    }
}

/// JSON that stands in a string, where that string is an object or a list; else the value itself.
pub fn parsed(value: &Value) -> Cow<'_, Value> {
    let text = value.as_str().map(str::trim).unwrap_or_default();
    if !text.starts_with(['{', '[']) {
        return Cow::Borrowed(value);
    }
    let inner = lenient::parse(text.as_bytes());
    inner.map_or(Cow::Borrowed(value), |(inner, _)| Cow::Owned(inner))
}

/// A value as plain text: what a person would read.
///
/// A chat gives its last turn that says anything; an object with one well-known text gives that; what
/// is left is JSON.
pub fn plain_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => without_media(text),
        _ => match turns(value, None) {
            Some(turns) => last_said(&turns).unwrap_or_default(),
            None => well_known(value).map_or_else(|| value.to_string(), without_media),
        },
    }
}

/// The content of the last turn that has any.
pub fn last_said(turns: &[Turn]) -> Option<String> {
    let said = turns
        .iter()
        .rev()
        .find(|turn| !turn.content.trim().is_empty());
    said.map(|turn| turn.content.clone())
}

/// The keys under which products hand a lone text over.
const TEXT_KEYS: [&str; 12] = [
    "text",
    "content",
    "question",
    "query",
    "prompt",
    "input",
    "message",
    "answer",
    "output",
    "response",
    "result",
    "completion",
];

/// The text of an object of which exactly one well-known key holds text, or of a call with one argument.
fn well_known(value: &Value) -> Option<&str> {
    let fields = value.as_object()?;
    if let Some(text) = lone_argument(fields) {
        return Some(text);
    }
    let mut texts = TEXT_KEYS
        .iter()
        .filter_map(|key| fields.get(*key)?.as_str());
    let text = texts.next()?;
    texts.next().is_none().then_some(text)
}

/// Decorators of functions (Langfuse's, Traceloop's) keep the arguments as `{"args": […], "kwargs": {…}}`.
fn lone_argument(fields: &Map<String, Value>) -> Option<&str> {
    let args = fields.get("args")?.as_array()?;
    let kwargs = fields.get("kwargs")?.as_object()?;
    let mut all = args.iter().chain(kwargs.values());
    let (first, rest) = (all.next()?, all.next());
    first.as_str().filter(|_| rest.is_none())
}

/// One message's turn, or those of its parts.
fn turns_in(fields: &Map<String, Value>, default_role: Option<&str>) -> Option<Vec<Turn>> {
    let spelled_out = |messages: Vec<Value>| {
        let turns = messages.iter().map(|m| turn(m.as_object()?, default_role));
        turns.collect()
    };
    match parts::as_chat(fields) {
        Some(messages) => spelled_out(messages),
        None => Some(vec![turn(fields, default_role)?]),
    }
}

fn turn(fields: &Map<String, Value>, default_role: Option<&str>) -> Option<Turn> {
    let has_body = ["content", "tool_calls", "function_call"]
        .iter()
        .any(|key| fields.contains_key(*key));
    let role = fields.get("role").and_then(Value::as_str).or(default_role);
    let (Some(role), true) = (role, has_body) else {
        return None;
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Turn {
        role: role.to_owned(),
        content: content(fields.get("content").unwrap_or(&Value::Null)),
        name: text("name"),
        calls: calls(fields),
        answers: text("tool_call_id"),
    })
}

/// A turn's text: parts joined by line breaks, media as placeholders.
fn content(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => without_media(text),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().map(part).collect();
            texts.join("\n")
        }
        other => other.to_string(),
    }
}

/// One part of a content list: text, or the kind of what is not text in brackets.
fn part(value: &Value) -> String {
    let text = ["text", "refusal"]
        .iter()
        .find_map(|key| value.get(*key)?.as_str());
    match (value, text, value.get("type").and_then(Value::as_str)) {
        (Value::String(text), ..) => without_media(text),
        (_, Some(text), _) => without_media(text),
        (_, None, Some("image_url" | "image" | "input_image")) => "[image]".to_owned(),
        (_, None, Some("input_audio" | "audio")) => "[audio]".to_owned(),
        (_, None, Some("file" | "input_file")) => "[file]".to_owned(),
        _ => value.to_string(),
    }
}

/// Langfuse's stand-ins for media and inline data, shortened to their kind.
fn without_media(text: &str) -> String {
    static MEDIA: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"@@@langfuseMedia:type=([^|@]*)\|[^@]*@@@|data:([a-z]+/[a-z0-9.+-]+);base64,[A-Za-z0-9+/=]+")
            .expect("the expression is valid")
    });
    MEDIA.replace_all(text, "[$1$2]").into_owned()
}

fn calls(fields: &Map<String, Value>) -> Vec<Call> {
    let listed = fields.get("tool_calls").and_then(Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(call);
    // OpenAI's older form has one call, without an id.
    listed
        .chain(fields.get("function_call").and_then(call))
        .collect()
}

fn call(value: &Value) -> Option<Call> {
    let function = value.get("function").unwrap_or(value);
    let arguments = ["arguments", "args", "input"]
        .iter()
        .find_map(|key| function.get(*key));
    Some(Call {
        id: value.get("id").and_then(Value::as_str).map(str::to_owned),
        name: function.get("name")?.as_str()?.to_owned(),
        arguments: arguments.map(arguments_of).unwrap_or_default(),
    })
}

/// Arguments parsed where they are JSON of any kind, else as they stand.
pub fn arguments_of(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => {
            lenient::parse(text.as_bytes()).map_or_else(|_| value.clone(), |(inner, _)| inner)
        }
        None => value.clone(),
    }
}
