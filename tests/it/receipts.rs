//! Receipts as whoever holds one meets them: made by `eval run`, checked by `replay` and by other programs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use iofold::ingest::normalise;
use iofold::langfuse::TracePayload;
use iofold::sandbox::interpreter;
use iofold::store::Db;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::AnyPool;

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

/// A trace's text by the rule of that section, from its value.
const TRACE_HASH: &str = r#"
import decimal, hashlib, json, sys
def number(value):
    if 1e-5 <= abs(value) < 1e-4:
        return format(decimal.Decimal(repr(value)), "f")
    return repr(value).replace("e-0", "e-")
def text(value):
    if isinstance(value, float): return number(value)
    if isinstance(value, list): return "[" + ",".join(map(text, value)) + "]"
    if isinstance(value, dict): return "{" + ",".join(text(k) + ":" + text(v) for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
print(hashlib.sha256(text(json.load(sys.stdin)).encode()).hexdigest())
"#;

#[test]
fn another_program_makes_the_same_hash_of_a_trace() {
    let numbers = "[1e16, 1.5e16, 1e15, 123456789012345680.0, 1e-4, 1e-5, 1.25e-5, 9.99e-6, 1e-6, 1e-7, 1.5e-7, \
                   1e22, 1e100, 5e-324, 1.7976931348623157e308, 0.1, 1.0, 1E2, -0.0, -1e-5, -1e16, 0, -7, \
                   18446744073709551615, 18446744073709551616, -9223372036854775808, -9223372036854775809]";
    let line = format!(
        r#"{{"id": "n", "output": {{"z": {numbers}, "a": "é👍\u007f\u2028\u001b\"", "m": {{"b": 1, "a": 2}}}}}}"#
    );
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "eval.py", EVAL);
    let ran = eval(folder.path(), &["run", "eval.py", "-"], &line);
    let payload: TracePayload = serde_json::from_str(&line).expect("it is a trace");
    let made = run(
        Command::new(sdk_python()).args(["-X", "utf8", "-c", TRACE_HASH]),
        &normalise(&payload).to_json(),
    );
    let receipt = &lines(&ran)[0]["receipt"];
    assert_eq!(receipt["trace"], said(&made).trim(), "{}", stderr(&made));
}

#[test]
fn what_an_eval_says_is_printed_with_nothing_that_a_terminal_obeys() {
    let (folder, outcomes) = folder_that_ran(&["blue \u{7f}\u{9b}2J\u{202e}\u{2066}é"]);
    let printed = fs::read_to_string(folder.path().join("outcomes.jsonl")).expect("it is there");
    assert!(
        printed.contains(r"blue \u007f\u009b2J\u202e\u2066é"),
        "{printed}"
    );
    assert_eq!(
        outcomes[0]["reason"],
        "it says blue \u{7f}\u{9b}2J\u{202e}\u{2066}é"
    );
    let again = replay(folder.path(), &["outcomes.jsonl"], "");
    assert_eq!(said(&again), "the same: verdict, reason and fuel\n");
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

/// What `replay` prints of an outcome line in which the value at `pointer` was changed.
fn differences_of_changed(pointer: &str, value: Value) -> String {
    let (folder, mut outcomes) = folder_that_ran(&["it is blue"]);
    match outcomes[0].pointer_mut(pointer) {
        Some(place) => *place = value,
        None => outcomes[0]["printed"] = value,
    }
    let output = replay(folder.path(), &["-"], &outcomes[0].to_string());
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{pointer}: {told}");
    said(&output)
}

#[test]
fn replay_says_what_an_outcome_line_says_otherwise() {
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
        ("/fuel", json!(1), "fuel differs: 1 in the outcome line, "),
    ] {
        let said = differences_of_changed(pointer, value);
        assert!(said.starts_with(expected), "{pointer}: {said}");
        assert_eq!(said.lines().count(), 1, "nothing else differs: {said}");
    }
}

#[test]
fn replay_says_what_differs_from_a_receipt() {
    let zeros = "0".repeat(64);
    for (pointer, expected) in [
        (
            "/receipt/interpreter",
            "interpreter differs: the receipt has 000000000000…, this iofold has ",
        ),
        ("/receipt/verdict", "verdict or reason differs"),
        (
            "/receipt/trace",
            "trace differs: the receipt has 000000000000…, line 1 of ",
        ),
        (
            "/receipt/eval",
            "eval source differs: the receipt has 000000000000…, ",
        ),
    ] {
        let said = differences_of_changed(pointer, json!(zeros));
        assert!(said.starts_with(expected), "{pointer}: {said}");
        assert_eq!(said.lines().count(), 1, "nothing else differs: {said}");
    }
}

/// What `replay` prints of a receipt without its outcome line, changed by `change`.
fn differences_of_receipt(change: impl FnOnce(&mut Value)) -> String {
    let (folder, mut outcomes) = folder_that_ran(&["it is blue"]);
    change(&mut outcomes[0]["receipt"]);
    let output = replay(folder.path(), &["-"], &outcomes[0]["receipt"].to_string());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    said(&output)
}

#[test]
fn fuel_is_compared_where_the_same_engine_counts_it() {
    let same = differences_of_receipt(|receipt| receipt["fuel"] = json!(1));
    assert!(same.starts_with("fuel differs: 1 then, "), "{same}");
    let other = differences_of_receipt(|receipt| {
        receipt["fuel"] = json!(1);
        receipt["engine"] = json!("wasmtime 1.0.0\u{1b}[2J");
    });
    let expected = "engine differs: the receipt has \"wasmtime 1.0.0\\u{1b}[2J\", this iofold has \
                    \"wasmtime 48.0.8\"; fuel of two engines can't be compared\n";
    assert_eq!(other, expected);
}

#[test]
fn what_differs_is_said_of_a_run_that_now_asks_what_it_did_not() {
    let (folder, _) = folder_that_ran(&["it is blue"]);
    let asking = EVAL.replace(
        "return \"blue\"",
        "from iofold import judge\n    return judge(\"?\", answer)",
    );
    write(folder.path(), "eval.py", &asking);
    let output = replay(folder.path(), &["outcomes.jsonl"], "");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
    for line in [
        "eval source differs: ",
        "error differs: none then, \"judge_",
    ] {
        assert!(said.contains(line), "{line}: {said}");
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

/// A folder whose eval and traces are elsewhere since it ran: in `moved`, among other lines, and none of them
/// where it was.
fn folder_that_ran_and_moved() -> (tempfile::TempDir, Vec<Value>) {
    let (folder, outcomes) = folder_that_ran(&["it is red", "it is blue"]);
    let (old, moved) = (
        folder.path().join("traces.jsonl"),
        folder.path().join("moved"),
    );
    fs::create_dir(&moved).expect("a folder");
    let text = fs::read_to_string(&old).expect("it is there");
    let mut shuffled: Vec<&str> = text.lines().rev().collect();
    shuffled.insert(0, "no trace at all");
    write(&moved, "t.jsonl", &shuffled.join("\n\n"));
    fs::rename(folder.path().join("eval.py"), moved.join("e.py")).expect("it moves");
    fs::remove_file(old).expect("it is there");
    (folder, outcomes)
}

const MOVED: [&str; 4] = ["--eval", "moved/e.py", "--traces", "moved/t.jsonl"];

#[test]
fn flags_say_where_the_eval_and_the_trace_are() {
    let (folder, _) = folder_that_ran_and_moved();
    let arguments = [&["outcomes.jsonl"], &MOVED[..]].concat();
    let found = replay(folder.path(), &arguments, "");
    assert_eq!(
        found.status.code(),
        Some(0),
        "{}{}",
        said(&found),
        stderr(&found)
    );
}

#[test]
fn what_is_nowhere_is_said_with_the_flag_that_names_it() {
    let (folder, outcomes) = folder_that_ran_and_moved();
    let receipt = outcomes[1]["receipt"].to_string();
    for (given, named) in [
        (
            &MOVED[2..],
            "eval.py is not there, there is no database (DATABASE_URL). Name the file that has it with --eval EVAL.py",
        ),
        (
            &MOVED[..2],
            "traces.jsonl is not there, there is no database (DATABASE_URL). Name the file that has it with --traces TRACES.jsonl",
        ),
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
    clock["verdict"] = json!("unheard of");
    let mut hostile = outcomes[0].clone();
    hostile["verdict"] = json!("\u{1b}[2J");
    hostile["id"] = json!("\u{1b}[2J");
    let blue = &outcomes[1];
    let input = format!("{lost}\n{clock}\n{hostile}\n[]\n{{\"receipt\": 1}}\n{blue}");
    let output = replay(folder.path(), &["-"], &input);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    for line in [
        "iofold: t0: the eval ",
        "iofold: \\u001b[2J: receipt 3 can't be read: unknown variant `\\u001b[2J`",
        "iofold: receipt 4: receipt 4 can't be read: it is neither a receipt",
        "iofold: receipt 5: receipt 5 can't be read: missing field",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains('\u{1b}'), "a terminal obeys it: {told}");
    let expected = "t1: the same: verdict, reason and fuel\n\
                    1 the same, 0 differ, 4 can't be replayed, 1 without a receipt\n";
    assert_eq!(said(&output), expected);
}

#[test]
fn what_came_before_the_end_of_a_broken_stream_is_counted() {
    let (folder, outcomes) = folder_that_ran(&["it is red"]);
    let output = replay(folder.path(), &["-"], &format!("{}\n{{broken", outcomes[0]));
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("receipt 2 is not JSON"), "{told}");
    let expected = "t0: the same: verdict, reason and fuel\n\
                    1 the same, 0 differ, 0 can't be replayed, 0 without a receipt\n";
    assert_eq!(said(&output), expected);
}

#[test]
fn a_file_of_traces_that_is_named_is_the_only_one_that_is_looked_in() {
    let (folder, _) = folder_that_ran(&["it is red"]);
    write(
        folder.path(),
        "other.jsonl",
        &labelled("t9", "it is blue", "up"),
    );
    let output = replay(
        folder.path(),
        &["outcomes.jsonl", "--traces", "other.jsonl"],
        "",
    );
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("is not in other.jsonl"), "{told}");
    assert_eq!(said(&output), "", "another trace is not run");
}

#[test]
fn what_cant_be_read_twice_is_no_file_of_traces() {
    let (folder, _) = folder_that_ran(&["it is red"]);
    fs::create_dir(folder.path().join("folder")).expect("a folder");
    for traces in ["-", "folder", "/dev/stdin"] {
        let output = replay(folder.path(), &["outcomes.jsonl", "--traces", traces], "");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{traces}: {told}");
        assert!(told.contains("--traces must name a file"), "{told}");
    }
    let output = replay(folder.path(), &["folder"], "");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_path_that_a_receipt_names_is_printed_in_one_line() {
    let (folder, mut outcomes) = folder_that_ran(&["it is red"]);
    outcomes[0]["receipt"]["from"]["eval"] = json!("/\u{1b}[2J\nt0: the same");
    let output = replay(folder.path(), &["-"], &outcomes[0].to_string());
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let shown = "/\\u001b[2J\\u000at0: the same is not there";
    assert!(told.contains(shown) && told.lines().count() == 1, "{told}");
}

#[test]
fn an_unusable_database_hides_nothing_that_is_found_elsewhere() {
    let (folder, _) = folder_that_ran(&["it is blue"]);
    write(
        folder.path(),
        "eval.py",
        &EVAL.replace("\"blue\"", "\"red\""),
    );
    fs::create_dir(folder.path().join("data")).expect("a folder");
    let not_migrated = b"";
    let no_database = b"this is no database at all, whatever its name says of it".repeat(99);
    for content in [&not_migrated[..], &no_database] {
        let path = folder.path().join("data/iofold.db");
        fs::write(&path, content).expect("it is written");
        let output = replay(folder.path(), &["outcomes.jsonl"], "");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(said(&output).contains("eval source differs: "), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("going on without the database"), "{told}");
        assert_eq!(
            fs::read(&path).expect("it is there"),
            content,
            "it is as it was"
        );
    }
}

#[test]
fn what_only_an_unusable_database_could_have_is_the_hosts_fault() {
    let (folder, mut outcomes) = folder_that_ran(&["it is blue"]);
    outcomes[0]["receipt"]["from"] = Value::Null;
    let one = outcomes[0].to_string();
    for input in [one.clone(), format!("{one}\n{one}")] {
        let mut command = replay_command(folder.path(), &["-"]);
        let output = run(command.env("DATABASE_URL", "sqlite://."), &input);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{told}");
        let warnings = told.matches("going on without the database").count();
        assert_eq!(warnings, 1, "it is said once: {told}");
    }
}

#[tokio::test]
async fn the_database_is_read_only() {
    let (folder, outcomes) = folder_that_ran(&["it is blue"]);
    let path = folder.path().join("kept.db");
    let url = format!("sqlite://{}", path.display());
    let db = Db::open(&url).await.expect("a database");
    db.pool().close().await;
    // As another program left it: not in the mode that the service sets.
    let other = AnyPool::connect(&url).await.expect("it opens");
    let sql = "pragma journal_mode = delete";
    sqlx::query(sql).execute(&other).await.expect("it is set");
    other.close().await;
    let before = fs::read(&path).expect("it is there");
    let mut lost = outcomes[0]["receipt"].clone();
    lost["from"] = Value::Null;
    let mut command = replay_command(folder.path(), &["-"]);
    let output = run(command.env("DATABASE_URL", &url), &lost.to_string());
    let told = stderr(&output);
    assert!(
        told.contains("the database (DATABASE_URL) has none of that hash"),
        "{told}"
    );
    assert_eq!(fs::read(&path).expect("it is there"), before);
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
