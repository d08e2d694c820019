use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::clock::Clock;
use crate::domain::lenient;
use crate::http::client_builder;
use crate::langfuse::{Budget, Priority, Resource};

/// A call that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most that is read of one answer.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// A request that is refused so often in a row, after each wait that was asked for, is given up for now.
const REFUSALS_MAX: usize = 5;

/// Why a source gave nothing. No text of the answer is in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is wrong, or may not do this.
    #[error("{service} refuses the key (status {status}); check {variable}")]
    Refused {
        /// Whose.
        service: &'static str,
        /// 401 or 403.
        status: u16,
        /// Where the key stands.
        variable: &'static str,
    },
    /// The project is not there.
    #[error(
        "LangSmith has no project of the name in LANGSMITH_PROJECT; correct it, or trace to it once"
    )]
    NoProject,
    /// Too many requests, still after the waits that were asked for.
    #[error("{service} takes no more requests for {} seconds", .retry_after.as_secs())]
    RateLimited {
        /// Whose.
        service: &'static str,
        /// How long to wait.
        retry_after: Duration,
    },
    /// Any other status, or an answer that is not the service's.
    #[error(
        "{service} answered with status {status} and nothing that can be used; check its address"
    )]
    Unusable {
        /// Whose.
        service: &'static str,
        /// As it came.
        status: u16,
    },
    /// Nobody answers.
    #[error("{service} can't be reached; it is tried again")]
    Unreachable {
        /// Whose.
        service: &'static str,
        /// Without the address.
        #[source]
        cause: reqwest::Error,
    },
    /// More than is read.
    #[error("an answer of {service} is larger than 64 MiB")]
    TooLarge {
        /// Whose.
        service: &'static str,
    },
}

impl Error {
    /// How long the service asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

/// Sends requests to one service, within the number that it takes.
#[derive(Clone)]
pub struct Sender {
    /// For making requests.
    pub http: reqwest::Client,
    budget: Arc<Budget>,
    service: &'static str,
    key_variable: &'static str,
}

impl Sender {
    /// `a_minute` is the number of requests; `None` where there is no limit.
    ///
    /// # Errors
    /// The TLS set-up of this machine cannot be read.
    pub fn new(
        service: &'static str,
        key_variable: &'static str,
        a_minute: Option<u32>,
    ) -> anyhow::Result<Self> {
        let http = client_builder().timeout(TIMEOUT).build()?;
        Ok(Self {
            http,
            budget: Arc::new(Budget::of_limit(a_minute, Clock::default())),
            service,
            key_variable,
        })
    }

    /// What the requests are counted against.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The answer to a request. One that is refused as too many (429) waits as long as it is told and is sent again.
    pub async fn json(&self, request: RequestBuilder) -> Result<Value, Error> {
        let mut refusals = 0;
        loop {
            let request = request.try_clone().expect("its body is in memory");
            match self.once(request).await {
                Err(Error::RateLimited { .. }) if refusals < REFUSALS_MAX => refusals += 1,
                ended => return ended,
            }
        }
    }

    async fn once(&self, request: RequestBuilder) -> Result<Value, Error> {
        let service = self.service;
        let unreachable = |cause: reqwest::Error| Error::Unreachable {
            service,
            cause: cause.without_url(),
        };
        let spent = self.budget.spend(Resource::PublicApi, Priority::Live).await;
        spent.map_err(|retry_after| Error::RateLimited {
            service,
            retry_after,
        })?;
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let refused = status == StatusCode::TOO_MANY_REQUESTS;
        self.budget
            .learn(Resource::PublicApi, response.headers(), refused);
        self.check(status, &response)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(Error::TooLarge { service });
            }
            body.extend_from_slice(&chunk);
        }
        let status = status.as_u16();
        let read = lenient::parse(&body).map(|(value, _)| value);
        read.map_err(|_| Error::Unusable { service, status })
    }

    fn check(&self, status: StatusCode, response: &reqwest::Response) -> Result<(), Error> {
        let service = self.service;
        match status.as_u16() {
            _ if status.is_success() => Ok(()),
            429 => {
                let header = response.headers().get(RETRY_AFTER);
                let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                Err(Error::RateLimited {
                    service,
                    retry_after: Duration::from_secs(seconds.unwrap_or(30)),
                })
            }
            status @ (401 | 403) => Err(Error::Refused {
                service,
                status,
                variable: self.key_variable,
            }),
            status => Err(Error::Unusable { service, status }),
        }
    }
}
