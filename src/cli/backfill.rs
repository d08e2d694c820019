use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use indicatif::{ProgressBar, ProgressStyle};

use super::{DEFAULT_WORKSPACE, Failure, terminal};
use crate::app;
use crate::config::{Config, Environment};
use crate::domain::WorkspaceId;
use crate::ingest;
use crate::ingest::backfill::{self, Ended, Owner, Progress};
use crate::langfuse;
use crate::store::{Db, now_ms};
use crate::workspace;

/// A service that runs on the same database takes the work up within this.
const SERVICE_COMES_WITHIN: Duration = Duration::from_secs(10);
/// How often the rows are looked at while the service works.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// In a pipe, a line so often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Langfuse is tried again so long after it did not answer.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// A bar's steps.
const STEPS: u64 = 1_000;

/// What is to be read.
#[derive(clap::Args)]
pub struct Backfill {
    /// The first day or instant, UTC: 2026-06-01 or 2026-06-01T12:00:00Z
    #[arg(long, value_parser = instant)]
    since: DateTime<Utc>,
    /// The day or instant before which to end [default: now]
    #[arg(long, value_parser = instant)]
    until: Option<DateTime<Utc>>,
}

/// Has the traces of a stretch of time read, by the service where one runs on the database, and shows how far
/// it is. Whoever stops it loses nothing: the same command goes on where it was.
#[tokio::main]
pub async fn run(environment: &Environment, arguments: &Backfill) -> Result<(), Failure> {
    let config = Config::read(environment).map_err(|error| Failure::Usage(error.into()))?;
    let langfuse = config.langfuse.as_ref().ok_or_else(|| {
        Failure::Usage(anyhow!(
            "LANGFUSE_PUBLIC_KEY is not set. Set it and LANGFUSE_SECRET_KEY as for the service"
        ))
    })?;
    let db = Db::open(&config.database_url).await?;
    let command = Command {
        client: app::langfuse_client(langfuse)?,
        workspace: WorkspaceId::from(DEFAULT_WORKSPACE),
        owner: Owner::command(),
        display: Display::new(),
        db,
    };
    let ended = command.run(arguments).await;
    command.display.finish();
    ended
}

struct Command {
    db: Db,
    client: langfuse::Client,
    workspace: WorkspaceId,
    owner: Owner,
    display: Display,
}

impl Command {
    async fn run(&self, arguments: &Backfill) -> Result<(), Failure> {
        workspace::register(&self.db, &self.workspace)
            .await
            .context("the database cannot be written")?;
        let asked_at_ms = now_ms();
        let mut parts = Vec::new();
        for key in self.asked_for(arguments, asked_at_ms).await? {
            let begun = backfill::begin(&self.db, &self.workspace, key).await;
            begun.context("the database cannot be written")?;
            parts.push(self.read_through(key).await?);
        }
        self.display.finish();
        terminal::say(&the_end(&parts, asked_at_ms))
    }

    /// Waits until a stretch is read, by whomever.
    async fn read_through(&self, key: (i64, i64)) -> Result<Progress, Failure> {
        let mut alone_since = Instant::now();
        loop {
            let stretch = self.stretch(key).await?;
            self.display.show(&stretch);
            if stretch.finished_at_ms.is_some() {
                return Ok(stretch);
            }
            if stretch.is_with_service {
                alone_since = Instant::now();
            }
            if alone_since.elapsed() < SERVICE_COMES_WITHIN {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            match self.read(&stretch).await {
                Ok(Ended::Finished) => {}
                Ok(_) => alone_since = Instant::now(),
                Err(error) if is_transient(&error) => {
                    self.display
                        .complain(&format!("{error:#}; it is tried again"));
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                Err(error) => return Err(Failure::Host(error)),
            }
        }
    }

    /// The stretches to read, one after the other.
    async fn asked_for(
        &self,
        arguments: &Backfill,
        now_ms: i64,
    ) -> Result<Vec<(i64, i64)>, Failure> {
        let since = arguments.since.timestamp_millis();
        let until = arguments.until.map(|until| until.timestamp_millis());
        let until = until.filter(|until| *until < now_ms);
        if since >= until.unwrap_or(now_ms) {
            return Err(Failure::Usage(anyhow!(
                "there is nothing to read: --since must be before --until and before now"
            )));
        }
        let known = backfill::stretches(&self.db, &self.workspace).await;
        let known = known.context("the database cannot be read")?;
        Ok(match until {
            Some(until) => vec![(since, until)],
            None => up_to_now(&known, since, now_ms),
        })
    }

    async fn stretch(&self, key: (i64, i64)) -> anyhow::Result<Progress> {
        let found = backfill::find(&self.db, &self.workspace, key).await?;
        found.context("the wish is no longer in the database")
    }

    async fn read(&self, stretch: &Progress) -> anyhow::Result<Ended> {
        let rows = (&self.db, &self.workspace);
        let held = (stretch, &self.owner);
        let said = |progress: &Progress| self.display.show(progress);
        ingest::backfill_by_command(rows, &self.client, held, &said).await
    }
}

/// What was begun from that day on and is not read, and what has come since; all of it where nothing was begun.
fn up_to_now(known: &[Progress], since_ms: i64, now_ms: i64) -> Vec<(i64, i64)> {
    let follows = |one: &Progress| {
        let is_before =
            |first: &Progress| first.since_ms == since_ms && first.until_ms == one.since_ms;
        one.since_ms == since_ms || known.iter().any(is_before)
    };
    let unread = known.iter().filter(|one| one.finished_at_ms.is_none());
    let mut keys: Vec<(i64, i64)> = unread
        .filter(|one| follows(one))
        .map(|one| (one.since_ms, one.until_ms))
        .collect();
    keys.sort_unstable();
    let reached = keys.iter().map(|(_, until)| *until).max();
    keys.push((reached.unwrap_or(since_ms), now_ms));
    keys
}

/// What is read now, and when it was if that was before it was asked for.
fn the_end(parts: &[Progress], asked_at_ms: i64) -> String {
    let since = parts.iter().map(|part| part.since_ms).min();
    let until = parts.iter().map(|part| part.until_ms).max();
    let finished = parts.iter().filter_map(|part| part.finished_at_ms).max();
    let range = format!(
        "Everything from {} to {}",
        day_and_time(since.unwrap_or_default()),
        day_and_time(until.unwrap_or_default())
    );
    let traces: i64 = parts.iter().map(|part| part.traces).sum();
    match finished.filter(|finished| *finished < asked_at_ms) {
        Some(finished) => format!(
            "{range} was read at {}: {traces} traces. For reading it again, choose another --since.",
            day_and_time(finished)
        ),
        None => format!("{range} is read: {traces} traces stored on the way."),
    }
}

fn is_transient(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<langfuse::Error>();
    error.is_some_and(langfuse::Error::is_transient)
}

/// A bar on a terminal, lines in a pipe.
struct Display {
    bar: ProgressBar,
    last_line: std::sync::Mutex<Option<Instant>>,
}

impl Display {
    fn new() -> Self {
        let bar = match stderr().is_terminal() {
            true => ProgressBar::new(STEPS),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {msg}, {eta} left");
        bar.set_style(style.expect("the template is valid"));
        Self {
            bar,
            last_line: std::sync::Mutex::new(None),
        }
    }

    fn show(&self, progress: &Progress) {
        let done = (progress.share() * STEPS as f64) as u64;
        self.bar.set_position(done);
        self.bar.set_message(state(progress));
        let mut last = self.last_line.lock().expect("no holder of the lock panics");
        let is_due = last.is_none_or(|at| at.elapsed() >= LINE_EVERY);
        if self.bar.is_hidden() && is_due {
            *last = Some(Instant::now());
            eprintln!("{:>3.0} % {}", progress.share() * 100.0, state(progress));
        }
    }

    fn complain(&self, text: &str) {
        self.bar.suspend(|| terminal::complain(text));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn state(progress: &Progress) -> String {
    format!(
        "back to {}, {} traces",
        day_and_time(progress.reached_ms),
        progress.traces
    )
}

fn day_and_time(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M").to_string()
}

/// A day, from its start in UTC, or an instant.
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    let start = day.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    start
        .or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()))
        .map_err(|_| "write a day as 2026-06-01, or an instant as 2026-06-01T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(since_ms: i64, until_ms: i64, finished_at_ms: Option<i64>) -> Progress {
        Progress {
            since_ms,
            until_ms,
            reached_ms: since_ms,
            traces: 2,
            started_at_ms: 0,
            finished_at_ms,
            is_with_service: false,
        }
    }

    #[test]
    fn what_was_begun_is_gone_on_with_and_leaves_no_hole_up_to_now() {
        for (known, expected) in [
            (vec![], vec![(10, 99)]),
            (vec![read(10, 50, Some(60))], vec![(10, 99)]),
            (vec![read(10, 50, None)], vec![(10, 50), (50, 99)]),
            (
                vec![
                    read(50, 70, None),
                    read(10, 50, Some(60)),
                    read(20, 30, None),
                ],
                vec![(50, 70), (70, 99)],
            ),
        ] {
            assert_eq!(up_to_now(&known, 10, 99), expected);
        }
    }

    #[test]
    fn the_end_names_the_range_and_when_it_was_read_before() {
        let parts = [read(0, 60_000, Some(5)), read(60_000, 120_000, Some(200))];
        let said = the_end(&parts, 100);
        assert_eq!(
            said,
            "Everything from 1970-01-01 00:00 to 1970-01-01 00:02 is read: 4 traces stored on the way."
        );
        assert!(the_end(&parts[..1], 100).contains("was read at 1970-01-01 00:00: 2 traces"));
    }

    #[test]
    fn days_and_instants_are_read_and_nothing_else() {
        for (text, expected) in [
            ("2026-06-01", Some("2026-06-01T00:00:00+00:00")),
            (
                "2026-06-01T02:00:00+02:00",
                Some("2026-06-01T00:00:00+00:00"),
            ),
            ("yesterday", None),
            ("2026-13-01", None),
            ("", None),
        ] {
            let read = instant(text).ok().map(|time| time.to_rfc3339());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
