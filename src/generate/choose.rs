//! Two generators behind one face, and the judge of both.
//!
//! In: all labels, of which this module alone decides which may shape an eval. Out: the better eval by evidence, or a
//! reasoned "not yet".
//!
//! - Rules learn from all labels while there are few, and are cross-validated; else from development labels. The LLM is
//!   only ever shown development labels.
//! - **The choice uses no held-out label**, for a label that chooses is seen. The LLM's generator cuts development labels
//!   into parts and judges each by a candidate written without it; the best rules for the same labels are found without
//!   that part too, and judged on it: so two ways of making an eval are compared on the same labels, each unseen by both.
//! - The LLM's eval is the offer where it is right on more of them than the rules, and than guessing the larger class.
//!   Where development labels alone give no rules, it is enough that it beats the guess, even if rules of all labels are
//!   there. Of equals the rules', which are simpler and free.
//! - On held-out labels both are compared once more, with rules found in development labels only. That chooses nothing.

use super::contest::{Contest, contest, paired, right, right_of};
use super::offer::{Gain, Made, Maker, Making, NotYet, Offer, Over};
use super::rules::too_few;
use super::written::{Brief, Effort, Try, WriteError, Written, write};
use super::{CROSS_VALIDATE_BELOW, Generation, InducedEval, Settings, Split, generate, split};
use crate::domain::{EvalId, EvalSource, LabelledTrace, Trace};
use crate::llm::{LlmError, Usage, Writer, cost_per_thousand};

/// Which generators take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Both where there is an LLM, and the better one is offered.
    Auto,
    /// Rules alone.
    Rules,
    /// Both, and the LLM's eval is offered if it beats guessing.
    Llm,
}

/// What is wanted, and from what.
pub struct Order<'o> {
    /// By this the labels are split.
    pub eval: &'o EvalId,
    /// All labels there are.
    pub labels: &'o [LabelledTrace],
    /// Traces without labels.
    pub unlabelled: &'o [Trace],
    /// Who takes part.
    pub which: Which,
    /// The LLM; `None` where none is configured.
    pub writer: Option<&'o Writer>,
    /// What the LLM has taken so far, what evals ask through `judge` included.
    pub used: &'o (dyn Fn() -> Usage + Sync),
    /// Runs evals in the sandbox.
    pub run: Try<'o>,
    /// The version to start from, in a refinement: the LLM's next version is then the offer, without a comparison.
    pub from: Option<&'o EvalSource>,
    /// How far the LLM goes.
    pub effort: Effort,
    /// Told what is being done, a phrase each.
    pub progress: &'o (dyn Fn(&str) + Sync),
}

/// Makes an eval, or says why there is none yet. Blocks: for a thread that may wait.
///
/// Where the LLM does not answer, or its budget is spent, the rules' eval is offered with a note.
///
/// # Errors
/// The sandbox host failed, or the process ends; or the LLM's eval alone is wanted, and nobody answers.
pub fn make(order: &Order<'_>) -> anyhow::Result<Made> {
    if let Some(reason) = too_few(order.labels) {
        return Ok(Made::NotYet(NotYet {
            reason,
            candidates_tried: 0,
            usage: Usage::default(),
        }));
    }
    let before = (order.used)();
    let split = split(order.labels.to_vec(), order.eval);
    (order.progress)("looking for rules");
    let for_rules = for_rules(order, &split);
    let rules = generate(for_rules, &Settings::default());
    let llm = ask(order, &split)?;
    let mut made = Making::by_rules();
    let choice = match &llm {
        Llm::Wrote(written) => choose(order, &split, written, &rules, &mut made)?,
        Llm::Absent | Llm::Failed { .. } => Choice::Without,
    };
    made.usage = (order.used)().since(&before);
    Ok(match (choice, llm, rules) {
        (Choice::Llms, Llm::Wrote(written), rules) => {
            let tried = conditions_tried(&rules);
            Made::Offer(Box::new(llms_offer(
                written,
                tried,
                ids(&split.development),
                made,
            )))
        }
        (choice, llm, Generation::Eval(induced)) if order.which != Which::Llm => {
            made.notes.extend(choice.note().or(llm.note()));
            let tried = llm.candidates_tried();
            Made::Offer(Box::new(rules_offer(induced, tried, ids(for_rules), made)))
        }
        (choice, llm, rules) => Made::NotYet(NotYet {
            candidates_tried: llm.candidates_tried() + conditions_tried(&rules),
            reason: reason(order.which, &choice, &llm, rules),
            usage: made.usage,
        }),
    })
}

/// What rules may learn from.
fn for_rules<'s>(order: &'s Order<'_>, split: &'s Split) -> &'s [LabelledTrace] {
    match are_few(order.labels) {
        true => order.labels,
        false => &split.development,
    }
}

fn are_few(labels: &[LabelledTrace]) -> bool {
    let decided = labels.iter().filter(|label| label.label.class().is_some());
    decided.count() < CROSS_VALIDATE_BELOW
}

/// Whether development labels alone give rules. Rules of all labels don't say so: a held-out one would choose.
fn has_rules(labels: &[LabelledTrace], split: &Split, rules: &Generation) -> bool {
    let is_eval = |rules: &Generation| matches!(rules, Generation::Eval(_));
    match are_few(labels) {
        true => is_eval(&generate(&split.development, &Settings::default())),
        false => is_eval(rules),
    }
}

/// What became of the LLM's part.
enum Llm {
    /// It had none.
    Absent,
    /// It came to nothing.
    Failed {
        /// In sentences.
        why: String,
        candidates_tried: usize,
    },
    /// It wrote an eval.
    Wrote(Written),
}

impl Llm {
    /// What a reader of another eval's report should know.
    fn note(&self) -> Option<String> {
        match self {
            Self::Failed { why, .. } => Some(why.clone()),
            Self::Absent | Self::Wrote(_) => None,
        }
    }

    fn candidates_tried(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Failed {
                candidates_tried, ..
            } => *candidates_tried,
            Self::Wrote(written) => written.candidates_tried,
        }
    }
}

/// Has the LLM write an eval from development labels.
fn ask(order: &Order<'_>, split: &Split) -> anyhow::Result<Llm> {
    let Some(writer) = order.writer.filter(|_| order.which != Which::Rules) else {
        return Ok(Llm::Absent);
    };
    let brief = Brief {
        development: &split.development,
        unlabelled: order.unlabelled,
        from: order.from,
        effort: order.effort.clone(),
        progress: order.progress,
    };
    let failed = |why, candidates_tried| Llm::Failed {
        why,
        candidates_tried,
    };
    match write(&brief, writer, order.run) {
        Ok(written) => Ok(Llm::Wrote(written)),
        Err(WriteError::Host(error)) => Err(error),
        Err(error @ WriteError::Llm(LlmError::Stopping)) => Err(error.into()),
        Err(error @ WriteError::Llm(LlmError::Unavailable(_) | LlmError::Budget(_)))
            if order.which == Which::Llm =>
        {
            Err(error.into())
        }
        Err(WriteError::Llm(error)) => Ok(failed(format!("The LLM had no part: {error}."), 0)),
        Err(WriteError::None {
            reason,
            candidates_tried,
            ..
        }) => Ok(failed(reason, candidates_tried)),
    }
}

/// Whose eval is better, and why the LLM's is not where it is not.
enum Choice {
    Llms,
    Without,
    /// It was right no more often than guessing.
    NoBetterThanGuessing(Contest),
    /// It was right no more often than the rules.
    NoBetterThanRules,
}

impl Choice {
    fn note(&self) -> Option<String> {
        match self {
            Self::Llms | Self::Without => None,
            Self::NoBetterThanGuessing(contest) => Some(contest.against_the_guess()),
            Self::NoBetterThanRules => Some(
                "An LLM's eval was right no more often on labels that neither had seen, so these rules are offered: they \
                 are simpler and cost nothing."
                    .to_owned(),
            ),
        }
    }
}

/// Compares the LLM's eval with the rules; the figures go into `making`.
fn choose(
    order: &Order<'_>,
    split: &Split,
    written: &Written,
    rules: &Generation,
    making: &mut Making,
) -> anyhow::Result<Choice> {
    (order.progress)("comparing the evals");
    let llms = on_held_out(order, split, written, making)?;
    if order.from.is_some() {
        // A refinement is compared with the version that it starts from.
        return Ok(Choice::Llms);
    }
    let contest = contest(order.run, &split.development, &written.unseen)?;
    let has_rules = has_rules(order.labels, split, rules);
    let choice = match order.which {
        _ if !contest.beats_guessing() => Choice::NoBetterThanGuessing(contest),
        Which::Auto if has_rules && !contest.beats_rules() => Choice::NoBetterThanRules,
        _ => Choice::Llms,
    };
    let over = match has_rules && contest.beats_guessing() {
        true => Over::Rules,
        false => Over::MajorityGuess,
    };
    if contest.n() > 0 {
        let development: Vec<&LabelledTrace> = split.development.iter().collect();
        let held_out: Vec<&LabelledTrace> = split.held_out.iter().collect();
        let paired = paired(&llms, &right(order.run, over, &development, &held_out)?);
        making.gain = Some(Gain {
            over,
            unseen: contest.over(over).into(),
            held_out: (paired.n() > 0).then(|| paired.into()),
        });
    }
    Ok(choice)
}

/// Whether the LLM's eval is right on labels that nobody has seen; what `judge` took for them goes into `making`.
fn on_held_out(
    order: &Order<'_>,
    split: &Split,
    written: &Written,
    making: &mut Making,
) -> anyhow::Result<Vec<Option<bool>>> {
    let held_out: Vec<&LabelledTrace> = split.held_out.iter().collect();
    let before = (order.used)();
    let llm = right_of(order.run, &written.source, &held_out)?;
    if written.kind.asks() {
        let took = (order.used)().since(&before);
        making.judge_cost_per_thousand_usd = cost_per_thousand(&took, llm.len() as u64);
    }
    Ok(llm)
}

fn llms_offer(written: Written, conditions: usize, seen: Vec<String>, making: Making) -> Offer {
    Offer {
        source: written.source,
        criterion: written.criterion,
        candidates_tried: written.candidates_tried + conditions,
        cross_validation: None,
        changes: written.changes,
        seen,
        making: Making {
            generator: Maker::Llm,
            kind: Some(written.kind),
            criteria: written.criteria,
            ..making
        },
    }
}

fn rules_offer(induced: InducedEval, tried: usize, seen: Vec<String>, making: Making) -> Offer {
    let asks_nothing = Making {
        judge_cost_per_thousand_usd: None,
        ..making
    };
    Offer {
        source: induced.source,
        criterion: induced.criterion,
        candidates_tried: induced.candidates_tried + tried,
        cross_validation: Some(induced.cross_validation),
        changes: Vec::new(),
        seen,
        making: asks_nothing,
    }
}

fn conditions_tried(rules: &Generation) -> usize {
    match rules {
        Generation::Eval(induced) => induced.candidates_tried,
        Generation::NotYet {
            candidates_tried, ..
        } => *candidates_tried,
    }
}

fn ids(labels: &[LabelledTrace]) -> Vec<String> {
    labels.iter().map(|label| label.id.clone()).collect()
}

/// Why there is no eval: what the rules say, and what became of the LLM's.
fn reason(which: Which, choice: &Choice, llm: &Llm, rules: Generation) -> String {
    let of_llm = choice.note().or(llm.note());
    let of_rules = match rules {
        Generation::NotYet { reason, .. } => reason,
        Generation::Eval(_) => "The rules alone have one to offer.".to_owned(),
    };
    let (first, then) = match which {
        Which::Llm => (of_llm, Some(of_rules)),
        Which::Auto | Which::Rules => (Some(of_rules), of_llm),
    };
    let said: Vec<String> = first.into_iter().chain(then).collect();
    said.join(" ")
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
