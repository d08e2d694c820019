//! A stand-in for Langfuse: its public API and a page for each trace, over recorded traces.
//!
//! Takes recorded traces and releases them one by one as if they happened now; gives them out by v4's
//! observations, v3's traces, or both; keeps the scores it is given. It answers as Langfuse does, wrong
//! keys, wrong bodies and rate limits included, so that one client is tried and tested against one
//! implementation. What happened is in a journal, so a process that is killed goes on where it was.

mod access;
mod api;
mod evaluators;
mod observations;
mod page;
mod query;
mod recorded;
mod scores;
mod state;
mod traces;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use secrecy::SecretString;
use serde_json::Value;

use crate::clock::Clock;
use crate::domain::{AnnotatorLabel, Thumb};
use crate::langfuse::Plan;
use state::State;

/// The stand-in; clones share what it holds.
#[derive(Clone)]
pub struct Langfuse {
    state: Arc<Mutex<State>>,
    apis: Apis,
    clock: Clock,
}

/// A project and the traces that were recorded for it.
pub struct ProjectConfig {
    /// As it stands in addresses.
    pub id: String,
    /// As people see it.
    pub name: String,
    /// The user of Basic auth.
    pub public_key: String,
    /// The password of Basic auth.
    pub secret_key: SecretString,
    /// In the order in which they are released.
    pub recorded: Vec<Recorded>,
}

/// A trace with what annotators said of it.
pub struct Recorded {
    /// A Langfuse trace detail; its `id` is unique in the project.
    pub trace: Value,
    /// The consensus label.
    pub label: Thumb,
    /// Each annotator's own label: at least one, by a lone recorded annotator where the source names
    /// none.
    pub labels: Vec<AnnotatorLabel>,
}

/// Which of Langfuse's reading APIs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Apis {
    /// Observations only, as on Langfuse Cloud: v3's routes answer 410.
    V4,
    /// Traces only, as before v4: v4's route answers 404.
    V3,
    /// Both, as while a server is being upgraded.
    #[default]
    Both,
}

/// How the stand-in behaves.
#[derive(Default)]
pub struct Options {
    /// Where to keep what happened; `None` keeps it in memory only.
    pub journal: Option<PathBuf>,
    /// Which reading APIs there are.
    pub apis: Apis,
    /// API requests that a project may make.
    pub limits: Limits,
    /// Where times come from.
    pub clock: Clock,
}

/// How many requests a project may make, and how it comes to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    /// 10,000 a minute, and every answer says how many are left.
    #[default]
    Open,
    /// So many of each kind in a period, and every answer says how many are left.
    Said(u32, Duration),
    /// A plan's, as Langfuse Cloud keeps to them: a request that uses the last is refused already, and
    /// only refusals speak of limits.
    Cloud(Plan),
}

/// How often the API was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were refused as too many.
    pub refused: u64,
    /// Requests that a fault has answered.
    pub failed: u64,
    /// Scores that were taken, replacements included.
    pub scores: u64,
}

/// What goes wrong, by order.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The status that answers every request for the API.
    pub all: Option<u16>,
    /// The status that answers every batch.
    pub batches: Option<u16>,
    /// The status that a score on one of these traces comes to, alone or in a batch.
    pub scores_of: BTreeMap<String, u16>,
}

/// A score as the trace's page shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreOverview {
    /// The score's name.
    pub name: String,
    /// `True`, `False`, a category or a number.
    pub value: String,
    /// Why.
    pub comment: Option<String>,
}

/// A trace as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceOverview {
    /// The trace's id.
    pub id: String,
    /// Empty where it has none.
    pub name: String,
    /// The start of its input, as text.
    pub input: String,
    /// The start of its output, as text.
    pub output: String,
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// Its scores, oldest first.
    pub scores: Vec<ScoreOverview>,
}

impl Langfuse {
    /// Opens the stand-in; what its journal holds has happened already.
    ///
    /// # Errors
    /// The journal cannot be read or made.
    pub fn open(projects: Vec<ProjectConfig>, options: Options) -> anyhow::Result<Self> {
        let state = State::open(projects, options.journal.as_deref(), options.limits)?;
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
            apis: options.apis,
            clock: options.clock,
        })
    }

    /// The API under `/api/public/` and the traces' pages; may be nested anywhere.
    pub fn router(&self) -> Router {
        api::router(self.clone())
    }

    /// Lets the next `count` recorded traces happen, each ending now; gives their ids.
    pub fn release(&self, project_id: &str, count: usize) -> Vec<String> {
        self.locked().release(project_id, count)
    }

    /// How many recorded traces are not released yet.
    pub fn waiting(&self, project_id: &str) -> usize {
        self.locked()
            .project(project_id)
            .map_or(0, |project| project.waiting())
    }

    /// Puts a trace there as it stands, or in place of the one of its id.
    pub fn put_trace(&self, project_id: &str, trace: Value) {
        self.locked().put_trace(project_id, trace);
    }

    /// Takes a trace away, as a person does in Langfuse.
    pub fn delete_trace(&self, project_id: &str, trace_id: &str) {
        self.locked().delete_trace(project_id, trace_id);
    }

    /// Has this go wrong from now on, and nothing else.
    pub fn fail(&self, faults: Faults) {
        self.locked().faults = faults;
    }

    /// Answered requests for the API, and those that were refused as too many.
    pub fn requests(&self) -> Requests {
        self.locked().requests
    }

    /// What the recorded annotators said of a trace; none for an unknown one.
    pub fn recorded_labels(&self, trace_id: &str) -> Vec<AnnotatorLabel> {
        self.locked().recorded_labels(trace_id)
    }

    /// The project's traces, newest first.
    pub fn traces(&self, project_id: &str) -> Vec<TraceOverview> {
        let state = self.locked();
        let project = state.project(project_id);
        project.map(page::overviews).unwrap_or_default()
    }

    /// The project's scores as `GET /api/public/v2/scores` gives them, oldest first.
    pub fn scores(&self, project_id: &str) -> Vec<Value> {
        let state = self.locked();
        let project = state.project(project_id);
        project
            .map(|project| project.scores.clone())
            .unwrap_or_default()
    }

    /// The project's evaluators, oldest first, each in its latest version.
    pub fn evaluators(&self, project_id: &str) -> Vec<Value> {
        let state = self.locked();
        let project = state.project(project_id);
        project
            .map(|project| project.evaluators.clone())
            .unwrap_or_default()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }
}

#[cfg(test)]
#[path = "../../../tests/openapi/mod.rs"]
mod openapi;
#[cfg(test)]
pub(crate) mod tests;
