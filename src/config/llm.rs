//! The variables of LLMs.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{ConfigError, Environment, default_url, is_loopback};
use crate::llm::{LlmConfig, ModelConfig, Prices, Provider, Variables};

/// US dollars a month where nothing else is set: enough to write some hundred evals, and no bill that anybody notices
/// too late when an eval that asks is deployed on a busy service.
const DEFAULT_BUDGET_USD: f64 = 20.0;
/// An eval of some hundred lines from a model that thinks for minutes, and as much again for its fallback.
const DEFAULT_TIMEOUT_SECONDS: u64 = 600;

const MODEL: &str = "IOFOLD_LLM_MODEL";
const PROPOSING: &str = "IOFOLD_LLM_PROPOSING_MODEL";
const FALLBACK: &str = "IOFOLD_LLM_FALLBACK_MODEL";
const FALLBACK_KEY: &str = "IOFOLD_LLM_FALLBACK_API_KEY";
const FALLBACK_URL: &str = "IOFOLD_LLM_FALLBACK_BASE_URL";
const PRICES: &str = "IOFOLD_LLM_PRICES";
const BUDGET: &str = "IOFOLD_LLM_MONTHLY_BUDGET_USD";
const TIMEOUT: &str = "IOFOLD_LLM_TIMEOUT_SECONDS";
const PLAIN_HTTP: &str = "IOFOLD_LLM_PLAIN_HTTP";

/// What a provider's models are set by, and which are taken where none is named.
struct Side {
    provider: Provider,
    key: &'static str,
    base_url: &'static str,
    default_url: &'static str,
    /// Good at code at a fifth of the dearest model's price.
    model: &'static str,
    /// The provider's small one.
    proposing: &'static str,
    /// What its models' names begin with.
    names: &'static [&'static str],
}

const SIDES: [Side; 2] = [
    Side {
        provider: Provider::Anthropic,
        key: "ANTHROPIC_API_KEY",
        base_url: "ANTHROPIC_BASE_URL",
        default_url: "https://api.anthropic.com",
        model: "claude-sonnet-5-5",
        proposing: "claude-haiku-5-5",
        names: &["claude"],
    },
    Side {
        provider: Provider::OpenAi,
        key: "OPENAI_API_KEY",
        base_url: "OPENAI_BASE_URL",
        default_url: "https://api.openai.com/v1",
        model: "gpt-6.1-sol",
        proposing: "gpt-6-luna",
        names: &["gpt-", "chatgpt-", "o1", "o3", "o4"],
    },
];

/// The LLMs to ask; `None` where none is configured.
///
/// # Errors
/// A variable is wrong, or another one is needed beside it.
pub fn llm(environment: &Environment) -> Result<Option<LlmConfig>, ConfigError> {
    let (prices, budget, timeout) = (
        prices(environment)?,
        budget(environment)?,
        timeout(environment)?,
    );
    let Some(side) = SIDES
        .iter()
        .find(|side| environment.get(side.key).is_some())
    else {
        return nothing_half_set(environment).map(|()| None);
    };
    let model = named(environment, MODEL)?;
    let model = model.unwrap_or((side, side.model.to_owned()));
    let proposing = named(environment, PROPOSING)?;
    // Beside a model that was named, its provider's small one.
    let small = || (model.0, model.0.proposing.to_owned());
    let proposing = proposing.unwrap_or_else(small);
    let config = LlmConfig {
        proposing: reached(environment, proposing, PROPOSING)?,
        fallback: fallback(environment)?,
        model: reached(environment, model, MODEL)?,
        prices,
        monthly_budget_usd: budget,
        timeout,
    };
    check(&config)?;
    Ok(Some(config))
}

/// Without a key, what needs one is a mistake.
fn nothing_half_set(environment: &Environment) -> Result<(), ConfigError> {
    let need_a_key = [
        MODEL,
        PROPOSING,
        FALLBACK,
        FALLBACK_KEY,
        FALLBACK_URL,
        "ANTHROPIC_BASE_URL",
        "OPENAI_BASE_URL",
        PRICES,
        BUDGET,
        TIMEOUT,
        PLAIN_HTTP,
    ];
    let Some(set) = environment.first_set(&need_a_key) else {
        return Ok(());
    };
    let side = &SIDES[usize::from(set == "OPENAI_BASE_URL")];
    let fix = "Set ANTHROPIC_API_KEY or OPENAI_API_KEY (any text, where a server of your own wants none), or unset \
               the other";
    Err(ConfigError::new(
        side.key,
        format!("is not set, but {set} is"),
        fix,
    ))
}

/// The model that a variable names, and the provider: `anthropic/…`, `openai/…`, or a name that says it, or the only
/// one that has a key.
fn named(
    environment: &Environment,
    variable: &'static str,
) -> Result<Option<(&'static Side, String)>, ConfigError> {
    let Some(name) = environment.get(variable) else {
        return Ok(None);
    };
    let [anthropic, openai] = &SIDES;
    let prefixed = |side, prefix| Some((side, name.strip_prefix(prefix)?.to_owned()));
    let found = prefixed(anthropic, "anthropic/").or_else(|| prefixed(openai, "openai/"));
    let by_name = || {
        let is_of = |side: &&Side| side.names.iter().any(|start| name.starts_with(start));
        SIDES.iter().find(is_of)
    };
    let by_key = || {
        let mut with_key = SIDES
            .iter()
            .filter(|side| environment.get(side.key).is_some());
        with_key.next().filter(|_| with_key.next().is_none())
    };
    let side_of_name = || by_name().or_else(by_key);
    match found.or_else(|| Some((side_of_name()?, name.to_owned()))) {
        Some((_, name)) if name.is_empty() => Err(unclear(variable)),
        None => Err(unclear(variable)),
        found => Ok(found),
    }
}

fn unclear(variable: &'static str) -> ConfigError {
    ConfigError::new(
        variable,
        "does not say whose model it is",
        "Write it as anthropic/<model> or openai/<model>; the second is also for servers that speak OpenAI's API",
    )
}

/// The model with its provider's address and key.
fn reached(
    environment: &Environment,
    (side, name): (&'static Side, String),
    variable: &'static str,
) -> Result<ModelConfig, ConfigError> {
    let fix =
        format!("Copy a key from the provider's console, or name another model in {variable}");
    let key = environment.needed(side.key, variable, &fix)?.into();
    let variables = Variables {
        model: variable,
        key: side.key,
        base_url: side.base_url,
    };
    reached_by(environment, (side, name), key, variables)
}

/// The model with this key, at the address that its variable names, or else at its provider's.
fn reached_by(
    environment: &Environment,
    (side, name): (&'static Side, String),
    key: SecretString,
    variables: Variables,
) -> Result<ModelConfig, ConfigError> {
    let base_url = encrypted(environment, variables.base_url)?;
    Ok(ModelConfig {
        provider: side.provider,
        name,
        base_url: base_url.unwrap_or_else(|| default_url(side.default_url)),
        key,
        variables,
    })
}

/// The fallback has its provider's address and key too, unless it has its own.
fn fallback(environment: &Environment) -> Result<Option<ModelConfig>, ConfigError> {
    let Some((side, name)) = named(environment, FALLBACK)? else {
        let set = environment.first_set(&[FALLBACK_KEY, FALLBACK_URL]);
        return set.map_or(Ok(None), |set| {
            let problem = format!("is not set, but {set} is");
            Err(ConfigError::new(
                FALLBACK,
                problem,
                "Name the model that the other is for",
            ))
        });
    };
    let Some(key) = environment.secret(FALLBACK_KEY) else {
        if environment.get(FALLBACK_URL).is_some() {
            let problem = format!("is not set, but {FALLBACK_URL} is");
            let fix = format!(
                "Set it to that server's key; {} does not go there",
                side.key
            );
            return Err(ConfigError::new(FALLBACK_KEY, problem, fix));
        }
        return reached(environment, (side, name), FALLBACK).map(Some);
    };
    let variables = Variables {
        model: FALLBACK,
        key: FALLBACK_KEY,
        base_url: FALLBACK_URL,
    };
    reached_by(environment, (side, name), key, variables).map(Some)
}

/// A base URL. Keys and traces go unencrypted only within this machine, or where somebody says that the way is safe.
fn encrypted(
    environment: &Environment,
    variable: &'static str,
) -> Result<Option<Url>, ConfigError> {
    let allowed = match environment.get(PLAIN_HTTP) {
        None => false,
        Some("allow") => true,
        Some(other) => {
            let problem = format!("is `{other}`");
            return Err(ConfigError::new(
                PLAIN_HTTP,
                problem,
                "It must be allow, or unset",
            ));
        }
    };
    let url = environment.url(variable)?;
    match url {
        Some(url) if url.scheme() == "http" && !is_loopback(&url) && !allowed => {
            let fix = format!(
                "It must be https, for keys and traces go there; or set {PLAIN_HTTP}=allow if nobody else is on the \
                 way"
            );
            Err(ConfigError::new(
                variable,
                "is http to another machine",
                fix,
            ))
        }
        url => Ok(url),
    }
}

fn prices(environment: &Environment) -> Result<Prices, ConfigError> {
    let Some(json) = environment.get(PRICES) else {
        return Ok(Prices::default());
    };
    Prices::parse(json).map_err(|problem| {
        let fix = "It must be JSON such as {\"a-model\": {\"input\": 1.0, \"output\": 5.0}}, US dollars per million \
                   tokens";
        ConfigError::new(PRICES, format!("can't be read: {problem}"), fix)
    })
}

fn budget(environment: &Environment) -> Result<Option<f64>, ConfigError> {
    let expected = "a number of US dollars, or none";
    if environment.get(BUDGET) == Some("none") {
        return Ok(None);
    }
    match environment.parsed::<f64>(BUDGET, expected)? {
        None => Ok(Some(DEFAULT_BUDGET_USD)),
        Some(dollars) if dollars.is_finite() && dollars >= 0.0 => Ok(Some(dollars)),
        Some(dollars) => {
            let fix = format!("It must be {expected}");
            Err(ConfigError::new(BUDGET, format!("is `{dollars}`"), fix))
        }
    }
}

fn timeout(environment: &Environment) -> Result<Duration, ConfigError> {
    let expected = "a whole number of seconds, 1 or more";
    match environment.parsed::<u64>(TIMEOUT, expected)? {
        Some(0) => {
            let fix = format!("It must be {expected}");
            Err(ConfigError::new(TIMEOUT, "is `0`", fix))
        }
        read => Ok(Duration::from_secs(read.unwrap_or(DEFAULT_TIMEOUT_SECONDS))),
    }
}

fn check(config: &LlmConfig) -> Result<(), ConfigError> {
    if let Some(fallback) = &config.fallback
        && fallback.is_same_as(&config.model)
    {
        let problem = "is the model that it is to stand in for";
        return Err(ConfigError::new(
            FALLBACK,
            problem,
            "Name another model, or unset it",
        ));
    }
    let all = [&config.model, &config.proposing];
    let mut all = all.into_iter().chain(&config.fallback);
    // A budget that does not know what is spent would be none.
    let unknown = all.find(|model| config.prices.of(&model.name).is_none());
    match (config.monthly_budget_usd, unknown) {
        (Some(_), Some(model)) => Err(ConfigError::new(
            PRICES,
            format!(
                "has no price for {}, which the monthly budget needs",
                model.name
            ),
            format!(
                "Add {{\"{}\": {{\"input\": …, \"output\": …}}}}, US dollars per million tokens (0 for a server of \
                 your own), or set {BUDGET}=none",
                model.name
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "llm_tests.rs"]
mod tests;
