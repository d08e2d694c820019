use super::*;

/// Waits for the recorded annotators to end; gives their progress.
async fn annotators_ended(running: &Running) -> Value {
    loop {
        let channels = running.get("api/channels").await;
        let progress = channels["channels"][0]["annotators"].clone();
        if matches!(progress["state"].as_str(), Some("finished" | "stopped")) {
            return progress;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
    while running.get("api/channels/answers/traces").await["total"] == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.post_card().await;
    while running.received.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let click = running.received.lock().unwrap().remove(0);
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
    let running = Running::start_with(|c| c.interactions_url.set_path("/nowhere")).await;
    running.post_card().await;
    running
        .post("api/channels/answers/annotators", json!({"count": 1}))
        .await;
    assert_eq!(annotators_ended(&running).await["state"], "stopped");
}

#[tokio::test]
async fn a_channel_is_not_empty_at_the_first_look_and_stays_calm_while_nobody_watches() {
    let running = Running::start_with(|c| {
        let trace = |i: usize| Recorded {
            trace: json!({"id": format!("t{i}")}),
            label: Thumb::Up,
            labels: vec![AnnotatorLabel {
                annotator: "a".into(),
                label: Thumb::Up,
                comment: None,
            }],
        };
        c.places[0].recorded = (0..50).map(trace).collect();
        c.releases_by_itself = true;
    })
    .await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(
        running
            .playground
            .clone()
            .run(async move { stopped.await.unwrap_or(()) }),
    );
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let traces = running.get("api/channels/answers/traces").await;
    assert_eq!(
        (&traces["total"], &traces["waiting"]),
        (&json!(3), &json!(47))
    );
    let first = running.get("api/changes").await;
    let path = format!(
        "api/changes?epoch={}&after={}",
        first["epoch"].as_str().unwrap(),
        first["change"]
    );
    drop(stop);
    let (answered, ended) = tokio::join!(running.get(&path), run);
    assert_eq!(
        answered["epoch"], first["epoch"],
        "a waiting page is answered at the stop"
    );
    ended.unwrap();
}
