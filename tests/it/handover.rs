//! One version of an eval takes over from another, and no trace falls between them.

use std::collections::{BTreeMap, BTreeSet};

use iofold::playground::langfuse::Apis;
use serde_json::Value;
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::stage::{Running, Stage, eventually, recorded};

on_both_databases!(every_trace_after_the_first_deployment_is_scored_across_a_handover);

/// Labels for the first version; the second comes at half more.
const FIRST: usize = 20;
const SECOND: usize = 30;

async fn every_trace_after_the_first_deployment_is_scored_across_a_handover(database: Database) {
    let settings = [
        ("IOFOLD_LABELS_TO_GENERATE", "20"),
        // Long enough to deploy while traces are known and not scored yet.
        ("IOFOLD_SETTLE_SECONDS", "3"),
    ];
    let set = recorded("math_json_format", 200);
    let stage = Stage::set(database, Apis::Both, set, &settings).await;
    let running = stage.start().await;
    release(&stage, FIRST);
    label(&stage, FIRST).await;
    let first = deploy_newest(&stage, 1).await;

    let mut since = BTreeSet::new();
    // Once there is an eval, people are asked about some traces only.
    while stage.cards().await.len() < SECOND {
        since.extend(release(&stage, 10));
        are_scored(&stage, &since).await;
    }
    label(&stage, SECOND).await;
    report(&stage, 2).await;
    let between = release(&stage, 5);
    are_known(&running, FIRST + since.len() + between.len()).await;
    since.extend(between);
    let second = deploy_newest(&stage, 2).await;
    since.extend(release(&stage, 5));

    let scores = are_scored(&stage, &since).await;
    for (trace, versions) in &scores {
        let distinct: BTreeSet<&String> = versions.iter().collect();
        assert_eq!(distinct.len(), versions.len(), "{trace}: {versions:?}");
        assert!(versions.iter().all(|by| *by == first || *by == second));
    }
    assert!(scores.values().flatten().any(|by| *by == second));
    let scored: BTreeSet<String> = scores.into_keys().collect();
    assert_eq!(scored, since, "none from before the first deployment");
    running.stop().await;
}

/// The next recorded traces happen now; gives their ids.
fn release(stage: &Stage, count: usize) -> Vec<String> {
    let released = stage
        .playground
        .langfuse()
        .release("project-default", count);
    assert_eq!(released.len(), count, "enough traces are recorded");
    released
}

/// Labels cards as recorded until `count` of them have labels.
async fn label(stage: &Stage, count: usize) {
    let cards = eventually("the cards", || async {
        let cards = stage.cards().await;
        (cards.len() >= count).then_some(cards)
    });
    for card in &cards.await[..count] {
        stage.label_as_recorded(card).await;
    }
}

/// The newest of `count` reports.
async fn report(stage: &Stage, count: usize) -> Value {
    eventually("a report", || async {
        let mut reports = stage.of_kind("iofold_report").await;
        (reports.len() == count).then(|| reports.pop()).flatten()
    })
    .await
}

/// Deploys the version of the newest of `count` reports; gives its id.
async fn deploy_newest(stage: &Stage, count: usize) -> String {
    let report = report(stage, count).await;
    assert!(stage.click(&report, "you", "Deploy").await);
    let id = report["metadata"]["event_payload"]["version_id"].as_str();
    id.expect("a report names its version").to_owned()
}

/// Waits until the service has rows for so many traces.
async fn are_known(running: &Running, count: usize) {
    eventually("the traces' rows", || async {
        let row =
            sqlx::query("select count(*) as known from traces").fetch_one(running.app.db.pool());
        let known: i64 = row.await.ok()?.try_get("known").ok()?;
        (known == count as i64).then_some(())
    })
    .await;
}

/// The versions that have scored each trace, as soon as each of `traces` is scored.
async fn are_scored(stage: &Stage, traces: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    eventually("a score for each trace", || async {
        let mut scores: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for score in stage.scores() {
            let text = |value: &Value| value.as_str().expect("a string").to_owned();
            let by = text(&score["metadata"]["eval_version"]);
            scores.entry(text(&score["traceId"])).or_default().push(by);
        }
        let are_all = traces.iter().all(|trace| scores.contains_key(trace));
        are_all.then_some(scores)
    })
    .await
}
