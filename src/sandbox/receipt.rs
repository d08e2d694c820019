//! Receipts: what it takes to run an eval on a trace again, and to know that the outcome is the same.
//!
//! Every hash is SHA-256 in lower-case hex, made of bytes that any program can make; `docs/design.md`,
//! section 5.1, says how.

use serde::{Deserialize, Serialize};

use super::{Answers, interpreter};
pub use crate::domain::sha256_hex as hash;
use crate::domain::{Outcome, RunError, Verdict};

/// The form that this version writes and reads.
pub const SCHEMA: u32 = 1;
/// Fuel is counted by the engine: another one may count otherwise.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// Proof of one outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`SCHEMA`].
    #[serde(rename = "receipt")]
    pub schema: u32,
    /// Hash of the eval's source.
    pub eval: String,
    /// [`interpreter`].
    pub interpreter: String,
    /// Hash of the JSON text that the guest was given.
    pub trace: String,
    /// What `judge` answered, by the questions' keys.
    pub answers: Vec<Answered>,
    /// Hash of [`canonical`].
    pub verdict: String,
    /// Fuel used.
    pub fuel: u64,
    /// [`ENGINE`].
    pub engine: String,
}

impl Receipt {
    /// The receipt of `outcome`, which the eval and the trace with these hashes came to, given `answers`.
    ///
    /// `None` where another run may come to something else: see [`crate::domain::ErrorKind::is_repeatable`].
    pub fn of(eval: &str, trace: &str, answers: &Answers, outcome: &Outcome) -> Option<Self> {
        outcome.is_repeatable().then(|| Self {
            schema: SCHEMA,
            eval: eval.to_owned(),
            interpreter: interpreter().to_owned(),
            trace: trace.to_owned(),
            answers: answered(answers),
            verdict: hash(canonical(outcome)),
            fuel: outcome.fuel,
            engine: ENGINE.to_owned(),
        })
    }

    /// The answers, for a run with them.
    pub fn answers(&self) -> Answers {
        let answers = self.answers.iter();
        answers
            .map(|answered| (answered.question.clone(), answered.answer))
            .collect()
    }
}

fn answered(answers: &Answers) -> Vec<Answered> {
    let pairs = answers.iter();
    pairs
        .map(|(question, answer)| Answered {
            question: question.to_owned(),
            answer,
        })
        .collect()
}

#[derive(Serialize)]
#[serde(untagged)]
enum Canonical<'a> {
    Verdict {
        verdict: Verdict,
        reason: &'a str,
        printed: &'a str,
    },
    Error {
        error: &'a RunError,
        printed: &'a str,
    },
}

/// What an eval said, as the one JSON text that is hashed: no white space, keys in this order, and only
/// `"`, `\` and control characters escaped.
pub fn canonical(outcome: &Outcome) -> String {
    let printed = &outcome.printed;
    let said = match &outcome.result {
        Ok((verdict, reason)) => Canonical::Verdict {
            verdict: *verdict,
            reason,
            printed,
        },
        Err(error) => Canonical::Error { error, printed },
    };
    serde_json::to_string(&said).expect("texts and words are JSON")
}

/// One answer of `judge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// [`Answers::key`] of the question.
    pub question: String,
    /// What was answered.
    pub answer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorKind;

    fn outcome(result: Result<(Verdict, String), RunError>) -> Outcome {
        Outcome {
            result,
            printed: "seen\n".to_owned(),
            duration_us: 3,
            fuel: 7,
        }
    }

    fn error(kind: ErrorKind) -> Outcome {
        let message = "why".to_owned();
        outcome(Err(RunError { kind, message }))
    }

    #[test]
    fn what_is_hashed_is_one_json_text() {
        let reason = "says \"blue\" \\ 👍 é\u{1}\u{7f}\n".to_owned();
        assert_eq!(
            canonical(&outcome(Ok((Verdict::Pass, reason)))),
            "{\"verdict\":\"pass\",\"reason\":\"says \\\"blue\\\" \\\\ 👍 é\\u0001\u{7f}\\n\",\"printed\":\"seen\\n\"}"
        );
        assert_eq!(
            canonical(&error(ErrorKind::NotAVerdict)),
            r#"{"error":{"kind":"not_a_verdict","message":"why"},"printed":"seen\n"}"#
        );
    }

    #[test]
    fn a_receipt_holds_what_it_takes_and_the_clock_is_no_part_of_it() {
        let passed = |duration_us| Outcome {
            duration_us,
            ..outcome(Ok((Verdict::Pass, "fine".to_owned())))
        };
        let receipt = |outcome: &Outcome| Receipt::of("e", "t", &Answers::default(), outcome);
        let made = receipt(&passed(1)).expect("a verdict has a receipt");
        assert_eq!(receipt(&passed(2)), Some(made.clone()));
        let json = serde_json::to_value(&made).expect("it is JSON");
        let expected = serde_json::json!({
            "receipt": 1, "eval": "e", "interpreter": interpreter(), "trace": "t", "answers": [],
            "verdict": hash(r#"{"verdict":"pass","reason":"fine","printed":"seen\n"}"#),
            "fuel": 7, "engine": ENGINE,
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Receipt>(json).ok(), Some(made));
    }

    #[test]
    fn what_the_clock_the_host_or_an_llm_did_has_no_receipt() {
        let receipt = |kind| Receipt::of("e", "t", &Answers::default(), &error(kind));
        for kind in [
            ErrorKind::Deadline,
            ErrorKind::Host,
            ErrorKind::JudgeUnavailable,
        ] {
            assert_eq!(receipt(kind), None, "{kind:?}");
        }
        for kind in [
            ErrorKind::Fuel,
            ErrorKind::Exception,
            ErrorKind::JudgeBudget,
        ] {
            assert!(receipt(kind).is_some(), "{kind:?}");
        }
    }

    #[test]
    fn the_answers_come_out_as_they_went_in() {
        let pairs = [("b", true), ("a", false)].map(|(key, answer)| (key.to_owned(), answer));
        let answers: Answers = pairs.into_iter().collect();
        let outcome = outcome(Ok((Verdict::Abstain, String::new())));
        let receipt = Receipt::of("e", "t", &answers, &outcome).expect("a receipt");
        let json = serde_json::json!([{"question": "a", "answer": false}, {"question": "b", "answer": true}]);
        assert_eq!(serde_json::json!(receipt.answers), json);
        assert_eq!(receipt.answers(), answers);
    }

    #[test]
    fn the_engine_is_the_one_that_is_built_in() {
        let (name, version) = ENGINE.split_once(' ').expect("a name and a version");
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(include_str!("../../Cargo.lock").contains(&locked));
    }
}
