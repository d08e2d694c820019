//! What Langfuse, and whoever pretends to be it, may deliver.

use std::net::SocketAddr;

use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::{langfuse_signature, now, webhook};
use crate::support::stage::{Stage, count, eventually, trace_of};

on_both_databases!(
    a_trace_seen_by_repeated_webhooks_and_by_polling_has_one_card,
    what_is_not_a_signed_json_object_is_refused_and_changes_nothing,
    text_that_no_string_can_hold_is_cleaned_and_said,
    a_webhook_is_answered_while_langfuse_is_not,
    deliveries_that_come_together_are_each_recorded_once,
);

fn trace(id: &str, output: &str) -> Value {
    let at = |seconds: i64| {
        let time = chrono::DateTime::from_timestamp(now() - 60 + seconds, 0).expect("a time");
        time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    json!({
        "id": id, "name": "chat", "timestamp": at(0), "metadata": {}, "tags": [],
        "input": [{"role": "user", "content": "Where is my order?"}],
        "output": {"role": "assistant", "content": output},
        "observations": [{
            "id": format!("{id}-root"), "traceId": id, "type": "GENERATION", "name": "answer",
            "startTime": at(0), "endTime": at(1), "level": "DEFAULT", "metadata": {},
            "input": [{"role": "user", "content": "Where is my order?"}],
            "output": {"role": "assistant", "content": output},
        }],
    })
}

fn delivery(id: &str, trace: &str) -> Vec<u8> {
    json!({"id": id, "type": "trace", "trace": {"id": trace}})
        .to_string()
        .into_bytes()
}

async fn a_trace_seen_by_repeated_webhooks_and_by_polling_has_one_card(database: Database) {
    for apis in [Apis::V4, Apis::V3] {
        let stage = Stage::set(database, apis, Vec::new(), &[]).await;
        let running = stage.start().await;
        let langfuse = stage.playground.langfuse();
        langfuse.put_trace("project-default", trace("t1", "It is on its way."));
        for _ in 0..5 {
            assert_eq!(webhook(&stage, &delivery("d1", "t1")).await, 202);
        }
        let (a, b) = (delivery("d2", "t1"), delivery("d3", "t1"));
        let (a, b) = tokio::join!(webhook(&stage, &a), webhook(&stage, &b));
        assert_eq!((a, b), (202, 202));
        // A second trace, which only polling can find, shows that the poller has passed the first.
        langfuse.put_trace("project-default", trace("t2", "It is here."));
        let cards = eventually("both cards", || async {
            let cards = stage.cards().await;
            (cards.len() >= 2).then_some(cards)
        });
        let cards = cards.await;
        let mut asked: Vec<&str> = cards.iter().map(trace_of).collect();
        asked.sort_unstable();
        assert_eq!(asked, ["t1", "t2"], "{apis:?}");
        let deliveries = sqlx::query("select id from deliveries where workspace_id = 'default'")
            .fetch_all(running.app.db.pool())
            .await
            .expect("rows");
        assert_eq!(deliveries.len(), 3);
        running.stop().await;
    }
}

async fn what_is_not_a_signed_json_object_is_refused_and_changes_nothing(database: Database) {
    let stage = Stage::set(database, Apis::Both, Vec::new(), &[]).await;
    let running = stage.start().await;
    let body = delivery("d1", "t1");
    let good = langfuse_signature(now(), &body);
    let old = langfuse_signature(now() - 301, &body);
    let early = langfuse_signature(now() + 400, &body);
    let of_another_body = langfuse_signature(now(), b"{}");
    for (route, signature, status) in [
        ("default", None, 401),
        ("default", Some(""), 401),
        ("default", Some("t=1,v1=00"), 401),
        ("default", Some(old.as_str()), 401),
        ("default", Some(early.as_str()), 401),
        ("default", Some(of_another_body.as_str()), 401),
        ("somebody-else", Some(good.as_str()), 401),
        ("default", Some(good.as_str()), 202),
    ] {
        let mut request = stage
            .http
            .post(stage.url(&format!("/webhooks/langfuse/{route}")));
        if let Some(signature) = signature {
            request = request.header("x-langfuse-signature", signature);
        }
        let answer = request.body(body.clone()).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{route} {signature:?}");
    }
    let huge = vec![b' '; 20 * 1024 * 1024];
    for (body, status) in [
        (&b""[..], 400),
        (b"{\"id\": ", 400),
        (b"[1, 2]", 400),
        (b"\xff\xfe", 400),
        (&huge, 413),
        (b"{\"id\": \"d2\", \"type\": \"something-new\"}", 202),
        (
            br#"{"id": "d3\u0000", "traceId": "\ud800", "type": "trace"}"#,
            202,
        ),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert_eq!(webhook(&stage, body).await, status, "{shown}");
    }
    let rows =
        sqlx::query("select count(*) as taken from deliveries where workspace_id = 'default'")
            .fetch_one(running.app.db.pool())
            .await
            .expect("a row");
    assert_eq!(rows.try_get::<i64, _>("taken").expect("a count"), 3);
    // And it still works.
    stage
        .playground
        .langfuse()
        .put_trace("project-default", trace("t9", "Hello."));
    eventually("the card of a good trace", || async {
        stage.cards().await.pop()
    })
    .await;
    running.stop().await;
}

async fn text_that_no_string_can_hold_is_cleaned_and_said(database: Database) {
    let stage = Stage::set(database, Apis::Both, Vec::new(), &[]).await;
    let running = stage.start().await;
    let langfuse = stage.playground.langfuse();
    langfuse.put_trace(
        "project-default",
        trace("t1", "NUL \u{0} and <!channel> & *bold*"),
    );
    let card = eventually("the card", || async { stage.cards().await.pop() }).await;
    let shown = card["blocks"].to_string();
    assert!(
        shown.contains("NUL \u{fffd} and <!channel>"),
        "as text, not as a mention: {shown}"
    );
    assert!(
        shown.contains("unreadable characters were replaced"),
        "{shown}"
    );
    running.stop().await;
}

/// A service whose Langfuse takes connections and answers on none of them until the gate opens.
async fn behind_a_gate(database: Database) -> (Stage, watch::Sender<bool>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let url = format!("http://{address}/playground/langfuse");
    // Only the webhook leads to the trace.
    let settings = [
        ("LANGFUSE_BASE_URL", url.as_str()),
        ("IOFOLD_POLL_SECONDS", "3600"),
    ];
    let stage = Stage::set(database, Apis::Both, Vec::new(), &settings).await;
    let (gate, is_open) = watch::channel(false);
    let langfuse = stage.stand_ins;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, langfuse, is_open.clone()));
        }
    });
    (stage, gate)
}

async fn pass_on(mut client: TcpStream, to: SocketAddr, mut is_open: watch::Receiver<bool>) {
    // Either side may hang up at any time.
    if is_open.wait_for(|is_open| *is_open).await.is_ok()
        && let Ok(mut server) = TcpStream::connect(to).await
    {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

async fn a_webhook_is_answered_while_langfuse_is_not(database: Database) {
    let (stage, gate) = behind_a_gate(database).await;
    let running = stage.start().await;
    let langfuse = stage.playground.langfuse();
    langfuse.put_trace("project-default", trace("t1", "It is on its way."));
    assert_eq!(webhook(&stage, &delivery("d1", "t1")).await, 202);
    let row = sqlx::query("select handled_at_ms from deliveries where id = 'd1'")
        .fetch_one(running.app.db.pool())
        .await
        .expect("it was taken");
    let handled: Option<i64> = row.try_get("handled_at_ms").expect("a time or none");
    assert_eq!(handled, None, "the answer did not wait for the work");
    assert!(stage.cards().await.is_empty());
    gate.send_replace(true);
    let card = eventually("the card", || async { stage.cards().await.pop() }).await;
    assert_eq!(trace_of(&card), "t1");
    running.stop().await;
}

async fn deliveries_that_come_together_are_each_recorded_once(database: Database) {
    let stage = Stage::set(database, Apis::Both, Vec::new(), &[]).await;
    let running = stage.start().await;
    // On SQLite nobody can write meanwhile.
    let writer = running.app.db.begin().await.expect("it begins");
    let bodies: Vec<Vec<u8>> = (0..200)
        .map(|number| delivery(&format!("d{}", number % 100), "t1"))
        .collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| webhook(&stage, body)));
    let (answers, ()) = tokio::join!(answers, async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        writer.commit().await.expect("it ends");
    });
    assert!(answers.iter().all(|status| *status == 202), "{answers:?}");
    let found = count(&running, "select count(*) as found from deliveries").await;
    assert_eq!(found, 100);
    running.stop().await;
}
