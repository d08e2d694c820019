use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::store;
use crate::domain::{ErrorKind, Outcome, RunError, WorkspaceId};
use crate::llm::{Answer, Judge, JudgeError, Question};
use crate::sandbox::{Answers, Reply};
use crate::store::Db;

/// Questions that one outcome may take. `docs/design.md`, section 5.
pub const QUESTIONS_MAX: usize = 5;
/// An LLM that takes longer has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Answers kept in memory, at most: some 10 MB.
const KEPT_MAX: usize = 100_000;

/// Questions that this process asks at the same time, whoever asks.
static ASKING: Semaphore = Semaphore::const_new(16);
/// Questions that are being looked up or asked, by workspace, model and [`Answers::key`]: who asks the same meanwhile
/// waits for the same answer. Cheap to clone; those who share one ask nothing twice at the same time.
#[derive(Clone, Default)]
pub struct Underway(Arc<Mutex<BTreeMap<Asked, Arc<Answered>>>>);

type Asked = (String, String, String);
type Answered = OnceCell<Result<bool, RunError>>;

impl Underway {
    fn join(&self, asked: &Asked) -> Arc<Answered> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(asked.clone()).or_default().clone()
    }

    fn leave(&self, asked: &Asked, answered: &Arc<Answered>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another one may be under way by now.
        if all
            .get(asked)
            .is_some_and(|other| Arc::ptr_eq(other, answered))
        {
            all.remove(asked);
        }
    }
}

/// Answers what evals ask: from what was answered before, else by an LLM.
pub struct Jury {
    judge: Arc<dyn Judge>,
    known: KnownAnswers,
    runtime: Handle,
    underway: Underway,
    answer_within: Duration,
    stopping: CancellationToken,
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
    /// In this process, by model and [`Answers::key`].
    InMemory(Mutex<HashMap<(String, String), bool>>),
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
            underway: Underway::default(),
            answer_within: ANSWER_WITHIN,
            stopping: CancellationToken::new(),
        }
    }

    /// The same, which waits for no answer once `stopping` is cancelled.
    pub fn until(self, stopping: CancellationToken) -> Self {
        Self { stopping, ..self }
    }

    /// The same, which asks nothing that another one with this `underway` is asking.
    pub fn beside(self, underway: &Underway) -> Self {
        let underway = underway.clone();
        Self { underway, ..self }
    }

    /// Waits for the answer, on a thread that is none of the runtime's.
    pub fn answer(&self, question: &Question) -> Result<bool, RunError> {
        self.runtime.block_on(self.answer_once(question))
    }

    /// The answer to the same question at the same time, which is looked up and asked once.
    async fn answer_once(&self, question: &Question) -> Result<bool, RunError> {
        let (workspace, model) = (self.known.workspace(), self.judge.model());
        let key = Answers::key(question);
        let asked = (workspace.to_owned(), model.to_owned(), key);
        let answered = self.underway.join(&asked);
        let find = async || Ok(self.find_or_ask(question).await?);
        let answer = answered.get_or_init(find).await.clone();
        self.underway.leave(&asked, &answered);
        answer
    }

    async fn find_or_ask(&self, question: &Question) -> Result<bool, Unanswered> {
        let (key, model) = (Answers::key(question), self.judge.model());
        if let Some(known) = self.known.find(&key, model).await? {
            return Ok(known);
        }
        let answer = tokio::select! {
            answer = self.ask(question) => answer?,
            () = self.stopping.cancelled() => {
                return Err(JudgeError("judge() was not asked: the service ends".to_owned()).into());
            }
        };
        Ok(self.known.keep(&key, model, &answer).await?)
    }

    async fn ask(&self, question: &Question) -> Result<Answer, JudgeError> {
        // An error would say that it is closed, which nobody does.
        let _place = ASKING.acquire().await;
        let answered = timeout(self.answer_within, self.judge.answer(question)).await;
        answered.unwrap_or_else(|_| {
            let waited = self.answer_within;
            let message = format!("the LLM did not answer judge() within {waited:?}");
            Err(JudgeError(message))
        })
    }
}

impl KnownAnswers {
    /// None yet, and none after this process.
    pub fn in_memory() -> Self {
        Self::InMemory(Mutex::default())
    }

    fn workspace(&self) -> &str {
        match self {
            Self::Rows { workspace, .. } => workspace.as_str(),
            Self::InMemory(_) => "",
        }
    }

    async fn find(&self, key: &str, model: &str) -> sqlx::Result<Option<bool>> {
        match self {
            Self::Rows { db, workspace } => store::known_answer(db, workspace, key, model).await,
            Self::InMemory(known) => {
                let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(known.get(&(model.to_owned(), key.to_owned())).copied())
            }
        }
    }

    /// Keeps an answer. Of two to the same question, asked at the same time, both get the first.
    async fn keep(&self, key: &str, model: &str, answer: &Answer) -> sqlx::Result<bool> {
        match self {
            Self::Rows { db, workspace } => {
                store::insert_answer(db, workspace, key, model, answer).await?;
                let kept = store::known_answer(db, workspace, key, model).await?;
                Ok(kept.unwrap_or(answer.yes))
            }
            Self::InMemory(known) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= KEPT_MAX {
                    known.clear();
                }
                let key = (model.to_owned(), key.to_owned());
                Ok(*known.entry(key).or_insert(answer.yes))
            }
        }
    }
}

/// After a first `step` with `answers`, runs `again` with ever more answers, from `ask`, until a run ends or may
/// not ask. The answers that the outcome was given come with it.
pub fn judged(
    mut answers: Answers,
    mut step: Reply,
    again: impl Fn(&Answers) -> Reply,
    ask: impl Fn(&Question) -> Result<bool, RunError>,
) -> (Outcome, Answers) {
    loop {
        let question = match step {
            Reply::Done(outcome) => return (outcome, answers),
            Reply::Asks(question) => question,
        };
        match within_budget(&answers, &question).and_then(|()| ask(&question)) {
            Ok(answer) => answers.insert(&question, answer),
            Err(error) => return (Outcome::refused(error), answers),
        }
        step = again(&answers);
    }
}

/// An eval that asks again what it was answered has broken its interpreter, and would ask for ever.
fn within_budget(answers: &Answers, question: &Question) -> Result<(), RunError> {
    let message = match answers.get(&Answers::key(question)) {
        Some(_) => "the eval asked judge() again what it had been answered".to_owned(),
        None if answers.len() < QUESTIONS_MAX => return Ok(()),
        None => format!("the eval asked judge() more than {QUESTIONS_MAX} questions"),
    };
    let kind = ErrorKind::JudgeBudget;
    Err(RunError { kind, message })
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
