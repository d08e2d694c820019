use std::fmt;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use super::Failure;

/// Prints a text and a line end, with nothing in it that a terminal obeys.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let written = writeln!(out, "{}", visible(text)).and_then(|()| out.flush());
    written.map_err(unwritable)
}

/// Says on standard error what went wrong, with nothing in it that a terminal obeys.
pub fn complain(text: &str) {
    eprintln!("iofold: {}", visible(text));
}

/// A text with what a terminal obeys as `\u` and four digits: control characters other than line feeds and
/// tabs, and those that turn the direction of writing. A JSON text stays one, of the same value.
pub fn visible(text: &str) -> String {
    escaped(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t'))
}

/// The same, in one line.
pub fn visible_line(text: &str) -> String {
    escaped(text, is_obeyed)
}

fn is_obeyed(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || turns
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_escaped(c) {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    shown
}

/// A reader that has seen enough, such as `head`, is nobody's fault.
pub fn unwritable(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Quiet(0),
        _ => Failure::Host(anyhow!(error).context("cannot write to standard output")),
    }
}

/// Turns on a terminal until it is finished; nothing in a pipe.
pub fn spinner(what: &'static str) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// How far a file's lines are done: on a terminal their number and rate, and where the file has an end, the
/// share that is done (by its bytes, for counting its lines would be to read it twice) and the time that is left.
pub struct Progress {
    bar: ProgressBar,
    done: Arc<AtomicU64>,
    beside_output: bool,
}

impl Progress {
    /// Through the file at `path`, of so many `what`.
    pub fn through(path: &Path, what: &'static str) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let file = path.metadata().ok().filter(std::fs::Metadata::is_file);
        let bar = match (stderr().is_terminal(), file) {
            (false, _) => ProgressBar::hidden(),
            (true, Some(file)) => ProgressBar::new(file.len()),
            (true, None) => ProgressBar::new_spinner(),
        };
        bar.set_style(style(bar.length().is_some(), what, done.clone()));
        Self {
            bar,
            done,
            beside_output: stdout().is_terminal(),
        }
    }

    /// One more is done, and with it the file up to the byte `end`.
    pub fn advance(&self, end: u64) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.bar.set_position(end);
    }

    /// Runs `print`, with the bar out of the way where it prints to the same terminal.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.beside_output {
            true => self.bar.suspend(print),
            false => print(),
        }
    }

    /// Says on standard error what went wrong, with the bar out of the way.
    pub fn complain(&self, text: &str) {
        self.bar.suspend(|| complain(text));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(has_end: bool, what: &'static str, done: Arc<AtomicU64>) -> ProgressStyle {
    let count = move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let done = done.load(Ordering::Relaxed);
        let rate = done as f64 / state.elapsed().as_secs_f64().max(0.001);
        // There is nobody to tell that a line can't be drawn.
        let _ = write!(out, "{} {what}, {rate:.0} a second", HumanCount(done));
    };
    let template = match has_end {
        true => "{bar:30} {percent:>3} % {count}, {eta} left",
        false => "{spinner} {count}, {elapsed}",
    };
    let style = ProgressStyle::with_template(template);
    let style = style.expect("the templates are valid");
    style.with_key("count", count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_seen_enough_is_nobodys_fault() {
        let failure = |kind| unwritable(io::Error::from(kind));
        assert!(matches!(
            failure(io::ErrorKind::BrokenPipe),
            Failure::Quiet(0)
        ));
        assert!(matches!(
            failure(io::ErrorKind::StorageFull),
            Failure::Host(_)
        ));
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        let hostile = "é👍\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2066}\r\n\t";
        let shown = "é👍\\u001b[2J\\u007f\\u009b\\u202e\\u2066\\u000d";
        assert_eq!(visible(hostile), format!("{shown}\n\t"));
        assert_eq!(visible_line(hostile), format!("{shown}\\u000a\\u0009"));
        let json = serde_json::to_string(hostile).expect("a text is JSON");
        let read: String = serde_json::from_str(&visible(&json)).expect("it is still JSON");
        assert_eq!(read, hostile);
    }

    #[test]
    fn the_templates_are_valid() {
        for has_end in [true, false] {
            style(has_end, "traces", Arc::default());
        }
    }
}
