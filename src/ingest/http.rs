use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::Utc;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::recorder::Delivery;
use crate::app::App;
use crate::body::{Body, json};
use crate::domain::{WorkspaceId, sha256_hex};
use crate::error::ApiError;
use crate::jobs::Work;
use crate::langfuse::signature;

/// A trace may have 8 MiB; the envelope around it and escapes need some more.
const BODY_MAX: usize = 12 * 1024 * 1024;
/// Delivery ids are Langfuse's; longer ones are replaced by the body's hash.
const DELIVERY_ID_MAX: usize = 200;

/// Records what Langfuse sent and answers at once; reading the trace is a job.
///
/// Deliveries repeat: one seen before is answered alike and changes nothing. A verified body of a type
/// that is of no use is still accepted, for Langfuse switches an automation off after five refusals.
pub async fn receive(
    State(app): State<App>,
    Path(workspace): Path<String>,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Result<StatusCode, ApiError> {
    let workspace = verified(&app, &workspace, &headers, &body)?;
    let delivery = json(&body)?;
    if !delivery.is_object() {
        return Err(ApiError::Malformed("the body must be a JSON object".into()));
    }
    let is_new = app.recorder.record(Delivery {
        workspace: workspace.clone(),
        id: delivery_id(&delivery, &body),
        body: delivery.to_string(),
    });
    if is_new.await? {
        // The answer does not wait for the hint.
        let jobs = app.jobs.clone();
        let pushed = async move { jobs.push(&workspace, Work::HandleDeliveries).await };
        app.tasks.spawn(pushed);
    }
    Ok(StatusCode::ACCEPTED)
}

/// The workspace, if its secret signed the body just now. An unknown workspace looks like a wrong
/// signature, so that names cannot be tried out.
fn verified(
    app: &App,
    workspace: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<WorkspaceId, ApiError> {
    let workspace = app.workspace(&WorkspaceId::from(workspace));
    let secret = workspace.and_then(|workspace| workspace.webhook_secret.as_ref());
    let header = headers
        .get("x-langfuse-signature")
        .and_then(|value| value.to_str().ok());
    let (Some(workspace), Some(secret), Some(header)) = (workspace, secret, header) else {
        return Err(ApiError::BadSignature);
    };
    signature::verify(secret.expose_secret(), header, body, Utc::now().timestamp())
        .map_err(|_| ApiError::BadSignature)?;
    Ok(workspace.id.clone())
}

/// The delivery's own id, or the body's hash where it has none.
fn delivery_id(delivery: &Value, body: &[u8]) -> String {
    match delivery["id"].as_str() {
        Some(id) if !id.is_empty() && id.len() <= DELIVERY_ID_MAX => id.to_owned(),
        _ => sha256_hex(body),
    }
}
