//! A deployed version whose agreement on fresh labels has fallen: noticed, told, and a refinement of it wanted.

use super::figures::{Judged, Report};
use super::job::fresh;
use super::refinements::{self, Fallen, Refinement};
use super::store;
use super::thread::{fallen_message, kept_message};
use crate::app::App;
use crate::domain::VersionId;
use crate::generate::{Versus, attempt_after};
use crate::jobs::Work;
use crate::outbox::{self, Kind};
use crate::stats::{has_fallen, wilson};
use crate::store::{TraceLabels, all_labels, seen_groups};
use crate::workspace::{SlackConnection, Workspace};

/// Wants a refinement of each deployed version whose figures have fallen; of the same one again only at half more labels.
pub async fn note_falls(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let deployed = store::deployed(&app.db, &workspace.id).await?;
    if deployed.is_empty() {
        return Ok(());
    }
    let mut labels = all_labels(&app.db, &workspace.id).await?;
    let label_count = labels.len() as i64;
    let picked = store::picked(&app.db, &workspace.id).await?;
    labels.retain(|labels| !picked.contains(&labels.trace));
    for version in deployed {
        let last = refinements::last_fall(&app.db, &workspace.id, &version).await?;
        let is_due = last.is_none_or(|(at, waits)| !waits && label_count >= attempt_after(at));
        if !is_due {
            continue;
        }
        if let Some(fallen) = fallen(app, workspace, &version, &labels).await? {
            want(app, workspace, &version, label_count, &fallen).await?;
        }
    }
    Ok(())
}

/// The one refinement of it that waits is due now, or there is a new one.
async fn want(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
    label_count: i64,
    fallen: &Fallen,
) -> anyhow::Result<()> {
    let id = &workspace.id;
    let is_news = refinements::hasten(&app.db, id, version, fallen).await?
        || refinements::want(app.db.pool(), id, version, label_count, Some(fallen)).await?;
    if is_news {
        tracing::info!(eval_version.id = %version, n = fallen.judged, "a deployed version's figures fell");
        app.jobs.push(id, Work::RefineEvals).await;
    }
    Ok(())
}

/// What fresh labels say, where they say that agreement has fallen below what was reported.
///
/// Traces that were picked for what a version says of them tell nothing of what comes, and are left out of `labels`.
async fn fallen(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
    labels: &[TraceLabels],
) -> anyhow::Result<Option<Fallen>> {
    let (db, id) = (&app.db, &workspace.id);
    let stored = store::report(db, id, version).await?;
    let (Some(stored), Some(version)) = (stored, store::version(db, id, version).await?) else {
        return Ok(None);
    };
    let Some(promised) = promised(&serde_json::from_str(&stored.figures)?) else {
        return Ok(None);
    };
    let seen = seen_groups(db, id, &version.id).await?;
    let outcomes = store::outcomes(db, id, &version.id).await?;
    let judged = fresh(labels, &seen, &outcomes, version.created_at_ms);
    let agrees: Vec<bool> = judged.iter().filter_map(Judged::agrees).collect();
    let fallen = Fallen {
        agreed: agrees.iter().filter(|agrees| **agrees).count() as u64,
        judged: agrees.len() as u64,
        promised,
    };
    Ok(has_fallen(fallen.agreed, fallen.judged, promised).then_some(fallen))
}

/// The lower end of the agreement that a report showed: of its figures, else of the comparison with the version before.
fn promised(report: &Report) -> Option<f64> {
    let quoted = report
        .quoted()
        .map(|(_, figures)| figures.agreement_interval);
    let making = report.making.as_ref();
    let descent = making.and_then(|making| making.descent.as_ref());
    let compared = descent.and_then(|descent| descent.versus.as_ref());
    let of_versus = |versus: &Versus| wilson(versus.new_right as f64, versus.compared.n as f64);
    let interval = quoted.unwrap_or_else(|| compared.and_then(of_versus));
    interval.map(|interval| interval.lo)
}

/// Tells the channel of falls, and of refinements that made no version.
pub async fn tell(app: &App, workspace: &Workspace, slack: &SlackConnection) -> anyhow::Result<()> {
    let post = outbox::post_once;
    for fall in refinements::untold_falls(&app.db, &workspace.id).await? {
        let Some(fallen) = &fall.fallen else { continue };
        let message = fallen_message(fallen);
        post(
            app,
            workspace,
            slack,
            Kind::Fallen,
            &fall.subject(),
            None,
            message,
        )
        .await?;
    }
    for kept in refinements::untold_kept(&app.db, &workspace.id).await? {
        tell_kept(app, workspace, slack, &kept).await?;
    }
    Ok(())
}

/// Under what wanted it: the fall's message, or the version's report.
async fn tell_kept(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    kept: &Refinement,
) -> anyhow::Result<()> {
    let subject = kept.subject();
    let (kind, above) = match kept.fallen {
        Some(_) => (Kind::Fallen, subject.as_str()),
        None => (Kind::Report, kept.version.as_str()),
    };
    let thread = outbox::find(&app.db, &workspace.id, kind, above).await?;
    let message = kept_message(&kept.reason, kept.usage.as_ref());
    let (kind, thread) = (Kind::Kept, thread.as_ref());
    outbox::post_once(app, workspace, slack, kind, &subject, thread, message).await?;
    Ok(())
}
