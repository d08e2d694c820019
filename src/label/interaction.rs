use serde::{Deserialize, Serialize};

use super::message::{REASON_MAX, reason_modal};
use super::store;
use crate::app::App;
use crate::domain::{AnnotatorId, LabelUnit, Thumb, TraceId, WorkspaceId};
use crate::jobs::Work;
use crate::outbox::{self, Kind};
use crate::slack::cut;
use crate::workspace::Workspace;

/// Nobody's name is longer.
const NAME_MAX: usize = 80;

/// A click on a card's button, already verified as Slack's and as this workspace's.
pub struct Thumbed<'a> {
    /// What the card asks about.
    pub trace: TraceId,
    /// Who clicked.
    pub annotator: AnnotatorId,
    /// Their name, where Slack says it.
    pub annotator_name: Option<&'a str>,
    /// Which button.
    pub thumb: Thumb,
    /// Slack's `action_ts`, in microseconds: which of two clicks was the last.
    pub acted_at_us: i64,
    /// Opens a modal within three seconds.
    pub trigger_id: Option<&'a str>,
}

/// What the modal needs to find the label again.
#[derive(Serialize, Deserialize)]
struct ReasonFor {
    workspace: WorkspaceId,
    trace: TraceId,
}

/// Stores the label, then asks for a reason after a 👎. Closing that modal loses nothing.
pub async fn give_thumb(
    app: &App,
    workspace: &Workspace,
    click: Thumbed<'_>,
) -> anyhow::Result<()> {
    let session = session_of(app, workspace, &click.trace).await?;
    let mut transaction = app.db.begin().await?;
    store::insert_annotator(&mut *transaction, &workspace.id, &click.annotator).await?;
    let counts = store::upsert_label(
        &mut *transaction,
        &workspace.id,
        &click.trace,
        &click.annotator,
        click.thumb,
        click.acted_at_us,
    )
    .await?;
    if counts {
        let subject = click.trace.as_str();
        outbox::touch(&mut *transaction, &workspace.id, Kind::Card, subject).await?;
        let name = click.annotator_name.map(|name| cut(name, NAME_MAX));
        let said = (name.as_deref(), session.as_deref());
        let (trace, annotator) = (&click.trace, &click.annotator);
        store::want_score(&mut *transaction, &workspace.id, trace, annotator, said).await?;
    }
    transaction.commit().await?;
    // First, for the trigger is good for three seconds only.
    if let (Thumb::Down, true, Some(trigger_id)) = (click.thumb, counts, click.trigger_id) {
        ask_why(app, workspace, click.trace, trigger_id.to_owned());
    }
    if counts {
        app.jobs.push(&workspace.id, Work::RefreshPosts).await;
        app.jobs.push(&workspace.id, Work::GenerateEval).await;
        app.jobs.push(&workspace.id, Work::ScoreTraces).await;
    }
    Ok(())
}

/// The session that a thumb on the trace is about, where people judge sessions.
async fn session_of(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
) -> anyhow::Result<Option<String>> {
    if app.settings.label_unit == LabelUnit::Trace {
        return Ok(None);
    }
    let found = store::card_trace(&app.db, &workspace.id, trace).await?;
    Ok(found.and_then(|found| found.trace.session_id))
}

/// Opens the reason modal beside the answer to Slack, which must not wait for it.
fn ask_why(app: &App, workspace: &Workspace, trace: TraceId, trigger_id: String) {
    let Some(slack) = workspace.slack() else {
        return;
    };
    let client = slack.client.clone();
    let reason_for = ReasonFor {
        workspace: workspace.id.clone(),
        trace,
    };
    let metadata = serde_json::to_string(&reason_for).expect("two texts are JSON");
    app.tasks.spawn(async move {
        if let Err(error) = client
            .open_view(&trigger_id, &reason_modal(&metadata))
            .await
        {
            tracing::warn!(trace.id = %reason_for.trace, %error, "the reason modal did not open");
        }
    });
}

/// Adds a submitted reason to the annotator's own 👎 on the trace that the modal was opened for. No
/// reason is fine, and takes nothing away.
///
/// `false` where there is no such 👎 in a workspace of `team`.
pub async fn give_reason(
    app: &App,
    team: &str,
    annotator: &AnnotatorId,
    private_metadata: &str,
    reason: &str,
) -> anyhow::Result<bool> {
    let Ok(reason_for) = serde_json::from_str::<ReasonFor>(private_metadata) else {
        return Ok(false);
    };
    let Some(workspace) = app.workspace_of_team(&reason_for.workspace, team).await? else {
        return Ok(false);
    };
    let reason = cut(reason.trim(), REASON_MAX);
    if reason.is_empty() {
        return Ok(true);
    }
    let trace = &reason_for.trace;
    let mut transaction = app.db.begin().await?;
    let stands =
        store::set_comment(&mut *transaction, &workspace.id, trace, annotator, &reason).await?;
    if stands {
        let said = (None, None);
        store::want_score(&mut *transaction, &workspace.id, trace, annotator, said).await?;
    }
    transaction.commit().await?;
    app.jobs.push(&workspace.id, Work::ScoreTraces).await;
    Ok(stands)
}
