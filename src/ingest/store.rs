use std::collections::HashSet;

use sqlx::{Any, AssertSqlSafe, Executor, Row, Transaction};

use super::recorder::Delivery;
use crate::domain::{Origin, Trace, WorkspaceId, sha256_hex};
use crate::store::{Db, now_ms};

/// Deliveries loaded at once: a body may have 12 MB.
pub const DELIVERIES_AT_ONCE: usize = 10;

/// Traces, or observations, looked up at once.
pub const TRACES_AT_ONCE: usize = 100;

/// A transaction beside which no other of these runs in the workspace, in whatever process. Langfuse's
/// webhooks and the poller bring the same traces at the same time.
pub async fn begin_alone(
    db: &Db,
    workspace: &WorkspaceId,
) -> sqlx::Result<Transaction<'static, Any>> {
    let mut transaction = db.begin().await?;
    // SQLite has one writer anyway; on Postgres this locks the row.
    if !db.is_embedded() {
        sqlx::query("update workspaces set created_at_ms = created_at_ms where id = $1")
            .bind(workspace.as_str())
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction)
}

/// Records verified deliveries, all or none, in one statement: SQLite's writer is taken for no longer. Gives the
/// workspaces and ids of those that were new.
pub async fn insert_deliveries(
    db: &Db,
    deliveries: &[&Delivery],
) -> sqlx::Result<HashSet<(String, String)>> {
    let rows: Vec<String> = (0..deliveries.len())
        .map(|row| format!("({})", places(row * 4 + 1, 4)))
        .collect();
    let statement = format!(
        "insert into deliveries (workspace_id, id, body, received_at_ms) values {}
         on conflict (workspace_id, id) do nothing returning workspace_id, id",
        rows.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for delivery in deliveries {
        query = query.bind(delivery.workspace.as_str()).bind(&delivery.id);
        query = query.bind(&delivery.body).bind(now_ms());
    }
    let new = query.fetch_all(db.pool()).await?;
    let key = |row: &sqlx::any::AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
    new.iter().map(key).collect()
}

/// `$first, …`, so many: where a list of values stands in a statement.
pub fn places(first: usize, count: usize) -> String {
    let places = (first..first + count).map(|place| format!("${place}"));
    places.collect::<Vec<_>>().join(", ")
}

/// A delivery that waits.
pub struct PendingDelivery {
    pub id: String,
    pub body: String,
    pub attempts: i64,
}

/// The oldest deliveries that wait, [`DELIVERIES_AT_ONCE`] at most; one tried before waits longer each
/// time.
pub async fn pending_deliveries(
    db: &Db,
    workspace: &WorkspaceId,
) -> sqlx::Result<Vec<PendingDelivery>> {
    let rows = sqlx::query(
        "select id, body, attempts from deliveries
         where workspace_id = $1 and handled_at_ms is null
           and received_at_ms + attempts * attempts * 2000 <= $2
         order by received_at_ms limit $3",
    )
    .bind(workspace.as_str())
    .bind(now_ms())
    .bind(DELIVERIES_AT_ONCE as i64)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(PendingDelivery {
            id: row.try_get("id")?,
            body: row.try_get("body")?,
            attempts: row.try_get("attempts")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Marks deliveries as handled, in one statement; of them nothing but their ids is kept.
pub async fn finish_deliveries(
    db: &Db,
    workspace: &WorkspaceId,
    ids: &[String],
) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "update deliveries set handled_at_ms = $1, body = '' where workspace_id = $2 and id in ({})",
        places(3, ids.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).bind(now_ms());
    query = query.bind(workspace.as_str());
    for id in ids {
        query = query.bind(id);
    }
    query.execute(db.pool()).await.map(drop)
}

/// Counts a try at a delivery that has to wait.
pub async fn postpone_delivery(db: &Db, workspace: &WorkspaceId, id: &str) -> sqlx::Result<()> {
    sqlx::query("update deliveries set attempts = attempts + 1 where workspace_id = $1 and id = $2")
        .bind(workspace.as_str())
        .bind(id)
        .execute(db.pool())
        .await
        .map(drop)
}

/// Deletes the deliveries that were handled before `before_ms`; says how many.
pub async fn prune_deliveries(
    db: &Db,
    workspace: &WorkspaceId,
    before_ms: i64,
) -> sqlx::Result<u64> {
    let deleted =
        sqlx::query("delete from deliveries where workspace_id = $1 and handled_at_ms < $2")
            .bind(workspace.as_str())
            .bind(before_ms)
            .execute(db.pool())
            .await?;
    Ok(deleted.rows_affected())
}

/// Up to when everything is read, in milliseconds since 1970; `None` before the first poll.
pub async fn poll_mark(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<i64>> {
    let row = sqlx::query("select polled_through_ms from poll_marks where workspace_id = $1")
        .bind(workspace.as_str())
        .fetch_optional(db.pool())
        .await?;
    row.map(|row| row.try_get("polled_through_ms")).transpose()
}

/// Moves the mark; never backwards.
pub async fn set_poll_mark(db: &Db, workspace: &WorkspaceId, mark_ms: i64) -> sqlx::Result<()> {
    sqlx::query(
        "insert into poll_marks (workspace_id, polled_through_ms) values ($1, $2)
         on conflict (workspace_id) do update set polled_through_ms = excluded.polled_through_ms
         where poll_marks.polled_through_ms < excluded.polled_through_ms",
    )
    .bind(workspace.as_str())
    .bind(mark_ms)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Of these observations, each with its trace, what Langfuse gave before: trace, id, and SHA-256 of the payload.
pub async fn known_observations(
    db: &Db,
    workspace: &WorkspaceId,
    observations: &[(&str, &str)],
) -> sqlx::Result<HashSet<(String, String, String)>> {
    let mut known = HashSet::new();
    for some in observations.chunks(TRACES_AT_ONCE) {
        let statement = format!(
            "select trace_id, id, payload_hash from observations
             where workspace_id = $1 and source = 'langfuse' and trace_id in ({}) and id in ({})",
            places(2, some.len()),
            places(2 + some.len(), some.len())
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(workspace.as_str());
        let query = some
            .iter()
            .fold(query, |query, (trace, _)| query.bind(*trace));
        let query = some.iter().fold(query, |query, (_, id)| query.bind(*id));
        for row in query.fetch_all(db.pool()).await? {
            let of = |column: &str| row.try_get::<String, _>(column);
            known.insert((of("trace_id")?, of("id")?, of("payload_hash")?));
        }
    }
    Ok(known)
}

/// Who says something of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Langfuse,
    /// The product itself, by OTLP; a step that has not ended replaces none that has.
    Sender {
        has_ended: bool,
    },
}

/// Stores an observation as its source gave it; says whether it is new or has changed. What Langfuse says
/// replaces what a sender said, and never the other way round; of a trace that was deleted there, no sender
/// brings anything back.
pub async fn upsert_observation(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
    id: &str,
    payload: &str,
    source: Source,
) -> sqlx::Result<bool> {
    let (name, replaces) = match source {
        Source::Langfuse => ("langfuse", true),
        Source::Sender { has_ended } => ("otlp", has_ended),
    };
    let changed = sqlx::query(
        "insert into observations (workspace_id, trace_id, id, payload, source, payload_hash)
         select $1, $2, $3, $4, $5, $7
         where $5 = 'langfuse' or not exists (select 1 from traces
               where workspace_id = $1 and id = $2 and deleted_at_ms is not null)
         on conflict (workspace_id, trace_id, id) do update
         set payload = excluded.payload, source = excluded.source, payload_hash = excluded.payload_hash
         where (observations.payload <> excluded.payload or observations.source <> excluded.source)
           and $6 = 1 and (excluded.source = 'langfuse' or observations.source = 'otlp')",
    )
    .bind(workspace.as_str())
    .bind(trace_id)
    .bind(id)
    .bind(payload)
    .bind(name)
    .bind(i64::from(replaces))
    .bind(sha256_hex(payload))
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Marks a trace as one whose stored form lags behind its observations, until it is stored again.
pub async fn reopen_trace(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update traces set complete = 0 where workspace_id = $1 and id = $2 and complete = 1",
    )
    .bind(workspace.as_str())
    .bind(trace_id)
    .execute(db)
    .await
    .map(drop)
}

/// The observations of a trace, as Langfuse gave them. The line that v3's list has of the trace, kept
/// under the trace's own id, is none.
pub async fn observations(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select payload from observations
         where workspace_id = $1 and trace_id = $2 and id <> trace_id order by id",
    )
    .bind(workspace.as_str())
    .bind(trace_id)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| row.try_get("payload")).collect()
}

/// Deletes the line that v3's list had of the trace, so that the poller reads the trace again.
pub async fn forget_line(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
) -> sqlx::Result<()> {
    sqlx::query("delete from observations where workspace_id = $1 and trace_id = $2 and id = $2")
        .bind(workspace.as_str())
        .bind(trace_id)
        .execute(db)
        .await
        .map(drop)
}

/// Whether v3's list has the same line of the trace as when the trace was last stored, and the trace
/// is complete.
pub async fn is_up_to_date(
    db: &Db,
    workspace: &WorkspaceId,
    trace_id: &str,
    line: &str,
) -> sqlx::Result<bool> {
    let found = sqlx::query(
        "select 1 from observations join traces
           on traces.workspace_id = observations.workspace_id
          and traces.id = observations.trace_id and complete = 1
         where observations.workspace_id = $1 and trace_id = $2 and observations.id = trace_id
           and observations.payload = $3",
    )
    .bind(workspace.as_str())
    .bind(trace_id)
    .bind(line)
    .fetch_optional(db.pool())
    .await?;
    Ok(found.is_some())
}

/// Whether v3's list has brought a line of the trace, so that the trace is stored as v3 has it.
pub async fn has_line(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
) -> sqlx::Result<bool> {
    let found = sqlx::query(
        "select 1 from observations where workspace_id = $1 and trace_id = $2 and id = $2",
    )
    .bind(workspace.as_str())
    .bind(trace_id)
    .fetch_optional(db)
    .await?;
    Ok(found.is_some())
}

/// What is known of a trace before it is stored.
pub struct Arrival<'a> {
    pub trace: &'a Trace,
    /// Whether its root has ended.
    pub complete: bool,
    /// Whether all its steps have come and ended, so that nothing has to be waited for.
    pub whole: bool,
    /// Whether unreadable characters were replaced.
    pub cleaned: bool,
    /// When it last changed at its source, as far as that says.
    pub changed_at_ms: i64,
    /// Where it comes from, if Langfuse does not have it.
    pub origin: Option<Origin>,
}

/// Stores a trace, or what has changed in it, which is then to be scored again. A repeated arrival
/// changes nothing; says whether this one did not.
pub async fn upsert_trace(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    arrival: &Arrival<'_>,
) -> sqlx::Result<bool> {
    let (trace, now) = (arrival.trace, now_ms());
    let payload = trace.to_json();
    let started_at_ms = chrono::DateTime::parse_from_rfc3339(&trace.timestamp)
        .map_or(now, |time| time.timestamp_millis());
    let stored = sqlx::query(
        "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                             started_at_ms, first_seen_at_ms, changed_at_ms, whole, origin)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (workspace_id, id) do update
         set payload = excluded.payload, payload_hash = excluded.payload_hash,
             trace_group = excluded.trace_group, complete = excluded.complete, whole = excluded.whole,
             origin = excluded.origin, cleaned = excluded.cleaned, started_at_ms = excluded.started_at_ms,
             changed_at_ms = excluded.first_seen_at_ms, to_score = 1, deleted_at_ms = null
         where traces.payload_hash <> excluded.payload_hash
            or traces.complete <> excluded.complete or traces.deleted_at_ms is not null
            or coalesce(traces.origin, '') <> coalesce(excluded.origin, '')",
    )
    .bind(workspace.as_str())
    .bind(&trace.id)
    .bind(&payload)
    .bind(sha256_hex(&payload))
    .bind(trace.group())
    .bind(i64::from(arrival.complete))
    .bind(i64::from(arrival.cleaned))
    .bind(started_at_ms)
    .bind(now)
    .bind(arrival.changed_at_ms.min(now))
    .bind(i64::from(arrival.whole))
    .bind(arrival.origin.map(Origin::name))
    .execute(db)
    .await?;
    Ok(stored.rows_affected() == 1)
}

/// What is known of a stored trace.
pub struct Stored {
    pub origin: Option<Origin>,
    pub started_at_ms: i64,
}

/// The stored trace of this id.
pub async fn stored(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
) -> sqlx::Result<Option<Stored>> {
    let row =
        sqlx::query("select origin, started_at_ms from traces where workspace_id = $1 and id = $2")
            .bind(workspace.as_str())
            .bind(trace_id)
            .fetch_optional(db)
            .await?;
    let read = |row: sqlx::any::AnyRow| {
        let origin: Option<String> = row.try_get("origin")?;
        Ok(Stored {
            origin: origin.as_deref().and_then(Origin::of_name),
            started_at_ms: row.try_get("started_at_ms")?,
        })
    };
    row.map(read).transpose()
}

/// Whether the trace is stored as its observations have it.
pub async fn is_complete(db: &Db, workspace: &WorkspaceId, trace_id: &str) -> sqlx::Result<bool> {
    let found =
        sqlx::query("select 1 from traces where workspace_id = $1 and id = $2 and complete = 1")
            .bind(workspace.as_str())
            .bind(trace_id)
            .fetch_optional(db.pool())
            .await?;
    Ok(found.is_some())
}

/// A trace of which spans came by OTLP and that is to be put together.
pub struct ArrivedTrace {
    pub trace_id: String,
    /// When the last of them came.
    pub arrived_at_ms: i64,
}

/// Notes that spans of a trace came just now.
pub async fn note_arrived(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
    due_at_ms: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into arrived_traces (workspace_id, trace_id, arrived_at_ms, due_at_ms)
         values ($1, $2, $3, $4)
         on conflict (workspace_id, trace_id) do update
         set arrived_at_ms = excluded.arrived_at_ms, due_at_ms = excluded.due_at_ms",
    )
    .bind(workspace.as_str())
    .bind(trace_id)
    .bind(now_ms())
    .bind(due_at_ms)
    .execute(db)
    .await
    .map(drop)
}

/// The traces that are to be put together now, those due first first.
pub async fn due_traces(
    db: &Db,
    workspace: &WorkspaceId,
    limit: i64,
) -> sqlx::Result<Vec<ArrivedTrace>> {
    let rows = sqlx::query(
        "select trace_id, arrived_at_ms from arrived_traces
         where workspace_id = $1 and due_at_ms <= $2 order by due_at_ms limit $3",
    )
    .bind(workspace.as_str())
    .bind(now_ms())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(ArrivedTrace {
            trace_id: row.try_get("trace_id")?,
            arrived_at_ms: row.try_get("arrived_at_ms")?,
        })
    };
    rows.iter().map(read).collect()
}

/// When the next trace is to be put together; `None` where there is none.
pub async fn next_due_ms(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<i64>> {
    sqlx::query("select min(due_at_ms) as due from arrived_traces where workspace_id = $1")
        .bind(workspace.as_str())
        .fetch_one(db.pool())
        .await?
        .try_get("due")
}

/// Says that a trace is put together, unless more of it has come since.
pub async fn finish_arrived(
    db: &Db,
    workspace: &WorkspaceId,
    arrived: &ArrivedTrace,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from arrived_traces
         where workspace_id = $1 and trace_id = $2 and arrived_at_ms = $3",
    )
    .bind(workspace.as_str())
    .bind(&arrived.trace_id)
    .bind(arrived.arrived_at_ms)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Has a trace looked at again later, unless more of it has come since.
pub async fn postpone_arrived(
    db: &Db,
    workspace: &WorkspaceId,
    arrived: &ArrivedTrace,
    due_at_ms: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update arrived_traces set due_at_ms = $1
         where workspace_id = $2 and trace_id = $3 and arrived_at_ms = $4",
    )
    .bind(due_at_ms)
    .bind(workspace.as_str())
    .bind(&arrived.trace_id)
    .bind(arrived.arrived_at_ms)
    .execute(db.pool())
    .await
    .map(drop)
}
