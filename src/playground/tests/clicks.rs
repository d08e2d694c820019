use super::*;

#[tokio::test]
async fn a_click_is_a_signed_block_action_with_the_message_in_it() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    let (status, _) = running.click(&posted.ts, "thumb_up").await;
    assert_eq!(status, StatusCode::OK);
    let payload = running.received.lock().unwrap().remove(0);
    assert_eq!(payload["type"], "block_actions");
    assert_eq!(
        payload["team"]["id"],
        running.slack.identity().await.unwrap().team_id
    );
    assert_eq!(payload["channel"]["id"], posted.channel);
    assert_eq!(
        payload["message"]["metadata"]["event_payload"]["trace_id"],
        "t1"
    );
    assert_eq!(payload["container"]["message_ts"], posted.ts);
    let action = &payload["actions"][0];
    assert_eq!(
        (&action["action_id"], &action["value"]),
        (&json!("thumb_up"), &json!("t1"))
    );
    let channels = running.get("api/channels").await;
    assert_eq!(channels["channels"][0]["labelled"], 1);
    assert_eq!(channels["channels"][0]["up"], 1);
}

#[tokio::test]
async fn a_click_on_what_one_person_alone_sees_tells_of_no_message() {
    let running = Running::start().await;
    let slack = running.playground.slack();
    let you = &slack.user("you").unwrap().id;
    let blocks = [actions(
        "own",
        &[button("label_undo", "Undo", "Undo", "t1")],
    )];
    let whisper = json!({"channel": running.channel(), "user": you, "text": "a", "blocks": blocks});
    let sent = running.call("chat.postEphemeral", &whisper).await;
    let ts = sent["message_ts"].as_str().unwrap();
    assert_eq!(running.click(ts, "label_undo").await.0, StatusCode::OK);
    let payload = running.received.lock().unwrap().remove(0);
    assert_eq!(
        payload["container"],
        json!({"type": "message", "message_ts": ts, "channel_id": running.channel(), "is_ephemeral": true})
    );
    assert!(payload.get("message").is_none() && payload["response_url"].is_string());
}

#[tokio::test]
async fn only_a_button_that_is_there_can_be_clicked() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    assert_eq!(
        running.click(&posted.ts, "thumb_sideways").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        running.click("1.0", "thumb_up").await.0,
        StatusCode::NOT_FOUND
    );
    assert!(running.received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_click_that_is_not_acknowledged_is_not_counted() {
    let running = Running::start_with(|c| c.service_url.set_path("/nowhere/")).await;
    let posted = running.post_card().await;
    let (status, body) = running.click(&posted.ts, "thumb_up").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body["error"].as_str().unwrap().contains("404"), "{body}");
    assert_eq!(
        running.get("api/channels").await["channels"][0]["labelled"],
        0
    );
}

#[test]
fn an_app_has_slacks_three_seconds_unless_a_test_gives_it_more() {
    let slacks = Timing::default();
    let three = Duration::from_secs(3);
    assert_eq!(
        (slacks.acknowledge_within, slacks.trigger_lives),
        (three, three)
    );
}

#[tokio::test]
async fn a_click_that_is_acknowledged_too_late_is_not_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running::start_with(|c| {
        c.service_url = service_url(silent.local_addr().unwrap());
        c.slack_timing.acknowledge_within = Duration::from_millis(20);
    })
    .await;
    let posted = running.post_card().await;
    let (status, _) = running.click(&posted.ts, "thumb_up").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(
        running.get("api/channels").await["channels"][0]["labelled"],
        0
    );
}

#[tokio::test]
async fn a_modal_opens_once_is_checked_and_submitted() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    running.click(&posted.ts, "thumb_down").await;
    let trigger = running.received.lock().unwrap().remove(0)["trigger_id"].clone();
    let open = json!({"trigger_id": trigger, "view": modal()});
    assert_eq!(running.call("views.open", &open).await["ok"], true);
    assert_eq!(
        running.call("views.open", &open).await["error"],
        "exchanged_trigger_id"
    );
    let id = running.get("api/views").await["views"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        running.get("api/views?user=grader4").await["views"],
        json!([]),
        "it is another's"
    );
    let submit = format!("api/views/{id}/submit");
    let values = |text: &str| json!({"values": {"reason": {"reason": text}}});
    let (status, body) = running.post(&submit, values("far too long a reason")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["errors"]["reason"].is_string() && running.received.lock().unwrap().is_empty());
    let refused = json!({"response_action": "errors", "errors": {"reason": "no"}});
    *running.answer.lock().unwrap() = refused.to_string();
    assert_eq!(
        running.post(&submit, values("why")).await.1["errors"]["reason"],
        "no"
    );
    for unfit in [
        "fine",
        "[]",
        r#"{"response_action": "errors", "errors": {"other": "no"}}"#,
    ] {
        *running.answer.lock().unwrap() = unfit.to_owned();
        let (status, _) = running.post(&submit, values("why")).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{unfit}");
    }
    assert_eq!(running.get("api/views").await["views"][0]["id"], id);
    running.answer.lock().unwrap().clear();
    assert_eq!(running.post(&submit, values("why")).await.0, StatusCode::OK);
    let sent = running.received.lock().unwrap().remove(1);
    assert_eq!(
        sent["view"]["state"]["values"]["reason"]["reason"]["value"],
        "why"
    );
    assert_eq!(sent["view"]["private_metadata"], "x");
    assert_eq!(running.get("api/views").await["views"], json!([]));
}

#[tokio::test]
async fn a_closed_modal_is_told_of_where_that_was_asked_for() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    for notify in [true, false] {
        running.click(&posted.ts, "thumb_down").await;
        let trigger = running.received.lock().unwrap().remove(0)["trigger_id"].clone();
        let mut view = modal();
        view["notify_on_close"] = json!(notify);
        running
            .call("views.open", &json!({"trigger_id": trigger, "view": view}))
            .await;
        let id = running.get("api/views").await["views"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        running
            .post(&format!("api/views/{id}/close"), json!({}))
            .await;
        let mut received = running.received.lock().unwrap();
        let kinds: Vec<Value> = received
            .drain(..)
            .map(|payload| payload["type"].clone())
            .collect();
        assert_eq!(kinds.len(), usize::from(notify), "{kinds:?}");
    }
}
