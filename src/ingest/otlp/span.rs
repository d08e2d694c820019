//! A span with plain values in it, whichever encoding brought it; cleaned and bounded.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::message::{self, Any, AnyValue, KeyValue};
use super::values::bounded;

/// Attributes of one span, event or resource that are kept. A conversation of hundreds of turns has some
/// thousands where each turn's parts stand in attributes of their own.
const ATTRIBUTES_MAX: usize = 20_000;
/// Longer keys are no convention's; they are left out.
const KEY_MAX: usize = 256;
/// `Span.flags` says whether the parent is in another process…
const HAS_IS_REMOTE: u32 = 0x100;
/// … and that it is.
const IS_REMOTE: u32 = 0x200;

pub type Attributes = Map<String, Value>;

/// Where a span was made.
#[derive(Debug, Default)]
pub struct Origin {
    /// Shared by all scopes of the resource.
    pub resource: Arc<Attributes>,
    pub scope_name: String,
    pub scope_version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Unset,
    Fine,
    Error,
}

#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub attributes: Attributes,
}

#[derive(Debug)]
pub struct Span {
    /// 32 lower-case hexadecimal digits, as Langfuse writes them.
    pub trace_id: String,
    /// 16 of them.
    pub id: String,
    pub parent_id: Option<String>,
    /// Whether the parent is known to be in another process.
    pub has_remote_parent: bool,
    pub name: String,
    /// Nanoseconds since 1970; 0 is unknown.
    pub started_ns: u64,
    /// Nanoseconds since 1970; 0 while it runs.
    pub ended_ns: u64,
    pub status: Status,
    pub status_message: String,
    pub attributes: Attributes,
    pub events: Vec<Event>,
    pub origin: Arc<Origin>,
}

impl Span {
    /// `None` without a trace id and a span id, which makes a span unusable.
    pub fn of(span: message::Span, origin: &Arc<Origin>) -> Option<Self> {
        let status = span.status.unwrap_or_default();
        let is_remote = HAS_IS_REMOTE | IS_REMOTE;
        Some(Self {
            trace_id: id::<16>(&span.trace_id)?,
            id: id::<8>(&span.span_id)?,
            parent_id: id::<8>(&span.parent_span_id),
            has_remote_parent: span.flags & is_remote == is_remote,
            name: text(&span.name),
            started_ns: span.start_time_unix_nano,
            ended_ns: span.end_time_unix_nano,
            status: match status.code {
                2 => Status::Error,
                1 => Status::Fine,
                _ => Status::Unset,
            },
            status_message: text(&status.message),
            attributes: attributes(span.attributes),
            events: span.events.into_iter().map(event).collect(),
            origin: origin.clone(),
        })
    }

    /// An attribute that says something: not null, not an empty text, list or object.
    pub fn said(&self, key: &str) -> Option<&Value> {
        self.attributes.get(key).filter(|value| !is_empty(value))
    }

    /// The same as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.said(key)?.as_str()
    }
}

pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// An id of `N` bytes that are not all zero, which OpenTelemetry calls invalid.
fn id<const N: usize>(bytes: &[u8]) -> Option<String> {
    let is_valid = bytes.len() == N && bytes.iter().any(|byte| *byte != 0);
    is_valid.then(|| hex::encode(bytes))
}

fn event(event: message::Event) -> Event {
    Event {
        name: text(&event.name),
        attributes: attributes(event.attributes),
    }
}

/// Of a key that comes twice, the last counts.
pub fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let kept = pairs.into_iter().take(ATTRIBUTES_MAX);
    let named = kept.filter(|pair| pair.key.len() <= KEY_MAX);
    named
        .map(|pair| (text(&pair.key), bounded(plain(pair.value))))
        .collect()
}

/// A text with U+FFFD where there was what no row can hold: NUL, and bytes that are no UTF-8.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// Never deeper than the decoder lets messages be, which is a hundred levels.
fn plain(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        None => Value::Null,
        Some(Any::Text(bytes)) => Value::String(text(&bytes)),
        Some(Any::Bool(flag)) => flag.into(),
        Some(Any::Int(number)) => number.into(),
        Some(Any::Double(number)) => number.into(),
        Some(Any::Bytes(bytes)) => Value::String(STANDARD.encode(bytes)),
        Some(Any::Array(array)) => {
            let items = array.values.into_iter();
            items.map(|item| plain(Some(item))).collect()
        }
        Some(Any::Fields(fields)) => {
            let pairs = fields.values.into_iter();
            let plain = pairs.map(|pair| (text(&pair.key), plain(pair.value)));
            Value::Object(plain.collect())
        }
    }
}
