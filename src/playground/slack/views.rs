use std::time::Instant;

use serde_json::{Value, json};

use super::api::{Answer, Refusal};
use super::arguments::Arguments;
use super::messages::{can_show, with_ids};
use super::state::{APP_ID, BOT_ID, TEAM_ID, random_id};
use super::{Slack, State, blocks, elements};

/// Slack refuses a view that is larger, in bytes ("views.open").
const VIEW_MAX: usize = 250_000;
/// Modals on top of each other, at most ("Modals").
const STACK_MAX: usize = 3;

/// An open modal, or what a user's Home shows; gone with a restart, as a modal in Slack is when the
/// page is reloaded.
#[derive(Clone, Debug)]
pub struct View {
    /// `V…`.
    pub id: String,
    /// Who sees it.
    pub user: String,
    /// As the app gave it.
    pub content: Value,
    /// As in [`super::Message::change`].
    pub change: u64,
    /// The modal at the bottom of the stack.
    root: String,
    /// The modal below.
    previous: Option<String>,
    /// What the user has chosen: as `state.values`, without what is untouched.
    chosen: Value,
}

impl View {
    fn new(user: &str, content: Value) -> Self {
        let id = format!("V{}", random_id());
        Self {
            root: id.clone(),
            id,
            user: user.to_owned(),
            content,
            change: 0,
            previous: None,
            chosen: json!({}),
        }
    }

    /// Its blocks.
    pub fn blocks(&self) -> &[Value] {
        self.content["blocks"].as_array().map_or(&[], Vec::as_slice)
    }

    /// What a page needs to draw it again: as Slack's API and payloads show it.
    pub fn to_slack(&self) -> Value {
        let mut view = self.content.clone();
        for (name, value) in [
            ("id", json!(self.id)),
            ("team_id", json!(TEAM_ID)),
            ("app_id", json!(APP_ID)),
            ("app_installed_team_id", json!(TEAM_ID)),
            ("bot_id", json!(BOT_ID)),
            ("root_view_id", json!(self.root)),
            ("previous_view_id", json!(self.previous)),
            ("hash", json!(self.hash())),
        ] {
            view[name] = value;
        }
        for name in ["private_metadata", "callback_id", "external_id"] {
            if view[name].is_null() {
                view[name] = json!("");
            }
        }
        view["state"] = json!({"values": elements::values(self.blocks(), &self.chosen)});
        view
    }

    fn hash(&self) -> String {
        format!("{}.view", self.change)
    }

    /// Notes what the user has filled in.
    pub fn fill(&mut self, filled: &Value) {
        let blocks = self.blocks().to_vec();
        elements::fill(&blocks, &mut self.chosen, filled);
    }

    /// Notes what an action of the user leaves chosen.
    pub fn keep(&mut self, action: &Value) {
        elements::keep(&mut self.chosen, action);
    }

    fn is_external(&self, id: &str) -> bool {
        self.content["external_id"] == id && !id.is_empty()
    }
}

impl State {
    /// Opens a modal for a user, in place of whatever modals were open.
    pub fn open_view(&mut self, user: &str, content: Value) -> View {
        self.views.retain(|view| view.user != user);
        self.add_view(View::new(user, content))
    }

    /// Opens a modal on top of a user's others; Slack's word where there are too many.
    pub fn push_view(&mut self, user: &str, content: Value) -> Result<View, &'static str> {
        let below: Vec<&View> = self.views_of(user).collect();
        if below.len() >= STACK_MAX {
            return Err("push_limit_reached");
        }
        let mut view = View::new(user, content);
        if let Some(top) = below.last() {
            view.root = top.root.clone();
            view.previous = Some(top.id.clone());
        }
        Ok(self.add_view(view))
    }

    fn add_view(&mut self, mut view: View) -> View {
        self.change += 1;
        view.change = self.change;
        self.views.push(view.clone());
        view
    }

    /// A user's open modals, the one in front last.
    pub fn views_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a View> {
        self.views.iter().filter(move |view| view.user == user)
    }

    /// The open modal, or the Home, of this id.
    pub fn view(&self, id: &str) -> Option<&View> {
        let mut all = self.views.iter().chain(self.homes.values());
        all.find(|view| view.id == id)
    }

    /// The same, to change it.
    pub fn view_mut(&mut self, id: &str) -> Option<&mut View> {
        let mut all = self.views.iter_mut().chain(self.homes.values_mut());
        all.find(|view| view.id == id)
    }

    /// Shows other content in an open modal or on a Home.
    pub fn update_view(&mut self, id: &str, content: Value) {
        self.change += 1;
        let change = self.change;
        if let Some(view) = self.view_mut(id) {
            view.content = content;
            view.change = change;
        }
    }

    /// Closes a modal and those on top of it; the one below is shown again.
    pub fn close_view(&mut self, id: &str) {
        let Some(view) = self.view(id).cloned() else {
            return;
        };
        self.change += 1;
        let mut below = true;
        self.views.retain(|other| {
            below &= other.id != id;
            other.user != view.user || below
        });
    }

    /// Closes all modals of a user.
    pub fn clear_views(&mut self, user: &str) {
        self.change += 1;
        self.views.retain(|view| view.user != user);
    }

    fn publish(&mut self, user: &str, content: Value) -> View {
        self.change += 1;
        let change = self.change;
        let home = self.homes.entry(user.to_owned());
        let view = home.or_insert_with(|| View::new(user, json!({})));
        view.content = content;
        view.change = change;
        view.clone()
    }
}

/// The view, each block with a `block_id`.
pub fn view_with_ids(mut view: Value) -> Value {
    view["blocks"] = Value::Array(with_ids(view["blocks"].take()));
    view
}

/// The call's view of this kind, if Slack would take it.
fn given(state: &State, arguments: &Arguments, kind: &str) -> Result<Value, Refusal> {
    let view = arguments.structure("view").ok_or("invalid_arguments")?;
    let problems = blocks::check_view(&view, kind, &|id| can_show(state, id));
    if !problems.is_empty() {
        return Err(Refusal::Invalid("invalid_arguments", problems));
    }
    if view.to_string().len() > VIEW_MAX {
        return Err(Refusal::Error("view_too_large"));
    }
    Ok(view_with_ids(view))
}

/// `views.open`.
pub fn open(slack: &Slack, arguments: &Arguments) -> Answer {
    add(slack, arguments, |state, user, view| {
        Ok(state.open_view(user, view))
    })
}

/// `views.push`.
pub fn push(slack: &Slack, arguments: &Arguments) -> Answer {
    add(slack, arguments, State::push_view)
}

fn add(
    slack: &Slack,
    arguments: &Arguments,
    add: impl FnOnce(&mut State, &str, Value) -> Result<View, &'static str>,
) -> Answer {
    let mut state = slack.state();
    let view = given(&state, arguments, "modal")?;
    let external = view["external_id"].as_str().unwrap_or_default();
    if state.views.iter().any(|other| other.is_external(external)) {
        return Err(Refusal::Error("duplicate_external_id"));
    }
    let user = state.take_trigger(&arguments.text("trigger_id"), Instant::now())?;
    let opened = add(&mut state, &user, view)?;
    slack.tell(&state);
    Ok(json!({"view": opened.to_slack()}))
}

/// `views.update`: by `view_id` or `external_id`; with a `hash`, only if nobody was quicker.
pub fn update(slack: &Slack, arguments: &Arguments) -> Answer {
    let mut state = slack.state();
    let external = arguments.text("external_id");
    let mut all = state.views.iter().chain(state.homes.values());
    let found = match arguments.optional("view_id") {
        Some(id) => all.find(|view| view.id == id),
        None => all.find(|view| view.is_external(&external)),
    };
    let found = found.ok_or("not_found")?.clone();
    check_hash(&found, arguments)?;
    let kind = found.content["type"].as_str().unwrap_or("modal");
    let view = given(&state, arguments, kind)?;
    state.update_view(&found.id, view);
    slack.tell(&state);
    let updated = state.view(&found.id).map(View::to_slack);
    Ok(json!({"view": updated}))
}

fn check_hash(view: &View, arguments: &Arguments) -> Result<(), Refusal> {
    match arguments.optional("hash") {
        Some(hash) if hash != view.hash() => Err(Refusal::Error("hash_conflict")),
        _ => Ok(()),
    }
}

/// `views.publish`: what a user's Home shows.
pub fn publish(slack: &Slack, arguments: &Arguments) -> Answer {
    let id = arguments.text("user_id");
    let user = slack.users().iter().find(|user| user.id == id);
    let user = user.ok_or("user_not_found")?;
    let mut state = slack.state();
    let view = given(&state, arguments, "home")?;
    if let Some(home) = state.homes.get(&user.id) {
        check_hash(home, arguments)?;
    }
    let published = state.publish(&user.id, view);
    slack.tell(&state);
    Ok(json!({"view": published.to_slack()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<'a>(state: &'a State, user: &'a str) -> Vec<&'a str> {
        state.views_of(user).map(|view| view.id.as_str()).collect()
    }

    #[test]
    fn modals_stand_on_each_other_three_high() {
        let mut state = State::default();
        let bottom = state.open_view("U1", json!({"type": "modal"}));
        let other = state.open_view("U2", json!({}));
        let middle = state.push_view("U1", json!({})).unwrap();
        let top = state.push_view("U1", json!({})).unwrap();
        let shown = top.to_slack();
        assert_eq!(
            (&shown["root_view_id"], &shown["previous_view_id"]),
            (&json!(bottom.id), &json!(middle.id))
        );
        assert_eq!(
            state.push_view("U1", json!({})).err(),
            Some("push_limit_reached")
        );
        state.close_view(&top.id);
        assert_eq!(ids(&state, "U1"), [&bottom.id, &middle.id]);
        state.push_view("U1", json!({})).unwrap();
        state.close_view(&middle.id);
        assert_eq!(ids(&state, "U1"), [&bottom.id]);
        state.push_view("U1", json!({})).unwrap();
        state.clear_views("U1");
        assert!(ids(&state, "U1").is_empty());
        assert_eq!(ids(&state, "U2"), [&other.id]);
    }

    #[test]
    fn a_home_keeps_its_id_and_its_hash_tells_of_changes() {
        let mut state = State::default();
        let first = state.publish("U1", json!({"type": "home"}));
        let second = state.publish("U1", json!({"type": "home"}));
        assert_eq!(first.id, second.id);
        assert_ne!(first.hash(), second.hash());
        assert!(ids(&state, "U1").is_empty(), "it is no modal");
    }
}
