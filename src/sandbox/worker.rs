//! A worker process: locks itself in, then runs evals for the service until the service closes the connection.
//!
//! In: [`Job`]s on descriptor 0, a socket. Out: a [`Greeting`], then a [`Reply`](super::protocol::Reply) to each
//! job, on the same socket. On descriptors 1 and 2 are the guest's code and memory, already open: a worker is told
//! no path. It has one thread and no clock that decides anything: fuel ends a call, and the service ends a worker.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;

use super::cache::Artefacts;
use super::guest::{Guest, engine};
use super::protocol::{Frames, Greeting, Job, ProtocolError, Ready, Reply};
use super::walls::{self, Shut, WallState};
use super::{SandboxError, with_causes};
use crate::domain::Verdict;

/// Why a worker ended: its exit code, for the service's log.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The service closed the connection.
    Closed = 0,
    /// It never came to read a job; the greeting says why.
    NotReady = 1,
    /// The service sent what is no job.
    Protocol = 2,
    /// The guest can't be used any more.
    Guest = 3,
    /// A bug in here.
    Panic = 4,
}

/// Runs a worker; ends the process.
pub fn run() -> ! {
    let mut frames = Frames::of_worker();
    match start(&mut frames, Shut::All) {
        // The guest is not dropped: nothing can be closed any more.
        Ok(mut guest) => exit(serve(&mut guest, &mut frames)),
        Err(end) => exit(end),
    }
}

/// Locks the process in and greets the service.
pub(super) fn start(frames: &mut Frames, shut: Shut) -> Result<Guest, End> {
    // There is nowhere for a message to go.
    std::panic::set_hook(Box::new(|_| exit(End::Panic)));
    let locked_in = lock_in(shut);
    let (greeting, guest): (Greeting, _) = match locked_in {
        Ok((guest, walls)) => (Ok(Ready { walls }), Ok(guest)),
        Err(error) => (Err(with_causes(error)), Err(End::NotReady)),
    };
    frames.write(&mut Socket, &greeting).map_err(end_of)?;
    guest
}

/// Everything is opened between the walls that need nothing open and those that let nothing be opened.
fn lock_in(shut: Shut) -> Result<(Guest, Vec<WallState>), SandboxError> {
    let mut walls = Vec::new();
    if matches!(shut, Shut::All | Shut::ButSeccomp) {
        walls.extend(walls::leave_the_service());
    }
    let mut guest = Guest::open(given())?;
    probe(&mut guest)?;
    match shut {
        Shut::All | Shut::ButSeccomp => walls.extend(walls::shut_the_door()),
        Shut::LandlockAlone => walls.extend(walls::landlock()),
        Shut::Nothing => {}
    }
    if shut == Shut::All {
        walls.push(walls::allow_only_needed_calls());
    }
    Ok((guest, walls))
}

/// What [`super::cache::prepare`] opened in the service.
#[expect(
    unsafe_code,
    reason = "they are where the standard library expects other things"
)]
fn given() -> Artefacts {
    // SAFETY: the service opened both, nothing else in here uses them, and they are taken once.
    let [code, image] = [1, 2].map(|descriptor| unsafe { File::from_raw_fd(descriptor) });
    Artefacts { code, image }
}

/// A first call: what is made on first use is there before the door shuts, and the guest is whole.
fn probe(guest: &mut Guest) -> Result<(), SandboxError> {
    let job = Job {
        source: "def evaluate(trace):\n    return True\n",
        trace: "{}",
        answers: "{}",
        fuel: engine::FUEL,
        memory_bytes: engine::MEMORY_BYTES as u64,
    };
    match guest.evaluate(&job)? {
        Reply::Done(done) if done.result == Ok((Verdict::Pass, String::new())) => Ok(()),
        reply => Err(SandboxError::Guest(format!(
            "its first answer is {reply:?}"
        ))),
    }
}

fn serve(guest: &mut Guest, frames: &mut Frames) -> End {
    loop {
        if let Err(end) = answer(guest, frames) {
            return end;
        }
    }
}

fn answer(guest: &mut Guest, frames: &mut Frames) -> Result<(), End> {
    let job: Job<'_> = frames.read(&mut Socket).map_err(end_of)?;
    let reply = guest.evaluate(&job).map_err(|_| End::Guest)?;
    frames.write(&mut Socket, &reply).map_err(end_of)
}

fn end_of(error: ProtocolError) -> End {
    match error {
        ProtocolError::Closed => End::Closed,
        _ => End::Protocol,
    }
}

/// Descriptor 0, without the standard library's buffer before it.
pub(super) struct Socket;

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin(), into)?)
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdin(), from)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends the process and runs nothing more: what is registered to run at an exit may need what is shut off.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no library wraps this call")]
pub(super) fn exit(end: End) -> ! {
    // SAFETY: it never returns, and no other thread runs.
    unsafe { libc::_exit(end as i32) }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn exit(end: End) -> ! {
    std::process::exit(end as i32)
}
