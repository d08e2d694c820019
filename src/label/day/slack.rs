//! A Slack that counts: calls in every minute, what was posted, and what it was made to answer.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::people::People;
use super::{HOUR, MINUTE};
use crate::clock::Clock;

/// How Slack misbehaves: from when on, for how long, in seconds.
const TROUBLES: [(u64, u64, Trouble); 5] = [
    (45 * MINUTE, 2 * MINUTE, Trouble::Away),
    (100 * MINUTE, 5 * MINUTE, Trouble::Busy),
    (3 * HOUR, HOUR, Trouble::Away),
    (5 * HOUR + 30 * MINUTE, 3 * MINUTE, Trouble::Mute),
    (7 * HOUR, 8 * MINUTE, Trouble::Away),
];
/// The service is killed while Slack handles this call of the method, and is down for so many seconds.
pub const KILLS: [(&str, usize, u64); 5] = [
    ("chat.postMessage", 60, 90),
    ("chat.update", 200, 120),
    ("chat.postMessage", 500, 40 * MINUTE),
    ("chat.update", 900, 90),
    ("chat.postMessage", 1_100, 300),
];
/// Where nothing else is wrong, one answer in so many is lost on its way.
const LOST_OF: usize = 150;
/// In any minute: messages in a channel, and calls of Tier 3 (docs.slack.dev, "Rate limits").
const LIMITS: [(&str, usize); 3] = [
    ("chat.postMessage", 60),
    ("chat.update", 50),
    ("conversations.history", 50),
];
/// As long as Slack asks to wait when it is busy, in seconds.
const WAIT: u64 = 30;

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// No call comes through.
    Away,
    /// Too many calls, by whomever.
    Busy,
    /// It does what it is asked, and its answers are lost.
    Mute,
}

/// A message as it stands.
#[derive(Clone)]
pub struct Standing {
    pub ts: String,
    pub metadata: Value,
    pub blocks: Value,
    pub is_deleted: bool,
    updated_ms: i64,
}

impl Standing {
    /// The trace of a card.
    pub fn trace(&self) -> &str {
        let trace = &self.metadata["event_payload"]["trace_id"];
        trace.as_str().expect("a card names its trace")
    }

    /// Whether it asks about a trace.
    pub fn is_card(&self) -> bool {
        self.metadata["event_type"] == "iofold_trace"
    }
}

/// What happened in an hour, or in all.
#[derive(Clone, Copy, Default)]
pub struct Counted {
    pub posted: u64,
    pub updated: u64,
    pub failed: u64,
    pub limited: u64,
    pub ambiguous: u64,
    pub restarts: u64,
    pub over_a_limit: u64,
}

#[derive(Default)]
struct Kept {
    messages: Vec<Standing>,
    at: HashMap<String, usize>,
    calls: HashMap<&'static str, VecDeque<u64>>,
    of_method: HashMap<String, usize>,
    hours: BTreeMap<u64, Counted>,
    down: Option<u64>,
}

/// The stand-in.
#[derive(Clone)]
pub struct DaySlack {
    /// Where its `/api/` is.
    pub url: String,
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
    kill: Arc<Notify>,
}

impl DaySlack {
    pub async fn start(clock: Clock) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let slack = Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            clock,
            kept: Arc::default(),
            kill: Arc::default(),
        };
        let router = Router::new()
            .route("/api/{method}", axum::routing::any(Self::answer))
            .with_state(slack.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        slack
    }

    fn with<T>(&self, on: impl FnOnce(&mut Kept) -> T) -> T {
        on(&mut self.kept.lock().expect("nobody panics"))
    }

    fn seconds(&self) -> u64 {
        self.clock.elapsed().as_secs()
    }

    /// Adds to the hour of a time.
    pub fn count(&self, seconds: u64, add: impl FnOnce(&mut Counted)) {
        self.with(|kept| add(kept.hours.entry(seconds / HOUR).or_default()));
    }

    /// Waits until the service is to be killed; gives for how many seconds.
    pub async fn killed(&self) -> u64 {
        self.kill.notified().await;
        self.with(|kept| kept.down.take()).expect("it was said")
    }

    /// Whether people can click.
    pub fn is_there(&self) -> bool {
        self.trouble() != Some(Trouble::Away)
    }

    /// The messages of a kind, in the order in which they came.
    pub fn of_kind(&self, event_type: &str) -> Vec<Standing> {
        self.with(|kept| {
            let messages = kept.messages.iter();
            let of_kind = messages.filter(|message| message.metadata["event_type"] == event_type);
            of_kind.cloned().collect()
        })
    }

    /// The messages from a number on.
    pub fn since(&self, seen: usize) -> Vec<Standing> {
        self.with(|kept| kept.messages[seen..].to_vec())
    }

    /// Somebody deletes a message.
    pub fn delete(&self, ts: &str) {
        self.with(|kept| {
            let at = kept.at[ts];
            kept.messages[at].is_deleted = true;
        });
    }

    /// All hours together.
    pub fn counted(&self) -> Counted {
        self.with(|kept| {
            kept.hours
                .values()
                .fold(Counted::default(), |all, hour| Counted {
                    posted: all.posted + hour.posted,
                    updated: all.updated + hour.updated,
                    failed: all.failed + hour.failed,
                    limited: all.limited + hour.limited,
                    ambiguous: all.ambiguous + hour.ambiguous,
                    restarts: all.restarts + hour.restarts,
                    over_a_limit: all.over_a_limit + hour.over_a_limit,
                })
        })
    }

    /// What happened, hour by hour, in Markdown.
    pub fn table(&self, people: &People) -> String {
        let mut table = "| Hour | Traces | Messages | Thumbs | Updates | Calls that failed | Told to wait | Answers lost | Restarts | Over a limit |\n\
                         |---|---|---|---|---|---|---|---|---|---|\n".to_owned();
        let hours = self.with(|kept| kept.hours.clone());
        let of = |counts: &BTreeMap<u64, u64>, hour| counts.get(&hour).copied().unwrap_or(0);
        let mut row = |name: String, traces: u64, thumbs: u64, c: Counted| {
            let _ = writeln!(
                table,
                "| {name} | {traces} | {} | {thumbs} | {} | {} | {} | {} | {} | {} |",
                c.posted, c.updated, c.failed, c.limited, c.ambiguous, c.restarts, c.over_a_limit
            );
        };
        for (hour, counted) in hours {
            let name = format!("{}:00", 9 + hour);
            row(
                name,
                of(&people.came, hour),
                of(&people.thumbs, hour),
                counted,
            );
        }
        let all = |counts: &BTreeMap<u64, u64>| counts.values().sum();
        row(
            "all".to_owned(),
            all(&people.came),
            all(&people.thumbs),
            self.counted(),
        );
        table
    }

    fn trouble(&self) -> Option<Trouble> {
        let now = self.seconds();
        let is_now = |(from, lasts, _): &&(u64, u64, Trouble)| (*from..from + lasts).contains(&now);
        TROUBLES.iter().find(is_now).map(|(_, _, trouble)| *trouble)
    }

    async fn answer(
        State(slack): State<Self>,
        Path(method): Path<String>,
        Query(query): Query<BTreeMap<String, String>>,
        body: Bytes,
    ) -> Response {
        let arguments = serde_json::from_slice(&body).unwrap_or_else(|_| json!(query));
        let now = slack.seconds();
        let trouble = slack.trouble();
        match trouble {
            Some(Trouble::Away) => {
                slack.count(now, |hour| hour.failed += 1);
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            Some(Trouble::Busy) => {
                slack.count(now, |hour| hour.limited += 1);
                return wait(WAIT);
            }
            _ => {}
        }
        if slack.is_over(&method) {
            slack.count(now, |hour| {
                (hour.over_a_limit, hour.limited) = (hour.over_a_limit + 1, hour.limited + 1)
            });
            return wait(WAIT);
        }
        let answer = slack.act(&method, &arguments);
        let number = slack.with(|kept| {
            let number = kept.of_method.entry(method.clone()).or_default();
            *number += 1;
            *number
        });
        let kill = KILLS
            .iter()
            .find(|(at, call, _)| (*at, *call) == (method.as_str(), number));
        if let Some((_, _, down)) = kill {
            slack.with(|kept| kept.down = Some(*down));
            slack.kill.notify_one();
            std::future::pending::<()>().await;
        }
        let is_lost = trouble == Some(Trouble::Mute) || number % LOST_OF == 0;
        if is_lost && method.starts_with("chat.") {
            slack.count(now, |hour| hour.ambiguous += 1);
            return StatusCode::BAD_GATEWAY.into_response();
        }
        Json(answer).into_response()
    }

    /// Whether a call is one too many in the last minute; counts it.
    fn is_over(&self, method: &str) -> bool {
        let now = self.clock.elapsed().as_millis() as u64;
        let Some((method, limit)) = LIMITS.iter().find(|(name, _)| *name == method) else {
            return false;
        };
        self.with(|kept| {
            let calls = kept.calls.entry(*method).or_default();
            while calls.front().is_some_and(|at| at + 60_000 <= now) {
                calls.pop_front();
            }
            calls.push_back(now);
            calls.len() > *limit
        })
    }

    fn act(&self, method: &str, arguments: &Value) -> Value {
        let (now, ms) = (self.seconds(), self.clock.now().timestamp_millis());
        match method {
            "chat.postMessage" => {
                self.count(now, |hour| hour.posted += 1);
                self.with(|kept| kept.post(ms, arguments))
            }
            "chat.update" => {
                self.count(now, |hour| hour.updated += 1);
                self.with(|kept| kept.update(ms, arguments))
            }
            "conversations.history" => self.with(|kept| kept.history(arguments)),
            _ => {
                json!({"ok": true, "team_id": "T1", "team": "t", "user_id": "U0", "url": "https://t.slack.com/"})
            }
        }
    }
}

impl Kept {
    fn post(&mut self, now_ms: i64, arguments: &Value) -> Value {
        let number = self.messages.len();
        let ts = format!(
            "{}.{:06}",
            now_ms / 1000,
            (now_ms % 1000) * 1000 + number as i64 % 1000
        );
        self.at.insert(ts.clone(), number);
        self.messages.push(Standing {
            ts: ts.clone(),
            metadata: arguments["metadata"].clone(),
            blocks: arguments["blocks"].clone(),
            is_deleted: false,
            updated_ms: 0,
        });
        json!({"ok": true, "channel": "C1", "ts": ts})
    }

    fn update(&mut self, now_ms: i64, arguments: &Value) -> Value {
        let at = self.at[arguments["ts"].as_str().expect("a ts")];
        let message = &mut self.messages[at];
        if message.is_deleted {
            return json!({"ok": false, "error": "message_not_found"});
        }
        let pause = now_ms - message.updated_ms;
        assert!(pause >= 1_000, "two updates of a message within {pause} ms");
        message.updated_ms = now_ms;
        message.blocks = arguments["blocks"].clone();
        json!({"ok": true, "channel": "C1", "ts": message.ts})
    }

    fn history(&self, arguments: &Value) -> Value {
        let number = |text: &Value| text.as_str().and_then(|text| text.parse::<f64>().ok());
        let oldest = number(&arguments["oldest"]).unwrap_or(0.0);
        let skip = number(&arguments["cursor"]).unwrap_or(0.0) as usize;
        let since = self.messages.iter().rev().filter(|message| {
            !message.is_deleted && message.ts.parse::<f64>().expect("a time") > oldest
        });
        let shown = |message: &Standing| json!({"ts": message.ts, "metadata": message.metadata});
        let page: Vec<Value> = since.clone().skip(skip).take(200).map(shown).collect();
        let next = if page.len() == 200 {
            (skip + 200).to_string()
        } else {
            String::new()
        };
        json!({"ok": true, "messages": page, "response_metadata": {"next_cursor": next}})
    }
}

fn wait(seconds: u64) -> Response {
    let headers = [(header::RETRY_AFTER, seconds.to_string())];
    let body = Json(json!({"ok": false, "error": "ratelimited"}));
    (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
}
