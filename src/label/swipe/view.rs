use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::{TraceId, WorkspaceId};
use crate::generate::Progress;
use crate::label::modal::REASON_MAX;
use crate::slack::{actions, button, context, section};

/// The modal's `callback_id`.
pub const CALLBACK: &str = "swipe";
/// The text field's `action_id`.
const REASON: &str = "swipe_reason";
/// Slack's limit for a modal's `private_metadata`, in characters (docs.slack.dev, "Modal").
const METADATA_MAX: usize = 3_000;
/// Slack's limit for a modal's blocks (docs.slack.dev, "Modal"), without those of our own.
const BLOCKS_MAX: usize = 90;
/// Presses that can be taken back, one after another.
const UNDO_MAX: usize = 20;

/// What a press did, which says how it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    Labelled,
    LeftOut,
}

/// What the modal carries of itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub workspace: WorkspaceId,
    /// `None` where there is nothing to label.
    pub trace: Option<TraceId>,
    /// Views so far. It names the text field, so that each trace has an empty one.
    turn: u32,
    /// What was done in this modal, the last at the end.
    done: Vec<(TraceId, Done)>,
    /// The trace to show again.
    #[serde(skip)]
    pub again: Option<TraceId>,
}

/// How far a person and the team are.
pub struct Count {
    /// Traces that the person has labelled.
    pub own: i64,
    pub progress: Progress,
}

impl Shown {
    /// Of a modal to open.
    pub fn new(workspace: &WorkspaceId) -> Self {
        Self {
            workspace: workspace.clone(),
            trace: None,
            turn: 0,
            done: Vec::new(),
            again: None,
        }
    }

    /// Of a modal that comes back; `None` where it is none of these.
    pub fn of_view(view: &Value) -> Option<Self> {
        let metadata = view["private_metadata"].as_str()?;
        let is_ours = view["callback_id"] == CALLBACK;
        serde_json::from_str(metadata).ok().filter(|_| is_ours)
    }

    /// Notes what a press did.
    pub fn did(&mut self, trace: TraceId, done: Done) {
        self.done.retain(|(one, _)| *one != trace);
        self.done.push((trace, done));
    }

    /// What is to be taken back of a trace, which is shown again; `None` where it is not among what was done.
    pub fn undo(&mut self, trace: &TraceId) -> Option<Done> {
        let at = self.done.iter().rposition(|(one, _)| one == trace)?;
        self.again = Some(trace.clone());
        Some(self.done.remove(at).1)
    }

    /// The text field's `block_id`.
    pub fn field(&self) -> String {
        format!("reason_{}", self.turn)
    }

    /// The modal: how far, the buttons, which stay where they are, and the trace below them.
    pub fn view(mut self, trace: Vec<Value>, count: &Count) -> Value {
        self.turn = self.turn.wrapping_add(1);
        let mut blocks = vec![context(&progress(count))];
        match &self.trace {
            Some(id) => {
                blocks.push(actions("swipe", &thumbs(id.as_str())));
                blocks.extend(trace.into_iter().take(BLOCKS_MAX));
                blocks.push(self.reason());
            }
            None => blocks.push(section(NOTHING)),
        }
        let rest = self.other_buttons();
        if !rest.is_empty() {
            blocks.push(actions("swipe_other", &rest));
        }
        let mut view = json!({
            "type": "modal", "callback_id": CALLBACK, "private_metadata": self.metadata(),
            "title": plain("Label traces"), "close": plain("Done"), "blocks": blocks,
        });
        // Slack wants a modal with a text field to have it.
        if self.trace.is_some() {
            view["submit"] = plain("👎 for this reason");
        }
        view
    }

    fn reason(&self) -> Value {
        json!({
            "type": "input", "block_id": self.field(), "optional": true,
            "label": plain("Why is it bad? Type it before you press 👎"),
            "element": {
                "type": "plain_text_input", "action_id": REASON, "max_length": REASON_MAX,
                "placeholder": plain("It does not answer the question"),
            },
        })
    }

    fn other_buttons(&self) -> Vec<Value> {
        let mut buttons = Vec::new();
        if let Some(trace) = &self.trace {
            let trace = trace.as_str();
            buttons.push(button("swipe_skip", "Skip", "Skip this trace", trace));
            let label = "Not my area: ask me about no traces of this name";
            buttons.push(button("swipe_not_mine", "Not my area", label, trace));
        }
        if let Some((trace, _)) = self.done.last() {
            let label = "Undo the last press";
            buttons.push(button("swipe_undo", "Undo", label, trace.as_str()));
        }
        buttons
    }

    /// Without the oldest presses, where they take too much room.
    fn metadata(&mut self) -> String {
        let surplus = self.done.len().saturating_sub(UNDO_MAX);
        self.done.drain(..surplus);
        loop {
            let text = serde_json::to_string(self).expect("texts and numbers are JSON");
            if text.chars().count() <= METADATA_MAX || self.done.is_empty() {
                return text;
            }
            self.done.remove(0);
        }
    }
}

const NOTHING: &str = "*Nothing to label.* 🎉\nYou have labelled or left out all that people are asked about. New traces \
    come into the channel by themselves. What you left out comes back by *Undo*, or in a card's menu by *Skip* and *Ask me again*.";

/// "You labelled 7 · 5 more until the eval".
fn progress(count: &Count) -> String {
    format!(
        "You labelled *{}* · {}",
        count.own,
        count.progress.in_words()
    )
}

fn thumbs(trace: &str) -> [Value; 3] {
    [
        button("swipe_up", "👍 Good", "Good answer", trace),
        button("swipe_down", "👎 Bad", "Bad answer", trace),
        button("swipe_neutral", "😐 Neither", "Neither good nor bad", trace),
    ]
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": true})
}

/// What was typed into the modal's text field.
pub fn typed(view: &Value) -> &str {
    let blocks = view["state"]["values"].as_object();
    let mut fields = blocks.into_iter().flat_map(|blocks| blocks.values());
    let text = fields.find_map(|block| block[REASON]["value"].as_str());
    text.unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count() -> Count {
        let progress = Progress {
            labelled: 15,
            passes: 10,
            fails: 5,
            last: None,
            next_at: 20,
        };
        Count { own: 7, progress }
    }

    fn of(trace: &str) -> Shown {
        Shown {
            trace: Some(trace.into()),
            ..Shown::new(&"default".into())
        }
    }

    #[test]
    fn the_modal_says_how_far_people_are_and_keeps_its_buttons_in_place() {
        let view = of("t").view(vec![section("Q"), section("A")], &count());
        let kinds = view["blocks"].as_array().unwrap();
        let kinds: Vec<_> = kinds.iter().map(|b| b["type"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "context", "actions", "section", "section", "input", "actions"
            ]
        );
        let said = view["blocks"][0]["elements"][0]["text"].as_str().unwrap();
        assert_eq!(said, "You labelled *7* · 5 more until the eval");
        assert!(view["submit"].is_object(), "a field needs it");
    }

    #[test]
    fn without_a_trace_there_is_nothing_to_press_but_undo() {
        let mut shown = Shown::new(&"default".into());
        shown.did("t".into(), Done::Labelled);
        let view = shown.view(Vec::new(), &count());
        let text = view.to_string();
        assert!(text.contains("Nothing to label") && text.contains("swipe_undo"));
        assert!(!text.contains("swipe_up") && view["submit"].is_null());
    }

    #[test]
    fn what_was_done_last_is_taken_back_first_and_once() {
        let mut shown = of("c");
        shown.did("a".into(), Done::Labelled);
        shown.did("b".into(), Done::LeftOut);
        assert_eq!(shown.undo(&"b".into()), Some(Done::LeftOut));
        assert_eq!(shown.again, Some("b".into()));
        assert_eq!(shown.undo(&"b".into()), None);
        assert_eq!(shown.undo(&"a".into()), Some(Done::Labelled));
    }

    #[test]
    fn what_was_typed_is_found_whatever_its_field_is_called() {
        let view = json!({"state": {"values": {"x": {"y": {"value": "z"}},
            "reason_3": {REASON: {"type": "plain_text_input", "value": " no sources\n"}}}}});
        assert_eq!(typed(&view), "no sources");
        for view in [
            json!({}),
            json!({"state": {"values": {"r": {REASON: {"value": null}}}}}),
        ] {
            assert_eq!(typed(&view), "");
        }
    }

    proptest! {
        #[test]
        fn the_modal_comes_back_as_it_went_and_within_slacks_limits(
            traces in proptest::collection::vec("[\\PC]{1,400}", 0..40), blocks in 0..200_usize,
        ) {
            let mut shown = of("now 👍 \"quoted\"");
            for trace in &traces {
                shown.did(trace.as_str().into(), Done::Labelled);
            }
            let view = shown.view(vec![section("x"); blocks], &count());
            prop_assert!(view["private_metadata"].as_str().unwrap().chars().count() <= METADATA_MAX);
            prop_assert!(view["blocks"].as_array().unwrap().len() <= 100);
            let again = Shown::of_view(&view).unwrap();
            prop_assert_eq!(again.trace, Some("now 👍 \"quoted\"".into()));
            prop_assert_eq!(again.turn, 1);
            let last = traces.last().filter(|_| !again.done.is_empty());
            let kept = again.done.last().map(|(trace, _)| trace.as_str());
            prop_assert_eq!(last.map(String::as_str), kept);
        }
    }
}
