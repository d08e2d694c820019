//! Our client against stand-ins that others wrote, for what those can do.
//!
//! `llmock` judges its clients as well: whether they wait as long as they are asked to, stop at what no repetition
//! mends, and do not storm. It does not know Anthropic's `output_config`, prompt caches, refusals, answers that break
//! off or drip outside streams, wrong keys or parameters that a model refuses. `fakellm` knows answers and errors by
//! rules alone: no `Retry-After`, no stop reasons, no keys.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use iofold::llm::{Model, Task};
use serde_json::{Value, json};

use super::{client, named, prompt};
use crate::llm_standin::{Api, Llm};
use crate::support::stage::eventually;
use crate::support::{free_port, sdk_python};

/// A server of a Python package, until it is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// `<package> serve`, once it answers at `ready`.
    async fn start(package: &str, folder: &Path, ready: &str) -> Self {
        let port = free_port();
        let child = Command::new(sdk_python().with_file_name(package))
            .args(["serve", "--port", &port.to_string()])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.expect("it starts");
        let server = Self { child, port };
        let url = server.url(ready);
        let answers = || async { reqwest::get(&url).await.ok() };
        eventually("the server", answers).await;
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// The variables of a client that asks there alone.
fn variables(api: Api, url: &str) -> [(&'static str, &str); 4] {
    match api {
        Api::Anthropic => [
            ("ANTHROPIC_BASE_URL", url),
            ("OPENAI_BASE_URL", ""),
            ("OPENAI_API_KEY", ""),
            ("IOFOLD_LLM_MODEL", "claude-sonnet-4-6"),
        ],
        Api::OpenAi => [
            ("OPENAI_BASE_URL", url),
            ("ANTHROPIC_BASE_URL", ""),
            ("ANTHROPIC_API_KEY", ""),
            ("IOFOLD_LLM_MODEL", "gpt-4o"),
        ],
    }
}

async fn scenario(server: &Server, behaviors: Value) {
    let http = reqwest::Client::new();
    let reset = http.post(server.url("_llmock/reset")).send().await;
    reset.expect("it answers");
    let scenario = http.post(server.url("_llmock/scenario"));
    let scenario = scenario.json(&json!({"behaviors": behaviors})).send().await;
    assert_eq!(scenario.expect("it answers").status(), 201);
}

async fn verdict(server: &Server) -> Value {
    let verdict = reqwest::get(server.url("_llmock/verdict")).await;
    verdict.expect("it answers").json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn llmock_finds_nothing_wrong_with_how_our_client_takes_failures() {
    let folder = tempfile::tempdir().expect("a folder");
    let (llm, server) = (
        Llm::scripted([]).await,
        Server::start("llmock", folder.path(), "_llmock/scenario").await,
    );
    let says = json!({"type": "reply", "text": named("it").to_string()});
    for (api, base) in [(Api::Anthropic, "anthropic"), (Api::OpenAi, "v1")] {
        let url = server.url(base);
        for (failure, answers) in [
            (
                json!({"type": "fail", "status": 429, "retry_after": 1, "times": 2}),
                true,
            ),
            (json!({"type": "fail", "status": 503, "times": 2}), true),
            (json!({"type": "fail", "status": 500, "times": 1}), true),
            (json!({"type": "fail", "status": 529, "times": 1}), true),
            (json!({"type": "fail", "status": 401, "times": 1}), false),
            (json!({"type": "fail", "status": 403, "times": 1}), false),
            (json!({"type": "fail", "status": 404, "times": 1}), false),
            (json!({"type": "fail", "status": 422, "times": 1}), false),
        ] {
            scenario(&server, json!([failure, says])).await;
            // A client of its own each time: the one before may have a model that rests.
            let run = client(&llm, &variables(api, &url)).for_one_run();
            let answer = run.complete(&prompt(Task::Write)).await;
            assert_eq!(answer.is_ok(), answers, "{api:?} {failure}: {answer:?}");
            let verdict = verdict(&server).await;
            let errors = verdict["findings"].as_array().expect("findings").iter();
            let errors: Vec<_> = errors
                .filter(|finding| finding["severity"] == "error")
                .collect();
            assert!(errors.is_empty(), "{api:?} {failure}: {errors:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fakellms_answers_and_errors_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = json!({"rules": [
        {"name": "busy", "when": {"messages_contain": "be busy"}, "respond": {"status": 529, "error": "busy"}},
        {"name": "named", "when": {"messages_contain": "Name it"}, "respond": {"content": "{\"name\": \"it\"}"}},
    ]});
    // JSON is YAML.
    let written = std::fs::write(folder.path().join("fakellm.yaml"), rules.to_string());
    written.expect("it is written");
    let server = Server::start("fakellm", folder.path(), "_fakellm/stats").await;
    let llm = Llm::scripted([]).await;
    for (api, base) in [(Api::Anthropic, ""), (Api::OpenAi, "v1")] {
        let url = server.url(base);
        let run = client(&llm, &variables(api, &url)).for_one_run();
        let answer = run.complete(&prompt(Task::Write)).await.expect("an answer");
        assert_eq!(answer.value, named("it"), "{api:?}");
        assert!(answer.usage.input_tokens > 0 && answer.usage.cost_usd > Some(0.0));
        let mut busy = prompt(Task::Write);
        busy.request = "be busy".to_owned();
        let error = run.complete(&busy).await.expect_err("it is busy");
        assert!(
            error.to_string().contains("overloaded (status 529)"),
            "{api:?}: {error}"
        );
        let mut prose = prompt(Task::Write);
        (prose.request, prose.material) = ("say something".to_owned(), String::new());
        let error = run.complete(&prose).await.expect_err("it is prose");
        assert!(
            error.to_string().contains("not of the form"),
            "{api:?}: {error}"
        );
    }
}
