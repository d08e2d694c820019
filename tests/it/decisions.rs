//! What people decide about a report, and what happens when there is none to decide about.

use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::webhook;
use crate::support::stage::{Running, Stage, button, count, eventually, recorded, trace_of};

on_both_databases!(
    labels_that_code_cannot_tell_apart_end_in_a_reason_and_no_eval,
    refine_asks_for_more_labels_and_discard_ends_it,
    a_trace_that_changes_after_its_score_is_scored_again_under_the_same_id,
    what_nobody_looks_at_any_more_is_deleted,
);

const LABELS: usize = 24;

/// A stage on which the first `LABELS` traces of a set are labelled.
async fn labelled(database: Database, set: &str, count: usize) -> (Stage, Running) {
    let settings = [("IOFOLD_LABELS_TO_GENERATE", "24")];
    let stage = Stage::set(database, Apis::Both, recorded(set, count), &settings).await;
    let running = stage.start().await;
    stage.release_and_label(LABELS).await;
    (stage, running)
}

async fn report(stage: &Stage) -> Value {
    eventually("the report", || async {
        let report = stage.of_kind("iofold_report").await.pop()?;
        let replies = report["replies"].as_array()?.len();
        (replies >= 2).then_some(report)
    })
    .await
}

async fn labels_that_code_cannot_tell_apart_end_in_a_reason_and_no_eval(database: Database) {
    let (stage, running) = labelled(database, "conala_code_grades", LABELS).await;
    let told = eventually("the reason", || async {
        stage.of_kind("iofold_not_yet").await.pop()
    });
    let told = told.await["text"].to_string();
    assert!(
        told.contains("No eval yet") && told.contains("always guessing"),
        "{told}"
    );
    let versions = count(&running, "select count(*) as found from eval_versions").await;
    assert_eq!(versions, 0);
    let attempts = count(&running, "select count(*) as found from generations").await;
    assert_eq!(attempts, 1, "the next attempt waits for more labels");
    running.stop().await;
}

async fn refine_asks_for_more_labels_and_discard_ends_it(database: Database) {
    let (stage, running) = labelled(database, "math_json_format", 60).await;
    let first = report(&stage).await;
    // After an eval one trace in four is asked about: these wait for nobody's thumb.
    stage.release(36).await;
    eventually("all traces", || async {
        let known = count(&running, "select count(*) as found from traces").await;
        (known == 60).then_some(())
    })
    .await;
    assert!(stage.click(&first, "you", "Refine").await);
    assert!(
        stage.click(&first, "you", "Refine").await,
        "clicking twice asks once"
    );
    let asked = eventually("the answer in the thread", || async {
        let report = stage.of_kind("iofold_report").await.pop()?;
        let replies = report["replies"].as_array()?.clone();
        replies
            .into_iter()
            .find(|reply| reply["metadata"]["event_type"] == "iofold_refine")
    });
    asked.await;
    let chosen = "select count(*) as found from traces where asked = 1 and ask_probability is null";
    let chosen = count(&running, chosen).await;
    assert!((1..=10).contains(&chosen), "{chosen} chosen");
    assert!(stage.click(&first, "you", "Discard").await);
    eventually("the decision on the report", || async {
        let report = stage.of_kind("iofold_report").await.pop()?;
        (button(&report, "Deploy").is_none() && report["blocks"].to_string().contains("Discarded"))
            .then_some(())
    })
    .await;
    let deployed = "select count(*) as found from eval_versions where state = 'deployed'";
    assert_eq!(count(&running, deployed).await, 0);
    running.stop().await;
}

async fn a_trace_that_changes_after_its_score_is_scored_again_under_the_same_id(
    database: Database,
) {
    let (stage, running) = labelled(database, "math_json_format", LABELS + 1).await;
    let report = report(&stage).await;
    assert!(stage.click(&report, "you", "Deploy").await);
    eventually("the deployment", || async {
        let deployed = "select count(*) as found from eval_versions where state = 'deployed'";
        (count(&running, deployed).await == 1).then_some(())
    })
    .await;
    let mut new = recorded("math_json_format", LABELS + 1)
        .pop()
        .expect("one more")
        .trace;
    let good = "{\"reasoning\": \"It is so.\", \"answer\": \"42\"}";
    put(&stage, &mut new, good).await;
    let first = eventually("the first score", || async { stage.scores().pop() }).await;
    put(&stage, &mut new, "no JSON at all").await;
    let changed = eventually("the changed score", || async {
        stage
            .scores()
            .into_iter()
            .find(|score| score["value"] != first["value"])
    });
    assert_eq!(changed.await["id"], first["id"]);
    assert_eq!(stage.scores().len(), 1);
    running.stop().await;
}

/// Has Langfuse hold the trace with this answer, and say so.
async fn put(stage: &Stage, trace: &mut Value, text: &str) {
    let answer = json!({"role": "assistant", "content": text});
    trace["output"] = answer.clone();
    for observation in trace["observations"].as_array_mut().expect("a list") {
        observation["output"] = answer.clone();
    }
    let langfuse = stage.playground.langfuse();
    langfuse.put_trace("project-default", trace.clone());
    let delivery = json!({"id": text, "type": "trace", "trace": {"id": trace["id"]}});
    assert_eq!(webhook(stage, delivery.to_string().as_bytes()).await, 202);
}

async fn what_nobody_looks_at_any_more_is_deleted(database: Database) {
    let stage = Stage::set(database, Apis::Both, recorded("wow_grounded", 1), &[]).await;
    let running = stage.start().await;
    stage.release(1).await;
    let card = eventually("the card", || async { stage.cards().await.pop() }).await;
    let old = "insert into deliveries (workspace_id, id, body, received_at_ms, handled_at_ms)
               values ('default', 'old', '{}', 1, 2)";
    sqlx::query(old)
        .execute(running.app.db.pool())
        .await
        .expect("a row");
    for workspace in running.app.workspaces() {
        iofold::ingest::prune(&running.app, workspace)
            .await
            .expect("it deletes");
    }
    running.app.jobs.prune().await.expect("it deletes");
    assert_eq!(
        count(&running, "select count(*) as found from deliveries").await,
        0
    );
    let asked = count(&running, "select count(*) as found from traces").await;
    assert_eq!(
        (asked, trace_of(&card).is_empty()),
        (1, false),
        "nothing else is touched"
    );
    running.stop().await;
}
