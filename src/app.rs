//! Builds everything once, for `main` and for tests, and runs until it is told to stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::routing::{get, post};
use elsa::sync::FrozenVec;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::clock::Clock;
use crate::config::{Config, LangfuseConfig, Settings};
use crate::domain::{EvalId, WorkspaceId};
use crate::jobs::{Job, Jobs, Work, Worker};
use crate::llm::{self, Judge};
use crate::playground::{self, Playground, PlaygroundConfig};
use crate::sandbox::Sandbox;
use crate::sources::{langsmith, openai};
use crate::store::Db;
use crate::workspace::{self, LangfuseConnection, SlackConnection, SlackSlot, Source, Workspace};
use crate::{
    callouts, code_evals, generate, health, inbound, ingest, install, label, outbox, overview,
    report, run, score,
};
use crate::{langfuse, slack};

/// Behind the hints that rooms give each other, every kind of work is looked for this often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3);
/// Whose a token is, is asked for so long where somebody waits for the answer.
const TEAM_ASKED_FOR: Duration = Duration::from_secs(1);
/// Requests and jobs that run at shutdown get this long to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// What handlers and jobs need; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of [`App`].
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The job queue.
    pub jobs: Jobs,
    /// Runs Python.
    pub sandbox: Sandbox,
    /// Writes evals and answers what they ask; `None` where none is configured.
    pub llm: Option<llm::Client>,
    /// What evals are asking just now.
    pub underway: run::Underway,
    /// Writes verified webhooks down.
    pub recorder: ingest::Recorder,
    /// Bounds the spans that are taken in at once.
    pub intake: ingest::Intake,
    /// Numbers a team may want otherwise.
    pub settings: Settings,
    /// Verifies Slack's signed requests; without it they are all refused.
    pub slack_signing_secret: Option<SecretString>,
    /// Opens Socket Mode; `None` where it is not used.
    pub socket_mode: Option<inbound::SocketMode>,
    /// Lets teams install the Slack app by themselves; `None` where it is not theirs to install.
    pub installing: Option<install::Installing>,
    /// Which team is of which org.
    pub orgs: install::Orgs,
    /// Lets Langfuse's Web Callouts in; without it they are refused.
    pub callout_token: Option<SecretString>,
    /// Who may have code evaluators of Langfuse's run.
    pub code_evals: code_evals::Doors,
    /// How this process holds a stretch of old traces.
    pub backfill_owner: ingest::backfill::Owner,
    /// Traces that are ready to be swiped.
    pub ahead: label::Ahead,
    /// Homes that are being brought up to date.
    pub homes: inbound::Homes,
    /// Work that goes on beside an answer to a request.
    pub tasks: TaskTracker,
    /// When this process started.
    pub started_at_ms: i64,
    /// Whether `/playground/` is there.
    pub has_playground: bool,
    judge: Option<Arc<dyn Judge>>,
    workspaces: FrozenVec<Box<Workspace>>,
    stopping: CancellationToken,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Parts {
    /// Every workspace of this service, to which others may come while it runs.
    pub fn workspaces(&self) -> &FrozenVec<Box<Workspace>> {
        &self.workspaces
    }

    /// The workspace of this id.
    pub fn workspace(&self, id: &WorkspaceId) -> Option<&Workspace> {
        self.workspaces.iter().find(|workspace| workspace.id == *id)
    }

    /// The workspace of this id, if it belongs to Slack's `team`.
    pub async fn workspace_of_team(
        &self,
        id: &WorkspaceId,
        team: &str,
    ) -> anyhow::Result<Option<&Workspace>> {
        match self.workspace(id) {
            Some(workspace) if self.is_of_team(workspace, team).await? => Ok(Some(workspace)),
            _ => Ok(None),
        }
    }

    /// Whether the workspace's Slack token belongs to `team`, or to the org that `team` is of: by what this process has heard, else by
    /// what an earlier one has written down. Slack is asked only before the very first answer, and not for long: whoever
    /// asks may be waited for, and one workspace's trouble is none of the others'.
    pub async fn is_of_team(&self, workspace: &Workspace, team: &str) -> anyhow::Result<bool> {
        let Some(slack) = workspace.slack() else {
            return Ok(false);
        };
        if let Some(tenant) = &slack.tenant {
            return Ok(self.orgs.is_within(team, tenant));
        }
        if let Some(identity) = slack.known_identity() {
            return Ok(identity.team_id == team);
        }
        if let Some(known) = workspace::team_of(&self.db, &workspace.id).await? {
            return Ok(known == team);
        }
        if slack.health.is_resting() {
            return Ok(false);
        }
        let asked = tokio::time::timeout(TEAM_ASKED_FOR, slack.identity()).await;
        Ok(matches!(asked, Ok(Ok(identity)) if identity.team_id == team))
    }

    /// Answers what an eval of a workspace asks; `None` where no LLM is configured.
    pub fn judge(&self, workspace: &WorkspaceId, eval: &EvalId) -> Option<Arc<dyn Judge>> {
        let metered = |llm: &llm::Client| -> Arc<dyn Judge> {
            Arc::new(llm.for_workspace(&self.db, workspace, Some(eval)))
        };
        self.judge
            .clone()
            .or_else(|| self.llm.as_ref().map(metered))
    }

    /// Takes a workspace in, unless it is there already.
    pub fn ensure_workspace(&self, workspace: Workspace) -> &Workspace {
        match self.workspace(&workspace.id) {
            Some(known) => known,
            None => self.workspaces.push_get(Box::new(workspace)),
        }
    }

    /// A trace that last changed before this time is settled.
    pub fn settled_before_ms(&self) -> i64 {
        self.db.now_ms() - self.settings.settle_after.as_millis() as i64
    }

    /// Hints that there may be work, beside an answer that somebody waits for.
    pub fn hint(&self, workspace: &WorkspaceId, work: &'static [Work]) {
        let (jobs, workspace) = (self.jobs.clone(), workspace.clone());
        self.tasks.spawn(async move {
            for work in work {
                jobs.push(&workspace, *work).await;
            }
        });
    }

    /// Whether the process is about to end: long work stops at the next safe place.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// The same, to wait for.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }
}

/// A service that is built and bound to its port, but does not run yet.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// The parts, for tests that look at rows.
    pub app: App,
    /// The stand-ins, where the playground is on.
    pub playground: Option<Playground>,
    public_url: Option<Url>,
    listener: TcpListener,
    router: Router,
    worker: Worker,
}

/// Connects, migrates, compiles or loads the sandbox, binds the port.
///
/// # Errors
/// A sentence that says what could not be done, with its cause.
pub async fn build(config: Config) -> anyhow::Result<Service> {
    build_with(config, None).await
}

/// The same with a judge of the caller's, instead of the configured LLM.
pub async fn build_with(config: Config, judge: Option<Arc<dyn Judge>>) -> anyhow::Result<Service> {
    build_by(config, judge, Clock::default()).await
}

/// The same by this clock: what is waited for in Slack, and the rows that say how long.
pub async fn build_by(
    config: Config,
    judge: Option<Arc<dyn Judge>>,
    clock: Clock,
) -> anyhow::Result<Service> {
    let listener = listen(config.listen).await?;
    let address = listener.local_addr()?;
    let (worker, cache_dir) = (config.worker.clone(), config.cache_dir.clone());
    let sandbox = tokio::task::spawn_blocking(move || Sandbox::open(&worker, &cache_dir)).await??;
    let db = Db::open(&config.database_url).await?.by(clock.clone());
    let started_at_ms = db.now_ms();
    let deliveries = Db::connect_promptly(&config.database_url).await?;
    let (jobs, worker) = Jobs::open(&config.database_url).await?;
    let playground = playground(&config, address)?;
    let connected = connect(&config, playground.as_ref(), &clock)?;
    let installing = install::Installing::of(&config, &clock)?;
    let stopping = CancellationToken::new();
    let llm = config.llm.as_ref().map(llm::connect).transpose()?;
    let app = App(Arc::new(Parts {
        db,
        jobs,
        sandbox,
        llm: llm.map(|llm| llm.until(stopping.clone())),
        underway: run::Underway::default(),
        recorder: ingest::Recorder::start(deliveries),
        intake: ingest::Intake::default(),
        judge,
        settings: config.settings,
        slack_signing_secret: connected.signing_secret,
        socket_mode: connected.socket_mode,
        installing,
        orgs: install::Orgs::default(),
        callout_token: config.langfuse_callout_token,
        code_evals: code_evals::Doors::new(config.code_eval_token, config.lambda_key),
        backfill_owner: ingest::backfill::Owner::service(),
        ahead: label::Ahead::default(),
        homes: inbound::Homes::default(),
        tasks: TaskTracker::new(),
        started_at_ms,
        has_playground: playground.is_some(),
        workspaces: connected.workspaces,
        stopping,
    }));
    for workspace in app.workspaces() {
        workspace::register(&app.db, &workspace.id).await?;
        let langfuse = workspace.langfuse.as_ref();
        if let Some(limit) = langfuse.and_then(|langfuse| langfuse.client.budget().in_words()) {
            tracing::info!(workspace.id = %workspace.id, "Langfuse takes {limit}");
        }
    }
    install::sync(&app).await?;
    let router = router(&app, playground.as_ref());
    Ok(Service {
        address,
        app,
        playground,
        public_url: config.public_url,
        listener,
        router,
        worker,
    })
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}; another program may use that port (set IOFOLD_LISTEN to another)"
        )
    })
}

/// The playground, where nothing else is configured.
fn playground(config: &Config, address: SocketAddr) -> anyhow::Result<Option<Playground>> {
    if !config.wants_playground() {
        playground::refuse_its_database(&config.database_url)?;
    }
    let wanted = config.wants_playground().then(|| {
        Playground::open(PlaygroundConfig {
            labels_wanted: config.settings.labels_to_generate,
            ..PlaygroundConfig::bundled(address, &config.database_url)
        })
    });
    wanted.transpose()
}

/// The client of a configured project.
///
/// # Errors
/// The TLS set-up of this machine cannot be read.
pub fn langfuse_client(config: &LangfuseConfig) -> anyhow::Result<langfuse::Client> {
    let client = langfuse::Client::new(&config.base_url, &config.public_key, &config.secret_key)?;
    let client = client.choosing(config.filter.clone());
    Ok(match config.plan {
        Some(plan) => client.on(plan, Clock::default()),
        None => client,
    })
}

struct Connected {
    workspaces: FrozenVec<Box<Workspace>>,
    signing_secret: Option<SecretString>,
    socket_mode: Option<inbound::SocketMode>,
}

/// The workspaces of the configuration, or the playground's, which are connected in the same way.
fn connect(
    config: &Config,
    playground: Option<&Playground>,
    clock: &Clock,
) -> anyhow::Result<Connected> {
    if let Some(playground) = playground {
        return playground_workspaces(playground, clock);
    }
    let langfuse = config.langfuse.as_ref();
    let langfuse = langfuse.map(langfuse_client);
    let slack = config.slack.as_ref();
    let connection = slack.map(|c| {
        let client = slack::Client::new(&c.api_url, &c.bot_token)?;
        let client = client.paced(c.pace, clock.clone());
        anyhow::Ok(SlackConnection::new(client, c.channel.clone()))
    });
    let langsmith = config.langsmith.as_ref().map(langsmith::Client::new);
    let openai = config.stored_completions.as_ref();
    let openai = openai.map(openai::Client::new);
    let workspace = Workspace {
        id: WorkspaceId::from("default"),
        langfuse: langfuse.transpose()?.map(LangfuseConnection::new),
        webhook_secret: config.langfuse_webhook_secret.clone(),
        langsmith: langsmith
            .transpose()?
            .map(|client| Source::new("LangSmith", client)),
        openai: openai
            .transpose()?
            .map(|client| Source::new("OpenAI", client)),
        slack: SlackSlot::from(connection.transpose()?),
    };
    let installed = config
        .install
        .as_ref()
        .and_then(|c| c.signing_secret.as_ref());
    let signing_secret = slack.and_then(|c| c.signing_secret.as_ref());
    let signing_secret = signing_secret.or(installed);
    Ok(Connected {
        workspaces: FrozenVec::from(vec![Box::new(workspace)]),
        signing_secret: signing_secret.cloned(),
        socket_mode: inbound::SocketMode::of(config)?,
    })
}

fn playground_workspaces(playground: &Playground, clock: &Clock) -> anyhow::Result<Connected> {
    let workspaces = FrozenVec::new();
    for place in playground.places() {
        let langfuse =
            langfuse::Client::new(&place.langfuse_url, &place.public_key, &place.secret_key)?;
        let slack = slack::Client::new(&place.slack_api_url, &place.bot_token)?;
        let slack = slack.paced(slack::Pace::Documented, clock.clone());
        workspaces.push(Box::new(Workspace {
            id: WorkspaceId::from(place.workspace.as_str()),
            langfuse: Some(LangfuseConnection::new(langfuse)),
            webhook_secret: None,
            langsmith: None,
            openai: None,
            slack: Some(SlackConnection::new(slack, place.channel.clone())).into(),
        }));
    }
    Ok(Connected {
        workspaces,
        signing_secret: Some(playground.signing_secret()),
        socket_mode: None,
    })
}

/// Asks Slack once whose token a workspace has and writes it down, so that no click has to wait for it.
pub async fn learn_team(app: App, id: WorkspaceId) {
    while let Some(slack) = app.workspace(&id).and_then(Workspace::slack) {
        if app.is_stopping() || slack.health.is_over() {
            return;
        }
        if !slack.health.is_resting() {
            let Err(error) = workspace::learn_team(&app.db, &id, slack).await else {
                return slack.health.recovered();
            };
            match error.downcast::<slack::Error>() {
                Ok(error) => drop(outbox::failed(slack, error)),
                Err(error) => slack.health.failed(error.to_string(), None),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

fn router(app: &App, playground: Option<&Playground>) -> Router {
    let service = Router::new()
        .route("/", get(overview::page))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/webhooks/langfuse/{workspace}", post(ingest::receive))
        .route("/v1/traces", post(ingest::receive_spans))
        .route("/v1/traces/ingest", post(ingest::receive_agents))
        // Where Langfuse's own SDKs send them.
        .route("/api/public/otel/v1/traces", post(ingest::receive_spans))
        .route("/callouts/langfuse/{workspace}", post(callouts::receive))
        .route("/langfuse/code-evals", post(code_evals::dispatch))
        .route(
            "/2015-03-31/functions/{name}/invocations",
            post(code_evals::invoke),
        )
        .route("/slack/interactions", post(inbound::receive_interaction))
        .route("/slack/commands", post(inbound::receive_command))
        .route("/slack/events", post(inbound::receive_event))
        .route("/slack/install", get(install::begin))
        .route("/slack/oauth/callback", get(install::complete))
        .with_state(app.clone());
    match playground {
        Some(playground) => {
            service.nest_service("/playground", playground::router(playground.clone()))
        }
        None => service,
    }
}

impl Service {
    /// The address to open in a browser.
    pub fn url(&self) -> Url {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let page = if self.playground.is_some() {
            "playground/"
        } else {
            ""
        };
        format!("http://{}/{page}", self.address)
            .parse()
            .expect("a socket address makes a valid URL")
    }

    /// Serves until `shutdown` completes; then requests and jobs in flight end, and the rest of the
    /// jobs stay in the queue for the next start.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let app = self.app;
        let stopping = app.stopping.clone();
        let stopped = {
            let stopping = stopping.clone();
            move || stopping.clone().cancelled_owned()
        };
        tokio::spawn(async move {
            shutdown.await;
            tracing::info!("shutting down: work in flight is finished first");
            stopping.cancel();
        });
        if let Some(playground) = &self.playground {
            app.tasks.spawn(playground.clone().run(stopped()));
        }
        let sweeper = tokio::spawn(sweep(app.clone(), stopped()));
        let handler = app.clone();
        for workspace in app.workspaces() {
            app.tasks
                .spawn(learn_team(app.clone(), workspace.id.clone()));
        }
        app.tasks.spawn(install::keep(app.clone()));
        inbound::keep_sockets(&app);
        let queue_worker = self.worker;
        let stop_worker = stopped();
        // On a thread of its own, for the compiler cannot prove that apalis' future may change threads.
        let worker = tokio::task::spawn_blocking(move || {
            let handle_job = move |job| handle(handler.clone(), job);
            Handle::current().block_on(queue_worker.run(handle_job, stop_worker))
        });
        let server = axum::serve(self.listener, self.router).with_graceful_shutdown(stopped());
        let server = tokio::spawn(server.into_future());
        stopped().await;
        app.tasks.close();
        let ended = async {
            server.await??;
            worker.await??;
            sweeper.await?;
            app.tasks.wait().await;
            anyhow::Ok(())
        };
        match tokio::time::timeout(SHUTDOWN_GRACE, ended).await {
            Ok(result) => result,
            Err(_) => {
                tracing::warn!("some work did not end in time; the next start takes it up again");
                Ok(())
            }
        }
    }
}

/// Pushes every kind of work for every workspace, again and again: what a lost hint would have meant.
async fn sweep(app: App, stopped: impl Future<Output = ()>) {
    tokio::pin!(stopped);
    let mut looked = HashMap::new();
    let mut pruned = Instant::now();
    loop {
        push_all(&app, &mut looked).await;
        if pruned.elapsed() > Duration::from_secs(600) {
            pruned = Instant::now();
            if let Err(error) = prune(&app).await {
                tracing::warn!(error = ?error, "old rows could not be deleted");
            }
        }
        let pause = SWEEP_INTERVAL.min(app.settings.poll_interval);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut stopped => return,
        }
    }
}

/// Deletes handled jobs, events and deliveries that nothing looks at any more.
async fn prune(app: &App) -> anyhow::Result<()> {
    app.jobs.prune().await?;
    inbound::prune(&app.db).await?;
    for workspace in app.workspaces() {
        ingest::prune(app, workspace).await?;
        callouts::prune(app, workspace).await?;
    }
    Ok(())
}

/// `looked` is when each workspace was last told to look for new traces.
async fn push_all(app: &App, looked: &mut HashMap<(WorkspaceId, Work), Instant>) {
    for workspace in app.workspaces() {
        for work in Work::ALL {
            if is_due(app, workspace, work, looked) {
                app.jobs.push(&workspace.id, work).await;
            }
        }
    }
}

/// Whether it is time for a kind of work, which is noted then; for most it always is.
fn is_due(
    app: &App,
    workspace: &Workspace,
    work: Work,
    looked: &mut HashMap<(WorkspaceId, Work), Instant>,
) -> bool {
    let may_look = match work {
        Work::PollTraces => workspace.may_look(),
        // Each source has a pace of its own.
        Work::ReadSources => true,
        _ => return true,
    };
    let key = (workspace.id.clone(), work);
    let last = looked.get(&key);
    let is_due = may_look && last.is_none_or(|at| at.elapsed() >= app.settings.poll_interval);
    if is_due {
        looked.insert(key, Instant::now());
    }
    is_due
}

/// One job to its room. A workspace that is no longer configured has no work.
async fn handle(app: App, job: Job) -> anyhow::Result<()> {
    let Some(workspace) = app.workspace(&job.workspace) else {
        return Ok(());
    };
    match job.work {
        Work::HandleDeliveries => ingest::handle_deliveries(&app, workspace).await,
        Work::AssembleTraces => ingest::assemble_traces(&app, workspace).await,
        Work::HandleCallouts => callouts::handle_callouts(&app, workspace).await,
        Work::PollTraces => ingest::poll_traces(&app, workspace).await,
        Work::ReadSources => ingest::read_sources(&app, workspace).await,
        Work::BackfillTraces => ingest::backfill_traces(&app, workspace).await,
        Work::PostCards => label::post_cards(&app, workspace).await,
        Work::RefreshPosts => {
            label::refresh_cards(&app, workspace).await?;
            report::refresh_reports(&app, workspace).await
        }
        Work::GenerateEval => generate::generate_eval(&app, workspace).await,
        Work::RefineEvals => generate::refine_evals(&app, workspace).await,
        Work::RunEvals => run::run_evals(&app, workspace).await,
        Work::PostReports => report::post_reports(&app, workspace).await,
        Work::ScoreTraces => score::score_traces(&app, workspace).await,
    }
}
