use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::error::Error;
use super::http::{self, Answer};
use super::price::Price;
use super::takes::{Takes, complaint};
use super::{ModelConfig, Prompt, Provider, Usage, anthropic, openai, shape};
use crate::domain::lenient;

/// One model at one provider.
pub(super) struct Endpoint {
    config: ModelConfig,
    http: reqwest::Client,
    url: Url,
    price: Option<Price>,
    takes: Mutex<Takes>,
    rests_until: Mutex<Option<Instant>>,
}

/// What came of asking one model once.
pub(super) struct Attempt {
    /// What it took; where that is not known, the most that it can have taken.
    pub usage: Usage,
    pub result: Result<Value, Error>,
}

/// How long one attempt may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub deadline: Instant,
    /// The longest pause within an answer.
    pub pause: Duration,
}

impl Endpoint {
    pub fn new(config: ModelConfig, http: reqwest::Client, price: Option<Price>) -> Self {
        let url = match config.provider {
            Provider::Anthropic => anthropic::url(&config.base_url),
            Provider::OpenAi => openai::url(&config.base_url),
        };
        Self {
            config,
            http,
            url,
            price,
            takes: Mutex::default(),
            rests_until: Mutex::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Until when this model is not to be asked, by anyone.
    pub fn rests_until(&self) -> Option<Instant> {
        let until = *self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    pub fn rest(&self, wait: Duration) {
        let mut until = self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Instant::now().checked_add(wait));
    }

    /// Asks once; again at once where the model refuses a parameter that it can do without.
    pub async fn ask(&self, prompt: &Prompt, limits: Limits) -> Attempt {
        loop {
            let takes = *self.takes.lock().unwrap_or_else(PoisonError::into_inner);
            let body = self.body(prompt, &takes);
            let answer = match self.exchange(&body, limits).await {
                Ok(answer) => answer,
                Err(error) => return self.failed(prompt, &takes, error),
            };
            let json = lenient::parse(&answer.body).map(|(json, _)| json);
            let json = json.unwrap_or(Value::Null);
            if answer.status == 200 {
                return self.answered(prompt, &takes, &json);
            }
            let is_complaint = matches!(answer.status, 400 | 422);
            if !is_complaint || !self.learn(takes, &complaint(&json)) {
                let error = self.error_of(&answer, &json);
                return self.failed(prompt, &takes, error);
            }
        }
    }

    fn body(&self, prompt: &Prompt, takes: &Takes) -> Value {
        match self.config.provider {
            Provider::Anthropic => anthropic::request(&self.config.name, prompt, takes),
            Provider::OpenAi => openai::request(&self.config.name, prompt, takes),
        }
    }

    async fn exchange(&self, body: &Value, limits: Limits) -> Result<Answer, Error> {
        let request = self.signed(self.http.post(self.url.clone())).json(body);
        let variable = self.config.variables.base_url;
        http::exchange(request, limits.deadline, limits.pause, variable).await
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match self.config.provider {
            Provider::Anthropic => anthropic::signed(request, &self.config.key),
            Provider::OpenAi => openai::signed(request, &self.config.key),
        }
    }

    /// Whether there is something new to leave out.
    fn learn(&self, sent: Takes, complaint: &str) -> bool {
        let has_json = self.config.provider == Provider::OpenAi;
        let mut takes = self.takes.lock().unwrap_or_else(PoisonError::into_inner);
        // Another prompt may have learnt it meanwhile.
        if *takes != sent {
            return true;
        }
        let next = takes.without(complaint, has_json);
        *takes = next.unwrap_or(*takes);
        next.is_some()
    }

    fn answered(&self, prompt: &Prompt, takes: &Takes, json: &Value) -> Attempt {
        let (usage, text) = match self.config.provider {
            Provider::Anthropic => (anthropic::usage(json), anthropic::text(json)),
            Provider::OpenAi => (openai::usage(json), openai::text(json)),
        };
        let usage = usage.unwrap_or_else(|| at_most(prompt, takes));
        let read = |text: String| shape::read(&text, &prompt.schema).ok_or(Error::Malformed);
        Attempt {
            usage: self.priced(usage),
            result: text.and_then(read),
        }
    }

    fn failed(&self, prompt: &Prompt, takes: &Takes, error: Error) -> Attempt {
        let usage = match error.may_have_cost() {
            true => self.priced(at_most(prompt, takes)),
            false => Usage::default(),
        };
        Attempt {
            usage,
            result: Err(error),
        }
    }

    fn priced(&self, usage: Usage) -> Usage {
        let cost_usd = self.price.map(|price| price.cost(&usage));
        Usage { cost_usd, ..usage }
    }

    fn error_of(&self, answer: &Answer, json: &Value) -> Error {
        let (status, retry_after) = (answer.status, answer.retry_after);
        let names = self.config.variables;
        let is_about_credit = match self.config.provider {
            Provider::Anthropic => anthropic::is_about_credit(status, json),
            Provider::OpenAi => openai::is_about_credit(status, json),
        };
        // Both APIs and their like say `error`; another program that answers would not.
        let is_the_api = !json["error"].is_null() || !json["detail"].is_null();
        match status {
            _ if is_about_credit => Error::NoCredit {
                status,
                key: names.key,
            },
            401 => Error::Key { key: names.key },
            403 => Error::Forbidden { key: names.key },
            404 if is_the_api => Error::NoModel {
                model: names.model,
                base_url: names.base_url,
            },
            429 | 503 | 529 => Error::Overloaded {
                status,
                retry_after,
            },
            408 | 409 | 425 | 500.. => Error::Server {
                status,
                retry_after,
            },
            400..=499 if is_the_api => Error::Refused { status },
            _ => Error::NotTheApi {
                status,
                base_url: names.base_url,
            },
        }
    }
}

/// The most that a prompt can take, where its tokens are not said: a token has three characters or more.
fn at_most(prompt: &Prompt, takes: &Takes) -> Usage {
    let parts = [&prompt.instructions, &prompt.material, &prompt.request];
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    Usage {
        calls: 1,
        input_tokens: bytes.div_ceil(3) as u64,
        output_tokens: u64::from(takes.max_tokens(prompt)),
        ..Usage::default()
    }
}

/// A URL below another, whose own path and query stay.
pub(super) fn joined(base: &Url, end: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(end.split('/'));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_end_in_a_slash_a_version_or_neither() {
        let parse = |text: &str| text.parse::<Url>().expect("a URL");
        for base in [
            "https://a.example",
            "https://a.example/",
            "https://a.example/v1",
            "https://a.example/v1/",
        ] {
            let url = anthropic::url(&parse(base));
            assert_eq!(url.as_str(), "https://a.example/v1/messages", "{base}");
        }
        for base in ["https://o.example/x/v1", "https://o.example/x/v1/"] {
            let url = openai::url(&parse(base));
            assert_eq!(url.as_str(), "https://o.example/x/v1/chat/completions");
        }
        let azure = openai::url(&parse("https://o.example/openai?api-version=1"));
        assert_eq!(
            azure.as_str(),
            "https://o.example/openai/chat/completions?api-version=1"
        );
    }
}
