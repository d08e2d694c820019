//! One process at a time makes an attempt with an LLM, which takes long and costs money.
//!
//! In: a workspace's eval. Out: the right to an attempt, in a row that is renewed while the attempt goes on, so that a
//! crash is repaired by whoever looks next. What must stay true: an LLM that always ends in a crash or a failure does not
//! hold the rules' eval up for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::anyhow;
use uuid::Uuid;

use super::offer::Made;
use super::store;
use crate::app::App;
use crate::domain::{EvalId, WorkspaceId};
use crate::store::now_ms;

/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(15);
/// Four renewals may fail before another process believes that this one has crashed.
const EXPIRES_AFTER_MS: i64 = 60_000;
/// What failed is not paid for again at once.
const AGAIN_AFTER_MS: i64 = 60_000;
/// Attempts with an LLM; the one after them is made without.
const WITH_LLM: i64 = 2;

/// The right to an attempt.
pub struct Turn {
    /// `None` without an LLM: an attempt by rules takes a second, and may be made twice.
    taken: Option<Taken>,
    /// Another process has taken it over: what goes on in this one's name ends.
    pub is_lost: Arc<AtomicBool>,
}

struct Taken {
    by: String,
    /// This one included.
    attempts: i64,
}

impl Turn {
    /// Takes it; `None` while another process is at it.
    pub async fn take(
        app: &App,
        workspace: &WorkspaceId,
        eval: &EvalId,
    ) -> sqlx::Result<Option<Self>> {
        if app.llm.is_none() {
            return Ok(Some(Self::of(None)));
        }
        let by = Uuid::now_v7().to_string();
        let until_ms = now_ms() + EXPIRES_AFTER_MS;
        let attempts = store::begin(&app.db, workspace, eval, &by, until_ms).await?;
        Ok(attempts.map(|attempts| Self::of(Some(Taken { by, attempts }))))
    }

    fn of(taken: Option<Taken>) -> Self {
        Self {
            taken,
            is_lost: Arc::default(),
        }
    }

    /// Whether the LLM has a part in it.
    pub fn may_ask(&self) -> bool {
        self.taken
            .as_ref()
            .is_some_and(|taken| taken.attempts <= WITH_LLM)
    }

    /// Says of what was made why the LLM had no part in it.
    pub fn noted(&self, mut made: Made) -> Made {
        if let (Some(_), false) = (&self.taken, self.may_ask()) {
            let note = format!(
                "The LLM had no part: {WITH_LLM} attempts with it came to no end; the log says why."
            );
            match &mut made {
                Made::Offer(offer) => offer.making.notes.push(note),
                Made::NotYet(not_yet) => not_yet.reason = format!("{} {note}", not_yet.reason),
            }
        }
        made
    }

    /// Makes the attempt while the right is renewed, and then gives it back; after a failure only later, unless the
    /// process ends.
    ///
    /// # Errors
    /// Those of `attempt`, and the database's; another process has taken the right over, for this one was held up.
    pub async fn during<T>(
        &self,
        app: &App,
        workspace: &WorkspaceId,
        eval: &EvalId,
        attempt: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let Some(taken) = &self.taken else {
            return attempt.await;
        };
        let ended = tokio::select! {
            ended = attempt => ended,
            () = keep(app, workspace, eval, &taken.by) => {
                self.is_lost.store(true, Relaxed);
                Err(anyhow!("another process has taken the attempt over"))
            }
        };
        match ended.is_ok() || app.is_stopping() {
            true => store::give_back(&app.db, workspace, eval, &taken.by).await?,
            false => {
                let until_ms = now_ms() + AGAIN_AFTER_MS;
                store::renew(&app.db, workspace, eval, &taken.by, until_ms).await?;
            }
        }
        ended
    }
}

/// Renews the right until another process has it.
async fn keep(app: &App, workspace: &WorkspaceId, eval: &EvalId, by: &str) {
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        let until_ms = now_ms() + EXPIRES_AFTER_MS;
        match store::renew(&app.db, workspace, eval, by, until_ms).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(workspace.id = %workspace, error = ?error, "an attempt to make an eval could not be renewed");
            }
        }
    }
}
