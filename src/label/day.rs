//! A working day of a channel, in virtual time: the real posting, updating and labelling against a Slack that counts
//! its documented limits, is away, answers late or not at all, while the service is killed and started again.

mod people;
mod slack;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::Row;

use self::people::People;
use self::slack::DaySlack;
use super::job::{card_of, post_cards, refresh_cards};
use crate::app::{App, build_by};
use crate::clock::{Clock, Turned};
use crate::domain::TraceId;
use crate::outbox::tests::config;
use crate::workspace::Workspace;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Traces come and people are there for so long; then the rest is worked off.
const DAY: u64 = 8 * HOUR;
const END: u64 = 10 * HOUR;
const TRACES: usize = 2_000;
const ANNOTATORS: usize = 12;
/// As many as come, but in bursts and after absences.
const CARDS_PER_HOUR: u32 = 250;
/// The service looks at the rows so often.
const SWEEP: Duration = Duration::from_secs(5);

/// What is the same before and after a restart.
struct Day {
    clock: Clock,
    turned: Arc<Turned>,
    slack: DaySlack,
    folder: tempfile::TempDir,
    /// `None` while the service is down.
    app: Mutex<Option<App>>,
}

impl Day {
    async fn begin() -> Self {
        let morning = "2026-06-01T09:00:00Z".parse().expect("a time");
        let (turned, clock) = Turned::starting(morning, 3);
        Self {
            slack: DaySlack::start(clock.clone()).await,
            clock,
            turned,
            folder: tempfile::tempdir().expect("a folder"),
            app: Mutex::default(),
        }
    }

    fn seconds(&self) -> u64 {
        self.clock.elapsed().as_secs()
    }

    fn app(&self) -> Option<App> {
        self.app.lock().expect("nobody panics").clone()
    }

    async fn start(&self) -> App {
        let mut config = config(&self.slack.url, &self.folder, "C1", None);
        config.settings.cards_per_hour = CARDS_PER_HOUR;
        let slack = config.slack.as_mut().expect("it is configured");
        slack.pace = crate::slack::Pace::Documented;
        let service = build_by(config, None, self.clock.clone()).await;
        let app = service.expect("it builds").app;
        *self.app.lock().expect("nobody panics") = Some(app.clone());
        app
    }

    /// The service, killed whenever Slack says so, and started again some time later.
    async fn run(&self) {
        let mut kills = 0;
        loop {
            let app = self.start().await;
            let work = async { tokio::join!(self.post(&app), self.refresh(&app)) };
            tokio::select! {
                _ = work => return,
                down = self.slack.killed() => {
                    *self.app.lock().expect("nobody panics") = None;
                    kills += 1;
                    self.turned.leave();
                    self.clock.sleep(Duration::from_secs(down)).await;
                    self.turned.enter();
                }
            }
            self.slack.count(self.seconds(), |hour| hour.restarts += 1);
            assert!(kills < 20);
        }
    }

    async fn post(&self, app: &App) {
        while self.seconds() < END {
            // What fails is tried again, as the next job would.
            let _ = post_cards(app, workspace(app)).await;
            self.clock.sleep(SWEEP).await;
        }
        self.turned.leave();
    }

    async fn refresh(&self, app: &App) {
        while self.seconds() < END {
            let _ = refresh_cards(app, workspace(app)).await;
            self.clock.sleep(SWEEP).await;
        }
        self.turned.leave();
    }
}

fn workspace(app: &App) -> &Workspace {
    app.workspace(&"default".into()).expect("it is configured")
}

async fn found(app: &App, query: &'static str) -> i64 {
    let row = sqlx::query(query).fetch_one(app.db.pool()).await;
    row.expect("a row").get("found")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_working_day_loses_nothing_doubles_nothing_and_keeps_every_limit() {
    let day = Day::begin().await;
    let mut people = People::new(TRACES, ANNOTATORS, DAY);
    tokio::join!(day.run(), people.live(&day));
    let app = day.app().expect("it runs");
    let digests = day.slack.of_kind("iofold_digest").len();
    println!("{}", day.slack.table(&people));
    nothing_is_lost_or_doubled(&day, &app, &people).await;
    let counted = day.slack.counted();
    assert_eq!(counted.over_a_limit, 0, "Slack's limits are kept");
    assert!(counted.ambiguous > 3 && counted.restarts == slack::KILLS.len() as u64);
    assert!(counted.failed > 10 && counted.limited > 0);
    assert!(digests >= 2, "the standstill and the hour without Slack");
}

async fn nothing_is_lost_or_doubled(day: &Day, app: &App, people: &People) {
    let cards = day.slack.of_kind("iofold_trace");
    let mut of_trace: BTreeMap<String, usize> = BTreeMap::new();
    for card in &cards {
        *of_trace.entry(card.trace().to_owned()).or_default() += 1;
    }
    assert!(
        of_trace.values().all(|cards| *cards == 1),
        "one card a trace"
    );
    let posted =
        "select count(*) as found from posts where kind = 'card' and posted_at_ms is not null";
    assert_eq!(
        found(app, posted).await,
        cards.len() as i64,
        "each is known"
    );
    let waiting = "select count(*) as found from posts where kind = 'card' and posted_at_ms is null
                   and digested_at_ms is null";
    assert_eq!(found(app, waiting).await, 0, "none waits");
    let undecided =
        "select count(*) as found from traces where asked is null or ask_probability is null";
    assert_eq!(
        found(app, undecided).await,
        0,
        "each is decided, with its probability"
    );
    let asked = "select count(*) as found from traces where asked = 1";
    let set_aside = "select count(*) as found from posts where digested_at_ms is not null";
    let told = cards.len() as i64 + found(app, set_aside).await;
    assert_eq!(found(app, asked).await, told, "each is here or in a digest");
    let stale = "select count(*) as found from posts where wanted > shown and gone_at_ms is null";
    assert_eq!(found(app, stale).await, 0, "each shows what it is to show");
    the_labels_are_those_that_were_given(app, people).await;
    for card in cards.iter().filter(|card| !card.is_deleted) {
        let trace = TraceId::from(card.trace());
        let shown = card_of(app, workspace(app), &trace).await.expect("rows");
        let shown = shown.expect("it is there").blocks;
        assert_eq!(serde_json::json!(shown), card.blocks, "{trace}");
    }
}

async fn the_labels_are_those_that_were_given(app: &App, people: &People) {
    let rows = sqlx::query("select trace_id, annotator_id, label from labels");
    let rows = rows.fetch_all(app.db.pool()).await.expect("rows");
    let read = |row: &sqlx::any::AnyRow| {
        let text = |column: &str| row.get::<String, _>(column);
        (text("trace_id"), text("annotator_id"), text("label"))
    };
    let stored: BTreeSet<(String, String, String)> = rows.iter().map(read).collect();
    assert_eq!(stored, people.given());
}
