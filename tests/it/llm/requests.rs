//! What is sent: as the providers want it, with what repeats first.

use iofold::llm::{Model, Task};
use serde_json::json;

use super::{MODELS, client, named, prompt};
use crate::llm_standin::{Api, Llm, Reply, Request};

#[tokio::test(flavor = "multi_thread")]
async fn every_task_is_asked_in_a_form_that_every_kind_of_model_takes() {
    for (api, model) in MODELS {
        let llm = Llm::answering(|_| Reply::Json(named("it"))).await;
        let models = [
            ("IOFOLD_LLM_MODEL", model),
            ("IOFOLD_LLM_PROPOSING_MODEL", model),
        ];
        let run = client(&llm, &models).for_one_run();
        for task in [Task::Propose, Task::Write, Task::Judge] {
            let answer = run.complete(&prompt(task)).await.expect("an answer");
            assert_eq!(answer.value, named("it"));
        }
        for request in llm.requests() {
            assert_eq!((request.api, request.model.as_str()), (api, model));
            assert_eq!(request.system, "You name things.");
            assert_eq!(
                request.prompt,
                "A trace says: the secret word is xyzzy.\n\nName it."
            );
            assert_eq!(request.schema, Some(prompt(Task::Write).schema));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_is_asked_at_temperature_0_where_the_model_takes_that_and_it_is_found_out_once() {
    for ((_, model), takes) in MODELS.into_iter().zip([false, true, false, true]) {
        let llm = Llm::answering(|_| Reply::Json(named("it"))).await;
        let run = client(&llm, &[("IOFOLD_LLM_MODEL", model)]).for_one_run();
        for _ in 0..3 {
            run.complete(&prompt(Task::Judge)).await.expect("an answer");
        }
        let requests = llm.requests();
        assert_eq!(requests.len(), 3, "{model}");
        for request in requests {
            let expected = takes.then(|| json!(0));
            assert_eq!(
                request.body.get("temperature"),
                expected.as_ref(),
                "{model}"
            );
        }
        assert_eq!(
            llm.refused().len(),
            1,
            "{model}: one parameter is not taken"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_goes_to_the_cheaper_model_and_an_eval_to_the_stronger() {
    let llm = Llm::answering(|_| Reply::Json(named("it"))).await;
    for (key, strong, cheap) in [
        ("ANTHROPIC_API_KEY", "gpt-6.1-sol", "gpt-6-luna"),
        ("OPENAI_API_KEY", "claude-sonnet-5-5", "claude-haiku-5-5"),
    ] {
        // Without the one's key, the other's models are taken.
        let url = key.replace("API_KEY", "BASE_URL");
        let run = client(&llm, &[(key, ""), (&url, "")]).for_one_run();
        for (task, model) in [
            (Task::Propose, cheap),
            (Task::Write, strong),
            (Task::Judge, strong),
        ] {
            run.complete(&prompt(task)).await.expect("an answer");
            assert_eq!(llm.requests().last().expect("a request").model, model);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cheaper_model_that_fails_is_stood_in_for_by_the_stronger() {
    let llm = Llm::answering(|request: &Request| match request.model.as_str() {
        "claude-haiku-5-5" => Reply::Status(529),
        _ => Reply::Json(named("it")),
    })
    .await;
    let run = client(&llm, &[]).for_one_run();
    run.complete(&prompt(Task::Propose))
        .await
        .expect("an answer");
    let asked: Vec<String> = llm.requests().into_iter().map(|one| one.model).collect();
    assert_eq!(asked, ["claude-haiku-5-5", "claude-sonnet-5-5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn instructions_and_material_are_kept_by_the_provider_between_prompts() {
    for (api, model) in MODELS {
        let llm = Llm::answering(|_| Reply::Json(named("it"))).await;
        let run = client(&llm, &[("IOFOLD_LLM_MODEL", model)]).for_one_run();
        let long = "A long trace. ".repeat(2_000);
        let mut usages = Vec::new();
        for request in ["First.", "Second, which differs."] {
            let mut prompt = prompt(Task::Write);
            (prompt.material, prompt.request) = (long.clone(), request.to_owned());
            usages.push(run.complete(&prompt).await.expect("an answer").usage);
        }
        let (first, second) = (&usages[0], &usages[1]);
        assert_eq!(first.cached_tokens, 0);
        assert!(second.cached_tokens > 6_000, "{model}: {second:?}");
        assert!(second.input_tokens < 200, "{model}: {second:?}");
        if api == Api::Anthropic {
            assert!(first.cache_written_tokens > 6_000 && second.cache_written_tokens == 0);
        }
        assert!(second.cost_usd < first.cost_usd, "{model}: {usages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_holds_no_model_to_a_schema_is_asked_with_the_schema_in_the_prompt() {
    for refuses_json_too in [false, true] {
        let llm = Llm::answering(move |request: &Request| {
            let format = request.body["response_format"]["type"].as_str();
            let complaint = json!({"error": "'response_format.type' is not supported"});
            match format {
                Some("json_schema") => Reply::Error(400, complaint),
                Some("json_object") if refuses_json_too => Reply::Error(422, complaint),
                _ => Reply::Text("```json\n{\"name\": \"it\"}\n```".to_owned()),
            }
        })
        .await;
        let run = client(&llm, &[("IOFOLD_LLM_MODEL", "gpt-4o")]).for_one_run();
        for _ in 0..2 {
            let answer = run.complete(&prompt(Task::Write)).await.expect("an answer");
            assert_eq!(answer.value, named("it"));
        }
        let requests = llm.requests();
        let steps = if refuses_json_too { 2 } else { 1 };
        assert_eq!(requests.len(), steps + 2, "it is found out once");
        let last = &requests[steps + 1].prompt;
        assert!(
            last.contains("JSON Schema") && last.contains("\"required\":[\"name\"]"),
            "{last}"
        );
        let starts = last.starts_with("A trace says");
        assert!(starts, "what repeats still comes first: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_anthropic_does_not_take_goes_into_the_prompt() {
    let llm = Llm::answering(|_| Reply::Json(named("it"))).await;
    let run = client(&llm, &[]).for_one_run();
    let mut prompt = prompt(Task::Write);
    prompt.schema["properties"]["name"]["maxLength"] = json!(20);
    let answer = run.complete(&prompt).await.expect("an answer");
    assert_eq!(answer.value, named("it"));
    assert_eq!(llm.refused().len(), 1);
    assert!(llm.requests()[0].prompt.contains("maxLength"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_prompts_at_once_learn_together_and_are_all_answered() {
    let llm = Llm::answering(|_| Reply::Json(named("it"))).await;
    let run = client(&llm, &[("IOFOLD_LLM_MODEL", "gpt-4o")]).for_one_run();
    let judged = prompt(Task::Judge);
    let all = (0..40).map(|_| run.complete(&judged));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.expect("an answer").value, named("it"));
    }
    assert_eq!(run.used().calls, 40);
}
