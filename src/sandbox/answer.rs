//! What the guest answers: JSON, and hostile.

use serde::Deserialize;

use crate::domain::{ErrorKind, RunError, Verdict};

/// The guest's longest answer is a message of 4,000 characters, each at most 12 bytes of escapes.
pub const MAX_BYTES: usize = 64 << 10;
/// Characters of an error's message, as the guest cuts them.
const MESSAGE_CHARS: usize = 4_000;

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
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
    JudgeUnavailable,
}

impl From<GuestErrorKind> for ErrorKind {
    fn from(kind: GuestErrorKind) -> Self {
        match kind {
            GuestErrorKind::Syntax => Self::Syntax,
            GuestErrorKind::Exception => Self::Exception,
            GuestErrorKind::NotAVerdict => Self::NotAVerdict,
            GuestErrorKind::Forbidden => Self::Forbidden,
            GuestErrorKind::Memory => Self::Memory,
            GuestErrorKind::JudgeUnavailable => Self::JudgeUnavailable,
        }
    }
}

/// Reads an answer. One that makes no sense is the eval's doing: the guest alone makes none.
pub fn read(bytes: &[u8], reason_chars: usize) -> Result<(Verdict, String), RunError> {
    match serde_json::from_slice(bytes) {
        Ok(Answer::Verdict { verdict, reason }) => Ok((name(verdict), cut(&reason, reason_chars))),
        Ok(Answer::Error { error }) => Err(RunError {
            kind: error.kind.into(),
            message: cut(&error.message, MESSAGE_CHARS),
        }),
        Err(_) => Err(RunError {
            kind: ErrorKind::Exception,
            message: "the eval tampered with the interpreter that ran it".to_owned(),
        }),
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
