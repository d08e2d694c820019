//! JSON values out of attributes: parsed where a text holds JSON, gathered where they come in pieces, never
//! deeper than a row can be read again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::span::Attributes;
pub use crate::domain::{bounded, parsed};

/// Strings as they are, anything else as JSON; `None` for what says nothing.
pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

/// A number, also where it stands in a text.
pub fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite() && *number >= 0.0)
}

/// The list whose items stand under `prefix.0.…`, `prefix.1.…`, each an object of its paths; in the order of
/// the numbers, whatever gaps they have. Empty where there is none.
pub fn gathered(attributes: &Attributes, prefix: &str) -> Vec<Map<String, Value>> {
    let mut items = BTreeMap::<usize, Map<String, Value>>::new();
    for (key, value) in attributes {
        let path = key
            .strip_prefix(prefix)
            .and_then(|key| key.strip_prefix('.'));
        let Some((number, path)) = path.and_then(|path| path.split_once('.')) else {
            continue;
        };
        if let Ok(number) = number.parse() {
            let item = items.entry(number).or_default();
            item.insert(path.to_owned(), value.clone());
        }
    }
    items.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!("core"), |inner, _| json!([inner]))
    }

    #[test]
    fn what_is_too_deep_becomes_its_text_and_loses_nothing() {
        assert_eq!(bounded(nested(64)), nested(64));
        let deep = bounded(nested(65));
        assert!(deep.as_str().is_some_and(|text| text.contains("core")));
        let text = json!(nested(100).to_string());
        assert_eq!(parsed(&text), text);
    }

    #[test]
    fn pieces_are_gathered_by_number_whatever_their_order_and_gaps() {
        let Value::Object(attributes) = json!({
            "p.10.role": "c", "p.2.role": "b", "p.0.role": "a", "p.0.calls.1.name": "n",
            "p.x.role": "-", "p.role": "-", "pp.0.role": "-", "p.-1.role": "-", "p.": "-",
        }) else {
            panic!("it is an object")
        };
        let items = gathered(&attributes, "p");
        let roles: Vec<&Value> = items.iter().map(|item| &item["role"]).collect();
        assert_eq!(roles, ["a", "b", "c"]);
        assert_eq!(gathered(&items[0], "calls")[0]["name"], "n");
        assert!(gathered(&attributes, "q").is_empty());
    }
}
