//! The LLM, as the rooms know it: it writes evals, and it answers what evals ask through `judge`.
//!
//! In: prompts, whose parts from traces are hostile. Out: JSON of an asked-for shape, which is as hostile, or a
//! sentence that says why there is none; and what it cost. What was answered before is not asked again: `run` remembers.
//! Keys go to the configured address alone; prompts and answers go into no log and no error.
//!
//! Two APIs are spoken, Anthropic's Messages and OpenAI's chat completions, by small clients of our own: one request
//! of each is needed, and no library that we found has the raw status with `Retry-After`, both providers' prompt
//! caches and both ways of asking for a shape.
//!
//! The providers' batch endpoints are not used: they are half the price, but promise an answer within a day, and a
//! trace's score or a candidate's figure waits for it. What belongs together is asked at the same time instead.

mod anthropic;
mod client;
mod config;
mod endpoint;
mod error;
mod http;
mod judge;
mod ledger;
mod openai;
mod price;
mod shape;
mod store;
mod takes;

use std::ops::AddAssign;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Handle;

pub use crate::sandbox::protocol::Question;
pub use client::{Check, Client, Metered, connect};
pub use config::{LlmConfig, ModelConfig, Provider, Variables};
pub use error::Error;
pub use ledger::spent_this_month;
pub use price::{Price, Prices, cost_per_thousand};
pub use store::usage_of;

/// Why a question was not answered: a sentence for the eval's owner, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JudgeError(pub String);

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether what is asked is true of the text.
    pub yes: bool,
    /// Why, in a sentence; empty where none was given. An LLM wrote it.
    pub reason: String,
    /// The model that answered: a fallback's name may stand here.
    pub by: String,
}

/// An answer to come.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answer, JudgeError>> + Send + 'a>>;

/// An LLM that answers yes or no.
pub trait Judge: Send + Sync {
    /// The model that is asked first. Another one may answer otherwise, so answers are remembered by it, those of its
    /// fallback included: the same question keeps its answer.
    fn model(&self) -> &str;

    /// Whether what is asked is true of the text.
    ///
    /// # Errors
    /// It can't be reached, or said neither yes nor no.
    fn answer<'a>(&'a self, question: &'a Question) -> Answering<'a>;
}

/// What a prompt is for; by it the model is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Criteria and ideas: the cheaper model.
    Propose,
    /// Python: the stronger model.
    Write,
    /// Yes or no for an eval's `judge`.
    Judge,
}

impl Task {
    /// As it stands in rows and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Propose => "propose",
            Self::Write => "write",
            Self::Judge => "judge",
        }
    }
}

/// What an LLM is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What it is for.
    pub task: Task,
    /// The same for every prompt of a task: the provider keeps it ready.
    pub instructions: String,
    /// The same for the prompts of one generation (the labelled traces): kept ready as well. May be empty.
    pub material: String,
    /// What is asked this time.
    pub request: String,
    /// The JSON Schema of the answer: an object without further properties.
    pub schema: Value,
    /// Tokens of the answer at most.
    pub max_tokens: u32,
}

/// What an LLM answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// JSON, of the shape that the prompt's schema asks for at its top level.
    pub value: Value,
    /// What it took, calls that failed included.
    pub usage: Usage,
}

/// Tokens and money.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests that were answered.
    pub calls: u64,
    /// Tokens read, those of a cache left out.
    pub input_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written to it.
    pub cache_written_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// US dollars; `None` where a model's price is not known.
    pub cost_usd: Option<f64>,
}

impl Usage {
    /// What was taken since it was `before`.
    pub fn since(&self, before: &Self) -> Self {
        let calls = self.calls - before.calls;
        let cost = self
            .cost_usd
            .zip(before.cost_usd.or((before.calls == 0).then_some(0.0)));
        Self {
            calls,
            input_tokens: self.input_tokens - before.input_tokens,
            cached_tokens: self.cached_tokens - before.cached_tokens,
            cache_written_tokens: self.cache_written_tokens - before.cache_written_tokens,
            output_tokens: self.output_tokens - before.output_tokens,
            cost_usd: cost.filter(|_| calls > 0).map(|(now, before)| now - before),
        }
    }
}

impl AddAssign for Usage {
    /// A sum has a cost where each part that took anything has one.
    fn add_assign(&mut self, other: Self) {
        self.cost_usd = match (self.calls, other.calls) {
            (0, _) => other.cost_usd,
            (_, 0) => self.cost_usd,
            _ => self
                .cost_usd
                .zip(other.cost_usd)
                .map(|(one, two)| one + two),
        };
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.cached_tokens += other.cached_tokens;
        self.cache_written_tokens += other.cache_written_tokens;
        self.output_tokens += other.output_tokens;
    }
}

/// Why a prompt has no answer; each a sentence for the eval's owner, with what to do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LlmError {
    /// Neither model can be reached, or both are overloaded, refuse the key or the prompt, or answer nonsense.
    #[error("{0}")]
    Unavailable(String),
    /// The month's budget is spent: nothing is asked until it is raised or the month ends.
    #[error("{0}")]
    Budget(String),
    /// The process ends.
    #[error("the LLM was not asked: the process ends")]
    Stopping,
}

/// A completion to come.
pub type Completing<'a> = Pin<Box<dyn Future<Output = Result<Completion, LlmError>> + Send + 'a>>;

/// An LLM that completes prompts, whatever provider and fallback stand behind it.
pub trait Model: Send + Sync {
    /// Answers a prompt.
    fn complete<'a>(&'a self, prompt: &'a Prompt) -> Completing<'a>;
}

/// A model for code that waits: asked from threads that are none of the runtime's.
#[derive(Clone)]
pub struct Writer {
    model: Arc<dyn Model>,
    runtime: Handle,
}

impl Writer {
    /// The model's futures run on `runtime`, which must have threads of its own.
    pub fn new(model: Arc<dyn Model>, runtime: Handle) -> Self {
        Self { model, runtime }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// See [`LlmError`].
    pub fn ask(&self, prompt: &Prompt) -> Result<Completion, LlmError> {
        self.runtime.block_on(self.model.complete(prompt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(calls: u64, cost_usd: Option<f64>) -> Usage {
        Usage {
            calls,
            output_tokens: 10 * calls,
            cost_usd,
            ..Usage::default()
        }
    }

    #[test]
    fn what_was_taken_since_is_the_difference_and_nothing_has_no_cost() {
        let (none, two, five) = (used(0, None), used(2, Some(1.0)), used(5, Some(2.5)));
        assert_eq!(two.since(&none), two);
        assert_eq!(five.since(&two), used(3, Some(1.5)));
        assert_eq!(two.since(&two), none);
        assert_eq!(used(5, None).since(&two).cost_usd, None, "one has no price");
    }
}
