//! What the stand-in holds, and how the journal brings it back.

use std::path::Path;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::access::Access;
use super::recorded::{ending_at, recorded_id};
use super::{Faults, Limits, ProjectConfig, Recorded, Requests, observations};
use crate::domain::AnnotatorLabel;
use crate::langfuse::Resource;
use crate::playground::journal::Journal;

pub struct State {
    pub requests: Requests,
    pub faults: Faults,
    projects: Vec<Project>,
    journal: Journal,
}

/// A project and what has happened in it.
pub struct Project {
    pub id: String,
    pub name: String,
    pub access: Access,
    /// In the order in which they came.
    pub traces: Vec<Stored>,
    /// As v2 gives them, in the order in which they came.
    pub scores: Vec<Value>,
    /// As `GET /api/public/score-configs` gives them.
    pub configs: Vec<Value>,
    /// Evaluators in code, in the order in which they came, each in its latest version.
    pub evaluators: Vec<Value>,
    recorded: Vec<Recorded>,
}

/// A trace in both APIs' forms.
pub struct Stored {
    pub id: String,
    /// v3's detail, without what depends on the project's scores.
    pub detail: Value,
    /// v4's rows.
    pub observations: Vec<Value>,
}

impl State {
    pub fn open(
        projects: Vec<ProjectConfig>,
        journal: Option<&Path>,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let (journal, entries) =
            Journal::open(journal).context("the playground's journal cannot be opened")?;
        let projects = projects
            .into_iter()
            .map(|config| Project::new(config, limits));
        let mut state = Self {
            requests: Requests::default(),
            faults: Faults::default(),
            projects: projects.collect(),
            journal,
        };
        for entry in &entries {
            state.apply(entry);
        }
        Ok(state)
    }

    pub fn project(&self, id: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }

    /// The project that a request's keys belong to.
    pub fn own_project(&self, id: &str) -> &Project {
        self.project(id).expect("the keys named this project")
    }

    pub fn project_mut(&mut self, id: &str) -> Option<&mut Project> {
        self.projects.iter_mut().find(|project| project.id == id)
    }

    /// The project whose keys these are.
    pub fn project_of(&mut self, public_key: &str, secret_key: &str) -> Option<&mut Project> {
        let mut projects = self.projects.iter_mut();
        projects.find(|project| project.access.admits(public_key, secret_key))
    }

    pub fn recorded_labels(&self, trace_id: &str) -> Vec<AnnotatorLabel> {
        let mut recorded = self.projects.iter().flat_map(|project| &project.recorded);
        let found = recorded.find(|recorded| recorded_id(recorded) == trace_id);
        found
            .map(|recorded| recorded.labels.clone())
            .unwrap_or_default()
    }

    pub fn release(&mut self, project_id: &str, count: usize) -> Vec<String> {
        let Some(project) = self.project(project_id) else {
            return Vec::new();
        };
        let waiting = project
            .recorded
            .iter()
            .filter(|recorded| !project.has(recorded_id(recorded)));
        let ids: Vec<String> = waiting
            .take(count)
            .map(|r| recorded_id(r).to_owned())
            .collect();
        let now_ms = Utc::now().timestamp_millis();
        for id in &ids {
            self.record(
                json!({"release": {"project": project_id, "trace": id, "ended_at_ms": now_ms}}),
            );
        }
        ids
    }

    pub fn put_trace(&mut self, project_id: &str, trace: Value) {
        self.record(json!({"trace": {"project": project_id, "detail": trace}}));
    }

    pub fn delete_trace(&mut self, project_id: &str, trace_id: &str) {
        self.record(json!({"deletion": {"project": project_id, "trace": trace_id}}));
    }

    pub fn put_score(&mut self, project_id: &str, score: &Value) {
        self.requests.scores += 1;
        self.record(json!({"score": {"project": project_id, "score": score}}));
    }

    pub fn delete_score(&mut self, project_id: &str, score_id: &str) {
        self.record(json!({"score_deletion": {"project": project_id, "id": score_id}}));
    }

    pub fn put_config(&mut self, project_id: &str, config: &Value) {
        self.record(json!({"config": {"project": project_id, "config": config}}));
    }

    pub fn put_evaluator(&mut self, project_id: &str, evaluator: &Value) {
        self.record(json!({"evaluator": {"project": project_id, "evaluator": evaluator}}));
    }

    /// The status that a request of this kind is to fail with; counts it.
    pub fn fault(&mut self, resource: Resource) -> Option<u16> {
        let of_batches = self
            .faults
            .batches
            .filter(|_| resource == Resource::Ingestion);
        let status = self.faults.all.or(of_batches)?;
        self.requests.failed += 1;
        Some(status)
    }

    /// Writes down what happens, and lets it happen.
    fn record(&mut self, entry: Value) {
        if let Err(error) = self.journal.append(&entry) {
            tracing::error!(%error, "the playground's journal cannot be written; a restart forgets");
        }
        self.apply(&entry);
    }

    /// An entry about a project or a recorded trace that is no more has no effect.
    fn apply(&mut self, entry: &Value) {
        let Some((kind, body)) = entry.as_object().and_then(|entry| entry.iter().next()) else {
            return;
        };
        let Some(project) = self.project_mut(body["project"].as_str().unwrap_or_default()) else {
            return;
        };
        match kind.as_str() {
            "release" => project.happen(body),
            "trace" => project.store(body["detail"].clone()),
            "deletion" => project
                .traces
                .retain(|trace| body["trace"] != trace.id.as_str()),
            "score_deletion" => project.scores.retain(|score| score["id"] != body["id"]),
            "score" => replace_by_id(&mut project.scores, &body["score"]),
            "evaluator" => replace_by_id(&mut project.evaluators, &body["evaluator"]),
            "config" => replace_by_id(&mut project.configs, &body["config"]),
            _ => {}
        }
    }
}

impl Project {
    fn new(config: ProjectConfig, limits: Limits) -> Self {
        Self {
            id: config.id,
            name: config.name,
            access: Access::new(config.public_key, config.secret_key, limits),
            traces: Vec::new(),
            scores: Vec::new(),
            configs: Vec::new(),
            evaluators: Vec::new(),
            recorded: config.recorded,
        }
    }

    pub fn waiting(&self) -> usize {
        let waiting = self
            .recorded
            .iter()
            .filter(|recorded| !self.has(recorded_id(recorded)));
        waiting.count()
    }

    pub fn trace(&self, id: &str) -> Option<&Stored> {
        self.traces.iter().find(|trace| trace.id == id)
    }

    fn has(&self, trace_id: &str) -> bool {
        self.trace(trace_id).is_some()
    }

    fn happen(&mut self, body: &Value) {
        let id = body["trace"].as_str().unwrap_or_default();
        let ended = body["ended_at_ms"]
            .as_i64()
            .and_then(DateTime::from_timestamp_millis);
        let recorded = self
            .recorded
            .iter()
            .find(|recorded| recorded_id(recorded) == id);
        if let (Some(recorded), Some(ended)) = (recorded, ended) {
            self.store(ending_at(&recorded.trace, ended));
        }
    }

    fn store(&mut self, detail: Value) {
        let stored = Stored {
            id: detail["id"].as_str().unwrap_or_default().to_owned(),
            observations: observations::rows_of(&self.id, &detail),
            detail,
        };
        match self.traces.iter_mut().find(|trace| trace.id == stored.id) {
            Some(known) => *known = stored,
            None => self.traces.push(stored),
        }
    }
}

fn replace_by_id(list: &mut Vec<Value>, new: &Value) {
    match list.iter_mut().find(|known| known["id"] == new["id"]) {
        Some(known) => *known = new.clone(),
        None => list.push(new.clone()),
    }
}
