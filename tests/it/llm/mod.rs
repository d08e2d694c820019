//! LLMs through HTTP: what goes out, what may come back, and what it costs.

mod costs;
mod doctor;
mod failures;
mod judging;
mod others;
mod requests;
mod sdk;

use std::collections::BTreeMap;

use iofold::config::{self, Environment};
use iofold::llm::{self, Client, Prompt, Task};
use serde_json::{Value, json};

use crate::llm_standin::{Api, Llm, Reply, Request};

/// A model of Anthropic's that thinks, one that doesn't, and the same of OpenAI's.
const MODELS: [(Api, &str); 4] = [
    (Api::Anthropic, "claude-sonnet-5-5"),
    (Api::Anthropic, "claude-sonnet-4-5"),
    (Api::OpenAi, "gpt-6.1-sol"),
    (Api::OpenAi, "gpt-4o"),
];

/// The stand-in's variables, with these in place of its own.
fn environment(llm: &Llm, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    // Long enough for any machine; whoever waits on purpose sets less.
    let patient = ("IOFOLD_LLM_TIMEOUT_SECONDS".to_owned(), "60".to_owned());
    let all = llm.environment().into_iter().chain([patient]).chain(owned);
    all.collect::<BTreeMap<_, _>>().into_iter().collect()
}

/// Does the same with each model at the same time.
async fn with_each_model(act: impl AsyncFn(Api, &'static str)) {
    futures_util::future::join_all(MODELS.map(|(api, model)| act(api, model))).await;
}

/// A client of the stand-in's.
fn client(llm: &Llm, pairs: &[(&str, &str)]) -> Client {
    let environment = Environment::from_pairs(environment(llm, pairs));
    let config = config::llm(&environment).expect("it is right");
    llm::connect(&config.expect("an LLM is configured")).expect("it connects")
}

/// A prompt for `{"name": …}`.
fn prompt(task: Task) -> Prompt {
    Prompt {
        task,
        instructions: "You name things.".to_owned(),
        material: "A trace says: the secret word is xyzzy.".to_owned(),
        request: "Name it.".to_owned(),
        schema: json!({
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {"name": {"type": "string"}},
        }),
        max_tokens: 100,
    }
}

fn named(name: &str) -> Value {
    json!({"name": name})
}

/// The stand-in, one of whose sides gives this reply and the other a good answer.
async fn with_one_side(side: Api, reply: Reply) -> Llm {
    Llm::answering(move |request: &Request| match request.api == side {
        true => reply.clone(),
        false => Reply::Json(named("the other")),
    })
    .await
}

/// A model of the other provider's.
fn other(api: Api) -> &'static str {
    match api {
        Api::Anthropic => "gpt-6.1-sol",
        Api::OpenAi => "claude-sonnet-5-5",
    }
}
