use std::io::Read;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::Response;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::decode::{Batch, Encoding};
use super::observation::observation;
use super::reply::{Refused, taken};
use super::sender;
use crate::app::App;
use crate::body::Body;
use crate::domain::WorkspaceId;
use crate::error::ApiError;
use crate::ingest::arrive::{self, Sent};
use crate::jobs::Work;

/// The most that one request may have, compressed or not. Collectors and SDKs send a few MiB at most.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// Requests decoded and stored at once; a full one takes up to ten times its size meanwhile.
const AT_ONCE: usize = 4;
/// A request that waits longer for its turn is asked to come again.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bounds what is worked on at once.
pub struct Intake(Semaphore);

impl Default for Intake {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Intake {
    /// Waits for a turn.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, Refused> {
        match tokio::time::timeout(PATIENCE, self.0.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refused::Busy),
        }
    }
}

/// Takes an `ExportTraceServiceRequest`: stores its spans as observations and answers; putting traces together is
/// a job.
///
/// A span that comes again changes nothing, in whatever order and in however many requests a trace's spans come.
pub async fn receive(State(app): State<App>, request: Request) -> Response {
    let headers = request.headers().clone();
    let encoding = encoding_of(&headers);
    let done = match encoding {
        Some(encoding) => take(&app, &headers, encoding, request).await,
        None => {
            drain(request).await;
            Err(Refused::UnknownType)
        }
    };
    let encoding = encoding.unwrap_or(Encoding::Json);
    match done {
        Ok(batch) => taken(encoding, &batch),
        Err(refused) => refused.reply(encoding),
    }
}

fn encoding_of(headers: &HeaderMap) -> Option<Encoding> {
    let named = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let named = named.split(';').next().unwrap_or_default().trim();
    match named.to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

async fn take(
    app: &App,
    headers: &HeaderMap,
    encoding: Encoding,
    request: Request,
) -> Result<Batch, Refused> {
    let workspace = sender::workspace_of(app, headers)
        .await
        .map_err(unavailable)?;
    let Some(workspace) = workspace else {
        drain(request).await;
        return Err(Refused::Unauthorized);
    };
    let body = Body::<BODY_MAX>::from_request(request, &()).await;
    let Body(body) = body.map_err(|error| match error {
        ApiError::TooLarge { .. } => Refused::TooLarge,
        _ => Refused::Undecodable,
    })?;
    let compression = Compression::of(headers)?;
    let _turn = app.intake.turn().await?;
    let decoded = tokio::task::spawn_blocking(move || {
        let mut batch = read(compression, encoding, body)?;
        // One after the other: a span's values take several times the room of their text.
        let spans = std::mem::take(&mut batch.spans).into_iter();
        let sent: Vec<Sent> = spans
            .filter_map(|span| Sent::of(observation(&span)))
            .collect();
        Ok((batch, sent))
    });
    let (batch, sent) = decoded.await.map_err(unavailable)??;
    store(app, &workspace, &sent).await?;
    Ok(batch)
}

/// A sender that is refused while it sends sees a broken connection instead of the answer.
async fn drain(request: Request) {
    let _ = Body::<0>::from_request(request, &()).await;
}

async fn store(app: &App, workspace: &WorkspaceId, sent: &[Sent]) -> Result<(), Refused> {
    if sent.is_empty() {
        return Ok(());
    }
    let kept = arrive::keep_spans(&app.db, workspace, sent).await;
    if kept.map_err(unavailable)? {
        app.jobs.push(workspace, Work::AssembleTraces).await;
    }
    Ok(())
}

fn unavailable(error: impl Into<anyhow::Error>) -> Refused {
    tracing::error!(error = ?error.into(), "spans could not be stored");
    Refused::Unavailable
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Deflate,
}

impl Compression {
    fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        let Some(named) = headers.get(CONTENT_ENCODING) else {
            return Ok(Self::None);
        };
        let named = named.to_str().unwrap_or_default().trim();
        match named.to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(Refused::UnknownCompression),
        }
    }
}

fn read(compression: Compression, encoding: Encoding, body: Bytes) -> Result<Batch, Refused> {
    let body = match compression {
        Compression::None => body,
        Compression::Gzip => inflated(MultiGzDecoder::new(&body[..]))?,
        Compression::Deflate => inflated(ZlibDecoder::new(&body[..]))?,
    };
    Batch::decode(encoding, body).map_err(|_| Refused::Undecodable)
}

/// Stops inflating right behind the limit: a few KB may hold gigabytes.
fn inflated(compressed: impl Read) -> Result<Bytes, Refused> {
    let mut body = Vec::new();
    let mut bounded = compressed.take(BODY_MAX as u64 + 1);
    let read = bounded.read_to_end(&mut body);
    read.map_err(|_| Refused::Undecodable)?;
    match body.len() <= BODY_MAX {
        true => Ok(body.into()),
        false => Err(Refused::TooLarge),
    }
}
