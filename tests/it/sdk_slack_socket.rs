//! Slack's own Socket Mode clients find nothing wrong with the stand-in for Slack.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use iofold::playground::langfuse::Apis;
use iofold::playground::slack::{Choice, ClickError, TEAM_ID};
use iofold::slack::{Client, Message, actions, button};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::stage::{PATIENCE, Stage, eventually};
use crate::support::{Database, sdk_node, sdk_python};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_takes_what_comes_by_socket() {
    takes_what_comes_by_socket(Command::new(sdk_python()), "slack_socket.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_takes_what_comes_by_socket() {
    takes_what_comes_by_socket(sdk_node(), "slack_socket.mjs").await;
}

/// A card is clicked, a modal is submitted twice, a command and an event come, and Slack closes the connection.
async fn takes_what_comes_by_socket(mut program: Command, script: &str) {
    let stage = Stage::set(Database::Sqlite, Apis::Both, Vec::new(), &[]).await;
    let place = stage.playground.places().remove(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdk")
        .join(script);
    program.arg(script).arg(place.slack_api_url.as_str());
    program
        .arg(place.app_token.expose_secret())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut client = program.spawn().expect("it starts");
    let mut heard = lines(&mut client);
    let slack = stage.playground.slack();
    opened(&stage, 1).await;

    let app = Client::new(&place.slack_api_url, &place.bot_token).expect("a client");
    let card = Message {
        text: "A card".to_owned(),
        blocks: vec![actions(
            "thumbs",
            &[button("thumb_up", "👍 Good", "Good answer", "t1")],
        )],
        metadata: None,
    };
    let posted = app
        .post_message(&place.channel, None, &card)
        .await
        .expect("it is posted");
    let up = Choice {
        action_id: "thumb_up",
        value: "t1",
        ..Choice::default()
    };
    let click = || slack.click(&place.channel, "you", &posted.ts, &up);
    click().await.expect("it is acknowledged");
    let clicked = next(&mut heard, "interactive").await;
    assert_eq!(clicked["body"]["actions"][0]["value"], "t1");

    let trigger = clicked["body"]["trigger_id"].as_str().expect("a trigger");
    app.open_view(trigger, &view()).await.expect("it opens");
    let you = slack.user("you").expect("a person").id.clone();
    let open = || {
        let state = slack.state();
        state
            .views
            .iter()
            .find(|view| view.user == you)
            .map(|view| view.id.clone())
    };
    let id = open().expect("a modal");
    let values = json!({"reason": {"reason": "Why not"}});
    let refused = slack.submit(&id, "you", &values).await;
    assert!(matches!(refused, Err(ClickError::Fields(errors)) if errors["reason"] == "No."));
    slack
        .submit(&id, "you", &values)
        .await
        .expect("it is taken");
    assert_eq!(open(), None);
    for _ in 0..2 {
        assert_eq!(
            next(&mut heard, "interactive").await["body"]["type"],
            "view_submission"
        );
    }

    let command = json!({"command": "/iofold", "text": "help", "user_id": you, "team_id": TEAM_ID});
    let answer = slack
        .deliver_by_socket("slash_commands", &command, None)
        .await;
    assert_eq!(answer, Some(Ok(json!({"text": "heard"}))));
    assert_eq!(next(&mut heard, "slash_commands").await["body"], command);
    let event =
        json!({"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}});
    let answer = slack
        .deliver_by_socket("events_api", &event, Some((1, "timeout")))
        .await;
    assert_eq!(answer, Some(Ok(Value::Null)));
    let mut told = next(&mut heard, "events_api").await;
    while told["body"] != event {
        told = next(&mut heard, "events_api").await;
    }
    assert_eq!(told["retry"], 1);

    slack.warn_sockets("warning");
    opened(&stage, 2).await;
    eventually("a click by the next connection", || async {
        click().await.ok()
    })
    .await;
    drop(client.stdin.take());
    let ended = tokio::task::spawn_blocking(move || client.wait()).await;
    let status = ended.expect("it is waited for").expect("it ends");
    assert!(status.success());
}

/// What a client prints, line by line.
fn lines(client: &mut Child) -> UnboundedReceiver<String> {
    let output = BufReader::new(client.stdout.take().expect("it is piped"));
    let (said, heard) = unbounded_channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = said.send(line);
        }
    });
    heard
}

async fn opened(stage: &Stage, count: u64) {
    eventually("a connection", || async {
        let (open, ever) = stage.playground.slack().sockets();
        (open > 0 && ever >= count).then_some(())
    })
    .await;
}

/// The next request of a kind; the stand-in also sends events of what happens meanwhile.
async fn next(heard: &mut UnboundedReceiver<String>, kind: &str) -> Value {
    loop {
        let line = tokio::time::timeout(PATIENCE, heard.recv()).await;
        let line = line.expect("it is in time").expect("a line");
        let said: Value = serde_json::from_str(&line).expect("it is JSON");
        if said["type"] == kind {
            return said;
        }
    }
}

fn view() -> Value {
    json!({
        "type": "modal", "callback_id": "why", "title": {"type": "plain_text", "text": "What is wrong?"},
        "submit": {"type": "plain_text", "text": "Save"},
        "blocks": [{
            "type": "input", "block_id": "reason", "label": {"type": "plain_text", "text": "Why?"},
            "element": {"type": "plain_text_input", "action_id": "reason"},
        }],
    })
}
