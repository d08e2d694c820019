//! Sizes and shapes of sources and traces.

use super::{Act, Attack, Expect, Source, Trace, made};
use crate::domain::ErrorKind::{Exception, Syntax, TraceTooLarge};

const SOURCE_BYTES: usize = 256 << 10;
const TRACE_BYTES: usize = 8 << 20;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "a source of 256 KiB of statements",
        act: made(|| repeated("x = [1]\n", SOURCE_BYTES)),
        twin: made(|| repeated("x = [1]\n", 4 << 10)),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a source of 256 KiB and one byte",
        act: made(|| one_text(SOURCE_BYTES + 1)),
        twin: made(|| one_text(SOURCE_BYTES)),
        expect: Expect::Error(Syntax),
    },
    Attack {
        name: "a source of one line with 60,000 brackets",
        act: made(|| format!("x = {}\n{YES}", "[".repeat(60_000))),
        twin: made(|| format!("x = {}{}\n{YES}", "[".repeat(60), "]".repeat(60))),
        expect: Expect::Error(Syntax),
    },
    Attack {
        name: "a source of 500 nested blocks",
        act: made(|| nested_blocks(500) + YES),
        twin: made(|| nested_blocks(15) + YES),
        expect: Expect::Error(Syntax),
    },
    Attack {
        name: "a source with NUL",
        act: made(|| format!("{YES}\0\n")),
        twin: made(|| format!("{YES}\n")),
        expect: Expect::Error(Syntax),
    },
    Attack {
        name: "a source with halves of characters in its names",
        act: made(|| {
            format!(
                "class A: pass\nsetattr(A, '\\ud800', 1)\nprint('\\udfff')\ntype('\\ud800', (), {{}})\n{YES}"
            )
        }),
        twin: made(|| format!("class A: pass\nsetattr(A, 'a', 1)\nprint('a')\n{YES}")),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a source that claims another encoding",
        act: made(|| format!("# -*- coding: utf-7 -*-\n+AG8-\n{YES}")),
        twin: made(|| format!("# -*- coding: utf-7 -*-\n{YES}")),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a source with a byte order mark, CRLF, lone CR and form feeds",
        act: made(|| format!("\u{feff}x = 1\r\ny = 2\rz = 3\n\x0c{YES}")),
        twin: made(|| format!("x = 1\r\ny = 2\r\n{YES}")),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a trace of 8 MiB and one byte",
        act: on(|| padded_trace(TRACE_BYTES + 1)),
        twin: on(|| padded_trace(TRACE_BYTES)),
        expect: Expect::Error(TraceTooLarge),
    },
    Attack {
        name: "a trace of 8 MiB of numbers",
        act: on(|| format!("[{}1]", "1,".repeat(TRACE_BYTES / 2 - 2))),
        twin: on(|| format!("[{}1]", "1,".repeat(100))),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a trace of 8 MiB of small objects",
        act: on(|| format!("[{}{{}}]", "{\"a\":[]},".repeat(TRACE_BYTES / 9 - 2))),
        twin: on(|| format!("[{}{{}}]", "{\"a\":[]},".repeat(100))),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a trace of 8 MiB of tool calls",
        act: on(|| tool_calls(TRACE_BYTES)),
        twin: on(|| tool_calls(40 << 10)),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a trace of 8 MiB of brackets",
        act: on(|| "[".repeat(TRACE_BYTES)),
        twin: on(|| "[".repeat(50) + &"]".repeat(50)),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "a trace that is one number of 8 million digits",
        act: on(|| "9".repeat(TRACE_BYTES)),
        twin: on(|| "9".repeat(1_000)),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "a trace of 8 MiB of escapes and halves of characters",
        act: on(|| format!("\"{}\"", r"\ud800\u0000".repeat(TRACE_BYTES / 12 - 1))),
        twin: on(|| format!("\"{}\"", r"\ud83d\udc4d".repeat(100))),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a trace with the same key a million times",
        act: on(|| format!("{{{}\"k\":1}}", "\"k\":1,".repeat(TRACE_BYTES / 6 - 2))),
        twin: on(|| format!("{{{}\"k\":1}}", "\"k\":1,".repeat(100))),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a trace with numbers that JSON has not",
        act: on(|| "[NaN, Infinity, -Infinity, 1e999, -0.0]".to_owned()),
        twin: on(|| "[0, 1e99, -0.0]".to_owned()),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a trace that is not JSON",
        act: on(|| "{\"id\": 't-1', \0}".to_owned()),
        twin: on(|| "{\"id\": \"t-1\"}".to_owned()),
        expect: Expect::Error(Exception),
    },
];

const YES: &str = "def evaluate(trace):\n    return True\n";

/// An eval that passes whatever its trace is, on a trace that `make` makes.
const fn on(make: fn() -> String) -> Act {
    Act::Eval(Source::Body("return True"), Trace::Made(make))
}

/// An eval of at most `bytes`, most of them this line.
fn repeated(line: &str, bytes: usize) -> String {
    YES.to_owned() + &line.repeat((bytes - YES.len()) / line.len())
}

/// An eval of exactly `bytes`, most of them one string.
fn one_text(bytes: usize) -> String {
    format!("{YES}x = '{}'\n", "x".repeat(bytes - YES.len() - 7))
}

fn nested_blocks(depth: usize) -> String {
    let block = |level| format!("{}if True:\n", " ".repeat(level));
    let blocks: String = (0..depth).map(block).collect();
    format!("{blocks}{}pass\n", " ".repeat(depth))
}

/// A trace of exactly `bytes`.
fn padded_trace(bytes: usize) -> String {
    format!("{{\"output_text\": \"{}\"}}", "x".repeat(bytes - 19))
}

/// A trace of at most `bytes`.
fn tool_calls(bytes: usize) -> String {
    let call = r#"{"name": "search", "arguments": {"page": 1, "to": ["SFO", "JFK"]}, "result": {"price": 120.5, "ok": true}, "error": null},"#;
    let calls = call.repeat(bytes / call.len() - 1);
    format!("{{\"tool_calls\": [{}]}}", calls.trim_end_matches(','))
}
