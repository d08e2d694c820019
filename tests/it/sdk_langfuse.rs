//! The stand-in for Langfuse, used by Langfuse's own SDKs and by our client, and held against Langfuse's OpenAPI
//! description meanwhile.

use std::path::Path;
use std::process::Command;

use axum::Router;
use chrono::TimeDelta;
use iofold::langfuse::{
    Client, CodeEvaluator, Event, Filter, Score, ScoreConfig, ScoreType, ScoreValue, Subject,
    Window,
};
use iofold::playground::langfuse::{Apis, Langfuse, Options, ProjectConfig};
use serde_json::{Value, json};

use crate::support::openapi::{Watch, watched};
use crate::support::{sdk_node, sdk_python};

/// A project with five traces.
fn langfuse(apis: Apis) -> Langfuse {
    let project = ProjectConfig {
        id: "p".to_owned(),
        name: "Support".to_owned(),
        public_key: "pk-lf-test".to_owned(),
        secret_key: "sk-lf-test".into(),
        recorded: Vec::new(),
    };
    let options = Options {
        apis,
        ..Options::default()
    };
    let langfuse = Langfuse::open(vec![project], options).expect("it opens");
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

/// The base URL of the stand-in, under a path prefix as in the playground; what is not as described fails the test.
async fn serve(langfuse: &Langfuse) -> (String, Watch) {
    let router = Router::new().nest("/playground/langfuse", langfuse.router());
    let (router, watch) = watched(router, true);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/playground/langfuse"), watch)
}

/// Runs a script of tests/sdk; gives what it prints as JSON, null where that is nothing.
async fn run(mut command: Command, script: &str, arguments: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    command
        .arg(root.join("tests/sdk").join(script))
        .args(arguments);
    let ended = tokio::task::spawn_blocking(move || command.output().expect("it starts"));
    let output = ended.await.expect("it does not panic");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn langfuses_own_sdks_read_traces_write_scores_and_see_the_same() {
    let langfuse = langfuse(Apis::Both);
    let (base, _watch) = serve(&langfuse).await;
    let python = || Command::new(sdk_python());
    run(python(), "langfuse_sdk.py", &[&base]).await;
    let by_javascript = run(sdk_node(), "langfuse_sdk.mjs", &[&base]).await;
    let by_python = run(python(), "langfuse_sdk.py", &[&base, "seen"]).await;
    for (part, seen) in by_python.as_object().expect("an object") {
        assert_eq!(*seen, by_javascript[part], "{part}");
    }
    let lengths = ["observations", "steps", "configs", "scores", "scores_v3"];
    let lengths = lengths.map(|part| by_python[part].as_array().map(Vec::len));
    assert_eq!(lengths, [10, 1, 3, 6, 6].map(Some));
    let scores = langfuse.scores("p");
    let ids: Vec<&Value> = scores.iter().map(|score| &score["id"]).collect();
    assert_eq!(ids, ["s1", "s2", "s3", "j1", "j2", "j3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_asks_and_writes_as_langfuse_describes_it() {
    for apis in [Apis::V4, Apis::V3, Apis::Both] {
        let langfuse = langfuse(apis);
        let (base, _watch) = serve(&langfuse).await;
        let base = base.parse().expect("it is a URL");
        let client = Client::new(&base, "pk-lf-test", &"sk-lf-test".into()).expect("it is made");
        client.health().await.expect("it is well");
        client.project().await.expect("the keys are right");
        client.api().await.expect("there is one");
        let filter = Filter::any_of("tags", &["a"]).and(Filter::any_of("traceName", &["chat"]));
        for client in [client.clone(), client.clone().choosing(filter)] {
            read(&client, apis).await;
        }
        write(&client).await;
        assert_eq!(langfuse.scores("p").len(), 2);
    }
}

async fn read(client: &Client, apis: Apis) {
    let from = "2026-01-01T00:00:00Z".parse().expect("a time");
    let to = from + TimeDelta::minutes(1);
    let window = Window { from, to };
    if apis != Apis::V3 {
        let page = client.observations(window, None, 3).await.expect("a page");
        let next = client.observations(window, page.next.as_deref(), 3).await;
        assert_eq!(next.expect("a page").items.len(), 3);
        let late = client.observations_ended_late(from, to, None, 1_000).await;
        late.expect("a page");
        let one = client.observations_of("t1", None, 1_000).await;
        assert_eq!(one.expect("a page").items.len(), 2);
    }
    if apis != Apis::V4 {
        let page = client.traces(window, None).await.expect("a page");
        assert_eq!(page.items.len(), 5);
        assert!(client.trace("t1").await.expect("an answer").is_some());
        assert!(client.trace("none").await.expect("an answer").is_none());
    }
    let last = client.last_trace_of("a session").await;
    assert_eq!(last.expect("an answer"), None);
}

async fn write(client: &Client) {
    for (name, kind, value) in [
        ("cites", ScoreType::Boolean, ScoreValue::Boolean(true)),
        (
            "human",
            ScoreType::Categorical(&["up", "down"]),
            ScoreValue::Categorical("up".to_owned()),
        ),
    ] {
        for _ in 0..2 {
            let made = client.ensure_score_config(name, kind).await;
            made.expect("it is made once");
        }
        let score = Score {
            id: name.to_owned(),
            subject: Subject::Trace("t1".to_owned()),
            name: name.to_owned(),
            value,
            comment: None,
            metadata: json!({"labels": 20}),
            config_id: None,
        };
        client.put_score(&score).await.expect("it is taken");
    }
    for source in ["def evaluate(ctx): ...", "def evaluate(ctx): pass"] {
        let evaluator = CodeEvaluator {
            name: "cites",
            description: "",
            source,
        };
        let put = client.put_code_evaluator(&evaluator).await;
        put.expect("it is taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn langfuses_own_sdk_reads_our_scores_back() {
    let langfuse = langfuse(Apis::Both);
    let (base, _watch) = serve(&langfuse).await;
    let url = base.parse().expect("it is a URL");
    let client = Client::new(&url, "pk-lf-test", &"sk-lf-test".into()).expect("it is made");
    let words = ScoreType::Categorical(&["up", "neutral", "down"]);
    let mut configs = Vec::new();
    for (name, kind) in [("human", words), ("cites a source", ScoreType::Boolean)] {
        let config = client.ensure_score_config(name, kind).await;
        let ScoreConfig::Found(id) = config.expect("it is made") else {
            panic!("there is one")
        };
        configs.push(id);
    }
    let score = |id: &str, subject, value| {
        let is_human = matches!(value, ScoreValue::Categorical(_));
        Score {
            id: id.to_owned(),
            subject,
            name: if is_human { "human" } else { "cites a source" }.to_owned(),
            value,
            comment: Some("why 👎".to_owned()),
            metadata: json!({"by": "iofold", "annotator": "U1"}),
            config_id: Some(configs[usize::from(!is_human)].clone()),
        }
    };
    let trace = || Subject::Trace("t1".to_owned());
    let word = |word: &str| ScoreValue::Categorical(word.to_owned());
    let single = client
        .put_score(&score("single", trace(), word("up")))
        .await;
    single.expect("it is taken");
    let session = Subject::Session("s".to_owned());
    let events = [
        score("single", trace(), word("down")),
        score("session", session, word("neutral")),
        score("verdict", trace(), ScoreValue::Boolean(false)),
    ];
    let events = events.map(|score| Event {
        id: format!("event-{}", score.id),
        score,
    });
    let ended = client.put_scores(&events.each_ref()).await;
    assert!(ended.expect("it answers").iter().all(Result::is_ok));
    let expected = json!({
        "single": ["human", "t1", null, "CATEGORICAL", "down", configs[0]],
        "session": ["human", null, "s", "CATEGORICAL", "neutral", configs[0]],
        "verdict": ["cites a source", "t1", null, "BOOLEAN", "False", configs[1]],
    });
    let python = Command::new(sdk_python());
    run(
        python,
        "langfuse_scores.py",
        &[&base, &expected.to_string()],
    )
    .await;
}
