//! `iofold doctor` and the LLMs.

use std::process::Output;

use super::environment;
use crate::cli::run;
use crate::llm_standin::{Llm, Reply, Request};
use crate::support::{free_address, iofold};
use serde_json::json;

async fn doctor(variables: Vec<(String, String)>) -> (Output, String) {
    let output = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = iofold();
        command.current_dir(folder.path()).arg("doctor");
        command.env("IOFOLD_LISTEN", free_address().to_string());
        run(command.envs(variables), "")
    });
    let output = output.await.expect("it ends");
    let said = String::from_utf8(output.stdout.clone()).expect("it is UTF-8");
    (output, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_model_is_asked_once_and_its_time_and_cost_are_told() {
    let llm = Llm::answering(|_| Reply::Json(json!({"reason": "It is.", "answer": "yes"}))).await;
    let fallback = ("IOFOLD_LLM_FALLBACK_MODEL", "gpt-6.1-sol");
    let (output, said) = doctor(environment(&llm, &[fallback])).await;
    assert!(output.status.success(), "{said}");
    for (role, model) in [
        ("writes and judges", "claude-sonnet-5-5"),
        ("proposes", "claude-haiku-5-5"),
        ("fallback", "gpt-6.1-sol"),
    ] {
        let line = said
            .lines()
            .find(|line| line.contains(role))
            .expect("a line");
        let starts = format!("ok      LLM, {role}: {model} at 127.0.0.1, answered in ");
        assert!(line.starts_with(&starts), "{line}");
        assert!(line.contains(" ms, $0.00"), "{line}");
    }
    assert_eq!(llm.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_can_not_be_asked_is_a_failure_with_the_fix() {
    let llm = Llm::answering(|request: &Request| match request.model.as_str() {
        "claude-haiku-5-5" => Reply::Status(404),
        _ => Reply::Json(json!({"reason": "It is.", "answer": "yes"})),
    })
    .await;
    let (output, said) = doctor(environment(&llm, &[])).await;
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("ok      LLM, writes and judges"), "{said}");
    let fix = "FAILED  LLM, proposes: claude-haiku-5-5 at 127.0.0.1: there is no such model (404). Set \
               IOFOLD_LLM_PROPOSING_MODEL";
    assert!(said.contains(fix), "{said}");
    let (output, said) = doctor(environment(&llm, &[("ANTHROPIC_API_KEY", "sk-ant-wrong")])).await;
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("Copy ANTHROPIC_API_KEY again") && !said.contains("sk-ant"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_llm_is_fine_and_said() {
    let (output, said) = doctor(Vec::new()).await;
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("ok      LLM: not configured; evals come from rules alone"),
        "{said}"
    );
}
