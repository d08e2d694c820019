//! Slack's own Python client, `slack_sdk`, finds nothing wrong with the stand-in for Slack, and the service takes what
//! it signs.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use iofold::playground::langfuse::{Apis, Limits};
use iofold::playground::slack::{RateLimits, Timing};
use iofold::playground::{PlaceConfig, Playground, PlaygroundConfig, router};
use iofold::slack::{actions, button, context, header, preformatted, section};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::support::stage::Stage;
use crate::support::{Database, sdk_python};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slacks_own_client_accepts_the_stand_in_and_verifies_its_clicks() {
    let mut check = start_check();
    let mut lines = BufReader::new(check.stdout.take().expect("it is piped"));
    let mut port = String::new();
    lines
        .read_line(&mut port)
        .expect("the check prints its port");
    let port: u16 = port.trim().parse().expect("a port");

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let playground = Playground::open(config(address, port)).expect("it opens");
    let served = axum::Router::new().nest_service("/playground", router(playground.clone()));
    tokio::spawn(axum::serve(listener, served).into_future());

    let place = described(&playground, address).to_string();
    let mut input = check.stdin.take().expect("it is piped");
    writeln!(input, "{place}").expect("the check reads");
    let ended = tokio::task::spawn_blocking(move || check.wait_with_output()).await;
    let output = ended.expect("it is waited for").expect("it ends");
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problems}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_slack_documents_is_taken_when_its_own_client_signs_it() {
    let stage = Stage::set(Database::Sqlite, Apis::Both, Vec::new(), &[]).await;
    let running = stage.start().await;
    let secret = stage.playground.signing_secret();
    let answers = send_requests(&stage, secret.expose_secret()).await;
    for (name, answer) in &answers {
        assert_eq!(answer["status"], 200, "{name}: {answer}");
    }
    let challenge = answers["address tried"]["body"].as_str();
    assert!(
        challenge.is_some_and(
            |body| body.contains("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
        )
    );
    assert_eq!(answers["certificate"]["body"], "");
    for (name, answer) in send_requests(&stage, "another secret").await {
        assert_eq!(answer["status"], 401, "{name}");
    }
    running.stop().await;
}

/// Each request of slack_requests.py by its name: `{status, body}` of the answer.
async fn send_requests(stage: &Stage, secret: &str) -> Map<String, Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/slack_requests.py");
    let mut command = Command::new(sdk_python());
    command.arg(script).args([&stage.url(""), secret]);
    let ended = tokio::task::spawn_blocking(move || command.output().expect("Python starts"));
    let output = ended.await.expect("it does not panic");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn start_check() -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(sdk_python())
        .arg(root.join("tests/sdk/slack_check.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts")
}

pub fn config(address: SocketAddr, app_port: u16) -> PlaygroundConfig {
    PlaygroundConfig {
        address,
        service_url: format!("http://127.0.0.1:{app_port}/")
            .parse()
            .expect("it is an address"),
        places: vec![PlaceConfig {
            workspace: "default".to_owned(),
            channel: "answers".to_owned(),
            topic: "Answers.".to_owned(),
            recorded: Vec::new(),
        }],
        folder: None,
        releases_by_itself: false,
        // Quick enough to have room for every check, strict enough to be met.
        rate_limits: RateLimits::Scaled(10.0),
        slack_timing: Timing {
            acknowledge_within: Duration::from_secs(30),
            trigger_lives: Duration::from_secs(30),
            ..Timing::default()
        },
        apis: Apis::Both,
        limits: Limits::Open,
        annotator_pause: Duration::ZERO,
        release_pause: Duration::ZERO,
        labels_wanted: 20,
    }
}

fn described(playground: &Playground, address: SocketAddr) -> Value {
    let place = playground.places().remove(0);
    let user = playground.slack().user("you").expect("there is a person");
    json!({
        "api": place.slack_api_url,
        "page_api": format!("http://{address}/playground/api/"),
        "token": place.bot_token.expose_secret(),
        "signing_secret": playground.signing_secret().expose_secret(),
        "channel": place.channel,
        "channel_name": "answers",
        "user": user.id,
        "blocks": blocks(),
        "view": view(),
    })
}

/// Every kind of block that our messages are made of.
fn blocks() -> Vec<Value> {
    vec![
        header("A report"),
        section("*bold* and `code`"),
        json!({"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
            {"type": "text", "text": "Answer\n", "style": {"bold": true}},
            {"type": "text", "text": "An answer <!channel>"},
        ]}]}),
        preformatted("def evaluate(trace):\n    return True"),
        json!({"type": "divider"}),
        actions(
            "thumbs",
            &[
                button("thumb_up", "👍 Good", "Good answer", "t1"),
                button("thumb_down", "👎 Bad", "Bad answer", "t1"),
            ],
        ),
        context("No labels yet"),
    ]
}

fn view() -> Value {
    json!({
        "type": "modal", "callback_id": "why", "private_metadata": "{}",
        "title": {"type": "plain_text", "text": "What is wrong?"},
        "submit": {"type": "plain_text", "text": "Save"},
        "blocks": [{
            "type": "input", "block_id": "reason", "label": {"type": "plain_text", "text": "Why?"},
            "element": {"type": "plain_text_input", "action_id": "reason", "max_length": 500},
        }],
    })
}
