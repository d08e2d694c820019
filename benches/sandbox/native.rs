//! Native Python: the yardstick for answers, and a way of its own.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::cases::Case;
use super::rivals::Measured;

/// Makes an eval's source a program that takes the trace from standard input.
const FROM_STDIN: &str = "\nimport json, sys\nprint(json.dumps(evaluate(json.load(sys.stdin))))\n";

/// An interpreter on this machine.
pub struct Native {
    /// What it is started as, `python3` for one.
    pub name: &'static str,
    /// The interpreter itself, past launchers that choose one and cost more than it does.
    pub path: PathBuf,
    version: String,
}

/// The path's `python3` and, where that is another one, the distribution's: distributions build with profiles,
/// which makes evals half as fast again as a plain build does.
pub fn interpreters() -> io::Result<Vec<Native>> {
    let mut found = vec![Native::ask("python3")?];
    if let Ok(other) = Native::ask("/usr/bin/python3")
        && other.path != found[0].path
    {
        found.push(other);
    }
    Ok(found)
}

impl Native {
    fn ask(name: &'static str) -> io::Result<Self> {
        let say = "import os, platform, sys; print(os.path.realpath(sys.executable)); print(platform.python_version())";
        let said = run(Command::new(name).args(["-I", "-c", say]), "")?;
        let (path, version) = said.trim().split_once('\n').unwrap_or_default();
        Ok(Self {
            name,
            path: PathBuf::from(path),
            version: version.to_owned(),
        })
    }

    /// What the eval says of the trace: `[verdict, reason]`.
    pub fn answer(&self, case: &Case) -> io::Result<Value> {
        let program = format!("{}{FROM_STDIN}", case.source);
        let said = run(
            Command::new(&self.path).args(["-I", "-c", &program]),
            &case.trace,
        )?;
        Ok(serde_json::from_str(&said)?)
    }

    /// A process a call, from its start to its end, the answer read.
    pub fn processes(&self, case: &Case, calls: usize) -> Result<Measured, String> {
        let answer = self.answer(case).map_err(|error| error.to_string())?;
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let start = Instant::now();
            self.answer(case).map_err(|error| error.to_string())?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok(Measured {
            version: self.version.clone(),
            times: super::sorted(times),
            answer,
        })
    }
}

/// What `command` prints, given `stdin`. Its failure is an error that ends with what it said last.
pub fn run(command: &mut Command, stdin: &str) -> io::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let sent = child
        .stdin
        .take()
        .map(|mut pipe| pipe.write_all(stdin.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().last().unwrap_or("it said nothing");
        return Err(io::Error::other(format!("{}: {last}", output.status)));
    }
    sent.transpose()?;
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
