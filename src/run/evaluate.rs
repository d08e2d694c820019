use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::judge::{Jury, judged};
use crate::domain::{ErrorKind, EvalSource, Outcome, RunError};
use crate::llm::Question;
use crate::sandbox::receipt::{Receipt, hash};
use crate::sandbox::{Answers, Reply, Sandbox};

/// Traces whose questions are asked at the same time.
const ASKED_AT_ONCE: usize = 8;
/// Outcomes held back, at most, while one before them waits for its answers.
const HELD_MAX: usize = 64;

/// An outcome and what proves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// What the eval did.
    pub outcome: Outcome,
    /// `None` where another run may come to something else.
    pub receipt: Option<Receipt>,
}

/// Runs evals, and has their questions answered.
pub struct Runner {
    sandbox: Sandbox,
    jury: Option<Jury>,
}

impl Runner {
    /// Without a jury, what an eval asks is not answered.
    pub fn new(sandbox: Sandbox, jury: Option<Jury>) -> Self {
        Self { sandbox, jury }
    }

    /// Where they run.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Runs `source` on each trace (schema version 1, as JSON), on all workers at once, and hands the outcomes
    /// over in the traces' order until `each` breaks. A bounded number of traces is held.
    ///
    /// Blocks; not for asynchronous threads.
    pub fn evaluate_in_order<T: Send>(
        &self,
        source: &EvalSource,
        traces: impl Iterator<Item = (T, String)> + Send,
        mut each: impl FnMut(T, Ran) -> ControlFlow<()>,
    ) {
        let eval = source.hash();
        let held_max = self.jury.as_ref().map_or(1, |_| HELD_MAX);
        let mut held: Vec<Held<T>> = Vec::with_capacity(held_max);
        let mut let_go = |held: &mut Vec<Held<T>>| {
            self.have_answered(source, held);
            let ran = held.drain(..).map(|held| held.into_ran(&eval));
            for (what, ran) in ran {
                each(what, ran)?;
            }
            ControlFlow::Continue(())
        };
        let hold = |what, trace, step| {
            let answers = Answers::default();
            held.push(Held {
                what,
                trace,
                step,
                answers,
            });
            match held.len() < held_max && held.first().is_some_and(Held::asks) {
                true => ControlFlow::Continue(()),
                false => let_go(&mut held),
            }
        };
        self.sandbox.step_in_order(source.as_str(), traces, hold);
        // Nothing, unless the last ones are held.
        let _ = let_go(&mut held);
    }

    /// The outcomes on traces, in order.
    ///
    /// Blocks; not for asynchronous threads.
    ///
    /// # Errors
    /// The host failed on one of them, or `is_stopping` says that the process ends.
    pub fn outcomes(
        &self,
        source: &EvalSource,
        traces: &[String],
        is_stopping: impl Fn() -> bool,
    ) -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(traces.len());
        let all = traces.iter().map(|trace| ((), trace.clone()));
        self.evaluate_in_order(source, all, |(), ran| {
            outcomes.push(ran.outcome);
            match is_stopping() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        if let Some(error) = outcomes.iter().find_map(Outcome::host_failure) {
            anyhow::bail!("the sandbox host failed: {error}");
        }
        anyhow::ensure!(
            outcomes.len() == traces.len(),
            "the process ends before every trace has run"
        );
        Ok(outcomes)
    }

    /// Runs those that ask again, with answers.
    fn have_answered<T: Send>(&self, source: &EvalSource, held: &mut [Held<T>]) {
        let Some(jury) = &self.jury else {
            return;
        };
        let asking: Vec<_> = held.iter_mut().filter(|held| held.asks()).collect();
        let threads = asking.len().min(ASKED_AT_ONCE);
        let asking = Mutex::new(asking.into_iter());
        let next = || asking.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(held) = next() {
                let again =
                    |answers: &Answers| self.sandbox.step(source.as_str(), &held.trace, answers);
                let ask = |question: &Question| jury.answer(question);
                let (outcome, answers) = judged(Answers::default(), held.step.clone(), again, ask);
                (held.step, held.answers) = (Reply::Done(outcome), answers);
            }
        };
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    }
}

/// Runs an eval on a trace with the answers of a receipt; nobody is asked. Blocks.
pub fn repeat(sandbox: &Sandbox, source: &EvalSource, trace: &str, answers: Answers) -> Ran {
    let step = |answers: &Answers| sandbox.step(source.as_str(), trace, answers);
    let first = step(&answers);
    let (outcome, answers) = judged(answers, first, step, |_| {
        Err(RunError {
            kind: ErrorKind::JudgeUnavailable,
            message: "the eval asks judge() what the receipt has no answer to".to_owned(),
        })
    });
    let receipt = Receipt::of(&source.hash(), &hash(trace), &answers, &outcome);
    Ran { outcome, receipt }
}

/// A trace that ran, and may have to run again.
struct Held<T> {
    what: T,
    trace: String,
    step: Reply,
    answers: Answers,
}

impl<T> Held<T> {
    fn asks(&self) -> bool {
        matches!(self.step, Reply::Asks(_))
    }

    fn into_ran(self, eval: &str) -> (T, Ran) {
        let outcome = self.step.unanswered();
        let receipt = Receipt::of(eval, &hash(&self.trace), &self.answers, &outcome);
        (self.what, Ran { outcome, receipt })
    }
}
