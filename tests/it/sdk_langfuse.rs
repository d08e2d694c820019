//! The stand-in for Langfuse, used by Langfuse's own SDK and held against its OpenAPI description.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;
use iofold::langfuse::{CodeEvaluator, Score, ScoreType, ScoreValue};
use iofold::playground::langfuse::{Langfuse, Options, ProjectConfig};
use serde_json::{Value, json};

use crate::support::sdk_python;

/// A project with five traces.
fn langfuse() -> Langfuse {
    let project = ProjectConfig {
        id: "p".to_owned(),
        name: "Support".to_owned(),
        public_key: "pk-lf-test".to_owned(),
        secret_key: "sk-lf-test".into(),
        recorded: Vec::new(),
    };
    let langfuse = Langfuse::open(vec![project], Options::default()).expect("it opens");
    (0..5).for_each(|number| langfuse.put_trace("p", trace(number)));
    langfuse
}

fn trace(number: u32) -> Value {
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.000Z");
    let question = json!([{"role": "user", "content": "Q"}]);
    json!({
        "id": format!("t{number}"), "name": "chat", "timestamp": at(number), "tags": ["a"], "userId": "u",
        "input": question, "output": "A", "metadata": {"long": "x".repeat(300)}, "latency": 2.0,
        "observations": [{
            "id": format!("t{number}-g"), "type": "GENERATION", "name": "answer", "model": "m",
            "startTime": at(number), "endTime": at(number + 2), "input": question, "output": "A",
        }],
    })
}

/// The base URL of the stand-in, under a path prefix as in the playground.
async fn serve(langfuse: &Langfuse) -> String {
    let router = Router::new().nest("/playground/langfuse", langfuse.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/playground/langfuse")
}

/// Runs a script of tests/sdk with the stand-in's address, and gives it `input`.
async fn run(script: &str, langfuse: &Langfuse, input: Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(sdk_python());
    command
        .arg(root.join("tests/sdk").join(script))
        .arg(serve(langfuse).await)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("Python starts");
        let mut given = child.stdin.take().expect("it is piped");
        write!(given, "{input}").expect("it is read, or Python has ended");
        drop(given);
        child.wait_with_output().expect("it ends")
    });
    let output = ended.await.expect("it does not panic");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn langfuses_own_sdk_reads_traces_and_writes_scores() {
    let langfuse = langfuse();
    run("langfuse_sdk.py", &langfuse, Value::Null).await;
    let scores = langfuse.scores("p");
    let ids: Vec<&Value> = scores.iter().map(|score| &score["id"]).collect();
    assert_eq!(ids, ["s1", "s2", "s3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_requests_and_the_stand_ins_answers_are_as_langfuse_describes_them() {
    let score = |value| Score {
        id: format!("{value:?}"),
        trace_id: "t1".to_owned(),
        name: "cites a source".to_owned(),
        value,
        comment: None,
        metadata: json!({"labels": 20}),
    };
    let evaluator = CodeEvaluator {
        name: "cites a source",
        description: "",
        source: "def evaluate(ctx): ...",
    };
    let requests = json!([
        [
            "POST score-configs",
            ScoreType::Boolean.to_request("cites a source")
        ],
        [
            "POST score-configs",
            ScoreType::Categorical(&["up", "down"]).to_request("human")
        ],
        ["POST scores", score(ScoreValue::Boolean(true)).to_request()],
        [
            "POST scores",
            score(ScoreValue::Categorical("up".to_owned())).to_request()
        ],
        ["POST unstable/evaluators", evaluator.to_request(false)],
    ]);
    let langfuse = langfuse();
    run("langfuse_openapi.py", &langfuse, requests).await;
    assert_eq!(
        langfuse.scores("p").len(),
        3,
        "two of ours and one in a batch"
    );
}
