use std::fs::{FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::sandbox::guest::Guest;

/// Kept between test runs: compiling takes long.
fn kept_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache")
}

/// Paths of the code, its sum, and the image.
fn paths_in(directory: &Path) -> [PathBuf; 3] {
    let engine = Engine::new(&engine::config()).unwrap();
    file_names(&engine).map(|name| directory.join(name))
}

/// A directory of its own with copies of the kept files.
fn filled_directory() -> (TempDir, [PathBuf; 3]) {
    prepare(&kept_directory()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let paths = paths_in(directory.path());
    for (from, to) in paths_in(&kept_directory()).iter().zip(&paths) {
        fs::copy(from, to).unwrap();
    }
    prepare(directory.path()).unwrap();
    (directory, paths)
}

fn inodes(paths: &[PathBuf; 3]) -> [u64; 3] {
    paths
        .each_ref()
        .map(|path| fs::symlink_metadata(path).unwrap().ino())
}

fn files_in(directory: &TempDir) -> usize {
    fs::read_dir(directory.path()).unwrap().count()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn make_old(path: &Path, age: Duration) {
    let then = FileTimes::new().set_modified(SystemTime::now() - age);
    File::open(path).unwrap().set_times(then).unwrap();
}

#[test]
fn a_second_start_uses_the_firsts_files() {
    let (directory, paths) = filled_directory();
    let before = inodes(&paths);
    let second = prepare(directory.path()).unwrap();
    assert_eq!(inodes(&paths), before);
    assert_eq!(files_in(&directory), 3);
    let opened = [&second.code, &second.image].map(|file| file.metadata().unwrap().ino());
    assert_eq!(opened, [before[0], before[2]]);
    Guest::open(second).unwrap();
}

#[test]
fn a_file_that_is_cut_short_is_replaced() {
    let (directory, paths) = filled_directory();
    let whole = fs::read(&paths[2]).unwrap();
    fs::write(&paths[2], &whole[..whole.len() / 2]).unwrap();
    prepare(directory.path()).unwrap();
    assert!(fs::read(&paths[2]).unwrap() == whole);
    assert_eq!(files_in(&directory), 3);
}

#[test]
fn a_file_with_one_bit_changed_is_replaced() {
    let (directory, paths) = filled_directory();
    for file in [&paths[0], &paths[2]] {
        let whole = fs::read(file).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 3] ^= 1;
        fs::write(file, changed).unwrap();
        let artefacts = prepare(directory.path()).unwrap();
        assert!(fs::read(file).unwrap() == whole);
        Guest::open(artefacts).unwrap();
    }
}

#[test]
fn a_file_that_others_could_have_written_is_replaced() {
    let (directory, paths) = filled_directory();
    let mut before = inodes(&paths);
    for (at, mode) in [(0, 0o620), (2, 0o602)] {
        set_mode(&paths[at], mode);
        prepare(directory.path()).unwrap();
        let after = inodes(&paths);
        let replaced = [0, 1, 2].map(|at| after[at] != before[at]);
        assert_eq!(replaced, [at == 0, at == 0, at == 2]);
        before = after;
    }
}

#[test]
fn a_link_is_replaced_whatever_it_leads_to() {
    let (directory, paths) = filled_directory();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = &paths[2];
    let right = elsewhere.path().join(file.file_name().unwrap());
    fs::rename(file, &right).unwrap();
    symlink(&right, file).unwrap();
    prepare(directory.path()).unwrap();
    assert!(fs::symlink_metadata(file).unwrap().is_file());
    assert!(fs::read(file).unwrap() == fs::read(right).unwrap());
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let (directory, _) = filled_directory();
    for mode in [0o770, 0o702, 0o777] {
        set_mode(directory.path(), mode);
        let refused = prepare(directory.path()).unwrap_err();
        assert!(matches!(refused, SandboxError::UntrustedCache { .. }));
    }
    set_mode(directory.path(), 0o700);
    prepare(directory.path()).unwrap();
}

#[test]
fn what_no_start_has_used_for_long_is_removed() {
    const DAY: Duration = Duration::from_hours(24);
    let (directory, paths) = filled_directory();
    let others = [
        ("python-0-wasmtime-48-0.cwasm", 8 * DAY, false),
        ("python-0.img", 6 * DAY, true),
        (".new-0", DAY, false),
        (".new-1", Duration::ZERO, true),
        ("notes.txt", 1000 * DAY, true),
    ];
    for (name, age, _) in others {
        fs::write(directory.path().join(name), "").unwrap();
        make_old(&directory.path().join(name), age);
    }
    paths.iter().for_each(|path| make_old(path, 8 * DAY));
    let before = inodes(&paths);
    prepare(directory.path()).unwrap();
    assert_eq!(inodes(&paths), before);
    for (name, _, stays) in others {
        assert_eq!(directory.path().join(name).exists(), stays, "{name}");
    }
    for path in &paths {
        let used = fs::metadata(path).unwrap().modified().unwrap();
        assert!(used.elapsed().unwrap_or_default() < DAY, "{path:?}");
    }
}

#[test]
fn where_nothing_can_be_cached_the_files_are_there_while_they_are_used() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let artefacts = prepare(&file.path().join("cache")).unwrap();
    for file in [&artefacts.code, &artefacts.image] {
        assert_eq!(file.metadata().unwrap().nlink(), 0, "no folder is left");
    }
    Guest::open(artefacts).unwrap();
}
