//! One service and, on a port of their own, the stand-ins that it is connected to.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use iofold::app::{self, App};
use iofold::config::{Config, Environment};
use iofold::domain::AnnotatorLabel;
use iofold::playground::langfuse::{Apis, Limits, Recorded};
use iofold::playground::slack::{RateLimits, Timing};
use iofold::playground::{PlaceConfig, Playground, PlaygroundConfig, router, service_url};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Row;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::openapi::{Watch, watched};
use super::{Database, cache_folder, example_lines, free_address, iofold};

/// Signs webhooks of every stage.
pub const WEBHOOK_SECRET: &str = "lf-whsec_of_a_test";
/// The one channel of every stage.
pub const CHANNEL: &str = "answers";
/// Whatever a service is waited for comes within this, on a slow machine too.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A Slack team, a Langfuse project and a database, waiting for a service.
pub struct Stage {
    /// The stand-ins.
    pub playground: Playground,
    /// Where the service listens once it runs.
    pub service: SocketAddr,
    /// The database's URL.
    pub database_url: String,
    /// For requests of the tests' own.
    pub http: reqwest::Client,
    /// Where the stand-ins listen.
    pub stand_ins: SocketAddr,
    settings: Vec<(String, String)>,
    by_socket: bool,
    _folder: TempDir,
    _watch: Watch,
}

/// A service that runs in this process.
pub struct Running {
    /// Its parts, for looking at rows.
    pub app: App,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Runs a service that is built.
    pub fn of(service: app::Service) -> Self {
        let app = service.app.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(service.run(async {
            let _ = stopped.await;
        }));
        Self { app, stop, ended }
    }

    /// Asks it to stop as SIGTERM would, and waits for the end.
    pub async fn stop(self) {
        drop(self.stop);
        self.ended
            .await
            .expect("it does not panic")
            .expect("it ends well");
    }
}

/// The bundled lines of a set, as the stand-in for Langfuse replays them.
pub fn recorded(set: &str, count: usize) -> Vec<Recorded> {
    example_lines(set, 0..count)
        .iter()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("it is JSON");
            let label = serde_json::from_value(line["label"].clone()).expect("a thumb");
            let lone = || {
                vec![json!({"annotator": "annotator", "label": label, "comment": line["comment"]})]
            };
            let labels = match line["labels"].as_array() {
                Some(labels) if !labels.is_empty() => labels.clone(),
                _ => lone(),
            };
            let labels = labels
                .into_iter()
                .map(serde_json::from_value::<AnnotatorLabel>);
            Recorded {
                trace: line["trace"].clone(),
                label,
                labels: labels.collect::<Result<_, _>>().expect("labels"),
            }
        })
        .collect()
}

impl Stage {
    /// Serves the stand-ins with `recorded` traces waiting; `settings` are the service's variables.
    pub async fn set(
        database: Database,
        apis: Apis,
        recorded: Vec<Recorded>,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database_url = database.url(folder.path()).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let stand_ins = listener.local_addr().expect("it is bound");
        let service = free_address();
        let playground = Playground::open(PlaygroundConfig {
            address: stand_ins,
            service_url: service_url(service),
            places: vec![PlaceConfig {
                workspace: "default".to_owned(),
                channel: CHANNEL.to_owned(),
                topic: String::new(),
                recorded,
            }],
            folder: None,
            releases_by_itself: false,
            rate_limits: RateLimits::Lifted,
            // The service may be slow to answer where many tests share a machine.
            slack_timing: Timing {
                acknowledge_within: Duration::from_secs(30),
                trigger_lives: Duration::from_secs(30),
                event_retries: [0, 1, 2].map(Duration::from_secs),
                ..Timing::default()
            },
            apis,
            limits: Limits::Open,
            annotator_pause: Duration::ZERO,
            release_pause: Duration::ZERO,
            labels_wanted: 20,
        })
        .expect("the stand-ins open");
        let served = axum::Router::new().nest("/playground", router(playground.clone()));
        let (served, watch) = watched(served, true);
        tokio::spawn(axum::serve(listener, served).into_future());
        let quick = [
            ("IOFOLD_CARDS_PER_HOUR", "100000"),
            ("IOFOLD_POLL_SECONDS", "1"),
            ("IOFOLD_SETTLE_SECONDS", "0"),
        ];
        let settings = quick.iter().chain(settings);
        Self {
            playground,
            service,
            database_url,
            http: reqwest::Client::new(),
            settings: settings
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            stand_ins,
            by_socket: false,
            _folder: folder,
            _watch: watch,
        }
    }

    /// The same with Socket Mode instead of signed requests.
    pub fn by_socket(mut self) -> Self {
        self.by_socket = true;
        self
    }

    /// The variables that connect a service to this stage.
    pub fn environment(&self) -> Vec<(String, String)> {
        let places = self.playground.places();
        let place = places.first().expect("a stage has one place");
        let signing_secret = self.playground.signing_secret();
        let way_in = match self.by_socket {
            true => (
                "SLACK_APP_TOKEN",
                place.app_token.expose_secret().to_owned(),
            ),
            false => (
                "SLACK_SIGNING_SECRET",
                signing_secret.expose_secret().to_owned(),
            ),
        };
        let pairs = [
            ("DATABASE_URL", self.database_url.clone()),
            ("IOFOLD_LISTEN", self.service.to_string()),
            ("LANGFUSE_BASE_URL", place.langfuse_url.to_string()),
            ("LANGFUSE_PUBLIC_KEY", place.public_key.clone()),
            (
                "LANGFUSE_SECRET_KEY",
                place.secret_key.expose_secret().to_owned(),
            ),
            ("LANGFUSE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
            ("SLACK_API_URL", place.slack_api_url.to_string()),
            (
                "SLACK_BOT_TOKEN",
                place.bot_token.expose_secret().to_owned(),
            ),
            ("SLACK_CHANNEL", place.channel.clone()),
            way_in,
            ("XDG_CACHE_HOME", cache_folder().display().to_string()),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
        pairs.into_iter().chain(self.settings.clone()).collect()
    }

    /// The configuration that those variables make.
    pub fn config(&self) -> Config {
        let environment = Environment::from_pairs(self.environment());
        let mut config = Config::read(&environment).expect("the configuration is complete");
        config.worker = env!("CARGO_BIN_EXE_iofold").into();
        config
    }

    /// Starts the service in this process.
    pub async fn start(&self) -> Running {
        let service = app::build(self.config()).await;
        Running::of(service.expect("the service builds"))
    }

    /// Starts the service as a process of its own.
    pub fn spawn(&self) -> Child {
        let mut command: Command = iofold();
        command
            .arg("serve")
            .envs(self.environment())
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .expect("the service starts")
    }

    /// A URL of the service.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.service)
    }

    /// A URL of the page's API.
    pub fn page_url(&self, path: &str) -> String {
        format!("http://{}/playground/api/{path}", self.stand_ins)
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.page_url(path)).send().await;
        let body = answer.expect("the stand-ins answer").json().await;
        body.expect("they answer with JSON")
    }

    /// Posts to the page's API; says whether it was fine.
    pub async fn post(&self, path: &str, body: Value) -> bool {
        let answer = self.http.post(self.page_url(path)).json(&body).send().await;
        answer.expect("the stand-ins answer").status().is_success()
    }

    /// The channel's messages, oldest first, with their replies.
    pub async fn messages(&self) -> Vec<Value> {
        let body = self.get(&format!("channels/{CHANNEL}/messages")).await;
        body["messages"].as_array().expect("a list").clone()
    }

    /// The messages of this kind.
    pub async fn of_kind(&self, event_type: &str) -> Vec<Value> {
        let mut messages = self.messages().await;
        messages.retain(|message| message["metadata"]["event_type"] == event_type);
        messages
    }

    /// The cards.
    pub async fn cards(&self) -> Vec<Value> {
        self.of_kind("iofold_trace").await
    }

    /// Has the next recorded traces happen now.
    pub async fn release(&self, count: usize) {
        let path = format!("channels/{CHANNEL}/release");
        let released = self.post(&path, json!({"count": count})).await;
        assert!(released, "traces are released");
    }

    /// A click on the button of a message whose text holds `text`; says whether it was acknowledged.
    pub async fn click(&self, message: &Value, user: &str, text: &str) -> bool {
        let button = button(message, text).unwrap_or_else(|| panic!("no {text} on {message}"));
        let body = json!({
            "user": user, "ts": message["ts"],
            "action_id": button["action_id"], "value": button["value"],
        });
        self.post(&format!("channels/{CHANNEL}/click"), body).await
    }

    /// A click on the element of this `action_id` of a message; `value` is the button's, or the chosen option's.
    pub async fn choose(&self, message: &Value, user: &str, action_id: &str, value: &str) -> bool {
        let body =
            json!({"user": user, "ts": message["ts"], "action_id": action_id, "value": value});
        self.post(&format!("channels/{CHANNEL}/click"), body).await
    }

    /// Puts a reaction on a message, as `+1`, or takes it away.
    pub async fn react(&self, message: &Value, user: &str, name: &str, add: bool) -> bool {
        let body = json!({"user": user, "ts": message["ts"], "name": name, "remove": !add});
        self.post(&format!("channels/{CHANNEL}/react"), body).await
    }

    /// Writes a message as a person, below `thread` where one is given; gives its ts.
    pub fn say(&self, user: &str, text: &str, thread: Option<&Value>) -> String {
        let thread_ts = thread.and_then(|message| message["ts"].as_str());
        let slack = self.playground.slack();
        let said = slack.say(&self.channel(), user, text, thread_ts);
        said.expect("the channel takes it")
    }

    /// Deletes a message as a person.
    pub async fn delete(&self, message: &Value, user: &str) -> bool {
        let body = json!({"user": user, "ts": message["ts"]});
        self.post(&format!("channels/{CHANNEL}/delete"), body).await
    }

    /// Gives `/iofold` with this text; gives what the service answered at once, null for nothing.
    pub async fn command(&self, user: &str, text: &str) -> Value {
        let slack = self.playground.slack();
        let answer = slack.command(&self.channel(), user, text).await;
        answer.expect("the service acknowledges")
    }

    /// A user's open modals, the one in front last.
    pub async fn views(&self, user: &str) -> Vec<Value> {
        let body = self.get(&format!("views?user={user}")).await;
        body["views"].as_array().expect("a list").clone()
    }

    /// A click in a modal or on the Home, on the element of this `action_id`.
    pub async fn click_view(&self, view: &Value, user: &str, action_id: &str, value: &str) -> bool {
        let id = view["id"].as_str().expect("a view has an id");
        let body = json!({"user": user, "action_id": action_id, "value": value});
        self.post(&format!("views/{id}/click"), body).await
    }

    /// Submits a modal with these values, `{block_id: {action_id: …}}`; says whether it was taken.
    pub async fn submit_view(&self, view: &Value, user: &str, values: Value) -> bool {
        let id = view["id"].as_str().expect("a view has an id");
        let body = json!({"user": user, "values": values});
        self.post(&format!("views/{id}/submit"), body).await
    }

    /// Opens the app's Home as a user.
    pub async fn open_home(&self, user: &str) -> bool {
        self.post("home/open", json!({"user": user})).await
    }

    /// What a user's Home shows; null until it is published.
    pub async fn home(&self, user: &str) -> Value {
        self.get(&format!("home?user={user}")).await["view"].take()
    }

    /// The messages of the channel that this user alone sees, oldest first.
    pub async fn ephemeral(&self, user: &str) -> Vec<Value> {
        let path = format!("channels/{CHANNEL}/messages?user={user}");
        let mut body = self.get(&path).await;
        let Value::Array(mut messages) = body["messages"].take() else {
            return Vec::new();
        };
        messages.retain(|message| message["ephemeral"] == true);
        messages
    }

    /// The channel's id.
    pub fn channel(&self) -> String {
        self.playground.places().remove(0).channel
    }

    /// The recorded annotators label the trace of a card.
    pub async fn label_as_recorded(&self, card: &Value) {
        for label in self.playground.langfuse().recorded_labels(trace_of(card)) {
            let given = self.click(card, label.annotator.as_str(), label.label.emoji());
            assert!(given.await, "the service acknowledges");
        }
    }

    /// Has the first recorded traces happen now, and their cards labelled as recorded.
    pub async fn release_and_label(&self, count: usize) {
        self.release(count).await;
        for card in self.cards_once_there(count).await {
            self.label_as_recorded(&card).await;
        }
    }

    /// The cards, as soon as there are so many.
    pub async fn cards_once_there(&self, count: usize) -> Vec<Value> {
        eventually("the cards", || async {
            let cards = self.cards().await;
            (cards.len() == count).then_some(cards)
        })
        .await
    }

    /// The evals' scores that Langfuse holds.
    pub fn scores(&self) -> Vec<Value> {
        let mut scores = self.playground.langfuse().scores("project-default");
        scores.retain(|score| score["name"] != "human");
        scores
    }

    /// The people's scores that Langfuse holds.
    pub fn human_scores(&self) -> Vec<Value> {
        let mut scores = self.playground.langfuse().scores("project-default");
        scores.retain(|score| score["name"] == "human");
        scores
    }
}

/// A stage, its running service, and the cards of the first so many recorded traces.
pub async fn stage_with_cards(database: Database, count: usize) -> (Stage, Running, Vec<Value>) {
    let stage = Stage::set(database, Apis::Both, recorded("wow_grounded", count), &[]).await;
    let running = stage.start().await;
    stage.release(count).await;
    let cards = stage.cards_once_there(count).await;
    (stage, running, cards)
}

/// The number that a query calls `found`.
pub async fn count(running: &Running, query: &'static str) -> i64 {
    let row = sqlx::query(query).fetch_one(running.app.db.pool()).await;
    row.expect("a row").get("found")
}

/// The trace that a card asks about.
pub fn trace_of(card: &Value) -> &str {
    card["metadata"]["event_payload"]["trace_id"]
        .as_str()
        .expect("a card names its trace")
}

/// The first button of a message whose text holds `text`.
pub fn button<'a>(message: &'a Value, text: &str) -> Option<&'a Value> {
    let blocks = message["blocks"].as_array()?;
    let mut elements = blocks
        .iter()
        .filter_map(|block| block["elements"].as_array())
        .flatten();
    elements.find(|element| {
        element["type"] == "button"
            && element["text"]["text"]
                .as_str()
                .is_some_and(|shown| shown.contains(text))
    })
}

/// A trace of one step, which took a second.
pub fn answered(id: &str, began: DateTime<Utc>) -> Value {
    let at = |seconds: i64| {
        let time = began + TimeDelta::seconds(seconds);
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    json!({
        "id": id, "name": "chat", "timestamp": at(0), "metadata": {}, "tags": [],
        "input": "Where is my order?", "output": "On its way.",
        "observations": [{
            "id": format!("{id}-g"), "type": "GENERATION", "name": "answer", "startTime": at(0),
            "endTime": at(1), "level": "DEFAULT", "input": "Q", "output": "A",
        }],
    })
}

/// Looks again and again until `look` finds something.
pub async fn eventually<T, F>(what: &str, look: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not come within {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
