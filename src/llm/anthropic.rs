//! Anthropic's Messages API. Sources: platform.claude.com/docs/en, "Messages", "Versions", "Errors", "Prompt caching",
//! "Structured outputs", "Effort", "Refusals and fallback"; "What's new in Claude Opus 5.5" for why no tool is forced.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::error::Error;
use super::takes::{Format, Takes};
use super::{Prompt, Task, Usage};

/// The API's version, which every request names. The one after it, 2026-10-21, has no temperature for any model.
const VERSION: &str = "2023-06-01";

/// `…/v1/messages`, whether or not the base URL ends in `/v1`.
pub(super) fn url(base: &Url) -> Url {
    let has_version = base.path().trim_end_matches('/').ends_with("/v1");
    let end = if has_version {
        "messages"
    } else {
        "v1/messages"
    };
    super::endpoint::joined(base, end)
}

/// In the header that all servers of this API know; Anthropic's own has lately taken a bearer token too.
pub(super) fn signed(request: RequestBuilder, key: &SecretString) -> RequestBuilder {
    request
        .header("x-api-key", key.expose_secret())
        .header("anthropic-version", VERSION)
}

/// The prompt as the API takes it. What is the same in many prompts comes first, marked to be kept.
pub(super) fn request(model: &str, prompt: &Prompt, takes: &Takes) -> Value {
    let kept = |text: &str| {
        let mut block = json!({"type": "text", "text": text});
        if takes.cache_marks {
            block["cache_control"] = json!({"type": "ephemeral"});
        }
        block
    };
    let material = (!prompt.material.is_empty()).then(|| kept(&prompt.material));
    let request = json!({"type": "text", "text": takes.request(prompt)});
    let content: Vec<Value> = material.into_iter().chain([request]).collect();
    let mut body = json!({
        "model": model,
        "max_tokens": takes.max_tokens(prompt),
        "system": [kept(&prompt.instructions)],
        "messages": [{"role": "user", "content": content}],
    });
    let mut output = Map::new();
    if takes.format == Format::Schema {
        let format = json!({"type": "json_schema", "schema": prompt.schema});
        output.insert("format".to_owned(), format);
    }
    if prompt.task == Task::Judge && takes.effort {
        output.insert("effort".to_owned(), json!("low"));
    }
    if !output.is_empty() {
        body["output_config"] = Value::Object(output);
    }
    if prompt.task == Task::Judge && takes.temperature {
        body["temperature"] = json!(0);
    }
    body
}

/// The text of an answer. Thinking comes in blocks of its own, and is not part of it.
pub(super) fn text(answer: &Value) -> Result<String, Error> {
    match answer["stop_reason"].as_str() {
        Some("refusal") => return Err(Error::Declined),
        Some("max_tokens" | "model_context_window_exceeded") => return Err(Error::CutShort),
        _ => {}
    }
    let blocks = answer["content"].as_array().ok_or(Error::Malformed)?;
    let text = blocks.iter().filter(|block| block["type"] == "text");
    let text = text.filter_map(|block| block["text"].as_str());
    Ok(text.collect())
}

/// The tokens of an answer; `None` where it does not say.
pub(super) fn usage(answer: &Value) -> Option<Usage> {
    let tokens = |name: &str| answer["usage"][name].as_u64();
    Some(Usage {
        calls: 1,
        input_tokens: tokens("input_tokens")?,
        cached_tokens: tokens("cache_read_input_tokens").unwrap_or(0),
        cache_written_tokens: tokens("cache_creation_input_tokens").unwrap_or(0),
        output_tokens: tokens("output_tokens")?,
        cost_usd: None,
    })
}

/// Whether a refusal is about money: the API says so with 402, and with 400 where credit or a limit is used up.
pub(super) fn is_about_credit(status: u16, body: &Value) -> bool {
    let message = body["error"]["message"].as_str().unwrap_or_default();
    let limit = ["credit balance", "usage limit", "spend limit"];
    status == 402 || (status == 400 && limit.iter().any(|words| message.contains(words)))
}
