use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::choose::{Order, Which, make};
use super::offer::Made;
use super::progress::{Progress, progress};
use super::store::{self, NewVersion};
use super::turn::Turn;
use super::wish;
use super::written::Effort;
use crate::app::App;
use crate::domain::{EvalId, LabelUnit, LabelledTrace, Trace, VersionId, WorkspaceId};
use crate::jobs::Work;
use crate::llm::{Usage, Writer};
use crate::run;
use crate::store::{labelled_sessions, labelled_traces, now_ms, with_session};
use crate::workspace::Workspace;

/// The eval that a workspace's thumbs become; also the name of its score in Langfuse.
pub const EVAL_NAME: &str = "good_answer";

/// Unlabelled traces that an LLM's eval is tried on while it is made smaller.
const POOL: i64 = 100;

/// Makes an eval version, or a reasoned "not yet", where enough labels are, and no other process is at it.
pub async fn generate_eval(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let (workspace, eval) = (&workspace.id, EvalId::from(EVAL_NAME));
    if due(app, workspace, &eval).await?.is_none() {
        return Ok(());
    }
    store::ensure_eval(&app.db, workspace, &eval, EVAL_NAME).await?;
    let Some(turn) = Turn::take(app, workspace, &eval).await? else {
        return Ok(());
    };
    let attempt = async {
        // The process that was at it may have ended it.
        let Some(label_count) = due(app, workspace, &eval).await? else {
            return Ok(());
        };
        let learnt = learn(app, workspace, &eval, label_count, &turn).await?;
        record(app, workspace, &eval, learnt).await
    };
    turn.during(app, workspace, &eval, attempt).await?;
    app.jobs.push(workspace, Work::RunEvals).await;
    app.jobs.push(workspace, Work::PostReports).await;
    Ok(())
}

/// The number of labelled traces, if that is enough for an attempt: at first by the setting, then at
/// each half more; or at any number, if a person asked.
async fn due(app: &App, workspace: &WorkspaceId, eval: &EvalId) -> anyhow::Result<Option<i64>> {
    let progress = progress(app, workspace, eval).await?;
    let is_due = progress.is_enough()
        || (progress.allows_one_by_hand() && wish::is_wanted(app.db.pool(), workspace).await?);
    Ok(is_due.then_some(progress.labelled))
}

/// The number of labelled traces at which the next attempt comes by itself.
pub(super) fn next_attempt_at(last: Option<i64>, first: usize) -> i64 {
    last.map_or(first as i64, attempt_after)
}

/// What came of asking for an eval by hand.
pub enum Asked {
    /// It is being made; the channel hears of it.
    Begun,
    /// Labels are lacking, or nothing has changed since the last attempt.
    Lacking(Progress),
}

/// Has an eval made from the labels there are, if they allow for one.
pub async fn ask_for_eval(app: &App, workspace: &WorkspaceId, by: &str) -> anyhow::Result<Asked> {
    let progress = progress(app, workspace, &EvalId::from(EVAL_NAME)).await?;
    if !progress.allows_one_by_hand() {
        return Ok(Asked::Lacking(progress));
    }
    wish::want(&app.db, workspace, by).await?;
    app.jobs.push(workspace, Work::GenerateEval).await;
    Ok(Asked::Begun)
}

/// The number of labelled traces at which the attempt after one at `last` is made: half as many more.
pub fn attempt_after(last: i64) -> i64 {
    last + (last + 1) / 2
}

/// All labels; [`make`] hands the generators those that may shape the eval.
async fn labels(app: &App, workspace: &WorkspaceId) -> anyhow::Result<Vec<LabelledTrace>> {
    match app.settings.label_unit {
        LabelUnit::Trace => labelled_traces(&app.db, workspace).await,
        LabelUnit::Session => {
            labelled_sessions(&app.db, workspace, app.sandbox.limits().trace_bytes).await
        }
    }
}

/// Traces without labels, as the labelled ones are: with their session where labels are on sessions.
async fn pool(app: &App, workspace: &WorkspaceId) -> anyhow::Result<Vec<Trace>> {
    let limit = app.sandbox.limits().trace_bytes;
    let mut pool = Vec::new();
    for payload in store::unlabelled(&app.db, workspace, POOL).await? {
        pool.push(match app.settings.label_unit {
            LabelUnit::Trace => serde_json::from_str(&payload)?,
            LabelUnit::Session => with_session(&app.db, workspace, &payload, limit).await?,
        });
    }
    Ok(pool)
}

/// What an attempt came to, and from what.
struct Learnt {
    /// Labelled traces there were.
    label_count: i64,
    made: Made,
    /// Before those labels were read.
    frozen_at_ms: i64,
}

/// Has the generators make an eval.
async fn learn(
    app: &App,
    workspace: &WorkspaceId,
    eval: &EvalId,
    label_count: i64,
    turn: &Turn,
) -> anyhow::Result<Learnt> {
    let frozen_at_ms = now_ms();
    let made = at_work(app, workspace, eval, turn, |order| make(&order)).await?;
    Ok(Learnt {
        label_count,
        made,
        frozen_at_ms,
    })
}

/// Carries out an order for an eval of the workspace's, from all its labels, away from the asynchronous threads.
pub async fn at_work(
    app: &App,
    workspace: &WorkspaceId,
    eval: &EvalId,
    turn: &Turn,
    work: impl FnOnce(Order<'_>) -> anyhow::Result<Made> + Send + 'static,
) -> anyhow::Result<Made> {
    let labels = labels(app, workspace).await?;
    let llm = app.llm.as_ref();
    let llm = llm.map(|llm| Arc::new(llm.for_workspace(&app.db, workspace, Some(eval))));
    let writing = llm.clone().filter(|_| turn.may_ask());
    let unlabelled = match &writing {
        Some(_) => pool(app, workspace).await?,
        None => Vec::new(),
    };
    let runtime = tokio::runtime::Handle::current();
    let writer = writing.map(|llm| Writer::new(llm, runtime));
    // Evals that ask are compared whether or not another one may be written.
    let judge = llm.clone().map(|llm| llm as _);
    let runner = run::runner(app, workspace, judge.or_else(|| app.judge(workspace, eval)));
    let (app, eval, is_lost) = (app.clone(), eval.clone(), turn.is_lost.clone());
    let made = tokio::task::spawn_blocking(move || {
        work(Order {
            eval: &eval,
            labels: &labels,
            unlabelled: &unlabelled,
            which: Which::Auto,
            writer: writer.as_ref(),
            used: &|| llm.as_ref().map_or_else(Usage::default, |llm| llm.used()),
            run: &|source, traces| {
                runner.outcomes(source, traces, || {
                    app.is_stopping() || is_lost.load(Relaxed)
                })
            },
            from: None,
            effort: Effort::default(),
            progress: &|_| {},
        })
    });
    Ok(turn.noted(made.await??))
}

/// Writes the attempt, and the version with all it has seen, in one transaction. If another attempt
/// was recorded meanwhile, this one is dropped.
async fn record(
    app: &App,
    workspace: &WorkspaceId,
    eval: &EvalId,
    mut learnt: Learnt,
) -> anyhow::Result<()> {
    let mut transaction = app.db.begin().await?;
    store::lock_eval(&mut *transaction, workspace, eval).await?;
    let last = store::last_label_count(&mut *transaction, workspace, eval).await?;
    let needed = match wish::is_wanted(&mut *transaction, workspace).await? {
        true => last.map_or(0, |last| last + 1),
        false => next_attempt_at(last, app.settings.labels_to_generate),
    };
    if learnt.label_count < needed {
        return Ok(());
    }
    wish::answer(&mut *transaction, workspace).await?;
    learnt.made = store::unless_discarded(&mut *transaction, workspace, eval, learnt.made).await?;
    let attempt = attempt(eval, &learnt);
    store::insert_generation(&mut *transaction, workspace, &attempt).await?;
    if let Made::Offer(offer) = &learnt.made {
        let version = NewVersion {
            id: &VersionId::from(uuid::Uuid::now_v7().to_string()),
            eval,
            label_count: learnt.label_count,
            offer,
            parent: None,
            why: None,
            frozen_at_ms: learnt.frozen_at_ms,
        };
        store::insert_version(&mut *transaction, workspace, &version).await?;
        for trace_id in &offer.seen {
            store::insert_seen(&mut *transaction, workspace, version.id, trace_id).await?;
        }
    }
    Ok(transaction.commit().await?)
}

fn attempt<'l>(eval: &'l EvalId, learnt: &'l Learnt) -> store::Attempt<'l> {
    let (candidates_tried, not_yet) = match &learnt.made {
        Made::Offer(offer) => (offer.candidates_tried, None),
        Made::NotYet(not_yet) => (not_yet.candidates_tried, Some(not_yet)),
    };
    store::Attempt {
        eval,
        label_count: learnt.label_count,
        candidates_tried,
        not_yet,
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
