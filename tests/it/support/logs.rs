//! What is logged.

use std::fs;
use std::sync::Mutex;

use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level};

/// What is logged, up to a level, while `act` runs on this thread.
pub fn logged<T>(level: Level, act: impl FnOnce() -> T) -> (String, T) {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let to = log.reopen().expect("it is there");
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(Mutex::new(to))
        .finish();
    // With one subscriber in the process, a place that logs and is first reached by a thread without one is taken for
    // one that nobody listens to, for good. With two, all of them are asked.
    let _second = Dispatch::new(NoSubscriber::default());
    let done = tracing::subscriber::with_default(subscriber, act);
    let text = fs::read_to_string(log.path()).expect("it is text");
    (text, done)
}
