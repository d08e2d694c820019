//! OpenAI's stored chat completions: those that were made with `store: true`.
//!
//! The list has each completion without what was asked; that is a request for each. Source: the package `openai` 3.57.

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::sender::{Error, Sender};
use super::{Lined, rfc3339};
use crate::domain::bounded;
use crate::langfuse::{Budget, TracePayload};

/// Requests a minute that we make of it at most; OpenAI says by 429 where it takes fewer.
const A_MINUTE: u32 = 120;
/// Completions, and messages, asked for at once: OpenAI's largest page.
const PAGE: &str = "100";

/// How to reach one OpenAI project.
#[derive(Clone, Debug)]
pub struct StoredConfig {
    /// `https://api.openai.com/v1`.
    pub base_url: Url,
    /// A key that may read chat completions.
    pub api_key: SecretString,
}

/// One OpenAI project's stored completions; cheap to clone.
#[derive(Clone)]
pub struct Client {
    sender: Sender,
    config: StoredConfig,
}

/// A completion as the list has it.
#[derive(Clone, Debug)]
pub struct Completion {
    /// `chatcmpl-…`.
    pub id: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    fields: Map<String, Value>,
}

impl Client {
    /// # Errors
    /// The TLS set-up of this machine cannot be read.
    pub fn new(config: &StoredConfig) -> anyhow::Result<Self> {
        let variable = "OPENAI_STORED_COMPLETIONS_API_KEY";
        Ok(Self {
            sender: Sender::new("OpenAI", variable, Some(A_MINUTE))?,
            config: config.clone(),
        })
    }

    /// What the requests are counted against.
    pub fn budget(&self) -> &Budget {
        self.sender.budget()
    }

    /// The newest completions, or those that are older than one; says whether there are more.
    pub async fn completions(&self, after: Option<&str>) -> Result<(Vec<Completion>, bool), Error> {
        let request = self.get(&[]).query(&[("order", "desc")]);
        let (items, has_more) = self.page(request, after).await?;
        Ok((items.into_iter().filter_map(completion).collect(), has_more))
    }

    /// The trace of a completion, with what was asked.
    pub async fn trace(&self, completion: Completion) -> Result<Lined, Error> {
        let mut messages = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let request = self
                .get(&[&completion.id, "messages"])
                .query(&[("order", "asc")]);
            let (items, has_more) = self.page(request, after.as_deref()).await?;
            let last = items.last().and_then(|last| last["id"].as_str());
            let last = last.map(str::to_owned);
            messages.extend(items);
            if !has_more || last.is_none() || last == after {
                return Ok(trace_of(completion, messages));
            }
            after = last;
        }
    }

    async fn page(
        &self,
        request: RequestBuilder,
        after: Option<&str>,
    ) -> Result<(Vec<Value>, bool), Error> {
        let request = request.query(&[("limit", PAGE)]);
        let request = request.query(&after.map(|after| ("after", after)).as_slice());
        let mut answer = self.sender.json(request).await?;
        let has_more = answer["has_more"] == true;
        match answer["data"].take() {
            Value::Array(items) => Ok((items, has_more)),
            _ => Ok((Vec::new(), false)),
        }
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        let mut url = self.config.base_url.clone();
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .extend(["chat", "completions"])
            .extend(path);
        let key = self.config.api_key.expose_secret();
        self.sender.http.get(url).bearer_auth(key)
    }
}

fn completion(item: Value) -> Option<Completion> {
    let Value::Object(fields) = item else {
        return None;
    };
    let created = DateTime::from_timestamp(fields.get("created")?.as_i64()?, 0)?;
    let id = fields.get("id")?.as_str().filter(|id| !id.is_empty())?;
    Some(Completion {
        id: id.to_owned(),
        created,
        fields,
    })
}

/// A completion is a trace of one step.
fn trace_of(completion: Completion, mut messages: Vec<Value>) -> Lined {
    let Completion {
        id,
        created,
        mut fields,
    } = completion;
    let part = |fields: &mut Map<String, Value>, key| fields.remove(key).unwrap_or_default();
    let answer = fields
        .get_mut("choices")
        .map_or(Value::Null, |choices| choices[0]["message"].take());
    // Whether the answer is the last of the messages is not said.
    if messages
        .last()
        .is_some_and(|last| is_same_turn(last, &answer))
    {
        messages.pop();
    }
    let (asked, answer) = (bounded(Value::Array(messages)), bounded(answer));
    let began = rfc3339(created.timestamp() as f64);
    let step = json!({
        "id": format!("{id}-step"), "type": "GENERATION", "name": "chat.completion", "startTime": began,
        "model": part(&mut fields, "model"), "usage": part(&mut fields, "usage"), "input": asked, "output": answer,
    });
    let trace = json!({
        "id": id, "name": "chat.completion", "timestamp": began, "input": asked, "output": answer,
        "metadata": bounded(part(&mut fields, "metadata")), "observations": [step],
    });
    let Value::Object(trace) = trace else {
        unreachable!("an object was made")
    };
    Lined {
        trace: TracePayload::from(trace),
        is_timed: true,
    }
}

fn is_same_turn(message: &Value, answer: &Value) -> bool {
    message["role"] == "assistant"
        && message["content"] == answer["content"]
        && message.get("tool_calls") == answer.get("tool_calls")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::normalise;

    fn stored() -> Completion {
        completion(json!({
            "object": "chat.completion", "id": "chatcmpl-1", "created": 1_743_092_076, "model": "gpt-x",
            "metadata": {"plan": "pro"}, "request_id": "req_1",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": "A.", "tool_calls": null}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        }))
        .expect("it has an id and a time")
    }

    #[test]
    fn a_completion_with_its_messages_is_a_trace_of_one_step() {
        let asked = json!({"id": "chatcmpl-1-0", "role": "user", "content": "Q?", "name": null});
        let same = json!({"role": "assistant", "content": "A.", "tool_calls": null});
        for messages in [vec![asked.clone()], vec![asked, same]] {
            let trace = normalise(&trace_of(stored(), messages).trace);
            assert_eq!(
                (trace.input_text.as_str(), trace.output_text.as_str()),
                ("Q?", "A.")
            );
            assert_eq!(trace.timestamp, "2025-03-27T16:14:36.000Z");
            assert_eq!(trace.metadata, json!({"plan": "pro"}));
            let roles: Vec<&str> = trace
                .messages
                .iter()
                .map(|turn| turn.role.as_str())
                .collect();
            assert_eq!(roles, ["user", "assistant"]);
            assert_eq!(trace.observations[0].model.as_deref(), Some("gpt-x"));
        }
    }

    #[test]
    fn what_has_no_id_or_no_time_is_left_out() {
        for item in [
            json!(1),
            json!({"id": "c"}),
            json!({"created": 1}),
            json!({"id": "", "created": 1}),
        ] {
            assert!(completion(item).is_none());
        }
        let bare = completion(json!({"id": "c", "created": 1})).expect("it has both");
        assert_eq!(normalise(&trace_of(bare, Vec::new()).trace).output_text, "");
    }
}
