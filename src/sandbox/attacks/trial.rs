//! What is run, and how it ended.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::guests::{self, Guest};
use super::judge::Canaries;
use super::suite::{NEIGHBOUR, Suite};
use super::{Expect, Source, TRACE, Trace, native, stopped};
use crate::domain::{ErrorKind, Outcome, Verdict};
use crate::sandbox::{Limits, Sandbox, SandboxError};

/// Evals that fill the worker's store of images, with one to spare.
const SERIES: usize = 10;
/// Where fuel never ends: the deadline, and once more on a fresh worker.
const SHORT: Duration = Duration::from_millis(500);

/// An eval with its trace, and where it runs.
pub struct Trial {
    /// One with one worker.
    pub sandbox: Sandbox,
    /// The eval's Python.
    pub source: String,
    /// The trace's JSON.
    pub trace: String,
    /// Of the sandbox's files, if it is not the suite's.
    folder: Option<TempDir>,
}

impl Trial {
    /// The folder that the program of its workers is named in.
    pub fn folder<'a>(&'a self, suite: &'a Suite) -> &'a Path {
        self.folder.as_ref().unwrap_or(&suite.folder).path()
    }

    /// On the suite's sandbox, after a call on a trace with the host's secret in it.
    pub fn of_eval(suite: &Suite, source: Source, trace: Trace, canaries: &Canaries) -> Self {
        let text = canaries.place(&source.text());
        let told = TRACE.replace("It is on its way.", canaries.secret());
        match (source, trace) {
            (_, Trace::AfterSecret) => drop(suite.sandbox.evaluate(&text, &told)),
            (Source::Series(_), _) => (1..SERIES).for_each(|number| {
                suite.sandbox.evaluate(&numbered(&text, number), &told);
            }),
            _ => drop(suite.sandbox.evaluate(NEIGHBOUR, &told)),
        }
        Self {
            sandbox: suite.sandbox.clone(),
            source: numbered(&text, 0),
            trace: trace.text(),
            folder: None,
        }
    }

    /// With more fuel than there is time for.
    pub fn with_endless_fuel(suite: &Suite, source: Source, canaries: &Canaries) -> Self {
        let trial = Self::of_eval(suite, source, Trace::Small, canaries);
        let limits = Limits {
            fuel: u64::MAX / 2,
            deadline: SHORT,
            ..trial.sandbox.limits.clone()
        };
        Self {
            sandbox: trial.sandbox.with_limits(limits),
            ..trial
        }
    }

    /// On a sandbox of its own.
    pub fn of_guest(suite: &Suite, guest: &Guest) -> Result<Self, SandboxError> {
        let (sandbox, folder) = guest.sandbox(&suite.worker)?;
        Ok(Self {
            sandbox: sandbox.with_limits(suite.sandbox.limits.clone()),
            source: guests::source(),
            trace: TRACE.to_owned(),
            folder: Some(folder),
        })
    }
}

fn numbered(source: &str, number: usize) -> String {
    source.replace("$NUMBER", &number.to_string())
}

/// How a try ended.
pub enum End {
    /// The eval ran.
    Outcome(Outcome),
    /// There is no sandbox to run it: why.
    NoSandbox(String),
    /// The worker itself tried.
    Native(native::Outcome),
}

impl End {
    /// A twin's.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Outcome(outcome) => outcome.verdict() == Some(Verdict::Pass),
            Self::NoSandbox(_) => false,
            Self::Native(outcome) => native::succeeded(outcome),
        }
    }

    /// A few words for the table.
    pub fn stopped_by(&self) -> String {
        match self {
            Self::Outcome(outcome) => stopped::by(outcome),
            Self::NoSandbox(why) => stopped::by_refusal(why),
            Self::Native(outcome) => native::stopped_by(outcome),
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(outcome) => f.write_str(&ended(outcome)),
            Self::NoSandbox(why) => write!(f, "there is no sandbox: {why}"),
            Self::Native(outcome) => write!(f, "it ended in {outcome:?}"),
        }
    }
}

/// In a line.
pub fn ended(outcome: &Outcome) -> String {
    let (kind, said) = match &outcome.result {
        Ok((verdict, reason)) => (verdict.as_str(), reason),
        Err(error) => (error.kind.as_str(), &error.message),
    };
    format!("it ended in {kind}: {}", stopped::sentence(said))
}

impl Expect {
    /// The attack's end is what it should be.
    pub fn allows(self, end: &End) -> bool {
        let outcome = match end {
            End::Outcome(outcome) => outcome,
            End::NoSandbox(_) => return matches!(self, Self::NoSandbox),
            End::Native(outcome) => {
                return matches!(self, Self::Stopped) && native::stopped(outcome);
            }
        };
        match (self, &outcome.result) {
            (_, Err(error)) if error.kind == ErrorKind::Host => false,
            (Self::Error(kind), Err(error)) => error.kind == kind,
            (Self::Verdict(verdict, reason), Ok(said)) => *said == (verdict, reason.to_owned()),
            (Self::OwnResult, _) => true,
            _ => false,
        }
    }
}
