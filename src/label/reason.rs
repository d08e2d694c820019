//! Why: the modal that asks for it, and what it is answered with.

use serde::{Deserialize, Serialize};

use super::interaction::{hint, session_of, settle};
use super::learnt::learnt;
use super::modal::reason_modal;
use super::remarks::{self, Remark};
use super::{acts, store};
use crate::app::App;
use crate::domain::{AnnotatorId, Thumb, TraceId, WorkspaceId};
use crate::workspace::Workspace;

/// Comments that reasons are learnt from: the newest.
const LEARNT_FROM: i64 = 1_000;

/// What the modal needs to find the label again.
#[derive(Clone, Serialize, Deserialize)]
pub struct ReasonFor {
    workspace: WorkspaceId,
    trace: TraceId,
    /// When it was asked for, in Slack's microseconds: a thumb given later is not the one that the reason speaks for.
    #[serde(default)]
    asked_at_us: i64,
}

impl ReasonFor {
    /// A reason for what a person thinks of a trace at a time, in Slack's microseconds.
    pub fn of(workspace: &Workspace, trace: TraceId, asked_at_us: i64) -> Self {
        Self {
            workspace: workspace.id.clone(),
            trace,
            asked_at_us,
        }
    }
}

/// Opens the reason modal beside the answer to Slack, which must not wait for it.
pub(super) fn ask(
    app: &App,
    workspace: &Workspace,
    about: ReasonFor,
    thumb: Thumb,
    trigger_id: String,
) {
    let Some(slack) = workspace.slack() else {
        return;
    };
    let (app_in_task, client) = (app.clone(), slack.client.clone());
    let metadata = serde_json::to_string(&about).expect("texts and a number are JSON");
    app.tasks.spawn(async move {
        let reasons = reasons(&app_in_task, &about.workspace, thumb).await;
        let modal = reason_modal(&metadata, thumb, &reasons);
        if let Err(error) = client.open_view(&trigger_id, &modal).await {
            tracing::warn!(trace.id = %about.trace, %error, "the reason modal did not open");
        }
    });
}

/// Without them the modal opens, too.
async fn reasons(app: &App, workspace: &WorkspaceId, thumb: Thumb) -> Vec<String> {
    let comments = store::comments(&app.db, workspace, thumb, LEARNT_FROM).await;
    learnt(&comments.unwrap_or_default())
}

/// Opens the reason modal for a label that stands; says whether one does.
pub async fn ask_why(
    app: &App,
    workspace: &Workspace,
    annotator: &AnnotatorId,
    about: ReasonFor,
    trigger_id: &str,
) -> anyhow::Result<bool> {
    let label = store::label_of(app.db.pool(), &workspace.id, &about.trace, annotator).await?;
    let Some((thumb, _)) = label else {
        return Ok(false);
    };
    ask(app, workspace, about, thumb, trigger_id.to_owned());
    Ok(true)
}

/// Adds a submitted reason to the annotator's own label on the trace that the modal was opened for. No
/// reason is fine, and takes nothing away.
///
/// `false` where that label does not stand any more in a workspace of `team`.
pub async fn give_reason(
    app: &App,
    team: &str,
    annotator: &AnnotatorId,
    private_metadata: &str,
    reason: &str,
) -> anyhow::Result<bool> {
    let Ok(about) = serde_json::from_str::<ReasonFor>(private_metadata) else {
        return Ok(false);
    };
    let Some(workspace) = app.workspace_of_team(&about.workspace, team).await? else {
        return Ok(false);
    };
    if reason.trim().is_empty() {
        return Ok(true);
    }
    let (id, trace) = (&workspace.id, &about.trace);
    let session = session_of(app, workspace, trace).await?;
    let mut transaction = app.db.begin().await?;
    store::insert_annotator(&mut *transaction, id, annotator).await?;
    let standing = acts::standing(&mut transaction, id, trace, annotator).await?;
    if standing.label.is_none() || about.asked_at_us < standing.of_this_mind_since_us {
        return Ok(false);
    }
    let remark = Remark {
        source: "",
        said_at_us: about.asked_at_us,
        changed_at_us: about.asked_at_us,
        text: Some(reason),
    };
    remarks::upsert(&mut *transaction, id, trace, annotator, &remark).await?;
    let said = (None, session.as_deref());
    let done = settle(&mut transaction, id, trace, annotator, said).await?;
    transaction.commit().await?;
    hint(app, workspace, &done);
    Ok(true)
}
