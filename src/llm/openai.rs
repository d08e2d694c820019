//! OpenAI's chat completions, which many other servers speak too. Sources: developers.openai.com/api/docs, "Chat
//! Completions", "Error codes", "Structured outputs", "Prompt caching", "Reasoning".

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::error::Error;
use super::takes::{Format, Takes};
use super::{Prompt, Task, Usage};

/// `…/chat/completions`; the base URL has the version in it, as OpenAI's own clients want it.
pub(super) fn url(base: &Url) -> Url {
    super::endpoint::joined(base, "chat/completions")
}

pub(super) fn signed(request: RequestBuilder, key: &SecretString) -> RequestBuilder {
    request.bearer_auth(key.expose_secret())
}

/// The prompt as the API takes it. What is the same in many prompts comes first: prefixes are kept by themselves.
pub(super) fn request(model: &str, prompt: &Prompt, takes: &Takes) -> Value {
    let request = takes.request(prompt);
    let said = match prompt.material.is_empty() {
        true => request,
        false => format!("{}\n\n{request}", prompt.material),
    };
    let mut body = json!({
        "model": model,
        "messages": [
            {"role": "system", "content": prompt.instructions},
            {"role": "user", "content": said},
        ],
    });
    // Servers that know only the older name have no room to think either.
    let limit = match takes.room_to_think {
        true => "max_completion_tokens",
        false => "max_tokens",
    };
    body[limit] = json!(takes.max_tokens(prompt));
    match takes.format {
        Format::Schema => {
            let schema = json!({"name": "answer", "strict": true, "schema": prompt.schema});
            body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
        }
        Format::Json => body["response_format"] = json!({"type": "json_object"}),
        Format::Text => {}
    }
    if prompt.task == Task::Judge && takes.temperature {
        body["temperature"] = json!(0);
    }
    if prompt.task == Task::Judge && takes.effort {
        body["reasoning_effort"] = json!("low");
    }
    body
}

/// The text of an answer.
pub(super) fn text(answer: &Value) -> Result<String, Error> {
    let choice = &answer["choices"][0];
    let message = &choice["message"];
    let refuses = message["refusal"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    match choice["finish_reason"].as_str() {
        Some("content_filter") => return Err(Error::Declined),
        _ if refuses => return Err(Error::Declined),
        Some("length") => return Err(Error::CutShort),
        _ => {}
    }
    let text = message["content"].as_str();
    text.map(str::to_owned).ok_or(Error::Malformed)
}

/// The tokens of an answer; `None` where it does not say, as some servers don't.
pub(super) fn usage(answer: &Value) -> Option<Usage> {
    let usage = &answer["usage"];
    let details = &usage["prompt_tokens_details"];
    let cached = details["cached_tokens"].as_u64().unwrap_or(0);
    let written = details["cache_write_tokens"].as_u64().unwrap_or(0);
    let prompt = usage["prompt_tokens"].as_u64()?;
    Some(Usage {
        calls: 1,
        // The prompt's tokens are counted with those of the cache.
        input_tokens: prompt.saturating_sub(cached).saturating_sub(written),
        cached_tokens: cached,
        cache_written_tokens: written,
        output_tokens: usage["completion_tokens"].as_u64()?,
        cost_usd: None,
    })
}

/// Whether a refusal is about money: the API says so with 429, as it says that there were too many calls.
pub(super) fn is_about_credit(status: u16, body: &Value) -> bool {
    let code = body["error"]["code"].as_str().unwrap_or_default();
    status == 402 || ["insufficient_quota", "billing_hard_limit_reached"].contains(&code)
}
