use super::*;

/// Waits for the recorded annotators to end; gives their progress.
async fn annotators_ended(running: &Running) -> Value {
    eventually(async || {
        let channels = running.get("api/channels").await;
        let progress = channels["channels"][0]["annotators"].clone();
        let has_ended = matches!(progress["state"].as_str(), Some("finished" | "stopped"));
        has_ended.then_some(progress)
    })
    .await
}

/// The traces that have arrived.
async fn total(running: &Running) -> u64 {
    let traces = running.get("api/channels/answers/traces").await;
    traces["total"].as_u64().unwrap()
}

#[tokio::test]
async fn recorded_annotators_give_their_labels_and_reasons_on_released_cards() {
    let running = Running::start().await;
    let (status, _) = running
        .post("api/channels/answers/annotators", json!({"count": 1}))
        .await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = running
        .post("api/channels/answers/annotators", json!({"count": 1}))
        .await;
    assert_eq!(status, StatusCode::CONFLICT, "they are at it already");
    // They have released the trace, and wait for its card.
    eventually(async || (total(&running).await == 1).then_some(())).await;
    running.post_card().await;
    let click = eventually(async || running.received.lock().unwrap().pop()).await;
    assert_eq!(click["actions"][0]["action_id"], "thumb_down");
    assert_eq!(click["user"]["name"], "grader4");
    let open = json!({"trigger_id": click["trigger_id"], "view": modal()});
    assert_eq!(running.call("views.open", &open).await["ok"], true);
    assert_eq!(annotators_ended(&running).await["done"], 1);
    let submitted = running.received.lock().unwrap().remove(0);
    let reason = &submitted["view"]["state"]["values"]["reason"]["reason"]["value"];
    assert_eq!(reason, "it is made", "cut to what the field takes");
}

#[tokio::test]
async fn annotators_stop_with_the_reason_when_no_trace_is_left() {
    let running = Running::start_with(|c| c.places[0].recorded.clear()).await;
    running
        .post("api/channels/answers/annotators", json!({"count": 10}))
        .await;
    let progress = annotators_ended(&running).await;
    assert_eq!(
        (&progress["state"], &progress["done"]),
        (&json!("stopped"), &json!(0))
    );
    assert!(
        progress["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("no more"))
    );
}

#[tokio::test]
async fn annotators_stop_when_the_service_is_away() {
    let running = Running::start_with(|c| c.service_url.set_path("/nowhere/")).await;
    running.post_card().await;
    running
        .post("api/channels/answers/annotators", json!({"count": 1}))
        .await;
    assert_eq!(annotators_ended(&running).await["state"], "stopped");
}

fn fifty_traces_that_arrive_by_themselves(config: &mut PlaygroundConfig) {
    let trace = |i: usize| Recorded {
        trace: json!({"id": format!("t{i}")}),
        label: Thumb::Up,
        labels: vec![AnnotatorLabel {
            annotator: "a".into(),
            label: Thumb::Up,
            comment: None,
        }],
    };
    config.places[0].recorded = (0..50).map(trace).collect();
    config.releases_by_itself = true;
}

#[tokio::test]
async fn a_channel_is_not_empty_at_the_first_look_and_stays_calm_while_nobody_watches() {
    let running = Running::start_with(fifty_traces_that_arrive_by_themselves).await;
    let arrive = async || {
        running.playground.stream();
        total(&running).await
    };
    running.playground.greet();
    for _ in 0..10 {
        assert_eq!(arrive().await, 3, "nobody watches");
    }
    running.get("api/changes").await;
    assert_eq!([arrive().await, arrive().await], [4, 5]);
    assert_eq!(arrive().await, 5, "so many wait for a label already");
}

#[tokio::test]
async fn traces_arrive_one_by_one_with_a_pause_between_them() {
    let running = Running::start_with(|c| {
        fifty_traces_that_arrive_by_themselves(c);
        c.release_pause = Duration::from_secs(3_600);
    })
    .await;
    running.get("api/changes").await;
    for _ in 0..10 {
        running.playground.stream();
    }
    assert_eq!(total(&running).await, 1);
}

#[tokio::test]
async fn traces_arrive_while_it_runs_and_a_waiting_page_is_answered_at_the_stop() {
    let running = Running::start_with(fifty_traces_that_arrive_by_themselves).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = running.playground.clone();
    let run = tokio::spawn(run.run(async move { stopped.await.unwrap_or(()) }));
    eventually(async || (total(&running).await == 3).then_some(())).await;
    let first = running.get("api/changes").await;
    eventually(async || (total(&running).await > 3).then_some(())).await;
    let path = format!(
        "api/changes?epoch={}&after={}",
        first["epoch"].as_str().unwrap(),
        first["change"]
    );
    drop(stop);
    run.await.unwrap();
    // Less than a page waits where nothing stops.
    let answered = tokio::time::timeout(Duration::from_secs(20), running.get(&path)).await;
    assert_eq!(answered.unwrap()["epoch"], first["epoch"]);
}
