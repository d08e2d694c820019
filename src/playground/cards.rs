use std::collections::BTreeMap;

use super::slack::{Message, State};
use crate::domain::{Class, Thumb, consensus};

/// A message that asks about a trace, as its metadata says.
pub struct Card {
    /// The message.
    pub ts: String,
    /// The trace that it asks about.
    pub trace_id: String,
    /// Each user's last thumb.
    pub thumbs: BTreeMap<String, Thumb>,
}

impl Card {
    /// What the thumbs add up to; `None` for 😐 and without thumbs.
    pub fn class(&self) -> Option<Class> {
        consensus(self.thumbs.values().copied()).and_then(Thumb::class)
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
            .filter_map(|(user, text)| Some((user.clone(), thumb_of(text)?)))
            .collect(),
    })
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
    /// The newest report.
    pub report_ts: Option<String>,
    /// The newest message that says why there is no eval yet.
    pub not_yet_ts: Option<String>,
    /// Whether somebody pressed *Deploy* last on any report.
    pub is_deployed: bool,
}

/// What the channel's reports and the clicks on them say.
pub fn eval_state(state: &State, channel: &str) -> EvalState {
    let newest = |event_type: &str| {
        let mut messages = of_type(state, channel, event_type);
        messages.next_back().map(|message| message.ts.clone())
    };
    let deployed = |message: &Message| {
        let clicks = state
            .clicks
            .get(&(message.channel.clone(), message.ts.clone()));
        clicks.is_some_and(|clicks| clicks.values().any(|text| text.contains("Deploy")))
    };
    EvalState {
        report_ts: newest("iofold_report"),
        not_yet_ts: newest("iofold_not_yet"),
        is_deployed: of_type(state, channel, "iofold_report").any(deployed),
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
    use super::*;

    #[test]
    fn a_buttons_thumb_is_the_emoji_that_it_shows() {
        assert_eq!(thumb_of("👍 Good"), Some(Thumb::Up));
        assert_eq!(thumb_of("Bad 👎"), Some(Thumb::Down));
        assert_eq!(thumb_of("😐"), Some(Thumb::Neutral));
        assert_eq!(thumb_of("Deploy"), None);
    }
}
