//! The watch over the stand-in for Langfuse notices what is not as Langfuse describes it.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::json;

use crate::support::openapi::{Exchange, watched};

const FINE: Exchange = Exchange {
    method: "GET",
    path: "v2/observations",
    query: "limit=2&fromStartTime=2026-01-01T00%3A00%3A00.000Z&isRootObservation=true&environment=a&environment=b",
    body: b"",
    status: 200,
    answer: br#"{"data": [], "meta": {}}"#,
};
const SCORED: Exchange = Exchange {
    method: "POST",
    path: "scores",
    query: "",
    body: br#"{"name": "n", "value": 1, "traceId": "t"}"#,
    status: 200,
    answer: br#"{"id": "s"}"#,
};

#[test]
fn an_exchange_as_described_is_fine() {
    for exchange in [FINE, SCORED] {
        assert_eq!(exchange.problems(true), Vec::<String>::new());
    }
}

#[test]
fn a_wrong_request_is_noticed() {
    for (wrong, said) in [
        (
            Exchange {
                method: "PUT",
                ..FINE
            },
            "no such operation",
        ),
        (
            Exchange {
                path: "v2/observation",
                ..FINE
            },
            "no such operation",
        ),
        (
            Exchange {
                path: "traces/t/u",
                ..FINE
            },
            "no such operation",
        ),
        (
            Exchange {
                query: "limits=2",
                ..FINE
            },
            "there is no parameter limits",
        ),
        (
            Exchange {
                query: "limit=two",
                ..FINE
            },
            "limit is no",
        ),
        (
            Exchange {
                query: "limit=2&limit=3",
                ..FINE
            },
            "limit is no",
        ),
        (
            Exchange {
                query: "fromStartTime=yesterday",
                ..FINE
            },
            "fromStartTime is no",
        ),
        (
            Exchange {
                query: "level=LOUD",
                ..FINE
            },
            "level is no",
        ),
        (
            Exchange {
                body: b"{}",
                ..FINE
            },
            "has a body",
        ),
        (
            Exchange {
                body: b"",
                ..SCORED
            },
            "the request is not JSON",
        ),
        (
            Exchange {
                body: br#"{"name": "n"}"#,
                ..SCORED
            },
            "value",
        ),
        (
            Exchange {
                body: br#"{"name": "n", "value": [1]}"#,
                ..SCORED
            },
            "at \"/value\"",
        ),
        (
            Exchange {
                body: br#"{"name": "n", "value": 1, "trace": "t"}"#,
                ..SCORED
            },
            "trace",
        ),
    ] {
        let problems = wrong.problems(true).join("; ");
        assert!(problems.contains(said), "{said}: {problems}");
    }
}

#[test]
fn a_wrong_answer_is_noticed() {
    let id_of_a_number = json!({"data": [{"id": 1, "projectId": "p", "startTime": "2026-01-01T00:00:00Z", "type": "SPAN"}], "meta": {}});
    let id_of_a_number = id_of_a_number.to_string();
    for (wrong, said) in [
        (
            Exchange {
                status: 201,
                ..FINE
            },
            "status 201 is not described",
        ),
        (
            Exchange {
                answer: b"<html>",
                ..FINE
            },
            "the answer is not JSON",
        ),
        (
            Exchange {
                answer: br#"{"data": []}"#,
                ..FINE
            },
            "meta",
        ),
        (
            Exchange {
                answer: id_of_a_number.as_bytes(),
                ..FINE
            },
            "at \"/data/0/id\"",
        ),
        (
            Exchange {
                status: 404,
                answer: b"gone",
                ..FINE
            },
            "no message",
        ),
    ] {
        let problems = wrong.problems(true).join("; ");
        assert!(problems.contains(said), "{said}: {problems}");
    }
}

#[test]
fn a_stand_in_may_refuse_a_wrong_request_and_a_client_may_not_send_it() {
    let refused = Exchange {
        query: "limit=two",
        status: 400,
        answer: br#"{"message": "limit must be a number", "error": "InvalidRequestError"}"#,
        ..FINE
    };
    assert!(refused.problems(false).is_empty());
    assert_eq!(refused.problems(true).len(), 1);
}

#[tokio::test]
async fn a_watched_stand_in_fails_the_test_and_names_the_exchange() {
    let health = || async { axum::Json(json!({"status": "OK"})) };
    let page = || async { "of no interest" };
    let router = Router::new()
        .route("/api/public/health", get(health))
        .route("/page", get(page));
    let (router, watch) = watched(Router::new().nest("/prefix", router), true);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let base = format!(
        "http://{}/prefix",
        listener.local_addr().expect("it is bound")
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    let status = async |path: &str| {
        let answer = reqwest::get(format!("{base}/{path}")).await;
        answer.expect("an answer").status()
    };
    assert_eq!(status("page").await, StatusCode::OK);
    assert_eq!(
        status("api/public/health").await,
        StatusCode::NOT_ACCEPTABLE
    );
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(watch)));
    let said = dropped.expect_err("it fails the test");
    let said = said.downcast_ref::<String>().expect("a sentence");
    assert!(
        said.contains("GET /prefix/api/public/health (200)") && said.contains("version"),
        "{said}"
    );
}
