//! What the providers want of a JSON Schema before they promise an answer of its shape.

use serde_json::Value;

/// Keywords that neither provider takes in a strict schema.
const UNSUPPORTED: [&str; 6] = [
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "maxItems",
];

/// What is wrong with the schema; `all_required` is OpenAI's wish, that each property is required.
pub fn complaint(schema: &Value, all_required: bool) -> Option<String> {
    let fields = schema.as_object()?;
    if let Some(keyword) = UNSUPPORTED.iter().find(|word| fields.contains_key(**word)) {
        return Some(format!("'{keyword}' is not supported"));
    }
    if schema["type"] == "object" {
        if schema["additionalProperties"] != false {
            return Some("'additionalProperties' must be false for every object".to_owned());
        }
        if all_required && !requires_all(schema) {
            return Some("'required' must name every key of 'properties'".to_owned());
        }
    }
    let properties = schema["properties"].as_object();
    let inner = properties.into_iter().flat_map(|of| of.values());
    let mut inner = inner.chain(schema.get("items"));
    inner.find_map(|schema| complaint(schema, all_required))
}

fn requires_all(schema: &Value) -> bool {
    let required = schema["required"].as_array();
    let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|n| n == name));
    let properties = schema["properties"].as_object();
    properties.is_none_or(|properties| properties.keys().all(is_required))
}
