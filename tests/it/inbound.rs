//! Slack's ways in: what is signed is answered, what isn't is refused.

use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::Database;
use crate::support::signed::{interaction_body, now};
use crate::support::stage::Stage;

on_both_databases!(
    slacks_trial_of_an_address_is_answered,
    a_command_is_answered_for_who_typed_it,
    what_is_not_signed_or_not_slacks_is_refused,
);

/// Status and JSON of a signed body's answer; null where it is empty.
async fn send(stage: &Stage, path: &str, body: &str) -> (u16, Value) {
    let (status, text) = interaction_body(stage, &stage.url(path), now(), body.as_bytes()).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn stage(database: Database) -> Stage {
    Stage::set(database, Apis::Both, Vec::new(), &[]).await
}

async fn slacks_trial_of_an_address_is_answered(database: Database) {
    let stage = stage(database).await;
    let running = stage.start().await;
    let trial =
        json!({"type": "url_verification", "token": "t", "challenge": "a \"challenge\" 👍"});
    let (status, answer) = send(&stage, "/slack/events", &trial.to_string()).await;
    assert_eq!((status, &answer["challenge"]), (200, &trial["challenge"]));
    let (status, answer) = send(&stage, "/slack/commands", "ssl_check=1&token=t").await;
    assert_eq!((status, answer), (200, Value::Null));
    running.stop().await;
}

async fn a_command_is_answered_for_who_typed_it(database: Database) {
    let stage = stage(database).await;
    let running = stage.start().await;
    for text in ["help", "", "++help++"] {
        let body = format!("command=%2Fiofold&text={text}&team_id=T1&channel_id=C1&user_id=U1");
        let (status, answer) = send(&stage, "/slack/commands", &body).await;
        assert_eq!(
            (status, &answer["response_type"]),
            (200, &json!("ephemeral"))
        );
        let said = answer["text"].as_str().expect("a text");
        assert!(said.contains("/iofold help"), "{said}");
    }
    running.stop().await;
}

async fn what_is_not_signed_or_not_slacks_is_refused(database: Database) {
    let stage = stage(database).await;
    let running = stage.start().await;
    for path in ["/slack/interactions", "/slack/commands", "/slack/events"] {
        let answer = stage.http.post(stage.url(path)).body("{}").send().await;
        assert_eq!(answer.expect("an answer").status(), 401, "{path}");
        let (status, _) = send(&stage, path, "nonsense").await;
        assert_eq!(status, 400, "{path}");
    }
    running.stop().await;
}
