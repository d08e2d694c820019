use iofold::domain::{ErrorKind, EvalSource, Verdict};
use iofold::explain::explain;
use iofold::sandbox::{Answers, Limits};

use super::{deciding, explained, sandbox, trace};

/// Its last line decides: what comes before is to keep that from being seen.
fn hostile(before: &str, inside: &str) -> String {
    let inside: String = inside.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "import sys\n{before}\ndef evaluate(trace):\n{inside}    return \"no\" not in trace[\"output_text\"], \"why\"\n"
    )
}

#[test]
fn an_eval_that_gets_in_the_way_is_explained_all_the_same_or_not_at_all() {
    let (sandbox, trace) = (sandbox(), trace("?", "no"));
    let forged =
        "'{\"lines\":[[1,1]],\"decided\":[1,0,1,3],\"raised\":null,\"steps\":[],\"left_out\":0}'";
    for (before, inside) in [
        ("", "sys.settrace(None)\nsys.setprofile(None)"),
        (
            "",
            "sys.monitoring.free_tool_id(sys.monitoring.COVERAGE_ID)",
        ),
        ("", "sys.stdout = sys.stderr = None"),
        ("", "sys.stdout.write = None"),
        ("", &format!("print({forged})")),
        ("", &format!("sys.__stdout__.write({forged})")),
        ("", "print('x' * 10000)"),
        ("", "del sys.modules['eval']"),
        ("sys.setrecursionlimit(200)", ""),
        ("import json\njson.dumps = lambda *a, **k: 'mine'", ""),
        (
            "__builtins__['sorted'] = __builtins__['max'] = lambda *a, **k: []",
            "",
        ),
        (
            "",
            "for number in range(2000):\n    locals()[str(number)] = [number] * 1000",
        ),
    ] {
        let source = hostile(before, inside);
        let (plain, why) = explained(&sandbox, &source, &trace);
        assert_eq!(
            plain.verdict(),
            Some(Verdict::Fail),
            "{source}\n{:?}",
            plain.result
        );
        if let Ok(why) = why {
            assert!(
                why.lines
                    .iter()
                    .all(|[_, last]| *last <= source.lines().count())
            );
            assert_eq!(why.differs, None, "{source}");
        }
    }
}

#[test]
fn common_tricks_do_not_hide_the_deciding_line() {
    let (sandbox, trace) = (sandbox(), trace("?", "no"));
    let forged = "'{\"lines\":[],\"decided\":null,\"raised\":null,\"steps\":[],\"left_out\":0}'";
    for inside in [
        "sys.settrace(None)".to_owned(),
        "sys.stdout = None".to_owned(),
        format!("print({forged})"),
        format!("sys.__stdout__.write({forged} + chr(10))"),
        "sys.monitoring.free_tool_id(sys.monitoring.COVERAGE_ID)".to_owned(),
    ] {
        let source = hostile("", &inside);
        let why = explained(&sandbox, &source, &trace)
            .1
            .expect("it is explained");
        assert_eq!(why.decided, Some(source.lines().count()), "{source}");
        assert_eq!(deciding(&why), "\"no\" not in trace[\"output_text\"]");
    }
}

#[test]
fn values_that_bite_when_they_are_looked_at_are_not_looked_at() {
    let traps = "class Trap(str):
    def __eq__(self, other): raise SystemExit
    def __hash__(self): raise SystemExit
    def __repr__(self): raise SystemExit
    def __str__(self): raise SystemExit
    def __len__(self): raise SystemExit
    def __bool__(self): return True
    def __contains__(self, item): return True
    @property
    def __class__(self): raise SystemExit

class Meta(type):
    __name__ = property(lambda self: 1 / 0)

class Odd(metaclass=Meta):
    def __bool__(self): return True
    def __eq__(self, other): raise SystemExit
";
    let source = format!(
        "{traps}\ndef evaluate(trace):\n    trap, odd = Trap('no'), Odd()\n    held = [trap, odd]\n    if trap is not odd and trap and odd and held and 'no' in trap:\n        return False, 'trapped'\n    return True\n"
    );
    let (plain, why) = explained(&sandbox(), &source, &trace("?", "no"));
    assert_eq!(plain.verdict(), Some(Verdict::Fail), "{:?}", plain.result);
    let why = why.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (why.decided, why.differs),
        (Some(source.lines().count() - 1), None)
    );
}

#[test]
fn an_eval_that_knows_that_it_is_watched_is_found_out_and_the_plain_verdict_stands() {
    let source = "def evaluate(trace):\n    watched = \"__saw__\" in __builtins__\n    return watched, \"well\"\n";
    let (plain, why) = explained(&sandbox(), source, &trace("?", "no"));
    assert_eq!(plain.verdict(), Some(Verdict::Fail));
    let differs = why
        .expect("it ran")
        .differs
        .expect("it said something else");
    assert!(
        differs.contains("it said pass while it was watched"),
        "{differs}"
    );
    let source = "def evaluate(trace):\n    return False, str(\"__saw__\" in __builtins__)\n";
    let differs = explained(&sandbox(), source, &trace("?", "no"))
        .1
        .expect("it ran")
        .differs;
    assert!(differs.expect("another reason").contains("another reason"));
}

#[test]
fn an_error_that_is_no_verdict_is_not_explained() {
    let (sandbox, trace) = (sandbox(), trace("?", "no"));
    for (source, kind) in [
        (
            "def evaluate(trace):\n    while True:\n        pass\n",
            ErrorKind::Fuel,
        ),
        ("def evaluate(trace:\n", ErrorKind::Syntax),
        ("x = 1\n", ErrorKind::Syntax),
        (
            "def evaluate(trace):\n    return [0] * 10 ** 9\n",
            ErrorKind::Memory,
        ),
        (
            "from iofold import judge\ndef evaluate(trace):\n    return judge(\"a?\", \"b\")\n",
            ErrorKind::JudgeUnavailable,
        ),
    ] {
        let (plain, why) = explained(&sandbox, source, &trace);
        assert_eq!(plain.error_kind(), Some(kind), "{:?}", plain.result);
        let why = why.expect_err("there is nothing to explain").to_string();
        assert!(why.contains(kind.as_str()), "{why}");
    }
    let (plain, why) = explained(
        &sandbox,
        "import os\ndef evaluate(trace):\n    os._exit(0)\n",
        &trace,
    );
    assert_eq!(plain.error_kind(), Some(ErrorKind::Forbidden));
    assert_eq!(why.expect("it ran").raised, Some(3));
}

#[test]
fn an_eval_that_only_fits_unwatched_says_so() {
    let source = EvalSource::new(
        "def evaluate(trace):\n    n = 0\n    for number in range(200000):\n        if number % 7 == 3 and number > n:\n            n += 1\n    return n > 5, \"counted\"\n",
    );
    let sandbox = sandbox();
    let trace = trace("?", "no");
    let plain = sandbox.evaluate(source.as_str(), &trace.to_json());
    let limits = Limits {
        fuel: plain.fuel * 2,
        ..Limits::default()
    };
    let tight = sandbox.with_limits(limits);
    let plain = tight.evaluate(source.as_str(), &trace.to_json());
    assert_eq!(plain.verdict(), Some(Verdict::Pass), "{:?}", plain.result);
    let why = explain(&tight, &source, &trace, &plain, Answers::default());
    let why = why.expect_err("it does not fit").to_string();
    assert_eq!(
        why,
        "this eval can't be explained: watching it takes more time than an eval may take; unwatched, it fits"
    );
}

#[test]
fn a_source_that_is_too_long_or_too_deep_to_be_watched_says_so() {
    let (sandbox, trace) = (sandbox(), trace("?", "no"));
    let long = format!(
        "# {}\ndef evaluate(trace):\n    return True\n",
        "é".repeat(120_000)
    );
    let (plain, why) = explained(&sandbox, &long, &trace);
    assert_eq!(plain.verdict(), Some(Verdict::Pass));
    let why = why.expect_err("it is too long").to_string();
    assert!(why.contains("too long"), "{why}");
    let deep = format!(
        "def evaluate(trace):\n    return {}True, 'deep'\n",
        "not not ".repeat(60)
    );
    let (plain, why) = explained(&sandbox, &deep, &trace);
    assert_eq!(plain.verdict(), Some(Verdict::Pass), "{:?}", plain.result);
    if let Err(why) = why {
        assert!(why.to_string().contains("can't be explained"), "{why}");
    }
}

#[test]
fn a_hundred_values_and_steps_are_told_in_bounds() {
    let tests: String = (0..300)
        .map(|at| {
            format!(
                "    if trace[\"output_text\"] == \"{at}{}\":\n        return False\n",
                "y".repeat(150)
            )
        })
        .collect();
    let source = format!("def evaluate(trace):\n{tests}    return True\n");
    let (plain, why) = explained(&sandbox(), &source, &trace("?", &"x".repeat(500_000)));
    assert_eq!(plain.verdict(), Some(Verdict::Pass));
    let why = why.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(why.decided, Some(602));
    assert!(
        why.steps.len() <= 12 && why.left_out >= 288,
        "{} and {}",
        why.steps.len(),
        why.left_out
    );
}
