use sqlx::Row;

use super::{Db, labelled_traces};
use crate::domain::{LabelledTrace, Trace, WorkspaceId};

/// Every labelled trace of a workspace, by trace id, each with its session up to it. One whose session is larger than an
/// eval may read, which no eval can judge, is left out and logged.
pub async fn labelled_sessions(
    db: &Db,
    workspace: &WorkspaceId,
    limit_bytes: usize,
) -> anyhow::Result<Vec<LabelledTrace>> {
    let mut labelled = Vec::new();
    for label in labelled_traces(db, workspace).await? {
        let bytes = label.trace.to_json().len();
        let trace = after_earlier(db, workspace, (label.trace, bytes), limit_bytes).await?;
        if trace.to_json().len() > limit_bytes {
            tracing::warn!(trace.id = %label.id, "a labelled session is too large for any eval; nothing is learnt from it");
            continue;
        }
        labelled.push(LabelledTrace { trace, ..label });
    }
    Ok(labelled)
}

/// A stored trace (JSON) with its session up to it: those of the workspace's traces that have the same session's id
/// and began before it. A trace without such an id is a session by itself.
///
/// Nothing is dropped to make a session smaller, for an eval would judge another conversation than people did: one of
/// more than `limit_bytes` comes out larger than that, with its oldest traces missing, and must be refused.
pub async fn with_session(
    db: &Db,
    workspace: &WorkspaceId,
    payload: &str,
    limit_bytes: usize,
) -> sqlx::Result<Trace> {
    let trace = trace_of(payload)?;
    after_earlier(db, workspace, (trace, payload.len()), limit_bytes).await
}

/// The trace, which has so many bytes as JSON, with its session up to it.
async fn after_earlier(
    db: &Db,
    workspace: &WorkspaceId,
    (trace, bytes): (Trace, usize),
    limit_bytes: usize,
) -> sqlx::Result<Trace> {
    let mut earlier = Vec::new();
    if trace.session_id.is_some() {
        // It stands there twice: by itself, and as the session's last.
        let mut bytes = 2 * bytes;
        for id in earlier_of_group(db, workspace, &trace).await? {
            if bytes > limit_bytes {
                break;
            }
            let payload = payload_of(db, workspace, &id).await?;
            let other = trace_of(&payload)?;
            if other.session_id == trace.session_id {
                bytes += payload.len();
                earlier.push(other);
            }
        }
    }
    earlier.reverse();
    Ok(trace.after(earlier))
}

/// Ids of the traces of the same group that began before, latest first.
async fn earlier_of_group(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &Trace,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select earlier.id from traces join traces earlier
           on earlier.workspace_id = traces.workspace_id and earlier.trace_group = traces.trace_group
         where traces.workspace_id = $1 and traces.id = $2
           and (earlier.started_at_ms < traces.started_at_ms
                or (earlier.started_at_ms = traces.started_at_ms and earlier.id < traces.id))
         order by earlier.started_at_ms desc, earlier.id desc",
    )
    .bind(workspace.as_str())
    .bind(&trace.id)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("id")).collect()
}

async fn payload_of(db: &Db, workspace: &WorkspaceId, id: &str) -> sqlx::Result<String> {
    sqlx::query("select payload from traces where workspace_id = $1 and id = $2")
        .bind(workspace.as_str())
        .bind(id)
        .fetch_one(db.pool())
        .await?
        .try_get("payload")
}

fn trace_of(payload: &str) -> sqlx::Result<Trace> {
    serde_json::from_str(payload).map_err(|error| sqlx::Error::Decode(error.into()))
}
