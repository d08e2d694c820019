use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;

use super::{Origin, Slip};
use crate::cli::input::{self, RawLine};
use crate::cli::{Failure, Replay, eval};
use crate::config::{self, Environment};
use crate::domain::EvalSource;
use crate::run::{find_payload, find_source};
use crate::sandbox::receipt::hash;
use crate::store::{Db, embedded_path};

/// Where receipts' evals and traces are: in the files that the flags name, else in those that the receipt
/// names, else in the service's database.
pub struct Sources<'a> {
    environment: &'a Environment,
    eval: Option<Found<EvalSource>>,
    traces: Option<PathBuf>,
    files: HashMap<PathBuf, TraceFile>,
    database: Option<Option<Database>>,
}

/// An eval or a trace, and where it was.
#[derive(Clone)]
pub struct Found<T> {
    pub is: T,
    pub place: String,
}

impl<T> Found<T> {
    fn new(is: T, place: impl ToString) -> Self {
        let place = place.to_string();
        Self { is, place }
    }
}

impl<'a> Sources<'a> {
    /// With what the flags name, which must be there.
    pub fn new(environment: &'a Environment, arguments: &Replay) -> Result<Self, Failure> {
        let eval = arguments.eval.as_deref().map(eval_at).transpose()?;
        let mut files = HashMap::new();
        if let Some(path) = &arguments.traces {
            files.insert(path.clone(), TraceFile::open(path)?);
        }
        Ok(Self {
            environment,
            eval,
            traces: arguments.traces.clone(),
            files,
            database: None,
        })
    }

    /// The receipt's eval, or what has become of it.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn eval(&mut self, Slip { receipt, from }: &Slip) -> Result<Found<EvalSource>, Failure> {
        if let Some(eval) = &self.eval {
            return Ok(eval.clone());
        }
        let named = from.as_ref().filter(|from| from.eval.is_file());
        let named = named.map(|from| eval_at(&from.eval)).transpose()?;
        if let Some(named) = named
            .as_ref()
            .filter(|named| named.is.hash() == receipt.eval)
        {
            return Ok(named.clone());
        }
        if let Some(database) = self.database()? {
            let kept = database.ask(find_source(&database.db, &receipt.eval))?;
            if let Some(kept) = kept {
                return Ok(Found::new(kept, "the database"));
            }
        }
        named.ok_or_else(|| nowhere("eval", "--eval EVAL.py"))
    }

    /// The receipt's trace (schema version 1, as JSON), or what has become of it.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn trace(&mut self, Slip { receipt, from }: &Slip) -> Result<Found<String>, Failure> {
        let from = from.as_ref();
        let flag = self.traces.clone();
        let named = flag
            .clone()
            .or_else(|| from.map(|from| from.traces.clone()));
        if let Some(path) = &named
            && let Some(found) = self.in_file(path, |file| file.find(&receipt.trace))?
        {
            return Ok(found);
        }
        if flag.is_none()
            && let Some(database) = self.database()?
        {
            let kept = find_payload(&database.db, &receipt.eval, &receipt.trace);
            if let Some(kept) = database.ask(kept)? {
                return Ok(Found::new(kept, "the database"));
            }
        }
        let changed = match (&named, from) {
            (Some(path), Some(Origin { line, .. })) => self.in_file(path, |file| file.at(*line))?,
            _ => None,
        };
        changed.ok_or_else(|| nowhere("trace", "--traces TRACES.jsonl"))
    }

    /// What `look` finds in a file; nothing if it is gone.
    fn in_file(
        &mut self,
        path: &Path,
        look: impl FnOnce(&mut TraceFile) -> Result<Option<Found<String>>, Failure>,
    ) -> Result<Option<Found<String>>, Failure> {
        if !self.files.contains_key(path) && path.is_file() {
            self.files.insert(path.to_owned(), TraceFile::open(path)?);
        }
        self.files.get_mut(path).map_or(Ok(None), look)
    }

    fn database(&mut self) -> Result<Option<&Database>, Failure> {
        if self.database.is_none() {
            self.database = Some(Database::open(self.environment)?);
        }
        Ok(self.database.as_ref().and_then(Option::as_ref))
    }
}

fn eval_at(path: &Path) -> Result<Found<EvalSource>, Failure> {
    Ok(Found::new(input::eval_file(path)?, path.display()))
}

fn nowhere(what: &str, flag: &str) -> Failure {
    Failure::Data(anyhow!(
        "the {what} that the receipt is of can't be found: it is neither where the receipt says, if it \
         says, nor in the database (DATABASE_URL). Name the file that has it with {flag}"
    ))
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
                let place = format!("line {number} of {}", self.path.display());
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
        if let Ok(read) = input::trace_line(&line) {
            let place = Place {
                start: line.start,
                length: line.bytes.len(),
            };
            self.lines.insert(line.number, place);
            let hash = hash(&read.trace.to_json());
            self.by_hash.entry(hash).or_insert(line.number);
        }
        Ok(true)
    }
}

/// The service's database, looked at only.
struct Database {
    db: Db,
    runtime: Runtime,
}

impl Database {
    /// `None` where there is no database, which looking does not make.
    fn open(environment: &Environment) -> Result<Option<Self>, Failure> {
        let url = config::database_url(environment);
        let url = url.map_err(|error| Failure::Usage(error.into()))?;
        if embedded_path(&url).is_some_and(|path| !Path::new(path).exists()) {
            return Ok(None);
        }
        let runtime = eval::runtime()?;
        let db = runtime.block_on(Db::connect(&url))?;
        Ok(Some(Self { db, runtime }))
    }

    fn ask<T>(&self, question: impl Future<Output = sqlx::Result<T>>) -> Result<T, Failure> {
        let answer = self.runtime.block_on(question);
        Ok(answer.context(
            "the database does not answer (`iofold serve` brings an older one up to date)",
        )?)
    }
}
