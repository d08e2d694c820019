//! What workers map, made once and kept in a directory between runs: the guest's machine code and its memory.

use std::fs::{self, DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasmtime::Engine;

use super::artefact::{self, Artefact};
use super::guest::engine;
use super::{SandboxError, interpreter};

/// Write permission for the group or for everyone.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Files that a worker maps before it locks itself in.
#[derive(Debug)]
pub struct Artefacts {
    /// The guest's machine code.
    pub code: PathBuf,
    /// The guest's memory after boot.
    pub image: PathBuf,
    /// Where both lie if the cache directory can't be written; removed when this is dropped.
    _temporary: Option<TempDir>,
}

impl Artefacts {
    /// Files that lie there already.
    pub fn at(code: PathBuf, image: PathBuf) -> Self {
        Self {
            code,
            image,
            _temporary: None,
        }
    }
}

/// The files in `directory`, made now (seconds) where they are missing or not to be trusted.
///
/// Processes that race make them twice, and the last one's stay. Where the directory can't be written (a
/// read-only home, a full disk), they are made in a temporary one, for this process alone.
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
        Err(error) => Err(SandboxError::Cache(error)),
    };
    match kept {
        Err(SandboxError::Cache(error)) => fill_temporarily(&engine, directory, &error),
        kept => kept,
    }
}

fn fill(engine: &Engine, directory: &Path, owner: u32) -> Result<Artefacts, SandboxError> {
    let [code, image] = file_names(engine).map(|name| directory.join(name));
    if !(is_this_users(&code, owner) && engine::load(engine, &code).is_ok()) {
        let module = artefact::decompress(Artefact::Module)?;
        write_atomically(&code, &engine.precompile_module(&module)?)?;
    }
    if !(is_this_users(&image, owner) && artefact::is_image(&fs::read(&image)?)) {
        write_atomically(&image, &artefact::decompress(Artefact::Image)?)?;
    }
    Ok(Artefacts::at(code, image))
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
    let temporary = TempDir::with_prefix("iofold-sandbox-")?;
    let owner = fs::metadata(temporary.path())?.uid();
    let artefacts = fill(engine, temporary.path(), owner)?;
    Ok(Artefacts {
        _temporary: Some(temporary),
        ..artefacts
    })
}

/// They name everything that the contents depend on.
pub(super) fn file_names(engine: &Engine) -> [String; 2] {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let guest = &interpreter()[..16];
    [
        format!("python-{guest}-wasmtime-48-{:016x}.cwasm", hasher.finish()),
        format!("python-{guest}.img"),
    ]
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

/// There is such a file, and `user` alone could have written it.
fn is_this_users(path: &Path, user: u32) -> bool {
    let metadata = fs::symlink_metadata(path);
    metadata.is_ok_and(|metadata| metadata.is_file() && is_trusted(&metadata, user))
}

/// Puts `bytes` at `path` such that no one ever sees a part of them. The temporary name is random: process
/// numbers repeat between containers that share the directory.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_file_name(format!(".new-{:032x}", rand::random::<u128>()));
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

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
