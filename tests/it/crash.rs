//! `kill -9` in the middle of everything: the next start goes on, and nothing is lost or doubled.

use std::collections::{BTreeMap, BTreeSet};

use iofold::playground::langfuse::Apis;
use iofold::store::Db;
use serde_json::Value;
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::process::Process;
use crate::support::stage::{Stage, button, recorded, trace_of};

on_both_databases!(killed_at_eleven_points_it_goes_on_with_nothing_lost_or_doubled);

const LABELLED: usize = 24;
const TRACES: usize = 48;

async fn killed_at_eleven_points_it_goes_on_with_nothing_lost_or_doubled(database: Database) {
    let settings = [("IOFOLD_LABELS_TO_GENERATE", "24")];
    let set = recorded("math_json_format", TRACES);
    let stage = Stage::set(database, Apis::Both, set, &settings).await;
    let victim = Process::start(&stage);
    stage.release(LABELLED).await;
    // Before anything, at the first card, and half-way through the cards.
    for cards in [0, 1, LABELLED / 2] {
        kill_when(&victim, "cards", || async {
            stage.cards().await.len() >= cards
        })
        .await;
    }
    let cards = victim.eventually("all cards", || async {
        let cards = stage.cards().await;
        (cards.len() >= LABELLED).then_some(cards)
    });
    let cards = cards.await;
    for (i, card) in cards.iter().enumerate() {
        label(&stage, &victim, card).await;
        // At the first thumb, half-way, and at the one that starts a generation.
        if [0, LABELLED / 2, LABELLED - 1].contains(&i) {
            victim.kill();
        }
    }
    kill_when(&victim, "the first person's score", || async {
        !stage.human_scores().is_empty()
    })
    .await;
    let replies = || async { report(&stage).await.map_or(0, |report| replies(&report)) };
    kill_when(&victim, "the report", || async {
        report(&stage).await.is_some()
    })
    .await;
    kill_when(&victim, "its first reply", || async {
        replies().await >= 1
    })
    .await;
    let thread = victim.eventually("the whole thread", || async {
        (replies().await >= 2).then_some(())
    });
    thread.await;
    deploy(&stage, &victim).await;
    stage.release(TRACES - LABELLED).await;
    kill_when(&victim, "the first score", || async {
        !stage.scores().is_empty()
    })
    .await;
    let scores = victim.eventually("all scores", || async {
        (stage.scores().len() >= TRACES - LABELLED).then_some(())
    });
    scores.await;
    let people = victim.eventually("a score for each thumb", || async {
        (stage.human_scores().len() >= LABELLED).then_some(())
    });
    people.await;
    assert_eq!(victim.kills(), 11);
    assert_nothing_is_doubled_or_lost(&stage).await;
}

async fn kill_when<F>(victim: &Process<'_>, what: &str, is_time: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    let time = victim.eventually(what, || async { is_time().await.then_some(()) });
    time.await;
    victim.kill();
}

/// A person clicks again when nothing happens.
async fn label(stage: &Stage, victim: &Process<'_>, card: &Value) {
    let recorded = stage.playground.langfuse().recorded_labels(trace_of(card));
    for label in recorded {
        click(
            stage,
            victim,
            card,
            label.annotator.as_str(),
            label.label.emoji(),
        )
        .await;
    }
}

async fn click(stage: &Stage, victim: &Process<'_>, message: &Value, user: &str, text: &str) {
    let click = async || stage.click(message, user, text).await.then_some(());
    victim.eventually("an acknowledgement", click).await;
}

async fn report(stage: &Stage) -> Option<Value> {
    stage.of_kind("iofold_report").await.pop()
}

fn replies(report: &Value) -> usize {
    report["replies"].as_array().map_or(0, Vec::len)
}

/// Killed once right after the click was acknowledged.
async fn deploy(stage: &Stage, victim: &Process<'_>) {
    let report = report(stage).await.expect("it stands");
    click(stage, victim, &report, "you", "Deploy").await;
    victim.kill();
    let decision = victim.eventually("the decision on the report", || async {
        let report = self::report(stage).await?;
        button(&report, "Deploy").is_none().then_some(())
    });
    decision.await;
}

async fn assert_nothing_is_doubled_or_lost(stage: &Stage) {
    let messages = stage.messages().await;
    let subjects = messages
        .iter()
        .map(|message| message["metadata"].to_string());
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for subject in subjects {
        *times.entry(subject).or_default() += 1;
    }
    assert!(
        times.values().all(|times| *times == 1),
        "a message stands twice: {times:?}"
    );
    let report = report(stage).await.expect("it stands");
    let parts = report["replies"].as_array().expect("a thread");
    let parts: Vec<String> = parts
        .iter()
        .map(|part| part["metadata"].to_string())
        .collect();
    let distinct: BTreeSet<&String> = parts.iter().collect();
    assert_eq!(
        parts.len(),
        distinct.len(),
        "a reply stands twice: {parts:?}"
    );
    let scored: Vec<String> = stage
        .scores()
        .iter()
        .map(|score| score["traceId"].to_string())
        .collect();
    let distinct: BTreeSet<&String> = scored.iter().collect();
    assert_eq!(
        (scored.len(), distinct.len()),
        (TRACES - LABELLED, TRACES - LABELLED)
    );
    let db = Db::connect(&stage.database_url).await.expect("it opens");
    assert_each_label_is_one_score(stage, &db).await;
    let count = async |what: &'static str| {
        let row = sqlx::query(what).fetch_one(db.pool()).await.expect("a row");
        row.get::<i64, _>("found")
    };
    assert_eq!(
        count("select count(*) as found from traces").await,
        TRACES as i64
    );
    let labels = count("select count(*) as found from labels where label <> 'neutral'").await;
    assert_eq!(
        labels, LABELLED as i64,
        "every thumb that was acknowledged is there"
    );
    assert_eq!(
        count("select count(*) as found from eval_versions").await,
        1
    );
}

async fn assert_each_label_is_one_score(stage: &Stage, db: &Db) {
    let rows = sqlx::query("select trace_id, annotator_id, label from labels")
        .fetch_all(db.pool())
        .await
        .expect("rows");
    let read = |row: &sqlx::any::AnyRow| {
        let read = |column| row.get::<String, _>(column);
        [read("trace_id"), read("annotator_id"), read("label")]
    };
    let mut labels: Vec<[String; 3]> = rows.iter().map(read).collect();
    let scores = stage.human_scores();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let score = |score: &Value| {
        let annotator = &score["metadata"]["annotator"];
        [
            text(&score["traceId"]),
            text(annotator),
            text(&score["stringValue"]),
        ]
    };
    let mut scored: Vec<[String; 3]> = scores.iter().map(score).collect();
    labels.sort();
    scored.sort();
    assert_eq!(scored, labels);
}
