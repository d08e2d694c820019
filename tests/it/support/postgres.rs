//! A throw-away Postgres server, shared by the tests of this binary and gone when the binary ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use iofold::store::Db;

/// What to install where the binaries are missing.
const ADVICE: &str =
    "Postgres is needed for the tests: apt-get install postgresql (or run `make test-deps`)";

/// A running server; `url` gives a fresh, empty database in it.
pub struct Server {
    port: u16,
    /// Its standard input: when this process ends, the shell around the server reads the end of it and
    /// stops the server.
    _guard: Child,
}

/// The URL of an empty database of its own.
pub async fn fresh_database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(start);
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let admin = Db::connect(&server.url("postgres"))
        .await
        .expect("the server answers");
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}")))
        .execute(admin.pool())
        .await
        .expect("a database can be made");
    server.url(&name)
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

fn start() -> Server {
    let bin = binaries();
    let folder = tempfile::Builder::new()
        .prefix("iofold-postgres-")
        .tempdir()
        .expect("a temporary folder")
        .keep();
    let port = super::free_port();
    hand_over(&folder);
    let data = folder.join("data");
    let made = as_server_user(&bin.join("initdb"))
        .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("initdb does not start ({error}). {ADVICE}"));
    assert!(made.success(), "initdb failed. {ADVICE}");
    let guard = guarded_server(&bin, &folder, &data, port);
    wait_for(port);
    Server {
        port,
        _guard: guard,
    }
}

/// A shell that runs the server until its own standard input ends, then removes the folder.
fn guarded_server(bin: &Path, folder: &Path, data: &Path, port: u16) -> Child {
    let script = "\"$1\" -D \"$2\" -p \"$3\" -k \"$4\" -c listen_addresses=127.0.0.1 \
                  -c fsync=off -c max_connections=300 >\"$4/log\" 2>&1 & server=$!; \
                  read -r _; kill -INT $server; wait $server; rm -rf \"$4\"";
    as_server_user(Path::new("sh"))
        .args(["-c", script, "sh"])
        .arg(bin.join("postgres"))
        .arg(data)
        .arg(port.to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell starts")
}

fn wait_for(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            Instant::now() < deadline,
            "Postgres did not start within a minute"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    // The port opens a moment before queries are answered; the pool retries that long.
    std::thread::sleep(Duration::from_millis(500));
}

/// Where `initdb` and `postgres` are.
fn binaries() -> PathBuf {
    let packaged = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut versions: Vec<PathBuf> = packaged
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
    });
    versions
        .pop()
        .or(on_path)
        .unwrap_or_else(|| panic!("{ADVICE}"))
}

/// Postgres refuses to run as root; then it runs as the user of its package.
fn as_server_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]);
    command.arg(program);
    command
}

fn hand_over(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("postgres").arg(folder).status();
        assert!(
            given.is_ok_and(|status| status.success()),
            "chown postgres failed. {ADVICE}"
        );
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id answers");
    id.stdout.trim_ascii() == b"0"
}
