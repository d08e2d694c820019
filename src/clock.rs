//! The clock of what waits: the machine's, or in tests one that stands still until everybody sleeps.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

#[cfg(test)]
pub use turned::Turned;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Where times come from, and what sleeping means.
#[derive(Clone, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    Machine,
    /// One that tests turn.
    #[cfg(test)]
    Turned(std::sync::Arc<Turned>),
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Clock {
    /// The time of day.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Machine => Utc::now(),
            #[cfg(test)]
            Self::Turned(turned) => turned.now(),
        }
    }

    /// Time since some start; never goes back, whatever happens to the time of day.
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::Machine => STARTED.elapsed(),
            #[cfg(test)]
            Self::Turned(turned) => turned.elapsed(),
        }
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::Machine => tokio::time::sleep(duration).await,
            #[cfg(test)]
            Self::Turned(turned) => turned.sleep(duration).await,
        }
    }
}

#[cfg(test)]
mod turned {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use tokio::sync::oneshot;

    use super::Clock;

    /// Time passes only while each of a known number of actors sleeps: it then jumps to the next one's
    /// waking. Network and database may take as long as they like.
    pub struct Turned {
        start: DateTime<Utc>,
        state: Mutex<State>,
    }

    struct State {
        elapsed: Duration,
        actors: usize,
        asleep: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
        sleeps: u64,
    }

    impl Turned {
        /// A clock for so many actors, that starts at `start`.
        pub fn starting(start: DateTime<Utc>, actors: usize) -> (Arc<Self>, Clock) {
            let state = Mutex::new(State {
                elapsed: Duration::ZERO,
                actors,
                asleep: BTreeMap::new(),
                sleeps: 0,
            });
            let turned = Arc::new(Self { start, state });
            (turned.clone(), Clock::Turned(turned))
        }

        /// The time of day.
        pub fn now(&self) -> DateTime<Utc> {
            self.start + self.elapsed()
        }

        /// Since it started.
        pub fn elapsed(&self) -> Duration {
            self.state.lock().expect("nobody panics").elapsed
        }

        /// Sleeps as one of the actors.
        pub async fn sleep(&self, duration: Duration) {
            let (wake, woken) = oneshot::channel();
            {
                let mut state = self.state.lock().expect("nobody panics");
                state.sleeps += 1;
                let key = (state.elapsed + duration, state.sleeps);
                state.asleep.insert(key, wake);
                state.turn();
            }
            let _ = woken.await;
        }

        /// One actor more, which is awake.
        pub fn enter(&self) {
            self.state.lock().expect("nobody panics").actors += 1;
        }

        /// One actor has ended; the others do not wait for it.
        pub fn leave(&self) {
            let mut state = self.state.lock().expect("nobody panics");
            state.actors -= 1;
            state.turn();
        }
    }

    impl State {
        /// Wakes the next sleeper once all sleep. One that was given up is none.
        fn turn(&mut self) {
            self.asleep.retain(|_, wake| !wake.is_closed());
            while self.asleep.len() >= self.actors.max(1) {
                let Some(((at, _), wake)) = self.asleep.pop_first() else {
                    return;
                };
                self.elapsed = self.elapsed.max(at);
                if wake.send(()).is_ok() {
                    return;
                }
            }
        }
    }
}
