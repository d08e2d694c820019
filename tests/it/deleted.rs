//! Traces that are deleted in Langfuse, on both databases, and one that comes back.

use chrono::{TimeDelta, Utc};
use iofold::playground::langfuse::Apis;
use serde_json::Value;
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::stage::{Running, Stage, answered, count, eventually, trace_of};

on_both_databases!(cards_lose_the_text_of_deleted_traces_and_show_it_again_when_they_come_back);

const PROJECT: &str = "project-default";
const TRACES: usize = 8;

fn trace(number: usize) -> Value {
    answered(&format!("t{number}"), Utc::now() - TimeDelta::seconds(30))
}

async fn until(running: &Running, what: &'static str, query: &'static str, expected: i64) {
    eventually(what, || async {
        (count(running, query).await == expected).then_some(())
    })
    .await;
}

/// Every trace's card, and how many of them say that it was deleted.
async fn cards(stage: &Stage) -> (usize, usize) {
    let cards = stage.cards().await;
    let deleted = cards
        .iter()
        .filter(|card| card.to_string().contains("deleted in Langfuse"));
    (cards.len(), deleted.count())
}

async fn cards_lose_the_text_of_deleted_traces_and_show_it_again_when_they_come_back(
    database: Database,
) {
    let stage = Stage::set(database, Apis::V4, Vec::new(), &[]).await;
    let langfuse = stage.playground.langfuse();
    (0..TRACES).for_each(|number| langfuse.put_trace(PROJECT, trace(number)));
    let running = stage.start().await;
    eventually("the cards", || async {
        (cards(&stage).await == (TRACES, 0)).then_some(())
    })
    .await;
    assert!(trace_of(&stage.cards().await[0]).starts_with('t'));
    (1..TRACES).for_each(|number| langfuse.delete_trace(PROJECT, &format!("t{number}")));
    let missed = "select count(*) as found from traces where missed_at_ms is not null";
    until(&running, "their absence", missed, TRACES as i64 - 1).await;
    let minutes_pass = "update traces set missed_at_ms = 1 where missed_at_ms is not null";
    let passed = sqlx::query(minutes_pass)
        .execute(running.app.db.pool())
        .await;
    passed.expect("they pass");
    eventually("the cards of what is deleted", || async {
        (cards(&stage).await == (TRACES, TRACES - 1)).then_some(())
    })
    .await;
    let texts = "select payload from traces where deleted_at_ms is not null";
    let texts = sqlx::query(texts).fetch_all(running.app.db.pool()).await;
    for row in texts.expect("they are read") {
        let text: String = row.get("payload");
        assert!(!text.contains("On its way"), "{text}");
    }
    langfuse.put_trace(PROJECT, trace(1));
    eventually("the card of what came back", || async {
        (cards(&stage).await == (TRACES, TRACES - 2)).then_some(())
    })
    .await;
    running.stop().await;
}
