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
    /// A person, by hand.
    Person,
}

impl Maker {
    /// The word in rows and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Llm => "llm",
            Self::Person => "person",
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
    /// What its `judge` costs a thousand traces at least, in US dollars, by the held-out ones, of which answers that were
    /// known cost nothing; `None` where it does not ask, or
    /// a price is not known.
    pub judge_cost_per_thousand_usd: Option<f64>,
    /// Where it comes from; `None` where it is no next version of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descent: Option<Descent>,
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
            descent: None,
            notes: Vec::new(),
        }
    }
}

/// Of a next version: the one before, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descent {
    /// The version before; `None` where it is a file.
    pub parent: Option<String>,
    /// Why another one was wanted; `None` where nobody says.
    pub why: Option<String>,
    /// What changed and why, a sentence each.
    pub changes: Vec<String>,
    /// How the two do on the same labels, given before this version was made; `None` where nobody has compared them.
    pub versus: Option<Versus>,
    /// How they do on labels given since; `None` without any, and where the two were compared when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versus_fresh: Option<Versus>,
}

/// A version and the one before on the same labels, none of which the new one was made from. Where it was offered because
/// of them, they are no unseen labels any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// The new one first. An abstention or an error is not right.
    #[serde(flatten)]
    pub compared: Comparison,
    /// Labels on which the new one is right.
    pub new_right: u64,
    /// Labels on which the one before is right.
    pub old_right: u64,
    /// Whether evals that were made without the label stand for the new one.
    pub cross_validated: bool,
    /// Whether they are labels given after the new one was made.
    #[serde(default)]
    pub fresh: bool,
    /// Labels among them that the one before, or a version it descends from, had seen; `None` where nobody knows.
    pub seen_before: Option<u64>,
}

impl Versus {
    /// From the labels, the new version first.
    pub fn new(paired: Paired, cross_validated: bool, seen_before: u64) -> Self {
        Self {
            compared: paired.into(),
            new_right: paired.both + paired.wins,
            old_right: paired.both + paired.losses,
            cross_validated,
            fresh: false,
            seen_before: Some(seen_before),
        }
    }

    /// Whether only the new one is right more often than only the one before.
    pub fn is_better(&self) -> bool {
        self.compared.wins > self.compared.losses
    }

    /// How the two do, for people.
    pub fn sentence(&self) -> String {
        let Comparison {
            n, wins, losses, ..
        } = self.compared;
        let labels = match (self.cross_validated, self.fresh) {
            (true, _) => "labels, each judged by evals made without it",
            (false, true) => "labels given since it was made",
            (false, false) => "labels that it was not made from",
        };
        let seen = match self.seen_before {
            Some(0) => String::new(),
            Some(seen) => format!(" The one before had seen {seen} of them."),
            None => " How many of them the one before had seen is not known.".to_owned(),
        };
        format!(
            "On {n} {labels}, the new version is right on {} and the one before on {}: only the new one on {wins}, only the one \
             before on {losses}. The gain is {}.{seen}",
            self.new_right,
            self.old_right,
            self.compared.gained(),
        )
    }
}

/// By how much the LLM's eval is right more often than what would be used without it, on the same labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Than what.
    pub over: Over,
    /// On development labels, each judged by evals made without it: by these is chosen. In a refinement there are none.
    pub unseen: Comparison,
    /// On held-out labels, which neither eval has seen and which choose nothing: the honest figure. In a refinement the labels that it
    /// is compared with the one before on, and which choose. `None` without any.
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

impl Comparison {
    /// "+21 points (95 % interval 2 to 38, p 0.18)", for people.
    pub fn gained(&self) -> String {
        let points = |share: f64| share * 100.0 + 0.0;
        let Some(gain) = self.gain.map(points) else {
            return "undefined".to_owned();
        };
        let interval = self.gain_interval.map(|interval| {
            let (lo, hi) = (points(interval.lo), points(interval.hi));
            format!("95 % interval {lo:.0} to {hi:.0}")
        });
        let p = self.p.map(|p| format!("p {p:.2}"));
        let sure: Vec<String> = interval.into_iter().chain(p).collect();
        match sure.is_empty() {
            true => format!("{gain:+.0} points"),
            false => format!("{gain:+.0} points ({})", sure.join(", ")),
        }
    }
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
