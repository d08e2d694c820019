use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::cards::{self, Card, thumb_of};
use super::slack::{Choice, ClickError, View};
use super::{Place, Playground};
use crate::domain::{AnnotatorLabel, Thumb};

/// Without a new card for this long, the annotators stop waiting.
const CARDS_WITHIN: Duration = Duration::from_secs(120);
/// How often waiting looks again.
const LOOK: Duration = Duration::from_millis(100);
/// Cards that one request may have labelled.
const COUNT_MAX: usize = 500;

/// How far the recorded annotators are.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Cards labelled.
    pub done: usize,
    /// Cards to label.
    pub of: usize,
    /// `labelling`, `waiting` (for cards), `finished`, or `stopped`.
    pub state: &'static str,
    /// The card at which they are, for a page that follows them.
    pub card: Option<String>,
    /// Why they stopped early.
    pub problem: Option<String>,
}

impl Progress {
    /// Whether they are at it.
    pub fn is_running(&self) -> bool {
        matches!(self.state, "labelling" | "waiting")
    }
}

impl Playground {
    /// The recorded annotators label the next `count` cards, in the background.
    ///
    /// `false` where they are at it already.
    pub(super) fn start_annotators(&self, channel: &str, count: usize) -> bool {
        let count = count.min(COUNT_MAX);
        if !self.place(channel).is_some_and(|place| begin(place, count)) {
            return false;
        }
        self.0.slack.touch();
        let (playground, channel) = (self.clone(), channel.to_owned());
        tokio::spawn(async move {
            let stopping = playground.0.stopping.clone();
            let annotated = playground.annotate(&channel, count);
            stopping.run_until_cancelled(annotated).await;
        });
        true
    }

    async fn annotate(&self, channel: &str, count: usize) {
        let Some(place) = self.place(channel) else {
            return;
        };
        let mut done = BTreeSet::new();
        while done.len() < count {
            let Some(card) = self.next_card(place, &done, count).await else {
                return self.stop(place, "no more cards came".to_owned());
            };
            self.note(place, |progress| {
                progress.state = "labelling";
                progress.card = Some(card.ts.clone());
            });
            if let Err(error) = self.label(place, &card).await {
                return self.stop(place, error.to_string());
            }
            done.insert(card.ts);
            self.note(place, |progress| progress.done = done.len());
        }
        self.note(place, |progress| progress.state = "finished");
    }

    fn stop(&self, place: &Place, problem: String) {
        self.note(place, |progress| {
            progress.state = "stopped";
            progress.problem = Some(problem);
        });
    }

    /// Changes the progress, and tells the pages.
    fn note(&self, place: &Place, change: impl FnOnce(&mut Progress)) {
        let held = place.annotators.lock();
        let mut progress = held.expect("no holder of the lock panics");
        if let Some(progress) = progress.as_mut() {
            change(progress);
        }
        drop(progress);
        self.0.slack.touch();
    }

    /// The next open card; released and waited for where there is none.
    async fn next_card(
        &self,
        place: &Place,
        done: &BTreeSet<String>,
        count: usize,
    ) -> Option<Card> {
        if let Some(card) = self.open_card(place, done) {
            return Some(card);
        }
        self.note(place, |progress| progress.state = "waiting");
        let started = Instant::now();
        while started.elapsed() < CARDS_WITHIN {
            let (unlabelled, coming) = self.expected(place);
            let traces_a_card = self.traces_a_card(place);
            let missing = (count - done.len()).saturating_sub(unlabelled + coming / traces_a_card);
            let released = self.release(place, missing * traces_a_card);
            if missing > 0 && released.is_empty() && coming == 0 {
                return None;
            }
            tokio::time::sleep(LOOK).await;
            if let Some(card) = self.open_card(place, done) {
                return Some(card);
            }
        }
        None
    }

    /// Before the first report each trace has a card, afterwards about one in four.
    fn traces_a_card(&self, place: &Place) -> usize {
        let eval = cards::eval_state(&self.0.slack.state(), &place.channel);
        if eval.report_ts.is_some() { 4 } else { 1 }
    }

    /// The oldest card on which the annotators have something to do.
    fn open_card(&self, place: &Place, done: &BTreeSet<String>) -> Option<Card> {
        let cards = cards::cards(&self.0.slack.state(), &place.channel);
        cards
            .into_iter()
            .find(|card| !done.contains(&card.ts) && self.is_open(card))
    }

    /// Whether the annotators have something to do on a card: nobody has labelled it, or only a part
    /// of them has, as after a crash.
    fn is_open(&self, card: &Card) -> bool {
        let labels = self.0.langfuse.recorded_labels(&card.trace_id);
        let ids = labels
            .iter()
            .filter_map(|label| self.0.slack.user(label.annotator.as_str()));
        let ids: BTreeSet<&str> = ids.map(|user| user.id.as_str()).collect();
        let by_them = card.thumbs.keys().all(|user| ids.contains(user.as_str()));
        by_them && card.thumbs.len() < ids.len()
    }

    async fn label(&self, place: &Place, card: &Card) -> Result<(), ClickError> {
        for label in self.0.langfuse.recorded_labels(&card.trace_id) {
            let user = self.0.slack.user(label.annotator.as_str());
            let user = user
                .ok_or(ClickError::Missing("this annotator"))?
                .id
                .clone();
            if card.thumbs.contains_key(&user) {
                continue;
            }
            self.click_thumb(place, card, &user, &label).await?;
            tokio::time::sleep(self.0.annotator_pause).await;
        }
        Ok(())
    }

    async fn click_thumb(
        &self,
        place: &Place,
        card: &Card,
        user: &str,
        label: &AnnotatorLabel,
    ) -> Result<(), ClickError> {
        let button = self.thumb_button(place, card, label.label);
        let button = button.ok_or(ClickError::Missing("this card's button"))?;
        let text = |name: &str| button[name].as_str().unwrap_or_default().to_owned();
        let (action_id, value) = (text("action_id"), text("value"));
        let choice = Choice {
            action_id: &action_id,
            value: &value,
            ..Choice::default()
        };
        let before = self.modal_of(user).map(|view| view.id);
        self.0
            .slack
            .click(&place.channel, user, &card.ts, &choice)
            .await?;
        if label.label == Thumb::Down {
            let view = self.new_modal_of(user, before.as_deref()).await;
            self.answer_modal(user, view, label.comment.as_deref())
                .await?;
        }
        Ok(())
    }

    fn thumb_button(&self, place: &Place, card: &Card, thumb: Thumb) -> Option<Value> {
        let state = self.0.slack.state();
        let message = state.message(&place.channel, &card.ts)?;
        let shows =
            |button: &Value| button["text"]["text"].as_str().and_then(thumb_of) == Some(thumb);
        let mut buttons = message.buttons().map(|(_, button)| button);
        buttons.find(shows)
    }

    /// Fills the first field of the modal that a 👎 has opened, or skips it.
    async fn answer_modal(
        &self,
        user: &str,
        view: Option<View>,
        comment: Option<&str>,
    ) -> Result<(), ClickError> {
        let Some(view) = view else {
            return Ok(());
        };
        match comment.and_then(|comment| filled(&view.content, comment)) {
            Some(values) => self.0.slack.submit(&view.id, user, &values).await,
            None => self.0.slack.close(&view.id, user).await,
        }
    }

    fn modal_of(&self, user: &str) -> Option<View> {
        let state = self.0.slack.state();
        state.views_of(user).last().cloned()
    }

    /// The modal that opens after the one called `before`, while the click's trigger lives.
    async fn new_modal_of(&self, user: &str, before: Option<&str>) -> Option<View> {
        let started = Instant::now();
        while started.elapsed() < self.0.slack.timing().trigger_lives {
            let opened = self.modal_of(user);
            if opened
                .as_ref()
                .is_some_and(|view| Some(view.id.as_str()) != before)
            {
                return opened;
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }
}

/// Takes note that the annotators begin; `false` where they have.
fn begin(place: &Place, count: usize) -> bool {
    let mut progress = place
        .annotators
        .lock()
        .expect("no holder of the lock panics");
    if progress.as_ref().is_some_and(Progress::is_running) {
        return false;
    }
    *progress = Some(Progress {
        done: 0,
        of: count,
        state: "labelling",
        card: None,
        problem: None,
    });
    true
}

/// The values of a modal whose first field says `comment`, cut to what it takes; `None` without fields.
fn filled(view: &Value, comment: &str) -> Option<Value> {
    let mut blocks = view["blocks"].as_array()?.iter();
    let input = blocks.find(|block| block["type"] == "input")?;
    let most = input["element"]["max_length"].as_u64().unwrap_or(3_000) as usize;
    let text: String = comment.chars().take(most).collect();
    let (block, action) = (
        input["block_id"].as_str()?,
        input["element"]["action_id"].as_str()?,
    );
    Some(json!({block: {action: text}}))
}
