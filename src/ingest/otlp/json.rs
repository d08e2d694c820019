//! OTLP's JSON: lowerCamelCase names, ids in hexadecimal, enums as numbers, 64-bit integers as text or number.
//!
//! Unknown fields are left out, and null counts as absent.

use std::sync::Arc;

use prost::bytes::Bytes;
use serde_json::{Map, Value};

use super::decode::Undecodable;
use super::message::{Any, AnyValue, ArrayValue, Event, KeyValue, KeyValueList, Span, Status};
use super::span::{Attributes, Origin, attributes};

/// The objects in the list under `key`, which may be absent.
pub fn list(of: Value, key: &str) -> Result<Vec<Value>, Undecodable> {
    let Value::Object(mut fields) = of else {
        return Err(Undecodable);
    };
    match fields.remove(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Undecodable),
    }
}

/// The attributes of the resource that a group of spans comes from; none where they are too long.
pub fn resource(group: &Value, length_max: usize) -> Attributes {
    match &group["resource"]["attributes"] {
        pairs if length(pairs) <= length_max => attributes(key_values(pairs)),
        _ => Attributes::new(),
    }
}

/// Where the spans of one scope were made.
pub fn origin(resource: &Arc<Attributes>, spans: &Value) -> Origin {
    let text = |key: &str| spans["scope"][key].as_str().unwrap_or_default().to_owned();
    Origin {
        resource: resource.clone(),
        scope_name: text("name"),
        scope_version: text("version"),
    }
}

/// About how many bytes of JSON a value is.
pub fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| length(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            let fields = fields.iter();
            let lengths = fields.map(|(key, value)| key.len() + 4 + length(value));
            lengths.sum::<usize>() + 2
        }
        _ => 4,
    }
}

/// `None` for what is no object.
pub fn span(value: Value) -> Option<Span> {
    let Value::Object(fields) = value else {
        return None;
    };
    let status = fields.get("status").and_then(Value::as_object);
    Some(Span {
        trace_id: id(&fields, "traceId"),
        span_id: id(&fields, "spanId"),
        parent_span_id: id(&fields, "parentSpanId"),
        name: text(&fields, "name"),
        start_time_unix_nano: integer(fields.get("startTimeUnixNano")).unwrap_or_default(),
        end_time_unix_nano: integer(fields.get("endTimeUnixNano")).unwrap_or_default(),
        attributes: key_values(fields.get("attributes").unwrap_or(&Value::Null)),
        events: events(fields.get("events").unwrap_or(&Value::Null)),
        status: status.map(read_status),
        flags: integer(fields.get("flags")).unwrap_or_default(),
    })
}

fn objects(list: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_object)
}

fn events(list: &Value) -> Vec<Event> {
    objects(list)
        .map(|fields| Event {
            name: text(fields, "name"),
            attributes: key_values(fields.get("attributes").unwrap_or(&Value::Null)),
        })
        .collect()
}

/// Some senders write the code's name, as protobuf's own JSON would.
fn read_status(fields: &Map<String, Value>) -> Status {
    let code = match fields.get("code") {
        Some(Value::String(name)) if name == "STATUS_CODE_ERROR" => 2,
        Some(Value::String(name)) if name == "STATUS_CODE_OK" => 1,
        code => integer(code).unwrap_or_default(),
    };
    Status {
        message: text(fields, "message"),
        code,
    }
}

/// Hexadecimal digits, of either case; empty where they are none.
fn id(fields: &Map<String, Value>, key: &str) -> Bytes {
    let digits = fields.get(key).and_then(Value::as_str).unwrap_or_default();
    hex::decode(digits).unwrap_or_default().into()
}

fn text(fields: &Map<String, Value>, key: &str) -> Bytes {
    let text = fields.get(key).and_then(Value::as_str).unwrap_or_default();
    Bytes::copy_from_slice(text.as_bytes())
}

/// An integer as a number or as text.
fn integer<N: std::str::FromStr>(value: Option<&Value>) -> Option<N> {
    match value? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn key_values(list: &Value) -> Vec<KeyValue> {
    objects(list)
        .map(|fields| KeyValue {
            key: text(fields, "key"),
            value: fields.get("value").map(any),
        })
        .collect()
}

fn any(value: &Value) -> AnyValue {
    let named = value
        .as_object()
        .and_then(|fields| fields.iter().find_map(one_of));
    AnyValue { value: named }
}

fn one_of((kind, value): (&String, &Value)) -> Option<Any> {
    match kind.as_str() {
        "stringValue" => {
            let text = value.as_str()?;
            Some(Any::Text(Bytes::copy_from_slice(text.as_bytes())))
        }
        "boolValue" => value.as_bool().map(Any::Bool),
        "intValue" => integer(Some(value)).map(Any::Int),
        "doubleValue" => double(value).map(Any::Double),
        // Base64 in JSON and base64 in the end: there is nothing to decode.
        "bytesValue" => {
            let text = value.as_str()?;
            Some(Any::Text(Bytes::copy_from_slice(text.as_bytes())))
        }
        "arrayValue" => {
            let items = value["values"].as_array().into_iter().flatten();
            let values = items.map(any).collect();
            Some(Any::Array(ArrayValue { values }))
        }
        "kvlistValue" => {
            let values = key_values(&value["values"]);
            Some(Any::Fields(KeyValueList { values }))
        }
        _ => None,
    }
}

/// Protobuf's JSON writes what is no number as text.
fn double(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        _ => value.as_f64(),
    }
}
