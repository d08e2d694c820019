//! Where in a value the conversation is: lists of messages, requests, responses, and what wraps them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::content::{Piece, Turns, content_text, known_piece};
use super::media::{json_text, without_media};
use super::message::{is_known, message, named};
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
    /// For a turn of role `tool`: whether the source says that the tool failed.
    pub has_failed: bool,
}

/// A tool call that a turn asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: Option<String>,
    pub name: String,
    pub arguments: Value,
}

/// Whose words a value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What was given to a model or a step.
    Input,
    /// What came out of it.
    Output,
}

impl Side {
    /// Who speaks where the value does not say.
    pub fn speaker(self) -> &'static str {
        match self {
            Self::Input => "user",
            Self::Output => "assistant",
        }
    }
}

impl Turn {
    /// A turn in which nothing is said yet.
    pub fn by(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            ..Self::default()
        }
    }

    fn saying(role: &str, content: String) -> Self {
        Self {
            content,
            ..Self::by(role)
        }
    }
}

/// A conversation is looked for in so many objects and lists within one another: frameworks wrap it three deep.
const WRAPPED_MAX: usize = 6;

/// The turns in an input or output that holds a conversation, or a part of one, in a known form; `None` where it
/// does not. The forms are listed in `docs/shapes.md`.
pub fn turns(value: &Value, side: Side) -> Option<Vec<Turn>> {
    within(value, side, WRAPPED_MAX)
}

fn within(value: &Value, side: Side, levels: usize) -> Option<Vec<Turn>> {
    let levels = levels.checked_sub(1)?;
    match parsed(value).as_ref() {
        Value::Array(items) => listed(items, side, levels),
        Value::Object(fields) => answered(fields, side, levels)
            .or_else(|| asked(fields, levels))
            .or_else(|| message(fields, None))
            .or_else(|| {
                message(
                    fields,
                    Some(side.speaker()).filter(|_| side == Side::Output),
                )
            })
            .or_else(|| {
                known_piece(fields)
                    .filter(|_| is_item(fields))
                    .map(|piece| by(side, piece))
            })
            .or_else(|| wrapped(fields, side, levels)),
        _ => None,
    }
}

fn by(side: Side, piece: Piece) -> Vec<Turn> {
    let mut turns = Turns::of(side.speaker());
    turns.add(piece);
    turns.end()
}

/// OpenAI's responses are lists of items with a type; so are contents of messages.
fn is_item(fields: &Map<String, Value>) -> bool {
    fields.get("type").is_some_and(Value::is_string)
}

/// A list of messages, of pairs of role and text, of parts or items that a model gave, or of such lists, which
/// LangChain makes of batches. What else stands beside messages is a turn of its own, named by its type.
fn listed(items: &[Value], side: Side, levels: usize) -> Option<Vec<Turn>> {
    let mut turns = Turns::of(side.speaker());
    let (mut messages, mut known, mut unknown) = (false, false, false);
    for item in items {
        if let Some(said) = whole(item, side, levels) {
            messages = true;
            said.into_iter().for_each(|turn| turns.push(turn));
        } else if let Some(piece) = item.as_object().and_then(known_piece) {
            known = true;
            turns.add(piece);
        } else {
            unknown = true;
            let role = item
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or("unknown");
            turns.push(Turn::saying(role, content_text(item)));
        }
    }
    (messages || (known && !unknown)).then(|| turns.end())
}

/// An item of a list that says who speaks.
fn whole(item: &Value, side: Side, levels: usize) -> Option<Vec<Turn>> {
    match item {
        Value::Object(fields) => message(fields, None),
        Value::Array(inner) => pair(inner).or_else(|| listed(inner, side, levels.checked_sub(1)?)),
        _ => None,
    }
}

/// `["user", "…"]`.
fn pair(items: &[Value]) -> Option<Vec<Turn>> {
    let [Value::String(role), content] = items else {
        return None;
    };
    let role = named(role);
    is_known(&role).then(|| vec![Turn::saying(&role, content_text(content))])
}

/// The instructions of a request, which stand beside its messages.
const INSTRUCTIONS: [&str; 5] = [
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
    "system_prompt",
];

/// A request: instructions, what was said so far, and what is asked now.
fn asked(fields: &Map<String, Value>, levels: usize) -> Option<Vec<Turn>> {
    let system = instructions(fields);
    let earlier = first(fields, &["chat_history", "history"])
        .and_then(|value| within(value, Side::Input, levels));
    let now = match first(fields, &["messages", "contents"]) {
        Some(messages) => spoken(messages, levels).or_else(|| roleless(messages))?,
        // Without any of these, one text is no conversation yet.
        None if system.is_none() && earlier.is_none() => return None,
        None => spoken(
            first(fields, &["input", "prompt", "question", "query"])?,
            levels,
        )?,
    };
    let has_own = now.first().is_some_and(|turn| turn.role == "system");
    let system = system.filter(|_| !has_own).into_iter();
    let before = system.chain(earlier.into_iter().flatten());
    Some(before.chain(now).collect())
}

/// A conversation, or what the user says.
fn spoken(value: &Value, levels: usize) -> Option<Vec<Turn>> {
    let text = || Some(lone("user", value.as_str()?));
    within(value, Side::Input, levels).or_else(text)
}

/// Gemini's contents may be texts alone, or have no role: they are the user's.
fn roleless(contents: &Value) -> Option<Vec<Turn>> {
    let is_content = |item: &Value| item.is_string() || item.get("parts").is_some();
    let items = contents.as_array()?;
    let texts = items
        .iter()
        .map(|item| content_text(item.get("parts").unwrap_or(item)));
    let is_all = !items.is_empty() && items.iter().all(is_content);
    is_all.then(|| lone("user", &texts.collect::<Vec<String>>().join("\n")))
}

fn lone(role: &str, text: &str) -> Vec<Turn> {
    vec![Turn::saying(role, without_media(text))]
}

fn instructions(fields: &Map<String, Value>) -> Option<Turn> {
    let config = fields.get("config").and_then(Value::as_object);
    let found = first(fields, &INSTRUCTIONS).or_else(|| first(config?, &INSTRUCTIONS))?;
    let text = match found {
        Value::Object(content) => {
            content_text(first(content, &["parts", "content"]).unwrap_or(found))
        }
        other => content_text(other),
    };
    (!text.trim().is_empty()).then(|| Turn::saying("system", text))
}

/// A response that holds the answer in a place of its own: OpenAI's and Gemini's first choice, LangChain's first
/// generation, the output of an agent beside its input.
fn answered(fields: &Map<String, Value>, side: Side, levels: usize) -> Option<Vec<Turn>> {
    let first_of = |key: &str| fields.get(key)?.as_array()?.first();
    if let Some(choice) = first_of("choices") {
        return candidate(choice, "message").or_else(|| candidate(choice, "delta"));
    }
    if let Some(candidates) = first_of("candidates") {
        return candidate(candidates, "content");
    }
    if let Some(generation) = first_of("generations") {
        return candidate(generation.get(0).unwrap_or(generation), "message");
    }
    let (input, output) = (fields.get("input")?, fields.get("output")?.as_str()?);
    if side == Side::Input || !input.is_string() {
        return None;
    }
    let asked =
        asked(fields, levels).unwrap_or_else(|| lone("user", input.as_str().unwrap_or_default()));
    Some(asked.into_iter().chain(lone("assistant", output)).collect())
}

/// The message of a choice, or its text alone.
fn candidate(choice: &Value, key: &str) -> Option<Vec<Turn>> {
    let said = choice.get(key).and_then(Value::as_object);
    let text = || Some(lone("assistant", choice.get("text")?.as_str()?));
    said.and_then(|said| message(said, Some("assistant")))
        .or_else(text)
}

/// The keys under which frameworks hand a conversation on; for an output, what came out is looked at first.
const INPUTS: [&str; 11] = [
    "kwargs", "args", "input", "inputs", "message", "request", "body", "params", "data", "state",
    "update",
];
const OUTPUTS: [&str; 11] = [
    "output",
    "outputs",
    "message",
    "response",
    "result",
    "return_values",
    "value",
    "data",
    "update",
    "state",
    "body",
];

fn wrapped(fields: &Map<String, Value>, side: Side, levels: usize) -> Option<Vec<Turn>> {
    let keys = match side {
        Side::Input => INPUTS,
        Side::Output => OUTPUTS,
    };
    // A graph's updates stand under the name of the node.
    let held: Vec<&Value> = match fields.len() {
        1 => fields.values().collect(),
        _ => keys.iter().filter_map(|key| fields.get(*key)).collect(),
    };
    let mut found = held
        .into_iter()
        .filter_map(|inner| within(inner, side, levels));
    found.find(|turns| {
        turns
            .iter()
            .any(|turn| matches!(turn.role.as_str(), "user" | "assistant" | "system" | "tool"))
    })
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
        _ => match turns(value, Side::Output) {
            Some(turns) => last_said(&turns).unwrap_or_default(),
            None => well_known(value, WRAPPED_MAX).map_or_else(|| json_text(value), without_media),
        },
    }
}

/// The content of the last turn that has any.
pub fn last_said(turns: &[Turn]) -> Option<String> {
    last_of(turns.iter().rev(), |_| true)
}

/// The content of the last turn of a role that has any.
pub fn last_said_by(turns: &[Turn], role: &str) -> Option<String> {
    last_of(turns.iter().rev(), |turn| turn.role == role)
}

fn last_of<'a>(
    mut turns: impl Iterator<Item = &'a Turn>,
    wanted: impl Fn(&Turn) -> bool,
) -> Option<String> {
    let said = turns.find(|turn| wanted(turn) && !turn.content.trim().is_empty());
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

/// The text of an object of which exactly one well-known key holds text, of a call with one argument, or of the
/// one object that an object holds.
fn well_known(value: &Value, levels: usize) -> Option<&str> {
    let (fields, levels) = (value.as_object()?, levels.checked_sub(1)?);
    if let Some(text) = lone_argument(fields) {
        return Some(text);
    }
    let mut texts = TEXT_KEYS
        .iter()
        .filter_map(|key| fields.get(*key)?.as_str());
    match (texts.next(), texts.next()) {
        (Some(text), None) => Some(text),
        (None, _) => well_known(lone_object(fields)?, levels),
        _ => None,
    }
}

/// Decorators of functions (Langfuse's, Traceloop's) keep the arguments as `{"args": […], "kwargs": {…}}`.
fn lone_argument(fields: &Map<String, Value>) -> Option<&str> {
    let args = fields.get("args")?.as_array()?;
    let kwargs = fields.get("kwargs")?.as_object()?;
    let mut all = args.iter().chain(kwargs.values());
    let (first, rest) = (all.next()?, all.next());
    first.as_str().filter(|_| rest.is_none())
}

/// The object beside which an object holds nothing but what is empty.
fn lone_object(fields: &Map<String, Value>) -> Option<&Value> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    let mut filled = fields.values().filter(|value| !is_empty(value));
    let (first, rest) = (filled.next()?, filled.next());
    Some(first).filter(|value| value.is_object() && rest.is_none())
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

/// The first of the keys that holds anything but null.
pub fn first<'a>(fields: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    let found = keys.iter().filter_map(|key| fields.get(*key));
    found.into_iter().find(|value| !value.is_null())
}

pub fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key).and_then(Value::as_str)
}
