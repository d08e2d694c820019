use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Method, Request, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::Error;
use super::budget::{Budget, Priority, Resource};
use super::filter::Filter;
use super::plan::Plan;
use super::reading::{Expansion, millis};
use crate::clock::Clock;
use crate::domain::{lenient, same_secret};
use crate::http::client_builder;

/// A call that takes longer is given up; a page of big traces from a busy server takes some seconds.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most that is read of one answer. A trace has at most 8 MiB here, and pages are made smaller
/// until they fit.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// A request that is refused so often in a row, after each wait that was asked for, is given up for now.
const REFUSALS_MAX: usize = 5;
/// After so long it is found out again which API there is: servers are upgraded.
const API_HOLDS: Duration = Duration::from_hours(24);
/// Pages looked through for a name.
pub(super) const PAGES_MAX: u64 = 50;
/// Redirects that are followed one after the other.
const REDIRECTS_MAX: usize = 5;

/// One project of one Langfuse, by its API keys; cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    public_key: String,
    secret_key: SecretString,
    api: Arc<Mutex<Option<Known>>>,
    project: Arc<OnceCell<Option<Project>>>,
    pub(super) expansion: Arc<Expansion>,
    budget: Arc<Budget>,
    priority: Priority,
    sent: Arc<AtomicU64>,
    pub(super) filter: Arc<Filter>,
}

/// An API, and when it was found there.
#[derive(Clone, Copy)]
struct Known {
    api: Api,
    at: Duration,
}

/// Which of Langfuse's two APIs for reading traces the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `GET /api/public/v2/observations`.
    V4,
    /// `GET /api/public/traces`.
    V3,
}

impl Api {
    /// Of the requests that Langfuse takes, the share that looking for new traces uses at most. Scores and
    /// batches share v4's; v3's is for reading alone.
    pub fn live_share(self) -> f64 {
        match self {
            Self::V4 => 0.5,
            Self::V3 => 0.9,
        }
    }

    /// The budget that reading by it is counted against.
    pub fn resource(self) -> Resource {
        match self {
            Self::V4 => Resource::PublicApi,
            Self::V3 => Resource::Legacy,
        }
    }
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
    /// A client for the Langfuse at `base`, which may have a path prefix. It keeps to the limits of the
    /// smallest plan there until it is told of others ([`Client::on`], or by Langfuse).
    ///
    /// # Errors
    /// The TLS set-up of this machine cannot be read.
    pub fn new(base: &Url, public_key: &str, secret_key: &SecretString) -> anyhow::Result<Self> {
        let plan = Plan::at(base);
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        // Those that can be followed safely are (see `redirected`).
        let http = client_builder().timeout(TIMEOUT).build()?;
        Ok(Self {
            http,
            base,
            public_key: public_key.to_owned(),
            secret_key: secret_key.clone(),
            api: Arc::default(),
            project: Arc::default(),
            expansion: Arc::default(),
            budget: Arc::new(Budget::new(plan, Clock::default())),
            priority: Priority::default(),
            sent: Arc::default(),
            filter: Arc::default(),
        })
    }

    /// Whether these are the project's keys; compared in constant time.
    pub fn has_keys(&self, public_key: &str, secret_key: &str) -> bool {
        same_secret(&self.public_key, public_key)
            & same_secret(self.secret_key.expose_secret(), secret_key)
    }

    /// The same client, new to its budget: of this plan and by this clock.
    pub fn on(self, plan: Plan, clock: Clock) -> Self {
        let budget = Arc::new(Budget::new(plan, clock));
        Self { budget, ..self }
    }

    /// The same client, which reads the traces of windows that the filter lets through, and no others.
    pub fn choosing(self, filter: Filter) -> Self {
        let filter = Arc::new(filter);
        Self { filter, ..self }
    }

    /// The same connection, with the same budget, for requests of this priority.
    pub fn at(&self, priority: Priority) -> Self {
        Self {
            priority,
            sent: Arc::default(),
            ..self.clone()
        }
    }

    /// The requests that this one, or a clone of it, has sent and that Langfuse counts.
    pub fn sent_so_far(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What the requests of this connection are counted against.
    pub fn budget(&self) -> &Budget {
        &self.budget
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

    /// The same, asked for once; `None` where Langfuse does not name it.
    pub async fn own_project(&self) -> Result<Option<&Project>> {
        let named = self.project.get_or_try_init(|| async {
            match self.project().await {
                Err(error) if error.concerns_this_request_only() => {
                    tracing::debug!(%error, "cards have no links to Langfuse");
                    Ok(None)
                }
                named => named.map(Some),
            }
        });
        named.await.map(Option::as_ref)
    }

    /// The same, where it was asked for.
    pub fn known_project(&self) -> Option<&Project> {
        self.project.get()?.as_ref()
    }

    /// What tells traces that this project shows by this API from any other's.
    pub async fn origin(&self, api: Api) -> Result<String> {
        let project = self.own_project().await?;
        let project = project.map_or(self.public_key.as_str(), |project| &project.id);
        Ok(format!("{api} {project} {}", self.base))
    }

    /// What tells traces that are chosen as now from others; empty where all are.
    pub fn filter_mark(&self) -> String {
        self.filter.mark()
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

    /// Which reading API the server has: asked for once a day, and after [`Client::forget_api`].
    pub async fn api(&self) -> Result<Api> {
        let mut known = self.api.lock().await;
        let now = self.budget.clock().elapsed();
        if let Some(known) = known.filter(|known| known.at + API_HOLDS > now) {
            return Ok(known.api);
        }
        // Whoever asks: others wait for the lock meanwhile.
        let api = self.at(Priority::Live).find_api().await?;
        *known = Some(Known { api, at: now });
        Ok(api)
    }

    /// The known API has gone: the next call looks again.
    pub async fn forget_api(&self) {
        *self.api.lock().await = None;
    }

    /// v4 where there are both: v3's is on its way out.
    async fn find_api(&self) -> Result<Api> {
        // Bounded in time, for a search through everything is slow on a big server.
        let since = millis(self.budget.clock().now() - TimeDelta::hours(1));
        let one = [
            ("limit", "1"),
            ("fields", "core"),
            ("fromStartTime", &since),
        ];
        let one = one.map(|(key, value)| (key, value.to_owned()));
        match self
            .get::<Value>("list observations", "v2/observations", &one)
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
        self.list_one_trace().await?;
        Ok(Api::V3)
    }

    pub(super) async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<T> {
        let request = self.request(Method::GET, path).query(query);
        let resource = Resource::of_path(path);
        self.answer(what, resource, Method::GET, request).await
    }

    pub(super) async fn get_by_id<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        path: &[&str],
    ) -> Result<T> {
        let request = self.request_to(Method::GET, path);
        let resource = Resource::of_path(path[0]);
        self.answer(what, resource, Method::GET, request).await
    }

    pub(super) async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<T> {
        let request = self.request(Method::POST, path).json(body);
        let resource = Resource::of_path(path);
        self.answer(what, resource, Method::POST, request).await
    }

    pub(super) async fn patch<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        path: &[&str],
        body: &Value,
    ) -> Result<T> {
        let request = self.request_to(Method::PATCH, path).json(body);
        let resource = Resource::of_path(path[0]);
        self.answer(what, resource, Method::PATCH, request).await
    }

    pub(super) async fn delete(&self, what: &'static str, path: &[&str]) -> Result<()> {
        let request = self.request_to(Method::DELETE, path);
        let resource = Resource::of_path(path[0]);
        // As of a reading request: where others are answered, it is this one that is not allowed.
        let answered = self.answer(what, resource, Method::GET, request).await;
        answered.map(|_: Value| ())
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

    /// What the answer holds; null where it is empty, as that to a write may be.
    async fn answer<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        resource: Option<Resource>,
        method: Method,
        request: RequestBuilder,
    ) -> Result<T> {
        let (status, body) = match self.sent(what, resource, request).await {
            Err(Error::NotLangfuse { what, status })
                if is_refusal(status, &method) && self.is_there().await =>
            {
                return Err(Error::Refused { what, status });
            }
            sent => sent?,
        };
        let text = match body.trim_ascii() {
            b"" => b"null",
            text => text,
        };
        let (value, _) = lenient::parse(text).map_err(|_| Error::NotLangfuse { what, status })?;
        serde_json::from_value(value).map_err(|_| Error::NotLangfuse { what, status })
    }

    /// Whether Langfuse is at the address although it refused something in other words than its own: a
    /// proxy before it may have, and other servers with its API have other words.
    async fn is_there(&self) -> bool {
        let request = self.request(Method::GET, "projects");
        let resource = Resource::of_path("projects");
        let sent = self.sent("name the project", resource, request).await;
        let projects = sent.ok().and_then(|(_, body)| lenient::parse(&body).ok());
        projects.is_some_and(|(projects, _)| projects["data"].is_array())
    }

    /// Sends a request once there is room for it. One that is refused as too many (429), of which
    /// nothing has come, waits as long as it is told and is sent again.
    async fn sent(
        &self,
        what: &'static str,
        resource: Option<Resource>,
        request: RequestBuilder,
    ) -> Result<(u16, Vec<u8>)> {
        let mut refusals = 0;
        loop {
            let request = request.try_clone().expect("its body is in memory");
            match self.send(what, resource, request).await {
                Err(Error::RateLimited { retry_after })
                    if resource.is_some() && refusals < REFUSALS_MAX =>
                {
                    refusals += 1;
                    tracing::info!(seconds = retry_after.as_secs(), "Langfuse asks to wait");
                }
                ended => return ended,
            }
        }
    }

    async fn followed(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        let mut request = request.build()?;
        let mut left = REDIRECTS_MAX;
        loop {
            let again = request.try_clone().expect("its body is in memory");
            let response = self.http.execute(request).await?;
            match redirected(&again, &response) {
                Some(url) if left > 0 => {
                    left -= 1;
                    request = again;
                    *request.url_mut() = url;
                }
                _ => return Ok(response),
            }
        }
    }

    async fn send(
        &self,
        what: &'static str,
        resource: Option<Resource>,
        request: RequestBuilder,
    ) -> Result<(u16, Vec<u8>)> {
        if let Some(resource) = resource {
            let spent = self.budget.spend(resource, self.priority).await;
            spent.map_err(|retry_after| Error::Exhausted { retry_after })?;
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        let sent = self.followed(request).await;
        let mut response = sent.map_err(|error| Error::of_transport(what, error))?;
        let status = response.status();
        if let Some(resource) = resource {
            let refused = status == StatusCode::TOO_MANY_REQUESTS;
            self.budget.learn(resource, response.headers(), refused);
        }
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = bounded_body(what, &mut response).await?;
        if !status.is_success() {
            let wait = retry_after.as_ref().and_then(|value| value.to_str().ok());
            return Err(Error::of_status(what, status.as_u16(), wait, &body));
        }
        Ok((status.as_u16(), body))
    }
}

/// Where a redirect leads that can be followed: the same host, so that nobody else is given the keys, and not so that
/// a POST would become a GET.
fn redirected(request: &Request, response: &Response) -> Option<Url> {
    let keeps_method = match response.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method() == Method::GET,
        _ => false,
    };
    let to = response.headers().get(LOCATION)?.to_str().ok()?;
    let (from, to) = (request.url(), request.url().join(to).ok()?);
    let is_same = from.scheme() == to.scheme() && from.port() == to.port();
    let is_safer = from.scheme() == "http" && to.scheme() == "https";
    let is_ours = from.host() == to.host() && (is_same || is_safer);
    (keeps_method && is_ours).then_some(to)
}

/// Whether a status may be about what was asked for, and not about the address. Of a write, a proxy that lets only
/// reads through says that there is no such route.
fn is_refusal(status: u16, method: &Method) -> bool {
    let is_write = method != Method::GET;
    status >= 400 && !(is_write && matches!(status, 404 | 405 | 406 | 410 | 501))
}

/// Whether a page by number is the last: by the totals, else because nothing is on it. A server may give fewer on a
/// page than it was asked for.
pub(super) fn is_last_page(page: u64, items: usize, meta: &Value) -> bool {
    let pages = match &meta["totalPages"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_f64(),
    };
    items == 0 || pages.is_some_and(|pages| page as f64 >= pages)
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
