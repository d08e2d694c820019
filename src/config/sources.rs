//! The sources of traces beside Langfuse.

use super::{ConfigError, Environment, default_url};
use crate::sources::langsmith::LangSmithConfig;
use crate::sources::openai::StoredConfig;

const LANGSMITH: &str = "https://api.smith.langchain.com";
const OPENAI: &str = "https://api.openai.com/v1";

/// Named as LangSmith's SDK names them. `LANGSMITH_TRACING` and others of the SDK's are not ours.
pub fn langsmith(environment: &Environment) -> Result<Option<LangSmithConfig>, ConfigError> {
    let names = [
        "LANGSMITH_API_KEY",
        "LANGSMITH_PROJECT",
        "LANGSMITH_ENDPOINT",
    ];
    let Some(set) = environment.first_set(&names) else {
        return Ok(None);
    };
    let key = "Create one in LangSmith's settings, API keys";
    let project = "Set it to the name of the tracing project that is to be read";
    let endpoint = environment.url("LANGSMITH_ENDPOINT")?;
    Ok(Some(LangSmithConfig {
        api_key: environment.needed("LANGSMITH_API_KEY", set, key)?.into(),
        project: environment.needed("LANGSMITH_PROJECT", set, project)?,
        endpoint: endpoint.unwrap_or_else(|| default_url(LANGSMITH)),
        workspace_id: environment.get("LANGSMITH_WORKSPACE_ID").map(str::to_owned),
    }))
}

/// A key of their own: the one that evals are written with is not used for reading what people said.
pub fn stored_completions(environment: &Environment) -> Result<Option<StoredConfig>, ConfigError> {
    let (key, url) = (
        "OPENAI_STORED_COMPLETIONS_API_KEY",
        "OPENAI_STORED_COMPLETIONS_BASE_URL",
    );
    let Some(set) = environment.first_set(&[key, url]) else {
        return Ok(None);
    };
    let fix = "Create a key of the project whose completions are to be read, with read access to chat completions";
    Ok(Some(StoredConfig {
        api_key: environment.needed(key, set, fix)?.into(),
        base_url: environment.url(url)?.unwrap_or_else(|| default_url(OPENAI)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let owned = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Environment::from_pairs(owned)
    }

    #[test]
    fn a_source_is_whole_or_says_what_is_missing() {
        assert!(langsmith(&environment(&[])).expect("nothing").is_none());
        assert!(
            stored_completions(&environment(&[("OPENAI_API_KEY", "sk")]))
                .expect("nothing")
                .is_none()
        );
        for (given, missing) in [
            (("LANGSMITH_API_KEY", "k"), "LANGSMITH_PROJECT"),
            (("LANGSMITH_PROJECT", "p"), "LANGSMITH_API_KEY"),
            (
                ("LANGSMITH_ENDPOINT", "https://ls.example/api/v1"),
                "LANGSMITH_API_KEY",
            ),
        ] {
            let error = langsmith(&environment(&[given])).expect_err("it is half set");
            assert!(error.to_string().starts_with(missing), "{error}");
        }
        let half = environment(&[("OPENAI_STORED_COMPLETIONS_BASE_URL", "https://o.example/v1")]);
        assert!(stored_completions(&half).is_err());
        let whole = environment(&[
            ("LANGSMITH_API_KEY", "lsv2_SECRET"),
            ("LANGSMITH_PROJECT", "p"),
        ]);
        let config = langsmith(&whole).expect("it is whole").expect("it is set");
        assert_eq!(config.endpoint.as_str(), "https://api.smith.langchain.com/");
        assert!(!format!("{config:?}").contains("SECRET"));
    }
}
