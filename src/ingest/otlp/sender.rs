//! Whose spans these are, by the `Authorization` header.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::app::App;
use crate::auth;
use crate::domain::WorkspaceId;

/// The workspace of a key sent as `Bearer`, or of Langfuse's two keys sent as `Basic`, as Langfuse's own SDKs do;
/// `None` where neither opens one.
pub async fn workspace_of(app: &App, headers: &HeaderMap) -> sqlx::Result<Option<WorkspaceId>> {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let Some((scheme, sent)) = header.and_then(|header| header.trim().split_once(' ')) else {
        return Ok(None);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => {
            let opened = auth::workspace_of_key(&app.db, sent.trim()).await?;
            Ok(opened.filter(|workspace| app.workspace(workspace).is_some()))
        }
        "basic" => Ok(by_langfuse_keys(app, sent.trim())),
        _ => Ok(None),
    }
}

/// Every workspace is tried, so that the time does not tell which one was near.
fn by_langfuse_keys(app: &App, sent: &str) -> Option<WorkspaceId> {
    let sent = String::from_utf8(STANDARD.decode(sent).ok()?).ok()?;
    let (public_key, secret_key) = sent.split_once(':')?;
    let is_opened = |workspace: &&crate::workspace::Workspace| {
        let langfuse = workspace.langfuse.as_ref();
        langfuse.is_some_and(|langfuse| langfuse.client.has_keys(public_key, secret_key))
    };
    let opened: Vec<_> = app.workspaces().iter().filter(is_opened).collect();
    opened.first().map(|workspace| workspace.id.clone())
}
