//! One call: a fresh instance, the eval and the trace written into it, the answer read out.

use wasmtime::{
    AsContextMut, Engine, Instance, InstancePre, Memory, ResourceLimiter, Store, Trap, TypedFunc,
};

use super::{Limits, answer, engine};
use crate::domain::{ErrorKind, RunError, Verdict};

/// The guest tried to call the host. What it wanted is named as in WASI.
#[derive(Debug, thiserror::Error)]
#[error("the guest called {0}")]
pub struct SystemCall(pub String);

/// What the host keeps for one instance.
pub struct CallState {
    memory_bytes: usize,
    /// The guest asked for more memory than it may have, at least once.
    denied_memory: bool,
}

impl ResourceLimiter for CallState {
    fn memory_growing(
        &mut self,
        _now: usize,
        desired: usize,
        _most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory_bytes;
        self.denied_memory |= !granted;
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _now: usize,
        _desired: usize,
        _most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Asked once, for the table as it comes; the pool has the limit.
        Ok(true)
    }
}

/// What the guest says of its own answer; see `sandbox/README.md`.
const NO_ANSWER_YET: i32 = 0;
const ANSWERED: i32 = 1;
const FAILED: i32 = -1;

/// A fresh instance.
pub struct Call<'a> {
    store: Store<CallState>,
    instance: Instance,
    memory: Memory,
    limits: &'a Limits,
}

impl<'a> Call<'a> {
    /// Takes a slot of the pool and puts the snapshot in it.
    pub fn start(
        engine: &Engine,
        guest: &InstancePre<CallState>,
        limits: &'a Limits,
    ) -> wasmtime::Result<Self> {
        let state = CallState {
            memory_bytes: limits.memory_bytes,
            denied_memory: false,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| state);
        store.set_fuel(limits.fuel)?;
        store.set_epoch_deadline(engine::ticks(limits.deadline));
        let instance = guest.instantiate(&mut store)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the guest exports no memory"))?;
        Ok(Self {
            store,
            instance,
            memory,
            limits,
        })
    }

    /// The verdict and reason, or what prevented them; and the fuel used.
    pub fn evaluate(
        mut self,
        source: &str,
        trace_json: &str,
    ) -> (Result<(Verdict, String), RunError>, u64) {
        let answer = self.answer(source, trace_json);
        let left = self.store.get_fuel().unwrap_or_default();
        let result = match answer {
            Ok(Some(bytes)) => answer::read(&bytes, self.limits.reason_chars),
            Ok(None) => Err(self.broken("it gave no answer")),
            Err(error) => Err(self.explain(&error)),
        };
        (result, self.limits.fuel.saturating_sub(left))
    }

    /// The guest's answer; `None` if it gave none that can be read.
    fn answer(&mut self, source: &str, trace_json: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        let mut status = self.send("load", source)?;
        if status == NO_ANSWER_YET {
            status = self.send("evaluate", trace_json)?;
        }
        if status != ANSWERED {
            return Ok(None);
        }
        let start = self
            .export::<(), u32>("result_ptr")?
            .call(&mut self.store, ())? as usize;
        let length = self
            .export::<(), u32>("result_len")?
            .call(&mut self.store, ())? as usize;
        let bytes = self
            .memory
            .data(&self.store)
            .get(start..start.saturating_add(length));
        Ok(bytes
            .filter(|bytes| bytes.len() <= answer::MAX_BYTES)
            .map(<[u8]>::to_vec))
    }

    /// Copies `text` into the guest and calls `function` on it.
    fn send(&mut self, function: &str, text: &str) -> wasmtime::Result<i32> {
        let alloc = self.export::<u32, u32>("alloc")?;
        let start = alloc.call(&mut self.store, text.len() as u32)?;
        // A null pointer says that the guest's memory is used up; the limiter knows.
        let room = self.memory.data_mut(&mut self.store);
        let room = room
            .get_mut(start as usize..)
            .and_then(|room| room.get_mut(..text.len()));
        let Some(room) = room.filter(|_| start != 0) else {
            return Ok(FAILED);
        };
        room.copy_from_slice(text.as_bytes());
        self.export::<(u32, u32), i32>(function)?
            .call(&mut self.store, (start, text.len() as u32))
    }

    fn export<P, R>(&mut self, name: &str) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: wasmtime::WasmParams,
        R: wasmtime::WasmResults,
    {
        self.instance
            .get_typed_func(self.store.as_context_mut(), name)
    }

    /// Whose fault `error` is.
    fn explain(&self, error: &wasmtime::Error) -> RunError {
        if let Some(SystemCall(name)) = error.downcast_ref() {
            return run_error(
                ErrorKind::Forbidden,
                format!("an eval can't reach the system: {name}"),
            );
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => {
                let message = format!("the eval used up its {} units of fuel", self.limits.fuel);
                run_error(ErrorKind::Fuel, message)
            }
            Some(Trap::Interrupt) => {
                let message = format!(
                    "the eval ran longer than {} s",
                    self.limits.deadline.as_secs_f64()
                );
                run_error(ErrorKind::Deadline, message)
            }
            Some(Trap::StackOverflow) => run_error(
                ErrorKind::Exception,
                "the eval recursed too deeply".to_owned(),
            ),
            // Anything else that the guest's code does is the doing of the eval that it runs.
            Some(trap) => self.broken(&trap.to_string()),
            None => host_error(error),
        }
    }

    /// The interpreter itself gave up: for want of memory, or because the eval broke it.
    fn broken(&self, how: &str) -> RunError {
        if self.store.data().denied_memory {
            return run_error(ErrorKind::Memory, "the eval used up its memory".to_owned());
        }
        run_error(
            ErrorKind::Exception,
            format!("the eval broke the interpreter that ran it: {how}"),
        )
    }
}

/// No eval is at fault.
pub fn host_error(error: &wasmtime::Error) -> RunError {
    run_error(ErrorKind::Host, format!("the sandbox failed: {error:#}"))
}

fn run_error(kind: ErrorKind, message: String) -> RunError {
    RunError { kind, message }
}
