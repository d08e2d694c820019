use std::fmt;
use std::str::FromStr;

use url::Url;

use super::budget::Resource;

/// What Langfuse's organisation pays for, which says how many requests it may make a minute.
///
/// Source: Langfuse's rate limits (`RateLimitService`), October 2026.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Cloud, free.
    Hobby,
    /// Cloud, the first paid one.
    Core,
    /// Cloud: Pro, Team and Enterprise.
    Pro,
    /// One's own server: no limits.
    SelfHosted,
}

impl Plan {
    /// The least there is at this address.
    pub fn at(base: &Url) -> Self {
        let host = base.host_str().unwrap_or_default();
        match host == "langfuse.com" || host.ends_with(".langfuse.com") {
            true => Self::Hobby,
            false => Self::SelfHosted,
        }
    }

    /// Requests a minute; `None` where there is no limit.
    pub fn limit(self, resource: Resource) -> Option<u32> {
        let [public_api, legacy, ingestion] = match self {
            Self::Hobby => [30, 15, 1_000],
            Self::Core => [1_000, 30, 20_000],
            Self::Pro => [1_000, 100, 20_000],
            Self::SelfHosted => return None,
        };
        Some(match resource {
            Resource::PublicApi => public_api,
            Resource::Legacy => legacy,
            Resource::Ingestion => ingestion,
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hobby => "hobby",
            Self::Core => "core",
            Self::Pro => "pro",
            Self::SelfHosted => "self-hosted",
        })
    }
}

impl FromStr for Plan {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word.to_ascii_lowercase().as_str() {
            "hobby" => Ok(Self::Hobby),
            "core" => Ok(Self::Core),
            "pro" | "team" | "enterprise" => Ok(Self::Pro),
            "self-hosted" => Ok(Self::SelfHosted),
            _ => Err(()),
        }
    }
}
