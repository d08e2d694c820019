//! What is missing in Langfuse, and what becomes of it.

use std::collections::BTreeMap;

use super::*;
use crate::ingest::backfill;
use crate::langfuse::Filter;

impl World {
    /// Minutes after it was missed, a trace is asked for.
    async fn settle(&self) -> anyhow::Result<()> {
        self.change("update traces set missed_at_ms = 1 where missed_at_ms is not null")
            .await;
        gone::settle(&self.reader(1_000), || false).await
    }

    async fn outputs(&self) -> Vec<String> {
        let rows = self.rows().await;
        rows.into_iter().map(|row| row.trace.output_text).collect()
    }
}

/// The stand-in, as who has shown what tests store by hand.
pub(super) fn here() -> gone::Shown {
    gone::Shown {
        origin: "here".to_owned(),
        through: None,
    }
}

/// What people and evals have made of the trace `gone`.
const MADE: [&str; 7] = [
    "insert into annotators values ('w', 'U', 0)",
    "insert into labels values ('w', 'gone', 'U', 'up', null, 0, 0)",
    "insert into evals values ('w', 'e', 'good', 0)",
    "insert into eval_versions (workspace_id, id, eval_id, number, source, source_hash, generator,
                                candidates_tried, state, created_at_ms)
     values ('w', 'v', 'e', 1, '', '', '', 1, 'deployed', 0)",
    "insert into outcomes (workspace_id, version_id, trace_id, payload_hash, verdict, reason, duration_us, fuel, ran_at_ms)
     values ('w', 'v', 'gone', 'h', 'fail', 'says A', 1, 1, 1)",
    "insert into scores (workspace_id, version_id, trace_id, score_id, payload_hash) values ('w', 'v', 'gone', 's', 'h')",
    "insert into posts (workspace_id, kind, subject_id, channel_id, ts, first_claimed_at_ms, claimed_at_ms, posted_at_ms)
     values ('w', 'card', 'gone', 'C', '1', 0, 0, 1)",
];

#[tokio::test]
async fn a_deleted_trace_loses_its_text_and_keeps_its_labels_and_all_of_it_comes_back_with_it() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        for id in ["gone", "stays"] {
            world.langfuse.put_trace("p", ended(id, 60));
        }
        world.poll().await;
        for rows in MADE {
            world.change(rows).await;
        }
        world.langfuse.delete_trace("p", "gone");
        world.poll().await;
        assert_eq!(world.outputs().await, ["A", "A"], "missed once");
        world.settle().await.expect("it is asked for");
        assert_eq!(world.outputs().await, ["", "A"], "{apis:?}");
        for (left, expected) in [
            ("select count(*) as found from labels", 1),
            (
                "select count(*) as found from observations where trace_id = 'gone'",
                0,
            ),
            ("select count(*) as found from traces where to_score = 1", 1),
            (
                "select count(*) as found from outcomes where reason = ''",
                1,
            ),
            ("select count(*) as found from scores", 0),
            ("select wanted - shown as found from posts", 1),
        ] {
            assert_eq!(world.count(left).await, expected, "{left}");
        }
        world.langfuse.put_trace("p", ended("gone", 60));
        world.poll().await;
        assert_eq!(world.outputs().await, ["A", "A"], "it came back");
        assert_eq!(
            (
                world.to_score().await,
                world.count("select wanted as found from posts").await
            ),
            (2, 2)
        );
    }
}

#[tokio::test]
async fn a_trace_that_is_there_after_all_stays_and_so_does_one_that_cannot_be_asked_for() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        world.langfuse.put_trace("p", ended("t", 60));
        world.poll().await;
        world.langfuse.delete_trace("p", "t");
        world.poll().await;
        world.langfuse.put_trace("p", ended("t", 60));
        world.settle().await.expect("it is asked for");
        let missed = "select count(*) as found from traces where missed_at_ms is not null";
        assert_eq!(
            (world.count(missed).await, world.outputs().await),
            (0, vec!["A".to_owned()]),
            "{apis:?}"
        );
    }
}

/// A server that shows `p`, and answers one kind of question with an error.
async fn slow_for(trace_id: bool) -> Client {
    use axum::extract::Query;
    use axum::http::StatusCode;
    use axum::routing::get;
    let project = || async { axum::Json(json!({"data": [{"id": "p", "name": "P"}]})) };
    let observations = move |Query(asked): Query<BTreeMap<String, String>>| async move {
        let time = |key: &str| {
            let time = asked.get(key)?;
            chrono::DateTime::parse_from_rfc3339(time).ok()
        };
        let is_long = time("fromStartTime")
            .zip(time("toStartTime"))
            .is_some_and(|(from, to)| to - from > TimeDelta::minutes(10));
        match is_long && trace_id == asked.contains_key("traceId") {
            true => (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({}))),
            false => (StatusCode::OK, axum::Json(json!({"data": [], "meta": {}}))),
        }
    };
    let server = axum::Router::new()
        .route("/api/public/projects", get(project))
        .route("/api/public/v2/observations", get(observations));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(axum::serve(listener, server).into_future());
    let base = base.parse().expect("a URL");
    Client::new(&base, PUBLIC_KEY, &SECRET_KEY.into()).expect("it is made")
}

#[tokio::test]
async fn a_check_that_fails_stops_nothing_and_waits_behind_others() {
    let mut world = World::unconnected(standing_in(with(Apis::V4))).await;
    let client = slow_for(true).await;
    let origin = client.origin(crate::langfuse::Api::V4).await;
    world.workspace.langfuse = Some(LangfuseConnection::new(client));
    let payload = crate::langfuse::TracePayload {
        id: "t".to_owned(),
        timestamp: Some(ago(60)),
        output: json!("A"),
        ..Default::default()
    };
    let (db, workspace) = (&world.db, &world.workspace.id);
    let kept = arrive::keep_trace(db.pool(), workspace, &payload, true, None).await;
    kept.expect("it is stored");
    let shown = gone::Shown {
        origin: origin.expect("it is told"),
        through: None,
    };
    let noted = gone::set_shown(db, workspace, &["t"], &shown).await;
    noted.expect("it is noted");
    world.poll().await;
    world.settle().await.expect("it is logged");
    let waits = "select count(*) as found from traces where missed_at_ms = 1 and checked_at_ms > 1";
    assert_eq!(world.count(waits).await, 1);
    let mark = store::poll_mark(&world.db, &world.workspace.id).await;
    assert!(mark.expect("it is read").is_some(), "the poller goes on");
}

#[tokio::test]
async fn a_window_that_is_not_answered_for_is_asked_for_in_parts() {
    let mut world = World::unconnected(standing_in(with(Apis::V4))).await;
    world.workspace.langfuse = Some(LangfuseConnection::new(slow_for(false).await));
    let key = (now_ms() - 7_200_000, now_ms());
    let begun = backfill::begin(&world.db, &world.workspace.id, key).await;
    begun.expect("it is stored");
    let (ended, whole) = world.backfilled(&backfill::Owner::service(), 1_000).await;
    assert_eq!((ended, whole.share()), (backfill::Ended::Finished, 1.0));
}

#[tokio::test]
async fn any_number_of_missing_traces_is_noticed_in_a_heavy_window_too() {
    let world = World::of(with(Apis::V4)).await;
    for i in 0..40 {
        world
            .langfuse
            .put_trace("p", ended(&format!("t{i:02}"), 200 + i));
    }
    world.poll().await;
    for i in 0..39 {
        world.langfuse.delete_trace("p", &format!("t{i:02}"));
    }
    // Each observation is a page now, so the window is read in parts.
    for i in 40..60 {
        world
            .langfuse
            .put_trace("p", ended(&format!("t{i:02}"), 200 + i));
    }
    world.poll_by(1).await.expect("it polls");
    world.settle().await.expect("they are asked for");
    let left = world.outputs().await.into_iter().filter(|text| text == "A");
    assert_eq!(left.count(), 21);
}

#[tokio::test]
async fn another_project_or_api_or_filter_says_nothing_of_what_it_never_showed() {
    let both = World::of(with(Apis::Both)).await;
    both.langfuse.put_trace("p", ended("t", 60));
    both.poll().await;
    for (shown_by, shown_through) in [
        ("traces p http://127.0.0.1/", ""),
        ("v2/observations staging http://127.0.0.1/", ""),
        ("", ""),
    ] {
        both.langfuse.delete_trace("p", "t");
        let set = sqlx::query("update traces set shown_by = $1, shown_through = $2")
            .bind(shown_by)
            .bind(shown_through)
            .execute(both.db.pool())
            .await;
        set.expect("it is set");
        both.poll().await;
        both.deliver(shown_by, json!({"traceId": "t"})).await;
        both.handle().await;
        both.settle().await.expect("nothing is asked for");
        assert_eq!(both.outputs().await, ["A"], "{shown_by}");
    }
    let filter = Filter::any_of("environment", &["staging"]);
    let chosen = World::by(with(Apis::V4), |client| client.choosing(filter)).await;
    chosen.langfuse.put_trace("p", ended("t", 60));
    chosen.deliver("1", json!({"traceId": "t"})).await;
    chosen.handle().await;
    chosen.poll().await;
    let missed = "select count(*) as found from traces where missed_at_ms is not null";
    assert_eq!(
        (chosen.count(missed).await, chosen.stored_ids().await),
        (0, vec!["t".to_owned()])
    );
}

#[tokio::test]
async fn a_v3_route_that_has_gone_says_nothing_of_a_trace() {
    use axum::routing::get;
    let world = World::of(with(Apis::V3)).await;
    let gone = axum::Router::new().fallback(|| async {
        (
            axum::http::StatusCode::NOT_FOUND,
            axum::Json(json!({"message": "not found"})),
        )
    });
    let only_the_list = gone.clone().route(
        "/api/public/traces",
        get(|| async { axum::Json(json!({"data": []})) }),
    );
    for (server, expected) in [(gone, None), (only_the_list, Some(false))] {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(axum::serve(listener, server).into_future());
        let base = base.parse().expect("a URL");
        let client = Client::new(&base, PUBLIC_KEY, &SECRET_KEY.into()).expect("it is made");
        let has = client
            .has_trace(crate::langfuse::Api::V3, "t", Utc::now())
            .await;
        assert_eq!(has.ok(), expected);
    }
    drop(world);
}

#[tokio::test]
async fn a_trace_that_langfuse_never_showed_is_not_taken_for_deleted() {
    let world = World::of(with(Apis::V4)).await;
    let payload = crate::langfuse::TracePayload {
        id: "elsewhere".to_owned(),
        timestamp: Some(ago(60)),
        output: json!("A"),
        ..Default::default()
    };
    let (db, workspace) = (world.db.pool(), &world.workspace.id);
    let kept = arrive::keep_trace(db, workspace, &payload, true, None).await;
    kept.expect("it is stored");
    world.poll().await;
    assert_eq!(world.only().await.trace.output_text, "A");
}

/// What a sender's spans of a trace became.
fn sent(trace: &str, id: &str) -> Vec<arrive::Sent> {
    let observation = json!({"traceId": trace, "id": id, "type": "SPAN", "output": "A",
                             "startTime": ago(60), "endTime": ago(59)});
    let Value::Object(observation) = observation else {
        panic!("it is an object")
    };
    arrive::Sent::of(observation).into_iter().collect()
}

#[tokio::test]
async fn a_sent_trace_is_taken_for_deleted_only_once_langfuse_has_shown_it_and_then_stays_so() {
    for apis in [Apis::V4, Apis::V3] {
        let world = World::of(with(apis)).await;
        let (db, workspace) = (&world.db, &world.workspace.id);
        let kept = arrive::keep_spans(db, workspace, &sent("t", "root")).await;
        assert!(kept.expect("it is stored"));
        let assembled = arrive::assemble(db, workspace, "t", |_| arrive::Ending::Whole).await;
        assert!(assembled.expect("it is stored"));
        world.deliver("1", json!({"traceId": "t"})).await;
        world.handle().await;
        world.poll().await;
        let output = world.only().await.trace.output_text;
        assert_eq!(
            (world.waiting().await, output.as_str()),
            (1, "A"),
            "{apis:?}"
        );
        world.langfuse.put_trace("p", ended("t", 60));
        world.poll().await;
        world.langfuse.delete_trace("p", "t");
        world.poll().await;
        world.settle().await.expect("it is asked for");
        let late = arrive::keep_spans(db, workspace, &sent("t", "late")).await;
        assert!(!late.expect("it is looked at"));
        let left = "select count(*) as found from observations";
        assert_eq!(world.count(left).await, 0);
        assert_eq!(world.only().await.trace.output_text, "");
    }
}

#[tokio::test]
async fn what_langfuse_shows_as_it_was_sent_counts_as_shown() {
    let world = World::of(with(Apis::V4)).await;
    let (db, workspace) = (&world.db, &world.workspace.id);
    let kept = arrive::keep_spans(db, workspace, &sent("t", "root")).await;
    kept.expect("it is stored");
    let sent = store::observations(db.pool(), workspace, "t").await;
    let same = serde_json::from_str(&sent.expect("it is read")[0]).expect("an object");
    let shown = here();
    for changed in [true, false] {
        let mut seen = arrive::Seen::new();
        let seen_by = (&mut seen, &shown);
        let kept = arrive::keep_observations(db, workspace, std::slice::from_ref(&same), seen_by);
        kept.await.expect("it is stored");
        assert_eq!(seen["t"], changed);
    }
}

#[tokio::test]
async fn a_webhook_that_names_a_deleted_trace_drops_its_text() {
    let world = World::of(with(Apis::V4)).await;
    world.langfuse.put_trace("p", ended("t", 60));
    world.poll().await;
    world.langfuse.delete_trace("p", "t");
    world.deliver("1", json!({"traceId": "t"})).await;
    world.handle().await;
    let output = world.only().await.trace.output_text;
    assert_eq!((world.waiting().await, output.as_str()), (1, "A"));
    world.settle().await.expect("it is asked for");
    world
        .change("update deliveries set received_at_ms = 0")
        .await;
    world.handle().await;
    let output = world.only().await.trace.output_text;
    assert_eq!((world.waiting().await, output.as_str()), (0, ""));
}

#[tokio::test]
async fn what_langfuse_shows_as_a_file_had_it_is_langfuses() {
    let world = World::of(with(Apis::V3)).await;
    world.langfuse.put_trace("p", ended("t", 60));
    world.poll().await;
    world
        .change("update traces set origin = 'file', shown_by = ''")
        .await;
    let client = &world.connection().client;
    let detail = client.trace("t").await.expect("it answers");
    let detail = detail.expect("it is there");
    let kept = arrive::keep_detail(&world.db, &world.workspace.id, detail, None, now_ms()).await;
    kept.expect("it is stored");
    let elsewhere = "select count(*) as found from traces where origin is not null";
    assert_eq!(world.count(elsewhere).await, 0);
}
