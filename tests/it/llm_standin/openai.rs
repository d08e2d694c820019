//! `POST /v1/chat/completions`. Sources: developers.openai.com/api/docs, "Chat Completions", "Error codes",
//! "Structured outputs", "Prompt caching".

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Api, OPENAI_KEY, Refusal, Reply, Request, Shared, body, header, schema, tokens};

const FIELDS: [&str; 12] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "response_format",
    "reasoning_effort",
    "store",
];
/// Shorter prefixes are not kept.
const KEPT_FROM: u64 = 1024;

pub async fn completions(state: State<Arc<Shared>>, headers: HeaderMap, bytes: Bytes) -> Response {
    super::take(
        &state,
        check(&headers, &bytes),
        |refusal| error(refusal, None),
        |request, reply| answer(&state, request, reply),
    )
    .await
}

fn check(headers: &HeaderMap, bytes: &Bytes) -> Result<Request, Refusal> {
    if header(headers, "authorization") != Some(&format!("Bearer {OPENAI_KEY}")) {
        return Err(Refusal {
            status: 401,
            code: Some("invalid_api_key"),
            ..Refusal::invalid("Incorrect API key provided: sk-…")
        });
    }
    let body = super::json(headers, bytes)?;
    super::only_known(&body, &FIELDS, |name| {
        format!("Unrecognized request argument supplied: {name}")
    })?;
    let model = body["model"].as_str();
    let model = model.ok_or_else(|| Refusal::invalid("you must provide a model parameter"))?;
    if !model.starts_with("gpt-") {
        return Err(Refusal {
            status: 404,
            code: Some("model_not_found"),
            ..Refusal::invalid(format!("The model `{model}` does not exist"))
        });
    }
    let (system, prompt) = said(&body["messages"])?;
    check_parameters(model, &body)?;
    check_format(&body["response_format"], &format!("{system} {prompt}"))?;
    Ok(Request {
        api: Api::OpenAi,
        model: model.to_owned(),
        system,
        prompt,
        schema: body["response_format"]["json_schema"]
            .get("schema")
            .cloned(),
        body,
    })
}

/// What those who think before they answer do not take, and what the others do not.
fn check_parameters(model: &str, body: &Value) -> Result<(), Refusal> {
    let thinks = model.starts_with("gpt-5") || model.starts_with("gpt-6");
    let set = |name: &str| !body[name].is_null();
    let unsupported = |param, instead: &str| Refusal {
        param: Some(param),
        code: Some("unsupported_parameter"),
        ..Refusal::invalid(format!(
            "Unsupported parameter: '{param}' is not supported with this model. {instead}"
        ))
    };
    if thinks && set("max_tokens") {
        return Err(unsupported(
            "max_tokens",
            "Use 'max_completion_tokens' instead.",
        ));
    }
    if thinks && set("temperature") && body["temperature"] != 1.0 {
        return Err(Refusal {
            code: Some("unsupported_value"),
            ..unsupported("temperature", "Only the default (1) value is supported.")
        });
    }
    if !thinks && set("reasoning_effort") {
        return Err(unsupported("reasoning_effort", ""));
    }
    let limit = body["max_completion_tokens"]
        .as_u64()
        .or(body["max_tokens"].as_u64());
    if limit.is_some_and(|limit| !thinks && limit > 16_384) {
        return Err(unsupported("max_completion_tokens", "It is too large."));
    }
    Ok(())
}

fn check_format(format: &Value, everything: &str) -> Result<(), Refusal> {
    let invalid = |message: String| Refusal {
        param: Some("response_format"),
        ..Refusal::invalid(message)
    };
    match format["type"].as_str() {
        None | Some("text") => Ok(()),
        // "JSON mode" wants the word somewhere.
        Some("json_object") if everything.to_lowercase().contains("json") => Ok(()),
        Some("json_object") => Err(invalid(
            "'messages' must contain the word 'json'".to_owned(),
        )),
        Some("json_schema") => {
            let named = &format["json_schema"];
            let complaint = schema::complaint(&named["schema"], named["strict"] == true);
            match (named["name"].as_str(), complaint) {
                (Some(_), None) => Ok(()),
                (None, _) => Err(invalid(
                    "Missing response_format.json_schema.name".to_owned(),
                )),
                (_, Some(why)) => Err(invalid(format!(
                    "Invalid schema for response_format: {why}"
                ))),
            }
        }
        Some(other) => Err(invalid(format!("Invalid value: '{other}'"))),
    }
}

/// The system prompt, and what users say.
fn said(messages: &Value) -> Result<(String, String), Refusal> {
    let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
    let (mut system, mut said) = (Vec::new(), Vec::new());
    for message in messages {
        let text = message["content"].as_str();
        let text = text.ok_or_else(|| Refusal::invalid("Invalid type for 'messages.content'"))?;
        match message["role"].as_str() {
            Some("system" | "developer") => system.push(text),
            Some("user" | "assistant") => said.push(text),
            _ => return Err(Refusal::invalid("Invalid value for 'messages.role'")),
        }
    }
    match said.is_empty() {
        true => Err(Refusal::invalid("Invalid 'messages': empty array")),
        false => Ok((system.join("\n\n"), said.join("\n\n"))),
    }
}

fn error(refusal: &Refusal, retry_after: Option<&str>) -> Response {
    let body = json!({"error": {
        "message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code,
    }});
    body::error(refusal.status, body, retry_after)
}

fn status(status: u16, code: Option<&'static str>, retry_after: Option<&str>) -> Response {
    let kind = match status {
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let refusal = Refusal {
        status,
        kind,
        code,
        ..Refusal::invalid("an error")
    };
    error(&refusal, retry_after)
}

fn answer(state: &Shared, request: &Request, reply: &Reply) -> Response {
    let whole = |text: &str, finish| completion(state, request, text, finish);
    match reply {
        Reply::Json(value) => body::raw(whole(&value.to_string(), "stop").to_string()),
        Reply::Text(text) => body::raw(whole(text, "stop").to_string()),
        Reply::CutByLimit(text) => body::raw(whole(text, "length").to_string()),
        Reply::Refusal => {
            let mut refused = whole("", "stop");
            refused["choices"][0]["message"] =
                json!({"role": "assistant", "content": null, "refusal": "I can't"});
            body::raw(refused.to_string())
        }
        Reply::Filtered => body::raw(whole("", "content_filter").to_string()),
        Reply::Status(code) => status(*code, None, None),
        Reply::StatusAfter(code, wait) => status(*code, None, Some(wait)),
        Reply::NoCredit => status(429, Some("insufficient_quota"), None),
        Reply::Error(code, body) => body::error(*code, body.clone(), None),
        Reply::Raw(text) => body::raw(text.clone()),
        Reply::BreaksOff => body::breaks_off(&whole("{\"half\": true}", "stop")),
        Reply::Drips => body::drips(&whole("{\"half\": true}", "stop")),
        Reply::Endless => body::endless(),
        Reply::Hangs => unreachable!("it is not answered"),
    }
}

fn completion(state: &Shared, request: &Request, text: &str, finish_reason: &str) -> Value {
    let prompt = tokens(&request.system) + tokens(&request.prompt);
    let (read, output) = (cached(state, request), tokens(text));
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_750_000_000, "model": request.model,
        "choices": [{
            "index": 0, "finish_reason": finish_reason, "logprobs": null,
            "message": {"role": "assistant", "content": text, "refusal": null},
        }],
        "usage": {
            "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": read},
        },
    })
}

/// Tokens of the longest prefix of the prompt that the model has seen.
fn cached(state: &Shared, request: &Request) -> u64 {
    let prompt = format!("{}\n\n{}", request.system, request.prompt);
    let steps = (KEPT_FROM..=tokens(&prompt)).step_by(128);
    let seen = steps.filter(|kept| {
        let prefix: String = prompt.chars().take(*kept as usize * 4).collect();
        state.has_cached(&request.model, &prefix)
    });
    seen.max().unwrap_or(0)
}
