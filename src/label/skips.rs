//! What a person is not asked about, and what they are asked about next.
//!
//! *Skip* leaves out one trace, *Not my area* the traces of a name; for one person, and until they take it back.

use serde::Deserialize;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

use super::store;
use crate::domain::{AnnotatorId, TraceId, WorkspaceId, head};
use crate::store::Db;

/// Traces looked at between two looks at the rows, where areas are left out.
const LOOKED_AT_ONCE: i64 = 1_000;

/// A payload has its name in so many characters, unless its id or the name is huge.
const NAMED_WITHIN: i64 = 2_000;

/// Names are told apart by so many characters: Postgres indexes no longer ones.
const NAME_MAX: usize = 500;

/// Leaves a trace out for a person from `acted_at_us` (Slack's `action_ts` in microseconds) on.
pub async fn skip(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
    trace: &TraceId,
    acted_at_us: i64,
) -> sqlx::Result<()> {
    let left_out = LeftOut::Trace(trace.as_str());
    decide(db, workspace, annotator, (left_out, true), acted_at_us).await
}

/// Leaves out the traces that are named as this one, and gives the name; `None`, and nothing is left out, where it
/// has none.
pub async fn not_my_area(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
    trace: &TraceId,
    acted_at_us: i64,
) -> anyhow::Result<Option<String>> {
    let Some(name) = name_of(db, workspace, trace).await? else {
        return Ok(None);
    };
    let left_out = LeftOut::Area(&name);
    decide(db, workspace, annotator, (left_out, true), acted_at_us).await?;
    Ok(Some(name))
}

/// Asks a person about a trace again, and about those of its name.
pub async fn ask_again(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
    trace: &TraceId,
    acted_at_us: i64,
) -> anyhow::Result<()> {
    let of_trace = (LeftOut::Trace(trace.as_str()), false);
    decide(db, workspace, annotator, of_trace, acted_at_us).await?;
    if let Some(name) = name_of(db, workspace, trace).await? {
        let of_area = (LeftOut::Area(&name), false);
        decide(db, workspace, annotator, of_area, acted_at_us).await?;
    }
    Ok(())
}

/// The traces that a person can label next, so many at most: they have a card or are to have one, and the person has
/// neither labelled nor left them out. Those with the fewest labels come first, then the newest.
pub async fn unlabelled_for(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
    limit: i64,
) -> anyhow::Result<Vec<TraceId>> {
    let areas = areas_of(db, workspace, annotator).await?;
    if areas.is_empty() {
        let some = page(db, workspace, annotator, (limit, 0)).await?;
        return Ok(some.into_iter().map(|(trace, _)| trace).collect());
    }
    let mut wanted = Vec::new();
    let mut looked = 0;
    loop {
        let some = page(db, workspace, annotator, (LOOKED_AT_ONCE, looked)).await?;
        looked += some.len() as i64;
        let is_last = (some.len() as i64) < LOOKED_AT_ONCE;
        for (trace, payload) in some {
            let name = match name_in(&payload) {
                Some(name) => name,
                None => name_of(db, workspace, &trace).await?,
            };
            if !name.is_some_and(|name| areas.contains(&name)) {
                wanted.push(trace);
            }
            if wanted.len() as i64 >= limit {
                return Ok(wanted);
            }
        }
        if is_last {
            return Ok(wanted);
        }
    }
}

/// What is left out.
#[derive(Clone, Copy)]
enum LeftOut<'a> {
    Trace(&'a str),
    /// The traces of this name.
    Area(&'a str),
}

/// The last decision by time stays; of two of the same time, the later to arrive.
async fn decide(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
    (left_out, skipped): (LeftOut<'_>, bool),
    acted_at_us: i64,
) -> sqlx::Result<()> {
    let (kind, subject) = match left_out {
        LeftOut::Trace(trace) => ("trace", trace),
        LeftOut::Area(name) => ("area", name),
    };
    let mut transaction = db.begin().await?;
    store::insert_annotator(&mut *transaction, workspace, annotator).await?;
    let row = (kind, subject, skipped);
    upsert(&mut *transaction, workspace, annotator, row, acted_at_us).await?;
    transaction.commit().await
}

async fn upsert(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
    (kind, subject, skipped): (&str, &str, bool),
    acted_at_us: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into skips (workspace_id, annotator_id, kind, subject, skipped, acted_at_us)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (workspace_id, annotator_id, kind, subject) do update
         set skipped = excluded.skipped, acted_at_us = excluded.acted_at_us
         where skips.acted_at_us <= excluded.acted_at_us",
    )
    .bind(workspace.as_str())
    .bind(annotator.as_str())
    .bind(kind)
    .bind(subject)
    .bind(i64::from(skipped))
    .bind(acted_at_us)
    .execute(db)
    .await
    .map(drop)
}

/// The names of traces that are left out for a person.
async fn areas_of(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select subject from skips
         where workspace_id = $1 and annotator_id = $2 and kind = 'area' and skipped = 1",
    )
    .bind(workspace.as_str())
    .bind(annotator.as_str())
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("subject")).collect()
}

/// Whatever their area; each with the beginning of its payload.
async fn page(
    db: &Db,
    workspace: &WorkspaceId,
    annotator: &AnnotatorId,
    (limit, skipped): (i64, i64),
) -> sqlx::Result<Vec<(TraceId, String)>> {
    let rows = sqlx::query(
        "select page.id, substr(traces.payload, 1, cast($5 as integer)) as payload from (
         select traces.id, started_at_ms,
                (select count(*) from labels where labels.workspace_id = traces.workspace_id
                 and labels.trace_id = traces.id) as given
         from posts join traces
           on traces.workspace_id = posts.workspace_id and traces.id = posts.subject_id
         where posts.workspace_id = $1 and posts.kind = 'card' and posts.refusal is null
           and deleted_at_ms is null
           and not exists (select 1 from labels where labels.workspace_id = traces.workspace_id
                           and labels.trace_id = traces.id and annotator_id = $2)
           and not exists (select 1 from skips where skips.workspace_id = traces.workspace_id
                           and skips.annotator_id = $2 and skips.kind = 'trace'
                           and skips.subject = traces.id and skipped = 1)
         order by given, started_at_ms desc, traces.id
         limit $3 offset $4) page
         join traces on traces.workspace_id = $1 and traces.id = page.id
         order by given, page.started_at_ms desc, page.id",
    )
    .bind(workspace.as_str())
    .bind(annotator.as_str())
    .bind(limit)
    .bind(skipped)
    .bind(NAMED_WITHIN)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        let id: String = row.try_get("id")?;
        Ok((id.into(), row.try_get("payload")?))
    };
    rows.iter().map(read).collect()
}

/// What there is of a trace's payload here.
#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

/// A trace's name, which says what kind of trace it is.
async fn name_of(
    db: &Db,
    workspace: &WorkspaceId,
    trace: &TraceId,
) -> anyhow::Result<Option<String>> {
    let row = sqlx::query("select payload from traces where workspace_id = $1 and id = $2")
        .bind(workspace.as_str())
        .bind(trace.as_str())
        .fetch_optional(db.pool())
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let named: Named = serde_json::from_str(row.try_get("payload")?)?;
    Ok(area(named.name))
}

fn area(name: Option<String>) -> Option<String> {
    let name = name.map(|name| head(&name, NAME_MAX).to_owned());
    name.filter(|name| !name.is_empty())
}

/// The same from the beginning of a payload, whose keys have an order; `None` where it does not reach so far.
fn name_in(payload: &str) -> Option<Option<String>> {
    let (_, rest) = first::<String>(payload.strip_prefix("{\"id\":")?)?;
    let (name, _) = first(rest.strip_prefix(",\"name\":")?)?;
    Some(area(name))
}

/// The JSON value that a text begins with, and what follows it.
fn first<'t, T: Deserialize<'t>>(text: &'t str) -> Option<(T, &'t str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::Trace;

    fn payload(id: &str, name: Option<&str>) -> String {
        let trace: Trace = serde_json::from_value(json!({
            "id": id, "name": name, "session_id": null, "user_id": null, "timestamp": "", "tags": [],
            "metadata": {"name": "another"}, "input": null, "output": null, "input_text": "",
            "output_text": "", "messages": [], "tool_calls": [], "observations": [],
            "latency_ms": null, "total_cost": null,
        }))
        .unwrap();
        serde_json::to_string(&trace).unwrap()
    }

    proptest! {
        #[test]
        fn a_name_is_read_off_the_beginning_or_not_at_all(
            id in any::<String>(), name in any::<Option<String>>(), cut in 0..200_usize,
        ) {
            let payload = payload(&id, name.as_deref());
            let area = area(name);
            prop_assert_eq!(name_in(&payload), Some(area.clone()));
            let beginning: String = payload.chars().take(cut).collect();
            prop_assert!(name_in(&beginning).is_none_or(|found| found == area));
        }
    }
}
