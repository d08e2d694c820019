//! Spans sent by OTLP, by hand and by the official SDKs.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use iofold::app::App;
use iofold::auth;
use iofold::domain::WorkspaceId;
use iofold::playground::langfuse::Apis;
use reqwest::Response;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::stage::{Running, Stage, eventually, trace_of};
use crate::support::{Database, iofold, sdk_node, sdk_python};

on_both_databases!(
    a_whole_trace_is_asked_about_without_waiting_for_anything,
    spans_that_come_in_pieces_twice_and_in_any_order_make_one_trace,
    a_trace_that_langfuse_has_too_is_one_row_and_one_card,
    a_trace_whose_root_is_elsewhere_is_asked_about_once_it_is_quiet,
    spans_taken_before_a_stop_are_asked_about_after_the_next_start,
    only_a_key_of_the_workspace_opens,
    what_is_no_export_is_refused_in_its_own_encoding,
    the_official_sdks_are_understood,
);

/// Neither the poller nor the quiet period brings anything within a test.
const PATIENT: [(&str, &str); 2] = [
    ("IOFOLD_POLL_SECONDS", "3600"),
    ("IOFOLD_SETTLE_SECONDS", "3600"),
];
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

async fn stage(database: Database, settings: &[(&str, &str)]) -> (Stage, Running, String) {
    let stage = Stage::set(database, Apis::V4, Vec::new(), settings).await;
    let running = stage.start().await;
    let key = auth::create_key(&running.app.db, &WorkspaceId::from("default"), "test").await;
    (stage, running, key.expect("a key"))
}

/// A span as JSON; `number` makes its id, and `parent` that of the span around it.
fn span(trace: u8, number: u8, parent: Option<u8>, more: Value) -> Value {
    let id = |number: u8| format!("{number:016x}");
    let at = chrono::Utc::now().timestamp_nanos_opt().expect("a time") - 2_000_000_000;
    let mut span = json!({
        "traceId": trace_id(trace), "spanId": id(number), "parentSpanId": parent.map(id),
        "name": format!("step {number}"),
        "startTimeUnixNano": (at + i64::from(number)).to_string(),
        "endTimeUnixNano": (at + 1_000_000_000).to_string(),
    });
    let more = more.as_object().expect("fields").clone();
    span.as_object_mut().expect("a span").extend(more);
    span
}

fn trace_id(trace: u8) -> String {
    format!("{trace:032x}")
}

fn asked(question: &str, answer: &str) -> Value {
    let attribute = |key: &str, text: &str| json!({"key": key, "value": {"stringValue": text}});
    json!({"attributes": [
        attribute("input.value", question), attribute("output.value", answer),
    ]})
}

fn export(spans: &[Value]) -> Vec<u8> {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        .to_string()
        .into_bytes()
}

/// A protobuf field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

/// A protobuf export of a root span.
fn protobuf_root(trace: u8, name: &str) -> Vec<u8> {
    let at = chrono::Utc::now().timestamp_nanos_opt().expect("a time") as u64;
    let ids = [
        field(1, &[trace; 16]),
        field(2, &[trace; 8]),
        field(5, name.as_bytes()),
    ];
    let times = [
        &[7 << 3 | 1][..],
        &at.to_le_bytes(),
        &[8 << 3 | 1],
        &at.to_le_bytes(),
    ];
    let span = [ids.concat(), times.concat()].concat();
    field(1, &field(2, &field(2, &span)))
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn deflated(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

async fn post(stage: &Stage, key: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = stage.http.post(stage.url("/v1/traces")).bearer_auth(key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).send().await.expect("an answer")
}

async fn send(stage: &Stage, key: &str, spans: &[Value]) {
    let answer = post(stage, key, &[("content-type", JSON)], export(spans)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.expect("a body"), "{}");
}

async fn cards(stage: &Stage, count: usize) -> Vec<String> {
    let cards = eventually("the cards", || async {
        let cards = stage.cards().await;
        (cards.len() >= count).then_some(cards)
    });
    let mut asked: Vec<String> = cards
        .await
        .iter()
        .map(|card| trace_of(card).to_owned())
        .collect();
    asked.sort_unstable();
    asked
}

async fn stored(app: &App, trace_id: &str) -> Option<Value> {
    let row = sqlx::query("select payload from traces where id = $1")
        .bind(trace_id)
        .fetch_optional(app.db.pool())
        .await
        .expect("rows")?;
    let payload: String = row.try_get("payload").expect("a payload");
    Some(serde_json::from_str(&payload).expect("it is JSON"))
}

async fn a_whole_trace_is_asked_about_without_waiting_for_anything(database: Database) {
    let (stage, running, key) = stage(database, &PATIENT).await;
    let body = |trace| export(&[span(trace, 1, None, asked("Where is it?", "Here."))]);
    for (trace, headers, body) in [
        (1, vec![("content-type", JSON)], body(1)),
        (
            2,
            vec![
                ("content-type", "Application/JSON; charset=utf-8"),
                ("content-encoding", "gzip"),
            ],
            gzipped(&body(2)),
        ),
        (
            3,
            vec![("content-type", JSON), ("content-encoding", "deflate")],
            deflated(&body(3)),
        ),
        (
            4,
            vec![("content-type", PROTOBUF)],
            protobuf_root(4, "by protobuf"),
        ),
        (
            5,
            vec![("content-type", PROTOBUF), ("content-encoding", "gzip")],
            gzipped(&protobuf_root(5, "smaller")),
        ),
    ] {
        let answer = post(&stage, &key, &headers, body).await;
        assert_eq!(answer.status(), 200, "{trace}");
        let said = answer.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        let expected = if trace < 4 { JSON } else { PROTOBUF };
        assert_eq!(said, expected);
        let empty = if trace < 4 { &b"{}"[..] } else { b"" };
        assert_eq!(answer.bytes().await.expect("a body"), empty);
    }
    let by_protobuf = [4u8, 5].map(|trace| hex::encode([trace; 16]));
    let expected: Vec<String> = (1..4).map(trace_id).chain(by_protobuf).collect();
    assert_eq!(cards(&stage, 5).await, expected);
    let trace = stored(&running.app, &trace_id(1)).await.expect("a trace");
    assert_eq!(
        (&trace["input_text"], &trace["output_text"]),
        (&json!("Where is it?"), &json!("Here."))
    );
    for card in stage.cards().await {
        let shown = card["blocks"].to_string();
        assert!(
            !shown.contains("Open in Langfuse"),
            "it isn't there: {shown}"
        );
    }
    running.stop().await;
}

async fn spans_that_come_in_pieces_twice_and_in_any_order_make_one_trace(database: Database) {
    let (stage, running, key) = stage(database, &PATIENT).await;
    let grandchild = span(1, 3, Some(2), json!({}));
    let child = span(1, 2, Some(1), json!({}));
    let mut running_child = child.clone();
    running_child["endTimeUnixNano"] = json!("0");
    let root = span(1, 1, None, asked("Q", "A"));
    send(&stage, &key, &[grandchild.clone(), root.clone()]).await;
    // A step is missing: nobody is asked yet.
    let steps = |count: usize| {
        let app = &running.app;
        async move {
            let trace = stored(app, &trace_id(1)).await?;
            (trace["observations"].as_array()?.len() == count).then_some(())
        }
    };
    eventually("two steps", || steps(2)).await;
    assert!(stage.cards().await.is_empty());
    send(&stage, &key, std::slice::from_ref(&child)).await;
    send(
        &stage,
        &key,
        &[running_child, root.clone(), grandchild, child],
    )
    .await;
    eventually("three steps", || steps(3)).await;
    assert_eq!(cards(&stage, 1).await, [trace_id(1)]);
    send(&stage, &key, &[root]).await;
    send(&stage, &key, &[span(2, 1, None, json!({}))]).await;
    assert_eq!(cards(&stage, 2).await.len(), 2, "and no card twice");
    let trace = stored(&running.app, &trace_id(1)).await.expect("a trace");
    assert!(
        trace["observations"][1]["end_time"].is_string(),
        "an end is not taken back"
    );
    running.stop().await;
}

async fn a_trace_that_langfuse_has_too_is_one_row_and_one_card(database: Database) {
    let (stage, running, key) = stage(database, &[]).await;
    let sent = span(1, 1, None, asked("Q", "by the sender"));
    send(&stage, &key, std::slice::from_ref(&sent)).await;
    cards(&stage, 1).await;
    let now = |seconds: i64| {
        let time = chrono::Utc::now() - chrono::TimeDelta::seconds(seconds);
        time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    let root = json!({
        "id": format!("{:016x}", 1), "traceId": trace_id(1), "type": "SPAN", "name": "step 1",
        "startTime": now(2), "endTime": now(1), "input": "Q", "output": "by Langfuse", "metadata": {},
    });
    let langfuse = stage.playground.langfuse();
    langfuse.put_trace(
        "project-default",
        json!({"id": trace_id(1), "name": "t", "timestamp": now(2), "input": "Q", "output": "by Langfuse",
               "metadata": {}, "tags": [], "observations": [root]}),
    );
    let is_langfuses = || async {
        let trace = stored(&running.app, &trace_id(1)).await?;
        (trace["output_text"] == "by Langfuse").then_some(())
    };
    eventually("Langfuse's form", is_langfuses).await;
    let mut again = sent;
    again["name"] = json!("renamed");
    send(&stage, &key, &[again, span(2, 1, None, json!({}))]).await;
    assert_eq!(cards(&stage, 2).await, [trace_id(1), trace_id(2)]);
    is_langfuses().await.expect("what Langfuse says stays");
    let row = sqlx::query("select source from observations where trace_id = $1 and id = $2")
        .bind(trace_id(1))
        .bind(format!("{:016x}", 1))
        .fetch_one(running.app.db.pool())
        .await
        .expect("one row");
    assert_eq!(
        row.try_get::<String, _>("source").expect("a source"),
        "langfuse"
    );
    running.stop().await;
}

async fn a_trace_whose_root_is_elsewhere_is_asked_about_once_it_is_quiet(database: Database) {
    let settings = [("IOFOLD_POLL_SECONDS", "3600")];
    let (stage, running, key) = stage(database, &settings).await;
    // Nothing says where the parent of the second is: it may still run.
    let remote = span(1, 2, Some(1), json!({"flags": 0x301}));
    send(&stage, &key, &[remote, span(2, 2, Some(1), json!({}))]).await;
    send(&stage, &key, &[span(3, 1, None, json!({}))]).await;
    assert_eq!(cards(&stage, 2).await, [trace_id(1), trace_id(3)]);
    running.stop().await;
}

async fn spans_taken_before_a_stop_are_asked_about_after_the_next_start(database: Database) {
    let (stage, running, key) = stage(database, &PATIENT).await;
    send(&stage, &key, &[span(1, 1, None, asked("Q", "A"))]).await;
    running.stop().await;
    let running = stage.start().await;
    assert_eq!(cards(&stage, 1).await, [trace_id(1)]);
    running.stop().await;
}

async fn only_a_key_of_the_workspace_opens(database: Database) {
    let (stage, running, key) = stage(database, &PATIENT).await;
    let db = &running.app.db;
    let revoked = auth::create_key(db, &WorkspaceId::from("default"), "old")
        .await
        .expect("a key");
    let id = revoked.split('_').nth(1).expect("an id");
    assert!(auth::revoke_key(db, id).await.expect("rows"));
    let place = stage
        .playground
        .places()
        .into_iter()
        .next()
        .expect("a place");
    let secret = place.secret_key.expose_secret();
    let basic = |user: &str, password: &str| {
        use base64::Engine;
        let sent = format!("{user}:{password}");
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(sent)
        )
    };
    for (authorization, status) in [
        (None, 401),
        (Some(String::new()), 401),
        (Some("Bearer".to_owned()), 401),
        (Some("Bearer nonsense".to_owned()), 401),
        (Some(format!("Bearer {key}x")), 401),
        (Some(format!("Bearer {revoked}")), 401),
        (Some("Basic ???".to_owned()), 401),
        (Some(basic(&place.public_key, "wrong")), 401),
        (Some(basic("wrong", secret)), 401),
        (Some(format!("bearer {key}")), 200),
        (Some(basic(&place.public_key, secret)), 200),
    ] {
        for path in ["/v1/traces", "/api/public/otel/v1/traces"] {
            let mut request = stage
                .http
                .post(stage.url(path))
                .header("content-type", JSON);
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization);
            }
            let answer = request.body("{}").send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), status, "{path} {authorization:?}");
            let body: Value = answer.json().await.expect("JSON");
            let code = if status == 401 {
                json!(16)
            } else {
                Value::Null
            };
            assert_eq!(body["code"], code);
        }
    }
    running.stop().await;
}

async fn what_is_no_export_is_refused_in_its_own_encoding(database: Database) {
    let (stage, running, key) = stage(database, &PATIENT).await;
    let bomb = gzipped(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    let json = ("content-type", JSON);
    let protobuf = ("content-type", PROTOBUF);
    let gzip = ("content-encoding", "gzip");
    let huge = vec![b' '; 20 * 1024 * 1024];
    for (headers, body, status) in [
        (vec![json], b"{".to_vec(), 400),
        (vec![json], b"{\"resourceSpans\": {}}".to_vec(), 400),
        (vec![protobuf], b"\xff\xff\xff".to_vec(), 400),
        (vec![json, gzip], b"{}".to_vec(), 400),
        (vec![json, gzip], bomb[..1000].to_vec(), 400),
        (vec![json, gzip], bomb.clone(), 413),
        (vec![protobuf, gzip], bomb, 413),
        (vec![json], huge, 413),
        (vec![json, ("content-encoding", "br")], b"{}".to_vec(), 415),
        (vec![("content-type", "text/plain")], b"{}".to_vec(), 415),
        (vec![], b"{}".to_vec(), 415),
        (vec![protobuf], Vec::new(), 200),
        (vec![json], b"{}".to_vec(), 200),
    ] {
        let answer = post(&stage, &key, &headers, body).await;
        assert_eq!(answer.status().as_u16(), status, "{headers:?}");
        let is_protobuf = headers.contains(&protobuf);
        let said = answer.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert_eq!(said, if is_protobuf { PROTOBUF } else { JSON });
        let body = answer.bytes().await.expect("a body");
        if !is_protobuf && status != 200 {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            assert!(
                body["message"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
        } else if status != 200 {
            // `google.rpc.Status.code`, field 1.
            assert_eq!(body[..2], [0x08, 3]);
        }
    }
    let nameless = json!({"name": "no ids"});
    let body = export(&[nameless, span(1, 1, None, asked("NUL \u{0}", "A"))]);
    let answer = post(&stage, &key, &[json], body).await;
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["partialSuccess"]["rejectedSpans"], "1");
    let said = body["partialSuccess"]["errorMessage"]
        .as_str()
        .expect("a text");
    assert!(said.contains("no valid trace id"), "{said}");
    assert_eq!(
        cards(&stage, 1).await,
        [trace_id(1)],
        "the good one is taken"
    );
    running.stop().await;
}

/// Runs a script of tests/sdk that sends traces; gives the ids that it prints.
async fn sent_by(
    mut command: Command,
    script: &str,
    stage: &Stage,
    key: &str,
) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = stage
        .playground
        .places()
        .into_iter()
        .next()
        .expect("a place");
    command.arg(root.join("tests/sdk").join(script)).args([
        &stage.url(""),
        key,
        &place.public_key,
        place.secret_key.expose_secret(),
    ]);
    let ended = tokio::task::spawn_blocking(move || command.output().expect("it starts"));
    let output = ended.await.expect("it does not panic");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let ids: Value = serde_json::from_slice(&output.stdout).expect("ids");
    let ids = ids.as_object().expect("ids").iter();
    ids.map(|(name, id)| (name.clone(), id.as_str().expect("an id").to_owned()))
        .collect()
}

async fn the_official_sdks_are_understood(database: Database) {
    let (stage, running, key) = stage(database, &PATIENT).await;
    let mut sent = sent_by(Command::new(sdk_python()), "otlp_sdk.py", &stage, &key).await;
    sent.extend(sent_by(sdk_node(), "otlp_sdk.mjs", &stage, &key).await);
    let mut ids: Vec<&str> = sent.iter().map(|(_, id)| id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(cards(&stage, 5).await, ids);
    for (name, id) in &sent {
        let trace = stored(&running.app, id).await.expect("a trace");
        let texts = (&trace["input_text"], &trace["output_text"]);
        assert_eq!(
            texts,
            (&json!("Where is my order?"), &json!("It is on its way.")),
            "{name}"
        );
        assert_eq!(trace["session_id"], "s", "{name}");
        let steps = trace["observations"].as_array().expect("steps");
        assert_eq!(steps.len(), 2, "{name}");
        let root = steps.iter().find(|step| step["parent_id"].is_null());
        let root = root.expect("a root");
        let generation = steps
            .iter()
            .find(|step| step["type"] == "GENERATION")
            .expect("one");
        assert_eq!(
            (&generation["model"], &generation["parent_id"]),
            (&json!("m"), &root["id"])
        );
        let usage = &generation["usage"];
        assert_eq!(
            (&usage["input"], &usage["output"]),
            (&json!(3), &json!(4)),
            "{name}"
        );
        if name == "langfuse" {
            assert_eq!(
                (&trace["name"], &trace["user_id"], &trace["tags"]),
                (&json!("support"), &json!("u"), &json!(["a"]))
            );
            assert_eq!(trace["metadata"]["plan"], "pro");
        }
    }
    running.stop().await;
}

/// Prints how long after a root span was sent its card stands in the channel.
async fn measure(database: Database) {
    let (stage, running, key) = stage(database, &PATIENT).await;
    let mut waits = Vec::new();
    for trace in 1..=20 {
        let sent = chrono::Utc::now().timestamp_micros() as f64 / 1e6;
        send(&stage, &key, &[span(trace, 1, None, asked("Q", "A"))]).await;
        let answered = chrono::Utc::now().timestamp_micros() as f64 / 1e6;
        let card = eventually("the card", || async {
            let cards = stage.cards().await;
            cards
                .into_iter()
                .find(|card| trace_of(card) == trace_id(trace))
        });
        let posted: f64 = card.await["ts"]
            .as_str()
            .and_then(|ts| ts.parse().ok())
            .expect("a time");
        waits.push([posted - sent, answered - sent].map(|seconds| (seconds * 1e3).round()));
    }
    waits.sort_by(|one, other| one[0].total_cmp(&other[0]));
    let (median, last) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!(
        "{database:?}: card after {} ms (median), {} ms (most); answer after {} ms",
        median[0], last[0], median[1]
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; run it by hand on a quiet machine, with --release and --nocapture"]
async fn how_long_a_card_takes() {
    measure(Database::Sqlite).await;
    measure(Database::Postgres).await;
}

#[test]
fn keys_are_made_listed_and_revoked_on_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let mut command = iofold();
        let output = command
            .current_dir(folder.path())
            .arg("key")
            .args(arguments)
            .output();
        let output = output.expect("it starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    assert_eq!(run(&["list"]).1, "");
    let (code, key, said) = run(&["create", "the collector"]);
    assert_eq!((code, key.lines().count()), (Some(0), 1));
    assert!(said.contains("not shown again"), "{said}");
    let id = key.split('_').nth(1).expect("an id");
    let listed = run(&["list"]).1;
    assert!(
        listed.starts_with(id) && listed.contains("valid  the collector"),
        "{listed}"
    );
    assert!(!listed.contains(key.trim().rsplit('_').next().expect("a secret")));
    assert_eq!(run(&["revoke", id]).0, Some(0));
    assert!(run(&["list"]).1.contains("revoked"));
    let (code, _, said) = run(&["revoke", id]);
    assert_eq!(code, Some(1));
    assert!(said.contains("iofold key list"), "{said}");
}
