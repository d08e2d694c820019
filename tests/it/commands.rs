//! `/iofold …` and the app's Home.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::Database;
use crate::support::front::{Front, command, command_with, pressed, send, stamp};
use crate::support::signed::{click, interaction_body, now};
use crate::support::stage::{Running, Stage, button, count, eventually, recorded};

on_both_databases!(
    what_is_typed_is_answered_with_what_works,
    a_pause_holds_cards_and_nothing_else,
    a_budget_that_people_set_wins_and_stays,
    an_eval_is_made_by_hand_as_soon_as_labels_allow,
    the_figures_are_told_again,
    what_takes_long_is_answered_later,
    the_home_shows_how_the_workspace_stands_and_its_buttons_work,
    a_digests_button_opens_the_modal_for_labelling,
);

async fn running_with(database: Database, traces: usize) -> (Front, Stage, Running) {
    let recorded = recorded("wow_grounded", traces);
    let (front, stage) = Front::with_stage(database, recorded, &[]).await;
    let running = stage.start().await;
    (front, stage, running)
}

/// What a command is answered with, for whoever typed it alone.
async fn said(stage: &Stage, front: &Front, text: &str) -> String {
    let answer = command(stage, front, text).await;
    assert_eq!(answer["response_type"], "ephemeral", "{answer}");
    assert!(answer["text"].as_str().is_some_and(|text| !text.is_empty()));
    let blocks = answer["blocks"].as_array().expect("blocks");
    assert!((1..=50).contains(&blocks.len()));
    json!(blocks).to_string()
}

async fn what_is_typed_is_answered_with_what_works(database: Database) {
    let (front, stage, running) = running_with(database, 1).await;
    for (typed, expected) in [
        ("", "/iofold status"),
        ("  HELP  ", "/iofold pause [2h]"),
        ("*Status*", "20 more until the eval"),
        ("statsu", "Did you mean *status*?"),
        ("<!channel> & co", "“channel”"),
        ("帮助", "What works: status, label"),
        ("report", "There is no report yet"),
        ("report <!here>", "There is no report yet"),
        ("evals", "There is no eval yet"),
        ("generate", "3 👍 and 3 👎 more needed"),
        ("pause tomorrow", "Say how long"),
        ("budget 0", "a number from 1 to 1000"),
        ("budget", "of 100000 cards this hour"),
    ] {
        let said = said(&stage, &front, typed).await;
        assert!(said.contains(expected), "{typed}: {said}");
        assert!(!said.contains("<!"), "{said}");
    }
    let from = |team: &'static str, channel: &'static str| {
        let fields = [
            ("command", "/iofold"),
            ("text", "status"),
            ("team_id", team),
            ("channel_id", channel),
            ("channel_name", "directmessage"),
            ("user_id", "ADA"),
        ];
        let (stage, front) = (&stage, &front);
        async move { command_with(stage, front, &fields).await.to_string() }
    };
    let ours = iofold::playground::slack::TEAM_ID;
    assert!(
        from(ours, "D1").await.contains("more until the eval"),
        "the team's only one"
    );
    let other = from("TOTHER", "C1").await;
    assert!(other.contains("isn't connected to this team"), "{other}");
    running.stop().await;
}

const TRACES: &str = "select count(*) as found from traces";

async fn a_pause_holds_cards_and_nothing_else(database: Database) {
    let (front, stage, running) = running_with(database, 3).await;
    let paused = said(&stage, &front, "pause 2h").await;
    assert!(paused.contains("paused by ADA until <!date^"), "{paused}");
    stage.release(2).await;
    eventually("the traces", || async {
        (count(&running, TRACES).await == 2).then_some(())
    })
    .await;
    assert!(
        said(&stage, &front, "status")
            .await
            .contains("paused by ADA")
    );
    running.stop().await;
    // A pause outlives the process, and can be made another.
    let running = stage.start().await;
    stage.release(1).await;
    eventually("the traces", || async {
        (count(&running, TRACES).await == 3).then_some(())
    })
    .await;
    let paused = said(&stage, &front, "pause").await;
    assert!(paused.contains("until somebody resumes"), "{paused}");
    let asked = "select count(*) as found from traces where asked is not null";
    assert_eq!(count(&running, asked).await, 0);
    assert!(stage.cards().await.is_empty());
    let resumed = said(&stage, &front, "resume").await;
    assert!(resumed.contains("Cards come again"), "{resumed}");
    eventually("the cards", || async {
        (stage.cards().await.len() == 3).then_some(())
    })
    .await;
    running.stop().await;
}

async fn a_budget_that_people_set_wins_and_stays(database: Database) {
    let (front, stage, running) = running_with(database, 8).await;
    let set = said(&stage, &front, "budget 1").await;
    assert!(set.contains("0 of 1 cards this hour"), "{set}");
    running.stop().await;
    let running = stage.start().await;
    stage.release(4).await;
    eventually("a card", || async {
        (!stage.cards().await.is_empty()).then_some(())
    })
    .await;
    // All that was asked about before counts, so that no second card can come in this hour.
    let decided =
        "select count(*) as found from posts where kind = 'card' and posted_at_ms is not null";
    eventually("the card's row", || async {
        (count(&running, decided).await == 1).then_some(())
    })
    .await;
    let shown = said(&stage, &front, "status").await;
    assert!(shown.contains("1 of 1 cards this hour"), "{shown}");
    said(&stage, &front, "budget 1000").await;
    stage.release(4).await;
    eventually("more cards", || async {
        (stage.cards().await.len() > 1).then_some(())
    })
    .await;
    running.stop().await;
}

async fn an_eval_is_made_by_hand_as_soon_as_labels_allow(database: Database) {
    let (front, stage, running) = running_with(database, 8).await;
    stage.release(8).await;
    let cards = eventually("the cards", || async {
        let cards = stage.cards().await;
        (cards.len() == 8).then_some(cards)
    });
    for (turn, card) in cards.await.iter().enumerate() {
        if turn == 5 {
            let early = said(&stage, &front, "generate").await;
            assert!(early.contains("1 👎 more needed"), "{early}");
        }
        let thumb = if turn < 3 || turn == 7 {
            "👍"
        } else {
            "👎"
        };
        let thumb = button(card, thumb).expect("a button");
        let place = stage.playground.places().remove(0);
        let team = iofold::playground::slack::TEAM_ID;
        let click = click(team, &place.channel, card, "ADA", thumb, &stamp());
        assert_eq!(send(&stage, &click).await.0, 200);
    }
    let attempts = "select count(*) as found from generations";
    assert_eq!(count(&running, attempts).await, 0, "not by itself");
    let begun = said(&stage, &front, "Generate").await;
    assert!(begun.contains("is being made"), "{begun}");
    eventually("the report, or why there is none", || async {
        let [made, not_yet] = [
            stage.of_kind("iofold_report").await,
            stage.of_kind("iofold_not_yet").await,
        ];
        (made.len() + not_yet.len() == 1).then_some(())
    })
    .await;
    assert_eq!(count(&running, attempts).await, 1);
    let again = said(&stage, &front, "generate").await;
    assert!(
        again.contains("no new label since the last attempt"),
        "{again}"
    );
    let wishes = "select count(*) as found from wanted_generations";
    assert_eq!(count(&running, wishes).await, 0);
    running.stop().await;
}

async fn the_figures_are_told_again(database: Database) {
    let (front, stage, running) = running_with(database, 20).await;
    stage.release_and_label(20).await;
    eventually("the report", || async {
        (!stage.of_kind("iofold_report").await.is_empty()).then_some(())
    })
    .await;
    let evals = said(&stage, &front, "evals").await;
    for expected in [
        "|good_answer, version 1>",
        "offered",
        "% interval",
        "labelled trace",
    ] {
        assert!(evals.contains(expected), "{expected}: {evals}");
    }
    for typed in ["report", "report Good_Answer"] {
        let report = said(&stage, &front, typed).await;
        assert!(report.contains("Agreement with people") && report.contains("Open the report"));
        assert!(
            !report.contains("\"button\""),
            "decisions are made in the channel"
        );
    }
    let other = said(&stage, &front, "report nothing").await;
    assert!(
        other.contains("“nothing”") && other.contains("good_answer"),
        "{other}"
    );
    let status = said(&stage, &front, "status").await;
    assert!(
        status.contains("Decide about good_answer, version 1"),
        "{status}"
    );
    let page = stage
        .http
        .get(stage.url("/"))
        .send()
        .await
        .expect("an answer");
    let page = page.text().await.expect("a page");
    assert!(
        page.contains("Decide about good_answer, version 1"),
        "{page}"
    );
    running.stop().await;
}

async fn what_takes_long_is_answered_later(database: Database) {
    let (front, stage, running) = running_with(database, 1).await;
    let mut held = running.app.db.begin().await.expect("a transaction");
    sqlx::query("insert into channel_settings (workspace_id) values ('default')")
        .execute(&mut *held)
        .await
        .expect("a row that others wait for");
    let at_once = said(&stage, &front, "pause 1d").await;
    assert!(at_once.contains("One moment"), "{at_once}");
    assert!(front.calls_of("response_url").is_empty());
    held.commit().await.expect("it is given back");
    let late = eventually("the late answer", || async {
        front.calls_of("response_url").pop()
    });
    let late = late.await;
    assert_eq!(late["replace_original"], true);
    assert!(
        late["text"]
            .as_str()
            .is_some_and(|text| text.contains("paused by ADA")),
        "{late}"
    );
    running.stop().await;
}

async fn opens_home(stage: &Stage, user: &str) {
    let envelope = json!({
        "type": "event_callback", "event_id": uuid::Uuid::new_v4().to_string(),
        "team_id": iofold::playground::slack::TEAM_ID,
        "event": {"type": "app_home_opened", "tab": "home", "user": user, "channel": "D1"},
    });
    let url = stage.url("/slack/events");
    let body = envelope.to_string();
    let (status, _) = interaction_body(stage, &url, now(), body.as_bytes()).await;
    assert_eq!(status, 200);
}

/// The person's Home, once it says `text`.
async fn home_that_says(front: &Front, user: &str, text: &str) -> Value {
    eventually(text, || async {
        front
            .home_of(user)
            .filter(|home| home["blocks"].to_string().contains(text))
    })
    .await
}

async fn the_home_shows_how_the_workspace_stands_and_its_buttons_work(database: Database) {
    let (front, stage, running) = running_with(database, 1).await;
    stage.release(1).await;
    eventually("the card", || async {
        (stage.cards().await.len() == 1).then_some(())
    })
    .await;
    join_all((0..20).map(|_| opens_home(&stage, "ADA"))).await;
    let home = home_that_says(&front, "ADA", "*1* traces").await;
    assert_eq!(home["type"], "home");
    assert!(
        home["blocks"]
            .to_string()
            .contains("20 more until the eval")
    );
    let press = async |home: &Value, action: &str| {
        let ts = stamp();
        let (status, answer) = send(&stage, &pressed(home, "ADA", action, &ts)).await;
        assert_eq!((status, answer), (200, Value::Null));
    };
    press(&home, "home_generate").await;
    home_that_says(&front, "ADA", "Not yet: 3 👍 and 3 👎 more needed").await;
    press(&home, "home_pause").await;
    let home = home_that_says(&front, "ADA", "home_resume").await;
    press(&home, "home_resume").await;
    let home = home_that_says(&front, "ADA", "Cards come again").await;
    press(&home, "home_label").await;
    front
        .modal_that("the modal", |modal| modal["callback_id"] == "swipe")
        .await;
    let mut foreign = pressed(&home, "EVE", "home_pause", "1.0");
    foreign["team"]["id"] = json!("TOTHER");
    assert_eq!(send(&stage, &foreign).await.0, 200);
    let paused = "select count(*) as found from channel_settings where paused_by is not null";
    assert_eq!(count(&running, paused).await, 0);
    assert!(front.home_of("EVE").is_none());
    running.stop().await;
}

async fn a_digests_button_opens_the_modal_for_labelling(database: Database) {
    let (front, stage, running) = running_with(database, 1).await;
    let wanted = "insert into posts (workspace_id, kind, subject_id, attempts, first_claimed_at_ms, claimed_at_ms)
                  values ('default', 'digest', '1780308000000:1780312800000:143:20:40', 0, 1, 0)";
    let wanted = sqlx::query(wanted).execute(running.app.db.pool()).await;
    wanted.expect("a row");
    let digest = eventually("the digest", || async {
        stage.of_kind("iofold_digest").await.pop()
    })
    .await;
    let label = button(&digest, "Label").expect("a button");
    let channel = stage.playground.places().remove(0).channel;
    let team = iofold::playground::slack::TEAM_ID;
    let press = async |team: &str, channel: &str| {
        let click = click(team, channel, &digest, "ADA", label, &stamp());
        assert_eq!(send(&stage, &click).await, (200, Value::Null));
    };
    press("TOTHER", &channel).await;
    press(team, "COTHER").await;
    eventually("the refusal", || async {
        front.calls_of("chat.postEphemeral").pop()
    })
    .await;
    assert!(front.modal().is_none());
    press(team, &channel).await;
    front
        .modal_that("the modal", |modal| modal["callback_id"] == "swipe")
        .await;
    running.stop().await;
}
