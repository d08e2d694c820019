//! Events: what happened in Slack beside clicks and commands.
//!
//! Slack sends one again where its answer comes late or gets lost, up to three times and by any way in, and not in
//! order. So an event is noted as handled only after its rows are written: a crash between the two has it handled
//! again, which changes nothing, for rows are there once. A handler reads the order out of the event's own times.

use serde::Deserialize;
use serde_json::Value;

use super::{malformed, store};
use crate::app::App;
use crate::error::ApiError;

/// An event in its envelope (docs.slack.dev, "Events API"), as far as it is of use here.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// `Ev…`: the same whenever Slack sends it; empty for notes of Slack's that are no events.
    #[serde(default)]
    pub event_id: String,
    /// `T…`: where the app is installed.
    #[serde(default)]
    pub team_id: String,
    /// `E…`, of an organisation's team.
    pub enterprise_id: Option<String>,
    /// The event itself: `{type, …}`.
    #[serde(default)]
    pub event: Value,
    #[serde(rename = "type")]
    kind: String,
}

impl Event {
    /// The event's own type, as `reaction_added`; an envelope's where it holds no event.
    pub fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or(&self.kind)
    }
}

/// Has an event handled unless it was before.
///
/// # Errors
/// What is not an event, which sending again can't mend, and the database's, which it can.
pub(super) async fn handle(app: &App, envelope: Value) -> Result<(), ApiError> {
    let event: Event =
        serde_json::from_value(envelope).map_err(|_| malformed("the body is not an event"))?;
    let repeats = !event.event_id.is_empty();
    if repeats && store::was_handled(&app.db, &event.event_id).await? {
        return Ok(());
    }
    dispatch(app, &event).await?;
    if repeats {
        store::note_handled(&app.db, &event.event_id).await?;
    }
    Ok(())
}

/// Sends each type to its room. One that concerns nobody here is fine: Slack sends what the manifest asks for, and
/// what it adds later.
async fn dispatch(_app: &App, event: &Event) -> anyhow::Result<()> {
    match event.kind() {
        "app_rate_limited" => {
            tracing::warn!("Slack leaves events out for a minute, for there were too many");
        }
        kind => tracing::debug!(kind, "an event that no room wants"),
    }
    Ok(())
}
