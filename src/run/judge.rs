use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use super::store;
use crate::domain::{ErrorKind, Outcome, RunError, WorkspaceId};
use crate::llm::{Judge, JudgeError, Question};
use crate::sandbox::{Answers, Step};
use crate::store::Db;

/// Questions that one outcome may take. `docs/design.md`, section 5.
pub const QUESTIONS_MAX: usize = 5;

/// Answers what evals ask: from what was answered before, else by an LLM.
pub struct Jury {
    judge: Arc<dyn Judge>,
    known: KnownAnswers,
    runtime: Handle,
}

/// What was answered before.
pub enum KnownAnswers {
    /// In a workspace's rows.
    Rows {
        /// The database.
        db: Db,
        /// Whose answers.
        workspace: WorkspaceId,
    },
    /// In this process, by [`Answers::key`].
    InMemory(Mutex<HashMap<String, bool>>),
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The host's fault.
    #[error("the answers of judge() can't be kept: {0}")]
    Rows(#[from] sqlx::Error),
}

impl From<Unanswered> for RunError {
    fn from(unanswered: Unanswered) -> Self {
        let kind = match unanswered {
            Unanswered::Judge(_) => ErrorKind::JudgeUnavailable,
            Unanswered::Rows(_) => ErrorKind::Host,
        };
        let message = unanswered.to_string();
        Self { kind, message }
    }
}

impl Jury {
    /// The futures of `judge` and of the database run on `runtime`, which must have threads of its own.
    pub fn new(judge: Arc<dyn Judge>, known: KnownAnswers, runtime: Handle) -> Self {
        Self {
            judge,
            known,
            runtime,
        }
    }

    /// Waits for the answer, on a thread that is none of the runtime's.
    pub fn answer(&self, question: &Question) -> Result<bool, RunError> {
        Ok(self.runtime.block_on(self.find_or_ask(question))?)
    }

    async fn find_or_ask(&self, question: &Question) -> Result<bool, Unanswered> {
        let (key, model) = (Answers::key(question), self.judge.model());
        if let Some(known) = self.known.find(&key, model).await? {
            return Ok(known);
        }
        let answer = self.judge.answer(question).await?;
        Ok(self.known.keep(&key, model, answer).await?)
    }
}

impl KnownAnswers {
    /// None yet, and none after this process.
    pub fn in_memory() -> Self {
        Self::InMemory(Mutex::default())
    }

    async fn find(&self, key: &str, model: &str) -> sqlx::Result<Option<bool>> {
        match self {
            Self::Rows { db, workspace } => store::known_answer(db, workspace, key, model).await,
            Self::InMemory(known) => {
                let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(known.get(key).copied())
            }
        }
    }

    /// Keeps an answer. Of two to the same question, asked at the same time, both get the first.
    async fn keep(&self, key: &str, model: &str, answer: bool) -> sqlx::Result<bool> {
        match self {
            Self::Rows { db, workspace } => {
                store::insert_answer(db, workspace, key, model, answer).await?;
                let kept = store::known_answer(db, workspace, key, model).await?;
                Ok(kept.unwrap_or(answer))
            }
            Self::InMemory(known) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(*known.entry(key.to_owned()).or_insert(answer))
            }
        }
    }
}

/// Repeats `step` with ever more answers, from `ask`, until it ends or may not ask. The answers that the
/// outcome was given come with it.
pub fn judged(
    mut answers: Answers,
    step: impl Fn(&Answers) -> Step,
    ask: impl Fn(&Question) -> Result<bool, RunError>,
) -> (Outcome, Answers) {
    loop {
        let question = match step(&answers) {
            Step::Done(outcome) => return (outcome, answers),
            Step::Asks(question) => question,
        };
        match within_budget(&answers, &question).and_then(|()| ask(&question)) {
            Ok(answer) => answers.insert(&question, answer),
            Err(error) => return (Outcome::refused(error), answers),
        }
    }
}

/// An eval that asks again what it was answered has broken its interpreter, and would ask for ever.
fn within_budget(answers: &Answers, question: &Question) -> Result<(), RunError> {
    if answers.len() < QUESTIONS_MAX && answers.get(&Answers::key(question)).is_none() {
        return Ok(());
    }
    Err(RunError {
        kind: ErrorKind::JudgeBudget,
        message: format!("the eval asked judge() more than {QUESTIONS_MAX} questions"),
    })
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
