use secrecy::ExposeSecret;

use super::*;

const ANTHROPIC: (&str, &str) = ("ANTHROPIC_API_KEY", "sk-ant-secret");
const OPENAI: (&str, &str) = ("OPENAI_API_KEY", "sk-secret");

fn read(pairs: &[(&str, &str)]) -> Result<Option<LlmConfig>, ConfigError> {
    let owned = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    llm(&Environment::from_pairs(owned))
}

fn config(pairs: &[(&str, &str)]) -> LlmConfig {
    let read = read(pairs).expect("it is right");
    read.expect("an LLM is configured")
}

fn refused(pairs: &[(&str, &str)]) -> String {
    read(pairs).expect_err("it is wrong").to_string()
}

#[test]
fn no_key_is_no_llm_and_a_key_alone_is_enough() {
    assert!(read(&[]).expect("nothing is wrong").is_none());
    for (key, url, model, small) in [
        (
            ANTHROPIC,
            "https://api.anthropic.com/",
            "claude-sonnet-5-5",
            "claude-haiku-5-5",
        ),
        (
            OPENAI,
            "https://api.openai.com/v1",
            "gpt-6.1-sol",
            "gpt-6-luna",
        ),
    ] {
        let config = config(&[key]);
        assert_eq!(config.model.base_url.as_str(), url);
        assert_eq!(config.model.name, model);
        assert_eq!(config.proposing.name, small);
        assert_eq!(config.model.key.expose_secret(), key.1);
        assert_eq!(config.monthly_budget_usd, Some(20.0));
        assert!(
            config.fallback.is_none(),
            "nobody gets traces who is not named"
        );
    }
    assert_eq!(config(&[OPENAI, ANTHROPIC]).model.name, "claude-sonnet-5-5");
}

#[test]
fn a_models_provider_follows_from_its_prefix_its_name_or_the_only_key() {
    use Provider::{Anthropic, OpenAi};
    let free = ("IOFOLD_LLM_MONTHLY_BUDGET_USD", "none");
    for (keys, named, provider, name) in [
        (
            vec![ANTHROPIC, OPENAI],
            "anthropic/claude-x",
            Anthropic,
            "claude-x",
        ),
        (vec![ANTHROPIC, OPENAI], "openai/gpt-x", OpenAi, "gpt-x"),
        (
            vec![ANTHROPIC, OPENAI],
            "claude-opus-5-5",
            Anthropic,
            "claude-opus-5-5",
        ),
        (vec![ANTHROPIC, OPENAI], "o3-mini", OpenAi, "o3-mini"),
        (
            vec![OPENAI],
            "meta-llama/Llama-4",
            OpenAi,
            "meta-llama/Llama-4",
        ),
        (
            vec![OPENAI],
            "openai/anthropic/claude-x",
            OpenAi,
            "anthropic/claude-x",
        ),
        (vec![ANTHROPIC], "some-model", Anthropic, "some-model"),
    ] {
        let config = config(&[&keys[..], &[(MODEL, named), free]].concat());
        assert_eq!(
            (config.model.provider, config.model.name.as_str()),
            (provider, name)
        );
    }
    for (keys, named) in [
        (vec![ANTHROPIC, OPENAI], "llama3"),
        (vec![OPENAI], "openai/"),
        (vec![ANTHROPIC], "anthropic/"),
    ] {
        let said = refused(&[&keys[..], &[(MODEL, named), free]].concat());
        assert!(
            said.starts_with(MODEL) && said.contains("openai/<model>"),
            "{said}"
        );
    }
}

#[test]
fn the_fallback_has_a_provider_and_a_key_of_its_own() {
    let other = (FALLBACK, "gpt-6.1-sol");
    let fallback = |pairs: &[_]| config(pairs).fallback.expect("one is named");
    let theirs = fallback(&[ANTHROPIC, OPENAI, other]);
    assert_eq!(theirs.key.expose_secret(), "sk-secret");
    assert_eq!(theirs.variables.key, "OPENAI_API_KEY");
    let own = [
        (FALLBACK_KEY, "own"),
        (FALLBACK_URL, "https://other.example/v1"),
    ];
    let own = fallback(&[&[ANTHROPIC, other][..], &own].concat());
    assert_eq!(own.key.expose_secret(), "own");
    assert_eq!(own.base_url.as_str(), "https://other.example/v1");
    assert_eq!(own.variables.key, FALLBACK_KEY);
}

#[test]
fn what_is_half_set_names_the_missing_variable_and_the_fix() {
    for (given, missing) in [
        (vec![(MODEL, "claude-opus-5-5")], "ANTHROPIC_API_KEY"),
        (
            vec![("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")],
            "OPENAI_API_KEY",
        ),
        (
            vec![("ANTHROPIC_BASE_URL", "https://a.example")],
            "ANTHROPIC_API_KEY",
        ),
        (vec![(PRICES, "{}")], "ANTHROPIC_API_KEY"),
        (vec![(BUDGET, "5")], "ANTHROPIC_API_KEY"),
        (vec![(TIMEOUT, "60")], "ANTHROPIC_API_KEY"),
        (vec![(PLAIN_HTTP, "allow")], "ANTHROPIC_API_KEY"),
        (vec![ANTHROPIC, (MODEL, "gpt-5")], "OPENAI_API_KEY"),
        (vec![ANTHROPIC, (PROPOSING, "gpt-5-mini")], "OPENAI_API_KEY"),
        (vec![ANTHROPIC, (FALLBACK, "gpt-5")], "OPENAI_API_KEY"),
        (vec![ANTHROPIC, (FALLBACK_KEY, "k")], FALLBACK),
        (
            vec![
                OPENAI,
                (FALLBACK, "gpt-5"),
                (FALLBACK_URL, "https://o.example"),
            ],
            FALLBACK_KEY,
        ),
        (vec![ANTHROPIC, (FALLBACK, "claude-sonnet-5-5")], FALLBACK),
    ] {
        let said = refused(&given);
        assert!(said.starts_with(missing), "{given:?}: {said}");
        assert!(said.len() > missing.len() + 40, "says the fix: {said}");
        assert!(!said.contains("sk-"), "{said}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_what_it_must_be() {
    for (name, value) in [
        (BUDGET, "much"),
        (BUDGET, "-1"),
        (BUDGET, "NaN"),
        (BUDGET, "inf"),
        (TIMEOUT, "0"),
        (TIMEOUT, "1.5"),
        (PRICES, "{\"gpt-5\": 1}"),
        ("ANTHROPIC_BASE_URL", "ftp://a.example"),
        ("ANTHROPIC_BASE_URL", "http://a.example"),
    ] {
        let said = refused(&[ANTHROPIC, (name, value)]);
        assert!(said.starts_with(name) && said.contains("must"), "{said}");
    }
    assert!(
        refused(&[(BUDGET, "much")]).starts_with(BUDGET),
        "without a key too"
    );
}

#[test]
fn keys_go_unencrypted_only_within_this_machine_or_where_that_is_allowed() {
    let at = |url| ("OPENAI_BASE_URL", url);
    for local in [
        "http://127.0.0.1:1/v1",
        "http://localhost/v1",
        "http://[::1]/v1",
    ] {
        config(&[OPENAI, at(local)]);
    }
    let remote = at("http://models.internal:8000/v1");
    assert!(refused(&[OPENAI, remote]).contains(PLAIN_HTTP));
    config(&[OPENAI, remote, (PLAIN_HTTP, "allow")]);
    assert!(refused(&[OPENAI, remote, (PLAIN_HTTP, "yes")]).starts_with(PLAIN_HTTP));
}

#[test]
fn a_budget_needs_every_models_price() {
    let local = [OPENAI, (MODEL, "llama3"), (PROPOSING, "llama3")];
    let said = refused(&local);
    assert!(
        said.starts_with(PRICES) && said.contains("llama3"),
        "{said}"
    );
    config(&[&local[..], &[(BUDGET, "none")]].concat());
    let free = (PRICES, r#"{"llama3": {"input": 0, "output": 0}}"#);
    let config = config(&[&local[..], &[free, (BUDGET, "5")]].concat());
    assert_eq!(config.monthly_budget_usd, Some(5.0));
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let shown = format!("{:?}", config(&[ANTHROPIC, OPENAI]));
    assert!(
        !shown.contains("secret\"") && !shown.contains("sk-"),
        "{shown}"
    );
}
