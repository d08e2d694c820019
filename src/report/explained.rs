//! What `explain` has to say in a report: the deciding line under a miss, and the mutation score.

use std::collections::BTreeMap;

use serde_json::Value;

use super::figures::Report;
use super::store::{self, StoredOutcome, Version};
use super::words::{counted, percent, percents};
use crate::app::App;
use crate::domain::{Class, Outcome, Trace, TraceId, Verdict, one_line};
use crate::explain::{self, Explanation, Mutations, Place, StepKind, Word};
use crate::sandbox::receipt::Answered;
use crate::slack::{context, cut, escape};
use crate::store::{TraceLabels, with_session};
use crate::workspace::Workspace;

const CODE_MAX: usize = 120;
const VALUE_MAX: usize = 60;
const VALUES_SHOWN: usize = 2;
const WORD_MAX: usize = 40;
const WORDS_SHOWN: usize = 2;
/// Ways of breaking an answer that are named where they are mostly missed.
const MISSED_SHOWN: usize = 4;

/// The line that decided, and the words of the trace; all texts are hostile.
#[derive(Clone, Debug, PartialEq)]
pub struct Quoted {
    line: usize,
    code: String,
    /// What the parts of a test were.
    values: Vec<(String, String)>,
    words: Vec<Word>,
}

impl Quoted {
    /// `None` where no line decided.
    pub fn of(explanation: &Explanation) -> Option<Self> {
        let deciding = explanation.steps.iter().filter(|step| step.decides);
        let is_test = |kind| kind != StepKind::Return;
        let step = deciding.max_by_key(|step| is_test(step.kind))?;
        Some(Self {
            line: step.line,
            code: step.code.clone(),
            values: step.values.iter().take(VALUES_SHOWN).cloned().collect(),
            words: explanation
                .words
                .iter()
                .take(WORDS_SHOWN)
                .cloned()
                .collect(),
        })
    }

    /// A block of its own under the miss, so that nothing in it can push a link out.
    pub fn block(&self) -> Value {
        let values = self.values.iter().map(|(code, value)| {
            format!(
                "{} is {}",
                code_of(code, WORD_MAX),
                text_of(value, VALUE_MAX)
            )
        });
        let decided = format!(
            "Decided in line {}: {}",
            self.line,
            code_of(&self.code, CODE_MAX)
        );
        let mut lines = vec![
            [decided]
                .into_iter()
                .chain(values)
                .collect::<Vec<_>>()
                .join(" · "),
        ];
        lines.extend(self.words.iter().map(word));
        context(&lines.join("\n"))
    }
}

/// In code's type; a back-tick would end that.
fn code_of(code: &str, max: usize) -> String {
    format!("`{}`", escape(&cut(&one_line(code).replace('`', "'"), max)))
}

fn text_of(text: &str, max: usize) -> String {
    escape(&cut(&one_line(text), max))
}

fn word(word: &Word) -> String {
    let place = |Place {
                     path,
                     before,
                     text,
                     after,
                 }: &Place| {
        let around = format!("…{before}{text}{after}…");
        format!(
            "{} “{}”",
            text_of(path, WORD_MAX),
            text_of(&around, VALUE_MAX + WORD_MAX)
        )
    };
    let answer = word
        .answer
        .as_ref()
        .map_or("not in the answer".to_owned(), place);
    let elsewhere = match (&word.answer, &word.elsewhere) {
        (None, Some(elsewhere)) => format!(", but in {}", place(elsewhere)),
        _ => String::new(),
    };
    format!("“{}”: {answer}{elsewhere}", text_of(&word.text, WORD_MAX))
}

/// Why a version said what it said of a trace; `None` where that can't be told, which holds no report back.
pub async fn quote(
    app: &App,
    workspace: &Workspace,
    version: &Version,
    trace: &TraceId,
    outcome: &StoredOutcome,
) -> Option<Quoted> {
    let ran = ran_on(app, workspace, version, trace).await;
    let (trace, answers) = unless_failed(app, version, ran)??;
    let sandbox = app.sandbox.for_tenant(workspace.id.as_str());
    let (source, plain) = (version.source.clone(), plain(outcome)?);
    let explained = tokio::task::spawn_blocking(move || {
        let answered: Vec<Answered> = serde_json::from_str(&answers)?;
        let known = answered
            .into_iter()
            .map(|known| (known.question, known.answer));
        anyhow::Ok(explain::explain(
            &sandbox,
            &source,
            &trace,
            &plain,
            known.collect(),
        ))
    });
    let explained = explained.await.map_err(anyhow::Error::from).flatten();
    Quoted::of(&unless_failed(app, version, explained)?.ok()?)
}

/// A trace as a version was given it, with its session where it judges those, and what `judge` answered then, as JSON;
/// `None` where it has not run on the trace as it now is.
async fn ran_on(
    app: &App,
    workspace: &Workspace,
    version: &Version,
    trace: &TraceId,
) -> anyhow::Result<Option<(Trace, String)>> {
    let ran = store::ran(&app.db, &workspace.id, &version.id, trace).await?;
    let Some((payload, answers)) = ran else {
        return Ok(None);
    };
    let trace = if version.source.reads_session() {
        let limit = app.sandbox.limits().trace_bytes;
        with_session(&app.db, &workspace.id, &payload, limit).await?
    } else {
        serde_json::from_str(&payload)?
    };
    Ok(Some((trace, answers)))
}

/// The outcome as its row has it.
fn plain(outcome: &StoredOutcome) -> Option<Outcome> {
    let said = (outcome.verdict?, outcome.reason.clone());
    Some(Outcome {
        result: Ok(said),
        printed: String::new(),
        fuel: 0,
        duration_us: 0,
    })
}

/// The mutation score of a version on traces that it and people say pass of; `None` where there are none, or where
/// it can't be found, which holds no report back.
pub async fn mutation(
    app: &App,
    workspace: &Workspace,
    version: &Version,
    labels: &[TraceLabels],
    outcomes: &BTreeMap<TraceId, StoredOutcome>,
) -> Option<Mutations> {
    let says_pass = |labels: &&TraceLabels| {
        let outcome = outcomes.get(&labels.trace);
        outcome.is_some_and(|outcome| outcome.verdict == Some(Verdict::Pass))
    };
    let passing = labels
        .iter()
        .filter(|labels| labels.class() == Some(Class::Pass));
    let passing: Vec<&TraceId> = passing
        .filter(says_pass)
        .map(|labels| &labels.trace)
        .collect();
    let scored = score(
        app,
        workspace,
        version,
        explain::draw(passing, |id| id.as_str()),
    )
    .await;
    unless_failed(app, version, scored)?
}

async fn score(
    app: &App,
    workspace: &Workspace,
    version: &Version,
    passing: Vec<&TraceId>,
) -> anyhow::Result<Option<Mutations>> {
    let mut traces: Vec<Trace> = Vec::with_capacity(passing.len());
    for trace in passing {
        let ran = ran_on(app, workspace, version, trace).await?;
        traces.extend(ran.map(|(trace, _)| trace));
    }
    let sandbox = app.sandbox.for_tenant(workspace.id.as_str());
    let source = version.source.clone();
    tokio::task::spawn_blocking(move || explain::mutations(&sandbox, &source, &traces)).await?
}

fn unless_failed<T>(app: &App, version: &Version, found: anyhow::Result<T>) -> Option<T> {
    if let (Err(error), false) = (&found, app.is_stopping()) {
        tracing::warn!(eval_version.id = %version.id, %error, "a report goes without an explanation");
    }
    found.ok()
}

/// "61 % (95 % interval 47–74 %) of 412 broken answers noticed, from 36 traces"; `None` without a score.
pub fn mutation_score(report: &Report) -> Option<String> {
    let mutations = report.mutation.as_ref()?;
    let interval = mutations.interval.map_or(String::new(), |interval| {
        format!(" (95 % interval {})", percents(interval))
    });
    let total = &mutations.total;
    let answers = counted(total.judged() as f64, "broken answer");
    let traces = counted(mutations.traces as f64, "good one");
    let apart = match (total.abstained, total.errors) {
        (0, 0) => String::new(),
        (abstained, errors) => format!(
            " ({}, {} apart)",
            counted(abstained as f64, "abstention"),
            counted(errors as f64, "error")
        ),
    };
    let score = percent(mutations.score);
    Some(format!(
        "{score}{interval} of {answers} noticed, made from {traces}{apart}"
    ))
}

/// What it mostly does not notice: "a changed number (0 of 12), …". `None` where there is no such way.
pub fn mostly_missed(report: &Report) -> Option<String> {
    let operators = report
        .mutation
        .iter()
        .flat_map(|mutations| &mutations.operators);
    let mut missed: Vec<_> = operators
        .filter(|of| of.share.is_some_and(|share| share < 0.5))
        .collect();
    missed.sort_by(|a, b| {
        a.share
            .partial_cmp(&b.share)
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let named = missed.iter().take(MISSED_SHOWN).map(|of| {
        let (noticed, judged) = (of.noticed.noticed, of.noticed.judged());
        format!("{} ({noticed} of {judged})", of.operator.words())
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| {
        format!(
            "{}; an eval on one criterion need not notice all",
            named.join(", ")
        )
    })
}

#[cfg(test)]
#[path = "explained_tests.rs"]
mod tests;
