use std::time::Duration;

use serde_json::Value;

/// Why a call to Langfuse failed. The texts hold no secret, and nothing of what Langfuse answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The keys are wrong, or belong to another server.
    #[error(
        "Langfuse does not accept the API keys (401). Copy LANGFUSE_PUBLIC_KEY and \
         LANGFUSE_SECRET_KEY again from the project's settings, API keys, and check that \
         LANGFUSE_BASE_URL is the host they were made on"
    )]
    Unauthorised,
    /// The keys are right, but may not do this.
    #[error(
        "Langfuse does not let these API keys {what} (403). Use a key of the project itself, from its \
         settings, API keys, and check that the organisation's plan includes the public API"
    )]
    Forbidden {
        /// What was tried, as an imperative.
        what: &'static str,
    },
    /// Too many calls; nothing happened.
    #[error("Langfuse asks to wait {} s before more calls (429)", retry_after.as_secs())]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The budget is spent for longer than a call waits; nothing was sent.
    #[error("Langfuse takes no more calls for {} s (429)", retry_after.as_secs())]
    Exhausted {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Langfuse will not take this one request, however often it is sent.
    #[error("Langfuse refused to {what} (status {status})")]
    Refused {
        /// What was tried, as an imperative.
        what: &'static str,
        /// The HTTP status: 400, 404, 405, 410, 413, 422, …
        status: u16,
    },
    /// The answer is larger than what is read into memory; a smaller page may fit.
    #[error("Langfuse's answer is larger than {} MiB", limit_bytes / (1024 * 1024))]
    TooLarge {
        /// The most that is read.
        limit_bytes: usize,
    },
    /// Another program answers at this address.
    #[error(
        "the answer to \"{what}\" (status {status}) is not Langfuse's. Check that LANGFUSE_BASE_URL is \
         Langfuse's own address, with the path prefix where it has one"
    )]
    NotLangfuse {
        /// What was tried, as an imperative.
        what: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// No answer, or one that says to come back: whether the call took effect is unknown.
    #[error("Langfuse could not {what}: {problem}")]
    Unavailable {
        /// What was tried, as an imperative.
        what: &'static str,
        /// A status, or the transport's error.
        problem: String,
    },
}

/// Where a rate limit does not say how long to wait: Langfuse counts by the minute.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

impl Error {
    /// Whether trying again later can help without a person.
    pub fn is_transient(&self) -> bool {
        self.retry_after().is_some() || matches!(self, Self::Unavailable { .. })
    }

    /// Whether this one request is at fault and the connection is well: it is not to be sent again.
    pub fn concerns_this_request_only(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::TooLarge { .. })
    }

    /// Whether the same holds for whatever else is asked for: keys, rights, limits.
    pub fn concerns_the_connection(&self) -> bool {
        self.retry_after().is_some() || matches!(self, Self::Unauthorised | Self::Forbidden { .. })
    }

    /// How long Langfuse asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Exhausted { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// Whether the route, or the thing it names, is not there.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 404 | 405 | 410 | 501,
                ..
            }
        )
    }

    /// What an answer that is no success means.
    pub(super) fn of_status(
        what: &'static str,
        status: u16,
        retry_after: Option<&str>,
        body: &[u8],
    ) -> Self {
        match status {
            401 => Self::Unauthorised,
            403 => Self::Forbidden { what },
            429 => Self::RateLimited {
                retry_after: retry_after.map_or(DEFAULT_WAIT, seconds),
            },
            408 | 425 | 500 | 502.. => Self::Unavailable {
                what,
                problem: format!("status {status}"),
            },
            // A refusal that is not Langfuse's own would otherwise be taken for an answer about this
            // request, and every score would be given up at a wrong address.
            400..=501 if is_langfuses(body) => Self::Refused { what, status },
            _ => Self::NotLangfuse { what, status },
        }
    }

    /// What an event of a batch, which Langfuse has answered as such, came to with this status.
    pub(super) fn of_event(what: &'static str, status: u16) -> Self {
        let status = if status < 400 { 500 } else { status };
        Self::of_status(what, status, None, br#"{"message":""}"#)
    }

    pub(super) fn of_transport(what: &'static str, error: reqwest::Error) -> Self {
        let problem = match (error.is_timeout(), error.is_connect()) {
            (true, _) => "no answer in time".to_owned(),
            (_, true) => "no connection; check LANGFUSE_BASE_URL and the network".to_owned(),
            // Without the URL, whose query may name people's ids.
            _ => error.without_url().to_string(),
        };
        Self::Unavailable { what, problem }
    }
}

fn seconds(header: &str) -> Duration {
    let seconds: Option<f64> = header.trim().parse().ok();
    let wait = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    wait.unwrap_or(DEFAULT_WAIT)
}

/// Langfuse's errors are JSON objects with a `message` or an `error`.
fn is_langfuses(body: &[u8]) -> bool {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    parsed.is_some_and(|value| value.get("message").or(value.get("error")).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[u8] = br#"{"message":"secret trace text","error":"x"}"#;

    fn of(status: u16, body: &[u8]) -> Error {
        Error::of_status("write a score", status, Some("7"), body)
    }

    #[test]
    fn each_status_says_what_happens_next() {
        for (status, transient, this_only) in [
            (400, false, true),
            (404, false, true),
            (413, false, true),
            (401, false, false),
            (403, false, false),
            (429, true, false),
            (500, true, false),
            (501, false, true),
            (503, true, false),
        ] {
            let error = of(status, OWN);
            assert_eq!(error.is_transient(), transient, "{status}");
            assert_eq!(error.concerns_this_request_only(), this_only, "{status}");
            assert_eq!(error.retry_after().is_some(), status == 429);
        }
    }

    #[test]
    fn a_stranger_at_the_address_is_no_reason_to_give_a_score_up() {
        for body in [&b"<html>not found</html>"[..], b"", b"[]", b"{}"] {
            assert!(!of(404, body).concerns_this_request_only());
        }
        assert!(!of(302, OWN).concerns_this_request_only());
    }

    #[test]
    fn no_text_shows_what_langfuse_answered_and_the_keys_errors_name_the_fix() {
        for status in [302, 400, 401, 403, 404, 429, 500] {
            let text = of(status, OWN).to_string();
            assert!(!text.contains("secret trace text"), "{text}");
            if matches!(status, 401 | 403) {
                assert!(text.contains("settings, API keys"), "{text}");
            }
        }
    }

    #[test]
    fn the_wait_is_what_the_header_says_or_half_a_minute() {
        for (header, seconds) in [
            (Some("7"), 7.0),
            (Some("0.5"), 0.5),
            (Some("Wed, 21 Oct"), 30.0),
            (Some("-1"), 30.0),
            (Some("1e300"), 30.0),
            (None, 30.0),
        ] {
            let error = Error::of_status("read", 429, header, b"");
            assert_eq!(
                error.retry_after(),
                Some(Duration::from_secs_f64(seconds)),
                "{header:?}"
            );
        }
    }
}
