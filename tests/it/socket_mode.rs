//! Socket Mode: the same handlers by connections that the service opens, and nothing lost where one breaks.

use iofold::app;
use iofold::domain::Thumb;
use iofold::playground::langfuse::Apis;
use iofold::playground::slack::TEAM_ID;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::signed::{self, form, interaction_body, now};
use crate::support::stage::{Running, Stage, button, count, eventually, recorded};
use crate::support::{Database, iofold};

on_both_databases!(
    a_thumb_its_modal_and_its_reason_go_by_socket,
    the_same_by_http_and_by_socket_leaves_the_same_rows,
    a_connection_that_breaks_half_way_loses_nothing,
    an_event_is_handled_once_by_whichever_way_it_comes,
    what_has_come_is_acknowledged_before_the_service_stops,
);

/// A stage without signed requests, its running service with both connections open, and its cards.
async fn by_socket(database: Database, cards: usize) -> (Stage, Running, Vec<Value>) {
    let recorded = recorded("wow_grounded", cards);
    let stage = Stage::set(database, Apis::Both, recorded, &[])
        .await
        .by_socket();
    let running = stage.start().await;
    stage.release(cards).await;
    connected(&stage, 2).await;
    let shown = stage.cards_once_there(cards).await;
    (stage, running, shown)
}

/// Waits until so many connections were opened in all.
async fn connected(stage: &Stage, opened: u64) {
    let open = eventually("the connections", || async {
        let (open, ever) = stage.playground.slack().sockets();
        (open >= 2 && ever >= opened).then_some(())
    });
    open.await;
}

/// Annotator, label, reason, time of the click, and name, of everybody who labelled.
async fn labels(running: &Running) -> Vec<(String, String, Option<String>, i64, Option<String>)> {
    let rows = sqlx::query(
        "select l.annotator_id, l.label, l.comment, l.acted_at_us, s.annotator_name
         from labels l join human_scores s on s.trace_id = l.trace_id and s.annotator_id = l.annotator_id
         order by l.annotator_id",
    );
    let rows = rows.fetch_all(running.app.db.pool()).await.expect("rows");
    let read =
        |row: &sqlx::any::AnyRow| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
    rows.iter().map(read).collect()
}

async fn modal_of(stage: &Stage, user: &str) -> Value {
    let view = eventually("the modal", || async {
        let url = stage.page_url(&format!("views?user={user}"));
        let views: Value = stage.http.get(url).send().await.ok()?.json().await.ok()?;
        views["views"].get(0).cloned()
    });
    view.await
}

/// A payload by socket: the acknowledgement's answer, null where it has none.
async fn send(stage: &Stage, kind: &str, payload: &Value) -> Value {
    let slack = stage.playground.slack();
    let answer = slack.deliver_by_socket(kind, payload, None).await;
    answer
        .expect("Socket Mode is used")
        .expect("it is acknowledged")
}

async fn a_thumb_its_modal_and_its_reason_go_by_socket(database: Database) {
    let (stage, running, cards) = by_socket(database, 1).await;
    assert!(stage.click(&cards[0], "you", Thumb::Down.emoji()).await);
    let view = modal_of(&stage, "you").await;
    let id = view["id"].as_str().expect("an id");
    let values = json!({"reason": {"reason": "It  \"lies\" <!here> 👎"}});
    let submitted = json!({"user": "you", "values": values});
    assert!(stage.post(&format!("views/{id}/submit"), submitted).await);
    let given = labels(&running).await;
    let (_, label, reason, ..) = given.first().expect("a label");
    assert_eq!(label, "down");
    assert_eq!(reason.as_deref(), Some("It  \"lies\" <!here> 👎"));
    let command =
        json!({"command": "/iofold", "text": "help", "user_id": "U1", "team_id": TEAM_ID});
    let answer = send(&stage, "slash_commands", &command).await;
    assert_eq!(answer["response_type"], "ephemeral");
    // What Slack may add, and what is no payload, is acknowledged: sending it again can't help.
    for (kind, payload) in [
        ("new_kind", json!({})),
        ("interactive", json!([])),
        ("slash_commands", json!(1)),
    ] {
        assert_eq!(send(&stage, kind, &payload).await, Value::Null, "{kind}");
    }
    // Without a secret, nobody can sign.
    let url = stage.url("/slack/interactions");
    let (status, _) = interaction_body(&stage, &url, now(), &form(&json!({}))).await;
    assert_eq!(status, 401);
    running.stop().await;
}

async fn the_same_by_http_and_by_socket_leaves_the_same_rows(database: Database) {
    let stage = Stage::set(database, Apis::Both, recorded("wow_grounded", 1), &[])
        .await
        .by_socket();
    let mut config = stage.config();
    let slack = config.slack.as_mut().expect("Slack is set");
    slack.signing_secret = Some(stage.playground.signing_secret());
    let running = Running::of(app::build(config).await.expect("it builds"));
    stage.release(1).await;
    connected(&stage, 2).await;
    let card = stage.cards_once_there(1).await.remove(0);
    let channel = stage.playground.places().remove(0).channel;
    let url = stage.url("/slack/interactions");
    let at = format!("{}.000100", now());
    let click = |user: &str| {
        let down = button(&card, Thumb::Down.emoji()).expect("a button");
        let mut click = signed::click(TEAM_ID, &channel, &card, user, down, &at);
        click["user"]["username"] = json!("ada");
        click
    };
    let reason = |user: &str| {
        let trace = &card["metadata"]["event_payload"]["trace_id"];
        let metadata = json!({"workspace": "default", "trace": trace}).to_string();
        json!({
            "type": "view_submission", "user": {"id": user, "team_id": TEAM_ID}, "team": {"id": TEAM_ID},
            "view": {"callback_id": "label_reason", "private_metadata": metadata,
                     "state": {"values": {"reason": {"reason": {"value": "אבג 测试"}}}}},
        })
    };
    for payload in [click("UHTTP"), reason("UHTTP"), reason("UNOBODY")] {
        let (status, by_http) = interaction_body(&stage, &url, now(), &form(&payload)).await;
        assert_eq!(status, 200);
        let of_socket = |text: &str| serde_json::from_str(&text.replace("UHTTP", "USOCKET"));
        let same = of_socket(&payload.to_string()).expect("it is JSON");
        let by_socket = send(&stage, "interactive", &same).await;
        let by_http: Value = serde_json::from_str(&by_http).unwrap_or_default();
        // An empty answer needs no payload.
        let by_http = if by_http == json!({}) {
            Value::Null
        } else {
            by_http
        };
        assert_eq!(by_http, by_socket);
        assert_eq!(
            payload["user"]["id"] == "UNOBODY",
            by_socket["response_action"] == "errors"
        );
    }
    let mut given = labels(&running).await;
    let (mut by_socket, by_http) = (given.pop().expect("two"), given.pop().expect("two"));
    assert_eq!((by_socket.0.as_str(), given.len()), ("USOCKET", 0));
    by_socket.0 = "UHTTP".to_owned();
    assert_eq!(by_socket, by_http);
    running.stop().await;
}

async fn a_connection_that_breaks_half_way_loses_nothing(database: Database) {
    let (stage, running, cards) = by_socket(database, 1).await;
    let slack = stage.playground.slack();
    slack.break_socket_after_click();
    let acknowledged = stage.click(&cards[0], "you", Thumb::Up.emoji()).await;
    assert!(!acknowledged, "nobody is told what broke on the way");
    eventually("the label that came before", || async {
        (labels(&running).await.len() == 1).then_some(())
    })
    .await;
    connected(&stage, 3).await;
    slack.break_sockets();
    // Slack has nobody to send it to until one is open again; what went to one that is just breaking is pressed again.
    eventually("an acknowledgement", || async {
        let acknowledged = stage.click(&cards[0], "you", Thumb::Neutral.emoji());
        acknowledged.await.then_some(())
    })
    .await;
    assert_eq!(labels(&running).await[0].1, "neutral");
    connected(&stage, 5).await;
    slack.warn_sockets("warning");
    for thumb in [Thumb::Down, Thumb::Up].repeat(5) {
        assert!(stage.click(&cards[0], "you", thumb.emoji()).await);
    }
    assert_eq!(labels(&running).await[0].1, "up");
    connected(&stage, 7).await;
    eventually("the end of those that were warned", || async {
        (stage.playground.slack().sockets().0 == 2).then_some(())
    })
    .await;
    running.stop().await;
    eventually("the end of all", || async {
        (stage.playground.slack().sockets().0 == 0).then_some(())
    })
    .await;
}

async fn an_event_is_handled_once_by_whichever_way_it_comes(database: Database) {
    let stage = Stage::set(database, Apis::Both, Vec::new(), &[])
        .await
        .by_socket();
    let mut config = stage.config();
    let slack = config.slack.as_mut().expect("Slack is set");
    slack.signing_secret = Some(stage.playground.signing_secret());
    let running = Running::of(app::build(config).await.expect("it builds"));
    connected(&stage, 2).await;
    let event = |id: &str| {
        json!({
            "type": "event_callback", "event_id": id, "team_id": TEAM_ID, "event_time": now(),
            "event": {"type": "something_new", "user": "U1"},
        })
    };
    let url = stage.url("/slack/events");
    for (id, noted) in [("Ev2", 1), ("Ev1", 2), ("Ev2", 2), ("Ev1", 2)] {
        let body = event(id).to_string();
        let (status, _) = interaction_body(&stage, &url, now(), body.as_bytes()).await;
        assert_eq!(status, 200);
        assert_eq!(send(&stage, "events_api", &event(id)).await, Value::Null);
        let query = "select count(*) as found from slack_events";
        assert_eq!(count(&running, query).await, noted);
    }
    sqlx::query("update slack_events set received_at_ms = 1 where event_id = 'Ev1'")
        .execute(running.app.db.pool())
        .await
        .expect("it is written");
    iofold::inbound::prune(&running.app.db)
        .await
        .expect("it prunes");
    let query = "select count(*) as found from slack_events where event_id = 'Ev2'";
    assert_eq!(count(&running, query).await, 1);
    assert_eq!(
        count(&running, "select count(*) as found from slack_events").await,
        1
    );
    running.stop().await;
}

async fn what_has_come_is_acknowledged_before_the_service_stops(database: Database) {
    let (stage, running, cards) = by_socket(database, 1).await;
    let db = iofold::store::Db::connect(&stage.database_url)
        .await
        .expect("it opens");
    // Nobody else can write a label as long as this lasts.
    let mut holds = db.begin().await.expect("a transaction");
    if !db.is_embedded() {
        let lock = sqlx::query("lock table labels in exclusive mode");
        lock.execute(&mut *holds).await.expect("it is locked");
    }
    let up = button(&cards[0], Thumb::Up.emoji()).expect("a button");
    let channel = stage.playground.places().remove(0).channel;
    let click = signed::click(TEAM_ID, &channel, &cards[0], "U1", up, "1.000001");
    let slack = stage.playground.slack();
    let clicked = slack.deliver_by_socket("interactive", &click, None);
    tokio::pin!(clicked);
    assert!(futures_util::poll!(&mut clicked).is_pending());
    // What comes on each connection after it is acknowledged, so it has come.
    for _ in 0..8 {
        send(&stage, "new_kind", &json!({})).await;
    }
    let service = running.app.clone();
    let stopped = tokio::spawn(running.stop());
    is_closed(&stage).await;
    holds.rollback().await.expect("it is over");
    assert_eq!(clicked.await, Some(Ok(Value::Null)));
    stopped.await.expect("it ends");
    let db = &service.db;
    let row = sqlx::query("select label from labels")
        .fetch_one(db.pool())
        .await;
    assert_eq!(row.expect("a label").get::<String, _>(0), "up");
}

/// Waits until the service takes no request any more.
async fn is_closed(stage: &Stage) {
    eventually("the end of its port", || async {
        tokio::net::TcpStream::connect(stage.service)
            .await
            .is_err()
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_replaced() {
    let (stage, running, cards) = by_socket(Database::Sqlite, 1).await;
    stage.playground.slack().silence_sockets();
    connected(&stage, 4).await;
    assert!(stage.click(&cards[0], "you", Thumb::Up.emoji()).await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_opens_a_connection_or_says_what_the_token_lacks() {
    let stage = Stage::set(Database::Sqlite, Apis::Both, Vec::new(), &[])
        .await
        .by_socket();
    for (token, said) in [
        (None, "ok      Slack's clicks: Socket Mode"),
        (Some("xapp-1-wrong"), "connections:write"),
    ] {
        let mut command = iofold();
        command.arg("doctor").envs(stage.environment());
        command.envs(token.map(|token| ("SLACK_APP_TOKEN", token)));
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.expect("it is waited for").expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find(|line| line.contains("Slack's clicks"));
        assert!(line.is_some_and(|line| line.contains(said)), "{text}");
    }
}
