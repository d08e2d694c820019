//! The scores that Langfuse does not have as they are: verdicts of evals, and people's labels.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::domain::{AnnotatorId, Thumb, TraceId, Verdict, VersionId, WorkspaceId};
use crate::slack::Posted;
use crate::store::Db;

/// A score to be written.
pub struct Pending {
    pub trace: TraceId,
    pub says: Says,
    /// Our message in Slack that it is from: the card, or the version's report.
    pub message: Option<Posted>,
    /// Which of its contents this is.
    pub revision: i64,
    /// How often it was at fault itself.
    pub failures: i64,
    /// When what it says was known, in milliseconds since 1970.
    pub wanted_at_ms: i64,
    next_try_at_ms: i64,
}

/// Who says what.
pub enum Says {
    /// A deployed version.
    Verdict {
        score_id: String,
        version: VersionId,
        eval_name: String,
        /// Labelled traces that the version was made from.
        labels: i64,
        verdict: Verdict,
        reason: String,
    },
    /// A person.
    Label {
        annotator: AnnotatorId,
        name: Option<String>,
        /// The session that the label is about, if it is not about the trace.
        session: Option<String>,
        thumb: Thumb,
        comment: Option<String>,
    },
    /// A person who took their label back: there is to be no score.
    Withdrawn {
        annotator: AnnotatorId,
        session: Option<String>,
    },
}

/// Verdicts, whatever became of their version, but those of traces that were deleted at their source, or that Langfuse
/// does not have.
const VERDICTS: &str = "
    select scores.trace_id, revision, scores.failures, wanted_at_ms, next_try_at_ms, score_id,
           scores.version_id, evals.name, label_count, verdict, outcomes.reason, channel_id, ts
    from scores
    join outcomes on outcomes.workspace_id = scores.workspace_id
     and outcomes.version_id = scores.version_id and outcomes.trace_id = scores.trace_id
    join eval_versions on eval_versions.workspace_id = scores.workspace_id
     and eval_versions.id = scores.version_id
    join evals on evals.workspace_id = scores.workspace_id and evals.id = eval_versions.eval_id
    join traces on traces.workspace_id = scores.workspace_id
     and traces.id = scores.trace_id and deleted_at_ms is null and origin is null
    left join posts on posts.workspace_id = scores.workspace_id and kind = 'report'
     and subject_id = scores.version_id and posted_at_ms is not null
    where scores.workspace_id = $1 and written_at_ms is null and scores.refusal is null
      and next_try_at_ms <= $2 and verdict in ('pass', 'fail')
    order by next_try_at_ms, wanted_at_ms desc limit $3";

/// Labels, given and taken back, but those of traces that were deleted at their source, or that Langfuse does not have.
const LABELS: &str = "
    select human_scores.trace_id, revision, failures, wanted_at_ms, next_try_at_ms,
           human_scores.annotator_id, annotator_name, session_id, label, comment, channel_id, ts
    from human_scores
    left join labels on labels.workspace_id = human_scores.workspace_id
     and labels.trace_id = human_scores.trace_id
     and labels.annotator_id = human_scores.annotator_id
    join traces on traces.workspace_id = human_scores.workspace_id
     and traces.id = human_scores.trace_id and deleted_at_ms is null and origin is null
    left join posts on posts.workspace_id = human_scores.workspace_id and kind = 'card'
     and subject_id = human_scores.trace_id and posted_at_ms is not null
    where human_scores.workspace_id = $1 and written_at_ms is null
      and human_scores.refusal is null and next_try_at_ms <= $2
    order by next_try_at_ms, wanted_at_ms desc limit $3";

/// The scores to be written at a time, so many at most: those tried least lately first, then the newest.
pub async fn pending(
    db: &Db,
    workspace: &WorkspaceId,
    now_ms: i64,
    limit: i64,
) -> anyhow::Result<Vec<Pending>> {
    let mut pending = Vec::new();
    for (query, says) in [
        (VERDICTS, verdict_of as fn(&AnyRow) -> anyhow::Result<Says>),
        (LABELS, label_of),
    ] {
        let rows = sqlx::query(query)
            .bind(workspace.as_str())
            .bind(now_ms)
            .bind(limit)
            .fetch_all(db.pool())
            .await?;
        for row in &rows {
            pending.push(pending_of(row, says(row)?)?);
        }
    }
    pending.sort_by_key(|one| (one.next_try_at_ms, -one.wanted_at_ms));
    pending.truncate(limit as usize);
    Ok(pending)
}

fn pending_of(row: &AnyRow, says: Says) -> sqlx::Result<Pending> {
    let place: (Option<String>, Option<String>) = (row.try_get("channel_id")?, row.try_get("ts")?);
    let (channel, ts) = place;
    Ok(Pending {
        trace: row.try_get::<String, _>("trace_id")?.into(),
        says,
        message: channel.zip(ts).map(|(channel, ts)| Posted { channel, ts }),
        revision: row.try_get("revision")?,
        failures: row.try_get("failures")?,
        wanted_at_ms: row.try_get("wanted_at_ms")?,
        next_try_at_ms: row.try_get("next_try_at_ms")?,
    })
}

fn verdict_of(row: &AnyRow) -> anyhow::Result<Says> {
    let word: String = row.try_get("verdict")?;
    Ok(Says::Verdict {
        score_id: row.try_get("score_id")?,
        version: row.try_get::<String, _>("version_id")?.into(),
        eval_name: row.try_get("name")?,
        labels: row.try_get("label_count")?,
        verdict: Verdict::parse(&word).ok_or_else(|| anyhow::anyhow!("no verdict: {word}"))?,
        reason: row.try_get("reason")?,
    })
}

fn label_of(row: &AnyRow) -> anyhow::Result<Says> {
    let annotator = row.try_get::<String, _>("annotator_id")?.into();
    let session = row.try_get("session_id")?;
    let Some(word) = row.try_get::<Option<String>, _>("label")? else {
        return Ok(Says::Withdrawn { annotator, session });
    };
    Ok(Says::Label {
        annotator,
        name: row.try_get("annotator_name")?,
        session,
        thumb: Thumb::parse(&word).ok_or_else(|| anyhow::anyhow!("an unknown label {word}"))?,
        comment: row.try_get("comment")?,
    })
}

impl Pending {
    /// The same for a retry, for a re-scoring and for a changed label, so that Langfuse replaces rather than adds.
    pub fn score_id(&self, workspace: &WorkspaceId) -> String {
        match &self.says {
            Says::Verdict { score_id, .. } => score_id.clone(),
            Says::Label {
                annotator, session, ..
            }
            | Says::Withdrawn { annotator, session } => {
                label_id(workspace, &self.trace, annotator, session.as_deref())
            }
        }
    }

    /// Whether the score is to be deleted.
    pub fn is_withdrawn(&self) -> bool {
        matches!(self.says, Says::Withdrawn { .. })
    }

    /// Langfuse has the score as it was then. If it has changed since, it is written once more: an earlier request
    /// may have come last.
    pub async fn written(&self, db: &Db, workspace: &WorkspaceId, now_ms: i64) -> sqlx::Result<()> {
        let statement = self.update(
            "written_at_ms = case when revision = $4 then $5 end,
             revision = case when revision = $4 then revision else revision + 1 end",
        );
        self.query(&statement, workspace, self.revision)
            .bind(now_ms)
            .execute(db.pool())
            .await
            .map(drop)
    }

    /// Langfuse will never have the score as it is.
    pub async fn refused(&self, db: &Db, workspace: &WorkspaceId, why: &str) -> sqlx::Result<()> {
        let statement = self.update("refusal = case when revision = $4 then $5 end");
        self.query(&statement, workspace, self.revision)
            .bind(why)
            .execute(db.pool())
            .await
            .map(drop)
    }

    /// The score was not taken, and is left alone until `next_try_at_ms`.
    pub async fn postponed(
        &self,
        db: &Db,
        workspace: &WorkspaceId,
        (failures, next_try_at_ms): (i64, i64),
    ) -> sqlx::Result<()> {
        let statement = self.update(
            "failures = case when revision = $4 then $5 else failures end,
             next_try_at_ms = case when revision = $4 then $6 else next_try_at_ms end",
        );
        self.query(&statement, workspace, self.revision)
            .bind(failures)
            .bind(next_try_at_ms)
            .execute(db.pool())
            .await
            .map(drop)
    }

    fn update(&self, change: &str) -> String {
        let (table, key) = match self.says {
            Says::Verdict { .. } => ("scores", "version_id"),
            Says::Label { .. } | Says::Withdrawn { .. } => ("human_scores", "annotator_id"),
        };
        format!(
            "update {table} set {change} where workspace_id = $1 and trace_id = $2 and {key} = $3"
        )
    }

    fn query<'q>(
        &'q self,
        statement: &str,
        workspace: &'q WorkspaceId,
        revision: i64,
    ) -> sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments> {
        let key = match &self.says {
            Says::Verdict { version, .. } => version.as_str(),
            Says::Label { annotator, .. } | Says::Withdrawn { annotator, .. } => annotator.as_str(),
        };
        sqlx::query(AssertSqlSafe(statement.to_owned()))
            .bind(workspace.as_str())
            .bind(self.trace.as_str())
            .bind(key)
            .bind(revision)
    }
}

/// A label's score: one for each annotator and trace.
fn label_id(
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    session: Option<&str>,
) -> String {
    let mut name = format!("iofold-label\n{workspace}\n{trace}\n{annotator}");
    if let Some(session) = session {
        name += &format!("\n{session}");
    }
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

/// What waits to be written, and what never will be.
pub struct Backlog {
    /// Scores to be written.
    pub waiting: i64,
    /// Scores that Langfuse will never take.
    pub refused: i64,
    /// One of the reasons.
    pub refusal: Option<String>,
    /// When the last score was written, in milliseconds since 1970; 0 before the first.
    pub last_written_at_ms: i64,
}

/// Of both kinds.
const BOTH: &str = "
    select cast(coalesce(sum(waiting), 0) as bigint) as waiting,
           cast(coalesce(sum(refused), 0) as bigint) as refused,
           max(refusal) as refusal, coalesce(max(written), 0) as written
    from (
        select count(case when written_at_ms is null and refusal is null and deleted_at_ms is null
                               and verdict in ('pass', 'fail') then 1 end) as waiting,
               count(refusal) as refused, max(refusal) as refusal, max(written_at_ms) as written
        from scores
        join traces on traces.workspace_id = scores.workspace_id and traces.id = scores.trace_id
        left join outcomes on outcomes.workspace_id = scores.workspace_id
         and outcomes.version_id = scores.version_id and outcomes.trace_id = scores.trace_id
        where scores.workspace_id = $1 and origin is null
        union all
        select count(case when written_at_ms is null and refusal is null and deleted_at_ms is null
                          then 1 end),
               count(refusal), max(refusal), max(written_at_ms)
        from human_scores join traces
          on traces.workspace_id = human_scores.workspace_id and traces.id = trace_id
        where human_scores.workspace_id = $1 and origin is null
    ) as both_kinds";

/// What waits in a workspace, and what was refused.
pub async fn backlog(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Backlog> {
    let row = sqlx::query(BOTH)
        .bind(workspace.as_str())
        .fetch_one(db.pool())
        .await?;
    Ok(Backlog {
        waiting: row.try_get("waiting")?,
        refused: row.try_get("refused")?,
        refusal: row.try_get("refusal")?,
        last_written_at_ms: row.try_get("written")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_labels_id_depends_on_workspace_trace_annotator_and_session_and_on_nothing_else() {
        let id = |w: &str, t: &str, a: &str, s| label_id(&w.into(), &t.into(), &a.into(), s);
        assert_eq!(id("a", "b", "c", None), id("a", "b", "c", None));
        let others = [
            id("x", "b", "c", None),
            id("a", "x", "c", None),
            id("a", "b", "x", None),
            id("a", "b", "c", Some("s")),
        ];
        assert!(others.iter().all(|other| *other != id("a", "b", "c", None)));
    }
}
