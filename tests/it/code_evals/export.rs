//! Evals of ours as evaluators of Langfuse's.

use std::io::Write;
use std::process::{Command, Stdio};

use iofold::domain::EvalSource;
use iofold::ingest::normalise;
use iofold::playground::langfuse::Apis;
use iofold::sandbox::Sandbox;
use serde_json::{Value, json};

use super::{evaluate, stage};
use crate::cli::{eval, folder_with_eval, run};
use crate::support::stage::Stage;
use crate::support::{Database, cache_folder, iofold, sdk_python};

/// Says what it saw of the trace; of what an observation has, all of it.
const SEES: &str = r#""""Says what it sees."""
import json

def evaluate(trace):
    seen = [trace["input_text"], trace["output_text"], trace["messages"], trace["tool_calls"]]
    if trace["output_text"] == "silent":
        return None, "it says nothing"
    if trace["output_text"] == "boom":
        raise ValueError("boom")
    return len(trace["tool_calls"]) < 2, json.dumps(seen, sort_keys=True)
"#;

/// Reads what was retrieved, as rules do: another observation's output.
const RETRIEVED: &str = r#""""Something was retrieved."""

def evaluate(trace):
    steps = [step for step in trace["observations"] if step["type"] == "RETRIEVER"]
    return bool(steps)
"#;

/// Inputs and outputs of one observation.
fn exchanges() -> Vec<(Value, Value)> {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{\"id\": 7}"}});
    let asked = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let user = json!({"role": "user", "content": "Where is #12345?"});
    let system = json!({"role": "system", "content": "Be kind."});
    let found = json!({"role": "tool", "tool_call_id": "c1", "content": "{\"error\": \"gone\"}"});
    vec![
        (json!("Where?"), json!("Here.")),
        (Value::Null, Value::Null),
        (json!(""), json!("silent")),
        (json!("x"), json!("boom")),
        (json!(42), json!(true)),
        (json!({"question": "Where?"}), json!({"answer": "Here."})),
        (
            json!({"a": [1, 2.5], "b": "ü"}),
            json!({"text": "a", "answer": "b"}),
        ),
        (
            json!([system, user]),
            json!({"role": "assistant", "content": "On its way."}),
        ),
        (
            json!({"messages": [system, user], "model": "m"}),
            json!({"choices": [{"message": {"role": "assistant", "content": "Yes."}}]}),
        ),
        (json!([user]), json!({"content": "No role."})),
        (json!([user]), asked.clone()),
        (
            json!([system, user, asked, found]),
            json!({"role": "assistant", "content": "It is gone."}),
        ),
        (
            json!([system, user]),
            json!([system, user, asked, found, {"role": "assistant", "content": "Gone."}]),
        ),
        (
            json!([{"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "x"}}]}]),
            json!("A cat @@@langfuseMedia:type=image/png|id=1|source=x@@@."),
        ),
        (
            json!([user, {"role": "assistant", "content": ""}]),
            json!({"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "no JSON"}}),
        ),
        (
            json!([{"role": "tool", "name": "f", "content": "Error: no"}]),
            json!([]),
        ),
        (json!([1, "two"]), json!("👍 \u{2028} end ")),
    ]
}

/// What our own runner says of a trace of this one observation.
fn ours(sandbox: &Sandbox, input: &Value, output: &Value) -> Value {
    let trace = json!({
        "id": "t", "timestamp": "2026-01-01T00:00:00Z", "input": input, "output": output,
        "observations": [{"id": "o", "type": "GENERATION", "input": input, "output": output}],
    });
    let trace = normalise(&serde_json::from_value(trace).expect("it is a trace"));
    match sandbox.evaluate(SEES, &trace.to_json()).result {
        Ok((verdict, reason)) => json!([verdict, reason]),
        Err(error) => json!([error.kind, error.message.contains("boom")]),
    }
}

/// What a code evaluator's answer says, in our words.
fn theirs(answer: &Value) -> Value {
    let score = &answer["scores"][0];
    match (score["name"].as_str(), &score["value"]) {
        (Some("sees"), Value::Bool(true)) => json!(["pass", score["comment"]]),
        (Some("sees"), Value::Bool(false)) => json!(["fail", score["comment"]]),
        (Some("sees_abstained"), Value::Bool(true)) => json!(["abstain", score["comment"]]),
        _ => {
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            json!(["exception", message.contains("boom")])
        }
    }
}

/// Runs an evaluator on plain Python, with the classes that Langfuse injects.
fn on_python(source: &str, exchanges: &[(Value, Value)]) -> Vec<Value> {
    const DRIVER: &str = r#"
import json, sys
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
@dataclass
class Score:
    value: object
    name: str
    data_type: object = None
    comment: object = None
@dataclass
class EvaluationResult:
    scores: list = field(default_factory=list)
given = json.load(sys.stdin)
names = {"Score": Score, "EvaluationResult": EvaluationResult}
exec(given["source"], names)
answers = []
for input, output in given["exchanges"]:
    seen = SimpleNamespace(input=input, output=output, metadata=None, tool_calls=[])
    try:
        answers.append(asdict(names["evaluate"](SimpleNamespace(observation=seen, experiment=None))))
    except ValueError as error:
        answers.append({"error": {"message": str(error)}})
json.dump(answers, sys.stdout)
"#;
    let mut python = Command::new(sdk_python())
        .args(["-I", "-c", DRIVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let given = json!({"source": source, "exchanges": exchanges}).to_string();
    let mut stdin = python.stdin.take().expect("it is piped");
    stdin.write_all(given.as_bytes()).expect("it reads");
    drop(stdin);
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("it answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_eval_says_the_same_here_in_langfuse_and_on_plain_python() {
    let (stage, running) = stage().await;
    let folder = folder_with_eval(SEES);
    let output = eval(
        folder.path(),
        &["export", "blue.py", "--name", "sees", "--out", "sees.py"],
        "",
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("sees one observation"),
        "{said}"
    );
    let source = std::fs::read_to_string(folder.path().join("sees.py")).expect("it was written");
    assert!(source.starts_with(SEES), "the eval is unchanged");
    let worker = std::path::Path::new(env!("CARGO_BIN_EXE_iofold"));
    let sandbox = Sandbox::open_with_workers(worker, &cache_folder(), 1).expect("it opens");
    let exchanges = exchanges();
    let plain = on_python(&source, &exchanges);
    for ((input, output), plain) in exchanges.iter().zip(&plain) {
        let expected = ours(&sandbox, input, output);
        let payload = json!({"observation": {"input": input, "output": output, "metadata": null}});
        let answer = evaluate(&stage, &source, payload).await;
        assert_eq!(theirs(&answer), expected, "in Langfuse: {input} {output}");
        assert_eq!(theirs(plain), expected, "on Python: {input} {output}");
    }
    // A call that only Langfuse's own reading knows of is a call all the same.
    let seen = json!({"input": "x", "output": "y", "toolCalls": [{"name": "find", "arguments": "{\"id\": 7}"}]});
    let answer = evaluate(&stage, &source, json!({"observation": seen})).await;
    let comment = answer["scores"][0]["comment"].as_str().expect("a reason");
    assert!(
        comment
            .contains(r#"{"arguments": {"id": 7}, "error": null, "name": "find", "result": null}"#),
        "{comment}"
    );
    running.stop().await;
}

#[test]
fn an_eval_that_langfuse_can_not_run_is_not_exported() {
    for (source, says) in [
        (
            "from iofold import judge\ndef evaluate(trace):\n    return judge('q', 't')\n",
            "asks `judge`",
        ),
        (
            "def evaluate(trace):\n    return len(trace[\"session\"]) > 1\n",
            "trace[\"session\"]",
        ),
        (RETRIEVED, "trace[\"observations\"]"),
        (
            "def evaluate(trace):\n    return trace[\"user_id\"] is not None\n",
            "trace[\"user_id\"]",
        ),
        ("x = 1\n", "evaluate(trace)"),
    ] {
        let folder = folder_with_eval(source);
        let output = eval(folder.path(), &["export", "blue.py"], "");
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(says), "{said}");
    }
    let folder = folder_with_eval("def evaluate(trace):\n    return True\n");
    let output = eval(folder.path(), &["export", "blue.py", "--name", "a/b"], "");
    assert_eq!(output.status.code(), Some(2));
    let output = eval(folder.path(), &["export", "blue.py"], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("_IOFOLD_NAME = \"blue\""),
        "the file's name: {said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_eval_is_an_evaluator_and_gets_versions() {
    for apis in [Apis::V4, Apis::V3] {
        let stage = Stage::set(Database::Sqlite, apis, Vec::new(), &[]).await;
        let folder = folder_with_eval(SEES);
        let langfuse: Vec<_> = stage
            .environment()
            .into_iter()
            .filter(|(name, _)| name.starts_with("LANGFUSE"))
            .collect();
        let promote = |name: &str| {
            let mut command = iofold();
            command.current_dir(folder.path()).envs(langfuse.clone());
            command.args(["eval", "promote", "blue.py", "--name", name]);
            command
        };
        let said = async |name: &'static str| {
            let mut command = promote(name);
            let output = tokio::task::spawn_blocking(move || run(&mut command, ""))
                .await
                .expect("it ends");
            let said = [output.stdout, output.stderr].concat();
            (
                output.status.code(),
                String::from_utf8_lossy(&said).into_owned(),
            )
        };
        let (code, first) = said("sees").await;
        assert!(
            code == Some(0) && first.contains("version 1") && first.contains("one observation"),
            "{first}"
        );
        let (_, again) = said("sees").await;
        assert!(
            again.contains("has this already") && again.contains("version 1"),
            "{again}"
        );
        std::fs::write(folder.path().join("blue.py"), SEES.replace("< 2", "< 3"))
            .expect("it is written");
        let (_, changed) = said("sees").await;
        assert!(changed.contains("version 2"), "{changed}");
        let (_, other) = said("sees more").await;
        assert!(other.contains("\"sees more\", version 1"), "{other}");
        let held = stage.playground.langfuse().evaluators("project-default");
        let held: Vec<_> = held
            .iter()
            .map(|one| {
                (
                    one["name"].clone(),
                    one["version"].clone(),
                    one["sourceCodeLanguage"].clone(),
                )
            })
            .collect();
        assert_eq!(
            held,
            [
                (json!("sees"), json!(2), json!("PYTHON")),
                (json!("sees more"), json!(1), json!("PYTHON"))
            ]
        );
        // The source that Langfuse holds is what `export` writes.
        let source =
            stage.playground.langfuse().evaluators("project-default")[0]["sourceCode"].clone();
        let exported =
            iofold::code_evals::export(&EvalSource::new(SEES.replace("< 2", "< 3")), "sees");
        assert_eq!(source, exported.expect("it can").source);
    }
    let folder = folder_with_eval(SEES);
    let output = eval(folder.path(), &["promote", "blue.py"], "");
    assert_eq!(output.status.code(), Some(2), "Langfuse is not configured");
    let folder = folder_with_eval(RETRIEVED);
    let output = eval(folder.path(), &["promote", "blue.py"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && said.contains("trace[\"observations\"]"),
        "{said}"
    );
}

#[test]
fn an_export_replaces_another_file_and_never_the_eval() {
    let folder = folder_with_eval(SEES);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("old.py"), "# old").expect("it is written");
    let replaced = eval(folder.path(), &["export", "blue.py", "--out", "old.py"], "");
    assert!(replaced.status.success());
    let written = std::fs::read_to_string(path("old.py")).expect("it is there");
    assert!(written.starts_with(SEES));
    std::os::unix::fs::symlink("blue.py", path("link.py")).expect("it is made");
    let absolute = path("blue.py").display().to_string();
    for out in ["blue.py", "./blue.py", "link.py", absolute.as_str()] {
        let output = eval(folder.path(), &["export", "blue.py", "--out", out], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("the eval itself"), "{said}");
        let eval = std::fs::read_to_string(path("blue.py")).expect("it is there");
        assert_eq!(eval, SEES, "{out}");
    }
}
