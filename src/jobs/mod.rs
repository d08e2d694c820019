//! The job queue: apalis on the service's own database.
//!
//! Jobs are hints and rows are the truth. A job names a workspace and a kind of work; its handler
//! looks at the rows for what is pending. A lost, repeated or reordered job changes nothing: a sweep
//! pushes every kind again, every few seconds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use apalis::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteSynchronous;

use crate::domain::WorkspaceId;
use crate::store;

const QUEUE: &str = "iofold";
/// Jobs handled at once: most wait for Slack, Langfuse or the database.
const CONCURRENCY: usize = 16;
/// A job pushed again while the first still waits is left out for this long.
const COALESCE_FOR: Duration = Duration::from_secs(2);
/// Behind the database's own wake-up calls.
const QUEUE_POLL: Duration = Duration::from_millis(500);

/// The kinds of work, in the order of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// `ingest`: look at verified webhooks.
    HandleDeliveries,
    /// `ingest`: put the traces together whose spans came by OTLP.
    AssembleTraces,
    /// `callouts`: read what people asked about in Langfuse.
    HandleCallouts,
    /// `ingest`: ask Langfuse for what is new.
    PollTraces,
    /// `ingest`: ask LangSmith and OpenAI for what is new.
    ReadSources,
    /// `ingest`: go on reading old traces.
    BackfillTraces,
    /// `label`: post the cards of settled traces.
    PostCards,
    /// `label`, `report`: bring posted messages up to date.
    RefreshPosts,
    /// `generate`: make an eval version where enough labels are.
    GenerateEval,
    /// `generate`: make the next version of an eval where one is wanted.
    RefineEvals,
    /// `run`: run new versions on the labelled traces.
    RunEvals,
    /// `report`: report versions that have run.
    PostReports,
    /// `score`: score new traces by deployed versions.
    ScoreTraces,
}

impl Work {
    /// Every kind that the sweep pushes.
    pub const ALL: [Self; 13] = [
        Self::HandleDeliveries,
        Self::AssembleTraces,
        Self::HandleCallouts,
        Self::PollTraces,
        Self::ReadSources,
        Self::BackfillTraces,
        Self::PostCards,
        Self::RefreshPosts,
        Self::GenerateEval,
        Self::RefineEvals,
        Self::RunEvals,
        Self::PostReports,
        Self::ScoreTraces,
    ];
}

/// One hint: this workspace may have work of this kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// Whose rows to look at.
    pub workspace: WorkspaceId,
    /// What to look for.
    pub work: Work,
}

/// The queue, for pushing and for running.
#[derive(Clone)]
pub struct Jobs {
    queue: Queue,
    waiting: Arc<Mutex<HashMap<Job, Instant>>>,
}

#[derive(Clone)]
enum Queue {
    Sqlite(apalis_sqlite::SqlitePool),
    Postgres(apalis_postgres::PgPool),
}

impl Jobs {
    /// Opens the queue in the service's database and applies the queue's own migrations.
    pub async fn open(database_url: &str) -> anyhow::Result<(Self, Worker)> {
        let waiting = Arc::default();
        let (queue, wakes) = if database_url.starts_with("sqlite") {
            let url = store::prepared(database_url)?;
            let (pool, wakes) = apalis_sqlite::SqliteStorage::connect_with_callback(&url)?;
            // Each commit of a hint would otherwise wait for the disk, and everything else for it.
            let options = pool.connect_options().as_ref().clone();
            let options = options.synchronous(SqliteSynchronous::Normal);
            pool.set_connect_options(options.pragma("wal_autocheckpoint", store::LOG_PAGES));
            // Not `setup`, which would also turn off SQLite's `synchronous`.
            apalis_sqlite::SqliteStorage::migrations()
                .run(&pool)
                .await
                .context("the job queue's tables could not be made")?;
            (Queue::Sqlite(pool), Some(wakes))
        } else {
            let pool = apalis_postgres::PgPool::connect(database_url).await?;
            apalis_postgres::PostgresStorage::setup(&pool)
                .await
                .context("the job queue's tables could not be made")?;
            (Queue::Postgres(pool), None)
        };
        let jobs = Self { queue, waiting };
        let worker = Worker {
            jobs: jobs.clone(),
            wakes,
        };
        Ok((jobs, worker))
    }

    /// Hints that there may be work. One that already waits is not pushed twice; one that cannot be
    /// pushed is logged, and the sweep makes up for it.
    pub async fn push(&self, workspace: &WorkspaceId, work: Work) {
        let job = Job {
            workspace: workspace.clone(),
            work,
        };
        if !self.mark_waiting(&job) {
            return;
        }
        if let Err(error) = self.insert(&job).await {
            self.unmark_waiting(&job);
            tracing::warn!(workspace.id = %job.workspace, work = ?job.work, error = ?error, "a job could not be pushed");
        }
    }

    async fn insert(&self, job: &Job) -> anyhow::Result<()> {
        let args = serde_json::to_vec(job)?;
        // A failed hint is not retried by the queue: the sweep pushes a new one.
        let task = TaskBuilder::new(args).max_attempts(1).build();
        match &self.queue {
            Queue::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                apalis_sqlite::queries::push_tasks(&mut *connection, QUEUE, &[task]).await?;
            }
            Queue::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                apalis_postgres::queries::push_tasks(&mut *connection, QUEUE, vec![task]).await?;
            }
        }
        Ok(())
    }

    /// Whether the job was not waiting yet; it is now.
    fn mark_waiting(&self, job: &Job) -> bool {
        let mut waiting = self.waiting.lock().expect("no holder of the lock panics");
        let now = Instant::now();
        let still = waiting
            .get(job)
            .is_some_and(|since| now.duration_since(*since) < COALESCE_FOR);
        if !still {
            waiting.insert(job.clone(), now);
        }
        !still
    }

    fn unmark_waiting(&self, job: &Job) {
        let mut waiting = self.waiting.lock().expect("no holder of the lock panics");
        waiting.remove(job);
    }

    /// Deletes hints that were handled before the last hour.
    pub async fn prune(&self) -> anyhow::Result<()> {
        let before = (store::now_ms() / 1000) - 3600;
        match &self.queue {
            Queue::Sqlite(pool) => {
                sqlx::query(
                    "delete from Jobs where status in ('Done', 'Failed', 'Killed') and run_at < $1",
                )
                .bind(before)
                .execute(pool)
                .await?;
            }
            Queue::Postgres(pool) => {
                sqlx::query(
                    "delete from apalis.jobs where status in ('Done', 'Failed', 'Killed')
                     and run_at < to_timestamp($1)",
                )
                .bind(before)
                .execute(pool)
                .await?;
            }
        }
        Ok(())
    }
}

/// The end of the queue that handles jobs; there is one a process.
pub struct Worker {
    jobs: Jobs,
    wakes: Option<apalis_sqlite::callback::HookCallbackListener>,
}

impl Worker {
    /// Handles jobs until `shutdown` completes; jobs that run then are finished, the rest stay queued.
    pub async fn run<H, F>(
        self,
        handle: H,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()>
    where
        H: Fn(Job) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let jobs = self.jobs.clone();
        let turns = Turns::default();
        let service = move |job: Job| {
            let (handle, jobs, turns) = (handle.clone(), jobs.clone(), turns.clone());
            async move {
                jobs.unmark_waiting(&job);
                let done = turns.of(&job).take(|| handle(job.clone())).await;
                if let Err(error) = &done {
                    tracing::warn!(workspace.id = %job.workspace, work = ?job.work, "job failed; the sweep tries again: {error:#}");
                }
                done.map_err(|error| BoxDynError::from(error.to_string()))
            }
        };
        let stop = async move {
            shutdown.await;
            Ok::<(), std::io::Error>(())
        };
        let name = format!("iofold-{}", uuid::Uuid::new_v4());
        let interval = Strategy::new().interval(QUEUE_POLL);
        match self.jobs.queue {
            Queue::Sqlite(pool) => {
                let config = apalis_sqlite::Config::default().queue(QUEUE);
                let storage = apalis_sqlite::SqliteStorage::<Job>::new(&pool).with_config(config);
                let wakes = self.wakes.context("an embedded queue has wake-up calls")?;
                let backend = storage.poll_with_strategy(interval.stream(wakes));
                let worker = WorkerBuilder::new(name)
                    .backend(backend)
                    .concurrency(CONCURRENCY);
                worker.build(service).run_until(stop).await?;
            }
            Queue::Postgres(pool) => {
                let config = apalis_postgres::Config::default().queue(QUEUE);
                let storage =
                    apalis_postgres::PostgresStorage::<Job>::new(&pool).with_config(config);
                let backend = storage.with_pubsub().poll_with_strategy(interval);
                let worker = WorkerBuilder::new(name)
                    .backend(backend)
                    .concurrency(CONCURRENCY);
                worker.build(service).run_until(stop).await?;
            }
        }
        Ok(())
    }
}

/// The same kind of work for a workspace runs once at a time in a process.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<HashMap<Job, Arc<Turn>>>>);

impl Turns {
    fn of(&self, job: &Job) -> Arc<Turn> {
        let mut turns = self.0.lock().expect("no holder of the lock panics");
        turns.entry(job.clone()).or_default().clone()
    }
}

#[derive(Default)]
struct Turn {
    running: tokio::sync::Mutex<()>,
    again: AtomicBool,
}

impl Turn {
    /// Runs `work`, or has the one that runs already run it once more: a hint that comes late takes no
    /// place in the queue, and what it hints at is seen.
    async fn take<F>(&self, work: impl Fn() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        self.again.store(true, Ordering::SeqCst);
        // Asked again after the lock is given back: a hint may have come just before.
        while self.again.load(Ordering::SeqCst) {
            let Ok(_running) = self.running.try_lock() else {
                break;
            };
            while self.again.swap(false, Ordering::SeqCst) {
                work().await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn hints_that_come_while_work_runs_make_it_run_once_more() {
        let (turn, ran, go_on) = (Turn::default(), AtomicUsize::new(0), Notify::new());
        let work = || async {
            ran.fetch_add(1, Ordering::SeqCst);
            go_on.notified().await;
            Ok(())
        };
        let late_hints = async {
            for _ in 0..3 {
                turn.take(work).await?;
            }
            assert_eq!(ran.load(Ordering::SeqCst), 1, "the first one still runs");
            go_on.notify_one();
            tokio::task::yield_now().await;
            go_on.notify_one();
            anyhow::Ok(())
        };
        let (first, late) = tokio::join!(turn.take(work), late_hints);
        first.and(late).expect("nothing fails");
        assert_eq!(ran.load(Ordering::SeqCst), 2);
    }
}
