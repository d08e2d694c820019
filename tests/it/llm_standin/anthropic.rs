//! `POST /v1/messages`. Sources: platform.claude.com/docs, "Messages", "Versions", "Errors", "Structured outputs",
//! "Prompt caching", "What's new in Claude Opus 5.5".

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::{ANTHROPIC_KEY, Api, Refusal, Reply, Request, Shared, body, header, schema, tokens};

const FIELDS: [&str; 14] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "output_config",
    "tools",
    "tool_choice",
    "thinking",
    "cache_control",
];
/// The version of the API that has no temperature at all.
const NEWEST: &str = "2026-10-21";
/// Places in a prompt up to which it may be kept.
const BREAKPOINTS_MAX: usize = 4;

pub async fn messages(state: State<Arc<Shared>>, headers: HeaderMap, bytes: Bytes) -> Response {
    super::take(
        &state,
        check(&headers, &bytes),
        |refusal| error(refusal.status, refusal.kind, &refusal.message, None),
        |request, reply| answer(&state, request, reply),
    )
    .await
}

fn check(headers: &HeaderMap, bytes: &Bytes) -> Result<Request, Refusal> {
    let version = check_headers(headers)?;
    let body = super::json(headers, bytes)?;
    super::only_known(&body, &FIELDS, |name| {
        format!("{name}: Extra inputs are not permitted")
    })?;
    let model = check_model(&body)?;
    if version == NEWEST && !body["temperature"].is_null() {
        return Err(Refusal::invalid(
            "temperature: Extra inputs are not permitted",
        ));
    }
    check_numbers(model, &body)?;
    check_format(&body)?;
    let marks = body.to_string().matches("\"cache_control\"").count();
    if marks > BREAKPOINTS_MAX {
        let message =
            format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}.");
        return Err(Refusal::invalid(message));
    }
    Ok(Request {
        api: Api::Anthropic,
        model: model.to_owned(),
        system: texts(&body["system"], "system")?,
        prompt: said(&body["messages"])?,
        schema: body["output_config"]["format"].get("schema").cloned(),
        body,
    })
}

/// The version that is asked for, if the key is right.
fn check_headers(headers: &HeaderMap) -> Result<&str, Refusal> {
    // The newest SDKs send the key as a bearer token, as "Authentication" says; older ones and others in a header.
    let bearer = header(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    if header(headers, "x-api-key").or(bearer) != Some(ANTHROPIC_KEY) {
        return Err(Refusal {
            status: 401,
            kind: "authentication_error",
            ..Refusal::invalid("invalid x-api-key")
        });
    }
    let version = header(headers, "anthropic-version");
    let version = version.filter(|version| ["2023-06-01", NEWEST].contains(version));
    version.ok_or_else(|| Refusal::invalid("anthropic-version: header is required"))
}

fn check_model(body: &Value) -> Result<&str, Refusal> {
    let model = body["model"].as_str();
    let model = model.ok_or_else(|| Refusal::invalid("model: Field required"))?;
    if !model.starts_with("claude-") {
        return Err(Refusal {
            status: 404,
            kind: "not_found_error",
            ..Refusal::invalid(format!("model: {model}"))
        });
    }
    Ok(model)
}

fn check_numbers(model: &str, body: &Value) -> Result<(), Refusal> {
    if body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err(Refusal::invalid("max_tokens: Field required"));
    }
    // claude-<family>-<generation>-…
    let newest = model.split('-').nth(2) == Some("5");
    if newest && !body["temperature"].is_null() && body["temperature"] != 1.0 {
        return Err(Refusal::invalid(
            "`temperature` is deprecated for this model.",
        ));
    }
    let effort = &body["output_config"]["effort"];
    if !effort.is_null() && !newest && !model.contains("-4-6") {
        return Err(Refusal::invalid(
            "This model does not support the effort parameter.",
        ));
    }
    if body["tool_choice"]["type"] == "tool" && newest {
        return Err(Refusal::invalid(
            "tool_choice: forced tool use is not supported",
        ));
    }
    Ok(())
}

fn check_format(body: &Value) -> Result<(), Refusal> {
    let format = &body["output_config"]["format"];
    if format.is_null() {
        return Ok(());
    }
    if format["type"] != "json_schema" || !format["schema"].is_object() {
        return Err(Refusal::invalid(
            "output_config.format: Input should be a JSON schema",
        ));
    }
    match schema::complaint(&format["schema"], false) {
        Some(why) => Err(Refusal::invalid(format!(
            "output_config.format.schema: {why}"
        ))),
        None => Ok(()),
    }
}

/// The text of a string or of text blocks, none of which may be empty.
fn texts(content: &Value, place: &str) -> Result<String, Refusal> {
    if let Some(text) = content.as_str() {
        return Ok(text.to_owned());
    }
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice);
    let texts = blocks.iter().map(|block| match block["text"].as_str() {
        Some("") => Err(Refusal::invalid(format!(
            "{place}: text content blocks must be non-empty"
        ))),
        Some(text) if block["type"] == "text" => Ok(text),
        _ => Err(Refusal::invalid(format!(
            "{place}: only text is spoken here"
        ))),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
}

fn said(messages: &Value) -> Result<String, Refusal> {
    let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
    if messages.is_empty() {
        return Err(Refusal::invalid(
            "messages: at least one message is required",
        ));
    }
    if messages.last().is_some_and(|last| last["role"] != "user") {
        return Err(Refusal::invalid(
            "This model does not support assistant message prefill.",
        ));
    }
    let each = messages.iter().map(|message| {
        let text = texts(&message["content"], "messages")?;
        match (message["role"].as_str(), text.is_empty()) {
            (Some("user" | "assistant"), false) => Ok(text),
            _ => Err(Refusal::invalid("messages: role or content is wrong")),
        }
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
}

fn error(status: u16, kind: &str, message: &str, retry_after: Option<&str>) -> Response {
    let body = json!({
        "type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1",
    });
    body::error(status, body, retry_after)
}

fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn answer(state: &Shared, request: &Request, reply: &Reply) -> Response {
    let whole = |text: &str, stop| message(state, request, text, stop);
    match reply {
        Reply::Json(value) => body::raw(whole(&value.to_string(), "end_turn").to_string()),
        Reply::Text(text) => body::raw(whole(text, "end_turn").to_string()),
        Reply::CutByLimit(text) => body::raw(whole(text, "max_tokens").to_string()),
        Reply::Refusal | Reply::Filtered => body::raw(whole("I can't", "refusal").to_string()),
        Reply::Status(status) => error(*status, kind_of(*status), "an error", None),
        Reply::StatusAfter(status, wait) => {
            error(*status, kind_of(*status), "an error", Some(wait))
        }
        Reply::NoCredit => {
            let message = "Your credit balance is too low to access the Anthropic API.";
            error(400, "invalid_request_error", message, None)
        }
        Reply::Error(status, body) => body::error(*status, body.clone(), None),
        Reply::Raw(text) => body::raw(text.clone()),
        Reply::BreaksOff => body::breaks_off(&whole("{\"half\": true}", "end_turn")),
        Reply::Drips => body::drips(&whole("{\"half\": true}", "end_turn")),
        Reply::Endless => body::endless(),
        Reply::Hangs => unreachable!("it is not answered"),
    }
}

/// A message as the API gives it: the newest models think first.
fn message(state: &Shared, request: &Request, text: &str, stop_reason: &str) -> Value {
    let (read, written, kept) = cached(state, request);
    let details = (stop_reason == "refusal").then(|| json!({"type": "refusal", "category": null}));
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": request.model,
        "content": [
            {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"},
            {"type": "text", "text": text},
        ],
        "stop_reason": stop_reason, "stop_sequence": null, "stop_details": details,
        "usage": {
            "input_tokens": tokens(&request.system) + tokens(&request.prompt) - kept,
            "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
            "output_tokens": tokens(text), "service_tier": "standard",
        },
    })
}

/// Tokens read from the cache, written to it, and both.
fn cached(state: &Shared, request: &Request) -> (u64, u64, u64) {
    let system = request.body["system"].as_array();
    let said = request.body["messages"][0]["content"].as_array();
    let blocks = system
        .into_iter()
        .flatten()
        .chain(said.into_iter().flatten());
    let (mut prefix, mut read, mut kept) = (String::new(), 0, 0);
    for block in blocks {
        prefix.push_str(block["text"].as_str().unwrap_or_default());
        if block.get("cache_control").is_some() {
            kept = tokens(&prefix);
            if state.has_cached(&request.model, &prefix) {
                read = kept;
            }
        }
    }
    (read, kept - read, kept)
}
