use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::WorkspaceId;
use crate::store::{Db, now_ms};

/// How the names of owners begin that others take over from.
pub const COMMAND: &str = "command:";
/// Who has not said for so long that he holds a stretch does so no more.
const LEASE_MS: i64 = 20_000;

/// A stretch of time and how far back it is read. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its first instant.
    pub since_ms: i64,
    /// The first instant after it.
    pub until_ms: i64,
    /// From here to the end everything is read.
    pub reached_ms: i64,
    /// Traces that were stored on the way; one that lies across two windows counts twice.
    pub traces: i64,
    /// When it was asked for.
    pub started_at_ms: i64,
    /// When everything was read.
    pub finished_at_ms: Option<i64>,
    /// Whether the service is at work on it.
    pub is_with_service: bool,
}

impl Progress {
    /// How much of the stretch is read, from 0 to 1.
    pub fn share(&self) -> f64 {
        let whole = (self.until_ms - self.since_ms).max(1);
        (self.until_ms - self.reached_ms) as f64 / whole as f64
    }

    fn of_row(row: &AnyRow) -> sqlx::Result<Self> {
        let owner: String = row.try_get("owner")?;
        let lease_until_ms: i64 = row.try_get("lease_until_ms")?;
        let is_held = lease_until_ms > now_ms();
        Ok(Self {
            since_ms: row.try_get("since_ms")?,
            until_ms: row.try_get("until_ms")?,
            reached_ms: row.try_get("reached_ms")?,
            traces: row.try_get("traces")?,
            started_at_ms: row.try_get("started_at_ms")?,
            finished_at_ms: row.try_get("finished_at_ms")?,
            is_with_service: is_held && !owner.starts_with(COMMAND),
        })
    }
}

/// A stretch's first instant and the first one after it.
type Key = (i64, i64);

/// Asks for a stretch, unless it was asked for before.
pub async fn begin(db: &Db, workspace: &WorkspaceId, (since, until): Key) -> sqlx::Result<()> {
    sqlx::query(
        "insert into backfills (workspace_id, since_ms, until_ms, reached_ms, started_at_ms)
         values ($1, $2, $3, $3, $4) on conflict (workspace_id, since_ms, until_ms) do nothing",
    )
    .bind(workspace.as_str())
    .bind(since)
    .bind(until)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// Every stretch of a workspace, the newest wish first.
pub async fn stretches(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<Progress>> {
    let rows = sqlx::query(
        "select * from backfills where workspace_id = $1 order by started_at_ms desc, until_ms desc",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(Progress::of_row).collect()
}

/// One stretch, as it stands.
pub async fn find(
    db: &Db,
    workspace: &WorkspaceId,
    (since, until): Key,
) -> sqlx::Result<Option<Progress>> {
    let row = sqlx::query(
        "select * from backfills where workspace_id = $1 and since_ms = $2 and until_ms = $3",
    )
    .bind(workspace.as_str())
    .bind(since)
    .bind(until)
    .fetch_optional(db.pool())
    .await?;
    row.as_ref().map(Progress::of_row).transpose()
}

/// Takes hold of a stretch, or keeps it; `None` where another owner holds it who does not give way.
pub async fn hold(
    db: &Db,
    workspace: &WorkspaceId,
    (since, until): Key,
    owner: &str,
    now_ms: i64,
) -> sqlx::Result<Option<Progress>> {
    let row = sqlx::query(
        "update backfills set owner = $1, lease_until_ms = $2
         where workspace_id = $3 and since_ms = $4 and until_ms = $5
           and (owner = $1 or lease_until_ms < $6 or (owner like 'command:%' and $1 not like 'command:%'))
         returning *",
    )
    .bind(owner)
    .bind(now_ms + LEASE_MS)
    .bind(workspace.as_str())
    .bind(since)
    .bind(until)
    .bind(now_ms)
    .fetch_optional(db.pool())
    .await?;
    row.as_ref().map(Progress::of_row).transpose()
}

/// Takes hold of every stretch of a workspace that is not read and that no other owner holds who does not give
/// way: as long as a service is there, it is the one who reads.
pub async fn attend(
    db: &Db,
    workspace: &WorkspaceId,
    owner: &str,
    now_ms: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update backfills set owner = $1, lease_until_ms = $2
         where workspace_id = $3 and finished_at_ms is null
           and (owner = $1 or lease_until_ms < $4 or owner like 'command:%')",
    )
    .bind(owner)
    .bind(now_ms + LEASE_MS)
    .bind(workspace.as_str())
    .bind(now_ms)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Lets another owner take the stretch at once.
pub async fn let_go(
    db: &Db,
    workspace: &WorkspaceId,
    (since, until): Key,
    owner: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update backfills set lease_until_ms = 0
         where workspace_id = $1 and since_ms = $2 and until_ms = $3 and owner = $4",
    )
    .bind(workspace.as_str())
    .bind(since)
    .bind(until)
    .bind(owner)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Records that everything is read back to a time, and counts traces; never forwards, whoever read it.
pub async fn advance(
    db: &Db,
    workspace: &WorkspaceId,
    ((since, until), reached_ms): (Key, i64),
    traces: usize,
    now_ms: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update backfills set reached_ms = $1, traces = traces + $2,
                finished_at_ms = case when since_ms >= $1 then $3 end
         where workspace_id = $4 and since_ms = $5 and until_ms = $6 and reached_ms > $1",
    )
    .bind(reached_ms)
    .bind(traces as i64)
    .bind(now_ms)
    .bind(workspace.as_str())
    .bind(since)
    .bind(until)
    .execute(db.pool())
    .await
    .map(drop)
}
