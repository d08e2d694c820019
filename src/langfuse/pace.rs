use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Of the requests that Langfuse takes, the share that looking for new traces uses at most.
const LIVE_SHARE: f64 = 0.5;
/// A minute, in which Langfuse counts.
const MINUTE: Duration = Duration::from_secs(60);
/// After a thorough look short ones are enough for so long.
const THOROUGH_EVERY: Duration = Duration::from_secs(60);
/// A short look begins so long before the last one.
const SHORT_OVERLAP: TimeDelta = TimeDelta::seconds(30);

/// How often a connection is looked at for new traces, and how far back: the more requests a look takes of
/// a tight budget, the longer until the next.
#[derive(Default)]
pub struct Pace(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    next_at: Duration,
    looked: Option<DateTime<Utc>>,
    thorough_at: Option<Duration>,
}

/// A look that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    /// When it began, by [`crate::clock::Clock::elapsed`].
    pub began: Duration,
    /// Up to when it saw everything there was.
    pub through: DateTime<Utc>,
    /// Whether it read the whole overlap again.
    pub thorough: bool,
    /// What it took.
    pub requests: u64,
    /// Requests a minute that Langfuse takes; `None` where there is no limit.
    pub a_minute: Option<u32>,
}

impl Pace {
    /// How long until the next look is due.
    pub fn wait(&self, now: Duration) -> Duration {
        self.kept(|kept| kept.next_at.saturating_sub(now))
    }

    /// From when on to look, where a short look is enough: one that begins a little before the last.
    pub fn short_from(&self, now: Duration) -> Option<DateTime<Utc>> {
        self.kept(|kept| {
            let is_recent = |at: Duration| at + THOROUGH_EVERY > now;
            kept.thorough_at.filter(|at| is_recent(*at))?;
            Some(kept.looked? - SHORT_OVERLAP)
        })
    }

    /// Notes a look that saw all there was.
    pub fn looked(&self, look: Looked) {
        self.kept(|kept| {
            kept.next_at = look.began + gap(look.requests, look.a_minute);
            kept.looked = Some(look.through);
            if look.thorough {
                kept.thorough_at = Some(look.began);
            }
        });
    }

    /// Notes that a look did not get to its end: the next one is thorough.
    pub fn missed(&self) {
        self.kept(|kept| kept.thorough_at = None);
    }

    fn kept<T>(&self, on: impl FnOnce(&mut Kept) -> T) -> T {
        on(&mut self.0.lock().expect("no holder of the lock panics"))
    }
}

/// The time in which live reading's share pays for so many requests.
fn gap(requests: u64, a_minute: Option<u32>) -> Duration {
    let Some(a_minute) = a_minute else {
        return Duration::ZERO;
    };
    MINUTE.mul_f64(requests as f64 / (f64::from(a_minute) * LIVE_SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(began: u64, thorough: bool, requests: u64, a_minute: Option<u32>) -> Looked {
        Looked {
            began: Duration::from_secs(began),
            through: DateTime::UNIX_EPOCH + Duration::from_secs(began),
            thorough,
            requests,
            a_minute,
        }
    }

    #[test]
    fn the_more_a_look_takes_of_a_tight_budget_the_longer_until_the_next() {
        for (requests, a_minute, seconds) in [
            (2, Some(30), 8),
            (15, Some(30), 60),
            (15, Some(1_000), 1),
            (1_000, None, 0),
        ] {
            let pace = Pace::default();
            assert_eq!(pace.wait(Duration::ZERO), Duration::ZERO);
            pace.looked(look(100, true, requests, a_minute));
            let wait = pace.wait(Duration::from_secs(100));
            assert_eq!(wait.as_secs(), seconds, "{requests} of {a_minute:?}");
            assert_eq!(pace.wait(Duration::from_secs(161)), Duration::ZERO);
        }
    }

    #[test]
    fn a_look_is_thorough_once_a_minute_and_after_one_that_failed() {
        let pace = Pace::default();
        let from = |now| pace.short_from(Duration::from_secs(now));
        assert_eq!(from(0), None, "the first is thorough");
        pace.looked(look(100, true, 1, None));
        let expected = |at: i64| DateTime::from_timestamp(at - 30, 0);
        assert_eq!(from(110), expected(100));
        pace.looked(look(110, false, 1, None));
        assert_eq!((from(120), from(160)), (expected(110), None));
        pace.missed();
        assert_eq!(from(120), None);
    }
}
