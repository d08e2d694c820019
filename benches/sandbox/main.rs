//! What one call costs, from a trace's JSON text to the verdict, and against what: `cargo bench --bench sandbox`.
//!
//! For each of three evals a table, measured in one run, one way after the other: the sandbox, a
//! native `python3` started for every call, CPython for WASI booted for every call, Pyodide, and what else there is
//! (`script/bench-deps` installs them). Every call is timed by itself, after some that warm up; a way that answers something
//! else than native Python shows its answer instead of figures. `rivals` says what each row includes.
//!
//! The sandbox's own rows: one worker process; a call is everything between `evaluate` and its outcome, thus
//! the pipe to the worker too, with the eval's image made before (as from the second trace of a run on). After the tables
//! come two workers against one, the memory of a worker that has served 1,000 more calls, and the start of one:
//! alone by `cargo bench --bench sandbox -- workers`.

use std::io;
use std::path::Path;
use std::time::Instant;

use iofold::domain::Verdict;
use iofold::sandbox::Sandbox;
use serde_json::{Value, json};

use cases::Case;
use native::Native;
use table::Table;

mod cases;
mod native;
mod rivals;
mod table;
mod workers;

const CALLS: usize = 1_000;

fn main() -> io::Result<()> {
    let cases = cases::all();
    if !std::env::args().any(|argument| argument == "workers") {
        let natives = native::interpreters()?;
        println!("ratio: a way's p50 to iofold's\n");
        for case in &cases {
            println!("{}", compare(case, &natives)?);
        }
    }
    workers::print(&cases)
}

/// A sandbox of `workers` processes; its machine code is compiled once and kept for the next run.
fn open(workers: usize) -> io::Result<Sandbox> {
    let program = Path::new(env!("CARGO_BIN_EXE_iofold"));
    let cache = std::env::temp_dir().join("iofold-bench");
    Sandbox::open_with_workers(program, &cache, workers).map_err(io::Error::other)
}

/// Each way on one eval.
fn compare(case: &Case, natives: &[Native]) -> io::Result<Table> {
    let expected = natives[0].answer(case)?;
    let ours = in_sandbox(&open(1)?, case, &expected);
    let mut table = Table::new(case, expected, ours);
    for way in rivals::all(natives) {
        table.add(&way, way.measure(case), case.eval);
    }
    Ok(table)
}

/// The milliseconds of each call, sorted.
fn in_sandbox(sandbox: &Sandbox, case: &Case, expected: &Value) -> Vec<f64> {
    let call = || {
        let start = Instant::now();
        let outcome = sandbox.evaluate(case.source, &case.trace);
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let (verdict, reason) = outcome.result.expect("the evals of the benchmark run");
        assert_eq!(json!([as_python(verdict), reason]), *expected);
        ms
    };
    for _ in 0..CALLS / 5 {
        call();
    }
    sorted((0..CALLS).map(|_| call()).collect())
}

/// What an eval returns for `verdict`.
fn as_python(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::Pass => Some(true),
        Verdict::Fail => Some(false),
        Verdict::Abstain => None,
    }
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}

/// The sorted value below which `share` of all lie.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
