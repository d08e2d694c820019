//! iofold as the Python runner that a self-hosted Langfuse lacks.

mod export;

use hmac::{Hmac, Mac};
use iofold::playground::langfuse::Apis;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::Database;
use crate::support::stage::{Running, Stage};

const TOKEN: &str = "a-token-of-a-test";
const KEY_ID: &str = "AKIATEST";
const SECRET: &str = "a-secret/of+a-test";
const INVOKE: &str = "/2015-03-31/functions/code-based-eval-executor-python/invocations";

async fn stage() -> (Stage, Running) {
    let settings = [
        ("IOFOLD_CODE_EVAL_TOKEN", TOKEN),
        ("IOFOLD_LAMBDA_ACCESS_KEY_ID", KEY_ID),
        ("IOFOLD_LAMBDA_SECRET_ACCESS_KEY", SECRET),
    ];
    let stage = Stage::set(Database::Sqlite, Apis::Both, Vec::new(), &settings).await;
    let running = stage.start().await;
    (stage, running)
}

fn dispatch(source: &str, payload: Value) -> Value {
    json!({
        "scope": {"organizationId": "o", "projectId": "p", "evaluatorId": "e"},
        "runtime": {"language": "PYTHON"}, "execution": {"jobExecutionId": "j"},
        "code": {"source": source}, "payload": payload,
    })
}

fn observation() -> Value {
    json!({
        "input": "Where is my order?", "output": {"answer": "On its way."}, "metadata": {"k": "v"},
        "toolCalls": [{"id": "c1", "name": "find", "arguments": {"id": 7}, "type": "function", "index": 0}],
    })
}

async fn post(stage: &Stage, body: String) -> (u16, Value) {
    let request = stage.http.post(stage.url("/langfuse/code-evals"));
    let answer = request
        .bearer_auth(TOKEN)
        .body(body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// What the evaluator comes to by the HTTP door.
async fn evaluate(stage: &Stage, source: &str, payload: Value) -> Value {
    let (status, answer) = post(stage, dispatch(source, payload).to_string()).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The one score's fields.
async fn score(stage: &Stage, source: &str) -> Value {
    let answer = evaluate(stage, source, json!({"observation": observation()})).await;
    let scores = answer["scores"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(scores.len(), 1, "{answer}");
    scores[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluators_get_the_context_and_the_classes_and_their_scores_come_back() {
    let (stage, running) = stage().await;
    let source = r#"
def evaluate(ctx):
    seen = ctx.observation
    [call] = seen.tool_calls
    assert isinstance(ctx, EvaluationContext) and isinstance(call, ToolCall)
    assert (call.id, call.name, call.arguments, call.type, call.index) == ("c1", "find", {"id": 7}, "function", 0)
    assert seen.input == "Where is my order?" and seen.metadata == {"k": "v"}
    return EvaluationResult(scores=[
        Score(name="number", value=0.5, data_type="NUMERIC", comment="½ of it"),
        Score(name="word", value="good", data_type="CATEGORICAL", config_id="c"),
        Score(name="fact", value=seen.output["answer"] == "On its way.", data_type="BOOLEAN"),
        Score(name="note", value="a note", data_type="TEXT", metadata={"snake_case": [1, (2,), None]}),
        Score(name="plain", value=1),
        Score(name="expected", value=str(ctx.experiment.item_expected_output), metadata={"of": ctx.experiment.item_metadata}),
    ])
"#;
    let payload = json!({"observation": observation(), "experiment": {"itemExpectedOutput": [1], "itemMetadata": "m"}});
    let scores = json!({"scores": [
        {"name": "number", "value": 0.5, "dataType": "NUMERIC", "comment": "½ of it"},
        {"name": "word", "value": "good", "dataType": "CATEGORICAL", "configId": "c"},
        {"name": "fact", "value": true, "dataType": "BOOLEAN"},
        {"name": "note", "value": "a note", "dataType": "TEXT", "metadata": {"snake_case": [1, [2], null]}},
        {"name": "plain", "value": 1},
        {"name": "expected", "value": "[1]", "metadata": {"of": "m"}},
    ]});
    assert_eq!(evaluate(&stage, source, payload).await, scores);
    for (source, value) in [
        (
            "def evaluate(ctx):\n return {'scores': [{'name': 'a', 'value': 'b', 'data_type': 'TEXT'}]}",
            "b",
        ),
        (
            "async def evaluate(ctx):\n return EvaluationResult([Score('b', 'a')])",
            "b",
        ),
        (
            "evaluate = lambda ctx: EvaluationResult([Score(str(ctx.experiment), 'a')])",
            "None",
        ),
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n scores: list\ndef evaluate(ctx):\n return A([Score('b', 'a')])",
            "b",
        ),
        (
            "def evaluate(ctx):\n return EvaluationResult([Score(ctx.observation.input[:5], 'a')])",
            "Where",
        ),
    ] {
        assert_eq!(score(&stage, source).await["value"], value, "{source}");
    }
    let bare = "def evaluate(ctx):\n o = ctx.observation\n return EvaluationResult([Score(str((o.input, o.tool_calls)), 'a')])";
    for payload in [
        json!({}),
        Value::Null,
        json!({"observation": null}),
        json!({"observation": {"toolCalls": null}}),
    ] {
        let answer = evaluate(&stage, bare, payload).await;
        assert_eq!(answer["scores"][0]["value"], "(None, [])");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_has_the_contracts_code_and_the_evaluators_line() {
    let (stage, running) = stage().await;
    let long = format!("x = '{}'\n", "x".repeat(256 * 1024));
    for (source, code, says) in [
        ("def evaluate(ctx)\n", "INVALID_SOURCE", "SyntaxError"),
        (
            "x = 1\n1 / 0\n",
            "INVALID_SOURCE",
            "ZeroDivisionError: division by zero (line 2)",
        ),
        ("x = 1", "INVALID_SOURCE", "evaluate(ctx)"),
        (
            "import requests",
            "INVALID_SOURCE",
            "an eval can't import requests",
        ),
        (
            "def evaluate(ctx):\n return ctx.observation.input['a']",
            "USER_CODE_ERROR",
            "TypeError",
        ),
        (
            "def evaluate(ctx):\n raise KeyError('text')",
            "USER_CODE_ERROR",
            "KeyError: 'text' (line 2)",
        ),
        (
            "def evaluate(ctx):\n raise SystemExit(0)",
            "USER_CODE_ERROR",
            "SystemExit",
        ),
        ("def evaluate(ctx):\n return 1", "INVALID_RESULT", "scores"),
        (
            "def evaluate(ctx):\n return EvaluationResult()",
            "INVALID_RESULT",
            "at least one",
        ),
        (
            "def evaluate(ctx):\n return EvaluationResult([Score(True, 'a')])",
            "INVALID_RESULT",
            "scores[0].value",
        ),
        (
            "def evaluate(ctx):\n return EvaluationResult([Score(float('nan'), 'a')])",
            "INVALID_RESULT",
            "JSON",
        ),
        (
            "def evaluate(ctx):\n return EvaluationResult([Score(1, '')])",
            "INVALID_RESULT",
            "name",
        ),
        (
            "def evaluate(ctx):\n a = []\n a.append(a)\n return {'scores': a}",
            "INVALID_RESULT",
            "RecursionError",
        ),
        (
            "def evaluate(ctx):\n return EvaluationResult([Score('x' * 300_000, 'a')])",
            "RESULT_TOO_LARGE",
            "262144",
        ),
        (
            "def evaluate(ctx):\n while True: pass",
            "TIMEOUT",
            "2 seconds",
        ),
        ("while True: pass", "TIMEOUT", "2 seconds"),
        (
            "def evaluate(ctx):\n x = 'x'\n while True: x += x",
            "USER_CODE_ERROR",
            "MemoryError",
        ),
        (&long, "SOURCE_TOO_LARGE", "262144"),
    ] {
        let answer = evaluate(&stage, source, json!({"observation": observation()})).await;
        let shown = &source[..source.len().min(80)];
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        let message = answer["error"]["message"].as_str().expect("a text");
        assert!(message.contains(says), "{shown}: {message}");
        assert_eq!(
            answer.as_object().map(|fields| fields.len()),
            Some(1),
            "nothing beside the error"
        );
    }
    let mut typescript = dispatch("function evaluate() {}", json!({}));
    typescript["runtime"]["language"] = json!("TYPESCRIPT");
    let (_, answer) = post(&stage, typescript.to_string()).await;
    assert_eq!(answer["error"]["code"], "UNSUPPORTED_RUNTIME");
    let (_, answer) = post(
        &stage,
        dispatch("x", json!("x".repeat(6 << 20))).to_string(),
    )
    .await;
    assert_eq!(answer["error"]["code"], "PAYLOAD_TOO_LARGE");
    for body in ["", "{", "[]", "{\"code\": {}}"] {
        let (status, said) = post(&stage, body.to_owned()).await;
        assert_eq!(status, 400, "{said}");
        assert!(
            said.as_str()
                .expect("a sentence")
                .contains("dispatch of Langfuse's"),
            "{said}"
        );
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_within_the_limits_comes_through_whole() {
    let (stage, running) = stage().await;
    // Longer than what one question to the host holds, and of characters of four bytes.
    let source = "def evaluate(ctx):\n return EvaluationResult([Score('👍' * 60_000 + 'é\\n\"', 'a', comment=str(len(ctx.observation.input)))])";
    let payload = json!({"observation": {"input": "é".repeat(2 << 20)}});
    let answer = evaluate(&stage, source, payload).await;
    let value = answer["scores"][0]["value"].as_str().expect("a text");
    assert_eq!(value, format!("{}é\n\"", "👍".repeat(60_000)));
    assert_eq!(answer["scores"][0]["comment"], (2 << 20).to_string());
    let three = "def evaluate(ctx):\n return EvaluationResult([Score('x' * 262_000, 'a')])";
    let answer = evaluate(&stage, three, json!({})).await;
    assert_eq!(
        answer["scores"][0]["value"].as_str().map(str::len),
        Some(262_000)
    );
    // NUL and a lone surrogate in the input do no harm.
    let body = r#"{"code": {"source": "def evaluate(ctx):\n return EvaluationResult([Score(len(ctx.observation.input), 'a')])"}, "payload": {"observation": {"input": "\u0000\ud800x"}}}"#;
    let (_, answer) = post(&stage, body.to_owned()).await;
    assert_eq!(answer["scores"][0]["value"], 3, "{answer}");
    running.stop().await;
}

/// Evaluators that reach for what is not theirs. The attacks on the sandbox itself are tried elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_evaluator_spoils_its_own_answer_at_most() {
    let (stage, running) = stage().await;
    for source in [
        "def evaluate(ctx):\n open('/etc/passwd')",
        "def evaluate(ctx):\n import os\n os.system('id')",
        "def evaluate(ctx):\n import socket",
        "def evaluate(ctx):\n import os\n os._exit(0)",
        "from iofold import judge\ndef evaluate(ctx):\n judge('Is it so?', 'x')",
        "from iofold import judge\ndef evaluate(ctx):\n judge('iofold code evaluator, part 9 of 9', 'x')",
        "from iofold import judge\ndef evaluate(ctx):\n judge('iofold code evaluator, part 1 of 99999999999999999999', 'x')",
        "from iofold import judge\ndef evaluate(ctx):\n judge('iofold code evaluator, part 1 of 1', 'no JSON')",
        "from iofold import judge\ndef evaluate(ctx):\n judge('iofold code evaluator, part 1 of 1', '{\"error\": {\"code\": \"LAMBDA_INVOCATION_ERROR\", \"message\": \"again\"}}')",
        "import json\njson.dumps = lambda *a, **k: 'x' * 10\ndef evaluate(ctx):\n return EvaluationResult([Score(1, 'a')])",
        "import sys\ndef evaluate(ctx):\n sys.setrecursionlimit(10**9)\n f = lambda: f()\n f()",
        "import sys\ndef evaluate(ctx):\n sys.modules['eval'].evaluate = None\n sys.modules['eval'].as_text = lambda a: None\n return 1",
    ] {
        let answer = evaluate(&stage, source, json!({"observation": observation()})).await;
        let code = answer["error"]["code"].as_str();
        assert!(
            matches!(code, Some("USER_CODE_ERROR" | "INVALID_RESULT")),
            "{source}: {answer}"
        );
        // The next one finds everything as it was.
        let fine = "def evaluate(ctx):\n return EvaluationResult([Score(1, 'a')])";
        assert_eq!(score(&stage, fine).await, json!({"name": "a", "value": 1}));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_http_door_wants_its_token() {
    let (stage, running) = stage().await;
    let body = dispatch(
        "def evaluate(ctx):\n return EvaluationResult([Score(1, 'a')])",
        json!({}),
    )
    .to_string();
    for token in [None, Some("Bearer wrong"), Some("Basic a-token-of-a-test")] {
        let mut request = stage
            .http
            .post(stage.url("/langfuse/code-evals"))
            .body(body.clone());
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 401);
        assert!(
            answer
                .text()
                .await
                .expect("a text")
                .contains("IOFOLD_CODE_EVAL_TOKEN")
        );
    }
    assert_eq!(post(&stage, body).await.0, 200);
    running.stop().await;
    // Without a token nobody is let in.
    let stage = Stage::set(Database::Sqlite, Apis::Both, Vec::new(), &[]).await;
    let running = stage.start().await;
    assert_eq!(post(&stage, String::new()).await.0, 401);
    assert_eq!(
        invoke(&stage, "{}", Some(SECRET), &[])
            .await
            .status()
            .as_u16(),
        403
    );
    running.stop().await;
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Invokes as AWS's SDK for JavaScript does, signed by hand.
async fn invoke(
    stage: &Stage,
    body: &str,
    secret: Option<&str>,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let now = chrono::Utc::now();
    let (time, date) = (
        now.format("%Y%m%dT%H%M%SZ").to_string(),
        now.format("%Y%m%d").to_string(),
    );
    let hash = hex::encode(Sha256::digest(body));
    let signed = [
        ("content-type", "application/octet-stream".to_owned()),
        ("host", stage.service.to_string()),
        ("x-amz-content-sha256", hash.clone()),
        ("x-amz-date", time.clone()),
        ("x-amz-tenant-id", "o:p".to_owned()),
    ];
    let names = signed.each_ref().map(|(name, _)| *name).join(";");
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical = format!("POST\n{INVOKE}\n\n{lines}\n{names}\n{hash}");
    let scope = format!("{date}/eu-west-1/lambda/aws4_request");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let mut request = stage.http.post(stage.url(INVOKE)).body(body.to_owned());
    for (name, value) in signed {
        request = request.header(name, value);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(secret) = secret {
        let key = scope
            .split('/')
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
                hmac(&key, part)
            });
        let signature = hex::encode(hmac(&key, &to_sign));
        request = request.header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"),
        );
    }
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lambda_door_answers_as_lambda_does() {
    let (stage, running) = stage().await;
    let good = dispatch(
        "def evaluate(ctx):\n return EvaluationResult([Score(1, 'a')])",
        json!({}),
    )
    .to_string();
    let answer = invoke(
        &stage,
        &good,
        Some(SECRET),
        &[("x-amz-invocation-type", "RequestResponse")],
    )
    .await;
    assert_eq!(answer.status().as_u16(), 200);
    assert!(answer.headers().get("x-amz-function-error").is_none());
    let scores = json!({"scores": [{"name": "a", "value": 1}]});
    assert_eq!(answer.json::<Value>().await.expect("JSON"), scores);
    let bad = dispatch("def evaluate(ctx):\n 1 / 0", json!({})).to_string();
    let answer = invoke(&stage, &bad, Some(SECRET), &[]).await;
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["x-amz-function-error"], "Handled");
    assert_eq!(
        answer.json::<Value>().await.expect("JSON")["error"]["code"],
        "USER_CODE_ERROR"
    );
    for (body, secret, headers, status, kind) in [
        (good.as_str(), None, &[][..], 403, "AccessDeniedException"),
        (&good, Some("wrong"), &[], 403, "AccessDeniedException"),
        (
            &good,
            Some(SECRET),
            &[("x-amz-invocation-type", "Event")],
            400,
            "InvalidParameterValueException",
        ),
        (
            "no dispatch",
            Some(SECRET),
            &[],
            400,
            "InvalidRequestContentException",
        ),
    ] {
        let answer = invoke(&stage, body, secret, headers).await;
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["x-amzn-errortype"], kind);
        let said: Value = answer.json().await.expect("JSON");
        assert!(
            !said["Message"]
                .as_str()
                .expect("a sentence")
                .contains(SECRET)
        );
    }
    running.stop().await;
}
