//! `iofold replay`: takes receipts, finds what they are of, runs it again and says what differs.

mod compare;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Value};

use super::terminal::{Progress, say, visible_line};
use super::{Failure, eval, input};
use crate::config::Environment;
use crate::domain::ErrorKind;
use crate::run::{QUESTIONS_MAX, repeat};
use crate::sandbox::receipt::SCHEMA;
use crate::sandbox::{Receipt, Sandbox};
use compare::{Rerun, Said, differences};
use sources::Sources;

/// A receipt, and where its eval and its trace are. The second is no part of what is hashed.
#[derive(Debug, Serialize, Deserialize)]
pub struct LocatedReceipt {
    #[serde(flatten)]
    pub receipt: Receipt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
}

/// The files that an outcome is from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Origin {
    eval: PathBuf,
    traces: PathBuf,
    line: usize,
}

impl Origin {
    /// `None` unless both are files with names that JSON can hold.
    pub fn of(arguments: &super::Run) -> Option<Self> {
        let file = |path: &Path| {
            let path = std::path::absolute(path).ok()?;
            (path.is_file() && path.to_str().is_some()).then_some(path)
        };
        Some(Self {
            eval: file(&arguments.eval)?,
            traces: file(&arguments.traces)?,
            line: 0,
        })
    }

    /// For the trace of that line.
    pub fn at(&self, line: usize) -> Self {
        Self {
            line,
            ..self.clone()
        }
    }
}

/// `iofold replay`: runs again what receipts are of.
pub fn replay(environment: &Environment, arguments: &super::Replay) -> Result<(), Failure> {
    let mut stream = records(&arguments.receipt)?.peekable();
    let progress = Progress::through(&arguments.receipt, "receipts");
    let mut replayer = Replayer {
        sources: Sources::new(environment, &progress, arguments)?,
        sandbox: eval::sandbox(environment)?,
    };
    let mut tally = Tally::default();
    let mut unreadable = None;
    while let Some(record) = stream.next() {
        let record = match record {
            Ok(record) => record,
            Err(failure) => {
                unreadable = Some(failure);
                break;
            }
        };
        let several = tally.count() > 0 || stream.peek().is_some();
        let name = several.then_some(record.name.as_str());
        let replayed = record.proof.and_then(|proof| match proof {
            Some(proof) => replayer.replay(&proof).map(Replayed::Done),
            None => Ok(Replayed::WithoutReceipt),
        });
        progress.advance(record.end);
        tally.take(name, replayed, &progress)?;
    }
    progress.finish();
    tally.conclude(unreadable)
}

/// A JSON value of the stream: a receipt, or the line of an outcome.
struct Record {
    /// The outcome's id, or which receipt it is.
    name: String,
    /// The offset of its end.
    end: u64,
    /// `None` for an outcome that has no receipt; an error says why it is no record.
    proof: Result<Option<Proof>, Failure>,
}

/// A receipt, and what its outcome line says if it is in one.
struct Proof {
    located: LocatedReceipt,
    said: Option<Said>,
}

/// The records of a file; an error is the stream's, which can't be read on.
fn records(path: &Path) -> Result<impl Iterator<Item = Result<Record, Failure>>, Failure> {
    let mut values = Deserializer::from_reader(input::reader(path)?).into_iter::<Value>();
    let mut number = 0;
    Ok(std::iter::from_fn(move || {
        let value = values.next()?;
        number += 1;
        let end = values.byte_offset() as u64;
        let value =
            value.map_err(|error| Failure::Data(anyhow!("receipt {number} is not JSON: {error}")));
        Some(value.map(|value| record(value, number, end)))
    }))
}

fn record(value: Value, number: usize, end: u64) -> Record {
    let name = value["id"].as_str().map(str::to_owned);
    let proof = proof_in(value).map_err(|error| {
        // It may quote what it can't read.
        let error = visible_line(&format!("{error:#}"));
        Failure::Data(anyhow!("receipt {number} can't be read: {error}"))
    });
    Record {
        name: name.unwrap_or_else(|| format!("receipt {number}")),
        end,
        proof,
    }
}

fn proof_in(mut value: Value) -> anyhow::Result<Option<Proof>> {
    let (located, said) = match value.get_mut("receipt").map(Value::take) {
        None => anyhow::bail!(
            "it is neither a receipt nor a line of `iofold eval run`: it has no \"receipt\""
        ),
        Some(Value::Null) => return Ok(None),
        Some(Value::Number(schema)) => {
            value["receipt"] = schema.into();
            (value, None)
        }
        Some(located) => (located, Some(serde_json::from_value(value)?)),
    };
    let located: LocatedReceipt = serde_json::from_value(located)?;
    check(&located.receipt)?;
    Ok(Some(Proof { located, said }))
}

/// Whether it is of a form that we make.
fn check(receipt: &Receipt) -> anyhow::Result<()> {
    let schema = receipt.schema;
    anyhow::ensure!(
        schema == SCHEMA,
        "it has form {schema}, and this iofold knows {SCHEMA}; a newer one may know it"
    );
    let answers = receipt.answers.iter().map(|answer| &answer.question);
    let Receipt {
        eval,
        interpreter,
        trace,
        verdict,
        ..
    } = receipt;
    let hashes = [eval, interpreter, trace, verdict];
    let is_hash = |text: &&String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let wrong = answers.chain(hashes).find(|text| !is_hash(text));
    if let Some(wrong) = wrong {
        anyhow::bail!("{wrong:?} in it is no SHA-256 in hex");
    }
    anyhow::ensure!(
        receipt.answers.len() <= QUESTIONS_MAX,
        "it has more than {QUESTIONS_MAX} answers of judge()"
    );
    Ok(())
}

enum Replayed {
    /// With what differs.
    Done(Vec<String>),
    WithoutReceipt,
}

/// Runs what receipts are of.
struct Replayer<'a> {
    sources: Sources<'a>,
    sandbox: Sandbox,
}

impl Replayer<'_> {
    /// What differs.
    fn replay(&mut self, Proof { located, said }: &Proof) -> Result<Vec<String>, Failure> {
        let receipt = &located.receipt;
        let (eval, trace) = (self.sources.eval(located)?, self.sources.trace(located)?);
        let answers = receipt.answers();
        let outcome = repeat(&self.sandbox, &eval.content, &trace.content, answers).outcome;
        if let Err(error) = &outcome.result
            && let ErrorKind::Deadline | ErrorKind::Host = error.kind
        {
            let message = &error.message;
            return Err(Failure::Host(anyhow!("the replay was ended: {message}")));
        }
        let now = Rerun {
            eval,
            trace,
            outcome,
        };
        Ok(differences(receipt, said.as_ref(), &now))
    }
}

fn print(name: Option<&str>, differences: &[String]) -> Result<(), Failure> {
    let prefix = prefix(name);
    if differences.is_empty() {
        return say(&format!("{prefix}the same: verdict, reason and fuel"));
    }
    differences
        .iter()
        .try_for_each(|difference| say(&format!("{prefix}{difference}")))
}

/// Of which of several receipts a line is.
fn prefix(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("{}: ", visible_line(name)))
}

/// How the replays went.
#[derive(Default)]
struct Tally {
    same: usize,
    differ: usize,
    without: usize,
    /// Unreadable, or their eval or trace is nowhere, or the host failed.
    lost: usize,
    host_failed: bool,
}

impl Tally {
    /// Counts and prints. One that can't be replayed fails alone (it has no name) and not among others.
    fn take(
        &mut self,
        name: Option<&str>,
        replayed: Result<Replayed, Failure>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        match replayed {
            Ok(Replayed::WithoutReceipt) => self.without += 1,
            Ok(Replayed::Done(differences)) => {
                match differences.is_empty() {
                    true => self.same += 1,
                    false => self.differ += 1,
                }
                progress.aside(|| print(name, &differences))?;
            }
            Err(failure) if name.is_none() => return Err(failure),
            Err(failure) => {
                self.lost += 1;
                self.host_failed |= matches!(failure, Failure::Host(_));
                progress.complain(&format!("{}{failure}", prefix(name)));
            }
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.same + self.differ + self.without + self.lost
    }

    fn conclude(&self, unreadable: Option<Failure>) -> Result<(), Failure> {
        if self.count() > 1 || self.count() == 1 && unreadable.is_some() {
            say(&format!(
                "{} the same, {} differ, {} can't be replayed, {} without a receipt",
                self.same, self.differ, self.lost, self.without
            ))?;
        }
        if let Some(failure) = unreadable {
            return Err(failure);
        }
        if self.count() == self.without {
            return Err(self.no_receipt());
        }
        match (self.host_failed, self.differ + self.lost) {
            (true, _) => Err(Failure::Quiet(3)),
            (false, 0) => Ok(()),
            (false, _) => Err(Failure::Quiet(1)),
        }
    }

    fn no_receipt(&self) -> Failure {
        Failure::Data(anyhow!(match self.without {
            0 => "there is no receipt in it",
            _ =>
                "there is no receipt in it: what the clock, the host or an LLM did is not repeated",
        }))
    }
}
