use std::time::Duration;

/// Why one model did not answer one prompt. The texts hold no key, nothing of the prompt and nothing of what the
/// provider said; where a person can help, they name the variable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The key is wrong or revoked.
    #[error("the key is not accepted (401). Copy {key} again from the provider's console")]
    Key {
        /// The key's variable.
        key: &'static str,
    },
    /// The key is right, but may not do this.
    #[error(
        "the key may not use it (403). Give the key of {key} access to the model, or use another"
    )]
    Forbidden {
        /// The key's variable.
        key: &'static str,
    },
    /// The account can't pay.
    #[error(
        "the provider's account has no credit left, or has reached a limit of its own ({status}). Add credit there, or set {key} to another account's"
    )]
    NoCredit {
        /// The HTTP status.
        status: u16,
        /// The key's variable.
        key: &'static str,
    },
    /// The provider has no such model, or not for this key.
    #[error(
        "there is no such model (404). Set {model} to one that the provider lists, and check {base_url}"
    )]
    NoModel {
        /// The model's variable.
        model: &'static str,
        /// The base URL's variable.
        base_url: &'static str,
    },
    /// Another program answers at this address.
    #[error("what answers (status {status}) is not the provider's API. Check {base_url}")]
    NotTheApi {
        /// The HTTP status.
        status: u16,
        /// The base URL's variable.
        base_url: &'static str,
    },
    /// The provider will not take this prompt, however often it is sent: it may be too long.
    #[error("the prompt was refused (status {status})")]
    Refused {
        /// The HTTP status: 400, 413, 422, …
        status: u16,
    },
    /// Too many calls, or too many people's. `retry_after` is what the provider asks for.
    #[error("it is overloaded (status {status})")]
    Overloaded {
        /// 429, 503 or 529.
        status: u16,
        /// What the provider asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider failed.
    #[error("the provider failed (status {status})")]
    Server {
        /// The HTTP status.
        status: u16,
        /// What the provider asks to wait.
        retry_after: Option<Duration>,
    },
    /// Nothing, or not everything, came in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// Nobody is there.
    #[error("there is no connection. Check {base_url} and the network")]
    Unreachable {
        /// The base URL's variable.
        base_url: &'static str,
    },
    /// The connection ended in the middle of an answer.
    #[error("its answer broke off")]
    BrokeOff,
    /// More was sent than is read.
    #[error("its answer was longer than {} MiB", limit_bytes / (1024 * 1024))]
    TooLarge {
        /// The most that is read.
        limit_bytes: usize,
    },
    /// The model, or the provider's filter, will not answer this.
    #[error("it declined to answer")]
    Declined,
    /// The answer is longer than the prompt allows.
    #[error("its answer was cut at the limit of tokens")]
    CutShort,
    /// The answer is not what was asked for.
    #[error("its answer was not of the form that was asked for")]
    Malformed,
}

impl Error {
    /// Whether trying again later can help without a person.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. }
                | Self::Server { .. }
                | Self::TimedOut
                | Self::Unreachable { .. }
                | Self::BrokeOff
        )
    }

    /// Whether the model answered, and trying again at once may bring a better answer.
    pub fn is_bad_output(&self) -> bool {
        matches!(
            self,
            Self::CutShort | Self::Malformed | Self::TooLarge { .. }
        )
    }

    /// Whether the model may have worked for nothing: what it took is not known, and the provider may ask for it.
    pub(super) fn may_have_cost(&self) -> bool {
        matches!(
            self,
            Self::TimedOut | Self::BrokeOff | Self::TooLarge { .. }
        )
    }

    /// How long the provider asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
