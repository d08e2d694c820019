//! The first way in: Slack's signed requests.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Answer, Command, Inbound, handle, malformed};
use crate::app::App;
use crate::body::Body;
use crate::domain::lenient;
use crate::error::ApiError;
use crate::slack;

/// Slack's payloads are small; a card's own blocks come back in them.
const BODY_MAX: usize = 2 * 1024 * 1024;
/// Declines Slack's next tries (docs.slack.dev, "Events API").
const NO_RETRY: [(&str, &str); 1] = [("x-slack-no-retry", "1")];

/// `POST /slack/interactions`: every click and every submitted modal.
pub async fn receive_interaction(
    State(app): State<App>,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Result<Response, ApiError> {
    verify(&app, &headers, &body)?;
    let not_a_form =
        "there is no payload; Slack sends a form with one field, payload, that holds JSON";
    let payload = url::form_urlencoded::parse(&body)
        .find(|(name, _)| name == "payload")
        .ok_or_else(|| malformed(not_a_form))?
        .1;
    let payload = read(payload.as_bytes(), "the payload")?;
    Ok(answered(handle(&app, Inbound::Interaction(payload)).await?))
}

/// `POST /slack/commands`: a form of plain fields.
pub async fn receive_command(
    State(app): State<App>,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Result<Response, ApiError> {
    verify(&app, &headers, &body)?;
    let fields = url::form_urlencoded::parse(&body);
    let fields: serde_json::Map<_, _> = fields
        .map(|(name, value)| (name.into_owned(), json!(value)))
        .collect();
    // Slack looks whether a server's certificate is fine.
    if fields.contains_key("ssl_check") {
        return Ok(().into_response());
    }
    let command: Command = serde_json::from_value(Value::Object(fields))
        .map_err(|_| malformed("this is not a slash command: it names no user_id"))?;
    Ok(answered(handle(&app, Inbound::Command(command)).await?))
}

/// `POST /slack/events`: envelopes of events, and the challenge by which Slack tries the address.
pub async fn receive_event(
    State(app): State<App>,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Result<Response, ApiError> {
    verify(&app, &headers, &body)?;
    let handled = match read(&body, "the body") {
        Ok(envelope) if envelope["type"] == "url_verification" => {
            return Ok(Json(json!({"challenge": envelope["challenge"]})).into_response());
        }
        Ok(envelope) => handle(&app, Inbound::Event(envelope)).await,
        Err(error) => Err(error),
    };
    match handled {
        // Sending the same again can't help.
        Err(error @ ApiError::Malformed(_)) => Ok((NO_RETRY, error).into_response()),
        handled => Ok(answered(handled?)),
    }
}

fn verify(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    let secret = app.slack_signing_secret.as_ref();
    match secret.is_some_and(|secret| slack::is_signed(secret, headers, body)) {
        true => Ok(()),
        false => Err(ApiError::BadSignature),
    }
}

fn read(text: &[u8], what: &str) -> Result<Value, ApiError> {
    let read = lenient::parse(text).map(|(value, _)| value);
    read.map_err(|_| malformed(&format!("{what} is not JSON")))
}

fn answered(answer: Answer) -> Response {
    answer.map_or_else(|| ().into_response(), |answer| Json(answer).into_response())
}
