use serde_json::{Map, Value, json};

use super::deliver::{Parcel, Undelivered};
use super::elements::{self, Acted, Choice};
use super::state::{APP_ID, TEAM_ID};
use super::views::{View, view_with_ids};
use super::{Channel, Click, Entry, Message, Slack, State, User, blocks};

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

impl From<Undelivered> for ClickError {
    fn from(error: Undelivered) -> Self {
        Self::Unacknowledged(error.problem)
    }
}

impl From<std::io::Error> for ClickError {
    fn from(error: std::io::Error) -> Self {
        Self::Unacknowledged(error.to_string())
    }
}

pub type Result<T> = std::result::Result<T, ClickError>;

impl Slack {
    /// Clicks a button of a message as a user, or chooses an option there, and waits until the service
    /// has acknowledged it.
    ///
    /// # Errors
    /// There is no such element any more, or the service does not acknowledge.
    pub async fn click(
        &self,
        channel: &str,
        user: &str,
        ts: &str,
        choice: &Choice<'_>,
    ) -> Result<()> {
        let (channel, user) = self.open_place(channel, user)?;
        let (payload, click) = self.block_actions(channel, user, ts, choice)?;
        self.deliver(Parcel::Interaction(&payload)).await?;
        let mut state = self.state();
        Ok(self.record(&mut state, Entry::Clicked(click))?)
    }

    fn block_actions(
        &self,
        channel: &Channel,
        user: &User,
        ts: &str,
        choice: &Choice,
    ) -> Result<(Value, Click)> {
        let mut state = self.state();
        let seen = |message: &&Message| message.only_for.as_ref().is_none_or(|id| *id == user.id);
        let message = state.message(&channel.id, ts).filter(seen).cloned();
        let message = message.ok_or(ClickError::Missing("this message"))?;
        let acted = elements::act(&message.blocks, choice);
        let acted = acted.ok_or(ClickError::Missing("this button"))?;
        let mut payload = self.interaction(&mut state, "block_actions", user);
        let mut chosen = json!({});
        elements::keep(&mut chosen, &acted.action);
        for (name, value) in [
            ("container", container(channel, &message)),
            ("channel", json!({"id": channel.id, "name": channel.name})),
            (
                "state",
                json!({"values": elements::values(&message.blocks, &chosen)}),
            ),
        ] {
            payload[name] = value;
        }
        // Slack keeps no ephemeral message, so it can't tell of one.
        if message.only_for.is_none() {
            payload["message"] = message.to_slack(true);
        }
        let key = state.new_response_key(&channel.id, ts, &user.id);
        payload["response_url"] = json!(self.response_url(&key));
        let click = Click {
            channel: channel.id.clone(),
            ts: ts.to_owned(),
            user: user.id.clone(),
            text: acted.text.clone(),
            value: acted.value.clone(),
        };
        add_action(&mut state, &mut payload, acted);
        Ok((payload, click))
    }

    /// Clicks a button of a modal or a Home as its user, or chooses an option there; `filled` is what
    /// stands in its other fields by then, as in [`Slack::submit`].
    ///
    /// # Errors
    /// There is no such element any more, or the service does not acknowledge.
    pub async fn click_view(
        &self,
        view_id: &str,
        user: &str,
        choice: &Choice<'_>,
        filled: &Value,
    ) -> Result<()> {
        let payload = self.view_actions(view_id, user, choice, filled)?;
        self.deliver(Parcel::Interaction(&payload)).await?;
        Ok(())
    }

    fn view_actions(
        &self,
        view_id: &str,
        user: &str,
        choice: &Choice,
        filled: &Value,
    ) -> Result<Value> {
        let (view, user) = self.open_view_of(view_id, user)?;
        let acted = elements::act(view.blocks(), choice);
        let acted = acted.ok_or(ClickError::Missing("this button"))?;
        let mut state = self.state();
        let view = state.view_mut(view_id);
        let view = view.ok_or(ClickError::Missing("this modal"))?;
        view.fill(filled);
        view.keep(&acted.action);
        let shown = view.to_slack();
        let mut payload = self.interaction(&mut state, "block_actions", user);
        payload["container"] = json!({"type": "view", "view_id": view_id});
        payload["view"] = shown;
        add_action(&mut state, &mut payload, acted);
        Ok(payload)
    }

    /// Submits a modal: `filled` holds a text for each block and action, an option's value, or a list of
    /// ticked ones.
    ///
    /// # Errors
    /// [`ClickError::Fields`] with a sentence by block, from Slack's own checks or from the service.
    pub async fn submit(&self, view_id: &str, user: &str, filled: &Value) -> Result<()> {
        let (mut view, user) = self.open_view_of(view_id, user)?;
        view.fill(filled);
        let shown = view.to_slack();
        check_fields(&view, &shown["state"]["values"])?;
        let payload = {
            let mut state = self.state();
            let mut payload = self.interaction(&mut state, "view_submission", user);
            payload["view"] = shown;
            payload["response_urls"] = json!([]);
            payload
        };
        let answer = self.deliver(Parcel::Interaction(&payload)).await?;
        self.follow(&view, &acknowledgement(&answer.body)?)
    }

    /// What an app may answer to a submission (docs.slack.dev, "Modals"): nothing closes the modal,
    /// `clear` all of them, `update` and `push` show another.
    fn follow(&self, view: &View, answer: &Value) -> Result<()> {
        let mut state = self.state();
        let fits = blocks::check_view(&answer["view"], "modal", &|_| true).is_empty();
        match answer["response_action"].as_str() {
            None => state.close_view(&view.id),
            Some("clear") => state.clear_views(&view.user),
            Some("errors") => return Err(field_errors(&view.content, &answer["errors"])),
            Some("update") if fits => {
                state.update_view(&view.id, view_with_ids(answer["view"].clone()));
            }
            Some("push") if fits => {
                let pushed = view_with_ids(answer["view"].clone());
                let refused = |error: &str| ClickError::Unacknowledged(error.to_owned());
                state.push_view(&view.user, pushed).map_err(refused)?;
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
    ///
    /// # Errors
    /// There is no such modal any more, or the service does not acknowledge.
    pub async fn close(&self, view_id: &str, user: &str) -> Result<()> {
        let (view, user) = self.open_view_of(view_id, user)?;
        let payload = {
            let mut state = self.state();
            state.close_view(view_id);
            self.tell(&state);
            let mut payload = self.interaction(&mut state, "view_closed", user);
            payload["view"] = view.to_slack();
            payload["is_cleared"] = json!(false);
            payload
        };
        if view.content["notify_on_close"] == true {
            self.deliver(Parcel::Interaction(&payload)).await?;
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

    /// What all interactions say (docs.slack.dev, "Interaction payloads").
    fn interaction(&self, state: &mut State, kind: &str, user: &User) -> Value {
        let mut payload = json!({
            "type": kind, "token": "the-verification-token-is-deprecated",
            "user": {
                "id": user.id, "username": user.name, "name": user.name,
                "team_id": state.standing.team_of(&user.id),
            },
            "team": {"id": TEAM_ID, "domain": "playground"}, "api_app_id": APP_ID,
            "enterprise": null, "is_enterprise_install": false,
        });
        if kind != "view_closed" {
            let trigger = state.new_trigger(&user.id, self.timing().trigger_lives);
            payload["trigger_id"] = json!(trigger);
        }
        payload
    }

    /// Where a `response_url` with this key leads.
    pub(super) fn response_url(&self, key: &str) -> String {
        format!("{}actions/{key}", self.0.config.base_url)
    }
}

fn add_action(state: &mut State, payload: &mut Value, acted: Acted) {
    let mut action = acted.action;
    action["action_ts"] = json!(state.next_ts());
    payload["actions"] = json!([action]);
}

fn container(channel: &Channel, message: &Message) -> Value {
    let mut container = json!({
        "type": "message", "message_ts": message.ts, "channel_id": channel.id,
        "is_ephemeral": message.only_for.is_some(),
    });
    if let Some(thread_ts) = &message.thread_ts {
        container["thread_ts"] = json!(thread_ts);
    }
    container
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

/// Refuses what Slack's own form would not send.
fn check_fields(view: &View, values: &Value) -> Result<()> {
    let mut problems = Map::new();
    for block in inputs(&view.content) {
        let block_id = block["block_id"].as_str().unwrap_or_default();
        let action_id = block["element"]["action_id"].as_str().unwrap_or_default();
        if let Some(problem) = field_problem(block, &values[block_id][action_id]) {
            problems.insert(block_id.to_owned(), json!(problem));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ClickError::Fields(problems)),
    }
}

fn field_problem(block: &Value, value: &Value) -> Option<String> {
    let element = &block["element"];
    let text = value["value"].as_str().unwrap_or_default();
    let is_chosen = value["selected_option"].is_object()
        || value["selected_options"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
    if text.is_empty() && !is_chosen {
        return (block["optional"] != true).then(|| "Please fill this in.".to_owned());
    }
    let length = text.chars().count() as u64;
    let most = element["max_length"].as_u64().unwrap_or(3_000);
    let least = element["min_length"].as_u64().unwrap_or(0);
    match length {
        _ if length > most => Some(format!("Please use at most {most} characters.")),
        _ if length < least && !is_chosen => {
            Some(format!("Please use at least {least} characters."))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let text = |optional: bool| {
            json!({"type": "input", "optional": optional,
                "element": {"type": "plain_text_input", "max_length": 3}})
        };
        let given = |text: &str| json!({"type": "plain_text_input", "value": text});
        let is_fine = |block: &Value, value: Value| field_problem(block, &value).is_none();
        assert!(is_fine(&text(false), given("abc")));
        assert!(!is_fine(&text(false), given("abcd")));
        assert!(!is_fine(&text(false), json!({"value": null})));
        assert!(is_fine(&text(true), json!({"value": null})));
        let choice = json!({"type": "input", "element": {"type": "checkboxes"}});
        assert!(!is_fine(&choice, json!({"selected_options": []})));
        assert!(is_fine(&choice, json!({"selected_options": [{}]})));
        assert!(is_fine(&choice, json!({"selected_option": {}})));
        assert!(!is_fine(&choice, json!({"selected_option": null})));
    }
}
