use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Limits};
use super::error::Error;
use super::ledger::{Account, Ledger};
use super::{Completing, Completion, LlmConfig, LlmError, Model, ModelConfig, Prompt, Task, Usage};
use crate::domain::{EvalId, WorkspaceId};
use crate::http::client_builder;
use crate::store::Db;

/// How often one model is asked for one answer.
const ATTEMPTS: u32 = 3;
/// Nobody is believed who asks to wait longer; other prompts find out whether it is over.
const REST_MAX: Duration = Duration::from_secs(300);
/// A run waits no longer for an answer to `judge`; [`crate::run::Jury`] gives up shortly after.
const JUDGE_WITHIN: Duration = Duration::from_secs(50);

/// The configured models, whoever asks; cheap to clone.
#[derive(Clone)]
pub struct Client {
    models: Arc<Models>,
    stopping: CancellationToken,
}

struct Models {
    /// For [`Task::Write`] and [`Task::Judge`].
    model: Arc<Endpoint>,
    /// For [`Task::Propose`].
    proposing: Arc<Endpoint>,
    fallback: Option<Arc<Endpoint>>,
    budget_usd: Option<f64>,
    timeout: Duration,
}

/// Makes the client; nothing is sent yet.
///
/// # Errors
/// The TLS set-up of this machine cannot be read.
pub fn connect(config: &LlmConfig) -> anyhow::Result<Client> {
    let http = client_builder().build()?;
    let endpoint = |model: &ModelConfig| {
        let price = config.prices.of(&model.name);
        Arc::new(Endpoint::new(model.clone(), http.clone(), price))
    };
    let model = endpoint(&config.model);
    let is_one = config.proposing.is_same_as(&config.model);
    let models = Models {
        proposing: if is_one {
            model.clone()
        } else {
            endpoint(&config.proposing)
        },
        model,
        fallback: config.fallback.as_ref().map(endpoint),
        budget_usd: config.monthly_budget_usd,
        timeout: config.timeout,
    };
    Ok(Client {
        models: Arc::new(models),
        stopping: CancellationToken::new(),
    })
}

/// One tiny question to one model, as `iofold doctor` asks it.
pub struct Check {
    /// What the model is for.
    pub role: &'static str,
    /// Its name.
    pub model: String,
    /// How long it took and what it took, or why it did not answer.
    pub result: Result<(Duration, Usage), Error>,
}

impl Client {
    /// The same, which waits for nothing once `stopping` is cancelled.
    pub fn until(self, stopping: CancellationToken) -> Self {
        Self { stopping, ..self }
    }

    /// The same models for one workspace: what they take is written into its rows, for the eval that it is for, and
    /// the month's budget is looked up there.
    pub fn for_workspace(
        &self,
        db: &Db,
        workspace: &WorkspaceId,
        eval: Option<&EvalId>,
    ) -> Metered {
        let ledger = Ledger::Rows {
            db: db.clone(),
            workspace: workspace.clone(),
            eval: eval.cloned(),
        };
        Metered::new(self, ledger)
    }

    /// US dollars that a workspace may take in a month; `None` without a bound.
    pub fn monthly_budget_usd(&self) -> Option<f64> {
        self.models.budget_usd
    }

    /// The same models for one run of a command, which has no database: the budget is for this run.
    pub fn for_one_run(&self) -> Metered {
        Metered::new(self, Ledger::InMemory)
    }

    /// Asks each configured model once, whatever the budget.
    pub async fn check(&self) -> Vec<Check> {
        let mut models = vec![("writes and judges", &self.models.model)];
        if !Arc::ptr_eq(&self.models.model, &self.models.proposing) {
            models.push(("proposes", &self.models.proposing));
        }
        models.extend(self.models.fallback.iter().map(|model| ("fallback", model)));
        let mut checks = Vec::new();
        for (role, endpoint) in models {
            checks.push(self.check_one(role, endpoint).await);
        }
        checks
    }

    async fn check_one(&self, role: &'static str, endpoint: &Endpoint) -> Check {
        let started = Instant::now();
        let prompt = super::judge::tiny_prompt();
        let attempt = endpoint.ask(&prompt, self.limits(Task::Judge)).await;
        Check {
            role,
            model: endpoint.config().to_string(),
            result: attempt.result.map(|_| (started.elapsed(), attempt.usage)),
        }
    }

    /// The models to ask, the first one first.
    fn chain(&self, task: Task) -> Vec<Candidate<'_>> {
        let mut chain: Vec<&Arc<Endpoint>> = Vec::new();
        if task == Task::Propose {
            chain.push(&self.models.proposing);
        }
        chain.push(&self.models.model);
        chain.extend(&self.models.fallback);
        chain.dedup_by(|a, b| Arc::ptr_eq(a, b));
        chain.into_iter().map(Candidate::new).collect()
    }

    /// How long a prompt may take with all its attempts.
    fn within(&self, task: Task) -> Duration {
        match task {
            Task::Judge => self.models.timeout.min(JUDGE_WITHIN),
            Task::Propose | Task::Write => self.models.timeout,
        }
    }

    /// One attempt may take half of the time, so that there is time for another.
    fn limits(&self, task: Task) -> Limits {
        let within = self.within(task);
        Limits {
            deadline: Instant::now() + within / 2,
            pause: within / 20,
        }
    }
}

/// A model in a chain, and how it did with one prompt.
struct Candidate<'c> {
    endpoint: &'c Endpoint,
    attempts: u32,
    failed: Option<Error>,
}

impl<'c> Candidate<'c> {
    fn new(endpoint: &'c Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            attempts: 0,
            failed: None,
        }
    }

    fn is_worth_asking(&self) -> bool {
        let may_mend = |error: &Error| error.is_transient() || error.is_bad_output();
        self.attempts < ATTEMPTS && self.failed.as_ref().is_none_or(may_mend)
    }

    /// Notes a failure; where it is the provider's, the model rests: as long as the provider asks for, and longer
    /// with each failure, give or take so that many who wait do not come back at once.
    fn failed(&mut self, error: Error, first_wait: Duration) {
        if error.is_transient() {
            let wait = first_wait * 2_u32.pow(self.attempts - 1);
            let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.0));
            let asked = error.retry_after().unwrap_or_default();
            self.endpoint.rest(jittered.max(asked.min(REST_MAX)));
        }
        self.failed = Some(error);
    }

    fn sentence(&self) -> String {
        let name = self.endpoint.name();
        match &self.failed {
            Some(error) => format!("{name}: {error}"),
            None => format!("{name}: it rests, as its provider asked for"),
        }
    }
}

/// The models for one workspace or run, which counts what they take.
pub struct Metered {
    client: Client,
    account: Account,
}

impl Metered {
    fn new(client: &Client, ledger: Ledger) -> Self {
        Self {
            client: client.clone(),
            account: Account::new(ledger, client.models.budget_usd),
        }
    }

    /// What it has taken so far, by this value.
    pub fn used(&self) -> Usage {
        self.account.used()
    }

    /// The name of the model that is asked first to judge.
    pub(super) fn first(&self) -> &str {
        self.client.models.model.name()
    }

    /// The answer, and the model that gave it.
    pub(super) async fn ask(&self, prompt: &Prompt) -> Result<(Completion, String), LlmError> {
        tokio::select! {
            answer = self.ask_in_turn(prompt) => answer,
            () = self.client.stopping.cancelled() => Err(LlmError::Stopping),
        }
    }

    /// Asks until there is an answer: the model that has been asked least, of those that do not rest.
    async fn ask_in_turn(&self, prompt: &Prompt) -> Result<(Completion, String), LlmError> {
        let deadline = Instant::now() + self.client.within(prompt.task);
        let mut chain = self.client.chain(prompt.task);
        let mut usage = Usage::default();
        while let Some((candidate, starts)) = next(&mut chain, deadline) {
            sleep_until(starts).await;
            self.account.check_budget().await?;
            let mut limits = self.client.limits(prompt.task);
            limits.deadline = limits.deadline.min(deadline);
            let attempt = candidate.endpoint.ask(prompt, limits).await;
            candidate.attempts += 1;
            let model = candidate.endpoint.name();
            self.account.add(prompt.task, model, &attempt.usage).await;
            usage += attempt.usage;
            match attempt.result {
                Ok(value) => return Ok((Completion { value, usage }, model.to_owned())),
                Err(error) => {
                    let task = prompt.task.as_str();
                    tracing::warn!(llm.model = model, llm.task = task, %error, "a model did not answer");
                    candidate.failed(error, self.client.within(prompt.task) / 600);
                }
            }
        }
        let sentences: Vec<String> = chain.iter().map(Candidate::sentence).collect();
        let said = format!("no LLM answered. {}", sentences.join("; "));
        Err(LlmError::Unavailable(said))
    }
}

/// Who is asked next, and from when on; `None` where nobody can be before the deadline.
fn next<'a, 'c>(
    chain: &'a mut [Candidate<'c>],
    deadline: Instant,
) -> Option<(&'a mut Candidate<'c>, Instant)> {
    let now = Instant::now();
    let worth = chain.iter_mut().filter(|one| one.is_worth_asking());
    let start = |one: &Candidate<'_>| one.endpoint.rests_until().unwrap_or(now);
    let with_start = worth.map(|one| {
        let starts = start(one);
        (one, starts)
    });
    // Of equals, the first.
    let next = with_start.min_by_key(|(one, starts)| (*starts, one.attempts))?;
    (next.1 < deadline).then_some(next)
}

impl Model for Metered {
    fn complete<'a>(&'a self, prompt: &'a Prompt) -> Completing<'a> {
        Box::pin(async move { Ok(self.ask(prompt).await?.0) })
    }
}
