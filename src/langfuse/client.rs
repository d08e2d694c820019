use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::Error;
use super::reading::{Expansion, millis};
use super::score::{Score, ScoreType, is_config_name};
use crate::domain::{lenient, same_secret};

/// A call that takes longer is given up; a page of big traces from a busy server takes some seconds.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Nobody answers at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of one answer. A trace has at most 8 MiB here, and pages are made smaller
/// until they fit.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// Score configs asked for at once: Langfuse's largest page.
const CONFIGS_PAGE: usize = 100;

/// One project of one Langfuse, by its API keys; cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    public_key: String,
    secret_key: SecretString,
    api: Arc<Mutex<Option<Api>>>,
    pub(super) expansion: Arc<Expansion>,
}

/// Which of Langfuse's two APIs for reading traces the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `GET /api/public/v2/observations`.
    V4,
    /// `GET /api/public/traces`.
    V3,
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "v2/observations",
            Self::V3 => "traces",
        })
    }
}

/// What `GET /api/public/health` says; it needs no key.
#[derive(Clone, Debug, Deserialize)]
pub struct Health {
    /// Langfuse's own version.
    pub version: String,
}

/// The project that the API keys belong to.
#[derive(Clone, Debug, Deserialize)]
pub struct Project {
    /// As it stands in Langfuse's addresses.
    pub id: String,
    /// As people see it.
    pub name: String,
}

type Result<T> = std::result::Result<T, Error>;

impl Client {
    /// A client for the Langfuse at `base`, which may have a path prefix.
    ///
    /// # Errors
    /// The TLS set-up of this machine cannot be read.
    pub fn new(base: &Url, public_key: &str, secret_key: &SecretString) -> anyhow::Result<Self> {
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        // A redirect turns a POST into a GET, so a wrong address is to be said, not followed.
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("iofold/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            base,
            public_key: public_key.to_owned(),
            secret_key: secret_key.clone(),
            api: Arc::default(),
            expansion: Arc::default(),
        })
    }

    /// Whether these are the project's keys; compared in constant time.
    pub fn has_keys(&self, public_key: &str, secret_key: &str) -> bool {
        same_secret(&self.public_key, public_key)
            & same_secret(self.secret_key.expose_secret(), secret_key)
    }

    /// Whether Langfuse is there, and its version.
    pub async fn health(&self) -> Result<Health> {
        self.get("say how it is", "health", &[]).await
    }

    /// The project of the keys, which this checks.
    pub async fn project(&self) -> Result<Project> {
        #[derive(Deserialize)]
        struct Projects {
            data: Vec<Project>,
        }
        let what = "name the project";
        let projects: Projects = self.get(what, "projects", &[]).await?;
        let first = projects.data.into_iter().next();
        first.ok_or(Error::Forbidden { what })
    }

    /// The trace's page in Langfuse.
    pub fn trace_url(&self, project_id: &str, trace_id: &str) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .extend(["project", project_id, "traces", trace_id]);
        url
    }

    /// Which reading API the server has: asked for once, and again after [`Client::forget_api`].
    pub async fn api(&self) -> Result<Api> {
        let mut known = self.api.lock().await;
        let api = match *known {
            Some(api) => api,
            None => self.find_api().await?,
        };
        *known = Some(api);
        Ok(api)
    }

    /// The known API has gone: the next call looks again.
    pub async fn forget_api(&self) {
        *self.api.lock().await = None;
    }

    /// v4 where there are both: v3's is on its way out.
    async fn find_api(&self) -> Result<Api> {
        // Bounded in time, for a search through everything is slow on a big server.
        let since = millis(Utc::now() - TimeDelta::hours(1));
        let one = |from: &'static str| {
            let limits = [("limit", "1"), ("fields", "core"), (from, &since)];
            limits.map(|(key, value)| (key, value.to_owned()))
        };
        match self
            .get::<Value>(
                "list observations",
                "v2/observations",
                &one("fromStartTime"),
            )
            .await
        {
            Ok(_) => return Ok(Api::V4),
            Err(error @ Error::NotLangfuse { status: 404, .. }) => {
                // Older servers answer unknown routes with a page; that v3's is there proves them.
                tracing::debug!(%error, "no v4 API; v3's is tried");
            }
            Err(error) if !error.concerns_this_request_only() => return Err(error),
            Err(_) => {}
        }
        self.get::<Value>("list traces", "traces", &one("fromTimestamp"))
            .await?;
        Ok(Api::V3)
    }

    /// Writes a score; the same id replaces.
    pub async fn put_score(&self, score: &Score) -> Result<()> {
        let _: Value = self
            .post("write a score", "scores", &score.to_request())
            .await?;
        Ok(())
    }

    /// Makes the score's config unless there is one of its name; it makes the score filterable and
    /// chartable. A name that Langfuse allows no config for has none, and its scores are written alike.
    pub async fn ensure_score_config(&self, name: &str, kind: ScoreType) -> Result<()> {
        if !is_config_name(name) || self.has_score_config(name).await? {
            return Ok(());
        }
        let _: Value = self
            .post(
                "make a score config",
                "score-configs",
                &kind.to_request(name),
            )
            .await?;
        Ok(())
    }

    async fn has_score_config(&self, name: &str) -> Result<bool> {
        for page in 1.. {
            let query = [
                ("page", page.to_string()),
                ("limit", CONFIGS_PAGE.to_string()),
            ];
            let answer: Value = self
                .get("list score configs", "score-configs", &query)
                .await?;
            let configs = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
            if configs.iter().any(|config| config["name"] == name) {
                return Ok(true);
            }
            if configs.len() < CONFIGS_PAGE {
                break;
            }
        }
        Ok(false)
    }

    pub(super) async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<T> {
        let request = self.request(Method::GET, path).query(query);
        self.answer(what, request).await
    }

    pub(super) async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<T> {
        let request = self.request(Method::POST, path).json(body);
        self.answer(what, request).await
    }

    pub(super) async fn patch<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        path: &[&str],
        body: &Value,
    ) -> Result<T> {
        let request = self.request_to(Method::PATCH, path).json(body);
        self.answer(what, request).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_to(method, &path.split('/').collect::<Vec<_>>())
    }

    fn request_to(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .extend(["api", "public"])
            .extend(segments);
        self.http
            .request(method, url)
            .basic_auth(&self.public_key, Some(self.secret_key.expose_secret()))
    }

    async fn answer<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<T> {
        let sent = request.send().await;
        let mut response = sent.map_err(|error| Error::of_transport(what, error))?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = bounded_body(what, &mut response).await?;
        if !status.is_success() {
            let wait = retry_after.as_ref().and_then(|value| value.to_str().ok());
            return Err(Error::of_status(what, status.as_u16(), wait, &body));
        }
        let status = status.as_u16();
        let (value, _) = lenient::parse(&body).map_err(|_| Error::NotLangfuse { what, status })?;
        serde_json::from_value(value).map_err(|_| Error::NotLangfuse { what, status })
    }
}

/// The answer's body, if it is not too large; a larger one is left unread.
async fn bounded_body(what: &'static str, response: &mut reqwest::Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| Error::of_transport(what, error))?;
        let Some(chunk) = chunk else {
            return Ok(body);
        };
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(Error::TooLarge {
                limit_bytes: ANSWER_MAX,
            });
        }
        body.extend_from_slice(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> Client {
        let base = base.parse().expect("it is a URL");
        Client::new(&base, "pk", &"sk".into()).expect("it is made")
    }

    #[test]
    fn a_path_prefix_is_kept_and_ids_cannot_leave_their_segment() {
        for base in ["https://lf.example/prefix", "https://lf.example/prefix/"] {
            let url = client(base).trace_url("p", "a/../b?c#d");
            assert_eq!(
                url.as_str(),
                "https://lf.example/prefix/project/p/traces/a%2F..%2Fb%3Fc%23d"
            );
        }
        let root = client("https://lf.example").trace_url("p", "t");
        assert_eq!(root.as_str(), "https://lf.example/project/p/traces/t");
    }
}
