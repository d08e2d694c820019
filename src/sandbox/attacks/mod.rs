//! What a hostile eval would try, tried on this host.
//!
//! Whether an [`Attack`] got through is judged from the host (`judge.rs`), and not by what the eval says of itself.
//! Each has a twin: an eval of the same shape without the one act, which must pass and be judged clean. Without
//! it, a sandbox that runs nothing would hold against everything.
//!
//! The tests run the suite, and `iofold doctor --attack` runs it on the user's own host. Acts are harmless where
//! they succeed: they reach for canaries only.

#![cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "what only the theme of the second wall needs")
)]

mod clock;
mod depth;
mod environment;
mod files;
mod forged;
mod guests;
mod interpreter;
mod judge;
mod later;
mod loops;
mod memory;
#[cfg_attr(not(target_os = "linux"), path = "no_native.rs")]
mod native;
mod network;
mod processes;
mod sizes;
mod stopped;
mod suite;
#[cfg(test)]
mod tests;
mod threads;
mod trial;
mod verdicts;

use crate::domain::{ErrorKind, Verdict};
use guests::Guest;
use native::Native;
pub use suite::{Ending, Suite};

/// Attacks of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// One word.
    pub name: &'static str,
    /// The attacks.
    pub attacks: &'static [Attack],
}

/// The whole suite.
pub const THEMES: &[Theme] = &[
    theme("files", files::ATTACKS),
    theme("network", network::ATTACKS),
    theme("processes", processes::ATTACKS),
    theme("environment", environment::ATTACKS),
    theme("clock", clock::ATTACKS),
    theme("threads", threads::ATTACKS),
    theme("interpreter", interpreter::ATTACKS),
    theme("forged-memory", forged::ATTACKS),
    theme("verdicts", verdicts::ATTACKS),
    theme("loops", loops::ATTACKS),
    theme("memory", memory::ATTACKS),
    theme("depth", depth::ATTACKS),
    theme("sizes", sizes::ATTACKS),
    theme("later-calls", later::ATTACKS),
    theme("guests", guests::ATTACKS),
    theme("second-wall", native::ATTACKS),
];

const fn theme(name: &'static str, attacks: &'static [Attack]) -> Theme {
    Theme { name, attacks }
}

/// Something that must not work.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// What is tried, in words.
    pub name: &'static str,
    act: Act,
    /// The same without what is forbidden: passes.
    twin: Act,
    expect: Expect,
}

/// Something to try.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// An eval on a trace.
    Eval(Source, Trace),
    /// An eval with more fuel than there is time for.
    Endless(Source),
    /// A guest that is not CPython, running any eval.
    Guest(Guest),
    /// A worker that needs no guest to try it.
    Native(Native),
}

/// Python, with `$FILE`, `$FOLDER`, `$SOCKET` and `$PORT` for what the host watches.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The body of `evaluate`.
    Body(&'static str),
    /// The body of `evaluate`, in which `memory()` is all memory of the guest.
    Forging(&'static str),
    /// All of it.
    Module(&'static str),
    /// All of it, run with the numbers from 9 down to 0 for `$NUMBER`.
    Series(&'static str),
    /// All of it, too long to be written out.
    Made(fn() -> String),
}

/// A trace's JSON.
#[derive(Clone, Copy, Debug)]
enum Trace {
    /// [`TRACE`].
    Small,
    /// [`TRACE`], after a call of the same eval on a trace with the host's secret in it.
    AfterSecret,
    /// Too long to be written out.
    Made(fn() -> String),
}

/// How an attack ends that is stopped.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// In an error of this kind.
    Error(ErrorKind),
    /// In this verdict and reason: what was tried changes nothing.
    Verdict(Verdict, &'static str),
    /// In whatever the eval makes of its own result.
    OwnResult,
    /// There is no sandbox with such a guest.
    NoSandbox,
    /// The kernel refuses, or ends the worker.
    Stopped,
}

const fn body(lines: &'static str) -> Act {
    Act::Eval(Source::Body(lines), Trace::Small)
}

const fn module(text: &'static str) -> Act {
    Act::Eval(Source::Module(text), Trace::Small)
}

const fn made(make: fn() -> String) -> Act {
    Act::Eval(Source::Made(make), Trace::Small)
}

const TRACE: &str =
    r#"{"id": "t-1", "input_text": "Where is #12345?", "output_text": "It is on its way."}"#;

impl Source {
    fn text(self) -> String {
        match self {
            Self::Body(lines) => format!("def evaluate(trace):\n{}", indented(lines, "    ")),
            Self::Forging(lines) => forged::FORGE.to_owned() + &Self::Body(lines).text(),
            Self::Module(text) | Self::Series(text) => indented(text, ""),
            Self::Made(make) => make(),
        }
    }
}

impl Trace {
    fn text(self) -> String {
        match self {
            Self::Small | Self::AfterSecret => TRACE.to_owned(),
            Self::Made(make) => make(),
        }
    }
}

/// `text` with `indent` in place of what all its lines are indented by.
fn indented(text: &str, indent: &str) -> String {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let indents = lines().map(|line| line.len() - line.trim_start().len());
    let common = indents.min().unwrap_or_default();
    lines()
        .map(|line| format!("{indent}{}\n", &line[common..]))
        .collect()
}
