//! Which traces are read: said to Langfuse, so that no others come.

use serde_json::{Value, json};

use super::Api;
use crate::domain::sha256_hex;

/// The columns that say something of a whole trace in both APIs, with v3's name where it differs, and
/// the types of conditions that fit them.
///
/// v4 filters observation by observation: by any other column a trace would come in parts.
const COLUMNS: [(&str, &str, &[&str]); 6] = [
    ("environment", "environment", TEXT),
    ("traceName", "name", TEXT),
    ("userId", "userId", TEXT),
    ("sessionId", "sessionId", TEXT),
    ("version", "version", TEXT),
    ("tags", "tags", &["arrayOptions"]),
];
const TEXT: &[&str] = &["string", "stringOptions", "null"];

/// The operators of each type.
const OPERATORS: [(&str, &[&str]); 4] = [
    (
        "string",
        &[
            "=",
            "contains",
            "does not contain",
            "starts with",
            "ends with",
        ],
    ),
    ("stringOptions", &["any of", "none of"]),
    ("arrayOptions", &["any of", "none of", "all of"]),
    ("null", &["is null", "is not null"]),
];

/// Conditions that all hold; none lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    conditions: Vec<Value>,
}

impl Filter {
    /// Reads a JSON array of Langfuse's filter conditions, in the words of v4's API.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed: Result<Vec<Value>, _> = serde_json::from_str(text);
        let parsed = parsed.map_err(|_| "is not a JSON array of conditions".to_owned())?;
        let conditions: Result<Vec<Value>, String> = parsed.iter().map(condition).collect();
        Ok(Self {
            conditions: conditions?,
        })
    }

    /// A column that has one of these values; no value lets everything through.
    pub fn any_of(column: &str, values: &[&str]) -> Self {
        let condition = match (column, values) {
            (_, []) => return Self::default(),
            ("tags", _) => {
                json!({"type": "arrayOptions", "column": column, "operator": "any of", "value": values})
            }
            (_, [value]) => {
                json!({"type": "string", "column": column, "operator": "=", "value": value})
            }
            _ => {
                json!({"type": "stringOptions", "column": column, "operator": "any of", "value": values})
            }
        };
        Self {
            conditions: vec![condition],
        }
    }

    /// Both hold.
    pub fn and(mut self, other: Self) -> Self {
        self.conditions.extend(other.conditions);
        self
    }

    /// Tells filters apart; empty where everything is let through.
    pub fn mark(&self) -> String {
        match self.is_empty() {
            true => String::new(),
            false => sha256_hex(Value::Array(self.conditions.clone()).to_string()),
        }
    }

    /// Whether everything is let through.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// The value of the parameter `filter`, with conditions of the request's own: it replaces all other
    /// parameters that choose.
    pub(super) fn with(&self, api: Api, mut own: Vec<Value>) -> String {
        own.extend(self.conditions.iter().map(|condition| match api {
            Api::V4 => condition.clone(),
            Api::V3 => in_v3s_words(condition),
        }));
        Value::Array(own).to_string()
    }
}

fn in_v3s_words(condition: &Value) -> Value {
    let mut condition = condition.clone();
    let known = COLUMNS.iter().find(|(v4, ..)| condition["column"] == *v4);
    if let Some((_, v3, _)) = known {
        condition["column"] = json!(v3);
    }
    condition
}

/// A condition with nothing but what it needs.
fn condition(given: &Value) -> Result<Value, String> {
    let text = |key: &str| given[key].as_str().unwrap_or_default();
    let column = match text("column") {
        "traceTags" => "tags",
        other => other,
    };
    let Some((_, _, kinds)) = COLUMNS.iter().find(|(name, ..)| *name == column) else {
        let known = COLUMNS.map(|(name, ..)| name).join(", ");
        return Err(format!(
            "has the column `{column}`, by which a trace would come in parts; there are {known}"
        ));
    };
    let kind = text("type");
    let operators = OPERATORS.iter().find(|(name, _)| *name == kind);
    let Some((_, operators)) = operators.filter(|_| kinds.contains(&kind)) else {
        let kinds = kinds.join(", ");
        return Err(format!(
            "has the type `{kind}` for `{column}`, which takes {kinds}"
        ));
    };
    let operator = text("operator");
    if !operators.contains(&operator) {
        let operators = operators.join(", ");
        return Err(format!(
            "has the operator `{operator}` for `{kind}`, which takes {operators}"
        ));
    }
    let value = &given["value"];
    let texts = |value: &Value| {
        let items = value.as_array();
        items.is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string))
    };
    match kind {
        "null" => Ok(json!({"type": kind, "column": column, "operator": operator, "value": ""})),
        "string" if !value.is_string() => Err(format!("needs a text as the value of `{column}`")),
        "stringOptions" | "arrayOptions" if !texts(value) => {
            Err(format!("needs a list of texts as the value of `{column}`"))
        }
        _ => Ok(json!({"type": kind, "column": column, "operator": operator, "value": value})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_about_whole_traces_are_taken_and_said_in_each_apis_words() {
        let text = r#"[{"type": "string", "column": "traceName", "operator": "starts with", "value": "chat"},
            {"type": "arrayOptions", "column": "traceTags", "operator": "all of", "value": ["a", "b"]},
            {"type": "null", "column": "userId", "operator": "is not null", "extra": 1}]"#;
        let filter = Filter::parse(text).expect("it is right");
        let columns = |api| {
            let said: Vec<Value> =
                serde_json::from_str(&filter.with(api, vec![json!({"column": "own"})]))
                    .expect("it is JSON");
            said.iter()
                .map(|condition| condition["column"].as_str().expect("a text").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(columns(Api::V4), ["own", "traceName", "tags", "userId"]);
        assert_eq!(columns(Api::V3), ["own", "name", "tags", "userId"]);
        assert!(!filter.is_empty() && Filter::parse("[]").expect("it is right").is_empty());
    }

    #[test]
    fn what_would_bring_parts_or_is_no_condition_is_refused_with_the_reason() {
        for (text, reason) in [
            ("{}", "JSON array"),
            ("[1]", "column ``"),
            (
                r#"[{"type": "string", "column": "name", "operator": "=", "value": "x"}]"#,
                "in parts",
            ),
            (
                r#"[{"type": "number", "column": "version", "operator": "=", "value": 1}]"#,
                "type `number`",
            ),
            (
                r#"[{"type": "string", "column": "tags", "operator": "=", "value": "x"}]"#,
                "arrayOptions",
            ),
            (
                r#"[{"type": "string", "column": "version", "operator": "matches", "value": "x"}]"#,
                "matches",
            ),
            (
                r#"[{"type": "string", "column": "version", "operator": "=", "value": 1}]"#,
                "a text",
            ),
            (
                r#"[{"type": "stringOptions", "column": "version", "operator": "any of", "value": []}]"#,
                "list",
            ),
        ] {
            let error = Filter::parse(text).expect_err("it is wrong");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn simple_lists_become_the_simplest_condition() {
        let kind = |column, values: &[&str]| {
            let filter = Filter::any_of(column, values);
            let kind = filter.conditions.first().map(|one| one["type"].clone());
            kind.map(|kind| kind.as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(kind("environment", &[]), None);
        assert_eq!(kind("environment", &["p"]).as_deref(), Some("string"));
        assert_eq!(
            kind("traceName", &["a", "b"]).as_deref(),
            Some("stringOptions")
        );
        assert_eq!(kind("tags", &["a"]).as_deref(), Some("arrayOptions"));
    }
}
