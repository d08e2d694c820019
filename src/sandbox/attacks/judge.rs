//! What the host looks at after an attack: things that no eval may touch, and the workers that ran it.

use std::fs::{self, File, FileTimes};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use crate::domain::Outcome;
use crate::sandbox::Limits;

/// Values of the environment that are shorter could be in an answer by chance.
const TELLING_BYTES: usize = 12;
/// What `/proc` may count of a worker besides one guest's memory: machine code (14 MiB), the program, the images
/// of eight evals (64 MiB and one more), and for each the parts that it read of the boot image (13 MiB), though
/// these are the same memory. The whole suite takes some 250 MiB.
const ALLOWANCE_BYTES: u64 = 224 << 20;

/// A folder with a file, and two listeners: made for one try, looked at after it.
pub struct Canaries {
    folder: TempDir,
    /// What the file holds, and what a second file is called: random, and told to nobody.
    secret: String,
    tcp: TcpListener,
    address: SocketAddr,
    unix: UnixListener,
    /// When file and folder were last read, if nobody has read them.
    read_at: SystemTime,
}

impl Canaries {
    /// In the system's folder for temporary files, and on a free port.
    pub fn lay() -> io::Result<Self> {
        let folder = TempDir::with_prefix("iofold-canary-")?;
        let secret = format!("canary-{:032x}", rand::random::<u128>());
        fs::write(folder.path().join("canary"), &secret)?;
        fs::write(folder.path().join(&secret), "")?;
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let unix = UnixListener::bind(folder.path().join("socket"))?;
        tcp.set_nonblocking(true)?;
        unix.set_nonblocking(true)?;
        // Before they were written: also where only the first read after that is noted (`relatime`), it is.
        let read_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for path in [folder.path(), &folder.path().join("canary")] {
            File::open(path)?.set_times(FileTimes::new().set_accessed(read_at))?;
        }
        Ok(Self {
            folder,
            secret,
            address: tcp.local_addr()?,
            tcp,
            unix,
            read_at,
        })
    }

    /// What the secret file holds.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// `source` with the canaries' places for `$FILE`, `$FOLDER`, `$SOCKET` and `$PORT`.
    pub fn place(&self, source: &str) -> String {
        source
            .replace("$FILE", &self.file().to_string_lossy())
            .replace("$FOLDER", &self.folder.path().to_string_lossy())
            .replace("$SOCKET", &self.path("socket").to_string_lossy())
            .replace("$PORT", &self.address.port().to_string())
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.path("canary")
    }

    /// A file that is not there.
    pub fn new_file(&self) -> PathBuf {
        self.path("new")
    }

    /// Of the TCP listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What was done to them; `None` if nothing was.
    pub fn harm(&self) -> Option<&'static str> {
        let canary = self.file();
        let harms = [
            // First, for the others read as well.
            (self.was_read(self.folder.path()), "the folder was listed"),
            (self.was_read(&canary), "the file was read"),
            (
                self.tcp.accept().is_ok(),
                "the TCP listener was connected to",
            ),
            (
                self.unix.accept().is_ok(),
                "the Unix listener was connected to",
            ),
            (
                !self.holds_its_secret(&canary),
                "the file was changed or removed",
            ),
            (self.entries() != 3, "the folder's contents were changed"),
        ];
        let done = harms.into_iter().find(|(done, _)| *done);
        done.map(|(_, what)| what)
    }

    fn was_read(&self, path: &Path) -> bool {
        let read_at = fs::metadata(path).and_then(|metadata| metadata.accessed());
        read_at.is_ok_and(|read_at| read_at != self.read_at)
    }

    fn holds_its_secret(&self, file: &Path) -> bool {
        fs::read_to_string(file).is_ok_and(|held| held == self.secret)
    }

    fn entries(&self) -> usize {
        fs::read_dir(self.folder.path()).map_or(0, Iterator::count)
    }

    /// What `outcome` tells that it can't know; `None` if nothing.
    pub fn leak(&self, outcome: &Outcome) -> Option<String> {
        let texts = texts(outcome);
        if texts.iter().any(|text| text.contains(&self.secret)) {
            return Some("the file's contents were told".to_owned());
        }
        let told = |(_, value): &(String, String)| {
            value.len() >= TELLING_BYTES && texts.iter().any(|text| text.contains(value.as_str()))
        };
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let (name, _) = environment.into_iter().find(told)?;
        Some(format!("the host's variable {name} was told"))
    }
}

/// Everything that an eval's author gets to see.
fn texts(outcome: &Outcome) -> [&str; 2] {
    let said = match &outcome.result {
        Ok((_, reason)) => reason,
        Err(error) => &error.message,
    };
    [said, &outcome.printed]
}

/// What a call took of the host: its time, and what `/proc` says of the workers.
pub struct Watch<'a> {
    start: Instant,
    folder: &'a Path,
}

impl<'a> Watch<'a> {
    /// From now on, on the workers whose program is named as in `folder`.
    pub fn start(folder: &'a Path) -> Self {
        let start = Instant::now();
        Self { start, folder }
    }

    /// What was more than `limits` allow; `None` if nothing was.
    pub fn excess(&self, limits: &Limits) -> Option<String> {
        // A call that is over its deadline is tried once more, on a worker that is started for it.
        let allowed = limits.deadline * 2 + Duration::from_secs(2);
        let took = self.start.elapsed();
        if took > allowed {
            return Some(format!("the call took {} s", took.as_secs()));
        }
        let allowed = limits.memory_bytes as u64 + ALLOWANCE_BYTES;
        let mut workers = workers(self.folder).into_iter();
        workers.find_map(|worker| worker.excess(allowed))
    }
}

/// A worker process.
pub struct Worker {
    pid: u32,
}

/// Those whose program is named as in `folder`; none where there is no `/proc`.
pub fn workers(folder: &Path) -> Vec<Worker> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let is_one = |pid: &u32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.windows(folder.len()).any(|part| part == folder)
    };
    let workers = processes().into_iter().filter(is_one);
    workers.map(|pid| Worker { pid }).collect()
}

impl Worker {
    fn excess(&self, memory_bytes: u64) -> Option<String> {
        if processes()
            .into_iter()
            .any(|pid| parent_of(pid) == Some(self.pid))
        {
            return Some("a worker has started a process".to_owned());
        }
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        if !environment.is_empty() {
            return Some("a worker has an environment".to_owned());
        }
        let peak = self.peak_memory().filter(|peak| *peak > memory_bytes)?;
        Some(format!("a worker took {} MiB of memory", peak >> 20))
    }

    /// The most that was ever resident, in bytes.
    fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes << 10)
    }
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state parent ...": a name may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}
