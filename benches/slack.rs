//! How fast clicks are acknowledged, by signed requests and by Socket Mode, while traces come in, cards are posted and
//! tallies are updated.
//!
//! `cargo bench --locked --bench slack -- [seconds] [clicks a second]` starts the service on an SQLite database of its
//! own for each way in, beside stand-ins for Langfuse and Slack, and has twelve people click at an even rate whatever
//! the answers take. Then it looks whether each person's last thumb on each card is there.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, TimeDelta, Utc};
use iofold::domain::{AnnotatorLabel, Thumb};
use iofold::playground::langfuse::{Apis, Limits, Recorded};
use iofold::playground::slack::{Choice, RateLimits, Timing};
use iofold::playground::{PlaceConfig, Playground, PlaygroundConfig, router, service_url};
use iofold::store::Db;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const PEOPLE: usize = 12;
/// Traces that end a second, each of which gets a card.
const TRACES_A_SECOND: u32 = 2;
/// Cards that are there before anybody clicks.
const CARDS_FIRST: usize = 20;
/// Two in ten are 👎, which open a modal each.
const THUMBS: [(&str, Thumb); 10] = {
    let (up, down, neutral) = (
        ("thumb_up", Thumb::Up),
        ("thumb_down", Thumb::Down),
        ("thumb_neutral", Thumb::Neutral),
    );
    [up, up, down, up, neutral, up, down, up, neutral, up]
};

/// A service, ended when this is dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What became of the clicks.
#[derive(Default)]
struct Seen {
    took: Vec<Duration>,
    failures: usize,
    /// The last thumb that was acknowledged, by trace and person.
    last: BTreeMap<(String, String), Thumb>,
}

#[tokio::main]
async fn main() {
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let seconds = numbers.first().copied().unwrap_or(60);
    let a_second = numbers.get(1).copied().unwrap_or(50);
    println!("| way in | clicks | p50, ms | p99, ms | most, ms | failed | lost | cards |");
    println!("|---|---|---|---|---|---|---|---|");
    for by_socket in [false, true] {
        measure(by_socket, seconds, a_second).await;
    }
}

async fn measure(by_socket: bool, seconds: u64, a_second: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite://{}", folder.path().join("bench.db").display());
    let (playground, address) = stand_ins().await;
    let _service = start(&playground, address, &database, by_socket);
    let traffic = tokio::spawn(traffic(playground.clone()));
    while cards(&playground).len() < CARDS_FIRST
        || (by_socket && playground.slack().sockets().0 < 2)
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut pause = tokio::time::interval(Duration::from_secs(1) / a_second as u32);
    let mut under_way = JoinSet::new();
    for number in 0..seconds * a_second {
        pause.tick().await;
        under_way.spawn(click(playground.clone(), number as usize, seen.clone()));
    }
    under_way.join_all().await;
    traffic.abort();
    report(&database, by_socket, cards(&playground).len(), &seen).await;
}

/// The stand-ins without limits of their own, and where the service is to listen.
async fn stand_ins() -> (Playground, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = StdListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("it is bound");
    let playground = Playground::open(PlaygroundConfig {
        address: listener.local_addr().expect("it is bound"),
        service_url: service_url(address),
        places: vec![PlaceConfig {
            workspace: "default".to_owned(),
            channel: "answers".to_owned(),
            topic: String::new(),
            recorded: vec![known_to_all()],
        }],
        folder: None,
        releases_by_itself: false,
        rate_limits: RateLimits::Lifted,
        slack_timing: Timing::default(),
        apis: Apis::Both,
        limits: Limits::Open,
        annotator_pause: Duration::ZERO,
        release_pause: Duration::ZERO,
        labels_wanted: 20,
    });
    let playground = playground.expect("the stand-ins open");
    let served = axum::Router::new().nest("/playground", router(playground.clone()));
    tokio::spawn(async move { axum::serve(listener, served).await });
    (playground, address)
}

/// Never released: the team is made of those who have labelled it.
fn known_to_all() -> Recorded {
    let label =
        |person| json!({"annotator": format!("person{person}"), "label": "up", "comment": null});
    let labels = (0..PEOPLE).map(|person| serde_json::from_value::<AnnotatorLabel>(label(person)));
    Recorded {
        trace: trace(0),
        label: Thumb::Up,
        labels: labels.collect::<Result<_, _>>().expect("they are labels"),
    }
}

fn start(playground: &Playground, listen: SocketAddr, database: &str, by_socket: bool) -> Service {
    let place = playground.places().remove(0);
    let signing_secret = playground.signing_secret();
    let way_in = match by_socket {
        true => ("SLACK_APP_TOKEN", place.app_token),
        false => ("SLACK_SIGNING_SECRET", signing_secret),
    };
    let secrets = [
        ("LANGFUSE_SECRET_KEY", place.secret_key),
        ("SLACK_BOT_TOKEN", place.bot_token),
        way_in,
    ];
    let child = Command::new(env!("CARGO_BIN_EXE_iofold"))
        .arg("serve")
        .env("DATABASE_URL", database)
        .env("IOFOLD_LISTEN", listen.to_string())
        .env("IOFOLD_CARDS_PER_HOUR", "100000")
        .env("IOFOLD_POLL_SECONDS", "1")
        .env("IOFOLD_SETTLE_SECONDS", "0")
        .env("LANGFUSE_BASE_URL", place.langfuse_url.to_string())
        .env("LANGFUSE_PUBLIC_KEY", place.public_key)
        .env("SLACK_API_URL", place.slack_api_url.to_string())
        .env("SLACK_CHANNEL", place.channel)
        .env("RUST_LOG", "off")
        .envs(
            secrets
                .iter()
                .map(|(name, secret)| (name, secret.expose_secret())),
        )
        .stdout(Stdio::null())
        .spawn();
    Service(child.expect("the service starts"))
}

async fn traffic(playground: Playground) {
    let mut pause = tokio::time::interval(Duration::from_secs(1) / TRACES_A_SECOND);
    for number in 1.. {
        pause.tick().await;
        playground
            .langfuse()
            .put_trace("project-default", trace(number));
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
        "id": format!("t{number}"), "name": "chat", "timestamp": at(4), "input": "Question?", "output": "Answer.",
        "metadata": {}, "tags": [], "observations": (0..4).map(step).collect::<Vec<_>>(),
    })
}

/// Each card's place in the channel and its trace, oldest first.
fn cards(playground: &Playground) -> Vec<(String, String)> {
    let channel = &playground.places()[0].channel;
    let state = playground.slack().state();
    let messages = state.of_channel(channel);
    let card = |message: &iofold::playground::slack::Message| {
        let trace = message.metadata.as_ref()?["event_payload"]["trace_id"].as_str()?;
        Some((message.ts.clone(), trace.to_owned()))
    };
    messages.filter_map(card).collect()
}

/// A person clicks on one of the newest cards: on the same one again seconds later.
async fn click(playground: Playground, number: usize, seen: Arc<Mutex<Seen>>) {
    let person = format!("person{}", number % PEOPLE);
    let mut cards = cards(&playground);
    let (ts, trace) = cards.swap_remove(cards.len() - 1 - (number / PEOPLE) % CARDS_FIRST);
    let (action_id, thumb) = THUMBS[number % THUMBS.len()];
    let choice = Choice {
        action_id,
        value: &trace,
        ..Choice::default()
    };
    let channel = playground.places().remove(0).channel;
    let began = Instant::now();
    let clicked = playground
        .slack()
        .click(&channel, &person, &ts, &choice)
        .await;
    let took = began.elapsed();
    let mut seen = seen.lock().expect("nobody panics");
    match clicked {
        Ok(()) => {
            seen.took.push(took);
            seen.last.insert((trace, person), thumb);
        }
        Err(_) => seen.failures += 1,
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

async fn report(database: &str, by_socket: bool, cards: usize, seen: &Mutex<Seen>) {
    let db = Db::connect(database).await.expect("it opens");
    let rows = sqlx::query(
        "select l.trace_id, s.annotator_name, l.label from labels l
         join human_scores s on s.trace_id = l.trace_id and s.annotator_id = l.annotator_id",
    );
    let rows = rows.fetch_all(db.pool()).await.expect("they are read");
    let stored: BTreeMap<(String, String), String> = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect();
    let seen = seen.lock().expect("nobody panics");
    let is_lost = |(key, thumb): &(&(String, String), &Thumb)| {
        stored.get(*key).is_none_or(|label| label != thumb.as_str())
    };
    let lost = seen.last.iter().filter(is_lost).count();
    let [p50, p99, most] = in_ms(seen.took.clone());
    let way = if by_socket {
        "Socket Mode"
    } else {
        "signed requests"
    };
    println!(
        "| {way} | {} | {p50:.1} | {p99:.1} | {most:.1} | {} | {lost} | {cards} |",
        seen.took.len(),
        seen.failures,
    );
    assert_eq!(lost, 0, "an acknowledged thumb is lost");
}
