//! The judge sees what it should, and calls an ending what it is.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::judge::Canaries;
use super::trial::End;
use super::*;
use crate::domain::{Outcome, RunError};

fn harm_of(act: impl FnOnce(&Canaries)) -> Option<&'static str> {
    let canaries = Canaries::lay().unwrap();
    act(&canaries);
    canaries.harm()
}

fn placed(canaries: &Canaries, what: &str) -> String {
    canaries.place(what)
}

#[test]
fn canaries_that_nobody_touched_are_unharmed() {
    assert_eq!(harm_of(|_| ()), None);
}

#[test]
fn what_is_done_to_canaries_is_noticed() {
    type Act = fn(&Canaries);
    let acts: [(Act, &str); 6] = [
        (
            |at| fs::remove_file(at.file()).unwrap(),
            "the file was changed or removed",
        ),
        (
            |at| fs::write(at.file(), "x").unwrap(),
            "the file was changed or removed",
        ),
        (
            |at| fs::write(at.new_file(), "x").unwrap(),
            "the folder's contents were changed",
        ),
        (
            |at| fs::remove_file(placed(at, "$SOCKET")).unwrap(),
            "the folder's contents were changed",
        ),
        (
            |at| drop(TcpStream::connect(at.address()).unwrap()),
            "the TCP listener was connected to",
        ),
        (
            |at| drop(UnixStream::connect(placed(at, "$SOCKET")).unwrap()),
            "the Unix listener was connected to",
        ),
    ];
    for (act, harm) in acts {
        assert_eq!(harm_of(act), Some(harm));
    }
}

#[test]
fn reading_is_noticed_where_the_mount_notes_it() {
    let read_at = |path: &str| fs::metadata(path).unwrap().accessed().unwrap();
    let canaries = Canaries::lay().unwrap();
    let [file, folder] = ["$FILE", "$FOLDER"].map(|what| placed(&canaries, what));
    let before = [&file, &folder].map(|path| read_at(path));
    fs::read(&file).unwrap();
    let noted = read_at(&file) != before[0];
    assert_eq!(canaries.harm(), noted.then_some("the file was read"));

    let canaries = Canaries::lay().unwrap();
    let folder = placed(&canaries, "$FOLDER");
    let before = read_at(&folder);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    let noted = read_at(&folder) != before;
    assert_eq!(canaries.harm(), noted.then_some("the folder was listed"));
}

fn outcome(result: Result<(Verdict, &str), (ErrorKind, &str)>, printed: &str) -> Outcome {
    let owned = |(kind, message): (ErrorKind, &str)| RunError {
        kind,
        message: message.to_owned(),
    };
    Outcome {
        result: result
            .map(|(verdict, reason)| (verdict, reason.to_owned()))
            .map_err(owned),
        printed: printed.to_owned(),
        duration_us: 0,
        fuel: 0,
    }
}

#[test]
fn a_secret_is_noticed_wherever_it_is_told() {
    let canaries = Canaries::lay().unwrap();
    let told = format!("... {} ...", canaries.secret());
    // A variable that every process has, and is long enough to be told from a word.
    let path = std::env::var("PATH").unwrap();
    let leaks = [
        outcome(Ok((Verdict::Pass, &told)), ""),
        outcome(Err((ErrorKind::Exception, &told)), ""),
        outcome(Ok((Verdict::Pass, "")), &told),
        outcome(Ok((Verdict::Pass, &path)), ""),
    ];
    for leak in leaks {
        assert!(canaries.leak(&leak).is_some(), "{leak:?}");
    }
    assert_eq!(
        canaries.leak(&outcome(Ok((Verdict::Pass, "canary")), "")),
        None
    );
}

#[test]
fn only_what_is_expected_is_allowed() {
    let fuel = || End::Outcome(outcome(Err((ErrorKind::Fuel, "")), ""));
    let host = || End::Outcome(outcome(Err((ErrorKind::Host, "")), ""));
    let pass = || End::Outcome(outcome(Ok((Verdict::Pass, "own")), ""));
    let none = || End::NoSandbox("why".to_owned());
    assert!(Expect::Error(ErrorKind::Fuel).allows(&fuel()));
    for other in [host(), pass(), none()] {
        assert!(!Expect::Error(ErrorKind::Fuel).allows(&other), "{other}");
    }
    assert!(Expect::Verdict(Verdict::Pass, "own").allows(&pass()));
    assert!(!Expect::Verdict(Verdict::Pass, "other").allows(&pass()));
    assert!(!Expect::Verdict(Verdict::Fail, "own").allows(&pass()));
    assert!(Expect::OwnResult.allows(&fuel()) && Expect::OwnResult.allows(&pass()));
    assert!(!Expect::OwnResult.allows(&host()) && !Expect::OwnResult.allows(&none()));
    assert!(Expect::NoSandbox.allows(&none()) && !Expect::NoSandbox.allows(&pass()));
}

/// An error's kind and message, and what stopped it.
const ENDS: &[(ErrorKind, &str, &str)] = &[
    (ErrorKind::Fuel, "the eval used up", "fuel"),
    (
        ErrorKind::Memory,
        "the eval used up its memory",
        "memory limit",
    ),
    (
        ErrorKind::Forbidden,
        "an eval can't open files (line 2)",
        "Python: an eval can't open files",
    ),
    (
        ErrorKind::Forbidden,
        "an eval can't read files (line 2)",
        "seal: an eval can't read files",
    ),
    (
        ErrorKind::Forbidden,
        "an eval can't import os; it may import: a, b (line 1)",
        "Python: an eval can't import os",
    ),
    (
        ErrorKind::Syntax,
        "the eval's source has 9 bytes; the limit is 8",
        "size limit",
    ),
    (
        ErrorKind::Exception,
        crate::domain::TOO_DEEP,
        "engine: stack limit",
    ),
    (
        ErrorKind::Exception,
        "Traceback (most recent call last):\n  x\nKeyError: 'a'",
        "Python: KeyError: 'a'",
    ),
    (
        ErrorKind::Exception,
        "the eval broke the interpreter that ran it: wasm trap: out of bounds memory access",
        "engine: out of bounds memory access",
    ),
    (
        ErrorKind::Exception,
        "the eval broke the interpreter that ran it: its answer can't be found",
        "host's reading of answers",
    ),
];

#[test]
fn what_stopped_an_attack_is_read_off_its_end() {
    for &(kind, message, by) in ENDS {
        assert_eq!(stopped::by(&outcome(Err((kind, message)), "")), by);
    }
}

#[test]
fn names_are_told_apart_and_sources_are_python() {
    for theme in THEMES {
        let mut names: Vec<_> = theme.attacks.iter().map(|attack| attack.name).collect();
        names.sort_unstable();
        assert!(
            names.windows(2).all(|pair| pair[0] != pair[1]),
            "{names:#?}"
        );
    }
    let body = Source::Body(
        "\n            if trace:\n                return 1\n\n            return 2\n            ",
    );
    assert_eq!(
        body.text(),
        "def evaluate(trace):\n    if trace:\n        return 1\n    return 2\n"
    );
}
