use std::io::{Write, stdout};
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::Failure;
use super::input::{self, RawLine};
use super::replay::{LocatedReceipt, Origin};
use super::terminal::{Progress, complain, say, spinner, unwritable, visible};
use crate::config::{self, Environment};
use crate::domain::{ErrorKind, EvalSource, LabelledTrace, Outcome, RunError};
use crate::generate::fault;
use crate::llm::{self, Metered};
use crate::report::{self, Evidence, Judged, People, Report};
use crate::run::{Jury, KnownAnswers, Ran, Runner};
use crate::sandbox::{self, Sandbox};

/// `iofold eval run`: one outcome a line, in input order, as soon as it is there.
pub fn run(environment: &Environment, arguments: &super::Run) -> Result<(), Failure> {
    let source = input::eval_file(&arguments.eval)?;
    let lines = input::lines(&arguments.traces)?;
    let runtime = runtime()?;
    let runner = runner(environment, &runtime)?;
    let mut unreadable = None;
    let traces = lines.map_while(|line| match line.and_then(|line| parse(&line)) {
        Ok(parsed) => Some(parsed),
        Err(failure) => {
            unreadable = Some(failure);
            None
        }
    });
    let progress = Progress::through(&arguments.traces, "traces");
    let mut outcomes = OutcomeWriter::new(stdout().lock(), Origin::of(arguments));
    runner.evaluate_in_order(&source, traces, |line, ran| {
        progress.advance(line.end);
        progress.aside(|| outcomes.write(&line, &ran))
    });
    progress.finish();
    if !outcomes.any && unreadable.is_none() {
        let path = arguments.traces.display();
        complain(&format!(
            "{path} holds no traces; it takes one JSON object a line"
        ));
    }
    // What came before an unreadable line is written.
    outcomes.conclude(unreadable)
}

/// What a line holds beside the trace.
struct LineMark {
    id: String,
    number: usize,
    end: u64,
}

fn parse(line: &RawLine) -> Result<(LineMark, String), Failure> {
    let input::Line { id, trace } = input::trace_line(line)?;
    let mark = LineMark {
        id,
        number: line.number,
        end: line.end(),
    };
    Ok((mark, trace.to_json()))
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
    #[serde(skip_serializing_if = "str::is_empty")]
    printed: &'a str,
    receipt: Option<LocatedReceipt>,
}

impl<'a> OutcomeLine<'a> {
    fn new(id: &'a str, outcome: &'a Outcome, receipt: Option<LocatedReceipt>) -> Self {
        let said = outcome.result.as_ref().ok();
        Self {
            id,
            verdict: said.map(|(verdict, _)| verdict.as_str()),
            reason: said.map(|(_, reason)| reason.as_str()),
            error: outcome.result.as_ref().err(),
            duration_us: outcome.duration_us,
            fuel: outcome.fuel,
            printed: &outcome.printed,
            receipt,
        }
    }
}

struct OutcomeWriter<W> {
    to: W,
    origin: Option<Origin>,
    any: bool,
    failed: Option<Failure>,
    not_a_module: bool,
    host_failed: bool,
}

impl<W: Write> OutcomeWriter<W> {
    fn new(to: W, origin: Option<Origin>) -> Self {
        Self {
            to,
            origin,
            any: false,
            failed: None,
            not_a_module: false,
            host_failed: false,
        }
    }

    fn write(&mut self, line: &LineMark, ran: &Ran) -> ControlFlow<()> {
        let kind = ran.outcome.error_kind();
        self.any = true;
        self.not_a_module |= kind == Some(ErrorKind::Syntax);
        self.host_failed |= kind == Some(ErrorKind::Host);
        match self.write_line(line, ran) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                self.failed = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    fn write_line(
        &mut self,
        line: &LineMark,
        Ran { outcome, receipt }: &Ran,
    ) -> Result<(), Failure> {
        let from = self.origin.as_ref().map(|origin| origin.at(line.number));
        let receipt = receipt.clone();
        let receipt = receipt.map(|receipt| LocatedReceipt { receipt, from });
        let outcome = OutcomeLine::new(&line.id, outcome, receipt);
        let json = serde_json::to_string(&outcome).context("an outcome is JSON")?;
        // What an eval says may be shown on a terminal.
        let written = writeln!(self.to, "{}", visible(&json)).and_then(|()| self.to.flush());
        written.map_err(unwritable)
    }

    /// A source that is not Python is the eval's fault whatever the traces are.
    fn conclude(self, unreadable: Option<Failure>) -> Result<(), Failure> {
        if let Some(failure) = self.failed.or(unreadable) {
            return Err(failure);
        }
        match (self.host_failed, self.not_a_module) {
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

/// For what waits: an LLM's answers, the database.
pub fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    Ok(runtime.context("no threads can be started")?)
}

/// Runs evals; what they ask is answered where an LLM is configured.
pub fn runner(environment: &Environment, runtime: &Runtime) -> Result<Runner, Failure> {
    runner_with(environment, runtime, llm(environment)?)
}

/// The LLM for this run; `None` where none is configured.
pub fn llm(environment: &Environment) -> Result<Option<Arc<Metered>>, Failure> {
    let config = config::llm(environment).map_err(|error| Failure::Usage(error.into()))?;
    let llm = config.as_ref().map(llm::connect).transpose()?;
    Ok(llm.map(|llm| Arc::new(llm.for_one_run())))
}

/// Runs evals; what they ask is answered by `llm`.
pub fn runner_with(
    environment: &Environment,
    runtime: &Runtime,
    llm: Option<Arc<Metered>>,
) -> Result<Runner, Failure> {
    let jury =
        llm.map(|judge| Jury::new(judge, KnownAnswers::in_memory(), runtime.handle().clone()));
    Ok(Runner::new(sandbox(environment)?, jury))
}

/// The sandbox of a command.
pub fn sandbox(environment: &Environment) -> Result<Sandbox, Failure> {
    let spinner = spinner("preparing the sandbox");
    let sandbox = Sandbox::open(&sandbox::this_program(), &config::cache_dir(environment));
    spinner.finish_and_clear();
    Ok(sandbox.map_err(anyhow::Error::from)?)
}

/// Traces that a source is tried on before anything is made of it.
pub const TRIED_ON: usize = 5;

/// Refuses what is no eval, by what it did on traces; `is_blank` where there was none but an empty one. `what` says in
/// words what can't be done with it.
pub fn refuse(outcomes: &[Outcome], is_blank: bool, what: &str) -> Result<(), Failure> {
    match fault(outcomes, is_blank) {
        None => Ok(()),
        Some(error) => Err(Failure::Data(anyhow!(
            "this can't {what}: {} ({})",
            error.message,
            error.kind.as_str()
        ))),
    }
}

/// `iofold eval report`: all labels are fresh, for nobody learnt from them here.
pub fn report(environment: &Environment, arguments: &super::Report) -> Result<(), Failure> {
    let source = input::eval_file(&arguments.eval)?;
    let labelled = input::labelled_file(&arguments.labelled)?;
    let runtime = runtime()?;
    let runner = runner(environment, &runtime)?;
    let judged = judge(&runner, &source, &labelled)?;
    let evidence = Evidence {
        criterion: source.criterion(),
        generator: None,
        candidates_tried: None,
        making: None,
        people: people(&labelled),
        held_out: &[],
        cross_validated: None,
        fresh: &judged.judged,
    };
    let mut report = Report::new(&evidence);
    report.mutation =
        super::explain::mutation(runner.sandbox(), &source, judged.passing(&labelled))?;
    print_report(&report, arguments.json)?;
    judged.verdict_on_the_eval()
}

/// Outcomes on labelled traces.
#[derive(Default)]
pub struct JudgedAll {
    /// One for each trace that people said 👍 or 👎 of, in order.
    pub judged: Vec<Judged>,
    /// The first error, and how many there are.
    first_error: Option<RunError>,
    errors: usize,
}

impl JudgedAll {
    /// Of the labelled traces that were judged, those that people and the eval say pass of.
    pub fn passing<'l>(&self, labelled: &'l [LabelledTrace]) -> Vec<&'l LabelledTrace> {
        let decided = labelled
            .iter()
            .filter(|label| label.label.class().is_some());
        let passing = decided
            .zip(&self.judged)
            .filter(|(_, judged)| judged.both_pass());
        passing.map(|(label, _)| label).collect()
    }

    /// Says what prevented verdicts; an eval that gives none at all is at fault.
    fn verdict_on_the_eval(&self) -> Result<(), Failure> {
        let Some(error) = &self.first_error else {
            return Ok(());
        };
        let (errors, all) = (self.errors, self.judged.len());
        let said = anyhow!(
            "the eval failed on {errors} of {all} labelled traces; the first: {} ({})",
            error.message,
            error.kind.as_str()
        );
        if errors == all {
            return Err(Failure::Data(said));
        }
        complain(&said.to_string());
        Ok(())
    }
}

/// What people say.
pub fn people(labelled: &[LabelledTrace]) -> People {
    People::of(
        labelled
            .iter()
            .map(|trace| (trace.label, trace.votes.as_slice())),
    )
}

/// Runs the eval on labelled traces; 😐 is not a class and is left out.
pub fn judge(
    runner: &Runner,
    source: &EvalSource,
    labelled: &[LabelledTrace],
) -> Result<JudgedAll, Failure> {
    let decided = labelled.iter().filter_map(|label| {
        let class = label.label.class()?;
        Some((class, label.trace.to_json()))
    });
    let (mut all, mut failed) = (JudgedAll::default(), None);
    runner.evaluate_in_order(source, decided, |class, Ran { outcome, .. }| {
        if let Some(error) = outcome.host_failure() {
            failed = Some(Failure::Host(anyhow!("the sandbox host failed: {error}")));
            return ControlFlow::Break(());
        }
        all.judged.push(Judged::new(class, outcome.verdict()));
        if let Err(error) = outcome.result {
            all.errors += 1;
            all.first_error.get_or_insert(error);
        }
        ControlFlow::Continue(())
    });
    failed.map_or(Ok(all), Err)
}

/// As text or as JSON.
pub fn print_report(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(report).context("a report is JSON")?;
        say(&text)
    } else {
        say(&report::text(report))
    }
}
