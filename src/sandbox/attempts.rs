//! What code that broke out of the guest would try, tried by a worker on itself: shows that the second wall
//! stands without the first.
//!
//! The worker locks itself in as always and then, instead of reading jobs, does one thing that it should not
//! be able to do, and says how that went. An [`Act`] that succeeds with nothing shut tests the walls.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{hint, ptr, thread};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::cache::Artefacts;
use super::process::Process;
use super::protocol::Frames;
use super::walls::Shut;
use super::worker::{self, End, Socket};

/// No act takes longer, and a worker that is still there then was not stopped.
const WITHIN: Duration = Duration::from_secs(30);
/// Bytes of memory that are mapped.
const PAGE: usize = 4096;
const WRITABLE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// One thing to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Reads a file.
    Open(PathBuf),
    /// Makes a file.
    Create(PathBuf),
    /// Deletes a file.
    Remove(PathBuf),
    /// Connects over TCP.
    Connect(SocketAddr),
    /// Sends a datagram.
    Send(SocketAddr),
    /// Listens on a TCP port of this machine.
    Listen,
    /// Becomes another program.
    Exec(PathBuf),
    /// Starts a process.
    Fork,
    /// Starts a thread.
    Thread,
    /// Ends a process.
    Kill(i32),
    /// Attaches to a process as a debugger.
    Trace(i32),
    /// Maps memory that can be written and executed.
    MapExecutable,
    /// Makes memory executable that was written.
    MakeExecutable,
    /// Maps memory that a process would share with those it starts.
    MapShared,
    /// Maps memory that grows by itself, as a stack does.
    MapGrowing,
    /// Gives the kernel this advice on a page of memory.
    Advise(i32),
    /// Asks for so many bytes of memory.
    Allocate(usize),
    /// Writes to a descriptor.
    Write(i32),
    /// Makes the system call of that number, with zeros.
    Call(i64),
}

/// How an act went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// The kernel ended the worker with this signal.
    Killed(i32),
    /// The system refused: the error's number, where it has one, and its words.
    Refused(Option<i32>, String),
    /// The worker ended without a word, with this exit code; after [`Act::Exec`] it is the program's.
    Ended(Option<i32>),
    /// It was done.
    Succeeded,
}

/// Has a fresh worker try something with these walls up, and looks at how it ends.
///
/// # Errors
/// The worker does not start, or is still there after 30 s.
pub fn attempt(
    worker: &Path,
    artefacts: &Artefacts,
    shut: Shut,
    act: &Act,
) -> Result<AttemptOutcome, SandboxError> {
    let mut process = Process::spawn(worker, artefacts, &["--attempt", shut.as_str()])?;
    process.greet()?;
    match process.ask(act, WITHIN) {
        Ok(outcome) => Ok(outcome),
        Err(_) => process
            .end_within(WITHIN)
            .map(|status| match status.signal() {
                Some(signal) => AttemptOutcome::Killed(signal),
                None => AttemptOutcome::Ended(status.code()),
            }),
    }
}

/// A worker that tries one [`Act`] instead of serving; ends the process.
pub fn run(shut: Shut) -> ! {
    let mut frames = Frames::of_worker();
    // The guest stays open to the end, as in service.
    let tried =
        worker::start(&mut frames, shut).and_then(|guest| try_one(&mut frames).map(|()| guest));
    worker::exit(tried.err().unwrap_or(End::Closed))
}

fn try_one(frames: &mut Frames) -> Result<(), End> {
    let act: Act = frames.read(&mut Socket).map_err(|_| End::Protocol)?;
    let outcome = match act.perform() {
        Ok(()) => AttemptOutcome::Succeeded,
        Err(error) => AttemptOutcome::Refused(error.raw_os_error(), error.to_string()),
    };
    frames
        .write(&mut Socket, &outcome)
        .map_err(|_| End::Protocol)
}

impl Act {
    fn perform(&self) -> io::Result<()> {
        match self {
            Self::Open(path) => fs::read(path).map(drop),
            Self::Create(path) => File::create(path)?.write_all(b"iofold"),
            Self::Remove(path) => fs::remove_file(path),
            Self::Connect(address) => TcpStream::connect(address)?.write_all(b"iofold"),
            Self::Send(address) => send(*address),
            Self::Listen => TcpListener::bind(("127.0.0.1", 0)).map(drop),
            Self::Exec(path) => exec(path),
            Self::Fork => fork(),
            Self::Thread => thread::Builder::new().spawn(|| ()).map(drop),
            Self::Kill(process) => kill(*process),
            Self::Trace(process) => trace(*process),
            Self::MapExecutable => map(ProtFlags::all(), MapFlags::PRIVATE).map(drop),
            Self::MakeExecutable => make_executable(),
            Self::MapShared => map(WRITABLE, MapFlags::SHARED).map(drop),
            Self::MapGrowing => map(WRITABLE, MapFlags::PRIVATE | MapFlags::GROWSDOWN).map(drop),
            Self::Advise(advice) => advise(*advice),
            Self::Allocate(bytes) => allocate(*bytes),
            Self::Write(descriptor) => write(*descriptor),
            Self::Call(number) => call(*number, [0; 6]).map(drop),
        }
    }
}

fn send(address: SocketAddr) -> io::Result<()> {
    UdpSocket::bind(("127.0.0.1", 0))?
        .send_to(b"iofold", address)
        .map(drop)
}

fn exec(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let arguments = [path.as_ptr(), ptr::null()];
    let pointers = [path.as_ptr() as i64, arguments.as_ptr() as i64];
    call(libc::SYS_execve, [pointers[0], pointers[1], 0, 0, 0, 0]).map(drop)
}

fn fork() -> io::Result<()> {
    match call(libc::SYS_clone, [i64::from(libc::SIGCHLD), 0, 0, 0, 0, 0])? {
        0 => worker::exit(End::Closed),
        _ => Ok(()),
    }
}

fn kill(process: i32) -> io::Result<()> {
    let process = Pid::from_raw(process).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(process, Signal::KILL)?)
}

fn trace(process: i32) -> io::Result<()> {
    let request = i64::from(libc::PTRACE_ATTACH);
    call(libc::SYS_ptrace, [request, i64::from(process), 0, 0, 0, 0]).map(drop)
}

#[expect(unsafe_code, reason = "memory is mapped")]
fn map(access: ProtFlags, flags: MapFlags) -> io::Result<*mut std::ffi::c_void> {
    // SAFETY: the kernel chooses an address where nothing is.
    let mapped = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), PAGE, access, flags)? };
    Ok(mapped)
}

fn advise(advice: i32) -> io::Result<()> {
    let page = map(WRITABLE, MapFlags::PRIVATE)? as i64;
    let arguments = [page, PAGE as i64, i64::from(advice), 0, 0, 0];
    call(libc::SYS_madvise, arguments).map(drop)
}

#[expect(unsafe_code, reason = "memory is protected")]
fn make_executable() -> io::Result<()> {
    let written = map(WRITABLE, MapFlags::PRIVATE)?;
    let access = MprotectFlags::READ | MprotectFlags::EXEC;
    // SAFETY: the page was mapped for this and nothing refers to it.
    unsafe { Ok(rustix::mm::mprotect(written, PAGE, access)?) }
}

fn allocate(bytes: usize) -> io::Result<()> {
    let mut memory: Vec<u8> = Vec::new();
    let taken = memory.try_reserve_exact(bytes);
    hint::black_box(memory);
    Ok(taken.map_err(|_| io::ErrorKind::OutOfMemory)?)
}

fn write(descriptor: i32) -> io::Result<()> {
    let byte = c".".as_ptr() as i64;
    call(libc::SYS_write, [i64::from(descriptor), byte, 1, 0, 0, 0]).map(drop)
}

#[expect(unsafe_code, reason = "what is tried is not for libraries")]
fn call(number: i64, with: [i64; 6]) -> io::Result<i64> {
    let [a, b, c, d, e, f] = with;
    // SAFETY: the process tries this one call and ends; pointers among the arguments are valid.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        returned => Ok(returned),
    }
}
