//! The workers: each call on one of them, and on a fresh one if that fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::SandboxError;
use super::cache::Artefacts;
use super::places::{Place, Places, Tenant};
use super::process::{Failure, Process, Starter};
use super::protocol::{Job, Ready, Reply};
use crate::domain::sha256_hex;

/// What happened since the sandbox was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were not refused before a worker was looked for; there may have been none to start.
    pub calls: u64,
    /// Workers that ended by themselves.
    pub died: u64,
    /// Workers that were ended at the deadline of a call.
    pub hung: u64,
    /// Workers that were ended because they answered nonsense.
    pub nonsense: u64,
    /// Workers that were started in the place of another: of one of those above, or of another tenant's.
    pub replaced: u64,
}

#[derive(Default)]
struct Counters {
    calls: AtomicU64,
    died: AtomicU64,
    hung: AtomicU64,
    nonsense: AtomicU64,
    replaced: AtomicU64,
}

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The worker failed, and so did a fresh one.
    #[error("a sandbox worker failed twice on one call: {0}")]
    Failed(Failure),
    /// There was no fresh one.
    #[error("no sandbox worker could be started")]
    NotStarted(#[source] SandboxError),
}

/// Running workers.
pub struct Pool {
    places: Places<Process>,
    starter: Starter,
    workers: usize,
    counters: Counters,
}

impl Pool {
    /// Starts so many workers that run `program` on `artefacts`.
    pub fn start(
        program: PathBuf,
        artefacts: Artefacts,
        workers: usize,
    ) -> Result<Self, SandboxError> {
        let starter = Starter::new(program, Arc::new(artefacts))?;
        // All lock themselves in at once.
        let started: Result<Vec<_>, _> = (0..workers).map(|_| starter.spawn()).collect();
        let mut started = started?;
        let greeted: Result<Vec<_>, _> = started.iter_mut().map(Process::greet).collect();
        greeted?
            .first()
            .iter()
            .for_each(|ready| warn_of_missing(ready));
        Ok(Self {
            places: Places::new(started),
            starter,
            workers,
            counters: Counters::default(),
        })
    }

    /// How many calls can run at once.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// What a freshly started worker is locked in by.
    pub fn ready(&self) -> Result<Ready, SandboxError> {
        self.starter.start().map(|(_, ready)| ready)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            calls: now(&self.counters.calls),
            died: now(&self.counters.died),
            hung: now(&self.counters.hung),
            nonsense: now(&self.counters.nonsense),
            replaced: now(&self.counters.replaced),
        }
    }

    /// Runs a job on a worker of this tenant, and once again on a fresh one if the worker fails.
    pub fn call(
        &self,
        tenant: &Tenant,
        job: &Job<'_>,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        count(&self.counters.calls);
        let mut place = self.places.take(tenant);
        let first = self.attempt(&mut place, job, deadline);
        match first {
            Err(CallError::Failed(_)) => self.attempt(&mut place, job, deadline),
            reply => reply,
        }
    }

    fn attempt(
        &self,
        place: &mut Place<'_, Process>,
        job: &Job<'_>,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        let mut worker = match place.worker.take() {
            Some(worker) => worker,
            None => self.replacement().map_err(CallError::NotStarted)?,
        };
        match worker.call(job, deadline) {
            Ok(reply) => {
                place.worker = Some(worker);
                Ok(reply)
            }
            Err(failure) => {
                self.note(&failure, job.source);
                Err(CallError::Failed(failure))
            }
        }
    }

    fn replacement(&self) -> Result<Process, SandboxError> {
        let (process, _) = self.starter.start()?;
        count(&self.counters.replaced);
        Ok(process)
    }

    fn note(&self, failure: &Failure, source: &str) {
        count(match failure {
            Failure::Died(_) => &self.counters.died,
            Failure::Hung | Failure::Stuck => &self.counters.hung,
            Failure::Nonsense(_) => &self.counters.nonsense,
        });
        let eval = &sha256_hex(source)[..16];
        tracing::warn!(eval.sha256 = eval, why = %failure, "a sandbox worker is replaced");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let Counts {
            calls,
            died,
            hung,
            nonsense,
            replaced,
        } = self.counts();
        tracing::info!(
            calls,
            died,
            hung,
            nonsense,
            replaced,
            "the sandbox workers end"
        );
    }
}

/// Every worker of this program has the same walls.
fn warn_of_missing(ready: &Ready) {
    for state in ready.walls.iter().filter(|state| !state.stands) {
        let (wall, cost) = (state.wall, state.wall.cost());
        let why = state.why.as_deref().unwrap_or("it did not say why");
        tracing::warn!(%wall, why, "the sandbox lacks a wall: {cost}");
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
