//! The guests' memory: ranges of addresses that hold an image at rest, and go back to it after each call.
//!
//! An image is files, mapped privately: the memory of a booted CPython, and over it the pages that loading an
//! eval changed. wasmtime is handed a range for each instance and never clears it; [`Memories::restore`] does.

mod addresses;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::ProtFlags;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::engine::MEMORY_BYTES;
pub use addresses::Addresses;
use addresses::{GUARD, Mapped, NOTICES_WRITES, PAGE, RESERVED};

/// Pages that a call wrote to and that are put back by copying. The next call likely writes them again, and
/// then needs no leave to; what is over is mapped from its file again.
const KEPT_PAGES: usize = 1024;
/// Two runs of changed pages with less between them are one: a run costs a mapping.
const GAP_PAGES: usize = 8;

/// Gives instances the addresses that are lent next, with what lies there.
#[derive(Default)]
pub struct Lender {
    next: Mutex<Option<Arc<Addresses>>>,
}

impl Lender {
    /// The next instance gets this memory.
    pub fn lend(&self, addresses: Arc<Addresses>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(addresses);
    }
}

#[expect(unsafe_code, reason = "wasmtime trusts what it is given")]
// SAFETY: the ranges are as large as compiled code believes, guards included, which is checked.
unsafe impl MemoryCreator for Lender {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = next.take().ok_or("no memory was lent")?;
        let large_enough = reserved.unwrap_or_default() <= RESERVED && guard <= GUARD;
        if !large_enough || minimum > addresses.accessible() {
            return Err(format!("a guest of {minimum} bytes does not fit"));
        }
        Ok(Box::new(Lent(addresses)))
    }
}

/// A slot's memory in the hands of an instance.
struct Lent(Arc<Addresses>);

#[expect(unsafe_code, reason = "wasmtime trusts what it is given")]
// SAFETY: the bytes below `byte_size` are accessible, those up to the guard's end belong to the range and
// trap, and the range never moves.
unsafe impl LinearMemory for Lent {
    fn byte_size(&self) -> usize {
        self.0.accessible()
    }

    fn byte_capacity(&self) -> usize {
        RESERVED
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        Ok(self.0.grow(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.start()
    }
}

/// Addresses with the image that they hold at rest.
pub struct Slot {
    addresses: Arc<Addresses>,
    /// The page of the store that is this slot's page 0.
    window: usize,
    /// Bytes of the image.
    size: usize,
    /// Runs of pages, in order, whose contents at rest are in the store; the others' are the boot image's.
    changed: Vec<Range<usize>>,
}

impl Slot {
    /// Where the memory is.
    pub fn addresses(&self) -> Arc<Addresses> {
        Arc::clone(&self.addresses)
    }

    /// # Errors
    /// The kernel has refused memory to an instance: what it did then is the host's doing.
    pub fn check(&self) -> io::Result<()> {
        match self.addresses.was_refused() {
            true => Err(io::ErrorKind::OutOfMemory.into()),
            false => Ok(()),
        }
    }

    /// Bytes that this image takes beside the boot image.
    pub fn image_bytes(&self) -> usize {
        self.changed.iter().map(Range::len).sum::<usize>() * PAGE
    }

    fn is_changed(&self, page: usize) -> bool {
        let run = self.changed.partition_point(|run| run.end <= page);
        self.changed.get(run).is_some_and(|run| run.contains(&page))
    }
}

/// All slots' images, and what is needed to put them back.
pub struct Memories {
    boot_file: File,
    boot: Mapped,
    store_file: File,
    store: Mapped,
    slots: usize,
}

impl Memories {
    /// For at most `slots` slots, which start as the image in `boot_file`.
    pub fn new(boot_file: File, slots: usize) -> io::Result<Self> {
        let boot_size = boot_file.metadata()?.len() as usize;
        let store_size = slots * MEMORY_BYTES;
        let store_file = memory_file(store_size)?;
        let both = ProtFlags::READ | ProtFlags::WRITE;
        Ok(Self {
            boot: Mapped::new(&boot_file, boot_size, ProtFlags::READ)?,
            store: Mapped::new(&store_file, store_size, both)?,
            slots: 0,
            boot_file,
            store_file,
        })
    }

    /// A new slot with the boot image.
    pub fn slot(&mut self) -> io::Result<Slot> {
        let window = self.slots * MEMORY_BYTES / PAGE;
        assert!(window < self.store.pages(), "there are that many slots");
        self.slots += 1;
        let mut slot = Slot {
            addresses: Arc::new(Addresses::reserve()?),
            window,
            size: 0,
            changed: Vec::new(),
        };
        self.clear(&mut slot)?;
        Ok(slot)
    }

    /// The boot image again.
    pub fn clear(&mut self, slot: &mut Slot) -> io::Result<()> {
        for run in slot.changed.drain(..) {
            self.store
                .punch(run.start + slot.window..run.end + slot.window)?;
        }
        slot.size = self.boot.pages() * PAGE;
        self.map(slot)
    }

    /// Maps the slot's image anew, whatever lies there.
    fn map(&self, slot: &Slot) -> io::Result<()> {
        slot.addresses.set_size(slot.size)?;
        slot.addresses
            .map(0..self.boot.pages(), &self.boot_file, 0)?;
        for run in &slot.changed {
            let offset = slot.window + run.start;
            slot.addresses.map(run.clone(), &self.store_file, offset)?;
        }
        Ok(())
    }

    /// What lies in `slot` now, after a start from the boot image, is its image from here on.
    pub fn keep(&mut self, slot: &mut Slot) -> io::Result<()> {
        slot.changed = runs(&self.changed_pages(slot));
        for run in &slot.changed {
            for page in run.clone() {
                let contents = slot.addresses.page(page);
                self.store
                    .page_mut(slot.window + page)
                    .copy_from_slice(contents);
            }
        }
        slot.size = slot.addresses.accessible();
        self.map(slot)
    }

    /// Pages that are not the boot image's, in order.
    fn changed_pages(&self, slot: &Slot) -> Vec<usize> {
        let (boot, all) = (self.boot.pages(), slot.addresses.accessible() / PAGE);
        let differs = |page: &usize| slot.addresses.page(*page) != self.boot.page(*page);
        let written = match NOTICES_WRITES {
            true => slot.addresses.writable_pages(),
            false => (0..boot).collect(),
        };
        let changed = written.into_iter().filter(differs);
        changed.chain(boot..all).collect()
    }

    /// Puts the image back after a call.
    pub fn restore(&self, slot: &Slot) -> io::Result<()> {
        if !NOTICES_WRITES {
            return self.map(slot);
        }
        slot.addresses.shrink(slot.size)?;
        let mut written = slot.addresses.writable_pages();
        let over = written.split_off(written.len().min(KEPT_PAGES));
        for page in written {
            slot.addresses.overwrite(page, self.at_rest(slot, page));
        }
        #[cfg(target_os = "linux")]
        for run in runs(&over) {
            slot.addresses.forget(run)?;
        }
        Ok(())
    }

    fn at_rest(&self, slot: &Slot, page: usize) -> &[u8] {
        match slot.is_changed(page) {
            true => self.store.page(slot.window + page),
            false => self.boot.page(page),
        }
    }
}

#[cfg(test)]
impl Memories {
    /// Bytes in which `slot` differs from its image.
    pub fn changed_bytes(&self, slot: &Slot) -> usize {
        let differ = |page: usize| {
            let (now, then) = (slot.addresses.page(page), self.at_rest(slot, page));
            now.iter()
                .zip(then)
                .filter(|(now, then)| now != then)
                .count()
        };
        let size = slot.addresses.accessible();
        size.abs_diff(slot.size) + (0..slot.size / PAGE).map(differ).sum::<usize>()
    }
}

/// Runs of `pages`, which are in order; what lies in short gaps between them is included.
fn runs(pages: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &page in pages {
        match runs.last_mut() {
            Some(run) if page - run.end < GAP_PAGES => run.end = page + 1,
            _ => runs.push(page..page + 1),
        }
    }
    runs
}

/// A file of zeros that only memory holds.
fn memory_file(length: usize) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    let file = File::from(rustix::fs::memfd_create(
        "images",
        rustix::fs::MemfdFlags::CLOEXEC,
    )?);
    #[cfg(not(target_os = "linux"))]
    let file = tempfile::tempfile()?;
    file.set_len(length as u64)?;
    Ok(file)
}
