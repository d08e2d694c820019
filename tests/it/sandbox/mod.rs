//! The sandbox from outside: its workers are processes, and this one looks at what became of them.

mod attacks;
mod attempts;
mod contract;
mod everywhere;
mod fakes;
mod limits;
mod looks;
mod protocol;
mod tenants;
mod workers;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use iofold::domain::{ErrorKind, Outcome};
use iofold::sandbox::cache::{self, Artefacts};
use iofold::sandbox::{Counts, Limits, Sandbox};
use tempfile::TempDir;

use crate::support::{cache_folder, stage::PATIENCE};

/// The program that workers are started from.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_iofold"))
}

/// A folder of its own with the program and the guest's files: its workers are known by the program's path.
pub struct Den {
    folder: TempDir,
    files: PathBuf,
}

impl Den {
    pub fn new() -> Self {
        cache::prepare(&cache_folder()).expect("the guest is there");
        let folder = tempfile::tempdir_in(cache_folder()).expect("a folder");
        let files = folder.path().join("iofold");
        DirBuilder::new()
            .mode(0o700)
            .create(&files)
            .expect("a folder");
        for file in files_in(&cache_folder()) {
            let name = file.file_name().expect("a file");
            // Of another version, it may have been removed by now.
            let _ = fs::hard_link(&file, files.join(name));
        }
        symlink(program(), folder.path().join("program")).expect("a link");
        Self { folder, files }
    }

    /// What the command takes as `XDG_CACHE_HOME`.
    pub fn cache_home(&self) -> &Path {
        self.folder.path()
    }

    /// What its workers are started from.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("program")
    }

    pub fn artefacts(&self) -> Artefacts {
        cache::prepare(&self.files).expect("the guest is there")
    }

    /// A sandbox of real workers.
    pub fn sandbox(&self, workers: usize) -> Sandbox {
        Sandbox::open_with_workers(&self.program(), &self.files, workers)
            .expect("the sandbox opens")
            .with_limits(patient())
    }

    /// Process ids of its workers that run now, also of those that its program started from itself.
    pub fn workers(&self) -> Vec<i32> {
        let program = self.program();
        let is_ours = |process: &i32| {
            let starts =
                |id: i32| arguments(id).starts_with(program.as_os_str().as_encoded_bytes());
            let parent = || status(*process, "PPid")?.parse().ok();
            has(&arguments(*process), b"sandbox-worker")
                && (starts(*process) || parent().is_some_and(starts))
        };
        processes().filter(is_ours).collect()
    }
}

/// What the kept files are called: not those that are being written.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is there").flatten();
    let kept =
        |path: &PathBuf| path.is_file() && has(path.as_os_str().as_encoded_bytes(), b"/python-");
    entries.map(|entry| entry.path()).filter(kept).collect()
}

fn arguments(process: i32) -> Vec<u8> {
    fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default()
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|found| found == part)
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("it is mounted");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// With time enough for a busy machine.
pub fn patient() -> Limits {
    Limits {
        deadline: Duration::from_secs(120),
        ..Limits::default()
    }
}

/// One for the tests that need none of their own: a worker a core.
pub fn shared() -> &'static Sandbox {
    static SHARED: OnceLock<Sandbox> = OnceLock::new();
    SHARED.get_or_init(|| {
        let sandbox = Sandbox::open(program(), &cache_folder());
        sandbox.expect("the sandbox opens").with_limits(patient())
    })
}

/// `lines` as the body of `evaluate`.
pub fn eval(lines: &str) -> String {
    let body: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("def evaluate(trace):\n{body}")
}

/// A trace with this id.
pub fn trace(id: &str) -> String {
    format!(r#"{{"id": "{id}", "input_text": "", "output_text": ""}}"#)
}

pub fn kind(outcome: &Outcome) -> Option<ErrorKind> {
    outcome.result.as_ref().err().map(|error| error.kind)
}

pub fn reason(outcome: &Outcome) -> &str {
    let (_, reason) = outcome.result.as_ref().expect("a verdict");
    reason
}

/// `calls` calls, and what went wrong.
pub fn counts(calls: u64, died: u64, hung: u64, nonsense: u64, replaced: u64) -> Counts {
    Counts {
        calls,
        died,
        hung,
        nonsense,
        replaced,
    }
}

/// A line of `/proc/PID/status`.
pub fn status(process: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    Some(value.trim().to_owned())
}

/// It is gone, or nothing is left of it but its exit code.
pub fn is_gone(process: i32) -> bool {
    status(process, "State").is_none_or(|state| state.starts_with('Z'))
}

/// Ticks of processor time that it has used.
pub fn ticks(process: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split(' ').collect();
    fields.get(11).map_or(0, |field| field.parse().unwrap_or(0))
}

pub fn kill(process: i32) {
    let sent = Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

/// Looks again and again until `look` finds something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what} did not come");
}
