//! What people say: in the thread of a card, and by reasons that they tap.

use iofold::playground::langfuse::Apis;
use iofold::playground::slack::TEAM_ID;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::{self, form, interaction_body, now};
use crate::support::stage::{Running, Stage, count, eventually, recorded, trace_of};

on_both_databases!(
    a_reply_becomes_the_comment_of_its_authors_label_and_follows_its_edits,
    what_was_tapped_is_a_reason_and_reasons_are_learnt,
);

async fn stage_with_cards(database: Database, wanted: usize) -> (Stage, Running, Vec<Value>) {
    let stage = Stage::set(database, Apis::Both, recorded("wow_grounded", wanted), &[]).await;
    let running = stage.start().await;
    stage.release(wanted).await;
    // A card is in the channel before its place is in a row.
    eventually("the cards' rows", || async {
        let rows =
            "select count(*) as found from posts where kind = 'card' and posted_at_ms is not null";
        (count(&running, rows).await == wanted as i64).then_some(())
    })
    .await;
    let cards = stage.cards().await;
    assert_eq!(cards.len(), wanted);
    (stage, running, cards)
}

/// The one comment that there is.
async fn comment(running: &Running) -> Option<String> {
    let rows = sqlx::query("select comment from labels where comment is not null")
        .fetch_all(running.app.db.pool())
        .await
        .expect("rows");
    assert!(rows.len() < 2, "one person has said something");
    rows.first().map(|row| row.get("comment"))
}

async fn comment_is(running: &Running, wanted: Option<&str>) {
    eventually(wanted.unwrap_or("no comment"), || async {
        (comment(running).await.as_deref() == wanted).then_some(())
    })
    .await;
}

async fn thumb(stage: &Stage, card: &Value, user: &str, option: &str, ts: &str) {
    let payload = signed::choice(TEAM_ID, &stage.channel(), card, user, option, ts);
    let url = stage.url("/slack/interactions");
    let (status, _) = interaction_body(stage, &url, now(), &form(&payload)).await;
    assert_eq!(status, 200);
}

/// An event of kind `message` about a reply of ADA's.
fn edited(stage: &Stage, card: &Value, text: Option<&str>, event_ts: &str) -> Value {
    let reply = json!({
        "type": "message", "user": "ADA", "ts": "1700000000.000005", "thread_ts": card["ts"],
        "text": text.unwrap_or("gone"),
    });
    let (subtype, key) = match text {
        Some(_) => ("message_changed", "message"),
        None => ("message_deleted", "previous_message"),
    };
    json!({
        "type": "message", "subtype": subtype, "channel": stage.channel(), "event_ts": event_ts,
        "ts": event_ts, key: reply,
    })
}

async fn a_reply_becomes_the_comment_of_its_authors_label_and_follows_its_edits(
    database: Database,
) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    let card = &cards[0];
    let say = |event: Value| {
        let stage = &stage;
        async move {
            for _ in 0..2 {
                assert_eq!(signed::event(stage, &event).await, 200);
            }
        }
    };
    let reply = json!({
        "type": "message", "channel": stage.channel(), "user": "ADA", "ts": "1700000000.000005",
        "event_ts": "1700000000.000005", "thread_ts": card["ts"],
        "text": "<@UNKNOWN> says &lt;b&gt; <https://a.example|there> <!channel>",
    });
    say(reply.clone()).await;
    stage.say("you", "I have not voted", Some(card));
    eventually("both remarks", || async {
        let remarks = "select count(*) as found from remarks";
        (count(&running, remarks).await == 2).then_some(())
    })
    .await;
    assert_eq!(comment(&running).await, None);
    thumb(&stage, card, "ADA", "down", "1700000000.000010").await;
    comment_is(&running, Some("@someone says <b> there @channel")).await;
    say(edited(
        &stage,
        card,
        Some("a better word"),
        "1700000000.000020",
    ))
    .await;
    say(edited(
        &stage,
        card,
        Some("an older word"),
        "1700000000.000015",
    ))
    .await;
    say(reply).await;
    comment_is(&running, Some("a better word")).await;
    eventually("the comment in Langfuse", || async {
        let scores = stage.human_scores();
        (scores.first()?["comment"] == "a better word").then_some(())
    })
    .await;
    // What was said for one thumb does not speak for another.
    thumb(&stage, card, "ADA", "up", "1700000000.000030").await;
    comment_is(&running, None).await;
    thumb(&stage, card, "ADA", "undo", "1700000000.000040").await;
    say(edited(&stage, card, None, "1700000000.000050")).await;
    comment_is(&running, None).await;
    running.stop().await;
}

async fn submit(stage: &Stage, card: &Value, user: &str, tapped: &[&str], text: Option<&str>) {
    let tapped: Vec<Value> = tapped.iter().map(|value| json!({"value": value})).collect();
    let metadata = json!({"workspace": "default", "trace": trace_of(card)});
    let payload = json!({
        "type": "view_submission", "team": {"id": TEAM_ID}, "user": {"id": user, "team_id": TEAM_ID},
        "view": {
            "callback_id": "label_reason", "private_metadata": metadata.to_string(),
            "state": {"values": {
                "reasons": {"reasons": {"type": "checkboxes", "selected_options": tapped}},
                "reason": {"reason": {"type": "plain_text_input", "value": text}},
            }},
        },
    });
    let url = stage.url("/slack/interactions");
    let (status, _) = interaction_body(stage, &url, now(), &form(&payload)).await;
    assert_eq!(status, 200);
}

async fn what_was_tapped_is_a_reason_and_reasons_are_learnt(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 4).await;
    for (card, tapped, text) in [
        (&cards[0], &["No source"][..], Some("it lies :bomb:")),
        (&cards[1], &["no source!"][..], None),
        (&cards[2], &[][..], Some("<!channel> too long")),
    ] {
        thumb(&stage, card, "ADA", "down", "1700000000.000001").await;
        submit(&stage, card, "ADA", tapped, text).await;
    }
    let rows = sqlx::query("select comment from labels order by comment")
        .fetch_all(running.app.db.pool())
        .await
        .expect("rows");
    let comments: Vec<String> = rows.iter().map(|row| row.get("comment")).collect();
    let expected = [
        "<!channel> too long",
        "No source\nit lies :bomb:",
        "no source!",
    ];
    let mut comments = comments;
    comments.sort();
    assert_eq!(comments, expected);
    assert!(stage.click(&cards[3], "you", "👎").await);
    let view = eventually("the modal", || async { stage.views("you").await.pop() });
    let view = view.await;
    let options = view["blocks"][0]["element"]["options"].as_array();
    let options = options.expect("reasons to tap");
    assert_eq!(options.len(), 3, "{options:?}");
    assert_eq!(
        options[0]["value"]
            .as_str()
            .expect("a text")
            .to_lowercase()
            .trim_end_matches('!'),
        "no source"
    );
    assert!(
        options
            .iter()
            .all(|option| option["text"]["emoji"] == false)
    );
    let tapped = json!({"reasons": {"reasons": [options[0]["value"]]}});
    assert!(stage.submit_view(&view, "you", tapped).await);
    eventually("the tapped reason", || async {
        let scores = stage.human_scores();
        let of_you = scores
            .iter()
            .find(|score| score["traceId"] == trace_of(&cards[3]))?;
        (of_you["comment"] == options[0]["value"]).then_some(())
    })
    .await;
    running.stop().await;
}
