use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::eval::{TRIED_ON, judge, llm, people, print_report, refuse, runner_with, runtime};
use super::terminal::{say, spinner};
use super::{Failure, Generator, explain, input};
use crate::config::Environment;
use crate::domain::{EvalId, EvalSource, LabelledTrace};
use crate::generate::written::Effort;
use crate::generate::{EVAL_NAME, Made, NotYet, Offer, Order, Which, make, refine};
use crate::llm::{Usage, Writer};
use crate::report::{Evidence, Judged, Report};
use crate::run::Runner;

const DEFAULT_OUT: &str = "eval.py";

/// `iofold eval generate`: split, generate or refine, test on the held-out part, report.
pub fn generate(environment: &Environment, arguments: &super::Generate) -> Result<(), Failure> {
    let llm = llm(environment)?;
    if arguments.generator == Generator::Llm && llm.is_none() {
        let missing = "--generator llm needs an LLM; set ANTHROPIC_API_KEY or OPENAI_API_KEY";
        return Err(Failure::Usage(anyhow!(missing)));
    }
    let out = out_path(arguments)?;
    let from = arguments.refine.as_deref().map(input::eval_file);
    let from = from.transpose()?;
    let labelled = input::labelled_file(&arguments.labelled)?;
    let runtime = runtime()?;
    let writer = llm
        .clone()
        .map(|llm| Writer::new(llm, runtime.handle().clone()));
    let runner = runner_with(environment, &runtime, llm.clone())?;
    if let Some(from) = &from {
        let traces = labelled.iter().take(TRIED_ON);
        let traces: Vec<String> = traces.map(|label| label.trace.to_json()).collect();
        let outcomes = runner.outcomes(from, &traces, || false)?;
        refuse(&outcomes, false, "be refined")?;
    }
    let spinner = spinner("looking for an eval");
    let order = Order {
        eval: &EvalId::from(EVAL_NAME),
        labels: &labelled,
        unlabelled: &[],
        which: arguments.generator.into(),
        writer: writer.as_ref(),
        used: &|| llm.as_ref().map_or_else(Usage::default, |llm| llm.used()),
        run: &|source, traces| runner.outcomes(source, traces, || false),
        from: None,
        effort: Effort::default(),
        progress: &|phrase| spinner.set_message(phrase.to_owned()),
    };
    let made = match &from {
        // What the file has seen is written down nowhere.
        Some(from) => refine(order, from, None),
        None => make(&order),
    };
    spinner.finish_and_clear();
    match made? {
        Made::NotYet(not_yet) => {
            let stays = from.map(|from| stays(&runner, &from, &labelled, arguments));
            say_not_yet(&not_yet, stays.transpose()?, arguments.json)
        }
        Made::Offer(offer) => {
            let report = test(&runner, &offer, &labelled)?;
            std::fs::write(&out, offer.source.as_str())
                .with_context(|| format!("cannot write {}", out.display()))?;
            print_report(&report, arguments.json)?;
            match arguments.json {
                true => Ok(()),
                false => say(&format!("\nWritten to {}", out.display())),
            }
        }
    }
}

impl From<Generator> for Which {
    fn from(generator: Generator) -> Self {
        match generator {
            Generator::Auto => Self::Auto,
            Generator::Rules => Self::Rules,
            Generator::Llm => Self::Llm,
        }
    }
}

/// The report, by the labels that the eval has not seen.
fn test(runner: &Runner, offer: &Offer, labelled: &[LabelledTrace]) -> Result<Report, Failure> {
    let judged = judge(runner, &offer.source, labelled)?;
    let seen: BTreeSet<&str> = offer.seen.iter().map(String::as_str).collect();
    let decided = labelled
        .iter()
        .filter(|label| label.label.class().is_some());
    let held_out: Vec<Judged> = decided
        .zip(&judged.judged)
        .filter(|(label, _)| !seen.contains(label.id.as_str()))
        .map(|(_, judged)| *judged)
        .collect();
    let mut report = Report::new(&Evidence {
        criterion: Some(offer.criterion.clone()),
        generator: Some(offer.making.generator.as_str().to_owned()),
        candidates_tried: Some(offer.candidates_tried as u64),
        making: Some(&offer.making),
        people: people(labelled),
        held_out: &held_out,
        cross_validated: offer.cross_validation.as_ref(),
        fresh: &[],
    });
    let passing = judged.passing(labelled);
    report.mutation = explain::mutation(runner.sandbox(), &offer.source, passing)?;
    Ok(report)
}

/// How the eval that was to be refined does on the labels there are, for where it stays.
fn stays(
    runner: &Runner,
    from: &EvalSource,
    labelled: &[LabelledTrace],
    arguments: &super::Generate,
) -> Result<String, Failure> {
    let judged = judge(runner, from, labelled)?.judged;
    let agrees = judged.iter().filter(|judged| judged.agrees() == Some(true));
    let path = arguments.refine.as_deref().unwrap_or(Path::new(""));
    Ok(format!(
        "{} stays as it is: it is right on {} of {} labels here, of which it may have seen some.",
        path.display(),
        agrees.count(),
        judged.len()
    ))
}

fn say_not_yet(not_yet: &NotYet, stays: Option<String>, json: bool) -> Result<(), Failure> {
    let told: Vec<&str> = [not_yet.reason.as_str()]
        .into_iter()
        .chain(stays.as_deref())
        .collect();
    let reason = told.join(" ");
    if json {
        let said = serde_json::json!({
            "generated": false, "reason": reason, "candidates_tried": not_yet.candidates_tried,
            "usage": not_yet.usage,
        });
        say(&said.to_string())?;
    } else {
        say(&format!("Nothing was written. {reason}"))?;
    }
    Err(Failure::NoEval)
}

/// A named file may be replaced, unless it is one of those that are read; the default one is not, for the user did not
/// say so.
fn out_path(arguments: &super::Generate) -> Result<PathBuf, Failure> {
    match &arguments.out {
        Some(path) => {
            let refined = arguments.refine.as_deref();
            let refined = refined.map(|eval| (eval, "the eval to start from"));
            let labelled = (arguments.labelled.as_path(), "the labelled traces");
            let read: Vec<_> = refined.into_iter().chain([labelled]).collect();
            input::check_out(path, &read)?;
            Ok(path.to_owned())
        }
        None if Path::new(DEFAULT_OUT).exists() => Err(Failure::Usage(anyhow!(
            "{DEFAULT_OUT} exists already; name the file to write with --out"
        ))),
        None => Ok(PathBuf::from(DEFAULT_OUT)),
    }
}
