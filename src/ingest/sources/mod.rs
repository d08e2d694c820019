//! Reading what is new in LangSmith and in OpenAI's stored completions.
//!
//! As with Langfuse, what began in the last minutes is read again by every look, for it comes late and changes, and
//! the mark behind which all is read never gets there.

mod store;

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::arrive::{self, Seen};
use super::deliveries::AFTER_A_TRACE;
use super::gone::Shown;
use super::import::{self, Imported};
use super::store::stored;
use crate::app::App;
use crate::domain::{Origin, WorkspaceId};
use crate::langfuse::{Budget, Looked, Resource, Window};
use crate::sources::langsmith::Runs;
use crate::sources::{self, langsmith, openai};
use crate::store::Db;
use crate::workspace::{Source, Workspace};

/// What began less than this ago is read again.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// The first look goes back this far.
const FIRST_LOOK: TimeDelta = TimeDelta::hours(1);
/// Read at once, where that is not too much.
const LONGEST_WINDOW: TimeDelta = TimeDelta::minutes(15);
const SHORTEST_WINDOW: TimeDelta = TimeDelta::seconds(1);
/// A window of more pages is read in parts, so that the mark moves.
const PAGES_A_WINDOW: usize = 20;
/// Windows that one job reads; the next goes on.
const WINDOWS_A_JOB: usize = 20;
/// A trace that has not ended after so long is not waited for.
const LONGEST_RUN: TimeDelta = TimeDelta::hours(24);
/// New completions that one look reads.
const COMPLETIONS_A_LOOK: usize = 200;
/// Traces from before the overlap that have not ended and are read again by one look.
const OPEN_A_LOOK: usize = 5;

/// Asks each source of the workspace for what is new.
pub async fn read_sources(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let langsmith = async {
        let Some(source) = due(workspace.langsmith.as_ref(), langsmith::Client::budget) else {
            return Ok(0);
        };
        let look = LangSmithLook {
            db: &app.db,
            workspace: &workspace.id,
            client: &source.client,
        };
        let looked = look.run(|| app.is_stopping());
        noted(source, source.client.budget(), looked).await
    };
    let openai = async {
        let Some(source) = due(workspace.openai.as_ref(), openai::Client::budget) else {
            return Ok(0);
        };
        let looked = read_stored(app, &workspace.id, &source.client);
        noted(source, source.client.budget(), looked).await
    };
    let (langsmith, openai) = tokio::join!(langsmith, openai);
    if matches!(langsmith, Ok(1..)) || matches!(openai, Ok(1..)) {
        for work in AFTER_A_TRACE {
            app.jobs.push(&workspace.id, work).await;
        }
    }
    langsmith.and(openai).map(drop)
}

/// The source, unless it rests or the budget's next look is not due yet.
fn due<C>(source: Option<&Source<C>>, budget: impl Fn(&C) -> &Budget) -> Option<&Source<C>> {
    let source = source.filter(|source| !source.health.is_resting())?;
    let now = budget(&source.client).clock().elapsed();
    source.pace.wait(now).is_zero().then_some(source)
}

/// Looks, and keeps what it took and how the source is doing.
async fn noted<C>(
    source: &Source<C>,
    budget: &Budget,
    look: impl Future<Output = anyhow::Result<usize>>,
) -> anyhow::Result<usize> {
    let (began, through) = (budget.clock().elapsed(), budget.clock().now());
    let sent = budget.total(Resource::PublicApi);
    let looked = look.await;
    source.pace.looked(Looked {
        began,
        ended: budget.clock().elapsed(),
        through,
        thorough: true,
        requests: budget.total(Resource::PublicApi) - sent,
        a_minute: budget.a_minute(Resource::PublicApi).map(f64::from),
    });
    match &looked {
        Ok(_) => source.health.recovered(),
        Err(error) => {
            if let Some(error) = error.downcast_ref::<sources::Error>() {
                source.health.failed(error.to_string(), error.retry_after());
            }
        }
    }
    looked
}

/// One look at LangSmith.
struct LangSmithLook<'a> {
    db: &'a Db,
    workspace: &'a WorkspaceId,
    client: &'a langsmith::Client,
}

impl LangSmithLook<'_> {
    /// Reads from the mark on, window by window; says how many traces were stored.
    async fn run(&self, is_stopping: impl Fn() -> bool) -> anyhow::Result<usize> {
        let now = self.client.budget().clock().now();
        let mut from = from(self.db, self.workspace, Origin::LangSmith, now).await?;
        let mut stored = self.read_open(from).await?;
        let mut length = LONGEST_WINDOW;
        for _ in 0..WINDOWS_A_JOB {
            if from >= now || is_stopping() {
                break;
            }
            let to = now.min(from + length);
            match self.read_window(Window { from, to }).await? {
                Some(more) => {
                    set_mark(
                        self.db,
                        self.workspace,
                        Origin::LangSmith,
                        to.min(now - OVERLAP),
                    )
                    .await?;
                    (from, stored) = (to, stored + more);
                }
                None => length = (length / 4).max(SHORTEST_WINDOW),
            }
        }
        Ok(stored)
    }

    /// Stores a window's runs, then the traces they belong to; `None` where it holds too much.
    async fn read_window(&self, window: Window) -> anyhow::Result<Option<usize>> {
        let is_shortest = window.to - window.from <= SHORTEST_WINDOW;
        let limit = (!is_shortest).then_some(PAGES_A_WINDOW);
        match self.read(Runs::Of(window), limit).await {
            Err(error) if !is_shortest && is_too_large(&error) => Ok(None),
            read => read,
        }
    }

    /// Reads traces again that began before the overlap and have not ended: a few of them, others each time.
    async fn read_open(&self, before: DateTime<Utc>) -> anyhow::Result<usize> {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let bounds = (before - LONGEST_RUN, before);
        let mut open =
            store::open_traces(self.db, self.workspace, Origin::LangSmith, bounds).await?;
        if open.is_empty() {
            return Ok(0);
        }
        let turn = TURN.fetch_add(OPEN_A_LOOK, Ordering::Relaxed) % open.len();
        open.rotate_left(turn);
        let mut stored = 0;
        for (trace, began) in open.iter().take(OPEN_A_LOOK) {
            stored += self
                .read(Runs::OfTrace(trace, *began), None)
                .await?
                .unwrap_or(0);
        }
        Ok(stored)
    }

    async fn read(&self, runs: Runs<'_>, limit: Option<usize>) -> anyhow::Result<Option<usize>> {
        let (mut seen, shown) = (Seen::new(), shown());
        let mut cursor = None;
        for pages in 1.. {
            let page = self.client.runs(runs, cursor.as_deref()).await?;
            let seen_by = (&mut seen, &shown);
            arrive::keep_observations(self.db, self.workspace, &page.items, seen_by).await?;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            if limit.is_some_and(|limit| pages >= limit) {
                return Ok(None);
            }
        }
        let stored = arrive::put_together(self.db, self.workspace, (&seen, &shown)).await?;
        Ok(Some(stored))
    }
}

fn is_too_large(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref();
    matches!(error, Some(sources::Error::TooLarge { .. }))
}

/// Whether an error is about what was asked for alone.
fn is_its_own(error: &sources::Error) -> bool {
    use sources::Error::{TooLarge, Unusable};
    matches!(
        error,
        TooLarge { .. }
            | Unusable {
                status: 400..=499,
                ..
            }
    )
}

/// No trace is looked for at LangSmith to see whether it was deleted.
fn shown() -> Shown {
    Shown {
        origin: Origin::LangSmith.name().to_owned(),
        through: None,
    }
}

/// Reads the stored completions from the newest back to the mark, or some of them; says how many are new. Each is read
/// once, for none changes; one that is stored already costs no request, so that the next look goes on.
async fn read_stored(
    app: &App,
    workspace: &WorkspaceId,
    client: &openai::Client,
) -> anyhow::Result<usize> {
    let now = client.budget().clock().now();
    let from = from(&app.db, workspace, Origin::OpenAi, now).await?;
    let (mut new, mut after) = (0, None);
    loop {
        let (page, has_more) = client.completions(after.as_deref()).await?;
        let is_last = !has_more || page.iter().any(|one| one.created < from);
        after = page.last().map(|last| last.id.clone());
        for completion in page.into_iter().filter(|one| one.created >= from) {
            if stored(app.db.pool(), workspace, &completion.id)
                .await?
                .is_some()
            {
                continue;
            }
            let id = completion.id.clone();
            let trace = match client.trace(completion).await {
                Err(error) if is_its_own(&error) => {
                    tracing::warn!(completion.id = id, %error, "a stored completion is left out");
                    continue;
                }
                trace => trace?,
            };
            let kept = import::keep_traces(&app.db, workspace, vec![trace], Origin::OpenAi).await?;
            new += usize::from(kept == [Imported::New]);
            if app.is_stopping() || new == COMPLETIONS_A_LOOK {
                return Ok(new);
            }
        }
        if is_last || after.is_none() {
            set_mark(&app.db, workspace, Origin::OpenAi, now - OVERLAP).await?;
            return Ok(new);
        }
    }
}

/// From when on to read. A mark in the overlap or in the future is a clock that was put right.
async fn from(
    db: &Db,
    workspace: &WorkspaceId,
    source: Origin,
    now: DateTime<Utc>,
) -> sqlx::Result<DateTime<Utc>> {
    let mark = store::source_mark(db, workspace, source).await?;
    let mark = mark.and_then(DateTime::from_timestamp_millis);
    Ok(mark.map_or(now - FIRST_LOOK, |mark| mark.min(now - OVERLAP)))
}

async fn set_mark(
    db: &Db,
    workspace: &WorkspaceId,
    source: Origin,
    mark: DateTime<Utc>,
) -> sqlx::Result<()> {
    store::set_source_mark(db, workspace, source, mark.timestamp_millis()).await
}
