//! Labels and evals on whole sessions: on the command line, and in the service over its stored traces.

use iofold::app::{self, App, Service};
use iofold::domain::{EvalSource, Trace, Verdict, WorkspaceId};
use iofold::generate;
use iofold::ingest::normalise;
use iofold::playground::langfuse::Apis;
use iofold::run::{self, PendingRun, VersionSource};
use iofold::sandbox::receipt::hash;
use serde_json::{Value, json};
use sqlx::Row;

use crate::cli::{eval, folder_with_eval, lines, run as fed, stderr};
use crate::on_both_databases;
use crate::support::Database;
use crate::support::iofold;
use crate::support::stage::Stage;

on_both_databases!(
    an_eval_of_sessions_is_given_the_stored_traces_up_to_each_one,
    an_eval_of_single_traces_is_given_no_session,
    a_late_trace_of_a_session_has_the_later_ones_judged_again,
    a_session_over_the_limit_is_refused_and_never_cut,
    what_ran_on_a_session_is_replayed_from_the_database,
    labels_on_sessions_are_learnt_from_with_their_sessions,
);

/// A session passes where somebody thanks in any of its turns.
const THANKED: &str = r#""""Somebody thanks in the session."""

def evaluate(trace):
    turns = [one["input_text"] for one in trace["session"]]
    if trace["session"][-1]["id"] != trace["id"]:
        raise ValueError("the last is not the trace")
    return any("thanks" in turn for turn in turns), f"{len(turns)} turns: " + ", ".join(turns)
"#;

/// A trace detail of the minute `at`.
fn turn(session: &str, at: usize, said: &str) -> Value {
    json!({
        "id": format!("{session}-{at}"), "sessionId": session, "timestamp": format!("2025-01-01T00:{at:02}:00Z"),
        "input": [{"role": "user", "content": said}],
        "output": {"role": "assistant", "content": "Sure."},
    })
}

fn session(name: &str, said: &[&str]) -> Vec<Value> {
    let turns = said.iter().enumerate();
    turns.map(|(at, said)| turn(name, at, said)).collect()
}

/// Labelled sessions of which every second one ends well; what the first turn says tells which.
fn labelled_sessions(count: usize) -> String {
    let line = |at: usize| {
        let (said, label) = match at % 2 {
            0 => ("lovely, thanks", "up"),
            _ => ("no, wrong", "down"),
        };
        let name = format!("s{at}");
        let mut traces = session(&name, &["hello", said]);
        traces[1]["output"]["content"] = json!(if at.is_multiple_of(2) {
            "You are welcome!"
        } else {
            "I am sorry."
        });
        json!({"id": name, "session": traces, "label": label}).to_string() + "\n"
    };
    (0..count).map(line).collect()
}

#[test]
fn run_gives_an_eval_each_lines_session() {
    let folder = folder_with_eval(THANKED);
    let traces = session("a", &["hello", "thanks", "bye"]);
    let beside = json!({"id": "beside", "trace": traces[1], "session": &traces[..2]});
    let input = [
        json!({"id": "whole", "session": traces}),
        json!({"session": &traces[..1]}),
        beside,
    ];
    let input: String = input.iter().map(|line| format!("{line}\n")).collect();
    let output = eval(folder.path(), &["run", "blue.py", "-"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said: Vec<_> = lines(&output)
        .iter()
        .map(|line| json!([line["id"], line["verdict"], line["reason"]]))
        .collect();
    assert_eq!(
        said,
        [
            json!(["whole", "pass", "3 turns: hello, thanks, bye"]),
            json!(["a-0", "fail", "1 turns: hello"]),
            json!(["beside", "pass", "2 turns: hello, thanks"]),
        ]
    );
}

#[test]
fn an_outcome_on_a_session_of_a_file_is_replayed() {
    let folder = folder_with_eval(THANKED);
    let line = json!({"session": session("a", &["hello", "thanks"])}).to_string();
    std::fs::write(folder.path().join("traces.jsonl"), line).expect("it is written");
    let ran = eval(folder.path(), &["run", "blue.py", "traces.jsonl"], "");
    let receipts = String::from_utf8_lossy(&ran.stdout).into_owned();
    let replayed = fed(
        iofold().current_dir(folder.path()).args(["replay", "-"]),
        &receipts,
    );
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
}

#[test]
fn generate_and_report_work_on_labelled_sessions_and_on_lone_traces_beside_them() {
    let folder = folder_with_eval(THANKED);
    let labelled = folder.path().join("labelled.jsonl");
    let lone = json!({"id": "lone", "trace": turn("lone", 0, "thanks"), "label": "up"});
    std::fs::write(&labelled, labelled_sessions(40) + &lone.to_string()).expect("it is written");
    let report = eval(
        folder.path(),
        &["report", "blue.py", "labelled.jsonl", "--json"],
        "",
    );
    assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
    let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!(
        (&report["fresh"]["n"], &report["fresh"]["agreement"]),
        (&json!(41), &json!(1.0))
    );

    let arguments = [
        "generate",
        "labelled.jsonl",
        "--generator",
        "rules",
        "--out",
        "eval.py",
    ];
    let made = eval(folder.path(), &arguments, "");
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let ran = eval(folder.path(), &["run", "eval.py", "labelled.jsonl"], "");
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    let passed = lines(&ran)
        .iter()
        .filter(|line| line["verdict"] == "pass")
        .count();
    assert!((20..=21).contains(&passed), "{passed} of 41");
}

#[test]
fn what_is_no_session_is_refused_with_its_line_and_the_fix() {
    let traces = session("a", &["hello", "thanks"]);
    let mut reversed = traces.clone();
    reversed.reverse();
    let mixed = [turn("a", 0, "x"), turn("b", 1, "y")];
    let huge = [turn("a", 0, &"x".repeat(9 << 20)), turn("a", 1, "y")];
    for (line, expected) in [
        (json!({"session": "a"}), "must be a list of traces"),
        (
            json!({"session": []}),
            "leave it out where the label is on one trace",
        ),
        (json!({"session": ["a-0"]}), "trace 1 of \"session\""),
        (json!({"session": reversed}), "put the traces in time order"),
        (json!({"session": mixed}), "keep them on lines of their own"),
        (
            json!({"session": traces, "trace": traces[0]}),
            "make it the last",
        ),
        (json!({"session": huge}), "leave out its oldest traces"),
        (json!({"trace": null}), "there is no \"trace\" object"),
    ] {
        let folder = folder_with_eval(THANKED);
        let mut line = line;
        line["label"] = json!("up");
        let input = labelled_sessions(1) + &line.to_string();
        let output = eval(folder.path(), &["report", "blue.py", "-"], &input);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("line 2") && said.contains(expected),
            "{expected}: {said}"
        );
    }
}

/// A service that is built and does not run, with sessions as rows.
struct Stored {
    service: Service,
    stage: Stage,
}

impl Stored {
    async fn with(database: Database, traces: &[Value], settings: &[(&str, &str)]) -> Self {
        let stage = Stage::set(database, Apis::Both, Vec::new(), settings).await;
        let service = app::build(stage.config())
            .await
            .expect("the service builds");
        let stored = Self { service, stage };
        stored
            .execute("insert into evals values ('default', 'e', 'e', 0)")
            .await;
        stored
            .execute("insert into annotators values ('default', 'U1', 0)")
            .await;
        for trace in traces {
            stored.add("default", trace, 0).await;
        }
        stored
    }

    fn app(&self) -> &App {
        &self.service.app
    }

    async fn execute(&self, sql: &'static str) {
        let done = sqlx::query(sql).execute(self.app().db.pool()).await;
        done.expect("it is done");
    }

    /// A trace that came at `seen_at_ms`.
    async fn add(&self, workspace: &str, detail: &Value, seen_at_ms: i64) {
        let trace: Trace = normalise(&serde_json::from_value(detail.clone()).expect("a trace"));
        let payload = trace.to_json();
        let started = chrono::DateTime::parse_from_rfc3339(&trace.timestamp).expect("a time");
        sqlx::query(
            "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                                 started_at_ms, first_seen_at_ms, changed_at_ms)
             values ($1, $2, $3, $4, $5, 1, 0, $6, $7, 0)",
        )
        .bind(workspace)
        .bind(&trace.id)
        .bind(&payload)
        .bind(hash(&payload))
        .bind(trace.group())
        .bind(started.timestamp_millis())
        .bind(seen_at_ms)
        .execute(self.app().db.pool())
        .await
        .expect("a row");
    }

    async fn label(&self, trace: &str, label: &str) {
        sqlx::query("insert into labels values ('default', $1, 'U1', $2, null, 0, 0)")
            .bind(trace)
            .bind(label)
            .execute(self.app().db.pool())
            .await
            .expect("a label");
    }

    async fn version(&self, source: &str) -> VersionSource {
        let source = EvalSource::new(source);
        sqlx::query(
            "insert into eval_versions (workspace_id, id, eval_id, number, source, source_hash,
                                        generator, candidates_tried, state, created_at_ms)
             values ('default', 'v', 'e', 1, $1, $2, 'rules', 1, 'proposed', 0)",
        )
        .bind(source.as_str())
        .bind(source.hash())
        .execute(self.app().db.pool())
        .await
        .expect("a version");
        VersionSource {
            id: "v".into(),
            source,
            eval: "e".into(),
        }
    }

    async fn pending(&self) -> Vec<PendingRun> {
        let sql = "select id, payload, payload_hash from traces where workspace_id = 'default' order by id";
        let rows = sqlx::query(sql).fetch_all(self.app().db.pool()).await;
        let rows = rows.expect("rows");
        rows.iter()
            .map(|row| PendingRun::of_row(row).expect("a trace"))
            .collect()
    }

    /// What a version says of every trace, by their ids.
    async fn said(&self, version: &VersionSource) -> Vec<String> {
        let pending = self.pending().await;
        let outcomes = run::run_on(self.app(), &here(), version, &pending).await;
        let said = outcomes
            .expect("it runs")
            .into_iter()
            .map(|outcome| match outcome.result {
                Ok((verdict, reason)) => format!("{}: {reason}", verdict.as_str()),
                Err(error) => format!("{}: {}", error.kind.as_str(), error.message),
            });
        said.collect()
    }

    /// The verdicts in the rows once the `run` room has run what is pending, and the sandbox's calls for it.
    async fn run_pending(&self) -> (Vec<Option<Verdict>>, u64) {
        let before = self.app().sandbox.counts().calls;
        let workspace = self.app().workspace(&here()).expect("it is configured");
        run::run_evals(self.app(), workspace)
            .await
            .expect("it runs");
        let rows = sqlx::query("select verdict from outcomes order by trace_id");
        let rows = rows.fetch_all(self.app().db.pool()).await.expect("rows");
        let verdicts = rows
            .iter()
            .map(|row| row.get::<Option<String>, _>("verdict"));
        let verdicts = verdicts.map(|word| Verdict::parse(&word?)).collect();
        (verdicts, self.app().sandbox.counts().calls - before)
    }
}

fn here() -> WorkspaceId {
    WorkspaceId::from("default")
}

async fn an_eval_of_sessions_is_given_the_stored_traces_up_to_each_one(database: Database) {
    let mut traces = session("a", &["hello", "thanks", "bye"]);
    traces.extend(session("b", &["what?"]));
    let mut lone = turn("lone", 0, "thanks");
    lone["sessionId"] = Value::Null;
    traces.push(lone);
    let stored = Stored::with(database, &traces, &[]).await;
    stored
        .execute("insert into workspaces (id, created_at_ms) values ('other', 0)")
        .await;
    stored
        .add("other", &turn("b", 0, "thanks of another workspace"), 0)
        .await;
    let version = stored.version(THANKED).await;
    let expected = [
        "fail: 1 turns: hello",
        "pass: 2 turns: hello, thanks",
        "pass: 3 turns: hello, thanks, bye",
        "fail: 1 turns: what?",
        "pass: 1 turns: thanks",
    ];
    assert_eq!(stored.said(&version).await, expected);
    let calls = stored.app().sandbox.counts().calls;
    assert_eq!(stored.said(&version).await, expected);
    assert_eq!(stored.app().sandbox.counts().calls, calls, "the rows know");
}

async fn an_eval_of_single_traces_is_given_no_session(database: Database) {
    let stored = Stored::with(database, &session("a", &["hello", "bye"]), &[]).await;
    let source = "def evaluate(trace):\n    return len(trace) == 16, \", \".join(trace)\n";
    let said = stored.said(&stored.version(source).await).await;
    assert!(
        said.iter()
            .all(|said| said.starts_with("pass: id, name, session_id,")),
        "{said:?}"
    );
}

async fn a_late_trace_of_a_session_has_the_later_ones_judged_again(database: Database) {
    let traces = session("a", &["hello", "thanks", "bye"]);
    let stored = Stored::with(database, &[traces[0].clone(), traces[2].clone()], &[]).await;
    stored.version(THANKED).await;
    stored.label("a-0", "down").await;
    stored.label("a-2", "up").await;
    let (pass, fail) = (Some(Verdict::Pass), Some(Verdict::Fail));
    assert_eq!(stored.run_pending().await, (vec![fail, fail], 2));
    assert_eq!(stored.run_pending().await, (vec![fail, fail], 0));

    stored.execute("update outcomes set ran_at_ms = 5").await;
    stored.add("default", &traces[1], 7).await;
    assert_eq!(stored.run_pending().await, (vec![fail, pass], 1));
    assert_eq!(stored.run_pending().await, (vec![fail, pass], 0));
}

async fn a_session_over_the_limit_is_refused_and_never_cut(database: Database) {
    let long = "x".repeat(1 << 20);
    let said = vec![long.as_str(); 4];
    let stored = Stored::with(database, &session("a", &said), &[]).await;
    let said = stored.said(&stored.version(THANKED).await).await;
    let refused: Vec<bool> = said
        .iter()
        .map(|said| said.starts_with("trace_too_large: "))
        .collect();
    assert!(refused[3], "{}", said[3]);
    assert!(!refused[0], "{}", &said[0][..80]);
}

async fn what_ran_on_a_session_is_replayed_from_the_database(database: Database) {
    let stored = Stored::with(database, &session("a", &["hello", "thanks"]), &[]).await;
    let said = stored.said(&stored.version(THANKED).await).await;
    assert_eq!(said.len(), 2);
    let receipts = crate::known_outcomes::stored_receipts(stored.app()).await;
    let receipts: Vec<String> = receipts.iter().map(Value::to_string).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = iofold();
    let command = command.current_dir(folder.path()).args(["replay", "-"]);
    let command = command.env("DATABASE_URL", &stored.stage.database_url);
    let output = tokio::task::block_in_place(|| fed(command, &receipts.join("\n")));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("2 the same, 0 differ"),
        "{said} {}",
        stderr(&output)
    );
}

async fn labels_on_sessions_are_learnt_from_with_their_sessions(database: Database) {
    let mut traces = Vec::new();
    for at in 0..24usize {
        let said = if at.is_multiple_of(2) {
            "lovely, thanks"
        } else {
            "no, wrong"
        };
        traces.extend(session(&format!("s{at:02}"), &["hello", said]));
    }
    let unit = [("IOFOLD_LABEL_UNIT", "session")];
    let stored = Stored::with(database, &traces, &unit).await;
    for at in 0..24usize {
        let label = if at.is_multiple_of(2) { "up" } else { "down" };
        stored.label(&format!("s{at:02}-1"), label).await;
    }
    let limit = stored.app().sandbox.limits().trace_bytes;
    let labels = iofold::store::labelled_sessions(&stored.app().db, &here(), limit).await;
    let labels = labels.expect("labels");
    assert_eq!(labels.len(), 24);
    assert!(labels.iter().all(|label| label.trace.session.len() == 2));

    let workspace = stored.app().workspace(&here()).expect("it is configured");
    generate::generate_eval(stored.app(), workspace)
        .await
        .expect("an attempt");
    let attempts = sqlx::query("select label_count from generations");
    let attempts = attempts
        .fetch_all(stored.app().db.pool())
        .await
        .expect("rows");
    assert_eq!(attempts.len(), 1);
}
