//! What Slack may refuse, and how the service goes on after it.

use std::collections::BTreeSet;

use iofold::playground::langfuse::Apis;
use iofold::playground::slack::Refusal;
use serde_json::Value;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::stage::{Stage, eventually, recorded, trace_of};

on_both_databases!(
    a_card_that_has_to_wait_stands_exactly_once,
    an_update_that_is_refused_for_good_does_not_hold_up_the_others,
    a_token_that_was_refused_once_is_used_again,
);

async fn stage(database: Database) -> Stage {
    Stage::set(database, Apis::Both, recorded("wow_grounded", 8), &[]).await
}

/// The cards, as soon as there are `count`; none is about the same trace as another.
async fn cards(stage: &Stage, count: usize) -> Vec<Value> {
    let cards = eventually("the cards", || async {
        let cards = stage.cards().await;
        (cards.len() >= count).then_some(cards)
    });
    let cards = cards.await;
    let traces: BTreeSet<&str> = cards.iter().map(trace_of).collect();
    assert_eq!((traces.len(), cards.len()), (count, count));
    cards
}

async fn a_card_that_has_to_wait_stands_exactly_once(database: Database) {
    let stage = stage(database).await;
    let slack = stage.playground.slack();
    slack.refuse_next("chat.postMessage", Refusal::RateLimited(3));
    let running = stage.start().await;
    stage.release(2).await;
    cards(&stage, 2).await;
    // Later ones show that nothing of the earlier ones is still on its way.
    stage.release(2).await;
    cards(&stage, 4).await;
    running.stop().await;
}

async fn an_update_that_is_refused_for_good_does_not_hold_up_the_others(database: Database) {
    let stage = stage(database).await;
    let running = stage.start().await;
    stage.release(3).await;
    let asked = cards(&stage, 3).await;
    let refused = asked[1]["ts"].as_str().expect("a ts");
    let slack = stage.playground.slack();
    slack.refuse_updates_of(refused, "cant_update_message");
    // The one in the middle first, so that it is met before one of the others in any order.
    for card in [&asked[1], &asked[0], &asked[2]] {
        assert!(stage.click(card, "you", "👍").await);
    }
    let shows_its_thumb = |card: &Value| card["blocks"].to_string().contains("👍 1");
    let shown = eventually("the tallies of the others", || async {
        let cards = stage.cards().await;
        (shows_its_thumb(&cards[0]) && shows_its_thumb(&cards[2])).then_some(cards)
    });
    assert!(!shows_its_thumb(&shown.await[1]), "it can't be updated");
    running.stop().await;
}

async fn a_token_that_was_refused_once_is_used_again(database: Database) {
    let stage = stage(database).await;
    let slack = stage.playground.slack();
    slack.refuse_next("chat.postMessage", Refusal::Error("invalid_auth"));
    let running = stage.start().await;
    stage.release(2).await;
    cards(&stage, 2).await;
    running.stop().await;
}
