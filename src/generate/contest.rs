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
            0 => "There are too few labels to test an eval of the LLM's on, or nobody answered what it asks."
                .to_owned(),
            n => format!(
                "The LLM's eval was right on {} of {n} labels that it had not seen; always guessing the larger class, on {}.",
                both + wins,
                both + losses,
            ),
        }
    }
}

/// Holds it: on each part of the development labels, the LLM's candidate that was written without the part against the
/// best rules, and the larger class, of the labels that it was written from. Where there is no candidate, or no rules, the
/// larger class is guessed in its stead; a label that either could not answer counts for neither.
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
        let guessed = guessed(&learnt, &judged);
        llm.extend(part.right.as_ref().unwrap_or(&guessed));
        rules.extend(right(run, Over::Rules, &learnt, &judged)?);
        guess.extend(guessed);
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
    match rules {
        Some(rules) => right_of(run, &rules, judged),
        None => Ok(guessed(learnt, judged)),
    }
}

/// Whether guessing the larger class of some labels is right on others.
fn guessed(learnt: &[&LabelledTrace], judged: &[&LabelledTrace]) -> Vec<Option<bool>> {
    let guess = larger_class(learnt);
    let classes = judged.iter().filter_map(|label| label.label.class());
    classes.map(|class| Some(class == guess)).collect()
}

/// Whether an eval is right, for each label that is 👍 or 👎, as [`Outcome::is_right`] says it.
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
    let each = classes.into_iter().enumerate();
    Ok(each
        .map(|(at, class)| {
            outcomes
                .get(at)
                .and_then(|outcome: &Outcome| outcome.is_right(class))
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ErrorKind, RunError, Verdict};
    use crate::generate::written::tests::cited;

    /// 12 labels, of which eight are 👍.
    fn labels() -> Vec<LabelledTrace> {
        let mut labels = cited(16);
        let mut fails = 0;
        labels.retain(|label| {
            fails += usize::from(label.label.class() == Some(Class::Fail));
            label.label.class() == Some(Class::Pass) || fails <= 4
        });
        labels
    }

    fn parts(right: impl Fn(usize) -> Option<Vec<Option<bool>>>) -> Vec<Unseen> {
        let of = |part| Unseen {
            labels: (0..12).filter(|at| at / 6 == part).collect(),
            right: right(part),
        };
        vec![of(0), of(1)]
    }

    /// Answers every third trace only; the rest waits for somebody to answer.
    fn now_and_then(_: &EvalSource, traces: &[String]) -> anyhow::Result<Vec<Outcome>> {
        let outcome = |at: usize| match at % 3 {
            0 => Outcome {
                result: Ok((Verdict::Pass, String::new())),
                ..unanswered()
            },
            _ => unanswered(),
        };
        Ok((0..traces.len()).map(outcome).collect())
    }

    fn unanswered() -> Outcome {
        Outcome::refused(RunError {
            kind: ErrorKind::JudgeUnavailable,
            message: "nobody answers".to_owned(),
        })
    }

    #[test]
    fn a_label_that_either_could_not_answer_counts_for_neither() {
        let labels = labels();
        assert_eq!(labels.len(), 12);
        // The LLM's answers the first three of each part, and rightly; what stands for rules here, two.
        let first_half = |_| Some((0..6).map(|at| (at < 3).then_some(true)).collect());
        let contest = contest(&now_and_then, &labels, &parts(first_half)).unwrap();
        assert_eq!(contest.over(Over::MajorityGuess).n(), 6);
        assert_eq!(contest.over(Over::Rules).n(), 2);
        let nothing = |_| Some(vec![None; 6]);
        let contest = super::contest(&now_and_then, &labels, &parts(nothing)).unwrap();
        assert_eq!(contest.n(), 0);
        assert!(!contest.beats_guessing() && !contest.beats_rules());
        assert!(contest.against_the_guess().contains("nobody answered"));
    }

    #[test]
    fn where_nothing_was_written_the_llm_guesses_as_one_without_rules_does() {
        let contest = contest(&now_and_then, &labels(), &parts(|_| None)).unwrap();
        let paired = contest.over(Over::MajorityGuess);
        assert_eq!((paired.n(), paired.wins, paired.losses), (12, 0, 0));
        assert_eq!(paired.both, 8, "eight are of the larger class");
    }
}
