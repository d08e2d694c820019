//! The LLM's generator: criteria from comments and contrasts, candidate evals of several kinds, each tried in the
//! sandbox on development labels and mended by what went wrong, the best by cross-validation, made as small as it goes.
//!
//! In: development labels and an unlabelled pool, all hostile. Out: one Python file, which only ever ran in the sandbox.

mod answer;
mod attempt;
mod choose;
mod criteria;
mod desk;
mod digest;
mod inspect;
mod labels;
mod material;
mod minimise;
mod predicates;
mod prompt;
mod question;
mod rounds;
mod score;
#[cfg(test)]
pub(super) mod tests;

pub use digest::{Digest, digest};

use serde::{Deserialize, Serialize};

use crate::domain::{Class, Criterion, EvalSource, LabelledTrace, Outcome, Trace};
use crate::llm::{LlmError, Writer};
use attempt::{Shown, Tests, Tried, attempt};
use choose::{Crossed, KINDS, cross_validated};
use desk::{Account, Desk};
use inspect::Origins;
use labels::{Decided, count, decided, drawn};
use material::material;
use minimise::minimise;
use rounds::{candidate, next_version};
use score::Score;

/// Runs an eval on traces (JSON of schema version 1), an outcome each, in order; `Err` where the host failed.
pub type Try<'t> = &'t (dyn Fn(&EvalSource, &[String]) -> anyhow::Result<Vec<Outcome>> + Sync);

/// What the LLM is to write an eval from.
pub struct Brief<'b> {
    /// The labels that may shape it.
    pub development: &'b [LabelledTrace],
    /// Traces without labels: where verdicts must stay the same while the eval is made smaller.
    pub unlabelled: &'b [Trace],
    /// The version to start from, in a refinement.
    pub from: Option<&'b EvalSource>,
    /// How far to go.
    pub effort: Effort,
    /// Told what is being done, a phrase each: "writing eval 2 of 4".
    pub progress: &'b (dyn Fn(&str) + Sync),
}

/// How far the LLM's generator goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Effort {
    /// The same labels, answers and seed give the same eval.
    pub seed: u64,
    /// How often a candidate's failures are fed back.
    pub rounds: u32,
    /// Characters of labelled traces in a prompt.
    pub material_chars: usize,
}

impl Default for Effort {
    /// Two rounds: the first mends what is broken, the second what is judged wrongly. 80,000 characters, some 20,000
    /// tokens: the labelled traces of a usual set, 30 of 2 KB, whole.
    fn default() -> Self {
        Self {
            seed: 0,
            rounds: 2,
            material_chars: 80_000,
        }
    }
}

/// What kind of eval it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A function that the LLM wrote as a whole.
    Function,
    /// Single predicates that the LLM wrote, chosen and combined by the rule learner.
    Predicates,
    /// A question to `judge`.
    Judge,
    /// Code first, `judge` for the rest.
    Hybrid,
}

impl Kind {
    /// The word in rows and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Predicates => "predicates",
            Self::Judge => "judge",
            Self::Hybrid => "hybrid",
        }
    }

    /// Whether its evals ask `judge`.
    pub fn asks(self) -> bool {
        matches!(self, Self::Judge | Self::Hybrid)
    }
}

/// A part of the labels, and the candidate that was written without a word of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unseen {
    /// The labels that are 👍 or 👎: their places among those of the brief.
    pub labels: Vec<usize>,
    /// Whether the candidate is right, for each, as [`Outcome::is_right`] says it; `None` where nothing sound was written.
    pub right: Option<Vec<Option<bool>>>,
}

/// An eval that the LLM wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The Python.
    pub source: EvalSource,
    /// Its docstring.
    pub criterion: Criterion,
    /// What people seem to look at, a sentence each.
    pub criteria: Vec<Criterion>,
    /// What kind it is.
    pub kind: Kind,
    /// Evals that were tried, those thrown out included.
    pub candidates_tried: usize,
    /// Why candidates were thrown out, a sentence each.
    pub thrown_out: Vec<String>,
    /// In a refinement: what changed and why, a sentence each.
    pub changes: Vec<String>,
    /// How this way of writing did on labels that it had not seen, part by part; empty in a refinement, and where there
    /// were too few labels to keep some back.
    pub unseen: Vec<Unseen>,
}

/// Why the LLM wrote no eval.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The LLM.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The host.
    #[error("the sandbox host failed")]
    Host(#[source] anyhow::Error),
    /// It wrote some, and none is worth an offer.
    #[error("{reason}")]
    None {
        /// A sentence for the channel.
        reason: String,
        /// Evals that were tried.
        candidates_tried: usize,
    },
}

/// Writes an eval, or the next version of one. The same brief, answers and outcomes give the same eval.
///
/// Blocks: for a thread that may wait. Where the LLM stops answering half-way, or the budget ends, what is there by then
/// is chosen from.
///
/// # Errors
/// The LLM answers nothing, or the process ends; the host failed; or nothing that it wrote is worth an offer.
pub fn write(brief: &Brief<'_>, writer: &Writer, run: Try<'_>) -> Result<Written, WriteError> {
    let labels = decided(brief.development);
    let mut desk = Desk::new(brief, writer, run);
    let all: Vec<&Decided<'_>> = labels.iter().collect();
    let thumbs = [(Class::Pass, "👍"), (Class::Fail, "👎")];
    if let Some((_, thumb)) = thumbs.iter().find(|(class, _)| count(&all, *class) == 0) {
        let reason = format!("Among the labels that may shape an LLM's eval is no {thumb} yet.");
        return Err(none(reason, desk.into_account()));
    }
    let found = match brief.from {
        Some(from) => refined(&mut desk, &labels, from)?,
        None => generated(&mut desk, &labels)?,
    };
    let account = desk.into_account();
    let Some(Found {
        tried,
        criteria,
        unseen,
    }) = found
    else {
        return Err(nothing(account));
    };
    Ok(Written {
        criterion: tried.source.criterion().unwrap_or_default(),
        source: tried.source,
        criteria,
        kind: tried.kind,
        candidates_tried: account.candidates_tried,
        thrown_out: account.thrown_out,
        changes: tried.changes,
        unseen,
    })
}

/// What came of it, by what people seem to judge, and how it did on labels that it had not seen.
struct Found {
    tried: Tried,
    criteria: Vec<Criterion>,
    unseen: Vec<Unseen>,
}

/// A new eval: of the kind that cross-validation prefers, written from all labels.
fn generated(desk: &mut Desk<'_>, labels: &[Decided<'_>]) -> Result<Option<Found>, WriteError> {
    let crossed = cross_validated(desk, labels)?;
    let shown = shown(desk, labels.iter().collect())?;
    let chosen = match crossed {
        Some(crossed) => preferred(desk, &shown, crossed)?,
        None => best_of_all(desk, &shown)?.map(|tried| (tried, Vec::new())),
    };
    // What changed since a draft that nobody saw is of no interest.
    let chosen = chosen.map(|(tried, unseen)| {
        let changes = Vec::new();
        (Tried { changes, ..tried }, unseen)
    });
    finished(desk, shown, chosen)
}

/// The preferred kind, written from all labels; where that fails, the next one; and where none can be written any more,
/// a candidate that was written from a part of them.
fn preferred(
    desk: &mut Desk<'_>,
    shown: &Shown<'_, '_>,
    crossed: Vec<Crossed>,
) -> Result<Option<(Tried, Vec<Unseen>)>, WriteError> {
    (desk.brief.progress)("writing the eval from all labels");
    for kind in &crossed {
        if let Some(tried) = candidate(desk, shown, kind.kind)? {
            return Ok(Some((tried, kind.unseen.clone())));
        }
    }
    for kind in crossed {
        for tried in kind.candidates {
            let again = attempt(desk, shown, tried.kind, tried.source, tried.changes)?;
            if again.is_sound() {
                return Ok(Some((again, kind.unseen)));
            }
        }
    }
    Ok(None)
}

/// With too few labels to keep some back, the one that agrees best with those that it was written from.
fn best_of_all(desk: &mut Desk<'_>, shown: &Shown<'_, '_>) -> Result<Option<Tried>, WriteError> {
    let mut all = Vec::new();
    for (kind, number) in KINDS.into_iter().zip(1..) {
        (desk.brief.progress)(&format!("writing eval {number} of {}", KINDS.len()));
        let Some(tried) = candidate(desk, shown, kind)? else {
            continue;
        };
        let outcomes = desk.run(&tried.source, &shown.all.traces)?;
        all.push((Score::new(&shown.all.labels, &outcomes), tried));
    }
    let scored: Vec<_> = all
        .iter()
        .map(|(score, tried)| (score, tried.weight))
        .collect();
    Ok(score::best(&scored).map(|at| all.swap_remove(at).1))
}

/// The next version of an eval.
fn refined(
    desk: &mut Desk<'_>,
    labels: &[Decided<'_>],
    from: &EvalSource,
) -> Result<Option<Found>, WriteError> {
    (desk.brief.progress)("writing the next version");
    let shown = shown(desk, labels.iter().collect())?;
    let kind = match from.as_str().contains("judge(") {
        true => Kind::Hybrid,
        false => Kind::Function,
    };
    let old = attempt(desk, &shown, kind, from.clone(), Vec::new())?;
    let next = next_version(desk, &shown, &old)?;
    let next = next.filter(|next| next.source != old.source);
    finished(desk, shown, next.map(|tried| (tried, Vec::new())))
}

/// The candidate in as few lines as it goes.
fn finished(
    desk: &Desk<'_>,
    shown: Shown<'_, '_>,
    chosen: Option<(Tried, Vec<Unseen>)>,
) -> Result<Option<Found>, WriteError> {
    let Some((mut tried, unseen)) = chosen else {
        return Ok(None);
    };
    (desk.brief.progress)("making the eval smaller");
    tried.source = minimise(
        desk,
        &tried.source,
        tried.weight.asks,
        &shown.of(tried.kind).labels,
    )?;
    Ok(Some(Found {
        tried,
        criteria: shown.criteria,
        unseen,
    }))
}

/// Labels as candidates are written from them; asks for criteria.
fn shown<'l, 'b>(
    desk: &mut Desk<'_>,
    labels: Vec<&'l Decided<'b>>,
) -> Result<Shown<'l, 'b>, WriteError> {
    let Effort {
        seed,
        material_chars,
        ..
    } = desk.brief.effort;
    let material = material(&labels, material_chars, seed);
    Ok(Shown {
        criteria: criteria::criteria(desk, &material)?,
        origins: Origins::new(&labels, desk.pool),
        asked_about: Tests::new(drawn(&labels, ASKED_ABOUT, seed)),
        all: Tests::new(labels),
        material,
    })
}

/// Labels that evals with `judge` are tried on while they are mended: each costs a question, each time.
const ASKED_ABOUT: usize = 16;

fn none(reason: String, account: Account) -> WriteError {
    WriteError::None {
        reason,
        candidates_tried: account.candidates_tried,
    }
}

/// Faults that are told where nothing was found.
const TOLD: usize = 3;

/// Nothing was found: because nobody answered, or because nothing was any good.
fn nothing(account: Account) -> WriteError {
    if let (0, Some(error)) = (account.answers, &account.ended) {
        return error.clone().into();
    }
    let told = account.thrown_out.iter().take(TOLD).cloned();
    let why = match &account.ended {
        Some(error) => format!("The LLM stopped answering: {error}."),
        None if account.thrown_out.is_empty() => {
            "On labels that they had not seen, they were right no more often than a guess."
                .to_owned()
        }
        None => String::new(),
    };
    let said: Vec<String> = [why]
        .into_iter()
        .filter(|why| !why.is_empty())
        .chain(told)
        .collect();
    let reason = format!(
        "The LLM wrote no eval that is worth an offer. {}",
        said.join(" ")
    );
    none(reason, account)
}
