//! JSON of the source: what of it says something, and what the conversation says already.

use std::collections::HashSet;

use serde_json::Value;

use crate::generate::rules::says_nothing;

/// Fields of inputs and outputs that say who answered, when and at what cost.
const BOOKKEEPING: &[&str] = &[
    "id",
    "ids",
    "uuid",
    "model",
    "models",
    "created",
    "timestamp",
    "latency",
    "duration",
    "cost",
    "costs",
    "tokens",
    "usage",
    "score",
    "scores",
    "fingerprint",
    "logprobs",
];
/// Fields that shape a message.
const SHAPE: &[&str] = &[
    "role",
    "type",
    "index",
    "object",
    "finish_reason",
    "stop_reason",
];
/// What an instrumentation says of itself.
const INSTRUMENTATION: &[&str] = &["resourceAttributes", "scope"];
/// Characters read, at most, in search of texts that are said already inside others.
const SEARCHED_MAX: usize = 1 << 26;

/// Whether a field of the metadata describes the call, not what a good answer is.
pub fn is_bookkeeping(field: &str) -> bool {
    INSTRUMENTATION.contains(&field) || says_nothing(&snake_case(field))
}

/// Metadata without the fields that say nothing; `None` where no field is left.
pub fn telling_metadata(value: &Value) -> Option<Value> {
    without(value, &is_bookkeeping)
}

/// An input or output without the fields that say who answered; `None` where no field is left.
pub fn telling(value: &Value) -> Option<Value> {
    without(value, &|field| {
        let field = snake_case(field);
        let mut words = field.split(|c: char| !c.is_alphanumeric());
        words.any(|word| BOOKKEEPING.contains(&word))
    })
}

fn without(value: &Value, drop: &dyn Fn(&str) -> bool) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) => {
            let kept: Vec<_> = items
                .iter()
                .filter_map(|item| without(item, drop))
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !drop(name));
            let kept = kept.filter_map(|(name, value)| Some((name.clone(), without(value, drop)?)));
            let kept: serde_json::Map<_, _> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}

/// `sessionId` as `session_id`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for c in name.chars() {
        if c.is_uppercase() && after_small {
            snake.push('_');
        }
        after_small = c.is_lowercase();
        snake.extend(c.to_lowercase());
    }
    snake
}

/// A value as text: strings as they are, all else as JSON.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One spelling for texts that hold the same JSON, or differ in the white space around them.
pub fn canonical(text: &str) -> String {
    let text = text.trim();
    let json = text.starts_with(['{', '[']).then_some(text);
    let value = json.and_then(|json| serde_json::from_str::<Value>(json).ok());
    value.map_or_else(|| text.to_owned(), |value| value.to_string())
}

/// The texts that a digest holds already.
#[derive(Default)]
pub struct Said {
    whole: HashSet<String>,
    all: String,
    searched: usize,
}

impl Said {
    /// Remembers a text.
    pub fn add(&mut self, text: &str) {
        self.all.push_str(text);
        self.all.push('\n');
        self.whole.insert(canonical(text));
    }

    /// Whether a text was said, by itself.
    pub fn has(&self, text: &str) -> bool {
        self.whole.contains(&canonical(text))
    }

    /// Whether every text of a value was said, be it inside another. Numbers count as new, and so does what would
    /// take too long to look for.
    pub fn has_all_of(&mut self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::String(text) => self.has(text) || self.has_inside(text),
            Value::Number(_) | Value::Bool(_) => false,
            _ if self.whole.contains(&value.to_string()) => true,
            Value::Array(items) => items.iter().all(|item| self.has_all_of(item)),
            Value::Object(fields) => {
                let mut telling = fields
                    .iter()
                    .filter(|(name, _)| !SHAPE.contains(&name.as_str()));
                telling.all(|(_, value)| self.has_all_of(value))
            }
        }
    }

    fn has_inside(&mut self, text: &str) -> bool {
        self.searched = self.searched.saturating_add(self.all.len());
        self.searched <= SEARCHED_MAX && self.all.contains(text.trim())
    }
}
