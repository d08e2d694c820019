//! The next version of an eval: by the LLM from its source, its misses and the comments, else by the rules from the
//! labels of now, where there is no LLM or nothing comes of it.
//!
//! In: the version and the labels there are. Out: the new one with what changed, or why the old one stays. What must
//! stay true: the new one is offered only where, label by label, it is right more often than the old one on labels that
//! it was not made from; labels that decided this count as seen by it from then on. An LLM's is not offered where rules
//! of the labels that it was written from are right on more of those than it is.

mod compare;
mod job;
mod store;
#[cfg(test)]
mod tests;

pub use job::refine_evals;

use std::collections::BTreeSet;

use super::choose::{Order, Which, make};
use super::offer::{Comparison, Descent, Gain, Made, Maker, NotYet, Offer, Over, Versus};
use crate::domain::EvalSource;

/// Makes the next version of `from`, and compares the two: the better one is the offer, or there is none, and a reason
/// why the old one stays. The LLM starts from it; rules are looked for anew, where the order has no LLM or wants rules,
/// and where the LLM has none to offer, or none as good as theirs, unless the order wants the LLM's alone.
///
/// `seen` has the ids of the labelled traces that `from`, or a version it descends from, has seen; `None` where nobody
/// knows. Blocks: for a thread that may wait.
///
/// # Errors
/// As those of [`make`].
pub fn refine(
    order: Order<'_>,
    from: &EvalSource,
    seen: Option<&BTreeSet<String>>,
) -> anyhow::Result<Made> {
    let writer = order.writer.filter(|_| order.which != Which::Rules);
    let order = Order {
        which: writer.map_or(Which::Rules, |_| order.which),
        from: writer.map(|_| from),
        writer,
        ..order
    };
    let offer = match make(&order)? {
        Made::Offer(offer) => offer,
        none => return Ok(none),
    };
    (order.progress)("comparing the two");
    match offer.making.generator {
        Maker::Rules => by_rules(&order, offer, from, seen),
        Maker::Llm | Maker::Person => by_llm(&order, offer, from, seen),
    }
}

fn by_rules(
    order: &Order<'_>,
    offer: Box<Offer>,
    from: &EvalSource,
    seen: Option<&BTreeSet<String>>,
) -> anyhow::Result<Made> {
    let versus = compare::cross_validated(order, &offer, from, seen)?;
    Ok(better(offer, from, versus))
}

fn by_llm(
    order: &Order<'_>,
    mut offer: Box<Offer>,
    from: &EvalSource,
    seen: Option<&BTreeSet<String>>,
) -> anyhow::Result<Made> {
    let versus = compare::held_out(order, &mut offer, from, seen)?;
    match &offer.making.gain {
        Some(gain) if order.which == Which::Auto && is_below_rules(gain) => {
            let rules = instead(order, *offer)?;
            match rules {
                Made::Offer(rules) => by_rules(order, rules, from, seen),
                none => Ok(none),
            }
        }
        _ => Ok(better(offer, from, versus)),
    }
}

fn is_below_rules(gain: &Gain) -> bool {
    let lost = |held_out: &Comparison| held_out.losses > held_out.wins;
    gain.over == Over::Rules && gain.held_out.as_ref().is_some_and(lost)
}

/// The rules' eval, where theirs is better than the LLM's. It has seen the labels that say so.
fn instead(order: &Order<'_>, llms: Offer) -> anyhow::Result<Made> {
    let made = make(&Order {
        which: Which::Rules,
        from: None,
        writer: None,
        effort: order.effort.clone(),
        ..*order
    })?;
    let note = "Rules are right on more of the labels kept back than the LLM's next version.";
    Ok(match made {
        Made::Offer(mut rules) => {
            let seen: BTreeSet<String> = rules.seen.into_iter().chain(llms.seen).collect();
            rules.seen = seen.into_iter().collect();
            rules.candidates_tried += llms.candidates_tried;
            rules.making.usage = llms.making.usage;
            rules.making.gain = llms.making.gain;
            rules.making.notes.push(note.to_owned());
            Made::Offer(rules)
        }
        Made::NotYet(_) => kept(&llms, note),
    })
}

/// The offer, if it is better than the one before.
fn better(offer: Box<Offer>, from: &EvalSource, versus: Option<Versus>) -> Made {
    let reason = match versus {
        _ if offer.source == *from => "The labels lead to the same eval again.".to_owned(),
        Some(versus) if versus.is_better() => return Made::Offer(next(offer, from, versus)),
        Some(versus) if versus.compared.n == 0 => UNANSWERED.to_owned(),
        Some(versus) => versus.sentence(),
        None => EVERY_LABEL.to_owned(),
    };
    kept(&offer, &reason)
}

const UNANSWERED: &str = "On none of the labels both could be run to the end, so nothing shows yet whether another one is better.";
const EVERY_LABEL: &str =
    "Every label took part in making it, so none can show yet whether another one is better.";

fn next(mut offer: Box<Offer>, from: &EvalSource, versus: Versus) -> Box<Offer> {
    if offer.changes.is_empty() {
        offer.changes = vec![change(from, &offer.source)];
    }
    offer.making.descent = Some(Descent {
        parent: None,
        why: None,
        changes: offer.changes.clone(),
        versus: Some(versus),
        versus_fresh: None,
    });
    offer
}

/// Why the old one stays, after what else is to be said of the offer.
fn kept(offer: &Offer, reason: &str) -> Made {
    let notes = offer.making.notes.iter().map(String::as_str);
    let said: Vec<&str> = notes.chain([reason]).collect();
    Made::NotYet(NotYet {
        reason: said.join(" "),
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
