//! What verified webhooks lead to.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::arrive;
use super::named::read_trace;
use super::store::{self, DELIVERIES_AT_ONCE, PendingDelivery};
use crate::jobs::Work;
use crate::langfuse::TracePayload;
use crate::store::Db;
use crate::workspace::Workspace;

/// The rooms that may have work once a trace is stored.
pub const AFTER_A_TRACE: [Work; 2] = [Work::PostCards, Work::ScoreTraces];
/// A trace that Langfuse does not show yet is asked for this often; the waits (`pending_deliveries`)
/// add up to five minutes. After that the poller brings it, if anything does.
pub const ATTEMPTS_MAX: i64 = 12;

/// A workspace's deliveries.
pub struct Deliveries<'a> {
    pub db: &'a Db,
    pub workspace: &'a Workspace,
    /// v3 traces that began before this count as complete.
    pub settled_before_ms: i64,
}

/// What a verified delivery is good for.
enum Use {
    /// It names a trace, which is read from Langfuse.
    Names(String),
    /// It is all there is, for no API key is configured.
    Carries(Box<TracePayload>),
    /// Something happened: look now.
    Hint,
}

impl Deliveries<'_> {
    /// Handles the oldest deliveries that wait; gives the work that may follow. A delivery that cannot
    /// be handled now stays.
    pub async fn handle(&self, is_stopping: impl Fn() -> bool) -> anyhow::Result<HashSet<Work>> {
        let mut hints = HashSet::new();
        let mut finished = Vec::new();
        let done = self
            .handle_all(is_stopping, &mut hints, &mut finished)
            .await;
        // Those before a failure are handled, too.
        store::finish_deliveries(self.db, &self.workspace.id, &finished).await?;
        done?;
        // More may wait. Where some stay, the sweep is soon enough.
        if finished.len() == DELIVERIES_AT_ONCE {
            hints.insert(Work::HandleDeliveries);
        }
        Ok(hints)
    }

    async fn handle_all(
        &self,
        is_stopping: impl Fn() -> bool,
        hints: &mut HashSet<Work>,
        finished: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let mut found = HashMap::new();
        for delivery in store::pending_deliveries(self.db, &self.workspace.id).await? {
            if is_stopping() {
                break;
            }
            if let Some(work) = self.handle_one(&delivery, &mut found).await? {
                finished.push(delivery.id);
                hints.extend(work);
            }
        }
        Ok(())
    }

    /// The work that may follow a delivery; `None` where it stays.
    async fn handle_one(
        &self,
        delivery: &PendingDelivery,
        found: &mut HashMap<String, bool>,
    ) -> anyhow::Result<Option<&'static [Work]>> {
        match use_of(&delivery.body, self.workspace.langfuse.is_some()) {
            Use::Names(trace_id) => self.read_named(delivery, trace_id, found).await,
            Use::Carries(payload) => {
                let (db, workspace) = (self.db.pool(), &self.workspace.id);
                arrive::keep_trace(db, workspace, &payload, true, None).await?;
                Ok(Some(&AFTER_A_TRACE))
            }
            Use::Hint => Ok(Some(&[Work::PollTraces])),
        }
    }

    /// Reads the trace that a delivery names, unless another delivery has just named it. The delivery
    /// stays where Langfuse cannot be asked now, or does not show the trace yet.
    async fn read_named(
        &self,
        delivery: &PendingDelivery,
        trace_id: String,
        found: &mut HashMap<String, bool>,
    ) -> anyhow::Result<Option<&'static [Work]>> {
        if let Some(langfuse) = self.workspace.awake_langfuse()
            && !found.contains_key(&trace_id)
        {
            let (db, workspace) = (self.db, &self.workspace.id);
            let settled_before_ms = self.settled_before_ms;
            let is_there =
                read_trace(db, workspace, langfuse, &trace_id, settled_before_ms).await?;
            found.insert(trace_id.clone(), is_there);
        }
        match found.get(&trace_id) {
            Some(true) => Ok(Some(&AFTER_A_TRACE)),
            Some(false) if delivery.attempts + 1 < ATTEMPTS_MAX => {
                store::postpone_delivery(self.db, &self.workspace.id, &delivery.id).await?;
                Ok(None)
            }
            Some(false) => {
                tracing::info!(
                    trace.id = trace_id,
                    "Langfuse does not show a trace that a webhook named"
                );
                Ok(Some(&[]))
            }
            None => Ok(None),
        }
    }
}

/// Reads a delivery's body. Where traces can be read from Langfuse, what it says of one is not believed.
fn use_of(body: &str, has_api: bool) -> Use {
    // It was stored as JSON; if it is not, it is no more than a hint.
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let trace = &body["trace"];
    let named = [&trace["id"], &body["traceId"]]
        .into_iter()
        .find_map(Value::as_str);
    let is_whole = ["input", "output", "observations"]
        .iter()
        .any(|key| !trace[key].is_null());
    match named.filter(|id| !id.is_empty()) {
        Some(id) if has_api => Use::Names(id.to_owned()),
        Some(_) if is_whole => match serde_json::from_value(trace.clone()) {
            Ok(payload) => Use::Carries(Box::new(payload)),
            Err(_) => Use::Hint,
        },
        _ => Use::Hint,
    }
}
