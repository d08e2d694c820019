use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor, Row};

use super::acts::Given;
use super::card::Tally;
use crate::domain::{AnnotatorId, Thumb, Trace, TraceId, WorkspaceId};
use crate::outbox::{self, Kind};
use crate::store::{Db, now_ms};

/// A trace as its card needs it.
pub struct CardTrace {
    pub trace: Trace,
    pub cleaned: bool,
    /// Who asked for the card by hand: empty where that is not known, `None` where nobody did.
    pub asked_by: Option<String>,
    /// Whether it was deleted in Langfuse, and its text with it.
    pub deleted: bool,
}

/// Cards that count against the channel's budget.
pub struct Cards {
    /// Posted lately.
    pub posted: i64,
    /// Still to be posted.
    pub wanted: i64,
}

/// Traces that are drawn from apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stratum {
    /// Seen as they happened.
    Live,
    /// First seen long after they began: read backwards, or after the service had stood still.
    Old,
}

/// The time that a budget of cards is for.
pub const HOUR_MS: i64 = 3_600_000;

/// A trace that is first seen so long after it began is old: the poller's first look goes back one hour.
const OLD_AFTER_MS: i64 = 2 * 3_600_000;

/// Settled traces of a stratum of which nobody has decided yet whether to ask about them.
const UNDECIDED: &str = "
    from traces
    where workspace_id = $1 and asked is null and complete = 1 and deleted_at_ms is null
      and (changed_at_ms <= $2 or whole = 1)
      and case when first_seen_at_ms - started_at_ms > $3 then 1 else 0 end = $4";

/// How many of a stratum's settled traces nobody has decided about yet.
pub async fn count_undecided(
    db: &Db,
    workspace: &WorkspaceId,
    stratum: Stratum,
    settled_before_ms: i64,
) -> sqlx::Result<i64> {
    let statement = format!("select count(*) as undecided {UNDECIDED}");
    sqlx::query(AssertSqlSafe(statement))
        .bind(workspace.as_str())
        .bind(settled_before_ms)
        .bind(OLD_AFTER_MS)
        .bind(i64::from(stratum == Stratum::Old))
        .fetch_one(db.pool())
        .await?
        .try_get("undecided")
}

/// The first of them.
pub async fn undecided(
    db: &Db,
    workspace: &WorkspaceId,
    stratum: Stratum,
    settled_before_ms: i64,
    limit: i64,
) -> sqlx::Result<Vec<TraceId>> {
    let statement = format!("select id {UNDECIDED} order by started_at_ms limit $5");
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(workspace.as_str())
        .bind(settled_before_ms)
        .bind(OLD_AFTER_MS)
        .bind(i64::from(stratum == Stratum::Old))
        .bind(limit)
        .fetch_all(db.pool())
        .await?;
    let read = |row: &AnyRow| row.try_get::<String, _>("id").map(TraceId::from);
    rows.iter().map(read).collect()
}

/// Writes down whether a trace is asked about and how probable that was; the first decision stays.
pub async fn decide(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    probability: f64,
    asked: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "update traces set asked = $1, ask_probability = $2
         where workspace_id = $3 and id = $4 and asked is null",
    )
    .bind(i64::from(asked))
    .bind(probability)
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .execute(db)
    .await
    .map(drop)
}

/// Has a trace asked about by choice; its selection probability stays empty, for it was not drawn.
pub async fn ask_for(db: &Db, workspace: &WorkspaceId, trace: &TraceId) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    sqlx::query(
        "update traces set asked = 1, ask_probability = null
         where workspace_id = $1 and id = $2 and (asked is null or asked = 0)",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .execute(&mut *transaction)
    .await?;
    outbox::want(&mut *transaction, workspace, Kind::Card, trace.as_str()).await?;
    transaction.commit().await
}

/// Has a trace asked about because a person named it, whatever the channel's budget. A card that stands says
/// from then on who asked first.
pub async fn ask_by_hand(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &TraceId,
    asked_by: Option<&str>,
) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    let changed = sqlx::query(
        "update traces set asked_by = $1, asked = 1,
             ask_probability = case when asked = 1 then ask_probability end
         where workspace_id = $2 and id = $3
           and (asked_by is null or (asked_by = '' and $4 <> ''))",
    )
    .bind(asked_by.unwrap_or_default())
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(asked_by.unwrap_or_default())
    .execute(&mut *transaction)
    .await?;
    outbox::want(&mut *transaction, workspace, Kind::Card, trace.as_str()).await?;
    if changed.rows_affected() == 1 {
        outbox::touch(&mut *transaction, workspace, Kind::Card, trace.as_str()).await?;
    }
    transaction.commit().await
}

/// The traces whose card is wanted and does not stand yet, of those that a person named, or of the others:
/// chosen ones first, then the newest.
pub async fn without_card(
    db: &Db,
    workspace: &WorkspaceId,
    named: bool,
    limit: i64,
) -> sqlx::Result<Vec<TraceId>> {
    let rows = sqlx::query(
        "select traces.id from posts join traces
           on traces.workspace_id = posts.workspace_id and traces.id = posts.subject_id
         where posts.workspace_id = $1 and posts.kind = 'card'
           and posts.posted_at_ms is null and posts.refusal is null and posts.digested_at_ms is null
           and deleted_at_ms is null
           and case when asked_by is null then 0 else 1 end = $2
         order by case when ask_probability is null then 0 else 1 end, started_at_ms desc
         limit $3",
    )
    .bind(workspace.as_str())
    .bind(i64::from(named))
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| row.try_get::<String, _>("id").map(TraceId::from);
    rows.iter().map(read).collect()
}

/// Cards posted since a time, those that stand in a digest instead among them, and cards that are wanted: what the
/// channel's budget counts, which is none that a person named.
pub async fn cards_since(db: &Db, workspace: &WorkspaceId, since_ms: i64) -> sqlx::Result<Cards> {
    let row = sqlx::query(
        "select count(case when posted_at_ms > $1 or digested_at_ms > $2 then 1 end) as posted,
                count(case when posted_at_ms is null and digested_at_ms is null then 1 end) as wanted
         from posts join traces
           on traces.workspace_id = posts.workspace_id and traces.id = posts.subject_id
         where posts.workspace_id = $3 and kind = 'card' and asked_by is null
           and (posted_at_ms > $4
                or (posted_at_ms is null and refusal is null and deleted_at_ms is null))",
    )
    .bind(since_ms)
    .bind(since_ms)
    .bind(workspace.as_str())
    .bind(since_ms)
    .fetch_one(db.pool())
    .await?;
    Ok(Cards {
        posted: row.try_get("posted")?,
        wanted: row.try_get("wanted")?,
    })
}

/// Cards of the last hour, without those that a person named.
pub async fn cards_this_hour(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<i64> {
    let cards = cards_since(db, workspace, now_ms() - HOUR_MS).await?;
    Ok(cards.posted)
}

/// Cards of old traces that were posted since a time or are wanted, without those that a person named.
pub async fn old_cards_since(db: &Db, workspace: &WorkspaceId, since_ms: i64) -> sqlx::Result<i64> {
    sqlx::query(
        "select count(*) as cards from posts join traces
           on traces.workspace_id = posts.workspace_id and traces.id = posts.subject_id
         where posts.workspace_id = $1 and posts.kind = 'card'
           and asked_by is null
           and (posted_at_ms > $2 or digested_at_ms > $2
                or (posted_at_ms is null and refusal is null and digested_at_ms is null
                    and deleted_at_ms is null))
           and first_seen_at_ms - started_at_ms > $3",
    )
    .bind(workspace.as_str())
    .bind(since_ms)
    .bind(OLD_AFTER_MS)
    .fetch_one(db.pool())
    .await?
    .try_get("cards")
}

/// Puts a card that nobody has tried to post into a digest; says whether it was one.
pub async fn put_aside(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    now_ms: i64,
) -> sqlx::Result<bool> {
    let changed = sqlx::query(
        "update posts set digested_at_ms = $1
         where workspace_id = $2 and kind = 'card' and subject_id = $3
           and attempts = 0 and posted_at_ms is null and digested_at_ms is null",
    )
    .bind(now_ms)
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// The digests that are wanted and do not stand yet, the newest first.
pub async fn untold_digests(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select subject_id from posts
         where workspace_id = $1 and kind = 'digest' and posted_at_ms is null and refusal is null
         order by first_claimed_at_ms desc",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("subject_id")).collect()
}

/// When Slack was last within reach; `None` before the first time.
pub async fn reached(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<i64>> {
    sqlx::query("select slack_reached_at_ms from workspaces where id = $1")
        .bind(workspace.as_str())
        .fetch_one(db.pool())
        .await?
        .try_get("slack_reached_at_ms")
}

/// Writes down that it is now, unless another has since `before_ms`; says whether nobody had.
pub async fn set_reached(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    before_ms: Option<i64>,
    now_ms: i64,
) -> sqlx::Result<bool> {
    let changed = sqlx::query(
        "update workspaces set slack_reached_at_ms = $1
         where id = $2 and coalesce(slack_reached_at_ms, 0) = $3",
    )
    .bind(now_ms)
    .bind(workspace.as_str())
    .bind(before_ms.unwrap_or(0))
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Whether any eval version exists yet: from then on a sample is asked about.
pub async fn has_eval(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<bool> {
    let found = sqlx::query("select 1 from eval_versions where workspace_id = $1 limit 1")
        .bind(workspace.as_str())
        .fetch_optional(db.pool())
        .await?;
    Ok(found.is_some())
}

impl CardTrace {
    /// Reads a row of [`card_row`], which takes its time where the trace is large.
    pub fn of_row(row: &AnyRow) -> anyhow::Result<Self> {
        Ok(Self {
            trace: serde_json::from_str(row.try_get("payload")?)?,
            cleaned: row.try_get::<i64, _>("cleaned")? == 1,
            asked_by: row.try_get("asked_by")?,
            deleted: row.try_get::<i64, _>("deleted")? == 1,
        })
    }
}

/// A trace for its card; `None` where the workspace has no such trace.
pub async fn card_trace(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &TraceId,
) -> anyhow::Result<Option<CardTrace>> {
    let row = card_row(db, workspace, trace).await?;
    row.as_ref().map(CardTrace::of_row).transpose()
}

/// Its row, unread.
pub async fn card_row(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &TraceId,
) -> sqlx::Result<Option<AnyRow>> {
    sqlx::query(
        "select payload, cleaned, asked_by, case when deleted_at_ms is null then 0 else 1 end as deleted
         from traces where workspace_id = $1 and id = $2",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .fetch_optional(db.pool())
    .await
}

/// How the thumbs of a trace add up.
pub async fn tally(db: &Db, workspace: &WorkspaceId, trace: &TraceId) -> sqlx::Result<Tally> {
    let rows = sqlx::query(
        "select label, count(*) as labels from labels
         where workspace_id = $1 and trace_id = $2 group by label",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .fetch_all(db.pool())
    .await?;
    let mut tally = Tally::default();
    for row in &rows {
        let labels: i64 = row.try_get("labels")?;
        match Thumb::parse(row.try_get("label")?) {
            Some(Thumb::Up) => tally.up = labels,
            Some(Thumb::Neutral) => tally.neutral = labels,
            Some(Thumb::Down) => tally.down = labels,
            None => {}
        }
    }
    Ok(tally)
}

/// Makes the annotator known. What else a transaction does for them waits for others that do: of a row that is there,
/// this takes the lock.
pub async fn insert_annotator(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into annotators (workspace_id, id, first_seen_at_ms) values ($1, $2, $3)
         on conflict (workspace_id, id) do update set first_seen_at_ms = annotators.first_seen_at_ms",
    )
    .bind(workspace.as_str())
    .bind(annotator.as_str())
    .bind(now_ms())
    .execute(db)
    .await
    .map(drop)
}

/// A person's label as its row has it: the thumb and the comment.
pub async fn label_of(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
) -> sqlx::Result<Option<(Thumb, Option<String>)>> {
    let row = sqlx::query(
        "select label, comment from labels
         where workspace_id = $1 and trace_id = $2 and annotator_id = $3",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .fetch_optional(db)
    .await?;
    let read = |row: AnyRow| {
        let thumb = Thumb::parse(row.try_get("label")?).expect("the schema knows no other thumb");
        Ok((thumb, row.try_get("comment")?))
    };
    row.map(read).transpose()
}

/// Writes a person's label as it stands. A changed one keeps its first `labelled_at_ms`; one that was taken back and
/// is given again has the time of the first thumb, for an eval made in between may know it.
pub async fn upsert_label(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    given: Given,
    comment: Option<&str>,
) -> sqlx::Result<()> {
    let now = now_ms();
    sqlx::query(
        "insert into labels (workspace_id, trace_id, annotator_id, label, comment, acted_at_us, labelled_at_ms)
         values ($1, $2, $3, $4, $5, $6, coalesce(
                 (select min(acted_at_us) / 1000 from label_acts
                  where workspace_id = $1 and trace_id = $2 and annotator_id = $3
                    and act not like 'un%' and acted_at_us < $7), $8))
         on conflict (workspace_id, trace_id, annotator_id) do update
         set label = excluded.label, comment = excluded.comment, acted_at_us = excluded.acted_at_us",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .bind(given.thumb.as_str())
    .bind(comment)
    .bind(given.acted_at_us)
    .bind(given.acted_at_us.min(now.saturating_mul(1_000)))
    .bind(now)
    .execute(db)
    .await
    .map(drop)
}

/// A label that was taken back is no label any more; what evals have seen of it stays recorded elsewhere.
pub async fn delete_label(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from labels where workspace_id = $1 and trace_id = $2 and annotator_id = $3",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .execute(db)
    .await
    .map(drop)
}

/// Who voted on a trace, the first first: id, name where it is known, thumb.
pub async fn votes(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &TraceId,
) -> sqlx::Result<Vec<(AnnotatorId, Option<String>, Thumb)>> {
    let rows = sqlx::query(
        "select labels.annotator_id, annotator_name, label from labels
         left join human_scores on human_scores.workspace_id = labels.workspace_id
          and human_scores.trace_id = labels.trace_id
          and human_scores.annotator_id = labels.annotator_id
         where labels.workspace_id = $1 and labels.trace_id = $2
         order by labelled_at_ms, labels.annotator_id",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        let annotator: String = row.try_get("annotator_id")?;
        let thumb = Thumb::parse(row.try_get("label")?).expect("the schema knows no other thumb");
        Ok((annotator.into(), row.try_get("annotator_name")?, thumb))
    };
    rows.iter().map(read).collect()
}

/// What people said with a thumb of this kind, the newest first, so many at most.
pub async fn comments(
    db: &Db,
    workspace: &WorkspaceId,
    thumb: Thumb,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select comment from labels
         where workspace_id = $1 and label = $2 and comment is not null
         order by acted_at_us desc, trace_id, annotator_id limit $3",
    )
    .bind(workspace.as_str())
    .bind(thumb.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("comment")).collect()
}

/// Has a person's label written to Langfuse as it stands, as a score, or the score deleted where there is no label any
/// more; in the transaction that changes it. The name and the session are the person's and the label's, where they are
/// known; of one label the session never changes.
pub async fn want_score(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    (name, session): (Option<&str>, Option<&str>),
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into human_scores
           (workspace_id, trace_id, annotator_id, annotator_name, session_id, wanted_at_ms)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (workspace_id, trace_id, annotator_id) do update
         set annotator_name = coalesce(excluded.annotator_name, human_scores.annotator_name),
             revision = human_scores.revision + 1, wanted_at_ms = excluded.wanted_at_ms,
             written_at_ms = null, refusal = null, failures = 0, next_try_at_ms = 0",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .bind(name)
    .bind(session)
    .bind(now_ms())
    .execute(db)
    .await
    .map(drop)
}
