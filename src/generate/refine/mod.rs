//! The next version of an eval: by the LLM from its source, its misses and the comments, else by the rules from the
//! labels of now.
//!
//! In: the version and the labels there are. Out: the new one with what changed, or why the old one stays. What must
//! stay true: the new one is offered only where, label by label, it is right more often than the old one on labels that
//! it was not made from; labels that decided this count as seen by it from then on.

mod compare;
mod job;
mod store;
#[cfg(test)]
mod tests;

pub use job::refine_evals;

use std::collections::BTreeSet;

use super::choose::{Order, Which, make};
use super::offer::{Descent, Made, Maker, NotYet, Offer, Versus};
use crate::domain::EvalSource;

/// Makes the next version of `from`, and compares the two: the better one is the offer, or there is none, and a reason
/// why the old one stays. The LLM starts from it; rules are looked for anew, where the order has no LLM or wants rules.
///
/// `seen` has the ids of the labelled traces that `from`, or a version it descends from, has seen; it is empty where
/// nobody knows. Blocks: for a thread that may wait.
///
/// # Errors
/// The sandbox host failed, or the process ends.
pub fn refine(
    order: Order<'_>,
    from: &EvalSource,
    seen: &BTreeSet<String>,
) -> anyhow::Result<Made> {
    let writer = order.writer.filter(|_| order.which != Which::Rules);
    let order = Order {
        which: writer.map_or(Which::Rules, |_| Which::Llm),
        from: writer.map(|_| from),
        writer,
        ..order
    };
    let mut offer = match make(&order)? {
        Made::Offer(offer) => offer,
        none => return Ok(none),
    };
    if offer.source == *from {
        return Ok(kept(&offer, "The labels lead to the same eval again."));
    }
    (order.progress)("comparing the two");
    let versus = match offer.making.generator {
        Maker::Rules => compare::cross_validated(&order, &offer, from, seen)?,
        Maker::Llm | Maker::Person => compare::held_out(&order, &mut offer, from, seen)?,
    };
    Ok(match versus {
        Some(versus) if versus.is_better() => Made::Offer(next(offer, from, versus)),
        Some(versus) => kept(&offer, &versus.sentence()),
        None => kept(
            &offer,
            "Every label took part in making it, so none can show yet whether another one is better.",
        ),
    })
}

fn next(mut offer: Box<Offer>, from: &EvalSource, versus: Versus) -> Box<Offer> {
    if offer.changes.is_empty() {
        offer.changes = vec![change(from, &offer.source)];
    }
    offer.making.descent = Some(Descent {
        parent: None,
        why: None,
        changes: offer.changes.clone(),
        versus: Some(versus),
    });
    offer
}

fn kept(offer: &Offer, reason: &str) -> Made {
    Made::NotYet(NotYet {
        reason: reason.to_owned(),
        candidates_tried: offer.candidates_tried,
        usage: offer.making.usage.clone(),
    })
}

/// What changed from one source to the next, where nobody says.
pub fn change(from: &EvalSource, to: &EvalSource) -> String {
    match (from.criterion(), to.criterion()) {
        (before, now) if before == now => "The criterion is the same; the code changed.".to_owned(),
        (before, now) => {
            let told = |criterion: Option<String>| criterion.unwrap_or_else(|| "(none)".to_owned());
            format!(
                "Its criterion was: {} It is now: {}",
                told(before),
                told(now)
            )
        }
    }
}
