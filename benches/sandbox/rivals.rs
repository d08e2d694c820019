//! The other ways to run an eval on a trace, and the bar for each.
//!
//! | Way | A call includes | Before the first call |
//! |---|---|---|
//! | `python3 -I` a call | the process: start, imports, end; the trace goes in and the answer comes out by pipe | |
//! | CPython wasm booted anew | a store and an instance; CPython's boot in it, one program, its end | the module is compiled |
//! | Pyodide, fresh | `loadPyodide`, then the eval as in the next row | Node is warm: 3 calls |
//! | Pyodide, warm and shared | parsing, `compile`, `exec`, the call | the interpreter is up: 200 calls |
//! | Pyodide from a snapshot | `loadPyodide` from an image of its memory, by an undocumented option | the image is taken |
//! | pydantic-monty | a worker checked out of the pool and given back; parsing and running in the worker | one worker is up, for all calls |
//! | pyeryx | `execute` on a fresh instance, partly made in advance by a second thread | the sandbox is up |
//! | pyeryx, eval in its snapshot | the same, without compiling the eval | the snapshot is made, in 20 s |
//! | RestrictedPython | parsing, `compile_restricted`, `exec`, the call | the interpreter is up |
//! | native `exec` | parsing, `compile`, `exec`, the call | the interpreter is up |
//!
//! One worker each. The sandbox has an image of the eval, loaded, from the second trace of a run on; pyeryx's snapshot
//! is the counterpart, and pydantic-monty's `load_session`, which gains nothing there. Everywhere else a call compiles
//! the eval. Where the interpreter stays, `re` keeps its compiled patterns. `rivals.py` and `rivals.mjs` have the code.

use std::io;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::cases::{Case, Eval};
use super::native::{self, Native};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sandbox");
/// The Python that has the packages; `script/bench-deps` makes it.
const VENV_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-venv/bin/python");

/// A way to run an eval on a trace.
pub struct Way<'a> {
    pub name: String,
    /// What is between an eval and the host, and between it and the next.
    pub isolated: &'static str,
    calls: usize,
    runner: Runner<'a>,
}

enum Runner<'a> {
    Processes(&'a Native),
    /// A way of `rivals.py`, in this interpreter.
    Python(&'a Path, &'static str),
    /// A way of `rivals.mjs`.
    Node(&'static str),
}

#[derive(Clone, Copy)]
pub enum Bar {
    /// The sandbox is at least so many times as fast.
    Faster(f64),
    /// The sandbox takes at most so many times as long.
    Within(f64),
}

/// What a way measured.
pub struct Measured {
    pub version: String,
    /// Milliseconds a call, sorted.
    pub times: Vec<f64>,
    /// `[verdict, reason]`, the same in every call.
    pub answer: Value,
}

/// The first line that a rival prints.
#[derive(Deserialize)]
struct Header {
    version: String,
    answer: Value,
}

/// All ways, in the order of the table.
pub fn all(natives: &[Native]) -> Vec<Way<'_>> {
    let processes = natives.iter().map(process);
    let floors = natives.iter().map(floor);
    processes.chain(packages()).chain(floors).collect()
}

fn process(native: &Native) -> Way<'_> {
    let name = format!("{} -I a call", native.name);
    Way::new(name, "no", 100, Runner::Processes(native))
}

fn floor(native: &Native) -> Way<'_> {
    let name = format!("exec in one warm {}", native.name);
    let runner = Runner::Python(&native.path, "exec");
    Way::new(name, "no: the floor", 1_000, runner)
}

/// The ways that `script/bench-deps` installs.
fn packages() -> [Way<'static>; 8] {
    let python = |name: &str, isolated, calls, way| {
        let runner = Runner::Python(Path::new(VENV_PYTHON), way);
        Way::new(name.to_owned(), isolated, calls, runner)
    };
    let pyodide = |how, isolated, calls, way| {
        Way::new(
            format!("Pyodide, {how}"),
            isolated,
            calls,
            Runner::Node(way),
        )
    };
    let fresh = "yes: fresh instance";
    let open = "no: fresh, but can use Node";
    let subset = "no: a subset, same process";
    [
        python("CPython wasm booted anew", fresh, 50, "wasi"),
        pyodide("fresh", open, 10, "fresh"),
        pyodide("from a snapshot", open, 10, "snapshot"),
        pyodide("warm and shared", "no", 1_000, "warm"),
        python("pydantic-monty", "yes: a subset, process", 1_000, "monty"),
        python("pyeryx", fresh, 500, "eryx"),
        python("pyeryx, eval in its snapshot", fresh, 500, "eryx-snapshot"),
        python("RestrictedPython", subset, 1_000, "restricted"),
    ]
}

impl<'a> Way<'a> {
    fn new(name: String, isolated: &'static str, calls: usize, runner: Runner<'a>) -> Self {
        Self {
            name,
            isolated,
            calls,
            runner,
        }
    }

    /// What the sandbox must reach against this way.
    pub fn bar(&self, eval: Eval) -> Option<Bar> {
        match (&self.runner, eval) {
            (Runner::Processes(_), Eval::Regex) => Some(Bar::Faster(40.0)),
            (Runner::Python(_, "wasi"), _) => Some(Bar::Faster(60.0)),
            (Runner::Node("fresh"), _) => Some(Bar::Faster(1_000.0)),
            (Runner::Node("warm"), _) => Some(Bar::Faster(1.0)),
            (Runner::Python(_, "exec"), Eval::Regex) => Some(Bar::Within(8.0)),
            (Runner::Python(_, "exec"), Eval::ToolCalls) => Some(Bar::Within(5.0)),
            _ => None,
        }
    }

    /// The figures, or why there are none.
    pub fn measure(&self, case: &Case) -> Result<Measured, String> {
        let folder = Path::new(FOLDER);
        match self.runner {
            Runner::Processes(native) => native.processes(case, self.calls),
            Runner::Python(interpreter, way) => {
                let mut command = Command::new(interpreter);
                command.arg("-I").arg(folder.join("rivals.py")).arg(way);
                self.ask(command, case)
            }
            Runner::Node(way) => {
                let mut command = Command::new("node");
                command.arg(folder.join("rivals.mjs")).arg(way);
                self.ask(command, case)
            }
        }
    }

    fn ask(&self, mut rival: Command, case: &Case) -> Result<Measured, String> {
        let job = json!({"source": case.source, "trace": case.trace, "calls": self.calls});
        match native::run(&mut rival, &job.to_string()) {
            Ok(printed) => match printed.strip_prefix("unavailable: ") {
                Some(why) => Err(why.trim().to_owned()),
                None => read(&printed).ok_or_else(|| "it printed no figures".to_owned()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err("not installed (script/bench-deps)".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Reads what a rival printed; `rivals.py` has the protocol.
fn read(printed: &str) -> Option<Measured> {
    let (header, times) = printed.split_once('\n')?;
    let Header { version, answer } = serde_json::from_str(header).ok()?;
    let milliseconds = |us: &str| us.parse::<f64>().ok().map(|us| us / 1e3);
    let times: Option<Vec<f64>> = times.lines().map(milliseconds).collect();
    let times = times.filter(|times| !times.is_empty())?;
    Some(Measured {
        version,
        times: super::sorted(times),
        answer,
    })
}
