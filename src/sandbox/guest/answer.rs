//! What the guest answers: JSON, and hostile.

use serde::Deserialize;

use crate::domain::{ErrorKind, RunError, Verdict};
use crate::sandbox::protocol::Question;

/// The guest's longest answer is a question about 100,000 characters, each at most 12 bytes of escapes.
pub const MAX_BYTES: usize = 2 << 20;
/// Characters (code points) of a reason; the guest cuts there too.
pub const REASON_CHARS: usize = 2_000;
/// Characters of an error's message, as the guest cuts it.
pub const MESSAGE_CHARS: usize = 4_000;
/// Characters of what was printed, with the ellipsis where it was cut.
pub const PRINTED_CHARS: usize = 4_001;
/// Characters of a question to `judge`, as the guest refuses more.
pub const QUESTION_CHARS: usize = 2_000;
/// Characters of the text that a question is about.
pub const TEXT_CHARS: usize = 100_000;

/// A guest's answer, with all texts cut.
pub enum Answer {
    /// The eval ended.
    Said {
        /// The verdict and its reason, or the error.
        result: Result<(Verdict, String), RunError>,
        /// What the eval printed.
        printed: String,
    },
    /// It asks `judge` what it has no answer to.
    Asks(Question),
}

impl Answer {
    /// An error of which nothing else is known.
    pub fn error(error: RunError) -> Self {
        let (result, printed) = (Err(error), String::new());
        Self::Said { result, printed }
    }
}

#[derive(Deserialize)]
struct GuestAnswer {
    #[serde(flatten)]
    said: Said,
    #[serde(default)]
    printed: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Asks {
        asks: Question,
    },
    Error {
        error: GuestError,
    },
    Verdict {
        verdict: Option<bool>,
        reason: String,
    },
}

#[derive(Deserialize)]
struct GuestError {
    kind: GuestErrorKind,
    message: String,
}

/// The kinds that an eval could cause from within. The others are the host's to say.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum GuestErrorKind {
    Syntax,
    Exception,
    NotAVerdict,
    Forbidden,
    Memory,
}

impl From<GuestErrorKind> for ErrorKind {
    fn from(kind: GuestErrorKind) -> Self {
        match kind {
            GuestErrorKind::Syntax => Self::Syntax,
            GuestErrorKind::Exception => Self::Exception,
            GuestErrorKind::NotAVerdict => Self::NotAVerdict,
            GuestErrorKind::Forbidden => Self::Forbidden,
            GuestErrorKind::Memory => Self::Memory,
        }
    }
}

/// Reads an answer. One that makes no sense is the eval's doing: the guest alone makes none.
pub fn read(bytes: &[u8]) -> Answer {
    let Ok(GuestAnswer { said, printed }) = serde_json::from_slice(bytes) else {
        return Answer::error(tampered());
    };
    let result = match said {
        Said::Verdict { verdict, reason } => Ok((name(verdict), cut(&reason, REASON_CHARS))),
        Said::Error { error } => Err(error.into()),
        Said::Asks { asks } => return Answer::Asks(cut_question(&asks)),
    };
    let printed = cut(&printed, PRINTED_CHARS);
    Answer::Said { result, printed }
}

/// The error of an answer that the guest alone does not make.
pub fn tampered() -> RunError {
    RunError {
        kind: ErrorKind::Exception,
        message: "the eval tampered with the interpreter that ran it".to_owned(),
    }
}

impl From<GuestError> for RunError {
    fn from(error: GuestError) -> Self {
        Self {
            kind: error.kind.into(),
            message: cut(&error.message, MESSAGE_CHARS),
        }
    }
}

fn cut_question(asks: &Question) -> Question {
    Question {
        question: cut(&asks.question, QUESTION_CHARS),
        text: cut(&asks.text, TEXT_CHARS),
    }
}

fn name(verdict: Option<bool>) -> Verdict {
    match verdict {
        Some(true) => Verdict::Pass,
        Some(false) => Verdict::Fail,
        None => Verdict::Abstain,
    }
}

/// At most `chars` characters, without NUL, which Postgres does not store.
fn cut(text: &str, chars: usize) -> String {
    let shown = |c| {
        if c == '\0' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().take(chars).map(shown).collect()
}
