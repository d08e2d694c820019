//! The emitted Python is clean for `ruff` with its defaults, and fits on a page.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::constraints::Chosen;
use super::super::emit::emit;
use super::super::measure::Measure;
use super::super::reading::Reading;
use super::{measures, single, trace};
use crate::domain::{Class, EvalSource};

/// Lines of an eval: a page.
const PAGE: usize = 60;

/// Requests of one kind each, and all of them: the shortest and the longest tables.
const REQUESTS: &[&str] = &[
    "Do not use commas.",
    "Answer in at most 5 words.",
    "Include the keywords \"a\" and \"b\".",
    "Write at least 3 sentences.",
    "Wrap your entire response with double quotation marks.",
    "Answer in all lowercase letters.",
    "Your entire output must be JSON.",
];

fn evals() -> Vec<EvalSource> {
    let mut measures = measures();
    let traces: Vec<_> = REQUESTS.iter().map(|request| trace(request, "")).collect();
    let readings: Vec<_> = traces.iter().map(Reading::new).collect();
    let groups = readings.chunks(1).chain([readings.as_slice()]);
    measures.extend(
        groups
            .filter_map(Chosen::by_requests)
            .map(Measure::Constraints),
    );
    let both = |measure: Measure| {
        [
            (true, Class::Pass),
            (false, Class::Pass),
            (true, Class::Fail),
            (false, Class::Fail),
        ]
        .map(|(at_least, when_met)| emit(&single(measure.clone(), at_least, when_met)).0)
    };
    measures.into_iter().flat_map(both).collect()
}

#[test]
fn an_eval_of_any_measure_fits_on_a_page() {
    for source in evals() {
        let lines = source.as_str().lines().count();
        assert!(lines <= PAGE, "{lines} lines:\n{}", source.as_str());
    }
}

/// The folder the evals are written to, one a file.
fn written() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/emitted");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (number, source) in evals().iter().enumerate() {
        std::fs::write(folder.join(format!("eval_{number:03}.py")), source.as_str()).unwrap();
    }
    folder
}

#[track_caller]
fn assert_clean(arguments: &[&str], folder: &Path) {
    let ruff = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk-venv/bin/ruff");
    let output = Command::new(ruff)
        .args(arguments)
        .args(["--isolated", "--no-cache"])
        .arg(folder)
        .output()
        .expect("`make test-deps` installs ruff");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn ruff_finds_nothing_to_mend_or_to_format_in_any_eval() {
    let folder = written();
    assert_clean(&["check"], &folder);
    assert_clean(&["format", "--diff"], &folder);
}
