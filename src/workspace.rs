//! A workspace's connections: one Langfuse project, one Slack channel, and how they are doing.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use elsa::sync::FrozenVec;
use secrecy::SecretString;
use sqlx::Row;
use tokio::sync::OnceCell;

use crate::clock::Clock;
use crate::domain::{TraceId, WorkspaceId};
use crate::langfuse::{Batches, ScoreConfig, ScoreType};
use crate::sources::{langsmith, openai};
use crate::store::{Db, now_ms};
use crate::{langfuse, slack};

/// The first wait after a failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// A connection in trouble is tried again at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// One that waits for a person is tried again at least this often.
const LONGEST_WAIT_FOR_A_PERSON: Duration = Duration::from_hours(1);

/// What a workspace is connected to.
pub struct Workspace {
    /// `default` where it comes from the environment.
    pub id: WorkspaceId,
    /// Where traces come from and scores go; `None` where only webhooks bring traces.
    pub langfuse: Option<LangfuseConnection>,
    /// Verifies Langfuse's webhooks; without it they are refused.
    pub webhook_secret: Option<SecretString>,
    /// A LangSmith project, beside it or instead.
    pub langsmith: Option<Source<langsmith::Client>>,
    /// OpenAI's stored completions, beside these or instead.
    pub openai: Option<Source<openai::Client>>,
    /// Where people are asked, see [`Workspace::slack`].
    pub slack: SlackSlot,
}

impl Workspace {
    /// Where people are asked; `None` while no team is connected.
    pub fn slack(&self) -> Option<&SlackConnection> {
        self.slack.current()
    }

    /// The channel, unless none is chosen yet, or its connection is in trouble and it is too early to try again.
    pub fn awake_slack(&self) -> Option<&SlackConnection> {
        self.slack()
            .filter(|slack| !slack.channel.is_empty() && !slack.health.is_resting())
    }

    /// The trace's page in Langfuse; `None` for a trace that comes from elsewhere, for one that a sender's spans made and
    /// that Langfuse has not shown, and before the project is known.
    pub async fn langfuse_url(&self, db: &Db, trace: &TraceId) -> sqlx::Result<Option<String>> {
        let langfuse = self.langfuse.as_ref();
        let Some(url) = langfuse.and_then(|langfuse| langfuse.trace_url(trace.as_str())) else {
            return Ok(None);
        };
        let elsewhere = sqlx::query(
            "select 1 from traces where workspace_id = $1 and id = $2
               and (origin is not null or shown_by = '' and exists (
                 select 1 from observations where observations.workspace_id = traces.workspace_id
                   and trace_id = traces.id and source = 'otlp'))",
        )
        .bind(self.id.as_str())
        .bind(trace.as_str())
        .fetch_optional(db.pool())
        .await?;
        Ok(elsewhere.is_none().then_some(url))
    }

    /// Whether a look for new traces is due by the project's limits.
    pub fn may_look(&self) -> bool {
        self.langfuse.as_ref().is_some_and(|langfuse| {
            let now = langfuse.client.budget().clock().elapsed();
            langfuse.pace.wait(now).is_zero()
        })
    }

    /// The project, unless its connection is in trouble and it is too early to try again.
    pub fn awake_langfuse(&self) -> Option<&LangfuseConnection> {
        let langfuse = self.langfuse.as_ref();
        langfuse.filter(|langfuse| !langfuse.health.is_resting())
    }
}

/// Of a config that is not ours.
const UNFIT: &str = "Langfuse has a score config of this name that is archived, or of another type or other categories; \
    scores are written without it. Rename it there, and start iofold again, to have one made that fits";

/// A Langfuse project.
pub struct LangfuseConnection {
    /// Its public API.
    pub client: langfuse::Client,
    /// How it is doing.
    pub health: Health,
    /// How writing scores is doing: what may be read may not be written to, and the other way round.
    pub writing: Health,
    /// How reading old traces is doing: what is too much for it is not for looking at what is new.
    pub backfilling: Health,
    /// Whether scores go in batches.
    pub batches: Batches,
    /// When to look for new traces again.
    pub pace: langfuse::Pace,
    /// The configs' ids by the scores' names, as far as they were looked for.
    score_configs: tokio::sync::Mutex<HashMap<String, Option<String>>>,
}

impl LangfuseConnection {
    /// A connection that has not been tried yet.
    pub fn new(client: langfuse::Client) -> Self {
        let clock = client.budget().clock().clone();
        Self {
            client,
            health: Health::new("Langfuse", clock.clone()),
            writing: Health::new("Langfuse's scores", clock.clone()),
            backfilling: Health::new("Langfuse's old traces", clock),
            batches: Batches::default(),
            pace: langfuse::Pace::default(),
            score_configs: tokio::sync::Mutex::default(),
        }
    }

    /// The id of the score's config in Langfuse, which is made unless it is there; looked for once in a process.
    /// `None` where there can't be one: scores are still written, and only less easy to filter by.
    pub async fn score_config(
        &self,
        name: &str,
        kind: ScoreType,
    ) -> Result<Option<String>, langfuse::Error> {
        let mut known = self.score_configs.lock().await;
        if let Some(config) = known.get(name) {
            return Ok(config.clone());
        }
        let client = self.client.at(langfuse::Priority::Scores);
        let config = match client.ensure_score_config(name, kind).await {
            Ok(ScoreConfig::Found(id)) => Some(id),
            Ok(ScoreConfig::NotAllowed) => None,
            Ok(ScoreConfig::Unfit) => {
                tracing::warn!(score.name = name, "{UNFIT}");
                None
            }
            Err(error) if error.concerns_this_request_only() => {
                tracing::warn!(score.name = name, %error, "Langfuse refused a score config");
                None
            }
            Err(error) => return Err(error),
        };
        known.insert(name.to_owned(), config.clone());
        Ok(config)
    }

    /// Looks for the score's config again: somebody may have archived or deleted it.
    pub async fn renewed_score_config(
        &self,
        name: &str,
        kind: ScoreType,
    ) -> Result<Option<String>, langfuse::Error> {
        self.score_configs.lock().await.remove(name);
        self.score_config(name, kind).await
    }

    /// Notes a call that failed, and how long Langfuse asks to wait.
    pub fn failed(&self, error: &langfuse::Error) {
        self.health.failed(error.to_string(), error.retry_after());
    }

    /// The trace's page in Langfuse, once the project is known.
    pub fn trace_url(&self, trace_id: &str) -> Option<String> {
        let project = self.client.known_project()?;
        Some(self.client.trace_url(&project.id, trace_id).to_string())
    }
}

/// Another source that is asked for traces.
pub struct Source<C> {
    /// Its API.
    pub client: C,
    /// How it is doing.
    pub health: Health,
    /// When to look again.
    pub pace: langfuse::Pace,
}

impl<C> Source<C> {
    /// A source that has not been tried yet.
    pub fn new(service: &'static str, client: C) -> Self {
        Self {
            client,
            health: Health::new(service, Clock::default()),
            pace: langfuse::Pace::default(),
        }
    }
}

/// A workspace's connection to Slack, which may come and change while the service runs. Whoever holds an earlier one
/// keeps it: a new one comes after it, once in an installation, a chosen channel or an end.
#[derive(Default)]
pub struct SlackSlot(FrozenVec<Box<SlackConnection>>);

impl SlackSlot {
    /// Makes `connection` the one that [`Workspace::slack`] gives.
    pub fn put(&self, connection: SlackConnection) {
        self.0.push(Box::new(connection));
    }

    fn current(&self) -> Option<&SlackConnection> {
        self.0.get(self.0.len().checked_sub(1)?)
    }
}

impl From<Option<SlackConnection>> for SlackSlot {
    fn from(connection: Option<SlackConnection>) -> Self {
        let slot = Self::default();
        connection.into_iter().for_each(|one| slot.put(one));
        slot
    }
}

/// A Slack channel.
pub struct SlackConnection {
    /// The Web API, by the app's bot token.
    pub client: slack::Client,
    /// The channel's id or name; empty while none is chosen.
    pub channel: String,
    /// The team or org that installed the app, by its id; `None` where the token is the environment's.
    pub tenant: Option<String>,
    /// How it is doing.
    pub health: Health,
    identity: OnceCell<slack::Identity>,
}

impl SlackConnection {
    /// A connection that has not been tried yet.
    pub fn new(client: slack::Client, channel: String) -> Self {
        let health = Health::new("Slack", client.clock().clone());
        let identity = OnceCell::new();
        Self {
            client,
            channel,
            tenant: None,
            health,
            identity,
        }
    }

    /// A connection by the installation of a team or org.
    pub fn installed(client: slack::Client, channel: String, tenant: String) -> Self {
        Self {
            tenant: Some(tenant),
            ..Self::new(client, channel)
        }
    }

    /// The team that the token belongs to, if Slack has said so already.
    pub fn known_identity(&self) -> Option<&slack::Identity> {
        self.identity.get()
    }

    /// The team that the token belongs to, asked for once.
    pub async fn identity(&self) -> Result<&slack::Identity, slack::Error> {
        self.identity
            .get_or_try_init(|| self.client.identity())
            .await
    }
}

/// Gives the workspace its row, which all its other rows name.
pub async fn register(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<()> {
    sqlx::query(
        "insert into workspaces (id, created_at_ms) values ($1, $2)
         on conflict (id) do nothing",
    )
    .bind(workspace.as_str())
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// `None` where the workspace is there; else the names of those that are.
pub async fn others_than(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<Vec<String>>> {
    let ids = ids(db).await?;
    let others = || ids.iter().map(ToString::to_string).collect();
    Ok((!ids.contains(workspace)).then(others))
}

/// Every workspace that has a row.
async fn ids(db: &Db) -> sqlx::Result<Vec<WorkspaceId>> {
    let rows = sqlx::query("select id from workspaces order by id");
    let rows = rows.fetch_all(db.pool()).await?;
    let id = |row: &sqlx::any::AnyRow| row.try_get::<String, _>("id").map(WorkspaceId::from);
    rows.iter().map(id).collect()
}

/// The Slack team of a workspace, as written down by [`learn_team`]; `None` before that.
pub async fn team_of(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<String>> {
    sqlx::query("select slack_team_id from workspaces where id = $1")
        .bind(workspace.as_str())
        .fetch_one(db.pool())
        .await?
        .try_get("slack_team_id")
}

/// The Slack team's own address, as written down by [`learn_team`]; `None` before that.
pub async fn slack_url_of(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Option<String>> {
    sqlx::query("select slack_url from workspaces where id = $1")
        .bind(workspace.as_str())
        .fetch_one(db.pool())
        .await?
        .try_get("slack_url")
}

/// Asks Slack which team the token belongs to, and writes it down.
pub async fn learn_team(
    db: &Db,
    workspace: &WorkspaceId,
    slack: &SlackConnection,
) -> anyhow::Result<()> {
    let identity = slack.identity().await?;
    sqlx::query("update workspaces set slack_team_id = $1, slack_url = $2 where id = $3")
        .bind(&identity.team_id)
        .bind(&identity.url)
        .bind(workspace.as_str())
        .execute(db.pool())
        .await?;
    Ok(())
}

/// Whether a connection works, and when to try it again if not.
pub struct Health {
    service: &'static str,
    clock: Clock,
    trouble: Mutex<Option<Trouble>>,
}

struct Trouble {
    message: String,
    failures: u32,
    since: Duration,
    until: Duration,
}

impl Trouble {
    /// Whether only a new connection can end it.
    fn is_over(&self) -> bool {
        self.until == Duration::MAX
    }
}

impl Health {
    /// A connection to `service` that has not been tried yet.
    pub fn new(service: &'static str, clock: Clock) -> Self {
        let trouble = Mutex::new(None);
        Self {
            service,
            clock,
            trouble,
        }
    }

    /// Whether it is too early to try again.
    pub fn is_resting(&self) -> bool {
        let trouble = self.trouble.lock().expect("no holder of the lock panics");
        trouble
            .as_ref()
            .is_some_and(|t| self.clock.elapsed() < t.until)
    }

    /// What is wrong, for the overview.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().expect("no holder of the lock panics");
        trouble.as_ref().map(|trouble| trouble.message.clone())
    }

    /// Notes that no call can pass until somebody connects anew, and says why. Nothing that is noted later changes it.
    pub fn end(&self, message: String) {
        let mut trouble = self.trouble.lock().expect("no holder of the lock panics");
        let since = self.clock.elapsed();
        *trouble = Some(Trouble {
            message,
            failures: 1,
            since,
            until: Duration::MAX,
        });
    }

    /// Whether it is at its end.
    pub fn is_over(&self) -> bool {
        let trouble = self.trouble.lock().expect("no holder of the lock panics");
        trouble.as_ref().is_some_and(Trouble::is_over)
    }

    /// How long something has been wrong; zero where nothing is.
    pub fn in_trouble_for(&self) -> Duration {
        let trouble = self.trouble.lock().expect("no holder of the lock panics");
        let since = trouble.as_ref().map(|trouble| trouble.since);
        since.map_or(Duration::ZERO, |since| self.clock.elapsed() - since)
    }

    /// Notes a call that worked.
    pub fn recovered(&self) {
        let mut trouble = self.trouble.lock().expect("no holder of the lock panics");
        if trouble.take_if(|known| !known.is_over()).is_some() {
            tracing::info!(service = self.service, "the connection works again");
        }
    }

    /// Notes a call that failed; says it once, and lets the connection rest, longer each time.
    pub fn failed(&self, message: String, asked_to_wait: Option<Duration>) {
        self.rest(message, asked_to_wait, LONGEST_WAIT);
    }

    /// The same of what only a person can mend; [`Health::wake`] says that one may have.
    pub fn needs_a_person(&self, message: String) {
        self.rest(message, None, LONGEST_WAIT_FOR_A_PERSON);
    }

    /// Has the connection tried at once, for something has changed.
    pub fn wake(&self) {
        let mut trouble = self.trouble.lock().expect("no holder of the lock panics");
        if let Some(trouble) = trouble.as_mut().filter(|known| !known.is_over()) {
            (trouble.failures, trouble.until) = (0, self.clock.elapsed());
        }
    }

    fn rest(&self, message: String, asked_to_wait: Option<Duration>, longest: Duration) {
        let mut trouble = self.trouble.lock().expect("no holder of the lock panics");
        if trouble.as_ref().is_some_and(Trouble::is_over) {
            return;
        }
        let failures = trouble.as_ref().map_or(0, |trouble| trouble.failures) + 1;
        if trouble
            .as_ref()
            .is_none_or(|known| known.message != message)
        {
            tracing::warn!(service = self.service, "{message}");
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << (failures - 1).min(10));
        let wait = asked_to_wait.unwrap_or(doubled).min(longest);
        let now = self.clock.elapsed();
        *trouble = Some(Trouble {
            message,
            failures,
            since: trouble.as_ref().map_or(now, |known| known.since),
            until: now + wait,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_in_trouble_rests_and_recovers() {
        let health = Health::new("Slack", Clock::default());
        assert!(!health.is_resting());
        health.failed("invalid_auth".to_owned(), None);
        assert!(health.is_resting());
        assert_eq!(health.trouble().as_deref(), Some("invalid_auth"));
        health.recovered();
        assert!(!health.is_resting() && health.trouble().is_none());
    }

    #[tokio::test]
    async fn a_connection_that_waits_for_a_person_is_tried_hourly_and_at_once_where_something_changes()
     {
        let start = "2026-06-01T00:00:00Z".parse().expect("a time");
        let (_, clock) = crate::clock::Turned::starting(start, 1);
        let health = Health::new("Slack", clock.clone());
        let mut tries = 0;
        while clock.elapsed() < Duration::from_hours(24) {
            if !health.is_resting() {
                health.needs_a_person("is_archived".to_owned());
                tries += 1;
            }
            clock.sleep(Duration::from_secs(3)).await;
        }
        assert!((24..36).contains(&tries), "{tries}");
        health.wake();
        assert!(!health.is_resting() && health.trouble().is_some());
    }

    #[test]
    fn a_connection_at_its_end_rests_for_good() {
        let health = Health::new("Slack", Clock::default());
        health.failed("invalid_auth".to_owned(), None);
        assert!(!health.is_over());
        health.end("Install it again".to_owned());
        assert!(health.is_over() && health.is_resting());
        assert_eq!(health.trouble().as_deref(), Some("Install it again"));
        let later: [fn(&Health); 4] = [
            Health::wake,
            Health::recovered,
            |health| health.needs_a_person("is_archived".to_owned()),
            |health| health.failed("internal_error".to_owned(), Some(Duration::ZERO)),
        ];
        for note in later {
            note(&health);
            assert!(health.is_over() && health.is_resting());
            assert_eq!(health.trouble().as_deref(), Some("Install it again"));
        }
    }

    #[test]
    fn the_other_side_may_say_how_long_to_wait() {
        let health = Health::new("Langfuse", Clock::default());
        health.failed("rate limit".to_owned(), Some(Duration::ZERO));
        assert!(!health.is_resting());
    }
}
