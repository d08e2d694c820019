//! Traces that OpenAI's Agents SDK sends, as it sends them to OpenAI.

use anyhow::Context;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use serde_json::{Value, json};

use super::arrive::{self, Sent};
use super::otlp;
use crate::app::App;
use crate::body::{Body, json};
use crate::error::ApiError;
use crate::jobs::Work;
use crate::sources::agents::read_export;

/// The most that one request may have; the SDK sends 128 items at once.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// Takes what the SDK's exporter posts to `/v1/traces/ingest`: stores its spans and answers; putting traces together
/// is a job. What comes again changes nothing.
///
/// The exporter drops a batch that is refused, unless with 429 or 500 and up. So items that cannot be read are left
/// out and counted, and the others taken.
pub async fn receive(State(app): State<App>, request: Request) -> Result<Json<Value>, ApiError> {
    let Some(workspace) = otlp::workspace_of(&app, request.headers()).await? else {
        // A sender that is refused while it sends sees a broken connection instead of the answer.
        let _ = Body::<0>::from_request(request, &()).await;
        return Err(ApiError::UnknownKey);
    };
    let Body(body) = Body::<BODY_MAX>::from_request(request, &()).await?;
    let _turn = app.intake.turn().await.map_err(|_| ApiError::Busy)?;
    let read = tokio::task::spawn_blocking(move || read(&body)).await;
    let (sent, rejected) = read.context("a body could not be read")??;
    if !sent.is_empty() && arrive::keep_spans(&app.db, &workspace, &sent).await? {
        app.jobs.push(&workspace, Work::AssembleTraces).await;
    }
    Ok(Json(json!({ "rejected": rejected })))
}

/// What is to be stored, and how many items were left out.
fn read(body: &Bytes) -> Result<(Vec<Sent>, usize), ApiError> {
    let export = read_export(json(body)?).ok_or_else(|| {
        ApiError::Malformed("the body must be {\"data\": [traces and spans]}".to_owned())
    })?;
    let sent = export.observations.into_iter().filter_map(Sent::of);
    Ok((sent.collect(), export.rejected))
}
