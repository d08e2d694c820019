//! The worker processes themselves: two against one, memory after many calls, and the start of one.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

use iofold::sandbox::Sandbox;

use super::cases::{Case, Eval};
use super::table::judged;
use super::{open, quantile, sorted};

/// Enough for two seconds of two workers.
const TRACES: usize = 4_000;
/// Two workers on two cores against one.
const TWO_TO_ONE: f64 = 1.8;
/// What allocators and stacks may still settle by in 1,000 calls; a leak of one page a call is 4,000 KiB.
const NO_GROWTH_KIB: u64 = 256;
const STARTS: usize = 20;
const START_MS: f64 = 50.0;

pub fn print(cases: &[Case]) -> io::Result<()> {
    let regex = cases.iter().find(|case| case.eval == Eval::Regex);
    let case = regex.expect("one of the cases is the regex eval");
    println!("workers ({})", case.name);
    println!("  {}", throughput(case)?);
    println!("  {}", memory(case)?);
    println!("  {}", start()?);
    Ok(())
}

fn throughput(case: &Case) -> io::Result<String> {
    let one = a_second(&open(1)?, case);
    let two = a_second(&open(2)?, case);
    let bar = judged(two / one >= TWO_TO_ONE, &format!("{TWO_TO_ONE} times"));
    Ok(format!(
        "outcomes a second: one worker {one:.0}, two {two:.0}, ratio {:.2}; {bar}",
        two / one
    ))
}

/// Outcomes a second, workers warm.
fn a_second(sandbox: &Sandbox, case: &Case) -> f64 {
    evaluate(sandbox, case, TRACES / 10);
    let start = Instant::now();
    evaluate(sandbox, case, TRACES);
    TRACES as f64 / start.elapsed().as_secs_f64()
}

/// Runs the eval on its trace `calls` times, by all workers.
fn evaluate(sandbox: &Sandbox, case: &Case, calls: usize) {
    let traces = (0..calls).map(|number| (number, case.trace.clone()));
    sandbox.evaluate_in_order(case.source, traces, |_, _, outcome| {
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        ControlFlow::Continue(())
    });
}

fn memory(case: &Case) -> io::Result<String> {
    let before = children();
    let sandbox = open(1)?;
    evaluate(&sandbox, case, 100);
    let ours: Vec<u32> = children().difference(&before).copied().collect();
    let after_100 = resident_kib(&ours);
    evaluate(&sandbox, case, 1_000);
    let after_1100 = resident_kib(&ours);
    let (Some(first), Some(then)) = (after_100, after_1100) else {
        return Ok("memory of a worker: unknown, there is no /proc that tells".to_owned());
    };
    let bar = judged(then.saturating_sub(first) <= NO_GROWTH_KIB, "no growth");
    Ok(format!(
        "memory of a worker after 100 calls {first} KiB, after 1,100 calls {then} KiB; {bar}"
    ))
}

/// The processes that this one started and that still run.
fn children() -> HashSet<u32> {
    let parent = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| status(*pid, "PPid:").as_deref() == Some(&*parent))
        .collect()
}

/// The memory of `pids` that is in RAM, all told; `None` unless each tells.
fn resident_kib(pids: &[u32]) -> Option<u64> {
    let of = |pid: &u32| {
        status(*pid, "VmRSS:")?
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
    };
    let sum: Option<u64> = pids.iter().map(of).sum();
    sum.filter(|_| !pids.is_empty())
}

/// A line of what Linux tells of a process.
fn status(pid: u32, key: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim().to_owned())
}

/// From nothing to a worker that is locked in and ready, the compiled module in the cache.
fn start() -> io::Result<String> {
    let sandbox = open(1)?;
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let start = Instant::now();
        sandbox.walls().map_err(io::Error::other)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let times = sorted(times);
    let (p50, p95) = (quantile(&times, 0.5), quantile(&times, 0.95));
    let bar = judged(p95 < START_MS, &format!("under {START_MS} ms"));
    Ok(format!(
        "start of a worker: p50 {p50:.1} ms, p95 {p95:.1} ms; {bar}"
    ))
}
