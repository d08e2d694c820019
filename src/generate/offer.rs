//! What an attempt to make an eval comes to: an offer with how it was made, or a reasoned "not yet".

use serde::{Deserialize, Serialize};

use super::CrossValidation;
use super::written::Kind;
use crate::domain::{Criterion, EvalSource};
use crate::llm::Usage;
use crate::stats::{Interval, Paired};

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// An eval.
    Offer(Box<Offer>),
    /// None is worth an offer.
    NotYet(NotYet),
}

/// An eval that is worth a person's look.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The Python.
    pub source: EvalSource,
    /// Its docstring.
    pub criterion: Criterion,
    /// Evals and conditions that were tried, by all generators.
    pub candidates_tried: usize,
    /// How the rules did on labels that they had not seen; `None` for an LLM's eval.
    pub cross_validation: Option<CrossValidation>,
    /// In a refinement: what changed and why, a sentence each.
    pub changes: Vec<String>,
    /// The labelled traces whose labels it has seen, by id.
    pub seen: Vec<String>,
    /// How it was made.
    pub making: Making,
}

/// Why there is no eval.
#[derive(Clone, Debug, PartialEq)]
pub struct NotYet {
    /// A sentence or several, for the channel.
    pub reason: String,
    /// Evals and conditions that were tried.
    pub candidates_tried: usize,
    /// What the LLM took.
    pub usage: Usage,
}

/// What made an eval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// The rule learner.
    Rules,
    /// An LLM.
    Llm,
}

impl Maker {
    /// The word in rows and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Llm => "llm",
        }
    }
}

/// How an eval was made: a row's column, and `making` in reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Making {
    /// What made it.
    pub generator: Maker,
    /// What kind of eval the LLM wrote; `None` for rules.
    pub kind: Option<Kind>,
    /// By what people seem to judge, a sentence each, as the LLM reads it; none for rules.
    pub criteria: Vec<Criterion>,
    /// What the LLM took, whosever eval is offered: its tokens and their cost.
    pub usage: Usage,
    /// How the LLM's eval compares; `None` where there is none, or no label to compare it on.
    pub gain: Option<Gain>,
    /// What its `judge` costs a thousand traces, in US dollars, by the held-out ones; `None` where it does not ask, or
    /// a price is not known.
    pub judge_cost_per_thousand_usd: Option<f64>,
    /// What else a reader should know, in sentences.
    pub notes: Vec<String>,
}

impl Making {
    /// By the rules alone.
    pub fn by_rules() -> Self {
        Self {
            generator: Maker::Rules,
            kind: None,
            criteria: Vec::new(),
            usage: Usage::default(),
            gain: None,
            judge_cost_per_thousand_usd: None,
            notes: Vec::new(),
        }
    }
}

/// By how much the LLM's eval is right more often than what would be used without it, on the same labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Than what.
    pub over: Over,
    /// On development labels, each judged by evals made without it: by these is chosen.
    pub unseen: Comparison,
    /// On held-out labels, which neither eval has seen and which choose nothing: the honest figure. `None` without any.
    pub held_out: Option<Comparison>,
}

/// What the LLM's eval is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The rules.
    Rules,
    /// Always guessing the larger class.
    MajorityGuess,
}

/// Two evals on the same labels. Undefined figures are `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Labels.
    pub n: u64,
    /// Labels on which only the first is right.
    pub wins: u64,
    /// Labels on which only the second is right.
    pub losses: u64,
    /// The first's agreement less the second's.
    pub gain: Option<f64>,
    /// Newcombe's, 95 %.
    pub gain_interval: Option<Interval>,
    /// McNemar's, exact and two-sided.
    pub p: Option<f64>,
}

impl From<Paired> for Comparison {
    fn from(paired: Paired) -> Self {
        Self {
            n: paired.n(),
            wins: paired.wins,
            losses: paired.losses,
            gain: paired.gain(),
            gain_interval: paired.gain_interval(),
            p: paired.p(),
        }
    }
}
