//! *Show all*: opens the whole trace in a modal, and turns its pages.

use serde_json::Value;

use super::card::{Pages, Shown};
use super::store;
use crate::app::App;
use crate::domain::{TraceId, WorkspaceId};
use crate::workspace::Workspace;

/// Opens the whole trace, beside the answer to Slack, which must not wait for it; `trigger_id` is good for three seconds.
///
/// # Errors
/// The database's.
pub async fn show_all(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
    trigger_id: &str,
) -> anyhow::Result<()> {
    let Some(slack) = workspace.slack() else {
        return Ok(());
    };
    let Some(view) = page(app, &workspace.id, trace, 0).await? else {
        return Ok(());
    };
    let (client, trigger_id, trace) = (slack.client.clone(), trigger_id.to_owned(), trace.clone());
    app.tasks.spawn(async move {
        if let Err(error) = client.open_view(&trigger_id, &view).await {
            tracing::warn!(trace.id = %trace, %error, "the whole trace did not open");
        }
    });
    Ok(())
}

/// Shows the page that a button's `value` names in the modal `view` that it was clicked in. A modal that names no
/// workspace of `team` stays as it is.
///
/// # Errors
/// The database's.
pub async fn turn_page(app: &App, team: &str, view: &Value, value: &str) -> anyhow::Result<()> {
    let metadata = view["private_metadata"].as_str().unwrap_or_default();
    let (Ok(shown), Some(view_id), Ok(number)) = (
        serde_json::from_str::<Shown>(metadata),
        view["id"].as_str(),
        value.parse(),
    ) else {
        return Ok(());
    };
    let Some(workspace) = app.workspace_of_team(&shown.workspace, team).await? else {
        return Ok(());
    };
    let page = page(app, &workspace.id, &shown.trace, number).await?;
    let (Some(slack), Some(page)) = (workspace.slack(), page) else {
        return Ok(());
    };
    let (client, view_id) = (slack.client.clone(), view_id.to_owned());
    app.tasks.spawn(async move {
        if let Err(error) = client.update_view(&view_id, None, &page).await {
            tracing::warn!(trace.id = %shown.trace, %error, "the page of a trace was not turned");
        }
    });
    Ok(())
}

async fn page(
    app: &App,
    workspace: &WorkspaceId,
    trace: &TraceId,
    number: usize,
) -> anyhow::Result<Option<Value>> {
    let found = store::card_trace(&app.db, workspace, trace).await?;
    Ok(found.map(|found| Pages::of(&found.trace, found.deleted).view(number, workspace, trace)))
}
