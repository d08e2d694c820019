//! A worker process, as the service sees it.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use serde::{Serialize, de::DeserializeOwned};

use super::SandboxError;
use super::cache::Artefacts;
use super::protocol::{Frames, Greeting, Job, ProtocolError, Ready, Reply};

/// A start takes some 30 ms; a machine that needs longer than this has other troubles.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Added to a deadline, for the way there and back on a busy machine.
const GRACE: Duration = Duration::from_millis(500);

/// A time-out may come so much late.
const LATE: Duration = Duration::from_millis(100);

/// Why a worker is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The process ended, or its connection did.
    #[error("it died ({0})")]
    Died(String),
    /// The job was not read in time. No eval runs before it is.
    #[error("it did not read its job before the deadline")]
    Stuck,
    /// The answer did not come in time.
    #[error("it was still busy at the deadline")]
    Hung,
    /// The answer is none.
    #[error("it answered nonsense: {0}")]
    Nonsense(ProtocolError),
}

/// A running worker. Killed when it is dropped.
pub struct Process {
    child: Child,
    socket: UnixStream,
    /// The socket's time-out; zero before one is set.
    timeout: Duration,
    frames: Frames,
}

impl Process {
    /// Starts `program` as a worker, which is not locked in yet. It ends with the thread that calls this.
    pub fn spawn(program: &Path, artefacts: &Artefacts, arguments: &[&str]) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg("sandbox-worker")
            .args(arguments)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(artefacts.code.try_clone()?)
            .stderr(artefacts.image.try_clone()?)
            .spawn()?;
        Ok(Self {
            child,
            socket,
            timeout: Duration::ZERO,
            frames: Frames::of_host(),
        })
    }

    /// Runs one job.
    ///
    /// # Errors
    /// The worker must not be used again.
    pub fn call(&mut self, job: &Job<'_>, deadline: Duration) -> Result<Reply, Failure> {
        let start = Instant::now();
        let replied = self
            .ask(job, deadline + GRACE)
            .and_then(|reply: Reply| reply.check(job.fuel, start.elapsed()).map(|()| reply));
        replied.map_err(|error| self.failure(error))
    }

    /// Waits until the worker is locked in.
    pub fn greet(&mut self) -> Result<Ready, SandboxError> {
        let mut timed = Timed::new(&self.socket, &mut self.timeout, START_WITHIN);
        match self.frames.read::<Greeting>(&mut timed) {
            Ok(Ok(ready)) => Ok(ready),
            Ok(Err(reason)) => Err(SandboxError::Worker(reason)),
            Err(error) => Err(SandboxError::Worker(self.failure(error).to_string())),
        }
    }

    /// Sends a message and waits for what is answered. What is there before would be taken for the answer.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        message: &impl Serialize,
        within: Duration,
    ) -> Result<T, ProtocolError> {
        let mut timed = Timed::new(&self.socket, &mut self.timeout, within);
        check_silent(&self.socket)?;
        self.frames.write(&mut timed, message)?;
        self.frames.read(&mut timed)
    }

    /// Waits until the process has ended by itself.
    pub fn end_within(&mut self, within: Duration) -> Result<ExitStatus, SandboxError> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(SandboxError::Worker(Failure::Hung.to_string()))
    }

    fn failure(&mut self, error: ProtocolError) -> Failure {
        match error {
            ProtocolError::TimedOut => Failure::Hung,
            ProtocolError::Unread => Failure::Stuck,
            ProtocolError::Closed | ProtocolError::Io(_) => Failure::Died(self.end()),
            error => Failure::Nonsense(error),
        }
    }

    /// How the process ended. Its connection is closed, so it should have by now.
    fn end(&mut self) -> String {
        match self.end_within(GRACE) {
            Ok(status) => status.to_string(),
            Err(_) => "it closed its connection".to_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already. Waiting leaves no zombie.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever was not asked says nothing.
fn check_silent(socket: &UnixStream) -> Result<(), ProtocolError> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match rustix::net::recv(socket, &mut [0], flags) {
        Err(Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err(ProtocolError::Io(error.into())),
        Ok((0, _)) => Err(ProtocolError::Closed),
        Ok(_) => Err(ProtocolError::Nonsense("an answer before the question")),
    }
}

/// A socket that has until a moment, however often it is read or written in between.
struct Timed<'a> {
    socket: &'a UnixStream,
    /// The socket's time-out.
    set: &'a mut Duration,
    until: Instant,
}

impl<'a> Timed<'a> {
    fn new(socket: &'a UnixStream, set: &'a mut Duration, within: Duration) -> Self {
        let until = Instant::now() + within;
        Self { socket, set, until }
    }

    /// Sets the socket's time-out to the time that is left, if it is shorter or much longer: a call takes a
    /// fraction of a millisecond, and setting it would add to that.
    fn set_timeout(&mut self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if *self.set < left || *self.set > left + LATE {
            // So that it serves calls that start alike, too.
            let timeout = left + LATE / 2;
            self.socket.set_read_timeout(Some(timeout))?;
            self.socket.set_write_timeout(Some(timeout))?;
            *self.set = timeout;
        }
        Ok(())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.set_timeout()?;
        self.socket.read(into)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.set_timeout()?;
        self.socket.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts workers, on a thread of its own: a worker ends with the thread that started it.
pub struct Starter {
    requests: mpsc::Sender<mpsc::SyncSender<io::Result<Process>>>,
}

impl Starter {
    /// For workers that run `program` on `artefacts`.
    pub fn new(program: PathBuf, artefacts: Arc<Artefacts>) -> io::Result<Self> {
        let (requests, receiver) = mpsc::channel::<mpsc::SyncSender<_>>();
        let serve = move || {
            for request in receiver {
                // Whoever asked may be gone: then the worker is dropped.
                let _ = request.send(Process::spawn(&program, &artefacts, &[]));
            }
        };
        thread::Builder::new()
            .name("sandbox-starter".to_owned())
            .spawn(serve)?;
        Ok(Self { requests })
    }

    /// A worker that is locked in and waits for jobs.
    pub fn start(&self) -> Result<(Process, Ready), SandboxError> {
        let mut process = self.spawn()?;
        let ready = process.greet()?;
        Ok((process, ready))
    }

    /// A worker that is to be greeted: it locks itself in.
    pub fn spawn(&self) -> Result<Process, SandboxError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let gone = || SandboxError::Worker("the thread that starts workers is gone".to_owned());
        self.requests.send(answer).map_err(|_| gone())?;
        let started = answered.recv().map_err(|_| gone())?;
        started.map_err(|error| SandboxError::Worker(format!("it can't be started: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    fn timed<'a>(socket: &'a UnixStream, set: &'a mut Duration) -> Timed<'a> {
        Timed::new(socket, set, WITHIN)
    }

    #[test]
    fn a_time_out_is_set_once_for_calls_that_take_no_time() {
        let (socket, theirs) = UnixStream::pair().unwrap();
        let mut set = Duration::ZERO;
        (&theirs).write_all(b"two").unwrap();
        timed(&socket, &mut set).read_exact(&mut [0]).unwrap();
        let first = socket.read_timeout().unwrap();
        assert!(first.is_some_and(|first| first <= WITHIN + LATE));
        // A mark, to see whether it is set again.
        socket.set_read_timeout(Some(2 * WITHIN)).unwrap();
        timed(&socket, &mut set).read_exact(&mut [0, 0]).unwrap();
        assert_eq!(socket.read_timeout().unwrap(), Some(2 * WITHIN));
    }

    #[test]
    fn what_comes_in_pieces_has_no_more_time_than_what_comes_at_once() {
        let (socket, theirs) = UnixStream::pair().unwrap();
        let mut set = Duration::ZERO;
        let mut timed = timed(&socket, &mut set);
        (&theirs).write_all(b"two").unwrap();
        timed.read_exact(&mut [0]).unwrap();
        timed.until -= WITHIN / 2;
        timed.read_exact(&mut [0]).unwrap();
        assert!(socket.read_timeout().unwrap() <= Some(WITHIN / 2 + LATE));
        assert!(socket.write_timeout().unwrap() <= Some(WITHIN / 2 + LATE));
        timed.until -= WITHIN / 2;
        let late = timed.read_exact(&mut [0]).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
