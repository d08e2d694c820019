use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

use crate::domain::{VersionId, WorkspaceId};
use crate::llm::Usage;
use crate::store::{Db, now_ms};

/// What fresh labels said of a deployed version when its figures fell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fallen {
    /// Fresh labels on which it agrees with people.
    pub agreed: u64,
    /// Fresh labels on which it gave a verdict.
    pub judged: u64,
    /// The lower end of the agreement that its report had.
    pub promised: f64,
}

/// A refinement that people have not heard of.
pub struct Refinement {
    /// The version that it starts from.
    pub version: VersionId,
    /// Labelled traces there were.
    pub label_count: i64,
    /// Why it is wanted; `None` where a person asked.
    pub fallen: Option<Fallen>,
    /// Why the old one stays; empty while that is not known.
    pub reason: String,
    /// What an LLM took for nothing; `None` where there is a version, or that was not written down.
    pub usage: Option<Usage>,
}

impl Refinement {
    /// What messages about it have as their subject.
    pub fn subject(&self) -> String {
        subject(&self.version, self.label_count)
    }

    fn of_row(row: &AnyRow) -> anyhow::Result<Self> {
        let fallen: Option<String> = row.try_get("fallen")?;
        let reason: Option<String> = row.try_get("reason")?;
        let usage: Option<String> = row.try_get("usage")?;
        Ok(Self {
            version: row.try_get::<String, _>("version_id")?.into(),
            label_count: row.try_get("label_count")?,
            fallen: fallen.as_deref().map(serde_json::from_str).transpose()?,
            reason: reason.unwrap_or_default(),
            usage: usage.as_deref().map(serde_json::from_str).transpose()?,
        })
    }
}

/// The subject of messages about the refinement of a version, wanted at a number of labelled traces.
pub fn subject(version: &VersionId, label_count: i64) -> String {
    format!("{version}:{label_count}")
}

/// Says that a version is to be refined, once for a number of labelled traces, and only while none of it waits; tells
/// whether that is news. One whose figures fell is due at once; one that a person asked for is, when [`decide_due`] says so.
pub async fn want(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    label_count: i64,
    fallen: Option<&Fallen>,
) -> anyhow::Result<bool> {
    let figures = fallen.map(serde_json::to_string).transpose()?;
    let inserted = sqlx::query(
        "insert into refinements (workspace_id, version_id, label_count, cause, fallen, due_label_count, state,
                                  wanted_at_ms)
         values ($1, $2, $3, $4, $5, $6, 'waiting', $7)
         on conflict do nothing",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(label_count)
    .bind(if fallen.is_some() { "fallen" } else { "asked" })
    .bind(figures)
    .bind(fallen.map(|_| label_count))
    .bind(now_ms())
    .execute(db)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Says of a refinement that a person asked for, and that waits, that the figures have fallen since: it is due at once.
/// Tells whether there is one.
pub async fn hasten(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
    fallen: &Fallen,
) -> anyhow::Result<bool> {
    let hastened = sqlx::query(
        "update refinements set cause = 'fallen', fallen = $1, due_label_count = label_count
         where workspace_id = $2 and version_id = $3 and state = 'waiting' and cause = 'asked'",
    )
    .bind(serde_json::to_string(fallen)?)
    .bind(workspace.as_str())
    .bind(version.as_str())
    .execute(db.pool())
    .await?;
    Ok(hastened.rows_affected() == 1)
}

/// Says at how many labelled traces a refinement is made; the first word stays.
pub async fn decide_due(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
    label_count: i64,
    due: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update refinements set due_label_count = $1
         where workspace_id = $2 and version_id = $3 and label_count = $4 and due_label_count is null",
    )
    .bind(due)
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(label_count)
    .execute(db.pool())
    .await
    .map(drop)
}

/// At how many labelled traces a version's figures last fell, and whether that refinement still waits; `None` where they
/// never did.
pub async fn last_fall(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<Option<(i64, bool)>> {
    let row = sqlx::query(
        "select label_count, state from refinements where workspace_id = $1 and version_id = $2 and cause = 'fallen'
         order by label_count desc limit 1",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| {
        let state: String = row.try_get("state")?;
        Ok((row.try_get("label_count")?, state == "waiting"))
    })
    .transpose()
}

/// Falls of which the channel has not heard.
pub async fn untold_falls(db: &Db, workspace: &WorkspaceId) -> anyhow::Result<Vec<Refinement>> {
    untold(
        db,
        workspace,
        "select * from refinements where workspace_id = $1 and cause = 'fallen'
           and not exists (select 1 from posts where posts.workspace_id = refinements.workspace_id
                           and posts.kind = 'fallen'
                           and (posts.posted_at_ms is not null or posts.refusal is not null)
                           and posts.subject_id = version_id || ':' || cast(label_count as text))
         order by wanted_at_ms",
    )
    .await
}

/// Refinements that made no version, of which the thread has not heard.
pub async fn untold_kept(db: &Db, workspace: &WorkspaceId) -> anyhow::Result<Vec<Refinement>> {
    untold(
        db,
        workspace,
        "select * from refinements where workspace_id = $1 and state = 'kept'
           and not exists (select 1 from posts where posts.workspace_id = refinements.workspace_id
                           and posts.kind = 'kept'
                           and (posts.posted_at_ms is not null or posts.refusal is not null)
                           and posts.subject_id = version_id || ':' || cast(label_count as text))
         order by finished_at_ms",
    )
    .await
}

async fn untold(
    db: &Db,
    workspace: &WorkspaceId,
    query: &'static str,
) -> anyhow::Result<Vec<Refinement>> {
    let query = sqlx::query(query).bind(workspace.as_str());
    let rows = query.fetch_all(db.pool()).await?;
    rows.iter().map(Refinement::of_row).collect()
}
