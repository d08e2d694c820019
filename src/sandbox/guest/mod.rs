//! The first wall: CPython as wasm, in this process. It imports nothing, so nothing it is given reaches the
//! system.
//!
//! Every call has an instance of its own, whose memory starts as its eval's image: a booted CPython with
//! that eval compiled and its module run. An image is made by the first call of an eval, always in the same way, so
//! a verdict and its fuel depend on eval, trace and limits alone.

mod answer;
mod call;
pub mod engine;
mod images;
mod memory;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use wasmtime::{Engine, InstancePre, Linker};

use super::SandboxError;
use super::cache::Artefacts;
use super::protocol::{Job, Reply};
pub use answer::{MESSAGE_CHARS, PRINTED_CHARS, QUESTION_CHARS, REASON_CHARS, TEXT_CHARS};
use call::{Call, CallState};
use images::Images;
use memory::{Lender, Slot};

/// Of all images at their limit, and of one call.
pub const MOST_MEMORY_BYTES: usize = (images::IMAGES + 1) * engine::MEMORY_BYTES;

/// A compiled guest, ready for calls, one after the other.
pub struct Guest {
    interpreter: Interpreter,
    images: Images,
}

/// What makes instances.
struct Interpreter {
    engine: Engine,
    module: InstancePre<CallState>,
    lender: Arc<Lender>,
}

impl Interpreter {
    /// An instance with `slot`'s memory.
    fn start<'a>(&self, slot: &'a mut Slot, job: &'a Job<'a>) -> wasmtime::Result<Call<'a>> {
        self.lender.lend(slot.addresses());
        Call::start(&self.engine, &self.module, slot, job)
    }
}

impl Guest {
    /// Maps what [`super::cache::prepare`] opened; nothing is opened afterwards.
    pub fn open(artefacts: Artefacts) -> Result<Self, SandboxError> {
        let lender = Arc::new(Lender::default());
        let mut config = engine::config();
        config.with_host_memory(Arc::clone(&lender) as _);
        let engine = Engine::new(&config)?;
        let module = engine::load(&engine, artefacts.code)?;
        let interpreter = Interpreter {
            module: Linker::new(&engine).instantiate_pre(&module)?,
            engine,
            lender,
        };
        let images = Images::new(artefacts.image)?;
        Ok(Self {
            interpreter,
            images,
        })
    }

    /// Runs one eval on one trace in a fresh instance.
    ///
    /// # Errors
    /// The memory can't be put back or no instance be made: this guest must not be used again.
    pub fn evaluate(&mut self, job: &Job<'_>) -> Result<Reply, SandboxError> {
        let start = Instant::now();
        let mut reply = self.answer(job)?;
        if let Reply::Done(done) = &mut reply {
            done.duration_us = start.elapsed().as_micros() as u64;
        }
        Ok(reply)
    }

    fn answer(&mut self, job: &Job<'_>) -> Result<Reply, SandboxError> {
        let at = match self.images.of(&self.interpreter, job)? {
            Ok(at) => at,
            Err(refused) => return Ok(Reply::Done(refused)),
        };
        let slot = self.images.slot(at);
        let reply = self.interpreter.start(slot, job)?.evaluate();
        slot.check()?;
        self.images.restore(at)?;
        Ok(reply)
    }
}
