//! Answers of an asked-for shape, out of text.

use serde_json::Value;

use crate::domain::lenient;

/// The JSON of an answer, if it is of the schema's shape: alone, or alone in a Markdown fence. No other text is
/// looked through for JSON, for it may quote what a trace says.
pub(super) fn read(text: &str, schema: &Value) -> Option<Value> {
    let (value, _) = lenient::parse(without_fence(text).as_bytes()).ok()?;
    fits(&value, schema).then_some(value)
}

fn without_fence(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| {
        let rest = rest.strip_prefix("json").unwrap_or(rest);
        rest.strip_suffix("```")
    });
    inner.map_or(text, str::trim)
}

/// Whether `value` is as the schema says, as far as `type`, `enum`, `properties`, `required`,
/// `additionalProperties: false` and `items` go.
fn fits(value: &Value, schema: &Value) -> bool {
    let choices = schema["enum"].as_array();
    let is_choice = choices.is_none_or(|choices| choices.contains(value));
    is_choice
        && is_of_type(value, &schema["type"])
        && match value {
            Value::Object(_) => fits_as_object(value, schema),
            Value::Array(items) => {
                let each = schema.get("items");
                each.is_none_or(|schema| items.iter().all(|item| fits(item, schema)))
            }
            _ => true,
        }
}

fn fits_as_object(value: &Value, schema: &Value) -> bool {
    let Some(fields) = value.as_object() else {
        return false;
    };
    let closed = schema["additionalProperties"] == false;
    let mut required = schema["required"].as_array().into_iter().flatten();
    let has_all = required.all(|name| name.as_str().is_some_and(|name| fields.contains_key(name)));
    has_all
        && fields.iter().all(|(name, value)| {
            let property = schema["properties"].get(name);
            property.map_or(!closed, |schema| fits(value, schema))
        })
}

/// No type is any; several are any of them.
fn is_of_type(value: &Value, kind: &Value) -> bool {
    match kind {
        Value::String(kind) => match kind.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "null" => value.is_null(),
            _ => false,
        },
        Value::Array(kinds) => kinds.iter().any(|kind| is_of_type(value, kind)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["answer", "names"],
            "properties": {
                "answer": {"type": "string", "enum": ["yes", "no"]},
                "names": {"type": "array", "items": {"type": ["string", "null"]}},
                "count": {"type": "integer"},
            },
        })
    }

    #[test]
    fn json_alone_or_in_a_fence_is_read() {
        let fine = json!({"answer": "yes", "names": ["a", null], "count": 1});
        for text in [
            fine.to_string(),
            format!("\n {fine} \n"),
            format!("```json\n{fine}\n```"),
            format!("```\n{fine}```\n"),
        ] {
            assert_eq!(read(&text, &schema()), Some(fine.clone()), "{text}");
        }
    }

    #[test]
    fn another_shape_and_prose_around_json_are_no_answer() {
        for text in [
            "",
            "```",
            "``````",
            "```json",
            "yes",
            "[]",
            "null",
            r#"{"answer": "yes"}"#,
            r#"{"answer": "maybe", "names": []}"#,
            r#"{"answer": "YES", "names": []}"#,
            r#"{"answer": true, "names": []}"#,
            r#"{"answer": "yes", "names": [1]}"#,
            r#"{"answer": "yes", "names": {}}"#,
            r#"{"answer": "yes", "names": [], "count": 1.5}"#,
            r#"{"answer": "yes", "names": [], "more": 1}"#,
            r#"{"answer": "yes", "names": []} {"answer": "no", "names": []}"#,
            r#"Sure: {"answer": "yes", "names": []}"#,
            r#"{"answer": "yes", "names": []"#,
        ] {
            assert_eq!(read(text, &schema()), None, "{text}");
        }
    }

    #[test]
    fn what_no_database_holds_is_replaced() {
        let schema = json!({"type": "object"});
        let read = read(r#"{"a": "x\u0000y\ud800"}"#, &schema).expect("it is JSON");
        assert_eq!(read["a"], "x\u{fffd}y\u{fffd}");
    }

    proptest! {
        #[test]
        fn no_text_brings_it_down(text in any::<String>(), fenced in any::<bool>()) {
            let text = if fenced { format!("```json\n{text}\n```") } else { text };
            if let Some(value) = read(&text, &schema()) {
                prop_assert!(value["answer"] == "yes" || value["answer"] == "no");
            }
        }
    }
}
