//! What people do about a trace: it is written down, and their label follows.

use sqlx::{Any, Transaction};

use super::acts::{self, Act, Standing};
use super::reason::{self, ReasonFor};
use super::remarks::{self, Remark};
use super::store;
use crate::app::App;
use crate::domain::{AnnotatorId, LabelUnit, Thumb, TraceId, WorkspaceId};
use crate::jobs::Work;
use crate::outbox::{self, Kind};
use crate::slack::cut;
use crate::workspace::Workspace;

/// What a label that is another now may give to do.
const AFTER_A_LABEL: [Work; 3] = [Work::RefreshPosts, Work::GenerateEval, Work::ScoreTraces];

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

/// Stores the label, then asks for a reason after a 👎. Closing that modal loses nothing.
pub async fn give_thumb(
    app: &App,
    workspace: &Workspace,
    click: Thumbed<'_>,
) -> anyhow::Result<Done> {
    let annotator = Annotator::of(&click.annotator, click.annotator_name);
    let act = (click.acted_at_us, Act::Gave(click.thumb));
    let done = perform(app, workspace, &click.trace, &annotator, act).await?;
    // Before anything else, for the trigger is good for three seconds only.
    let stands = done.standing.is_made_at(click.acted_at_us);
    if let (Thumb::Down, true, Some(trigger_id)) = (click.thumb, stands, click.trigger_id) {
        let about = ReasonFor::of(workspace, click.trace, click.acted_at_us);
        reason::ask(app, workspace, about, click.thumb, trigger_id.to_owned());
    }
    hint(app, workspace, &done);
    Ok(done)
}

/// Counts a reaction to the card as a thumb; or no longer, once it is `removed`.
pub async fn react(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
    annotator: &Annotator<'_>,
    (acted_at_us, thumb, removed): (i64, Thumb, bool),
) -> anyhow::Result<()> {
    let act = match removed {
        false => Act::Reacted(thumb),
        true => Act::Unreacted(thumb),
    };
    let done = perform(app, workspace, trace, annotator, (acted_at_us, act)).await?;
    hint(app, workspace, &done);
    Ok(())
}

/// Takes a person's label back, if they have one.
pub async fn undo(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
    annotator: &AnnotatorId,
    acted_at_us: i64,
) -> anyhow::Result<Done> {
    let annotator = Annotator::of(annotator, None);
    let act = (acted_at_us, Act::Undid);
    let done = perform(app, workspace, trace, &annotator, act).await?;
    hint(app, workspace, &done);
    Ok(done)
}

/// Keeps a reply in a card's thread, as a comment of its author's label: at once, or as soon as they label.
pub async fn reply(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
    annotator: &Annotator<'_>,
    reply: &Remark<'_>,
) -> anyhow::Result<()> {
    let session = session_of(app, workspace, trace).await?;
    let mut transaction = app.db.begin().await?;
    let db = &mut *transaction;
    store::insert_annotator(&mut *db, &workspace.id, annotator.id).await?;
    remarks::upsert(db, &workspace.id, trace, annotator.id, reply).await?;
    let said = (annotator.name(), session.as_deref());
    let done = settle(&mut transaction, &workspace.id, trace, annotator.id, said).await?;
    transaction.commit().await?;
    hint(app, workspace, &done);
    Ok(())
}

/// A person, and their name where Slack says it.
#[derive(Clone, Copy)]
pub struct Annotator<'a> {
    /// `U…`.
    pub id: &'a AnnotatorId,
    name: Option<&'a str>,
}

impl<'a> Annotator<'a> {
    /// A person of this name.
    pub fn of(id: &'a AnnotatorId, name: Option<&'a str>) -> Self {
        Self { id, name }
    }

    fn name(&self) -> Option<String> {
        self.name.map(|name| cut(name, NAME_MAX))
    }
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The thumb before it.
    pub before: Option<Thumb>,
    /// What the person's acts add up to now.
    pub standing: Standing,
    /// Whether the label or its comment is another now.
    changed: bool,
}

async fn perform(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
    annotator: &Annotator<'_>,
    act: (i64, Act),
) -> anyhow::Result<Done> {
    let session = session_of(app, workspace, trace).await?;
    let mut transaction = app.db.begin().await?;
    store::insert_annotator(&mut *transaction, &workspace.id, annotator.id).await?;
    acts::insert(&mut *transaction, &workspace.id, trace, annotator.id, act).await?;
    let said = (annotator.name(), session.as_deref());
    let done = settle(&mut transaction, &workspace.id, trace, annotator.id, said).await?;
    transaction.commit().await?;
    Ok(done)
}

/// Brings a person's label, the card that counts it and its score in line with what they did and said.
pub(super) async fn settle(
    transaction: &mut Transaction<'static, Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    (name, session): (Option<String>, Option<&str>),
) -> sqlx::Result<Done> {
    let db = &mut **transaction;
    let before = store::label_of(&mut *db, workspace, trace, annotator).await?;
    let standing = acts::standing(db, workspace, trace, annotator).await?;
    let since_us = standing.of_this_mind_since_us;
    let comment = remarks::comment(db, workspace, trace, annotator, since_us).await?;
    match standing.label {
        Some(given) => {
            let comment = comment.as_deref();
            store::upsert_label(&mut *db, workspace, trace, annotator, given, comment).await?;
        }
        None => store::delete_label(&mut *db, workspace, trace, annotator).await?,
    }
    let after = standing.label.map(|given| (given.thumb, comment));
    let changed = before != after;
    if changed {
        outbox::touch(&mut *db, workspace, Kind::Card, trace.as_str()).await?;
        let said = (name.as_deref(), session);
        store::want_score(&mut *db, workspace, trace, annotator, said).await?;
    }
    Ok(Done {
        before: before.map(|(thumb, _)| thumb),
        standing,
        changed,
    })
}

/// Says where there may be work after an act.
pub(super) fn hint(app: &App, workspace: &Workspace, done: &Done) {
    if done.changed {
        app.hint(&workspace.id, &AFTER_A_LABEL);
    }
}

/// The session that a thumb on the trace is about, where people judge sessions.
pub(super) async fn session_of(
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
