use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::api::view_with_ids;
use super::blocks;
use super::state::{APP_ID, TEAM_ID};
use super::{Channel, Click, Entry, Message, Slack, User, View};

/// Why a click or a submitted modal did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClickError {
    /// The message, button, modal or user is not there.
    #[error("{0} is not there any more")]
    Missing(&'static str),
    /// A field of the modal, by its block, is not filled as it must be; nothing was sent.
    #[error("a field is not filled as it must be")]
    Fields(Map<String, Value>),
    /// The service did not acknowledge in time, or not as Slack wants it.
    #[error("iofold did not acknowledge it: {0}")]
    Unacknowledged(String),
}

type Result<T> = std::result::Result<T, ClickError>;

impl Slack {
    /// Clicks a button as a user, and waits until the service has acknowledged it.
    pub async fn click(
        &self,
        channel: &str,
        user: &str,
        ts: &str,
        action_id: &str,
        value: &str,
    ) -> Result<()> {
        let user = self.user(user).ok_or(ClickError::Missing("this user"))?;
        let channel = self
            .channel(channel)
            .ok_or(ClickError::Missing("this channel"))?;
        let (payload, click) = self.block_actions(channel, user, ts, action_id, value)?;
        self.deliver(&payload).await?;
        let mut state = self.state();
        self.record(&mut state, Entry::Clicked(click))
            .map_err(|error| ClickError::Unacknowledged(error.to_string()))
    }

    fn block_actions(
        &self,
        channel: &Channel,
        user: &User,
        ts: &str,
        action_id: &str,
        value: &str,
    ) -> Result<(Value, Click)> {
        let mut state = self.state();
        let seen = |message: &&Message| message.only_for.as_ref().is_none_or(|id| *id == user.id);
        let message = state.message(&channel.id, ts).filter(seen).cloned();
        let message = message.ok_or(ClickError::Missing("this message"))?;
        let (block_id, button) = message
            .button(action_id, value)
            .ok_or(ClickError::Missing("this button"))?;
        let mut payload = block_actions_payload(channel, user, &message, &block_id, &button);
        let key = state.new_response_key(&channel.id, ts, &user.id);
        payload["trigger_id"] = json!(state.new_trigger(&user.id, self.timing().trigger_lives));
        payload["response_url"] = json!(format!("{}actions/{key}", self.0.config.base_url));
        payload["actions"][0]["action_ts"] = json!(state.next_ts());
        let text = button["text"]["text"].as_str().unwrap_or_default();
        let click = Click {
            channel: channel.id.clone(),
            ts: ts.to_owned(),
            user: user.id.clone(),
            text: text.to_owned(),
        };
        Ok((payload, click))
    }

    /// Submits a modal: `values` holds a text for each block and action.
    ///
    /// # Errors
    /// [`ClickError::Fields`] with a sentence by block, from Slack's own checks or from the service.
    pub async fn submit(&self, view_id: &str, user: &str, values: &Value) -> Result<()> {
        let (view, user) = self.open_view_of(view_id, user)?;
        let filled = filled_state(&view.content, values)?;
        let mut shown = view.to_slack();
        shown["state"] = json!({"values": filled});
        let trigger = (self.state()).new_trigger(&user.id, self.timing().trigger_lives);
        let payload = json!({
            "type": "view_submission", "user": user_value(user), "team": team_value(),
            "api_app_id": APP_ID, "trigger_id": trigger,
            "view": shown, "response_urls": [], "is_enterprise_install": false,
        });
        let answer = acknowledgement(&self.deliver(&payload).await?)?;
        self.follow(&view, &answer)
    }

    /// What an app may answer to a submission (docs.slack.dev, "Modals"): nothing or `clear` closes.
    fn follow(&self, view: &View, answer: &Value) -> Result<()> {
        let mut state = self.state();
        match answer["response_action"].as_str() {
            None | Some("clear") => state.close_view(&view.id),
            Some("errors") => return Err(field_errors(&view.content, &answer["errors"])),
            Some("update") if blocks::check_view(&answer["view"], &|_| true).is_empty() => {
                state.update_view(&view.id, view_with_ids(answer["view"].clone()));
            }
            Some(other) => {
                let problem = format!("it answered the modal with {other}, which cannot be shown");
                return Err(ClickError::Unacknowledged(problem));
            }
        }
        self.tell(&state);
        Ok(())
    }

    /// Closes a modal; the service hears of it only if the view says so.
    pub async fn close(&self, view_id: &str, user: &str) -> Result<()> {
        let (view, user) = self.open_view_of(view_id, user)?;
        {
            let mut state = self.state();
            state.close_view(view_id);
            self.tell(&state);
        }
        if view.content["notify_on_close"] == true {
            let payload = json!({
                "type": "view_closed", "user": user_value(user), "team": team_value(),
                "api_app_id": APP_ID, "view": view.to_slack(), "is_cleared": false,
            });
            self.deliver(&payload).await?;
        }
        Ok(())
    }

    fn open_view_of(&self, view_id: &str, user: &str) -> Result<(View, &User)> {
        let user = self.user(user).ok_or(ClickError::Missing("this user"))?;
        let view = self
            .state()
            .view(view_id)
            .filter(|view| view.user == user.id)
            .cloned();
        Ok((view.ok_or(ClickError::Missing("this modal"))?, user))
    }

    /// Sends a signed interaction as Slack does; gives the answer's body.
    async fn deliver(&self, payload: &Value) -> Result<String> {
        let failed =
            |error: reqwest::Error| ClickError::Unacknowledged(error.without_url().to_string());
        let answer = self.signed(payload).send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            let problem = format!("it answered with status {}", status.as_u16());
            return Err(ClickError::Unacknowledged(problem));
        }
        answer.text().await.map_err(failed)
    }

    fn signed(&self, payload: &Value) -> reqwest::RequestBuilder {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        let timestamp = chrono::Utc::now().timestamp().to_string();
        let secret = self.0.config.signing_secret.expose_secret();
        let signature = signature(secret, &timestamp, &body);
        let request = self.0.http.post(self.0.config.interactions_url.clone());
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", timestamp)
            .header("x-slack-signature", signature)
            .body(body)
    }
}

/// docs.slack.dev, "block_actions payload"; `trigger_id`, `response_url` and `action_ts` come later.
fn block_actions_payload(
    channel: &Channel,
    user: &User,
    message: &Message,
    block_id: &str,
    button: &Value,
) -> Value {
    let is_ephemeral = message.only_for.is_some();
    json!({
        "type": "block_actions", "user": user_value(user), "team": team_value(),
        "api_app_id": APP_ID, "enterprise": null, "is_enterprise_install": false,
        "container": {"type": "message", "message_ts": message.ts, "channel_id": channel.id,
                      "is_ephemeral": is_ephemeral},
        "channel": {"id": channel.id, "name": channel.name},
        "message": message.to_slack(true), "state": {"values": {}},
        "actions": [{
            "type": "button", "action_id": button["action_id"], "block_id": block_id,
            "text": button["text"], "value": button["value"], "style": button["style"],
        }],
    })
}

/// docs.slack.dev, "Verifying requests from Slack".
fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length fits");
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

fn user_value(user: &User) -> Value {
    json!({"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID})
}

fn team_value() -> Value {
    json!({"id": TEAM_ID, "domain": "playground"})
}

/// How a submission was acknowledged: nothing, which is null here, or a JSON object. Slack shows an
/// error for anything else.
fn acknowledgement(body: &str) -> Result<Value> {
    if body.trim().is_empty() {
        return Ok(Value::Null);
    }
    let answer = serde_json::from_str(body).ok().filter(Value::is_object);
    answer.ok_or_else(|| {
        let problem = "it answered the modal with neither an empty body nor a JSON object";
        ClickError::Unacknowledged(problem.to_owned())
    })
}

/// The sentences of `response_action: errors`, each by an input of the modal: Slack shows an error of
/// its own where a key is none.
fn field_errors(view: &Value, errors: &Value) -> ClickError {
    let inputs: Vec<&str> = inputs(view)
        .filter_map(|b| b["block_id"].as_str())
        .collect();
    let is_shown =
        |(id, text): (&String, &Value)| inputs.contains(&id.as_str()) && text.is_string();
    match errors.as_object().filter(|errors| !errors.is_empty()) {
        Some(errors) if errors.iter().all(is_shown) => ClickError::Fields(errors.clone()),
        _ => ClickError::Unacknowledged("its errors name no field of the modal".to_owned()),
    }
}

fn inputs(view: &Value) -> impl Iterator<Item = &Value> {
    let blocks = view["blocks"].as_array().into_iter().flatten();
    blocks.filter(|block| block["type"] == "input")
}

/// `state.values` of a submission; refuses what Slack's own form would not send.
fn filled_state(view: &Value, values: &Value) -> Result<Value> {
    let (mut filled, mut problems) = (Map::new(), Map::new());
    for block in inputs(view) {
        let block_id = block["block_id"].as_str().unwrap_or_default();
        let element = &block["element"];
        let action_id = element["action_id"].as_str().unwrap_or_default();
        let text = values[block_id][action_id].as_str().unwrap_or_default();
        if let Some(problem) = field_problem(block, text) {
            problems.insert(block_id.to_owned(), json!(problem));
        }
        let value = if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        };
        let state = json!({action_id: {"type": element["type"], "value": value}});
        filled.insert(block_id.to_owned(), state);
    }
    match problems.is_empty() {
        true => Ok(Value::Object(filled)),
        false => Err(ClickError::Fields(problems)),
    }
}

fn field_problem(block: &Value, text: &str) -> Option<String> {
    let length = text.chars().count() as u64;
    let element = &block["element"];
    if text.is_empty() {
        return (block["optional"] != true).then(|| "Please fill this in.".to_owned());
    }
    let most = element["max_length"].as_u64().unwrap_or(3_000);
    let least = element["min_length"].as_u64().unwrap_or(0);
    match length {
        _ if length > most => Some(format!("Please use at most {most} characters.")),
        _ if length < least => Some(format!("Please use at least {least} characters.")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_slacks_own_example() {
        // docs.slack.dev, "Verifying requests from Slack", step by step.
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        assert_eq!(
            signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body),
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        );
    }

    #[test]
    fn a_submission_is_acknowledged_by_nothing_or_an_object() {
        for (body, read) in [
            ("", Some(Value::Null)),
            ("\n", Some(Value::Null)),
            ("{}", Some(json!({}))),
            (
                r#"{"response_action": "clear"}"#,
                Some(json!({"response_action": "clear"})),
            ),
            ("ok", None),
            ("null", None),
            ("[]", None),
            ("\"clear\"", None),
            ("{\"response_action\":", None),
        ] {
            assert_eq!(acknowledgement(body).ok(), read, "{body}");
        }
    }

    #[test]
    fn errors_are_shown_at_the_inputs_they_name_and_nowhere_else() {
        let view = json!({"blocks": [
            {"type": "section", "block_id": "intro"},
            {"type": "input", "block_id": "reason"},
        ]});
        let shown = |errors: Value| matches!(field_errors(&view, &errors), ClickError::Fields(_));
        assert!(shown(json!({"reason": "too long"})));
        for wrong in [
            json!({"intro": "no"}),
            json!({"other": "no"}),
            json!({"reason": "no", "other": "no"}),
            json!({"reason": 7}),
            json!({}),
            json!("no"),
            Value::Null,
        ] {
            assert!(!shown(wrong.clone()), "{wrong}");
        }
    }

    #[test]
    fn a_modals_fields_are_checked_before_they_are_sent() {
        let view = |optional: bool| {
            json!({"blocks": [{"type": "input", "block_id": "b", "optional": optional,
                "element": {"type": "plain_text_input", "action_id": "a", "max_length": 3}}]})
        };
        let given = |text: &str| json!({"b": {"a": text}});
        let filled = filled_state(&view(false), &given("abc")).expect("it fits");
        assert_eq!(
            filled,
            json!({"b": {"a": {"type": "plain_text_input", "value": "abc"}}})
        );
        assert!(filled_state(&view(false), &given("abcd")).is_err());
        assert!(filled_state(&view(false), &given("")).is_err());
        let empty = filled_state(&view(true), &given("")).expect("it is optional");
        assert_eq!(empty["b"]["a"]["value"], Value::Null);
    }
}
