use serde_json::Value;

use super::lenient;

/// Rows are read with a limit of 128 levels, and values stand some levels down in them.
const DEPTH_MAX: usize = 64;

/// The value, or its text where it is too deep to be read again from a row.
pub fn bounded(value: Value) -> Value {
    match is_deeper_than(&value, DEPTH_MAX) {
        true => Value::String(value.to_string()),
        false => value,
    }
}

/// Whether lists and objects stand in each other more than so many levels deep.
pub fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let deeper = |inner: &Value| levels == 0 || is_deeper_than(inner, levels - 1);
    match value {
        Value::Array(items) => items.iter().any(deeper),
        Value::Object(fields) => fields.values().any(deeper),
        _ => false,
    }
}

/// Objects and lists that stand in a text; any other value as it is. A lone number or a quoted word is more
/// often a text than JSON.
pub fn parsed(value: &Value) -> Value {
    let text = value.as_str().map(str::trim_start).unwrap_or_default();
    if !text.starts_with(['{', '[']) {
        return value.clone();
    }
    match lenient::parse(text.as_bytes()) {
        Ok((inner, _)) if !is_deeper_than(&inner, DEPTH_MAX) => inner,
        _ => value.clone(),
    }
}
