//! Traces that were deleted in Langfuse lose their text here, too.
//!
//! One is deleted if Langfuse has shown it before and does not now: neither in its window, nor when it is
//! asked for by its id. Its labels stay, for they are people's work, but it teaches and judges no eval.

use chrono::DateTime;

use super::arrive::Seen;
use super::read::Reader;
use super::{normalise, store};
use crate::domain::{WorkspaceId, sha256_hex};
use crate::langfuse::{Api, Client, TracePayload, Window};
use crate::outbox::{self, Kind};
use crate::store::{Db, now_ms};

/// Missing traces asked for by their ids after a window; the next look goes on.
const SUSPECTS_A_WINDOW: usize = 5;

/// Looks for the traces that began in a window that was read whole, and are missing there.
pub async fn look_for_missing(
    reader: &Reader<'_>,
    api: Api,
    window: Window,
    seen: &Seen,
) -> anyhow::Result<()> {
    let bounds = (window.from.timestamp_millis(), window.to.timestamp_millis());
    let shown = store::shown_between(reader.db, reader.workspace, bounds).await?;
    for trace in missing(&shown, seen) {
        if !is_there(&reader.client, api, trace).await? {
            forget(reader.db, reader.workspace, trace).await?;
        }
    }
    Ok(())
}

fn missing<'a>(shown: &'a [String], seen: &Seen) -> Vec<&'a str> {
    let missing = shown.iter().filter(|trace| !seen.contains_key(*trace));
    missing
        .take(SUSPECTS_A_WINDOW)
        .map(String::as_str)
        .collect()
}

async fn is_there(client: &Client, api: Api, trace: &str) -> anyhow::Result<bool> {
    Ok(match api {
        Api::V4 => !client
            .observations_of(trace, None, 1)
            .await?
            .items
            .is_empty(),
        Api::V3 => client.trace(trace).await?.is_some(),
    })
}

/// Drops the text of a trace that Langfuse has shown and does not have any more; says whether there was
/// one. Nobody is asked about it, and it gets no score.
pub async fn forget(db: &Db, workspace: &WorkspaceId, trace: &str) -> anyhow::Result<bool> {
    let mut transaction = store::begin_alone(db, workspace).await?;
    let Some(started_at_ms) = store::shown(&mut *transaction, workspace, trace).await? else {
        return Ok(false);
    };
    let began = DateTime::from_timestamp_millis(started_at_ms).unwrap_or_default();
    let empty = normalise(&TracePayload {
        id: trace.to_owned(),
        timestamp: Some(began.to_rfc3339()),
        ..TracePayload::default()
    })
    .to_json();
    let hash = sha256_hex(&empty);
    store::drop_text(
        &mut transaction,
        workspace,
        trace,
        (&empty, &hash),
        now_ms(),
    )
    .await?;
    outbox::unwant(&mut *transaction, workspace, Kind::Card, trace, GONE).await?;
    outbox::touch(&mut *transaction, workspace, Kind::Card, trace).await?;
    transaction.commit().await?;
    tracing::info!(
        trace.id = trace,
        "a trace was deleted in Langfuse; its text is dropped"
    );
    Ok(true)
}

/// Why a card is not posted.
const GONE: &str = "the trace was deleted in Langfuse";
