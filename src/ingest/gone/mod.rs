//! Traces that were deleted in Langfuse lose their text here, too.
//!
//! One is deleted if it is missed twice, minutes apart, by whoever has shown it, which is one project by one API: first in
//! its window, or when a webhook names it, and then when it is asked for by its id. Its labels stay, for they
//! are people's work, but it teaches and judges no eval.

mod store;

use std::time::Duration;

use chrono::{DateTime, Utc};

use store::Suspect;
pub use store::{Shown, is_deleted, set_shown};

use super::arrive::Seen;
use super::normalise;
use super::read::Reader;
use super::store::begin_alone;
use crate::domain::{WorkspaceId, sha256_hex};
use crate::langfuse::{Api, Client, TracePayload, Window};
use crate::outbox::{self, Kind};
use crate::store::{Db, now_ms};

/// A missing trace is asked for by its id so long after it was missed first.
const ASKED_AFTER: Duration = Duration::from_mins(2);
/// Not asked for again, and not missed again, within this.
const HOLDS_FOR: Duration = Duration::from_mins(10);
/// Missing traces looked up at once.
const SUSPECTS_AT_ONCE: i64 = 100;

fn before(duration: Duration) -> i64 {
    now_ms() - duration.as_millis() as i64
}

/// Notes which traces that began in a window are missing there. The window was read whole, and held `seen`.
pub async fn note_missing(
    reader: &Reader<'_>,
    shown: &Shown,
    window: Window,
    seen: &Seen,
) -> sqlx::Result<()> {
    let (db, workspace) = (reader.db, reader.workspace);
    let bounds = (window.from.timestamp_millis(), window.to.timestamp_millis());
    let there = store::shown_between(db, workspace, bounds, shown, before(HOLDS_FOR)).await?;
    let missing = there.iter().filter(|trace| !seen.contains_key(*trace));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    store::note_missed(db, workspace, &missing, &shown.origin).await
}

/// Notes that a trace is missing that somebody named; says whether it is known to be deleted.
pub async fn note_named(
    db: &Db,
    workspace: &WorkspaceId,
    client: &Client,
    trace: &str,
) -> anyhow::Result<bool> {
    let origin = client.origin(client.api().await?).await?;
    store::note_missed(db, workspace, &[trace], &origin).await?;
    Ok(store::is_deleted(db.pool(), workspace, trace).await?)
}

/// Asks for the traces that were missed minutes ago, by their ids, and drops the text of those that are
/// missing still. One that cannot be asked for waits behind the others.
///
/// # Errors
/// Langfuse's where they concern the whole connection, or the database's.
pub async fn settle(reader: &Reader<'_>, is_stopping: impl Fn() -> bool) -> anyhow::Result<()> {
    let (db, workspace) = (reader.db, reader.workspace);
    while !is_stopping() {
        let times = (before(ASKED_AFTER), before(HOLDS_FOR));
        let due = store::suspects(db, workspace, times, SUSPECTS_AT_ONCE).await?;
        if due.is_empty() {
            break;
        }
        let api = reader.client.api().await?;
        let origin = reader.client.origin(api).await?;
        for suspect in due {
            if is_stopping() || !settle_one(reader, api, &origin, &suspect).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Says whether the next one may be asked for.
async fn settle_one(
    reader: &Reader<'_>,
    api: Api,
    origin: &str,
    suspect: &Suspect,
) -> anyhow::Result<bool> {
    let (db, workspace, trace) = (reader.db, reader.workspace, suspect.trace.as_str());
    // Whoever has not shown it cannot say that it is gone.
    let is_there = match suspect.shown_by == origin {
        true => reader.client.has_trace(api, trace, began(suspect)).await,
        false => Ok(true),
    };
    match is_there {
        Ok(true) => store::set_checked(db, workspace, trace, true).await?,
        Ok(false) => forget(db, workspace, suspect).await?,
        Err(error) if error.is_missing() || error.concerns_the_connection() => {
            return Err(error.into());
        }
        Err(error) => {
            tracing::info!(trace.id = trace, %error, "a missing trace cannot be asked for now");
            store::set_checked(db, workspace, trace, false).await?;
            return Ok(error.concerns_this_request_only());
        }
    }
    Ok(true)
}

fn began(suspect: &Suspect) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(suspect.started_at_ms).unwrap_or_default()
}

/// Drops the text of a trace, unless it was seen meanwhile. Nobody is asked about it, and it gets no score.
async fn forget(db: &Db, workspace: &WorkspaceId, suspect: &Suspect) -> sqlx::Result<()> {
    let trace = suspect.trace.as_str();
    let mut transaction = begin_alone(db, workspace).await?;
    if !store::is_missed(&mut *transaction, workspace, suspect).await? {
        return Ok(());
    }
    let empty = normalise(&TracePayload {
        id: trace.to_owned(),
        timestamp: Some(began(suspect).to_rfc3339()),
        ..TracePayload::default()
    })
    .to_json();
    let left = (empty.as_str(), sha256_hex(&empty));
    store::drop_text(&mut transaction, workspace, trace, left, now_ms()).await?;
    outbox::touch(&mut *transaction, workspace, Kind::Card, trace).await?;
    transaction.commit().await?;
    tracing::info!(
        trace.id = trace,
        "a trace was deleted in Langfuse; its text is dropped"
    );
    Ok(())
}
