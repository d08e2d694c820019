//! `iofold replay`: takes receipts, finds what they are of, runs it again and says what differs.

mod compare;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Value};

use super::terminal::say;
use super::{Failure, eval, input};
use crate::config::Environment;
use crate::domain::ErrorKind;
use crate::run::{QUESTIONS_MAX, repeat};
use crate::sandbox::receipt::SCHEMA;
use crate::sandbox::{Receipt, Sandbox};
use compare::{Said, differences};
use sources::Sources;

/// A receipt, and where its eval and its trace are. The second is no part of what is hashed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Slip {
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
    let mut given = given(&arguments.receipt)?.peekable();
    let mut sources = Sources::new(environment, arguments)?;
    let sandbox = eval::sandbox(environment)?;
    let mut tally = Tally::default();
    while let Some(one) = given.next() {
        let several = tally.count() > 0 || given.peek().is_some();
        let one = one?;
        let name = several.then(|| one.name.clone());
        match replay_one(&one, &mut sources, &sandbox) {
            Ok(Replayed::WithoutReceipt) => tally.without += 1,
            Ok(Replayed::Done(differences)) => {
                tally.add(&differences);
                print(name.as_deref(), &differences)?;
            }
            Err(Failure::Data(error)) if several => {
                tally.lost += 1;
                eprintln!("iofold: {}: {error:#}", one.name);
            }
            Err(failure) => return Err(failure),
        }
    }
    tally.conclude()
}

/// A receipt to replay, and the outcome that it is of as far as that is there.
struct Given {
    /// The outcome's id, or which receipt it is.
    name: String,
    /// `None` for an outcome that has none.
    slip: Option<Slip>,
    said: Option<Said>,
}

/// The receipts of a file: bare, or in the outcomes that they are of.
fn given(path: &Path) -> Result<impl Iterator<Item = Result<Given, Failure>>, Failure> {
    let values = Deserializer::from_reader(input::reader(path)?).into_iter::<Value>();
    Ok(values.zip(1..).map(|(value, number)| {
        let value = value.map_err(|error| Failure::Data(anyhow!(error).context("not JSON")))?;
        given_in(value, number).map_err(|error| {
            Failure::Data(error.context(format!("receipt {number} can't be read")))
        })
    }))
}

fn given_in(mut value: Value, number: usize) -> anyhow::Result<Given> {
    let name = value["id"].as_str().map(str::to_owned);
    let name = name.unwrap_or_else(|| format!("receipt {number}"));
    let (slip, said) = match value.get_mut("receipt").map(Value::take) {
        None => anyhow::bail!(
            "it is neither a receipt nor a line of `iofold eval run`: it has no \"receipt\""
        ),
        Some(Value::Number(schema)) => {
            value["receipt"] = schema.into();
            (value, None)
        }
        Some(slip) => (slip, Some(serde_json::from_value(value)?)),
    };
    let slip: Option<Slip> = serde_json::from_value(slip)?;
    if let Some(slip) = &slip {
        check(&slip.receipt)?;
    }
    Ok(Given { name, slip, said })
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

fn replay_one(
    given: &Given,
    sources: &mut Sources<'_>,
    sandbox: &Sandbox,
) -> Result<Replayed, Failure> {
    let Some(slip) = &given.slip else {
        return Ok(Replayed::WithoutReceipt);
    };
    let eval = sources.eval(slip)?;
    let trace = sources.trace(slip)?;
    let ran = repeat(sandbox, &eval.is, &trace.is, slip.receipt.answers());
    if let Err(error) = &ran.outcome.result
        && let ErrorKind::Deadline | ErrorKind::Host = error.kind
    {
        let message = &error.message;
        return Err(Failure::Host(anyhow!("the replay was ended: {message}")));
    }
    let differences = differences(
        &slip.receipt,
        given.said.as_ref(),
        &ran,
        [&eval.place, &trace.place],
    );
    Ok(Replayed::Done(differences))
}

fn print(name: Option<&str>, differences: &[String]) -> Result<(), Failure> {
    let prefix = name.map_or_else(String::new, |name| format!("{}: ", name.escape_debug()));
    if differences.is_empty() {
        return say(&format!("{prefix}the same: verdict, reason and fuel"));
    }
    differences
        .iter()
        .try_for_each(|difference| say(&format!("{prefix}{difference}")))
}

/// How the replays went.
#[derive(Default)]
struct Tally {
    same: usize,
    differ: usize,
    without: usize,
    /// Whose eval or trace is nowhere.
    lost: usize,
}

impl Tally {
    fn add(&mut self, differences: &[String]) {
        match differences.is_empty() {
            true => self.same += 1,
            false => self.differ += 1,
        }
    }

    fn count(&self) -> usize {
        self.same + self.differ + self.without + self.lost
    }

    fn conclude(&self) -> Result<(), Failure> {
        if self.same + self.differ + self.lost == 0 {
            return Err(Failure::Data(anyhow!(match self.without {
                0 => "there is no receipt in it",
                _ =>
                    "there is no receipt in it: what the clock, the host or an LLM did is not repeated",
            })));
        }
        if self.count() > 1 {
            say(&format!(
                "{} the same, {} differ, {} can't be replayed, {} without a receipt",
                self.same, self.differ, self.lost, self.without
            ))?;
        }
        match self.differ + self.lost {
            0 => Ok(()),
            _ => Err(Failure::Quiet(1)),
        }
    }
}
