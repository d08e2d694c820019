use super::slack::Refusal;
use super::*;

#[tokio::test]
async fn the_production_client_posts_updates_and_finds_its_message() {
    let running = Running::start().await;
    let channel = running.channel();
    assert_eq!(running.slack.identity().await.unwrap().team, "Playground");
    let posted = running.post_card().await;
    let mut changed = card("t1");
    changed.text = "changed".to_owned();
    running
        .slack
        .update_message(&posted, &changed)
        .await
        .unwrap();
    let metadata = changed.metadata.clone().unwrap();
    let found = running
        .slack
        .find_message(&channel, None, &metadata, "0")
        .await
        .unwrap();
    assert_eq!(found.as_ref(), Some(&posted));
    let later = format!("{}9", posted.ts);
    let found = running
        .slack
        .find_message(&channel, None, &metadata, &later)
        .await
        .unwrap();
    assert_eq!(found, None, "it is older than asked for");
    running
        .slack
        .post_message(&channel, Some(&posted.ts), &card("t2"))
        .await
        .unwrap();
    let shown = running.get("api/channels/answers/messages").await;
    assert_eq!(shown["messages"][0]["text"], "changed");
    assert_eq!(
        shown["messages"][0]["replies"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn history_is_read_page_by_page_to_its_end() {
    let running = Running::start().await;
    let channel = running.channel();
    for i in 0..13 {
        let message = Message {
            text: format!("m{i}"),
            blocks: Vec::new(),
            metadata: None,
        };
        running
            .slack
            .post_message(&channel, None, &message)
            .await
            .unwrap();
    }
    let mut cursor = String::new();
    let mut texts = Vec::new();
    loop {
        let body = json!({"channel": channel, "limit": 5, "cursor": cursor});
        let page = running.call("conversations.history", &body).await;
        let messages = page["messages"].as_array().unwrap();
        assert!(messages.len() <= 5 && messages.iter().all(|m| m["metadata"].is_null()));
        texts.extend(
            messages
                .iter()
                .map(|m| m["text"].as_str().unwrap().to_owned()),
        );
        cursor = page["response_metadata"]["next_cursor"]
            .as_str()
            .unwrap()
            .to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(texts.len(), 13);
    assert_eq!(
        (texts[0].as_str(), texts[12].as_str()),
        ("m12", "m0"),
        "newest first"
    );
}

#[tokio::test]
async fn refusals_are_slacks_own_words() {
    let running = Running::start().await;
    let channel = running.channel();
    let too_long = section("x")
        .to_string()
        .replace("\"x\"", &format!("\"{}\"", "x".repeat(3_001)));
    let too_long: Value = serde_json::from_str(&too_long).unwrap();
    for (method, body, error) in [
        (
            "chat.postMessage",
            json!({"channel": "C0", "text": "a"}),
            "channel_not_found",
        ),
        ("chat.postMessage", json!({"channel": channel}), "no_text"),
        (
            "chat.postMessage",
            json!({"channel": channel, "blocks": [too_long]}),
            "invalid_blocks",
        ),
        (
            "chat.postMessage",
            json!({"channel": channel, "text": "a", "thread_ts": "1.0"}),
            "thread_not_found",
        ),
        (
            "chat.update",
            json!({"channel": channel, "ts": "1.0", "text": "a"}),
            "message_not_found",
        ),
        (
            "chat.postEphemeral",
            json!({"channel": channel, "user": "U0", "text": "a"}),
            "user_not_in_channel",
        ),
        (
            "views.open",
            json!({"trigger_id": "1.2.3", "view": modal()}),
            "invalid_trigger_id",
        ),
        (
            "views.open",
            json!({"trigger_id": "1.2.3", "view": {}}),
            "invalid_arguments",
        ),
        (
            "conversations.info",
            json!({"channel": "C0"}),
            "channel_not_found",
        ),
        ("users.info", json!({"user": "U0"}), "user_not_found"),
        (
            "files.completeUploadExternal",
            json!({"files": [{"id": "F0"}]}),
            "file_not_found",
        ),
        ("chat.meMessage", json!({}), "unknown_method"),
    ] {
        let answer = running.call(method, &body).await;
        assert_eq!(
            (&answer["ok"], &answer["error"]),
            (&json!(false), &json!(error)),
            "{method} {body}"
        );
    }
    let shown = running.get("api/channels/answers/messages").await;
    assert_eq!(
        shown["messages"],
        json!([]),
        "what is refused is refused whole"
    );
}

#[tokio::test]
async fn a_call_needs_the_token() {
    let running = Running::start().await;
    let ask = async |token: Option<&str>| {
        let request = running.http.post(running.url("slack/api/auth.test"));
        let request = token.map_or(request.try_clone().unwrap(), |token| {
            request.bearer_auth(token)
        });
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["error"].clone()
    };
    assert_eq!(ask(None).await, "not_authed");
    assert_eq!(ask(Some("xoxb-wrong")).await, "invalid_auth");
}

#[tokio::test]
async fn too_many_calls_are_told_to_wait() {
    let running = Running::start_with(|c| c.rate_limits = RateLimits::Documented).await;
    let token = running.playground.places().remove(0).bot_token;
    let mut limited = None;
    for _ in 0..30 {
        let request = running.http.post(running.url("slack/api/chat.postMessage"));
        let request = request.bearer_auth(token.expose_secret());
        let body = json!({"channel": running.channel(), "text": "a"});
        let answer = request.json(&body).send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("thirty at once are too many");
    let wait: u64 = limited.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(wait >= 1);
    assert_eq!(
        limited.json::<Value>().await.unwrap()["error"],
        "ratelimited"
    );
}

#[tokio::test]
async fn what_a_test_orders_is_refused_and_then_nothing_more() {
    let running = Running::start().await;
    let slack = running.playground.slack();
    let body = json!({"channel": running.channel(), "text": "a"});
    slack.refuse_next("chat.postMessage", Refusal::RateLimited(30));
    slack.refuse_next("chat.postMessage", Refusal::Error("invalid_auth"));
    let token = running.playground.places().remove(0).bot_token;
    let request = running.http.post(running.url("slack/api/chat.postMessage"));
    let request = request.bearer_auth(token.expose_secret()).json(&body);
    let limited = request.send().await.unwrap();
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers()["retry-after"], "30");
    assert_eq!(running.call("auth.test", &json!({})).await["ok"], true);
    let refused = running.call("chat.postMessage", &body).await;
    assert_eq!(refused["error"], "invalid_auth");
    let (one, other) = (running.post_card().await, running.post_card().await);
    slack.refuse_updates_of(&one.ts, "cant_update_message");
    let update = async |ts: &str| {
        let body = json!({"channel": running.channel(), "ts": ts, "text": "b"});
        running.call("chat.update", &body).await["error"].clone()
    };
    for _ in 0..2 {
        assert_eq!(update(&one.ts).await, "cant_update_message");
        assert_eq!(update(&other.ts).await, Value::Null);
    }
}

#[tokio::test]
async fn a_picture_that_slack_still_processes_cannot_be_shown() {
    let hour = Duration::from_secs(3_600);
    let running = Running::start_with(|c| c.slack_timing.file_ready_after = hour).await;
    let posted = running.post_card().await;
    let upload = running
        .slack
        .upload_picture("table.png", "A table", b"\x89PNG".to_vec());
    let id = upload.await.unwrap();
    let image = json!({"type": "image", "alt_text": "A table", "slack_file": {"id": id}});
    let channel = running.channel();
    for (method, body) in [
        (
            "chat.postMessage",
            json!({"channel": channel, "blocks": [image]}),
        ),
        (
            "chat.update",
            json!({"channel": channel, "ts": posted.ts, "blocks": [image]}),
        ),
    ] {
        let answer = running.call(method, &body).await;
        assert_eq!(answer["error"], "invalid_blocks", "{method}");
        let problem = answer["errors"][0].as_str().unwrap();
        assert!(problem.starts_with("invalid slack file"), "{problem}");
    }
}

#[tokio::test]
async fn a_picture_is_uploaded_and_shown() {
    let running = Running::start_with(|c| c.slack_timing.file_ready_after = Duration::ZERO).await;
    let png = b"\x89PNG and more".to_vec();
    let id = running
        .slack
        .upload_picture("table.png", "A table", png.clone())
        .await
        .unwrap();
    let image = json!({"type": "image", "alt_text": "A table", "slack_file": {"id": id}});
    let message = Message {
        text: "see".to_owned(),
        blocks: vec![image],
        metadata: None,
    };
    running
        .slack
        .post_message(&running.channel(), None, &message)
        .await
        .unwrap();
    let answer = running
        .http
        .get(running.url(&format!("files/{id}")))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(answer.bytes().await.unwrap(), png);
}

#[tokio::test]
async fn a_response_url_answers_the_one_who_clicked() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    running.click(&posted.ts, "thumb_up").await;
    let url = running.received.lock().unwrap().remove(0)["response_url"]
        .as_str()
        .unwrap()
        .to_owned();
    let send = async |body: Value| {
        running
            .http
            .post(&url)
            .json(&body)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(send(json!({"text": "only you"})).await, StatusCode::OK);
    assert_eq!(
        send(json!({"text": "new text", "replace_original": true})).await,
        StatusCode::OK
    );
    let mine = running.get("api/channels/answers/messages").await;
    let others = running
        .get("api/channels/answers/messages?user=grader4")
        .await;
    assert_eq!(mine["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(others["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(others["messages"][0]["text"], "new text");
    assert_eq!(
        running
            .http
            .post(running.url("slack/actions/x"))
            .json(&json!({}))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
}

#[tokio::test]
async fn an_ephemeral_line_is_seen_by_its_user_alone() {
    let running = Running::start().await;
    let users = running.get("api/users").await;
    let you = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|u| u["name"] == "you")
        .unwrap();
    let you = you["id"].as_str().unwrap();
    running
        .slack
        .post_ephemeral(&running.channel(), you, "psst")
        .await
        .unwrap();
    let seen = async |user: &str| {
        let path = format!("api/channels/answers/messages?user={user}");
        running.get(&path).await["messages"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(
        (seen("you").await, seen("grader4").await),
        (Some(1), Some(0))
    );
    let history = running
        .call(
            "conversations.history",
            &json!({"channel": running.channel()}),
        )
        .await;
    assert_eq!(history["messages"], json!([]));
}
