use std::io::{self, BufWriter, IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::input::{self, Line};
use super::{Failure, Generator};
use crate::config::{self, Environment};
use crate::domain::{ErrorKind, EvalId, EvalSource, LabelledTrace, Outcome, RunError};
use crate::generate::{self, CROSS_VALIDATE_BELOW, Generation, InducedEval};
use crate::report::{self, Evidence, Judged, People, Report};
use crate::sandbox::{Sandbox, this_program};

/// Traces read, run and written before the next are read: memory stays bounded.
const BATCH: usize = 256;
const DEFAULT_OUT: &str = "eval.py";

/// `iofold eval run`: one outcome a line, in input order.
pub fn run(environment: &Environment, arguments: &super::Run) -> Result<(), Failure> {
    let source = input::eval_file(&arguments.eval)?;
    let lines = input::lines(&arguments.traces)?;
    let sandbox = sandbox(environment)?;
    let mut written = Written::new(BufWriter::new(stdout().lock()));
    let progress = progress("traces", None);
    let mut batch = Vec::with_capacity(BATCH);
    let mut broken = None;
    for line in lines {
        match line.and_then(|(number, line)| input::trace_line(number, &line)) {
            Ok(trace) => batch.push(trace),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
        if batch.len() == BATCH {
            written.write(&sandbox, &source, &mut batch)?;
            progress.inc(BATCH as u64);
        }
    }
    // What came before a broken line is not lost.
    written.write(&sandbox, &source, &mut batch)?;
    progress.finish_and_clear();
    broken.map_or_else(|| written.verdict_on_the_eval(), Err)
}

/// An outcome as the command prints it.
#[derive(Serialize)]
struct OutcomeLine<'a> {
    id: &'a str,
    verdict: Option<&'a str>,
    reason: Option<&'a str>,
    error: Option<&'a RunError>,
    duration_us: u64,
    fuel: u64,
}

impl<'a> OutcomeLine<'a> {
    fn new(id: &'a str, outcome: &'a Outcome) -> Self {
        let said = outcome.result.as_ref().ok();
        Self {
            id,
            verdict: said.map(|(verdict, _)| verdict.as_str()),
            reason: said.map(|(_, reason)| reason.as_str()),
            error: outcome.result.as_ref().err(),
            duration_us: outcome.duration_us,
            fuel: outcome.fuel,
        }
    }
}

struct Written<W> {
    to: W,
    broken: bool,
    host_failed: bool,
}

impl<W: Write> Written<W> {
    fn new(to: W) -> Self {
        let (broken, host_failed) = (false, false);
        Self {
            to,
            broken,
            host_failed,
        }
    }

    fn write(
        &mut self,
        sandbox: &Sandbox,
        source: &EvalSource,
        batch: &mut Vec<Line>,
    ) -> Result<(), Failure> {
        let outcomes = evaluate(sandbox, source, batch.iter().map(|line| &line.trace));
        for (line, outcome) in batch.drain(..).zip(&outcomes) {
            let kind = outcome.result.as_ref().err().map(|error| error.kind);
            self.broken |= kind == Some(ErrorKind::Syntax);
            self.host_failed |= kind == Some(ErrorKind::Host);
            let line = serde_json::to_string(&OutcomeLine::new(&line.id, outcome))
                .context("an outcome is JSON")?;
            writeln!(self.to, "{line}").map_err(unwritable)?;
        }
        self.to.flush().map_err(unwritable)
    }

    /// A source that is not Python is the eval's fault whatever the traces are.
    fn verdict_on_the_eval(&self) -> Result<(), Failure> {
        match (self.host_failed, self.broken) {
            (true, _) => Err(Failure::Host(anyhow!(
                "the sandbox host failed on some traces"
            ))),
            (_, true) => Err(Failure::Data(anyhow!(
                "the eval is not a Python module with evaluate(trace)"
            ))),
            _ => Ok(()),
        }
    }
}

/// Prints a text and a line end.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(unwritable)
}

/// A reader that has seen enough, such as `head`, is nobody's fault.
fn unwritable(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Quiet(0),
        _ => Failure::Host(anyhow!(error).context("cannot write to standard output")),
    }
}

/// One call after the other: threads of one process fight over its page tables, and two take longer than
/// one (1,000 traces of 4 KB: 2.0 s and 1.5 s).
fn evaluate<'a>(
    sandbox: &Sandbox,
    source: &EvalSource,
    traces: impl Iterator<Item = &'a crate::domain::Trace>,
) -> Vec<Outcome> {
    traces
        .map(|trace| sandbox.evaluate(source.as_str(), &trace.to_json()))
        .collect()
}

/// `iofold eval report`: all labels are fresh, for nobody learnt from them here.
pub fn report(environment: &Environment, arguments: &super::Report) -> Result<(), Failure> {
    let source = input::eval_file(&arguments.eval)?;
    let labelled = input::labelled_file(&arguments.labelled)?;
    let sandbox = sandbox(environment)?;
    let judged = judge(&sandbox, &source, &labelled)?;
    let evidence = Evidence {
        criterion: source.criterion(),
        generator: None,
        candidates_tried: None,
        people: people(&labelled),
        held_out: &[],
        cross_validated: None,
        fresh: &judged,
    };
    print_report(&Report::new(&evidence), arguments.json)
}

/// `iofold eval generate`: split, generate, test on the held-out part, report.
pub fn generate(environment: &Environment, arguments: &super::Generate) -> Result<(), Failure> {
    if arguments.generator == Generator::Llm {
        let missing = "no LLM generator is available yet; use --generator rules";
        return Err(Failure::Usage(anyhow!(missing)));
    }
    let out = out_path(arguments.out.as_deref())?;
    let labelled = input::labelled_file(&arguments.labelled)?;
    let spinner = progress("looking for an eval", Some(Duration::from_millis(100)));
    let (development, held_out) = split(&labelled);
    let generation = generate::generate(&development, &generate::Settings::default());
    spinner.finish_and_clear();
    let induced = match generation {
        Generation::Eval(induced) => induced,
        Generation::NotYet {
            reason,
            candidates_tried,
        } => return not_yet(&reason, candidates_tried, arguments.json),
    };
    let sandbox = sandbox(environment)?;
    let report = test(&sandbox, &induced, &labelled, &held_out)?;
    std::fs::write(&out, induced.source.as_str())
        .with_context(|| format!("cannot write {}", out.display()))?;
    print_report(&report, arguments.json)?;
    if !arguments.json {
        say(&format!("\nWritten to {}", out.display()))?;
    }
    Ok(())
}

/// Rules may use all labels while there are few: they are then cross-validated.
fn split(labelled: &[LabelledTrace]) -> (Vec<LabelledTrace>, Vec<LabelledTrace>) {
    let decided = labelled
        .iter()
        .filter(|label| label.label.class().is_some());
    if decided.count() < CROSS_VALIDATE_BELOW {
        return (labelled.to_vec(), Vec::new());
    }
    let split = generate::split(labelled.to_vec(), &EvalId::from(generate::EVAL_NAME));
    (split.development, split.held_out)
}

fn test(
    sandbox: &Sandbox,
    induced: &InducedEval,
    labelled: &[LabelledTrace],
    held_out: &[LabelledTrace],
) -> Result<Report, Failure> {
    let judged = judge(sandbox, &induced.source, held_out)?;
    Ok(Report::new(&Evidence {
        criterion: Some(induced.criterion.clone()),
        generator: Some("rules".to_owned()),
        candidates_tried: Some(induced.candidates_tried as u64),
        people: people(labelled),
        held_out: &judged,
        cross_validated: Some(&induced.cross_validation),
        fresh: &[],
    }))
}

fn people(labelled: &[LabelledTrace]) -> People {
    People::of(
        labelled
            .iter()
            .map(|trace| (trace.label, trace.votes.as_slice())),
    )
}

/// Runs the eval on labelled traces; 😐 is not a class and is left out.
fn judge(
    sandbox: &Sandbox,
    source: &EvalSource,
    labelled: &[LabelledTrace],
) -> Result<Vec<Judged>, Failure> {
    let decided: Vec<_> = labelled
        .iter()
        .filter_map(|label| label.label.class().map(|class| (class, &label.trace)))
        .collect();
    let outcomes = evaluate(sandbox, source, decided.iter().map(|(_, trace)| *trace));
    if let Some(error) = outcomes.iter().find_map(Outcome::host_failure) {
        return Err(Failure::Host(anyhow!("the sandbox host failed: {error}")));
    }
    let pairs = decided.iter().zip(&outcomes);
    Ok(pairs
        .map(|((class, _), outcome)| Judged::new(*class, outcome.verdict()))
        .collect())
}

fn not_yet(reason: &str, candidates_tried: usize, json: bool) -> Result<(), Failure> {
    if json {
        let said = serde_json::json!({
            "generated": false, "reason": reason, "candidates_tried": candidates_tried,
        });
        say(&said.to_string())?;
    } else {
        say(reason)?;
    }
    Err(Failure::NoEval)
}

fn print_report(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(report).context("a report is JSON")?;
        say(&text)
    } else {
        say(&report::text(report))
    }
}

/// A named file may be replaced; the default one is not, for the user did not say so.
fn out_path(given: Option<&Path>) -> Result<PathBuf, Failure> {
    match given {
        Some(path) => Ok(path.to_owned()),
        None if Path::new(DEFAULT_OUT).exists() => Err(Failure::Usage(anyhow!(
            "{DEFAULT_OUT} exists already; name the file to write with --out"
        ))),
        None => Ok(PathBuf::from(DEFAULT_OUT)),
    }
}

fn sandbox(environment: &Environment) -> Result<Sandbox, Failure> {
    let spinner = progress("preparing the sandbox", Some(Duration::from_millis(100)));
    let sandbox = Sandbox::open(&this_program(), &config::cache_dir(environment));
    spinner.finish_and_clear();
    Ok(sandbox.map_err(anyhow::Error::from)?)
}

/// A bar on a terminal, nothing in a pipe.
fn progress(what: &'static str, tick: Option<Duration>) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    let style = ProgressStyle::with_template("{spinner} {human_pos} {msg} {elapsed} {per_sec}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    if let Some(tick) = tick {
        bar.enable_steady_tick(tick);
    }
    bar
}
