//! What an eval may return, raise, import and say.

use iofold::domain::{RunError, Verdict};

use super::*;

const TRACE: &str =
    r#"{"id": "t-1", "input_text": "Where is #12345?", "output_text": "It is on its way."}"#;

fn outcome_of(source: &str, trace: &str) -> Outcome {
    shared().evaluate(source, trace)
}

fn outcome(lines: &str) -> Outcome {
    outcome_of(&eval(lines), TRACE)
}

fn said(lines: &str) -> (Verdict, String) {
    outcome(lines).result.expect(lines)
}

fn error(lines: &str) -> RunError {
    outcome(lines).result.expect_err(lines)
}

fn forbidden(lines: &str) -> String {
    let error = error(lines);
    assert_eq!(error.kind, ErrorKind::Forbidden, "{}", error.message);
    error.message
}

#[test]
fn a_verdict_comes_alone_or_with_a_reason() {
    assert_eq!(said("return True"), (Verdict::Pass, String::new()));
    let with_reason = (Verdict::Fail, "no source".to_owned());
    assert_eq!(said("return False, 'no source'"), with_reason);
    assert_eq!(said("return None, None"), (Verdict::Abstain, String::new()));
    let reason = said("return trace['output_text'].endswith('way.'), '👍 ü'").1;
    assert_eq!(reason, "👍 ü");
}

#[test]
fn what_is_no_verdict_is_named() {
    let returned = [
        "return 1",
        "return 'True'",
        "return 1.0, 'x'",
        "return ()",
        "return True, 'a', 'b'",
        "return [True, 'a list is no pair']",
        "return True, 5",
        "return True, b'bytes'",
        "return float('nan')",
        "pass; yield True",
        "return evaluate",
    ];
    for lines in returned {
        let error = error(lines);
        assert_eq!(error.kind, ErrorKind::NotAVerdict, "{lines}");
        assert!(
            error.message.starts_with("evaluate returned "),
            "{}",
            error.message
        );
    }
    let message = error("return 'True'").message;
    assert!(
        message.contains("evaluate returned 'True', not True, False or None"),
        "{message}"
    );
}

#[test]
fn a_huge_reason_is_cut_at_2000_characters() {
    assert_eq!(said("return True, '👍' * 5_000_000").1, "👍".repeat(2_000));
    assert_eq!(said("return True, 'x' * 2_000").1.len(), 2_000);
}

#[test]
fn nul_and_lone_surrogates_pass_through_and_are_replaced_in_reasons() {
    let trace = r#"{"output_text": "a\u0000b\ud800c"}"#;
    let source = eval("text = trace['output_text']\nreturn len(text) == 5, text");
    let expected = (Verdict::Pass, "a\u{fffd}b\u{fffd}c".to_owned());
    assert_eq!(outcome_of(&source, trace).result, Ok(expected));
    assert_eq!(said("return True, '\\0\\udfff'").1, "\u{fffd}\u{fffd}");
    assert_eq!(said("return True, '\\ud83d\\udc4d'").1, "👍");
    let message = error("raise ValueError('\\0\\ud800')").message;
    assert_eq!(message.lines().last(), Some("ValueError: \u{fffd}\u{fffd}"));
}

#[test]
fn a_syntax_error_has_its_line() {
    let outcome = outcome_of("def evaluate(trace):\n    return True\n  x = = 1\n", TRACE);
    let error = outcome.result.expect_err("it is no Python");
    assert_eq!(error.kind, ErrorKind::Syntax);
    assert!(error.message.starts_with("line 3: "), "{}", error.message);
}

#[test]
fn a_source_that_is_no_eval_is_refused_as_such() {
    let deep = format!("x = {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    for source in [
        "",
        "x = 1",
        "evaluate = 5",
        "\0",
        "def evaluate(trace):\0",
        &deep,
    ] {
        let outcome = outcome_of(source, TRACE);
        assert_eq!(
            kind(&outcome),
            Some(ErrorKind::Syntax),
            "{source:?}: {outcome:?}"
        );
    }
    let missing = outcome_of("x = 1", TRACE)
        .result
        .expect_err("there is no evaluate");
    assert_eq!(
        missing.message,
        "the source defines no function evaluate(trace)"
    );
}

#[test]
fn a_traceback_names_the_evals_own_lines_and_no_others() {
    let source = "import json\n\ndef parse(text):\n    return json.loads(text)\n\ndef evaluate(trace):\n    return parse('{')\n";
    let error = outcome_of(source, TRACE).result.expect_err("it raises");
    assert_eq!(error.kind, ErrorKind::Exception);
    let expected = "Traceback (most recent call last):\n  \
        File \"eval.py\", line 7, in evaluate\n    return parse('{')\n  \
        File \"eval.py\", line 4, in parse\n    return json.loads(text)\n\
        JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)";
    assert_eq!(error.message, expected);
}

#[test]
fn an_error_while_loading_is_reported_with_its_line() {
    let error = outcome_of("x = 1\ny = 1 / 0\n", TRACE)
        .result
        .expect_err("it raises");
    assert_eq!(error.kind, ErrorKind::Exception);
    let expected = "line 2, in <module>\n    y = 1 / 0\nZeroDivisionError";
    assert!(error.message.contains(expected), "{}", error.message);
}

#[test]
fn importing_what_is_not_there_says_what_is() {
    let message = forbidden("import numpy\nreturn True");
    let start = "an eval can't import numpy; it may import: ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.contains(" re, "), "{message}");
    assert!(message.ends_with("(line 2)"), "{message}");
}

#[test]
fn each_module_of_the_list_can_be_imported_and_used() {
    let message = forbidden("import numpy\nreturn True");
    let (_, list) = message.split_once("may import: ").expect("there is a list");
    let (list, _) = list.split_once(" (line").expect("it ends");
    let modules: Vec<&str> = list.split(", ").collect();
    assert!(modules.len() > 50, "{modules:?}");
    let imports: String = modules
        .iter()
        .map(|module| format!("import {module}\n"))
        .collect();
    assert_eq!(said(&format!("{imports}return True")).0, Verdict::Pass);
    let uses = "import datetime, decimal, hashlib, statistics, tomllib, uuid, xml.etree.ElementTree as xml\n\
        hashed = hashlib.sha256(b'').hexdigest()[:6]\n\
        day = datetime.datetime.strptime('2026-01-02', '%Y-%m-%d').day\n\
        tree = xml.fromstring('<a><b/></a>')[0].tag\n\
        table = tomllib.loads('a = 1')['a']\n\
        mean = statistics.mean([1, 2, 6])\n\
        name = uuid.uuid5(uuid.NAMESPACE_URL, 'x').version\n\
        return True, f'{hashed} {day} {tree} {table} {mean} {name} {decimal.Decimal(1) / 8}'";
    assert_eq!(said(uses).1, "e3b0c4 2 b 1 3 5 0.125");
}

#[test]
fn what_is_printed_comes_with_the_outcome_whatever_that_is() {
    let printing = "import sys\nprint('a', 1)\nprint('b', file=sys.stderr, flush=True)\n";
    for end in ["return True, 'said'", "raise ValueError", "return 5"] {
        assert_eq!(
            outcome(&format!("{printing}{end}")).printed,
            "a 1\nb\n",
            "{end}"
        );
    }
    let flood = outcome("for _ in range(1_000): print('x' * 1_000)\nreturn True").printed;
    assert_eq!(flood.chars().count(), 4_001);
    assert!(flood.ends_with("x…"), "{flood}");
}

#[test]
fn a_question_to_judge_is_an_error_where_nobody_answers() {
    let lines = "from iofold import judge\nreturn judge('Is it polite?', trace['output_text'])";
    let error = error(lines);
    assert_eq!(error.kind, ErrorKind::JudgeUnavailable);
    assert!(
        error.message.contains("no LLM is configured"),
        "{}",
        error.message
    );
}

#[test]
fn a_forbidden_call_that_is_caught_is_the_evals_own_business() {
    let lines = "try:\n    open('/etc/passwd')\nexcept PermissionError as error:\n    return False, str(error)";
    let expected = (Verdict::Fail, "an eval can't open files".to_owned());
    assert_eq!(said(lines), expected);
}

#[test]
fn exits_and_interrupts_are_exceptions_of_the_eval() {
    for name in [
        "SystemExit",
        "KeyboardInterrupt",
        "GeneratorExit",
        "BaseException",
        "StopIteration",
    ] {
        let error = error(&format!("raise {name}(0)"));
        assert_eq!(error.kind, ErrorKind::Exception);
        assert!(
            error.message.ends_with(&format!("\n{name}: 0")),
            "{}",
            error.message
        );
    }
    assert_eq!(error("import sys\nsys.exit(3)").kind, ErrorKind::Exception);
    assert_eq!(error("exit()").kind, ErrorKind::Exception);
}

#[test]
fn hostile_methods_are_not_called_for_a_reason() {
    let methods = [
        "__str__",
        "__repr__",
        "__len__",
        "__getitem__",
        "encode",
        "replace",
        "__iter__",
        "__bool__",
    ];
    for method in methods {
        let class = format!("class Evil(str):\n    def {method}(self, *a): raise ValueError\n");
        let plain = (Verdict::Pass, "plain".to_owned());
        assert_eq!(
            said(&format!("{class}return True, Evil('plain')")),
            plain,
            "{method}"
        );
    }
}

#[test]
fn a_trace_that_is_not_json_is_no_fault_of_the_verdict() {
    for trace in ["", "{", "{\"a\": }", "\0", &"[".repeat(100_000)] {
        let outcome = outcome_of(&eval("return True"), trace);
        assert_eq!(kind(&outcome), Some(ErrorKind::Exception), "{trace:.20}");
    }
    let any = outcome_of(&eval("return trace == [1, 'ü']"), "[1, \"ü\"]");
    assert_eq!(any.verdict(), Some(Verdict::Pass));
}
