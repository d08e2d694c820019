//! The whole loop, driven by HTTP only: traces in, thumbs, report, *Deploy*, scores.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use iofold::app::App;
use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::stage::{Running, Stage, button, eventually, recorded};
use crate::support::{Database, example_lines, iofold};

on_both_databases!(two_hundred_traces_go_through_the_whole_loop);

const SET: &str = "wow_grounded";
const LABELLED: usize = 120;

async fn two_hundred_traces_go_through_the_whole_loop(database: Database) {
    let settings = [("IOFOLD_LABELS_TO_GENERATE", "120")];
    let stage = Stage::set(database, Apis::Both, recorded(SET, 200), &settings).await;
    let running = stage.start().await;
    let report = label_until_the_report(&stage).await;
    let outcomes = outcomes_of(&code_of(&report)).await;
    assert_figures_are_those_of_the_labels(&running, &report, &outcomes).await;
    assert_tallies_are_shown(&stage).await;
    deploy(&stage, &report).await;
    stage.release(200 - LABELLED).await;
    assert_new_traces_are_scored(&stage, &outcomes).await;
    running.stop().await;
}

async fn label_until_the_report(stage: &Stage) -> Value {
    stage.release(LABELLED).await;
    let cards = eventually("a card for each trace", || async {
        let cards = stage.cards().await;
        (cards.len() >= LABELLED).then_some(cards)
    });
    for card in cards.await {
        stage.label_as_recorded(&card).await;
    }
    eventually("the report with its picture and thread", || async {
        let report = stage.of_kind("iofold_report").await.pop()?;
        let replies = report["replies"].as_array()?.len();
        // The picture may come later: Slack processes it first.
        let has_picture = report["blocks"].to_string().contains("\"slack_file\"");
        (replies >= 2 && has_picture).then_some(report)
    })
    .await
}

/// The Python in the report's thread.
fn code_of(report: &Value) -> String {
    let text = report["replies"].to_string();
    assert!(text.contains("def evaluate"), "{text}");
    let replies = report["replies"].as_array().expect("replies");
    let preformatted = replies.iter().find_map(|reply| {
        let blocks = reply["blocks"].as_array()?.iter();
        let texts = blocks
            .flat_map(|block| block["elements"].as_array())
            .flatten();
        texts
            .filter(|element| element["type"] == "rich_text_preformatted")
            .find_map(|element| {
                let text = element["elements"][0]["text"].as_str()?;
                text.contains("def evaluate").then(|| text.to_owned())
            })
    });
    preformatted.expect("the thread has the Python")
}

/// What the eval says of every recorded trace, by trace id: run by the command, not by the service.
async fn outcomes_of(source: &str) -> BTreeMap<String, Value> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("eval.py"), source).expect("it is written");
    let lines = example_lines(SET, 0..200);
    fs::write(folder.path().join("traces.jsonl"), lines.concat()).expect("it is written");
    let output = iofold()
        .current_dir(folder.path())
        .args(["eval", "run", "eval.py", "traces.jsonl"])
        .output()
        .expect("the command runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let outcomes = String::from_utf8(output.stdout).expect("UTF-8");
    let ids = lines.iter().map(|line| {
        example(line)["trace"]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    });
    ids.zip(outcomes.lines().map(example)).collect()
}

fn example(line: impl AsRef<str>) -> Value {
    serde_json::from_str(line.as_ref()).expect("JSON")
}

/// The figures of the stored report, worked out again from the labels and the eval's outcomes.
async fn assert_figures_are_those_of_the_labels(
    running: &Running,
    report: &Value,
    outcomes: &BTreeMap<String, Value>,
) {
    let stored = stored_report(&running.app).await;
    let seen = seen(&running.app).await;
    let (mut tp, mut fp, mut fn_, mut tn, mut abstained) = (0.0, 0.0, 0.0, 0.0, 0);
    for line in example_lines(SET, 0..LABELLED) {
        let line = example(line);
        let id = line["trace"]["id"].as_str().expect("an id");
        if seen.contains(id) || line["label"] == "neutral" {
            continue;
        }
        match (line["label"].as_str(), outcomes[id]["verdict"].as_str()) {
            (Some("down"), Some("fail")) => tp += 1.0,
            (Some("up"), Some("fail")) => fp += 1.0,
            (Some("down"), Some("pass")) => fn_ += 1.0,
            (Some("up"), Some("pass")) => tn += 1.0,
            (_, Some("abstain")) => abstained += 1,
            other => panic!("{other:?}"),
        }
    }
    let n: f64 = tp + fp + fn_ + tn;
    assert!(n >= 30.0, "two fifths of {LABELLED} are held out, not {n}");
    let figures = &stored["held_out"];
    let near = |key: &str, expected: f64| {
        let value = figures[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} in {figures}"));
        assert!(
            (value - expected).abs() < 1e-9,
            "{key}: {value}, not {expected}"
        );
    };
    assert_eq!(figures["n"], json!(n as u64), "{stored}");
    assert_eq!(figures["abstained"], json!(abstained));
    assert_eq!(figures["errors"], json!(0));
    let agreement = (tp + tn) / n;
    near("agreement", agreement);
    near("tpr", tp / (tp + fn_));
    near("tnr", tn / (tn + fp));
    near("majority", (tp + fn_).max(fp + tn) / n);
    let by_chance = ((tp + fp) * (tp + fn_) + (tn + fp) * (tn + fn_)) / (n * n);
    near("kappa", (agreement - by_chance) / (1.0 - by_chance));
    let interval = [0, 1].map(|i| figures["agreement_interval"][i].as_f64().expect("a bound"));
    for (bound, expected) in interval.iter().zip(wilson(tp + tn, n)) {
        assert!(
            (bound - expected).abs() < 1e-6,
            "{interval:?}, not {expected}"
        );
    }
    assert_eq!(stored["headline"], "held_out");
    let shown = format!("{:.0} %", agreement * 100.0);
    let text = report["blocks"].to_string().replace('\u{a0}', " ");
    assert!(text.contains(&shown), "{shown} is not in {text}");
}

/// E. B. Wilson, 1927; z for 95 %.
fn wilson(hits: f64, n: f64) -> [f64; 2] {
    let z = 1.959_963_984_540_054;
    let p = hits / n;
    let middle = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    [middle - spread, middle + spread].map(|bound| bound / (1.0 + z * z / n))
}

async fn stored_report(app: &App) -> Value {
    let row = sqlx::query("select figures from reports where workspace_id = 'default'")
        .fetch_one(app.db.pool())
        .await
        .expect("one report");
    example(row.try_get::<String, _>("figures").expect("text"))
}

async fn seen(app: &App) -> BTreeSet<String> {
    let rows = sqlx::query("select trace_id from seen_labels where workspace_id = 'default'")
        .fetch_all(app.db.pool())
        .await
        .expect("rows");
    rows.iter()
        .map(|row| row.try_get("trace_id").expect("text"))
        .collect()
}

async fn assert_tallies_are_shown(stage: &Stage) {
    eventually("a tally on each card", || async {
        let cards = stage.cards().await;
        let tallied = |card: &&Value| card["blocks"].to_string().contains("👍 ");
        let tallied = cards
            .iter()
            .filter(tallied)
            .filter(|card| !card["blocks"].to_string().contains("No labels yet"));
        (tallied.count() == LABELLED).then_some(())
    })
    .await;
}

async fn deploy(stage: &Stage, report: &Value) {
    for name in ["Deploy", "Refine", "Discard"] {
        assert!(button(report, name).is_some(), "{name} on {report}");
    }
    assert!(stage.click(report, "you", "Deploy").await);
    eventually("the decision on the report", || async {
        let report = stage.of_kind("iofold_report").await.pop()?;
        (button(&report, "Deploy").is_none() && report["blocks"].to_string().contains("Deployed"))
            .then_some(())
    })
    .await;
}

/// Each trace that came after the deployment has one score, with the eval's verdict and reason.
async fn assert_new_traces_are_scored(stage: &Stage, outcomes: &BTreeMap<String, Value>) {
    let new = example_lines(SET, LABELLED..200);
    let new = new.iter().map(|line| {
        example(line)["trace"]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    });
    let expected: BTreeMap<String, (Value, Value)> = new
        .filter_map(|id| {
            let outcome = &outcomes[&id];
            let value = match outcome["verdict"].as_str()? {
                "pass" => json!(1),
                "fail" => json!(0),
                _ => return None,
            };
            Some((id, (value, outcome["reason"].clone())))
        })
        .collect();
    let scores = eventually("a score for each new trace", || async {
        let scores = stage.scores();
        (scores.len() >= expected.len()).then_some(scores)
    })
    .await;
    let written: BTreeMap<String, (Value, Value)> = scores
        .iter()
        .map(|score| {
            let id = score["traceId"].as_str().expect("a trace").to_owned();
            let value = json!(score["value"].as_f64().expect("a number") as i64);
            (id, (value, score["comment"].clone()))
        })
        .collect();
    assert_eq!(written, expected);
    assert_eq!(scores.len(), expected.len(), "none twice");
}
