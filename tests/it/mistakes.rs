//! What people get wrong on the command line, and what it tells them to do.

use std::fs;
use std::process::Output;

use iofold::domain::WorkspaceId;
use iofold::store::Db;
use iofold::workspace;

use crate::cli::{eval, folder_with_eval, labelled, lines, run, stderr};
use crate::on_both_databases;
use crate::support::{Database, example_lines, iofold};

on_both_databases!(
    a_database_without_workspaces_says_to_start_the_service,
    a_workspace_that_is_not_there_is_named_with_those_that_are_and_gets_no_key,
);

const PASSES: &str =
    "\"\"\"Every answer is good.\"\"\"\n\n\ndef evaluate(trace):\n    return True, \"is fine\"\n";

#[test]
fn files_that_are_not_json_lines_name_the_fix() {
    let folder = folder_with_eval(PASSES);
    let one = labelled("a", "blue", "up");
    let array = format!("[{},{}]", one.trim(), one.trim());
    let pretty: serde_json::Value = serde_json::from_str(&one).expect("it is JSON");
    let pretty_array = format!("\n{:#}\n", serde_json::json!([pretty]));
    let jq = "`jq -c '.[]' FILE > LINES.jsonl`";
    for (name, text) in [
        ("array.json", array.as_str()),
        ("pretty-array.json", &pretty_array),
        ("pretty.json", &format!("{pretty:#}\n")),
        ("empty.jsonl", ""),
        ("text.jsonl", "hello\n"),
        ("number.jsonl", "7\n"),
    ] {
        fs::write(folder.path().join(name), text).expect("it is written");
    }
    for (arguments, code, says) in [
        (&["generate", "array.json"][..], 1, jq),
        (&["report", "blue.py", "pretty-array.json"], 1, jq),
        (&["run", "blue.py", "array.json"], 1, jq),
        (&["run", "blue.py", "pretty-array.json"], 1, jq),
        (&["explain", "blue.py", "pretty-array.json"], 1, jq),
        (
            &["run", "blue.py", "pretty.json"],
            1,
            "`jq -c . FILE > LINES.jsonl`",
        ),
        (
            &["generate", "pretty.json"],
            1,
            "`jq -c . FILE > LINES.jsonl`",
        ),
        (&["run", "blue.py", "text.jsonl"], 1, "line 1: not JSON"),
        (
            &["run", "blue.py", "number.jsonl"],
            1,
            "line 1: it takes one JSON object a line",
        ),
        (
            &["generate", "empty.jsonl"],
            1,
            "one JSON object a line: {\"id\", \"trace\", \"label\"",
        ),
        (
            &["run", "blue.py", "empty.jsonl"],
            0,
            "holds no traces; it takes one JSON object a line",
        ),
        (&["explain", "blue.py", "empty.jsonl"], 1, "holds no trace"),
        (
            &["generate", "nowhere.jsonl"],
            2,
            "nowhere.jsonl: there is no such file",
        ),
        (
            &["run", "nowhere.py", "empty.jsonl"],
            2,
            "nowhere.py: there is no such file",
        ),
    ] {
        let output = eval(folder.path(), arguments, "");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let explained = eval(folder.path(), &["explain", "blue.py", "pretty.json"], "");
    assert_eq!(explained.status.code(), Some(0), "{}", stderr(&explained));
}

#[test]
fn a_repeated_line_counts_once_and_a_byte_order_mark_is_no_part_of_the_first() {
    let folder = folder_with_eval(PASSES);
    let two = [labelled("a", "blue", "up"), labelled("b", "red", "down")];
    let two = two.map(|line| line.trim().to_owned()).join("\n");
    let input = format!("\u{feff}{two}\n{two}\n");
    let report = eval(folder.path(), &["report", "blue.py", "-", "--json"], &input);
    let figures: serde_json::Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!(figures["fresh"]["n"], 3, "{}", stderr(&report));
    assert!(stderr(&report).contains("Repeated lines, which count once: 1"));
}

#[test]
fn a_report_on_an_eval_that_never_says_anything_counts_its_abstentions() {
    let folder = folder_with_eval("def evaluate(trace):\n    return None, \"who knows\"\n");
    let input = [labelled("a", "blue", "up"), labelled("b", "red", "down")].join("\n");
    let report = eval(folder.path(), &["report", "blue.py", "-"], &input);
    let said = String::from_utf8_lossy(&report.stdout);
    assert!(
        said.contains("Coverage         0 % (2 abstentions"),
        "{said}"
    );
}

#[test]
fn an_export_says_whose_metadata_it_reads() {
    let eval_file = "def evaluate(trace):\n    return \"x\" in trace[\"metadata\"]\n";
    for (source, warns) in [(eval_file, true), (PASSES, false)] {
        let folder = folder_with_eval(source);
        let export = eval(folder.path(), &["export", "blue.py"], "");
        let said = stderr(&export);
        assert_eq!(
            said.contains("the observation's own and not the trace's"),
            warns,
            "{said}"
        );
    }
}

#[test]
fn a_line_with_nothing_of_a_trace_is_an_error_that_names_it() {
    let folder = folder_with_eval(PASSES);
    let good = labelled("a", "blue", "up");
    for line in [
        "{\"a\":1}",
        "{}",
        "{\"id\": \"x\", \"trace\": {\"colour\": \"blue\"}, \"label\": \"up\"}",
    ] {
        let input = format!("{good}\n{line}\n{good}");
        let output = eval(folder.path(), &["run", "blue.py", "-"], &input);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(
            said.contains("line 3: this is no trace") && said.contains("\"input\""),
            "{said}"
        );
        assert_eq!(lines(&output).len(), 1, "the first outcome is not lost");
    }
    let output = eval(
        folder.path(),
        &["report", "blue.py", "-"],
        "{\"trace\": {}, \"label\": \"up\"}",
    );
    assert!(
        stderr(&output).contains("line 1: this is no trace"),
        "{}",
        stderr(&output)
    );
    // One field is enough.
    for line in [
        "{\"output\": \"\"}",
        "{\"id\": \"x\"}",
        "{\"session_id\": \"s\"}",
    ] {
        let output = eval(folder.path(), &["run", "blue.py", "-"], line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
    }
}

#[test]
fn generate_never_writes_over_what_it_reads() {
    let folder = folder_with_eval(PASSES);
    let labels = example_lines("math_json_format", 0..30).concat();
    fs::write(folder.path().join("labelled.jsonl"), &labels).expect("it is written");
    for (out, says) in [
        ("labelled.jsonl", "labelled.jsonl is the labelled traces"),
        ("blue.py", "blue.py is the eval to start from"),
    ] {
        let arguments = [
            "generate",
            "labelled.jsonl",
            "--refine",
            "blue.py",
            "--out",
            out,
        ];
        let output = eval(folder.path(), &arguments, "");
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
    let there = |name: &str| fs::read_to_string(folder.path().join(name)).expect("it is there");
    assert_eq!(
        (there("labelled.jsonl"), there("blue.py")),
        (labels, PASSES.to_owned())
    );
    for command in ["generate", "export"] {
        let help = eval(folder.path(), &[command, "--help"], "");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.contains("over any file that is there but"), "{help}");
    }
}

#[test]
fn a_lone_variable_stops_the_start_with_its_name_and_the_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    for (set, value, missing) in [
        ("LANGFUSE_WEBHOOK_SECRET", "s", "SLACK_BOT_TOKEN"),
        ("LANGFUSE_CALLOUT_TOKEN", "s", "SLACK_BOT_TOKEN"),
        ("LANGFUSE_PLAN", "core", "LANGFUSE_PUBLIC_KEY"),
        ("LANGFUSE_TAGS", "a", "LANGFUSE_PUBLIC_KEY"),
        ("IOFOLD_LLM_MONTHLY_BUDGET_USD", "5", "ANTHROPIC_API_KEY"),
    ] {
        let mut command = iofold();
        command
            .current_dir(folder.path())
            .arg("serve")
            .env(set, value);
        let output = run(&mut command, "");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(&format!("{missing} is not set, but {set} is. ")),
            "{said}"
        );
    }
    assert!(!folder.path().join("data").exists(), "nothing was started");
}

/// Runs the command on a database.
async fn on(url: &str, arguments: &'static [&'static str]) -> Output {
    let folder = folder_with_eval(PASSES);
    let mut command = iofold();
    command
        .current_dir(folder.path())
        .args(arguments)
        .env("DATABASE_URL", url);
    tokio::task::spawn_blocking(move || {
        let output = run(&mut command, "");
        drop(folder);
        output
    })
    .await
    .expect("it ends")
}

async fn a_database_without_workspaces_says_to_start_the_service(database: Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = database.url(folder.path()).await;
    Db::open(&url).await.expect("it is made");
    for arguments in [
        &["eval", "submit", "blue.py"][..],
        &["key", "create", "--workspace", "typo"],
    ] {
        let output = on(&url, arguments).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("there is no workspace `") && said.contains("iofold serve"),
            "{said}"
        );
    }
}

async fn a_workspace_that_is_not_there_is_named_with_those_that_are_and_gets_no_key(
    database: Database,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = database.url(folder.path()).await;
    let db = Db::open(&url).await.expect("it is made");
    let made = on(&url, &["key", "create", "first"]).await;
    assert!(
        made.status.success(),
        "`default` is made: {}",
        stderr(&made)
    );
    let team = WorkspaceId::from("team");
    workspace::register(&db, &team).await.expect("a row");
    for arguments in [
        &["key", "create", "--workspace", "typo"][..],
        &["eval", "submit", "blue.py", "--workspace", "typo"],
    ] {
        let output = on(&url, arguments).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let expected = "there is no workspace `typo`; there are: default, team";
        assert!(said.contains(expected), "{said}");
        assert!(output.stdout.is_empty(), "no key is printed");
    }
    let others = workspace::others_than(&db, &WorkspaceId::from("typo")).await;
    assert_eq!(
        others.expect("rows"),
        Some(vec!["default".to_owned(), "team".to_owned()])
    );
    let known = on(&url, &["key", "create", "--workspace", "team"]).await;
    assert!(known.status.success(), "{}", stderr(&known));
    let named = on(&url, &["eval", "submit", "blue.py", "--eval", "typo"]).await;
    let said = stderr(&named);
    assert!(
        said.contains("there is no eval `typo`; there is none yet"),
        "{said}"
    );
}
