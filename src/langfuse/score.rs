use serde_json::{Value, json};

/// A score. The same id replaces: derive it from what the score is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Ours.
    pub id: String,
    /// What it is about.
    pub subject: Subject,
    /// The eval's name; the same as its config's, where there is one.
    pub name: String,
    /// The verdict or label.
    pub value: ScoreValue,
    /// Why.
    pub comment: Option<String>,
    /// An object that Langfuse keeps beside the score.
    pub metadata: Value,
    /// The config of its name, where there is one: name, type and value must fit it.
    pub config_id: Option<String>,
}

/// What a score is about. Langfuse takes the id of a trace or session that has not arrived there, too.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// One trace.
    Trace(String),
    /// All traces of a session.
    Session(String),
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
    /// The body of `POST /api/public/scores`, and of a `score-create` event.
    pub fn to_request(&self) -> Value {
        let (value, data_type) = match &self.value {
            ScoreValue::Boolean(value) => (json!(u8::from(*value)), "BOOLEAN"),
            ScoreValue::Categorical(value) => (json!(value), "CATEGORICAL"),
        };
        let (subject, id) = match &self.subject {
            Subject::Trace(id) => ("traceId", id),
            Subject::Session(id) => ("sessionId", id),
        };
        let mut request = json!({
            "id": self.id, subject: id, "name": self.name, "value": value,
            "dataType": data_type, "comment": self.comment, "metadata": self.metadata,
        });
        if let Some(config) = &self.config_id {
            request["configId"] = json!(config);
        }
        request
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

    /// Whether scores of this type may name the config, as Langfuse lists it.
    pub fn fits(self, config: &Value) -> bool {
        let is_archived = config["isArchived"] == true;
        let fits = match self {
            Self::Boolean => config["dataType"] == "BOOLEAN",
            Self::Categorical(words) => {
                let categories = config["categories"]
                    .as_array()
                    .map_or(&[][..], Vec::as_slice);
                let has = |word| categories.iter().any(|category| category["label"] == word);
                config["dataType"] == "CATEGORICAL" && words.iter().all(|word| has(*word))
            }
        };
        fits && !is_archived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boolean_travels_as_one_or_zero_and_a_category_as_text() {
        let mut score = Score {
            id: "i".to_owned(),
            subject: Subject::Trace("t".to_owned()),
            name: "cites a source".to_owned(),
            value: ScoreValue::Boolean(false),
            comment: None,
            metadata: json!({}),
            config_id: None,
        };
        let request = score.to_request();
        assert_eq!(
            (&request["value"], &request["dataType"]),
            (&json!(0), &json!("BOOLEAN"))
        );
        score.value = ScoreValue::Categorical("up".to_owned());
        assert_eq!(score.to_request()["value"], json!("up"));
        score.subject = Subject::Session("s".to_owned());
        let request = score.to_request();
        assert_eq!(
            (&request["sessionId"], request.get("traceId")),
            (&json!("s"), None)
        );
    }

    #[test]
    fn a_config_of_another_type_or_of_other_words_or_an_archived_one_is_not_named() {
        let words = ScoreType::Categorical(&["up", "down"]);
        let of = |words: &[&str]| {
            let categories: Vec<Value> = words.iter().map(|word| json!({"label": word})).collect();
            json!({"dataType": "CATEGORICAL", "categories": categories})
        };
        let mut archived = of(&["up", "down"]);
        archived["isArchived"] = json!(true);
        for (kind, config, expected) in [
            (words, of(&["down", "other", "up"]), true),
            (words, of(&["up"]), false),
            (words, archived, false),
            (
                words,
                json!({"dataType": "BOOLEAN", "categories": null}),
                false,
            ),
            (ScoreType::Boolean, json!({"dataType": "BOOLEAN"}), true),
            (ScoreType::Boolean, json!({"dataType": "NUMERIC"}), false),
            (ScoreType::Boolean, Value::Null, false),
        ] {
            assert_eq!(kind.fits(&config), expected, "{config}");
        }
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
