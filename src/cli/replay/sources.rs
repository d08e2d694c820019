use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;

use super::{LocatedReceipt, Origin};
use crate::cli::input::{self, RawLine};
use crate::cli::terminal::{Progress, visible_line};
use crate::cli::{Failure, Replay, eval};
use crate::config::{self, Environment};
use crate::domain::EvalSource;
use crate::run::{find_payload, find_source};
use crate::sandbox::receipt::hash;
use crate::store::{Db, embedded_path};

/// How long a database may take to be reached.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where receipts' evals and traces are: in the files that the flags name, else in those that the receipt
/// names, else in the service's database.
pub struct Sources<'a> {
    environment: &'a Environment,
    progress: &'a Progress,
    eval: Option<Found<EvalSource>>,
    traces: Option<TraceFile>,
    files: HashMap<PathBuf, TraceFile>,
    database: Option<Database>,
}

/// An eval or a trace, and where it was.
#[derive(Clone)]
pub struct Found<T> {
    pub content: T,
    pub place: String,
}

impl<T> Found<T> {
    fn new(content: T, place: impl Into<String>) -> Self {
        let place = place.into();
        Self { content, place }
    }
}

/// Where something was looked for in vain.
#[derive(Default)]
struct Missed {
    /// A sentence each.
    places: Vec<String>,
    /// It may be there.
    database_failed: bool,
}

impl<'a> Sources<'a> {
    /// With what the flags name, which must be there.
    pub fn new(
        environment: &'a Environment,
        progress: &'a Progress,
        arguments: &Replay,
    ) -> Result<Self, Failure> {
        let traces = arguments.traces.as_deref();
        Ok(Self {
            environment,
            progress,
            eval: arguments.eval.as_deref().map(eval_at).transpose()?,
            traces: traces.map(traces_of_flag).transpose()?,
            files: HashMap::new(),
            database: None,
        })
    }

    /// The receipt's eval, or what has become of it.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn eval(
        &mut self,
        LocatedReceipt { receipt, from }: &LocatedReceipt,
    ) -> Result<Found<EvalSource>, Failure> {
        if let Some(eval) = &self.eval {
            return Ok(eval.clone());
        }
        let mut missed = Missed::default();
        let named = missed.named(from.as_ref().map(|from| &from.eval), eval_at);
        let named = match named {
            Some(named) if named.content.hash() == receipt.eval => return Ok(named),
            other => other,
        };
        let kept = self.kept(&mut missed, async |db| find_source(db, &receipt.eval).await);
        kept.or(named)
            .ok_or_else(|| missed.failure("eval", "--eval EVAL.py"))
    }

    /// The receipt's trace (schema version 1, as JSON), or what has become of it.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn trace(
        &mut self,
        LocatedReceipt { receipt, from }: &LocatedReceipt,
    ) -> Result<Found<String>, Failure> {
        if let Some(file) = &mut self.traces {
            let found = file.find(&receipt.trace)?;
            return found.ok_or_else(|| file.has_it_not());
        }
        let mut missed = Missed::default();
        let from = from.as_ref();
        self.open_named(from, &mut missed);
        if let Some(file) = from.and_then(|from| self.files.get_mut(&from.traces)) {
            if let Some(found) = file.find(&receipt.trace)? {
                return Ok(found);
            }
            missed.add(format!("{} has it not", shown(&file.path)));
        }
        let kept = self.kept(&mut missed, async |db| {
            find_payload(db, &receipt.eval, &receipt.trace).await
        });
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let changed = from.and_then(|from| Some((self.files.get_mut(&from.traces)?, from.line)));
        let changed = changed.map_or(Ok(None), |(file, line)| file.at(line))?;
        changed.ok_or_else(|| missed.failure("trace", "--traces TRACES.jsonl"))
    }

    /// Opens the file of traces that a receipt names, if it can be read and is not open already.
    fn open_named(&mut self, from: Option<&Origin>, missed: &mut Missed) {
        let path = from.map(|from| &from.traces);
        if path.is_some_and(|path| self.files.contains_key(path)) {
            return;
        }
        if let Some(file) = missed.named(path, TraceFile::open) {
            self.files.insert(file.path.clone(), file);
        }
    }

    /// What the database has. One that can't be asked hides nothing that is found elsewhere: it is said once.
    fn kept<T>(
        &mut self,
        missed: &mut Missed,
        question: impl AsyncFnOnce(&Db) -> sqlx::Result<Option<T>>,
    ) -> Option<Found<T>> {
        let environment = self.environment;
        let database = self.database.take();
        let database = database.map_or_else(|| Database::open(environment), Ok);
        match database.and_then(|database| database.ask(missed, question)) {
            Ok((database, kept)) => {
                self.database = Some(database);
                kept.map(|kept| Found::new(kept, "the database"))
            }
            Err(error) => {
                self.database = Some(Database::Unusable);
                missed.add_failed_database();
                let warning = format!("{error:#}; going on without the database");
                self.progress.complain(&visible_line(&warning));
                None
            }
        }
    }
}

impl Missed {
    fn add(&mut self, sentence: impl Into<String>) {
        self.places.push(sentence.into());
    }

    fn add_failed_database(&mut self) {
        self.add("the database can't be asked");
        self.database_failed = true;
    }

    /// What `read` makes of the file that a receipt names.
    fn named<T>(
        &mut self,
        path: Option<&PathBuf>,
        read: impl FnOnce(&Path) -> Result<T, Failure>,
    ) -> Option<T> {
        let Some(path) = path else {
            self.add("the receipt names no file");
            return None;
        };
        if !path.is_file() {
            self.add(format!("{} is not there", shown(path)));
            return None;
        }
        let read = read(path);
        read.map_err(|failure| self.add(visible_line(&failure.to_string())))
            .ok()
    }

    fn failure(&self, what: &str, flag: &str) -> Failure {
        let places = self.places.join(", ");
        let error = anyhow!(
            "the {what} that the receipt is of can't be found: {places}. Name the file that has it with {flag}"
        );
        match self.database_failed {
            true => Failure::Host(error),
            false => Failure::Data(error),
        }
    }
}

fn eval_at(path: &Path) -> Result<Found<EvalSource>, Failure> {
    Ok(Found::new(input::eval_file(path)?, shown(path)))
}

/// The file of `--traces`, of which lines are read a second time.
fn traces_of_flag(path: &Path) -> Result<TraceFile, Failure> {
    if path.exists() && !path.is_file() || path == Path::new("-") {
        return Err(Failure::Usage(anyhow!(
            "--traces must name a file, not a pipe or a folder, for lines of it are read again: {}",
            shown(path)
        )));
    }
    TraceFile::open(path)
}

/// A path that a receipt may have named, in one line.
fn shown(path: &Path) -> String {
    visible_line(&path.display().to_string())
}

/// A file of traces, read as far as it was needed, with the places of what was read.
struct TraceFile {
    path: PathBuf,
    unread: Box<dyn Iterator<Item = Result<RawLine, Failure>>>,
    again: File,
    lines: HashMap<usize, Place>,
    by_hash: HashMap<String, usize>,
}

#[derive(Clone, Copy)]
struct Place {
    start: u64,
    length: usize,
}

impl TraceFile {
    fn open(path: &Path) -> Result<Self, Failure> {
        let again = File::open(path).with_context(|| format!("cannot read {}", path.display()));
        Ok(Self {
            path: path.to_owned(),
            again: again.map_err(Failure::Usage)?,
            unread: Box::new(input::lines(path)?),
            lines: HashMap::new(),
            by_hash: HashMap::new(),
        })
    }

    /// The failure to find a trace in the only file that was to be looked in.
    fn has_it_not(&self) -> Failure {
        let path = shown(&self.path);
        Failure::Data(anyhow!(
            "the trace that the receipt is of is not in {path}; without --traces it is looked for where the \
             receipt says, and in the database"
        ))
    }

    /// The trace of that hash.
    fn find(&mut self, wanted: &str) -> Result<Option<Found<String>>, Failure> {
        loop {
            if let Some(number) = self.by_hash.get(wanted) {
                return self.at(*number);
            }
            if !self.read_on()? {
                return Ok(None);
            }
        }
    }

    /// The trace of that line.
    fn at(&mut self, number: usize) -> Result<Option<Found<String>>, Failure> {
        loop {
            if let Some(place) = self.lines.get(&number) {
                let line = self.read_again(number, *place)?;
                let trace = input::trace_line(&line)?.trace.to_json();
                let place = format!("line {number} of {}", shown(&self.path));
                return Ok(Some(Found::new(trace, place)));
            }
            if !self.read_on()? {
                return Ok(None);
            }
        }
    }

    fn read_again(&self, number: usize, place: Place) -> Result<RawLine, Failure> {
        let mut bytes = vec![0; place.length];
        let read = self.again.read_exact_at(&mut bytes, place.start);
        read.with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(RawLine {
            number,
            start: place.start,
            bytes,
        })
    }

    /// Takes in one more line; `false` at the end. One that holds no trace is none that is looked for.
    fn read_on(&mut self) -> Result<bool, Failure> {
        let Some(line) = self.unread.next().transpose()? else {
            return Ok(false);
        };
        if let Ok(parsed) = input::trace_line(&line) {
            let place = Place {
                start: line.start,
                length: line.bytes.len(),
            };
            self.lines.insert(line.number, place);
            let hash = hash(parsed.trace.to_json());
            self.by_hash.entry(hash).or_insert(line.number);
        }
        Ok(true)
    }
}

/// The service's database, looked at only.
enum Database {
    /// Looking does not make one.
    Missing,
    Open {
        db: Db,
        runtime: Runtime,
    },
    /// What is wrong with it is said already.
    Unusable,
}

impl Database {
    fn open(environment: &Environment) -> anyhow::Result<Self> {
        let url = config::database_url(environment)?;
        if embedded_path(&url).is_some_and(|path| !Path::new(path).exists()) {
            return Ok(Self::Missing);
        }
        let runtime = eval::runtime()?;
        let db = runtime.block_on(Db::read_only(&url, PATIENCE))?;
        Ok(Self::Open { db, runtime })
    }

    fn ask<T>(
        self,
        missed: &mut Missed,
        question: impl AsyncFnOnce(&Db) -> sqlx::Result<Option<T>>,
    ) -> anyhow::Result<(Self, Option<T>)> {
        let answer = match &self {
            Self::Missing => {
                missed.add("there is no database (DATABASE_URL)");
                None
            }
            Self::Unusable => {
                missed.add_failed_database();
                None
            }
            Self::Open { db, runtime } => {
                let answer = runtime.block_on(question(db)).context(
                    "the database does not answer (`iofold serve` brings an older one up to date)",
                )?;
                missed.add("the database (DATABASE_URL) has none of that hash");
                answer
            }
        };
        Ok((self, answer))
    }
}
