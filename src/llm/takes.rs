//! What a model takes beside the prompt: nothing says it beforehand, so it is learnt from refusals.

use serde_json::Value;

use super::{Prompt, Task};

/// Tokens for thinking, which providers count with the answer's. Where a model thinks less, they cost nothing.
const THINKING: u32 = 8_000;
/// The same for `judge`, where little thinking is asked for.
const THINKING_OF_JUDGE: u32 = 2_000;

/// How an answer's shape is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The provider holds the model to the schema.
    Schema,
    /// The provider holds the model to JSON; the prompt has the schema. OpenAI's side only.
    Json,
    /// The prompt has the schema.
    Text,
}

/// What one model at one provider is known to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Takes {
    pub format: Format,
    /// `temperature: 0`; models that think refuse it.
    pub temperature: bool,
    /// How much to think; models that don't refuse it.
    pub effort: bool,
    /// More tokens than the answer alone needs, under the newer of the two names that OpenAI's side has for it.
    pub room_to_think: bool,
    /// Marks up to where a prompt is to be kept. Anthropic's side only.
    pub cache_marks: bool,
}

impl Default for Takes {
    fn default() -> Self {
        Self {
            format: Format::Schema,
            temperature: true,
            effort: true,
            room_to_think: true,
            cache_marks: true,
        }
    }
}

impl Takes {
    /// What to leave out from now on, after a request with these was refused with this complaint; `None` where it is
    /// about something else. `has_json` is whether there is a step between a schema and plain text.
    pub fn without(self, complaint: &str, has_json: bool) -> Option<Self> {
        let complaint = complaint.to_lowercase();
        let names = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
        let next = match self {
            _ if self.temperature && names(&["temperature"]) => Self {
                temperature: false,
                ..self
            },
            _ if self.effort && names(&["effort"]) => Self {
                effort: false,
                ..self
            },
            _ if self.room_to_think && names(&["max_tokens", "max_completion_tokens"]) => Self {
                room_to_think: false,
                ..self
            },
            _ if self.cache_marks && names(&["cache_control"]) => Self {
                cache_marks: false,
                ..self
            },
            _ if self.format != Format::Text && names(&FORMAT_WORDS) => Self {
                format: match self.format {
                    Format::Schema if has_json => Format::Json,
                    _ => Format::Text,
                },
                ..self
            },
            _ => return None,
        };
        Some(next)
    }

    /// The limit of tokens to ask with.
    pub fn max_tokens(&self, prompt: &Prompt) -> u32 {
        let thinking = match (self.room_to_think, prompt.task) {
            (false, _) => 0,
            (true, Task::Judge) => THINKING_OF_JUDGE,
            (true, Task::Propose | Task::Write) => THINKING,
        };
        prompt.max_tokens.saturating_add(thinking)
    }

    /// The request, with the schema where nothing else holds the model to it.
    pub fn request(&self, prompt: &Prompt) -> String {
        match self.format {
            Format::Schema => prompt.request.clone(),
            Format::Json | Format::Text => format!(
                "{}\n\nAnswer with one JSON object of this JSON Schema and nothing else:\n{}",
                prompt.request, prompt.schema
            ),
        }
    }
}

/// What providers and compatible servers call what holds a model to a shape.
const FORMAT_WORDS: [&str; 6] = [
    "response_format",
    "json_schema",
    "json_object",
    "output_config",
    "output_format",
    "schema",
];

/// What a refusal complains about: the parameter where it is named, else the message, else all of it.
pub(super) fn complaint(body: &Value) -> String {
    let error = &body["error"];
    let named = [
        &error["param"],
        &error["message"],
        error,
        &body["message"],
        &body["detail"],
    ];
    let named = named.iter().find_map(|text| text.as_str());
    named.map_or_else(|| body.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_a_refusal_names_is_left_out_and_nothing_else() {
        let all = Takes::default();
        for (complaint, expected) in [
            (
                "`temperature` is deprecated for this model.",
                Takes {
                    temperature: false,
                    ..all
                },
            ),
            (
                "reasoning_effort",
                Takes {
                    effort: false,
                    ..all
                },
            ),
            (
                "max_completion_tokens",
                Takes {
                    room_to_think: false,
                    ..all
                },
            ),
            (
                "system.0.cache_control: extra",
                Takes {
                    cache_marks: false,
                    ..all
                },
            ),
            (
                "response_format",
                Takes {
                    format: Format::Json,
                    ..all
                },
            ),
            (
                "output_config.format.schema: 'x'",
                Takes {
                    format: Format::Json,
                    ..all
                },
            ),
        ] {
            assert_eq!(all.without(complaint, true), Some(expected), "{complaint}");
        }
        assert_eq!(all.without("prompt is too long: 210000 tokens", true), None);
        let text = all.without("json_schema", false).expect("it steps down");
        assert_eq!(text.format, Format::Text);
    }

    #[test]
    fn a_complaint_is_found_wherever_servers_put_it() {
        for (body, expected) in [
            (
                json!({"error": {"param": "temperature", "message": "no"}}),
                "temperature",
            ),
            (json!({"error": {"param": null, "message": "no"}}), "no"),
            (
                json!({"error": "'response_format.type' must be 'json_schema'"}),
                "'response_format.type' must be 'json_schema'",
            ),
            (json!({"message": "m"}), "m"),
            (
                json!({"detail": [{"loc": ["temperature"]}]}),
                r#"{"detail":[{"loc":["temperature"]}]}"#,
            ),
            (json!(null), "null"),
        ] {
            assert_eq!(complaint(&body), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_refused_there_is_an_end(complaints in proptest::collection::vec(
            "(temperature|effort|max_tokens|cache_control|schema|other)", 0..40
        )) {
            let (mut takes, mut steps) = (Takes::default(), 0);
            for complaint in &complaints {
                if let Some(next) = takes.without(complaint, true) {
                    (takes, steps) = (next, steps + 1);
                }
            }
            prop_assert!(steps <= 6);
        }
    }
}
