use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::request::{self, Item};
use super::store;
use crate::app::App;
use crate::bearer;
use crate::body::{Body, json};
use crate::domain::WorkspaceId;
use crate::error::ApiError;
use crate::jobs::Work;
use crate::workspace::Workspace;

/// A thousand items of four ids.
const BODY_MAX: usize = 2 * 1024 * 1024;
/// Says who asked: for admins who can tell, as Langfuse itself sends nobody's name.
const PERSON: &str = "x-langfuse-user";
/// Langfuse is asked once which project the keys belong to. Where that takes longer, it is checked later.
const PROJECT_WAIT: Duration = Duration::from_secs(1);

/// Writes down what a person asks for and answers at once; reading and posting are jobs.
pub async fn receive(
    State(app): State<App>,
    Path(workspace): Path<String>,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Result<StatusCode, ApiError> {
    bearer::check(
        &headers,
        app.callout_token.as_ref(),
        "LANGFUSE_CALLOUT_TOKEN",
    )?;
    let workspace = app.workspace(&WorkspaceId::from(workspace.as_str()));
    let workspace = workspace.ok_or(ApiError::NotFound)?;
    let body = json(&body)?;
    let items = request::items(&body)?;
    check_project(workspace, &items).await?;
    let header = headers.get(PERSON).and_then(|value| value.to_str().ok());
    let asked_by = request::person(header, &body);
    store::insert(&app.db, &workspace.id, &items, asked_by.as_deref()).await?;
    app.jobs.push(&workspace.id, Work::HandleCallouts).await;
    Ok(StatusCode::ACCEPTED)
}

/// Refuses items of another project than the workspace's, where Langfuse says soon enough which that is.
async fn check_project(workspace: &Workspace, items: &BTreeSet<Item>) -> Result<(), ApiError> {
    let Some(langfuse) = workspace.awake_langfuse() else {
        return Ok(());
    };
    let asked = tokio::time::timeout(PROJECT_WAIT, langfuse.client.own_project()).await;
    let Ok(Ok(Some(project))) = asked else {
        return Ok(());
    };
    let mut named = items.iter().filter_map(|item| item.project.as_deref());
    match named.find(|named| *named != project.id) {
        None => Ok(()),
        Some(other) => Err(ApiError::Malformed(format!(
            "project {other} is not the one that workspace {} reads, which is {} ({}); set the callout up in that \
             project, or connect iofold to this one",
            workspace.id, project.id, project.name
        ))),
    }
}
