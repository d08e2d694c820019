//! What the service and a worker say to each other, over one socket.
//!
//! Everything is a frame: the length of what follows (four bytes, little-endian), the protocol's version (one
//! byte) and one message (postcard). The worker speaks first, a [`Greeting`]; from then on the service sends a
//! [`Job`] and the worker a [`Reply`], in turn. What an eval did to its worker is not known, so the service
//! believes no frame: it is bounded before memory is taken for it, and what it says is checked.

use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::time::Duration;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::guest::{MESSAGE_CHARS, PRINTED_CHARS, QUESTION_CHARS, REASON_CHARS, TEXT_CHARS};
use super::walls::WallState;
use crate::domain::{ErrorKind, Outcome};

/// Of the messages below. Both sides are the same program, unless its file was replaced between two starts.
pub const VERSION: u8 = 1;
/// Bytes of [`Job::source`].
pub const SOURCE_BYTES: usize = 256 << 10;
/// Bytes of [`Job::trace`].
pub const TRACE_BYTES: usize = 8 << 20;
/// Bytes of [`Job::answers`]; an eval has five answers at most, of some 75 bytes.
pub const ANSWERS_BYTES: usize = 64 << 10;
/// Bytes of a frame with a [`Job`]: its texts at their limits, and the numbers.
pub const JOB_BYTES: usize = SOURCE_BYTES + TRACE_BYTES + ANSWERS_BYTES + 1024;
/// Bytes of a frame with a [`Reply`]: the longest is a question about 100,000 characters.
pub const REPLY_BYTES: usize = 2 << 20;
/// Bytes of the length.
const LENGTH: usize = size_of::<u32>();
/// Read at once at least: nearly every reply is shorter.
const READ_BYTES: usize = 4096;

/// One eval on one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job<'a> {
    /// The eval's Python.
    pub source: &'a str,
    /// The trace, schema version 1, as JSON.
    pub trace: &'a str,
    /// What `judge` is known to answer: a JSON object, hex SHA-256 of question and text to true or false.
    pub answers: &'a str,
    /// Units of fuel that the call may use.
    pub fuel: u64,
    /// Bytes of memory that the guest may have.
    pub memory_bytes: u64,
}

/// The first frame of a worker: that it is locked in, or why it can't work.
pub type Greeting = Result<Ready, String>;

/// A worker waits for jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What it is locked in by.
    pub walls: Vec<WallState>,
}

/// What became of a [`Job`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The eval ended.
    Done(Outcome),
    /// It asks `judge` something that is not among the answers. The job is to be run again with the answer; no
    /// worker waits for it.
    Asks(Question),
}

/// What an eval asks `judge`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Question {
    /// What is asked: at most 2,000 characters.
    pub question: String,
    /// The text that it is about: at most 100,000 characters.
    pub text: String,
}

/// What is wrong with the other side, or with the way to it.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// It ended, or closed its end.
    #[error("the connection is closed")]
    Closed,
    /// It did not write in time.
    #[error("nothing came in time")]
    TimedOut,
    /// It did not read in time.
    #[error("it did not read what it was sent in time")]
    Unread,
    /// A frame is longer than any message.
    #[error("a frame of more than {0} bytes")]
    TooLong(usize),
    /// It speaks another version.
    #[error("version {0} of the protocol, and this is version {VERSION}")]
    Version(u8),
    /// The frame is no message, or more than one.
    #[error("a malformed frame: {0}")]
    Malformed(&'static str),
    /// A message that no worker would send.
    #[error("a message that makes no sense: {0}")]
    Nonsense(&'static str),
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for ProtocolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            IoErrorKind::WouldBlock | IoErrorKind::TimedOut => Self::TimedOut,
            IoErrorKind::BrokenPipe | IoErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// One side of a connection. Its buffers are used again for every frame, and no longer than the longest one.
pub struct Frames {
    received: Vec<u8>,
    sent: Vec<u8>,
    longest_received: usize,
    longest_sent: usize,
}

impl Frames {
    /// The service's side.
    pub fn of_host() -> Self {
        Self::new(REPLY_BYTES, JOB_BYTES)
    }

    /// A worker's side.
    pub fn of_worker() -> Self {
        Self::new(JOB_BYTES, REPLY_BYTES)
    }

    fn new(longest_received: usize, longest_sent: usize) -> Self {
        Self {
            received: Vec::new(),
            sent: Vec::new(),
            longest_received,
            longest_sent,
        }
    }

    /// Sends one message.
    pub fn write(
        &mut self,
        to: &mut impl Write,
        message: &impl Serialize,
    ) -> Result<(), ProtocolError> {
        let limit = self.longest_sent;
        self.sent.clear();
        self.sent.extend([0; LENGTH]);
        self.sent.push(VERSION);
        let into = Bounded {
            buffer: &mut self.sent,
            longest: LENGTH + limit,
        };
        postcard::serialize_with_flavor(message, into)
            .map_err(|_| ProtocolError::TooLong(limit))?;
        let length = (self.sent.len() - LENGTH) as u32;
        self.sent[..LENGTH].copy_from_slice(&length.to_le_bytes());
        to.write_all(&self.sent)
            .map_err(|error| match error.into() {
                ProtocolError::TimedOut => ProtocolError::Unread,
                error => error,
            })
    }

    /// Receives one message. It borrows from the buffer what it can.
    pub fn read<'a, T: Deserialize<'a>>(
        &'a mut self,
        from: &mut impl Read,
    ) -> Result<T, ProtocolError> {
        let end = self.fill(from)?;
        let (version, body) = (self.received[LENGTH], &self.received[LENGTH + 1..end]);
        if version != VERSION {
            return Err(ProtocolError::Version(version));
        }
        match postcard::take_from_bytes(body) {
            Ok((message, [])) => Ok(message),
            Ok(_) => Err(ProtocolError::Malformed("it is longer than its message")),
            Err(_) => Err(ProtocolError::Malformed("it holds no message")),
        }
    }

    /// Reads one frame into the buffer; where it ends.
    fn fill(&mut self, from: &mut impl Read) -> Result<usize, ProtocolError> {
        let mut filled = self.read_up_to(from, 0, LENGTH)?;
        let mut length = [0; LENGTH];
        length.copy_from_slice(&self.received[..LENGTH]);
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes > self.longest_received {
            return Err(ProtocolError::TooLong(self.longest_received));
        }
        if bytes == 0 {
            return Err(ProtocolError::Malformed("it is empty"));
        }
        let end = LENGTH + bytes;
        filled = self.read_up_to(from, filled, end)?;
        match filled == end {
            true => Ok(end),
            false => Err(ProtocolError::Malformed("more follows it")),
        }
    }

    /// Reads until the buffer is filled up to `end` at least, from `filled` on; up to where it is then.
    fn read_up_to(
        &mut self,
        from: &mut impl Read,
        mut filled: usize,
        end: usize,
    ) -> Result<usize, ProtocolError> {
        let room = end.max(READ_BYTES).max(self.received.len());
        self.received.resize(room, 0);
        while filled < end {
            match from.read(&mut self.received[filled..]) {
                Ok(0) => return Err(ProtocolError::Closed),
                Ok(read) => filled += read,
                Err(error) if error.kind() == IoErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }
}

/// Takes a message's bytes up to a limit.
struct Bounded<'a> {
    buffer: &'a mut Vec<u8>,
    longest: usize,
}

impl Flavor for Bounded<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() > self.longest - self.buffer.len() {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl Reply {
    /// Whether a worker may say this of a job with so much fuel that took so long. The guest cuts and cleans
    /// its texts; a worker that an eval took over would not.
    pub fn check(&self, fuel: u64, took: Duration) -> Result<(), ProtocolError> {
        match self {
            Self::Asks(asks) => check_text(&asks.question, QUESTION_CHARS)
                .and_then(|()| check_text(&asks.text, TEXT_CHARS)),
            Self::Done(outcome) => check_outcome(outcome, fuel, took),
        }
    }
}

fn check_outcome(outcome: &Outcome, fuel: u64, took: Duration) -> Result<(), ProtocolError> {
    if outcome.fuel > fuel {
        return Err(ProtocolError::Nonsense("more fuel than there was"));
    }
    if u128::from(outcome.duration_us) > took.as_micros() {
        return Err(ProtocolError::Nonsense("more time than it took"));
    }
    check_text(&outcome.printed, PRINTED_CHARS)?;
    match &outcome.result {
        Ok((_, reason)) => check_text(reason, REASON_CHARS),
        Err(error) if is_hosts(error.kind) => Err(ProtocolError::Nonsense(
            "an error that is not a worker's to say",
        )),
        Err(error) => check_text(&error.message, MESSAGE_CHARS),
    }
}

fn is_hosts(kind: ErrorKind) -> bool {
    use ErrorKind::{Deadline, Host, JudgeBudget, JudgeUnavailable, TraceTooLarge};
    matches!(
        kind,
        Host | Deadline | TraceTooLarge | JudgeBudget | JudgeUnavailable
    )
}

/// Postgres stores no NUL.
fn check_text(text: &str, chars: usize) -> Result<(), ProtocolError> {
    if text.contains('\0') {
        return Err(ProtocolError::Nonsense("a text with NUL"));
    }
    match text.chars().nth(chars) {
        Some(_) => Err(ProtocolError::Nonsense("a text that is too long")),
        None => Ok(()),
    }
}
