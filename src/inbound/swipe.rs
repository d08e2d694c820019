//! Presses in the modal that shows one trace after another, and its submission.

use super::Answer;
use super::interaction::{Action, Interaction, microseconds};
use crate::app::App;
use crate::domain::AnnotatorId;
use crate::error::ApiError;
use crate::label::{self, Press};

/// Hands a press on; says whether it was one.
pub(super) async fn act(
    app: &App,
    interaction: &Interaction,
    action: &Action,
) -> anyhow::Result<bool> {
    if !action.action_id.starts_with("swipe_") {
        return Ok(false);
    }
    if !interaction.is_a_guests(app) {
        let press = press(interaction, action);
        label::press(app, interaction.team(), press).await?;
    }
    Ok(true)
}

/// Hands a submitted modal on; `None` where it is another one.
pub(super) async fn submit(
    app: &App,
    interaction: &Interaction,
) -> Result<Option<Answer>, ApiError> {
    if interaction.view["callback_id"] != label::SWIPE_CALLBACK {
        return Ok(None);
    }
    if interaction.is_a_guests(app) {
        return Ok(Some(None));
    }
    let no_button = Action::default();
    let press = press(interaction, &no_button);
    let answer = label::submit(app, interaction.team(), press).await?;
    Ok(Some(Some(answer)))
}

fn press<'i>(interaction: &'i Interaction, action: &'i Action) -> Press<'i> {
    Press {
        action: &action.action_id,
        trace: &action.value,
        acted_at_us: microseconds(&action.action_ts),
        annotator: AnnotatorId::from(interaction.user.id.as_str()),
        annotator_name: interaction.user.name(),
        view: &interaction.view,
    }
}
