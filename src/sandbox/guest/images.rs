//! An image for each eval: the memory of a CPython that has compiled it and run its module.

use std::fs::File;
use std::io;

use super::Interpreter;
use super::memory::{Memories, Slot};
use crate::domain::Outcome;
use crate::sandbox::protocol::Job;

/// Evals whose images are kept: a service has few live at once, and making one takes some 5 ms.
pub const IMAGES: usize = 8;
/// Bytes that all images may take together; a usual eval's takes 2 MiB.
const IMAGE_BYTES: usize = 64 << 20;

/// The images, of which the least lately used make room for new ones.
pub struct Images {
    memories: Memories,
    images: Vec<Image>,
    calls: u64,
}

struct Image {
    slot: Slot,
    /// What the slot holds the image of; `None` where it holds the boot image.
    eval: Option<Eval>,
}

struct Eval {
    source: String,
    fuel: u64,
    memory_bytes: u64,
    /// Why the source can't be called: then there is no image.
    refused: Option<Outcome>,
    last_call: u64,
}

impl Eval {
    fn is_of(&self, job: &Job<'_>) -> bool {
        self.source == job.source && self.fuel == job.fuel && self.memory_bytes == job.memory_bytes
    }
}

impl Images {
    /// No images yet; `boot` is what each starts from.
    pub fn new(boot: File) -> io::Result<Self> {
        Ok(Self {
            memories: Memories::new(boot, IMAGES)?,
            images: Vec::new(),
            calls: 0,
        })
    }

    /// The number of the image of `job`'s eval, made now if there is none; or why there is none.
    pub fn of(
        &mut self,
        interpreter: &Interpreter,
        job: &Job<'_>,
    ) -> wasmtime::Result<Result<usize, Outcome>> {
        self.calls += 1;
        let is_it = |image: &Image| image.eval.as_ref().is_some_and(|eval| eval.is_of(job));
        let at = match self.images.iter().position(is_it) {
            Some(at) => at,
            None => self.make(interpreter, job)?,
        };
        let mut refused = None;
        if let Some(eval) = &mut self.images[at].eval {
            eval.last_call = self.calls;
            refused.clone_from(&eval.refused);
        }
        Ok(refused.map_or(Ok(at), Err))
    }

    /// The memory that starts as the image of that number.
    pub fn slot(&mut self, at: usize) -> &mut Slot {
        &mut self.images[at].slot
    }

    /// Puts the image back after a call.
    pub fn restore(&self, at: usize) -> io::Result<()> {
        self.memories.restore(&self.images[at].slot)
    }

    /// Loads the eval in an instance of its own, and keeps the memory that it leaves behind.
    fn make(&mut self, interpreter: &Interpreter, job: &Job<'_>) -> wasmtime::Result<usize> {
        let at = self.vacant()?;
        let image = &mut self.images[at];
        let refused = interpreter.start(&mut image.slot, job)?.load();
        image.slot.check()?;
        match refused {
            Some(_) => self.memories.clear(&mut image.slot)?,
            None => self.memories.keep(&mut image.slot)?,
        }
        image.eval = Some(Eval {
            source: job.source.to_owned(),
            fuel: job.fuel,
            memory_bytes: job.memory_bytes,
            refused,
            last_call: self.calls,
        });
        while self.image_bytes() > IMAGE_BYTES && self.vacate_oldest(at)? {}
        Ok(at)
    }

    /// The number of a slot with the boot image.
    fn vacant(&mut self) -> io::Result<usize> {
        let vacant = |images: &[Image]| images.iter().position(|image| image.eval.is_none());
        if let Some(at) = vacant(&self.images) {
            return Ok(at);
        }
        if self.images.len() == IMAGES {
            self.vacate_oldest(IMAGES)?;
            return Ok(vacant(&self.images).unwrap_or_default());
        }
        let slot = self.memories.slot()?;
        self.images.push(Image { slot, eval: None });
        Ok(self.images.len() - 1)
    }

    /// Forgets the least lately used eval but the one at `but`; `false` if there is no other.
    fn vacate_oldest(&mut self, but: usize) -> io::Result<bool> {
        let images = self.images.iter_mut().enumerate();
        let others = images.filter(|(at, image)| *at != but && image.eval.is_some());
        let last_call = |image: &Image| image.eval.as_ref().map(|eval| eval.last_call);
        let Some((_, oldest)) = others.min_by_key(|(_, image)| last_call(image)) else {
            return Ok(false);
        };
        oldest.eval = None;
        self.memories.clear(&mut oldest.slot)?;
        Ok(true)
    }

    /// Bytes that images take beside the boot image.
    pub(super) fn image_bytes(&self) -> usize {
        let images = self.images.iter();
        images.map(|image| image.slot.image_bytes()).sum()
    }
}

#[cfg(test)]
impl Images {
    /// Bytes in which slots differ from their images.
    pub fn changed_bytes(&self) -> usize {
        let slots = self.images.iter().map(|image| &image.slot);
        slots.map(|slot| self.memories.changed_bytes(slot)).sum()
    }
}
