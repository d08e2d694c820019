use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::*;
use crate::config::{Config, Environment};
use crate::report::{Decision, decide};

/// A Slack that answers what a report needs and keeps what it was asked.
#[derive(Clone, Default)]
struct Slack {
    calls: Arc<Mutex<Vec<(String, Value)>>>,
    url: String,
}

impl Slack {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slack = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let router = Router::new()
            .fallback(Self::answer)
            .route("/api/{method}", axum::routing::any(Self::answer_api))
            .with_state(slack.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        slack
    }

    async fn answer() -> &'static str {
        "OK"
    }

    async fn answer_api(
        State(slack): State<Self>,
        Path(method): Path<String>,
        body: Bytes,
    ) -> axum::Json<Value> {
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let mut calls = slack.calls.lock().unwrap();
        calls.push((method, body));
        axum::Json(json!({
            "ok": true, "team_id": "T1", "team": "t", "user_id": "U0", "channel": "C1",
            "ts": format!("1700000000.{:06}", calls.len()), "url": "https://t.slack.com/",
            "upload_url": format!("{}/upload", slack.url), "file_id": "F1", "files": [],
            "messages": [], "has_more": false,
        }))
    }

    fn bodies(&self, method: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        let of_method = calls.iter().filter(|(name, _)| name == method);
        of_method.map(|(_, body)| body.clone()).collect()
    }

    fn posted(&self) -> Vec<String> {
        let kind = |body: &Value| body["metadata"]["event_type"].as_str().unwrap().to_owned();
        self.bodies("chat.postMessage").iter().map(kind).collect()
    }
}

async fn app(slack: &Slack, folder: &tempfile::TempDir) -> App {
    let pairs = [
        (
            "DATABASE_URL",
            format!("sqlite://{}/test.db", folder.path().display()),
        ),
        ("IOFOLD_LISTEN", "127.0.0.1:0".to_owned()),
        ("SLACK_API_URL", format!("{}/api/", slack.url)),
        ("SLACK_BOT_TOKEN", "xoxb-1".to_owned()),
        ("SLACK_SIGNING_SECRET", "secret".to_owned()),
        ("SLACK_CHANNEL", "C1".to_owned()),
        ("LANGFUSE_WEBHOOK_SECRET", "secret".to_owned()),
        (
            "XDG_CACHE_HOME",
            concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp").to_owned(),
        ),
    ];
    let environment = Environment::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value)));
    let config = Config::read(&environment).unwrap();
    crate::app::build(config).await.unwrap().app
}

const EVAL: &str = "\"\"\"The answer says yes.\"\"\"


def evaluate(trace):
    if not trace[\"output_text\"]:
        return None
    return \"yes\" in trace[\"output_text\"], \"looked for <!channel> yes\"
";

fn trace(id: usize, output: &str) -> String {
    json!({
        "id": format!("t{id:02}"), "name": null, "session_id": null, "user_id": null,
        "timestamp": "2026-01-01T00:00:00Z", "tags": [], "metadata": {}, "input": null,
        "output": null, "input_text": format!("Question {id} <@U1>?"), "output_text": output,
        "messages": [], "tool_calls": [], "observations": [], "latency_ms": null, "total_cost": null,
    })
    .to_string()
}

/// 24 labelled traces of which the last is labelled otherwise than the eval says, and 3 without a label.
async fn fill(app: &App) {
    let run = async |sql: &'static str, texts: &[&str]| {
        let mut query = sqlx::query(sql);
        for text in texts {
            query = query.bind((*text).to_owned());
        }
        query.execute(app.db.pool()).await.unwrap();
    };
    let trace_row =
        "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete,
        cleaned, started_at_ms, first_seen_at_ms, changed_at_ms, asked)
        values ('default', $1, $2, 'h', '', 1, 0, 0, 0, 0, 0)";
    for (id, output) in (0..24).map(|id| (id, if id % 2 == 0 { "yes" } else { "no" })) {
        run(trace_row, &[&format!("t{id:02}"), &trace(id, output)]).await;
    }
    for (id, output) in [(24, "yes"), (25, ""), (26, "no")] {
        run(trace_row, &[&format!("t{id}"), &trace(id, output)]).await;
    }
    run("insert into annotators values ('default', 'U1', 0)", &[]).await;
    for id in 0..24 {
        let label = if id % 2 == 0 || id == 23 {
            "up"
        } else {
            "down"
        };
        let sql = "insert into labels values ('default', $1, 'U1', $2, null, 0, 1)";
        run(sql, &[&format!("t{id:02}"), label]).await;
    }
    run("insert into evals values ('default', 'e', 'e', 0)", &[]).await;
    let version = "insert into eval_versions (workspace_id, id, eval_id, label_count, source,
        source_hash, generator, candidates_tried, state, created_at_ms)
        values ('default', 'v1', 'e', 24, $1, '', 'rules', 7, 'proposed', 10)";
    run(version, &[EVAL]).await;
}

#[tokio::test]
async fn a_report_goes_out_once_is_decided_about_and_asks_for_labels() {
    let (slack, folder) = (Slack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder).await;
    fill(&app).await;
    let workspace = app.workspace(&"default".into()).unwrap();

    post_reports(&app, workspace).await.unwrap();
    assert!(
        slack.posted().is_empty(),
        "it has not run on the labelled traces yet"
    );
    crate::run::run_evals(&app, workspace).await.unwrap();
    for _ in 0..2 {
        post_reports(&app, workspace).await.unwrap();
    }
    let once = [
        "iofold_report",
        "iofold_report_code",
        "iofold_report_misses",
    ];
    assert_eq!(slack.posted(), once);
    assert_eq!(slack.bodies("files.completeUploadExternal").len(), 1);
    let messages = slack.bodies("chat.postMessage");
    let shown = messages[0].to_string();
    assert!(
        shown.contains("96 % (95 % interval 80–99 %) on 24 held-out traces"),
        "{shown}"
    );
    assert!(shown.contains("\"slack_file\":{\"id\":\"F1\"}"), "{shown}");
    assert!(
        messages[1..]
            .iter()
            .all(|reply| !reply["thread_ts"].is_null())
    );
    let misses = messages[2].to_string();
    assert!(
        misses.contains("Question 23 &lt;@U1&gt;?") && misses.contains("It gets 1 of 24"),
        "{misses}"
    );

    for _ in 0..2 {
        decide(&app, workspace, &"v1".into(), Decision::Refine, "U1")
            .await
            .unwrap();
        post_reports(&app, workspace).await.unwrap();
    }
    assert_eq!(slack.posted()[3..], ["iofold_refine"]);
    let asked: i64 = sqlx::query_scalar("select count(*) from traces where asked = 1")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(asked, 3);

    decide(&app, workspace, &"v1".into(), Decision::Deploy, "U1")
        .await
        .unwrap();
    decide(&app, workspace, &"v1".into(), Decision::Discard, "U2")
        .await
        .unwrap();
    for _ in 0..2 {
        refresh_reports(&app, workspace).await.unwrap();
    }
    let updates = slack.bodies("chat.update");
    assert_eq!(updates.len(), 1);
    let shown = updates[0].to_string();
    assert!(
        shown.contains("Deployed by <@U1>") && !shown.contains("report_deploy"),
        "{shown}"
    );
}
