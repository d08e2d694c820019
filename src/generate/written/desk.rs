//! Where the generator asks and runs: what was tried, what was thrown out, what it took, and whether the LLM still
//! answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::inspect::Finding;
use super::{Brief, Try, WriteError};
use crate::domain::{EvalSource, Outcome, Trace};
use crate::llm::{LlmError, Prompt, Writer};

/// Unlabelled traces that are used: each smaller source is run on all.
const MOST_POOL: usize = 200;
/// Sentences about candidates that were thrown out.
const MOST_THROWN_OUT: usize = 30;
/// Prompts in a row without an answer: then nobody answers.
const UNANSWERED: usize = 2;

/// What one generation shares.
pub struct Desk<'b> {
    /// What is wanted.
    pub brief: &'b Brief<'b>,
    writer: &'b Writer,
    run: Try<'b>,
    /// Traces without labels.
    pub pool: &'b [Trace],
    /// Hashes of the sources that were tried.
    tried: BTreeSet<String>,
    /// Conditions that the rule learner tried.
    conditions: usize,
    thrown_out: Vec<String>,
    answers: u64,
    unanswered: usize,
    ended: Option<LlmError>,
}

impl<'b> Desk<'b> {
    /// Nothing is tried yet.
    pub fn new(brief: &'b Brief<'b>, writer: &'b Writer, run: Try<'b>) -> Self {
        Self {
            brief,
            writer,
            run,
            pool: &brief.unlabelled[..brief.unlabelled.len().min(MOST_POOL)],
            tried: BTreeSet::new(),
            conditions: 0,
            thrown_out: Vec::new(),
            answers: 0,
            unanswered: 0,
            ended: None,
        }
    }

    /// The answer; `None` where there is none. After a budget's end, or several prompts without an answer, nothing more
    /// is asked: what is there must do.
    ///
    /// # Errors
    /// The process ends.
    pub fn ask(&mut self, prompt: &Prompt) -> Result<Option<Value>, WriteError> {
        if self.ended.is_some() {
            return Ok(None);
        }
        match self.writer.ask(prompt) {
            Ok(completion) => {
                self.unanswered = 0;
                self.answers += 1;
                return Ok(Some(completion.value));
            }
            Err(LlmError::Stopping) => return Err(LlmError::Stopping.into()),
            Err(error @ LlmError::Budget(_)) => self.ended = Some(error),
            Err(error) => {
                self.unanswered += 1;
                if self.unanswered == UNANSWERED {
                    self.ended = Some(error);
                }
            }
        }
        Ok(None)
    }

    /// Why nothing more is asked.
    pub fn ended(&self) -> Option<&LlmError> {
        self.ended.as_ref()
    }

    /// Runs a source. One that is a candidate is counted beside.
    ///
    /// # Errors
    /// The host failed.
    pub fn run(&self, source: &EvalSource, traces: &[String]) -> Result<Vec<Outcome>, WriteError> {
        (self.run)(source, traces).map_err(WriteError::Host)
    }

    /// What runs evals, for evals of ours.
    pub fn runner(&self) -> Try<'b> {
        self.run
    }

    /// Counts a source as tried, once.
    pub fn count(&mut self, source: &EvalSource) {
        self.tried.insert(source.hash());
    }

    /// Counts conditions that the rule learner tried.
    pub fn count_conditions(&mut self, conditions: usize) {
        self.conditions += conditions;
    }

    /// Says that a candidate is thrown out, and why.
    pub fn throw_out(&mut self, what: &str, findings: &[Finding]) {
        let why: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.is_grave)
            .map(|finding| finding.sentence.as_str())
            .collect();
        let sentence = format!("{what} was thrown out: {}", why.join(" "));
        if self.thrown_out.len() < MOST_THROWN_OUT && !self.thrown_out.contains(&sentence) {
            self.thrown_out.push(sentence);
        }
    }

    /// Evals that were tried, what was thrown out, and what it took.
    pub fn into_account(self) -> Account {
        Account {
            candidates_tried: self.tried.len() + self.conditions,
            thrown_out: self.thrown_out,
            answers: self.answers,
            ended: self.ended,
        }
    }
}

/// What a generation leaves beside its eval.
pub struct Account {
    pub candidates_tried: usize,
    pub thrown_out: Vec<String>,
    pub answers: u64,
    pub ended: Option<LlmError>,
}
