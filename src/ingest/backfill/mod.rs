//! Reading months of old traces: backwards, in bounded windows, behind everything else.
//!
//! A row says how far back a stretch is read, so whoever goes on begins there. One process at a time holds
//! the row; the service takes it from a command, so that one budget of requests counts them all.

mod store;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

pub use store::{Progress, begin, find, stretches};

use super::gone;
use super::read::{Read, Reader, SHORTEST_WINDOW};
use crate::domain::WorkspaceId;
use crate::langfuse::{self, Window};
use crate::store::{Db, now_ms};

/// The first window.
const FIRST_WINDOW: TimeDelta = TimeDelta::hours(1);
/// Where there is next to nothing, windows grow to this.
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(1);
/// A window of no more pages is followed by one twice as long.
const FEW_PAGES: usize = 3;
/// A holder says so this often.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// The longest pause after a window.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Who works at a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    name: String,
    is_service: bool,
}

impl Owner {
    /// The service in this process.
    pub fn service() -> Self {
        Self {
            name: format!("service:{}", Uuid::new_v4()),
            is_service: true,
        }
    }

    /// A command in this process: a service that comes takes over from it.
    pub fn command() -> Self {
        Self {
            name: format!("{}{}", store::COMMAND, Uuid::new_v4()),
            is_service: false,
        }
    }

    /// A service says that it is there, and reads whatever is to be read; a command says nothing.
    pub async fn attend(&self, db: &Db, workspace: &WorkspaceId) -> sqlx::Result<()> {
        match self.is_service {
            true => store::attend(db, workspace, &self.name, now_ms()).await,
            false => Ok(()),
        }
    }

    /// Takes hold of a stretch, or keeps it; `None` where another owner does not give way.
    pub async fn hold(
        &self,
        db: &Db,
        workspace: &WorkspaceId,
        key: (i64, i64),
    ) -> sqlx::Result<Option<Progress>> {
        self.attend(db, workspace).await?;
        store::hold(db, workspace, key, &self.name, now_ms()).await
    }
}

/// Why work at a stretch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything is read.
    Finished,
    /// Another process holds it.
    Elsewhere,
    /// It was told to stop.
    Stopped,
}

/// Work at one stretch.
pub(super) struct Backfill<'a> {
    pub reader: Reader<'a>,
    pub owner: &'a Owner,
}

impl Backfill<'_> {
    /// Reads from where the stretch stands back to its beginning, and calls `said` after each window.
    ///
    /// A window that Langfuse does not answer for is asked for in parts.
    ///
    /// # Errors
    /// Langfuse's, which not even a second is answered for, or the database's; what was read stays so.
    pub async fn run(
        &self,
        stretch: &Progress,
        is_stopping: impl Fn() -> bool,
        said: &(dyn Fn(&Progress) + Sync),
    ) -> anyhow::Result<Ended> {
        let Reader { db, workspace, .. } = &self.reader;
        let mut length = FIRST_WINDOW;
        loop {
            let key = (stretch.since_ms, stretch.until_ms);
            let Some(held) = self.owner.hold(db, workspace, key).await? else {
                return Ok(Ended::Elsewhere);
            };
            said(&held);
            if held.finished_at_ms.is_some() {
                return Ok(Ended::Finished);
            }
            if is_stopping() {
                store::let_go(db, workspace, key, &self.owner.name).await?;
                return Ok(Ended::Stopped);
            }
            let window = next_window(&held, length);
            let work = self.read_back(key, window, &is_stopping);
            length = match self.holding(key, work).await {
                Ok(None) => return Ok(Ended::Elsewhere),
                Ok(Some(Some(read))) if read.pages <= FEW_PAGES => (length * 2).min(LONGEST_WINDOW),
                Ok(Some(Some(_))) => length,
                Ok(Some(None)) => shorter(length),
                Err(error) if length > SHORTEST_WINDOW && is_maybe_too_much(&error) => {
                    tracing::info!(%error, "a shorter time is asked for");
                    shorter(length)
                }
                Err(error) => return Err(error),
            };
        }
    }

    /// Reads a window, and asks for what is missing there; `None` where it holds too much. Where no limit paces
    /// this, every other moment is left to whatever else uses server and database.
    async fn read_back(
        &self,
        key: (i64, i64),
        window: Window,
        is_stopping: &impl Fn() -> bool,
    ) -> anyhow::Result<Option<Read>> {
        let Reader {
            db,
            workspace,
            client,
            ..
        } = &self.reader;
        let began = Instant::now();
        let api = client.api().await?;
        let Some(read) = self.reader.read(api, window).await? else {
            return Ok(None);
        };
        let reached = (key, window.from.timestamp_millis());
        store::advance(db, workspace, reached, read.stored, now_ms()).await?;
        gone::settle(&self.reader, is_stopping).await?;
        if client.budget().a_minute(api.resource()).is_none() {
            tokio::time::sleep(began.elapsed().min(PAUSE_MAX)).await;
        }
        Ok(Some(read))
    }

    /// Keeps hold of a stretch while some work lasts; `None` where another process has taken it meanwhile.
    async fn holding<T>(
        &self,
        key: (i64, i64),
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<Option<T>> {
        let Reader { db, workspace, .. } = &self.reader;
        tokio::pin!(work);
        loop {
            match tokio::time::timeout(RENEW_EVERY, &mut work).await {
                Ok(done) => return done.map(Some),
                Err(_) if self.owner.hold(db, workspace, key).await?.is_none() => return Ok(None),
                Err(_) => {}
            }
        }
    }
}

fn shorter(length: TimeDelta) -> TimeDelta {
    (length / 4).max(SHORTEST_WINDOW)
}

/// Whether less may be answered where this was not: a server says in many ways that it cannot.
fn is_maybe_too_much(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<langfuse::Error>();
    error.is_some_and(|error| !error.is_missing() && !error.concerns_the_connection())
}

fn next_window(held: &Progress, length: TimeDelta) -> Window {
    let at = |ms| DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default();
    let to = at(held.reached_ms);
    Window {
        from: (to - length).max(at(held.since_ms)),
        to,
    }
}
