use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::sandbox::guest::Guest;

/// Kept between test runs: compiling takes long.
fn kept_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache")
}

/// A directory of its own with copies of the kept files.
fn filled_directory() -> (TempDir, Artefacts) {
    let kept = prepare(&kept_directory()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for file in [&kept.code, &kept.image] {
        fs::copy(file, directory.path().join(file.file_name().unwrap())).unwrap();
    }
    let artefacts = prepare(directory.path()).unwrap();
    (directory, artefacts)
}

fn inodes(artefacts: &Artefacts) -> [u64; 2] {
    [&artefacts.code, &artefacts.image].map(|file| fs::metadata(file).unwrap().ino())
}

fn files_in(directory: &TempDir) -> usize {
    fs::read_dir(directory.path()).unwrap().count()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_second_start_uses_the_firsts_files() {
    let (directory, first) = filled_directory();
    let second = prepare(directory.path()).unwrap();
    assert_eq!(inodes(&first), inodes(&second));
    assert_eq!(files_in(&directory), 2);
    Guest::open(&second).unwrap();
}

#[test]
fn a_file_that_is_cut_short_is_replaced() {
    let (directory, artefacts) = filled_directory();
    for file in [&artefacts.code, &artefacts.image] {
        let whole = fs::read(file).unwrap();
        fs::write(file, &whole[..whole.len() / 2]).unwrap();
        prepare(directory.path()).unwrap();
        assert_eq!(fs::read(file).unwrap().len(), whole.len());
    }
    assert_eq!(files_in(&directory), 2);
}

#[test]
fn an_image_with_one_byte_changed_is_replaced() {
    let (directory, artefacts) = filled_directory();
    let whole = fs::read(&artefacts.image).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 3] ^= 1;
    fs::write(&artefacts.image, changed).unwrap();
    prepare(directory.path()).unwrap();
    assert!(fs::read(&artefacts.image).unwrap() == whole);
}

#[test]
fn a_file_that_others_could_have_written_is_replaced() {
    let (directory, artefacts) = filled_directory();
    let before = inodes(&artefacts);
    set_mode(&artefacts.image, 0o620);
    let after = inodes(&prepare(directory.path()).unwrap());
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
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
fn where_nothing_can_be_cached_the_files_are_there_while_they_are_used() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let artefacts = prepare(&file.path().join("cache")).unwrap();
    Guest::open(&artefacts).unwrap();
    let code = artefacts.code.clone();
    drop(artefacts);
    assert!(!code.exists());
}
