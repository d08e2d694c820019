//! The command line as its users and their scripts meet it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{example_lines, free_port, iofold};

const MENTIONS_BLUE: &str = r#""""The answer names the colour."""

def evaluate(trace):
    answer = trace["output_text"]
    if not answer:
        return None, "there is no answer"
    if "boom" in answer:
        raise ValueError("boom\u0000")
    if "blue" in answer:
        return True, "says blue"
    return False, "does not say blue"
"#;

pub fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // The command may end before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    output
}

pub fn eval(folder: &Path, arguments: &[&str], input: &str) -> Output {
    run(
        iofold().current_dir(folder).arg("eval").args(arguments),
        input,
    )
}

pub fn folder_with_eval(source: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("blue.py"), source).expect("it is written");
    folder
}

pub fn labelled(id: &str, output: &str, label: &str) -> String {
    let trace = json!({"id": id, "timestamp": "2025-01-01T00:00:00Z", "input": "Which colour?", "output": output});
    json!({"id": id, "trace": trace, "label": label}).to_string() + "\n"
}

pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("it is UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn run_prints_an_outcome_a_line_in_input_order() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let bare = json!({"id": "bare", "input": "?", "output": "blue"}).to_string();
    let input: String = [
        labelled("a", "it is blue", "up"),
        labelled("b", "it is red", "up"),
        "\n".to_owned(),
        labelled("c", "", "neutral"),
        labelled("d", "boom", "down"),
        bare,
    ]
    .concat();
    let output = eval(folder.path(), &["run", "blue.py", "-"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let outcomes = lines(&output);
    let said: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome["id"].as_str(), outcome["verdict"].as_str()))
        .collect();
    let expected = [
        (Some("a"), Some("pass")),
        (Some("b"), Some("fail")),
        (Some("c"), Some("abstain")),
        (Some("d"), None),
        (Some("bare"), Some("pass")),
    ];
    assert_eq!(said, expected);
    assert_eq!(outcomes[0]["reason"], "says blue");
    assert_eq!(outcomes[3]["reason"], Value::Null);
    assert_eq!(outcomes[3]["error"]["kind"], "exception");
    let message = outcomes[3]["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains("line 8, in evaluate") && message.contains("ValueError: boom"),
        "{message}"
    );
    let costs = outcomes.iter().map(|outcome| outcome["fuel"].as_u64());
    assert!(costs.flatten().all(|fuel| fuel > 0), "{outcomes:?}");
}

#[test]
fn run_keeps_the_order_over_many_batches_and_reads_a_file() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let input: String = (0..700)
        .map(|i| {
            labelled(
                &format!("t{i}"),
                if i % 3 == 0 { "blue" } else { "red" },
                "up",
            )
        })
        .collect();
    fs::write(folder.path().join("traces.jsonl"), input).expect("it is written");
    let output = eval(folder.path(), &["run", "blue.py", "traces.jsonl"], "");
    let outcomes = lines(&output);
    assert_eq!(outcomes.len(), 700);
    for (i, outcome) in outcomes.iter().enumerate() {
        let verdict = if i % 3 == 0 { "pass" } else { "fail" };
        assert_eq!(
            (&outcome["id"], &outcome["verdict"]),
            (&json!(format!("t{i}")), &json!(verdict))
        );
    }
    assert!(
        output.stderr.is_empty(),
        "no progress in a pipe: {}",
        stderr(&output)
    );
}

#[test]
fn nothing_to_run_on_is_nothing_printed() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let output = eval(folder.path(), &["run", "blue.py", "-"], "\n\n");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}

#[test]
fn text_that_no_string_can_hold_is_replaced_and_run() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let input = r#"{"id": "x", "input": "\u0000", "output": "blue \ud800 \u0000"}"#;
    let output = eval(folder.path(), &["run", "blue.py", "-"], input);
    assert_eq!(lines(&output)[0]["verdict"], "pass", "{}", stderr(&output));
}

#[test]
fn exit_codes_say_whose_fault_it_is() {
    let folder = folder_with_eval("def evaluate(trace:\n");
    let path = folder.path();
    let trace = labelled("a", "blue", "up");
    for (arguments, input, code, says) in [
        (
            vec!["run", "blue.py", "-"],
            trace.as_str(),
            1,
            "evaluate(trace)",
        ),
        (vec!["run", "missing.py", "-"], "", 2, "missing.py"),
        (
            vec!["run", "blue.py", "missing.jsonl"],
            "",
            2,
            "missing.jsonl",
        ),
        (vec!["report", "blue.py", "-"], "", 1, "no labelled traces"),
        (
            vec!["report", "blue.py", "-"],
            "{\"id\": \"x\"}",
            1,
            "line 1",
        ),
        (
            vec!["generate", "-"],
            "{\"trace\": {}, \"label\": \"sideways\"}",
            1,
            "\"up\", \"down\" or \"neutral\"",
        ),
        (vec!["generate"], "", 2, "Usage"),
        (vec!["frobnicate"], "", 2, "frobnicate"),
    ] {
        let output = eval(path, &arguments, input);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(says),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_broken_line_is_named_and_what_came_before_it_is_printed() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let input = labelled("a", "blue", "up") + "{broken\n" + &labelled("b", "blue", "up");
    let output = eval(folder.path(), &["run", "blue.py", "-"], &input);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("line 2"), "{}", stderr(&output));
    assert_eq!(lines(&output).len(), 1, "the first outcome is not lost");
}

#[test]
fn an_outcome_is_written_before_the_next_trace_is_there() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let mut command = iofold();
    let mut child = command
        .current_dir(folder.path())
        .args(["eval", "run", "blue.py", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    for id in ["a", "b", "c"] {
        let line = labelled(id, "blue", "up");
        stdin.write_all(line.as_bytes()).expect("it reads");
        let mut outcome = String::new();
        stdout.read_line(&mut outcome).expect("it writes");
        let outcome: Value = serde_json::from_str(&outcome).expect("it is JSON");
        assert_eq!(outcome["id"], id);
    }
    drop(stdin);
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_run_quietly() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let input: String = (0..2_000)
        .map(|i| labelled(&format!("t{i}"), "blue", "up"))
        .collect();
    fs::write(folder.path().join("traces.jsonl"), input).expect("it is written");
    let mut command = iofold();
    let mut child = command
        .current_dir(folder.path())
        .args(["eval", "run", "blue.py", "traces.jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    stdout.read_line(&mut first).expect("it writes");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn report_counts_errors_and_abstentions_beside_the_figures() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    // Positive class: fail. 3 caught, 1 missed, 2 passed rightly, 2 false alarms.
    let rows = [
        ("red", "down", 3),
        ("blue", "down", 1),
        ("blue", "up", 2),
        ("red", "up", 2),
        ("boom", "up", 1),
        ("", "down", 1),
        ("blue", "neutral", 1),
    ];
    let mut input = String::new();
    for (output, label, times) in rows {
        for i in 0..times {
            input += &labelled(&format!("{output}-{label}-{i}"), output, label);
        }
    }
    let output = eval(folder.path(), &["report", "blue.py", "-", "--json"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(report["criterion"], "The answer names the colour.");
    assert_eq!(
        report["labels"],
        json!({"pass": 5, "fail": 5, "neutral": 1})
    );
    assert_eq!(report["provisional"], true);
    assert_eq!(report["headline"], "fresh");
    assert_eq!(
        (&report["held_out"], &report["cross_validated"]),
        (&Value::Null, &Value::Null)
    );
    let fresh = &report["fresh"];
    assert_eq!(
        (&fresh["n"], &fresh["abstained"], &fresh["errors"]),
        (&json!(8), &json!(1), &json!(1))
    );
    assert_eq!(fresh["agreement"], 5.0 / 8.0);
    assert_eq!(fresh["tpr"], 0.75);
    assert_eq!(fresh["tnr"], 0.5);
    assert_eq!(fresh["majority"], 0.5);
    assert_eq!(fresh["kappa"], 0.25);
    // Wilson, 5 of 8 at 95 %: worked by hand from the formula.
    let interval = fresh["agreement_interval"].as_array().expect("a pair");
    let [lo, hi] = [0, 1].map(|i| interval[i].as_f64().expect("a number"));
    assert!(
        (lo - 0.3057).abs() < 5e-4 && (hi - 0.8632).abs() < 5e-4,
        "{lo} {hi}"
    );
}

#[test]
fn report_leaves_undefined_figures_null() {
    let folder = folder_with_eval(MENTIONS_BLUE);
    let input = labelled("a", "blue", "up") + &labelled("b", "blue", "up");
    let output = eval(folder.path(), &["report", "blue.py", "-", "--json"], &input);
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    for undefined in ["tpr", "tpr_interval", "kappa"] {
        assert_eq!(report["fresh"][undefined], Value::Null, "{undefined}");
    }
    let text = eval(folder.path(), &["report", "blue.py", "-"], &input);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("undefined") && !text.contains("NaN"),
        "{text}"
    );
}

#[test]
fn generate_writes_an_eval_that_its_report_speaks_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = example_lines("math_json_format", 0..40).concat();
    let output = eval(folder.path(), &["generate", "-", "--json"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(report["headline"], "cross_validated");
    assert!(
        report["candidates_tried"]
            .as_u64()
            .is_some_and(|tried| tried > 1)
    );
    let figures = &report["cross_validated"];
    assert_eq!(figures["n"], 40);
    assert!(figures["agreement"].as_f64() > figures["majority"].as_f64());
    let source = fs::read_to_string(folder.path().join("eval.py")).expect("it is written");
    assert!(
        source.starts_with("\"\"\"") && source.contains("def evaluate(trace"),
        "{source}"
    );
    assert!(source.lines().count() <= 60, "{source}");

    let fresh = example_lines("math_json_format", 40..200).concat();
    let tested = eval(folder.path(), &["report", "eval.py", "-", "--json"], &fresh);
    let tested: Value = serde_json::from_slice(&tested.stdout).expect("it is JSON");
    assert!(
        tested["fresh"]["agreement"].as_f64() > Some(0.9),
        "{tested}"
    );

    let again = eval(folder.path(), &["generate", "-", "--json"], &input);
    assert_eq!(
        again.status.code(),
        Some(2),
        "eval.py is not overwritten unasked"
    );
    let again = eval(
        folder.path(),
        &["generate", "-", "--json", "--out", "eval.py"],
        &input,
    );
    assert_eq!(
        again.stdout, output.stdout,
        "the same labels give the same report"
    );
    let rewritten = fs::read_to_string(folder.path().join("eval.py")).expect("it is there");
    assert_eq!(rewritten, source, "and the same eval");
}

#[test]
fn generate_keeps_two_fifths_of_many_labels_for_the_test() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = example_lines("math_json_format", 0..150).concat();
    let output = eval(folder.path(), &["generate", "-", "--json"], &input);
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(report["headline"], "held_out");
    let n = report["held_out"]["n"].as_u64().expect("a count");
    assert!((40..=80).contains(&n), "{n} of 150");
}

#[test]
fn generate_writes_nothing_when_nothing_beats_the_majority_guess() {
    let folder = tempfile::tempdir().expect("a folder");
    // The same answer under every label: nothing can tell them apart.
    let input: String = (0..40)
        .map(|i| {
            labelled(
                &format!("t{i}"),
                "It depends.",
                if i % 3 == 0 { "down" } else { "up" },
            )
        })
        .collect();
    let output = eval(folder.path(), &["generate", "-"], &input);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let reason = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        reason.starts_with("Nothing was written. ") && reason.contains("all alike"),
        "{reason}"
    );
    assert!(!folder.path().join("eval.py").exists());
}

#[test]
fn help_shows_every_command_and_the_exit_codes() {
    let output = run(iofold().arg("--help"), "");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["serve", "doctor", "eval", "replay", "Exit codes"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn serve_stops_on_a_half_set_configuration_with_the_variable_and_the_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = iofold();
    let output = run(
        command
            .current_dir(folder.path())
            .arg("serve")
            .env("LANGFUSE_PUBLIC_KEY", "pk-lf-1"),
        "",
    );
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("LANGFUSE_SECRET_KEY") && said.contains("project settings"),
        "{said}"
    );
}

#[test]
fn doctor_checks_what_there_is_and_names_what_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let fine = run(iofold().current_dir(folder.path()).arg("doctor"), "");
    assert_eq!(fine.status.code(), Some(0), "{}", stderr(&fine));

    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let mut command = iofold();
    command
        .current_dir(folder.path())
        .arg("doctor")
        .env("LANGFUSE_PUBLIC_KEY", "pk-lf-1")
        .env("LANGFUSE_SECRET_KEY", "sk-lf-hidden")
        .env("LANGFUSE_BASE_URL", &nobody)
        .env("SLACK_BOT_TOKEN", "xoxb-hidden")
        .env("SLACK_SIGNING_SECRET", "hidden")
        .env("SLACK_CHANNEL", "C1")
        .env("SLACK_API_URL", &nobody);
    let broken = run(&mut command, "");
    assert_eq!(broken.status.code(), Some(3));
    let said = String::from_utf8_lossy(&broken.stdout).into_owned();
    for line in [
        "ok      Sandbox: runs Python",
        "ok      Sandbox wall: empty environment",
        "ok      Database",
        "FAILED  Langfuse",
        "FAILED  Slack",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("hidden"), "{said}");
}

#[test]
fn a_report_on_an_eval_that_can_not_run_says_why() {
    let labels: String = (0..4)
        .map(|n| {
            labelled(
                &format!("t{n}"),
                ["blue", "boom"][n % 2],
                ["up", "down"][n % 2],
            )
        })
        .collect();
    let report = |source: &str| {
        let folder = folder_with_eval(source);
        let output = eval(
            folder.path(),
            &["report", "blue.py", "-", "--json"],
            &labels,
        );
        let said: Value = serde_json::from_slice(&output.stdout).expect("a report in JSON");
        let complaint = String::from_utf8(output.stderr).expect("it is text");
        (
            output.status.code(),
            said["fresh"]["errors"].clone(),
            complaint,
        )
    };
    let (code, errors, complaint) = report("import requests\n");
    assert_eq!((code, errors), (Some(1), json!(4)));
    assert!(
        complaint
            .contains("failed on 4 of 4 labelled traces; the first: an eval can't import requests")
    );
    let (code, errors, complaint) = report(MENTIONS_BLUE);
    assert_eq!((code, errors), (Some(0), json!(2)));
    assert!(complaint.contains("failed on 2 of 4 labelled traces"));
}
