//! Reading from Langfuse what is new since the last look, window by window.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::arrive::{self, Seen};
use super::store;
use crate::domain::WorkspaceId;
use crate::langfuse::{self, Api, Page, Window};
use crate::store::Db;
use crate::workspace::LangfuseConnection;

/// What began less than this ago is read again by the next look: ingestion at Langfuse is late and out
/// of order.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// The first look goes back this far: enough to see something, no flood of old traces.
const FIRST_LOOK: TimeDelta = TimeDelta::hours(1);
/// Read at once, where that is not too much.
const LONGEST_WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Not divided any further.
const SHORTEST_WINDOW: TimeDelta = TimeDelta::seconds(1);
/// A window that needs more pages is read in parts, so that the mark moves within one rate limit.
/// Ten pages are 10,000 observations; the smallest plan allows 30 calls a minute.
const PAGES_A_WINDOW: usize = 10;
/// Windows behind the overlap that one job reads; the next job goes on. The overlap itself is read to
/// its end, or heavy traffic would be seen minutes late.
const WINDOWS_A_JOB: usize = 20;
/// An observation that runs longer than this is not seen to end.
const LONGEST_RUN: TimeDelta = TimeDelta::hours(24);

/// One look at Langfuse.
pub struct Poll<'a> {
    pub db: &'a Db,
    pub workspace: &'a WorkspaceId,
    pub langfuse: &'a LangfuseConnection,
    /// v3 traces that began before this count as complete.
    pub settled_before_ms: i64,
    /// v4 observations asked for at once.
    pub observations_a_page: usize,
}

impl Poll<'_> {
    /// Reads from the mark on, and moves the mark behind each window that is stored, but never into
    /// the overlap. So a window behind the overlap is read once, and each look gets further than the
    /// last. Says how many traces were stored. Ends early, at a window's end, where `is_stopping` says so.
    pub async fn run(&self, is_stopping: impl Fn() -> bool) -> anyhow::Result<usize> {
        self.check_keys().await?;
        let api = self.langfuse.client.api().await?;
        let now = Utc::now();
        let mark = store::poll_mark(self.db, self.workspace).await?;
        let mark = mark.and_then(DateTime::from_timestamp_millis);
        // A mark in the overlap or in the future is a clock that was put right.
        let from = mark.map_or(now - FIRST_LOOK, |mark| mark.min(now - OVERLAP));
        let ended = match api == Api::V4 && mark.is_some() {
            true => self.read_late_ends(from).await?,
            false => 0,
        };
        let begun = self
            .read_windows(api, Window { from, to: now }, is_stopping)
            .await?;
        Ok(ended + begun)
    }

    /// Reads `whole`, whose end is now, in windows that are not too much.
    async fn read_windows(
        &self,
        api: Api,
        whole: Window,
        is_stopping: impl Fn() -> bool,
    ) -> anyhow::Result<usize> {
        let settled = whole.to - OVERLAP;
        let (mut from, mut length) = (whole.from, LONGEST_WINDOW);
        let (mut stored, mut windows) = (0, 0);
        while from < whole.to && windows < WINDOWS_A_JOB {
            let to = whole.to.min(from + length);
            match self.read(api, Window { from, to }).await? {
                Some(more) => {
                    let mark_ms = to.min(settled).timestamp_millis();
                    store::set_poll_mark(self.db, self.workspace, mark_ms).await?;
                    (from, stored) = (to, stored + more);
                    windows += usize::from(to <= settled);
                }
                None => length = (length / 4).max(SHORTEST_WINDOW),
            }
            if is_stopping() {
                break;
            }
        }
        Ok(stored)
    }

    /// Asks for the project once, which checks the keys and makes the cards' links. A Langfuse that
    /// does not name it is read all the same.
    async fn check_keys(&self) -> Result<(), langfuse::Error> {
        match self.langfuse.project().await {
            Err(error) if error.concerns_this_request_only() => {
                tracing::debug!(%error, "cards have no links to Langfuse");
                Ok(())
            }
            named => named.map(drop),
        }
    }

    /// Reads one window; `None` where it holds too much to be read at once.
    async fn read(&self, api: Api, window: Window) -> anyhow::Result<Option<usize>> {
        match api {
            Api::V4 => self.read_observations(window).await,
            Api::V3 => self.read_traces(window).await,
        }
    }

    /// v4: stores the window's observations, then the traces they belong to.
    async fn read_observations(&self, window: Window) -> anyhow::Result<Option<usize>> {
        let mut seen = Seen::new();
        let mut cursor = None;
        for pages in 1.. {
            let client = &self.langfuse.client;
            let page = client
                .observations(window, cursor.as_deref(), self.observations_a_page)
                .await?;
            cursor = self.keep(page, &mut seen).await?;
            if cursor.is_none() {
                break;
            }
            if is_too_much(pages, window) {
                return Ok(None);
            }
        }
        let stored = arrive::put_together(self.db, self.workspace, &seen).await?;
        Ok(Some(stored))
    }

    /// v4: what began before `from` and ended after it, which start times do not show. A Langfuse that
    /// cannot filter by end times is read by start times alone.
    async fn read_late_ends(&self, from: DateTime<Utc>) -> anyhow::Result<usize> {
        let mut seen = Seen::new();
        let mut cursor = None;
        loop {
            let client = &self.langfuse.client;
            let oldest = from - LONGEST_RUN;
            let limit = self.observations_a_page;
            let read = client.observations_ended_late(oldest, from, cursor.as_deref(), limit);
            let page = match read.await {
                Err(error) if error.concerns_this_request_only() && !error.is_missing() => {
                    tracing::debug!(%error, "late ends are not seen");
                    return Ok(0);
                }
                page => page?,
            };
            cursor = self.keep(page, &mut seen).await?;
            if cursor.is_none() {
                break;
            }
        }
        arrive::put_together(self.db, self.workspace, &seen).await
    }

    async fn keep(&self, page: Page, seen: &mut Seen) -> sqlx::Result<Option<String>> {
        arrive::keep_observations(self.db, self.workspace, &page.items, seen).await?;
        Ok(page.next)
    }

    /// v3: reads each of the window's traces whose line in the list has changed.
    async fn read_traces(&self, window: Window) -> anyhow::Result<Option<usize>> {
        let mut stored = 0;
        let mut next = None;
        for pages in 1.. {
            let page = self.langfuse.client.traces(window, next.as_deref()).await?;
            for line in page.items {
                stored += usize::from(self.read_trace(Value::Object(line)).await?);
            }
            next = page.next;
            if next.is_none() {
                break;
            }
            if is_too_much(pages, window) {
                return Ok(None);
            }
        }
        Ok(Some(stored))
    }

    /// Whether the trace had to be read, and was.
    async fn read_trace(&self, line: Value) -> anyhow::Result<bool> {
        let (db, workspace) = (self.db, self.workspace);
        let fields = line.as_object().expect("a page holds objects");
        let Some(id) = arrive::id_in(fields, "id") else {
            return Ok(false);
        };
        let text = line.to_string();
        if arrive::is_langfuses_own(fields)
            || store::is_up_to_date(db, workspace, id, &text).await?
        {
            return Ok(false);
        }
        let detail = match self.langfuse.client.trace(id).await {
            Ok(Some(detail)) => detail,
            Ok(None) => return Ok(false),
            Err(error @ langfuse::Error::TooLarge { .. }) => {
                tracing::warn!(trace.id = id, %error, "a trace is left out");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let line = Some(text.as_str());
        arrive::keep_detail(db, workspace, detail, line, self.settled_before_ms).await?;
        Ok(true)
    }
}

fn is_too_much(pages: usize, window: Window) -> bool {
    pages >= PAGES_A_WINDOW && window.to - window.from > SHORTEST_WINDOW
}
