//! The service on another server with Langfuse's API, which does as it pleases where the description lets it: small
//! pages, no totals, no nulls, fields of its own, times with offsets, compressed answers, refusals without JSON.

use std::io::Write;
use std::net::SocketAddr;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use iofold::playground::langfuse::Apis;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::stage::{Stage, eventually, trace_of};

on_both_databases!(another_server_with_the_same_api_is_followed);

/// Ids that a server may choose.
const IDS: [&str; 5] = ["plain", "a/b", "ü 1?", "100 %#", "../projects"];

async fn another_server_with_the_same_api_is_followed(database: Database) {
    for apis in [Apis::V4, Apis::V3] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let url = format!("http://{address}/odd/");
        let settings = [("LANGFUSE_BASE_URL", url.as_str())];
        let stage = Stage::set(database, apis, Vec::new(), &settings).await;
        let odd = Router::new().fallback(answer).with_state(stage.stand_ins);
        tokio::spawn(axum::serve(listener, odd).into_future());
        let langfuse = stage.playground.langfuse();
        for id in IDS {
            langfuse.put_trace("project-default", trace(id));
        }
        let running = stage.start().await;
        let cards = eventually("the cards", || async {
            let cards = stage.cards().await;
            (cards.len() >= IDS.len()).then_some(cards)
        });
        let cards = cards.await;
        let mut asked: Vec<&str> = cards.iter().map(trace_of).collect();
        asked.sort_unstable();
        let mut all = IDS;
        all.sort_unstable();
        assert_eq!(asked, all, "{apis:?}");
        assert!(cards[0]["blocks"].to_string().contains("It is on its way."));
        running.stop().await;
    }
}

fn trace(id: &str) -> Value {
    let at = |before: i64| {
        let time = Utc::now() - TimeDelta::seconds(before);
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    json!({
        "id": id, "name": "chat", "timestamp": at(20), "metadata": {}, "tags": [],
        "input": "Where is my order?", "output": "It is on its way.",
        "observations": [{
            "id": format!("{id}-g"), "traceId": id, "type": "GENERATION", "name": "answer",
            "startTime": at(20), "endTime": at(10), "input": "Where?", "output": "There.",
        }],
    })
}

/// Asks the stand-in, and answers in this server's own manner.
async fn answer(State(stand_ins): State<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path()
        .strip_prefix("/odd/")
        .expect("the prefix is kept");
    let url = format!(
        "http://{stand_ins}/playground/langfuse/{path}{}",
        smaller(&parts.uri)
    );
    let body = to_bytes(body, usize::MAX).await.expect("it comes");
    let mut asked = reqwest::Client::new().request(parts.method.clone(), url);
    for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name) {
            asked = asked.header(name, value);
        }
    }
    let answer = asked.body(body).send().await.expect("the stand-in answers");
    let status = answer.status();
    if !status.is_success() {
        return (status, "no").into_response();
    }
    if parts.method != Method::GET {
        return StatusCode::CREATED.into_response();
    }
    let mut value: Value = answer.json().await.expect("it is JSON");
    rewrite(&mut value);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    write!(packed, "{value}").expect("it is memory");
    let packed = packed.finish().expect("it is memory");
    ([(header::CONTENT_ENCODING, "gzip")], packed).into_response()
}

/// The query, with two a page at most.
fn smaller(uri: &Uri) -> String {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut query = url::form_urlencoded::Serializer::new(String::from("?"));
    for (key, value) in pairs {
        let value = if key == "limit" { "2".into() } else { value };
        query.append_pair(&key, &value);
    }
    query.finish()
}

fn rewrite(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        Value::Object(fields) => rewrite_fields(fields),
        _ => {}
    }
}

fn rewrite_fields(fields: &mut Map<String, Value>) {
    fields.retain(|key, value| !value.is_null() && !key.starts_with("total"));
    for (key, value) in fields.iter_mut() {
        let time = value
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        match time {
            Some(time) if key.ends_with("Time") || key == "timestamp" => {
                let zone = FixedOffset::east_opt(3_600).expect("a zone");
                let time = time.with_timezone(&zone);
                *value = json!(time.to_rfc3339_opts(SecondsFormat::Nanos, false));
            }
            _ => rewrite(value),
        }
    }
    fields.insert("x-own".to_owned(), json!([1]));
}
