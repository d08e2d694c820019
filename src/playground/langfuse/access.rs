//! Who may ask, and how often.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Langfuse counts by the minute.
const PERIOD: Duration = Duration::from_secs(60);
/// More than any test or person needs.
const REQUESTS_A_MINUTE: u32 = 10_000;

/// A project's keys and its budget of requests.
pub struct Access {
    public_key: String,
    secret_key: SecretString,
    limit: u32,
    used: u32,
    since: Instant,
}

/// What is left of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub limit: u32,
    /// `None` where this request is one too many.
    pub remaining: Option<u32>,
    pub reset: Duration,
}

impl Access {
    pub fn new(public_key: String, secret_key: SecretString, limit: Option<u32>) -> Self {
        Self {
            public_key,
            secret_key,
            limit: limit.unwrap_or(REQUESTS_A_MINUTE),
            used: 0,
            since: Instant::now(),
        }
    }

    pub fn admits(&self, public_key: &str, secret_key: &str) -> bool {
        let secret = self.secret_key.expose_secret().as_bytes();
        self.public_key == public_key && bool::from(secret.ct_eq(secret_key.as_bytes()))
    }

    /// Counts a request.
    pub fn spend(&mut self, now: Instant) -> Budget {
        if now.duration_since(self.since) >= PERIOD {
            (self.since, self.used) = (now, 0);
        }
        self.used = self.used.saturating_add(1);
        Budget {
            limit: self.limit,
            remaining: self.limit.checked_sub(self.used),
            reset: PERIOD - now.duration_since(self.since),
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
