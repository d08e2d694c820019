use serde::{Deserialize, Serialize};

use super::Class;

/// What an eval says of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// `True`.
    Pass,
    /// `False`.
    Fail,
    /// `None`: the eval has nothing to say of this trace.
    Abstain,
}

impl Verdict {
    /// The word in rows and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Abstain => "abstain",
        }
    }

    /// Reads [`Verdict::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pass, Self::Fail, Self::Abstain]
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
    }

    /// The class the verdict names; `None` for an abstention.
    pub fn class(self) -> Option<Class> {
        match self {
            Self::Pass => Some(Class::Pass),
            Self::Fail => Some(Class::Fail),
            Self::Abstain => None,
        }
    }
}

/// Why an eval gave no verdict. None of these counts as a fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The source is not Python, or defines no `evaluate`. The eval is at fault.
    Syntax,
    /// The eval raised. The eval is at fault; the message holds its own traceback.
    Exception,
    /// The eval returned neither `True`, `False` nor `None`. The eval is at fault.
    NotAVerdict,
    /// The eval reached for what it can't have; the message names it.
    Forbidden,
    /// The eval used up its fuel. Not retried: a loop would loop again.
    Fuel,
    /// The eval ran longer than the wall clock allows.
    Deadline,
    /// The eval needed more memory than it may have.
    Memory,
    /// The eval asked `judge` too often.
    JudgeBudget,
    /// `judge` can't answer: no LLM is configured, or it failed.
    JudgeUnavailable,
    /// The trace is larger than the sandbox takes.
    TraceTooLarge,
    /// The host failed; no eval is at fault: retried.
    Host,
}

impl ErrorKind {
    const ALL: [Self; 11] = [
        Self::Syntax,
        Self::Exception,
        Self::NotAVerdict,
        Self::Forbidden,
        Self::Fuel,
        Self::Deadline,
        Self::Memory,
        Self::JudgeBudget,
        Self::JudgeUnavailable,
        Self::TraceTooLarge,
        Self::Host,
    ];

    /// The word in rows and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Exception => "exception",
            Self::NotAVerdict => "not_a_verdict",
            Self::Forbidden => "forbidden",
            Self::Fuel => "fuel",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::JudgeBudget => "judge_budget",
            Self::JudgeUnavailable => "judge_unavailable",
            Self::TraceTooLarge => "trace_too_large",
            Self::Host => "host",
        }
    }

    /// Reads [`ErrorKind::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether another run would come to the same: the clock, the host and an LLM's failure are not the
    /// eval's doing, everything else is.
    pub fn is_repeatable(self) -> bool {
        !matches!(self, Self::Deadline | Self::Host | Self::JudgeUnavailable)
    }
}

/// The message of an [`ErrorKind::Exception`] for which the engine's stack was too short: what CPython does not
/// count nests that deeply, and how deep that is differs between processors.
pub const TOO_DEEP: &str = "the eval recursed too deeply";

/// An error's kind and a sentence for the eval's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// For the eval's owner; hostile text where it quotes the eval.
    pub message: String,
}

/// What one eval did on one trace: a verdict with its reason, or the error that prevented one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict and its reason (at most 2,000 characters, may be empty), or the error.
    pub result: Result<(Verdict, String), RunError>,
    /// What the eval printed: at most 4,000 characters and an ellipsis.
    pub printed: String,
    /// Fuel used; the same for the same eval and trace on every machine.
    pub fuel: u64,
    /// Wall time of the call, in microseconds.
    pub duration_us: u64,
}

impl Outcome {
    /// An error of which the eval's Python saw nothing.
    pub fn refused(error: RunError) -> Self {
        Self {
            result: Err(error),
            printed: String::new(),
            duration_us: 0,
            fuel: 0,
        }
    }

    /// The verdict, or `None` where the eval errored.
    pub fn verdict(&self) -> Option<Verdict> {
        self.result.as_ref().ok().map(|(verdict, _)| *verdict)
    }

    /// The host's failure, which is no outcome of the eval; `None` where the eval had its say.
    pub fn host_failure(&self) -> Option<&str> {
        let error = self.result.as_ref().err()?;
        (error.kind == ErrorKind::Host).then_some(error.message.as_str())
    }

    /// Whether another run would come to the same: see [`ErrorKind::is_repeatable`]; and [`TOO_DEEP`], which
    /// depends on the machine.
    pub fn is_repeatable(&self) -> bool {
        let error = self.result.as_ref().err();
        error.is_none_or(|error| error.kind.is_repeatable() && error.message != TOO_DEEP)
    }

    /// Whether it says what people say. An abstention, and an error of the eval's own, agree with nobody; `None` where
    /// another run may come to something else, as where nobody answers `judge`.
    pub fn is_right(&self, class: Class) -> Option<bool> {
        self.is_repeatable().then(|| self.class() == Some(class))
    }

    /// What kind of error prevented a verdict.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.result.as_ref().err().map(|error| error.kind)
    }

    /// The class that the verdict names; `None` for abstentions and errors.
    pub fn class(&self) -> Option<Class> {
        self.verdict().and_then(Verdict::class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_is_read_back_from_its_word() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::json!(kind), kind.as_str());
        }
        assert_eq!(ErrorKind::parse("gremlins"), None);
    }
}
