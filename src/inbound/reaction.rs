//! 👍, 👎 and 😐 as reactions to a card.

use serde_json::Value;

use super::interaction::microseconds;
use super::owner::card_of_event;
use super::person::{annotator, deadline};
use crate::app::App;
use crate::domain::{AnnotatorId, Thumb};
use crate::label::{self, Annotator};
use crate::slack::Posted;

/// `reaction_added` and `reaction_removed` (docs.slack.dev).
pub(super) async fn handle(app: &App, envelope: &Value) -> anyhow::Result<()> {
    let deadline = deadline();
    let event = &envelope["event"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let Some(thumb) = thumb_of(&text(&event["reaction"])) else {
        return Ok(());
    };
    let place = Posted {
        channel: text(&event["item"]["channel"]),
        ts: text(&event["item"]["ts"]),
    };
    let user = text(&event["user"]);
    let Some((workspace, trace, team)) = card_of_event(app, envelope, &place).await? else {
        return Ok(());
    };
    let who = (user.as_str(), team);
    let Some(person) = annotator(app, workspace, envelope, who, deadline).await? else {
        return Ok(());
    };
    let id = AnnotatorId::from(user);
    let who = Annotator::of(
        &id,
        Some(&person.name)
            .filter(|name| !name.is_empty())
            .map(String::as_str),
    );
    let removed = event["type"] == "reaction_removed";
    let act = (microseconds(&text(&event["event_ts"])), thumb, removed);
    label::react(app, workspace, &trace, &who, act).await
}

/// Whatever the skin's tone.
fn thumb_of(reaction: &str) -> Option<Thumb> {
    match reaction.split("::").next().unwrap_or_default() {
        "+1" | "thumbsup" => Some(Thumb::Up),
        "-1" | "thumbsdown" => Some(Thumb::Down),
        "neutral_face" => Some(Thumb::Neutral),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_emoji_are_thumbs_under_all_their_names() {
        for (reaction, thumb) in [
            ("+1", Some(Thumb::Up)),
            ("thumbsup::skin-tone-3", Some(Thumb::Up)),
            ("-1::skin-tone-6", Some(Thumb::Down)),
            ("thumbsdown", Some(Thumb::Down)),
            ("neutral_face", Some(Thumb::Neutral)),
            ("heart", None),
            ("", None),
        ] {
            assert_eq!(thumb_of(reaction), thumb, "{reaction}");
        }
    }
}
