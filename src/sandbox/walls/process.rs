//! The walls that every Unix has.

use std::fs::{self, DirEntry};
use std::io;

use rustix::process::{Resource, Rlimit};

use crate::sandbox::guest::MOST_MEMORY_BYTES;

/// What the process may have of writable memory: every image grown to its limit, one call, and 128 MiB for the
/// program itself and a job.
const DATA_BYTES: u64 = MOST_MEMORY_BYTES as u64 + (128 << 20);

/// A variable could be a secret. The kernel knows what was passed on; a runtime may have set more since.
pub fn check_environment() -> Result<(), String> {
    let passed_on = match std::fs::read("/proc/self/environ") {
        Ok(variables) => variables
            .split(|byte| *byte == 0)
            .filter(|one| !one.is_empty())
            .count(),
        Err(_) => std::env::vars_os().count(),
    };
    match passed_on {
        0 => Ok(()),
        count => Err(format!("{count} variables were passed on")),
    }
}

/// How many descriptors a worker is started with: the socket to the service and the guest's two files.
const GIVEN: i32 = 3;

/// Closes all but what the worker was given, which are the lowest.
pub fn close_descriptors() -> Result<(), String> {
    close_others().map_err(|error| error.to_string())?;
    match open_descriptors() {
        // Where it can't be looked at, the kernel's word stands.
        Ok(count) if count > GIVEN as usize => Err(format!("{count} are open")),
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no library wraps this call")]
fn close_others() -> io::Result<()> {
    // SAFETY: nothing in this process owns a descriptor yet.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, GIVEN as u32, u32::MAX, 0_u32) };
    match closed {
        0 => Ok(()),
        _ => close_each(),
    }
}

#[cfg(not(target_os = "linux"))]
fn close_others() -> io::Result<()> {
    close_each()
}

/// Where the kernel can't close a range: Linux before 5.9, and other systems.
#[expect(
    unsafe_code,
    reason = "these descriptors came with the start and have no owner"
)]
fn close_each() -> io::Result<()> {
    let entries = fs::read_dir("/dev/fd")?;
    let number = |entry: io::Result<DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let open: Vec<i32> = entries.filter_map(number).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= GIVEN) {
        // The listing's own is closed already.
        if fs::symlink_metadata(format!("/dev/fd/{descriptor}")).is_ok() {
            // SAFETY: it is open, and nothing in this process owns a descriptor yet.
            unsafe { rustix::io::close(descriptor) };
        }
    }
    Ok(())
}

/// How many are open, but for the one that this takes.
fn open_descriptors() -> io::Result<usize> {
    Ok(fs::read_dir("/dev/fd")?.count().saturating_sub(1))
}

/// No terminal to write to, and no signal that the service's terminal sends.
pub fn own_session() -> Result<(), String> {
    rustix::process::setsid()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// What the kernel would count: no file may be written, none opened, no process started.
pub fn limit_resources() -> Result<(), String> {
    let mut limits = vec![
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
        (Resource::Nofile, 0),
        (Resource::Memlock, 0),
        (Resource::Data, DATA_BYTES),
    ];
    #[cfg(target_os = "linux")]
    limits.extend([
        (Resource::Sigpending, 0),
        (Resource::Msgqueue, 0),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
    ]);
    for (resource, most) in limits {
        limit(resource, most).map_err(|error| format!("{resource:?}: {error}"))?;
    }
    Ok(())
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let before = rustix::process::getrlimit(resource);
    let most = before.maximum.map_or(most, |maximum| maximum.min(most));
    let wanted = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    rustix::process::setrlimit(resource, wanted)?;
    match rustix::process::getrlimit(resource) == wanted {
        true => Ok(()),
        false => Err(io::Error::other("the kernel did not keep it")),
    }
}
