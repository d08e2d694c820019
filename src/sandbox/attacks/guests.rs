//! Guests that are not CPython: what the host reads of one could be anything once an eval has taken it over.
//!
//! Each is a small module in WebAssembly's text format, put in CPython's place. It behaves until it is given a
//! source as long as [`source`], for workers try their guest before they take jobs.

use std::fs::{self, File};
use std::path::Path;

use tempfile::TempDir;
use wasmtime::Engine;

use super::suite::linked;
use super::{Act, Attack, Expect};
use crate::domain::ErrorKind::{self, Exception, Fuel, Memory};
use crate::domain::Verdict::Pass;
use crate::sandbox::cache::Artefacts;
use crate::sandbox::guest::engine;
use crate::sandbox::{Sandbox, SandboxError};

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    alloc(
        "alloc gives an address outside memory",
        Exception,
        "(return (i32.const 0x7fffffff))",
    ),
    alloc(
        "alloc gives an address that overflows with the length",
        Exception,
        "(return (i32.const -1))",
    ),
    alloc(
        "alloc gives the last byte of memory",
        Exception,
        "(return (i32.const 65535))",
    ),
    alloc("alloc gives null", Exception, "(return (i32.const 0))"),
    alloc("alloc never returns", Fuel, FOREVER),
    alloc(
        "alloc takes memory without end",
        Memory,
        "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
    ),
    evaluate(
        "memory is grown to four gigabytes at once",
        Memory,
        "(drop (memory.grow (i32.const 65535))) (i32.store (i32.const -4) (i32.const 1))",
    ),
    evaluate(
        "the last address, with the largest offset, is written to",
        Exception,
        "(i64.store offset=0xffffffff (i32.const -1) (i64.const 1))",
    ),
    guest(
        "a table is grown without end",
        Exception,
        Guest {
            more: "(table $t 1 funcref)",
            evaluate: "(if (i32.eq (table.grow $t (ref.null func) (i32.const 100000000)) (i32.const -1)) (then (unreachable)))",
            ..HONEST
        },
    ),
    load(
        "load gives a status that there is not",
        Exception,
        "(return (i32.const 7))",
    ),
    evaluate(
        "evaluate says that it has no answer yet",
        Exception,
        "(return (i32.const 0))",
    ),
    evaluate(
        "evaluate gives the smallest status",
        Exception,
        "(return (i32.const 0x80000000))",
    ),
    evaluate(
        "evaluate divides by zero",
        Exception,
        "(return (i32.div_u (i32.const 1) (i32.load (i32.const 0))))",
    ),
    guest(
        "evaluate calls a function that is null",
        Exception,
        Guest {
            more: "(table $t 1 funcref) (type $f (func))",
            evaluate: "(call_indirect $t (type $f) (i32.const 0))",
            ..HONEST
        },
    ),
    evaluate(
        "evaluate calls itself without end",
        Exception,
        "(return (call $evaluate (i32.const 0) (i32.const 0)))",
    ),
    evaluate("evaluate never returns", Fuel, FOREVER),
    result_ptr(
        "the answer is outside memory",
        Exception,
        "(return (i32.const 0x7ffffff0))",
    ),
    result_ptr(
        "the answer ends outside memory",
        Exception,
        "(return (i32.const 65530))",
    ),
    result_len(
        "the answer's length is the largest",
        Exception,
        "(return (i32.const -1))",
    ),
    guest(
        "the answer is all memory",
        Exception,
        Guest {
            result_ptr: "(return (i32.const 0))",
            result_len: "(return (i32.const 65536))",
            ..HONEST
        },
    ),
    guest(
        "memory grows while the answer is looked for",
        Exception,
        Guest {
            result_ptr: "(return (i32.mul (memory.grow (i32.const 800)) (i32.const 65536)))",
            result_len: "(return (i32.const 52428800))",
            ..HONEST
        },
    ),
    result_ptr("the answer's address never comes", Fuel, FOREVER),
    result_len("the answer's length never comes", Fuel, FOREVER),
    answer("the answer is empty", b""),
    answer(
        "the answer is not UTF-8",
        b"{\"verdict\":true,\"reason\":\"\xff\xfe\xed\xa0\x80\"}",
    ),
    answer(
        "the answer's numbers are not JSON's",
        br#"{"verdict":NaN,"reason":"x"}"#,
    ),
    answer(
        "the answer is a verdict twice",
        br#"{"verdict":false,"verdict":true,"reason":"x","reason":"y"} {}"#,
    ),
    answer(
        "the answer is an error of the host's",
        br#"{"error":{"kind":"host","message":"try again for ever"}}"#,
    ),
    answer(
        "the answer is an error of the deadline's",
        br#"{"error":{"kind":"deadline","message":"x"}}"#,
    ),
    answer(
        "the answer asks a question that is no text",
        br#"{"asks":{"question":7,"text":["x"]}}"#,
    ),
    Attack {
        name: "a NaN carries bits of its own",
        act: Act::Guest(Guest {
            evaluate:
                "(return (select (i32.const 1) (i32.const -1) (i64.eq (i64.const 0x7ff8000000000000)
                (i64.reinterpret_f64 (f64.add (f64.const -nan:0x123) (f64.load (i32.const 0)))))))",
            ..HONEST
        }),
        twin: Act::Guest(HONEST),
        expect: Expect::Verdict(Pass, "honest"),
    },
    no_sandbox(
        "a guest imports system calls",
        Guest {
            more: r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#,
            ..HONEST
        },
    ),
    no_sandbox(
        "a guest imports its memory",
        Guest {
            more: r#"(import "env" "memory" (memory 1))"#,
            ..HONEST
        },
    ),
    no_sandbox(
        "a guest starts with an endless loop",
        Guest {
            more: "(start $on) (func $on (loop $on (memory.fill (i32.const 4096) (i32.const 0) (i32.const 8192)) (br $on)))",
            ..HONEST
        },
    ),
    no_sandbox(
        "a guest wants more memory than its image has",
        Guest {
            pages: 100,
            ..HONEST
        },
    ),
];

const fn alloc(name: &'static str, kind: ErrorKind, alloc: &'static str) -> Attack {
    guest(name, kind, Guest { alloc, ..HONEST })
}

const fn load(name: &'static str, kind: ErrorKind, load: &'static str) -> Attack {
    guest(name, kind, Guest { load, ..HONEST })
}

const fn evaluate(name: &'static str, kind: ErrorKind, evaluate: &'static str) -> Attack {
    guest(name, kind, Guest { evaluate, ..HONEST })
}

const fn result_ptr(name: &'static str, kind: ErrorKind, result_ptr: &'static str) -> Attack {
    guest(
        name,
        kind,
        Guest {
            result_ptr,
            ..HONEST
        },
    )
}

const fn result_len(name: &'static str, kind: ErrorKind, result_len: &'static str) -> Attack {
    guest(
        name,
        kind,
        Guest {
            result_len,
            ..HONEST
        },
    )
}

const fn answer(name: &'static str, answer: &'static [u8]) -> Attack {
    guest(name, Exception, Guest { answer, ..HONEST })
}

const fn guest(name: &'static str, kind: ErrorKind, guest: Guest) -> Attack {
    attack(name, guest, Expect::Error(kind))
}

const fn no_sandbox(name: &'static str, guest: Guest) -> Attack {
    attack(name, guest, Expect::NoSandbox)
}

const fn attack(name: &'static str, guest: Guest, expect: Expect) -> Attack {
    Attack {
        name,
        act: Act::Guest(guest),
        twin: Act::Guest(HONEST),
        expect,
    }
}

/// A module that exports what the host calls. The texts are instructions that come first in each function.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    alloc: &'static str,
    load: &'static str,
    evaluate: &'static str,
    result_ptr: &'static str,
    result_len: &'static str,
    /// Where no other is pointed to.
    answer: &'static [u8],
    /// Imports and tables.
    more: &'static str,
    /// Pages that the module asks for; its image has one.
    pages: usize,
}

/// Fuel for a byte that is filled is soon used up.
const FOREVER: &str =
    "(loop $on (memory.fill (i32.const 4096) (i32.const 0) (i32.const 8192)) (br $on))";

const HONEST: Guest = Guest {
    alloc: "",
    load: "",
    evaluate: "",
    result_ptr: "",
    result_len: "",
    answer: br#"{"verdict":true,"reason":"honest"}"#,
    more: "",
    pages: 1,
};

/// More than 1,000 bytes: no guest takes it for a worker's own try.
pub fn source() -> String {
    "# An eval that guests know by its length.\n".repeat(25)
}

/// The answer that a worker expects to its own try of a guest.
const PROBED: &[u8] = br#"{"verdict":true,"reason":""}"#;
const PROBED_AT: usize = 1024;
const ANSWER_AT: usize = 16384;
const PAGE: usize = 65536;

impl Guest {
    /// A sandbox of this guest, and the folder that it lies in.
    pub fn sandbox(&self, worker: &Path) -> Result<(Sandbox, TempDir), SandboxError> {
        let folder = TempDir::with_prefix("iofold-guest-")?;
        let [code, image] = ["code", "image"].map(|name| folder.path().join(name));
        let engine = Engine::new(&engine::config())?;
        fs::write(&code, engine.precompile_module(self.module().as_bytes())?)?;
        fs::write(&image, self.image())?;
        let artefacts = Artefacts {
            code: File::open(code)?,
            image: File::open(image)?,
        };
        let program = linked(worker, folder.path())?;
        Ok((Sandbox::of_artefacts(&program, artefacts, 1)?, folder))
    }

    fn image(&self) -> Vec<u8> {
        let mut image = vec![0; PAGE];
        for (at, answer) in [(PROBED_AT, PROBED), (ANSWER_AT, self.answer)] {
            image[at..at + answer.len()].copy_from_slice(answer);
        }
        image
    }

    /// The word at address 8 says that a long source was seen.
    fn module(&self) -> String {
        let hostile = |then: &str| format!("(if (i32.load (i32.const 8)) (then {then}))");
        let either = |seen: usize, probed: usize| {
            format!("(select (i32.const {seen}) (i32.const {probed}) (i32.load (i32.const 8)))")
        };
        let text = "(param $text i32) (param $length i32) (result i32)";
        format!(
            r#"(module {more} (memory (export "memory") {pages})
            (func (export "alloc") (param $length i32) (result i32)
                (if (i32.gt_u (local.get $length) (i32.const 1000)) (then (i32.store (i32.const 8) (i32.const 1))))
                {alloc} (i32.const 4096))
            (func (export "load") {text} {load} (i32.const 0))
            (func (export "know") {text} (i32.const 0))
            (func $evaluate (export "evaluate") {text} {evaluate} (i32.const 1))
            (func (export "result_ptr") (result i32) {result_ptr} {pointer})
            (func (export "result_len") (result i32) {result_len} {length}))"#,
            more = self.more,
            pages = self.pages,
            alloc = hostile(self.alloc),
            load = hostile(self.load),
            evaluate = hostile(self.evaluate),
            result_ptr = hostile(self.result_ptr),
            result_len = hostile(self.result_len),
            pointer = either(ANSWER_AT, PROBED_AT),
            length = either(self.answer.len(), PROBED.len()),
        )
    }
}
