//! What becomes of our messages in Slack, on both databases: deleted ones, and replies where people differ.

use iofold::domain::WorkspaceId;
use iofold::playground::langfuse::Apis;
use iofold::playground::slack::TEAM_ID;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::{click, form, interaction_body, now};
use crate::support::stage::{
    Running, Stage, button, count, eventually, stage_with_cards, trace_of,
};

on_both_databases!(
    a_deleted_card_is_let_be_and_its_labels_stay,
    a_deleted_report_comes_again_only_when_somebody_asks,
    people_who_differ_and_evals_that_are_contradicted_are_told_once_in_the_cards_thread,
    cards_that_waited_while_slack_was_away_come_as_a_digest,
);

async fn run(running: &Running, sql: String) {
    let ran = sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(running.app.db.pool())
        .await;
    ran.expect("it runs");
}

async fn until(running: &Running, what: &'static str, query: &'static str, expected: i64) {
    eventually(what, || async {
        (count(running, query).await == expected).then_some(())
    })
    .await;
}

/// A click on a card's button.
async fn thumb(stage: &Stage, card: &Value, user: &str, text: &str) {
    let channel = stage.playground.places().remove(0).channel;
    let button = button(card, text).expect("a button");
    let at = format!("{}.000100", now());
    let payload = form(&click(TEAM_ID, &channel, card, user, button, &at));
    let url = stage.url("/slack/interactions");
    assert_eq!(interaction_body(stage, &url, now(), &payload).await.0, 200);
}

/// Slack tells that somebody deleted a message.
async fn tell_deleted(stage: &Stage, message: &Value) {
    let channel = stage.playground.places().remove(0).channel;
    let event = json!({"type": "message", "subtype": "message_deleted", "channel": channel,
                       "deleted_ts": message["ts"], "ts": "1.1", "hidden": true});
    let envelope = json!({"type": "event_callback", "team_id": TEAM_ID, "event_id": uuid::Uuid::new_v4().to_string(), "event": event});
    let body = envelope.to_string();
    let (status, _) =
        interaction_body(stage, &stage.url("/slack/events"), now(), body.as_bytes()).await;
    assert_eq!(status, 200);
}

async fn a_deleted_card_is_let_be_and_its_labels_stay(database: Database) {
    let (stage, running, cards) = stage_with_cards(database, 2).await;
    for card in &cards {
        thumb(&stage, card, "ADA", "👍").await;
    }
    let shown =
        "select count(*) as found from posts where kind = 'card' and shown > 0 and shown = wanted";
    until(&running, "both updates", shown, 2).await;
    tell_deleted(&stage, &cards[0]).await;
    let gone = "select count(*) as found from posts where gone_at_ms is not null";
    until(&running, "the note", gone, 1).await;
    let touched = format!(
        "update posts set wanted = wanted + 1 where subject_id = '{}'",
        trace_of(&cards[0])
    );
    run(&running, touched).await;
    thumb(&stage, &cards[1], "BOB", "👎").await;
    let again =
        "select count(*) as found from posts where kind = 'card' and shown = 2 and wanted = 2";
    until(&running, "the other's update", again, 1).await;
    let let_be = "select count(*) as found from posts where gone_at_ms is not null and shown = 1 and wanted = 2";
    assert_eq!(count(&running, let_be).await, 1);
    assert_eq!(
        count(&running, "select count(*) as found from labels").await,
        3
    );
    let asked = "select count(*) as found from traces where asked = 1";
    assert_eq!(count(&running, asked).await, 2);
    assert_eq!(stage.cards().await.len(), 2, "none is posted again");
    running.stop().await;
}

/// A version with its report and thread, as they are when all is posted.
fn a_report(channel: &str) -> String {
    let mut sql = "insert into evals values ('default', 'e', 'cites_source', 0);
        insert into eval_versions (workspace_id, id, eval_id, label_count, source, source_hash, generator,
                                   candidates_tried, state, created_at_ms, number)
        values ('default', 'v', 'e', 1, 'def evaluate(trace): return True, \"a <source> is named\"', 'h', 'rules', 1, 'deployed', 0, 1);"
        .to_owned();
    for kind in ["report", "report_code", "report_misses"] {
        sql += &format!(
            "insert into posts (workspace_id, kind, subject_id, channel_id, ts, first_claimed_at_ms, claimed_at_ms, posted_at_ms)
             values ('default', '{kind}', 'v', '{channel}', '{kind}', 1, 1, 1);"
        );
    }
    sql
}

async fn a_deleted_report_comes_again_only_when_somebody_asks(database: Database) {
    let (stage, running, _) = stage_with_cards(database, 1).await;
    let channel = stage.playground.places().remove(0).channel;
    run(&running, a_report(&channel)).await;
    tell_deleted(&stage, &json!({"ts": "report"})).await;
    let app = &running.app;
    let workspace = app
        .workspace(&WorkspaceId::from("default"))
        .expect("it is there");
    iofold::report::post_reports(app, workspace)
        .await
        .expect("they are looked at");
    assert!(stage.of_kind("iofold_report").await.is_empty());
    let version = "v".into();
    assert!(
        iofold::report::post_again(app, workspace, &version)
            .await
            .expect("rows")
    );
    let report = eventually("the report", || async {
        stage.of_kind("iofold_report").await.pop()
    });
    report.await;
    until(
        &running,
        "its thread",
        "select count(*) as found from posts where subject_id = 'v' and gone_at_ms is null and posted_at_ms > 1",
        3,
    )
    .await;
    assert!(
        !iofold::report::post_again(app, workspace, &version)
            .await
            .expect("rows")
    );
    running.stop().await;
}

/// The replies of a kind below a message that stands now.
async fn replies(stage: &Stage, message: &Value, event_type: &str) -> Vec<Value> {
    let messages = stage.messages().await;
    let found = messages.iter().find(|found| found["ts"] == message["ts"]);
    let replies = found.and_then(|found| found["replies"].as_array()).cloned();
    let mut replies = replies.unwrap_or_default();
    replies.retain(|reply| reply["metadata"]["event_type"] == event_type);
    replies
}

async fn people_who_differ_and_evals_that_are_contradicted_are_told_once_in_the_cards_thread(
    database: Database,
) {
    let (stage, running, cards) = stage_with_cards(database, 2).await;
    let channel = stage.playground.places().remove(0).channel;
    run(&running, a_report(&channel)).await;
    thumb(&stage, &cards[0], "ADA", "👍").await;
    thumb(&stage, &cards[0], "BOB", "👎").await;
    thumb(&stage, &cards[1], "ADA", "👎").await;
    let minutes_pass = "update labels set acted_at_us = acted_at_us - 120000000";
    run(&running, minutes_pass.to_owned()).await;
    let reply = eventually("the conflict", || async {
        replies(&stage, &cards[0], "iofold_conflict").await.pop()
    });
    let said = reply.await["blocks"][0]["text"]["text"].clone();
    assert!(
        said.as_str()
            .expect("a text")
            .contains("Two see it differently"),
        "{said}"
    );
    let reply = eventually("the contradiction", || async {
        replies(&stage, &cards[1], "iofold_contradiction")
            .await
            .pop()
    });
    let said = reply.await["blocks"][0]["text"]["text"].clone();
    let text = said.as_str().expect("a text");
    assert!(
        text.contains("👎 by people, but cites_source says pass"),
        "{said}"
    );
    assert!(text.contains("a &lt;source&gt; is named"), "{said}");
    let app = &running.app;
    let workspace = app
        .workspace(&WorkspaceId::from("default"))
        .expect("it is there");
    for _ in 0..2 {
        iofold::report::post_reports(app, workspace)
            .await
            .expect("they are looked at");
    }
    assert_eq!(replies(&stage, &cards[0], "iofold_conflict").await.len(), 1);
    assert_eq!(
        replies(&stage, &cards[1], "iofold_contradiction")
            .await
            .len(),
        1
    );
    assert!(
        replies(&stage, &cards[1], "iofold_conflict")
            .await
            .is_empty()
    );
    running.stop().await;
}

async fn cards_that_waited_while_slack_was_away_come_as_a_digest(database: Database) {
    let settings = [("IOFOLD_CARDS_PER_HOUR", "15")];
    let stage = Stage::set(database, Apis::Both, Vec::new(), &settings).await;
    let app = iofold::app::build(stage.config())
        .await
        .expect("it builds")
        .app;
    let workspace = app
        .workspace(&WorkspaceId::from("default"))
        .expect("it is there");
    let post = async || {
        let posted = iofold::label::post_cards(&app, workspace).await;
        posted.expect("Slack answers");
    };
    let found = async |query: &'static str| -> i64 {
        let row = sqlx::query(query).fetch_one(app.db.pool()).await;
        row.expect("a row").get("found")
    };
    post().await;
    let mut away =
        "update workspaces set slack_reached_at_ms = slack_reached_at_ms - 3600000;".to_owned();
    for number in 0..20 {
        away += &format!(
            "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                                 started_at_ms, first_seen_at_ms, changed_at_ms)
             values ('default', 't{number}', '{}', 'h', 'g{number}', 1, 0, {number}, 0, 0);",
            json!({"id": format!("t{number}"), "timestamp": "2026-06-01T00:00:00Z", "tags": [], "metadata": {}, "input": "Q",
                   "output": "A", "input_text": "Q", "output_text": "A", "messages": [], "tool_calls": [],
                   "observations": []})
        );
    }
    let went = sqlx::raw_sql(AssertSqlSafe(away))
        .execute(app.db.pool())
        .await;
    went.expect("rows");
    for _ in 0..3 {
        post().await;
    }
    let asked =
        found("select count(*) as found from traces where asked = 1 and ask_probability = 0.75")
            .await;
    let left_out =
        found("select count(*) as found from traces where asked = 0 and ask_probability = 0.75")
            .await;
    assert_eq!(asked + left_out, 20, "each had the same chance");
    let digested =
        found("select count(*) as found from posts where digested_at_ms is not null").await;
    let cards = stage.cards().await;
    assert_eq!((cards.len() as i64, digested), (5, asked - 5));
    let newest = "select count(*) as found from posts join traces on id = subject_id
                  where digested_at_ms is not null and started_at_ms >
                    (select min(started_at_ms) from traces join posts on id = subject_id where posted_at_ms is not null)";
    assert_eq!(found(newest).await, 0, "the newest are here");
    let digests = stage.of_kind("iofold_digest").await;
    assert_eq!(digests.len(), 1, "it is told once");
    let said = digests[0]["blocks"][0]["text"]["text"]
        .as_str()
        .expect("a text");
    assert!(
        said.contains("20 traces came")
            && said.contains(&format!("{digested} more can be labelled")),
        "{said}"
    );
    let id = &workspace.id;
    let one = "select subject_id as found from posts where digested_at_ms is not null limit 1";
    let row = sqlx::query(one)
        .fetch_one(app.db.pool())
        .await
        .expect("a row");
    let trace: String = row.get("found");
    let trace = trace.as_str().into();
    let named = iofold::label::ask_by_hand(&app.db, id, &trace, Some("Ada"));
    named.await.expect("rows");
    post().await;
    assert_eq!(
        stage.cards().await.len(),
        6,
        "whoever names it gets its card"
    );
}
