use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

use crate::domain::{EvalId, EvalSource, Trace, TraceId, Verdict, VersionId, WorkspaceId};
use crate::generate::{CrossValidation, Making};
use crate::llm::Usage;
use crate::run::PendingRun;
use crate::store::{Db, now_ms};

/// What people decided about a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Proposed,
    /// It scores new traces.
    Deployed,
    /// It is not wanted.
    Discarded,
    /// It was deployed until another took its place.
    Retired,
}

impl State {
    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Deployed => "deployed",
            Self::Discarded => "discarded",
            Self::Retired => "retired",
        }
    }

    /// Reads [`State::as_str`] back; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Proposed,
            Self::Deployed,
            Self::Discarded,
            Self::Retired,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }
}

/// A version as its report needs it.
pub struct Version {
    pub id: VersionId,
    pub eval: EvalId,
    pub source: EvalSource,
    pub generator: String,
    pub candidates_tried: i64,
    pub cross_validation: Option<CrossValidation>,
    /// How it was made; `None` where that was not written down.
    pub making: Option<Making>,
    pub created_at_ms: i64,
    pub state: State,
    pub decided_by: Option<String>,
    pub decided_at_ms: Option<i64>,
}

fn version_of(row: &AnyRow) -> anyhow::Result<Version> {
    let cross_validation: Option<String> = row.try_get("cross_validation")?;
    let making: Option<String> = row.try_get("making")?;
    let state: String = row.try_get("state")?;
    Ok(Version {
        id: row.try_get::<String, _>("id")?.into(),
        eval: row.try_get::<String, _>("eval_id")?.into(),
        source: EvalSource::new(row.try_get::<String, _>("source")?),
        generator: row.try_get("generator")?,
        candidates_tried: row.try_get("candidates_tried")?,
        cross_validation: cross_validation
            .as_deref()
            .map(serde_json::from_str)
            .transpose()?,
        making: making.as_deref().map(serde_json::from_str).transpose()?,
        created_at_ms: row.try_get("created_at_ms")?,
        state: State::parse(&state).with_context(|| format!("an unknown state {state}"))?,
        decided_by: row.try_get("decided_by")?,
        decided_at_ms: row.try_get("decided_at_ms")?,
    })
}

/// Versions whose report, or a message of its thread, does not stand yet, oldest first.
pub async fn unreported(db: &Db, workspace: &WorkspaceId) -> anyhow::Result<Vec<Version>> {
    let rows = sqlx::query(
        "select * from eval_versions
         where workspace_id = $1
           and (select count(*) from posts where posts.workspace_id = eval_versions.workspace_id
                and posts.subject_id = eval_versions.id
                and (posts.posted_at_ms is not null or posts.refusal is not null)
                and posts.kind in ('report', 'report_code', 'report_misses')) < 3
           and not exists (select 1 from posts where posts.workspace_id = eval_versions.workspace_id
                           and posts.kind = 'report' and posts.subject_id = eval_versions.id
                           and posts.gone_at_ms is not null)
         order by created_at_ms",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(version_of).collect()
}

/// One version; `None` where the workspace has no such version.
pub async fn version(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> anyhow::Result<Option<Version>> {
    let row = sqlx::query("select * from eval_versions where workspace_id = $1 and id = $2")
        .bind(workspace.as_str())
        .bind(version.as_str())
        .fetch_optional(db.pool())
        .await?;
    row.as_ref().map(version_of).transpose()
}

/// What a version did on a trace.
pub struct StoredOutcome {
    /// `None` where it errored.
    pub verdict: Option<Verdict>,
    /// The eval's reason; hostile text.
    pub reason: String,
    /// Whether another run would come to the same.
    pub is_repeatable: bool,
}

/// A report waits so long for another run where one failed and was not the eval's doing.
const WAITS_FOR_ANOTHER_RUN_MS: i64 = 3_600_000;

/// The version's outcomes on traces as they now are, by trace. A failure that another run may mend is none until
/// the version is old.
pub async fn outcomes(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<BTreeMap<TraceId, StoredOutcome>> {
    let rows = sqlx::query(
        "select trace_id, verdict, reason, failures from outcomes join traces
           on traces.workspace_id = outcomes.workspace_id and traces.id = outcomes.trace_id
          and traces.payload_hash = outcomes.payload_hash
         join eval_versions on eval_versions.workspace_id = outcomes.workspace_id
          and eval_versions.id = outcomes.version_id
         where outcomes.workspace_id = $1 and version_id = $2
           and (failures = 0 or created_at_ms < $3)",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(now_ms() - WAITS_FOR_ANOTHER_RUN_MS)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        let verdict: Option<String> = row.try_get("verdict")?;
        let reason: Option<String> = row.try_get("reason")?;
        let outcome = StoredOutcome {
            verdict: verdict.as_deref().and_then(Verdict::parse),
            reason: reason.unwrap_or_default(),
            is_repeatable: row.try_get::<i64, _>("failures")? == 0,
        };
        Ok((
            TraceId::from(row.try_get::<String, _>("trace_id")?),
            outcome,
        ))
    };
    rows.iter().map(read).collect()
}

/// What a person asked in a trace; empty where the workspace has no such trace.
pub async fn question(db: &Db, workspace: &WorkspaceId, trace: &TraceId) -> anyhow::Result<String> {
    let row = sqlx::query("select payload from traces where workspace_id = $1 and id = $2")
        .bind(workspace.as_str())
        .bind(trace.as_str())
        .fetch_optional(db.pool())
        .await?;
    let Some(row) = row else {
        return Ok(String::new());
    };
    let trace: Trace = serde_json::from_str(row.try_get("payload")?)?;
    Ok(trace.input_text)
}

/// A trace that a version has run on as it now is, with what `judge` answered then, both as JSON; `None` where it has
/// not.
pub async fn ran(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
    trace: &TraceId,
) -> sqlx::Result<Option<(String, String)>> {
    let row = sqlx::query(
        "select payload, answers from outcomes join traces
           on traces.workspace_id = outcomes.workspace_id and traces.id = outcomes.trace_id
          and traces.payload_hash = outcomes.payload_hash
         where outcomes.workspace_id = $1 and version_id = $2 and trace_id = $3",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(trace.as_str())
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| Ok((row.try_get("payload")?, row.try_get("answers")?)))
        .transpose()
}

/// A stored report: its figures as JSON, and its picture in Slack.
pub struct StoredReport {
    pub figures: String,
    pub picture_file_id: Option<String>,
}

/// The report of a version; `None` before it is made.
pub async fn report(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<Option<StoredReport>> {
    let row = sqlx::query(
        "select figures, picture_file_id from reports where workspace_id = $1 and version_id = $2",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| {
        Ok(StoredReport {
            figures: row.try_get("figures")?,
            picture_file_id: row.try_get("picture_file_id")?,
        })
    })
    .transpose()
}

/// Stores a version's figures; the first stay.
pub async fn insert_report(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
    figures: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into reports (workspace_id, version_id, figures, created_at_ms)
         values ($1, $2, $3, $4) on conflict (workspace_id, version_id) do nothing",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(figures)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// Records the uploaded picture.
pub async fn set_picture(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
    file_id: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update reports set picture_file_id = $1 where workspace_id = $2 and version_id = $3",
    )
    .bind(file_id)
    .bind(workspace.as_str())
    .bind(version.as_str())
    .execute(db.pool())
    .await
    .map(drop)
}

/// An attempt that made no eval and has not been told yet.
pub struct NotYet {
    pub eval_id: String,
    pub label_count: i64,
    pub reason: String,
    pub candidates_tried: i64,
    /// What an LLM took; `None` where that was not written down.
    pub usage: Option<Usage>,
}

/// The attempts without an eval of which the channel has not heard.
pub async fn untold(db: &Db, workspace: &WorkspaceId) -> anyhow::Result<Vec<NotYet>> {
    let rows = sqlx::query(
        "select eval_id, label_count, reason, candidates_tried, usage from generations
         where workspace_id = $1 and state = 'not_yet'
           and not exists (select 1 from posts where posts.workspace_id = generations.workspace_id
                           and posts.kind = 'not_yet'
                           and (posts.posted_at_ms is not null or posts.refusal is not null)
                           and posts.subject_id = eval_id || ':' || cast(label_count as text))
         order by finished_at_ms",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        let usage: Option<String> = row.try_get("usage")?;
        Ok(NotYet {
            eval_id: row.try_get("eval_id")?,
            label_count: row.try_get("label_count")?,
            reason: row.try_get("reason")?,
            candidates_tried: row.try_get("candidates_tried")?,
            usage: usage.as_deref().map(serde_json::from_str).transpose()?,
        })
    };
    rows.iter().map(read).collect()
}

/// Takes the row of a version's eval, so that two decisions about its versions follow each other.
pub async fn lock_eval(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update evals set name = name where workspace_id = $1
           and id = (select eval_id from eval_versions where workspace_id = $1 and id = $2)",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .execute(db)
    .await
    .map(drop)
}

/// Records the decision about a version that is proposed; says whether it was. The first one stays.
pub async fn decide(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    state: State,
    decided_by: &str,
) -> sqlx::Result<bool> {
    let changed = sqlx::query(
        "update eval_versions set state = $1, decided_by = $2, decided_at_ms = $3
         where workspace_id = $4 and id = $5 and state = 'proposed'",
    )
    .bind(state.as_str())
    .bind(decided_by)
    .bind(now_ms())
    .bind(workspace.as_str())
    .bind(version.as_str())
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Says of every trace so far that no version is to score it.
pub async fn leave_unscored(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
) -> sqlx::Result<()> {
    sqlx::query("update traces set to_score = 0 where workspace_id = $1 and to_score = 1")
        .bind(workspace.as_str())
        .execute(db)
        .await
        .map(drop)
}

/// Retires the versions of the same eval that `version` takes the place of; gives their ids.
pub async fn retire_others(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "update eval_versions set state = 'retired'
         where workspace_id = $1 and id <> $2 and state = 'deployed'
           and eval_id = (select eval_id from eval_versions where workspace_id = $1 and id = $2)
         returning id",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| row.try_get("id")).collect()
}

/// Whether Slack refused this part of a report's code for good.
pub async fn is_code_refused(
    db: &Db,
    workspace: &WorkspaceId,
    subject: &str,
) -> sqlx::Result<bool> {
    let refused = sqlx::query(
        "select 1 from posts where workspace_id = $1 and kind = 'report_code' and subject_id = $2
           and refusal is not null",
    )
    .bind(workspace.as_str())
    .bind(subject)
    .fetch_optional(db.pool())
    .await?;
    Ok(refused.is_some())
}

/// Forgets what stood in the thread of a report that is gone.
pub async fn forget_thread(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from posts
         where workspace_id = $1 and kind in ('report_code', 'report_misses')
           and (subject_id = $2 or subject_id like $3)",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(format!("{version}:%"))
    .execute(db)
    .await
    .map(drop)
}

/// The refinements that people asked for and that are not answered.
pub async fn wanted_refinements(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select subject_id from posts
         where workspace_id = $1 and kind = 'refine' and posted_at_ms is null and refusal is null
         order by first_claimed_at_ms",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("subject_id")).collect()
}

/// Gives up the answer to a refinement that was asked for: a person deleted the report in whose thread it belongs.
pub async fn give_up_answer(db: &Db, workspace: &WorkspaceId, subject: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update posts set refusal = 'the report was deleted'
         where workspace_id = $1 and kind = 'refine' and subject_id = $2 and posted_at_ms is null",
    )
    .bind(workspace.as_str())
    .bind(subject)
    .execute(db.pool())
    .await
    .map(drop)
}

/// Traces of which somebody has said why with a thumb that was given from a time on, in milliseconds since 1970.
pub async fn explained_since(
    db: &Db,
    workspace: &WorkspaceId,
    since_ms: i64,
) -> sqlx::Result<BTreeSet<TraceId>> {
    let rows = sqlx::query(
        "select distinct trace_id from labels
         where workspace_id = $1 and comment is not null and acted_at_us >= $2",
    )
    .bind(workspace.as_str())
    .bind(since_ms.saturating_mul(1_000))
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| row.try_get::<String, _>("trace_id").map(TraceId::from);
    rows.iter().map(read).collect()
}

/// The versions that score new traces.
pub async fn deployed(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<VersionId>> {
    let rows =
        sqlx::query("select id from eval_versions where workspace_id = $1 and state = 'deployed'")
            .bind(workspace.as_str())
            .fetch_all(db.pool())
            .await?;
    let read = |row: &AnyRow| row.try_get::<String, _>("id").map(VersionId::from);
    rows.iter().map(read).collect()
}

/// Traces that people were asked about because of what a version says of them.
pub async fn picked(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<BTreeSet<TraceId>> {
    let rows = sqlx::query(
        "select id from traces where workspace_id = $1 and asked = 1 and ask_probability is null",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| row.try_get::<String, _>("id").map(TraceId::from);
    rows.iter().map(read).collect()
}

/// The newest complete traces that nobody has labelled.
pub async fn unlabelled(
    db: &Db,
    workspace: &WorkspaceId,
    limit: i64,
) -> sqlx::Result<Vec<PendingRun>> {
    let rows = sqlx::query(
        "select id, payload, payload_hash from traces
         where workspace_id = $1 and deleted_at_ms is null and complete = 1
           and not exists (select 1 from labels where labels.workspace_id = traces.workspace_id
                           and labels.trace_id = traces.id)
         order by started_at_ms desc, id limit $2",
    )
    .bind(workspace.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(PendingRun::of_row).collect()
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
