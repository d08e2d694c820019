//! Reading from Langfuse what is new since the last look, window by window.

use chrono::{DateTime, TimeDelta, Utc};

use super::read::{Reader, SHORTEST_WINDOW};
use super::store;
use crate::langfuse::{Api, Looked, Window};
use crate::workspace::LangfuseConnection;

/// What began less than this ago is read again by the next thorough look: ingestion at Langfuse is late
/// and out of order.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// The first look goes back this far: enough to see something, no flood of old traces.
const FIRST_LOOK: TimeDelta = TimeDelta::hours(1);
/// Read at once, where that is not too much.
const LONGEST_WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Windows behind the overlap that one job reads; the next job goes on. The overlap itself is read to
/// its end, or heavy traffic would be seen minutes late.
const WINDOWS_A_JOB: usize = 20;
/// A mark so far behind the overlap is behind the traffic, and there is more to do than a short look.
const BEHIND: TimeDelta = TimeDelta::minutes(2);

/// One look at Langfuse.
pub struct Poll<'a> {
    pub langfuse: &'a LangfuseConnection,
    pub reader: Reader<'a>,
}

/// A stretch of time up to now, and whether everything before its overlap is then read for good.
struct Stretch {
    whole: Window,
    is_thorough: bool,
}

impl Poll<'_> {
    /// Reads from the mark on, and moves the mark behind each window that is stored, but never into
    /// the overlap. So a window behind the overlap is read once, and each look gets further than the
    /// last. Says how many traces were stored. Ends early, at a window's end, where `is_stopping` says so.
    ///
    /// A look within a minute after a thorough one is short: it reads what began since the last look,
    /// and leaves the mark. The rest of the overlap waits for the next thorough one.
    pub async fn run(&self, is_stopping: impl Fn() -> bool) -> anyhow::Result<usize> {
        let client = &self.reader.client;
        // Checks the keys, and makes the cards' links.
        client.own_project().await?;
        let api = client.api().await?;
        let budget = client.budget();
        let (now, began) = (budget.clock().now(), budget.clock().elapsed());
        let sent = client.sent_so_far();
        let mark = store::poll_mark(self.reader.db, self.reader.workspace).await?;
        let mark = mark.and_then(DateTime::from_timestamp_millis);
        let stretch = self.stretch(mark, now);
        let ended = match api == Api::V4 && mark.is_some() {
            true => self.reader.read_late_ends(stretch.whole.from).await?,
            false => 0,
        };
        let a_minute = budget.a_minute(api.resource());
        let (begun, is_whole) = self.read_windows(api, &stretch, is_stopping).await?;
        match is_whole {
            true => self.langfuse.pace.looked(Looked {
                began,
                ended: budget.clock().elapsed(),
                through: now,
                thorough: stretch.is_thorough,
                requests: client.sent_so_far() - sent,
                a_minute: a_minute.map(|a_minute| f64::from(a_minute) * api.live_share()),
            }),
            false => self.langfuse.pace.missed(),
        }
        Ok(ended + begun)
    }

    /// What is to be read now.
    fn stretch(&self, mark: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Stretch {
        // A mark in the overlap or in the future is a clock that was put right.
        let thorough = mark.map_or(now - FIRST_LOOK, |mark| mark.min(now - OVERLAP));
        let elapsed = self.reader.client.budget().clock().elapsed();
        let is_behind = thorough < now - OVERLAP - BEHIND;
        let short = self.langfuse.pace.short_from(elapsed);
        let short = short.filter(|from| !is_behind && (thorough..now).contains(from));
        Stretch {
            whole: Window {
                from: short.unwrap_or(thorough),
                to: now,
            },
            is_thorough: short.is_none(),
        }
    }

    /// Reads a stretch in windows that are not too much; says how many traces were stored, and whether
    /// it came to the end.
    async fn read_windows(
        &self,
        api: Api,
        stretch: &Stretch,
        is_stopping: impl Fn() -> bool,
    ) -> anyhow::Result<(usize, bool)> {
        let whole = stretch.whole;
        let settled = whole.to - OVERLAP;
        let (mut from, mut length) = (whole.from, LONGEST_WINDOW);
        let (mut stored, mut windows) = (0, 0);
        while from < whole.to && windows < WINDOWS_A_JOB {
            let to = whole.to.min(from + length);
            match self.reader.read(api, Window { from, to }).await? {
                Some(more) => {
                    if stretch.is_thorough {
                        self.set_mark(to.min(settled)).await?;
                    }
                    (from, stored) = (to, stored + more.stored);
                    windows += usize::from(to <= settled);
                }
                None => length = (length / 4).max(SHORTEST_WINDOW),
            }
            if is_stopping() {
                break;
            }
        }
        Ok((stored, from >= whole.to))
    }

    async fn set_mark(&self, mark: DateTime<Utc>) -> sqlx::Result<()> {
        let Reader { db, workspace, .. } = &self.reader;
        store::set_poll_mark(db, workspace, mark.timestamp_millis()).await
    }
}
