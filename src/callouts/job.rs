use std::time::Duration;

use super::request::Subject;
use super::store::{self, PendingCallout};
use crate::app::App;
use crate::domain::TraceId;
use crate::ingest;
use crate::jobs::Work;
use crate::label;
use crate::store::now_ms;
use crate::workspace::Workspace;

/// A handled callout is kept for this long.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// What became of a callout.
enum Step {
    /// The card is wanted, or nothing can be done for it any more.
    Done,
    /// Langfuse does not show the trace yet, or the trace has not ended.
    Later,
    /// Langfuse can't be asked just now.
    Stays,
}

/// Has the traces asked about that people named in Langfuse.
pub async fn handle_callouts(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    for callout in store::pending(&app.db, &workspace.id).await? {
        if app.is_stopping() {
            break;
        }
        let subject = &callout.item.subject;
        match handle(app, workspace, &callout).await? {
            Step::Done => store::finish(&app.db, &workspace.id, subject).await?,
            Step::Later => store::postpone(&app.db, &workspace.id, subject).await?,
            Step::Stays => {}
        }
    }
    Ok(())
}

/// Deletes what was handled long ago.
pub async fn prune(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let before_ms = now_ms() - KEPT_FOR.as_millis() as i64;
    Ok(store::prune(&app.db, &workspace.id, before_ms).await?)
}

async fn handle(
    app: &App,
    workspace: &Workspace,
    callout: &PendingCallout,
) -> anyhow::Result<Step> {
    if workspace.langfuse.is_some() && workspace.awake_langfuse().is_none() {
        return Ok(Step::Stays);
    }
    if !is_of_project(workspace, callout.item.project.as_deref()).await? {
        tracing::warn!(workspace.id = %workspace.id, "a callout named another Langfuse project than this workspace's");
        return Ok(Step::Done);
    }
    let is_last_try = callout.attempts + 1 >= ingest::ATTEMPTS_MAX;
    let Some(trace_id) = trace_of(app, workspace, &callout.item.subject).await? else {
        return Ok(given_up_or_later(is_last_try));
    };
    match ended(app, workspace, &trace_id).await? {
        Some(true) => {}
        // One that never says that it has ended is asked about as it is.
        Some(false) if is_last_try => {}
        _ => return Ok(given_up_or_later(is_last_try)),
    }
    let trace = TraceId::from(trace_id);
    label::ask_by_hand(&app.db, &workspace.id, &trace, callout.asked_by.as_deref()).await?;
    app.jobs.push(&workspace.id, Work::PostCards).await;
    Ok(Step::Done)
}

fn given_up_or_later(is_last_try: bool) -> Step {
    if !is_last_try {
        return Step::Later;
    }
    tracing::info!("Langfuse does not show what a callout named");
    Step::Done
}

async fn is_of_project(workspace: &Workspace, named: Option<&str>) -> anyhow::Result<bool> {
    match (workspace.awake_langfuse(), named) {
        (Some(langfuse), Some(named)) => {
            let project = langfuse.client.own_project().await;
            let project = ingest::noted(langfuse, project.map_err(anyhow::Error::from)).await?;
            Ok(project.is_none_or(|project| project.id == named))
        }
        _ => Ok(true),
    }
}

/// The trace that is meant; `None` where a session has none yet.
async fn trace_of(
    app: &App,
    workspace: &Workspace,
    subject: &Subject,
) -> anyhow::Result<Option<String>> {
    let session = match subject {
        Subject::Trace(id) => return Ok(Some(id.clone())),
        Subject::Session(id) => id,
    };
    if let Some(langfuse) = workspace.awake_langfuse() {
        let last = ingest::last_of_session(langfuse, session).await?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(store::last_of_session(&app.db, &workspace.id, session).await?)
}

/// Whether the trace has ended; `None` where it is nowhere. One that is not known to have is read.
async fn ended(app: &App, workspace: &Workspace, trace_id: &str) -> anyhow::Result<Option<bool>> {
    let known = store::has_ended(&app.db, &workspace.id, trace_id).await?;
    let Some(langfuse) = workspace.awake_langfuse().filter(|_| known != Some(true)) else {
        return Ok(known);
    };
    let settled_before_ms = app.settled_before_ms();
    ingest::read_trace(
        &app.db,
        &workspace.id,
        langfuse,
        trace_id,
        settled_before_ms,
    )
    .await?;
    Ok(store::has_ended(&app.db, &workspace.id, trace_id).await?)
}
