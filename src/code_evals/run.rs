//! One evaluation in the sandbox.

use std::time::Duration;

use serde_json::Value;

use super::contract::{self, Code, Dispatch, Refused};
use crate::domain::{ErrorKind, RunError};
use crate::sandbox::protocol::Question;
use crate::sandbox::{Answers, Limits, Reply, Sandbox};

/// Carries the evaluator's source in its trace, so that all evaluators share one image.
const RUNNER: &str = include_str!("runner.py");
/// How the runner begins the questions that are parts of its answer.
const MARK: &str = "iofold code evaluator, part ";
/// Parts of 100,000 characters that an answer within the limit may have.
const PARTS_MAX: usize = 3;
/// Half of what an eval of ours may use: on a usual core it ends before the clock does.
const FUEL: u64 = 5_000_000_000;
/// As on Langfuse Cloud.
const DEADLINE: Duration = Duration::from_secs(2);

/// Why an evaluation came to no scores.
#[derive(Debug)]
pub enum Failed {
    /// The evaluator, or its input.
    Refused(Refused),
    /// The host; Langfuse may try again.
    Host(String),
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Runs the evaluator: `{"scores": […]}`. Blocks.
///
/// # Errors
/// See [`Failed`].
pub fn run(sandbox: &Sandbox, dispatch: &Dispatch<'_>) -> Result<Value, Failed> {
    let limits = Limits {
        fuel: FUEL,
        deadline: DEADLINE,
        ..Limits::default()
    };
    let sandbox = sandbox.for_tenant(&dispatch.tenant).with_limits(limits);
    let (mut said, mut answers) = (String::new(), Answers::default());
    // Its answer comes in parts; for each further one it runs again, with those before known.
    for number in 1..=PARTS_MAX {
        let part = match sandbox.step(RUNNER, dispatch.text, &answers) {
            Reply::Asks(asked) => asked,
            Reply::Done(outcome) => return Err(of_outcome(outcome.result.err())),
        };
        let parts = parts_of(&part, number)?;
        said.push_str(&part.text);
        if number == parts {
            return Ok(contract::result_of(&said)?);
        }
        answers.insert(&part, true);
    }
    Err(tampered().into())
}

/// How many parts the answer has, of which this is the `number`th.
fn parts_of(part: &Question, number: usize) -> Result<usize, Refused> {
    let Some(place) = part.question.strip_prefix(MARK) else {
        let message = "judge() can't be asked in a code evaluator of Langfuse's";
        return Err(Refused::new(Code::UserCodeError, message));
    };
    let parts = place
        .split_once(" of ")
        .filter(|(at, _)| *at == number.to_string());
    let parts = parts.and_then(|(_, parts)| parts.parse().ok());
    parts
        .filter(|parts| (number..=PARTS_MAX).contains(parts))
        .ok_or_else(tampered)
}

fn tampered() -> Refused {
    let message = "the evaluator tampered with the interpreter that ran it";
    Refused::new(Code::UserCodeError, message)
}

fn of_outcome(error: Option<RunError>) -> Failed {
    let Some(error) = error else {
        return tampered().into();
    };
    let (code, message) = match error.kind {
        ErrorKind::Host => return Failed::Host(error.message),
        ErrorKind::Fuel | ErrorKind::Deadline => (
            Code::Timeout,
            "The evaluator took longer than the 2 seconds that it may run".to_owned(),
        ),
        ErrorKind::Memory => (
            Code::UserCodeError,
            "MemoryError: the evaluator used up its 128 MiB of memory".to_owned(),
        ),
        ErrorKind::TraceTooLarge => (Code::PayloadTooLarge, error.message),
        _ => (Code::UserCodeError, error.message),
    };
    Refused::new(code, message).into()
}
