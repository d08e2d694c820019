//! The same verdict everywhere: the same eval and trace give the same outcome and use the same fuel, whichever
//! worker runs them and whatever ran there before. And whatever comes as an eval or a trace, there is an outcome.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use iofold::sandbox::Sandbox;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;

/// More evals than a worker keeps images of.
const OTHERS: usize = 9;
/// Of each eval on its trace.
const RUNS: usize = 100;
/// Of these, on one worker.
const ON_ONE: usize = 60;

/// What an eval does that could differ between machines, processes or calls; each adds to `said`.
const STEPS: &[&str] = &[
    "said.append(text.upper().casefold().center(90, '*')[:40])",
    "said.append(list({*text.split(), 'one', 'two', 'three', 4, 5.5, None}))",
    "said.append({word: len(word) for word in sorted(set(text), reverse=True)})",
    "said.append([hash(text), hash((1, text)), hash(1.5), hash(frozenset(text))])",
    "said.append([random.random(), random.gauss(0, 1), random.sample(range(99), 3), random.choice(text or 'x')])",
    "random.seed(len(text)); said.append(random.randbytes(4).hex())",
    "said.append([repr(object()), id(text), id([]), id(said) % 4096])",
    "said.append([0.1 * number, number / 3, math.sin(number), math.exp(number % 50), math.fsum([0.1] * 7)])",
    "said.append([f'{number:.3e}', f'{number / 7!r:>30}', f'{text!a:.20}', '%g' % (number * 1e-7)])",
    "nan = math.inf - math.inf; said.append([nan, -nan, struct.pack('<dd', nan, -nan).hex(), math.copysign(1, nan)])",
    "said.append(struct.pack('<fd', number % 1e30 * 0.1, math.sqrt(abs(number))).hex())",
    "said.append([match.span() for match in re.finditer(r'\\w+|[^\\w\\s]', text)][:9])",
    "said.append(re.sub(r'(?i)[aeiou]', lambda match: match.group().swapcase() * 2, text)[:60])",
    "said.append(bool(re.fullmatch(r'(?:a|b|ab)*c?', text[:12])))",
    "said.append(sorted(map(str, trace.values()), key=lambda value: (len(value), value))[:5])",
    "said.append(json.dumps(trace, sort_keys=True, default=repr)[:200])",
    "said.append(hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8])",
    "said.append(str(decimal.Decimal(str(number % 1000)) / 7) + str(fractions.Fraction(1, 3) * 5))",
    "said.append([getattr(said, 'calls', None), counts.setdefault('calls', 0)]); counts['calls'] += 1",
    "json.left = getattr(json, 'left', 0) + 1; said.append(json.left)",
    "print(text[:50], number, end=';')",
    "said.append(unicodedata.normalize('NFKD', text)[:40])",
    "said.append([int(number) ** 7 % 1_000_007, divmod(int(number), 7), int(number) << 40])",
    "said.append(sum(value * value for value in range(int(abs(number)) % 2_000)))",
    "try:\n    said.append(json.loads(text))\nexcept ValueError as error:\n    said.append(str(error))",
    "try:\n    said.append(text[int(number) % 7])\nexcept IndexError as error:\n    said.append(repr(error))",
    "gc = sys.modules['gc']; said.append([gc.get_count()[0], gc.collect()])",
    "said.append(sys.getrefcount(text) + sys.getsizeof(trace))",
    "if len(text) % 5 == 4: raise ValueError(text[:20])",
    "if len(text) % 7 == 6: return None, 'early'",
    "if len(text) % 11 == 10: return said",
    "if len(text) % 13 == 12: [][len(text)]",
];

/// Pieces of JSON, and of what some take for it.
#[rustfmt::skip]
const JSON: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00", "\\ud800", "null", "true", "NaN", "-",
    "1e999", "0.1", "\0", "\u{feff}", " ", "ü", "\n",
];

/// Pieces of Python.
#[rustfmt::skip]
const PYTHON: &[&str] = &[
    "def evaluate(trace):", "\n", "\n    ", "return ", "True", "trace", "(", ")", "[", "]",
    "lambda x: ", "import ", "re", "sys", "=", "*", "**", ".", "\"", "'''", "\\", "f'{", "}'",
    "class A", ":", "@", "yield ", "async ", "await ", "9", "e", "#", "\0", "ü", "match ",
    "case ", "_", "del ", "global ", "try", "except", "raise ",
];

fn evals() -> impl Strategy<Value = String> {
    let steps = prop::collection::vec(select(STEPS), 1..9);
    steps.prop_map(|steps| {
        let imports = "import decimal, fractions, hashlib, json, math, random, re, struct, sys, unicodedata\n\n\
            counts = {}\n\n";
        let start = "said, text, number = [], str(trace.get('output_text')), trace.get('number') or 0";
        let end = "return len(str(said)) % 2 == 0, str(said)";
        imports.to_owned() + &eval(&[&[start], &steps[..], &[end]].concat().join("\n"))
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        ".{0,30}".prop_map(Value::from),
        "[abc ]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect::<Value>()),
        ]
    })
}

fn traces() -> impl Strategy<Value = String> {
    let texts = prop_oneof![".{0,80}", "[a-c ]{0,40}", r#"\{"[a-z]": -?[0-9]{1,9}\}"#];
    (texts, -1e6..1e6, values()).prop_map(|(text, number, more): (String, f64, Value)| {
        json!({"id": "t", "output_text": text, "number": number, "metadata": more}).to_string()
    })
}

fn one() -> &'static Sandbox {
    static ONE: OnceLock<Sandbox> = OnceLock::new();
    ONE.get_or_init(|| opened(1))
}

fn many() -> &'static Sandbox {
    static MANY: OnceLock<Sandbox> = OnceLock::new();
    MANY.get_or_init(|| opened(3))
}

fn opened(workers: usize) -> Sandbox {
    let sandbox = Sandbox::open_with_workers(program(), &cache_folder(), workers);
    sandbox.expect("the sandbox opens").with_limits(patient())
}

/// Everything but the time.
fn lasting(outcome: Outcome) -> Outcome {
    Outcome {
        duration_us: 0,
        ..outcome
    }
}

/// Makes the worker forget all images that it had.
fn run_others(sandbox: &Sandbox) {
    for number in 0..OTHERS {
        let source = eval(&format!("import json\njson.left = {number}\nreturn True"));
        sandbox.evaluate(&source, "{}");
    }
}

/// All outcomes of the eval on the trace: on one worker, with others in between, and on several at once.
fn outcomes(source: &str, trace: &str) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for run in 0..ON_ONE {
        if run % (ON_ONE / 2) == 1 {
            run_others(one());
        }
        outcomes.push(one().evaluate(source, trace));
    }
    let traces = (ON_ONE..RUNS).map(|run| (run, trace.to_owned()));
    many().evaluate_in_order(source, traces, |_, _, outcome| {
        outcomes.push(outcome);
        ControlFlow::Continue(())
    });
    outcomes.into_iter().map(lasting).collect()
}

/// Like JSON, and often not.
fn nearly_json() -> impl Strategy<Value = String> {
    let broken = prop::collection::vec(select(JSON), 0..40).prop_map(|parts| parts.concat());
    let cut = (traces(), any::<prop::sample::Index>()).prop_map(|(trace, at)| {
        let end = at.index(trace.len() + 1);
        let whole = |end: &usize| trace.is_char_boundary(*end);
        let end = (0..=end).rev().find(whole).unwrap_or_default();
        trace[..end].to_owned()
    });
    prop_oneof![
        any::<String>(),
        broken,
        cut,
        values().prop_map(|value| value.to_string())
    ]
}

/// Like Python, and rarely an eval.
fn nearly_python() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(select(PYTHON), 0..30).prop_map(|parts| parts.concat());
    prop_oneof![
        any::<String>(),
        pieces.clone(),
        pieces.prop_map(|body| eval(&body))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_same_verdict_everywhere(source in evals(), trace in traces()) {
        let outcomes = outcomes(&source, &trace);
        prop_assert_eq!(outcomes.len(), RUNS);
        prop_assert!(outcomes[0].host_failure().is_none(), "{:?}", outcomes[0]);
        for (run, outcome) in outcomes.iter().enumerate() {
            prop_assert_eq!(outcome, &outcomes[0], "run {}", run);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_comes_as_a_trace_has_an_outcome(trace in nearly_json()) {
        let source = eval("return isinstance(trace, dict), str(trace)");
        let outcome = one().evaluate(&source, &trace);
        prop_assert!(outcome.host_failure().is_none(), "{:?}", outcome);
        let read = serde_json::from_str::<Value>(&trace).is_ok_and(|value| value.is_object());
        prop_assert!(!read || outcome.verdict().is_some(), "{:?}", outcome);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_comes_as_an_eval_has_an_outcome(source in nearly_python()) {
        let outcome = one().evaluate(&source, "{}");
        prop_assert!(outcome.host_failure().is_none(), "{:?}", outcome);
    }
}
