//! Traces that come, and people who put thumbs under them, at random times that are the same in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::slack::Standing;
use super::{Day, END, HOUR, MINUTE, workspace};
use crate::app::App;
use crate::domain::{AnnotatorId, Thumb, TraceId};
use crate::label::{Thumbed, give_thumb};
use crate::outbox::note_deleted;
use crate::slack::Posted;

/// Everybody is in the channel at these times, for a minute.
const TOGETHER: [u64; 2] = [HOUR, 5 * HOUR];
/// Cards that each looks at then.
const LOOKED_AT: usize = 12;
/// A person looks into the channel so often.
const LOOK: Duration = Duration::from_secs(5);
/// Of so many cards one is deleted by somebody.
const DELETED_OF: u32 = 200;

/// A thumb to come.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: u64,
    trace: String,
    person: String,
    thumb: &'static str,
}

/// Those who are in the channel, and what happens in production meanwhile.
pub struct People {
    random: StdRng,
    annotators: Vec<String>,
    /// When each trace ends, the last first.
    traces: Vec<(u64, String)>,
    due: BTreeSet<Due>,
    seen: usize,
    clicks: i64,
    given: BTreeMap<(String, String), &'static str>,
    /// Thumbs by the hour.
    pub thumbs: BTreeMap<u64, u64>,
    /// Traces by the hour.
    pub came: BTreeMap<u64, u64>,
}

impl People {
    /// So many of each; a fifth of the traces come in bursts.
    pub fn new(traces: usize, annotators: usize, day: u64) -> Self {
        let mut random = StdRng::seed_from_u64(7);
        let bursts: Vec<u64> = (0..8)
            .map(|_| random.random_range(0..day - MINUTE))
            .collect();
        let mut at: Vec<u64> = (0..traces)
            .map(|number| match number % 5 {
                0 => bursts[number % bursts.len()] + random.random_range(0..MINUTE),
                _ => random.random_range(0..day),
            })
            .collect();
        at.sort_unstable();
        let named = at.into_iter().enumerate();
        let traces = named.map(|(number, at)| (at, format!("t{number:04}")));
        Self {
            random,
            annotators: (0..annotators)
                .map(|number| format!("U{number:02}"))
                .collect(),
            traces: traces.rev().collect(),
            due: BTreeSet::new(),
            seen: 0,
            clicks: 0,
            given: BTreeMap::new(),
            thumbs: BTreeMap::new(),
            came: BTreeMap::new(),
        }
    }

    /// Every thumb that counts: the last of each person on each trace.
    pub fn given(&self) -> BTreeSet<(String, String, String)> {
        let row = |((trace, person), thumb): (&(String, String), &&str)| {
            (trace.clone(), person.clone(), (*thumb).to_owned())
        };
        self.given.iter().map(row).collect()
    }

    /// The day, as it happens outside the service.
    pub async fn live(&mut self, day: &Day) {
        while day.seconds() < END {
            if let Some(app) = day.app() {
                self.come(day, &app).await;
                self.look(day, &app).await;
                self.click(day, &app).await;
            }
            day.clock.sleep(LOOK).await;
        }
        day.turned.leave();
    }

    /// Traces reach the database while the service runs, else when it does again.
    async fn come(&mut self, day: &Day, app: &App) {
        while self
            .traces
            .last()
            .is_some_and(|(at, _)| *at <= day.seconds())
        {
            let (at, id) = self.traces.pop().expect("there is one");
            *self.came.entry(at / HOUR).or_default() += 1;
            store_trace(app, &id, app.db.now_ms()).await;
        }
    }

    /// Who sees a new card decides to say something about it, some of them twice; seldom somebody deletes one.
    async fn look(&mut self, day: &Day, app: &App) {
        let now = day.seconds();
        let new = day.slack.since(self.seen);
        self.seen += new.len();
        for card in new.iter().filter(|message| message.is_card()) {
            if self.random.random_ratio(1, DELETED_OF) {
                self.delete(day, app, card).await;
                continue;
            }
            for _ in 0..self.random.random_range(1..=3) {
                let after = self.random.random_range(5..30 * MINUTE);
                self.decide(card.trace(), now + after);
            }
        }
        let is_now = |at: &u64| (*at..*at + LOOK.as_secs()).contains(&now);
        if TOGETHER.iter().any(is_now) {
            self.look_together(day, now);
        }
    }

    /// Everybody has something to say of the newest cards.
    fn look_together(&mut self, day: &Day, now: u64) {
        let mut cards = day.slack.of_kind("iofold_trace");
        cards.retain(|card| !card.is_deleted);
        for card in cards.iter().rev().take(LOOKED_AT) {
            for _ in 0..self.annotators.len() {
                let after = self.random.random_range(0..MINUTE);
                self.decide(card.trace(), now + after);
            }
        }
    }

    /// Slack tells of half of what is deleted; the rest shows when it is to be updated.
    async fn delete(&mut self, day: &Day, app: &App, card: &Standing) {
        day.slack.delete(&card.ts);
        if self.random.random_bool(0.5) {
            let (channel, ts) = ("C1".to_owned(), card.ts.clone());
            let place = Posted { channel, ts };
            let noted = note_deleted(&app.db, &workspace(app).id, &place);
            noted.await.expect("rows");
        }
    }

    fn decide(&mut self, trace: &str, at: u64) {
        let person = self
            .annotators
            .choose(&mut self.random)
            .expect("somebody")
            .clone();
        let thumbs = ["up", "down", "neutral"];
        for _ in 0..self.random.random_range(1..=2) {
            let thumb = *thumbs.choose(&mut self.random).expect("one");
            let (trace, person) = (trace.to_owned(), person.clone());
            self.due.insert(Due {
                at,
                trace,
                person,
                thumb,
            });
        }
    }

    /// Nobody can click while Slack is away; they do afterwards.
    async fn click(&mut self, day: &Day, app: &App) {
        while self.due.first().is_some_and(|due| due.at <= day.seconds()) && day.slack.is_there() {
            let due = self.due.pop_first().expect("there is one");
            self.clicks += 1;
            let click = Thumbed {
                trace: TraceId::from(due.trace.as_str()),
                annotator: AnnotatorId::from(due.person.as_str()),
                annotator_name: None,
                thumb: Thumb::parse(due.thumb).expect("a thumb"),
                acted_at_us: app.db.now_ms() * 1_000 + self.clicks,
                trigger_id: None,
            };
            give_thumb(app, workspace(app), click)
                .await
                .expect("it is stored");
            *self.thumbs.entry(day.seconds() / HOUR).or_default() += 1;
            self.given.insert((due.trace, due.person), due.thumb);
        }
    }
}

async fn store_trace(app: &App, id: &str, now_ms: i64) {
    let detail = json!({"id": id, "input": format!("Question {id}?"), "output": "An answer."});
    let trace = crate::ingest::normalise(&serde_json::from_value(detail).expect("a trace"));
    let stored = sqlx::query(
        "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                             started_at_ms, first_seen_at_ms, changed_at_ms)
         values ('default', $1, $2, 'h', $3, 1, 0, $4, $5, $6)",
    )
    .bind(id)
    .bind(serde_json::to_string(&trace).expect("it is JSON"))
    .bind(id)
    .bind(now_ms)
    .bind(now_ms)
    .bind(now_ms)
    .execute(app.db.pool())
    .await;
    stored.expect("it is stored");
}
