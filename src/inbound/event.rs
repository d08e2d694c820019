//! Events: what happened in Slack beside clicks and commands.

use serde_json::Value;

use crate::app::App;

/// An event that concerns nobody here is fine: Slack sends what the manifest asks for, and what it adds later.
pub(super) async fn handle(_app: &App, envelope: Value) -> anyhow::Result<()> {
    tracing::debug!(
        kind = envelope["event"]["type"].as_str(),
        "an event that no room wants"
    );
    Ok(())
}
