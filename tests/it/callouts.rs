//! People ask from Langfuse's own menu what the team says.

use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};
use sqlx::Row;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::now;
use crate::support::stage::{Running, Stage, eventually, trace_of};

on_both_databases!(
    a_named_trace_has_a_card_at_once_that_says_who_asked,
    many_items_and_many_calls_are_one_card_a_trace,
    a_trace_that_is_not_there_yet_is_asked_about_when_it_comes,
    a_session_is_asked_about_by_its_last_trace,
    what_people_name_takes_nothing_from_the_budget,
    what_is_not_a_call_of_this_project_is_refused_with_a_sentence,
);

const TOKEN: &str = "a-token-of-a-test";
/// Nothing but a callout leads to a card.
const LONE: [(&str, &str); 4] = [
    ("LANGFUSE_CALLOUT_TOKEN", TOKEN),
    ("IOFOLD_CARDS_PER_HOUR", "0"),
    ("IOFOLD_POLL_SECONDS", "3600"),
    ("IOFOLD_SETTLE_SECONDS", "3600"),
];

async fn stage(database: Database, apis: Apis) -> (Stage, Running) {
    let stage = Stage::set(database, apis, Vec::new(), &LONE).await;
    let running = stage.start().await;
    (stage, running)
}

fn trace(id: &str, session: Option<&str>, seconds: i64) -> Value {
    let at = |seconds: i64| {
        let time = chrono::DateTime::from_timestamp(now() - 600 + seconds, 0).expect("a time");
        time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    json!({
        "id": id, "name": "chat", "timestamp": at(seconds), "sessionId": session,
        "input": [{"role": "user", "content": "Where is my order?"}], "output": "On its way.",
        "observations": [{
            "id": format!("{id}-o"), "traceId": id, "type": "GENERATION", "name": "answer",
            "startTime": at(seconds), "endTime": at(seconds + 1), "level": "DEFAULT",
            "input": "Where is my order?", "output": "On its way.",
        }],
    })
}

fn put(stage: &Stage, trace: Value) {
    stage
        .playground
        .langfuse()
        .put_trace("project-default", trace);
}

/// An item as Langfuse sends it.
fn item(trace: Option<&str>, session: Option<&str>) -> Value {
    json!({"projectId": "project-default", "traceId": trace, "observationId": null, "sessionId": session})
}

async fn call(stage: &Stage, items: &[Value], headers: &[(&str, &str)]) -> (u16, String) {
    let body = json!({"version": 1, "items": items}).to_string();
    let headers = [&[("authorization", "Bearer a-token-of-a-test")], headers].concat();
    post(stage, "default", body, &headers).await
}

async fn post(
    stage: &Stage,
    workspace: &str,
    body: String,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let url = stage.url(&format!("/callouts/langfuse/{workspace}"));
    let mut request = stage.http.post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.text().await.unwrap_or_default())
}

async fn cards(stage: &Stage, count: usize) -> Vec<Value> {
    let cards = eventually("the cards", || async {
        let cards = stage.cards().await;
        (cards.len() >= count).then_some(cards)
    });
    let cards = cards.await;
    assert_eq!(cards.len(), count);
    cards
}

/// Waits until nothing waits, for what must not happen any more.
async fn all_handled(running: &Running) {
    eventually("the callouts are handled", || async {
        let rows =
            sqlx::query("select count(*) as waiting from callouts where handled_at_ms is null")
                .fetch_one(running.app.db.pool())
                .await
                .expect("a row");
        (rows.try_get::<i64, _>("waiting").expect("a count") == 0).then_some(())
    })
    .await;
}

async fn a_named_trace_has_a_card_at_once_that_says_who_asked(database: Database) {
    for apis in [Apis::V4, Apis::V3] {
        let (stage, running) = stage(database, apis).await;
        for id in ["t1", "t2"] {
            put(&stage, trace(id, None, 0));
        }
        let named = [("x-langfuse-user", "Ada <!here>")];
        let (status, _) = call(&stage, &[item(Some("t1"), None)], &named).await;
        assert_eq!(status, 202);
        let card = cards(&stage, 1).await.remove(0);
        assert_eq!(trace_of(&card), "t1");
        let shown = card["blocks"].to_string();
        assert!(
            shown.contains("Asked for in Langfuse by Ada &lt;!here&gt;"),
            "{shown}"
        );
        // A card that stands says afterwards who asked.
        call(&stage, &[item(Some("t2"), None)], &[]).await;
        cards(&stage, 2).await;
        let body =
            json!({"version": 1, "items": [item(Some("t2"), None)], "user": {"name": "Grace"}});
        let token = [("authorization", "bearer a-token-of-a-test")];
        assert_eq!(
            post(&stage, "default", body.to_string(), &token).await.0,
            202
        );
        eventually("the card names her", || async {
            let cards = stage.cards().await;
            let shown = json!(cards).to_string();
            shown
                .contains("Asked for in Langfuse by Grace")
                .then_some(())
        })
        .await;
        assert_eq!(stage.cards().await.len(), 2);
        running.stop().await;
    }
}

async fn many_items_and_many_calls_are_one_card_a_trace(database: Database) {
    let (stage, running) = stage(database, Apis::Both).await;
    let ids: Vec<String> = (0..60).map(|number| format!("t{number}")).collect();
    ids.iter().for_each(|id| put(&stage, trace(id, None, 0)));
    let items: Vec<Value> = ids.iter().map(|id| item(Some(id), Some("s"))).collect();
    let twice = [items.clone(), items].concat();
    let calls = (
        call(&stage, &twice, &[]),
        call(&stage, &twice, &[]),
        call(&stage, &twice, &[]),
    );
    let (a, b, c) = tokio::join!(calls.0, calls.1, calls.2);
    assert_eq!((a.0, b.0, c.0), (202, 202, 202));
    let mut asked: Vec<String> = cards(&stage, 60)
        .await
        .iter()
        .map(|card| trace_of(card).to_owned())
        .collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 60);
    call(&stage, &twice, &[]).await;
    all_handled(&running).await;
    cards(&stage, 60).await;
    running.stop().await;
}

async fn a_trace_that_is_not_there_yet_is_asked_about_when_it_comes(database: Database) {
    let (stage, running) = stage(database, Apis::V4).await;
    let (status, _) = call(&stage, &[item(Some("t1"), None)], &[]).await;
    assert_eq!(status, 202);
    let tried = || async {
        let row = sqlx::query("select attempts from callouts where subject_id = 't1'")
            .fetch_one(running.app.db.pool())
            .await
            .expect("it was taken");
        (row.try_get::<i64, _>("attempts").expect("a count") > 0).then_some(())
    };
    eventually("a first try", tried).await;
    // Its root has not ended: there is no answer yet that one could judge.
    let mut running_trace = trace("t1", None, 0);
    running_trace["observations"][0]["endTime"] = Value::Null;
    put(&stage, running_trace);
    assert!(stage.cards().await.is_empty());
    put(&stage, trace("t1", None, 0));
    assert_eq!(trace_of(&cards(&stage, 1).await[0]), "t1");
    running.stop().await;
}

async fn a_session_is_asked_about_by_its_last_trace(database: Database) {
    for apis in [Apis::V4, Apis::V3] {
        let (stage, running) = stage(database, apis).await;
        for (id, session, seconds) in [
            ("t1", Some("s/1"), 0),
            ("t3", Some("s/1"), 20),
            ("t2", Some("s/1"), 10),
            ("t4", Some("s/2"), 30),
        ] {
            put(&stage, trace(id, session, seconds));
        }
        let (status, _) = call(&stage, &[item(None, Some("s/1"))], &[]).await;
        assert_eq!(status, 202);
        assert_eq!(trace_of(&cards(&stage, 1).await[0]), "t3", "{apis:?}");
        running.stop().await;
    }
}

async fn what_people_name_takes_nothing_from_the_budget(database: Database) {
    let settings = [
        ("LANGFUSE_CALLOUT_TOKEN", TOKEN),
        ("IOFOLD_CARDS_PER_HOUR", "1"),
    ];
    let stage = Stage::set(database, Apis::Both, Vec::new(), &settings).await;
    let running = stage.start().await;
    put(&stage, trace("t1", None, 560));
    // The hour's one card.
    cards(&stage, 1).await;
    for id in ["t2", "t3"] {
        put(&stage, trace(id, None, 560));
    }
    let named = ["t2", "t3"].map(|id| item(Some(id), None));
    call(&stage, &named, &[]).await;
    cards(&stage, 3).await;
    // Once a person names the first one too, the budget has room again.
    call(&stage, &[item(Some("t1"), None)], &[]).await;
    all_handled(&running).await;
    put(&stage, trace("t4", None, 560));
    cards(&stage, 4).await;
    running.stop().await;
}

async fn what_is_not_a_call_of_this_project_is_refused_with_a_sentence(database: Database) {
    let (stage, running) = stage(database, Apis::Both).await;
    put(&stage, trace("t1", None, 0));
    let body = |items: Value| json!({"version": 1, "items": items}).to_string();
    let good = body(json!([item(Some("t1"), None)]));
    let mut of_another = item(Some("t1"), None);
    of_another["projectId"] = json!("project-of-others");
    let token = Some("Bearer a-token-of-a-test");
    for (workspace, token, body, status, says) in [
        ("default", None, good.clone(), 401, "LANGFUSE_CALLOUT_TOKEN"),
        (
            "default",
            Some("Bearer wrong"),
            good.clone(),
            401,
            "Authorization: Bearer",
        ),
        (
            "default",
            Some("Basic a-token-of-a-test"),
            good.clone(),
            401,
            "bearer token",
        ),
        (
            "nobody",
            Some("Bearer wrong"),
            good.clone(),
            401,
            "bearer token",
        ),
        ("nobody", token, good.clone(), 404, "not found"),
        (
            "default",
            token,
            body(json!([item(Some("t1"), None), of_another])),
            400,
            "project-of-others",
        ),
        ("default", token, body(json!([])), 400, "must list"),
        (
            "default",
            token,
            body(json!([item(None, None)])),
            400,
            "traceId or a sessionId",
        ),
        ("default", token, "{".to_owned(), 400, "not JSON"),
        ("default", token, " ".repeat(3 << 20), 413, "larger than"),
    ] {
        let headers: Vec<_> = token
            .map(|token| ("authorization", token))
            .into_iter()
            .collect();
        let (answered, said) = post(&stage, workspace, body, &headers).await;
        assert_eq!(answered, status, "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains(TOKEN), "{said}");
    }
    let rows = sqlx::query("select count(*) as taken from callouts");
    let row = rows.fetch_one(running.app.db.pool()).await.expect("a row");
    assert_eq!(row.try_get::<i64, _>("taken").expect("a count"), 0);
    assert_eq!(
        post(
            &stage,
            "default",
            good,
            &[("authorization", "Bearer a-token-of-a-test")]
        )
        .await
        .0,
        202
    );
    cards(&stage, 1).await;
    running.stop().await;
}
