use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, terminal};
use crate::app;
use crate::config::{Config, Environment, LangfuseConfig};
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
        client: client(langfuse)?,
        workspace: WorkspaceId::from("default"),
        owner: Owner::command(),
        display: Display::new(),
        db,
    };
    let ended = command.run(arguments).await;
    command.display.finish();
    ended
}

fn client(config: &LangfuseConfig) -> anyhow::Result<langfuse::Client> {
    app::langfuse_client(config)
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
        let key = self.asked_for(arguments).await?;
        let mut alone_since = Instant::now();
        loop {
            let stretch = self.stretch(key).await?;
            self.display.show(&stretch);
            if stretch.finished_at_ms.is_some() {
                return self.display.say_the_end(&stretch);
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

    /// The stretch: one that was begun from the same day on, or a new one.
    async fn asked_for(&self, arguments: &Backfill) -> Result<(i64, i64), Failure> {
        let since = arguments.since.timestamp_millis();
        let until = arguments.until.map(|until| until.timestamp_millis());
        if since >= until.unwrap_or(now_ms()).min(now_ms()) {
            return Err(Failure::Usage(anyhow!(
                "there is nothing to read: --since must be before --until and before now"
            )));
        }
        let known = backfill::stretches(&self.db, &self.workspace).await;
        let known = known.context("the database cannot be read")?;
        let unfinished = known
            .iter()
            .find(|one| one.since_ms == since && one.finished_at_ms.is_none());
        let until = until.or(unfinished.map(|one| one.until_ms));
        let key = (since, until.unwrap_or_else(now_ms));
        backfill::begin(&self.db, &self.workspace, key)
            .await
            .context("the database cannot be written")?;
        Ok(key)
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

    fn say_the_end(&self, progress: &Progress) -> Result<(), Failure> {
        self.finish();
        terminal::say(&format!(
            "Everything since {} is read: {} traces stored on the way.",
            day_and_time(progress.since_ms),
            progress.traces
        ))
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
