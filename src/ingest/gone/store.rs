use sqlx::{Any, AssertSqlSafe, Executor, Row, Transaction};

use crate::domain::WorkspaceId;
use crate::ingest::store::{TRACES_AT_ONCE, places};
use crate::store::{Db, now_ms};

/// Who has shown a trace.
pub struct Shown {
    /// The API, the project and the server ([`crate::langfuse::Client::origin`]).
    pub origin: String,
    /// The filter that it passed, empty where there is none; `None` where it was asked for by its id.
    pub through: Option<String>,
}

/// Notes who has shown these traces, so that they are not missing.
pub async fn set_shown(
    db: &Db,
    workspace: &WorkspaceId,
    traces: &[&str],
    shown: &Shown,
) -> sqlx::Result<()> {
    for some in traces.chunks(TRACES_AT_ONCE) {
        let differs = format!(
            "workspace_id = $1 and id in ({})
             and (shown_by <> $2 or shown_through <> coalesce($3, shown_through) or missed_at_ms is not null)",
            places(4, some.len())
        );
        let ids_of_some = |sql: String| {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str());
            let query = query.bind(&shown.origin).bind(shown.through.as_deref());
            some.iter().fold(query, |query, trace| query.bind(*trace))
        };
        // Mostly all is known, and no other writer has to wait.
        let found = ids_of_some(format!("select 1 from traces where {differs} limit 1"));
        if found.fetch_optional(db.pool()).await?.is_some() {
            let update = "update traces set shown_by = $2, shown_through = coalesce($3, shown_through), missed_at_ms = null";
            let noted = ids_of_some(format!("{update} where {differs}"));
            noted.execute(db.pool()).await?;
        }
    }
    Ok(())
}

/// The traces that began between two times, the second excluded, that would be shown now as they were before,
/// and that were not asked for since `checked_before_ms`.
pub async fn shown_between(
    db: &Db,
    workspace: &WorkspaceId,
    (from_ms, to_ms): (i64, i64),
    shown: &Shown,
    checked_before_ms: i64,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select id from traces
         where workspace_id = $1 and started_at_ms >= $2 and started_at_ms < $3
           and shown_by = $4 and ($5 = '' or shown_through = $5)
           and missed_at_ms is null and deleted_at_ms is null and checked_at_ms <= $6",
    )
    .bind(workspace.as_str())
    .bind(from_ms)
    .bind(to_ms)
    .bind(&shown.origin)
    .bind(shown.through.as_deref().unwrap_or_default())
    .bind(checked_before_ms)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("id")).collect()
}

/// Notes that traces are missing to whoever has shown them; those that are deleted or missing already stay so.
pub async fn note_missed(
    db: &Db,
    workspace: &WorkspaceId,
    traces: &[&str],
    origin: &str,
) -> sqlx::Result<()> {
    for some in traces.chunks(TRACES_AT_ONCE) {
        let statement = format!(
            "update traces set missed_at_ms = $2
             where workspace_id = $1 and shown_by = $3 and missed_at_ms is null and deleted_at_ms is null
               and id in ({})",
            places(4, some.len())
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(workspace.as_str());
        let query = query.bind(now_ms()).bind(origin);
        let query = some.iter().fold(query, |query, trace| query.bind(*trace));
        query.execute(db.pool()).await?;
    }
    Ok(())
}

/// A trace that was missed.
pub struct Suspect {
    pub trace: String,
    pub shown_by: String,
    pub started_at_ms: i64,
}

/// The traces that were missed before the first of these times and not asked for since the second, those that
/// were asked for longest ago first.
pub async fn suspects(
    db: &Db,
    workspace: &WorkspaceId,
    (missed_before_ms, checked_before_ms): (i64, i64),
    limit: i64,
) -> sqlx::Result<Vec<Suspect>> {
    let rows = sqlx::query(
        "select id, shown_by, started_at_ms from traces
         where workspace_id = $1 and missed_at_ms <= $2 and checked_at_ms <= $3 and deleted_at_ms is null
         order by checked_at_ms, missed_at_ms limit $4",
    )
    .bind(workspace.as_str())
    .bind(missed_before_ms)
    .bind(checked_before_ms)
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(Suspect {
            trace: row.try_get("id")?,
            shown_by: row.try_get("shown_by")?,
            started_at_ms: row.try_get("started_at_ms")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Notes that a missing trace was asked for just now, and whether it is there.
pub async fn set_checked(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &str,
    is_there: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "update traces set checked_at_ms = $1, missed_at_ms = case when $2 = 1 then null else missed_at_ms end
         where workspace_id = $3 and id = $4",
    )
    .bind(now_ms())
    .bind(i64::from(is_there))
    .bind(workspace.as_str())
    .bind(trace)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Whether a trace is missing still to whoever showed it, and not known to be deleted.
pub async fn is_missed(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    suspect: &Suspect,
) -> sqlx::Result<bool> {
    let found = sqlx::query(
        "select 1 from traces where workspace_id = $1 and id = $2 and shown_by = $3
           and missed_at_ms is not null and deleted_at_ms is null",
    )
    .bind(workspace.as_str())
    .bind(&suspect.trace)
    .bind(&suspect.shown_by)
    .fetch_optional(db)
    .await?;
    Ok(found.is_some())
}

/// Whether the trace was deleted at its source.
pub async fn is_deleted(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &str,
) -> sqlx::Result<bool> {
    let found = sqlx::query(
        "select 1 from traces where workspace_id = $1 and id = $2 and deleted_at_ms is not null",
    )
    .bind(workspace.as_str())
    .bind(trace)
    .fetch_optional(db)
    .await?;
    Ok(found.is_some())
}

/// What was made of a deleted trace's text. Langfuse deletes scores with their trace: should it come back, they
/// are to be written anew.
const DROP_REST: [&str; 4] = [
    "delete from observations where workspace_id = $1 and trace_id = $2",
    "delete from scores where workspace_id = $1 and trace_id = $2",
    "update human_scores set revision = revision + 1, written_at_ms = null, refusal = null
     where workspace_id = $1 and trace_id = $2",
    "update outcomes set reason = case when verdict is null then reason else '' end,
            error_message = case when verdict is null then '' else error_message end,
            printed = '', verdict_hash = null
     where workspace_id = $1 and trace_id = $2",
];

/// Leaves `payload`, of this hash, in the place of a trace's text.
pub async fn drop_text(
    transaction: &mut Transaction<'static, Any>,
    workspace: &WorkspaceId,
    trace: &str,
    (payload, payload_hash): (&str, String),
    deleted_at_ms: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update traces set payload = $3, payload_hash = $4, deleted_at_ms = $5, missed_at_ms = null, to_score = 0
         where workspace_id = $1 and id = $2",
    )
    .bind(workspace.as_str())
    .bind(trace)
    .bind(payload)
    .bind(payload_hash)
    .bind(deleted_at_ms)
    .execute(&mut **transaction)
    .await?;
    for statement in DROP_REST {
        let query = sqlx::query(statement).bind(workspace.as_str()).bind(trace);
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}
