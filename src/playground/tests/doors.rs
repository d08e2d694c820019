use super::*;
use crate::playground::slack::{APP_ID, BOT_USER_ID};

/// The bodies of events of this type that the app has received, newest last.
async fn events(running: &Running, kind: &str, count: usize) -> Vec<Value> {
    eventually(async || {
        let events = running.events.lock().unwrap();
        let of_kind = |envelope: &&Value| envelope["event"]["type"] == kind;
        let found: Vec<Value> = events.iter().filter(of_kind).cloned().collect();
        (found.len() >= count).then_some(found)
    })
    .await
}

async fn channel_post(running: &Running, door: &str, body: Value) -> (StatusCode, Value) {
    running
        .post(&format!("api/channels/answers/{door}"), body)
        .await
}

#[tokio::test]
async fn a_reaction_is_told_of_once_and_shown() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    let reaction = json!({"ts": posted.ts, "name": "+1"});
    for _ in 0..2 {
        assert_eq!(
            channel_post(&running, "react", reaction.clone()).await.0,
            StatusCode::OK
        );
    }
    let shown = running.get("api/channels/answers/messages").await;
    assert_eq!(shown["messages"][0]["reactions"][0]["count"], 1);
    let got = json!({"channel": posted.channel, "timestamp": posted.ts});
    let got = running.call("reactions.get", &got).await;
    assert_eq!(got["message"]["reactions"][0]["name"], "+1");
    let away = json!({"ts": posted.ts, "name": "+1", "remove": true});
    channel_post(&running, "react", away).await;
    let removed = events(&running, "reaction_removed", 1).await;
    let added = events(&running, "reaction_added", 1).await;
    assert_eq!((added.len(), removed.len()), (1, 1));
    let (envelope, event) = (&added[0], &added[0]["event"]);
    assert_eq!(
        event["item"],
        json!({"type": "message", "channel": posted.channel, "ts": posted.ts})
    );
    assert_eq!(event["item_user"], BOT_USER_ID);
    assert_eq!(
        (&envelope["type"], &envelope["api_app_id"]),
        (&json!("event_callback"), &json!(APP_ID))
    );
    assert!(envelope["event_id"].as_str().unwrap().starts_with("Ev"));
    assert!(envelope["event_time"].is_i64());
    let unknown = json!({"ts": "1.0", "name": "+1"});
    assert_eq!(
        channel_post(&running, "react", unknown).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_people_write_is_told_of_with_its_thread_and_author() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    let own = events(&running, "message", 1).await;
    assert_eq!(
        own[0]["event"]["bot_id"], "B0IOFOLDBOT",
        "an app hears itself"
    );
    let said = json!({"text": "it lies <@U0IOFOLDBOT>", "thread_ts": posted.ts});
    let (_, answer) = channel_post(&running, "say", said).await;
    let message = events(&running, "message", 2).await.remove(1)["event"].take();
    let you = running.playground.slack().user("you").unwrap().id.clone();
    for (name, value) in [
        ("user", json!(you)),
        ("ts", answer["ts"].clone()),
        ("thread_ts", json!(posted.ts)),
        ("parent_user_id", json!(BOT_USER_ID)),
        ("channel", json!(posted.channel)),
        ("channel_type", json!("channel")),
        ("bot_id", Value::Null),
    ] {
        assert_eq!(message[name], value, "{name}");
    }
    assert_eq!(events(&running, "app_mention", 1).await.len(), 1);
    let update = json!({"channel": posted.channel, "ts": answer["ts"], "text": "x"});
    assert_eq!(
        running.call("chat.update", &update).await["error"],
        "cant_update_message"
    );
    let nowhere = json!({"text": "a", "thread_ts": "1.0"});
    assert_eq!(
        channel_post(&running, "say", nowhere).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_deleted_message_is_gone_and_one_with_replies_leaves_a_tombstone() {
    let running = Running::start().await;
    let (lone, parent) = (running.post_card().await, running.post_card().await);
    let reply = json!({"text": "why?", "thread_ts": parent.ts});
    channel_post(&running, "say", reply).await;
    for posted in [&lone, &parent] {
        let (status, _) = channel_post(&running, "delete", json!({"ts": posted.ts})).await;
        assert_eq!(status, StatusCode::OK);
        let update = json!({"channel": posted.channel, "ts": posted.ts, "text": "x"});
        let refused = running.call("chat.update", &update).await;
        assert_eq!(refused["error"], "message_not_found");
        let (status, _) = channel_post(&running, "delete", json!({"ts": posted.ts})).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    let of_subtype = |subtype: &'static str| {
        let running = &running;
        eventually(async move || {
            let events = running.events.lock().unwrap();
            let mut bodies = events.iter().map(|envelope| &envelope["event"]);
            bodies.find(|event| event["subtype"] == subtype).cloned()
        })
    };
    let deleted = of_subtype("message_deleted").await;
    assert_eq!(deleted["deleted_ts"], lone.ts);
    assert_eq!(
        deleted["previous_message"]["metadata"]["event_payload"]["trace_id"],
        "t1"
    );
    let changed = of_subtype("message_changed").await;
    assert_eq!(changed["message"]["subtype"], "tombstone");
    assert_eq!(changed["previous_message"]["ts"], parent.ts);
}

#[tokio::test]
async fn a_command_is_answered_to_the_one_who_gave_it() {
    let running = Running::start().await;
    for (answer, kind, shown_to) in [
        (r#"{"text": "json"}"#, "application/json", 1),
        ("plain", "text/plain", 1),
        ("", "text/plain", 0),
        (
            r#"{"text": "all", "response_type": "in_channel"}"#,
            "application/json; charset=utf-8",
            2,
        ),
    ] {
        *running.answer.lock().unwrap() = answer.to_owned();
        *running.answer_kind.lock().unwrap() = kind;
        let before = [seen(&running, "you").await, seen(&running, "grader4").await];
        let (status, _) = channel_post(&running, "command", json!({"text": "status now"})).await;
        assert_eq!(status, StatusCode::OK);
        let after =
            seen(&running, "you").await - before[0] + seen(&running, "grader4").await - before[1];
        assert_eq!(after, shown_to, "{answer}");
    }
    let command = running.commands.lock().unwrap()[0].clone();
    assert_eq!(
        (&command["command"], &command["text"]),
        (&json!("/iofold"), &json!("status now"))
    );
    let view = json!({"trigger_id": command["trigger_id"], "view": modal()});
    assert_eq!(running.call("views.open", &view).await["ok"], true);
    let url = command["response_url"].as_str().unwrap();
    let late = running.http.post(url).json(&json!({"text": "late"}));
    assert_eq!(late.send().await.unwrap().status(), StatusCode::OK);
    *running.answer.lock().unwrap() = "{".to_owned();
    let (status, _) = channel_post(&running, "command", json!({})).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
}

async fn seen(running: &Running, user: &str) -> usize {
    let path = format!("api/channels/answers/messages?user={user}");
    running.get(&path).await["messages"]
        .as_array()
        .unwrap()
        .len()
}

fn home(text: &str) -> Value {
    let menu = ["a", "b"].map(|value| {
        json!({"text": {"type": "plain_text", "text": value.to_uppercase()}, "value": value})
    });
    json!({"type": "home", "blocks": [
        section(text),
        {"type": "actions", "block_id": "row", "elements": [
            {"type": "button", "action_id": "home_go", "value": "v", "text": {"type": "plain_text", "text": "Go"}},
            {"type": "overflow", "action_id": "menu", "options": menu},
            {"type": "static_select", "action_id": "pick", "options": menu},
            {"type": "checkboxes", "action_id": "tick", "options": menu},
        ]},
    ]})
}

#[tokio::test]
async fn a_home_is_opened_published_and_clicked() {
    let running = Running::start().await;
    assert_eq!(running.get("api/home").await["view"], Value::Null);
    running.post("api/home/open", json!({"user": "you"})).await;
    let opened = events(&running, "app_home_opened", 1).await.remove(0)["event"].take();
    assert_eq!(
        (&opened["tab"], &opened["view"]),
        (&json!("home"), &Value::Null)
    );
    let publish = |text: &str, hash: Value| json!({"user_id": opened["user"], "view": home(text), "hash": hash});
    let first = running
        .call("views.publish", &publish("one", Value::Null))
        .await;
    let hash = first["view"]["hash"].clone();
    let second = running
        .call("views.publish", &publish("two", hash.clone()))
        .await;
    assert_eq!(second["view"]["id"], first["view"]["id"]);
    let late = running.call("views.publish", &publish("three", hash)).await;
    assert_eq!(late["error"], "hash_conflict");
    let shown = running.get("api/home").await["view"].take();
    assert_eq!(shown["blocks"][0]["text"]["text"], "two");
    assert_eq!(
        running.get("api/home?user=grader4").await["view"],
        Value::Null
    );
    let click = format!("api/views/{}/click", shown["id"].as_str().unwrap());
    for (action, value, selected) in [
        ("pick", "b", json!([])),
        ("tick", "", json!(["a", "b"])),
        ("menu", "a", json!([])),
        ("home_go", "v", json!([])),
    ] {
        let body = json!({"action_id": action, "value": value, "selected": selected});
        assert_eq!(
            running.post(&click, body).await.0,
            StatusCode::OK,
            "{action}"
        );
    }
    let sent = running.received.lock().unwrap().clone();
    assert_eq!(sent[0]["actions"][0]["selected_option"]["value"], "b");
    let last = &sent[3];
    assert_eq!(
        last["container"],
        json!({"type": "view", "view_id": shown["id"]})
    );
    assert!(last.get("channel").is_none() && last.get("message").is_none());
    let values = &last["view"]["state"]["values"]["row"];
    assert_eq!(values["pick"]["selected_option"]["value"], "b");
    assert_eq!(
        values["tick"]["selected_options"].as_array().map(Vec::len),
        Some(2)
    );
    let unknown = json!({"action_id": "menu", "value": "c"});
    assert_eq!(running.post(&click, unknown).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn modals_are_updated_pushed_and_looked_through() {
    let running = Running::start().await;
    let trigger = async || {
        channel_post(&running, "command", json!({})).await;
        let commands = running.commands.lock().unwrap();
        commands.last().unwrap()["trigger_id"].clone()
    };
    let mut view = modal();
    view["external_id"] = json!("x");
    let open = json!({"trigger_id": trigger().await, "view": view});
    let opened = running.call("views.open", &open).await["view"].take();
    let push = json!({"trigger_id": trigger().await, "view": view});
    assert_eq!(
        running.call("views.push", &push).await["error"],
        "duplicate_external_id"
    );
    let push = json!({"trigger_id": trigger().await, "view": modal()});
    let pushed = running.call("views.push", &push).await["view"].take();
    assert_eq!(pushed["previous_view_id"], opened["id"]);
    let update = json!({"external_id": "x", "hash": opened["hash"], "view": view});
    assert_eq!(running.call("views.update", &update).await["ok"], true);
    assert_eq!(
        running.call("views.update", &update).await["error"],
        "hash_conflict"
    );
    let unknown = json!({"view_id": "V0", "view": modal()});
    assert_eq!(
        running.call("views.update", &unknown).await["error"],
        "not_found"
    );
    let views = running.get("api/views").await["views"].take();
    assert_eq!(
        (&views[0]["id"], &views[1]["id"]),
        (&opened["id"], &pushed["id"])
    );
    *running.answer.lock().unwrap() = r#"{"response_action": "clear"}"#.to_owned();
    let submit = format!("api/views/{}/submit", pushed["id"].as_str().unwrap());
    let values = json!({"values": {"reason": {"reason": "why"}}});
    assert_eq!(running.post(&submit, values).await.0, StatusCode::OK);
    assert_eq!(running.get("api/views").await["views"], json!([]));
}

#[tokio::test]
async fn an_event_is_sent_again_until_it_is_acknowledged() {
    for (status, no_retry, tries) in [(500, false, 4), (500, true, 1), (200, false, 1)] {
        let running = Running::start_with(|c| {
            c.slack_timing.event_retries = [Duration::ZERO; 3];
        })
        .await;
        *running.event_status.lock().unwrap() = (status, no_retry);
        running.playground.slack().open_home("you").unwrap();
        events(&running, "app_home_opened", tries).await;
        // One more event shows that nothing of the first is still on its way.
        running.playground.slack().open_home("you").unwrap();
        let sent = events(&running, "app_home_opened", 2 * tries).await;
        let id = sent[0]["event_id"].clone();
        let mut retries = running.retries.lock().unwrap().clone();
        retries.retain(|(event_id, _)| *event_id == id);
        let numbers: Vec<Option<String>> = retries.into_iter().map(|(_, retry)| retry).collect();
        let all = [
            None,
            Some("1 http_error"),
            Some("2 http_error"),
            Some("3 http_error"),
        ];
        let expected: Vec<Option<String>> =
            all[..tries].iter().map(|r| r.map(str::to_owned)).collect();
        assert_eq!(numbers, expected);
    }
}

#[tokio::test]
async fn an_address_proves_itself_by_the_challenge() {
    let running = Running::start().await;
    let slack = running.playground.slack();
    assert!(slack.verify_url().await);
    *running.event_status.lock().unwrap() = (401, false);
    assert!(!slack.verify_url().await);
}
