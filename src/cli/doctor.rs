use std::fmt::Display;

use anyhow::Context;

use super::Failure;
use crate::config::{Config, Environment};
use crate::domain::Verdict;
use crate::sandbox::Sandbox;
use crate::store::Db;
use crate::{langfuse, slack};

/// Checks each part and prints a line for it; a failed one says what to fix.
#[tokio::main]
pub async fn doctor(environment: &Environment) -> Result<(), Failure> {
    let config = Config::read(environment).map_err(|error| Failure::Usage(error.into()))?;
    let checks = [
        said("Sandbox", sandbox(&config)),
        said("Database", database(&config).await),
        said("Langfuse", langfuse(&config).await),
        said("Slack", slack(&config).await),
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

fn sandbox(config: &Config) -> anyhow::Result<String> {
    let sandbox = Sandbox::open(&config.cache_dir)?;
    let source = "def evaluate(trace):\n    return trace[\"id\"] == \"probe\"\n";
    let outcome = sandbox.evaluate(source, "{\"id\": \"probe\"}");
    anyhow::ensure!(
        outcome.verdict() == Some(Verdict::Pass),
        "the probe eval did not pass: {:?}",
        outcome.result
    );
    Ok(format!(
        "runs Python, {} µs for the probe",
        outcome.duration_us
    ))
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
    let client = langfuse::Client::new(&given.base_url, &given.public_key, &given.secret_key)?;
    let health = client.health().await?;
    let project = client.project().await?;
    let api = client.api().await?;
    Ok(format!(
        "{} {}, project {}, read by {api}",
        given.base_url, health.version, project.name
    ))
}

async fn slack(config: &Config) -> anyhow::Result<String> {
    let Some(given) = &config.slack else {
        return Ok(not_configured(config));
    };
    let client = slack::Client::new(&given.api_url, &given.bot_token)?;
    let identity = client.identity().await?;
    let readable = client.can_read(&given.channel).await;
    readable.with_context(|| format!("channel {}", given.channel))?;
    Ok(format!("team {}, channel {}", identity.team, given.channel))
}

fn not_configured(config: &Config) -> String {
    match config.wants_playground() {
        true => "not configured; the playground stands in".to_owned(),
        false => "not configured; see .env.example".to_owned(),
    }
}
