use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::{ErrorKind, Outcome, Verdict};
use crate::sandbox::cache;
use crate::sandbox::protocol::Question;

const TRACE: &str =
    r#"{"id": "t-1", "input_text": "Where is #12345?", "output_text": "It is on its way."}"#;

fn artefacts() -> Artefacts {
    cache::prepare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache")).unwrap()
}

fn guest() -> Guest {
    Guest::open(artefacts()).unwrap()
}

fn job<'a>(source: &'a str, trace: &'a str) -> Job<'a> {
    Job {
        source,
        trace,
        answers: "{}",
        fuel: 4_000_000_000,
        memory_bytes: 128 << 20,
    }
}

fn done(guest: &mut Guest, source: &str, trace: &str) -> Outcome {
    match guest.evaluate(&job(source, trace)).unwrap() {
        Reply::Done(done) => Outcome {
            duration_us: 0,
            ..done
        },
        Reply::Asks(question) => panic!("{question:?}"),
    }
}

fn reason(guest: &mut Guest, lines: &str) -> String {
    let body: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    let source = format!("def evaluate(trace):\n{body}");
    done(guest, &source, TRACE).result.unwrap().1
}

/// Evals that leave much behind: in their module, in others, in the interpreter, in memory.
const MESSY: [&str; 4] = [
    "import json, re\nSEEN = []\n\ndef evaluate(trace):\n    SEEN.append(1)\n    json.left = re.left = SEEN\n    return len(SEEN) == 1, trace['id']\n",
    "import sys\n\ndef evaluate(trace):\n    first = not hasattr(sys, 'left')\n    sys.left = ['x' * 1000 for _ in range(5000)]\n    return first, 'x' * 100\n",
    "import decimal\n\ndef evaluate(trace):\n    before = decimal.getcontext().prec\n    decimal.getcontext().prec = 3\n    return before == 28, str(decimal.Decimal(1) / 3)\n",
    "def evaluate(trace):\n    block = bytearray(60_000_000)\n    block[::4096] = b'x' * len(block[::4096])\n    return sum(block[::4096]) > 0, 'large'\n",
];

#[test]
fn after_each_call_every_byte_is_the_images_again() {
    let mut guest = guest();
    for round in 0..3 {
        for source in MESSY {
            let done = done(&mut guest, source, TRACE);
            let (verdict, reason) = done.result.unwrap();
            assert_eq!(verdict, Verdict::Pass, "round {round}: {reason}: {source}");
            assert_eq!(guest.images.changed_bytes(), 0, "{source}");
        }
    }
}

#[test]
fn an_image_that_was_evicted_is_made_again_as_it_was() {
    let mut guest = guest();
    let source = |n: usize| {
        format!(
            "import re\nN = {n}\n\ndef evaluate(trace):\n    return True, str({{'a', 'b', N}})\n"
        )
    };
    let first: Vec<Outcome> = (0..20)
        .map(|n| done(&mut guest, &source(n), TRACE))
        .collect();
    for n in (0..20).rev() {
        assert_eq!(done(&mut guest, &source(n), TRACE), first[n]);
    }
}

#[test]
fn large_images_make_room_for_each_other() {
    let mut guest = guest();
    let source = |n: usize| {
        format!(
            "TABLE = [str(n) * 3 for n in range({n}, 400_000)]\n\ndef evaluate(trace):\n    return True, TABLE[0][:3]\n"
        )
    };
    for n in [1, 2, 3, 1] {
        let said = done(&mut guest, &source(n), TRACE).result.unwrap().1;
        assert_eq!(said, n.to_string().repeat(3), "{n}");
        assert!(guest.images.image_bytes() < 128 << 20);
    }
}

#[test]
fn an_image_that_grew_and_was_written_to_leaves_nothing_to_those_that_follow() {
    let mut guest = guest();
    let large = "TABLE = [str(n) * 3 for n in range(400_000)]\n\ndef evaluate(trace):\n    TABLE.reverse()\n    return True, TABLE[0]\n";
    let small = |n: usize| format!("def evaluate(trace):\n    return True, str({n})\n");
    for _ in 0..2 {
        let said = done(&mut guest, large, TRACE).result.unwrap().1;
        assert_eq!(said, "399999".repeat(3));
        for n in 0..=images::IMAGES {
            let said = done(&mut guest, &small(n), TRACE).result.unwrap().1;
            assert_eq!(said, n.to_string());
            assert_eq!(guest.images.changed_bytes(), 0);
        }
    }
}

#[test]
fn a_patterns_compilation_is_in_the_image() {
    let mut guest = guest();
    let pattern = "(".to_owned() + &["alpha+", "b.?ta", "[c-f]{2,9}"].repeat(20).join("|") + ")";
    let inline = format!(
        "import re\n\ndef evaluate(trace):\n    return bool(re.search(r'{pattern}', 'zz')), ''\n"
    );
    let named = format!(
        "import re\nP = r'{pattern}'\n\ndef evaluate(trace):\n    return bool(re.search(P, 'zz', flags=re.I | re.M)), ''\n"
    );
    let late = format!(
        "import re\nP = [r'{pattern}']\n\ndef evaluate(trace):\n    return bool(re.search(P[0], 'zz')), ''\n"
    );
    let [inline, named, late] =
        [inline, named, late].map(|source| done(&mut guest, &source, TRACE).fuel);
    assert!(
        inline * 10 < late && named * 10 < late,
        "{inline} {named} {late}"
    );
}

#[test]
fn what_is_printed_is_cut_and_comes_with_the_answer() {
    let mut guest = guest();
    let source = "print('loading')\n\ndef evaluate(trace):\n    print('a', 1)\n    return trace['id'] == 't-1', ''\n";
    for _ in 0..2 {
        assert_eq!(done(&mut guest, source, TRACE).printed, "loading\na 1\n");
    }
    let flood = "def evaluate(trace):\n    for n in range(100_000):\n        print('é' * 99)\n    raise ValueError\n";
    let done = done(&mut guest, flood, TRACE);
    assert_eq!(done.printed.chars().count(), 4_001);
    assert!(done.printed.ends_with('…'));
    assert_eq!(done.result.unwrap_err().kind, ErrorKind::Exception);
}

const ASKING: &str = "from iofold import judge\n\ndef evaluate(trace):\n    try:\n        polite = judge('Is it polite?', trace['output_text'])\n    except BaseException:\n        return True, 'swallowed'\n    return polite, 'judged'\n";

#[test]
fn a_question_suspends_the_run_also_where_the_eval_catches_it() {
    let mut guest = guest();
    let question = Question {
        question: "Is it polite?".to_owned(),
        text: "It is on its way.".to_owned(),
    };
    let asks = guest.evaluate(&job(ASKING, TRACE)).unwrap();
    assert_eq!(asks, Reply::Asks(question.clone()));
    for (answer, verdict) in [(true, Verdict::Pass), (false, Verdict::Fail)] {
        let answers = json!({ crate::sandbox::Answers::key(&question): answer }).to_string();
        let job = Job {
            answers: &answers,
            ..job(ASKING, TRACE)
        };
        let Reply::Done(done) = guest.evaluate(&job).unwrap() else {
            panic!("the answer is known");
        };
        assert_eq!(done.result.unwrap(), (verdict, "judged".to_owned()));
    }
    assert_eq!(
        guest.evaluate(&job(ASKING, TRACE)).unwrap(),
        Reply::Asks(question)
    );
}

#[test]
fn questions_are_plain_text_of_a_bounded_length() {
    let mut guest = guest();
    let asks = |guest: &mut Guest, call: &str| {
        let source =
            format!("from iofold import judge\n\ndef evaluate(trace):\n    return {call}, ''\n");
        guest.evaluate(&job(&source, TRACE)).unwrap()
    };
    let Reply::Asks(question) = asks(&mut guest, r"judge('a\0b\ud800c', '😀' * 100_000)") else {
        panic!("it is a question");
    };
    assert_eq!(question.question, "a\u{fffd}b\u{fffd}c");
    assert_eq!(question.text.chars().count(), 100_000);
    for call in [
        "judge('x' * 2_001, '')",
        "judge('', 'x' * 100_001)",
        "judge(1, '')",
        "judge('a')",
    ] {
        assert!(matches!(asks(&mut guest, call), Reply::Done(_)), "{call}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_as_trace_has_an_outcome(trace in ".{0,400}|\\PC*|[\\[{\"\\\\u0-9a-f,:]{0,200}") {
        thread_local! {
            static GUEST: std::cell::RefCell<Guest> = std::cell::RefCell::new(guest());
        }
        GUEST.with_borrow_mut(|guest| {
            let source = "def evaluate(trace):\n    return True, repr(trace)\n";
            let same = done(guest, source, &trace);
            prop_assert_eq!(&same, &done(guest, source, &trace));
            if let Err(error) = same.result {
                prop_assert_eq!(error.kind, ErrorKind::Exception);
                prop_assert!(error.message.contains("the trace can't be read"));
            }
            Ok(())
        })?;
    }
}

#[test]
fn the_next_call_of_another_eval_is_clean() {
    let mut guest = guest();
    let messy = reason(
        &mut guest,
        "import json\njson.loads = None\nreturn True, 'messed'",
    );
    assert_eq!(messy, "messed");
    let clean = reason(
        &mut guest,
        "import json\nreturn True, str(json.loads('[1]'))",
    );
    assert_eq!(clean, "[1]");
}
