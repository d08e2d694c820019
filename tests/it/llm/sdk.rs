//! The stand-in for LLM providers, used by the providers' own SDKs.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::llm_standin::{ANTHROPIC_KEY, Llm, OPENAI_KEY, Reply, Request};
use crate::support::sdk_python;

/// What the script expects for each word that it says.
fn replies(request: &Request) -> Reply {
    match request.prompt.as_str() {
        "json" => Reply::Json(json!({"name": "it"})),
        "refuse" => Reply::Refusal,
        "long" => Reply::CutByLimit("{\"na".to_owned()),
        "credit" => Reply::NoCredit,
        "breaks" => Reply::BreaksOff,
        "wait" => Reply::StatusAfter(429, "7".to_owned()),
        status => Reply::Status(status.parse().expect("a status")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_providers_own_sdks_take_the_stand_ins_answers_and_errors() {
    let llm = Llm::answering(replies).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/llm_sdk.py");
    let mut command = Command::new(sdk_python());
    // No variable of this machine may lead an SDK elsewhere.
    command.env_clear().arg(script);
    command.args([llm.anthropic_url(), ANTHROPIC_KEY.to_owned()]);
    command.args([llm.openai_url(), OPENAI_KEY.to_owned()]);
    let ended = tokio::task::spawn_blocking(move || command.output().expect("Python starts"));
    let output = ended.await.expect("it does not panic");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(llm.requests().len() > 20);
}
