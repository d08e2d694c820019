//! The client against servers with the same API that do as they please where Langfuse's description lets them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use serde_json::{Map, Value, json};

use super::*;

/// What a server was asked: method, path with query, body.
type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A server that gives each request's method and path to `answer`, and a client of it under a path prefix.
async fn server<F>(answer: F) -> (Client, Asked)
where
    F: Fn(&str, &str) -> Response + Clone + Send + Sync + 'static,
{
    let asked = Asked::default();
    let router = Router::new().fallback(any(handle::<F>));
    let router = router.with_state((asked.clone(), answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    let base = format!("http://{address}/prefix/").parse();
    let client = Client::new(&base.expect("it is a URL"), "pk", &"sk".into());
    (client.expect("it is made"), asked)
}

async fn handle<F>(State((asked, answer)): State<(Asked, F)>, request: Request) -> Response
where
    F: Fn(&str, &str) -> Response,
{
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = serde_json::from_slice(&body.expect("it comes")).unwrap_or_default();
    let path = parts.uri.path_and_query().expect("it has a path").as_str();
    let path = path.strip_prefix("/prefix/api/public/").unwrap_or(path);
    let method = parts.method.as_str();
    let mut asked = asked.lock().expect("nobody panics");
    asked.push((method.to_owned(), path.to_owned(), body));
    answer(method, path)
}

fn answer(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, axum::Json(body)).into_response()
}

fn window() -> Window {
    let time = |text: &str| text.parse().expect("a time");
    Window {
        from: time("2026-01-01T00:00:00Z"),
        to: time("2026-01-02T00:00:00Z"),
    }
}

fn score() -> Score {
    Score {
        id: "s".to_owned(),
        subject: Subject::Trace("t".to_owned()),
        name: "cites".to_owned(),
        value: ScoreValue::Boolean(true),
        comment: None,
        metadata: json!({}),
        config_id: None,
    }
}

fn page_of(path: &str) -> usize {
    let (_, query) = path.split_once('?').unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let page = pairs
        .find(|(key, _)| key == "page")
        .expect("it names a page");
    page.1.parse().expect("a number")
}

#[tokio::test]
async fn what_may_be_left_out_of_an_answer_is_not_missed_and_more_is_passed_over() {
    let row =
        json!({"id": "o", "traceId": "t", "type": "NEW", "startTime": "2026-01-01T01:00:00+01:00"});
    let more = json!({"id": "p", "traceId": "t", "type": "SPAN", "startTime": "2026-01-01T00:00:00.000000001Z",
                      "parentObservationId": null, "new": {"a": [1]}, "totalCost": "0.5", "metadata": null});
    for meta in [
        json!(null),
        json!({}),
        json!({"cursor": null}),
        json!({"cursor": "", "more": 1}),
    ] {
        let body = json!({"data": [row, more], "meta": meta, "links": []});
        let (client, _) = server(move |_, _| answer(200, body.clone())).await;
        let page = client
            .observations(window(), None, 10)
            .await
            .expect("it is read");
        assert_eq!((page.items.len(), page.next), (2, None), "{meta}");
        let trace = TracePayload::of_observations(page.items).expect("a trace");
        assert_eq!(
            trace.timestamp.as_deref(),
            Some("2026-01-01T01:00:00+01:00"),
            "it began first"
        );
        assert_eq!(trace.observations[1].cost, Some(0.5));
    }
    let (client, _) = server(|_, _| answer(200, json!({"data": []}))).await;
    let empty = client
        .observations(window(), None, 10)
        .await
        .expect("it is read");
    assert_eq!((empty.items, empty.next), (Vec::new(), None));
}

#[tokio::test]
async fn pages_are_read_to_the_end_whatever_their_size_and_with_or_without_totals() {
    for totals in [true, false] {
        let (client, _) = server(move |_, path| {
            let page = page_of(path);
            let data = if page <= 3 {
                json!([{"id": format!("t{page}")}])
            } else {
                json!([])
            };
            let meta = if totals {
                json!({"page": page, "limit": 1, "totalPages": "3"})
            } else {
                json!(null)
            };
            answer(200, json!({"data": data, "meta": meta}))
        })
        .await;
        let (mut ids, mut next) = (Vec::new(), None);
        loop {
            let page = client
                .traces(window(), next.as_deref())
                .await
                .expect("it is read");
            ids.extend(page.items.iter().map(|line| line["id"].clone()));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(ids, ["t1", "t2", "t3"], "{totals}");
    }
}

#[tokio::test]
async fn a_score_config_on_a_later_smaller_page_is_not_made_again() {
    let (client, asked) = server(|_, path| {
        let names = ["a", "b", "cites"];
        let data: Vec<Value> = names
            .iter()
            .skip(page_of(path) - 1)
            .take(1)
            .map(|name| json!({"id": name, "name": name, "dataType": "BOOLEAN"}))
            .collect();
        answer(200, json!({"data": data, "meta": {"limit": 1}}))
    })
    .await;
    let there = client
        .ensure_score_config("cites", ScoreType::Boolean)
        .await;
    assert_eq!(
        there.expect("it is there"),
        ScoreConfig::Found("cites".to_owned())
    );
    // Three with one config each, and the empty one behind them.
    assert_eq!(asked.lock().expect("nobody panics").len(), 4);
}

#[tokio::test]
async fn a_write_is_done_whatever_success_it_is_answered_with() {
    for (status, body) in [
        (200, "{\"id\": \"s\"}"),
        (201, "{\"id\": \"s\"}"),
        (202, "null"),
        (201, ""),
        (204, ""),
    ] {
        let (client, asked) = server(move |_, _| {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, body).into_response()
        })
        .await;
        client.put_score(&score()).await.expect("it is taken");
        let asked = asked.lock().expect("nobody panics");
        let [(method, path, sent)] = &asked[..] else {
            panic!("it is sent once: {asked:?}")
        };
        assert_eq!(
            (method.as_str(), path.as_str(), &sent["value"]),
            ("POST", "scores", &json!(1))
        );
    }
    let (client, _) = server(|_, _| "<html>welcome</html>".into_response()).await;
    let strange = client
        .put_score(&score())
        .await
        .expect_err("nobody took it");
    assert!(
        matches!(strange, Error::NotLangfuse { status: 200, .. }),
        "{strange}"
    );
}

#[tokio::test]
async fn an_id_of_odd_characters_stays_one_segment() {
    let ids = [
        "a/b",
        "a?b#c",
        "100 %",
        "%2F",
        "a+b&c=d",
        "ünï",
        ".hidden",
        "../projects",
        "a\\b",
        "\"'<",
    ];
    for id in ids {
        let body = json!({"id": id, "name": "found"});
        let (client, asked) = server(move |_, _| answer(200, body.clone())).await;
        let trace = client
            .trace(id)
            .await
            .expect("it answers")
            .expect("it is there");
        assert_eq!(trace["name"], "found");
        client
            .observations_of(id, None, 1)
            .await
            .expect_err("it is no page");
        let asked = asked.lock().expect("nobody panics");
        let (route, segment) = asked[0].1.split_once('/').expect("two segments");
        let value = |query: &str, key: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            let found = pairs.find(|(name, _)| name == key);
            found.map(|(_, value)| value.into_owned())
        };
        // A plus in a path is one, and an ampersand.
        let read = value(
            &format!("id={}", segment.replace('+', "%2B").replace('&', "%26")),
            "id",
        );
        assert_eq!((route, read.as_deref()), ("traces", Some(id)));
        let (_, query) = asked[1].1.split_once('?').expect("a query");
        assert_eq!(value(query, "traceId").as_deref(), Some(id));
    }
}

#[tokio::test]
async fn another_routes_answer_is_no_trace() {
    let (client, _) = server(|_, _| answer(200, json!({"data": []}))).await;
    for id in ["../projects", "..", ".", ""] {
        assert_eq!(client.trace(id).await.expect("it answers"), None, "{id}");
    }
}

#[tokio::test]
async fn a_refusal_in_other_words_is_about_this_request_where_langfuse_is_there() {
    let projects = json!({"data": [{"id": "p", "name": "P"}]});
    for (status, body) in [
        (404, ""),
        (404, "{\"detail\": \"Not Found\"}"),
        (400, "Bad Request"),
        (413, "<html>"),
        (422, "[]"),
    ] {
        let projects = projects.clone();
        let (client, _) = server(move |_, path| match path {
            "projects" => answer(200, projects.clone()),
            _ => (StatusCode::from_u16(status).expect("a status"), body).into_response(),
        })
        .await;
        let refused = client.put_score(&score()).await.expect_err("it is refused");
        // Of a write a missing route says nothing: a proxy may let only reads through.
        assert_eq!(
            refused.concerns_this_request_only(),
            status != 404,
            "{status} {body}: {refused}"
        );
        if status == 404 {
            assert_eq!(client.trace("t").await.expect("it answers"), None);
        }
    }
    let (client, _) = server(|_, _| (StatusCode::NOT_FOUND, "nobody here").into_response()).await;
    let stranger = client.trace("t").await.expect_err("nobody is there");
    assert!(
        matches!(stranger, Error::NotLangfuse { status: 404, .. }),
        "{stranger}"
    );
}

#[tokio::test]
async fn an_error_without_json_means_what_its_status_says() {
    for (status, transient) in [
        (401, false),
        (403, false),
        (500, true),
        (502, true),
        (503, true),
    ] {
        let (client, asked) = server(move |_, _| {
            (StatusCode::from_u16(status).expect("a status"), "<html>").into_response()
        })
        .await;
        let error = client.project().await.expect_err("it fails");
        assert_eq!(error.is_transient(), transient, "{status}");
        assert!(!error.concerns_this_request_only(), "{status}");
        assert_eq!(asked.lock().expect("nobody panics").len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_within_the_host_is_followed_and_none_to_elsewhere() {
    let (client, asked) = server(|method, path| match (method, path) {
        ("GET", "projects") => Redirect::permanent("projects/").into_response(),
        ("GET", "projects/") => answer(200, json!({"data": [{"id": "p", "name": "P"}]})),
        ("POST", "scores") => Redirect::temporary("/prefix/api/public/scores/").into_response(),
        ("POST", "scores/") => answer(201, json!({"id": "s"})),
        ("GET", "health") => Redirect::temporary("health").into_response(),
        ("GET", _) => Redirect::temporary("http://elsewhere.invalid/").into_response(),
        // It would be asked for by GET.
        _ => (
            StatusCode::FOUND,
            [(header::LOCATION, "/prefix/api/public/projects/")],
        )
            .into_response(),
    })
    .await;
    assert_eq!(client.project().await.expect("it is found").id, "p");
    client.put_score(&score()).await.expect("it is taken");
    assert_eq!(
        asked.lock().expect("nobody panics")[3].2["name"],
        "cites",
        "with its body"
    );
    let round = client.health().await.expect_err("round and round");
    assert!(
        matches!(round, Error::NotLangfuse { status: 307, .. }),
        "{round}"
    );
    let elsewhere = client.trace("t").await.expect_err("the keys stay here");
    assert!(
        matches!(elsewhere, Error::NotLangfuse { .. }),
        "{elsewhere}"
    );
    let made = client.post::<Value>("try", "other", &json!({})).await;
    made.expect_err("a POST stays one");
}

#[tokio::test]
async fn compressed_and_chunked_answers_are_read() {
    let (client, _) = server(|_, _| {
        let text = json!({"data": [{"id": "p", "name": "P".repeat(100_000)}]}).to_string();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, text.as_bytes()).expect("it is memory");
        let packed = packed.finish().expect("it is memory");
        let chunks: Vec<Result<Bytes, std::io::Error>> = packed
            .chunks(10)
            .map(|part| Ok(Bytes::copy_from_slice(part)))
            .collect();
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        (
            [
                (header::CONTENT_ENCODING, "gzip"),
                (header::CONTENT_TYPE, "application/json; charset=utf-8"),
            ],
            body,
        )
            .into_response()
    })
    .await;
    assert_eq!(
        client.project().await.expect("it is read").name.len(),
        100_000
    );
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_gigabytes_is_not_read_whole() {
    let (client, _) = server(|_, _| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let zeros = vec![b' '; 1024 * 1024];
        for _ in 0..70 {
            std::io::Write::write_all(&mut packed, &zeros).expect("it is memory");
        }
        let packed = packed.finish().expect("it is memory");
        ([(header::CONTENT_ENCODING, "gzip")], packed).into_response()
    })
    .await;
    let error = client.project().await.expect_err("it is too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn the_first_root_is_the_one_that_began_first_whatever_the_offset() {
    let root = |id: &str, start: &str| -> Map<String, Value> {
        let row = json!({"id": id, "traceId": "t", "startTime": start, "name": id, "isRootObservation": true});
        row.as_object().expect("it is one").clone()
    };
    let rows = vec![
        root("late", "2026-01-01T00:30:00Z"),
        root("early", "2026-01-01T01:00:00+01:00"),
        root("unknown", "yesterday"),
    ];
    let trace = TracePayload::of_observations(rows).expect("a trace");
    assert_eq!(trace.name.as_deref(), Some("early"));
}
