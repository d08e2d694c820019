use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;
use sqlx::any::AnyRow;

use super::Db;
use crate::domain::{
    AnnotatorLabel, Class, LabelledTrace, Thumb, TraceId, VersionId, WorkspaceId, consensus,
};

/// The labels of one trace, without the trace.
pub struct TraceLabels {
    /// Which trace.
    pub trace: TraceId,
    /// Traces of one group are never split between development and held-out labels.
    pub group: String,
    /// Each annotator's own label.
    pub votes: Vec<AnnotatorLabel>,
    /// When the first of them was given, in milliseconds since 1970.
    pub first_labelled_at_ms: i64,
}

impl TraceLabels {
    /// What the labels add up to.
    pub fn consensus(&self) -> Thumb {
        consensus(self.votes.iter().map(|vote| vote.label)).expect("a labelled trace has a vote")
    }

    /// Pass or fail; `None` for 😐.
    pub fn class(&self) -> Option<Class> {
        self.consensus().class()
    }
}

/// The labels of every labelled trace of a workspace, by trace id; without those whose trace was deleted at
/// its source.
pub async fn all_labels(db: &Db, workspace: &WorkspaceId) -> anyhow::Result<Vec<TraceLabels>> {
    let rows = sqlx::query(
        "select trace_id, trace_group, annotator_id, label, comment, labelled_at_ms
         from labels join traces
           on traces.workspace_id = labels.workspace_id and traces.id = labels.trace_id
         where labels.workspace_id = $1 and deleted_at_ms is null
         order by trace_id, labelled_at_ms, annotator_id",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    let mut labelled: Vec<TraceLabels> = Vec::new();
    for row in &rows {
        let trace: String = row.try_get("trace_id")?;
        let vote = vote_of(row)?;
        match labelled.last_mut() {
            Some(last) if last.trace.as_str() == trace => last.votes.push(vote),
            _ => labelled.push(TraceLabels {
                trace: trace.into(),
                group: row.try_get("trace_group")?,
                votes: vec![vote],
                first_labelled_at_ms: row.try_get("labelled_at_ms")?,
            }),
        }
    }
    Ok(labelled)
}

fn vote_of(row: &AnyRow) -> anyhow::Result<AnnotatorLabel> {
    let word: String = row.try_get("label")?;
    Ok(AnnotatorLabel {
        annotator: row.try_get::<String, _>("annotator_id")?.into(),
        label: Thumb::parse(&word).ok_or_else(|| anyhow::anyhow!("an unknown label {word}"))?,
        comment: row.try_get("comment")?,
    })
}

/// Every labelled trace of a workspace with its payload, by trace id.
///
/// Generation hands them to [`crate::generate::make`] whole, which alone keeps the held-out part back.
pub async fn labelled_traces(
    db: &Db,
    workspace: &WorkspaceId,
) -> anyhow::Result<Vec<LabelledTrace>> {
    let rows = sqlx::query(
        "select id, payload from traces
         where workspace_id = $1 and id in (select trace_id from labels where workspace_id = $1)",
    )
    .bind(workspace.as_str())
    .fetch_all(db.pool())
    .await?;
    let mut traces: BTreeMap<String, AnyRow> = BTreeMap::new();
    for row in rows {
        traces.insert(row.try_get("id")?, row);
    }
    let mut labelled = Vec::new();
    for labels in all_labels(db, workspace).await? {
        if let Some(row) = traces.get(labels.trace.as_str()) {
            labelled.push(joined(labels, row)?);
        }
    }
    Ok(labelled)
}

fn joined(labels: TraceLabels, row: &AnyRow) -> anyhow::Result<LabelledTrace> {
    let label = labels.consensus();
    Ok(LabelledTrace {
        id: labels.trace.to_string(),
        group: labels.group,
        trace: serde_json::from_str(row.try_get("payload")?)?,
        label,
        comments: labels
            .votes
            .iter()
            .filter_map(|vote| vote.comment.clone())
            .collect(),
        votes: labels.votes,
    })
}

/// The traces whose labels a version, or one it descends from, has seen.
pub async fn seen_labels(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<BTreeSet<TraceId>> {
    let rows =
        sqlx::query("select trace_id from seen_labels where workspace_id = $1 and version_id = $2")
            .bind(workspace.as_str())
            .bind(version.as_str())
            .fetch_all(db.pool())
            .await?;
    let read = |row: &AnyRow| row.try_get::<String, _>("trace_id").map(TraceId::from);
    rows.iter().map(read).collect()
}

/// The groups of those traces, whether or not their labels still stand: what was learnt stays learnt.
pub async fn seen_groups(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<BTreeSet<String>> {
    let rows = sqlx::query(
        "select distinct trace_group from seen_labels join traces
           on traces.workspace_id = seen_labels.workspace_id and traces.id = seen_labels.trace_id
         where seen_labels.workspace_id = $1 and version_id = $2",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("trace_group")).collect()
}

/// The newest complete traces of a workspace, schema version 1 as JSON.
pub async fn newest_payloads(
    db: &Db,
    workspace: &WorkspaceId,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select payload from traces where workspace_id = $1 and deleted_at_ms is null and complete = 1
         order by started_at_ms desc, id limit $2",
    )
    .bind(workspace.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("payload")).collect()
}
