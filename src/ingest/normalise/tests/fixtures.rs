//! Payloads that the SDKs made (`tests/sdk/payloads`), each with the reading that it must have.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::of;

/// The fixtures of `tests/fixtures/normaliser` by name: a trace and its reading each.
pub static FIXTURES: LazyLock<Vec<(String, Value, Value)>> = LazyLock::new(fixtures);

fn fixtures() -> Vec<(String, Value, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/normaliser");
    let files = std::fs::read_dir(folder).expect("the fixtures are there");
    let paths = files.map(|file| file.expect("it can be listed").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let mut fixture: Value = serde_json::from_str(&text).expect("it is JSON");
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        (
            name.into_owned(),
            fixture["trace"].take(),
            fixture["reading"].take(),
        )
    };
    let mut fixtures: Vec<_> = paths.map(read).collect();
    fixtures.sort_by(|one, other| one.0.cmp(&other.0));
    fixtures
}

#[test]
fn what_the_sdks_write_is_read_as_it_was_said() {
    assert!(FIXTURES.len() >= 30);
    let mut wrong = Vec::new();
    for (name, trace, reading) in FIXTURES.iter() {
        let read = of(trace.clone());
        for (key, read) in [
            ("input_text", json!(read.input_text)),
            ("output_text", json!(read.output_text)),
            ("messages", json!(read.messages)),
            ("tool_calls", json!(read.tool_calls)),
        ] {
            if read != reading[key] {
                wrong.push(format!("{name}: {key}\n  {read}\n  {}", reading[key]));
            }
        }
        assert_eq!(
            (&read.input, &read.output),
            (&trace["input"], &trace["output"]),
            "{name}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
