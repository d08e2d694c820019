//! Reading a window of time from Langfuse, by whichever API it has.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::arrive::{self, Seen};
use super::gone::{self, Shown};
use super::store;
use crate::domain::WorkspaceId;
use crate::langfuse::{self, Api, Client, Page, Window};
use crate::store::Db;

/// Not divided any further.
pub const SHORTEST_WINDOW: TimeDelta = TimeDelta::seconds(1);
/// A window that needs more pages is read in parts, so that the mark moves within one rate limit.
/// Ten pages are 10,000 observations; the smallest plan allows 30 calls a minute.
const PAGES_A_WINDOW: usize = 10;
/// An observation that runs longer than this is not seen to end.
const LONGEST_RUN: TimeDelta = TimeDelta::hours(24);

/// Where windows are read from, and where to.
pub struct Reader<'a> {
    pub db: &'a Db,
    pub workspace: &'a WorkspaceId,
    pub client: Client,
    /// v3 traces that began before this count as complete.
    pub settled_before_ms: i64,
    /// v4 observations asked for at once.
    pub observations_a_page: usize,
}

/// What a window held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Traces that were stored.
    pub stored: usize,
    /// Pages that were asked for.
    pub pages: usize,
}

impl Reader<'_> {
    /// Reads one window; `None` where it holds too much to be read at once. Traces that were shown before and
    /// are missing now are noted.
    pub async fn read(&self, api: Api, window: Window) -> anyhow::Result<Option<Read>> {
        let shown = self.shown(api).await?;
        let mut seen = Seen::new();
        let read = match api {
            Api::V4 => self.read_observations(window, (&mut seen, &shown)).await?,
            Api::V3 => self.read_traces(window, (&mut seen, &shown)).await?,
        };
        if read.is_some() {
            gone::note_missing(self, &shown, window, &seen).await?;
        }
        Ok(read)
    }

    async fn shown(&self, api: Api) -> Result<Shown, langfuse::Error> {
        Ok(Shown {
            origin: self.client.origin(api).await?,
            through: Some(self.client.filter_mark()),
        })
    }

    /// v4: stores the window's observations, then the traces they belong to.
    async fn read_observations(
        &self,
        window: Window,
        (seen, shown): (&mut Seen, &Shown),
    ) -> anyhow::Result<Option<Read>> {
        let mut cursor = None;
        for pages in 1.. {
            let page = self
                .client
                .observations(window, cursor.as_deref(), self.observations_a_page)
                .await?;
            cursor = self.keep(page, (seen, shown)).await?;
            if cursor.is_none() {
                let stored = self.put_together((seen, shown)).await?;
                return Ok(Some(Read { stored, pages }));
            }
            if is_too_much(pages, window) {
                break;
            }
        }
        Ok(None)
    }

    /// v4: what began before `from` and ended after it, which start times do not show. A Langfuse that
    /// cannot filter by end times is read by start times alone.
    pub async fn read_late_ends(&self, from: DateTime<Utc>) -> anyhow::Result<usize> {
        let shown = self.shown(Api::V4).await?;
        let mut seen = Seen::new();
        let mut cursor = None;
        loop {
            let (oldest, limit) = (from - LONGEST_RUN, self.observations_a_page);
            let client = &self.client;
            let read = client.observations_ended_late(oldest, from, cursor.as_deref(), limit);
            let page = match read.await {
                Err(error) if error.concerns_this_request_only() && !error.is_missing() => {
                    tracing::debug!(%error, "late ends are not seen");
                    return Ok(0);
                }
                page => page?,
            };
            cursor = self.keep(page, (&mut seen, &shown)).await?;
            if cursor.is_none() {
                break;
            }
        }
        self.put_together((&seen, &shown)).await
    }

    async fn keep(&self, page: Page, seen: (&mut Seen, &Shown)) -> sqlx::Result<Option<String>> {
        arrive::keep_observations(self.db, self.workspace, &page.items, seen).await?;
        Ok(page.next)
    }

    async fn put_together(&self, seen: (&Seen, &Shown)) -> anyhow::Result<usize> {
        arrive::put_together(self.db, self.workspace, seen).await
    }

    /// v3: reads each of the window's traces whose line in the list has changed.
    async fn read_traces(
        &self,
        window: Window,
        (seen, shown): (&mut Seen, &Shown),
    ) -> anyhow::Result<Option<Read>> {
        let mut stored = 0;
        let mut next = None;
        for pages in 1.. {
            let page = self.client.traces(window, next.as_deref()).await?;
            for line in page.items {
                if let Some(id) = arrive::id_in(&line, "id") {
                    seen.insert(id.to_owned(), false);
                }
                stored += usize::from(self.read_trace(Value::Object(line)).await?);
            }
            next = page.next;
            let traces: Vec<&str> = seen.keys().map(String::as_str).collect();
            gone::set_shown(self.db, self.workspace, &traces, shown).await?;
            if next.is_none() {
                return Ok(Some(Read { stored, pages }));
            }
            if is_too_much(pages, window) {
                break;
            }
        }
        Ok(None)
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
        let detail = match self.client.trace(id).await {
            Ok(Some(detail)) => detail,
            Ok(None) => return Ok(false),
            // Others are read all the same. That the route has gone is another matter.
            Err(error) if error.concerns_this_request_only() && !error.is_missing() => {
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
