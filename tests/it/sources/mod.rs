//! Traces from elsewhere than Langfuse: files, OpenAI's Agents SDK and stored completions, LangSmith.

mod langsmith_standin;
mod openai_standin;

use std::path::Path;
use std::process::Command;

use chrono::{SecondsFormat, TimeDelta, Utc};
use iofold::auth;
use iofold::domain::WorkspaceId;
use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use crate::on_both_databases;
use crate::support::stage::{Running, Stage, count, eventually, recorded, trace_of};
use crate::support::{Database, iofold, sdk_python};
use langsmith_standin::LangSmith;
use openai_standin::OpenAi;

on_both_databases!(
    a_file_is_taken_once_and_goes_on_where_it_was,
    traces_from_elsewhere_are_judged_and_no_score_of_them_is_written,
    the_agents_sdk_sends_straight_to_the_service,
    what_the_agents_sdk_sends_again_changes_nothing_and_only_a_key_opens,
    runs_come_late_changed_in_pages_and_once_by_the_first_route,
    runs_come_late_changed_in_pages_and_once_by_the_second_route,
    langsmiths_sdk_and_the_service_read_the_same_runs,
    stored_completions_are_read_once_with_what_was_asked,
);

async fn cards(stage: &Stage, wanted: usize) -> Vec<Value> {
    eventually("the cards", || async {
        let cards = stage.cards().await;
        (cards.len() >= wanted).then_some(cards)
    })
    .await
}

/// A stored trace in schema version 1.
async fn stored(running: &Running, trace: &str) -> Option<Value> {
    let row = sqlx::query("select payload from traces where id = $1")
        .bind(trace)
        .fetch_optional(running.app.db.pool())
        .await
        .expect("rows");
    row.map(|row| serde_json::from_str(row.get("payload")).expect("JSON"))
}

fn import(stage: &Stage, file: &Path) -> (Option<i32>, String, String) {
    let mut command = iofold();
    command
        .arg("import")
        .arg(file)
        .env("DATABASE_URL", &stage.database_url);
    let output = command.output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

async fn a_file_is_taken_once_and_goes_on_where_it_was(database: Database) {
    let stage = Stage::set(database, Apis::V4, Vec::new(), &[]).await;
    let running = stage.start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("traces.jsonl");
    let lines: Vec<String> = (0..150)
        .map(|number| json!({"input": format!("Q{number}?"), "output": "é👍"}).to_string())
        .collect();
    std::fs::write(&file, lines[..70].join("\n")).expect("it is written");
    let (code, said, _) = import(&stage, &file);
    assert_eq!(
        (code, said.trim()),
        (Some(0), "Traces: 70 new, 0 changed, 0 there already.")
    );
    let mut all = lines;
    all.insert(3, "{\"question\": \"SECRET\"}".to_owned());
    all.push("{\"id\": \"own\", \"input\": \"first\"}".to_owned());
    std::fs::write(&file, all.join("\n")).expect("it is written");
    let (code, said, complaint) = import(&stage, &file);
    assert_eq!(
        (code, said.trim()),
        (Some(1), "Traces: 81 new, 0 changed, 70 there already.")
    );
    assert!(
        complaint.contains("line 4: ") && complaint.contains("lines left out: 1"),
        "{complaint}"
    );
    assert!(!complaint.contains("SECRET"), "{complaint}");
    std::fs::write(&file, "{\"id\": \"own\", \"input\": \"second\"}\n").expect("it is written");
    assert!(
        import(&stage, &file)
            .1
            .starts_with("Traces: 0 new, 1 changed")
    );
    assert_eq!(
        stored(&running, "own").await.expect("it is there")["input"],
        "second"
    );
    assert_eq!(
        count(&running, "select count(*) as found from traces").await,
        151
    );
    cards(&stage, 20).await;
    running.stop().await;
}

async fn traces_from_elsewhere_are_judged_and_no_score_of_them_is_written(database: Database) {
    let stage = Stage::set(database, Apis::V4, recorded("math_json_format", 1), &[]).await;
    let running = stage.start().await;
    for statement in [
        "insert into evals (workspace_id, id, name, created_at_ms) values ('default', 'e', 'good', 1)",
        "insert into eval_versions (workspace_id, id, eval_id, number, label_count, source, source_hash, generator,
                                    candidates_tried, state, created_at_ms)
         values ('default', 'v', 'e', 1, 30, 'def evaluate(trace):
    return True, \"fine\"', 'h', 'rules', 1, 'deployed', 1)",
    ] {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(running.app.db.pool()).await;
        done.expect("it is inserted");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("traces.jsonl");
    std::fs::write(
        &file,
        "{\"id\": \"f\", \"input\": \"Q?\", \"output\": \"A.\"}\n",
    )
    .expect("it is written");
    assert_eq!(import(&stage, &file).0, Some(0));
    stage.release(1).await;
    eventually("both outcomes", || async {
        let outcomes = count(
            &running,
            "select count(*) as found from outcomes where verdict = 'pass'",
        )
        .await;
        (outcomes == 2).then_some(())
    })
    .await;
    eventually("Langfuse's score", || async {
        (stage.scores().len() == 1).then_some(())
    })
    .await;
    assert_ne!(stage.scores()[0]["traceId"], "f");
    assert_eq!(
        count(
            &running,
            "select count(*) as found from scores where trace_id = 'f'"
        )
        .await,
        0
    );
    running.stop().await;
}

async fn with_key(database: Database) -> (Stage, Running, String) {
    let stage = Stage::set(database, Apis::V4, Vec::new(), &[]).await;
    let running = stage.start().await;
    let key = auth::create_key(&running.app.db, &WorkspaceId::from("default"), "test").await;
    (stage, running, key.expect("a key"))
}

/// Runs a script with an official SDK; what it prints.
async fn script(name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(sdk_python());
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdk")
        .join(name);
    command.arg(path).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("no panic").expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

fn is_whole(trace: &Value) {
    assert_eq!(trace["name"], "Support desk");
    assert_eq!(trace["session_id"], "thread-1");
    assert_eq!(trace["input_text"], "Where is order #12345?");
    assert_eq!(trace["output_text"], "Order #12345 was sent.");
    assert_eq!(trace["tool_calls"][0]["name"], "order_status");
    assert_eq!(trace["tool_calls"][0]["result"]["status"], "sent");
    assert_eq!(trace["tool_calls"].as_array().map(Vec::len), Some(1));
}

async fn the_agents_sdk_sends_straight_to_the_service(database: Database) {
    let (stage, running, key) = with_key(database).await;
    let sent = script("agents_sdk.py", &[&stage.url(""), &key]).await;
    let cards = cards(&stage, 1).await;
    assert_eq!(trace_of(&cards[0]), sent);
    let trace = stored(&running, &sent).await.expect("it is stored");
    is_whole(&trace);
    assert_eq!(trace["metadata"], json!({"plan": "pro"}));
    assert!(
        !cards[0].to_string().contains("/traces/trace_"),
        "no link to Langfuse: {}",
        cards[0]
    );
    running.stop().await;
}

async fn what_the_agents_sdk_sends_again_changes_nothing_and_only_a_key_opens(database: Database) {
    let (stage, running, key) = with_key(database).await;
    let body: Value =
        serde_json::from_str(include_str!("../../fixtures/sources/agents.json")).expect("JSON");
    let post = |key: String, body: Value| {
        let request = stage
            .http
            .post(stage.url("/v1/traces/ingest"))
            .bearer_auth(key)
            .json(&body);
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!(post("iofold_wrong_key".to_owned(), body.clone()).await, 401);
    assert_eq!(post(key.clone(), json!([1])).await, 400);
    let items = body["data"].as_array().expect("a list");
    // The spans come before their trace, one by one and twice.
    for item in items.iter().rev().chain(items) {
        assert_eq!(post(key.clone(), json!({"data": [item, 1]})).await, 200);
    }
    let id = items[0]["id"].as_str().expect("an id");
    eventually("the trace", || async {
        let trace = stored(&running, id).await?;
        (trace["observations"].as_array()?.len() == 7).then_some(())
    })
    .await;
    is_whole(&stored(&running, id).await.expect("it is stored"));
    let changed = "select changed_at_ms as found from traces";
    let before = count(&running, changed).await;
    assert_eq!(post(key, body).await, 200);
    assert_eq!(
        count(&running, "select count(*) as found from arrived_traces").await,
        0
    );
    assert_eq!(count(&running, changed).await, before);
    running.stop().await;
}

/// By the second route LangSmith is the only source.
async fn beside_langsmith(database: Database, is_second: bool) -> (Stage, LangSmith, String) {
    let langsmith = LangSmith::default();
    langsmith.held().is_second = is_second;
    let url = langsmith.serve().await;
    let mut settings = vec![
        ("LANGSMITH_ENDPOINT", url.as_str()),
        ("LANGSMITH_API_KEY", langsmith_standin::KEY),
        ("LANGSMITH_PROJECT", langsmith_standin::PROJECT),
    ];
    if is_second {
        let of_langfuse = [
            "LANGFUSE_BASE_URL",
            "LANGFUSE_PUBLIC_KEY",
            "LANGFUSE_SECRET_KEY",
            "LANGFUSE_WEBHOOK_SECRET",
        ];
        settings.extend(of_langfuse.map(|name| (name, "")));
    }
    let stage = Stage::set(database, Apis::V4, Vec::new(), &settings).await;
    (stage, langsmith, url)
}

fn run(id: &str, trace: &str, parent: Option<&str>, ago: TimeDelta, more: Value) -> Value {
    let at = (Utc::now() - ago).to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut run = json!({"id": id, "trace_id": trace, "name": id, "run_type": "chain", "start_time": at,
        "parent_run_id": parent, "inputs": {"question": "Q?"}});
    run.as_object_mut()
        .expect("fields")
        .extend(more.as_object().expect("fields").clone());
    run
}

async fn runs_come_late_changed_in_pages_and_once(database: Database, is_second: bool) {
    let (stage, langsmith, _) = beside_langsmith(database, is_second).await;
    let ended = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let end = |output: &str| json!({"end_time": ended, "outputs": {"output": output}});
    let minutes = TimeDelta::minutes;
    langsmith.held().page = 4;
    langsmith.held().refusals = 2;
    let mut runs = vec![
        run("slow", "slow", None, minutes(50), json!({})),
        run("open", "open", None, minutes(1), json!({})),
    ];
    for number in 0..7 {
        let id = format!("t{number}");
        runs.push(run(&id, &id, None, minutes(7 * number), end("A.")));
        let step = format!("s{number}");
        runs.push(run(
            &step,
            &id,
            Some(&id),
            minutes(7 * number),
            end("inner"),
        ));
    }
    langsmith.write(&runs);
    let running = stage.start().await;
    assert_eq!(
        cards(&stage, 7).await.len(),
        7,
        "none of what has not ended"
    );
    // A server that moves its runs while it is read.
    langsmith.held().is_second = true;
    for id in ["slow", "open"] {
        langsmith.write(&[json!({"id": id, "end_time": ended, "outputs": {"output": "at last"}})]);
    }
    // A step that comes after its trace was asked about.
    langsmith.write(&[run(
        "late",
        "t0",
        Some("t0"),
        minutes(0),
        end("a late step"),
    )]);
    let cards = cards(&stage, 9).await;
    assert_eq!(cards.len(), 9);
    eventually("the late step", || async {
        let trace = stored(&running, "t0").await?;
        (trace["observations"].as_array()?.len() == 3).then_some(())
    })
    .await;
    let slow = stored(&running, "slow").await.expect("it is stored");
    assert_eq!(
        (&slow["output"], &slow["input_text"]),
        (&json!("at last"), &json!("Q?"))
    );
    let elsewhere = "select count(*) as found from traces where origin = 'langsmith'";
    assert_eq!(count(&running, elsewhere).await, 9);
    assert_eq!(stage.cards().await.len(), 9, "each once");
    running.stop().await;
}

async fn runs_come_late_changed_in_pages_and_once_by_the_first_route(database: Database) {
    runs_come_late_changed_in_pages_and_once(database, false).await;
}

async fn runs_come_late_changed_in_pages_and_once_by_the_second_route(database: Database) {
    runs_come_late_changed_in_pages_and_once(database, true).await;
}

async fn langsmiths_sdk_and_the_service_read_the_same_runs(database: Database) {
    let is_second = matches!(database, Database::Postgres);
    let (stage, _langsmith, url) = beside_langsmith(database, is_second).await;
    let running = stage.start().await;
    let sent = script("langsmith_sdk.py", &[&url]).await;
    let cards = cards(&stage, 1).await;
    assert_eq!(trace_of(&cards[0]), sent);
    is_whole(&stored(&running, &sent).await.expect("it is stored"));
    running.stop().await;
}

async fn stored_completions_are_read_once_with_what_was_asked(database: Database) {
    let openai = OpenAi::default();
    let url = openai.serve().await;
    let now = Utc::now().timestamp();
    openai.store("chatcmpl-old", now - 7_200, "too old", "-");
    for number in 0..5 {
        openai.store(
            &format!("chatcmpl-{number}"),
            now - 300 + number,
            &format!("Q{number}?"),
            "A.",
        );
    }
    let settings = [
        ("OPENAI_STORED_COMPLETIONS_BASE_URL", url.as_str()),
        ("OPENAI_STORED_COMPLETIONS_API_KEY", openai_standin::KEY),
    ];
    let stage = Stage::set(database, Apis::V4, Vec::new(), &settings).await;
    let running = stage.start().await;
    cards(&stage, 5).await;
    openai.store("chatcmpl-5", now, "Q5?", "A.");
    assert_eq!(cards(&stage, 6).await.len(), 6);
    let trace = stored(&running, "chatcmpl-5").await.expect("it is stored");
    assert_eq!(
        (&trace["input_text"], &trace["output_text"]),
        (&json!("Q5?"), &json!("A."))
    );
    assert_eq!(trace["messages"].as_array().map(Vec::len), Some(3));
    let mut asked = openai.asked.lock().expect("no panic").clone();
    // Messages come in pages of two; nothing is asked for twice.
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), openai.asked.lock().expect("no panic").len());
    assert!(!asked.contains(&"chatcmpl-old".to_owned()));
    running.stop().await;
}

#[test]
fn openais_sdk_reads_the_stand_in_alike() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let openai = OpenAi::default();
    let url = runtime.block_on(openai.serve());
    for number in 0..3 {
        openai.store(&format!("chatcmpl-{number}"), number, "Q?", "A.");
    }
    let read = "import sys, openai\n\
        stored = openai.OpenAI(api_key='sk-stored', base_url=sys.argv[1]).chat.completions\n\
        ids = [c.id for c in stored.list(order='desc')]\n\
        print(ids, [m.content for m in stored.messages.list(ids[0])])";
    let output = Command::new(sdk_python())
        .args(["-c", read, &url])
        .output()
        .expect("it starts");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "['chatcmpl-2', 'chatcmpl-1', 'chatcmpl-0'] ['Be brief.', 'Q?']",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
