use std::collections::BTreeMap;

use super::slack::{Click, Message, State};
use crate::domain::{Class, Thumb, consensus};

/// A message that asks about a trace, as its metadata says.
pub struct Card {
    /// The message.
    pub ts: String,
    /// The trace that it asks about.
    pub trace_id: String,
    /// The last thumb of each user who clicked one on the card.
    pub thumbs: BTreeMap<String, Thumb>,
    /// What the card says that its labels add up to, whichever way they were given; `None` where it says nothing.
    shown: Option<Vec<Thumb>>,
}

impl Card {
    /// What the labels add up to; `None` for 😐 and without labels.
    pub fn class(&self) -> Option<Class> {
        consensus(self.labels()).and_then(Thumb::class)
    }

    /// Whether anybody labelled the trace.
    pub fn is_labelled(&self) -> bool {
        !self.labels().is_empty()
    }

    fn labels(&self) -> Vec<Thumb> {
        let clicked = || self.thumbs.values().copied().collect();
        self.shown.clone().unwrap_or_else(clicked)
    }
}

/// The cards of a channel, oldest first.
pub fn cards(state: &State, channel: &str) -> Vec<Card> {
    let messages = of_type(state, channel, "iofold_trace");
    messages
        .filter_map(|message| card(state, message))
        .collect()
}

fn card(state: &State, message: &Message) -> Option<Card> {
    let metadata = message.metadata.as_ref()?;
    let clicks = state
        .clicks
        .get(&(message.channel.clone(), message.ts.clone()));
    let clicks = clicks.into_iter().flatten();
    Some(Card {
        ts: message.ts.clone(),
        trace_id: metadata["event_payload"]["trace_id"].as_str()?.to_owned(),
        thumbs: clicks
            .filter_map(|(user, clicks)| Some((user.clone(), last_thumb(clicks)?)))
            .collect(),
        shown: tally(message),
    })
}

/// The labels that a card's last line counts.
fn tally(message: &Message) -> Option<Vec<Thumb>> {
    let last = message
        .blocks
        .iter()
        .rfind(|block| block["type"] == "context")?;
    let text = last["elements"][0]["text"].as_str()?;
    if text.starts_with("No labels yet") {
        return Some(Vec::new());
    }
    let mut labels = Vec::new();
    for part in text.split(" · ").take(3) {
        let (emoji, count) = part.split_once(' ')?;
        let thumb = thumb_of(emoji)?;
        labels.extend(std::iter::repeat_n(thumb, count.parse().ok()?));
    }
    Some(labels)
}

/// The last thumb of a user's clicks that was not undone; other buttons of a card change none.
fn last_thumb(clicks: &[Click]) -> Option<Thumb> {
    let said = clicks
        .iter()
        .rev()
        .find_map(|click| match click.value.as_str() {
            "undo" => Some(None),
            _ => thumb_of(&click.text).map(Some),
        });
    said.flatten()
}

/// The thumb that a button's text shows.
pub fn thumb_of(text: &str) -> Option<Thumb> {
    let thumbs = [Thumb::Up, Thumb::Down, Thumb::Neutral];
    thumbs
        .into_iter()
        .find(|thumb| text.contains(thumb.emoji()))
}

/// How far an eval is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalState {
    /// The newest report that nobody discarded.
    pub report_ts: Option<String>,
    /// The newest message that says why there is no eval yet.
    pub not_yet_ts: Option<String>,
    /// Whether somebody pressed *Deploy* last on any report.
    pub is_deployed: bool,
    /// Whether there were reports, and somebody pressed *Discard* last on each.
    pub is_discarded: bool,
}

/// What the channel's reports and the clicks on them say.
pub fn eval_state(state: &State, channel: &str) -> EvalState {
    let reports = || of_type(state, channel, "iofold_report");
    let is_last = |message: &Message, button: &str| {
        let clicks = (state.clicks).get(&(message.channel.clone(), message.ts.clone()));
        let mut last = clicks
            .into_iter()
            .flatten()
            .filter_map(|(_, of_user)| of_user.last());
        last.any(|click| click.text.contains(button))
    };
    let standing = reports().rfind(|message| !is_last(message, "Discard"));
    let not_yet = of_type(state, channel, "iofold_not_yet").next_back();
    EvalState {
        report_ts: standing.map(|message| message.ts.clone()),
        not_yet_ts: not_yet.map(|message| message.ts.clone()),
        is_deployed: reports().any(|message| is_last(message, "Deploy")),
        is_discarded: standing.is_none() && reports().next().is_some(),
    }
}

/// The channel's own messages of a type, oldest first.
fn of_type<'a>(
    state: &'a State,
    channel: &'a str,
    event_type: &'a str,
) -> impl DoubleEndedIterator<Item = &'a Message> {
    let messages = state.of_channel(channel);
    messages.filter(move |m| m.thread_ts.is_none() && m.event_type() == event_type)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_thumb_counts_until_it_is_undone() {
        let click = |text: &str, value: &str| Click {
            channel: "C1".to_owned(),
            ts: "1.0".to_owned(),
            user: "U1".to_owned(),
            text: text.to_owned(),
            value: value.to_owned(),
        };
        let mut clicks = vec![click("👍 Good", "t1"), click("👎 Bad", "t1")];
        clicks.push(click("Show all", "t1"));
        assert_eq!(last_thumb(&clicks), Some(Thumb::Down));
        clicks.push(click("Undo", "undo"));
        assert_eq!(last_thumb(&clicks), None);
        clicks.push(click("😐 Neutral", "neutral"));
        assert_eq!(last_thumb(&clicks), Some(Thumb::Neutral));
    }

    #[test]
    fn a_buttons_thumb_is_the_emoji_that_it_shows() {
        assert_eq!(thumb_of("👍 Good"), Some(Thumb::Up));
        assert_eq!(thumb_of("Bad 👎"), Some(Thumb::Down));
        assert_eq!(thumb_of("😐"), Some(Thumb::Neutral));
        assert_eq!(thumb_of("Deploy"), None);
    }

    #[test]
    fn labels_given_by_whichever_way_are_read_off_the_card() {
        let card = |text: &str| {
            let line = json!({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]});
            let message = json!({
                "ts": "1.1", "channel": "C1", "text": "", "blocks": [{"type": "section"}, line], "metadata": null,
                "thread_ts": null, "edited_ts": null, "only_for": null,
            });
            tally(&serde_json::from_value(message).unwrap())
        };
        assert_eq!(card("No labels yet · 1.3 s"), Some(Vec::new()));
        let both = vec![Thumb::Up, Thumb::Up, Thumb::Down];
        assert_eq!(card("👍 2 · 👎 1 · 😐 0 · 1.3 s"), Some(both));
        assert_eq!(card("something else"), None);
    }
}
