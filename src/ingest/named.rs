//! One trace, read because somebody named it: a webhook, a person in Langfuse's menu.

use super::job::noted;
use super::{arrive, gone};
use crate::domain::WorkspaceId;
use crate::langfuse;
use crate::store::Db;
use crate::workspace::LangfuseConnection;

/// Whether it is known what Langfuse has of the trace: it is then stored, or known to be deleted. One that is
/// missing is asked for again minutes later. What Langfuse refuses of this trace alone is logged.
pub async fn read_trace(
    db: &Db,
    workspace: &WorkspaceId,
    langfuse: &LangfuseConnection,
    trace_id: &str,
    settled_before_ms: i64,
) -> anyhow::Result<bool> {
    let look = async {
        let found = arrive::fetch_trace(db, workspace, langfuse, trace_id, settled_before_ms);
        Ok(found.await? || gone::note_named(db, workspace, &langfuse.client, trace_id).await?)
    };
    match look.await {
        Err(error) if concerns_this_one_only(&error) => {
            tracing::warn!(trace.id = trace_id, %error, "Langfuse refused a trace");
            Ok(false)
        }
        found => noted(langfuse, found).await,
    }
}

/// The last trace that Langfuse shows of a session. What Langfuse refuses of this session alone is logged.
pub async fn last_of_session(
    langfuse: &LangfuseConnection,
    session_id: &str,
) -> anyhow::Result<Option<String>> {
    let found = langfuse.client.last_trace_of(session_id).await;
    match found.map_err(anyhow::Error::from) {
        Err(error) if concerns_this_one_only(&error) => {
            tracing::warn!(%error, "Langfuse refused to list a session");
            Ok(None)
        }
        found => noted(langfuse, found).await,
    }
}

fn concerns_this_one_only(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<langfuse::Error>();
    error.is_some_and(|error| error.concerns_this_request_only() && !error.is_missing())
}
