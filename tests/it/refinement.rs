//! The next version of an eval: by command, by a person's hand, by *Refine*, and by itself when figures fall.

use std::fs;
use std::path::Path;
use std::process::Output;

use iofold::app;
use iofold::config::{Config, Environment};
use iofold::domain::VersionId;
use iofold::generate;
use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};
use sqlx::Row;

use crate::cli::{eval, run, stderr};
use crate::llm_standin::{Llm, Reply, Request};
use crate::on_both_databases;
use crate::support::stage::{Running, Stage, count, eventually, recorded};
use crate::support::{Database, example_lines, iofold};

on_both_databases!(
    an_edited_file_becomes_a_version_that_its_ancestors_labels_do_not_judge,
    a_refinement_waits_for_labels_and_offers_a_better_version_once,
    with_an_llm_misses_and_comments_are_enough_to_refine_at_once,
    figures_that_fall_are_told_and_refined_and_the_old_one_stays_where_nothing_is_better,
);

const SET: &str = "math_json_format";
const LABELS: usize = 24;

/// Right on the good half only.
const PASSES_ALL: &str =
    "\"\"\"Every answer is good.\"\"\"\n\n\ndef evaluate(trace):\n    return True, \"is fine\"\n";
/// Worse still.
const FAILS_ALL: &str =
    "\"\"\"No answer is good.\"\"\"\n\n\ndef evaluate(trace):\n    return False, \"is bad\"\n";
/// What people look at in this set.
const IS_JSON: &str = r#""""The answer must be JSON with an answer and its reasoning."""

import json


def evaluate(trace):
    text = trace["output_text"].strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.split("\n", 1)[-1].rsplit("```", 1)[0]
    try:
        answer = json.loads(text)
    except ValueError:
        return False, "is no JSON"
    if not isinstance(answer, dict) or set(answer) != {"answer", "reasoning"}:
        return False, "has other fields"
    if not all(isinstance(text, str) for text in answer.values()):
        return False, "has a field that is no text"
    return True, "is JSON"
"#;

fn folder(old: &str, lines: std::ops::Range<usize>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("old.py"), old).expect("it is written");
    let lines = example_lines(SET, lines).concat();
    fs::write(folder.path().join("labelled.jsonl"), lines).expect("it is written");
    folder
}

const REFINE: [&str; 7] = [
    "generate",
    "labelled.jsonl",
    "--refine",
    "old.py",
    "--out",
    "new.py",
    "--json",
];

fn said(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} {}", stderr(output)))
}

fn exists(folder: &Path) -> bool {
    folder.join("new.py").exists()
}

#[test]
fn rules_replace_a_worse_eval_and_say_what_changed_and_how_the_two_compare() {
    let folder = folder(PASSES_ALL, 0..40);
    let output = eval(folder.path(), &REFINE, "");
    assert!(output.status.success(), "{}", stderr(&output));
    let report = said(&output);
    let descent = &report["making"]["descent"];
    let change = descent["changes"][0].as_str().expect("a change");
    assert!(change.contains("Every answer is good."), "{descent}");
    let versus = &descent["versus"];
    assert!(
        versus["wins"].as_u64() > versus["losses"].as_u64(),
        "{versus}"
    );
    assert_eq!(
        (&versus["n"], &versus["cross_validated"]),
        (&json!(40), &json!(true))
    );
    assert_eq!(report["headline"], "cross_validated");
    let new = fs::read_to_string(folder.path().join("new.py")).expect("it is written");
    assert!(new.contains("def evaluate(trace)"));
    let again = [
        "generate",
        "labelled.jsonl",
        "--refine",
        "new.py",
        "--out",
        "newer.py",
    ];
    let output = eval(folder.path(), &again, "");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("Nothing was written. "), "{told}");
    assert!(told.contains("the same eval again"), "{told}");
    let figures = "new.py stays as it is: it is right on";
    assert!(
        told.contains(figures) && told.contains("of 40 labels"),
        "{told}"
    );
    assert!(!folder.path().join("newer.py").exists());
}

#[test]
fn a_file_that_is_no_eval_is_not_refined() {
    let folder = folder("def evaluate(", 0..30);
    let output = eval(folder.path(), &REFINE, "");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("syntax"), "{}", stderr(&output));
    assert!(!exists(folder.path()));
}

/// Writes this source as the next version, and says why.
async fn writing(source: &'static str) -> Llm {
    Llm::answering(move |request: &Request| {
        let schema = request.schema.clone().unwrap_or_default();
        let asks_for = |name: &str| schema["properties"].get(name).is_some();
        Reply::Json(match (asks_for("criteria"), asks_for("changes")) {
            (true, _) => json!({"criteria": ["The answer is JSON."]}),
            (_, true) => json!({"source": source, "changes": ["It looks at the form now, for a comment asks for JSON."]}),
            _ => json!({"evals": [{"source": source}]}),
        })
    })
    .await
}

async fn refined_by(llm: &Llm, folder: &Path) -> Output {
    let mut command = iofold();
    command
        .current_dir(folder)
        .envs(llm.environment())
        .arg("eval")
        .args(REFINE);
    tokio::task::spawn_blocking(move || run(&mut command, ""))
        .await
        .expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_llm_starts_from_the_file_and_labels_that_decided_are_not_called_unseen() {
    let llm = writing(IS_JSON).await;
    let folder = folder(PASSES_ALL, 0..40);
    let output = refined_by(&llm, folder.path()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let report = said(&output);
    let descent = &report["making"]["descent"];
    assert_eq!(
        descent["changes"],
        json!(["It looks at the form now, for a comment asks for JSON."])
    );
    let versus = &descent["versus"];
    assert!(
        versus["wins"].as_u64() > versus["losses"].as_u64(),
        "{versus}"
    );
    assert_eq!(versus["cross_validated"], false);
    assert!(versus["n"].as_u64().expect("a number") < 30, "{versus}");
    for kind in ["held_out", "cross_validated", "fresh"] {
        assert!(report[kind].is_null(), "{kind} in {report}");
    }
    let asked = llm.requests();
    let next = asked
        .iter()
        .find(|request| request.prompt.contains("Here is an eval that people use"));
    let next = &next.expect("it starts from the file").prompt;
    assert!(next.contains("Every answer is good."), "{next}");
    assert!(llm.refused().is_empty(), "{:?}", llm.refused());
    assert!(exists(folder.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_one_stays_where_the_llms_is_no_better_or_it_answers_nothing() {
    let folder = folder(IS_JSON, 0..40);
    let worse = writing(FAILS_ALL).await;
    let silent = Llm::answering(|_| Reply::Refusal).await;
    for llm in [worse, silent] {
        let output = refined_by(&llm, folder.path()).await;
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        let said = said(&output);
        assert_eq!(said["generated"], false);
        assert!(!said["reason"].as_str().expect("a reason").is_empty());
        assert!(!exists(folder.path()));
    }
}

/// A stage on which the first `LABELS` traces are labelled and the first report stands.
async fn reported(database: Database, more: usize) -> (Stage, Running, Value) {
    let settings = [("IOFOLD_LABELS_TO_GENERATE", "24")];
    let traces = recorded(SET, LABELS + more);
    let stage = Stage::set(database, Apis::Both, traces, &settings).await;
    let running = stage.start().await;
    stage.release_and_label(LABELS).await;
    let report = nth_report(&stage, 0).await;
    (stage, running, report)
}

/// The report with this place among all, with its thread complete.
async fn nth_report(stage: &Stage, at: usize) -> Value {
    eventually("the report", || async {
        let report = stage.of_kind("iofold_report").await.into_iter().nth(at)?;
        let replies = report["replies"].as_array()?.len();
        (replies >= 2).then_some(report)
    })
    .await
}

fn version_of(report: &Value) -> VersionId {
    let id = report["metadata"]["event_payload"]["version_id"].as_str();
    VersionId::from(id.expect("a report names its version"))
}

async fn reply(stage: &Stage, above: &str, kind: &str) -> Value {
    eventually(kind, || async {
        let messages = stage.of_kind(above).await;
        let replies = messages
            .iter()
            .filter_map(|message| message["replies"].as_array());
        let mut replies = replies.flatten();
        replies
            .find(|reply| reply["metadata"]["event_type"] == kind)
            .cloned()
    })
    .await
}

/// Has the command record a source as the next version.
async fn submit(stage: &Stage, source: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("edited.py"), source).expect("it is written");
    let mut command = iofold();
    command
        .current_dir(folder.path())
        .envs(stage.environment())
        .args(["eval", "submit", "edited.py"]);
    tokio::task::spawn_blocking(move || run(&mut command, ""))
        .await
        .expect("it ends")
}

async fn making(running: &Running, version: &VersionId) -> (Value, Option<String>) {
    let row = sqlx::query("select making, parent_id from eval_versions where id = $1")
        .bind(version.as_str())
        .fetch_one(running.app.db.pool())
        .await
        .expect("a row");
    let making: String = row.get("making");
    let making = serde_json::from_str(&making).expect("JSON");
    (making, row.get("parent_id"))
}

async fn an_edited_file_becomes_a_version_that_its_ancestors_labels_do_not_judge(
    database: Database,
) {
    let (stage, running, first) = reported(database, 0).await;
    for (source, word) in [
        ("def evaluate(", "syntax"),
        (
            "import socket\n\n\ndef evaluate(trace):\n    return True\n",
            "forbidden",
        ),
        (
            "def evaluate(trace):\n    return trace[\"nothing\"]\n",
            "exception",
        ),
    ] {
        let output = submit(&stage, source).await;
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
    let output = submit(&stage, PASSES_ALL).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let again = submit(&stage, PASSES_ALL).await;
    assert!(String::from_utf8_lossy(&again.stdout).contains("Nothing changes"));
    let second = nth_report(&stage, 1).await;
    assert!(
        second.to_string().contains("Every answer is good."),
        "{second}"
    );
    let (making, parent) = making(&running, &version_of(&second)).await;
    assert_eq!(parent.as_deref(), Some(version_of(&first).as_str()));
    assert_eq!(making["generator"], "person");
    let seen = "select count(*) as found from seen_labels";
    assert_eq!(count(&running, seen).await, 2 * LABELS as i64);
    let versions = "select count(*) as found from eval_versions";
    assert_eq!(count(&running, versions).await, 2);
    running.stop().await;
}

async fn a_refinement_waits_for_labels_and_offers_a_better_version_once(database: Database) {
    let (stage, running, _) = reported(database, 11).await;
    assert!(submit(&stage, PASSES_ALL).await.status.success());
    let poor = nth_report(&stage, 1).await;
    stage.release(11).await;
    eventually("all traces", || async {
        let known = count(&running, "select count(*) as found from traces").await;
        (known == LABELS as i64 + 11).then_some(())
    })
    .await;
    assert!(stage.click(&poor, "you", "Refine").await);
    assert!(stage.click(&poor, "you", "Refine").await);
    let asked = reply(&stage, "iofold_report", "iofold_refine").await;
    assert!(asked.to_string().contains("once so many more"), "{asked}");
    let versions = "select count(*) as found from eval_versions";
    assert_eq!(count(&running, versions).await, 2, "it waits for labels");
    // What is wanted is a row: the next process finds it.
    running.stop().await;
    let running = stage.start().await;
    let due = "select due_label_count as found from refinements";
    let due = count(&running, due).await as usize;
    let labelled = "select count(distinct trace_id) as found from labels";
    eventually("the cards", || async {
        (stage.cards().await.len() >= due).then_some(())
    })
    .await;
    for card in stage.cards().await.iter().skip(LABELS) {
        stage.label_as_recorded(card).await;
    }
    assert!(count(&running, labelled).await as usize >= due);
    let workspace = running.app.workspaces().get(0).expect("a workspace");
    let (one, two) = tokio::join!(
        generate::refine_evals(&running.app, workspace),
        generate::refine_evals(&running.app, workspace),
    );
    one.and(two).expect("both end well");
    let next = nth_report(&stage, 2).await;
    let (making, parent) = making(&running, &version_of(&next)).await;
    assert_eq!(parent.as_deref(), Some(version_of(&poor).as_str()));
    let versus = &making["descent"]["versus"];
    assert!(
        versus["wins"].as_u64() > versus["losses"].as_u64(),
        "{making}"
    );
    assert!(next.to_string().contains("the one before on"), "{next}");
    assert_eq!(count(&running, versions).await, 3, "offered once");
    let made = "select count(*) as found from refinements where state = 'made'";
    assert_eq!(count(&running, made).await, 1);
    let forgotten = "select count(*) as found from seen_labels old join eval_versions on parent_id = old.version_id
                     where not exists (select 1 from seen_labels new where new.version_id = eval_versions.id
                                       and new.trace_id = old.trace_id)";
    assert_eq!(
        count(&running, forgotten).await,
        0,
        "what its ancestors have seen, it has"
    );
    running.stop().await;
}

/// The stage's service, with an LLM.
async fn start_with(stage: &Stage, llm: &Llm) -> Running {
    let pairs = stage.environment().into_iter().chain(llm.environment());
    let mut config = Config::read(&Environment::from_pairs(pairs)).expect("it is complete");
    config.worker = env!("CARGO_BIN_EXE_iofold").into();
    let service = app::build(config).await.expect("the service builds");
    Running::of(service)
}

async fn with_an_llm_misses_and_comments_are_enough_to_refine_at_once(database: Database) {
    let (stage, running, _) = reported(database, 0).await;
    assert!(submit(&stage, PASSES_ALL).await.status.success());
    let poor = nth_report(&stage, 1).await;
    let why = "update labels set comment = 'this is no JSON', acted_at_us = (select max(created_at_ms) from eval_versions) * 1000
               where label = 'down'";
    sqlx::query(why)
        .execute(running.app.db.pool())
        .await
        .expect("people say why");
    running.stop().await;
    let llm = writing(IS_JSON).await;
    let running = start_with(&stage, &llm).await;
    assert!(stage.click(&poor, "you", "Refine").await);
    let next = nth_report(&stage, 2).await;
    assert!(
        next.to_string().contains("for a comment asks for JSON"),
        "{next}"
    );
    let (making, _) = making(&running, &version_of(&next)).await;
    assert_eq!(making["generator"], "llm");
    let prompts = llm.requests();
    assert!(
        prompts
            .iter()
            .any(|request| request.prompt.contains("this is no JSON"))
    );
    running.stop().await;
}

async fn figures_that_fall_are_told_and_refined_and_the_old_one_stays_where_nothing_is_better(
    database: Database,
) {
    let (stage, running, report) = reported(database, 60).await;
    assert!(stage.click(&report, "you", "Deploy").await);
    eventually("the deployment", || async {
        let deployed = "select count(*) as found from eval_versions where state = 'deployed'";
        (count(&running, deployed).await == 1).then_some(())
    })
    .await;
    stage.release(60).await;
    let cards = eventually("new cards", || async {
        let cards = stage.cards().await;
        (cards.len() >= LABELS + 6).then_some(cards)
    });
    // People have changed their minds: what was good is bad.
    for card in cards.await.iter().skip(LABELS).take(6) {
        let recorded = stage
            .playground
            .langfuse()
            .recorded_labels(crate::support::stage::trace_of(card));
        let thumb = match recorded[0].label.emoji() {
            "👍" => "👎",
            _ => "👍",
        };
        assert!(stage.click(card, "you", thumb).await);
    }
    let fallen = eventually("the fall", || async {
        stage.of_kind("iofold_fallen").await.pop()
    });
    let fallen = fallen.await.to_string();
    assert!(
        fallen.contains("95 % interval") && fallen.contains("freshly labelled"),
        "{fallen}"
    );
    let kept = reply(&stage, "iofold_fallen", "iofold_kept").await;
    assert!(kept.to_string().contains("stays as it is"), "{kept}");
    let wanted = "select count(*) as found from refinements where cause = 'fallen'";
    assert_eq!(
        count(&running, wanted).await,
        1,
        "once, however often it is looked at"
    );
    assert_eq!(stage.of_kind("iofold_fallen").await.len(), 1);
    running.stop().await;
}
