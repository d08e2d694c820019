//! Runs an eval's Python on one trace, in a fresh CPython that can reach nothing.
//!
//! In: an eval's source and one trace, schema version 1, as JSON text; both are hostile. Out: an
//! [`Outcome`]: a verdict with its reason, or an error that says whose fault it is.
//!
//! Two walls. The first is [`guest`]: CPython as wasm, which imports nothing. The second is the [`worker`] that
//! the guest runs in: a process of this same program, which gave up files, network, environment and nearly all
//! system calls ([`walls`]) before it read anything hostile. This process sends it jobs and believes nothing
//! that comes back ([`protocol`]).
//!
//! What must stay true: every call has an instance of its own; no worker sees the traces of two tenants; fuel,
//! wall clock and memory are limited; the same eval, trace and answers give the same outcome and use the same
//! fuel, on whatever worker.

mod answers;
mod artefact;
pub mod attacks;
#[cfg(target_os = "linux")]
pub mod attempts;
pub mod cache;
pub mod guest;
mod in_order;
mod places;
mod pool;
mod process;
pub mod protocol;
pub mod receipt;
pub mod walls;
pub mod worker;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::domain::{ErrorKind, Outcome, RunError};
pub use answers::Answers;
pub use artefact::interpreter;
use cache::Artefacts;
use guest::engine::{self, MEMORY_BYTES};
use places::Tenant;
pub use pool::Counts;
use pool::{CallError, Pool};
use process::Failure;
pub use protocol::Reply;
use protocol::{ANSWERS_BYTES, Job, SOURCE_BYTES, TRACE_BYTES};
pub use receipt::Receipt;
use walls::WallState;

/// A guest starts with 12 MiB.
const LEAST_MEMORY: usize = 16 << 20;
/// Worker processes: one a core, but no more than this; each takes 40 MB, and up to 100 with images of many evals.
const MOST_WORKERS: usize = 16;
/// Traces taken ahead for each worker by [`Sandbox::evaluate_in_order`]: enough that a slow one holds nobody up.
const AHEAD: usize = 4;

/// What an eval's owner reads where it asks and nobody answers.
const NO_LLM: &str = "judge() can't answer: no LLM is configured. Set ANTHROPIC_API_KEY or OPENAI_API_KEY to \
    connect one";

/// Limits for one call.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Units of wasmtime fuel, about one a wasm instruction; the same for the same eval and trace
    /// on every machine. Over it: [`ErrorKind::Fuel`].
    pub fuel: u64,
    /// Wall clock for one call, a backstop behind the fuel. Over it: [`ErrorKind::Deadline`].
    pub deadline: Duration,
    /// Bytes of guest memory, of which CPython at rest takes 12 MiB: taken as 16 MiB at least and 128 MiB at
    /// most. Over it: [`ErrorKind::Memory`].
    pub memory_bytes: usize,
    /// Bytes of an eval's source, at most 256 KiB. Over it: [`ErrorKind::Syntax`].
    pub source_bytes: usize,
    /// Bytes of a trace's JSON, at most 8 MiB. Over it: [`ErrorKind::TraceTooLarge`].
    pub trace_bytes: usize,
}

impl Default for Limits {
    /// `docs/design.md`, section 5.
    fn default() -> Self {
        Self {
            fuel: engine::FUEL,
            deadline: Duration::from_secs(5),
            memory_bytes: engine::MEMORY_BYTES,
            source_bytes: SOURCE_BYTES,
            trace_bytes: TRACE_BYTES,
        }
    }
}

impl Limits {
    /// Those that decide what a call comes to: outcomes under others may be others. The wall clock is none, for
    /// what it ends has no receipt.
    pub fn in_words(&self) -> String {
        format!(
            "fuel {}, memory {}, source {}, trace {}",
            self.fuel, self.memory_bytes, self.source_bytes, self.trace_bytes
        )
    }
}

/// Why there is no sandbox. No eval is at fault.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The guest in this binary is not the one that was built: the build is broken.
    #[error("the sandbox guest is damaged: {0}")]
    Guest(String),
    /// Others could put machine code there, and this process would run it.
    #[error(
        "the sandbox cache directory {path} must belong to this user and be writable by no one else (chmod 700)"
    )]
    UntrustedCache {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system refused a file, memory, a thread or a process.
    #[error("the system refused what the sandbox needs")]
    System(#[from] io::Error),
    /// A worker process does not start; it may have said why.
    #[error("a sandbox worker can't start: {0}")]
    Worker(String),
    /// The engine failed: no memory to reserve, or a platform it does not know.
    #[error("the sandbox engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<wasmtime::Error> for SandboxError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error.into())
    }
}

/// This program, as a worker is started from it: also after its file was replaced by a newer version.
pub fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("iofold"))
}

/// The error and its causes, in one line.
fn with_causes(error: SandboxError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

impl Reply {
    /// What it comes to where nobody answers: a question is an error.
    pub fn unanswered(self) -> Outcome {
        match self {
            Self::Done(outcome) => outcome,
            Self::Asks(_) => Outcome::refused(RunError {
                kind: ErrorKind::JudgeUnavailable,
                message: NO_LLM.to_owned(),
            }),
        }
    }
}

/// Where evals run. Cheap to clone; clones share the workers.
#[derive(Clone)]
pub struct Sandbox {
    pool: Arc<Pool>,
    limits: Limits,
    tenant: Tenant,
}

impl Sandbox {
    /// Starts the workers, one a core, from this program; the guest's files are kept in `cache_dir`.
    ///
    /// # Errors
    /// The guest is damaged, its files can't be made or trusted, or a worker does not start.
    pub fn open(worker: &Path, cache_dir: &Path) -> Result<Self, SandboxError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::open_with_workers(worker, cache_dir, cores.min(MOST_WORKERS))
    }

    /// The same with so many workers.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn open_with_workers(
        worker: &Path,
        cache_dir: &Path,
        workers: usize,
    ) -> Result<Self, SandboxError> {
        Self::of_artefacts(worker, cache::prepare(cache_dir)?, workers)
    }

    /// The same on files that are there.
    fn of_artefacts(
        worker: &Path,
        artefacts: Artefacts,
        workers: usize,
    ) -> Result<Self, SandboxError> {
        let pool = Pool::start(worker.to_owned(), artefacts, workers.max(1))?;
        Ok(Self {
            pool: Arc::new(pool),
            limits: Limits::default(),
            tenant: None,
        })
    }

    /// The same sandbox with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same sandbox for the traces of one tenant: its workers see no other's.
    pub fn for_tenant(&self, tenant: &str) -> Self {
        Self {
            tenant: Some(tenant.into()),
            ..self.clone()
        }
    }

    /// The limits of each call.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What happened since the start, of all tenants.
    pub fn counts(&self) -> Counts {
        self.pool.counts()
    }

    /// What a worker is locked in by, asked of one that is started for this.
    ///
    /// # Errors
    /// It does not start.
    pub fn walls(&self) -> Result<Vec<WallState>, SandboxError> {
        self.pool.ready().map(|ready| ready.walls)
    }

    /// Runs `source` on one trace (schema version 1 JSON text) in a fresh instance. Blocks. A question to `judge`
    /// is an error: nobody is asked.
    pub fn evaluate(&self, source: &str, trace_json: &str) -> Outcome {
        self.step(source, trace_json, &Answers::default())
            .unanswered()
    }

    /// The same, with what `judge` is known to answer.
    pub fn step(&self, source: &str, trace_json: &str, answers: &Answers) -> Reply {
        let answers = answers.to_json();
        if let Some(refused) = self.refuse(source, trace_json, &answers) {
            return Reply::Done(Outcome::refused(refused));
        }
        let job = Job {
            source,
            trace: trace_json,
            answers: &answers,
            fuel: self.limits.fuel,
            memory_bytes: self.limits.memory_bytes.clamp(LEAST_MEMORY, MEMORY_BYTES) as u64,
        };
        match self.pool.call(&self.tenant, &job, self.limits.deadline) {
            Ok(reply) => reply,
            Err(error) => Reply::Done(Outcome::refused(self.explain(error))),
        }
    }

    /// [`Sandbox::evaluate`] on many traces, on all workers at once. `each` gets them on this thread, in their
    /// order, and may end it; few are read ahead of it.
    pub fn evaluate_in_order<T: Send>(
        &self,
        source: &str,
        traces: impl Iterator<Item = (T, String)> + Send,
        mut each: impl FnMut(T, String, Outcome) -> ControlFlow<()>,
    ) {
        self.step_in_order(source, traces, |of, trace, step| {
            each(of, trace, step.unanswered())
        });
    }

    /// The same, and what asks is left to `each`.
    pub fn step_in_order<T: Send>(
        &self,
        source: &str,
        traces: impl Iterator<Item = (T, String)> + Send,
        mut each: impl FnMut(T, String, Reply) -> ControlFlow<()>,
    ) {
        let workers = self.pool.workers();
        in_order::in_order(
            workers,
            workers * AHEAD,
            traces,
            |(_, trace)| self.step(source, trace, &Answers::default()),
            |(of, trace), step| each(of, trace, step),
        );
    }

    fn refuse(&self, source: &str, trace: &str, answers: &str) -> Option<RunError> {
        let (source_limit, trace_limit) = (
            self.limits.source_bytes.min(SOURCE_BYTES),
            self.limits.trace_bytes.min(TRACE_BYTES),
        );
        [
            (ErrorKind::Syntax, "eval's source", source, source_limit),
            (ErrorKind::TraceTooLarge, "trace", trace, trace_limit),
            (ErrorKind::Host, "list of answers", answers, ANSWERS_BYTES),
        ]
        .into_iter()
        .find(|(_, _, text, limit)| text.len() > *limit)
        .map(|(kind, what, text, limit)| RunError {
            kind,
            message: format!("the {what} has {} bytes; the limit is {limit}", text.len()),
        })
    }

    fn explain(&self, error: CallError) -> RunError {
        match error {
            CallError::Failed(Failure::Hung) => RunError {
                kind: ErrorKind::Deadline,
                message: format!("the eval took longer than {:?}", self.limits.deadline),
            },
            error => RunError {
                kind: ErrorKind::Host,
                message: format!("{:#}", anyhow::Error::from(error)),
            },
        }
    }
}
