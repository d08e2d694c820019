use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How strictly the stand-in counts calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateLimits {
    /// As Slack documents them.
    Documented,
    /// Slack's, times this factor: 10.0 allows ten times as many calls.
    Scaled(f64),
    /// No limits.
    Lifted,
}

impl RateLimits {
    fn factor(self) -> Option<f64> {
        match self {
            Self::Documented => Some(1.0),
            Self::Scaled(factor) => Some(factor),
            Self::Lifted => None,
        }
    }
}

/// A method's limit: `a_minute` calls on average, `burst` of them at once.
#[derive(Clone, Copy)]
struct Limit {
    a_minute: f64,
    burst: f64,
}

/// docs.slack.dev, "Rate limits": Tier 3 is 50 a minute, Tier 4 100 a minute; a channel takes about one
/// message a second with short bursts; `auth.test` has hundreds a minute.
fn limit_of(method: &str) -> Limit {
    let (a_minute, burst) = match method {
        "chat.postMessage" => (60.0, 10.0),
        "auth.test" => (600.0, 100.0),
        "chat.update"
        | "chat.delete"
        | "conversations.history"
        | "conversations.replies"
        | "conversations.info"
        | "conversations.open"
        | "conversations.join"
        | "users.conversations"
        | "reactions.get" => (50.0, 50.0),
        "conversations.list" => (20.0, 20.0),
        _ => (100.0, 100.0),
    };
    Limit { a_minute, burst }
}

/// Counts calls by method, and by channel for messages.
pub struct RateCounter {
    limits: RateLimits,
    buckets: HashMap<(String, String), Bucket>,
}

struct Bucket {
    left: f64,
    filled_at: Instant,
}

impl RateCounter {
    /// A counter that has seen no call.
    pub fn new(limits: RateLimits) -> Self {
        let buckets = HashMap::new();
        Self { limits, buckets }
    }

    /// Counts a call; `Err` holds the whole seconds to wait, as in `Retry-After`.
    pub fn take(&mut self, method: &str, channel: &str, now: Instant) -> Result<(), u64> {
        let Some(factor) = self.limits.factor() else {
            return Ok(());
        };
        let limit = limit_of(method);
        let a_second = limit.a_minute * factor / 60.0;
        let burst = limit.burst * factor.max(1.0);
        let channel = if method == "chat.postMessage" {
            channel
        } else {
            ""
        };
        let key = (method.to_owned(), channel.to_owned());
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            left: burst,
            filled_at: now,
        });
        bucket.fill(a_second, burst, now);
        bucket.take().map_err(|missing| seconds(missing / a_second))
    }
}

impl Bucket {
    fn fill(&mut self, a_second: f64, burst: f64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        self.left = (self.left + elapsed.as_secs_f64() * a_second).min(burst);
        self.filled_at = now;
    }

    /// Takes one call; `Err` is what is missing for it.
    fn take(&mut self) -> Result<(), f64> {
        if self.left < 1.0 {
            return Err(1.0 - self.left);
        }
        self.left -= 1.0;
        Ok(())
    }
}

fn seconds(wait: f64) -> u64 {
    Duration::from_secs_f64(wait.clamp(0.0, 3_600.0)).as_secs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(counter: &mut RateCounter, method: &str, channel: &str, now: Instant) -> usize {
        (0..1_000)
            .take_while(|_| counter.take(method, channel, now).is_ok())
            .count()
    }

    #[test]
    fn a_channel_takes_a_short_burst_and_then_one_message_a_second() {
        let mut counter = RateCounter::new(RateLimits::Documented);
        let start = Instant::now();
        assert_eq!(taken(&mut counter, "chat.postMessage", "C1", start), 10);
        assert_eq!(counter.take("chat.postMessage", "C1", start), Err(2));
        assert_eq!(taken(&mut counter, "chat.postMessage", "C2", start), 10);
        let later = start + Duration::from_secs(3);
        assert_eq!(taken(&mut counter, "chat.postMessage", "C1", later), 3);
    }

    #[test]
    fn tier_3_is_fifty_and_tier_4_a_hundred_a_minute() {
        let mut counter = RateCounter::new(RateLimits::Documented);
        let now = Instant::now();
        assert_eq!(taken(&mut counter, "chat.update", "C1", now), 50);
        assert_eq!(taken(&mut counter, "views.open", "", now), 100);
        let minute = now + Duration::from_secs(60);
        assert_eq!(taken(&mut counter, "chat.update", "C1", minute), 50);
    }

    #[test]
    fn limits_are_scaled_and_lifted() {
        let now = Instant::now();
        let mut scaled = RateCounter::new(RateLimits::Scaled(4.0));
        assert_eq!(taken(&mut scaled, "chat.update", "C1", now), 200);
        let mut lifted = RateCounter::new(RateLimits::Lifted);
        assert_eq!(taken(&mut lifted, "chat.update", "C1", now), 1_000);
    }
}
