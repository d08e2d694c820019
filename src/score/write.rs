//! Pending scores on their way to Langfuse: a few by single requests, more in batches.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::pending::{Pending, Says, pending};
use crate::domain::{Thumb, Verdict, WorkspaceId};
use crate::langfuse::{
    BATCH_BYTES, Error, Event, Priority, Resource, Score, ScoreType, ScoreValue, Subject,
};
use crate::store::Db;
use crate::workspace::LangfuseConnection;

/// The name of the score that holds a person's label.
const HUMAN: &str = "human";
const HUMAN_TYPE: ScoreType = ScoreType::Categorical(&[
    Thumb::Up.as_str(),
    Thumb::Neutral.as_str(),
    Thumb::Down.as_str(),
]);
/// Scores in one batch, at most.
const SCORES_A_BATCH: i64 = 500;
/// From so many on they go in batches: the way that Langfuse prefers is one request each.
const BATCH_FROM: usize = 6;
/// The same where requests are counted; batches are counted apart.
const BATCH_FROM_LIMITED: usize = 2;
/// Scores sent one by one before the rows are looked at again.
const SINGLES_AT_ONCE: usize = 20;
/// So many scores that fail in a row are no score's fault. Of a connection in trouble one is tried, each time another.
const FAILURES_IN_A_ROW: usize = 2;
/// A score that fails so often while others are written is given up.
const FAILURES_MAX: i64 = 5;
/// A score that was at fault itself waits so long for its second try, and longer each time.
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// Writes a workspace's pending scores.
pub struct Writer<'a> {
    pub db: &'a Db,
    pub workspace: &'a WorkspaceId,
    pub langfuse: &'a LangfuseConnection,
    /// The Slack team's own address, which links to messages begin with.
    pub slack_url: Option<String>,
}

/// A pending score and the request that it becomes.
struct Outgoing {
    pending: Pending,
    kind: ScoreType,
    event: Event,
}

/// How far the pending scores are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// Nothing is pending any more.
    All,
    /// More may be pending.
    Some,
    /// Langfuse takes no scores at all, which the connection has noted; every score is still pending.
    None,
}

/// What became of the scores of a round, as far as they were sent.
#[derive(Default)]
struct Round {
    written: usize,
    /// Scores that were not taken, and it is not known whose fault that is.
    failed: Vec<(Pending, Error)>,
    /// What ended the round: it concerns no single score.
    ended_by: Option<Error>,
}

impl Writer<'_> {
    /// Writes some of what is pending, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn run(&self, is_stopping: impl Fn() -> bool) -> anyhow::Result<Wrote> {
        let waiting = pending(self.db, self.workspace, self.now_ms(), SCORES_A_BATCH).await?;
        if waiting.is_empty() {
            return Ok(Wrote::All);
        }
        let (withdrawn, given) = waiting.into_iter().partition(Pending::is_withdrawn);
        let mut round = self.round(given, &is_stopping).await?;
        self.deletions(withdrawn, &mut round, &is_stopping).await?;
        Ok(match self.settle(round).await? {
            true => Wrote::Some,
            false => Wrote::None,
        })
    }

    async fn round(
        &self,
        waiting: Vec<Pending>,
        is_stopping: &impl Fn() -> bool,
    ) -> anyhow::Result<Round> {
        let mut outgoing = match self.outgoing(waiting).await {
            Ok(outgoing) => outgoing,
            Err(error) => return Ok(Round::ended_by(error)),
        };
        if self.wants_batch(outgoing.len()) {
            cut_to_batch(&mut outgoing);
            let events: Vec<&Event> = outgoing.iter().map(|one| &one.event).collect();
            let client = self.langfuse.client.at(Priority::Scores);
            match client.put_scores(&events).await {
                Ok(ended) => return self.batch(outgoing, ended).await,
                Err(error) if error.is_transient() || matches!(error, Error::Unauthorised) => {
                    self.langfuse.batches.failed();
                    return Ok(Round::ended_by(error));
                }
                Err(error) => {
                    tracing::info!(%error, "Langfuse takes no batch of scores; they go one by one");
                    self.langfuse.batches.refused(self.elapsed());
                }
            }
        }
        self.singles(outgoing, is_stopping).await
    }

    /// The requests of pending scores, with the configs of their names.
    async fn outgoing(&self, waiting: Vec<Pending>) -> Result<Vec<Outgoing>, Error> {
        let mut outgoing = Vec::new();
        for pending in waiting {
            let Some((mut score, kind)) = self.score_of(&pending) else {
                continue;
            };
            score.config_id = self.langfuse.score_config(&score.name, kind).await?;
            // A row that was deleted with its trace begins its revisions anew, at another time.
            let (revision, wanted) = (pending.revision, pending.wanted_at_ms);
            let name = format!("{}\n{revision}\n{wanted}", score.id);
            let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string();
            let event = Event { id, score };
            outgoing.push(Outgoing {
                pending,
                kind,
                event,
            });
        }
        Ok(outgoing)
    }

    fn wants_batch(&self, waiting: usize) -> bool {
        let budget = self.langfuse.client.budget();
        let from = match budget.a_minute(Resource::PublicApi) {
            Some(_) => BATCH_FROM_LIMITED,
            None => BATCH_FROM,
        };
        waiting >= from && self.langfuse.batches.may_be(self.elapsed())
    }

    async fn batch(
        &self,
        outgoing: Vec<Outgoing>,
        ended: Vec<Result<(), Error>>,
    ) -> anyhow::Result<Round> {
        let mut round = Round::default();
        let mut configs = HashMap::new();
        for (one, ended) in outgoing.into_iter().zip(ended) {
            match ended {
                Err(error) if !error.concerns_this_request_only() => {
                    round.failed.push((one.pending, error));
                }
                ended => self.end(one, ended, &mut round, &mut configs).await?,
            }
        }
        if round.written == 0 && !round.failed.is_empty() {
            // Single requests tell whose fault that is.
            self.langfuse.batches.failed();
        }
        Ok(round)
    }

    async fn singles(
        &self,
        outgoing: Vec<Outgoing>,
        is_stopping: &impl Fn() -> bool,
    ) -> anyhow::Result<Round> {
        let client = self.langfuse.client.at(Priority::Scores);
        let mut round = Round::default();
        let mut configs = HashMap::new();
        let mut in_a_row = usize::from(self.langfuse.writing.trouble().is_some());
        for one in outgoing.into_iter().take(SINGLES_AT_ONCE) {
            if is_stopping() || in_a_row == FAILURES_IN_A_ROW {
                break;
            }
            match client.put_score(&one.event.score).await {
                Err(error @ Error::Unavailable { .. }) => {
                    round.failed.push((one.pending, error));
                    in_a_row += 1;
                    continue;
                }
                Err(error) if !error.concerns_this_request_only() => {
                    round.ended_by = Some(error);
                    break;
                }
                ended => self.end(one, ended, &mut round, &mut configs).await?,
            }
            self.langfuse.batches.single_taken();
            in_a_row = 0;
        }
        Ok(round)
    }

    /// Deletes the scores of labels that were taken back; after the others, which they must not hold up.
    async fn deletions(
        &self,
        withdrawn: Vec<Pending>,
        round: &mut Round,
        is_stopping: &impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let client = self.langfuse.client.at(Priority::Scores);
        let mut in_a_row = match round.written {
            0 => round.failed.len() + usize::from(self.langfuse.writing.trouble().is_some()),
            _ => 0,
        };
        for pending in withdrawn.into_iter().take(SINGLES_AT_ONCE) {
            if is_stopping() || round.ended_by.is_some() || in_a_row >= FAILURES_IN_A_ROW {
                break;
            }
            match client.delete_score(&pending.score_id(self.workspace)).await {
                Ok(()) => {
                    round.written += 1;
                    in_a_row = 0;
                    let now_ms = self.now_ms();
                    pending.written(self.db, self.workspace, now_ms).await?;
                }
                Err(error @ Error::Unavailable { .. }) => {
                    round.failed.push((pending, error));
                    in_a_row += 1;
                }
                Err(error) if !error.concerns_this_request_only() => round.ended_by = Some(error),
                Err(error) => self.give_up(&pending, &error.to_string()).await?,
            }
        }
        Ok(())
    }

    /// Records that a score is written, or that Langfuse will never take it. One whose config is not what it was is
    /// still pending.
    async fn end(
        &self,
        one: Outgoing,
        ended: Result<(), Error>,
        round: &mut Round,
        configs: &mut HashMap<String, Option<String>>,
    ) -> anyhow::Result<()> {
        let Err(error) = ended else {
            round.written += 1;
            let now_ms = self.now_ms();
            return Ok(one.pending.written(self.db, self.workspace, now_ms).await?);
        };
        let score = &one.event.score;
        if score.config_id.is_some() {
            if !configs.contains_key(&score.name) {
                let found = self.langfuse.renewed_score_config(&score.name, one.kind);
                let Ok(found) = found.await else {
                    return Ok(());
                };
                configs.insert(score.name.clone(), found);
            }
            if configs[&score.name] != score.config_id {
                return Ok(());
            }
        }
        self.give_up(&one.pending, &error.to_string()).await
    }

    async fn give_up(&self, pending: &Pending, why: &str) -> anyhow::Result<()> {
        tracing::warn!(trace.id = %pending.trace, why, "a score is given up");
        Ok(pending.refused(self.db, self.workspace, why).await?)
    }

    /// Says whose fault the failures of a round are: that of the scores, where others were written in it, else
    /// the connection's, which then rests. Says whether to go on.
    async fn settle(&self, round: Round) -> anyhow::Result<bool> {
        let is_well = round.failed.is_empty() && round.ended_by.is_none();
        if round.written > 0 || is_well {
            self.langfuse.writing.recovered();
        }
        let now_ms = self.now_ms();
        for (pending, error) in &round.failed {
            let failures = pending.failures + i64::from(round.written > 0);
            if failures >= FAILURES_MAX {
                let why = format!("{error}, {failures} times while others were written");
                self.give_up(pending, &why).await?;
                continue;
            }
            let wait = match round.written {
                0 => 0,
                _ => FIRST_WAIT.as_millis() as i64 * failures * failures,
            };
            let next = (failures, now_ms + wait);
            pending.postponed(self.db, self.workspace, next).await?;
        }
        let failed = round.failed.into_iter().map(|(_, error)| error).next();
        let trouble = match round.written {
            0 => round.ended_by.or(failed),
            _ => round.ended_by,
        };
        match trouble {
            None => Ok(true),
            Some(error) => {
                let wait = error.retry_after();
                self.langfuse.writing.failed(error.to_string(), wait);
                Ok(false)
            }
        }
    }

    /// `None` where there is to be none.
    fn score_of(&self, pending: &Pending) -> Option<(Score, ScoreType)> {
        let trace = Subject::Trace(pending.trace.to_string());
        let of = |subject, name: &str, value, comment: Option<&str>, metadata| Score {
            id: pending.score_id(self.workspace),
            subject,
            name: name.to_owned(),
            value,
            comment: comment.filter(|text| !text.is_empty()).map(str::to_owned),
            metadata,
            config_id: None,
        };
        let slack = self.permalink(pending);
        match &pending.says {
            Says::Verdict {
                version,
                eval_name,
                labels,
                verdict,
                reason,
                ..
            } => {
                let metadata =
                    json!({"eval_version": version.as_str(), "labels": labels, "by": "iofold"});
                let metadata = with(metadata, &[("slack", slack)]);
                let value = ScoreValue::Boolean(*verdict == Verdict::Pass);
                let score = of(trace, eval_name, value, Some(reason), metadata);
                Some((score, ScoreType::Boolean))
            }
            Says::Label {
                annotator,
                name,
                session,
                thumb,
                comment,
            } => {
                let metadata = json!({"annotator": annotator.as_str(), "by": "iofold"});
                let of_trace = session.is_some().then(|| pending.trace.to_string());
                let more = [
                    ("annotator_name", name.clone()),
                    ("slack", slack),
                    ("trace", of_trace),
                ];
                let subject = session.clone().map_or(trace, Subject::Session);
                let value = ScoreValue::Categorical(thumb.as_str().to_owned());
                let metadata = with(metadata, &more);
                let score = of(subject, HUMAN, value, comment.as_deref(), metadata);
                Some((score, HUMAN_TYPE))
            }
            Says::Withdrawn { .. } => None,
        }
    }

    fn permalink(&self, pending: &Pending) -> Option<String> {
        let message = pending.message.as_ref()?;
        message.permalink(self.slack_url.as_deref()?)
    }

    fn now_ms(&self) -> i64 {
        let clock = self.langfuse.client.budget().clock();
        clock.now().timestamp_millis()
    }

    fn elapsed(&self) -> Duration {
        self.langfuse.client.budget().clock().elapsed()
    }
}

impl Round {
    fn ended_by(error: Error) -> Self {
        Self {
            ended_by: Some(error),
            ..Self::default()
        }
    }
}

/// Leaves as many as Langfuse takes at once; at least one.
fn cut_to_batch(outgoing: &mut Vec<Outgoing>) {
    let mut bytes = 0;
    let fits = outgoing.iter().take_while(|one| {
        bytes += one.event.score.to_request().to_string().len() + EVENT_BYTES;
        bytes <= BATCH_BYTES
    });
    let fits = fits.count().max(1);
    outgoing.truncate(fits);
}

/// What an event has around its score.
const EVENT_BYTES: usize = 200;

/// The metadata with what else is known.
fn with(mut metadata: Value, more: &[(&str, Option<String>)]) -> Value {
    for (key, value) in more {
        if let Some(value) = value {
            metadata[*key] = json!(value);
        }
    }
    metadata
}
