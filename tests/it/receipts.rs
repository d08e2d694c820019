//! Receipts as whoever holds one meets them: made by `eval run`, checked by `replay` and by other programs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use iofold::ingest::normalise;
use iofold::langfuse::TracePayload;
use iofold::sandbox::interpreter;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli::{eval, labelled, lines, run, stderr};
use crate::support::{iofold, sdk_python};

const EVAL: &str = r#""""The answer names the colour."""

def evaluate(trace):
    answer = trace["output_text"]
    if not answer:
        return None
    if "red" in answer:
        print("red:", answer)
    if "boom" in answer:
        raise ValueError("boom \" é 👍 \x01")
    return "blue" in answer, f"it says {answer}"
"#;

/// A folder with `eval.py`, `traces.jsonl` and what `eval run` said of them, in `outcomes.jsonl`.
fn folder_that_ran(answers: &[&str]) -> (tempfile::TempDir, Vec<Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    let traces = answers.iter().zip(0..);
    let traces = traces.map(|(answer, id)| labelled(&format!("t{id}"), answer, "up"));
    write(folder.path(), "eval.py", EVAL);
    write(folder.path(), "traces.jsonl", &traces.collect::<String>());
    let output = eval(folder.path(), &["run", "eval.py", "traces.jsonl"], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    fs::write(folder.path().join("outcomes.jsonl"), &output.stdout).expect("it is written");
    let outcomes = lines(&output);
    assert_eq!(outcomes.len(), answers.len());
    (folder, outcomes)
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("it is written");
}

fn replay_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = iofold();
    command.current_dir(folder).arg("replay").args(arguments);
    command
}

fn replay(folder: &Path, arguments: &[&str], input: &str) -> Output {
    run(&mut replay_command(folder, arguments), input)
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it is UTF-8")
}

fn hash(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[test]
fn a_receipt_names_what_it_takes_to_run_again() {
    let (folder, outcomes) = folder_that_ran(&["it is blue"]);
    let line = labelled("t0", "it is blue", "up");
    let line: Value = serde_json::from_str(&line).expect("it is JSON");
    let payload: TracePayload =
        serde_json::from_value(line["trace"].clone()).expect("it is a trace");
    let receipt = &outcomes[0]["receipt"];
    assert_eq!(receipt["receipt"], 1);
    assert_eq!(receipt["eval"], hash(EVAL));
    assert_eq!(receipt["trace"], hash(normalise(&payload).to_json()));
    assert_eq!(receipt["interpreter"], interpreter());
    assert_eq!(receipt["engine"], "wasmtime 48.0.8");
    assert_eq!(receipt["answers"], json!([]));
    assert_eq!(receipt["fuel"], outcomes[0]["fuel"]);
    let file = |name| folder.path().join(name);
    let from = json!({"eval": file("eval.py"), "traces": file("traces.jsonl"), "line": 1});
    assert_eq!(receipt["from"], from);
    let piped = eval(folder.path(), &["run", "eval.py", "-"], &line.to_string());
    let piped = &lines(&piped)[0];
    assert_eq!(piped["receipt"]["from"], Value::Null, "a pipe is no place");
    assert_eq!(piped["receipt"]["verdict"], receipt["verdict"]);
}

/// The recipe of `docs/design.md`, section 5.1, in another language.
const HASHES: &str = r#"
import hashlib, json, sys
for line in sys.stdin:
    outcome = json.loads(line)
    said = {"error": outcome["error"]} if outcome["error"] else {"verdict": outcome["verdict"], "reason": outcome["reason"]}
    said["printed"] = outcome.get("printed", "")
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    print(hashlib.sha256(text.encode()).hexdigest())
"#;

#[test]
fn what_an_eval_prints_is_in_its_outcome() {
    let (_folder, outcomes) = folder_that_ran(&["it is red", "it is blue"]);
    assert_eq!(outcomes[0]["printed"], "red: it is red\n");
    assert_eq!(outcomes[1].get("printed"), None, "it printed nothing");
}

#[test]
fn another_program_makes_the_same_hash_of_what_an_eval_said() {
    let (folder, outcomes) = folder_that_ran(&["blue 👍 \"é\"\n\t\u{7f}", "", "boom", "red\\"]);
    let input = fs::read_to_string(folder.path().join("outcomes.jsonl")).expect("it is there");
    let made = run(
        Command::new(sdk_python()).args(["-X", "utf8", "-c", HASHES]),
        &input,
    );
    let made: Vec<String> = said(&made).lines().map(str::to_owned).collect();
    let printed = outcomes
        .iter()
        .map(|outcome| &outcome["receipt"]["verdict"]);
    assert_eq!(printed.collect::<Vec<_>>(), made.iter().collect::<Vec<_>>());
}

#[test]
fn replayed_outcomes_are_the_same() {
    let (folder, outcomes) = folder_that_ran(&["it is blue", "it is red", "", "boom"]);
    let all = replay(folder.path(), &["outcomes.jsonl"], "");
    assert_eq!(all.status.code(), Some(0), "{}", stderr(&all));
    let expected = "t0: the same: verdict, reason and fuel\n\
                    t1: the same: verdict, reason and fuel\n\
                    t2: the same: verdict, reason and fuel\n\
                    t3: the same: verdict, reason and fuel\n\
                    4 the same, 0 differ, 0 can't be replayed, 0 without a receipt\n";
    assert_eq!(said(&all), expected);
    let receipt = serde_json::to_string_pretty(&outcomes[3]["receipt"]).expect("it is JSON");
    let one = replay(folder.path(), &["-"], &receipt);
    assert_eq!(said(&one), "the same: verdict, reason and fuel\n");
}

#[test]
fn replay_says_what_differs() {
    let (folder, outcomes) = folder_that_ran(&["it is blue"]);
    let zeros = "0".repeat(64);
    for (pointer, value, expected) in [
        (
            "/verdict",
            json!("fail"),
            r#"verdict differs: "fail" then, "pass" now"#,
        ),
        (
            "/reason",
            json!("\u{1b}[2Jno"),
            r#"reason differs: "\u{1b}[2Jno" then, "it says it is blue" now"#,
        ),
        (
            "/printed",
            json!("x"),
            r#"printed differs: "x" then, "" now"#,
        ),
        ("/receipt/fuel", json!(1), "fuel differs: 1 then, "),
        (
            "/receipt/interpreter",
            json!(zeros),
            "interpreter differs: the receipt has 000000000000…, this iofold has ",
        ),
        (
            "/receipt/verdict",
            json!(zeros),
            "verdict or reason differs",
        ),
        (
            "/receipt/trace",
            json!(zeros),
            "trace differs: the receipt has 000000000000…, line 1 of ",
        ),
        (
            "/receipt/eval",
            json!(zeros),
            "eval source differs: the receipt has 000000000000…, ",
        ),
    ] {
        let mut outcome = outcomes[0].clone();
        match outcome.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => outcome["printed"] = value,
        }
        let output = replay(folder.path(), &["-"], &outcome.to_string());
        assert_eq!(
            output.status.code(),
            Some(1),
            "{pointer}: {}",
            stderr(&output)
        );
        let said = said(&output);
        assert!(said.starts_with(expected), "{pointer}: {said}");
        assert_eq!(said.lines().count(), 1, "nothing else differs: {said}");
    }
}

#[test]
fn what_was_edited_since_is_run_and_said_to_differ() {
    let (folder, _) = folder_that_ran(&["it is blue"]);
    write(
        folder.path(),
        "eval.py",
        &EVAL.replace("\"blue\"", "\"red\""),
    );
    write(
        folder.path(),
        "traces.jsonl",
        &labelled("t0", "it is green", "up"),
    );
    let output = replay(folder.path(), &["outcomes.jsonl"], "");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = said(&output);
    for line in [
        "eval source differs: ",
        "trace differs: ",
        "verdict differs: \"pass\" then, \"fail\" now\n",
        "reason differs: \"it says it is blue\" then, \"it says it is green\" now\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn flags_say_where_the_eval_and_the_trace_are() {
    let (folder, outcomes) = folder_that_ran(&["it is red", "it is blue"]);
    let (old, moved) = (
        folder.path().join("traces.jsonl"),
        folder.path().join("moved"),
    );
    fs::create_dir(&moved).expect("a folder");
    // Among other lines, and none of them where it was.
    let text = fs::read_to_string(&old).expect("it is there");
    let mut shuffled: Vec<&str> = text.lines().rev().collect();
    shuffled.insert(0, "no trace at all");
    write(&moved, "t.jsonl", &shuffled.join("\n\n"));
    fs::rename(folder.path().join("eval.py"), moved.join("e.py")).expect("it moves");
    fs::remove_file(old).expect("it is there");

    let flags = ["--eval", "moved/e.py", "--traces", "moved/t.jsonl"];
    let found = replay(
        folder.path(),
        &[&["outcomes.jsonl"], &flags[..]].concat(),
        "",
    );
    assert_eq!(
        found.status.code(),
        Some(0),
        "{}{}",
        said(&found),
        stderr(&found)
    );

    let receipt = outcomes[1]["receipt"].to_string();
    for (given, named) in [
        (&flags[2..], "--eval EVAL.py"),
        (&flags[..2], "--traces TRACES.jsonl"),
    ] {
        let lost = replay(folder.path(), &[&["-"], given].concat(), &receipt);
        assert_eq!(lost.status.code(), Some(1));
        assert!(stderr(&lost).contains(named), "{}", stderr(&lost));
    }
    assert!(
        !folder.path().join("data").exists(),
        "no database is made by looking for one"
    );
}

#[test]
fn of_several_receipts_one_that_is_lost_does_not_end_the_others() {
    let (folder, outcomes) = folder_that_ran(&["it is red", "it is blue"]);
    let mut lost = outcomes[0].clone();
    lost["receipt"]["from"] = Value::Null;
    let mut clock = outcomes[0].clone();
    clock["receipt"] = Value::Null;
    let input = format!("{lost}\n{clock}\n{}", outcomes[1]);
    let output = replay(folder.path(), &["-"], &input);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("t0: the eval"),
        "{}",
        stderr(&output)
    );
    let expected = "t1: the same: verdict, reason and fuel\n\
                    1 the same, 0 differ, 1 can't be replayed, 1 without a receipt\n";
    assert_eq!(said(&output), expected);
}

#[test]
fn what_is_no_receipt_is_said_to_be_none() {
    let (folder, outcomes) = folder_that_ran(&["it is red"]);
    let mut newer = outcomes[0]["receipt"].clone();
    newer["receipt"] = json!(2);
    let (mut foreign, mut chatty) = (outcomes[0].clone(), outcomes[0].clone());
    foreign["receipt"]["answers"] = json!([{"question": "\": 1}", "answer": true}]);
    let answer = json!({"question": "0".repeat(64), "answer": true});
    chatty["receipt"]["answers"] = json!(vec![answer; 6]);
    let mut clock = outcomes[0].clone();
    clock["receipt"] = Value::Null;
    for (input, code, says) in [
        (String::new(), 1, "there is no receipt in it"),
        ("{broken".to_owned(), 1, "not JSON"),
        ("{\"id\": \"x\"}".to_owned(), 1, "it has no \"receipt\""),
        ("[]".to_owned(), 1, "it has no \"receipt\""),
        ("{\"receipt\": 1}".to_owned(), 1, "missing field"),
        (newer.to_string(), 1, "it has form 2"),
        (foreign.to_string(), 1, "no SHA-256"),
        (chatty.to_string(), 1, "more than 5 answers"),
        (clock.to_string(), 1, "is not repeated"),
    ] {
        let output = replay(folder.path(), &["-"], &input);
        assert_eq!(output.status.code(), Some(code), "{input}");
        assert!(
            stderr(&output).contains(says),
            "{input}: {}",
            stderr(&output)
        );
    }
    let missing = replay(folder.path(), &["missing.json"], "");
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
}

#[test]
fn help_says_where_the_eval_and_the_trace_are_looked_for() {
    let output = run(iofold().args(["replay", "--help"]), "");
    let help = said(&output);
    for word in ["--eval", "--traces", "DATABASE_URL", "Exit codes"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
