//! Labels that are taken back, and whatever people press in whatever order it arrives.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use iofold::domain::Thumb;
use iofold::playground::langfuse::Faults;
use iofold::playground::slack::TEAM_ID;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::{self, form, interaction_body, now};
use crate::support::stage::{Stage, count, eventually, stage_with_cards, trace_of};

on_both_databases!(
    a_label_is_taken_back_everywhere_and_can_be_given_again,
    a_label_that_is_taken_back_while_langfuse_is_away_is_deleted_there_later,
    what_an_eval_has_seen_stays_seen,
    a_label_that_is_given_again_is_as_old_as_the_first,
    ones_own_line_can_be_pressed_after_the_card_was_deleted,
    toggling_fast_never_miscounts,
    who_voted_is_shown_after_ones_own_vote_and_can_be_undone_there,
    what_a_person_skips_comes_to_them_no_more_unless_they_ask,
);

async fn send(stage: &Stage, payload: &Value) {
    let url = stage.url("/slack/interactions");
    let (status, _) = interaction_body(stage, &url, now(), &form(payload)).await;
    assert_eq!(status, 200, "{payload}");
}

/// A choice in the card's menu, so many microseconds after a fixed time.
async fn choose(stage: &Stage, card: &Value, user: &str, option: &str, at_us: u64) {
    let ts = format!("1700000000.{at_us:06}");
    let payload = signed::choice(TEAM_ID, &stage.channel(), card, user, option, &ts);
    send(stage, &payload).await;
}

/// Whether a card shows these counts.
async fn shows(stage: &Stage, what: &str, tally: &str) {
    eventually(what, || async {
        let card = stage.cards().await.pop()?;
        card["blocks"].to_string().contains(tally).then_some(())
    })
    .await;
}

async fn a_label_is_taken_back_everywhere_and_can_be_given_again(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    let card = &cards[0];
    choose(&stage, card, "ADA", "down", 1).await;
    eventually("a score", || async {
        (stage.human_scores().len() == 1).then_some(())
    })
    .await;
    choose(&stage, card, "ADA", "undo", 3).await;
    // What was pressed before and arrives after changes nothing, nor does a second Undo.
    choose(&stage, card, "ADA", "up", 2).await;
    choose(&stage, card, "ADA", "undo", 4).await;
    assert_eq!(
        count(&running, "select count(*) as found from labels").await,
        0
    );
    eventually("no score", || async {
        stage.human_scores().is_empty().then_some(())
    })
    .await;
    shows(&stage, "a card without labels", "No labels yet").await;
    choose(&stage, card, "ADA", "up", 5).await;
    let scores = eventually("a score again", || async {
        let scores = stage.human_scores();
        (!scores.is_empty()).then_some(scores)
    });
    assert_eq!(scores.await[0]["stringValue"], "up");
    shows(&stage, "a card with a label", "👍 1 · 👎 0 · 😐 0").await;
    running.stop().await;
}

async fn a_label_that_is_taken_back_while_langfuse_is_away_is_deleted_there_later(
    database: Database,
) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    choose(&stage, &cards[0], "ADA", "down", 1).await;
    eventually("a score", || async {
        (stage.human_scores().len() == 1).then_some(())
    })
    .await;
    let away = Faults {
        all: Some(503),
        ..Faults::default()
    };
    stage.playground.langfuse().fail(away);
    choose(&stage, &cards[0], "ADA", "undo", 2).await;
    running.stop().await;
    assert_eq!(stage.human_scores().len(), 1, "it could not be deleted yet");
    stage.playground.langfuse().fail(Faults::default());
    let running = stage.start().await;
    eventually("no score", || async {
        stage.human_scores().is_empty().then_some(())
    })
    .await;
    running.stop().await;
}

async fn what_an_eval_has_seen_stays_seen(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    choose(&stage, &cards[0], "ADA", "down", 1).await;
    let rows = format!(
        "insert into evals (workspace_id, id, name, created_at_ms) values ('default', 'e', 'e', 0);
         insert into eval_versions (workspace_id, id, eval_id, number, label_count, source, source_hash, generator,
                                    candidates_tried, state, created_at_ms)
         values ('default', 'v', 'e', 1, 20, '', '', 'rules', 0, 'discarded', 0);
         insert into seen_labels (workspace_id, version_id, trace_id) values ('default', 'v', '{}')",
        trace_of(&cards[0]).replace('\'', "''")
    );
    let inserted = sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(running.app.db.pool());
    inserted.await.expect("rows");
    choose(&stage, &cards[0], "ADA", "undo", 2).await;
    choose(&stage, &cards[0], "ADA", "up", 3).await;
    assert_eq!(
        count(&running, "select count(*) as found from labels").await,
        1
    );
    assert_eq!(
        count(&running, "select count(*) as found from seen_labels").await,
        1
    );
    running.stop().await;
}

async fn a_label_that_is_given_again_is_as_old_as_the_first(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    choose(&stage, &cards[0], "ADA", "down", 1).await;
    let frozen = now() * 1_000 + 1_000;
    choose(&stage, &cards[0], "ADA", "undo", 2).await;
    eventually("a later time", || async {
        (now() * 1_000 > frozen).then_some(())
    })
    .await;
    choose(&stage, &cards[0], "ADA", "up", 3).await;
    let older = "select count(*) as found from labels where labelled_at_ms < $1";
    let row = sqlx::query(older)
        .bind(frozen)
        .fetch_one(running.app.db.pool())
        .await
        .expect("a row");
    assert_eq!(
        row.get::<i64, _>("found"),
        1,
        "an eval made at {frozen} may know it"
    );
    running.stop().await;
}

async fn ones_own_line_can_be_pressed_after_the_card_was_deleted(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 1).await;
    let card = &cards[0];
    choose(&stage, card, "UADAX", "up", 1).await;
    assert!(stage.click(card, "you", "👎").await);
    let line = whisper(&stage, "you", "You: 👎 · uadax 👍").await;
    assert!(stage.delete(card, "you").await);
    eventually("the card's row", || async {
        let gone = "select count(*) as found from posts where gone_at_ms is not null";
        (count(&running, gone).await == 1).then_some(())
    })
    .await;
    assert!(
        stage
            .choose(&line, "you", "label_undo", trace_of(card))
            .await
    );
    whisper(&stage, "you", "Your 👎 is taken back").await;
    let labels = "select count(*) as found from labels";
    assert_eq!(count(&running, labels).await, 1);
    running.stop().await;
}

/// What somebody presses.
#[derive(Clone, Copy, Debug)]
enum Press {
    Thumb(Thumb),
    Undo,
    React(Thumb, bool),
}

const PEOPLE: usize = 5;

/// Presses of several people, each at its own time, in the order in which they arrive; some twice.
fn presses() -> impl Strategy<Value = Vec<(usize, u64, Press)>> {
    let thumb = prop_oneof![Just(Thumb::Up), Just(Thumb::Down), Just(Thumb::Neutral)];
    let press = prop_oneof![
        3 => thumb.clone().prop_map(Press::Thumb),
        1 => Just(Press::Undo),
        3 => (thumb, any::<bool>()).prop_map(|(thumb, added)| Press::React(thumb, added)),
    ];
    let pressed = proptest::collection::vec((0..PEOPLE, press), 60);
    pressed
        .prop_map(|pressed| {
            let timed = (1..).zip(pressed);
            let timed = timed.map(|(at, (who, press))| (who, at, press));
            timed
                .flat_map(|one: (usize, u64, Press)| {
                    let times = if one.1.is_multiple_of(4) { 2 } else { 1 };
                    std::iter::repeat_n(one, times)
                })
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// What stands at the end, told from the end: the last press that decides.
fn expected(presses: &[(usize, u64, Press)], who: usize) -> Option<Thumb> {
    let mut own: Vec<_> = presses.iter().filter(|press| press.0 == who).collect();
    own.sort_by_key(|press| std::cmp::Reverse(press.1));
    own.dedup_by_key(|press| press.1);
    let mut removed = Vec::new();
    for (_, _, press) in own {
        match press {
            Press::Undo => return None,
            Press::React(thumb, false) => removed.push(*thumb),
            Press::React(thumb, true) if removed.contains(thumb) => return None,
            Press::React(thumb, true) | Press::Thumb(thumb) => return Some(*thumb),
        }
    }
    None
}

async fn press(stage: &Stage, card: &Value, (who, at, press): (usize, u64, Press)) {
    let user = format!("UP{who}");
    match press {
        Press::Thumb(thumb) => choose(stage, card, &user, thumb.as_str(), at).await,
        Press::Undo => choose(stage, card, &user, "undo", at).await,
        Press::React(thumb, added) => {
            let name = match thumb {
                Thumb::Up => "+1::skin-tone-4",
                Thumb::Neutral => "neutral_face",
                Thumb::Down => "thumbsdown",
            };
            let ts = format!("1700000000.{at:06}");
            let event = signed::reaction(&stage.channel(), card, &user, (name, added), &ts);
            // Slack sends again what was not taken in time.
            eventually("the reaction is taken", || async {
                (signed::event(stage, &event).await == 200).then_some(())
            })
            .await;
        }
    }
}

async fn toggling_fast_never_miscounts(database: Database) {
    const ROUNDS: usize = 3;
    let (stage, running, cards) = stage_with_cards(database, ROUNDS).await;
    let mut runner = TestRunner::deterministic();
    let mut wanted: BTreeMap<(String, String), String> = BTreeMap::new();
    for card in &cards {
        let pressed = presses().new_tree(&mut runner).expect("a case").current();
        let sent = stream::iter(&pressed).map(|one| press(&stage, card, *one));
        sent.buffer_unordered(6).collect::<Vec<()>>().await;
        for who in 0..PEOPLE {
            if let Some(thumb) = expected(&pressed, who) {
                let key = (trace_of(card).to_owned(), format!("UP{who}"));
                wanted.insert(key, thumb.as_str().to_owned());
            }
        }
    }
    let rows = sqlx::query("select trace_id, annotator_id, label from labels")
        .fetch_all(running.app.db.pool())
        .await
        .expect("rows");
    let text = |row: &sqlx::any::AnyRow, name| row.get::<String, _>(name);
    let rows = rows.iter().map(|row| {
        let key = (text(row, "trace_id"), text(row, "annotator_id"));
        (key, text(row, "label"))
    });
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), wanted, "the rows");
    eventually("scores as the rows are", || async {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let scores = stage.human_scores().into_iter().map(|score| {
            let key = (
                text(&score["traceId"]),
                text(&score["metadata"]["annotator"]),
            );
            (key, text(&score["stringValue"]))
        });
        (scores.collect::<BTreeMap<_, _>>() == wanted).then_some(())
    })
    .await;
    for card in &cards {
        let of = |thumb: &str| {
            let given = wanted.iter();
            let same =
                given.filter(|((trace, _), label)| trace == trace_of(card) && *label == thumb);
            same.count()
        };
        let (up, down, neutral) = (of("up"), of("down"), of("neutral"));
        let tally = match up + down + neutral {
            0 => "No labels yet".to_owned(),
            _ => format!("👍 {up} · 👎 {down} · 😐 {neutral}"),
        };
        eventually("a tally as the rows are", || async {
            let cards = stage.cards().await;
            let shown = cards.iter().find(|shown| shown["ts"] == card["ts"])?;
            shown["blocks"].to_string().contains(&tally).then_some(())
        })
        .await;
    }
    running.stop().await;
}

async fn whisper(stage: &Stage, user: &str, text: &str) -> Value {
    eventually("a word to one person", || async {
        let said = stage.ephemeral(user).await;
        let text_of = |message: &Value| message["text"].as_str().unwrap_or_default().to_owned();
        said.into_iter()
            .rfind(|message| text_of(message).contains(text))
    })
    .await
}

async fn who_voted_is_shown_after_ones_own_vote_and_can_be_undone_there(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 2).await;
    let (card, trace) = (&cards[0], trace_of(&cards[0]));
    choose(&stage, card, "UADAX", "up", 1).await;
    assert!(stage.click(card, "you", "👎").await);
    let line = whisper(&stage, "you", "You: 👎 · uadax 👍").await;
    shows_no_names(&stage, card).await;
    // The next card of a sitting says nothing where nobody disagrees.
    assert!(stage.click(&cards[1], "you", "👍").await);
    assert!(stage.choose(&line, "you", "label_undo", trace).await);
    whisper(&stage, "you", "Your 👎 is taken back").await;
    assert_eq!(
        stage.ephemeral("you").await.len(),
        1,
        "it replaces the line"
    );
    assert_eq!(
        count(&running, "select count(*) as found from labels").await,
        2
    );
    running.stop().await;
}

async fn shows_no_names(stage: &Stage, card: &Value) {
    eventually("the tally", || async {
        let cards = stage.cards().await;
        let shown = cards.iter().find(|shown| shown["ts"] == card["ts"])?;
        let shown = shown["blocks"].to_string();
        assert!(!shown.contains("uadax"), "{shown}");
        shown.contains("👍 1 · 👎 1 · 😐 0").then_some(())
    })
    .await;
}

async fn what_a_person_skips_comes_to_them_no_more_unless_they_ask(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 3).await;
    let you = stage
        .playground
        .slack()
        .user("you")
        .expect("a user")
        .id
        .clone();
    let left = |user: String| {
        let db = running.app.db.clone();
        async move {
            let (workspace, annotator) = ("default".into(), user.as_str().into());
            let left = iofold::label::unlabelled_for(&db, &workspace, &annotator, 9).await;
            left.expect("traces").len()
        }
    };
    assert_eq!(left(you.clone()).await, 3);
    choose(&stage, &cards[0], &you, "skip", 1).await;
    assert_eq!(
        (left(you.clone()).await, left("ADA".to_owned()).await),
        (2, 3)
    );
    let said = whisper(&stage, "you", "Skipped").await;
    choose(&stage, &cards[1], &you, "up", 2).await;
    assert_eq!(left(you.clone()).await, 1);
    assert!(
        stage
            .choose(&said, "you", "label_ask_again", trace_of(&cards[0]))
            .await
    );
    assert_eq!(left(you.clone()).await, 2);
    let not_mine = |at: &str| {
        let button = json!({"action_id": "label_not_mine", "value": trace_of(&cards[0])});
        signed::click(TEAM_ID, &stage.channel(), &said, &you, &button, at)
    };
    send(&stage, &not_mine("9.0")).await;
    // By the stand-in's clock it was asked for again later than that.
    assert_eq!(left(you.clone()).await, 2);
    send(&stage, &not_mine("9000000000.0")).await;
    assert_eq!(left(you).await, 0, "all have one name");
    running.stop().await;
}
