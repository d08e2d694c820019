//! The engine: what guests may cost, and what they may call (nothing).

use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, ExternType, InstanceAllocationStrategy, InstancePre, Linker, Module,
    PoolingAllocationConfig,
};

use super::call::{CallState, SystemCall};

/// 128 MiB: CPython at rest takes 13, and the largest trace (8 MiB) of tool calls fits, parsed.
pub const MEMORY_BYTES: usize = 128 << 20;
/// About 2 s on a core that does 11 billion units a second of sorting and formatting, 13 of `json`, 12
/// of `re.findall`, 15 of an empty loop, 23 of long integers (measured on one core of a 2-core machine).
pub const FUEL: u64 = 25_000_000_000;
/// Places in the pool; [`calls_at_once`] says how many are used.
pub const SLOTS: u32 = 16;
/// How often the deadline is looked at.
pub const TICK: Duration = Duration::from_millis(10);
/// 1 MiB: half of what Rust gives a thread. The guest's own C recursion limit is reached first.
const STACK_BYTES: usize = 1 << 20;
/// Bytes of a slot's memory that are copied back between calls instead of being mapped anew, only
/// the touched pages of them where the kernel can name those (`PAGEMAP_SCAN`, Linux 6.7). Measured by
/// `benches/sandbox.rs` with that: 0.58 ms a trivial call with 0 kept, 0.46 ms with 4 or 10 MiB.
const KEPT_BYTES: usize = 4 << 20;
/// The whole function table: 4,136 entries of 8 bytes.
const KEPT_TABLE_BYTES: usize = 64 << 10;

/// Calls at once: one a core, for more would only share them, and each may take [`MEMORY_BYTES`].
pub fn calls_at_once() -> u32 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(SLOTS).clamp(2, SLOTS)
}

/// The settings of every engine. A change here makes the cached code another file.
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_backtrace_max_frames(None)
        .max_wasm_stack(STACK_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(SLOTS)
        .total_memories(SLOTS)
        .total_tables(SLOTS)
        .max_memory_size(MEMORY_BYTES)
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_TABLE_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The guest with each of its imports defined as a refusal.
pub fn link(engine: &Engine, module: &Module) -> wasmtime::Result<InstancePre<CallState>> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else {
            continue;
        };
        let name = import.name().to_owned();
        linker.func_new(import.module(), import.name(), ty, move |_, _, _| {
            Err(SystemCall(name.clone()).into())
        })?;
    }
    linker.instantiate_pre(module)
}

/// Starts the thread that moves the engine's clock on; it ends with the engine.
pub fn start_ticking(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new()
        .name("sandbox-clock".into())
        .spawn(tick)?;
    Ok(())
}

/// The ticks that `deadline` takes, at least one whole tick.
pub fn ticks(deadline: Duration) -> u64 {
    (deadline.as_nanos() / TICK.as_nanos()) as u64 + 1
}
