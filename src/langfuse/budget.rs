//! How many requests Langfuse takes of us: one budget a connection, for reading and writing.
//!
//! Langfuse counts requests by organisation, kind of route and minute, and says so in headers, on
//! Cloud only when it refuses one. So each kind's requests of the last minute are kept in mind, and
//! one waits that would be too many; what headers say of the limit, of what is left and of waiting is
//! believed over what was assumed.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

use super::plan::Plan;
use crate::clock::Clock;

/// Langfuse counts by the minute, from the first request on; two seconds more, for requests are under
/// way for different times.
const PERIOD: Duration = Duration::from_secs(62);
/// A longer wait is the caller's affair: the call fails with it, and nothing is sent.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Times are often written in whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);
/// Two ends of a window that are so near each other are one.
const SAME_WINDOW: Duration = Duration::from_secs(3);
/// No header is believed for longer than this; then one request finds out.
const PAUSE_MAX: Duration = Duration::from_mins(15);
/// Requests a period that are kept for backfill while it asks for any: a backlog of scores may last for days.
const FOR_BACKFILL: usize = 2;

/// Where a refusal does not say how long to wait.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// What a request is for. Where there is not room for all, the first of these go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// New traces, and whatever a person waits for.
    #[default]
    Live,
    /// Writing scores.
    Scores,
    /// Reading old traces.
    Backfill,
}

impl Priority {
    /// Of so many requests in a window, those that are left to what goes before this.
    fn reserve(self, limit: u32) -> u32 {
        match self {
            Self::Live => 0,
            Self::Scores => limit.div_ceil(4),
            Self::Backfill => limit.div_ceil(2),
        }
    }
}

/// The kinds of routes that Langfuse counts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Most routes.
    PublicApi,
    /// v3's routes for reading.
    Legacy,
    /// Batches.
    Ingestion,
}

impl Resource {
    /// What a path under `/api/public/` counts as; `None` where it is not counted.
    pub fn of_path(path: &str) -> Option<Self> {
        match path.split('/').next().unwrap_or_default() {
            "health" | "ready" => None,
            "ingestion" | "otel" => Some(Self::Ingestion),
            "traces" | "observations" | "sessions" => Some(Self::Legacy),
            _ => Some(Self::PublicApi),
        }
    }
}

/// A connection's requests.
pub struct Budget {
    clock: Clock,
    /// Langfuse's; `None` for another service.
    plan: Option<Plan>,
    buckets: Mutex<[Bucket; 3]>,
}

#[derive(Default)]
struct Bucket {
    /// Requests a minute; `None` where there is no limit.
    limit: Option<u32>,
    /// When each request of the last period was sent, and what for.
    sent: VecDeque<(Duration, Priority)>,
    /// All that were ever sent.
    total: u64,
    /// What is left according to a header, and until when that holds.
    left: Option<(u32, Duration)>,
    /// Langfuse has asked for silence until then.
    paused_until: Duration,
    /// Whether one request is to find out if that still holds.
    probe: Probe,
    /// When backfill last asked for room.
    backfill_asked: Option<Duration>,
}

/// After a pause that was cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    None,
    /// The next request is the only one until it is answered.
    Due,
    UnderWay,
}

impl Budget {
    /// Nothing is spent yet.
    pub fn new(plan: Plan, clock: Clock) -> Self {
        let bucket = |resource| Bucket {
            limit: plan.limit(resource),
            ..Bucket::default()
        };
        let buckets = [Resource::PublicApi, Resource::Legacy, Resource::Ingestion].map(bucket);
        Self {
            clock,
            plan: Some(plan),
            buckets: Mutex::new(buckets),
        }
    }

    /// The same for any service that takes so many requests a minute; `None` where there is no limit.
    pub fn of_limit(a_minute: Option<u32>, clock: Clock) -> Self {
        let bucket = || Bucket {
            limit: a_minute,
            ..Bucket::default()
        };
        Self {
            clock,
            plan: None,
            buckets: Mutex::new([bucket(), bucket(), bucket()]),
        }
    }

    /// Waits until Langfuse takes one more request, and counts it.
    ///
    /// # Errors
    /// How long it would have to wait, where that is more than five minutes.
    pub async fn spend(&self, resource: Resource, priority: Priority) -> Result<(), Duration> {
        loop {
            let wait = self.bucket(resource, |bucket, now| {
                if priority == Priority::Backfill {
                    bucket.backfill_asked = Some(now);
                }
                let wait = bucket.wait(now, priority);
                if wait.is_zero() {
                    bucket.count(now, priority);
                }
                wait
            });
            match wait {
                Duration::ZERO => return Ok(()),
                long if long > WAIT_MAX => return Err(long),
                short => self.clock.sleep(short).await,
            }
        }
    }

    /// Believes what an answer's headers say of the limit; a refusal (429) is a pause.
    pub fn learn(&self, resource: Resource, headers: &HeaderMap, refused: bool) {
        let told = Told::of(headers, self.clock.now());
        self.bucket(resource, |bucket, now| bucket.learn(&told, refused, now));
    }

    /// Requests a minute that Langfuse takes; `None` where there is no limit.
    pub fn a_minute(&self, resource: Resource) -> Option<u32> {
        self.bucket(resource, |bucket, _| bucket.usable())
    }

    /// The requests that were ever sent.
    pub fn total(&self, resource: Resource) -> u64 {
        self.bucket(resource, |bucket, _| bucket.total)
    }

    /// How many requests of Langfuse's there are, in words; `None` where there is no limit.
    pub fn in_words(&self) -> Option<String> {
        let limit = self.bucket(Resource::PublicApi, |bucket, _| bucket.limit)?;
        let plan = self.plan?;
        Some(match plan.limit(Resource::PublicApi) == Some(limit) {
            true => format!(
                "{limit} requests a minute, as of the plan {plan}; LANGFUSE_PLAN says otherwise"
            ),
            false => format!("{limit} requests a minute, as Langfuse says"),
        })
    }

    /// The time that waiting is measured by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn bucket<T>(&self, resource: Resource, on: impl FnOnce(&mut Bucket, Duration) -> T) -> T {
        let mut buckets = self.buckets.lock().expect("no holder of the lock panics");
        let bucket = &mut buckets[resource as usize];
        let now = self.clock.elapsed();
        bucket.forget(now);
        on(bucket, now)
    }
}

impl Bucket {
    fn forget(&mut self, now: Duration) {
        while self.sent.front().is_some_and(|(at, _)| *at + PERIOD <= now) {
            self.sent.pop_front();
        }
        self.left = self.left.filter(|(_, until)| *until > now);
    }

    fn count(&mut self, now: Duration, priority: Priority) {
        self.sent.push_back((now, priority));
        self.total += 1;
        if self.probe == Probe::Due {
            self.probe = Probe::UnderWay;
            self.paused_until = now + DEFAULT_WAIT;
        }
        self.left = self
            .left
            .map(|(left, until)| (left.saturating_sub(1), until));
    }

    /// One less than the limit: Langfuse Cloud refuses the request that uses the last of it.
    fn usable(&self) -> Option<u32> {
        self.limit.map(|limit| limit.saturating_sub(1).max(1))
    }

    fn wait(&self, now: Duration, priority: Priority) -> Duration {
        let told = self.paused_until.saturating_sub(now);
        told.max(self.wait_for_window(now, priority))
            .max(self.wait_for_room(now, priority))
    }

    /// As far as headers tell what is left.
    fn wait_for_window(&self, now: Duration, priority: Priority) -> Duration {
        let reserve = self.limit.map_or(0, |limit| priority.reserve(limit));
        match self.left {
            Some((left, until)) if left <= reserve => until - now,
            _ => Duration::ZERO,
        }
    }

    /// As far as we know what we sent. Half of all, or a little more than it has taken of late, is kept
    /// for live reading, and of the rest an eighth for scores and a little for backfill: none waits for a burst of
    /// another for long.
    fn wait_for_room(&self, now: Duration, priority: Priority) -> Duration {
        let Some(usable) = self.usable().map(|usable| usable as usize) else {
            return Duration::ZERO;
        };
        let sent = |priority| self.sent.iter().filter(|(_, of)| *of == priority).count();
        let [live, scores, old] = [Priority::Live, Priority::Scores, Priority::Backfill].map(sent);
        let is_asking = self.backfill_asked.is_some_and(|at| at + PERIOD * 2 > now);
        let for_live = usable.div_ceil(2).max(live + 2);
        let for_scores = usable.div_ceil(8).max(scores + 1) - scores;
        let reserved = match priority {
            Priority::Live => 0,
            Priority::Scores if is_asking => for_live + FOR_BACKFILL.saturating_sub(old),
            Priority::Backfill if old >= FOR_BACKFILL => for_live + for_scores,
            Priority::Scores | Priority::Backfill => for_live,
        };
        let all = self.sent.iter().map(|(at, _)| *at).collect();
        let others = self.sent.iter().filter(|(_, of)| *of != Priority::Live);
        let others = others.map(|(at, _)| *at).collect();
        let room = wait_until_fewer(all, usable, now);
        match priority {
            Priority::Live => room,
            _ => room.max(wait_until_fewer(
                others,
                usable.saturating_sub(reserved).max(1),
                now,
            )),
        }
    }

    fn learn(&mut self, told: &Told, refused: bool, now: Duration) {
        self.limit = told.limit.or(self.limit);
        if refused {
            let wait = told.retry_after.or(told.reset).unwrap_or(DEFAULT_WAIT);
            self.probe = match wait > PAUSE_MAX {
                true => Probe::Due,
                false => Probe::None,
            };
            self.paused_until = self.paused_until.max(now + wait.min(PAUSE_MAX));
            return;
        }
        if self.probe == Probe::UnderWay {
            (self.probe, self.paused_until) = (Probe::None, now);
        }
        if let (Some(left), Some(reset)) = (told.remaining, told.reset) {
            // Answers overtake each other: within one window the lowest holds.
            let until = now + reset.min(PAUSE_MAX) + RESOLUTION;
            let known = self.left.filter(|(_, of)| of.abs_diff(until) < SAME_WINDOW);
            let known = known.map_or(u32::MAX, |(left, _)| left);
            self.left = Some((left.min(known), until));
        }
    }
}

/// Until fewer than `most` of the requests that were sent at these times are of the last period.
fn wait_until_fewer(sent: Vec<Duration>, most: usize, now: Duration) -> Duration {
    match sent.len().checked_sub(most) {
        Some(first_too_many) => sent[first_too_many] + PERIOD - now,
        None => Duration::ZERO,
    }
}

/// What the headers of an answer say.
#[derive(Debug, Default, PartialEq)]
struct Told {
    limit: Option<u32>,
    remaining: Option<u32>,
    /// From now.
    reset: Option<Duration>,
    retry_after: Option<Duration>,
}

impl Told {
    fn of(headers: &HeaderMap, now: DateTime<Utc>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name| text(name).and_then(|text| text.trim().parse().ok());
        // By Langfuse's own clock where it shows it, for ours may be off.
        let theirs = text("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let theirs = theirs.map_or(now, |date| date.to_utc());
        Self {
            limit: number("x-ratelimit-limit").filter(|limit| *limit > 0),
            remaining: number("x-ratelimit-remaining"),
            reset: text("x-ratelimit-reset").and_then(|text| until(text, theirs)),
            retry_after: text("retry-after").and_then(|text| until(text, theirs)),
        }
    }
}

/// From `now` to a time as servers write it: seconds from now, seconds or milliseconds since 1970, ISO
/// 8601, an HTTP date, or JavaScript's `Mon Nov 30 2026 11:36:29 GMT+0000 (…)`, which Langfuse sends.
fn until(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    /// More seconds than this are a time and not a wait.
    const A_WAIT: f64 = 1e8;
    const MILLISECONDS: f64 = 1e11;
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        let since_1970 = now.timestamp_millis() as f64 / 1e3;
        let wait = match number {
            small if small < A_WAIT => small,
            seconds if seconds < MILLISECONDS => seconds - since_1970,
            millis => millis / 1e3 - since_1970,
        };
        return Duration::try_from_secs_f64(wait.max(0.0)).ok();
    }
    let javascript = text.split(" (").next().unwrap_or(text);
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc2822(text))
        .or_else(|_| DateTime::parse_from_str(javascript, "%a %b %d %Y %H:%M:%S GMT%z"));
    let wait = time.ok()?.to_utc() - now;
    Some(wait.to_std().unwrap_or_default())
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
