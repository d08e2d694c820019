use std::path::PathBuf;

use anyhow::{Context, anyhow};

use super::input::{self, RawLine};
use super::terminal::{self, Progress};
use super::{DEFAULT_WORKSPACE, Failure, no_such_workspace, say_if_new};
use crate::config::{self, Environment};
use crate::domain::WorkspaceId;
use crate::ingest::{self, Imported};
use crate::sources::{self, Lined};
use crate::store::Db;
use crate::workspace;

/// Traces written at once, and bytes of lines: what an interruption takes back.
const TRACES_AT_ONCE: usize = 100;
const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;
/// Of more bad lines only the number is said.
const SHOWN_MAX: usize = 20;

/// What is to be read, and where to.
#[derive(clap::Args)]
pub struct Import {
    /// Traces, one JSON object a line; - is standard input
    file: PathBuf,
    /// The workspace that gets them
    #[arg(long, value_name = "NAME", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

/// Takes a file's traces in. Whoever stops it loses nothing: the same command again finds what is there.
#[tokio::main]
pub async fn import(environment: &Environment, arguments: &Import) -> Result<(), Failure> {
    let lines = input::lines(&arguments.file)?;
    let url = config::database_url(environment).map_err(|error| Failure::Usage(error.into()))?;
    say_if_new(&url);
    let mut import = Importing {
        db: Db::open(&url).await?,
        workspace: WorkspaceId::from(arguments.workspace.as_str()),
        progress: Progress::through(&arguments.file, "traces"),
        waiting: Vec::new(),
        waiting_bytes: 0,
        counts: Counts::default(),
    };
    import.check_workspace().await?;
    for line in lines {
        import.take(&line?).await?;
    }
    import.write().await?;
    import.progress.finish();
    import.counts.say()
}

/// An import under way.
struct Importing {
    db: Db,
    workspace: WorkspaceId,
    progress: Progress,
    waiting: Vec<Lined>,
    waiting_bytes: usize,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    new: usize,
    changed: usize,
    known: usize,
    bad_lines: usize,
}

impl Importing {
    /// Nobody looks at a workspace that is no service's. A database that no service has used yet gets the usual one.
    async fn check_workspace(&self) -> Result<(), Failure> {
        let others = workspace::others_than(&self.db, &self.workspace).await;
        let Some(others) = others.context("the database cannot be read")? else {
            return Ok(());
        };
        if others.is_empty() && self.workspace.as_str() == DEFAULT_WORKSPACE {
            let registered = workspace::register(&self.db, &self.workspace).await;
            return Ok(registered.context("the database cannot be written")?);
        }
        Err(no_such_workspace(self.workspace.as_str(), &others))
    }

    async fn take(&mut self, line: &RawLine) -> Result<(), Failure> {
        match sources::read_line(&line.bytes) {
            Ok(traces) => self.waiting.extend(traces),
            Err(problem) => self.complain(line.number, &problem),
        }
        self.waiting_bytes += line.bytes.len();
        if self.waiting.len() >= TRACES_AT_ONCE || self.waiting_bytes >= BYTES_AT_ONCE {
            self.write().await?;
        }
        self.progress.advance(line.end());
        Ok(())
    }

    fn complain(&mut self, number: usize, problem: &str) {
        self.counts.bad_lines += 1;
        if self.counts.bad_lines <= SHOWN_MAX {
            self.progress.complain(&format!("line {number}: {problem}"));
        }
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let traces = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let imported = ingest::import_traces(&self.db, &self.workspace, traces).await;
        for imported in imported.context("the database cannot be written")? {
            *match imported {
                Imported::New => &mut self.counts.new,
                Imported::Changed => &mut self.counts.changed,
                Imported::Known => &mut self.counts.known,
            } += 1;
        }
        Ok(())
    }
}

impl Counts {
    fn say(&self) -> Result<(), Failure> {
        let Self {
            new,
            changed,
            known,
            bad_lines,
        } = self;
        terminal::say(&format!(
            "Traces: {new} new, {changed} changed, {known} there already."
        ))?;
        match bad_lines {
            0 => Ok(()),
            bad_lines => Err(Failure::Data(anyhow!(
                "lines left out: {bad_lines}. Correct them and give the command again; only what is new is taken"
            ))),
        }
    }
}
