use std::collections::HashMap;

use anyhow::Context;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor, Row};

use super::evaluate::Ran;
use super::judge::QUESTIONS_MAX;
use crate::domain::{
    ErrorKind, EvalId, EvalSource, Outcome, RunError, TraceId, Verdict, VersionId, WorkspaceId,
};
use crate::llm::Answer;
use crate::sandbox::receipt::{ENGINE, Receipt, SCHEMA, canonical, hash};
use crate::sandbox::{Limits, interpreter};
use crate::store::{Db, now_ms, with_session};

/// What an outcome that is not to stay waits for its next run: this, times the square of how often it failed.
pub const AGAIN_AFTER_MS: i64 = 600_000;
/// What another interpreter has run is left to it for so long.
const LEFT_TO_OTHERS_MS: i64 = 900_000;

/// A version's source text.
pub struct VersionSource {
    /// Which version.
    pub id: VersionId,
    /// Its Python.
    pub source: EvalSource,
    /// What it is a version of.
    pub eval: EvalId,
}

impl VersionSource {
    /// Reads a row with `id`, `source` and `eval_id`.
    pub fn of_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get::<String, _>("id")?.into(),
            source: EvalSource::new(row.try_get::<String, _>("source")?),
            eval: row.try_get::<String, _>("eval_id")?.into(),
        })
    }
}

/// A trace that a version has not run on as it now is.
#[derive(Clone)]
pub struct PendingRun {
    /// Which trace.
    pub trace: TraceId,
    /// Schema version 1, as JSON.
    pub payload: String,
    /// SHA-256 of the payload as it is stored: which form of the trace this is.
    pub payload_hash: String,
    /// SHA-256 of the payload with the trace's session, where the eval is given that.
    pub session_hash: Option<String>,
}

impl PendingRun {
    /// Reads a row with `id`, `payload` and `payload_hash`.
    pub fn of_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            trace: row.try_get::<String, _>("id")?.into(),
            payload: row.try_get("payload")?,
            payload_hash: row.try_get("payload_hash")?,
            session_hash: None,
        })
    }

    /// The same with the trace's session, up to the trace, in its payload.
    pub async fn with_session(
        &self,
        db: &Db,
        workspace: &WorkspaceId,
        limits: &Limits,
    ) -> sqlx::Result<Self> {
        let trace = with_session(db, workspace, &self.payload, limits.trace_bytes).await?;
        let payload = trace.to_json();
        Ok(Self {
            trace: self.trace.clone(),
            session_hash: Some(hash(&payload)),
            payload,
            payload_hash: self.payload_hash.clone(),
        })
    }

    /// SHA-256 of what the eval is given.
    pub fn ran_on(&self) -> &str {
        self.session_hash.as_deref().unwrap_or(&self.payload_hash)
    }
}

/// The versions that are of use: proposed or deployed.
pub async fn live_versions(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<VersionSource>> {
    let rows = sqlx::query(
        "select id, source, eval_id from eval_versions
         where workspace_id = $1 and state in ('proposed', 'deployed') order by created_at_ms",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(VersionSource::of_row).collect()
}

/// Labelled traces that a version has not run on as they now are, or with another interpreter, or to no lasting
/// outcome some time ago; for an eval of sessions also where an earlier trace of the group has come or changed since.
///
/// While one version of the service takes over from another, both run: what the other has run since this
/// one started (`started_at_ms`) and not long ago is left to it, or the two would overwrite each other without end.
pub async fn labelled_without_outcome(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionSource,
    started_at_ms: i64,
    limit: i64,
) -> sqlx::Result<Vec<PendingRun>> {
    let now = now_ms();
    let rows = sqlx::query(
        "select id, payload, payload_hash from traces
         where workspace_id = $1
           and deleted_at_ms is null
           and id in (select trace_id from labels where workspace_id = $1)
           and not exists (select 1 from outcomes where outcomes.workspace_id = traces.workspace_id
                           and outcomes.trace_id = traces.id and outcomes.version_id = $2
                           and outcomes.payload_hash = traces.payload_hash
                           and (outcomes.interpreter = $3 or outcomes.ran_at_ms >= $4)
                           and (failures = 0 or ran_at_ms + failures * failures * $5 > $6)
                           and ($8 = 0 or not exists (
                               select 1 from traces earlier
                               where earlier.workspace_id = traces.workspace_id
                                 and earlier.trace_group = traces.trace_group
                                 and earlier.started_at_ms <= traces.started_at_ms
                                 and ((earlier.first_seen_at_ms >= ran_at_ms and earlier.first_seen_at_ms < $6)
                                   or (earlier.changed_at_ms >= ran_at_ms and earlier.changed_at_ms < $6)))))
         order by id limit $7",
    )
    .bind(workspace.as_str())
    .bind(version.id.as_str())
    .bind(interpreter())
    .bind(started_at_ms.max(now - LEFT_TO_OTHERS_MS))
    .bind(AGAIN_AFTER_MS)
    .bind(now)
    .bind(limit)
    .bind(i64::from(version.source.reads_session()))
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(PendingRun::of_row).collect()
}

/// An outcome, and whether its row is there.
#[derive(Clone)]
pub struct KnownOutcome {
    pub ran: Ran,
    /// Whether it is the version's own. One taken over from another version is not recorded for this one.
    pub recorded: bool,
}

/// What a version's outcomes depend on, besides the trace and what `judge` answers.
pub struct Conditions {
    version: VersionId,
    eval_hash: String,
    limits: String,
    /// Whether the eval is given sessions.
    on_sessions: bool,
}

impl Conditions {
    pub fn of(version: &VersionSource, limits: &Limits) -> Self {
        Self {
            version: version.id.clone(),
            eval_hash: version.source.hash(),
            on_sessions: version.source.reads_session(),
            limits: format!("{}, questions {QUESTIONS_MAX}", limits.in_words()),
        }
    }
}

/// What the workspace's rows say of runs under the same conditions on these traces, by the hash of what the eval is
/// given: the version's own outcomes, and those of another version with the same source that asked nobody.
pub async fn known_outcomes(
    db: &Db,
    workspace: &WorkspaceId,
    conditions: &Conditions,
    runs: &[PendingRun],
) -> anyhow::Result<HashMap<String, KnownOutcome>> {
    let mut known = HashMap::new();
    for row in known_rows(db, workspace, conditions, runs).await? {
        let own = row.try_get::<String, _>("version_id")? == conditions.version.as_str();
        let ran_on: String = row.try_get("ran_on")?;
        if !own && known.contains_key(&ran_on) {
            continue;
        }
        // A session's is recorded anew, with the time at which it was looked at.
        let recorded = own && !conditions.on_sessions;
        if let Some(ran) = ran_of(&row)? {
            known.insert(ran_on, KnownOutcome { ran, recorded });
        }
    }
    Ok(known)
}

async fn known_rows(
    db: &Db,
    workspace: &WorkspaceId,
    conditions: &Conditions,
    runs: &[PendingRun],
) -> sqlx::Result<Vec<AnyRow>> {
    let hashes: Vec<String> = (7..7 + runs.len()).map(|at| format!("${at}")).collect();
    let ran_on = match conditions.on_sessions {
        true => "session_hash",
        false => "payload_hash",
    };
    let sql = format!(
        "select version_id, {ran_on} as ran_on, verdict, reason, error_kind, error_message, duration_us, fuel,
                eval_hash, interpreter, engine, verdict_hash, answers, printed
         from outcomes
         where eval_hash = $1 and workspace_id = $2 and interpreter = $3 and engine = $4 and limits = $5
           and verdict_hash is not null and (version_id = $6 or answers = '[]')
           and {ran_on} in ({})",
        hashes.join(", ")
    );
    // A column's name and numbers of parameters are all that is put in.
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(&conditions.eval_hash)
        .bind(workspace.as_str())
        .bind(interpreter())
        .bind(ENGINE)
        .bind(&conditions.limits)
        .bind(conditions.version.as_str());
    for run in runs {
        query = query.bind(run.ran_on());
    }
    query.fetch_all(db.pool()).await
}

/// `None` where the receipt is another outcome's: an older version of the service, which knows of no receipts, has
/// written the row since.
fn ran_of(row: &AnyRow) -> anyhow::Result<Option<Ran>> {
    let outcome = Outcome {
        result: result_of(row)?,
        printed: row.try_get("printed")?,
        duration_us: row.try_get::<i64, _>("duration_us")? as u64,
        fuel: row.try_get::<i64, _>("fuel")? as u64,
    };
    let receipt = Receipt {
        schema: SCHEMA,
        eval: row.try_get("eval_hash")?,
        interpreter: row.try_get("interpreter")?,
        trace: row.try_get("ran_on")?,
        answers: serde_json::from_str(row.try_get("answers")?)?,
        verdict: row.try_get("verdict_hash")?,
        fuel: outcome.fuel,
        engine: row.try_get("engine")?,
    };
    let proven = receipt.verdict == hash(canonical(&outcome));
    let receipt = Some(receipt);
    Ok(proven.then_some(Ran { outcome, receipt }))
}

fn result_of(row: &AnyRow) -> anyhow::Result<Result<(Verdict, String), RunError>> {
    let text = |column: &str| -> sqlx::Result<String> {
        Ok(row.try_get::<Option<_>, _>(column)?.unwrap_or_default())
    };
    let verdict: Option<String> = row.try_get("verdict")?;
    if let Some(word) = verdict {
        let verdict = Verdict::parse(&word).with_context(|| format!("no verdict: {word}"))?;
        return Ok(Ok((verdict, text("reason")?)));
    }
    let word = text("error_kind")?;
    let kind = ErrorKind::parse(&word).with_context(|| format!("no kind of error: {word}"))?;
    let message = text("error_message")?;
    Ok(Err(RunError { kind, message }))
}

/// A newer payload's or interpreter's outcome replaces the older one's; failures in a row are counted. What ran on a
/// text that has changed or was deleted meanwhile leaves nothing.
const INSERT_OUTCOME: &str = "
    insert into outcomes (workspace_id, version_id, trace_id, payload_hash, verdict, reason, error_kind,
                          error_message, duration_us, fuel, ran_at_ms, eval_hash, interpreter, engine,
                          verdict_hash, answers, printed, limits, failures, session_hash)
    select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
    from traces where workspace_id = $1 and id = $3 and payload_hash = $4 and deleted_at_ms is null
    on conflict (workspace_id, version_id, trace_id) do update
    set payload_hash = excluded.payload_hash, verdict = excluded.verdict, reason = excluded.reason,
        error_kind = excluded.error_kind, error_message = excluded.error_message,
        duration_us = excluded.duration_us, fuel = excluded.fuel, ran_at_ms = excluded.ran_at_ms,
        eval_hash = excluded.eval_hash, interpreter = excluded.interpreter, engine = excluded.engine,
        verdict_hash = excluded.verdict_hash, answers = excluded.answers, printed = excluded.printed,
        limits = excluded.limits, session_hash = excluded.session_hash, failures = excluded.failures * (outcomes.failures + 1)";

/// Records what a version did on a trace as it was at `read_at_ms`.
pub async fn insert_outcome(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    conditions: &Conditions,
    run: &PendingRun,
    Ran { outcome, receipt }: &Ran,
    read_at_ms: i64,
) -> anyhow::Result<()> {
    let said = outcome.result.as_ref().ok();
    let error = outcome.result.as_ref().err();
    let answers = receipt.as_ref().map_or(&[][..], |receipt| &receipt.answers);
    sqlx::query(INSERT_OUTCOME)
        .bind(workspace.as_str())
        .bind(conditions.version.as_str())
        .bind(run.trace.as_str())
        .bind(&run.payload_hash)
        .bind(said.map(|(verdict, _)| verdict.as_str()))
        .bind(said.map(|(_, reason)| reason.as_str()))
        .bind(error.map(|error| error.kind.as_str()))
        .bind(error.map(|error| error.message.as_str()))
        .bind(outcome.duration_us as i64)
        .bind(outcome.fuel as i64)
        .bind(read_at_ms)
        .bind(&conditions.eval_hash)
        .bind(interpreter())
        .bind(receipt.as_ref().map(|receipt| receipt.engine.as_str()))
        .bind(receipt.as_ref().map(|receipt| receipt.verdict.as_str()))
        .bind(serde_json::to_string(answers)?)
        .bind(&outcome.printed)
        .bind(&conditions.limits)
        .bind(i64::from(!outcome.is_repeatable()))
        .bind(run.session_hash.as_deref())
        .execute(db)
        .await?;
    Ok(())
}

/// What `model` answered to the question of that key.
pub async fn known_answer(
    db: &Db,
    workspace: &WorkspaceId,
    key: &str,
    model: &str,
) -> sqlx::Result<Option<bool>> {
    let row = sqlx::query(
        "select answer from judge_answers
         where workspace_id = $1 and question_hash = $2 and model = $3",
    )
    .bind(workspace.as_str())
    .bind(key)
    .bind(model)
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| Ok(row.try_get::<i64, _>("answer")? == 1))
        .transpose()
}

/// Keeps an answer, unless there is one already.
pub async fn insert_answer(
    db: &Db,
    workspace: &WorkspaceId,
    key: &str,
    model: &str,
    answer: &Answer,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into judge_answers (workspace_id, question_hash, model, answer, reason, answered_by)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (workspace_id, question_hash, model) do nothing",
    )
    .bind(workspace.as_str())
    .bind(key)
    .bind(model)
    .bind(i64::from(answer.yes))
    .bind(answer.reason.as_str())
    .bind(answer.by.as_str())
    .execute(db.pool())
    .await
    .map(drop)
}

/// The source of that hash, of whatever workspace: for replaying, by whoever may read the database.
pub async fn find_source(db: &Db, eval_hash: &str) -> sqlx::Result<Option<EvalSource>> {
    let row = sqlx::query("select source from eval_versions where source_hash = $1 limit 1")
        .bind(eval_hash)
        .fetch_optional(db.pool())
        .await?;
    row.map(|row| Ok(EvalSource::new(row.try_get::<String, _>("source")?)))
        .transpose()
}

/// The trace of those hashes that an outcome is of, with its session where the eval was given that; `None` where there is none, or the trace has changed since.
pub async fn find_payload(
    db: &Db,
    eval_hash: &str,
    payload_hash: &str,
) -> sqlx::Result<Option<String>> {
    let row = sqlx::query(
        "select payload from outcomes join traces
           on traces.workspace_id = outcomes.workspace_id and traces.id = outcomes.trace_id
          and traces.payload_hash = outcomes.payload_hash
         where outcomes.eval_hash = $1 and outcomes.payload_hash = $2
           and outcomes.verdict_hash is not null limit 1",
    )
    .bind(eval_hash)
    .bind(payload_hash)
    .fetch_optional(db.pool())
    .await?;
    match row {
        Some(row) => Ok(Some(row.try_get("payload")?)),
        None => find_session(db, eval_hash, payload_hash).await,
    }
}

async fn find_session(
    db: &Db,
    eval_hash: &str,
    session_hash: &str,
) -> sqlx::Result<Option<String>> {
    let row = sqlx::query(
        "select payload, traces.workspace_id from outcomes join traces
           on traces.workspace_id = outcomes.workspace_id and traces.id = outcomes.trace_id
         where outcomes.eval_hash = $1 and outcomes.session_hash = $2
           and outcomes.verdict_hash is not null limit 1",
    )
    .bind(eval_hash)
    .bind(session_hash)
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let workspace = row.try_get::<String, _>("workspace_id")?.into();
    let limit = Limits::default().trace_bytes;
    let payload = with_session(db, &workspace, row.try_get("payload")?, limit).await?;
    Ok(Some(payload.to_json()).filter(|payload| hash(payload) == session_hash))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
