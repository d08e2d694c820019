//! The variables by which Langfuse is read.

use super::{ConfigError, Environment, LangfuseConfig, default_url};
use crate::langfuse::Filter;

const LANGFUSE_CLOUD: &str = "https://cloud.langfuse.com";

/// How to reach Langfuse, and which traces to read; `None` where none of its variables is set.
///
/// # Errors
/// A variable is wrong, or another one is needed beside it.
pub fn langfuse(environment: &Environment) -> Result<Option<LangfuseConfig>, ConfigError> {
    let names = [
        "LANGFUSE_PUBLIC_KEY",
        "LANGFUSE_SECRET_KEY",
        "LANGFUSE_BASE_URL",
        "LANGFUSE_HOST",
        "LANGFUSE_PLAN",
        "LANGFUSE_ENVIRONMENTS",
        "LANGFUSE_TRACE_NAMES",
        "LANGFUSE_TAGS",
        "LANGFUSE_FILTER",
    ];
    let Some(set) = environment.first_set(&names) else {
        return Ok(None);
    };
    let fix = "Copy it from Langfuse's project settings, API keys";
    let base_url = match environment.url("LANGFUSE_BASE_URL")? {
        Some(url) => Some(url),
        None => environment.url("LANGFUSE_HOST")?,
    };
    Ok(Some(LangfuseConfig {
        public_key: environment.needed("LANGFUSE_PUBLIC_KEY", set, fix)?,
        secret_key: environment.needed("LANGFUSE_SECRET_KEY", set, fix)?.into(),
        base_url: base_url.unwrap_or_else(|| default_url(LANGFUSE_CLOUD)),
        plan: environment.parsed(
            "LANGFUSE_PLAN",
            "`hobby`, `core`, `pro`, `team`, `enterprise` or `self-hosted`",
        )?,
        filter: filter(environment)?,
    }))
}

/// Lists with commas, and Langfuse's own conditions beside them.
fn filter(environment: &Environment) -> Result<Filter, ConfigError> {
    let lists = [
        ("LANGFUSE_ENVIRONMENTS", "environment"),
        ("LANGFUSE_TRACE_NAMES", "traceName"),
        ("LANGFUSE_TAGS", "tags"),
    ];
    let simple = lists.map(|(name, column)| {
        let words = environment.get(name).unwrap_or_default().split(',');
        let words: Vec<&str> = words
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        Filter::any_of(column, &words)
    });
    let given = environment.get("LANGFUSE_FILTER").unwrap_or("[]");
    let given = Filter::parse(given).map_err(|problem| {
        let fix = "It must be a JSON array of conditions as Langfuse's API takes them, such as \
                   [{\"type\": \"string\", \"column\": \"traceName\", \"operator\": \"contains\", \"value\": \"chat\"}]";
        ConfigError::new("LANGFUSE_FILTER", problem, fix)
    })?;
    Ok(simple.into_iter().fold(given, Filter::and))
}
