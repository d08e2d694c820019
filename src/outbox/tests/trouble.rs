//! What only a person can mend, and who is told of it how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

impl Scene {
    /// What the person was told.
    fn told(&self, person: &str) -> Vec<Value> {
        let mut told = self.slack.calls_of("chat.postMessage");
        told.retain(|body| body["channel"] == person);
        told
    }
}

#[tokio::test]
async fn what_needs_a_person_is_told_to_one_who_can_help_once_until_it_works_again() {
    let archived = Arc::new(AtomicBool::new(true));
    let script = {
        let archived = archived.clone();
        move |_: &str, arguments: &Value, _: usize| {
            let shut = archived.load(Ordering::Relaxed);
            match arguments["channel"] == "C1" && shut {
                true => Answer::Refusal("is_archived"),
                false => Answer::Usual,
            }
        }
    };
    let scene = Scene::of("C1", script).await;
    scene.has_a_person("someone").await;
    scene.post("t1", text("a card")).await.unwrap_err();
    assert!(scene.slack.posted().len() == 1, "nobody is known in Slack");
    scene.has_a_person("U7").await;
    for _ in 0..3 {
        scene.post("t1", text("a card")).await.unwrap_err();
        assert!(scene.connection().health.is_resting());
    }
    assert_eq!(scene.told("U7").len(), 1);
    let message = scene.told("U7").remove(0);
    let said = message["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(
        said.contains("<#C1>") && said.contains("Unarchive the channel"),
        "{said}"
    );
    archived.store(false, Ordering::Relaxed);
    assert!(scene.post("t1", text("a card")).await.unwrap().is_some());
    assert!(scene.connection().health.trouble().is_none());
    archived.store(true, Ordering::Relaxed);
    scene.post("t2", text("a card")).await.unwrap_err();
    assert_eq!(scene.told("U7").len(), 2, "another time");
}

#[tokio::test]
async fn where_only_reading_is_refused_it_is_told_once_however_much_is_posted_meanwhile() {
    let refused = Arc::new(AtomicBool::new(true));
    let script = {
        let refused = refused.clone();
        move |method: &str, _: &Value, _: usize| {
            let is_refused = refused.load(Ordering::Relaxed);
            match method == "conversations.history" && is_refused {
                true => Answer::Refusal("missing_scope"),
                false => Answer::Usual,
            }
        }
    };
    let scene = Scene::of("C1", script).await;
    scene.has_a_person("U7").await;
    for other in ["t2", "t3"] {
        scene.abandon("t1").await;
        scene.post("t1", text("lost")).await.unwrap_err();
        assert!(scene.post(other, text("a card")).await.unwrap().is_some());
        assert_eq!(scene.told("U7").len(), 1);
    }
    refused.store(false, Ordering::Relaxed);
    scene.abandon("t1").await;
    assert!(scene.post("t1", text("lost")).await.unwrap().is_some());
    refused.store(true, Ordering::Relaxed);
    scene.abandon("t4").await;
    scene.post("t4", text("lost")).await.unwrap_err();
    assert_eq!(scene.told("U7").len(), 2, "it worked in between");
}

#[tokio::test]
async fn a_person_whom_slack_could_not_reach_is_told_later() {
    let is_down = Arc::new(AtomicBool::new(true));
    let script = {
        let is_down = is_down.clone();
        move |_: &str, arguments: &Value, _: usize| match arguments["channel"].as_str() {
            Some("C1") => Answer::Refusal("is_archived"),
            Some("U7") if is_down.load(Ordering::Relaxed) => Answer::Refusal("internal_error"),
            _ => Answer::Usual,
        }
    };
    let scene = Scene::of("C1", script).await;
    scene.has_a_person("U7").await;
    scene.post("t1", text("a card")).await.unwrap_err();
    is_down.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        scene.post("t1", text("a card")).await.unwrap_err();
    }
    assert_eq!(scene.told("U7").len(), 2, "once in vain");
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_asked_about_before_its_rest_ends_and_heals_by_itself() {
    let scene = Scene::of("C1", |_, _, _| Answer::Usual).await;
    let health = &scene.connection().health;
    health.needs_a_person("token_revoked".to_owned());
    let id = scene.workspace().id.clone();
    let learns = tokio::spawn(crate::app::learn_team(scene.app.clone(), id));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(scene.slack.calls_of("auth.test").is_empty());
    health.wake();
    learns.await.unwrap();
    assert!(health.trouble().is_none());
}
