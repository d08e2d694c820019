//! Swiping: many thumbs in one modal, whatever order its presses come in.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use iofold::playground::langfuse::Recorded;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::front::{Front, command, pressed, send, stamp};
use crate::support::signed::now;
use crate::support::stage::{Running, Stage, count, eventually, recorded, trace_of};

on_both_databases!(
    twenty_traces_are_labelled_in_one_modal_and_only_slack_is_waited_for,
    presses_that_come_twice_late_or_out_of_order_are_about_the_trace_that_they_name,
    what_was_pressed_last_is_taken_back_and_shown_again,
    a_typed_reason_comes_with_the_thumb,
    a_press_that_is_not_this_workspaces_changes_nothing,
    hostile_texts_have_no_meaning_in_the_modal,
);

async fn stage_with_cards(
    database: Database,
    recorded: Vec<Recorded>,
) -> (Front, Stage, Running, Vec<Value>) {
    let count = recorded.len();
    let (front, stage) = Front::with_stage(database, recorded, &[]).await;
    let running = stage.start().await;
    stage.release(count).await;
    let cards = stage.cards_once_there(count).await;
    (front, stage, running, cards)
}

/// Types `/iofold label`, and gives the modal that opens.
async fn opened(stage: &Stage, front: &Front) -> Value {
    let before = front.calls_of("views.open").len();
    let answer = command(stage, front, "label").await;
    assert_eq!(answer, Value::Null, "the modal is the answer");
    eventually("the modal", || async {
        (front.calls_of("views.open").len() > before).then(|| front.modal())?
    })
    .await
}

/// The trace that a modal shows; empty where it shows none.
fn shown(modal: &Value) -> String {
    let metadata = modal["private_metadata"]
        .as_str()
        .expect("a modal carries it");
    let metadata: Value = serde_json::from_str(metadata).expect("it is JSON");
    metadata["trace"].as_str().unwrap_or_default().to_owned()
}

fn progress(modal: &Value) -> &str {
    let text = &modal["blocks"][0]["elements"][0]["text"];
    text.as_str().expect("a modal says how far people are")
}

/// Presses a button and waits for another trace.
async fn press_and_go_on(stage: &Stage, front: &Front, modal: &Value, action: &str) -> Value {
    let ts = stamp();
    let (status, answer) = send(stage, &pressed(modal, "ADA", action, &ts)).await;
    assert_eq!((status, answer), (200, Value::Null), "acknowledged empty");
    let before = modal["hash"].clone();
    front
        .modal_that("the next trace", |modal| modal["hash"] != before)
        .await
}

/// The one label of a trace, and its comment.
async fn label_of(running: &Running, trace: &str) -> Option<(String, Option<String>)> {
    let row = sqlx::query("select label, comment from labels where trace_id = $1")
        .bind(trace)
        .fetch_optional(running.app.db.pool())
        .await;
    row.expect("rows")
        .map(|row| (row.get("label"), row.get("comment")))
}

const LABELS: &str = "select count(*) as found from labels";

async fn twenty_traces_are_labelled_in_one_modal_and_only_slack_is_waited_for(database: Database) {
    let (front, stage, running, cards) =
        stage_with_cards(database, recorded("wow_grounded", 22)).await;
    let mut modal = opened(&stage, &front).await;
    assert!(
        progress(&modal).contains("20 more until the eval"),
        "{modal}"
    );
    let mut seen = BTreeSet::new();
    for turn in 0..20 {
        seen.insert(shown(&modal));
        let action = ["swipe_up", "swipe_up", "swipe_down", "swipe_neutral"][turn % 4];
        // Slack takes its time, and the press is acknowledged and written down all the same.
        let held = front.hold_views().await;
        let ts = stamp();
        let (status, _) = send(&stage, &pressed(&modal, "ADA", action, &ts)).await;
        assert_eq!(status, 200);
        assert!(label_of(&running, &shown(&modal)).await.is_some());
        drop(held);
        let before = modal["hash"].clone();
        modal = front
            .modal_that("the next trace", |modal| modal["hash"] != before)
            .await;
        assert!(
            progress(&modal).contains(&format!("*{}*", turn + 1)),
            "{modal}"
        );
    }
    assert_eq!(seen.len(), 20, "each trace once");
    assert_eq!(count(&running, LABELS).await, 20);
    assert_eq!(
        front.calls_of("views.open").len(),
        1,
        "no modal asks for reasons"
    );
    assert_eq!(front.calls_of("views.update").len(), 20, "one call a press");
    eventually("the tallies on the cards", || async {
        let cards = stage.cards().await;
        let told = cards.iter().filter(|card| {
            seen.contains(trace_of(card)) && !card["blocks"].to_string().contains("No labels yet")
        });
        (told.count() == 20).then_some(())
    })
    .await;
    for _ in 20..cards.len() {
        modal = press_and_go_on(&stage, &front, &modal, "swipe_up").await;
    }
    assert!(
        modal["blocks"].to_string().contains("Nothing to label"),
        "{modal}"
    );
    running.stop().await;
}

async fn presses_that_come_twice_late_or_out_of_order_are_about_the_trace_that_they_name(
    database: Database,
) {
    let (front, stage, running, _) = stage_with_cards(database, recorded("wow_grounded", 3)).await;
    let first = opened(&stage, &front).await;
    let base = now();
    let at = |action, us: u32| pressed(&first, "ADA", action, &format!("{base}.{us:06}"));
    let twice = [
        at("swipe_up", 500),
        at("swipe_up", 500),
        at("swipe_down", 400),
    ];
    for (status, _) in join_all(twice.iter().map(|press| send(&stage, press))).await {
        assert_eq!(status, 200);
    }
    let second = front
        .modal_that("the next trace", |modal| shown(modal) != shown(&first))
        .await;
    assert_eq!(count(&running, LABELS).await, 1);
    let first_label = label_of(&running, &shown(&first)).await.expect("a label");
    assert_eq!(first_label.0, "up", "the last by Slack's time");
    // A press on what was shown before, once the next trace is there.
    let (status, _) = send(&stage, &at("swipe_neutral", 900)).await;
    assert_eq!(status, 200);
    let first_label = label_of(&running, &shown(&first)).await.expect("a label");
    assert_eq!(first_label.0, "neutral");
    assert_eq!(count(&running, LABELS).await, 1);
    let third = press_and_go_on(&stage, &front, &second, "swipe_down").await;
    let traces = [&first, &second, &third].map(shown);
    assert_eq!(
        BTreeSet::from(traces).len(),
        3,
        "no trace is left out or shown twice"
    );
    running.stop().await;
}

async fn what_was_pressed_last_is_taken_back_and_shown_again(database: Database) {
    let (front, stage, running, _) = stage_with_cards(database, recorded("wow_grounded", 3)).await;
    let first = opened(&stage, &front).await;
    let second = press_and_go_on(&stage, &front, &first, "swipe_skip").await;
    assert_ne!(shown(&first), shown(&second));
    assert_eq!(count(&running, LABELS).await, 0);
    let again = press_and_go_on(&stage, &front, &second, "swipe_undo").await;
    assert_eq!(shown(&again), shown(&first));
    let second = press_and_go_on(&stage, &front, &again, "swipe_down").await;
    assert_eq!(count(&running, LABELS).await, 1);
    let again = press_and_go_on(&stage, &front, &second, "swipe_undo").await;
    assert_eq!(shown(&again), shown(&first));
    assert_eq!(count(&running, LABELS).await, 0);
    assert!(progress(&again).contains("*0*"));
    let last = press_and_go_on(&stage, &front, &again, "swipe_not_mine").await;
    assert_ne!(shown(&last), shown(&first));
    // Pressed twice, it is taken back once.
    let ts = stamp();
    let undo = pressed(&last, "ADA", "swipe_undo", &ts);
    for (status, _) in join_all([send(&stage, &undo), send(&stage, &undo)]).await {
        assert_eq!(status, 200);
    }
    front
        .modal_that("the trace again", |modal| shown(modal) == shown(&first))
        .await;
    running.stop().await;
}

async fn a_typed_reason_comes_with_the_thumb(database: Database) {
    let (front, stage, running, _) = stage_with_cards(database, recorded("wow_grounded", 3)).await;
    let typing = |modal: &Value, text: &str| {
        let blocks = modal["blocks"].as_array().expect("blocks");
        let field = blocks
            .iter()
            .find(|block| block["type"] == "input")
            .expect("a field");
        let mut modal = modal.clone();
        modal["state"] = json!({"values": {field["block_id"].as_str().expect("an id"): {
            field["element"]["action_id"].as_str().expect("an id"):
                {"type": "plain_text_input", "value": text}}}});
        modal
    };
    let first = opened(&stage, &front).await;
    let said = typing(&first, " <!channel> not what the source says\n");
    let second = press_and_go_on(&stage, &front, &said, "swipe_down").await;
    let expected = (
        "down".to_owned(),
        Some("<!channel> not what the source says".to_owned()),
    );
    assert_eq!(label_of(&running, &shown(&first)).await, Some(expected));
    let [one, other] = [&first, &second].map(|modal| {
        let blocks = modal["blocks"].as_array().expect("blocks");
        blocks
            .iter()
            .find(|block| block["type"] == "input")
            .expect("a field")["block_id"]
            .clone()
    });
    assert_ne!(one, other, "what was typed does not stay in the field");
    // Enter submits the modal: with a reason that is a 👎, without one it is nothing.
    let submitted = |modal: &Value| {
        let mut payload = pressed(modal, "ADA", "swipe_up", "0");
        payload["type"] = json!("view_submission");
        payload
    };
    let (_, answer) = send(&stage, &submitted(&second)).await;
    assert_eq!(answer["response_action"], "errors");
    assert_eq!(count(&running, LABELS).await, 1);
    let (_, answer) = send(&stage, &submitted(&typing(&second, "invented"))).await;
    assert_eq!(answer["response_action"], "update");
    assert_ne!(shown(&answer["view"]), shown(&second));
    let expected = ("down".to_owned(), Some("invented".to_owned()));
    assert_eq!(label_of(&running, &shown(&second)).await, Some(expected));
    running.stop().await;
}

async fn a_press_that_is_not_this_workspaces_changes_nothing(database: Database) {
    let (front, stage, running, _) = stage_with_cards(database, recorded("wow_grounded", 2)).await;
    let modal = opened(&stage, &front).await;
    let ts = stamp();
    let good = pressed(&modal, "ADA", "swipe_up", &ts);
    let with = |path: &str, value: Value| {
        let mut press = good.clone();
        *press.pointer_mut(path).expect("it is there") = value;
        press
    };
    let foreign = [
        with("/team/id", json!("TOTHER")),
        with("/user/team_id", json!("TOTHER")),
        with("/actions/0/value", json!("no-such-trace")),
        with("/actions/0/action_id", json!("swipe_left")),
        with("/view/private_metadata", json!("{}")),
        with("/view/private_metadata", json!("\u{0}]")),
        with(
            "/view/private_metadata",
            json!(r#"{"workspace":"other","trace":"t","turn":1,"done":[]}"#),
        ),
        with("/view/callback_id", json!("label_reason")),
    ];
    for press in &foreign {
        assert_eq!(send(&stage, press).await.0, 200);
    }
    assert_eq!(count(&running, LABELS).await, 0);
    assert_eq!(front.calls_of("views.update").len(), 0);
    assert_eq!(send(&stage, &good).await.0, 200);
    assert_eq!(
        count(&running, LABELS).await,
        1,
        "the same press, when it is ours"
    );
    running.stop().await;
}

async fn hostile_texts_have_no_meaning_in_the_modal(database: Database) {
    let hostile = "<!channel> <@U1> ``` *b* <https://evil.example|x> \u{202e}rtl";
    let mut traces = recorded("wow_grounded", 1);
    traces[0].trace["input"] = json!(hostile);
    traces[0].trace["output"] = json!(hostile);
    traces[0].trace["name"] = json!("<!here>");
    let (front, stage, running, _) = stage_with_cards(database, traces).await;
    let modal = opened(&stage, &front).await;
    let blocks = modal["blocks"].as_array().expect("blocks");
    for block in blocks {
        let texts = [&block["text"], &block["elements"][0]];
        for text in texts.iter().filter(|text| text["type"] == "mrkdwn") {
            let text = text["text"].as_str().expect("a text");
            assert!(!text.contains("<!") && !text.contains("<@"), "{text}");
        }
    }
    assert!(
        modal["blocks"].to_string().contains("channel"),
        "it is shown as text"
    );
    running.stop().await;
}
