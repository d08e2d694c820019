//! Who gets which worker, and when.
//!
//! A worker never serves two tenants, so giving one tenant's worker to another means ending it and starting a new
//! one, which takes as long as a hundred calls. While several tenants want more workers than there are, each
//! keeps its own for a while.

use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whose traces a worker has seen; `None` where there are no tenants, as on the command line.
pub type Tenant = Option<Arc<str>>;

/// How long a tenant keeps a worker that others want, from its first call on it.
const TURN: Duration = Duration::from_millis(200);
/// How long it keeps it without calling again. Also how often those who wait look for that.
const IDLE: Duration = Duration::from_millis(20);

/// So many places for workers, each taken by one caller at a time, in the order of asking.
pub struct Places<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    idle: Vec<Idle<W>>,
    /// Places without a worker.
    vacant: usize,
    waiting: VecDeque<Waiting<W>>,
}

/// A worker that nobody uses now.
struct Idle<W> {
    worker: W,
    /// Who used it; `None` if nobody has.
    served: Option<Served>,
}

#[derive(Clone)]
struct Served {
    tenant: Tenant,
    since: Instant,
    last: Instant,
}

struct Waiting<W> {
    tenant: Tenant,
    given: mpsc::SyncSender<Found<W>>,
}

/// A place, for one tenant now.
struct Found<W> {
    worker: Option<W>,
    since: Option<Instant>,
    /// Another tenant's worker, which had this place.
    other: Option<W>,
}

/// A place in the hands of a caller. It goes back when this is dropped, with the worker that is then in it.
pub struct Place<'a, W> {
    places: &'a Places<W>,
    tenant: Tenant,
    since: Instant,
    /// To be used, replaced, or taken out.
    pub worker: Option<W>,
}

impl<W> Drop for Place<'_, W> {
    fn drop(&mut self) {
        let served = Served {
            tenant: self.tenant.clone(),
            since: self.since,
            last: Instant::now(),
        };
        self.places.give_back(self.worker.take(), served);
    }
}

impl<W> Places<W> {
    /// A place for each of these workers, which have served nobody.
    pub fn new(workers: Vec<W>) -> Self {
        let unused = |worker| Idle {
            worker,
            served: None,
        };
        Self {
            state: Mutex::new(State {
                idle: workers.into_iter().map(unused).collect(),
                vacant: 0,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// Waits for a place. If it holds a worker, that one has served this tenant alone or nobody.
    pub fn take(&self, tenant: &Tenant) -> Place<'_, W> {
        let found = self.find(tenant);
        // Ending another tenant's worker takes a moment, and nobody else should wait for it.
        drop(found.other);
        Place {
            places: self,
            tenant: tenant.clone(),
            since: found.since.unwrap_or_else(Instant::now),
            worker: found.worker,
        }
    }

    fn find(&self, tenant: &Tenant) -> Found<W> {
        let mut state = self.lock();
        state.serve_waiting();
        if let Some(found) = state.select(tenant, Instant::now()) {
            return found;
        }
        let (given, found) = mpsc::sync_channel(1);
        let tenant = tenant.clone();
        state.waiting.push_back(Waiting { tenant, given });
        drop(state);
        loop {
            match found.recv_timeout(IDLE) {
                Ok(found) => return found,
                Err(RecvTimeoutError::Timeout) => self.lock().serve_waiting(),
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("who waits stays in the queue until a place is given")
                }
            }
        }
    }

    fn give_back(&self, worker: Option<W>, served: Served) {
        let mut state = self.lock();
        match worker {
            Some(worker) => state.idle.push(Idle {
                worker,
                served: Some(served),
            }),
            None => state.vacant += 1,
        }
        state.serve_waiting();
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> State<W> {
    /// Gives places to those who wait, in their order; who can't take what is there is passed over.
    fn serve_waiting(&mut self) {
        let now = Instant::now();
        let mut at = 0;
        while at < self.waiting.len() && (self.vacant > 0 || !self.idle.is_empty()) {
            let tenant = self.waiting[at].tenant.clone();
            match self.select(&tenant, now) {
                Some(found) => self.hand_over(at, found),
                None => at += 1,
            }
        }
    }

    fn hand_over(&mut self, at: usize, found: Found<W>) {
        let waiting = self.waiting.remove(at);
        let refused = waiting.map(|waiting| waiting.given.try_send(found));
        if let Some(Err(_)) = refused {
            // Whoever waited is gone, and what it was given with it.
            self.vacant += 1;
        }
    }

    /// The best place for a caller, if there is one: its own tenant's worker, an unused one, a vacant
    /// place, another tenant's that it need not keep.
    fn select(&mut self, tenant: &Tenant, now: Instant) -> Option<Found<W>> {
        let own = |served: &Served| served.tenant == *tenant;
        let same = |idle: &Idle<W>| idle.served.as_ref().is_some_and(own);
        if let Some(at) = self.idle.iter().rposition(same) {
            return Some(self.take_idle(at));
        }
        if let Some(at) = self.idle.iter().position(|idle| idle.served.is_none()) {
            return Some(self.take_idle(at));
        }
        if self.vacant > 0 {
            self.vacant -= 1;
            return Some(Found::vacant(None));
        }
        let free = |idle: &Idle<W>| {
            idle.served
                .as_ref()
                .is_some_and(|served| served.is_over(now))
        };
        let at = self.idle.iter().position(free)?;
        Some(Found::vacant(Some(self.idle.remove(at).worker)))
    }

    fn take_idle(&mut self, at: usize) -> Found<W> {
        let Idle { worker, served } = self.idle.remove(at);
        Found {
            worker: Some(worker),
            since: served.map(|served| served.since),
            other: None,
        }
    }
}

impl Served {
    fn is_over(&self, now: Instant) -> bool {
        let long_ago = |then, least| now.saturating_duration_since(then) >= least;
        long_ago(self.since, TURN) || long_ago(self.last, IDLE)
    }
}

impl<W> Found<W> {
    fn vacant(other: Option<W>) -> Self {
        Self {
            worker: None,
            since: None,
            other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// A worker that knows whom it served.
    #[derive(Default)]
    struct Worker {
        seen: HashSet<Tenant>,
        calls: usize,
    }

    fn tenant(name: &str) -> Tenant {
        Some(name.into())
    }

    fn places(count: usize) -> Places<Worker> {
        Places::new((0..count).map(|_| Worker::default()).collect())
    }

    /// Takes a place, puts a worker there if there is none, and uses it; whether one was put there.
    fn call(places: &Places<Worker>, tenant: &Tenant) -> bool {
        let mut place = places.take(tenant);
        let is_new = place.worker.is_none();
        let worker = place.worker.get_or_insert_default();
        worker.seen.insert(tenant.clone());
        worker.calls += 1;
        assert_eq!(worker.seen.len(), 1, "a worker serves one tenant");
        is_new
    }

    #[test]
    fn a_tenant_gets_its_own_worker_before_an_unused_one() {
        let places = places(2);
        for _ in 0..3 {
            assert!(!call(&places, &tenant("a")));
        }
        assert_eq!(places.take(&tenant("a")).worker.as_ref().unwrap().calls, 3);
        assert_eq!(places.take(&tenant("b")).worker.as_ref().unwrap().calls, 0);
    }

    #[test]
    fn another_tenants_worker_is_never_given_but_its_place_is() {
        let places = places(1);
        assert!(!call(&places, &tenant("a")));
        assert!(call(&places, &tenant("b")));
        assert!(call(&places, &None));
        assert!(call(&places, &tenant("a")));
    }

    #[test]
    fn a_place_whose_worker_was_taken_out_is_given_empty() {
        let places = places(1);
        places.take(&None).worker = None;
        assert!(places.take(&None).worker.is_none());
    }

    #[test]
    fn many_callers_of_several_tenants_share_few_places() {
        let (places, in_use) = (places(2), AtomicUsize::new(0));
        thread::scope(|scope| {
            for caller in 0..12 {
                let (places, in_use) = (&places, &in_use);
                scope.spawn(move || {
                    let tenant = tenant(["a", "b", "c"][caller % 3]);
                    for _ in 0..50 {
                        let mut place = places.take(&tenant);
                        assert!(in_use.fetch_add(1, Ordering::SeqCst) < 2, "two places");
                        let worker = place.worker.get_or_insert_default();
                        worker.seen.insert(tenant.clone());
                        assert_eq!(worker.seen.len(), 1, "a worker serves one tenant");
                        in_use.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn tenants_that_want_the_same_place_do_not_replace_its_worker_on_every_call() {
        const CALLS: usize = 5000;
        let (places, replaced) = (places(1), AtomicUsize::new(0));
        thread::scope(|scope| {
            for name in ["a", "b"] {
                let (places, replaced) = (&places, &replaced);
                scope.spawn(move || {
                    for _ in 0..CALLS {
                        let is_new = call(places, &tenant(name));
                        replaced.fetch_add(usize::from(is_new), Ordering::SeqCst);
                    }
                });
            }
        });
        let replaced = replaced.into_inner();
        assert!((1..CALLS / 2).contains(&replaced), "{replaced} times");
    }

    #[test]
    fn a_caller_that_panics_leaves_its_place() {
        let places = places(1);
        let panicked = thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let _place = places.take(&None);
                panic!("while it has the place");
            });
            caller.join().is_err()
        });
        assert!(panicked && places.take(&None).worker.is_some());
    }
}
