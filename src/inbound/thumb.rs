//! Clicks about a card's trace: its buttons, its overflow menu, and the buttons of what only one person sees.

use serde_json::Value;

use super::interaction::{Action, Interaction, microseconds};
use super::owner::{card_at, owner, refuse};
use crate::app::App;
use crate::domain::{AnnotatorId, Thumb, TraceId};
use crate::label::card::{CARD_MENU, SHOW_ALL};
use crate::label::{self, ReasonFor, THUMB_ACTIONS, Thumbed};
use crate::outbox::Kind;
use crate::slack::{Message, Posted};
use crate::workspace::Workspace;

/// What a person wants of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Give(Thumb),
    Undo,
    SayWhy,
    Skip,
    NotMine,
    AskAgain,
    ShowAll,
}

impl Wish {
    fn of(action: &Action) -> Option<Self> {
        let by_button = |id: &str| {
            let thumb = THUMB_ACTIONS.iter().find(|(name, _)| *name == id);
            thumb.map(|(_, thumb)| Self::Give(*thumb))
        };
        match action.action_id.as_str() {
            CARD_MENU => Self::of_option(action.option()),
            SHOW_ALL => Some(Self::ShowAll),
            label::UNDO_ACTION => Some(Self::Undo),
            label::WHY_ACTION => Some(Self::SayWhy),
            label::NOT_MINE_ACTION => Some(Self::NotMine),
            label::ASK_AGAIN_ACTION => Some(Self::AskAgain),
            other => by_button(other),
        }
    }

    fn of_option(value: &str) -> Option<Self> {
        match value {
            "undo" => Some(Self::Undo),
            "skip" => Some(Self::Skip),
            thumb => Thumb::parse(thumb).map(Self::Give),
        }
    }
}

/// Does what a person wants of a card's trace; says whether the action was about one.
pub(super) async fn act(
    app: &App,
    interaction: &Interaction,
    action: &Action,
) -> anyhow::Result<bool> {
    let Some(wish) = Wish::of(action) else {
        return Ok(false);
    };
    let found = match action.action_id.as_str() {
        CARD_MENU => of_menu(app, interaction).await?,
        _ => {
            let workspace = owner(app, interaction, Kind::Card, &action.value).await?;
            workspace.map(|workspace| (workspace, TraceId::from(action.value.as_str())))
        }
    };
    match found {
        Some((workspace, trace)) => {
            let acted_at_us = microseconds(&action.action_ts);
            fulfil(app, workspace, interaction, trace, (wish, acted_at_us)).await?;
        }
        None => refuse(app, interaction),
    }
    Ok(true)
}

/// An overflow menu names no trace: it is that of the card that the menu is on.
async fn of_menu<'a>(
    app: &'a App,
    interaction: &Interaction,
) -> anyhow::Result<Option<(&'a Workspace, TraceId)>> {
    if interaction.is_a_guests(app) {
        return Ok(None);
    }
    let place = Posted {
        channel: interaction.channel().to_owned(),
        ts: text(&interaction.message["ts"]),
    };
    if let Some(found) = card_at(app, interaction.team(), &place).await? {
        return Ok(Some(found));
    }
    // One that was posted just before a crash.
    let trace = text(&interaction.message["metadata"]["event_payload"]["trace_id"]);
    let workspace = owner(app, interaction, Kind::Card, &trace).await?;
    Ok(workspace.map(|workspace| (workspace, TraceId::from(trace))))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn fulfil(
    app: &App,
    workspace: &Workspace,
    interaction: &Interaction,
    trace: TraceId,
    (wish, at_us): (Wish, i64),
) -> anyhow::Result<()> {
    let annotator = AnnotatorId::from(interaction.user.id.as_str());
    let (db, id) = (&app.db, &workspace.id);
    let answer = match wish {
        Wish::Give(thumb) => {
            let who = (trace, annotator);
            return give(app, workspace, interaction, who, (thumb, at_us)).await;
        }
        Wish::Undo => {
            let done = label::undo(app, workspace, &trace, &annotator, at_us).await?;
            label::taken_back(done.before)
        }
        Wish::SayWhy => {
            let about = ReasonFor::of(workspace, trace, at_us);
            let trigger = interaction.trigger_id.as_deref().unwrap_or_default();
            if label::ask_why(app, workspace, &annotator, about, trigger).await? {
                return Ok(());
            }
            label::nothing_to_explain()
        }
        Wish::Skip => {
            label::skip(db, id, &annotator, &trace, at_us).await?;
            label::skipped(&trace)
        }
        Wish::NotMine => {
            let area = label::not_my_area(db, id, &annotator, &trace, at_us).await?;
            if area.is_none() {
                label::skip(db, id, &annotator, &trace, at_us).await?;
            }
            label::left_out(&trace, area.as_deref())
        }
        Wish::AskAgain => {
            label::ask_again(db, id, &annotator, &trace, at_us).await?;
            label::asked_again()
        }
        Wish::ShowAll => {
            let trigger_id = interaction.trigger_id.clone().unwrap_or_default();
            label::show_all(app, workspace, trace, trigger_id);
            return Ok(());
        }
    };
    tell(app, workspace, interaction, answer);
    Ok(())
}

async fn give(
    app: &App,
    workspace: &Workspace,
    interaction: &Interaction,
    (trace, annotator): (TraceId, AnnotatorId),
    (thumb, acted_at_us): (Thumb, i64),
) -> anyhow::Result<()> {
    let click = Thumbed {
        trace: trace.clone(),
        annotator: annotator.clone(),
        annotator_name: interaction.user.name(),
        thumb,
        acted_at_us,
        trigger_id: interaction.trigger_id.as_deref(),
    };
    let done = label::give_thumb(app, workspace, click).await?;
    if done.standing.is_made_at(acted_at_us) {
        let whisper = interaction.whisper();
        label::tell_votes(app, workspace, (trace, annotator), done, whisper);
    }
    Ok(())
}

/// Answers a click beside the acknowledgement, which must not wait for it.
fn tell(app: &App, workspace: &Workspace, interaction: &Interaction, answer: Message) {
    let Some(slack) = workspace.slack() else {
        return;
    };
    let (client, whisper) = (slack.client.clone(), interaction.whisper());
    app.tasks.spawn(async move {
        if let Err(error) = whisper.say(&client, &answer).await {
            tracing::warn!(%error, "a click was not answered");
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_button_and_option_is_a_wish_and_others_are_none() {
        let of = |action: Value| Wish::of(&serde_json::from_value(action).unwrap());
        for (action_id, value, wish) in [
            ("thumb_down", "", Some(Wish::Give(Thumb::Down))),
            ("label_undo", "", Some(Wish::Undo)),
            ("label_reason", "", Some(Wish::SayWhy)),
            ("label_ask_again", "", Some(Wish::AskAgain)),
            ("card_menu", "up", Some(Wish::Give(Thumb::Up))),
            ("card_menu", "undo", Some(Wish::Undo)),
            ("card_menu", "skip", Some(Wish::Skip)),
            ("label_not_mine", "t", Some(Wish::NotMine)),
            ("show_all", "t", Some(Wish::ShowAll)),
            ("card_menu", "all", None),
            ("deploy", "up", None),
        ] {
            let action = json!({"action_id": action_id, "selected_option": {"value": value}});
            assert_eq!(of(action), wish, "{action_id} {value}");
        }
        assert_eq!(of(json!({"action_id": "card_menu"})), None);
    }
}
