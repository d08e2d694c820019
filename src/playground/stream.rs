use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::cards::{self, Card};
use super::{Place, Playground};

/// What a channel shows at the first look.
const AT_START: usize = 3;
/// Once an eval is deployed, a trace arrives at least this often, so that its scores can be seen.
const PAUSE_WHEN_SCORED: Duration = Duration::from_secs(10);
/// While this many cards wait for a label, no more traces arrive.
const UNLABELLED_MAX: usize = 5;
/// A trace without a card after this long is not asked about, or late: it no longer counts as coming.
const CARD_WITHIN: Duration = Duration::from_secs(45);
/// A page asks again within 25 s; without it for longer, nobody watches.
const WATCHED_FOR: Duration = Duration::from_secs(40);
/// How often the stream looks.
const TICK: Duration = Duration::from_millis(500);

/// When a page last asked for changes.
#[derive(Default)]
pub struct Watched(Mutex<Option<Instant>>);

impl Watched {
    /// Notes that a page asks now.
    pub fn note(&self) {
        *self.0.lock().expect("no holder of the lock panics") = Some(Instant::now());
    }

    fn is_now(&self) -> bool {
        let last = self.0.lock().expect("no holder of the lock panics");
        last.is_some_and(|at| at.elapsed() < WATCHED_FOR)
    }
}

/// The traces of a place that have been released and have no card yet.
#[derive(Default)]
pub struct Releases {
    coming: HashMap<String, Instant>,
    last: Option<Instant>,
}

impl Releases {
    /// How many cards are still to be expected.
    pub fn coming(&mut self, cards: &[cards::Card]) -> usize {
        for card in cards {
            self.coming.remove(&card.trace_id);
        }
        self.coming.retain(|_, at| at.elapsed() < CARD_WITHIN);
        self.coming.len()
    }

    fn is_due(&self, pause: Duration) -> bool {
        self.last.is_none_or(|at| at.elapsed() >= pause)
    }
}

impl Playground {
    /// Lets traces arrive until `stopped` completes; then pages that wait for changes are answered.
    pub async fn run(self, stopped: impl Future<Output = ()>) {
        tokio::pin!(stopped);
        if self.0.releases_by_itself {
            self.greet();
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = &mut stopped => break,
            }
            if self.0.releases_by_itself {
                self.stream();
            }
        }
        self.0.stopping.cancel();
    }

    /// The first traces of each channel that has none.
    pub(super) fn greet(&self) {
        for place in &self.0.places {
            if self.0.langfuse.traces(&place.project).is_empty() {
                self.release(place, AT_START);
            }
        }
    }

    /// One more trace for each channel that has room for it, while somebody watches.
    pub(super) fn stream(&self) {
        if !self.0.watched.is_now() {
            return;
        }
        for place in &self.0.places {
            if self.is_due(place) {
                self.release(place, 1);
            }
        }
    }

    fn is_due(&self, place: &Place) -> bool {
        let (unlabelled, coming) = self.expected(place);
        let eval = cards::eval_state(&self.0.slack.state(), &place.channel);
        let releases = place.releases.lock();
        let releases = releases.expect("no holder of the lock panics");
        let has_room = unlabelled + coming < UNLABELLED_MAX;
        (has_room && releases.is_due(self.0.release_pause))
            || (eval.is_deployed && releases.is_due(PAUSE_WHEN_SCORED))
    }

    /// How many cards of recorded traces wait for a label, and how many more will come. Nobody but the visitor has a label
    /// for other traces.
    pub(super) fn expected(&self, place: &Place) -> (usize, usize) {
        let cards = cards::cards(&self.0.slack.state(), &place.channel);
        let is_recorded = |card: &Card| !self.0.langfuse.recorded_labels(&card.trace_id).is_empty();
        let waits = |card: &&Card| !card.is_labelled() && is_recorded(card);
        let unlabelled = cards.iter().filter(waits).count();
        let mut releases = place.releases.lock().expect("no holder of the lock panics");
        (unlabelled, releases.coming(&cards))
    }

    /// The next recorded traces happen now.
    pub(super) fn release(&self, place: &Place, count: usize) -> Vec<String> {
        if count == 0 {
            return Vec::new();
        }
        let released = self.0.langfuse.release(&place.project, count);
        let now = Instant::now();
        let mut releases = place.releases.lock().expect("no holder of the lock panics");
        releases.last = Some(now);
        releases
            .coming
            .extend(released.iter().map(|id| (id.clone(), now)));
        released
    }
}
