//! The guest's machine code, kept in a directory between runs.

use std::fs::{self, DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use wasmtime::{Engine, Module};

use super::{GUEST, SandboxError};

/// Write permission for the group or for everyone.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The compiled guest from `directory`, or compiled now and put there.
///
/// Processes that race compile it twice, and the last one's file stays. A file that can't be used
/// (of another owner, cut short) is replaced. Where the directory can't be written (a read-only
/// home, a full disk), the guest is compiled for this process alone.
pub fn load_or_compile(
    engine: &Engine,
    directory: &Path,
    guest_sum: &str,
) -> Result<Module, SandboxError> {
    let owner = match prepare(directory) {
        Ok(Some(owner)) => owner,
        Ok(None) => {
            let path = directory.to_owned();
            return Err(SandboxError::UntrustedCache { path });
        }
        Err(error) => return compile_uncached(engine, directory, &error),
    };
    let path = directory.join(file_name(engine, guest_sum));
    if let Some(module) = load(engine, &path, owner) {
        return Ok(module);
    }
    let code = engine.precompile_module(&decompress()?)?;
    if let Err(error) = write_atomically(&path, &code) {
        return compile_uncached(engine, directory, &error);
    }
    load(engine, &path, owner)
        .ok_or_else(|| SandboxError::Guest("compiled code can't be loaded".into()))
}

/// The guest for this process alone, because of `error`.
fn compile_uncached(
    engine: &Engine,
    directory: &Path,
    error: &io::Error,
) -> Result<Module, SandboxError> {
    tracing::warn!(
        cache.path = %directory.display(), %error,
        "the compiled sandbox can't be cached; every start compiles it again"
    );
    Ok(Module::new(engine, decompress()?)?)
}

/// Names everything that the code depends on.
pub(super) fn file_name(engine: &Engine, guest_sum: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!(
        "python-{}-wasmtime-48-{:016x}.cwasm",
        &guest_sum[..16],
        hasher.finish()
    )
}

/// Makes the directory if need be. Its owner's user id; `None` if others can write to it.
fn prepare(directory: &Path) -> io::Result<Option<u32>> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let user = user_id(directory)?;
    Ok(trusted(&fs::metadata(directory)?, user).then_some(user))
}

/// The user id of this process: that of a file it makes.
fn user_id(directory: &Path) -> io::Result<u32> {
    let (path, file) = new_file(directory)?;
    let user = file.metadata().map(|metadata| metadata.uid());
    fs::remove_file(path)?;
    user
}

/// A new file in `directory`, for this user alone. Its name is random: process numbers repeat
/// between containers that share the directory.
fn new_file(directory: &Path) -> io::Result<(PathBuf, File)> {
    let path = directory.join(format!(".new-{:032x}", rand::random::<u128>()));
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    Ok((path, file))
}

fn trusted(metadata: &Metadata, user: u32) -> bool {
    metadata.uid() == user && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

/// The module in the file at `path`, if there is one, it is `user`'s, and the engine takes it.
pub(super) fn load(engine: &Engine, path: &Path, user: u32) -> Option<Module> {
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !trusted(&metadata, user) {
        return None;
    }
    deserialize(engine, file).ok()
}

/// Maps compiled code that this user wrote.
#[expect(
    unsafe_code,
    reason = "precompiled code is loaded as it is; compiling it takes seconds"
)]
fn deserialize(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    // SAFETY: the file was written by `write_atomically`, whole, from `precompile_module` of this wasmtime
    // and these settings (the name has both). `trusted` has checked, on this open file and on
    // its directory, that only this user could have written it since.
    unsafe { Module::deserialize_open_file(engine, file) }
}

/// The guest's wasm.
fn decompress() -> Result<Vec<u8>, SandboxError> {
    zstd::decode_all(GUEST).map_err(|error| SandboxError::Guest(error.to_string()))
}

/// Puts `bytes` at `path` such that no one ever sees a part of them.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path
        .parent()
        .expect("the cache file lies in the cache directory");
    let (new, mut file) = new_file(directory)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| fs::rename(&new, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&new);
    }
    renamed
}
