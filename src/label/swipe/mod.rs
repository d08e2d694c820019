//! Swiping: a modal that shows one trace after another.
//!
//! In: presses of its buttons, verified as Slack's. Out: the rows that a card's buttons leave, and the next trace in the
//! same modal. What must stay true: a press is about the trace that its button names, whatever the modal shows by then;
//! the rows are written before the press is acknowledged, and after it nothing is waited for but Slack.

mod ahead;
mod store;
mod view;

use anyhow::Context;
use serde_json::{Value, json};

use super::interaction::{Annotator, Thumbed, give_thumb, reply, undo};
use super::job::card_of;
use super::remarks::Remark;
use super::skips::{ask_again, not_my_area, skip, unlabelled_for};
use crate::app::App;
use crate::domain::{AnnotatorId, EvalId, Thumb, TraceId};
use crate::generate::{self, EVAL_NAME};
use crate::slack::context;
use crate::store::now_ms;
use crate::workspace::Workspace;

pub use ahead::Ahead;
pub use view::CALLBACK;
use view::{Count, Done, Shown};

/// The trace that is shown, and the one after it.
const LOOK_AHEAD: i64 = 2;

/// A press of one of the modal's buttons.
pub struct Press<'a> {
    /// The button's `action_id`: `swipe_…`.
    pub action: &'a str,
    /// The button's value: the trace that it is about.
    pub trace: &'a str,
    /// Slack's `action_ts`, in microseconds.
    pub acted_at_us: i64,
    /// Who pressed it.
    pub annotator: AnnotatorId,
    /// Their name, where Slack says it.
    pub annotator_name: Option<&'a str>,
    /// The modal as they saw it.
    pub view: &'a Value,
}

/// What a button of the modal is for; `None` for none of its.
fn meaning(action: &str) -> Option<Meaning> {
    Some(match action {
        "swipe_up" => Meaning::Thumb(Thumb::Up),
        "swipe_down" => Meaning::Thumb(Thumb::Down),
        "swipe_neutral" => Meaning::Thumb(Thumb::Neutral),
        "swipe_skip" => Meaning::Skip,
        "swipe_not_mine" => Meaning::NotMine,
        "swipe_undo" => Meaning::Undo,
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Meaning {
    Thumb(Thumb),
    Skip,
    NotMine,
    Undo,
}

/// Opens the modal, within 3 s of what gave `trigger_id`.
///
/// # Errors
/// Slack's and the database's.
pub async fn open(
    app: &App,
    workspace: &Workspace,
    annotator: &AnnotatorId,
    trigger_id: &str,
) -> anyhow::Result<()> {
    let slack = workspace.slack();
    let slack = slack.context("Slack is not connected")?;
    let view = next(app, workspace, annotator, Shown::new(&workspace.id)).await?;
    slack.client.open_view(trigger_id, &view).await?;
    prepare(app, workspace, annotator).await
}

/// Writes down what a press of `team`'s says, and shows the next trace beside the answer to Slack.
///
/// What is no button of the modal's, or concerns no trace that the modal may show, changes nothing.
///
/// # Errors
/// The database's.
pub async fn press(app: &App, team: &str, press: Press<'_>) -> anyhow::Result<()> {
    let Some(shown) = Shown::of_view(press.view) else {
        return Ok(());
    };
    let workspace = app.workspace_of_team(&shown.workspace, team).await?;
    let (Some(workspace), Some(meaning)) = (workspace, meaning(press.action)) else {
        return Ok(());
    };
    let trace = TraceId::from(press.trace);
    if !store::is_asked_about(&app.db, &workspace.id, &trace).await? {
        return Ok(());
    }
    let shown = act(app, workspace, (meaning, trace), &press, shown).await?;
    let (app_in_task, workspace) = (app.clone(), workspace.id.clone());
    let annotator = press.annotator.clone();
    let text = |key: &str| press.view[key].as_str().map(str::to_owned);
    let (view_id, hash) = (text("id").unwrap_or_default(), text("hash"));
    app.tasks.spawn(async move {
        let app = app_in_task;
        let Some(workspace) = app.workspace(&workspace) else {
            return;
        };
        let place = (view_id.as_str(), hash.as_deref());
        if let Err(error) = show(&app, workspace, &annotator, place, shown).await {
            tracing::warn!(workspace.id = %workspace.id, %error, "the next trace can't be shown");
        }
    });
    Ok(())
}

/// Leaves the row of a press; gives what is known of the modal then.
async fn act(
    app: &App,
    workspace: &Workspace,
    (meaning, trace): (Meaning, TraceId),
    press: &Press<'_>,
    mut shown: Shown,
) -> anyhow::Result<Shown> {
    let (annotator, at) = (&press.annotator, press.acted_at_us);
    let (db, id) = (&app.db, &workspace.id);
    match meaning {
        Meaning::Thumb(thumb) => {
            let reason = view::typed(press.view);
            label(app, workspace, (&trace, thumb), press, reason).await?;
            shown.did(trace, Done::Labelled);
        }
        Meaning::Skip => {
            skip(db, id, annotator, &trace, at).await?;
            shown.did(trace, Done::LeftOut);
        }
        Meaning::NotMine => {
            // Without a name there is no area: it is this trace alone.
            if not_my_area(db, id, annotator, &trace, at).await?.is_none() {
                skip(db, id, annotator, &trace, at).await?;
            }
            shown.did(trace, Done::LeftOut);
        }
        Meaning::Undo => match shown.undo(&trace) {
            Some(Done::Labelled) => {
                undo(app, workspace, &trace, annotator, at).await?;
            }
            Some(Done::LeftOut) => ask_again(db, id, annotator, &trace, at).await?,
            // Pressed twice: it is taken back already.
            None => {}
        },
    }
    Ok(shown)
}

/// The label that the card's button would leave, with what was typed before as its reason.
async fn label(
    app: &App,
    workspace: &Workspace,
    (trace, thumb): (&TraceId, Thumb),
    press: &Press<'_>,
    reason: &str,
) -> anyhow::Result<()> {
    if !reason.is_empty() {
        let remark = Remark {
            source: "",
            said_at_us: press.acted_at_us,
            changed_at_us: press.acted_at_us,
            text: Some(reason),
        };
        let annotator = Annotator::of(&press.annotator, press.annotator_name);
        // First, so that the label comes with it.
        reply(app, workspace, trace, &annotator, &remark).await?;
    }
    let click = Thumbed {
        trace: trace.clone(),
        annotator: press.annotator.clone(),
        annotator_name: press.annotator_name,
        thumb,
        acted_at_us: press.acted_at_us,
        // A thumb moves on at once.
        trigger_id: None,
    };
    give_thumb(app, workspace, click).await?;
    Ok(())
}

/// A submitted modal: the text that was typed is the reason of a 👎, and the answer is the next trace.
///
/// # Errors
/// The database's.
pub async fn submit(app: &App, team: &str, press: Press<'_>) -> anyhow::Result<Value> {
    let shown = Shown::of_view(press.view);
    let Some((shown, trace)) = shown.and_then(|shown| shown.trace.clone().map(|t| (shown, t)))
    else {
        return Ok(json!({}));
    };
    let Some(workspace) = app.workspace_of_team(&shown.workspace, team).await? else {
        return Ok(json!({}));
    };
    if view::typed(press.view).is_empty() {
        let errors = json!({shown.field(): "Say why it is bad, or press a button above."});
        return Ok(json!({"response_action": "errors", "errors": errors}));
    }
    let pressed = (Meaning::Thumb(Thumb::Down), trace);
    let press = Press {
        // Slack gives a submission no time.
        acted_at_us: now_ms().saturating_mul(1_000),
        ..press
    };
    let shown = act(app, workspace, pressed, &press, shown).await?;
    let view = next(app, workspace, &press.annotator, shown).await?;
    Ok(json!({"response_action": "update", "view": view}))
}

/// Puts the next trace into the modal, unless another press did so already, and gets the one after it ready.
async fn show(
    app: &App,
    workspace: &Workspace,
    annotator: &AnnotatorId,
    (view_id, hash): (&str, Option<&str>),
    shown: Shown,
) -> anyhow::Result<()> {
    let slack = workspace.slack();
    let slack = slack.context("Slack is not connected")?;
    let view = next(app, workspace, annotator, shown).await?;
    match slack.client.update_view(view_id, hash, &view).await {
        Err(error) if error.is_about_a_view_that_moved_on() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => prepare(app, workspace, annotator).await,
    }
}

/// The modal with the next trace, which is the one that was taken back where one was.
async fn next(
    app: &App,
    workspace: &Workspace,
    annotator: &AnnotatorId,
    mut shown: Shown,
) -> anyhow::Result<Value> {
    let id = &workspace.id;
    let trace = match shown.again.take() {
        Some(trace) => Some(trace),
        None => {
            let queue = unlabelled_for(&app.db, id, annotator, 1).await?;
            queue.into_iter().next()
        }
    };
    let blocks = match &trace {
        Some(trace) => match app.ahead.take(id, annotator, trace) {
            Some(blocks) => blocks,
            None => blocks_of(app, workspace, trace).await?,
        },
        None => Vec::new(),
    };
    shown.trace = trace;
    let count = Count {
        own: store::labelled_by(&app.db, id, annotator).await?,
        progress: generate::progress(app, id, &EvalId::from(EVAL_NAME)).await?,
    };
    Ok(shown.view(blocks, &count))
}

/// Gets the trace after the one that is shown ready, while a person reads.
async fn prepare(app: &App, workspace: &Workspace, annotator: &AnnotatorId) -> anyhow::Result<()> {
    let queue = unlabelled_for(&app.db, &workspace.id, annotator, LOOK_AHEAD).await?;
    let [_, after] = queue.as_slice() else {
        return Ok(());
    };
    let blocks = blocks_of(app, workspace, after).await?;
    app.ahead.keep(&workspace.id, annotator, after, blocks);
    Ok(())
}

/// The trace as its card shows it, without buttons and without what others say of it.
async fn blocks_of(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
) -> anyhow::Result<Vec<Value>> {
    let card = card_of(app, workspace, trace).await?;
    let mut blocks = card.map(|card| card.blocks).unwrap_or_default();
    blocks.retain(|block| block["type"] != "actions");
    // The tally, which is shown only after one's own thumb.
    blocks.pop_if(|block| block["type"] == "context");
    let url = workspace.langfuse_url(&app.db, trace).await?;
    let link = |url: String| format!("<{}|Open in Langfuse>", url.replace('|', "%7C"));
    blocks.extend(url.map(|url| context(&link(url))));
    Ok(blocks)
}
