//! What the tests share: databases, ports, folders.

pub mod front;
#[path = "../../judged/mod.rs"]
pub mod judged;
pub mod logs;
#[path = "../../openapi/mod.rs"]
pub mod openapi;
pub mod postgres;
pub mod process;
pub mod signed;
pub mod stage;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The two databases that every query runs on.
#[derive(Clone, Copy, Debug)]
pub enum Database {
    /// A file in the test's folder.
    Sqlite,
    /// A database of its own in the shared throw-away server.
    Postgres,
}

impl Database {
    /// The URL of an empty database.
    pub async fn url(self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}", folder.join("iofold.db").display()),
            Self::Postgres => postgres::fresh_database().await,
        }
    }
}

/// Runs an `async fn(Database)` as two tests.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        $(
            mod $name {
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_sqlite() {
                    super::$name($crate::support::Database::Sqlite).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_postgres() {
                    super::$name($crate::support::Database::Postgres).await;
                }
            }
        )*
    };
}

/// A port that nothing listens on, and that nobody is given who asks for any: those are above 32,767.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let own = std::process::id().wrapping_mul(101);
        let number = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (number % 22_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// `127.0.0.1` and a free port.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// Where all tests keep compiled sandbox images, so that only the first run compiles them.
pub fn cache_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The built command, with nothing of this process's environment but what it needs to run.
pub fn iofold() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iofold"));
    command.env_clear().env("XDG_CACHE_HOME", cache_folder());
    // Where the coverage of this process is written, when it is measured.
    if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
        command.env("LLVM_PROFILE_FILE", profile);
    }
    command
}

/// Lines of a bundled set, with their line ends.
pub fn example_lines(set: &str, range: std::ops::Range<usize>) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{set}.jsonl"));
    let text = std::fs::read_to_string(path).expect("the examples are there");
    let lines = text.split_inclusive('\n').map(str::to_owned);
    lines.skip(range.start).take(range.len()).collect()
}

/// Node.js, for scripts beside which OpenTelemetry's and Langfuse's SDKs are installed.
pub fn sdk_node() -> Command {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/node_modules");
    assert!(
        modules.exists(),
        "{} is missing: `make test-deps` makes it, with what tests/sdk/package.json names",
        modules.display()
    );
    Command::new("node")
}

/// The interpreter that has Langfuse's and Slack's own SDKs.
pub fn sdk_python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk-venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: `make test-deps` makes it, with what tests/sdk/requirements.txt names",
        python.display()
    );
    python
}
