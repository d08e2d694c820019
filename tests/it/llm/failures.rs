//! What goes wrong between us and a provider, on both sides.

use iofold::llm::{LlmError, Model, Task};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::{MODELS, client, named, other, prompt, with_each_model, with_one_side};
use crate::llm_standin::{Api, Llm, Reply};
use crate::support::logs::logged;

/// What passes, or may pass, by itself, and what is said of it where it does not.
fn passing() -> Vec<(Reply, &'static str)> {
    vec![
        (Reply::Status(429), "overloaded (status 429)"),
        (
            Reply::StatusAfter(429, "0".to_owned()),
            "overloaded (status 429)",
        ),
        (Reply::Status(503), "overloaded (status 503)"),
        (Reply::Status(529), "overloaded (status 529)"),
        (Reply::Status(500), "the provider failed (status 500)"),
        (Reply::Status(504), "the provider failed (status 504)"),
        (Reply::BreaksOff, "its answer broke off"),
        (Reply::Endless, "longer than 16 MiB"),
        (Reply::Raw("{\"half\":".to_owned()), "not of the form"),
        (
            Reply::Raw("<html>hello</html>".to_owned()),
            "not of the form",
        ),
        (Reply::Raw("[]".to_owned()), "not of the form"),
        (
            Reply::Raw(r#"{"error": {"message": "in a 200"}}"#.to_owned()),
            "not of the form",
        ),
        (
            Reply::Text("It is called Bob.".to_owned()),
            "not of the form",
        ),
        (Reply::Text(String::new()), "not of the form"),
        (Reply::Json(json!({"nome": "Bob"})), "not of the form"),
        (Reply::Json(json!({"name": 1})), "not of the form"),
        (
            Reply::CutByLimit("{\"name\": \"B".to_owned()),
            "cut at the limit of tokens",
        ),
    ]
}

/// What only a person can mend, or a model will not do.
fn lasting() -> Vec<(Reply, &'static str)> {
    vec![
        (
            Reply::Status(401),
            "the key is not accepted (401). Copy KEY again",
        ),
        (
            Reply::Status(403),
            "Give the key of KEY access to the model",
        ),
        (
            Reply::Status(404),
            "there is no such model (404). Set IOFOLD_LLM_MODEL",
        ),
        (Reply::NoCredit, "no credit left"),
        (Reply::Status(402), "no credit left"),
        (Reply::Status(400), "the prompt was refused (status 400)"),
        (Reply::Status(413), "the prompt was refused (status 413)"),
        (
            Reply::Error(404, json!("no route")),
            "is not the provider's API. Check URL",
        ),
        (
            Reply::Error(302, json!(null)),
            "is not the provider's API. Check URL",
        ),
        (Reply::Refusal, "declined to answer"),
        (Reply::Filtered, "declined to answer"),
    ]
}

fn variables(api: Api) -> (&'static str, &'static str) {
    match api {
        Api::Anthropic => ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        Api::OpenAi => ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_the_other_provider_answers() {
    with_each_model(async |api, model| {
        for (reply, why) in passing().into_iter().chain(lasting()) {
            let llm = with_one_side(api, reply).await;
            let both = [
                ("IOFOLD_LLM_MODEL", model),
                ("IOFOLD_LLM_FALLBACK_MODEL", other(api)),
            ];
            let run = client(&llm, &both).for_one_run();
            let answer = run.complete(&prompt(Task::Write)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{model}, {why}: {error}"));
            assert_eq!(answer.value, named("the other"), "{model}, {why}");
            let asked: Vec<Api> = llm.requests().iter().map(|request| request.api).collect();
            assert_eq!((asked[0], asked.len()), (api, 2), "{model}, {why}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_a_model_is_asked_again_where_that_may_help() {
    with_each_model(async |_, model| {
        for (reply, why) in passing() {
            let good = Reply::Json(named("at last"));
            let llm = Llm::scripted([reply.clone(), reply, good]).await;
            let run = client(&llm, &[("IOFOLD_LLM_MODEL", model)]).for_one_run();
            let answer = run.complete(&prompt(Task::Write)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{model}, {why}: {error}"));
            assert_eq!(answer.value, named("at last"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_attempts_are_the_end_and_the_reason_is_told() {
    with_each_model(async |_, model| {
        for (reply, why) in passing() {
            let llm = Llm::answering(move |_| reply.clone()).await;
            let run = client(&llm, &[("IOFOLD_LLM_MODEL", model)]).for_one_run();
            let error = run.complete(&prompt(Task::Write)).await.expect_err(why);
            let said = error.to_string();
            assert!(said.contains(model) && said.contains(why), "{said}");
            assert_eq!(llm.requests().len(), 3, "{model}, {why}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_must_mend_is_not_asked_again_and_names_the_variable() {
    with_each_model(async |api, model| {
        let (key, url) = variables(api);
        for (reply, why) in lasting() {
            let llm = Llm::answering(move |_| reply.clone()).await;
            let run = client(&llm, &[("IOFOLD_LLM_MODEL", model)]).for_one_run();
            let error = run.complete(&prompt(Task::Write)).await.expect_err(why);
            let said = error.to_string();
            let why = why.replace("KEY", key).replace("URL", url);
            assert!(said.contains(&why), "{said}: {why}");
            assert_eq!(llm.requests().len(), 1, "{model}, {why}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_a_model_that_is_not_there_are_told_by_the_real_check() {
    for (api, model) in [
        (Api::Anthropic, "claude-sonnet-5-5"),
        (Api::OpenAi, "gpt-6.1-sol"),
    ] {
        let (key, _) = variables(api);
        let llm = Llm::scripted([]).await;
        let wrong = client(&llm, &[("IOFOLD_LLM_MODEL", model), (key, "sk-wrong-key")]);
        let error = wrong.for_one_run().complete(&prompt(Task::Write)).await;
        let said = error.expect_err("the key is wrong").to_string();
        assert!(
            said.contains(&format!("Copy {key} again")) && !said.contains("sk-"),
            "{said}"
        );
        let prefix = if api == Api::Anthropic {
            "anthropic"
        } else {
            "openai"
        };
        let missing = format!("{prefix}/mistral-9");
        let free = ("IOFOLD_LLM_MONTHLY_BUDGET_USD", "none");
        let missing = client(&llm, &[("IOFOLD_LLM_MODEL", &missing), free]);
        let error = missing.for_one_run().complete(&prompt(Task::Write)).await;
        let said = error.expect_err("there is none").to_string();
        assert!(said.contains("mistral-9: there is no such model"), "{said}");
        assert_eq!(llm.refused().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_a_dripping_one_end_in_time() {
    with_each_model(async |api, model| {
        for reply in [Reply::Hangs, Reply::Drips] {
            let llm = with_one_side(api, reply).await;
            let settings = [
                ("IOFOLD_LLM_MODEL", model),
                ("IOFOLD_LLM_FALLBACK_MODEL", other(api)),
                ("IOFOLD_LLM_TIMEOUT_SECONDS", "4"),
            ];
            let run = client(&llm, &settings).for_one_run();
            let answer = run.complete(&prompt(Task::Write)).await;
            assert_eq!(answer.expect("the other answers").value, named("the other"));
            // What the model did meanwhile is not known, so the most it can have done is counted.
            let used = run.used();
            assert!(used.output_tokens > 8_000 && used.calls == 2, "{used:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_said_with_the_variable() {
    let llm = Llm::scripted([]).await;
    let port = crate::support::free_port();
    for (api, model) in [
        (Api::Anthropic, "claude-sonnet-5-5"),
        (Api::OpenAi, "gpt-6.1-sol"),
    ] {
        let (_, url) = variables(api);
        let nowhere = format!("http://127.0.0.1:{port}");
        let run = client(&llm, &[("IOFOLD_LLM_MODEL", model), (url, &nowhere)]).for_one_run();
        let error = run
            .complete(&prompt(Task::Write))
            .await
            .expect_err("nobody is there");
        let said = error.to_string();
        assert!(
            said.contains(&format!("there is no connection. Check {url}")),
            "{said}"
        );
        assert_eq!(run.used().calls, 0, "nothing was taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_wait_longer_than_there_is_time_is_left_alone_by_all_prompts() {
    for (api, model) in MODELS {
        let an_hour = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc2822();
        for wait in ["3600".to_owned(), an_hour] {
            let llm = with_one_side(api, Reply::StatusAfter(429, wait)).await;
            let model = ("IOFOLD_LLM_MODEL", model);
            let alone = client(&llm, &[model]);
            for _ in 0..2 {
                let error = alone.for_one_run().complete(&prompt(Task::Write)).await;
                assert!(matches!(error, Err(LlmError::Unavailable(_))), "{error:?}");
            }
            assert_eq!(llm.requests().len(), 1, "the second prompt was not sent");
            let both = client(&llm, &[model, ("IOFOLD_LLM_FALLBACK_MODEL", other(api))]);
            for _ in 0..2 {
                let answer = both.for_one_run().complete(&prompt(Task::Write)).await;
                assert_eq!(answer.expect("the other answers").value, named("the other"));
            }
            let sides: Vec<_> = llm
                .requests()
                .iter()
                .map(|request| request.api == api)
                .collect();
            assert_eq!(sides, [true, true, false, false]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_waits_for_no_answer() {
    let llm = Llm::scripted([Reply::Hangs]).await;
    let stopping = CancellationToken::new();
    let run = client(&llm, &[]).until(stopping.clone()).for_one_run();
    let asked = prompt(Task::Write);
    let (answer, ()) = tokio::join!(run.complete(&asked), async {
        while llm.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        stopping.cancel();
    });
    assert_eq!(answer, Err(LlmError::Stopping));
}

#[test]
fn neither_keys_nor_traces_nor_answers_are_logged_or_told() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let (logged, told) = logged(Level::TRACE, || runtime.block_on(fail_in_every_way()));
    assert!(logged.contains("a model did not answer"), "{logged}");
    for secret in ["xyzzy", "sk-", "plugh"] {
        assert!(!told.contains(secret), "{secret} in {told}");
        assert!(!logged.contains(secret), "{secret} in the log");
    }
}

async fn fail_in_every_way() -> String {
    let mut told = String::new();
    let echoes = Reply::Error(
        400,
        json!({"error": {"message": "plugh: xyzzy", "type": "xyzzy"}}),
    );
    let answers = Reply::Text("plugh".to_owned());
    let replies = passing()
        .into_iter()
        .chain(lasting())
        .map(|(reply, _)| reply);
    for reply in replies.chain([echoes, answers]) {
        for (_, model) in MODELS {
            let reply = reply.clone();
            let llm = Llm::answering(move |_| reply.clone()).await;
            let run = client(&llm, &[("IOFOLD_LLM_MODEL", model)]).for_one_run();
            let error = run
                .complete(&prompt(Task::Write))
                .await
                .expect_err("it fails");
            told += &format!("{error} {error:?}\n");
        }
    }
    told
}
