//! The walls that only Linux has.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Signal};

pub use super::seccomp::allow_only_needed_calls;

/// What is asked of Landlock: all that a kernel of that version can refuse.
const LANDLOCK: ABI = ABI::V7;

/// The signal comes when the thread that started this process ends; the pool keeps that thread for as long as
/// it wants workers.
pub fn end_with_service() -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .and_then(|()| rustix::process::parent_process_death_signal())
        .map_err(|error| error.to_string())
        .and_then(|read| match read {
            Some(Signal::KILL) => Ok(()),
            _ => Err("the kernel did not keep the signal".to_owned()),
        })
}

#[expect(
    unsafe_code,
    reason = "the wrapper of this request is in a feature that nothing else needs"
)]
pub fn refuse_new_privileges() -> Result<(), String> {
    // SAFETY: neither request takes a pointer.
    let (set, read) = unsafe {
        (
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        )
    };
    match (set, read) {
        (0, 1) => Ok(()),
        _ => Err(io::Error::last_os_error().to_string()),
    }
}

/// The version of the kernel's structures below: two sets of 32 bits each.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// All of them, and those that a program could have again, if this process may say so: without it,
/// [`refuse_new_privileges`] keeps it from having any.
#[expect(unsafe_code, reason = "no library in use wraps these calls")]
pub fn drop_capabilities() -> Result<(), String> {
    // SAFETY: neither request takes a pointer. The kernel says an error after the last one that it has.
    let drop = |number: u64| unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
    (0..64_u64).for_each(|number| _ = drop(number));
    let header = [CAPABILITY_VERSION, 0];
    // Effective, permitted, inheritable; twice.
    let (none, mut read) = ([0_u32; 6], [1_u32; 6]);
    // SAFETY: the kernel reads and writes as many numbers as the version says.
    let (set, got) = unsafe {
        (
            libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()),
            libc::syscall(libc::SYS_capget, header.as_ptr(), read.as_mut_ptr()),
        )
    };
    match (set, got) {
        (0, 0) if read == none => Ok(()),
        (0, 0) => Err("the kernel did not drop them".to_owned()),
        _ => Err(io::Error::last_os_error().to_string()),
    }
}

/// No core and no reading by processes of the same user, which could otherwise attach to this one.
pub fn hide_memory() -> Result<(), String> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .and_then(|()| rustix::process::dumpable_behavior())
        .map_err(|error| error.to_string())
        .and_then(|read| match read {
            DumpableBehavior::NotDumpable => Ok(()),
            _ => Err("the kernel did not keep the setting".to_owned()),
        })
}

/// Files, network, scopes: refuses everything that Landlock knows of, with no exception.
pub fn landlock() -> [Result<(), String>; 3] {
    match restrict() {
        Ok(abi) => [
            (ABI::V3, "refuse to truncate files", "6.2"),
            (ABI::V4, "refuse TCP ports", "6.7"),
            (ABI::V6, "refuse signals and abstract sockets", "6.12"),
        ]
        .map(|(from, what, linux)| match abi >= from {
            true => Ok(()),
            false => Err(format!("Landlock can't {what} here; Linux {linux} can")),
        }),
        Err(why) => [Err(why.clone()), Err(why.clone()), Err(why)],
    }
}

/// The version that is enforced now.
fn restrict() -> Result<ABI, String> {
    let status = rules().map_err(|error| error.to_string())?;
    let LandlockStatus::Available { effective_abi, .. } = status.landlock else {
        return Err(match status.landlock {
            LandlockStatus::NotEnabled => "Landlock is switched off (the kernel's lsm= list)",
            _ => "the kernel has no Landlock (Linux 5.13, CONFIG_SECURITY_LANDLOCK)",
        }
        .to_owned());
    };
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("the kernel did not enforce it".to_owned()),
        _ => Ok(effective_abi),
    }
}

fn rules() -> Result<landlock::RestrictionStatus, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()
}
