//! Deliveries and polls against a database and the stand-in for Langfuse.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::Row;

use super::deliveries::{ATTEMPTS_MAX, Deliveries};
use super::poll::Poll;
use super::read::Reader;
use super::recorder::Delivery;
use super::{arrive, gone, store};
use crate::clock::Turned;
use crate::domain::Trace;
use crate::jobs::Work;
use crate::langfuse::{Client, Plan};
use crate::playground::langfuse::tests::{PUBLIC_KEY, SECRET_KEY, serve, standing_in, trace};
use crate::playground::langfuse::{Apis, Langfuse, Limits, Options};
use crate::store::{Db, now_ms};
use crate::workspace::{LangfuseConnection, Workspace};

/// A workspace in a database of its own, connected to a stand-in.
struct World {
    db: Db,
    langfuse: Langfuse,
    workspace: Workspace,
    _folder: tempfile::TempDir,
}

/// A stored trace.
struct Stored {
    trace: Trace,
    complete: bool,
    cleaned: bool,
    changed_at_ms: i64,
}

impl World {
    async fn of(options: Options) -> Self {
        let langfuse = standing_in(options);
        let base = serve(&langfuse).await;
        let client = Client::new(&base, PUBLIC_KEY, &SECRET_KEY.into()).expect("it is made");
        let mut world = Self::unconnected(langfuse).await;
        world.workspace.langfuse = Some(LangfuseConnection::new(client));
        world
    }

    async fn unconnected(langfuse: Langfuse) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("test.db");
        let db = Db::open(&format!("sqlite://{}", path.display()))
            .await
            .expect("it opens");
        sqlx::query("insert into workspaces (id, created_at_ms) values ('w', 0)")
            .execute(db.pool())
            .await
            .expect("it is made");
        let workspace = Workspace {
            id: "w".into(),
            langfuse: None,
            webhook_secret: None,
            langsmith: None,
            openai: None,
            slack: crate::workspace::SlackSlot::default(),
        };
        Self {
            db,
            langfuse,
            workspace,
            _folder: folder,
        }
    }

    fn connection(&self) -> &LangfuseConnection {
        self.workspace.langfuse.as_ref().expect("it is connected")
    }

    async fn poll(&self) -> usize {
        self.poll_by(1_000).await.expect("it polls")
    }

    async fn poll_by(&self, observations_a_page: usize) -> anyhow::Result<usize> {
        self.poller(observations_a_page).run(|| false).await
    }

    fn poller(&self, observations_a_page: usize) -> Poll<'_> {
        // Each look of these tests is thorough.
        self.connection().pace.missed();
        Poll {
            langfuse: self.connection(),
            reader: self.reader(observations_a_page),
        }
    }

    fn reader(&self, observations_a_page: usize) -> Reader<'_> {
        Reader {
            db: &self.db,
            workspace: &self.workspace.id,
            client: self.connection().client.clone(),
            settled_before_ms: now_ms() - 30_000,
            observations_a_page,
        }
    }

    async fn deliver(&self, id: &str, body: Value) {
        let delivery = Delivery {
            workspace: self.workspace.id.clone(),
            id: id.to_owned(),
            body: body.to_string(),
        };
        let stored = store::insert_deliveries(&self.db, &[&delivery]).await;
        assert_eq!(stored.expect("it is stored").len(), 1);
    }

    async fn handle(&self) -> HashSet<Work> {
        let deliveries = Deliveries {
            db: &self.db,
            workspace: &self.workspace,
            settled_before_ms: now_ms() - 30_000,
        };
        deliveries.handle(|| false).await.expect("they are handled")
    }

    /// Deliveries neither handled nor given up.
    async fn waiting(&self) -> i64 {
        sqlx::query("select count(*) as waiting from deliveries where handled_at_ms is null")
            .fetch_one(self.db.pool())
            .await
            .and_then(|row| row.try_get("waiting"))
            .expect("it is counted")
    }

    /// How many traces are to be scored.
    async fn to_score(&self) -> i64 {
        sqlx::query("select count(*) as traces from traces where to_score = 1")
            .fetch_one(self.db.pool())
            .await
            .and_then(|row| row.try_get("traces"))
            .expect("it is counted")
    }

    async fn change(&self, rows: &'static str) {
        let changed = sqlx::query(rows).execute(self.db.pool()).await;
        changed.expect("they are changed");
    }

    async fn rows(&self) -> Vec<Stored> {
        let rows = sqlx::query("select * from traces order by id")
            .fetch_all(self.db.pool())
            .await;
        let flag = |row: &sqlx::any::AnyRow, key: &str| row.get::<i64, _>(key) == 1;
        let read = |row: &sqlx::any::AnyRow| Stored {
            trace: serde_json::from_str(row.get("payload")).expect("a trace"),
            complete: flag(row, "complete"),
            cleaned: flag(row, "cleaned"),
            changed_at_ms: row.get("changed_at_ms"),
        };
        rows.expect("they are read").iter().map(read).collect()
    }

    async fn only(&self) -> Stored {
        let mut rows = self.rows().await;
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }
}

fn with(apis: Apis) -> Options {
    Options {
        apis,
        ..Options::default()
    }
}

/// So many seconds before now.
fn ago(seconds: i64) -> String {
    (Utc::now() - TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A trace that ended some seconds ago.
fn ended(id: &str, seconds: i64) -> Value {
    trace(id, &ago(seconds + 2), Some(&ago(seconds)))
}

mod deleted;
mod following;

#[tokio::test]
async fn a_poll_stores_each_trace_once_and_a_second_changes_nothing() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        for id in ["a", "b"] {
            world.langfuse.put_trace("p", ended(id, 60));
        }
        assert_eq!(world.poll().await, 2, "{apis:?}");
        let first = world.rows().await;
        assert_eq!(first.len(), 2);
        assert!(first.iter().all(|row| row.complete && !row.cleaned));
        assert_eq!(first[0].trace.input_text, "Q");
        let old = now_ms() - first[0].changed_at_ms;
        assert!(
            (50_000..70_000).contains(&old),
            "it last changed when it ended: {old}"
        );
        assert_eq!(world.poll().await, 0);
        assert_eq!(world.rows().await[0].changed_at_ms, first[0].changed_at_ms);
    }
}

#[tokio::test]
async fn a_running_trace_is_complete_once_its_root_has_ended() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        world.langfuse.put_trace("p", trace("t", &ago(10), None));
        world.poll().await;
        assert!(!world.only().await.complete, "{apis:?}");
        world
            .langfuse
            .put_trace("p", trace("t", &ago(10), Some(&ago(1))));
        assert_eq!(world.poll().await, 1);
        let row = world.only().await;
        assert!(
            row.complete
                && row
                    .trace
                    .observations
                    .iter()
                    .all(|step| step.end_time.is_some())
        );
    }
}

#[tokio::test]
async fn what_comes_late_changes_a_trace_that_was_stored() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        let mut given = ended("t", 60);
        world.langfuse.put_trace("p", given.clone());
        world.poll().await;
        let before = world.only().await;
        let late = json!({"id": "late", "type": "TOOL", "name": "search", "input": "x", "output": "y",
                          "startTime": ago(61), "endTime": ago(61)});
        given["observations"]
            .as_array_mut()
            .expect("a list")
            .push(late);
        world.langfuse.put_trace("p", given);
        world.poll().await;
        let after = world.only().await;
        assert_eq!(after.trace.tool_calls[0].name, "search", "{apis:?}");
        assert!(after.complete && after.changed_at_ms > before.changed_at_ms);
    }
}

#[tokio::test]
async fn a_trace_that_ran_for_long_is_seen_to_end() {
    let world = World::of(with(Apis::V4)).await;
    world.langfuse.put_trace("p", trace("t", &ago(1_800), None));
    world.poll().await;
    assert!(!world.only().await.complete);
    world
        .langfuse
        .put_trace("p", trace("t", &ago(1_800), Some(&ago(1))));
    world.poll().await;
    assert!(
        world.only().await.complete,
        "although it began long before the window"
    );
}

#[tokio::test]
async fn observations_stored_just_before_the_process_ended_still_become_their_trace() {
    let world = World::of(with(Apis::V4)).await;
    let mut given = ended("t", 60);
    world.langfuse.put_trace("p", given.clone());
    world.poll().await;
    given["output"] = json!("changed");
    world.langfuse.put_trace("p", given);
    let client = &world.connection().client;
    let page = client
        .observations_of("t", None, 10)
        .await
        .expect("it answers");
    let mut seen = arrive::Seen::new();
    let kept = arrive::keep_observations(
        &world.db,
        &world.workspace.id,
        &page.items,
        (&mut seen, &deleted::here()),
    )
    .await;
    kept.expect("they are stored");
    assert!(
        !world.only().await.complete,
        "it is open until it is put together"
    );
    world.poll().await;
    let row = world.only().await;
    assert!(row.complete && row.trace.output_text == "changed");
}

#[tokio::test]
async fn a_window_with_too_much_is_read_in_parts_and_nothing_is_left_out() {
    let world = World::of(with(Apis::V4)).await;
    for i in 0..40 {
        world
            .langfuse
            .put_trace("p", ended(&format!("t{i:02}"), i * 60));
    }
    let mut polls = 0;
    while store::poll_mark(&world.db, &world.workspace.id)
        .await
        .expect("it is read")
        < Some(now_ms() - 310_000)
    {
        world.poll_by(1).await.expect("it polls");
        polls += 1;
        assert!(polls < 20, "the mark moves");
    }
    assert_eq!(world.rows().await.len(), 40);
}

#[tokio::test]
async fn a_burst_longer_than_the_overlap_does_not_hold_the_poller_up() {
    let world = World::of(with(Apis::V4)).await;
    // Twelve pages are more than a window's ten in every 56 s: only windows of 14 s are read.
    for i in 0..90 {
        let trace = ended(&format!("t{i:02}"), 10 + i * 5);
        world.langfuse.put_trace("p", trace);
    }
    let before_them = now_ms() - 480_000;
    let marked = store::set_poll_mark(&world.db, &world.workspace.id, before_them).await;
    marked.expect("it is set");
    for _ in 0..4 {
        world.poll_by(1).await.expect("it polls");
    }
    assert_eq!(world.rows().await.len(), 90);
}

#[tokio::test]
async fn a_poll_that_is_told_to_stop_ends_at_a_windows_end() {
    let world = World::of(with(Apis::V4)).await;
    world.langfuse.put_trace("p", ended("t", 60));
    let stored = world.poller(1_000).run(|| true).await;
    assert_eq!(stored.expect("it polls"), 0);
    let mark = store::poll_mark(&world.db, &world.workspace.id).await;
    let behind = now_ms() - mark.expect("it is read").expect("one window was read");
    assert_eq!(behind / 60_000, 45);
}

#[tokio::test]
async fn the_mark_stays_where_reading_failed() {
    // The project, the API, three empty windows and one page; that window's second is one too many.
    let (_, clock) = Turned::starting(Utc::now(), 1);
    let options = Options {
        limits: Limits::Said(6, Duration::from_hours(1)),
        clock: clock.clone(),
        ..with(Apis::V4)
    };
    let world = World::by(options, |client| client.on(Plan::SelfHosted, clock)).await;
    world.langfuse.put_trace("p", ended("t", 60));
    let error = world.poll_by(1).await.expect_err("the budget is spent");
    assert!(error.to_string().contains("429"), "{error}");
    let mark = store::poll_mark(&world.db, &world.workspace.id).await;
    let behind = now_ms() - mark.expect("it is read").expect("three windows were read");
    let minutes = behind / 60_000;
    assert!((14..=16).contains(&minutes), "before the trace: {minutes}");
}

#[tokio::test]
async fn what_arrives_while_a_trace_is_put_together_is_in_it() {
    let world = World::of(with(Apis::V4)).await;
    let (db, workspace) = (&world.db, &world.workspace.id);
    world.langfuse.put_trace("p", ended("t", 60));
    world.poll().await;
    let late = json!({"id": "late", "traceId": "t", "type": "TOOL", "name": "search", "input": "x",
                      "output": "y", "startTime": ago(61), "endTime": ago(61)});
    let mut other = db.begin().await.expect("it begins");
    let late = late.to_string();
    let stored = store::upsert_observation(
        &mut *other,
        workspace,
        "t",
        "late",
        &late,
        store::Source::Langfuse,
    )
    .await;
    stored.expect("it is stored");
    let seen = arrive::Seen::from([("t".to_owned(), true)]);
    let shown = deleted::here();
    let (put, committed) = tokio::join!(
        arrive::put_together(db, workspace, (&seen, &shown)),
        async {
            // Long enough for a reader that does not wait to read the old observations.
            tokio::time::sleep(Duration::from_millis(200)).await;
            other.commit().await
        }
    );
    put.expect("it is put together");
    committed.expect("it is stored");
    assert_eq!(world.only().await.trace.tool_calls.len(), 1);
}

#[tokio::test]
async fn an_older_reading_of_a_v3_trace_does_not_stay() {
    let world = World::of(with(Apis::V3)).await;
    let mut given = ended("t", 60);
    world.langfuse.put_trace("p", given.clone());
    let client = &world.connection().client;
    let read = client.trace("t").await.expect("it answers");
    let old = read.expect("it is there");
    given["output"] = json!("changed");
    world.langfuse.put_trace("p", given);
    world.poll().await;
    let kept = arrive::keep_detail(&world.db, &world.workspace.id, old, None, now_ms()).await;
    kept.expect("it is stored");
    assert_eq!(world.only().await.trace.output_text, "A");
    world.poll().await;
    assert_eq!(world.only().await.trace.output_text, "changed");
}

#[tokio::test]
async fn only_a_changed_trace_is_scored_again() {
    let world = World::of(with(Apis::V4)).await;
    let mut given = ended("t", 60);
    world.langfuse.put_trace("p", given.clone());
    world.poll().await;
    assert_eq!(world.to_score().await, 1);
    world.change("update traces set to_score = 0").await;
    world.poll().await;
    assert_eq!(world.to_score().await, 0, "nothing has changed");
    given["output"] = json!("changed");
    world.langfuse.put_trace("p", given);
    world.poll().await;
    assert_eq!(world.to_score().await, 1);
}

#[tokio::test]
async fn what_langfuses_own_evaluators_do_is_no_trace_of_the_product() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        let mut own = ended("own", 60);
        own["environment"] = json!("langfuse-llm-as-a-judge");
        own["observations"][0]["environment"] = own["environment"].clone();
        world.langfuse.put_trace("p", own);
        world.langfuse.put_trace("p", ended("t", 60));
        world.poll().await;
        assert_eq!(world.only().await.trace.id, "t", "{apis:?}");
    }
}

#[tokio::test]
async fn unreadable_characters_are_replaced_and_said() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        let mut odd = ended("t", 60);
        odd["output"] = json!({"text": "a\u{0}b"});
        world.langfuse.put_trace("p", odd);
        world.poll().await;
        let row = world.only().await;
        assert!(row.cleaned && row.complete, "{apis:?}");
        assert_eq!(row.trace.output_text, "a\u{fffd}b");
    }
}

#[tokio::test]
async fn a_delivery_that_names_a_trace_brings_it_from_langfuse_and_the_poller_does_not_double_it() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        world.langfuse.put_trace("p", ended("t", 60));
        let lie =
            json!({"type": "trace", "trace": {"id": "t", "input": "a lie", "output": "a lie"}});
        world.deliver("1", lie).await;
        world.deliver("2", json!({"traceId": "t"})).await;
        assert_eq!(
            world.handle().await,
            HashSet::from([Work::PostCards, Work::ScoreTraces])
        );
        let row = world.only().await;
        assert_eq!(
            (row.trace.input_text.as_str(), world.waiting().await),
            ("Q", 0),
            "{apis:?}"
        );
        world.poll().await;
        assert_eq!(world.only().await.changed_at_ms, row.changed_at_ms);
    }
}

#[tokio::test]
async fn any_other_delivery_makes_the_poller_look() {
    let world = World::of(with(Apis::Both)).await;
    let bodies = [
        json!({"type": "monitor-alert", "payload": {}}),
        json!({}),
        json!({"traceId": ""}),
        json!({"trace": "text"}),
        json!({"traceId": 7}),
    ];
    for (id, body) in bodies.into_iter().enumerate() {
        world.deliver(&id.to_string(), body).await;
    }
    assert_eq!(world.handle().await, HashSet::from([Work::PollTraces]));
    assert_eq!((world.waiting().await, world.rows().await.len()), (0, 0));
}

#[tokio::test]
async fn a_trace_that_langfuse_does_not_show_is_asked_for_again_but_not_for_ever() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        world.deliver("1", json!({"traceId": "later"})).await;
        world.deliver("2", json!({"traceId": "never"})).await;
        assert!(world.handle().await.is_empty());
        assert_eq!(world.waiting().await, 2, "{apis:?}");
        assert!(
            !world.connection().health.is_resting(),
            "the connection is well"
        );
        world.langfuse.put_trace("p", ended("later", 60));
        for _ in 1..ATTEMPTS_MAX {
            world
                .change("update deliveries set received_at_ms = 0")
                .await;
            world.handle().await;
        }
        assert_eq!(
            (world.waiting().await, world.only().await.trace.id.as_str()),
            (0, "later")
        );
    }
}

#[tokio::test]
async fn deliveries_are_loaded_a_few_at_once_and_the_rest_is_hinted_at() {
    let world = World::of(with(Apis::V4)).await;
    for i in 0..12 {
        world.deliver(&i.to_string(), json!({})).await;
    }
    let more = HashSet::from([Work::PollTraces, Work::HandleDeliveries]);
    assert_eq!((world.handle().await, world.waiting().await), (more, 2));
    let rest = HashSet::from([Work::PollTraces]);
    assert_eq!((world.handle().await, world.waiting().await), (rest, 0));
    assert!(world.handle().await.is_empty());
}

#[tokio::test]
async fn only_deliveries_handled_long_ago_are_deleted() {
    let world = World::of(with(Apis::V4)).await;
    for id in ["handled", "kept", "waiting"] {
        world.deliver(id, json!({})).await;
    }
    for (change, at_ms) in [("handled", 999), ("kept", 1_000)] {
        let handled = sqlx::query("update deliveries set handled_at_ms = $1 where id = $2")
            .bind(at_ms)
            .bind(change)
            .execute(world.db.pool());
        handled.await.expect("it is handled");
    }
    let prune = || store::prune_deliveries(&world.db, &world.workspace.id, 1_000);
    assert_eq!(prune().await.expect("they are deleted"), 1);
    assert_eq!(prune().await.expect("none is left"), 0);
    assert_eq!(world.waiting().await, 1);
}

#[tokio::test]
async fn deliveries_that_stay_are_not_hinted_at_again() {
    let world = World::of(with(Apis::V4)).await;
    for i in 0..12 {
        world
            .deliver(&i.to_string(), json!({"traceId": "later"}))
            .await;
    }
    assert!(world.handle().await.is_empty());
    assert_eq!(world.waiting().await, 12);
}

#[tokio::test]
async fn a_delivery_waits_while_langfuse_is_in_trouble() {
    let world = World::of(with(Apis::Both)).await;
    world.langfuse.put_trace("p", ended("t", 60));
    world.deliver("1", json!({"traceId": "t"})).await;
    world.connection().health.failed("down".to_owned(), None);
    assert!(world.handle().await.is_empty());
    assert_eq!((world.waiting().await, world.rows().await.len()), (1, 0));
    world.connection().health.recovered();
    world.handle().await;
    assert_eq!((world.waiting().await, world.rows().await.len()), (0, 1));
}

#[tokio::test]
async fn without_an_api_key_a_signed_trace_is_taken_as_it_stands() {
    let world = World::unconnected(standing_in(Options::default())).await;
    world
        .deliver("1", json!({"type": "trace", "trace": ended("t", 60)}))
        .await;
    world
        .deliver("2", json!({"type": "trace", "trace": {"id": "only an id"}}))
        .await;
    let hints = world.handle().await;
    assert!(hints.contains(&Work::PostCards));
    let row = world.only().await;
    assert!(row.complete && row.trace.id == "t");
    assert_eq!(world.waiting().await, 0);
}
