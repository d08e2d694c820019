//! An eval version over traces: one outcome each, a verdict, an abstention or an error.
//!
//! Everything runs in the sandbox; nothing reaches an eval but its own trace.

mod job;
mod store;

pub use job::{run_evals, run_on};
pub use store::{PendingRun, VersionSource};

use crate::domain::{EvalSource, Outcome};
use crate::sandbox::Sandbox;

/// Runs `source` on traces (schema version 1, as JSON) away from the asynchronous threads, in order.
pub async fn evaluate_all(
    sandbox: &Sandbox,
    source: &EvalSource,
    traces: Vec<String>,
) -> anyhow::Result<Vec<Outcome>> {
    let (sandbox, source) = (sandbox.clone(), source.clone());
    let outcomes = tokio::task::spawn_blocking(move || {
        let evaluate = |trace: &String| sandbox.evaluate(source.as_str(), trace);
        traces.iter().map(evaluate).collect()
    });
    Ok(outcomes.await?)
}
