//! Runs an eval's Python on one trace, in a fresh CPython that can reach nothing.
//!
//! In: an eval's source and one trace, schema version 1, as JSON text; both are hostile. Out: an
//! [`Outcome`]: a verdict with its reason, or an error that says whose fault it is. The guest is
//! `sandbox/python.wasm.zst`, a snapshot of CPython after boot and imports (`sandbox/README.md`).
//!
//! What must stay true: every call has an instance of its own; the guest is given no import that does
//! anything; fuel, wall clock and memory are limited; what the guest answers is hostile bytes.

mod answer;
mod cache;
mod call;
mod engine;
mod gate;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, InstancePre};

use crate::domain::{ErrorKind, Outcome, RunError};
use call::{Call, CallState};
use gate::Gate;

/// The guest, compressed: made by `sandbox/build.sh`.
const GUEST: &[u8] = include_bytes!("../../sandbox/python.wasm.zst");
/// What `sandbox/build.sh` wrote down about it, as `sha256sum` prints.
const GUEST_SUMS: &str = include_str!("../../sandbox/SHA256SUMS");

/// Limits for one call.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Units of wasmtime fuel, about one a wasm instruction; the same for the same eval and trace
    /// on every machine. Over it: [`ErrorKind::Fuel`].
    pub fuel: u64,
    /// Wall clock for one call, a backstop behind the fuel. Over it: [`ErrorKind::Deadline`].
    pub deadline: Duration,
    /// Bytes of guest memory, at most [`engine::MEMORY_BYTES`]. CPython at rest takes 13 MiB of them. Over
    /// it: [`ErrorKind::Memory`].
    pub memory_bytes: usize,
    /// Bytes of an eval's source. Over it: [`ErrorKind::Syntax`].
    pub source_bytes: usize,
    /// Bytes of a trace's JSON. Over it: [`ErrorKind::TraceTooLarge`].
    pub trace_bytes: usize,
    /// Characters (code points) of a reason; the rest is cut. The guest itself cuts at 2,000.
    pub reason_chars: usize,
}

impl Default for Limits {
    /// `docs/design.md`, section 5.
    fn default() -> Self {
        Self {
            fuel: engine::FUEL,
            deadline: Duration::from_secs(5),
            memory_bytes: engine::MEMORY_BYTES,
            source_bytes: 256 << 10,
            trace_bytes: 8 << 20,
            reason_chars: 2_000,
        }
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
    /// The engine failed: no memory to reserve, or a platform it does not know.
    #[error("the sandbox engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<wasmtime::Error> for SandboxError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error.into())
    }
}

/// A compiled guest, ready for calls. Cheap to clone; clones share the engine.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    limits: Limits,
}

struct Shared {
    engine: Engine,
    guest: InstancePre<CallState>,
    gate: Gate,
}

impl Sandbox {
    /// Loads the compiled guest from `cache_dir`, or compiles it (seconds) and caches it there.
    ///
    /// The directory is made if need be, and must be writable by this user alone: what lies in it is machine
    /// code that this process runs. Where nothing can be written, every start compiles.
    pub fn open(cache_dir: &Path) -> Result<Self, SandboxError> {
        verify_guest()?;
        let engine = Engine::new(&engine::config())?;
        let module = cache::load_or_compile(&engine, cache_dir, guest_sum())?;
        let guest = engine::link(&engine, &module)?;
        engine::start_ticking(&engine)?;
        let shared = Shared {
            engine,
            guest,
            gate: Gate::new(engine::calls_at_once()),
        };
        Ok(Self {
            shared: Arc::new(shared),
            limits: Limits::default(),
        })
    }

    /// The same sandbox with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Runs `source` on one trace (schema version 1 JSON text) in a fresh instance.
    ///
    /// Blocking: call it on a blocking thread with at least 2 MiB of stack. More calls at once than
    /// the pool has slots wait for each other.
    pub fn evaluate(&self, source: &str, trace_json: &str) -> Outcome {
        if let Some(refusal) = self.refuse(source, trace_json) {
            return Outcome {
                result: Err(refusal),
                duration_us: 0,
                fuel: 0,
            };
        }
        let _slot = self.shared.gate.enter();
        let start = Instant::now();
        let (result, fuel) =
            match Call::start(&self.shared.engine, &self.shared.guest, &self.limits) {
                Ok(call) => call.evaluate(source, trace_json),
                Err(error) => (Err(call::host_error(&error)), 0),
            };
        Outcome {
            result,
            duration_us: start.elapsed().as_micros() as u64,
            fuel,
        }
    }

    fn refuse(&self, source: &str, trace_json: &str) -> Option<RunError> {
        let too_large = |kind, what: &str, bytes, limit| {
            let message = format!("the {what} has {bytes} bytes; the limit is {limit}");
            (bytes > limit).then_some(RunError { kind, message })
        };
        too_large(
            ErrorKind::Syntax,
            "eval's source",
            source.len(),
            self.limits.source_bytes,
        )
        .or_else(|| {
            too_large(
                ErrorKind::TraceTooLarge,
                "trace",
                trace_json.len(),
                self.limits.trace_bytes,
            )
        })
    }
}

/// Checks that the guest in this binary is the one `SHA256SUMS` names.
fn verify_guest() -> Result<(), SandboxError> {
    let sum = hex::encode(Sha256::digest(GUEST));
    if sum == guest_sum() {
        return Ok(());
    }
    Err(SandboxError::Guest(format!(
        "its SHA-256 is {sum}, and SHA256SUMS says {}",
        guest_sum()
    )))
}

/// SHA-256 of the compressed guest in hexadecimal, as `SHA256SUMS` has it; empty if it has none.
fn guest_sum() -> &'static str {
    let line = GUEST_SUMS
        .lines()
        .find(|line| line.ends_with("python.wasm.zst"));
    line.and_then(|line| line.split_whitespace().next())
        .unwrap_or_default()
}
