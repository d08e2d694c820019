//! Events: what happened in Slack beside clicks and commands.

use serde_json::Value;

use crate::app::App;
use crate::install;

/// An event that concerns nobody here is fine: Slack sends what the manifest asks for, and what it adds later.
pub(super) async fn handle(app: &App, envelope: Value) -> anyhow::Result<()> {
    match envelope["event"]["type"].as_str() {
        Some("app_uninstalled" | "tokens_revoked") => install::ended(app, &envelope).await,
        kind => {
            tracing::debug!(kind, "an event that no room wants");
            Ok(())
        }
    }
}
