//! Events: what happened in Slack beside clicks and commands.
//!
//! Slack sends one again where its answer comes late or gets lost, up to three times and by any way in, and not in
//! order. So an event is noted as handled only after its rows are written: a crash between the two has it handled
//! again, which changes nothing, for rows are there once. A handler reads the order out of the event's own times.

use serde_json::Value;

use super::{channel, home, malformed, reaction, reply, store};
use crate::app::App;
use crate::error::ApiError;
use crate::install;

/// Has an event handled unless it was before.
///
/// # Errors
/// What is not an event, which sending again can't mend, and the database's, which it can.
pub(super) async fn handle(app: &App, envelope: Value) -> Result<(), ApiError> {
    if !envelope["type"].is_string() {
        return Err(malformed("the body is not an event"));
    }
    // The same whenever Slack sends it; notes of Slack's that are no events have none.
    let id = envelope["event_id"].as_str().filter(|id| !id.is_empty());
    if let Some(id) = id
        && store::was_handled(&app.db, id).await?
    {
        return Ok(());
    }
    dispatch(app, &envelope).await?;
    if let Some(id) = id {
        store::note_handled(&app.db, id).await?;
    }
    Ok(())
}

/// Sends each type to its room. One that concerns nobody here is fine: Slack sends what the manifest asks for, and
/// what it adds later.
async fn dispatch(app: &App, envelope: &Value) -> anyhow::Result<()> {
    let kind = envelope["event"]["type"]
        .as_str()
        .or(envelope["type"].as_str());
    match kind.unwrap_or_default() {
        "reaction_added" | "reaction_removed" => reaction::handle(app, envelope).await?,
        "message" => {
            reply::handle(app, envelope).await?;
            channel::handle(app, envelope).await?;
        }
        "channel_archive"
        | "channel_unarchive"
        | "channel_deleted"
        | "channel_left"
        | "channel_rename"
        | "group_archive"
        | "group_unarchive"
        | "group_deleted"
        | "group_left"
        | "group_rename"
        | "member_joined_channel"
        | "member_left_channel" => {
            channel::handle(app, envelope).await?;
        }
        "app_home_opened" => home::opened(app, envelope),
        "app_uninstalled" | "tokens_revoked" => install::ended(app, envelope).await?,
        "app_rate_limited" => {
            tracing::warn!("Slack leaves events out for a minute, for there were too many");
        }
        kind => tracing::debug!(kind, "an event that no room wants"),
    }
    Ok(())
}
