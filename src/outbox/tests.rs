mod trouble;

use std::time::Duration;

use super::post::{Undelivered, claim, in_time};
use super::*;
use crate::app::App;
use crate::config::{Config, Environment};
use crate::slack::scripted::{Answer, ScriptedSlack};
use crate::slack::{Message, section};
use crate::workspace::{SlackConnection, Workspace};

/// The service on an embedded database, with one workspace whose cards go into `channel`.
pub(crate) async fn app(slack: &ScriptedSlack, folder: &tempfile::TempDir, channel: &str) -> App {
    app_with(slack, folder, channel, None).await
}

/// With an LLM at this address.
pub(crate) async fn app_with(
    slack: &ScriptedSlack,
    folder: &tempfile::TempDir,
    channel: &str,
    llm_url: Option<&str>,
) -> App {
    let config = config(&slack.url, folder, channel, llm_url);
    crate::app::build(config).await.unwrap().app
}

/// Of a service with its Slack at this address.
pub(crate) fn config(
    slack_url: &str,
    folder: &tempfile::TempDir,
    channel: &str,
    llm_url: Option<&str>,
) -> Config {
    let llm = llm_url.map(|url| {
        [
            ("ANTHROPIC_API_KEY", "k".to_owned()),
            ("ANTHROPIC_BASE_URL", url.to_owned()),
            ("IOFOLD_LLM_TIMEOUT_SECONDS", "1".to_owned()),
        ]
    });
    let pairs = [
        (
            "DATABASE_URL",
            format!("sqlite://{}/test.db", folder.path().display()),
        ),
        ("IOFOLD_LISTEN", "127.0.0.1:0".to_owned()),
        ("SLACK_API_URL", format!("{slack_url}/api/")),
        ("SLACK_BOT_TOKEN", "xoxb-1".to_owned()),
        ("SLACK_SIGNING_SECRET", "secret".to_owned()),
        ("SLACK_CHANNEL", channel.to_owned()),
        ("LANGFUSE_WEBHOOK_SECRET", "secret".to_owned()),
        (
            "XDG_CACHE_HOME",
            concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp").to_owned(),
        ),
    ];
    let environment = Environment::from_pairs(
        pairs
            .into_iter()
            .chain(llm.into_iter().flatten())
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let mut config = Config::read(&environment).unwrap();
    // `cargo test` builds the program too, one folder above its tests.
    let tests = std::env::current_exe().unwrap();
    config.worker = tests.ancestors().nth(2).unwrap().join("iofold");
    config
}

/// A service with a Slack that follows a script.
struct Scene {
    slack: ScriptedSlack,
    app: App,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn of(
        channel: &str,
        script: impl Fn(&str, &Value, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let slack = ScriptedSlack::start_with(script).await;
        let folder = tempfile::tempdir().unwrap();
        let app = app(&slack, &folder, channel).await;
        Self {
            slack,
            app,
            _folder: folder,
        }
    }

    fn workspace(&self) -> &Workspace {
        self.app.workspace(&"default".into()).unwrap()
    }

    fn connection(&self) -> &SlackConnection {
        self.workspace().slack().unwrap()
    }

    async fn post(&self, subject: &str, message: Message) -> anyhow::Result<Option<Posted>> {
        let (workspace, slack) = (self.workspace(), self.connection());
        post_once(
            &self.app,
            workspace,
            slack,
            Kind::Card,
            subject,
            None,
            message,
        )
        .await
    }

    /// Answers in the thread of a message.
    async fn reply(&self, subject: &str, above: &Posted) -> anyhow::Result<Option<Posted>> {
        let (app, workspace, slack) = (&self.app, self.workspace(), self.connection());
        let (kind, thread) = (Kind::Conflict, Some(above));
        post_once(app, workspace, slack, kind, subject, thread, text("?")).await
    }

    /// Somebody labels, who can be told of troubles then.
    async fn has_a_person(&self, person: &str) {
        let sql = format!(
            "insert into annotators values ('default', '{person}', 0);
             insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                                 started_at_ms, first_seen_at_ms, changed_at_ms)
             values ('default', 'of-{person}', '{{}}', 'h', 'g', 1, 0, 0, 0, 0);
             insert into labels values ('default', 'of-{person}', '{person}', 'up', null, 0, 0);"
        );
        let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        sql.execute(self.app.db.pool()).await.unwrap();
    }

    /// How many messages show something old.
    async fn stale(&self) -> i64 {
        let count =
            "select count(*) as stale from posts where wanted > shown and gone_at_ms is null";
        let row = sqlx::query(count).fetch_one(self.app.db.pool()).await;
        row.unwrap().get("stale")
    }

    /// A second later than the last time.
    async fn refresh_all(&self, message: &Message) -> anyhow::Result<()> {
        self.run("update posts set updated_at_ms = 0").await;
        self.refresh_due(message).await
    }

    async fn refresh_due(&self, message: &Message) -> anyhow::Result<()> {
        let (app, workspace, slack) = (&self.app, self.workspace(), self.connection());
        while let Some(stale) = next_stale(app, &workspace.id, Kind::Card).await? {
            let message = message.clone();
            refresh(app, workspace, slack, Kind::Card, &stale, message).await?;
        }
        Ok(())
    }

    async fn touch(&self, subject: &str) {
        let id = &self.workspace().id;
        let touched = touch(self.app.db.pool(), id, Kind::Card, subject);
        touched.await.unwrap();
    }

    /// A claim whose holder is gone.
    async fn abandon(&self, subject: &str) {
        let id = &self.workspace().id;
        claim(&self.app, id, Kind::Card, subject).await.unwrap();
        self.run("update posts set claimed_at_ms = 1 where posted_at_ms is null")
            .await;
    }

    async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.app.db.pool()).await.unwrap();
    }

    /// `attempts` and `claimed_at_ms` of the only row.
    async fn claimed(&self) -> (i64, i64) {
        let row = sqlx::query("select attempts, claimed_at_ms from posts")
            .fetch_one(self.app.db.pool())
            .await
            .unwrap();
        (row.get("attempts"), row.get("claimed_at_ms"))
    }
}

fn text(text: &str) -> Message {
    Message {
        text: text.to_owned(),
        blocks: vec![section(text)],
        metadata: None,
    }
}

fn picture() -> Message {
    let mut message = text("a picture");
    let image = json!({"type": "image", "slack_file": {"id": "F1"}, "alt_text": "a"});
    message.blocks.push(image);
    message
}

fn shows_a_picture(arguments: &Value) -> bool {
    arguments.to_string().contains("slack_file")
}

fn refuses_pictures(_: &str, arguments: &Value, _: usize) -> Answer {
    match shows_a_picture(arguments) {
        true => Answer::Refusal("invalid_blocks"),
        false => Answer::Usual,
    }
}

#[tokio::test]
async fn who_learns_second_where_a_message_stands_hears_it_all_the_same() {
    let scene = Scene::of("C1", |_, _, _| Answer::Usual).await;
    let (db, id) = (&scene.app.db, &scene.workspace().id);
    let posted = |ts: &str| Posted {
        channel: "C1".to_owned(),
        ts: ts.to_owned(),
    };
    let settle = async |ts: &str| {
        let settled = settle(db, id, Kind::Card, "t", &posted(ts)).await;
        settled.unwrap()
    };
    assert_eq!(settle("1.1").await, None, "nobody claimed such a message");
    want(db.pool(), id, Kind::Card, "t").await.unwrap();
    assert_eq!(settle("1.1").await, Some(posted("1.1")));
    assert_eq!(settle("2.2").await, Some(posted("1.1")), "it stands once");
}

#[tokio::test]
async fn a_message_whose_picture_is_refused_is_posted_without_and_stays_stale_for_a_while() {
    let scene = Scene::of("C1", refuses_pictures).await;
    assert!(scene.post("t1", picture()).await.unwrap().is_some());
    let posts = scene.slack.calls_of("chat.postMessage");
    assert_eq!(
        posts.iter().map(shows_a_picture).collect::<Vec<_>>(),
        [true, false]
    );
    for _ in 0..2 {
        assert_eq!(scene.stale().await, 1);
        scene.refresh_all(&picture()).await.unwrap();
    }
    scene
        .run("update posts set posted_at_ms = posted_at_ms - 600000")
        .await;
    scene.refresh_all(&picture()).await.unwrap();
    assert_eq!(scene.stale().await, 0);
    assert!(scene.connection().health.trouble().is_none());
}

#[tokio::test]
async fn a_message_that_is_refused_without_its_picture_too_is_given_up() {
    let scene = Scene::of("C1", |_, _, _| Answer::Refusal("msg_too_long")).await;
    assert_eq!(scene.post("t1", picture()).await.unwrap(), None);
    assert_eq!(scene.post("t1", picture()).await.unwrap(), None);
    assert_eq!(scene.slack.calls_of("chat.postMessage").len(), 2);
    assert!(scene.connection().health.trouble().is_none());
}

#[tokio::test]
async fn a_message_that_cannot_be_updated_does_not_hold_up_the_others() {
    for code in [
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "msg_too_long",
    ] {
        let script = move |method: &str, _: &Value, before: usize| match (method, before) {
            ("chat.update", 0) => Answer::Refusal(code),
            _ => Answer::Usual,
        };
        let scene = Scene::of("C1", script).await;
        for subject in ["t1", "t2"] {
            scene.post(subject, text("old")).await.unwrap();
            scene.touch(subject).await;
        }
        scene.refresh_all(&text("new")).await.unwrap();
        assert_eq!(scene.slack.calls_of("chat.update").len(), 2, "{code}");
        assert_eq!(scene.stale().await, 0, "{code}");
        assert!(!scene.connection().health.is_resting(), "{code}");
    }
}

#[tokio::test]
async fn a_message_in_a_channel_that_was_left_for_another_does_not_hold_up_the_others() {
    for code in ["is_archived", "channel_not_found", "not_in_channel"] {
        let script = move |method: &str, _: &Value, _: usize| match method {
            "chat.update" => Answer::Refusal(code),
            _ => Answer::Usual,
        };
        let scene = Scene::of("C2", script).await;
        scene.post("t1", text("old")).await.unwrap();
        scene.touch("t1").await;
        scene.refresh_all(&text("new")).await.unwrap();
        assert_eq!(scene.stale().await, 0, "{code}");
        assert!(!scene.connection().health.is_resting(), "{code}");
    }
}

#[tokio::test]
async fn a_reply_in_a_channel_that_was_left_for_another_is_given_up_alone() {
    for code in ["is_archived", "channel_not_found", "not_in_channel"] {
        let script = move |_: &str, arguments: &Value, _: usize| match arguments["channel"] == "C1"
        {
            true => Answer::Refusal(code),
            false => Answer::Usual,
        };
        let scene = Scene::of("C2", script).await;
        scene.has_a_person("U7").await;
        let left = scene.post("t1", text("a card")).await.unwrap().unwrap();
        assert_eq!(left.channel, "C1", "as Slack says");
        for _ in 0..2 {
            assert_eq!(scene.reply("t1", &left).await.unwrap(), None, "{code}");
        }
        let posts = scene.slack.calls_of("chat.postMessage");
        let to: Vec<&Value> = posts.iter().map(|post| &post["channel"]).collect();
        assert_eq!(to, ["C2", "C1"], "{code}: once, and nobody is told");
        assert!(!scene.connection().health.is_resting(), "{code}");
    }
}

#[tokio::test]
async fn an_update_that_fails_with_the_connection_or_its_channel_is_tried_again() {
    for code in [
        "token_revoked",
        "missing_scope",
        "service_unavailable",
        "is_archived",
    ] {
        let script = move |method: &str, _: &Value, _: usize| match method {
            "chat.update" => Answer::Refusal(code),
            _ => Answer::Usual,
        };
        let scene = Scene::of("C1", script).await;
        scene.post("t1", text("old")).await.unwrap();
        scene.touch("t1").await;
        scene.refresh_all(&text("new")).await.unwrap_err();
        assert_eq!(scene.stale().await, 1, "{code}");
        assert!(scene.connection().health.is_resting(), "{code}");
    }
}

#[tokio::test]
async fn a_wanted_message_stays_wanted_after_a_claim_that_certainly_posted_nothing() {
    let script = |_: &str, _: &Value, before: usize| match before {
        0 => Answer::Refusal("invalid_auth"),
        _ => Answer::Usual,
    };
    let scene = Scene::of("C1", script).await;
    let id = &scene.workspace().id;
    for _ in 0..2 {
        let wanted = want(scene.app.db.pool(), id, Kind::Card, "t1");
        wanted.await.unwrap();
    }
    assert_eq!(scene.claimed().await, (0, 0));
    scene.post("t1", text("a card")).await.unwrap_err();
    assert_eq!(scene.claimed().await, (0, 0));
    assert!(scene.post("t1", text("a card")).await.unwrap().is_some());
    assert_eq!(scene.claimed().await.0, 1);
    assert!(scene.slack.calls_of("conversations.history").is_empty());
    want(scene.app.db.pool(), id, Kind::Card, "t1")
        .await
        .unwrap();
    scene.post("t1", text("a card")).await.unwrap();
    assert_eq!(scene.slack.posted().len(), 2);
}

#[tokio::test]
async fn a_lost_message_is_looked_for_from_its_first_claim_not_from_the_wish() {
    let scene = Scene::of("C1", |_, _, _| Answer::Usual).await;
    let id = &scene.workspace().id;
    let wanted = want(scene.app.db.pool(), id, Kind::Card, "t1");
    wanted.await.unwrap();
    scene.run("update posts set first_claimed_at_ms = 7").await;
    scene.abandon("t1").await;
    scene.post("t1", text("a card")).await.unwrap();
    let looked = scene.slack.calls_of("conversations.history");
    let oldest: f64 = looked[0]["oldest"].as_str().unwrap().parse().unwrap();
    assert!(oldest > 1_000_000_000.0, "{oldest}");
}

/// A channel called "answers", whose id is C1; `holds` is what stands in it.
fn named_channel(holds: Value) -> impl Fn(&str, &Value, usize) -> Answer + Send + Sync {
    move |method, arguments, _| match (method, arguments["channel"].as_str()) {
        ("conversations.history", Some("C1")) => Answer::Messages(holds.clone()),
        ("conversations.history", _) => Answer::Refusal("channel_not_found"),
        _ => Answer::Usual,
    }
}

#[tokio::test]
async fn a_lost_message_is_found_although_only_the_channels_name_is_set() {
    let mut lost = Kind::Card.metadata("t2");
    lost = json!([{"ts": "1700000000.000900", "metadata": lost}]);
    let scene = Scene::of("answers", named_channel(lost)).await;
    scene.post("t1", text("first")).await.unwrap();
    scene.abandon("t2").await;
    let found = scene.post("t2", text("second")).await.unwrap().unwrap();
    let (channel, ts) = (found.channel.as_str(), found.ts.as_str());
    assert_eq!((channel, ts), ("C1", "1700000000.000900"));
    assert_eq!(scene.slack.posted().len(), 1);
}

#[tokio::test]
async fn a_lost_first_message_does_not_hold_up_others_where_only_the_channels_name_is_known() {
    let scene = Scene::of("answers", named_channel(json!([]))).await;
    scene.abandon("t1").await;
    assert!(scene.post("t1", text("first")).await.unwrap().is_some());
    assert_eq!(scene.slack.calls_of("conversations.history").len(), 1);
}

#[tokio::test]
async fn a_channel_that_was_left_or_deleted_does_not_hold_up_a_lost_message() {
    for (code, goes_on) in [
        ("channel_not_found", true),
        ("not_in_channel", true),
        ("fatal_error", false),
    ] {
        let script = move |method: &str, arguments: &Value, _: usize| match (
            method,
            arguments["channel"].as_str(),
        ) {
            ("conversations.history", Some("C1")) => Answer::Refusal(code),
            _ => Answer::Usual,
        };
        let scene = Scene::of("C2", script).await;
        scene.post("t1", text("first")).await.unwrap();
        scene.abandon("t2").await;
        let posted = scene.post("t2", text("second")).await;
        assert_eq!(posted.is_ok(), goes_on, "{code}");
        assert_eq!(scene.slack.calls_of("conversations.history").len(), 2);
    }
}

#[tokio::test]
async fn a_delivery_without_an_end_may_have_happened() {
    let hangs = std::future::pending::<Result<Posted, Undelivered>>();
    let ended = in_time(Duration::ZERO, hangs).await;
    let Err(Undelivered::Slack(error)) = ended else {
        panic!("{ended:?}");
    };
    assert!(error.may_have_happened() && error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_claimed_message_is_not_posted_by_another() {
    let scene = Scene::of("C1", |_, _, _| Answer::Usual).await;
    let one = || scene.post("t1", text("a card"));
    let (first, second, third) = tokio::join!(one(), one(), one());
    let posted = [first.unwrap(), second.unwrap(), third.unwrap()];
    assert!(posted.iter().any(Option::is_some));
    assert_eq!(scene.slack.posted().len(), 1);
}

#[tokio::test]
async fn a_message_that_is_gone_is_neither_updated_nor_posted_again_until_somebody_asks() {
    let gone = |method: &str, _: &Value, _: usize| match method {
        "chat.update" => Answer::Refusal("message_not_found"),
        _ => Answer::Usual,
    };
    for noticed_by_event in [false, true] {
        let scene = Scene::of("C1", gone).await;
        let (db, id) = (&scene.app.db, &scene.workspace().id);
        let place = scene.post("t1", text("a card")).await.unwrap().unwrap();
        if noticed_by_event {
            let elsewhere = Posted {
                channel: "C2".to_owned(),
                ts: place.ts.clone(),
            };
            assert!(!note_deleted(db, id, &elsewhere).await.unwrap());
            assert!(note_deleted(db, id, &place).await.unwrap());
            assert!(!note_deleted(db, id, &place).await.unwrap(), "once");
        }
        for _ in 0..2 {
            scene.touch("t1").await;
            scene.refresh_all(&text("new")).await.unwrap();
            assert_eq!(scene.post("t1", text("a card")).await.unwrap(), None);
        }
        let tried = scene.slack.calls_of("chat.update").len();
        assert_eq!(tried, usize::from(!noticed_by_event));
        assert_eq!(scene.slack.posted().len(), 1);
        assert_eq!(scene.stale().await, 0);
        assert!(want_again(db.pool(), id, Kind::Card, "t1").await.unwrap());
        assert!(scene.post("t1", text("a card")).await.unwrap().is_some());
        assert!(!want_again(db.pool(), id, Kind::Card, "t1").await.unwrap());
        assert_eq!(scene.slack.posted().len(), 2);
    }
}

#[tokio::test]
async fn changes_within_a_second_are_shown_by_one_update_and_the_last_is_shown() {
    let scene = Scene::of("C1", |_, _, _| Answer::Usual).await;
    scene.post("t1", text("none")).await.unwrap();
    scene.touch("t1").await;
    scene.refresh_due(&text("one")).await.unwrap();
    for _ in 0..5 {
        scene.touch("t1").await;
    }
    scene
        .run("update posts set updated_at_ms = updated_at_ms + 60000")
        .await;
    scene.refresh_due(&text("two")).await.unwrap();
    assert_eq!(scene.slack.calls_of("chat.update").len(), 1);
    assert_eq!(scene.stale().await, 1, "nothing is lost");
    scene
        .run("update posts set updated_at_ms = 1, updating = 0")
        .await;
    let all = async || scene.refresh_due(&text("six")).await.unwrap();
    tokio::join!(all(), all(), all());
    let updates = scene.slack.calls_of("chat.update");
    assert_eq!((updates.len(), &updates[1]["text"]), (2, &json!("six")));
    assert_eq!(scene.stale().await, 0);
}

#[tokio::test]
async fn an_update_that_a_crash_cut_off_is_made_again() {
    let scene = Scene::of("C1", |_, _, _| Answer::Usual).await;
    scene.post("t1", text("none")).await.unwrap();
    scene.touch("t1").await;
    let id = &scene.workspace().id;
    let cut_off = next_stale(&scene.app, id, Kind::Card).await.unwrap();
    assert!(cut_off.is_some());
    assert!(
        next_stale(&scene.app, id, Kind::Card)
            .await
            .unwrap()
            .is_none()
    );
    scene.run("update posts set updated_at_ms = 1").await;
    scene.refresh_due(&text("one")).await.unwrap();
    assert_eq!(scene.stale().await, 0);
}

#[tokio::test]
async fn the_newest_messages_are_brought_up_to_date_first() {
    let scene = Scene::of("C1", |_, _, _| Answer::Usual).await;
    for subject in ["t1", "t2", "t3"] {
        scene.post(subject, text("old")).await.unwrap();
        scene
            .run("update posts set posted_at_ms = posted_at_ms - 1000")
            .await;
        scene.touch(subject).await;
    }
    scene.refresh_all(&text("new")).await.unwrap();
    let updates = scene.slack.calls_of("chat.update");
    let subject = |body: &Value| body["metadata"]["event_payload"]["trace_id"].clone();
    let order: Vec<Value> = updates.iter().map(subject).collect();
    assert_eq!(order, ["t3", "t2", "t1"]);
}
