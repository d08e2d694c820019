//! Who may ask, and how often.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::Limits;
use crate::langfuse::Resource;

/// Langfuse counts by the minute.
const PERIOD: Duration = Duration::from_secs(60);
/// More than any test or person needs.
const REQUESTS_A_MINUTE: u32 = 10_000;

/// A project's keys and its budgets of requests.
pub struct Access {
    public_key: String,
    secret_key: SecretString,
    limits: Limits,
    windows: [Window; 3],
}

/// The requests of one kind since its window began.
#[derive(Clone, Copy, Default)]
struct Window {
    used: u32,
    since: Option<Duration>,
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub limit: u32,
    /// `None` where this request is one too many.
    pub remaining: Option<u32>,
    pub reset: Duration,
    /// Whether an answer that is no refusal says so, too.
    pub is_said: bool,
}

impl Access {
    pub fn new(public_key: String, secret_key: SecretString, limits: Limits) -> Self {
        Self {
            public_key,
            secret_key,
            limits,
            windows: Default::default(),
        }
    }

    pub fn admits(&self, public_key: &str, secret_key: &str) -> bool {
        let secret = self.secret_key.expose_secret().as_bytes();
        self.public_key == public_key && bool::from(secret.ct_eq(secret_key.as_bytes()))
    }

    /// Counts a request at `now`, in the window that began with the first one after the last window.
    pub fn spend(&mut self, resource: Resource, now: Duration) -> Budget {
        let (limit, period, is_said) = self.limits.of(resource);
        let window = &mut self.windows[resource as usize];
        if window.since.is_none_or(|since| now - since >= period) {
            (window.since, window.used) = (Some(now), 0);
        }
        window.used = window.used.saturating_add(1);
        let left = limit.checked_sub(window.used);
        Budget {
            limit,
            // Langfuse's own limiter refuses the request that uses the last.
            remaining: left.filter(|left| is_said || *left > 0),
            reset: period - (now - window.since.unwrap_or(now)),
            is_said,
        }
    }
}

impl Limits {
    /// Requests in a period, the period, and whether every answer says what is left.
    fn of(&self, resource: Resource) -> (u32, Duration, bool) {
        match *self {
            Self::Open => (REQUESTS_A_MINUTE, PERIOD, true),
            Self::Said(limit, period) => (limit, period, true),
            Self::Cloud(plan) => {
                let limit = plan.limit(resource).unwrap_or(REQUESTS_A_MINUTE);
                (limit, PERIOD, false)
            }
        }
    }
}

/// The user and password of Basic auth.
pub fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = header.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
