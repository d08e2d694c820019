use super::*;
use crate::slack::scripted::{Answer, ScriptedSlack};

fn client(slack: &ScriptedSlack) -> Client {
    let url = format!("{}/api/", slack.url).parse().unwrap();
    Client::new(&url, &SecretString::from("xoxb-1")).unwrap()
}

fn refused(code: &str) -> Error {
    Error::Refused {
        method: "chat.update",
        code: code.to_owned(),
        needed: None,
    }
}

async fn identity_after(waits: usize, seconds: u64) -> (ScriptedSlack, Result<Identity>) {
    let slack = ScriptedSlack::start_with(move |_, _, before| match before < waits {
        true => Answer::Wait(seconds),
        false => Answer::Usual,
    });
    let slack = slack.await;
    let identity = client(&slack).identity().await;
    (slack, identity)
}

#[tokio::test]
async fn a_short_wait_is_waited_for_three_times_at_most() {
    let (slack, identity) = identity_after(3, 0).await;
    assert_eq!(identity.unwrap().team_id, "T1");
    assert_eq!(slack.calls_of("auth.test").len(), 4);
    let (slack, identity) = identity_after(4, 0).await;
    assert!(matches!(identity, Err(Error::RateLimited { .. })));
    assert_eq!(slack.calls_of("auth.test").len(), 4);
}

#[tokio::test]
async fn a_long_wait_is_told_and_certainly_nothing_happened() {
    let (slack, identity) = identity_after(1, 60).await;
    let error = identity.unwrap_err();
    assert!(
        matches!(&error, Error::RateLimited { retry_after, .. } if retry_after.as_secs() == 60),
        "{error}"
    );
    assert!(!error.may_have_happened() && error.is_transient());
    assert_eq!(slack.calls_of("auth.test").len(), 1);
}

#[tokio::test]
async fn a_long_wait_holds_for_later_calls_of_the_method_without_asking_again() {
    let slack = ScriptedSlack::start_with(|method, _, _| match method {
        "auth.test" => Answer::Wait(60),
        _ => Answer::Usual,
    });
    let slack = slack.await;
    let client = client(&slack);
    for _ in 0..3 {
        let identity = client.identity().await;
        assert!(matches!(identity, Err(Error::RateLimited { .. })));
    }
    assert_eq!(slack.calls_of("auth.test").len(), 1);
    client.open_view("t", &json!({})).await.unwrap();
}

#[test]
fn a_missing_scope_is_named_where_it_is_nothing_but_a_name() {
    let named = |body: Value| needed(Some(&body.to_string()));
    let needed_is = |value: Value| named(json!({"ok": false, "needed": value}));
    assert_eq!(
        needed_is(json!("chat:write,im:write")).as_deref(),
        Some("chat:write,im:write")
    );
    for other in [
        json!(""),
        json!("<!channel>"),
        json!(7),
        json!("a".repeat(300)),
    ] {
        assert_eq!(needed_is(other), None);
    }
    assert_eq!((needed(None), needed(Some("no JSON"))), (None, None));
}

#[tokio::test]
async fn too_many_calls_are_known_by_their_code_too() {
    for code in LIMITED {
        let slack = ScriptedSlack::start_with(move |_, _, _| Answer::Refusal(code)).await;
        let identity = client(&slack).identity().await;
        assert!(
            matches!(&identity, Err(Error::RateLimited { retry_after, .. }) if *retry_after == UNTOLD_WAIT)
        );
    }
}

#[test]
fn a_refusal_concerns_the_connection_the_content_or_the_message_alone() {
    let kinds = |code| {
        let error = refused(code);
        [
            error.concerns_the_connection(),
            error.concerns_the_content(),
            error.is_transient(),
        ]
    };
    assert_eq!(kinds("token_revoked"), [true, false, false]);
    assert_eq!(kinds("invalid_blocks"), [false, true, false]);
    assert_eq!(kinds("service_unavailable"), [false, false, true]);
    assert_eq!(kinds("is_archived"), [false, false, false]);
}

#[test]
fn a_message_is_linked_only_where_the_teams_address_is_known() {
    let posted = Posted {
        channel: "C1".to_owned(),
        ts: "1700000000.000100".to_owned(),
    };
    assert_eq!(
        posted.permalink("https://team.slack.com/").as_deref(),
        Some("https://team.slack.com/archives/C1/p1700000000000100")
    );
    assert_eq!(posted.permalink(""), None);
    assert_eq!(posted.permalink("javascript:alert(1)"), None);
}
