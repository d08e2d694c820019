//! LangSmith's runs, by either of its two routes for querying them.
//!
//! The first (`/runs/query`) is in every LangSmith and is to go at the end of January 2027; the second
//! (`/api/v2/runs/query`) is in those that have moved their runs. `GET /info` says which one answers, as LangSmith's
//! own SDK asks. Source: the package `langsmith` 0.15.

mod run;

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::sender::{Error, Sender};
use crate::langfuse::{Budget, Page, Window};

pub use run::observation;

/// Requests a minute that we make of it at most. LangSmith's load balancer takes 2,000 a minute, and of queries of
/// runs by key fewer, which it says by 429.
const A_MINUTE: u32 = 60;
/// Runs asked for at once: the first route's most.
const RUNS_MAX: usize = 100;
/// Windows overlap by this: whether bounds belong to what is asked for is not said.
const BOUND: TimeDelta = TimeDelta::milliseconds(1);
/// A run that belongs to a trace may have begun so long before or after it.
const LONGEST_TRACE: TimeDelta = TimeDelta::hours(24);

/// What of a run is asked for.
const FIELDS: [&str; 15] = [
    "id",
    "trace_id",
    "name",
    "run_type",
    "start_time",
    "end_time",
    "inputs",
    "outputs",
    "error",
    "tags",
    "extra",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "total_cost",
];

/// How to reach one LangSmith project.
#[derive(Clone, Debug)]
pub struct LangSmithConfig {
    /// `https://api.smith.langchain.com`, or a self-hosted one's `https://host/api/v1`.
    pub endpoint: Url,
    /// `lsv2_…`.
    pub api_key: SecretString,
    /// The project's name.
    pub project: String,
    /// For a key of several workspaces.
    pub workspace_id: Option<String>,
}

/// One project of one LangSmith; cheap to clone.
#[derive(Clone)]
pub struct Client {
    sender: Sender,
    config: LangSmithConfig,
    found: Arc<Mutex<Option<Found>>>,
}

/// What is asked once.
#[derive(Clone, Debug)]
pub struct Found {
    /// The project's id.
    pub project_id: String,
    /// LangSmith's version.
    pub version: String,
    /// Whether the second route answers.
    pub is_second: bool,
}

impl Found {
    /// The route by which runs are queried.
    pub fn route(&self) -> &'static str {
        match self.is_second {
            true => "v2/runs/query",
            false => "runs/query",
        }
    }
}

/// Which runs.
#[derive(Clone, Copy, Debug)]
pub enum Runs<'a> {
    /// Those that began in a window.
    Of(Window),
    /// Those of a trace that began about then.
    OfTrace(&'a str, DateTime<Utc>),
}

impl Client {
    /// # Errors
    /// The TLS set-up of this machine cannot be read.
    pub fn new(config: &LangSmithConfig) -> anyhow::Result<Self> {
        Ok(Self {
            sender: Sender::new("LangSmith", "LANGSMITH_API_KEY", Some(A_MINUTE))?,
            config: config.clone(),
            found: Arc::default(),
        })
    }

    /// What the requests are counted against.
    pub fn budget(&self) -> &Budget {
        self.sender.budget()
    }

    /// The project, and by which route it is read; asked for once, and after a route that has gone. This checks the key.
    pub async fn found(&self) -> Result<Found, Error> {
        let mut known = self.found.lock().await;
        if let Some(found) = &*known {
            return Ok(found.clone());
        }
        let found = self.find().await?;
        Ok(known.insert(found).clone())
    }

    async fn find(&self) -> Result<Found, Error> {
        let info = self.sender.json(self.request(Method::GET, "info")).await?;
        let named = self.request(Method::GET, "sessions").query(&[
            ("name", self.config.project.as_str()),
            ("limit", "1"),
            ("include_stats", "false"),
        ]);
        let projects = self.sender.json(named).await?;
        let project_id = projects[0]["id"].as_str().ok_or(Error::NoProject)?;
        Ok(Found {
            project_id: project_id.to_owned(),
            version: info["version"].as_str().unwrap_or_default().to_owned(),
            is_second: info["instance_flags"]["sdb_query_enabled"] == true,
        })
    }

    /// Runs as observations of Langfuse's shape; a page of them, from a former [`Page::next`] on.
    pub async fn runs(&self, runs: Runs<'_>, cursor: Option<&str>) -> Result<Page, Error> {
        let found = self.found().await?;
        let (mut body, request) = match found.is_second {
            true => (second(runs, &found.project_id), self.second_request()),
            false => (
                first(runs, &found.project_id),
                self.request(Method::POST, "runs/query"),
            ),
        };
        if let Some(cursor) = cursor {
            body.insert("cursor".to_owned(), json!(cursor));
        }
        let mut answer = match self.sender.json(request.json(&body)).await {
            Err(error @ Error::Unusable { .. }) => {
                *self.found.lock().await = None;
                return Err(error);
            }
            answer => answer?,
        };
        let next = [&answer["cursors"]["next"], &answer["next_cursor"]];
        let next = next.into_iter().find_map(Value::as_str);
        // A cursor that leads back to itself would never end.
        let next = next.filter(|next| !next.is_empty() && Some(*next) != cursor);
        let next = next.map(str::to_owned);
        let items = ["runs", "items"].map(|key| answer[key].take());
        let items = items.into_iter().filter_map(|items| match items {
            Value::Array(items) => Some(items),
            _ => None,
        });
        Ok(Page {
            items: items.flatten().filter_map(observation).collect(),
            next,
        })
    }

    /// As LangSmith's SDK does, the first routes stand right below the endpoint.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_to(method, self.config.endpoint.path(), path)
    }

    /// The second's path is whole; what stands at the end of a self-hosted one's endpoint is left out.
    fn second_request(&self) -> RequestBuilder {
        let base = self.config.endpoint.path().trim_end_matches('/');
        let base = ["/api/v1", "/api"]
            .iter()
            .find_map(|end| base.strip_suffix(end));
        let base = base.unwrap_or(self.config.endpoint.path());
        self.request_to(Method::POST, base, "api/v2/runs/query")
    }

    fn request_to(&self, method: Method, base: &str, path: &str) -> RequestBuilder {
        let mut url = self.config.endpoint.clone();
        url.set_path(&format!("{}/{path}", base.trim_end_matches('/')));
        let key = self.config.api_key.expose_secret();
        let request = self
            .sender
            .http
            .request(method, url)
            .header("x-api-key", key);
        match &self.config.workspace_id {
            Some(workspace) => request.header("x-tenant-id", workspace),
            None => request,
        }
    }
}

fn first(runs: Runs<'_>, project_id: &str) -> Map<String, Value> {
    let mut select = FIELDS.map(str::to_owned).to_vec();
    select.push("parent_run_id".to_owned());
    let mut body = Map::new();
    body.insert("session".to_owned(), json!([project_id]));
    body.insert("limit".to_owned(), json!(RUNS_MAX));
    body.insert("select".to_owned(), json!(select));
    match runs {
        Runs::Of(Window { from, to }) => {
            body.insert("start_time".to_owned(), json!(time(from - BOUND)));
            let before = format!("lt(start_time, \"{}\")", time(to));
            body.insert("filter".to_owned(), json!(before));
        }
        Runs::OfTrace(trace, _) => _ = body.insert("trace".to_owned(), json!(trace)),
    }
    body
}

fn second(runs: Runs<'_>, project_id: &str) -> Map<String, Value> {
    let mut selects = FIELDS.map(str::to_uppercase).to_vec();
    selects.push("PARENT_RUN_IDS".to_owned());
    let mut body = Map::new();
    body.insert("project_ids".to_owned(), json!([project_id]));
    body.insert("page_size".to_owned(), json!(RUNS_MAX));
    body.insert("selects".to_owned(), json!(selects));
    let Window { from, to } = match runs {
        Runs::Of(window) => window,
        Runs::OfTrace(trace, began) => {
            body.insert("trace_id".to_owned(), json!(trace));
            Window {
                from: began - LONGEST_TRACE,
                to: began + LONGEST_TRACE,
            }
        }
    };
    body.insert("min_start_time".to_owned(), json!(time(from - BOUND)));
    body.insert("max_start_time".to_owned(), json!(time(to)));
    body
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
