//! The engine: how guests are compiled, and what they may cost.

use std::fs::File;

use wasmtime::{Config, Engine, Module};

/// 128 MiB: CPython at rest takes 12, and the largest trace (8 MiB) of tool calls fits, parsed.
pub const MEMORY_BYTES: usize = 128 << 20;
/// Half a second to four on a usual core, so that the fuel ends a call and not the clock: it does some 15
/// billion units a second of an empty loop, 12 of `re`, 13 of `json`, and 2.5 of reading memory at random.
pub const FUEL: u64 = 10_000_000_000;
/// 1 MiB of the process's 8. Calls of Python and nested JSON reach CPython's own limits first. What CPython does not
/// count (6,000 nested iterators) ends here, at a depth that depends on the machine.
const STACK_BYTES: usize = 1 << 20;

/// The settings of every engine. A change here makes the cached code another file.
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_backtrace_max_frames(None)
        .max_wasm_stack(STACK_BYTES);
    config
}

/// Compiled code from `file`, mapped.
#[expect(
    unsafe_code,
    reason = "precompiled code is loaded as it is; compiling it takes seconds"
)]
pub fn load(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    // SAFETY: `cache::prepare` opened it; it checked that only this user could have written the file, and its sum.
    unsafe { Module::deserialize_open_file(engine, file) }
}
