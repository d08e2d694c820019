use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::Serialize;
use serde_json::Value;

use super::eval::{runner, runtime};
use super::input::{self, Line, RawLine};
use super::terminal::{say, spinner, visible_line};
use super::{Explain, Failure};
use crate::config::Environment;
use crate::domain::{EvalSource, LabelledTrace, Outcome, RunError, Trace};
use crate::explain::{self, Explanation, Flip, Mutations, Place, Step, StepKind, Word};
use crate::run::{Ran, Runner};
use crate::sandbox::{Answers, Sandbox};

/// `iofold eval explain`: the verdict, the lines that ran, the one that decided, and the words of the trace.
pub fn explain(environment: &Environment, arguments: &Explain) -> Result<(), Failure> {
    let source = input::eval_file(&arguments.eval)?;
    let line = find(&arguments.trace, arguments.id.as_deref())?;
    let runtime = runtime()?;
    let runner = runner(environment, &runtime)?;
    let ran = run(&runner, &source, &line.trace)?;
    let spinner = spinner("looking why");
    let told = told(runner.sandbox(), &source, &line, &ran, arguments.flip);
    spinner.finish_and_clear();
    let told = told?;
    match arguments.json {
        true => say(&serde_json::to_string_pretty(&told).context("it is JSON")?)?,
        false => say(&text(&told, &source))?,
    }
    match told.error {
        None => Ok(()),
        Some(error) => Err(Failure::Data(anyhow!(
            "the eval gave no verdict: {} ({})",
            error.message,
            error.kind.as_str()
        ))),
    }
}

/// The one trace of a file, or the one of that id among its lines.
fn find(path: &Path, id: Option<&str>) -> Result<Line, Failure> {
    let mut bytes = Vec::new();
    let read = input::reader(path)?.read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let lines = raw_lines(&bytes);
    let Some(id) = id else {
        let [line] = &lines[..] else {
            if lines.is_empty() {
                let empty = anyhow!("{} holds no trace; it takes a JSON object", path.display());
                return Err(Failure::Data(empty));
            }
            let holds = anyhow!(
                "{} holds {} traces; name one with --id",
                path.display(),
                lines.len()
            );
            return Err(Failure::Usage(holds));
        };
        return input::trace_line(line);
    };
    for line in &lines {
        let line = input::trace_line(line)?;
        if line.id == id || line.trace.id == id {
            return Ok(line);
        }
    }
    let none = anyhow!("{} holds no trace with the id {id}", path.display());
    Err(Failure::Usage(none))
}

/// The lines that are not empty; a text that is one JSON value over many lines is one.
fn raw_lines(bytes: &[u8]) -> Vec<RawLine> {
    let line = |(number, bytes): (usize, &[u8])| RawLine {
        number,
        start: 0,
        bytes: bytes.to_owned(),
    };
    if serde_json::from_slice::<Value>(bytes).is_ok() {
        return vec![line((1, bytes))];
    }
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines.map(line).collect()
}

/// The plain run; `judge` is answered where an LLM is configured.
fn run(runner: &Runner, source: &EvalSource, trace: &Trace) -> Result<Ran, Failure> {
    let mut only = None;
    let traces = std::iter::once(((), trace.to_json()));
    runner.evaluate_in_order(source, traces, |(), ran| {
        only = Some(ran);
        ControlFlow::Break(())
    });
    let ran = only.context("the sandbox gave no outcome")?;
    match ran.outcome.host_failure() {
        Some(error) => Err(Failure::Host(anyhow!("the sandbox host failed: {error}"))),
        None => Ok(ran),
    }
}

/// What the command says, as `--json` prints it.
#[derive(Serialize)]
struct Told {
    id: String,
    verdict: Option<&'static str>,
    reason: Option<String>,
    error: Option<RunError>,
    explanation: Option<Explanation>,
    /// Why there is none.
    unexplained: Option<String>,
    /// `None` where nobody asked for it.
    flip: Option<FlipTold>,
}

/// A search for a flip; no `change` where none was found.
#[derive(Serialize)]
#[serde(untagged)]
enum FlipTold {
    Found(Box<Flip>),
    None { change: (), tries: usize },
}

fn told(
    sandbox: &Sandbox,
    source: &EvalSource,
    line: &Line,
    Ran { outcome, receipt }: &Ran,
    wants_flip: bool,
) -> Result<Told, Failure> {
    let answers = receipt
        .as_ref()
        .map_or_else(Answers::default, |receipt| receipt.answers());
    let explained = explain::explain(sandbox, source, &line.trace, outcome, answers.clone());
    let (explanation, unexplained) = match explained {
        Ok(explanation) => (Some(explanation), None),
        Err(unexplained) => (None, Some(unexplained.0)),
    };
    let words = explanation
        .as_ref()
        .map_or(&[][..], |explanation| &explanation.words);
    let flip = match wants_flip {
        true => flip(sandbox, source, &line.trace, outcome, &answers, words)?,
        false => None,
    };
    let said = outcome.result.as_ref().ok();
    Ok(Told {
        id: line.id.clone(),
        verdict: said.map(|(verdict, _)| verdict.as_str()),
        reason: said.map(|(_, reason)| reason.clone()),
        error: outcome.result.as_ref().err().cloned(),
        explanation,
        unexplained,
        flip,
    })
}

fn flip(
    sandbox: &Sandbox,
    source: &EvalSource,
    trace: &Trace,
    outcome: &Outcome,
    answers: &Answers,
    words: &[Word],
) -> Result<Option<FlipTold>, Failure> {
    let Some(verdict) = outcome.verdict() else {
        return Ok(None);
    };
    let literals = explain::literals(sandbox, source);
    let evaluate = |traces: &[Trace]| explain::evaluate(sandbox, source, answers, traces);
    let found = explain::flip(trace, verdict, words, &literals, &evaluate)?;
    Ok(Some(match found {
        Ok(flip) => FlipTold::Found(Box::new(flip)),
        Err(none) => FlipTold::None {
            change: (),
            tries: none.tries,
        },
    }))
}

/// The mutation score of an eval, on some of the labelled traces that people and it say pass of.
pub fn mutation(
    sandbox: &Sandbox,
    source: &EvalSource,
    passing: Vec<&LabelledTrace>,
) -> Result<Option<Mutations>, Failure> {
    let drawn = explain::draw(passing, |label| label.id.as_str());
    let traces: Vec<Trace> = drawn.into_iter().map(|label| label.trace.clone()).collect();
    let spinner = spinner("breaking good answers");
    let scored = explain::mutations(sandbox, source, &traces);
    spinner.finish_and_clear();
    Ok(scored?)
}

fn text(told: &Told, source: &EvalSource) -> String {
    let mut parts = vec![heading(told)];
    match (&told.explanation, &told.unexplained) {
        (Some(explanation), _) => parts.extend(explained(explanation, source)),
        (None, Some(why)) => parts.push(format!("Not explained: {}", visible_line(why))),
        (None, None) => {}
    }
    parts.extend(told.flip.as_ref().map(flip_text));
    parts.join("\n\n")
}

fn heading(told: &Told) -> String {
    match (told.verdict, &told.reason) {
        (Some(verdict), Some(reason)) if !reason.is_empty() => {
            format!("{verdict}: {}", visible_line(reason))
        }
        (Some(verdict), _) => verdict.to_owned(),
        (None, _) => "no verdict".to_owned(),
    }
}

fn explained(explanation: &Explanation, source: &EvalSource) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(explanation.differs.as_deref().map(visible_line));
    parts.push(marked_source(explanation, source));
    if !explanation.steps.is_empty() {
        let mut lines = vec!["Why, from the verdict backwards:".to_owned()];
        lines.extend(explanation.steps.iter().map(step_text));
        if explanation.left_out > 0 {
            lines.push(format!("  … and {} steps more", explanation.left_out));
        }
        parts.push(lines.join("\n"));
    }
    if !explanation.words.is_empty() {
        let words = explanation.words.iter().map(word_text);
        let heading = "Words of the trace:".to_owned();
        parts.push(
            [heading]
                .into_iter()
                .chain(words)
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    parts
}

/// The source with its line numbers: `|` for lines that ran, `?` for the deciding test, `>` for what it led to.
fn marked_source(explanation: &Explanation, source: &EvalSource) -> String {
    let mut marks = BTreeMap::new();
    for [first, last] in &explanation.lines {
        marks.extend((*first..=*last).map(|line| (line, '|')));
    }
    let tests = explanation.steps.iter().filter(|step| step.decides);
    marks.extend(tests.map(|step| (step.line, '?')));
    let ends = explanation.decided.into_iter().chain(explanation.raised);
    marks.extend(ends.map(|line| (line, '>')));
    let numbered = (1..).zip(source.as_str().lines()).map(|(number, line)| {
        let mark = marks.get(&number).unwrap_or(&' ');
        format!("{mark} {number:>4}  {}", visible_line(line))
            .trim_end()
            .to_owned()
    });
    let legend = "| ran, ? tested last, > decided".to_owned();
    numbered.chain([legend]).collect::<Vec<_>>().join("\n")
}

fn step_text(step: &Step) -> String {
    let indent = "  ".repeat(step.depth + 1);
    let place = match &step.function {
        Some(name) if name != "evaluate" => format!("line {} in {name}", step.line),
        _ => format!("line {}", step.line),
    };
    let is_whole = |code: &str| match step.kind {
        StepKind::Value => step.code.ends_with(code),
        _ => step.code == code,
    };
    let whole = step.values.first().filter(|(code, _)| is_whole(code));
    let came_to = match (step.kind, step.truth, whole) {
        (_, _, Some((_, value))) => format!(" is {value}"),
        (StepKind::Test, Some(truth), _) => format!(" is {truth}"),
        (StepKind::Except, ..) => " was raised".to_owned(),
        _ => String::new(),
    };
    let values = step.values.iter().skip(usize::from(whole.is_some()));
    let mut more: Vec<String> = values
        .map(|(code, value)| format!("{code} is {value}"))
        .collect();
    more.extend(for_texts("true", &step.held));
    more.extend(for_texts("false", &step.failed));
    let more: String = more.iter().map(|more| format!("; {more}")).collect();
    visible_line(&format!("{indent}{place}: {}{came_to}{more}", step.code))
}

fn for_texts(came_to: &str, texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| format!("{came_to} for {}", quoted_list(texts)))
}

fn quoted_list(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| format!("“{text}”"));
    quoted.collect::<Vec<_>>().join(", ")
}

fn word_text(word: &Word) -> String {
    let shown = |place: &Place| {
        let Place {
            path,
            before,
            text,
            after,
        } = place;
        format!("{path}: …{before}[{text}]{after}…")
    };
    let answer = match &word.answer {
        Some(place) => shown(place),
        None => "not in the answer".to_owned(),
    };
    let elsewhere = word
        .elsewhere
        .as_ref()
        .map_or(String::new(), |place| format!("; {}", shown(place)));
    visible_line(&format!("  “{}”  {answer}{elsewhere}", word.text))
}

fn flip_text(flip: &FlipTold) -> String {
    let flip = match flip {
        FlipTold::Found(flip) => flip,
        FlipTold::None { tries, .. } => {
            return format!("No small change that flips the verdict was found in {tries} tries.");
        }
    };
    let least = if flip.is_minimal {
        "The smallest change found"
    } else {
        "A change"
    };
    let mut lines = vec![format!(
        "{least} that flips it, in {} tries: {}",
        flip.tries, flip.change
    )];
    if !flip.before.is_empty() || !flip.after.is_empty() {
        lines.push(format!("  - …{}…", flip.before));
        lines.push(format!("  + …{}…", flip.after));
    }
    lines.push(format!(
        "  then: {}, {}",
        flip.verdict.as_str(),
        flip.reason
    ));
    let lines = lines.iter().map(|line| visible_line(line));
    lines.collect::<Vec<_>>().join("\n")
}
