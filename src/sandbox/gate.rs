//! Lets in as many calls as the pool has slots.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A counting semaphore for threads.
pub struct Gate {
    free: Mutex<u32>,
    freed: Condvar,
}

/// A place inside a [`Gate`], until dropped.
pub struct Slot<'a>(&'a Gate);

impl Gate {
    /// A gate with `slots` places.
    pub fn new(slots: u32) -> Self {
        Self {
            free: Mutex::new(slots),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place.
    pub fn enter(&self) -> Slot<'_> {
        let free = self.freed.wait_while(self.lock(), |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Slot(self)
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.freed.notify_one();
    }
}
