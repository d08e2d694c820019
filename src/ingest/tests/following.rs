//! Following a project within its limits, reading it backwards, and choosing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::clock::Clock;
use crate::ingest::backfill::{self, Backfill, Ended, Owner, Progress};
use crate::langfuse::{Filter, Priority, Score, ScoreValue, Subject};

impl World {
    pub(super) async fn by(options: Options, client: impl FnOnce(Client) -> Client) -> Self {
        let mut world = Self::of(options).await;
        let given = world.connection().client.clone();
        world.workspace.langfuse = Some(LangfuseConnection::new(client(given)));
        world
    }

    pub(super) async fn stored_ids(&self) -> Vec<String> {
        let rows = self.rows().await;
        rows.into_iter().map(|row| row.trace.id).collect()
    }

    /// The complete traces that began after a time.
    async fn complete_since(&self, since_ms: i64) -> BTreeSet<String> {
        let rows = sqlx::query("select id from traces where complete = 1 and started_at_ms >= $1")
            .bind(since_ms)
            .fetch_all(self.db.pool())
            .await;
        let rows = rows.expect("they are read");
        rows.iter().map(|row| row.get("id")).collect()
    }

    pub(super) async fn count(&self, what: &'static str) -> i64 {
        let row = sqlx::query(what).fetch_one(self.db.pool()).await;
        row.expect("it is counted").get("found")
    }

    pub(super) async fn backfilled(&self, owner: &Owner, windows: usize) -> (Ended, Progress) {
        let backfill = Backfill {
            reader: self.reader(1_000),
            owner,
        };
        let stretches = backfill::stretches(&self.db, &self.workspace.id).await;
        let stretch = stretches.expect("they are read").remove(0);
        let seen = AtomicUsize::new(0);
        let said = |_: &Progress| {
            seen.fetch_add(1, Ordering::SeqCst);
        };
        let ended = backfill
            .run(&stretch, || seen.load(Ordering::SeqCst) > windows, &said)
            .await;
        let key = (stretch.since_ms, stretch.until_ms);
        let stands = backfill::find(&self.db, &self.workspace.id, key).await;
        (
            ended.expect("it reads"),
            stands.expect("it is read").expect("it is there"),
        )
    }
}

/// An hour of a project: 2,000 traces of five observations each, begun evenly. Each is written when it has
/// begun and when it has ended, seconds later; one in 25 a minute and a half later.
struct Traffic {
    traces: u32,
    start: chrono::DateTime<Utc>,
    clock: Clock,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Traffic {
    fn at(&self, seconds: f64) -> String {
        let time = self.start + TimeDelta::milliseconds((seconds * 1e3) as i64);
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    fn trace(&self, number: u32, is_over: bool) -> Value {
        let (began, ended) = self.span(number);
        let id = format!("t{number:04}");
        let step = |step: u32| {
            let start = began + (ended - began) * f64::from(step) / 8.0;
            json!({
                "id": format!("{id}-{step}"), "type": "GENERATION", "name": "answer",
                "startTime": self.at(start), "endTime": is_over.then(|| self.at(ended)),
                "input": "Q", "output": "A", "level": "DEFAULT",
            })
        };
        json!({
            "id": id, "name": "chat", "timestamp": self.at(began), "input": "Q", "output": "A",
            "metadata": {}, "tags": [], "observations": (0..4).map(step).collect::<Vec<_>>(),
        })
    }

    /// In seconds: most traces take up to forty, one in fifty five minutes.
    fn span(&self, number: u32) -> (f64, f64) {
        let began = f64::from(number) * HOUR.as_secs_f64() / f64::from(self.traces);
        let length = if number % 50 == 49 {
            300.0
        } else {
            f64::from(1 + number * 7 % 40)
        };
        (began, began + length)
    }

    /// When the ended trace is there to be read.
    fn written(&self, number: u32) -> f64 {
        let late = if number % 25 == 24 { 90.0 } else { 5.0 };
        self.span(number).1 + late
    }

    async fn happen(&self, langfuse: &Langfuse) {
        let mut events = Vec::new();
        for number in 0..self.traces {
            events.push((self.span(number).0 + 3.0, number, false));
            events.push((self.written(number), number, true));
        }
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, number, is_over) in events {
            let at = Duration::from_secs_f64(at);
            self.clock
                .sleep(at.saturating_sub(self.clock.elapsed()))
                .await;
            // A trace that has ended before it was seen to run is written once.
            langfuse.put_trace("p", self.trace(number, is_over));
        }
    }
}

/// How long after it could be read each trace was stored, in seconds.
async fn follow(world: &World, traffic: &Traffic, until: Duration) -> BTreeMap<String, f64> {
    let mut lags = BTreeMap::new();
    while traffic.clock.elapsed() < until {
        traffic
            .clock
            .sleep(world.connection().pace.wait(traffic.clock.elapsed()))
            .await;
        let poll = Poll {
            langfuse: world.connection(),
            reader: world.reader(1_000),
        };
        poll.run(|| false).await.expect("no refusal is a failure");
        let now = traffic.clock.elapsed().as_secs_f64();
        let since = traffic.clock.now() - TimeDelta::minutes(10);
        for id in world.complete_since(since.timestamp_millis()).await {
            let number = id.trim_start_matches('t').parse();
            let written = traffic.written(number.unwrap_or_default());
            if id.starts_with('t') {
                lags.entry(id).or_insert(now - written);
            }
        }
        traffic.clock.sleep(Duration::from_secs(10)).await;
    }
    lags
}

/// Writes scores, one after the other, as fast as they may be written.
async fn write_scores(world: &World, traffic: &Traffic, until: Duration) -> u32 {
    let client = world.connection().client.at(Priority::Scores);
    let mut written = 0;
    while traffic.clock.elapsed() < until {
        let score = Score {
            id: format!("s{written}"),
            subject: Subject::Trace("t0000".to_owned()),
            name: "good".to_owned(),
            value: ScoreValue::Boolean(true),
            comment: None,
            metadata: json!({}),
            config_id: None,
        };
        client
            .put_score(&score)
            .await
            .expect("no refusal is a failure");
        written += 1;
        traffic.clock.sleep(Duration::from_secs(1)).await;
    }
    written
}

/// 500 of them, of the day before.
fn put_old_traces(world: &World, start: chrono::DateTime<Utc>) {
    for old in 0..500 {
        let began = start - TimeDelta::minutes(60 + old * 3);
        let at = |time: chrono::DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let ended = at(began + TimeDelta::seconds(2));
        let trace = trace(&format!("old{old}"), &at(began), Some(&ended));
        world.langfuse.put_trace("p", trace);
    }
}

fn leaving(clock: &Arc<Turned>) -> impl FnOnce(&()) {
    let clock = clock.clone();
    move |()| clock.leave()
}

#[tokio::test]
async fn an_hour_of_ten_thousand_observations_is_followed_within_a_hobby_plan() {
    let start = "2026-06-01T00:00:00Z".parse().expect("a time");
    let (turned, clock) = Turned::starting(start, 4);
    let options = Options {
        apis: Apis::V4,
        limits: Limits::Cloud(Plan::Hobby),
        clock: clock.clone(),
        ..Options::default()
    };
    let world = World::by(options, |client| client.on(Plan::Hobby, clock.clone())).await;
    let traffic = Traffic {
        traces: 2_000,
        start,
        clock: clock.clone(),
    };
    put_old_traces(&world, start);
    // More windows than a burst has room for.
    let first = (start - TimeDelta::days(60)).timestamp_millis();
    let wished = (first, (start - TimeDelta::hours(1)).timestamp_millis());
    let begun = backfill::begin(&world.db, &world.workspace.id, wished).await;
    begun.expect("it is stored");
    let until = HOUR + Duration::from_secs(500);
    let done = || leaving(&turned);
    let ((), lags, scores, backfill) = tokio::join!(
        async { done()(&traffic.happen(&world.langfuse).await) },
        async {
            let lags = follow(&world, &traffic, until).await;
            done()(&());
            lags
        },
        async {
            let scores = write_scores(&world, &traffic, HOUR).await;
            done()(&());
            scores
        },
        async {
            let owner = Owner::service();
            let reader = Reader {
                client: world.connection().client.at(Priority::Backfill),
                ..world.reader(1_000)
            };
            let backfill = Backfill {
                reader,
                owner: &owner,
            };
            let stretch = backfill::find(&world.db, &world.workspace.id, wished).await;
            let stretch = stretch.expect("it is read").expect("it is there");
            let ended = backfill.run(&stretch, || false, &|_| {}).await;
            let took = clock.elapsed();
            done()(&());
            (ended.expect("no refusal is a failure"), took)
        },
    );
    let requests = world.langfuse.requests();
    let mut sorted: Vec<f64> = lags.values().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    println!(
        "{} traces followed; lag in seconds: median {:.0}, p99 {:.0}, most {:.0}; {} requests, {} refused; \
         {scores} scores; backfill after {:.0} s",
        lags.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        requests.answered,
        requests.refused,
        backfill.1.as_secs_f64(),
    );
    assert_eq!(lags.len(), 2_000, "nothing is missed");
    assert_eq!(requests.refused, 0);
    assert!(
        at(0.5) <= 15.0 && at(1.0) <= 90.0,
        "{} {}",
        at(0.5),
        at(1.0)
    );
    assert_eq!(backfill.0, Ended::Finished);
    assert!(backfill.1 < HOUR, "beside scores that never end");
    let old = world.complete_since(0).await;
    assert_eq!(old.iter().filter(|id| id.starts_with("old")).count(), 500);
    let whole = world
        .count("select count(*) as found from observations")
        .await;
    assert_eq!(whole, 2_000 * 5 + 500 * 2, "every observation, once");
    assert!(scores > 300, "{scores}");
}

#[tokio::test]
async fn a_look_soon_after_another_reads_only_what_is_new_and_leaves_the_mark() {
    let world = World::of(with(Apis::V4)).await;
    world.langfuse.put_trace("p", ended("a", 200));
    world.poll().await;
    let mark = store::poll_mark(&world.db, &world.workspace.id).await;
    // Late, and before the short look's window.
    world.langfuse.put_trace("p", ended("late", 200));
    world.langfuse.put_trace("p", ended("new", 1));
    let short = Poll {
        langfuse: world.connection(),
        reader: world.reader(1_000),
    };
    short.run(|| false).await.expect("it polls");
    assert_eq!(world.stored_ids().await, ["a", "new"]);
    let after = store::poll_mark(&world.db, &world.workspace.id).await;
    assert_eq!(mark.expect("it is read"), after.expect("it is read"));
    world.poll().await;
    assert_eq!(world.stored_ids().await, ["a", "late", "new"]);
}

#[tokio::test]
async fn a_score_on_a_trace_never_comes_back_with_it() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        world.langfuse.put_trace("p", ended("t", 60));
        world.poll().await;
        let before = world.only().await;
        let score = Score {
            id: "s".to_owned(),
            subject: Subject::Trace("t".to_owned()),
            name: "human".to_owned(),
            value: ScoreValue::Categorical("down".to_owned()),
            comment: Some("it lies".to_owned()),
            metadata: json!({"annotator": "U1"}),
            config_id: None,
        };
        let put = world.connection().client.put_score(&score).await;
        put.expect("it is taken");
        assert_eq!(world.poll().await, 0, "{apis:?}: nothing is new");
        world.deliver("1", json!({"traceId": "t"})).await;
        world.handle().await;
        let after = world.only().await;
        assert_eq!(after.trace, before.trace);
        assert_eq!(after.changed_at_ms, before.changed_at_ms);
        let text = after.trace.to_json();
        assert!(
            !text.contains("it lies") && !text.contains("human"),
            "{text}"
        );
        let labels = "select count(*) as found from labels";
        assert_eq!(world.count(labels).await, 0);
    }
}

#[tokio::test]
async fn only_the_chosen_traces_are_read() {
    let by_name =
        r#"[{"type": "string", "column": "traceName", "operator": "starts with", "value": "ch"}]"#;
    for apis in [Apis::V4, Apis::V3] {
        for (filter, expected) in [
            (Filter::any_of("environment", &["staging"]), vec!["staging"]),
            (
                Filter::any_of("environment", &["staging", "default"]),
                vec!["chat", "staging", "tagged"],
            ),
            (Filter::any_of("traceName", &["other"]), vec!["staging"]),
            (Filter::any_of("tags", &["b", "c"]), vec!["tagged"]),
            (
                Filter::parse(by_name).expect("it is right"),
                vec!["chat", "tagged"],
            ),
            (
                Filter::any_of("tags", &["b"]).and(Filter::any_of("traceName", &["other"])),
                vec![],
            ),
        ] {
            let said = format!("{apis:?} {filter:?}");
            let world = World::by(with(apis), |client| client.choosing(filter)).await;
            for id in ["chat", "staging", "tagged"] {
                let mut given = ended(id, 60);
                if id == "staging" {
                    (given["environment"], given["name"]) = (json!("staging"), json!("other"));
                    given["observations"][0]["environment"] = json!("staging");
                }
                if id == "tagged" {
                    given["tags"] = json!(["a", "b"]);
                }
                world.langfuse.put_trace("p", given);
            }
            world.poll().await;
            world.poll().await;
            assert_eq!(world.stored_ids().await, expected, "{said}");
        }
    }
}

#[tokio::test]
async fn a_backfill_that_is_stopped_goes_on_where_it_was() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        for day in 0..40 {
            world
                .langfuse
                .put_trace("p", ended(&format!("t{day:02}"), 86_400 * day + 43_200));
        }
        let key = (now_ms() - 40 * 86_400_000, now_ms());
        for _ in 0..2 {
            let begun = backfill::begin(&world.db, &world.workspace.id, key).await;
            begun.expect("once or twice");
        }
        let (ended, half) = world.backfilled(&Owner::service(), 12).await;
        assert_eq!(ended, Ended::Stopped, "{apis:?}");
        let share = half.share();
        assert!(share > 0.0 && share < 0.8, "{share}");
        let before = world.langfuse.requests().answered;
        let (ended, whole) = world.backfilled(&Owner::service(), 1_000).await;
        assert_eq!((ended, whole.share()), (Ended::Finished, 1.0));
        assert_eq!((world.rows().await.len(), whole.traces), (40, 40));
        let again = world.langfuse.requests().answered - before;
        assert!(again < 150, "empty days are read in one piece: {again}");
        let mark = store::poll_mark(&world.db, &world.workspace.id).await;
        assert_eq!(
            mark.expect("it is read"),
            None,
            "the poller's mark is its own"
        );
    }
}

#[tokio::test]
async fn a_service_takes_over_from_a_command_and_not_the_other_way_round() {
    let world = World::of(with(Apis::V4)).await;
    let key = (now_ms() - 86_400_000, now_ms());
    let begun = backfill::begin(&world.db, &world.workspace.id, key).await;
    begun.expect("it is stored");
    let (command, service) = (Owner::command(), Owner::service());
    let held = async |owner: &Owner| {
        let held = owner.hold(&world.db, &world.workspace.id, key).await;
        held.expect("it is asked").is_some()
    };
    assert!(held(&command).await && !held(&Owner::command()).await);
    assert!(held(&service).await);
    assert!(!held(&command).await && held(&service).await);
    assert!(!held(&Owner::service()).await, "another service waits");
    world
        .change("update backfills set lease_until_ms = 0")
        .await;
    assert!(held(&command).await, "until the lease has run out");
}
