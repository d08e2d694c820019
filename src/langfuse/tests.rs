//! The client against the stand-in.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::*;
use crate::clock::Turned;
use crate::playground::langfuse::tests::{PUBLIC_KEY, SECRET_KEY, serve, standing_in, trace};
use crate::playground::langfuse::{Apis, Langfuse, Limits, Options};

async fn client(langfuse: &Langfuse) -> Client {
    let base = serve(langfuse).await;
    Client::new(&base, PUBLIC_KEY, &SECRET_KEY.into()).expect("it is made")
}

fn with(apis: Apis) -> Langfuse {
    standing_in(Options {
        apis,
        ..Options::default()
    })
}

fn window() -> Window {
    let from = "2026-01-01T00:00:00Z".parse().expect("a time");
    Window {
        from,
        to: from + TimeDelta::minutes(1),
    }
}

fn at(second: u32) -> String {
    format!("2026-01-01T00:00:{second:02}.000Z")
}

#[tokio::test]
async fn a_key_is_checked_and_its_project_named() {
    let langfuse = with(Apis::Both);
    let right = client(&langfuse).await;
    assert_eq!(right.health().await.expect("it answers").version, "4.16.0");
    let project = right.project().await.expect("the key is right");
    assert_eq!(
        (project.id.as_str(), project.name.as_str()),
        ("p", "Support")
    );
    let base = serve(&langfuse).await;
    let wrong = Client::new(&base, PUBLIC_KEY, &"sk-lf-wrong".into()).expect("it is made");
    let error = wrong.project().await.expect_err("the key is wrong");
    assert!(matches!(error, Error::Unauthorised) && !error.to_string().contains("sk-lf-wrong"));
}

#[tokio::test]
async fn the_api_is_found_out_and_looked_for_again_when_it_has_gone() {
    for (apis, expected) in [
        (Apis::V4, Api::V4),
        (Apis::V3, Api::V3),
        (Apis::Both, Api::V4),
    ] {
        let client = client(&with(apis)).await;
        assert_eq!(client.api().await.expect("there is one"), expected);
    }
    let v3_only = client(&with(Apis::V4)).await;
    let gone = v3_only
        .traces(window(), None)
        .await
        .expect_err("it is switched off");
    assert!(gone.is_missing() && !gone.is_transient(), "{gone}");
    v3_only.forget_api().await;
    assert_eq!(v3_only.api().await.expect("there is one"), Api::V4);
}

#[tokio::test]
async fn another_program_at_the_address_is_said() {
    let base = serve(&with(Apis::Both)).await;
    let elsewhere = base.join("/nowhere").expect("it is a URL");
    let client = Client::new(&elsewhere, PUBLIC_KEY, &SECRET_KEY.into()).expect("it is made");
    for error in [
        client.project().await.expect_err("nothing is there"),
        client.api().await.expect_err("nothing is there"),
    ] {
        assert!(matches!(error, Error::NotLangfuse { .. }), "{error}");
        assert!(error.to_string().contains("LANGFUSE_BASE_URL"));
    }
}

#[tokio::test]
async fn both_apis_give_the_same_trace() {
    let langfuse = with(Apis::Both);
    let client = client(&langfuse).await;
    let mut given = trace("t", &at(1), Some(&at(3)));
    given["metadata"] = json!({"long": "x".repeat(500), "nested": {"a": [1]}});
    langfuse.put_trace("p", given);
    let detail = client
        .trace("t")
        .await
        .expect("it answers")
        .expect("it is there");
    let v3 = TracePayload::from(detail);
    let page = client
        .observations_of("t", None, 10)
        .await
        .expect("it answers");
    let v4 = TracePayload::of_observations(page.items).expect("it has a root");
    assert_eq!(
        (&v4.id, &v4.name, &v4.user_id),
        (&v3.id, &v3.name, &v3.user_id)
    );
    assert_eq!(
        (&v4.input, &v4.output, &v4.tags),
        (&v3.input, &v3.output, &v3.tags)
    );
    assert_eq!(
        v4.metadata, v3.metadata,
        "whole, although v4 cuts it at first"
    );
    assert_eq!((v4.has_ended(), v3.has_ended()), (true, true));
    let generation = |trace: &TracePayload| {
        let mut steps = trace
            .observations
            .iter()
            .filter(|step| step.kind == "GENERATION");
        steps.next().map(|step| {
            (
                step.model.clone(),
                step.input.clone(),
                step.end_time.clone(),
            )
        })
    };
    assert_eq!(generation(&v4), generation(&v3));
    assert_eq!(client.trace("none").await.expect("it answers"), None);
    assert_eq!(client.trace("../projects").await.expect("not asked"), None);
}

#[tokio::test]
async fn every_observation_of_a_window_is_read_once_page_by_page() {
    let langfuse = with(Apis::Both);
    let client = client(&langfuse).await;
    for second in 0..7 {
        let end = at(second + 1);
        langfuse.put_trace("p", trace(&format!("t{second}"), &at(second), Some(&end)));
    }
    langfuse.put_trace("p", trace("late", "2026-01-01T00:01:00.000Z", None));
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = client
            .observations(window(), cursor.as_deref(), 3)
            .await
            .expect("it answers");
        assert!(page.items.len() <= 3);
        ids.extend(page.items.iter().map(|row| row["id"].to_string()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 14);
    let listed = client.traces(window(), None).await.expect("it answers");
    assert_eq!((listed.items.len(), listed.next), (7, None));
}

#[tokio::test]
async fn what_ends_later_than_the_window_began_is_found_by_its_end() {
    let langfuse = with(Apis::V4);
    let client = client(&langfuse).await;
    langfuse.put_trace("p", trace("long", "2025-12-31T23:00:00.000Z", Some(&at(5))));
    langfuse.put_trace(
        "p",
        trace(
            "over",
            "2025-12-31T23:00:00.000Z",
            Some("2025-12-31T23:59:00.000Z"),
        ),
    );
    langfuse.put_trace("p", trace("new", &at(1), Some(&at(5))));
    let oldest = window().from - TimeDelta::hours(24);
    let page = client
        .observations_ended_late(oldest, window().from, None, 10)
        .await;
    let traces: Vec<Value> = page
        .expect("it answers")
        .items
        .iter()
        .map(|row| row["traceId"].clone())
        .collect();
    assert_eq!(traces, ["long", "long"], "its root and its generation");
}

#[tokio::test]
async fn a_score_is_replaced_by_its_id_and_its_config_made_once() {
    let langfuse = with(Apis::Both);
    let client = client(&langfuse).await;
    let mut score = Score {
        id: "s".to_owned(),
        subject: Subject::Trace("not there yet".to_owned()),
        name: "cites a source".to_owned(),
        value: ScoreValue::Boolean(true),
        comment: Some("because".to_owned()),
        metadata: json!({"by": "iofold"}),
        config_id: None,
    };
    for value in [true, false] {
        let config = client.ensure_score_config(&score.name, ScoreType::Boolean);
        let ScoreConfig::Found(id) = config.await.expect("it is made") else {
            panic!("there is one")
        };
        score.config_id = Some(id);
        score.value = ScoreValue::Boolean(value);
        client.put_score(&score).await.expect("it is taken");
    }
    let scores = langfuse.scores("p");
    let [only] = &scores[..] else {
        panic!("one score: {scores:?}")
    };
    assert_eq!(
        (&only["value"], &only["comment"]),
        (&json!(0), &json!("because"))
    );
    let words = ScoreType::Categorical(&["up", "neutral", "down"]);
    client
        .ensure_score_config("human", words)
        .await
        .expect("it is made");
    for (name, kind, expected) in [
        ("no/config", words, ScoreConfig::NotAllowed),
        ("human", ScoreType::Boolean, ScoreConfig::Unfit),
    ] {
        let config = client.ensure_score_config(name, kind).await;
        assert_eq!(config.expect("none, and no error"), expected);
    }
    let configs: Value = client
        .get("list", "score-configs", &[])
        .await
        .expect("it answers");
    let names: Vec<&Value> = configs["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["cites a source", "human"]);
    score.config_id = None;
    score.name = String::new();
    let refused = client.put_score(&score).await.expect_err("it has no name");
    assert!(refused.concerns_this_request_only(), "{refused}");
}

/// A client and a stand-in by one clock that jumps.
async fn limited(limits: Limits) -> (Client, Langfuse) {
    let start = "2026-06-01T00:00:00Z".parse().expect("a time");
    let (_, clock) = Turned::starting(start, 1);
    let langfuse = standing_in(Options {
        limits,
        clock: clock.clone(),
        ..Options::default()
    });
    let client = client(&langfuse).await.on(Plan::Hobby, clock);
    (client, langfuse)
}

#[tokio::test]
async fn the_smallest_plan_is_never_asked_too_often() {
    let (client, langfuse) = limited(Limits::Cloud(Plan::Hobby)).await;
    for _ in 0..100 {
        client.project().await.expect("it waits for its turn");
        assert_eq!(client.trace("none").await.expect("and its turn"), None);
    }
    let requests = langfuse.requests();
    assert_eq!((requests.answered, requests.refused), (200, 0));
    let minutes = client.budget().clock().elapsed().as_secs() / 60;
    assert!((7..=8).contains(&minutes), "100 at 14 a minute: {minutes}");
}

#[tokio::test]
async fn a_refusal_that_nothing_foretold_is_waited_for_and_is_no_failure() {
    let (client, langfuse) = limited(Limits::Cloud(Plan::Hobby)).await;
    let other = client
        .clone()
        .on(Plan::SelfHosted, client.budget().clock().clone());
    for _ in 0..29 {
        other.project().await.expect("another program takes them");
    }
    client.project().await.expect("it waits as told");
    assert_eq!(langfuse.requests().refused, 1);
    assert_eq!(client.budget().clock().elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_wait_of_hours_is_an_error_that_says_when_it_is_tried_again() {
    let (client, langfuse) = limited(Limits::Said(1, Duration::from_secs(3_600))).await;
    client.project().await.expect("the first is free");
    let error = client.project().await.expect_err("the budget is spent");
    let wait = error.retry_after().expect("it says how long");
    assert!(
        error.is_transient() && wait.as_secs().abs_diff(900) <= 2,
        "{error}"
    );
    assert_eq!(langfuse.requests().refused, 0, "the header said so");
}

#[tokio::test]
async fn nobody_at_the_address_is_transient() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let base = base.parse().expect("it is a URL");
    let client = Client::new(&base, PUBLIC_KEY, &SECRET_KEY.into()).expect("it is made");
    let error = client.project().await.expect_err("nobody is there");
    assert!(error.is_transient(), "{error}");
}
