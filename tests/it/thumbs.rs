//! Thumbs: several people, the last one of a person, other workspaces, and forgeries.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::{self, form, interaction_body, now};
use crate::support::stage::{Running, Stage, button, eventually, stage_with_cards};

on_both_databases!(
    thumbs_given_at_once_all_count_and_the_last_of_a_person_wins,
    a_reason_is_added_to_a_label_that_is_stored_already,
    a_click_that_is_not_slacks_or_not_this_workspaces_changes_nothing,
);

/// Each annotator's label and comment on the one trace that has any.
async fn labels(running: &Running) -> BTreeMap<String, (String, Option<String>)> {
    let rows = sqlx::query(
        "select annotator_id, label, comment from labels where workspace_id = 'default'",
    )
    .fetch_all(running.app.db.pool())
    .await
    .expect("rows");
    let read = |row: &sqlx::any::AnyRow| {
        let said = (
            row.get::<String, _>("label"),
            row.get::<Option<String>, _>("comment"),
        );
        (row.get::<String, _>("annotator_id"), said)
    };
    let count = rows.len();
    let labels: BTreeMap<_, _> = rows.iter().map(read).collect();
    assert_eq!(labels.len(), count, "one label per annotator and trace");
    labels
}

fn team(stage: &Stage) -> (String, String) {
    let place = stage.playground.places().remove(0);
    (iofold::playground::slack::TEAM_ID.to_owned(), place.channel)
}

async fn send(stage: &Stage, payload: &Value) -> u16 {
    interaction_body(
        stage,
        &stage.url("/slack/interactions"),
        now(),
        &form(payload),
    )
    .await
    .0
}

async fn thumbs_given_at_once_all_count_and_the_last_of_a_person_wins(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    let card = &cards[0];
    let (team, channel) = team(&stage);
    let (up, down) = (
        button(card, "👍").expect("a button"),
        button(card, "👎").expect("a button"),
    );
    let at = |user: &str, button, ts: &str| signed::click(&team, &channel, card, user, button, ts);
    let base = now();
    // Out of order: the newest of ADA's clicks comes first, and twice.
    let clicks = [
        at("ADA", up, &format!("{base}.000900")),
        at("ADA", up, &format!("{base}.000900")),
        at("ADA", down, &format!("{base}.000300")),
        at("BOB", down, &format!("{base}.000400")),
        at(
            "CLEO",
            button(card, "😐").expect("a button"),
            &format!("{base}.000100"),
        ),
        at("BOB", down, &format!("{base}.000500")),
        at("ADA", down, &format!("{base}.000100")),
    ];
    for status in join_all(clicks.iter().map(|click| send(&stage, click))).await {
        assert_eq!(status, 200);
    }
    let given = labels(&running).await;
    let said = |who: &str| given[who].0.as_str();
    assert_eq!(
        (said("ADA"), said("BOB"), said("CLEO"), given.len()),
        ("up", "down", "neutral", 3)
    );
    let scored = eventually("a score for each person", || async {
        let scores = stage.human_scores();
        let said = |score: &Value| {
            let who = score["metadata"]["annotator"].as_str()?.to_owned();
            Some((who, score["stringValue"].as_str()?.to_owned()))
        };
        let said: BTreeMap<String, String> = scores.iter().filter_map(said).collect();
        let is_last = said.get("ADA")? == "up" && said.get("BOB")? == "down";
        (is_last && said.get("CLEO")? == "neutral").then_some(scores)
    });
    let scored = scored.await;
    assert_eq!(
        scored.len(),
        3,
        "one for each, whatever they pressed before"
    );
    let link = scored[0]["metadata"]["slack"].as_str().expect("a link");
    let ts = card["ts"].as_str().expect("a time").replace('.', "");
    assert!(
        link.ends_with(&format!("/archives/{channel}/p{ts}")),
        "{link}"
    );
    let who = scored[0]["metadata"]["annotator"].as_str().expect("an id");
    assert_eq!(scored[0]["metadata"]["annotator_name"], who.to_lowercase());
    eventually("the tally", || async {
        let card = stage.cards().await.pop()?;
        card["blocks"]
            .to_string()
            .contains("👍 1 · 👎 1 · 😐 1")
            .then_some(())
    })
    .await;
    running.stop().await;
}

async fn a_reason_is_added_to_a_label_that_is_stored_already(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    assert!(stage.click(&cards[0], "you", "👎").await);
    let (_, before) = labels(&running).await.pop_first().expect("a label");
    assert_eq!(
        before,
        ("down".to_owned(), None),
        "stored before the modal opens"
    );
    let view = eventually("the modal", || async {
        let url = stage.page_url("views");
        let views: Value = stage.http.get(url).send().await.ok()?.json().await.ok()?;
        views["views"].get(0).cloned()
    });
    let view = view.await;
    let id = view["id"].as_str().expect("an id");
    let block = &view["blocks"][0];
    let (block_id, action_id) = (
        block["block_id"].as_str(),
        block["element"]["action_id"].as_str(),
    );
    let values = json!({block_id.expect("an id"): {action_id.expect("an id"): "  <!here> it \"lies\" 👎  "}});
    let path = format!("views/{id}/submit");
    assert!(
        stage
            .post(&path, json!({"user": "you", "values": values}))
            .await
    );
    let (_, after) = labels(&running).await.pop_first().expect("a label");
    assert_eq!(
        after,
        ("down".to_owned(), Some("<!here> it \"lies\" 👎".to_owned()))
    );
    let scores = eventually("the reason in Langfuse", || async {
        let scores = stage.human_scores();
        let has_reason = scores.iter().any(|score| score["comment"].is_string());
        has_reason.then_some(scores)
    });
    let scores = scores.await;
    assert_eq!(
        (scores.len(), &scores[0]["comment"]),
        (1, &json!("<!here> it \"lies\" 👎"))
    );
    running.stop().await;
}

async fn a_click_that_is_not_slacks_or_not_this_workspaces_changes_nothing(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    let card = &cards[0];
    let (team, channel) = team(&stage);
    let up = button(card, "👍").expect("a button");
    let mut elsewhere = up.clone();
    elsewhere["value"] = json!("a-trace-of-another-workspace");
    let mut unknown_card = card.clone();
    unknown_card["metadata"] = json!({});
    let url = stage.url("/slack/interactions");
    let you = stage
        .playground
        .slack()
        .user("you")
        .expect("the page's user")
        .id
        .clone();
    let click = |team: &str, channel: &str, card, button| {
        form(&signed::click(
            team, channel, card, &you, button, "1.000001",
        ))
    };
    let huge = vec![b'x'; 20 * 1024 * 1024];
    for (what, at, body, status) in [
        ("too old", now() - 301, click(&team, &channel, card, up), 401),
        ("another team", now(), click("T0THER", &channel, card, up), 200),
        ("another channel", now(), click(&team, "C0THER", card, up), 200),
        ("another trace", now(), click(&team, &channel, &unknown_card, &elsewhere), 200),
        ("another trace, same card", now(), click(&team, &channel, card, &elsewhere), 200),
        ("empty", now(), Vec::new(), 400),
        ("no payload", now(), b"x=1".to_vec(), 400),
        ("no JSON", now(), b"payload=%7B".to_vec(), 400),
        ("no interaction", now(), b"payload=%7B%7D".to_vec(), 400),
        ("NUL and a lone surrogate", now(), b"payload=%7B%22type%22%3A%22%5Cu0000%5Cud800%22%2C%22user%22%3A%7B%22id%22%3A%22U%22%7D%7D".to_vec(), 200),
        ("huge", now(), huge, 413),
    ] {
        let (got, _) = interaction_body(&stage, &url, at, &body).await;
        assert_eq!(got, status, "{what}");
    }
    let unsigned = stage
        .http
        .post(&url)
        .body(click(&team, &channel, card, up))
        .send()
        .await;
    assert_eq!(unsigned.expect("an answer").status().as_u16(), 401);
    assert!(labels(&running).await.is_empty());
    let said = eventually("a word to the person who clicked", || async {
        let messages = stage
            .playground
            .slack()
            .state()
            .of_channel(&channel)
            .cloned()
            .collect::<Vec<_>>();
        messages
            .into_iter()
            .find(|message| message.only_for.is_some())
    });
    assert!(said.await.text.contains("changed nothing"));
    running.stop().await;
}
