//! What people say of a trace: in the modal, and by replies in the card's thread. Together they are the comment of
//! their author's label, as soon as there is one.

use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Executor, Row};

use super::modal::REASON_MAX;
use crate::domain::{AnnotatorId, TraceId, WorkspaceId};
use crate::slack::cut;

/// One thing said.
pub struct Remark<'a> {
    /// A reply's `ts`; empty for what the modal asked for, of which there is one.
    pub source: &'a str,
    /// When it was said first, in Slack's microseconds.
    pub said_at_us: i64,
    /// When it was said as it is now: of two versions the later stays.
    pub changed_at_us: i64,
    /// `None` once it is deleted.
    pub text: Option<&'a str>,
}

/// Keeps a remark.
pub async fn upsert(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    remark: &Remark<'_>,
) -> sqlx::Result<()> {
    let text = remark.text.map(str::trim).filter(|text| !text.is_empty());
    sqlx::query(
        "insert into remarks (workspace_id, trace_id, annotator_id, source, said_at_us, changed_at_us, text)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (workspace_id, trace_id, annotator_id, source) do update
         set said_at_us = excluded.said_at_us, changed_at_us = excluded.changed_at_us, text = excluded.text
         where remarks.changed_at_us <= excluded.changed_at_us",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .bind(remark.source)
    .bind(remark.said_at_us)
    .bind(remark.changed_at_us)
    .bind(text.map(|text| cut(text, REASON_MAX)))
    .execute(db)
    .await
    .map(drop)
}

/// What a person has said of a trace from a time on, line by line; `None` where that is nothing. A comment that an older
/// version of iofold wrote without its remark counts as one.
pub async fn comment(
    db: &mut AnyConnection,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    since_us: i64,
) -> sqlx::Result<Option<String>> {
    let rows = sqlx::query(
        "select said_at_us, source, text from remarks
         where workspace_id = $1 and trace_id = $2 and annotator_id = $3
           and text is not null and said_at_us >= $4
         union all
         select acted_at_us, '', comment from labels
         where workspace_id = $1 and trace_id = $2 and annotator_id = $3
           and comment is not null and acted_at_us >= $4
           and not exists (select 1 from remarks
                           where remarks.workspace_id = labels.workspace_id
                             and remarks.trace_id = labels.trace_id
                             and remarks.annotator_id = labels.annotator_id)
         order by 1, 2",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .bind(since_us)
    .fetch_all(db)
    .await?;
    let read = |row: &AnyRow| row.try_get::<String, _>("text");
    let said = rows.iter().map(read).collect::<sqlx::Result<Vec<_>>>()?;
    let comment = cut(&said.join("\n"), REASON_MAX);
    Ok((!comment.is_empty()).then_some(comment))
}
