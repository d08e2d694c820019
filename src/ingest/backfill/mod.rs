//! Reading months of old traces: backwards, in bounded windows, behind everything else.
//!
//! A row says how far back a stretch is read, so whoever goes on begins there. One process at a time holds
//! the row; the service takes it from a command, so that one budget of requests counts them all.

mod store;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

pub use store::{Progress, begin, find, stretches};

use super::read::{Reader, SHORTEST_WINDOW};
use crate::domain::WorkspaceId;
use crate::langfuse::Window;
use crate::store::{Db, now_ms};

/// The first window.
const FIRST_WINDOW: TimeDelta = TimeDelta::hours(1);
/// Where there is next to nothing, windows grow to this.
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(1);
/// A window of no more pages is followed by one twice as long.
const FEW_PAGES: usize = 3;
/// A holder says so this often.
const RENEW_EVERY: Duration = Duration::from_secs(15);

/// Who works at a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The service in this process.
    pub fn service() -> Self {
        Self(format!("service:{}", Uuid::new_v4()))
    }

    /// A command in this process: any other owner that comes takes over from it.
    pub fn command() -> Self {
        Self(format!("{}{}", store::COMMAND, Uuid::new_v4()))
    }

    /// Takes hold of a stretch, or keeps it; `None` where another owner does not give way.
    pub async fn hold(
        &self,
        db: &Db,
        workspace: &WorkspaceId,
        key: (i64, i64),
    ) -> sqlx::Result<Option<Progress>> {
        store::hold(db, workspace, key, &self.0, now_ms()).await
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
    /// # Errors
    /// Langfuse's or the database's; what was read stays so.
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
                store::let_go(db, workspace, key, &self.owner.0).await?;
                return Ok(Ended::Stopped);
            }
            let window = next_window(&held, length);
            length = match self.holding(&held, window).await? {
                Some(read) => {
                    let reached = (key, window.from.timestamp_millis());
                    store::advance(db, workspace, reached, read.stored, now_ms()).await?;
                    match read.pages <= FEW_PAGES {
                        true => (length * 2).min(LONGEST_WINDOW),
                        false => length,
                    }
                }
                None => (length / 4).max(SHORTEST_WINDOW),
            };
        }
    }

    /// Reads a window, however long the budget makes it wait, and keeps hold of the stretch meanwhile.
    async fn holding(
        &self,
        held: &Progress,
        window: Window,
    ) -> anyhow::Result<Option<super::read::Read>> {
        let Reader { db, workspace, .. } = &self.reader;
        let api = self.reader.client.api().await?;
        let key = (held.since_ms, held.until_ms);
        let reading = self.reader.read(api, window);
        tokio::pin!(reading);
        loop {
            match tokio::time::timeout(RENEW_EVERY, &mut reading).await {
                Ok(read) => return read,
                Err(_) => {
                    self.owner.hold(db, workspace, key).await?;
                }
            }
        }
    }
}

fn next_window(held: &Progress, length: TimeDelta) -> Window {
    let at = |ms| DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default();
    let to = at(held.reached_ms);
    Window {
        from: (to - length).max(at(held.since_ms)),
        to,
    }
}
