use serde_json::{Value, json};

use crate::cli::{eval, folder_with_eval, labelled, stderr};

const QUOTES_THE_FEE: &str = r#""""Names the fee."""
import re

def evaluate(trace):
    fee = re.search(r"€\d+", trace["input_text"])
    if fee is None:
        return None, "no fee is asked for"
    if fee.group() not in trace["output_text"]:
        return False, f"does not name {fee.group()}"
    return True, "names it"
"#;

fn bare(id: &str, question: &str, answer: &str) -> String {
    json!({"id": id, "timestamp": "2026-01-01T00:00:00Z", "input": question, "output": answer})
        .to_string()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it is UTF-8")
}

#[test]
fn a_verdict_is_shown_with_its_line_its_test_and_its_words() {
    let folder = folder_with_eval(QUOTES_THE_FEE);
    let trace = bare("a", "Is it €40?", "It is free.");
    let output = eval(folder.path(), &["explain", "blue.py", "-"], &trace);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = said(&output);
    for expected in [
        "fail: does not name €40\n",
        "?    8      if fee.group() not in trace[\"output_text\"]:\n",
        ">    9          return False, f\"does not name {fee.group()}\"\n",
        "     7          return None, \"no fee is asked for\"\n",
        "  line 8: fee.group() not in trace[\"output_text\"] is true; fee.group() is '€40'",
        "  “€40”  not in the answer; input_text: …Is it [€40]?…\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn a_flip_is_shown_as_a_difference() {
    let folder = folder_with_eval(QUOTES_THE_FEE);
    let trace = bare("a", "Is it €40?", "It is free.");
    let output = eval(
        folder.path(),
        &["explain", "blue.py", "-", "--flip"],
        &trace,
    );
    let text = said(&output);
    assert!(text.contains("add “€40” to the answer\n  - …It is free.[]…\n  + …It is free.[ €40]…\n  then: pass, names it"), "{text}");
    let never = folder_with_eval("def evaluate(trace):\n    return False, \"never\"\n");
    let output = eval(never.path(), &["explain", "blue.py", "-", "--flip"], &trace);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = said(&output);
    assert!(
        text.contains("No small change that flips the verdict was found in ")
            && text.ends_with(" tries.\n"),
        "{text}"
    );
}

#[test]
fn json_has_all_of_it_for_scripts() {
    let folder = folder_with_eval(QUOTES_THE_FEE);
    let trace = bare("a", "Is it €40?", "It is free.");
    let output = eval(
        folder.path(),
        &["explain", "blue.py", "-", "--json", "--flip"],
        &trace,
    );
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&told["id"], &told["verdict"], &told["error"]),
        (&json!("a"), &json!("fail"), &Value::Null)
    );
    let why = &told["explanation"];
    assert_eq!(
        (&why["decided"], &why["lines"]),
        (&json!(9), &json!([[5, 6], [8, 9]]))
    );
    assert_eq!(why["words"][0]["text"], "€40");
    assert_eq!(why["words"][0]["elsewhere"]["path"], "input_text");
    let flip = &told["flip"];
    assert_eq!(
        (&flip["verdict"], &flip["is_minimal"]),
        (&json!("pass"), &json!(true))
    );
    let output = eval(
        folder.path(),
        &["explain", "blue.py", "-", "--json"],
        &trace,
    );
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&told["flip"], &told["unexplained"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn one_trace_is_picked_by_its_id_from_many_and_a_file_may_be_one_of_many_lines() {
    let folder = folder_with_eval(QUOTES_THE_FEE);
    let lines = format!(
        "\n{}\n{}",
        labelled("one", "It is red", "up"),
        bare("two", "€7?", "€7")
    );
    let explain = |arguments: &[&str], input: &str| {
        let mut all = vec!["explain", "blue.py", "-"];
        all.extend(arguments);
        eval(folder.path(), &all, input)
    };
    let output = explain(&["--id", "two"], &lines);
    assert!(
        said(&output).starts_with("pass: names it\n"),
        "{}",
        stderr(&output)
    );
    let output = explain(&[], &lines);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("holds 2 traces; name one with --id"),
        "{}",
        stderr(&output)
    );
    let output = explain(&["--id", "three"], &lines);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no trace with the id three"));
    let pretty: Value = serde_json::from_str(&bare("p", "€7?", "€8")).expect("JSON");
    let output = explain(&[], &serde_json::to_string_pretty(&pretty).expect("JSON"));
    assert!(
        said(&output).starts_with("fail: does not name €7\n"),
        "{}",
        stderr(&output)
    );
    for (input, code) in [("", 1), ("[1]", 1), ("{", 1), ("null", 1)] {
        assert_eq!(explain(&[], input).status.code(), Some(code), "{input:?}");
    }
    let missing = eval(folder.path(), &["explain", "blue.py", "none.json"], "");
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn an_eval_without_a_verdict_is_at_fault_and_shows_where_it_raised() {
    let folder = folder_with_eval("def evaluate(trace):\n    number = 0\n    return 1 / number\n");
    let output = eval(
        folder.path(),
        &["explain", "blue.py", "-"],
        &bare("a", "?", "x"),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("ZeroDivisionError"),
        "{}",
        stderr(&output)
    );
    let text = said(&output);
    assert!(
        text.starts_with("no verdict\n") && text.contains(">    3      return 1 / number\n"),
        "{text}"
    );
    let broken = folder_with_eval("def evaluate(trace:\n");
    let output = eval(
        broken.path(),
        &["explain", "blue.py", "-"],
        &bare("a", "?", "x"),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("Not explained: there is no verdict to explain"));
}

#[test]
fn nothing_of_an_eval_or_a_trace_steers_the_terminal() {
    let source = "def evaluate(trace):\n    # \u{1b}[2J\n    if \"\u{9b}31m\" in trace[\"output_text\"]:\n        return False, \"\\x1b[2J\\r\"\n    return True\n";
    let folder = folder_with_eval(source);
    let trace = bare("a", "?", "red \u{9b}31m \u{1b}]0;title\u{7} \u{202e}");
    for arguments in [
        &["explain", "blue.py", "-", "--flip"][..],
        &["explain", "blue.py", "-", "--json"],
    ] {
        let output = eval(folder.path(), arguments, &trace);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let text = said(&output);
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'),
            "{text:?}"
        );
        assert!(text.contains("fail"));
    }
}

#[test]
fn a_report_says_how_many_breaks_of_good_answers_the_eval_notices() {
    let folder = folder_with_eval(
        "def evaluate(trace):\n    return \"blue\" in trace[\"output_text\"], \"colour\"\n",
    );
    let lines: String = (0..6)
        .map(|at| {
            labelled(
                &format!("t{at}"),
                "It is blue. It is 7.",
                if at == 5 { "down" } else { "up" },
            )
        })
        .collect();
    let report = |lines: &str, arguments: &[&str]| {
        let mut all = vec!["report", "blue.py", "-"];
        all.extend(arguments);
        eval(folder.path(), &all, lines)
    };
    let output = report(&lines, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(said(&output), said(&report(&lines, &["--json"])));
    let mutation =
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["mutation"].clone();
    assert_eq!(
        (&mutation["traces"], &mutation["total"]["errors"]),
        (&json!(5), &json!(0))
    );
    let of = |operator: &str| {
        let operators = mutation["operators"].as_array().expect("a list").iter();
        let found = operators
            .into_iter()
            .find(|of| of["operator"] == operator)
            .cloned();
        found.map(|of| (of["broken"].clone(), of["noticed"].clone()))
    };
    assert_eq!(of("empty_answer"), Some((json!(5), json!(5))));
    assert_eq!(of("change_number"), Some((json!(5), json!(0))));
    assert_eq!(of("other_answer"), None, "all answers are the same");
    let text = said(&report(&lines, &[]));
    assert!(
        text.contains("Mutation score   ")
            && text.contains("broken answers noticed, made from 5 good ones"),
        "{text}"
    );
    assert!(
        text.contains(
            "Mostly missed    the answer cut half-way (0 of 5), a changed number (0 of 5), "
        ),
        "{text}"
    );
    let output = report(&labelled("t", "It is red", "up"), &["--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told.get("mutation"), Some(&Value::Null));
}
