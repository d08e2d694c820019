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

/// For so long a job updates cards, while others wait for it; the next goes on.
const REFRESHED_FOR_MS: i64 = 20_000;

/// Posts the cards that people asked for by hand, then those of settled traces, as many as the channel's budget
/// has left; none while people have paused them.
pub async fn post_cards(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(slack) = workspace.awake_slack() else {
        return Ok(());
    };
    let pace = pace(app, &workspace.id).await?;
    if pace.pause.is_some() {
        // So that a pause is not taken for an absence.
        return digest::reached(app, workspace, slack).await;
    }
    for trace in store::without_card(&app.db, &workspace.id, true, NAMED_AT_ONCE).await? {
        if !goes_on(app, workspace, slack).await? {
            return Ok(());
        }
        post_card(app, workspace, slack, &trace).await?;
    }
    post_sampled(app, workspace, slack, &pace).await
}

/// Whether cards still come by this connection: nobody has stopped or paused them meanwhile.
async fn goes_on(app: &App, workspace: &Workspace, slack: &SlackConnection) -> sqlx::Result<bool> {
    Ok(is_current(app, workspace, slack) && pace(app, &workspace.id).await?.pause.is_none())
}

/// Whether the service goes on, and with this connection: no other channel was chosen, and the app is still installed.
fn is_current(app: &App, workspace: &Workspace, slack: &SlackConnection) -> bool {
    let current = workspace.slack();
    !app.is_stopping() && current.is_some_and(|current| std::ptr::eq(current, slack))
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
        if !goes_on(app, workspace, slack).await? {
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

/// Brings the tallies of posted cards up to date, the newest first, for a while.
pub async fn refresh_cards(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(slack) = workspace.awake_slack() else {
        return Ok(());
    };
    let until = app.db.now_ms() + REFRESHED_FOR_MS;
    while is_current(app, workspace, slack)
        && app.db.now_ms() < until
        && let Some(stale) = outbox::next_stale(app, &workspace.id, Kind::Card).await?
    {
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
    use std::sync::Arc;
    use std::time::Duration;

    use sqlx::{AssertSqlSafe, Row};

    use super::super::pace::{pause, resume};
    use super::*;
    use crate::app::build_by;
    use crate::clock::{Clock, Turned};
    use crate::outbox::tests::config;
    use crate::slack::Pace::Documented;
    use crate::slack::scripted::{Answer, ScriptedSlack};

    /// A service with traces that nobody was asked about, by a clock for so many actors.
    struct Scene {
        slack: ScriptedSlack,
        app: App,
        clock: Clock,
        turned: Arc<Turned>,
        _folder: tempfile::TempDir,
    }

    impl Scene {
        async fn of(traces: usize, actors: usize) -> Self {
            Self::with(ScriptedSlack::start().await, traces, actors).await
        }

        async fn with(slack: ScriptedSlack, traces: usize, actors: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (turned, clock) = Turned::starting(chrono::Utc::now(), actors);
            let mut config = config(&slack.url, &folder, "C1", None);
            config.settings.cards_per_hour = 30;
            config.slack.as_mut().unwrap().pace = Documented;
            let app = build_by(config, None, clock.clone()).await.unwrap().app;
            let scene = Self {
                slack,
                app,
                clock,
                turned,
                _folder: folder,
            };
            for number in 0..traces {
                let trace = serde_json::json!({
                    "id": format!("t{number}"), "timestamp": "2026-06-01T00:00:00Z", "tags": [], "metadata": {},
                    "input": "Q", "output": "A", "input_text": "Q", "output_text": "A", "messages": [],
                    "tool_calls": [], "observations": [],
                });
                scene
                    .run(&format!(
                        "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                                             started_at_ms, first_seen_at_ms, changed_at_ms)
                         values ('default', 't{number}', '{trace}', 'h', 'g{number}', 1, 0, {number}, 0, 0)"
                    ))
                    .await;
            }
            scene
        }

        fn workspace(&self) -> &Workspace {
            self.app.workspace(&"default".into()).unwrap()
        }

        async fn run(&self, sql: &str) {
            let ran = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
            ran.execute(self.app.db.pool()).await.unwrap();
        }

        async fn post(&self) {
            post_cards(&self.app, self.workspace()).await.unwrap();
        }

        async fn pause(&self) {
            let id = &self.workspace().id;
            let paused = pause(&self.app.db, id, &"ADA".into(), None).await;
            paused.unwrap();
        }
    }

    #[tokio::test]
    async fn a_pause_is_not_taken_for_an_absence() {
        let scene = Scene::of(20, 1).await;
        scene.clock.sleep(Duration::from_hours(1)).await;
        let an_hour_ago = scene.app.db.now_ms() - HOUR_MS;
        let reached = format!("update workspaces set slack_reached_at_ms = {an_hour_ago}");
        scene.run(&reached).await;
        scene.pause().await;
        scene.post().await;
        assert!(scene.slack.posted().is_empty());
        let id = &scene.workspace().id;
        resume(&scene.app.db, id).await.unwrap();
        scene.post().await;
        let posted = scene.slack.posted();
        assert_eq!(posted.len(), 20);
        assert!(posted.iter().all(|kind| kind == "iofold_trace"));
    }

    #[tokio::test]
    async fn cards_stop_as_soon_as_somebody_pauses_them() {
        let scene = Scene::of(20, 2).await;
        let pausing = async {
            scene.clock.sleep(Duration::from_secs(2)).await;
            scene.pause().await;
            scene.turned.leave();
        };
        tokio::join!(scene.post(), pausing);
        let posted = scene.slack.posted().len();
        assert!((1..10).contains(&posted), "{posted}");
    }

    #[tokio::test]
    async fn cards_stop_as_soon_as_another_channel_is_chosen() {
        let place: Arc<std::sync::OnceLock<App>> = Arc::default();
        let script = {
            let place = place.clone();
            move |method: &str, _: &serde_json::Value, before: usize| {
                if let (Some(app), "chat.postMessage", 1) = (place.get(), method, before) {
                    let workspace = app.workspace(&"default".into()).unwrap();
                    let client = workspace.slack().unwrap().client.clone();
                    let next = SlackConnection::new(client, "C2".to_owned());
                    workspace.slack.put(next);
                }
                Answer::Usual
            }
        };
        let slack = ScriptedSlack::start_with(script).await;
        let scene = Scene::with(slack, 20, 1).await;
        assert!(place.set(scene.app.clone()).is_ok());
        scene.post().await;
        let posts = scene.slack.calls_of("chat.postMessage");
        assert_eq!(posts.len(), 2);
        assert!(posts.iter().all(|post| post["channel"] == "C1"));
        scene.post().await;
        let posts = scene.slack.calls_of("chat.postMessage");
        assert!(posts.len() == 20 && posts[2]["channel"] == "C2");
    }

    #[tokio::test]
    async fn a_job_updates_cards_for_a_while_only_and_the_next_goes_on() {
        let scene = Scene::of(60, 1).await;
        let stale = "insert into posts (workspace_id, kind, subject_id, channel_id, ts, first_claimed_at_ms, claimed_at_ms, posted_at_ms, wanted)
             select 'default', 'card', id, 'C1', id, 1, 1, 1, 1 from traces";
        scene.run(stale).await;
        let refresh = async || {
            let refreshed = refresh_cards(&scene.app, scene.workspace()).await;
            refreshed.unwrap();
            scene.slack.calls_of("chat.update").len()
        };
        let first = refresh().await;
        assert!((1..30).contains(&first), "{first}");
        for _ in 0..5 {
            refresh().await;
        }
        let left = "select count(*) as found from posts where wanted > shown";
        let left = sqlx::query(left).fetch_one(scene.app.db.pool()).await;
        assert_eq!(left.unwrap().get::<i64, _>("found"), 0);
        assert_eq!(scene.slack.calls_of("chat.update").len(), 60, "each once");
    }

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
