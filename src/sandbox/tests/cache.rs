//! The compiled guest on disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tempfile::TempDir;

use super::*;
use crate::sandbox::{SandboxError, cache, guest_sum};

fn opened(directory: &Path) {
    let sandbox = Sandbox::open(directory).unwrap();
    assert_eq!(
        sandbox.evaluate(&eval("return True"), TRACE).verdict(),
        Some(Verdict::Pass)
    );
}

/// A directory with the guest that [`sandbox`] compiled, and the file in it: compiling takes long.
fn compiled_before() -> (TempDir, PathBuf) {
    let name = cache::file_name(&sandbox().shared.engine, guest_sum());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(&name);
    fs::copy(cache_dir().join(&name), &file).unwrap();
    (directory, file)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_second_sandbox_uses_the_first_ones_file() {
    let (directory, file) = compiled_before();
    let compiled = fs::metadata(&file).unwrap();
    opened(directory.path());
    assert_eq!(fs::metadata(&file).unwrap().ino(), compiled.ino());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_cut_short_is_replaced() {
    let (directory, file) = compiled_before();
    let length = fs::metadata(&file).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(length / 2)
        .unwrap();
    opened(directory.path());
    assert_eq!(fs::metadata(&file).unwrap().len(), length);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_not_this_users_alone_is_not_run() {
    let (_directory, file) = compiled_before();
    let engine = &sandbox().shared.engine;
    let user = fs::metadata(&file).unwrap().uid();
    assert!(cache::load(engine, &file, user).is_some());
    assert!(cache::load(engine, &file, user + 1).is_none());
    set_mode(&file, 0o620);
    assert!(cache::load(engine, &file, user).is_none());
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let (directory, _file) = compiled_before();
    for mode in [0o770, 0o702, 0o777] {
        set_mode(directory.path(), mode);
        let refused = Sandbox::open(directory.path()).err();
        let untrusted = matches!(refused, Some(SandboxError::UntrustedCache { .. }));
        assert!(untrusted, "{mode:o}: {refused:?}");
    }
    set_mode(directory.path(), 0o700);
    opened(directory.path());
}

#[test]
fn where_nothing_can_be_cached_the_guest_is_compiled_all_the_same() {
    let file = tempfile::NamedTempFile::new().unwrap();
    opened(&file.path().join("cache"));
}
