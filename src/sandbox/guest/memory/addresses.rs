//! Memory at chosen addresses: the only place that maps, protects and copies it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

#[cfg(target_os = "linux")]
use rustix::mm::Advice;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use super::super::engine::MEMORY_BYTES;

/// What the kernel protects, maps and counts in, and images differ by.
pub const PAGE: usize = 4096;
/// Compiled code checks no bounds: a wasm address is 32 bits.
pub const RESERVED: usize = 4 << 30;
/// Bytes before and after that which trap: for the constant offsets in wasm's instructions, and in case that
/// compiled code is wrong.
pub const GUARD: usize = 32 << 20;

const ALL: usize = GUARD + RESERVED + GUARD;

/// Where a guest's first write to a page can be noticed: wasmtime offers no signal handler elsewhere.
pub const NOTICES_WRITES: bool = cfg!(target_os = "linux");

/// A range of addresses for one guest's memory; what is not accessible in it traps.
///
/// With [`NOTICES_WRITES`], pages that are mapped from files can only be read until [`Addresses::unprotect`]
/// notes the first write to them: so it is known which ones an instance may have changed.
pub struct Addresses {
    start: NonNull<u8>,
    /// Bytes from the start that the guest may touch.
    accessible: AtomicUsize,
    /// Bytes from the start that are files'; those from there on are zeros until written.
    mapped: AtomicUsize,
    /// A bit a page of the mapped ones: it can be written to.
    writable: Box<[AtomicU64]>,
    /// The kernel has refused something that an instance had a right to.
    refused: AtomicBool,
}

#[expect(unsafe_code, reason = "a pointer is not Send by itself")]
// SAFETY: the range is owned, and stays mapped at the same place until it is dropped.
unsafe impl Send for Addresses {}
#[expect(unsafe_code, reason = "a pointer is not Sync by itself")]
// SAFETY: what lies behind the pointer is only reached through a `Slot`, which is not shared, or by the one
// instance that the slot is lent to.
unsafe impl Sync for Addresses {}

#[expect(unsafe_code, reason = "memory is mapped at chosen addresses")]
impl Addresses {
    /// A range with nothing accessible.
    pub fn reserve() -> io::Result<Self> {
        let (flags, none) = (MapFlags::PRIVATE | MapFlags::NORESERVE, ProtFlags::empty());
        // SAFETY: the kernel chooses an address where nothing is.
        let start = unsafe {
            let first = rustix::mm::mmap_anonymous(ptr::null_mut(), ALL, none, flags)?;
            first.add(GUARD)
        };
        let words = MEMORY_BYTES / PAGE / 64;
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            accessible: AtomicUsize::new(0),
            mapped: AtomicUsize::new(0),
            writable: (0..words).map(|_| AtomicU64::new(0)).collect(),
            refused: AtomicBool::new(false),
        })
    }

    /// Where byte 0 is.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes from the start that the guest may touch.
    pub fn accessible(&self) -> usize {
        self.accessible.load(Ordering::Relaxed)
    }

    /// The accessible bytes become `size`, all of which [`Addresses::map`] maps.
    pub fn set_size(&self, size: usize) -> io::Result<()> {
        self.shrink(size)?;
        self.accessible.store(size, Ordering::Relaxed);
        self.mapped.store(size, Ordering::Relaxed);
        Ok(())
    }

    /// Maps `pages` of `file`, privately, from page `offset` of it on.
    pub fn map(&self, pages: Range<usize>, file: &File, offset: usize) -> io::Result<()> {
        assert!(pages.end * PAGE <= MEMORY_BYTES, "a guest's memory fits");
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let (length, offset) = (pages.len() * PAGE, (offset * PAGE) as u64);
        let access = match NOTICES_WRITES {
            true => ProtFlags::READ,
            false => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: it replaces pages inside this range, which is owned and has no instance now.
        unsafe {
            let at = self.start().add(pages.start * PAGE).cast();
            rustix::mm::mmap(at, length, access, flags, file, offset)?;
        }
        self.forget_bits(pages);
        Ok(())
    }

    /// Makes the bytes from the accessible ones up to `end` accessible, as zeros.
    pub fn grow(&self, end: usize) -> io::Result<()> {
        assert!(end <= RESERVED, "a guest's memory fits its range");
        let from = self.accessible();
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the pages lie inside this range and nothing refers to them yet.
        let grown =
            unsafe { rustix::mm::mprotect(self.start().add(from).cast(), end - from, access) };
        self.note(grown.is_ok());
        grown?;
        self.accessible.store(end, Ordering::Relaxed);
        Ok(())
    }

    /// Takes back what lies from `end` on.
    pub fn shrink(&self, end: usize) -> io::Result<()> {
        let from = self.accessible();
        if from <= end {
            return Ok(());
        }
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: it replaces pages inside this range, which is owned and has no instance now.
        unsafe {
            let at = self.start().add(end).cast();
            rustix::mm::mmap_anonymous(at, from - end, ProtFlags::empty(), flags)?;
        }
        self.forget_bits(end / PAGE..from / PAGE);
        self.accessible.store(end, Ordering::Relaxed);
        Ok(())
    }

    /// Lets the page with `address` be written to, if it is one that is only protected.
    ///
    /// Runs inside a signal handler: it allocates nothing and takes no lock.
    pub fn unprotect(&self, address: usize) -> bool {
        let Some(at) = address.checked_sub(self.start() as usize) else {
            return false;
        };
        let page = at / PAGE;
        if at >= self.mapped.load(Ordering::Relaxed) || self.is_writable(page) {
            return false;
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the page is mapped from a file inside this range.
        let unprotected =
            unsafe { rustix::mm::mprotect(self.start().add(page * PAGE).cast(), PAGE, access) };
        self.note(unprotected.is_ok());
        if unprotected.is_ok() {
            self.writable[page / 64].fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
        unprotected.is_ok()
    }

    /// Whether the kernel has refused memory that an instance had a right to: what that instance did then is not
    /// its own doing.
    pub fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    fn note(&self, granted: bool) {
        self.refused.fetch_or(!granted, Ordering::Relaxed);
    }

    /// Lets the host write to `length` bytes from `at` on: it has no signal handler.
    pub fn unprotect_all(&self, at: usize, length: usize) {
        let end = (at + length).min(self.mapped.load(Ordering::Relaxed));
        for page in at / PAGE..end.div_ceil(PAGE).max(at / PAGE) {
            self.unprotect(self.start() as usize + page * PAGE);
        }
    }

    /// The mapped pages that can be written to, in order.
    pub fn writable_pages(&self) -> Vec<usize> {
        let words = self
            .writable
            .iter()
            .map(|word| word.load(Ordering::Relaxed));
        let words = words.enumerate().filter(|(_, word)| *word != 0);
        let pages = |(at, word): (usize, u64)| {
            let bits = (0..64).filter(move |bit| word & (1 << bit) != 0);
            bits.map(move |bit| at * 64 + bit)
        };
        words.flat_map(pages).collect()
    }

    /// Gives mapped pages back to the kernel: they are their files' again, and protected.
    #[cfg(target_os = "linux")]
    pub fn forget(&self, pages: Range<usize>) -> io::Result<()> {
        assert!(pages.end * PAGE <= self.mapped.load(Ordering::Relaxed));
        // SAFETY: the pages are mapped from files inside this range, which has no instance now.
        unsafe {
            let at = self.start().add(pages.start * PAGE).cast();
            rustix::mm::madvise(at, pages.len() * PAGE, Advice::LinuxDontNeed)?;
            rustix::mm::mprotect(at, pages.len() * PAGE, MprotectFlags::READ)?;
        }
        self.forget_bits(pages);
        Ok(())
    }

    /// The contents of an accessible page.
    pub fn page(&self, page: usize) -> &[u8] {
        assert!((page + 1) * PAGE <= self.accessible());
        // SAFETY: the page can be read, and no instance has the range now.
        unsafe { slice::from_raw_parts(self.start().add(page * PAGE), PAGE) }
    }

    /// Gives a page that can be written to other contents.
    pub fn overwrite(&self, page: usize, contents: &[u8]) {
        assert!(self.is_writable(page) && contents.len() == PAGE);
        // SAFETY: the page can be written to, no instance has the range now, and `contents` lies elsewhere.
        unsafe {
            let at = self.start().add(page * PAGE);
            ptr::copy_nonoverlapping(contents.as_ptr(), at, PAGE);
        }
    }

    fn is_writable(&self, page: usize) -> bool {
        self.writable[page / 64].load(Ordering::Relaxed) & (1 << (page % 64)) != 0
    }

    fn forget_bits(&self, pages: Range<usize>) {
        for page in pages {
            self.writable[page / 64].fetch_and(!(1 << (page % 64)), Ordering::Relaxed);
        }
    }
}

#[expect(unsafe_code, reason = "memory was mapped at chosen addresses")]
impl Drop for Addresses {
    fn drop(&mut self) {
        // SAFETY: the range is owned, and an instance that has it holds a clone of its `Arc`.
        let _ = unsafe { rustix::mm::munmap(self.start().sub(GUARD).cast(), ALL) };
    }
}

/// A whole file as memory, shared with the file.
pub struct Mapped {
    start: NonNull<u8>,
    length: usize,
}

#[expect(unsafe_code, reason = "a pointer is not Send by itself")]
// SAFETY: the mapping is owned.
unsafe impl Send for Mapped {}

#[expect(unsafe_code, reason = "files are mapped")]
impl Mapped {
    /// Maps `length` bytes of `file`, a multiple of [`PAGE`].
    pub fn new(file: &File, length: usize, access: ProtFlags) -> io::Result<Self> {
        let (anywhere, flags) = (ptr::null_mut(), MapFlags::SHARED);
        // SAFETY: the kernel chooses an address where nothing is.
        let start = unsafe { rustix::mm::mmap(anywhere, length, access, flags, file, 0)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// Pages of the file.
    pub fn pages(&self) -> usize {
        self.length / PAGE
    }

    /// A page's contents.
    pub fn page(&self, page: usize) -> &[u8] {
        assert!(page < self.pages());
        // SAFETY: the page is mapped; the file is this process's own, or only replaced as a whole.
        unsafe { slice::from_raw_parts(self.start.as_ptr().add(page * PAGE), PAGE) }
    }

    /// A page's contents, of a mapping that may be written to.
    pub fn page_mut(&mut self, page: usize) -> &mut [u8] {
        assert!(page < self.pages());
        // SAFETY: as above, and it is borrowed for writing.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().add(page * PAGE), PAGE) }
    }

    /// Makes the file's pages zeros again; they take no memory then.
    pub fn punch(&mut self, pages: Range<usize>) -> io::Result<()> {
        assert!(pages.end <= self.pages());
        #[cfg(not(target_os = "linux"))]
        return Ok(pages.for_each(|page| self.page_mut(page).fill(0)));
        #[cfg(target_os = "linux")]
        // SAFETY: the pages lie inside this mapping.
        unsafe {
            let at = self.start.as_ptr().add(pages.start * PAGE).cast();
            Ok(rustix::mm::madvise(
                at,
                pages.len() * PAGE,
                Advice::LinuxRemove,
            )?)
        }
    }
}

#[expect(unsafe_code, reason = "files were mapped")]
impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is owned.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
