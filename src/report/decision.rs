use super::refinements;
use super::store::{self, State};
use crate::app::App;
use crate::domain::VersionId;
use crate::jobs::Work;
use crate::outbox::{self, Kind};
use crate::store::all_labels;
use crate::workspace::Workspace;

/// What a person wants done with a proposed version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Score every new trace with it, in the place of what is deployed now.
    Deploy,
    /// Make a better one from it, and ask for labels where they help most.
    Refine,
    /// Forget it.
    Discard,
}

impl Decision {
    /// The button's `action_id`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Deploy => "report_deploy",
            Self::Refine => "report_refine",
            Self::Discard => "report_discard",
        }
    }

    /// Reads [`Decision::action`] back; `None` for any other button.
    pub fn of_action(action_id: &str) -> Option<Self> {
        [Self::Deploy, Self::Refine, Self::Discard]
            .into_iter()
            .find(|decision| decision.action() == action_id)
    }
}

/// Carries out what `user`, a Slack user id, decided about a version of this workspace.
///
/// Rows only: Slack hears of it by the jobs that this pushes. Of two decisions about one version the
/// first stays; a second click on the same button changes nothing.
pub async fn decide(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
    decision: Decision,
    user: &str,
) -> anyhow::Result<()> {
    match decision {
        Decision::Deploy => settle(app, workspace, version, State::Deployed, user).await,
        Decision::Discard => settle(app, workspace, version, State::Discarded, user).await,
        Decision::Refine => want_refinement(app, workspace, version).await,
    }
}

async fn settle(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
    state: State,
    user: &str,
) -> anyhow::Result<()> {
    let id = &workspace.id;
    let mut transaction = app.db.begin().await?;
    store::lock_eval(&mut *transaction, id, version).await?;
    if !store::decide(&mut *transaction, id, version, state, user).await? {
        return Ok(());
    }
    let mut changed = vec![version.to_string()];
    if state == State::Deployed {
        let retired = store::retire_others(&mut *transaction, id, version).await?;
        if retired.is_empty() {
            // Traces from before the first deployment are not scored; from then on none is left out.
            store::leave_unscored(&mut *transaction, id).await?;
        }
        changed.extend(retired);
    }
    for version in &changed {
        outbox::touch(&mut *transaction, id, Kind::Report, version).await?;
    }
    transaction.commit().await?;
    tracing::info!(eval_version.id = %version, state = state.as_str(), "a version was decided about");
    app.hint(id, &[Work::RefreshPosts, Work::ScoreTraces]);
    Ok(())
}

/// A refinement is asked for once for a version and a number of labels: clicks in a row are one.
async fn want_refinement(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
) -> anyhow::Result<()> {
    let proposed = store::version(&app.db, &workspace.id, version).await?;
    if proposed.is_none_or(|version| version.state != State::Proposed) {
        return Ok(());
    }
    let labelled = all_labels(&app.db, &workspace.id).await?.len() as i64;
    let (id, subject) = (&workspace.id, refinements::subject(version, labelled));
    let mut transaction = app.db.begin().await?;
    outbox::want(&mut *transaction, id, Kind::Refine, &subject).await?;
    refinements::want(&mut *transaction, id, version, labelled, None).await?;
    transaction.commit().await?;
    app.hint(id, &[Work::PostReports]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_read_back_from_its_button() {
        for decision in [Decision::Deploy, Decision::Refine, Decision::Discard] {
            assert_eq!(Decision::of_action(decision.action()), Some(decision));
        }
        assert_eq!(Decision::of_action("thumb_up"), None);
    }
}
