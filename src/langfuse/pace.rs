use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A minute, in which Langfuse counts.
const MINUTE: Duration = Duration::from_secs(60);
/// After a thorough look short ones are enough for so long.
const THOROUGH_EVERY: Duration = Duration::from_secs(60);
/// A short look begins so long before the last one.
const SHORT_OVERLAP: TimeDelta = TimeDelta::seconds(30);

/// A look that took longer has waited for its requests already.
const LONG_LOOK: Duration = Duration::from_secs(120);
/// Somebody who says that there is something new is believed at once, up to so much time that looks have used
/// ahead of theirs.
const AHEAD_MAX: Duration = Duration::from_secs(60);

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
    /// When it ended, by the same.
    pub ended: Duration,
    /// Up to when it saw everything there was.
    pub through: DateTime<Utc>,
    /// Whether it read the whole overlap again.
    pub thorough: bool,
    /// What it took.
    pub requests: u64,
    /// Requests a minute that looks may take; `None` where there is no limit.
    pub a_minute: Option<f64>,
}

impl Pace {
    /// How long until the next look is due.
    pub fn wait(&self, now: Duration) -> Duration {
        self.kept(|kept| kept.next_at.saturating_sub(now))
    }

    /// Whether to look at once where somebody says that there is something new.
    pub fn takes_hint(&self, now: Duration) -> bool {
        self.wait(now) < AHEAD_MAX
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
            kept.next_at = match look.ended - look.began > LONG_LOOK {
                true => look.ended,
                false => kept.next_at.max(look.began) + gap(look.requests, look.a_minute),
            };
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

/// The time that pays for so many requests.
fn gap(requests: u64, a_minute: Option<f64>) -> Duration {
    a_minute.map_or(Duration::ZERO, |a_minute| {
        MINUTE.mul_f64(requests as f64 / a_minute)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(began: u64, thorough: bool, requests: u64, a_minute: Option<u32>) -> Looked {
        Looked {
            began: Duration::from_secs(began),
            ended: Duration::from_secs(began + 1),
            through: DateTime::UNIX_EPOCH + Duration::from_secs(began),
            thorough,
            requests,
            a_minute: a_minute.map(|a_minute| f64::from(a_minute) * 0.5),
        }
    }

    #[test]
    fn hints_are_believed_until_looks_are_a_minute_ahead_and_a_long_look_has_paid() {
        let pace = Pace::default();
        let at = Duration::from_secs;
        let mut looks = 0;
        while pace.takes_hint(at(100)) {
            pace.looked(look(100, true, 2, Some(30)));
            looks += 1;
        }
        assert_eq!((looks, pace.wait(at(100))), (8, at(64)));
        let long = Looked {
            ended: at(1_000),
            ..look(200, true, 400, Some(30))
        };
        pace.looked(long);
        assert_eq!(pace.wait(at(1_000)), Duration::ZERO);
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
