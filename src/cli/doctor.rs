mod slack;

use std::fmt::Display;

use anyhow::Context;
use url::Url;

use super::Failure;
use crate::config::{Config, Environment};
use crate::domain::Verdict;
use crate::sandbox::Sandbox;
use crate::sandbox::walls::WallState;
use crate::sources::{langsmith, openai};
use crate::store::Db;
use crate::{app, llm};

/// Checks each part and prints a line for it; a failed one says what to fix.
#[tokio::main]
pub async fn doctor(environment: &Environment) -> Result<(), Failure> {
    let config = match Config::read(environment) {
        Ok(config) => config,
        Err(error) => {
            slack::check_half(environment).await;
            return Err(Failure::Usage(error.into()));
        }
    };
    let checks = [
        sandbox(&config),
        said("Database", database(&config).await),
        said("Langfuse", langfuse(&config).await),
        said("LangSmith", langsmith(&config).await),
        said("Stored completions", stored_completions(&config).await),
        said("Web Callout", Ok(callout(&config))),
        said("Code evaluators", Ok(code_evaluators(&config))),
        slack::check(config.slack.as_ref(), &without_a_token(&config)).await,
        said("Slack's clicks", slack::clicks(&config).await),
        slack::installations(&config).await,
        llm(&config).await,
    ];
    match checks.iter().all(|passed| *passed) {
        true => Ok(()),
        false => Err(Failure::Quiet(3)),
    }
}

fn said(what: &str, check: anyhow::Result<impl Display>) -> bool {
    match &check {
        Ok(found) => println!("ok      {what}: {found}"),
        Err(error) => println!("FAILED  {what}: {error:#}"),
    }
    check.is_ok()
}

fn sandbox(config: &Config) -> bool {
    let sandbox = match Sandbox::open(&config.worker, &config.cache_dir) {
        Ok(sandbox) => sandbox,
        Err(error) => return said("Sandbox", Err::<String, _>(error.into())),
    };
    let probed = said("Sandbox", probe(&sandbox));
    match sandbox.walls() {
        Ok(walls) => walls.iter().for_each(|state| println!("{}", wall(state))),
        Err(error) => return said("Sandbox walls", Err::<String, _>(error.into())),
    }
    probed
}

fn probe(sandbox: &Sandbox) -> anyhow::Result<String> {
    let source = "def evaluate(trace):\n    return trace[\"id\"] == \"probe\"\n";
    let outcome = sandbox.evaluate(source, "{\"id\": \"probe\"}");
    anyhow::ensure!(
        outcome.verdict() == Some(Verdict::Pass),
        "the probe eval did not pass: {:?}",
        outcome.result
    );
    let duration = outcome.duration_us;
    Ok(format!("runs Python, {duration} µs for the probe"))
}

/// A wall that this system lacks is no failure: evals run, behind fewer walls.
fn wall(state: &WallState) -> String {
    let (wall, cost) = (state.wall, state.wall.cost());
    match &state.why {
        None => format!("ok      Sandbox wall: {wall}"),
        Some(why) => format!("WARNING Sandbox wall: {wall}: {why}. Without it, {cost}"),
    }
}

async fn database(config: &Config) -> anyhow::Result<String> {
    let db = Db::open(&config.database_url).await?;
    db.ping().await.context("the database does not answer")?;
    let kind = if db.is_embedded() {
        "SQLite"
    } else {
        "Postgres"
    };
    Ok(format!("{kind}, migrations applied"))
}

async fn langfuse(config: &Config) -> anyhow::Result<String> {
    let Some(given) = &config.langfuse else {
        return Ok(not_configured(config));
    };
    let client = app::langfuse_client(given)?;
    let health = client.health().await?;
    let project = client.project().await?;
    let api = client.api().await?;
    let limit = client.budget().in_words();
    Ok(format!(
        "{} {}, project {}, read by {api}, {}",
        given.base_url,
        health.version,
        project.name,
        limit.unwrap_or_else(|| "without limits".to_owned())
    ))
}

async fn langsmith(config: &Config) -> anyhow::Result<String> {
    let Some(given) = &config.langsmith else {
        return Ok(
            "not configured; LANGSMITH_API_KEY and LANGSMITH_PROJECT have a project's traces read"
                .to_owned(),
        );
    };
    let client = langsmith::Client::new(given)?;
    let found = client.found().await?;
    Ok(format!(
        "{} {}, project {}, read by {}",
        given.endpoint,
        found.version,
        given.project,
        found.route()
    ))
}

async fn stored_completions(config: &Config) -> anyhow::Result<String> {
    let Some(given) = &config.stored_completions else {
        return Ok(
            "not configured; OPENAI_STORED_COMPLETIONS_API_KEY has OpenAI's stored completions read".to_owned(),
        );
    };
    let (completions, has_more) = openai::Client::new(given)?.completions(None).await?;
    let more = if has_more { " or more" } else { "" };
    Ok(format!(
        "{}, {}{more} are stored",
        given.base_url,
        completions.len()
    ))
}

/// What to type into Langfuse. The token itself is in the environment, and is not shown.
fn callout(config: &Config) -> String {
    if config.langfuse_callout_token.is_none() {
        return "not configured; LANGFUSE_CALLOUT_TOKEN, a secret of your choice, lets people ask the team from \
                Langfuse's trace menu"
            .to_owned();
    }
    format!(
        "in Langfuse's project settings, Integrations, Web Callouts, set the URL to \
         {}/callouts/langfuse/default, and the header Authorization to Bearer and the value of \
         LANGFUSE_CALLOUT_TOKEN",
        base(config)
    )
}

/// What to set for a self-hosted Langfuse, to have its code evaluators run here.
fn code_evaluators(config: &Config) -> String {
    let mut doors = Vec::new();
    if config.code_eval_token.is_some() {
        doors.push(format!(
            "LANGFUSE_CODE_EVAL_DISPATCHER=external and LANGFUSE_CODE_EVAL_EXTERNAL_ENDPOINT={}/langfuse/code-evals",
            base(config)
        ));
    }
    if config.lambda_key.is_some() {
        doors.push(format!(
            "LANGFUSE_CODE_EVAL_DISPATCHER=aws-lambda and LANGFUSE_CODE_EVAL_AWS_LAMBDA_ENDPOINT={}",
            base(config)
        ));
    }
    match doors.is_empty() {
        true => "not configured; IOFOLD_CODE_EVAL_TOKEN, or IOFOLD_LAMBDA_ACCESS_KEY_ID and \
                 IOFOLD_LAMBDA_SECRET_ACCESS_KEY, let a self-hosted Langfuse run its Python evaluators here"
            .to_owned(),
        false => format!("set for Langfuse's web and worker {}; docs/langfuse.md has the rest", doors.join(", or ")),
    }
}

/// How others reach the service.
fn base(config: &Config) -> String {
    let listener = || format!("http://{}", config.listen);
    let base = config
        .public_url
        .as_ref()
        .map_or_else(listener, Url::to_string);
    base.trim_end_matches('/').to_owned()
}

/// Instead of a bot token's team.
fn without_a_token(config: &Config) -> String {
    match &config.install {
        None => not_configured(config),
        Some(_) => format!("teams install the app at {}/slack/install", base(config)),
    }
}

/// One tiny question to each model. That there is none is fine: rules need none.
async fn llm(config: &Config) -> bool {
    let Some(given) = &config.llm else {
        return said("LLM", Ok(NO_LLM));
    };
    let client = match llm::connect(given) {
        Ok(client) => client,
        Err(error) => return said("LLM", Err::<String, _>(error)),
    };
    let mut all_answered = true;
    for check in client.check().await {
        let answered = check.result.map(|(took, usage)| {
            let cost = usage.cost_usd.map_or_else(
                || "its price is not known (IOFOLD_LLM_PRICES)".to_owned(),
                |cost| format!("${cost:.6}"),
            );
            format!(
                "{}, answered in {} ms, {cost}",
                check.model,
                took.as_millis()
            )
        });
        let answered = answered.with_context(|| check.model.clone());
        all_answered &= said(&format!("LLM, {}", check.role), answered);
    }
    all_answered
}

const NO_LLM: &str = "not configured; evals come from rules alone, and judge() is not answered. ANTHROPIC_API_KEY or \
    OPENAI_API_KEY connects one";

fn not_configured(config: &Config) -> String {
    match config.wants_playground() {
        true => "not configured; the playground stands in".to_owned(),
        false => "not configured; see .env.example".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::walls::Wall;

    #[test]
    fn a_wall_that_the_kernel_lacks_is_a_warning_with_its_cost() {
        let mut state = WallState {
            wall: Wall::LandlockFiles,
            stands: false,
            why: Some("the kernel has no Landlock".to_owned()),
        };
        assert_eq!(
            wall(&state),
            "WARNING Sandbox wall: no files (Landlock): the kernel has no Landlock. Without it, only seccomp \
             keeps code that breaks out from files"
        );
        (state.stands, state.why) = (true, None);
        assert_eq!(wall(&state), "ok      Sandbox wall: no files (Landlock)");
    }
}
