//! Events: what happened in Slack beside clicks and commands.

use serde_json::Value;

use super::channel;
use crate::app::App;

/// An event that concerns nobody here is fine: Slack sends what the manifest asks for, and what it adds later.
pub(super) async fn handle(app: &App, envelope: Value) -> anyhow::Result<()> {
    let team = envelope["team_id"].as_str().unwrap_or_default();
    channel::notice(app, team, &envelope["event"]).await?;
    tracing::debug!(kind = envelope["event"]["type"].as_str(), "an event");
    Ok(())
}
