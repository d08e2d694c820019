//! Pending scores, the stand-in for Langfuse, and a clock that jumps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::pending::{Backlog, backlog, pending};
use super::write::{Writer, Wrote};
use crate::clock::{Clock, Turned};
use crate::domain::WorkspaceId;
use crate::langfuse::{Client, Plan, ScoreType};
use crate::playground::langfuse::tests::{PUBLIC_KEY, SECRET_KEY, serve, standing_in};
use crate::playground::langfuse::{Faults, Langfuse, Limits, Options};
use crate::store::Db;
use crate::workspace::LangfuseConnection;

mod outage;

/// A workspace with a deployed version, connected to a stand-in.
struct World {
    db: Db,
    langfuse: Langfuse,
    connection: LangfuseConnection,
    workspace: WorkspaceId,
    clock: Clock,
    turned: Arc<Turned>,
    _folder: tempfile::TempDir,
}

const ROWS: &str = "
    insert into workspaces (id, created_at_ms) values ('w', 0);
    insert into annotators values ('w', 'U1', 0);
    insert into annotators values ('w', 'U2', 0);
    insert into evals values ('w', 'e', 'cites a source', 0);
    insert into eval_versions (workspace_id, id, eval_id, number, label_count, source, source_hash, generator,
                               candidates_tried, state, created_at_ms)
    values ('w', 'v', 'e', 1, 20, '', '', 'rules', 0, 'deployed', 0)";

impl World {
    async fn of(plan: Plan) -> Self {
        Self::for_actors(plan, 1).await
    }

    /// By a clock for so many actors.
    async fn for_actors(plan: Plan, actors: usize) -> Self {
        let start = "2026-06-01T00:00:00Z".parse().expect("a time");
        let (turned, clock) = Turned::starting(start, actors);
        let langfuse = standing_in(Options {
            limits: Limits::Cloud(plan),
            clock: clock.clone(),
            ..Options::default()
        });
        let base = serve(&langfuse).await;
        let client = Client::new(&base, PUBLIC_KEY, &SECRET_KEY.into()).expect("it is made");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("test.db");
        let db = Db::open(&format!("sqlite://{}", path.display())).await;
        let world = Self {
            db: db.expect("it opens"),
            langfuse,
            connection: LangfuseConnection::new(client.on(plan, clock.clone())),
            workspace: "w".into(),
            clock,
            turned,
            _folder: folder,
        };
        world.change(ROWS).await;
        world
    }

    async fn change(&self, rows: &str) {
        let changed = sqlx::raw_sql(AssertSqlSafe(rows.to_owned())).execute(self.db.pool());
        changed.await.expect("they are changed");
    }

    async fn trace(&self, id: &str) {
        self.change(&trace_row(id)).await;
    }

    /// A trace on which the version has a verdict.
    async fn verdict(&self, trace: &str, verdict: &str) {
        self.change(&verdict_rows(trace, verdict)).await;
    }

    /// A person's label on a trace that is there, given or changed.
    async fn label(&self, trace: &str, annotator: &str, label: &str) {
        self.change(&format!(
            "insert into labels values ('w', '{trace}', '{annotator}', '{label}', 'why', 0, 0)
             on conflict (workspace_id, trace_id, annotator_id) do update set label = excluded.label;
             insert into human_scores (workspace_id, trace_id, annotator_id, wanted_at_ms)
             values ('w', '{trace}', '{annotator}', 0)
             on conflict (workspace_id, trace_id, annotator_id) do update
             set revision = human_scores.revision + 1, written_at_ms = null"
        ))
        .await;
    }

    async fn verdicts(&self, count: usize) {
        let rows = (0..count).map(|number| verdict_rows(&format!("t{number:03}"), "pass"));
        let rows: Vec<String> = rows.collect();
        self.change(&format!("begin; {}; commit", rows.join(";")))
            .await;
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            db: &self.db,
            workspace: &self.workspace,
            langfuse: &self.connection,
            slack_url: Some("https://team.slack.com/".to_owned()),
        }
    }

    /// Writes what is pending; whether Langfuse takes scores.
    async fn write(&self) -> bool {
        loop {
            let wrote = self.writer().run(|| false).await;
            match wrote.expect("the database answers") {
                Wrote::All => return true,
                Wrote::Some => {}
                Wrote::None => return false,
            }
        }
    }

    async fn backlog(&self) -> Backlog {
        let backlog = backlog(&self.db, &self.workspace).await;
        backlog.expect("it is read")
    }

    /// Scores that wait, and those given up.
    async fn left(&self) -> (i64, i64) {
        let backlog = self.backlog().await;
        (backlog.waiting, backlog.refused)
    }

    /// Langfuse's scores by their traces.
    fn scores(&self) -> BTreeMap<String, Vec<Value>> {
        let mut scores: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for score in self.langfuse.scores("p") {
            let trace = score["traceId"].as_str().unwrap_or("-").to_owned();
            scores.entry(trace).or_default().push(score);
        }
        scores
    }

    /// So much later.
    async fn later(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    fn fail(&self, faults: Faults) {
        self.langfuse.fail(faults);
    }

    fn fail_on(&self, traces: &[(&str, u16)]) {
        let of = |(trace, status): &(&str, u16)| ((*trace).to_owned(), *status);
        self.fail(Faults {
            scores_of: traces.iter().map(of).collect(),
            ..Faults::default()
        });
    }
}

#[tokio::test]
async fn a_label_that_was_taken_back_holds_up_no_other_and_a_missing_score_is_as_good_as_deleted() {
    let world = World::of(Plan::Hobby).await;
    for trace in ["a", "b", "c"] {
        world.trace(trace).await;
        world.label(trace, "U1", "up").await;
    }
    assert!(world.write().await);
    assert_eq!(world.scores().len(), 3);
    // Of c, a score that nobody has written is to be deleted, too.
    world
        .change("delete from human_scores where trace_id = 'c'")
        .await;
    let taken_back = "delete from labels where trace_id <> 'b';
        insert into human_scores (workspace_id, trace_id, annotator_id, session_id, wanted_at_ms)
        values ('w', 'c', 'U1', 'elsewhere', 0);
        update human_scores set revision = revision + 1, written_at_ms = null";
    world.change(taken_back).await;
    world.fail(answering(503));
    assert!(!world.write().await);
    assert_eq!((world.scores().len(), world.left().await), (3, (3, 0)));
    world.fail(Faults::default());
    world.later(600).await;
    assert!(world.write().await);
    let left: Vec<String> = world.scores().into_keys().collect();
    assert_eq!(
        (left, world.left().await),
        (vec!["b".to_owned(), "c".to_owned()], (0, 0))
    );
    world.label("a", "U1", "down").await;
    assert!(world.write().await);
    assert_eq!(world.scores()["a"][0]["stringValue"], "down");
}

fn trace_row(id: &str) -> String {
    format!(
        "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                             started_at_ms, first_seen_at_ms, changed_at_ms)
         values ('w', '{id}', '{{}}', 'h', 'g', 1, 0, 0, 0, 0)"
    )
}

fn verdict_rows(trace: &str, verdict: &str) -> String {
    let row = trace_row(trace);
    format!(
        "{row};
         insert into outcomes (workspace_id, version_id, trace_id, payload_hash, verdict, reason, duration_us,
                               fuel, ran_at_ms)
         values ('w', 'v', '{trace}', 'h', '{verdict}', 'because', 0, 0, 0);
         insert into scores (workspace_id, version_id, trace_id, score_id, payload_hash)
         values ('w', 'v', '{trace}', 'score-{trace}', 'h')"
    )
}

fn answering(status: u16) -> Faults {
    Faults {
        all: Some(status),
        ..Faults::default()
    }
}

fn batches_answering(status: u16) -> Faults {
    Faults {
        batches: Some(status),
        ..Faults::default()
    }
}

#[tokio::test]
async fn each_persons_label_is_one_score_and_a_changed_one_replaces_it() {
    let world = World::of(Plan::SelfHosted).await;
    world.trace("t").await;
    world.label("t", "U1", "down").await;
    world.label("t", "U2", "up").await;
    world
        .change(
            "update human_scores set annotator_name = 'ada' where annotator_id = 'U1';
             insert into posts (workspace_id, kind, subject_id, channel_id, ts, first_claimed_at_ms, claimed_at_ms,
                                posted_at_ms)
             values ('w', 'card', 't', 'C1', '17.0001', 0, 0, 0)",
        )
        .await;
    assert!(world.write().await);
    let scores = &world.scores()["t"];
    let said: BTreeMap<&str, &str> = scores
        .iter()
        .map(|score| {
            let who = score["metadata"]["annotator"].as_str().expect("a person");
            (who, score["stringValue"].as_str().expect("a word"))
        })
        .collect();
    assert_eq!(said, BTreeMap::from([("U1", "down"), ("U2", "up")]));
    let of_ada = scores
        .iter()
        .find(|score| score["metadata"]["annotator"] == "U1");
    let of_ada = of_ada.expect("it is there");
    assert_eq!(
        of_ada["metadata"],
        json!({"annotator": "U1", "annotator_name": "ada", "by": "iofold",
               "slack": "https://team.slack.com/archives/C1/p170001"})
    );
    assert_eq!(
        (&of_ada["name"], &of_ada["comment"]),
        (&json!("human"), &json!("why"))
    );
    assert!(of_ada["configId"].is_string(), "Langfuse can filter by it");
    world.label("t", "U1", "neutral").await;
    assert!(world.write().await);
    let scores = &world.scores()["t"];
    let changed = scores.iter().find(|score| score["id"] == of_ada["id"]);
    assert_eq!(changed.expect("the same one")["stringValue"], "neutral");
    assert_eq!((scores.len(), world.langfuse.requests().scores), (2, 3));
}

#[tokio::test]
async fn a_label_on_a_session_is_a_score_of_the_session() {
    let world = World::of(Plan::SelfHosted).await;
    world.trace("t").await;
    world.label("t", "U1", "up").await;
    world
        .change("update human_scores set session_id = 's'")
        .await;
    assert!(world.write().await);
    let score = &world.scores()["-"][0];
    assert_eq!(
        (&score["sessionId"], &score["metadata"]["trace"]),
        (&json!("s"), &json!("t"))
    );
}

#[tokio::test]
async fn a_verdict_has_its_version_and_links_to_its_report() {
    let world = World::of(Plan::SelfHosted).await;
    world.verdict("t", "fail").await;
    world
        .change(
            "insert into posts (workspace_id, kind, subject_id, channel_id, ts, first_claimed_at_ms, claimed_at_ms,
                                posted_at_ms)
             values ('w', 'report', 'v', 'C1', '18.0001', 0, 0, 0)",
        )
        .await;
    assert!(world.write().await);
    let score = &world.scores()["t"][0];
    assert_eq!(
        (&score["id"], &score["value"], &score["comment"]),
        (&json!("score-t"), &json!(0), &json!("because"))
    );
    assert_eq!(
        score["metadata"],
        json!({"eval_version": "v", "labels": 20, "by": "iofold",
               "slack": "https://team.slack.com/archives/C1/p180001"})
    );
}

#[tokio::test]
async fn many_scores_are_few_requests_and_few_are_single_ones() {
    let world = World::of(Plan::SelfHosted).await;
    world.verdicts(1_203).await;
    assert!(world.write().await);
    assert_eq!((world.scores().len(), world.left().await), (1_203, (0, 0)));
    let requests = world.langfuse.requests();
    assert_eq!(
        requests.answered,
        2 + 3,
        "list and make the config, three batches"
    );
    for number in 0..5 {
        world.verdict(&format!("later{number}"), "pass").await;
    }
    assert!(world.write().await);
    assert_eq!(world.langfuse.requests().answered, 5 + 5);
}

#[tokio::test]
async fn a_batch_is_never_larger_than_langfuse_takes() {
    let world = World::of(Plan::SelfHosted).await;
    world.verdicts(200).await;
    // Quotation marks are two bytes in JSON.
    let reason = "\"".repeat(20_000);
    world
        .change(&format!("update outcomes set reason = '{reason}'"))
        .await;
    assert!(world.write().await);
    assert_eq!((world.scores().len(), world.left().await), (200, (0, 0)));
}

#[tokio::test]
async fn of_a_batch_the_good_are_written_the_refused_given_up_and_the_failed_tried_again() {
    let world = World::of(Plan::Hobby).await;
    world.verdicts(10).await;
    world.fail_on(&[("t003", 404), ("t005", 500)]);
    assert!(world.write().await);
    assert_eq!((world.scores().len(), world.left().await), (8, (1, 1)));
    let why = world.backlog().await.refusal.expect("a reason");
    assert_eq!(why, "Langfuse refused to write a score (status 404)");
    let before = world.langfuse.requests().answered;
    assert!(world.write().await);
    assert_eq!(world.langfuse.requests().answered, before, "not at once");
    world.fail(Faults::default());
    world.later(61).await;
    assert!(world.write().await);
    assert_eq!((world.scores().len(), world.left().await), (9, (0, 1)));
    assert_eq!(
        world.langfuse.requests().scores,
        9,
        "none was written twice"
    );
}

#[tokio::test]
async fn after_a_batch_of_which_nothing_is_taken_scores_go_one_by_one() {
    let world = World::of(Plan::Hobby).await;
    world.verdicts(3).await;
    world.fail_on(&[("t000", 500), ("t001", 500), ("t002", 500)]);
    assert!(!world.write().await, "Langfuse takes none");
    assert_eq!(world.left().await, (3, 0), "and none is given up");
    let now = world.connection.client.budget().clock().elapsed();
    assert!(!world.connection.batches.may_be(now));
}

#[tokio::test]
async fn what_waits_is_counted_as_it_is_sent() {
    let world = World::of(Plan::SelfHosted).await;
    world.verdicts(3).await;
    for change in [
        "update outcomes set verdict = 'abstain' where trace_id = 't000'",
        "update traces set deleted_at_ms = 1 where id = 't001'",
    ] {
        world.change(change).await;
    }
    assert_eq!(world.left().await, (1, 0));
    assert!(world.write().await);
    assert_eq!((world.scores().len(), world.left().await), (1, (0, 0)));
}

#[tokio::test]
async fn a_score_that_fails_while_others_are_written_is_given_up_after_five_tries() {
    for plan in [Plan::SelfHosted, Plan::Hobby] {
        let world = World::of(plan).await;
        world.verdicts(3).await;
        world.fail_on(&[("t001", 500)]);
        for round in 0..20 {
            assert!(world.write().await, "the connection works");
            world.verdict(&format!("new{round:02}"), "pass").await;
            world.verdict(&format!("newer{round:02}"), "pass").await;
            world.later(1_000).await;
        }
        assert!(world.write().await);
        assert_eq!(
            (world.scores().len(), world.left().await),
            (42, (0, 1)),
            "{plan:?}"
        );
        let why = world.backlog().await.refusal.expect("a reason");
        assert!(why.ends_with("5 times while others were written"), "{why}");
    }
}

#[tokio::test]
async fn scores_that_fail_hold_up_no_others_wherever_they_stand() {
    let world = World::of(Plan::SelfHosted).await;
    world.verdicts(5).await;
    world.fail_on(&[("t000", 500), ("t001", 500), ("t002", 500)]);
    for _ in 0..5 {
        world.write().await;
        world.later(300).await;
    }
    let written: Vec<String> = world.scores().into_keys().collect();
    assert_eq!(written, ["t003", "t004"]);
    assert_eq!(world.left().await.1, 0, "and are not given up for it");
}

#[tokio::test]
async fn where_batches_are_refused_or_fail_the_scores_go_one_by_one() {
    for status in [400, 403, 404, 405, 410, 413, 501, 500, 503] {
        let world = World::of(Plan::SelfHosted).await;
        world.verdicts(30).await;
        world.fail(batches_answering(status));
        for _ in 0..20 {
            world.write().await;
            world.later(300).await;
        }
        assert_eq!(
            (world.scores().len(), world.left().await),
            (30, (0, 0)),
            "{status}"
        );
        let requests = world.langfuse.requests();
        assert_eq!(requests.scores, 30);
        assert!(requests.failed <= 3, "{status}: {}", requests.failed);
    }
}

#[tokio::test]
async fn a_wrong_key_or_a_plan_that_forbids_it_keeps_every_score() {
    for status in [401, 403, 429, 500, 503] {
        let world = World::of(Plan::SelfHosted).await;
        world.verdicts(8).await;
        world.trace("t").await;
        world.label("t", "U1", "up").await;
        world.fail(answering(status));
        assert!(!world.write().await);
        assert!(world.connection.writing.is_resting());
        let trouble = world.connection.writing.trouble().expect("it is said");
        assert!(trouble.contains(&status.to_string()), "{trouble}");
        assert_eq!(world.left().await, (9, 0), "{status}");
        world.later(301).await;
        assert!(!world.connection.writing.is_resting());
        world.fail(Faults::default());
        assert!(world.write().await);
        assert_eq!(world.left().await, (0, 0));
        assert_eq!(world.connection.writing.trouble(), None);
    }
}

#[tokio::test]
async fn a_config_that_does_not_fit_is_left_alone_and_the_scores_are_written_without() {
    let world = World::of(Plan::SelfHosted).await;
    let made = world
        .connection
        .client
        .ensure_score_config("human", ScoreType::Boolean);
    made.await.expect("somebody made it");
    world.trace("t").await;
    world.label("t", "U1", "up").await;
    assert!(world.write().await);
    let score = &world.scores()["t"][0];
    assert_eq!(
        (&score["configId"], &score["stringValue"]),
        (&Value::Null, &json!("up"))
    );
}

#[tokio::test]
async fn a_label_that_changes_while_it_is_written_is_written_again() {
    let world = World::of(Plan::SelfHosted).await;
    world.trace("t").await;
    world.label("t", "U1", "up").await;
    let read = pending(&world.db, &world.workspace, i64::MAX, 10).await;
    let read = read.expect("it is read").remove(0);
    world.label("t", "U1", "down").await;
    let noted = read.written(&world.db, &world.workspace, 1).await;
    noted.expect("it is stored");
    assert_eq!(
        world.left().await,
        (1, 0),
        "the answer was to the old label"
    );
    assert!(world.write().await);
    // Another process's request with the old label comes last.
    let noted = read.written(&world.db, &world.workspace, 1).await;
    noted.expect("it is stored");
    assert_eq!(world.left().await, (1, 0));
    assert!(world.write().await);
    assert_eq!(world.scores()["t"][0]["stringValue"], "down");
    assert_eq!((world.scores()["t"].len(), world.left().await), (1, (0, 0)));
}

#[tokio::test]
async fn labels_of_deleted_traces_are_not_written_until_the_trace_comes_back() {
    let world = World::of(Plan::SelfHosted).await;
    world.trace("t").await;
    world.label("t", "U1", "up").await;
    world.change("update traces set deleted_at_ms = 1").await;
    assert!(world.write().await);
    assert_eq!((world.scores().len(), world.left().await), (0, (0, 0)));
    world.change("update traces set deleted_at_ms = null").await;
    assert!(world.write().await);
    assert_eq!(world.scores().len(), 1);
}
