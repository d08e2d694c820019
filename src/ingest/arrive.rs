//! What was read of a trace becomes its row, whichever way it came.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::{Map, Value};
use sqlx::{Any, Executor, Transaction};

use super::gone::{self, Shown};
use super::store::{self, Arrival, Source};
use super::{normalise, otlp};
use crate::domain::{Origin, Trace, WorkspaceId, sha256_hex, utc};
use crate::langfuse::{Api, OBSERVATIONS_MAX, TracePayload};
use crate::outbox::{self, Kind};
use crate::sources::ORIGIN;
use crate::store::{Db, now_ms};
use crate::workspace::LangfuseConnection;

/// The traces that observations were seen of, and whether any of those was new or had changed.
pub type Seen = BTreeMap<String, bool>;

/// Observations that are stored before SQLite's writer is given back to those who wait for it.
const ROWS_AT_ONCE: usize = 5;

/// Stores observations, and reopens the traces of those that have changed: should the process end
/// before they are put together again, the next look still finds them open.
///
/// Most of what is read has been read before: it is looked up first, beside other writers. Notes, too, who has
/// shown the traces, as far as they are stored.
pub async fn keep_observations(
    db: &Db,
    workspace: &WorkspaceId,
    observations: &[Map<String, Value>],
    (seen, shown): (&mut Seen, &Shown),
) -> sqlx::Result<()> {
    let rows: Vec<Row> = observations.iter().filter_map(Row::of).collect();
    for row in &rows {
        seen.entry(row.trace.to_owned()).or_default();
    }
    let traces: BTreeSet<&str> = rows.iter().map(|row| row.trace).collect();
    let traces: Vec<&str> = traces.into_iter().collect();
    gone::set_shown(db, workspace, &traces, shown).await?;
    let ids: Vec<(&str, &str)> = rows.iter().map(|row| (row.trace, row.id)).collect();
    let known = store::known_observations(db, workspace, &ids).await?;
    let changed: Vec<&Row> = rows
        .iter()
        .filter(|row| !known.contains(&row.key()))
        .collect();
    for some in changed.chunks(ROWS_AT_ONCE) {
        let mut transaction = store::begin_alone(db, workspace).await?;
        for row in some {
            let Row { trace, id, payload } = row;
            let (db, source) = (&mut *transaction, Source::Langfuse);
            if store::upsert_observation(db, workspace, trace, id, payload, source).await? {
                store::reopen_trace(&mut *transaction, workspace, trace).await?;
                seen.insert((*trace).to_owned(), true);
            }
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// An observation on its way into its row.
struct Row<'a> {
    trace: &'a str,
    id: &'a str,
    payload: String,
}

impl<'a> Row<'a> {
    /// `None` for one without ids, and for what Langfuse itself made.
    fn of(observation: &'a Map<String, Value>) -> Option<Self> {
        let trace = id_in(observation, "traceId")?;
        let id = id_in(observation, "id")?;
        let is_products = !is_langfuses_own(observation);
        is_products.then(|| Self {
            trace,
            id,
            payload: Value::Object(observation.clone()).to_string(),
        })
    }

    fn key(&self) -> (String, String, String) {
        let [trace, id] = [self.trace, self.id].map(str::to_owned);
        (trace, id, sha256_hex(&self.payload))
    }
}

/// An observation that a sender's span became.
pub struct Sent {
    trace_id: String,
    id: String,
    has_ended: bool,
    payload: String,
}

impl Sent {
    /// `None` for what Langfuse itself made, and for what has no ids.
    pub fn of(observation: Map<String, Value>) -> Option<Self> {
        if is_langfuses_own(&observation) {
            return None;
        }
        Some(Self {
            trace_id: id_in(&observation, "traceId")?.to_owned(),
            id: id_in(&observation, "id")?.to_owned(),
            has_ended: observation.contains_key("endTime"),
            payload: Value::Object(observation).to_string(),
        })
    }
}

/// Stores the observations that senders' spans became, and notes which traces are to be put together; says
/// whether any is. What Langfuse said of an observation stays, and so does a trace that v3's API has brought,
/// for that knows all of it, and one that was deleted there.
pub async fn keep_spans(db: &Db, workspace: &WorkspaceId, sent: &[Sent]) -> sqlx::Result<bool> {
    let mut transaction = store::begin_alone(db, workspace).await?;
    let mut arrived = BTreeSet::new();
    for one in sent {
        let has_ended = one.has_ended;
        let source = Source::Sender { has_ended };
        let (trace_id, db) = (&one.trace_id, &mut *transaction);
        if store::upsert_observation(db, workspace, trace_id, &one.id, &one.payload, source).await?
        {
            arrived.insert(trace_id);
        }
    }
    let due_at_ms = now_ms() + otlp::QUIET.as_millis() as i64;
    let mut any = false;
    for trace_id in arrived {
        if !store::has_line(&mut *transaction, workspace, trace_id).await? {
            store::reopen_trace(&mut *transaction, workspace, trace_id).await?;
            store::note_arrived(&mut *transaction, workspace, trace_id, due_at_ms).await?;
            any = true;
        }
    }
    transaction.commit().await?;
    Ok(any)
}

/// Puts the seen traces together again where that is due, and notes who has shown them; says how many it was
/// due for.
pub async fn put_together(
    db: &Db,
    workspace: &WorkspaceId,
    (seen, shown): (&Seen, &Shown),
) -> anyhow::Result<usize> {
    let mut stored = 0;
    for (trace_id, changed) in seen {
        if *changed || !store::is_complete(db, workspace, trace_id).await? {
            stored += usize::from(assemble(db, workspace, trace_id, |_| Ending::AsItIs).await?);
        }
    }
    let traces: Vec<&str> = seen.keys().map(String::as_str).collect();
    gone::set_shown(db, workspace, &traces, shown).await?;
    Ok(stored)
}

/// What is known of a trace's end beside what its observations say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    AsItIs,
    /// Every step has come and ended.
    Whole,
}

/// Alone in the workspace from reading to storing: a form put together from fewer observations never
/// replaces one that has them all. `ending` may see to the observations before. `false` where there is
/// nothing to put together, or v3's API has brought the trace.
pub async fn assemble(
    db: &Db,
    workspace: &WorkspaceId,
    trace_id: &str,
    ending: impl FnOnce(&mut [Map<String, Value>]) -> Ending,
) -> anyhow::Result<bool> {
    let mut transaction = store::begin_alone(db, workspace).await?;
    if store::has_line(&mut *transaction, workspace, trace_id).await? {
        return Ok(false);
    }
    let rows = store::observations(&mut *transaction, workspace, trace_id).await?;
    let mut observations: Vec<Map<String, Value>> = rows
        .iter()
        .map(|row| serde_json::from_str(row))
        .collect::<Result<_, _>>()
        .context("a stored observation is not JSON")?;
    let changed_at_ms = observations.iter().filter_map(last_time_in).max();
    let whole = ending(&mut observations) == Ending::Whole;
    let origin = observations.iter().find_map(origin_of);
    let Some(payload) = TracePayload::of_observations(observations) else {
        return Ok(false);
    };
    let trace = normalise(&payload);
    let arrival = Arrival {
        complete: payload.has_ended(),
        whole,
        origin,
        ..arrival(&trace, &payload, changed_at_ms)
    };
    touch_if_deleted(&mut transaction, workspace, trace_id).await?;
    store::upsert_trace(&mut *transaction, workspace, &arrival).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The card of a trace that comes back is to say no longer that it was deleted.
async fn touch_if_deleted(
    transaction: &mut Transaction<'static, Any>,
    workspace: &WorkspaceId,
    trace_id: &str,
) -> sqlx::Result<()> {
    if gone::is_deleted(&mut **transaction, workspace, trace_id).await? {
        outbox::touch(&mut **transaction, workspace, Kind::Card, trace_id).await?;
    }
    Ok(())
}

/// Stores a trace. `changed_at_ms` is when it last changed at its source, where that is known.
pub async fn keep_trace(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    payload: &TracePayload,
    complete: bool,
    changed_at_ms: Option<i64>,
) -> sqlx::Result<()> {
    let trace = normalise(payload);
    let arrival = Arrival {
        complete,
        ..arrival(&trace, payload, changed_at_ms)
    };
    store::upsert_trace(db, workspace, &arrival).await.map(drop)
}

/// A trace about which nothing else is known.
pub fn arrival<'a>(
    trace: &'a Trace,
    payload: &TracePayload,
    changed_at_ms: Option<i64>,
) -> Arrival<'a> {
    Arrival {
        trace,
        complete: false,
        whole: false,
        cleaned: has_replacements(payload),
        changed_at_ms: changed_at_ms.unwrap_or_else(now_ms),
        origin: None,
    }
}

/// Reads one trace from Langfuse and stores it; `false` where Langfuse does not have it, or not yet.
pub async fn fetch_trace(
    db: &Db,
    workspace: &WorkspaceId,
    langfuse: &LangfuseConnection,
    trace_id: &str,
    settled_before_ms: i64,
) -> anyhow::Result<bool> {
    let api = langfuse.client.api().await?;
    let shown = Shown {
        origin: langfuse.client.origin(api).await?,
        through: None,
    };
    match api {
        Api::V4 => fetch_observations(db, workspace, langfuse, trace_id, &shown).await,
        Api::V3 => match langfuse.client.trace(trace_id).await? {
            Some(detail) => {
                keep_detail(db, workspace, detail, None, settled_before_ms).await?;
                gone::set_shown(db, workspace, &[trace_id], &shown).await?;
                Ok(true)
            }
            None => Ok(false),
        },
    }
}

async fn fetch_observations(
    db: &Db,
    workspace: &WorkspaceId,
    langfuse: &LangfuseConnection,
    trace_id: &str,
    shown: &Shown,
) -> anyhow::Result<bool> {
    let mut seen = Seen::new();
    let mut cursor = None;
    loop {
        let page = langfuse
            .client
            .observations_of(trace_id, cursor.as_deref(), OBSERVATIONS_MAX)
            .await?;
        keep_observations(db, workspace, &page.items, (&mut seen, shown)).await?;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    put_together(db, workspace, (&seen, shown)).await?;
    Ok(seen.contains_key(trace_id))
}

/// Stores a v3 trace detail. It is complete when an end is known, or when it began longer ago than the
/// quiet period: v3's SDKs may leave steps open for ever.
///
/// `line` is what the list said of the trace before the detail was read. Where that is `None`, the
/// poller reads the trace once more: this detail may be older than one that is stored already.
pub async fn keep_detail(
    db: &Db,
    workspace: &WorkspaceId,
    detail: Map<String, Value>,
    line: Option<&str>,
    settled_before_ms: i64,
) -> sqlx::Result<()> {
    let changed_at_ms = last_change_of(&detail);
    let began_at_ms = detail.get("timestamp").and_then(millis);
    let payload = TracePayload::from(detail);
    let is_old = began_at_ms.is_none_or(|began| began <= settled_before_ms);
    let complete = payload.has_ended() || is_old;
    let mut transaction = store::begin_alone(db, workspace).await?;
    touch_if_deleted(&mut transaction, workspace, &payload.id).await?;
    let db = &mut *transaction;
    keep_trace(&mut *db, workspace, &payload, complete, changed_at_ms).await?;
    match line {
        Some(line) => {
            let id = &payload.id;
            store::upsert_observation(db, workspace, id, id, line, Source::Langfuse).await?;
        }
        None => store::forget_line(db, workspace, &payload.id).await?,
    }
    transaction.commit().await
}

/// When a v3 trace detail last changed, as far as its times and its observations' say.
pub fn last_change_of(detail: &Map<String, Value>) -> Option<i64> {
    let steps = detail.get("observations").and_then(Value::as_array);
    let steps = steps.into_iter().flatten().filter_map(Value::as_object);
    steps
        .filter_map(last_time_in)
        .chain(last_time_in(detail))
        .max()
}

/// The latest of the times in a trace's or an observation's fields.
fn last_time_in(fields: &Map<String, Value>) -> Option<i64> {
    let times = ["timestamp", "startTime", "endTime", "updatedAt"];
    times
        .iter()
        .filter_map(|key| millis(fields.get(*key)?))
        .max()
}

fn millis(time: &Value) -> Option<i64> {
    Some(utc(time.as_str()?)?.timestamp_millis())
}

/// Whether Langfuse itself made this: its evaluators are traced in environments whose names start so,
/// which no product's may.
pub fn is_langfuses_own(fields: &Map<String, Value>) -> bool {
    let environment = fields.get("environment").and_then(Value::as_str);
    environment.is_some_and(|name| name.starts_with("langfuse"))
}

/// The origin that an adapter wrote on an observation.
fn origin_of(observation: &Map<String, Value>) -> Option<Origin> {
    Origin::of_name(id_in(observation, ORIGIN)?)
}

/// An id that is there and not empty.
pub fn id_in<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key)?.as_str().filter(|id| !id.is_empty())
}

/// Whether U+FFFD stands in the trace: there unreadable characters were replaced, by us on reading or
/// by someone before.
fn has_replacements(payload: &TracePayload) -> bool {
    let in_steps = payload
        .observations
        .iter()
        .flat_map(|step| [&step.input, &step.output]);
    let own = [&payload.input, &payload.output, &payload.metadata];
    own.into_iter().chain(in_steps).any(holds_replacement)
}

fn holds_replacement(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::REPLACEMENT_CHARACTER),
        Value::Array(items) => items.iter().any(holds_replacement),
        Value::Object(fields) => fields.values().any(holds_replacement),
        _ => false,
    }
}
