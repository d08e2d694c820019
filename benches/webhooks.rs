//! How fast verified webhooks are answered while the poller works, and whether one is lost at `kill -9`.
//!
//! `cargo bench --locked --bench webhooks -- [seconds] [deliveries a minute]` starts the service on an SQLite database
//! beside a stand-in for Langfuse with running traffic, delivers at an even rate whatever the answers take, kills the
//! service half-way and starts it again. What is not acknowledged is delivered again, as Langfuse does.

use std::collections::BTreeSet;
use std::net::TcpListener as StdListener;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, TimeDelta, Utc};
use iofold::langfuse::signature;
use iofold::playground::langfuse::{Langfuse, Options, ProjectConfig};
use iofold::store::Db;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::net::TcpListener;

const SECRET: &str = "lf-whsec_of_a_bench";
/// Traces that end a second: 10,000 observations an hour would be less than one.
const TRACES_A_SECOND: u32 = 2;
const TRIES: usize = 100;

struct Service {
    environment: Vec<(&'static str, String)>,
    url: String,
    child: Child,
}

impl Service {
    async fn start(environment: Vec<(&'static str, String)>, url: String) -> Self {
        let child = spawn(&environment);
        let service = Self {
            environment,
            url,
            child,
        };
        service.is_ready().await;
        service
    }

    async fn kill_and_start(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is gone");
        self.child = spawn(&self.environment);
        self.is_ready().await;
    }

    async fn is_ready(&self) {
        let ready = format!("{}/readyz", self.url);
        while !reqwest::get(&ready)
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(environment: &[(&'static str, String)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_iofold"))
        .arg("serve")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .spawn()
        .expect("the service starts")
}

/// What became of the deliveries.
#[derive(Default)]
struct Seen {
    acknowledged: BTreeSet<String>,
    /// When each try that was acknowledged began, and how long its answer took.
    answers: Vec<(Instant, Duration)>,
    failures: usize,
    given_up: usize,
}

#[tokio::main]
async fn main() {
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let seconds = numbers.first().copied().unwrap_or(60);
    let a_minute = numbers.get(1).copied().unwrap_or(10_000);
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite://{}", folder.path().join("bench.db").display());
    let (langfuse, base) = stand_in().await;
    let address = free_address();
    let environment = vec![
        ("DATABASE_URL", database.clone()),
        ("IOFOLD_LISTEN", address.clone()),
        ("LANGFUSE_BASE_URL", base),
        ("LANGFUSE_PUBLIC_KEY", "pk".to_owned()),
        ("LANGFUSE_SECRET_KEY", "sk".to_owned()),
        ("LANGFUSE_WEBHOOK_SECRET", SECRET.to_owned()),
        ("SLACK_API_URL", "http://127.0.0.1:9/".to_owned()),
        ("SLACK_BOT_TOKEN", "xoxb-bench".to_owned()),
        ("SLACK_SIGNING_SECRET", "bench".to_owned()),
        ("SLACK_CHANNEL", "C1".to_owned()),
        ("RUST_LOG", "off".to_owned()),
    ];
    let url = format!("http://{address}");
    let mut service = Service::start(environment, url.clone()).await;
    let traffic = tokio::spawn(traffic(langfuse.clone()));
    let idle = Arc::new(Mutex::new(Vec::new()));
    let asking = tokio::spawn(ask_for_nothing(format!("{url}/healthz"), idle.clone()));
    let seen = Arc::new(Mutex::new(Seen::default()));
    let deliveries = tokio::spawn(deliver(
        url,
        seconds * a_minute / 60,
        a_minute,
        seen.clone(),
    ));
    tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
    let killed = Instant::now();
    service.kill_and_start().await;
    let ready = Instant::now();
    deliveries.await.expect("it does not panic");
    traffic.abort();
    asking.abort();
    drop(service);
    report(&database, &seen, killed..ready).await;
    let idle = std::mem::take(&mut *idle.lock().expect("nobody panics"));
    let [p50, p99, most] = in_ms(idle);
    println!(
        "/healthz, which asks for nothing, meanwhile: p50 {p50:.1}, p99 {p99:.1}, most {most:.1} ms"
    );
}

async fn stand_in() -> (Langfuse, String) {
    let project = ProjectConfig {
        id: "p".to_owned(),
        name: "Bench".to_owned(),
        public_key: "pk".to_owned(),
        secret_key: "sk".into(),
        recorded: Vec::new(),
    };
    let langfuse = Langfuse::open(vec![project], Options::default()).expect("it opens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    let router = langfuse.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (langfuse, base)
}

fn free_address() -> String {
    let listener = StdListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound").to_string()
}

async fn traffic(langfuse: Langfuse) {
    let mut pause = tokio::time::interval(Duration::from_secs(1) / TRACES_A_SECOND);
    for number in 0.. {
        pause.tick().await;
        langfuse.put_trace("p", trace(number));
    }
}

/// A trace of five observations that has just ended.
fn trace(number: u32) -> Value {
    let at = |before: i64| {
        let time = Utc::now() - TimeDelta::seconds(before);
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let step = |step: u32| {
        json!({
            "id": format!("t{number}-{step}"), "type": "GENERATION", "name": "answer", "startTime": at(3),
            "endTime": at(1), "input": "Q".repeat(1_000), "output": "A".repeat(1_000), "level": "DEFAULT",
        })
    };
    json!({
        "id": format!("t{number}"), "name": "chat", "timestamp": at(4), "input": "Q", "output": "A",
        "metadata": {}, "tags": [], "observations": (0..4).map(step).collect::<Vec<_>>(),
    })
}

/// At an even rate, each by itself; one in ten names a trace.
async fn deliver(url: String, count: u64, a_minute: u64, seen: Arc<Mutex<Seen>>) {
    let http = reqwest::Client::new();
    let mut pause = tokio::time::interval(Duration::from_secs(60) / a_minute as u32);
    let mut under_way = tokio::task::JoinSet::new();
    for number in 0..count {
        pause.tick().await;
        let id = format!("d{number}");
        let body = match number % 10 {
            0 => json!({"id": id, "type": "trace", "trace": {"id": format!("t{}", number / 100)}}),
            _ => json!({"id": id, "type": "monitor-alert", "apiVersion": "v1", "payload": {}}),
        };
        let route = format!("{url}/webhooks/langfuse/default");
        under_way.spawn(delivered(
            http.clone(),
            route,
            id,
            body.to_string(),
            seen.clone(),
        ));
    }
    under_way.join_all().await;
}

async fn delivered(
    http: reqwest::Client,
    url: String,
    id: String,
    body: String,
    seen: Arc<Mutex<Seen>>,
) {
    for _ in 0..TRIES {
        let signature = signature::sign(SECRET, body.as_bytes(), Utc::now().timestamp());
        let request = http.post(&url).header("x-langfuse-signature", signature);
        let began = Instant::now();
        let answer = request.body(body.clone()).send().await;
        let took = began.elapsed();
        let is_fine = answer.is_ok_and(|answer| answer.status().is_success());
        {
            let mut seen = seen.lock().expect("nobody panics");
            match is_fine {
                true => {
                    seen.answers.push((began, took));
                    seen.acknowledged.insert(id);
                    return;
                }
                false => seen.failures += 1,
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    seen.lock().expect("nobody panics").given_up += 1;
}

/// What the machine takes for the least there is, fifty times a second.
async fn ask_for_nothing(url: String, took: Arc<Mutex<Vec<Duration>>>) {
    let http = reqwest::Client::new();
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    loop {
        pause.tick().await;
        let began = Instant::now();
        if http.get(&url).send().await.is_ok() {
            took.lock().expect("nobody panics").push(began.elapsed());
        }
    }
}

/// The median, the 99th percentile and the most, in milliseconds.
fn in_ms(mut took: Vec<Duration>) -> [f64; 3] {
    took.sort();
    [0.5, 0.99, 1.0].map(|share| {
        let place = (took.len().saturating_sub(1) as f64 * share) as usize;
        took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    })
}

async fn report(database: &str, seen: &Mutex<Seen>, restart: Range<Instant>) {
    let db = Db::connect(database).await.expect("it opens");
    let rows = sqlx::query("select id from deliveries")
        .fetch_all(db.pool())
        .await;
    let rows = rows.expect("they are read");
    let stored: BTreeSet<String> = rows.iter().map(|row| row.get("id")).collect();
    let traces = sqlx::query("select count(*) as found from traces")
        .fetch_one(db.pool())
        .await;
    let traces: i64 = traces.expect("it is counted").get("found");
    let seen = seen.lock().expect("nobody panics");
    // One that waits in the port's queue for the service to start again says how long a start takes.
    let waited = |began: Instant, took| began < restart.end && began + took >= restart.start;
    let answers = seen
        .answers
        .iter()
        .filter(|(began, took)| !waited(*began, *took));
    let took: Vec<Duration> = answers.map(|(_, took)| *took).collect();
    let waited = seen.answers.len() - took.len();
    let [p50, p99, most] = in_ms(took);
    let lost = seen.acknowledged.difference(&stored).count();
    println!(
        "| deliveries acknowledged | p50, ms | p99, ms | most, ms | refused while it was down | given up | lost |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!(
        "| {} | {p50:.1} | {p99:.1} | {most:.1} | {} | {} | {lost} |",
        seen.acknowledged.len(),
        seen.failures,
        seen.given_up,
    );
    let start = restart.end - restart.start;
    println!(
        "\nWithout the {waited} that came while it was killed and started again, which took {:.1} s.",
        start.as_secs_f64()
    );
    println!("Traces that the poller and the deliveries brought meanwhile: {traces}");
    assert_eq!(lost, 0, "an acknowledged delivery is lost");
}
