use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Class, EvalSource, LabelledTrace};
use crate::generate::choose::Order;
use crate::generate::contest::{paired, right, right_of};
use crate::generate::offer::{Gain, Offer, Over, Versus};
use crate::generate::rules::CrossValidated;
use crate::generate::{Generation, Settings, generate};
use crate::stats::Paired;

/// An eval of the LLM's and the one before, on labels that it was not written from: of groups that the one before has
/// not seen, or where there are none, all. From now on the offer has seen them; and it says how it does on them against
/// rules of the labels that it was written from. `None` where there are none.
///
/// # Errors
/// The sandbox host failed.
pub fn held_out(
    order: &Order<'_>,
    offer: &mut Offer,
    from: &EvalSource,
    seen: Option<&BTreeSet<String>>,
) -> anyhow::Result<Option<Versus>> {
    let shown: BTreeSet<String> = offer.seen.iter().cloned().collect();
    let kept_back = order
        .labels
        .iter()
        .filter(|label| !shown.contains(&label.id));
    let kept_back: Vec<&LabelledTrace> = kept_back.collect();
    let judges = match unseen(&kept_back, order.labels, seen) {
        none if none.is_empty() => decided(&kept_back),
        unseen => unseen,
    };
    if judges.is_empty() {
        return Ok(None);
    }
    let new = right_of(order.run, &offer.source, &judges)?;
    let paired = against(order, &new, from, &judges)?;
    offer.making.gain = over_rules(order, &new, &shown, &judges)?;
    let seen_of = |seen: &BTreeSet<String>| judges.iter().filter(|l| seen.contains(&l.id)).count();
    let seen_before = seen.map(|seen| seen_of(seen) as u64);
    offer
        .seen
        .extend(judges.iter().map(|label| label.id.clone()));
    Ok(Some(Versus {
        seen_before,
        ..Versus::new(paired, false, 0)
    }))
}

/// How an eval of the LLM's does against rules of the same labels, or where these give none, the larger class.
fn over_rules(
    order: &Order<'_>,
    llms: &[Option<bool>],
    shown: &BTreeSet<String>,
    judges: &[&LabelledTrace],
) -> anyhow::Result<Option<Gain>> {
    let learnt = order
        .labels
        .iter()
        .filter(|label| shown.contains(&label.id));
    let learnt: Vec<LabelledTrace> = learnt.cloned().collect();
    let over = match generate(&learnt, &Settings::default()) {
        Generation::Eval(_) => Over::Rules,
        Generation::NotYet { .. } => Over::MajorityGuess,
    };
    let learnt: Vec<&LabelledTrace> = learnt.iter().collect();
    let paired = paired(llms, &right(order.run, over, &learnt, judges)?);
    Ok((paired.n() > 0).then(|| Gain {
        over,
        unseen: Paired::default().into(),
        held_out: Some(paired.into()),
    }))
}

/// Rules, each label judged by those that were found without it, and the eval before, on labels that this one has not
/// seen: on the others only one of the two would know the answer. `None` where there are none.
///
/// # Errors
/// The sandbox host failed.
pub fn cross_validated(
    order: &Order<'_>,
    offer: &Offer,
    from: &EvalSource,
    seen: Option<&BTreeSet<String>>,
) -> anyhow::Result<Option<Versus>> {
    let Some(folds) = &offer.cross_validation else {
        return Ok(None);
    };
    let said = folds.labels.iter().map(|one| (one.id.as_str(), one));
    let said: BTreeMap<&str, &CrossValidated> = said.collect();
    let all: Vec<&LabelledTrace> = order.labels.iter().collect();
    let judged = unseen(&all, order.labels, seen).into_iter();
    let (judges, new): (Vec<&LabelledTrace>, Vec<Option<bool>>) = judged
        .filter_map(|label| {
            let said = said.get(label.id.as_str())?;
            Some((label, Some(is_mostly_right(said, folds.repeats))))
        })
        .unzip();
    if judges.is_empty() {
        return Ok(None);
    }
    let paired = against(order, &new, from, &judges)?;
    Ok(Some(Versus {
        seen_before: seen.map(|_| 0),
        ..Versus::new(paired, true, 0)
    }))
}

fn is_mostly_right(said: &CrossValidated, repeats: u32) -> bool {
    let right = match said.label {
        Class::Pass => said.pass,
        Class::Fail => said.fail,
    };
    2 * right > repeats
}

/// 👍 and 👎 of groups of which nothing was seen, as far as anybody knows.
fn unseen<'l>(
    labels: &[&'l LabelledTrace],
    all: &[LabelledTrace],
    seen: Option<&BTreeSet<String>>,
) -> Vec<&'l LabelledTrace> {
    let is_seen = |label: &&LabelledTrace| seen.is_some_and(|seen| seen.contains(&label.id));
    let known = all.iter().filter(is_seen);
    let groups: BTreeSet<&str> = known.map(|label| label.group.as_str()).collect();
    let mut unseen = decided(labels);
    unseen.retain(|label| !groups.contains(label.group.as_str()));
    unseen
}

fn decided<'l>(labels: &[&'l LabelledTrace]) -> Vec<&'l LabelledTrace> {
    let decided = labels.iter().filter(|label| label.label.class().is_some());
    decided.copied().collect()
}

fn against(
    order: &Order<'_>,
    new: &[Option<bool>],
    from: &EvalSource,
    judges: &[&LabelledTrace],
) -> anyhow::Result<Paired> {
    let old = right_of(order.run, from, judges)?;
    Ok(paired(new, &old))
}
