//! Slack's limits, kept before Slack has to name them.
//!
//! Each call waits for its turn: so many of a method a minute, and of messages so many in a channel. Where
//! Slack asks to wait all the same, every later call of the method waits too. Known to one process; where
//! several post for one team, Slack's own answers hold them back.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Clock;

/// Where Slack asks for a longer wait, the call ends instead, and the connection rests.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

/// How often a method may be called: `burst` calls at once after a rest, then `a_minute` of them.
#[derive(Clone, Copy)]
struct Limit {
    a_minute: f64,
    burst: u32,
}

/// A channel takes about one message a second, with short bursts (docs.slack.dev, "Rate limits"): in no minute more
/// than 60.
const MESSAGES: Limit = Limit {
    a_minute: 57.0,
    burst: 3,
};
/// Tier 3 takes 50 calls a minute: in no minute more.
const TIER_3: Limit = Limit {
    a_minute: 45.0,
    burst: 5,
};

/// What is paced; the rest is called when a person acts, and seldom.
fn limit_of(method: &str) -> Option<Limit> {
    match method {
        "chat.postMessage" => Some(MESSAGES),
        "chat.update" | "conversations.history" | "conversations.replies" => Some(TIER_3),
        _ => None,
    }
}

/// Whose limits a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Slack's, as documented.
    Documented,
    /// Its own, which nobody knows: calls wait only where it asks for that.
    AsTold,
}

/// The turns of one app in one team.
pub struct Pacer {
    clock: Clock,
    pace: Pace,
    turns: Mutex<HashMap<(&'static str, String), Turns>>,
}

/// By the clock's [`Clock::elapsed`].
#[derive(Clone, Copy, Default)]
struct Turns {
    /// When the next call would be due if all were evenly spread.
    next: Duration,
    /// Until when Slack asks to wait.
    told: Duration,
}

impl Pacer {
    /// Turns of which none is taken.
    pub fn new(pace: Pace, clock: Clock) -> Self {
        let turns = Mutex::default();
        Self { clock, pace, turns }
    }

    /// Waits until the method may be called.
    ///
    /// # Errors
    /// How long Slack asks to wait still, where that is too long to wait for.
    pub async fn turn(&self, method: &'static str, channel: &str) -> Result<(), Duration> {
        let wait = self.take(method, channel)?;
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        Ok(())
    }

    /// Notes that Slack asks to wait.
    pub fn told(&self, method: &'static str, channel: &str, wait: Duration) {
        let now = self.clock.elapsed();
        self.with(method, channel, |turns| {
            turns.told = turns.told.max(now + wait);
        });
    }

    /// Takes the next turn; gives how long it is until then.
    fn take(&self, method: &'static str, channel: &str) -> Result<Duration, Duration> {
        let now = self.clock.elapsed();
        let limit = limit_of(method).filter(|_| self.pace == Pace::Documented);
        self.with(method, channel, |turns| {
            let told = turns.told.saturating_sub(now);
            if told > WAIT_MAX {
                return Err(told);
            }
            let Some(limit) = limit else {
                return Ok(told);
            };
            let gap = Duration::from_secs(60).div_f64(limit.a_minute);
            let due = turns.next.max(now).max(turns.told);
            turns.next = due + gap;
            let ahead = gap * (limit.burst - 1);
            Ok(due.saturating_sub(now + ahead).max(told))
        })
    }

    fn with<T>(&self, method: &'static str, channel: &str, on: impl FnOnce(&mut Turns) -> T) -> T {
        let channel = match method {
            "chat.postMessage" => channel,
            _ => "",
        };
        let mut turns = self.turns.lock().expect("no holder of the lock panics");
        on(turns.entry((method, channel.to_owned())).or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Turned;

    fn turned() -> Clock {
        let start = "2026-06-01T00:00:00Z".parse().expect("a time");
        Turned::starting(start, 1).1
    }

    /// When each of so many calls, made as soon as they may be after pauses, has its turn.
    async fn turns(pacer: &Pacer, method: &'static str, pauses: &[u64]) -> Vec<Duration> {
        let mut at = Vec::new();
        for pause in pauses {
            pacer.clock.sleep(Duration::from_millis(*pause)).await;
            pacer.turn(method, "C1").await.expect("nothing was told");
            at.push(pacer.clock.elapsed());
        }
        at
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_calls_than_slack_takes(
            pauses in proptest::collection::vec(0_u64..3_000, 1..300),
        ) {
            for (method, limit) in [("chat.postMessage", 60), ("chat.update", 50)] {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it is made");
                let at = runtime.block_on(turns(&Pacer::new(Pace::Documented, turned()), method, &pauses));
                for (first, from) in at.iter().enumerate() {
                    let within = |to: &&Duration| **to - *from < Duration::from_secs(60);
                    let calls = at[first..].iter().take_while(within).count();
                    prop_assert!(calls <= limit, "{calls} of {method}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_call_after_a_rest_has_its_turn_at_once_and_channels_dont_wait_for_each_other() {
        let pacer = Pacer::new(Pace::Documented, turned());
        let at = turns(&pacer, "chat.postMessage", &[10_000, 0, 0]).await;
        assert_eq!(at[2], Duration::from_secs(10));
        pacer.turn("chat.postMessage", "C2").await.expect("a turn");
        assert_eq!(pacer.clock.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test]
    async fn what_slack_asks_of_one_call_holds_for_all_of_the_method_and_for_no_other() {
        for pacer in [
            Pacer::new(Pace::Documented, turned()),
            Pacer::new(Pace::AsTold, turned()),
        ] {
            let seconds = Duration::from_secs;
            pacer.told("chat.update", "C1", seconds(60));
            assert_eq!(pacer.turn("chat.update", "C2").await, Err(seconds(60)));
            assert_eq!(pacer.turn("chat.postMessage", "C1").await, Ok(()));
            pacer.clock.sleep(seconds(57)).await;
            assert_eq!(pacer.turn("chat.update", "C1").await, Ok(()));
            assert_eq!(pacer.clock.elapsed(), seconds(60));
        }
    }
}
