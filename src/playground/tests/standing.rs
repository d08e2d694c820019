use super::*;
use crate::playground::slack::BOT_USER_ID;

async fn event(running: &Running, kind: &str) -> Value {
    eventually(async || {
        let events = running.events.lock().unwrap();
        let mut bodies = events.iter().map(|envelope| &envelope["event"]);
        bodies.find(|event| event["type"] == kind).cloned()
    })
    .await
}

async fn error(running: &Running, method: &str, body: Value) -> Value {
    running.call(method, &body).await["error"].take()
}

#[tokio::test]
async fn an_archived_channel_takes_nothing_until_it_is_opened_again() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    let (slack, channel) = (running.playground.slack(), posted.channel.clone());
    let message = json!({"channel": channel, "text": "a"});
    let update = json!({"channel": channel, "ts": posted.ts, "text": "a"});
    slack.archive(&channel, "U1");
    assert_eq!(
        event(&running, "channel_archive").await["channel"],
        channel.as_str()
    );
    assert_eq!(
        error(&running, "chat.postMessage", message.clone()).await,
        "is_archived"
    );
    assert_eq!(
        error(&running, "chat.update", update.clone()).await,
        "is_archived"
    );
    let info = json!({"channel": channel});
    let info = running.call("conversations.info", &info).await;
    assert_eq!(info["channel"]["is_archived"], true);
    assert_eq!(
        running.click(&posted.ts, "thumb_up").await.0,
        StatusCode::NOT_FOUND
    );
    slack.unarchive(&channel, "U1");
    event(&running, "channel_unarchive").await;
    assert_eq!(
        error(&running, "chat.postMessage", message).await,
        Value::Null
    );
}

#[tokio::test]
async fn an_app_that_was_removed_posts_in_public_channels_only_and_reads_in_none() {
    let running = Running::start().await;
    let channel = running.channel();
    let slack = running.playground.slack();
    let message = json!({"channel": channel, "text": "a"});
    let history = json!({"channel": channel});
    slack.remove_app(&channel, "U1");
    assert_eq!(
        event(&running, "member_left_channel").await["user"],
        BOT_USER_ID
    );
    event(&running, "channel_left").await;
    assert_eq!(
        error(&running, "conversations.history", history.clone()).await,
        "not_in_channel"
    );
    assert_eq!(
        error(&running, "chat.postMessage", message.clone()).await,
        Value::Null
    );
    slack.take_scope("chat:write.public");
    assert_eq!(
        error(&running, "chat.postMessage", message.clone()).await,
        "not_in_channel"
    );
    slack.make_private(&channel);
    assert_eq!(
        error(&running, "chat.postMessage", message.clone()).await,
        "channel_not_found"
    );
    slack.invite_app(&channel, "U1");
    event(&running, "member_joined_channel").await;
    assert_eq!(
        error(&running, "chat.postMessage", message).await,
        Value::Null
    );
    assert_eq!(
        error(&running, "conversations.history", history).await,
        Value::Null
    );
    slack.remove_app(&channel, "U1");
    event(&running, "group_left").await;
}

#[tokio::test]
async fn a_missing_scope_is_named_and_the_granted_ones_are_told() {
    let running = Running::start().await;
    let slack = running.playground.slack();
    slack.take_scope("users:read");
    let user = json!({"user": slack.user("you").unwrap().id});
    let refused = running.call("users.info", &user).await;
    assert_eq!(refused["error"], "missing_scope");
    assert_eq!(refused["needed"], "users:read");
    let provided = refused["provided"].as_str().unwrap();
    assert!(provided.contains("chat:write") && !provided.contains("users:read"));
    let token = running.playground.places().remove(0).bot_token;
    let request = running.http.post(running.url("slack/api/auth.test"));
    let answer = request
        .bearer_auth(token.expose_secret())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-oauth-scopes"], provided);
    slack.grant_scope("users:read");
    let person = running.call("users.info", &user).await;
    assert_eq!(person["user"]["is_restricted"], false);
    assert!(slack.scopes_used().contains(&"users:read"));
}

#[tokio::test]
async fn a_token_is_revoked_and_an_app_uninstalled() {
    let running = Running::start().await;
    let slack = running.playground.slack();
    slack.revoke_token();
    let revoked = event(&running, "tokens_revoked").await;
    assert_eq!(revoked["tokens"]["bot"], json!([BOT_USER_ID]));
    assert_eq!(
        error(&running, "auth.test", json!({})).await,
        "token_revoked"
    );
    slack.uninstall();
    event(&running, "app_uninstalled").await;
    assert_eq!(
        error(&running, "auth.test", json!({})).await,
        "account_inactive"
    );
    slack.install();
    assert_eq!(error(&running, "auth.test", json!({})).await, Value::Null);
}

#[tokio::test]
async fn guests_and_people_of_other_teams_are_told_apart() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    let slack = running.playground.slack();
    let you = slack.user("you").unwrap();
    slack.restrict(you);
    slack.move_to_team(you, "T0THER");
    let info = running.call("users.info", &json!({"user": you.id})).await;
    let user = &info["user"];
    assert_eq!(
        (&user["is_restricted"], &user["team_id"]),
        (&json!(true), &json!("T0THER"))
    );
    running.click(&posted.ts, "thumb_up").await;
    let payload = running.received.lock().unwrap().remove(0);
    assert_eq!(payload["user"]["team_id"], "T0THER");
    assert_ne!(payload["team"]["id"], "T0THER");
}

#[tokio::test]
async fn a_person_is_written_to_directly() {
    let running = Running::start().await;
    let slack = running.playground.slack();
    let you = &slack.user("you").unwrap().id;
    let sent = json!({"channel": you, "text": "psst"});
    let direct = running.call("chat.postMessage", &sent).await["channel"].take();
    assert!(direct.as_str().unwrap().starts_with('D'));
    let open = json!({"users": you});
    assert_eq!(
        error(&running, "conversations.open", open.clone()).await,
        "missing_scope"
    );
    slack.grant_scope("im:write");
    let opened = running.call("conversations.open", &open).await;
    assert_eq!(opened["channel"]["id"], direct);
    let mine = running.call("users.conversations", &json!({})).await;
    assert_eq!(
        mine["channels"].as_array().map(Vec::len),
        Some(1),
        "a direct one is none"
    );
}

#[tokio::test]
async fn an_app_deletes_its_own_messages_and_links_to_them() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    let at = json!({"channel": posted.channel, "message_ts": posted.ts});
    let link = running.call("chat.getPermalink", &at).await;
    let team = running.slack.identity().await.unwrap().url;
    assert_eq!(
        link["permalink"].as_str(),
        posted.permalink(&team).as_deref()
    );
    let slack = running.playground.slack();
    let anothers = slack.say(&posted.channel, "you", "mine", None).unwrap();
    let delete = |ts: &str| json!({"channel": posted.channel, "ts": ts});
    assert_eq!(
        error(&running, "chat.delete", delete(&anothers)).await,
        "cant_delete_message"
    );
    assert_eq!(
        error(&running, "chat.delete", delete(&posted.ts)).await,
        Value::Null
    );
    assert_eq!(
        error(&running, "chat.delete", delete(&posted.ts)).await,
        "message_not_found"
    );
}

#[tokio::test]
async fn an_update_leaves_the_blocks_it_says_nothing_of() {
    let running = Running::start().await;
    let posted = running.post_card().await;
    let at = |blocks: Value| {
        let mut body = json!({"channel": posted.channel, "ts": posted.ts, "text": "new"});
        if !blocks.is_null() {
            body["blocks"] = blocks;
        }
        body
    };
    for (blocks, left) in [(Value::Null, 2), (json!([]), 0)] {
        let updated = running.call("chat.update", &at(blocks)).await;
        let shown = &updated["message"];
        assert_eq!(shown["text"], "new");
        assert_eq!(shown["blocks"].as_array().map(Vec::len), Some(left));
    }
}
