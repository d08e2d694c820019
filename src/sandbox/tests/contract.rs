//! What an eval may return, raise and say.

use super::*;

#[test]
fn a_verdict_comes_alone_or_with_a_reason() {
    assert_eq!(said("return True"), (Verdict::Pass, String::new()));
    assert_eq!(
        said("return False, 'no source'"),
        (Verdict::Fail, "no source".to_owned())
    );
    assert_eq!(said("return None, None"), (Verdict::Abstain, String::new()));
    assert_eq!(
        said("return trace['output_text'].endswith('way.'), '👍 ü'").1,
        "👍 ü"
    );
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
    assert!(
        error("return 'True'")
            .message
            .contains("evaluate returned 'True', not True, False or None")
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
    let outcome = sandbox().evaluate(&source, trace);
    assert_eq!(
        outcome.result.unwrap(),
        (Verdict::Pass, "a\u{fffd}b\u{fffd}c".to_owned())
    );
    assert_eq!(said("return True, '\\0\\udfff'").1, "\u{fffd}\u{fffd}");
    assert_eq!(said("return True, '\\ud83d\\udc4d'").1, "👍");
    assert_eq!(
        error("raise ValueError('\\0\\ud800')")
            .message
            .lines()
            .last(),
        Some("ValueError: \u{fffd}\u{fffd}")
    );
}

#[test]
fn a_syntax_error_has_its_line() {
    let outcome = sandbox().evaluate("def evaluate(trace):\n    return True\n  x = = 1\n", TRACE);
    let error = outcome.result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
    assert!(error.message.starts_with("line 3: "), "{}", error.message);
}

#[test]
fn a_source_that_is_no_eval_is_refused_as_such() {
    let deep = format!("x = {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let sources = [
        "",
        "x = 1",
        "evaluate = 5",
        "\0",
        "def evaluate(trace):\0",
        &deep,
    ];
    for source in sources {
        let error = sandbox().evaluate(source, TRACE).result.unwrap_err();
        assert_eq!(
            error.kind,
            ErrorKind::Syntax,
            "{source:?}: {}",
            error.message
        );
    }
    let missing = sandbox().evaluate("x = 1", TRACE).result.unwrap_err();
    assert_eq!(
        missing.message,
        "the source defines no function evaluate(trace)"
    );
}

#[test]
fn a_traceback_names_the_evals_own_lines_and_no_others() {
    let source = "import json\n\ndef parse(text):\n    return json.loads(text)\n\ndef evaluate(trace):\n    return parse('{')\n";
    let error = sandbox().evaluate(source, TRACE).result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Exception);
    let expected = "Traceback (most recent call last):\n  \
        File \"eval.py\", line 7, in evaluate\n    return parse('{')\n  \
        File \"eval.py\", line 4, in parse\n    return json.loads(text)\n\
        JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)";
    assert_eq!(error.message, expected);
}

#[test]
fn an_error_while_loading_is_reported_with_its_line() {
    let error = sandbox()
        .evaluate("x = 1\ny = 1 / 0\n", TRACE)
        .result
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Exception);
    assert!(
        error
            .message
            .contains("line 2, in <module>\n    y = 1 / 0\nZeroDivisionError"),
        "{}",
        error.message
    );
}

#[test]
fn importing_what_is_not_there_says_what_is() {
    let message = assert_forbidden("import numpy\nreturn True");
    assert!(
        message.starts_with("an eval can't import numpy; it may import: "),
        "{message}"
    );
    assert!(message.contains(" re, "), "{message}");
    assert!(message.ends_with("(line 2)"), "{message}");
}

#[test]
fn each_module_of_the_list_can_be_imported_and_used() {
    let message = assert_forbidden("import numpy\nreturn True");
    let list = message
        .split("may import: ")
        .nth(1)
        .unwrap()
        .split(" (line")
        .next()
        .unwrap();
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
fn print_is_dropped_and_breaks_nothing() {
    let lines = "import sys\nprint('x' * 100_000)\nprint('y', file=sys.stderr, flush=True)\nreturn True, 'printed'";
    assert_eq!(said(lines).1, "printed");
}

#[test]
fn judge_says_that_it_is_unavailable() {
    let error =
        error("from iofold import judge\nreturn judge('Is it polite?', trace['output_text'])");
    assert_eq!(error.kind, ErrorKind::JudgeUnavailable);
    assert!(
        error.message.contains("no LLM is configured"),
        "{}",
        error.message
    );
    let caught = "import iofold\ntry:\n    iofold.judge('q', 't')\nexcept iofold.JudgeUnavailable:\n    return None";
    assert_eq!(said(caught).0, Verdict::Abstain);
}

#[test]
fn the_same_eval_and_trace_give_the_same_outcome_every_time() {
    let source = eval(
        "import random, uuid\nwords = {str(random.random()), *trace['output_text'].split()}\n\
         return True, ' '.join(words) + repr(hash('x')) + repr(id(words)) + repr(object())",
    );
    let first = sandbox().evaluate(&source, TRACE);
    let wanted = (first.result.unwrap(), first.fuel);
    let same = || {
        let next = sandbox().evaluate(&source, TRACE);
        assert_eq!((next.result.unwrap(), next.fuel), wanted);
    };
    (0..100).for_each(|_| same());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| same()));
        }
    });
}

#[test]
fn nothing_that_one_call_leaves_is_in_the_next() {
    let source = "seen = 0\n\ndef evaluate(trace):\n    global seen\n    import json, re\n    \
        seen += 1 + getattr(json, 'left', 0)\n    json.left = 1\n    re.compile('left' * 99)\n    return True, str(seen)\n";
    let first = sandbox().evaluate(source, TRACE);
    let second = sandbox().evaluate(source, TRACE);
    assert_eq!(first.result, Ok((Verdict::Pass, "1".to_owned())));
    assert_eq!((second.result, second.fuel), (first.result, first.fuel));
}

#[test]
fn a_trace_that_is_not_json_is_no_fault_of_the_verdict() {
    for trace in ["", "{", "{\"a\": }", "\0", &"[".repeat(100_000)] {
        let error = sandbox()
            .evaluate(&eval("return True"), trace)
            .result
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Exception, "{trace:.20}");
    }
    let any = sandbox().evaluate(&eval("return trace == [1, 'ü']"), "[1, \"ü\"]");
    assert_eq!(any.verdict(), Some(Verdict::Pass));
}
