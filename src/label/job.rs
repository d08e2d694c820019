use sha2::{Digest, Sha256};

use super::card::{CardView, card};
use super::digest;
use super::pace::{Pace, pace};
use super::store::{self, HOUR_MS, Stratum};
use crate::app::App;
use crate::domain::{LabelUnit, TraceId, WorkspaceId};
use crate::outbox::{self, Kind};
use crate::slack::Message;
use crate::workspace::{SlackConnection, Workspace};

/// Once an eval exists, one trace in four is asked about, drawn at random.
const SAMPLE_PROBABILITY: f64 = 0.25;

/// Traces decided about in one transaction.
const DRAWN_AT_ONCE: i64 = 1_000;

/// Cards that people asked for by hand, posted in one job.
const NAMED_AT_ONCE: i64 = 100;

/// Posts the cards that people asked for by hand, then those of settled traces, as many as the channel's budget
/// has left; none while people have paused them.
pub async fn post_cards(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(slack) = workspace.awake_slack() else {
        return Ok(());
    };
    let pace = pace(app, &workspace.id).await?;
    if pace.pause.is_some() {
        return Ok(());
    }
    for trace in store::without_card(&app.db, &workspace.id, true, NAMED_AT_ONCE).await? {
        if app.is_stopping() {
            return Ok(());
        }
        post_card(app, workspace, slack, &trace).await?;
    }
    post_sampled(app, workspace, slack, &pace).await
}

/// Draws the sample, and posts what was drawn; after a long absence a digest instead of a part of it.
async fn post_sampled(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    pace: &Pace,
) -> anyhow::Result<()> {
    let (db, id) = (&app.db, &workspace.id);
    let reached = store::reached(db, id).await?;
    let cards = store::cards_since(db, id, db.now_ms() - HOUR_MS).await?;
    let left = (pace.cards_per_hour - cards.posted).max(0);
    let settled = app.settled_before_ms();
    let undrawn = store::count_undecided(db, id, Stratum::Live, settled).await? + cards.wanted;
    draw_sample(app, id, pace, left - cards.wanted).await?;
    digest::digest(app, id, reached, (undrawn, left, pace.cards_per_hour)).await?;
    digest::tell(app, workspace, slack).await?;
    for trace in store::without_card(&app.db, &workspace.id, false, left).await? {
        if app.is_stopping() {
            return Ok(());
        }
        post_card(app, workspace, slack, &trace).await?;
    }
    digest::reached(app, workspace, slack).await
}

/// Decides about the settled traces whether people are asked, and keeps the probability, which says of
/// each trace how many others it speaks for.
///
/// Where the budget has room for some of them only, each has the same chance; old ones have a chance of
/// their own and a quarter of the budget, so that reading months back neither floods the channel nor
/// drowns what happens now. Without room they wait.
async fn draw_sample(
    app: &App,
    workspace: &WorkspaceId,
    pace: &Pace,
    room: i64,
) -> anyhow::Result<()> {
    let wished = match store::has_eval(&app.db, workspace).await? {
        true => SAMPLE_PROBABILITY,
        false => 1.0,
    };
    let asked = draw_from(app, workspace, Stratum::Live, (room, wished)).await?;
    let since_ms = app.db.now_ms() - HOUR_MS;
    let old = store::old_cards_since(&app.db, workspace, since_ms).await?;
    let for_old = (pace.cards_per_hour / 4).max(1) - old;
    let room = for_old.min(room - asked);
    draw_from(app, workspace, Stratum::Old, (room, SAMPLE_PROBABILITY)).await?;
    Ok(())
}

/// Decides about a stratum, of which no more are asked about than there is room for in the mean; says how
/// many are.
async fn draw_from(
    app: &App,
    workspace: &WorkspaceId,
    stratum: Stratum,
    (room, wished): (i64, f64),
) -> anyhow::Result<i64> {
    if room <= 0 {
        return Ok(0);
    }
    let settled = app.settled_before_ms();
    let mut left = store::count_undecided(&app.db, workspace, stratum, settled).await?;
    let probability = wished.min(room as f64 / left.max(1) as f64);
    let mut drawn = 0;
    while left > 0 && !app.is_stopping() {
        let some = store::undecided(&app.db, workspace, stratum, settled, DRAWN_AT_ONCE).await?;
        drawn += draw_some(app, workspace, &some, probability).await?;
        // What comes meanwhile waits for the next draw.
        left -= DRAWN_AT_ONCE;
    }
    Ok(drawn)
}

async fn draw_some(
    app: &App,
    workspace: &WorkspaceId,
    undecided: &[TraceId],
    probability: f64,
) -> anyhow::Result<i64> {
    let mut drawn = 0;
    let mut transaction = app.db.begin().await?;
    for trace in undecided {
        let asked = draw(workspace, trace) < probability;
        store::decide(&mut *transaction, workspace, trace, probability, asked).await?;
        if asked {
            outbox::want(&mut *transaction, workspace, Kind::Card, trace.as_str()).await?;
            drawn += 1;
        }
    }
    transaction.commit().await?;
    Ok(drawn)
}

/// A number in `[0, 1)` that depends on the trace alone, so that drawing again draws the same.
fn draw(workspace: &WorkspaceId, trace: &TraceId) -> f64 {
    let digest = Sha256::digest(format!("ask\n{workspace}\n{trace}"));
    let (head, _) = digest.split_at(8);
    let bits = u64::from_be_bytes(head.try_into().expect("eight bytes were split off"));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

async fn post_card(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    trace: &TraceId,
) -> anyhow::Result<()> {
    if let Some(message) = card_of(app, workspace, trace).await? {
        let subject = trace.as_str();
        outbox::post_once(app, workspace, slack, Kind::Card, subject, None, message).await?;
    }
    Ok(())
}

/// Brings the tallies of posted cards up to date.
pub async fn refresh_cards(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(slack) = workspace.awake_slack() else {
        return Ok(());
    };
    while let Some(stale) = outbox::next_stale(app, &workspace.id, Kind::Card).await? {
        if app.is_stopping() {
            break;
        }
        let trace = TraceId::from(stale.subject.as_str());
        if let Some(message) = card_of(app, workspace, &trace).await? {
            outbox::refresh(app, workspace, slack, Kind::Card, &stale, message).await?;
        }
    }
    Ok(())
}

/// The trace's card as it should be now; `None` where there is no such trace.
pub(super) async fn card_of(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
) -> anyhow::Result<Option<Message>> {
    let Some(found) = store::card_trace(&app.db, &workspace.id, trace).await? else {
        return Ok(None);
    };
    let is_in_session = found.trace.session_id.is_some();
    Ok(Some(card(&CardView {
        trace: &found.trace,
        url: workspace.langfuse_url(&app.db, trace).await?,
        cleaned: found.cleaned,
        deleted: found.deleted,
        tally: store::tally(&app.db, &workspace.id, trace).await?,
        asked_by: found.asked_by.as_deref(),
        on_session: is_in_session && app.settings.label_unit == LabelUnit::Session,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_trace_in_four_is_drawn_and_always_the_same() {
        let workspace = WorkspaceId::from("default");
        let drawn = |i: usize| draw(&workspace, &TraceId::from(format!("trace-{i}")));
        let asked = (0..4_000)
            .filter(|i| drawn(*i) < SAMPLE_PROBABILITY)
            .count();
        assert!((900..1_100).contains(&asked), "{asked}");
        assert_eq!(drawn(7), drawn(7));
    }
}
