//! What a stand-in has done, kept in a file: one JSON value a line, only ever added to.
//!
//! A line is written whole before the stand-in answers, so that a process that is killed has lost
//! nothing it confirmed. A last line without its end is a write that was cut off: it was never
//! confirmed, and is removed when the journal is opened.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// An open journal; clones write to the same file.
#[derive(Clone, Debug)]
pub struct Journal {
    /// `None` keeps nothing.
    file: Option<Arc<Mutex<File>>>,
}

impl Journal {
    /// Opens the journal at `path`, and gives the entries it holds, oldest first. The file and its
    /// folder are made where there are none, the folder for its owner alone. Without a path nothing is kept.
    ///
    /// # Errors
    /// The file cannot be read or made, or a line before the last one is not JSON
    /// ([`io::ErrorKind::InvalidData`]): then another program wrote to it.
    pub fn open(path: Option<&Path>) -> io::Result<(Self, Vec<Value>)> {
        let Some(path) = path else {
            return Ok((Self { file: None }, Vec::new()));
        };
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (entries, whole) = entries_of(&bytes)?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(whole as u64)?;
        let file = Some(Arc::new(Mutex::new(file)));
        Ok((Self { file }, entries))
    }

    /// Adds an entry; it is in the operating system's hands when this returns.
    ///
    /// # Errors
    /// The file cannot be written to; part of the line may then be in it.
    pub fn append(&self, entry: &Value) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut line = entry.to_string();
        line.push('\n');
        let mut file = file.lock().expect("no holder of the lock panics");
        let before = file.metadata()?.len();
        let written = file.write_all(line.as_bytes());
        if written.is_err() {
            // The next line must not grow onto half of this one.
            file.set_len(before)?;
        }
        written
    }
}

/// Makes a folder, and those above it that are missing, into which only its owner can look.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The entries of a journal's bytes, and how many of the bytes hold whole lines.
fn entries_of(bytes: &[u8]) -> io::Result<(Vec<Value>, usize)> {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n');
    let entries = lines
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()?;
    Ok((entries, whole))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use serde_json::json;

    fn path() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("made/journal.jsonl");
        (folder, path)
    }

    #[test]
    fn what_was_appended_is_there_after_opening_again() {
        let (_folder, path) = path();
        let (journal, entries) = Journal::open(Some(&path)).expect("it opens");
        assert!(entries.is_empty());
        let written = [json!({"a": "line\nbreak"}), json!(1), json!("ü")];
        for entry in &written {
            journal.clone().append(entry).expect("it writes");
        }
        let (_, entries) = Journal::open(Some(&path)).expect("it opens again");
        assert_eq!(entries, written);
    }

    #[test]
    fn only_the_owner_looks_into_a_folder_that_was_made() {
        let (_folder, path) = path();
        Journal::open(Some(&path)).expect("it opens");
        let made = std::fs::metadata(path.parent().expect("it has one")).expect("it is there");
        assert_eq!(made.permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_does_not_spoil_the_next() {
        let (_folder, path) = path();
        let (journal, _) = Journal::open(Some(&path)).expect("it opens");
        journal.append(&json!(1)).expect("it writes");
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes.extend(b"{\"torn\": tr");
        std::fs::write(&path, bytes).expect("it is writable");
        let (journal, entries) = Journal::open(Some(&path)).expect("it opens");
        assert_eq!(entries, [json!(1)]);
        journal.append(&json!(2)).expect("it writes");
        let (_, entries) = Journal::open(Some(&path)).expect("it opens");
        assert_eq!(entries, [json!(1), json!(2)]);
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_not_a_silent_loss() {
        let (_folder, path) = path();
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(&path, "1\nnot JSON\n2\n").expect("written");
        let error = Journal::open(Some(&path)).expect_err("it is broken");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn without_a_path_nothing_is_kept() {
        let (journal, entries) = Journal::open(None).expect("it opens");
        journal.append(&json!(1)).expect("it takes anything");
        assert!(entries.is_empty());
    }
}
