//! One instance: the eval or a trace written into it, the answer read out.

use std::sync::Arc;

use wasmtime::{
    AsContextMut, Engine, Instance, InstancePre, Memory, ResourceLimiter, Store, Trap, TypedFunc,
    WasmParams, WasmResults,
};

use super::answer::{self, Answer};
use super::memory::{Addresses, Slot};
use crate::domain::{ErrorKind, Outcome, RunError, TOO_DEEP, Verdict};
use crate::sandbox::protocol::{Job, Reply};

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
        now: usize,
        _desired: usize,
        _most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Asked once, for the table as it comes.
        Ok(now == 0)
    }
}

/// Lets the instance write to pages that are protected, the first time that it does.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "it runs inside a signal handler")]
fn notice_writes(store: &mut Store<CallState>, addresses: Arc<Addresses>) {
    use wasmtime::unix::StoreExt;
    // SAFETY: the handler reads the address that the kernel gives and calls `unprotect`, which allocates
    // nothing and takes no lock.
    unsafe {
        store.set_signal_handler(move |signal, info, _| {
            signal == libc::SIGSEGV && addresses.unprotect((*info).si_addr() as usize)
        });
    }
}

/// There, all pages can be written to.
#[cfg(not(target_os = "linux"))]
fn notice_writes(_store: &mut Store<CallState>, _addresses: Arc<Addresses>) {}

/// What the guest says of its own answer; see `sandbox/README.md`.
const NO_ANSWER_YET: i32 = 0;
const ANSWERED: i32 = 1;
const FAILED: i32 = -1;

/// A fresh instance.
pub struct Call<'a> {
    store: Store<CallState>,
    instance: Instance,
    memory: Memory,
    /// Lent to the instance: nothing else touches it meanwhile.
    slot: &'a mut Slot,
    job: &'a Job<'a>,
}

impl<'a> Call<'a> {
    /// With the slot's memory, which was lent.
    pub fn start(
        engine: &Engine,
        module: &InstancePre<CallState>,
        slot: &'a mut Slot,
        job: &'a Job<'a>,
    ) -> wasmtime::Result<Self> {
        let state = CallState {
            memory_bytes: job.memory_bytes as usize,
            denied_memory: false,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| state);
        store.set_fuel(job.fuel)?;
        notice_writes(&mut store, slot.addresses());
        let instance = module.instantiate(&mut store)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the guest exports no memory"))?;
        Ok(Self {
            store,
            instance,
            memory,
            slot,
            job,
        })
    }

    /// Compiles the eval and runs its module; `None` if that went well.
    pub fn load(&mut self) -> Option<Outcome> {
        let status = self.send("load", self.job.source);
        let answer = match self.conclude(status) {
            Ok(answer) => answer?,
            Err(error) => Answer::error(error),
        };
        Some(match self.reply(answer) {
            Reply::Done(outcome) => outcome,
            // `judge` can't be called yet.
            Reply::Asks(_) => self.outcome(Err(answer::tampered()), String::new()),
        })
    }

    /// Runs the loaded eval on the trace.
    pub fn evaluate(mut self) -> Reply {
        let status = self.ask();
        let answer = match self.conclude(status) {
            Ok(Some(answer)) => answer,
            Ok(None) => Answer::error(self.broken("it gave no answer")),
            Err(error) => Answer::error(error),
        };
        self.reply(answer)
    }

    fn ask(&mut self) -> wasmtime::Result<i32> {
        if self.job.answers != "{}" && self.send("know", self.job.answers)? != NO_ANSWER_YET {
            return Ok(FAILED);
        }
        self.send("evaluate", self.job.trace)
    }

    fn reply(&self, answer: Answer) -> Reply {
        match answer {
            Answer::Said { result, printed } => Reply::Done(self.outcome(result, printed)),
            Answer::Asks(question) => Reply::Asks(question),
        }
    }

    fn outcome(&self, result: Result<(Verdict, String), RunError>, printed: String) -> Outcome {
        let left = self.store.get_fuel().unwrap_or_default();
        Outcome {
            result,
            printed,
            duration_us: 0,
            fuel: self.job.fuel.saturating_sub(left),
        }
    }

    /// What `status` means: an answer, none yet, or whose fault it is that there is none.
    fn conclude(&mut self, status: wasmtime::Result<i32>) -> Result<Option<Answer>, RunError> {
        match status {
            Ok(NO_ANSWER_YET) => Ok(None),
            Ok(ANSWERED) => match self.read_answer() {
                Ok(Some(answer)) => Ok(Some(answer)),
                Ok(None) => Err(self.broken("its answer can't be found")),
                Err(error) => Err(self.explain(&error)),
            },
            Ok(_) => Err(self.broken("it gave no answer")),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// `None` where it points outside its memory, or to more than an answer may have.
    fn read_answer(&mut self) -> wasmtime::Result<Option<Answer>> {
        let start = self.export::<(), u32>("result_ptr")?;
        let start = start.call(&mut self.store, ())? as usize;
        let length = self.export::<(), u32>("result_len")?;
        let length = length.call(&mut self.store, ())? as usize;
        let bytes = self.memory.data(&self.store).get(start..);
        let bytes = bytes.and_then(|bytes| bytes.get(..length));
        let short = bytes.filter(|bytes| bytes.len() <= answer::MAX_BYTES);
        Ok(short.map(answer::read))
    }

    /// Copies `text` into the guest and calls `function` on it.
    fn send(&mut self, function: &str, text: &str) -> wasmtime::Result<i32> {
        let alloc = self.export::<u32, u32>("alloc")?;
        let start = alloc.call(&mut self.store, text.len() as u32)?;
        // A null pointer says that the guest's memory is used up; the limiter knows.
        let addresses = self.slot.addresses();
        addresses.unprotect_all(start as usize, text.len());
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

    fn export<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
    ) -> wasmtime::Result<TypedFunc<P, R>> {
        self.instance
            .get_typed_func(self.store.as_context_mut(), name)
    }

    /// Whose fault `error` is: what the guest's code does is the doing of the eval that it runs.
    fn explain(&self, error: &wasmtime::Error) -> RunError {
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => {
                let message = format!("the eval used up its {} units of fuel", self.job.fuel);
                run_error(ErrorKind::Fuel, message)
            }
            Some(Trap::StackOverflow) => run_error(ErrorKind::Exception, TOO_DEEP.to_owned()),
            Some(trap) => self.broken(&trap.to_string()),
            None => self.broken(&format!("{error:#}")),
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

fn run_error(kind: ErrorKind, message: String) -> RunError {
    RunError { kind, message }
}
