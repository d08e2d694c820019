//! Traces that come whole: those of a file, and stored completions.

use chrono::{DateTime, SecondsFormat};
use sqlx::{Any, Transaction};

use super::arrive::arrival;
use super::normalise;
use super::store::{self, Arrival};
use crate::domain::{Origin, WorkspaceId};
use crate::sources::Lined;
use crate::store::{Db, now_ms};

/// What became of a trace of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was not there.
    New,
    /// The same source had brought it, and says something else now.
    Changed,
    /// It is there as it is, or comes from a source that knows better.
    Known,
}

/// Stores traces of a file, all or none; says of each what became of it. They are settled at once.
///
/// # Errors
/// The database's.
pub async fn import_traces(
    db: &Db,
    workspace: &WorkspaceId,
    traces: Vec<Lined>,
) -> sqlx::Result<Vec<Imported>> {
    keep_traces(db, workspace, traces, Origin::File).await
}

/// The same for traces of any source that brings them whole.
pub async fn keep_traces(
    db: &Db,
    workspace: &WorkspaceId,
    traces: Vec<Lined>,
    origin: Origin,
) -> sqlx::Result<Vec<Imported>> {
    let mut transaction = store::begin_alone(db, workspace).await?;
    let mut imported = Vec::with_capacity(traces.len());
    for lined in traces {
        imported.push(keep(&mut transaction, workspace, lined, origin).await?);
    }
    transaction.commit().await?;
    Ok(imported)
}

async fn keep(
    transaction: &mut Transaction<'static, Any>,
    workspace: &WorkspaceId,
    lined: Lined,
    origin: Origin,
) -> sqlx::Result<Imported> {
    let mut payload = lined.trace;
    let stored = store::stored(&mut **transaction, workspace, &payload.id).await?;
    if stored
        .as_ref()
        .is_some_and(|stored| stored.origin != Some(origin))
    {
        return Ok(Imported::Known);
    }
    let began_at_ms = stored
        .as_ref()
        .map_or_else(now_ms, |stored| stored.started_at_ms);
    if !lined.is_timed {
        // As when the line was first read, so that reading it again changes nothing.
        let began = DateTime::from_timestamp_millis(began_at_ms).unwrap_or_default();
        payload.timestamp = Some(began.to_rfc3339_opts(SecondsFormat::Millis, true));
    }
    let trace = normalise(&payload);
    let arrival = Arrival {
        complete: true,
        whole: true,
        origin: Some(origin),
        ..arrival(&trace, &payload, Some(began_at_ms))
    };
    let changed = store::upsert_trace(&mut **transaction, workspace, &arrival).await?;
    Ok(match (changed, stored) {
        (true, None) => Imported::New,
        (true, Some(_)) => Imported::Changed,
        (false, _) => Imported::Known,
    })
}
