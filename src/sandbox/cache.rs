//! What workers map, made once and kept in a directory between runs: the guest's machine code and its memory.

use std::fs::{self, DirBuilder, DirEntry, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wasmtime::Engine;

use super::artefact::{self, Artefact};
use super::guest::engine;
use super::{SandboxError, interpreter};
use crate::domain::sha256_hex;

/// Write permission for the group or for everyone.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Another version's files are removed when no start has used them for so long.
const UNUSED_FOR: Duration = Duration::from_hours(7 * 24);
/// A file that is still being written after so long never will be whole.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

/// How the names of files start that are being written.
const NEW: &str = ".new-";

/// Files that workers map: open for reading, and checked. Nothing is opened by a path again, so that workers can
/// be started after the directory is gone.
#[derive(Debug)]
pub struct Artefacts {
    /// The guest's machine code.
    pub code: File,
    /// The guest's memory after boot.
    pub image: File,
}

impl Artefacts {
    /// The same files for another owner.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            code: self.code.try_clone()?,
            image: self.image.try_clone()?,
        })
    }
}

/// The files in `directory`, made now (seconds) where they are missing or not to be trusted.
///
/// Processes that race make them twice, and the last one's stay. Where the directory can't be written (a
/// read-only home, a full disk), they are made for this process alone.
///
/// # Errors
/// [`SandboxError::UntrustedCache`]: others could put machine code there.
pub fn prepare(directory: &Path) -> Result<Artefacts, SandboxError> {
    artefact::verify()?;
    let engine = Engine::new(&engine::config())?;
    let kept = match owner_of(directory) {
        Ok(Some(owner)) => fill(&engine, directory, owner),
        Ok(None) => {
            let path = directory.to_owned();
            return Err(SandboxError::UntrustedCache { path });
        }
        Err(error) => Err(SandboxError::System(error)),
    };
    match kept {
        Err(SandboxError::System(error)) => fill_temporarily(&engine, directory, &error),
        kept => kept,
    }
}

fn fill(engine: &Engine, directory: &Path, owner: u32) -> Result<Artefacts, SandboxError> {
    let names = file_names(engine);
    let [code, sum, image] = names.each_ref().map(|name| directory.join(name));
    let compiled = || {
        let module = artefact::decompress(Artefact::Module)?;
        let compiled = engine.precompile_module(&module)?;
        write_atomically(&sum, sha256_hex(&compiled).as_bytes())?;
        Ok(compiled)
    };
    let is_compiled = |found: &str| {
        let kept = open(&sum, owner).and_then(|file| io::read_to_string(file).ok());
        kept.is_some_and(|kept| kept == found)
    };
    let image_made = || artefact::decompress(Artefact::Image);
    let artefacts = Artefacts {
        code: kept(&code, owner, is_compiled, compiled)?,
        image: kept(&image, owner, artefact::is_image, image_made)?,
    };
    remove_old(directory, &names);
    Ok(artefacts)
}

/// The file at `path`, made now if it is not there, if others could have written it, or if its sum is wrong.
fn kept(
    path: &Path,
    owner: u32,
    is_right: impl Fn(&str) -> bool,
    make: impl FnOnce() -> Result<Vec<u8>, SandboxError>,
) -> Result<File, SandboxError> {
    let right = || open(path, owner).filter(|file| sum_of(file).is_ok_and(|sum| is_right(&sum)));
    if let Some(file) = right() {
        return Ok(file);
    }
    write_atomically(path, &make()?)?;
    let changed = || io::Error::other("a file was changed while it was made");
    Ok(right().ok_or_else(changed)?)
}

/// For this process alone, because of `error`.
fn fill_temporarily(
    engine: &Engine,
    directory: &Path,
    error: &io::Error,
) -> Result<Artefacts, SandboxError> {
    tracing::warn!(
        cache.path = %directory.display(), %error,
        "the compiled sandbox can't be cached; every start compiles it again"
    );
    // Removed on return: open files are enough.
    let temporary = TempDir::with_prefix("iofold-sandbox-")?;
    let owner = fs::metadata(temporary.path())?.uid();
    fill(engine, temporary.path(), owner)
}

/// Of the code, its sum, and the image. They name everything that the contents depend on.
fn file_names(engine: &Engine) -> [String; 3] {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let guest = &interpreter()[..16];
    let code = format!("python-{guest}-wasmtime-48-{:016x}.cwasm", hasher.finish());
    let sum = format!("{code}.sha256");
    [code, sum, format!("python-{guest}.img")]
}

/// Makes the directory if need be. Its owner's user id; `None` if others can write to it.
fn owner_of(directory: &Path) -> io::Result<Option<u32>> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let user = rustix::process::geteuid().as_raw();
    Ok(is_trusted(&fs::metadata(directory)?, user).then_some(user))
}

fn is_trusted(metadata: &Metadata, user: u32) -> bool {
    metadata.uid() == user && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

/// The file, if there is one, and `user` alone could have written it. It counts as used now.
fn open(path: &Path, user: u32) -> Option<File> {
    // What is not a file should neither be followed nor waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let metadata = file.metadata().ok()?;
    if !(metadata.is_file() && is_trusted(&metadata, user)) {
        return None;
    }
    // Where that can't be written down, nothing can be removed either.
    let _ = file.set_modified(SystemTime::now());
    Some(file)
}

fn sum_of(mut file: &File) -> io::Result<String> {
    let mut sum = Sha256::new();
    io::copy(&mut file, &mut sum)?;
    Ok(hex::encode(sum.finalize()))
}

/// Puts `bytes` at `path` such that no one ever sees a part of them. The temporary name is random: process
/// numbers repeat between containers that share the directory.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_file_name(format!("{NEW}{:032x}", rand::random::<u128>()));
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Removes what no version of this program needs any more. What can't be removed does no harm.
fn remove_old(directory: &Path, current: &[String]) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_old(entry, current)) {
        let _: io::Result<()> = fs::remove_file(entry.path());
    }
}

fn is_old(entry: &DirEntry, current: &[String]) -> bool {
    let name = entry.file_name().to_string_lossy().into_owned();
    let limit = match name.starts_with(NEW) {
        true => ABANDONED_AFTER,
        false if name.starts_with("python-") && !current.contains(&name) => UNUSED_FOR,
        false => return false,
    };
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    // A clock that was set back makes no file old.
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > limit))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
