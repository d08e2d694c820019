//! Thumbs as reactions to a card.

use iofold::playground::langfuse::Apis;
use iofold::playground::slack::BOT_USER_ID;
use serde_json::Value;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed;
use crate::support::stage::{Running, Stage, count, eventually, recorded};

on_both_databases!(
    a_reaction_is_a_label_until_it_is_removed,
    a_reaction_that_comes_before_the_cards_place_is_known_comes_again,
    reactions_of_programs_and_guests_and_to_other_messages_do_not_count,
);

async fn stage_with_card(database: Database) -> (Stage, Running, Value) {
    let stage = Stage::set(database, Apis::Both, recorded("wow_grounded", 1), &[]).await;
    let running = stage.start().await;
    stage.release(1).await;
    let card = eventually("the card", || async { stage.cards().await.pop() });
    let card = card.await;
    // It is in the channel before its place is in a row.
    eventually("its row", || async {
        let rows =
            "select count(*) as found from posts where kind = 'card' and posted_at_ms is not null";
        (count(&running, rows).await == 1).then_some(())
    })
    .await;
    (stage, running, card)
}

async fn a_reaction_is_a_label_until_it_is_removed(database: Database) {
    let (stage, running, card) = stage_with_card(database).await;
    assert!(stage.react(&card, "you", "+1", true).await);
    let scores = eventually("a score", || async {
        let scores = stage.human_scores();
        (!scores.is_empty()).then_some(scores)
    });
    let scores = scores.await;
    assert_eq!(
        (
            &scores[0]["stringValue"],
            &scores[0]["metadata"]["annotator_name"]
        ),
        (&"up".into(), &"you".into())
    );
    assert!(stage.react(&card, "you", "+1", false).await);
    eventually("no score", || async {
        stage.human_scores().is_empty().then_some(())
    })
    .await;
    assert_eq!(
        count(&running, "select count(*) as found from labels").await,
        0
    );
    running.stop().await;
}

async fn a_reaction_that_comes_before_the_cards_place_is_known_comes_again(database: Database) {
    let (stage, running, card) = stage_with_card(database).await;
    let pool = running.app.db.pool();
    // As a crash leaves it between the post and the row; nobody else takes the claim here.
    sqlx::query(
        "update posts set posted_at_ms = null, channel_id = null, ts = null,
             claimed_at_ms = claimed_at_ms + 3600000 where kind = 'card'",
    )
    .execute(pool)
    .await
    .expect("a row");
    let channel = stage.channel();
    let mut earlier = card.clone();
    earlier["ts"] = "1700000000.000001".into();
    let at = "1700000000.000002";
    let event = signed::reaction(&channel, &card, "ADA", ("-1", true), at);
    assert_eq!(signed::event(&stage, &event).await, 500);
    let other = signed::reaction(&channel, &earlier, "ADA", ("-1", true), at);
    assert_eq!(signed::event(&stage, &other).await, 200, "it is no card");
    sqlx::query("update posts set posted_at_ms = claimed_at_ms, channel_id = $1, ts = $2 where kind = 'card'")
        .bind(&channel)
        .bind(card["ts"].as_str())
        .execute(pool)
        .await
        .expect("a row");
    assert_eq!(signed::event(&stage, &event).await, 200);
    let labels = "select count(*) as found from labels where label = 'down'";
    assert_eq!(count(&running, labels).await, 1);
    running.stop().await;
}

async fn reactions_of_programs_and_guests_and_to_other_messages_do_not_count(database: Database) {
    let (stage, running, card) = stage_with_card(database).await;
    let slack = stage.playground.slack();
    let you = slack.user("you").expect("a user").clone();
    slack.move_to_team(&you, "T0THER");
    let channel = stage.channel();
    let mut elsewhere = card.clone();
    elsewhere["ts"] = "1700000000.000001".into();
    for (user, card, name) in [
        (BOT_USER_ID, &card, "+1"),
        (you.id.as_str(), &card, "+1"),
        ("ADA", &elsewhere, "+1"),
        ("ADA", &card, "heart"),
    ] {
        let event = signed::reaction(&channel, card, user, (name, true), "1700000000.000002");
        assert_eq!(signed::event(&stage, &event).await, 200, "{user} {name}");
    }
    assert_eq!(
        count(&running, "select count(*) as found from labels").await,
        0
    );
    let event = signed::reaction(&channel, &card, "ADA", ("-1", true), "1700000000.000002");
    assert_eq!(signed::event(&stage, &event).await, 200);
    assert_eq!(
        count(
            &running,
            "select count(*) as found from labels where label = 'down'"
        )
        .await,
        1
    );
    running.stop().await;
}
