//! Code that has broken out of the guest: what the second wall stops when the first one is gone.
//!
//! A worker locks itself in and tries one thing by itself; with nothing locked, the same succeeds.

use super::judge::Canaries;
use super::suite::{Suite, Tried};
use super::trial::End;
use super::{Act, Attack, Expect};
use crate::sandbox::SandboxError;
use crate::sandbox::attempts::{Act as Tries, AttemptOutcome, attempt};
use crate::sandbox::walls::{Shut, Wall};

pub use crate::sandbox::attempts::AttemptOutcome as Outcome;

/// Bad system call.
const SIGSYS: i32 = 31;
/// Not permitted, and no access: what Landlock says.
const DENIED: [i32; 2] = [1, 13];

type What = fn(&Canaries) -> Tries;

const READ: What = |at| Tries::Open(at.file());
const MAKE: What = |at| Tries::Create(at.new_file());
const OVERWRITE: What = |at| Tries::Create(at.file());
const REMOVE: What = |at| Tries::Remove(at.file());
const CONNECT: What = |at| Tries::Connect(at.address());
const SEND: What = |at| Tries::Send(at.address());
const EXECUTE: What = |_| Tries::Exec("/proc/self/exe".into());
const TAKE_MEMORY: What = |_| Tries::Allocate(3 << 29);

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    locked_in("a file is read", READ),
    locked_in("a file is made", MAKE),
    locked_in("a file is overwritten", OVERWRITE),
    locked_in("a file is removed", REMOVE),
    locked_in("a server is connected to", CONNECT),
    locked_in("a datagram is sent", SEND),
    locked_in("a port is listened on", |_| Tries::Listen),
    locked_in("another program is started", EXECUTE),
    locked_in("a process is forked", |_| Tries::Fork),
    locked_in("a thread is started", |_| Tries::Thread),
    locked_in("memory is mapped to be executed", |_| Tries::MapExecutable),
    locked_in("memory is made executable", |_| Tries::MakeExecutable),
    locked_in("1.5 GiB of memory are taken", TAKE_MEMORY),
    by_landlock("with Landlock alone, a file is read", FILES, READ),
    by_landlock("with Landlock alone, a file is made", FILES, MAKE),
    by_landlock("with Landlock alone, a file is removed", FILES, REMOVE),
    by_landlock(
        "with Landlock alone, a server is connected to",
        NETWORK,
        CONNECT,
    ),
    by_landlock(
        "with Landlock alone, another program is started",
        FILES,
        EXECUTE,
    ),
];

/// What gets through because no wall is up: the judge has to notice each.
pub const UNGUARDED: &[Attack] = &[
    attack("a file is made", MAKE, Shut::Nothing, None),
    attack("a file is overwritten", OVERWRITE, Shut::Nothing, None),
    attack("a file is removed", REMOVE, Shut::Nothing, None),
    attack("a server is connected to", CONNECT, Shut::Nothing, None),
];

const FILES: Wall = Wall::LandlockFiles;
const NETWORK: Wall = Wall::LandlockNetwork;

/// Something that a worker tries by itself.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    what: What,
    shut: Shut,
    /// What stops it where it stands; all the others if `None`.
    wall: Option<Wall>,
}

const fn locked_in(name: &'static str, what: What) -> Attack {
    attack(name, what, Shut::All, None)
}

const fn by_landlock(name: &'static str, wall: Wall, what: What) -> Attack {
    attack(name, what, Shut::LandlockAlone, Some(wall))
}

const fn attack(name: &'static str, what: What, shut: Shut, wall: Option<Wall>) -> Attack {
    Attack {
        name,
        act: Act::Native(Native { what, shut, wall }),
        twin: Act::Native(Native {
            what,
            shut: Shut::Nothing,
            wall: None,
        }),
        expect: Expect::Stopped,
    }
}

impl Act {
    /// It is tried with nothing in its way.
    pub(super) fn is_unguarded(&self) -> bool {
        matches!(
            self,
            Self::Native(Native {
                shut: Shut::Nothing,
                ..
            })
        )
    }
}

impl Suite {
    /// The wall that should stop the attack and does not stand here.
    pub(super) fn lacks(&self, attack: &Attack) -> Result<Option<Wall>, SandboxError> {
        let Act::Native(Native {
            wall: Some(wall), ..
        }) = attack.act
        else {
            return Ok(None);
        };
        let walls = self.sandbox.walls()?;
        let stands = walls.iter().any(|state| state.wall == wall && state.stands);
        Ok((!stands).then_some(wall))
    }

    pub(super) fn tried_natively(
        &self,
        native: &Native,
        canaries: &Canaries,
    ) -> Result<Tried, SandboxError> {
        let act = (native.what)(canaries);
        let outcome = attempt(&self.worker, &self.artefacts, native.shut, &act)?;
        Ok(Tried {
            end: End::Native(outcome),
            evidence: canaries.harm().map(str::to_owned),
        })
    }
}

/// It was done; a program that was started instead of the worker ends by itself.
pub fn succeeded(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        AttemptOutcome::Succeeded | AttemptOutcome::Ended(Some(_))
    )
}

/// The kernel did not let it be done.
pub fn stopped(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        AttemptOutcome::Killed(_) | AttemptOutcome::Refused(..)
    )
}

/// A few words for the table.
pub fn stopped_by(outcome: &Outcome) -> String {
    match outcome {
        AttemptOutcome::Killed(SIGSYS) => "seccomp: the kernel ended the worker".to_owned(),
        AttemptOutcome::Killed(signal) => format!("kernel: signal {signal}"),
        AttemptOutcome::Refused(Some(number), words) if DENIED.contains(number) => {
            format!("Landlock: {words}")
        }
        AttemptOutcome::Refused(_, words) => format!("resource limits: {words}"),
        AttemptOutcome::Ended(_) | AttemptOutcome::Succeeded => "nothing".to_owned(),
    }
}
