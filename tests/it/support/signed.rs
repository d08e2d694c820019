//! Signatures, made by the tests' own hands.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;

use super::stage::{Stage, WEBHOOK_SECRET};

fn hmac(secret: &str, text: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(text);
    hex::encode(mac.finalize().into_bytes())
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    since.as_secs() as i64
}

/// Langfuse's signature header.
pub fn langfuse_signature(at: i64, body: &[u8]) -> String {
    let signed = [format!("{at}.").as_bytes(), body].concat();
    format!("t={at},v1={}", hmac(WEBHOOK_SECRET, &signed))
}

/// Delivers a signed webhook; gives the status.
pub async fn webhook(stage: &Stage, body: &[u8]) -> u16 {
    let signature = langfuse_signature(now(), body);
    let request = stage.http.post(stage.url("/webhooks/langfuse/default"));
    let request = request
        .header("x-langfuse-signature", signature)
        .body(body.to_vec());
    request.send().await.expect("an answer").status().as_u16()
}

/// Sends a body to the interactions route as Slack does, signed at `at`; gives the status and answer.
pub async fn interaction_body(stage: &Stage, url: &str, at: i64, body: &[u8]) -> (u16, String) {
    let secret = stage.playground.signing_secret();
    let signed = [format!("v0:{at}:").as_bytes(), body].concat();
    let request = stage
        .http
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-slack-request-timestamp", at)
        .header(
            "x-slack-signature",
            format!("v0={}", hmac(secret.expose_secret(), &signed)),
        )
        .body(body.to_vec());
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.text().await.unwrap_or_default())
}

/// The form body of a payload.
pub fn form(payload: &Value) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("payload", &payload.to_string());
    form.finish().into_bytes()
}

/// A click on a card's button at `action_ts`, as Slack sends it.
pub fn click(
    team: &str,
    channel: &str,
    card: &Value,
    user: &str,
    button: &Value,
    action_ts: &str,
) -> Value {
    json!({
        "type": "block_actions",
        "user": {"id": user, "username": user.to_lowercase(), "team_id": team},
        "team": {"id": team, "domain": "team"},
        "channel": {"id": channel, "name": "answers"},
        "message": card,
        "trigger_id": "1.2.3",
        "actions": [{
            "type": "button", "block_id": "thumbs", "action_id": button["action_id"],
            "value": button["value"], "action_ts": action_ts,
        }],
    })
}
