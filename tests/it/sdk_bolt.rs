//! An app made with Slack's own framework, Bolt, works behind the stand-in for Slack as it would behind Slack: it
//! verifies what it is sent, its handlers are called, and what they do is seen.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use iofold::playground::langfuse::Apis;
use iofold::playground::slack::BOT_USER_ID;
use serde_json::{Value, json};

use crate::support::stage::{Stage, eventually};
use crate::support::{Database, sdk_node};

/// Bolt in the service's place; ended when it is dropped.
struct Bolt {
    child: Child,
    stage: Stage,
}

impl Drop for Bolt {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bolt {
    async fn start() -> Self {
        let stage = Stage::set(Database::Sqlite, Apis::Both, Vec::new(), &[]).await;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/bolt_app.mjs");
        let mut child = sdk_node()
            .arg(script)
            .envs(stage.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node starts");
        let output = child.stdout.take().expect("it is piped");
        let first = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let first = first.await.expect("it does not panic").expect("it is text");
        assert_eq!(first.trim(), "ready", "Bolt says why it does not start");
        Self { child, stage }
    }

    async fn card(&self) -> Value {
        self.stage.cards().await.remove(0)
    }

    /// A message of the channel or of a thread in it, or an answer to the page's own user, whose text is this.
    async fn hears(&self, text: &str) -> Value {
        eventually(text, || async {
            let messages = self.stage.messages().await;
            let replies = |message: &Value| message["replies"].as_array().cloned();
            let inside = messages.iter().filter_map(replies).flatten();
            let mut all = inside.chain(messages.clone());
            all.find(|message| message["text"] == text)
        })
        .await
    }

    /// The modal in front, as soon as its first text is this one.
    async fn shows(&self, text: &str) -> Value {
        eventually(text, || async {
            let front = self.stage.views("you").await.pop()?;
            (front["blocks"][0]["text"]["text"] == text).then_some(front)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bolts_handlers_are_called_for_clicks_reactions_and_messages() {
    let bolt = Bolt::start().await;
    let (stage, card) = (&bolt.stage, bolt.card().await);
    assert!(stage.click(&card, "you", "thumb_up").await);
    let thanks = bolt.hears("thanks for t1").await;
    assert_eq!(thanks["ephemeral"], true);
    bolt.hears("seen").await;
    assert!(stage.choose(&card, "you", "card_menu", "skip").await);
    bolt.hears("chose skip").await;
    assert_eq!(stage.ephemeral("you").await.len(), 2);
    assert!(stage.react(&card, "you", "+1", true).await);
    let counted = bolt.hears("1 +1").await;
    assert_eq!(counted["thread_ts"], card["ts"]);
    stage.say("you", "a comment", Some(&card));
    let heard = bolt.hears("heard a comment").await;
    assert_eq!(heard["thread_ts"], card["ts"]);
    stage.say("you", &format!("<@{BOT_USER_ID}> hello"), None);
    let named = format!("named in {}", stage.channel());
    bolt.hears(&named).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bolt_answers_commands_at_once_and_later() {
    let bolt = Bolt::start().await;
    let stage = &bolt.stage;
    assert!(stage.playground.slack().verify_url().await, "it is asked");
    let card = bolt.card().await;
    assert!(stage.delete(&card, "you").await);
    bolt.hears("gone iofold_trace").await;
    assert_eq!(stage.command("you", "plainly").await["text"], "plain words");
    assert_eq!(stage.command("you", "x").await["text"], "no x");
    bolt.hears("no x").await;
    assert_eq!(stage.command("you", "later").await, Value::Null);
    assert_eq!(bolt.hears("later").await["ephemeral"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bolt_opens_updates_pushes_and_takes_modals_and_publishes_homes() {
    let bolt = Bolt::start().await;
    let stage = &bolt.stage;
    stage.command("you", "label").await;
    let one = bolt.shows("one").await;
    assert!(stage.click_view(&one, "you", "next", "t1").await);
    let two = bolt.shows("two").await;
    assert_eq!(one["id"], two["id"]);
    assert!(stage.click_view(&two, "you", "deeper", "t1").await);
    let below = bolt.shows("below").await;
    assert_eq!(below["previous_view_id"], two["id"]);
    let close = format!("views/{}/close", below["id"].as_str().expect("an id"));
    assert!(stage.post(&close, json!({})).await);
    bolt.hears("closed").await;
    let reason = |more: &str| json!({"why": {"why": "rude"}, "more": {"more": more}});
    assert!(
        !stage.submit_view(&two, "you", json!({})).await,
        "no reason"
    );
    assert!(!stage.submit_view(&two, "you", reason("nothing")).await);
    assert!(stage.submit_view(&two, "you", reason("shouts")).await);
    bolt.hears("reason rude shouts").await;
    assert!(stage.views("you").await.is_empty());

    let home = |text: &'static str| async move {
        eventually(text, || async {
            let home = stage.home("you").await;
            (home["blocks"][0]["text"]["text"] == text).then_some(home)
        })
        .await
    };
    assert!(stage.open_home("you").await);
    let first = home("first").await;
    assert!(stage.click_view(&first, "you", "home_again", "t1").await);
    home("again").await;
}
