//! The second wall: what a worker gives up before it reads its first job.
//!
//! A worker keeps the memory that it mapped, the processor, and a few descriptors: its socket to the service (0);
//! the guest's code and memory at rest (1 and 2), which cannot be written, and the second is mapped again after
//! calls; and the memory file that images of evals are kept in. It may read from and write to the first alone.
//! It says itself which walls stand, and reads back what the kernel lets it read; the tests look from outside. A wall that the
//! kernel lacks does not keep a worker from working: whoever runs it is told.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod system;

mod process;
#[cfg(target_os = "linux")]
mod seccomp;

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that keeps a worker in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wall {
    /// No variable was passed on.
    EmptyEnvironment,
    /// Nothing that the service had open is open.
    NoDescriptors,
    /// A session of its own: no terminal, no signals meant for the service.
    OwnSession,
    /// The kernel ends it when the service ends, however that happens.
    EndsWithService,
    /// Limits for what the kernel counts.
    ResourceLimits,
    /// No program that it could start would have more rights.
    NoNewPrivileges,
    /// Nothing of what root may do, also where the service runs as root.
    NoCapabilities,
    /// No path can be opened, made, removed or renamed.
    LandlockFiles,
    /// No TCP port can be bound or connected to.
    LandlockNetwork,
    /// No signal and no abstract socket reaches another process.
    LandlockScopes,
    /// Other processes of the same user can't read its memory, and a crash leaves no core.
    NotDumpable,
    /// Only the system calls that it needs.
    Seccomp,
}

impl Wall {
    /// All, in the order in which they are put up.
    pub const ALL: [Self; 12] = [
        Self::EmptyEnvironment,
        Self::NoDescriptors,
        Self::OwnSession,
        Self::EndsWithService,
        Self::NoNewPrivileges,
        Self::LandlockFiles,
        Self::LandlockNetwork,
        Self::LandlockScopes,
        Self::NoCapabilities,
        Self::ResourceLimits,
        Self::NotDumpable,
        Self::Seccomp,
    ];

    /// What the lack of it costs, for the person who runs the service.
    pub fn cost(self) -> &'static str {
        match self {
            Self::EmptyEnvironment => "code that breaks out could read the service's variables",
            Self::NoDescriptors => "code that breaks out could use the service's open files",
            Self::OwnSession => "code that breaks out could reach the service's terminal",
            Self::EndsWithService => "a worker may outlive a service that was killed, for a call",
            Self::ResourceLimits => "code that breaks out could use up the machine's memory",
            Self::NoNewPrivileges => "code that breaks out could start set-user-id programs",
            Self::NoCapabilities => "code that breaks out of a root service could do what root may",
            Self::LandlockFiles => "only seccomp keeps code that breaks out from files",
            Self::LandlockNetwork => "only seccomp keeps code that breaks out from the network",
            Self::LandlockScopes => {
                "only seccomp keeps code that breaks out from signalling others"
            }
            Self::NotDumpable => "this user's other processes could read a worker's memory",
            Self::Seccomp => "code that breaks out could try every system call",
        }
    }
}

impl Display for Wall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyEnvironment => "empty environment",
            Self::NoDescriptors => "no inherited descriptors",
            Self::OwnSession => "own session",
            Self::EndsWithService => "ends with the service",
            Self::ResourceLimits => "resource limits (rlimits)",
            Self::NoNewPrivileges => "no new privileges",
            Self::NoCapabilities => "no capabilities",
            Self::LandlockFiles => "no files (Landlock)",
            Self::LandlockNetwork => "no TCP (Landlock)",
            Self::LandlockScopes => "no signals to others (Landlock)",
            Self::NotDumpable => "unreadable memory (not dumpable)",
            Self::Seccomp => "only needed system calls (seccomp)",
        })
    }
}

/// Which walls a worker puts up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// All, as in service.
    All,
    /// All but seccomp, which ends the worker before another wall is asked.
    ButSeccomp,
    /// Landlock's, and no other that could be asked before them.
    LandlockAlone,
    /// None: the twin, which succeeds.
    Nothing,
}

impl Shut {
    /// The word on a worker's command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::ButSeccomp => "but-seccomp",
            Self::LandlockAlone => "landlock-alone",
            Self::Nothing => "nothing",
        }
    }
}

impl FromStr for Shut {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [
            Self::All,
            Self::ButSeccomp,
            Self::LandlockAlone,
            Self::Nothing,
        ]
        .into_iter()
        .find(|shut| shut.as_str() == word)
        .ok_or_else(|| format!("{word} names no walls"))
    }
}

/// Whether a wall stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallState {
    /// Which.
    pub wall: Wall,
    /// Whether it stands.
    pub stands: bool,
    /// Why it does not.
    pub why: Option<String>,
}

impl WallState {
    fn of(wall: Wall, built: Result<(), String>) -> Self {
        Self {
            wall,
            stands: built.is_ok(),
            why: built.err(),
        }
    }
}

/// Leaves behind what came with the start: before anything is opened.
pub fn leave_the_service() -> Vec<WallState> {
    vec![
        WallState::of(Wall::EmptyEnvironment, process::check_environment()),
        WallState::of(Wall::NoDescriptors, process::close_descriptors()),
        WallState::of(Wall::OwnSession, process::own_session()),
        WallState::of(Wall::EndsWithService, system::end_with_service()),
    ]
}

/// Shuts the door but for seccomp, which is last: see [`allow_only_needed_calls`]. Everything that a worker needs
/// is open, and nothing hostile has been read; from here on nothing can be opened.
pub fn shut_the_door() -> Vec<WallState> {
    let no_capabilities = WallState::of(Wall::NoCapabilities, system::drop_capabilities());
    let mut walls = landlock();
    walls.extend([
        no_capabilities,
        WallState::of(Wall::ResourceLimits, process::limit_resources()),
        WallState::of(Wall::NotDumpable, system::hide_memory()),
    ]);
    walls
}

/// Landlock's walls, and what the kernel asks for before it puts them up.
pub fn landlock() -> Vec<WallState> {
    let no_new_privileges = system::refuse_new_privileges();
    let [files, network, scopes] = system::landlock();
    vec![
        WallState::of(Wall::NoNewPrivileges, no_new_privileges),
        WallState::of(Wall::LandlockFiles, files),
        WallState::of(Wall::LandlockNetwork, network),
        WallState::of(Wall::LandlockScopes, scopes),
    ]
}

/// Has the kernel end this process at any system call that a worker does not need.
pub fn allow_only_needed_calls() -> WallState {
    WallState::of(Wall::Seccomp, system::allow_only_needed_calls())
}
