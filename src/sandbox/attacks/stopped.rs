//! What stopped an attack, as its outcome tells.

use crate::domain::{ErrorKind, Outcome, RunError};

/// What the seal in the guest's C says it refuses; other sentences are Python's.
const SEAL: [&str; 8] = [
    "reach files",
    "read files",
    "write files",
    "look at files",
    "list folders",
    "make folders",
    "reach the network",
    "sleep or wait",
];
/// Characters of a sentence in the table.
const SENTENCE_CHARS: usize = 72;

/// A few words for the table.
pub fn by(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(_) => "fresh instance: its own verdict, and clean calls after it".to_owned(),
        Err(error) => by_error(error),
    }
}

/// The same where there was no sandbox, because of `why`.
pub fn by_refusal(why: &str) -> String {
    let (_, why) = why
        .rsplit_once("the sandbox engine failed: ")
        .unwrap_or(("", why));
    format!("engine: {}", sentence(why))
}

fn by_error(error: &RunError) -> String {
    let message = error.message.as_str();
    match error.kind {
        ErrorKind::Fuel => "fuel".to_owned(),
        ErrorKind::Deadline => "deadline: the worker was killed".to_owned(),
        ErrorKind::Memory => "memory limit".to_owned(),
        ErrorKind::TraceTooLarge => "size limit".to_owned(),
        ErrorKind::Syntax if message.contains("; the limit is ") => "size limit".to_owned(),
        ErrorKind::Syntax => format!("compiler: {}", sentence(message)),
        ErrorKind::NotAVerdict => "Python: that is no verdict".to_owned(),
        ErrorKind::Forbidden => forbidden(message),
        ErrorKind::JudgeBudget | ErrorKind::JudgeUnavailable => format!("judge: {message}"),
        ErrorKind::Exception => exception(message),
        ErrorKind::Host => format!("host: {message}"),
    }
}

fn forbidden(message: &str) -> String {
    let (said, _place) = message.rsplit_once(" (line ").unwrap_or((message, ""));
    let what = said.strip_prefix("an eval can't ").unwrap_or(said);
    if SEAL.contains(&what) {
        return format!("seal: {said}");
    }
    let (first, _list) = said.split_once(';').unwrap_or((said, ""));
    format!("Python: {}", sentence(first))
}

fn exception(message: &str) -> String {
    let broken = message.strip_prefix("the eval broke the interpreter that ran it: ");
    match broken.map(|how| how.strip_prefix("wasm trap: ").ok_or(how)) {
        Some(Ok(trap)) => format!("engine: {trap}"),
        Some(Err(_)) => "host's reading of answers".to_owned(),
        None if message.starts_with("the eval tampered") => "host's reading of answers".to_owned(),
        None if message == crate::domain::TOO_DEEP => "engine: stack limit".to_owned(),
        None => format!("Python: {}", sentence(message)),
    }
}

/// The last line of `text`, which may be hostile, cut.
pub fn sentence(text: &str) -> String {
    let line = text.lines().next_back().unwrap_or_default();
    let shown = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    let mut short: String = line.chars().take(SENTENCE_CHARS).map(shown).collect();
    if line.chars().count() > SENTENCE_CHARS {
        short += "...";
    }
    short
}
