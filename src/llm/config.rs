use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::price::Prices;

/// Which LLMs to ask, and how far they may go.
#[derive(Clone, Debug)]
pub struct LlmConfig {
    /// Writes evals and judges.
    pub model: ModelConfig,
    /// Proposes criteria: the cheaper one.
    pub proposing: ModelConfig,
    /// Is asked where another does not answer.
    pub fallback: Option<ModelConfig>,
    /// What models cost.
    pub prices: Prices,
    /// US dollars a workspace and month, or a command's run; `None` without a limit.
    pub monthly_budget_usd: Option<f64>,
    /// What a prompt may take in all, each wait and attempt included; `judge` has 50 s at most.
    pub timeout: Duration,
}

/// Which API a model is asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's chat completions, or another server that speaks them.
    OpenAi,
}

/// One model, and how to reach it.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The API.
    pub provider: Provider,
    /// The provider's name for it.
    pub name: String,
    /// Where the API is.
    pub base_url: Url,
    /// Goes nowhere else.
    pub key: SecretString,
    /// What these were set by.
    pub variables: Variables,
}

/// The names of the variables that errors are to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variables {
    /// Of the model's name.
    pub model: &'static str,
    /// Of the key.
    pub key: &'static str,
    /// Of the base URL.
    pub base_url: &'static str,
}

impl ModelConfig {
    /// Whether both are one model, asked in the same way.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.name == other.name
            && self.base_url == other.base_url
            && self.key.expose_secret() == other.key.expose_secret()
    }
}

impl fmt::Display for ModelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.base_url.host_str().unwrap_or_default();
        write!(f, "{} at {host}", self.name)
    }
}
