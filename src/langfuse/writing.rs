//! Writing scores: one a request, or in batches; and their configs.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{PAGES_MAX, is_last_page};
use super::score::{Score, ScoreType, is_config_name};
use super::{Client, Error};

/// Langfuse takes batches of 3.5 MB.
pub const BATCH_BYTES: usize = 3_000_000;
/// Score configs asked for at once: Langfuse's largest page.
const CONFIGS_PAGE: usize = 100;
/// After Langfuse refused a batch as such, for so long there is none.
const BATCHES_REST: Duration = Duration::from_hours(1);
const WRITE: &str = "write a score";

/// A score in a batch.
pub struct Event {
    /// Differs where the same score says something else: Langfuse drops an event that it has seen.
    pub id: String,
    /// What is written.
    pub score: Score,
}

/// What there is of a score's config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoreConfig {
    /// Scores of the name may name it by this id.
    Found(String),
    /// One of its name is archived, or of another type or other categories: scores are written without.
    Unfit,
    /// Langfuse allows none of this name.
    NotAllowed,
}

#[derive(Deserialize)]
struct Configs {
    data: Vec<Value>,
    #[serde(default)]
    meta: Value,
}

#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    successes: Vec<EventStatus>,
    #[serde(default)]
    errors: Vec<EventStatus>,
}

#[derive(Deserialize)]
struct EventStatus {
    id: String,
    #[serde(default)]
    status: u16,
}

impl Client {
    /// Writes a score; the same id replaces.
    ///
    /// # Errors
    /// [`Error::Refused`] where Langfuse will never take this one, and others where it takes none.
    pub async fn put_score(&self, score: &Score) -> Result<(), Error> {
        let written = self.post(WRITE, "scores", &score.to_request()).await;
        written.map(|_: Value| ()).map_err(|error| match error {
            // The route is gone, which is no score's fault.
            Error::Refused {
                what,
                status: status @ (405 | 410 | 501),
            } => Error::NotLangfuse { what, status },
            error => error,
        })
    }

    /// Deletes a score; one that is not there is as good as deleted.
    ///
    /// # Errors
    /// [`Error::Refused`] where Langfuse will never delete this one, and others where it deletes none.
    pub async fn delete_score(&self, id: &str) -> Result<(), Error> {
        match self.delete("delete a score", &["scores", id]).await {
            Err(Error::Refused { status: 404, .. }) => Ok(()),
            ended => ended,
        }
    }

    /// Writes scores in one request, which is counted apart from others; gives what became of each. An event
    /// of which Langfuse says nothing has failed.
    ///
    /// # Errors
    /// Nothing is known to be written.
    pub async fn put_scores(&self, events: &[&Event]) -> Result<Vec<Result<(), Error>>, Error> {
        let now = self.budget().clock().now().to_rfc3339();
        let batch: Vec<Value> = events
            .iter()
            .map(|event| {
                json!({"id": event.id, "type": "score-create", "timestamp": now,
                       "body": event.score.to_request()})
            })
            .collect();
        let body = json!({ "batch": batch });
        let answer: Answered = self
            .post("write a batch of scores", "ingestion", &body)
            .await?;
        let taken = answer.successes.into_iter().map(|event| (event.id, None));
        let refused = answer.errors.into_iter();
        let refused = refused.map(|event| (event.id, Some(event.status)));
        let known: HashMap<String, Option<u16>> = taken.chain(refused).collect();
        let ended = |event: &&Event| match known.get(&event.id) {
            Some(None) => Ok(()),
            Some(Some(status)) => Err(Error::of_event(WRITE, *status)),
            None => Err(Error::of_event(WRITE, 500)),
        };
        Ok(events.iter().map(ended).collect())
    }

    /// The config of a score's name, made where there is none; it makes the score filterable and chartable.
    pub async fn ensure_score_config(
        &self,
        name: &str,
        kind: ScoreType,
    ) -> Result<ScoreConfig, Error> {
        if !is_config_name(name) {
            return Ok(ScoreConfig::NotAllowed);
        }
        let named = self.score_configs(name).await?;
        let fitting = named.iter().find(|config| kind.fits(config));
        let made = match (fitting, named.is_empty()) {
            (Some(config), _) => config.clone(),
            (None, false) => return Ok(ScoreConfig::Unfit),
            (None, true) => {
                let what = "make a score config";
                self.post(what, "score-configs", &kind.to_request(name))
                    .await?
            }
        };
        let id_of = |config: &Value| config["id"].as_str().map(str::to_owned);
        let id = match id_of(&made) {
            Some(id) => Some(id),
            // Some servers answer writes with nothing.
            None => {
                let named = self.score_configs(name).await?;
                named
                    .iter()
                    .find(|config| kind.fits(config))
                    .and_then(id_of)
            }
        };
        Ok(id.map_or(ScoreConfig::Unfit, ScoreConfig::Found))
    }

    /// The configs of this name.
    async fn score_configs(&self, name: &str) -> Result<Vec<Value>, Error> {
        let mut named = Vec::new();
        for page in 1..=PAGES_MAX {
            let query = [
                ("page", page.to_string()),
                ("limit", CONFIGS_PAGE.to_string()),
            ];
            let what = "list score configs";
            let configs: Configs = self.get(what, "score-configs", &query).await?;
            let is_last = is_last_page(page, configs.data.len(), &configs.meta);
            let of_name = configs.data.into_iter().filter(|c| c["name"] == name);
            named.extend(of_name);
            if is_last {
                break;
            }
        }
        Ok(named)
    }
}

/// Whether a connection's scores go in batches: the route is an old one, and a batch may fail as a whole for one
/// of its scores.
#[derive(Default)]
pub struct Batches(Mutex<Way>);

#[derive(Clone, Copy, Default)]
enum Way {
    #[default]
    Batches,
    /// A batch had no answer; single requests tell whether that was its fault.
    Single,
    /// Langfuse takes no batches.
    SingleUntil(Duration),
}

impl Batches {
    /// Whether there may be one, at a time by [`crate::clock::Clock::elapsed`].
    pub fn may_be(&self, now: Duration) -> bool {
        match *self.way() {
            Way::Batches => true,
            Way::Single => false,
            Way::SingleUntil(until) => now >= until,
        }
    }

    /// Langfuse refused a batch.
    pub fn refused(&self, now: Duration) {
        *self.way() = Way::SingleUntil(now + BATCHES_REST);
    }

    /// A batch had no answer.
    pub fn failed(&self) {
        *self.way() = Way::Single;
    }

    /// A single request was answered.
    pub fn single_taken(&self) {
        let mut way = self.way();
        if let Way::Single = *way {
            *way = Way::Batches;
        }
    }

    fn way(&self) -> std::sync::MutexGuard<'_, Way> {
        self.0.lock().expect("no holder of the lock panics")
    }
}
