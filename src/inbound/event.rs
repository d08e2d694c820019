//! Events: what happened in Slack beside clicks and commands.

use serde_json::Value;

use super::{home, reaction, reply};
use crate::app::App;

/// An event that concerns nobody here is fine: Slack sends what the manifest asks for, and what it adds later.
pub(super) async fn handle(app: &App, envelope: Value) -> anyhow::Result<()> {
    match envelope["event"]["type"].as_str() {
        Some("reaction_added" | "reaction_removed") => reaction::handle(app, &envelope).await,
        Some("message") => reply::handle(app, &envelope).await,
        Some("app_home_opened") => {
            home::opened(app, &envelope);
            Ok(())
        }
        kind => {
            tracing::debug!(kind, "an event that no room wants");
            Ok(())
        }
    }
}
