//! *Show all*: opens the whole trace in a modal, and turns its pages.

use serde_json::Value;

use super::card::{Pages, Shown};
use super::store::{self, CardTrace};
use crate::app::App;
use crate::domain::{TraceId, WorkspaceId};
use crate::workspace::Workspace;

/// Opens the whole trace, beside the answer to Slack, which must not wait for it; `trigger_id` is good for three seconds.
pub fn show_all(app: &App, workspace: &Workspace, trace: TraceId, trigger_id: String) {
    let Some(slack) = workspace.slack() else {
        return;
    };
    let (client, app_in_task, workspace) =
        (slack.client.clone(), app.clone(), workspace.id.clone());
    app.tasks.spawn(async move {
        let opened = async {
            if let Some(view) = page(&app_in_task, &workspace, &trace, 0).await? {
                client.open_view(&trigger_id, &view).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = opened.await {
            tracing::warn!(trace.id = %trace, %error, "the whole trace did not open");
        }
    });
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
    let Some(slack) = workspace.slack() else {
        return Ok(());
    };
    let (client, view_id, app_in_task) = (slack.client.clone(), view_id.to_owned(), app.clone());
    app.tasks.spawn(async move {
        let turned = async {
            let page = page(&app_in_task, &shown.workspace, &shown.trace, number).await?;
            if let Some(page) = page {
                client.update_view(&view_id, None, &page).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = turned.await {
            tracing::warn!(trace.id = %shown.trace, %error, "the page of a trace was not turned");
        }
    });
    Ok(())
}

/// A trace may have megabytes, so it is read where nothing else waits.
async fn page(
    app: &App,
    workspace: &WorkspaceId,
    trace: &TraceId,
    number: usize,
) -> anyhow::Result<Option<Value>> {
    let Some(row) = store::card_row(&app.db, workspace, trace).await? else {
        return Ok(None);
    };
    let (workspace, trace) = (workspace.clone(), trace.clone());
    let read = tokio::task::spawn_blocking(move || {
        let found = CardTrace::of_row(&row)?;
        let pages = Pages::of(&found.trace, found.deleted);
        anyhow::Ok(pages.view(number, &workspace, &trace))
    });
    read.await?.map(Some)
}
