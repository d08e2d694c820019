//! Signatures, made by the tests' own hands.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use iofold::playground::slack::{BOT_USER_ID, TEAM_ID};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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

/// The same for a choice in the card's overflow menu.
pub fn choice(
    team: &str,
    channel: &str,
    card: &Value,
    user: &str,
    option: &str,
    action_ts: &str,
) -> Value {
    let mut payload = click(team, channel, card, user, &json!({}), action_ts);
    payload["actions"] = json!([{
        "type": "overflow", "block_id": "thumbs", "action_id": "card_menu", "action_ts": action_ts,
        "selected_option": {"value": option, "text": {"type": "plain_text", "text": option}},
    }]);
    payload
}

/// A reaction to a card at `event_ts`, added or removed.
pub fn reaction(
    channel: &str,
    card: &Value,
    user: &str,
    (name, added): (&str, bool),
    event_ts: &str,
) -> Value {
    json!({
        "type": if added { "reaction_added" } else { "reaction_removed" },
        "user": user, "reaction": name, "item_user": BOT_USER_ID, "event_ts": event_ts,
        "item": {"type": "message", "channel": channel, "ts": card["ts"]},
    })
}

/// Sends an event of the stage's team; gives the status.
pub async fn event(stage: &Stage, event: &Value) -> u16 {
    let envelope = json!({
        "type": "event_callback", "team_id": TEAM_ID, "event": event,
        "event_id": format!("Ev{}", hex::encode(Sha256::digest(event.to_string()))),
        "authorizations": [{"team_id": TEAM_ID, "user_id": BOT_USER_ID, "is_bot": true}],
    });
    let (body, url) = (envelope.to_string(), stage.url("/slack/events"));
    interaction_body(stage, &url, now(), body.as_bytes())
        .await
        .0
}
