use serde_json::{Value, json};

/// A score on a trace. The same id replaces: derive it from what the score is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Ours.
    pub id: String,
    /// The trace it is about; Langfuse takes it before the trace has arrived there, too.
    pub trace_id: String,
    /// The eval's name; the same as its config's, where there is one.
    pub name: String,
    /// The verdict or label.
    pub value: ScoreValue,
    /// Why.
    pub comment: Option<String>,
    /// An object that Langfuse keeps beside the score.
    pub metadata: Value,
}

/// A score's value, which also names its data type.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreValue {
    /// Pass (true) or fail.
    Boolean(bool),
    /// One of a config's categories.
    Categorical(String),
}

/// What a score config allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreType {
    /// True or false.
    Boolean,
    /// One of these words; their numbers in Langfuse's charts are their places in the list.
    Categorical(&'static [&'static str]),
}

/// Langfuse's limit on the names of score configs.
const CONFIG_NAME_MAX: usize = 35;

/// Whether Langfuse allows a score config of this name: at most 35 letters, digits, spaces and `_.()-`.
/// Scores themselves may have any name.
pub fn is_config_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.()- ".contains(c);
    !name.is_empty() && name.len() <= CONFIG_NAME_MAX && name.chars().all(allowed)
}

impl Score {
    /// The body of `POST /api/public/scores`.
    pub fn to_request(&self) -> Value {
        let (value, data_type) = match &self.value {
            ScoreValue::Boolean(value) => (json!(u8::from(*value)), "BOOLEAN"),
            ScoreValue::Categorical(value) => (json!(value), "CATEGORICAL"),
        };
        json!({
            "id": self.id, "traceId": self.trace_id, "name": self.name, "value": value,
            "dataType": data_type, "comment": self.comment, "metadata": self.metadata,
        })
    }
}

impl ScoreType {
    /// The body of `POST /api/public/score-configs`.
    pub fn to_request(self, name: &str) -> Value {
        match self {
            Self::Boolean => json!({"name": name, "dataType": "BOOLEAN"}),
            Self::Categorical(words) => {
                let categories: Vec<Value> = words
                    .iter()
                    .enumerate()
                    .map(|(place, word)| json!({"label": word, "value": place}))
                    .collect();
                json!({"name": name, "dataType": "CATEGORICAL", "categories": categories})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boolean_travels_as_one_or_zero_and_a_category_as_text() {
        let mut score = Score {
            id: "i".to_owned(),
            trace_id: "t".to_owned(),
            name: "cites a source".to_owned(),
            value: ScoreValue::Boolean(false),
            comment: None,
            metadata: json!({}),
        };
        let request = score.to_request();
        assert_eq!(
            (&request["value"], &request["dataType"]),
            (&json!(0), &json!("BOOLEAN"))
        );
        score.value = ScoreValue::Categorical("up".to_owned());
        assert_eq!(score.to_request()["value"], json!("up"));
    }

    #[test]
    fn names_that_langfuse_refuses_for_configs_are_known() {
        for (name, allowed) in [
            ("cites a source (v1.2)_x-y", true),
            ("iofold/eval", false),
            ("", false),
            ("ü", false),
            (&"a".repeat(35), true),
            (&"a".repeat(36), false),
        ] {
            assert_eq!(is_config_name(name), allowed, "{name}");
        }
    }
}
