use super::{CROSS_VALIDATE_BELOW, Generation, Settings, generate, split, store};
use crate::app::App;
use crate::domain::{EvalId, LabelUnit, LabelledTrace, VersionId, WorkspaceId};
use crate::jobs::Work;
use crate::store::{all_labels, labelled_sessions, labelled_traces, now_ms};
use crate::workspace::Workspace;

/// The eval that a workspace's thumbs become; also the name of its score in Langfuse.
pub const EVAL_NAME: &str = "good_answer";
/// Fewer of a class say nothing about it.
const MIN_OF_EACH_CLASS: usize = 3;

/// Makes an eval version, or a reasoned "not yet", where enough labels are.
pub async fn generate_eval(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let eval = EvalId::from(EVAL_NAME);
    let Some(label_count) = due(app, &workspace.id, &eval).await? else {
        return Ok(());
    };
    store::ensure_eval(&app.db, &workspace.id, &eval, EVAL_NAME).await?;
    let frozen_at_ms = now_ms();
    let development = development_labels(app, &workspace.id, &eval).await?;
    let seen: Vec<String> = development.iter().map(|label| label.id.clone()).collect();
    let settings = Settings::default();
    let generation = tokio::task::spawn_blocking(move || generate(&development, &settings)).await?;
    let learnt = Learnt {
        label_count,
        generation,
        seen,
        frozen_at_ms,
    };
    record(app, &workspace.id, &eval, &learnt).await?;
    app.jobs.push(&workspace.id, Work::RunEvals).await;
    app.jobs.push(&workspace.id, Work::PostReports).await;
    Ok(())
}

/// The number of labelled traces, if that is enough for an attempt: at first by the setting, then at
/// each half more.
async fn due(app: &App, workspace: &WorkspaceId, eval: &EvalId) -> anyhow::Result<Option<i64>> {
    let labels = all_labels(&app.db, workspace).await?;
    let classes: Vec<_> = labels.iter().filter_map(|labels| labels.class()).collect();
    let fails = classes
        .iter()
        .filter(|class| **class == crate::domain::Class::Fail)
        .count();
    let last = store::last_label_count(app.db.pool(), workspace, eval).await?;
    let needed = next_attempt_at(last, app.settings.labels_to_generate);
    let enough = labels.len() as i64 >= needed
        && fails >= MIN_OF_EACH_CLASS
        && classes.len() - fails >= MIN_OF_EACH_CLASS;
    Ok(enough.then_some(labels.len() as i64))
}

fn next_attempt_at(last: Option<i64>, first: usize) -> i64 {
    last.map_or(first as i64, attempt_after)
}

/// The number of labelled traces at which the attempt after one at `last` is made: half as many more.
pub fn attempt_after(last: i64) -> i64 {
    last + (last + 1) / 2
}

/// The labels that may shape the eval. Nothing else hands labels to generation, and what it hands out
/// is written down with the version.
///
/// While there are few, rules may use all: their headline is then cross-validated.
async fn development_labels(
    app: &App,
    workspace: &WorkspaceId,
    eval: &EvalId,
) -> anyhow::Result<Vec<LabelledTrace>> {
    let labels = match app.settings.label_unit {
        LabelUnit::Trace => labelled_traces(&app.db, workspace).await?,
        LabelUnit::Session => {
            labelled_sessions(&app.db, workspace, app.sandbox.limits().trace_bytes).await?
        }
    };
    let decided = labels.iter().filter(|label| label.label.class().is_some());
    if decided.count() < CROSS_VALIDATE_BELOW {
        return Ok(labels);
    }
    Ok(split(labels, eval).development)
}

/// What an attempt came to, and from what.
struct Learnt {
    /// Labelled traces there were.
    label_count: i64,
    generation: Generation,
    /// Traces whose labels generation was handed.
    seen: Vec<String>,
    /// Before those labels were read.
    frozen_at_ms: i64,
}

/// Writes the attempt, and the version with all it has seen, in one transaction. If another attempt
/// was recorded meanwhile, this one is dropped.
async fn record(
    app: &App,
    workspace: &WorkspaceId,
    eval: &EvalId,
    learnt: &Learnt,
) -> anyhow::Result<()> {
    let mut transaction = app.db.begin().await?;
    store::lock_eval(&mut *transaction, workspace, eval).await?;
    let last = store::last_label_count(&mut *transaction, workspace, eval).await?;
    if learnt.label_count < next_attempt_at(last, app.settings.labels_to_generate) {
        return Ok(());
    }
    let attempt = attempt(eval, learnt);
    store::insert_generation(&mut *transaction, workspace, &attempt).await?;
    if let Generation::Eval(induced) = &learnt.generation {
        let version = VersionId::from(uuid::Uuid::now_v7().to_string());
        let frozen_at_ms = learnt.frozen_at_ms;
        store::insert_version(
            &mut *transaction,
            workspace,
            &version,
            &attempt,
            induced,
            frozen_at_ms,
        )
        .await?;
        for trace_id in &learnt.seen {
            store::insert_seen(&mut *transaction, workspace, &version, trace_id).await?;
        }
    }
    Ok(transaction.commit().await?)
}

fn attempt<'l>(eval: &'l EvalId, learnt: &'l Learnt) -> store::Attempt<'l> {
    let (candidates_tried, reason) = match &learnt.generation {
        Generation::NotYet {
            reason,
            candidates_tried,
        } => (*candidates_tried, Some(reason.as_str())),
        Generation::Eval(induced) => (induced.candidates_tried, None),
    };
    store::Attempt {
        eval,
        label_count: learnt.label_count,
        candidates_tried: candidates_tried as i64,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_at_the_setting_and_then_at_each_half_more() {
        let mut at = vec![next_attempt_at(None, 20)];
        for _ in 0..4 {
            at.push(next_attempt_at(at.last().copied(), 20));
        }
        assert_eq!(at, [20, 30, 45, 68, 102]);
    }
}
