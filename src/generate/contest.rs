//! The LLM's way of making an eval against the rules' and against guessing, on labels that none of them had seen.

use super::offer::Over;
use super::rules::unproven;
use super::written::{Try, Unseen};
use crate::domain::{Class, EvalSource, LabelledTrace, Outcome};
use crate::stats::Paired;

/// How the LLM's evals compare, label by label.
#[derive(Clone, Copy)]
pub struct Contest {
    over_rules: Paired,
    over_guess: Paired,
}

impl Contest {
    /// Labels that it was held on.
    pub fn n(&self) -> u64 {
        self.over_guess.n()
    }

    /// Against what is named.
    pub fn over(&self, over: Over) -> Paired {
        match over {
            Over::Rules => self.over_rules,
            Over::MajorityGuess => self.over_guess,
        }
    }

    /// Whether the LLM's are right on more labels than the rules.
    pub fn beats_rules(&self) -> bool {
        self.over_rules.wins > self.over_rules.losses
    }

    /// Whether they are right on more labels than guessing the larger class.
    pub fn beats_guessing(&self) -> bool {
        self.over_guess.wins > self.over_guess.losses
    }

    /// A sentence for where they are not.
    pub fn against_the_guess(&self) -> String {
        let Paired {
            both, wins, losses, ..
        } = self.over_guess;
        match self.n() {
            0 => "There are too few labels to test an eval of the LLM's on.".to_owned(),
            n => format!(
                "The LLM's eval was right on {} of {n} labels that it had not seen; always guessing the larger class, on {}.",
                both + wins,
                both + losses,
            ),
        }
    }
}

/// Holds it: on each part of the development labels, the LLM's candidate that was written without the part against the
/// best rules, and the larger class, of the labels that it was written from.
///
/// # Errors
/// The sandbox host failed.
pub fn contest(
    run: Try<'_>,
    development: &[LabelledTrace],
    unseen: &[Unseen],
) -> anyhow::Result<Contest> {
    let (mut llm, mut rules, mut guess) = (Vec::new(), Vec::new(), Vec::new());
    for part in unseen {
        let judged: Vec<&LabelledTrace> = part.labels.iter().map(|at| &development[*at]).collect();
        let others = (0..development.len()).filter(|at| !part.labels.contains(at));
        let learnt: Vec<&LabelledTrace> = others.map(|at| &development[at]).collect();
        llm.extend(part.right.iter().copied().map(Some));
        rules.extend(right(run, Over::Rules, &learnt, &judged)?);
        guess.extend(right(run, Over::MajorityGuess, &learnt, &judged)?);
    }
    Ok(Contest {
        over_rules: paired(&llm, &rules),
        over_guess: paired(&llm, &guess),
    })
}

/// The labels that both have answered: one that either has not says nothing of the two.
pub fn paired(first: &[Option<bool>], second: &[Option<bool>]) -> Paired {
    let both = first.iter().zip(second);
    both.filter_map(|(first, second)| Some(((*first)?, (*second)?)))
        .collect()
}

/// Whether what is learnt from some labels is right on others, as [`right_of`] says it. Where there are no rules, the
/// larger class is guessed.
///
/// # Errors
/// The sandbox host failed.
pub fn right(
    run: Try<'_>,
    over: Over,
    learnt: &[&LabelledTrace],
    judged: &[&LabelledTrace],
) -> anyhow::Result<Vec<Option<bool>>> {
    let rules = match over {
        Over::Rules => unproven(learnt),
        Over::MajorityGuess => None,
    };
    if let Some(rules) = rules {
        return right_of(run, &rules, judged);
    }
    let guess = larger_class(learnt);
    let classes = judged.iter().filter_map(|label| label.label.class());
    Ok(classes.map(|class| Some(class == guess)).collect())
}

/// Whether an eval is right, for each label that is 👍 or 👎. An abstention, and an error of the eval's own, agree with
/// nobody; `None` where another run may come to something else, as where nobody answers `judge`.
///
/// # Errors
/// The sandbox host failed.
pub fn right_of(
    run: Try<'_>,
    source: &EvalSource,
    labels: &[&LabelledTrace],
) -> anyhow::Result<Vec<Option<bool>>> {
    let decided = labels
        .iter()
        .filter_map(|label| Some((label.label.class()?, label)));
    let (classes, traces): (Vec<Class>, Vec<String>) = decided
        .map(|(class, label)| (class, label.trace.to_json()))
        .unzip();
    let outcomes = run(source, &traces)?;
    let said = |outcome: &Outcome, class| {
        (outcome.is_repeatable()).then(|| outcome.class() == Some(class))
    };
    let each = classes.into_iter().enumerate();
    Ok(each
        .map(|(at, class)| said(outcomes.get(at)?, class))
        .collect())
}

/// Of as many of both, 👍.
fn larger_class(labels: &[&LabelledTrace]) -> Class {
    let count = |class| {
        let of_class = labels
            .iter()
            .filter(|label| label.label.class() == Some(class));
        of_class.count()
    };
    match count(Class::Fail) > count(Class::Pass) {
        true => Class::Fail,
        false => Class::Pass,
    }
}
