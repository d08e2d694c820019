//! Work on a stream of items by several threads at once, the results in the items' order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Condvar, Mutex, PoisonError};
use std::{panic, thread};

/// Calls `run` on each item, on so many threads, and `each` with the item and its result, on this thread and in
/// the items' order, until it breaks. At most `ahead` items are taken that `each` has not had.
///
/// A panic in `items` or `run` comes out of here, after `each` had what came before it.
pub fn in_order<T: Send, R: Send>(
    threads: usize,
    ahead: usize,
    items: impl Iterator<Item = T> + Send,
    run: impl Fn(&T) -> R + Sync,
    each: impl FnMut(T, R) -> ControlFlow<()>,
) {
    let feed = Feed {
        items: Mutex::new((0, items)),
        window: Window::new(ahead),
    };
    thread::scope(|scope| {
        let (results, received) = mpsc::channel();
        let work = || {
            let results = results.clone();
            scope.spawn(|| work(&feed, &run, results))
        };
        let workers: Vec<_> = (0..threads.max(1)).map(|_| work()).collect();
        drop(results);
        {
            let _stop = Stop(&feed.window);
            hand_over(&feed.window, &received, each);
        }
        for worker in workers {
            if let Err(panicked) = worker.join() {
                panic::resume_unwind(panicked);
            }
        }
    });
}

fn work<T, R>(
    feed: &Feed<impl Iterator<Item = T>>,
    run: &impl Fn(&T) -> R,
    results: Sender<(usize, T, R)>,
) {
    // There is nothing more to take: the items are at their end, or an item's result will never come.
    let _stop = Stop(&feed.window);
    while let Some((number, item)) = feed.next() {
        let result = run(&item);
        // Whoever receives has seen enough.
        if results.send((number, item, result)).is_err() {
            return;
        }
    }
}

fn hand_over<T, R>(
    window: &Window,
    received: &Receiver<(usize, T, R)>,
    mut each: impl FnMut(T, R) -> ControlFlow<()>,
) {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, item, result) in received {
        early.insert(number, (item, result));
        while let Some((item, result)) = early.remove(&next) {
            if each(item, result).is_break() {
                return;
            }
            next += 1;
            window.move_on();
        }
    }
}

/// Items by number, one thread at a time.
struct Feed<I> {
    items: Mutex<(usize, I)>,
    window: Window,
}

impl<T, I: Iterator<Item = T>> Feed<I> {
    /// The next item and its number, once it may be taken. `None` at the end, and after a panic.
    fn next(&self) -> Option<(usize, T)> {
        let mut items = self.items.lock().ok()?;
        let (taken, items) = &mut *items;
        if !self.window.wait_for(*taken) {
            return None;
        }
        let item = items.next()?;
        *taken += 1;
        Some((*taken - 1, item))
    }
}

/// Which items may be taken now.
struct Window {
    state: Mutex<WindowState>,
    moved: Condvar,
}

struct WindowState {
    /// The first number that may not be taken.
    end: usize,
    stopped: bool,
}

impl Window {
    fn new(ahead: usize) -> Self {
        let (end, stopped) = (ahead.max(1), false);
        Self {
            state: Mutex::new(WindowState { end, stopped }),
            moved: Condvar::new(),
        }
    }

    /// Whether item `number` may be taken; waits until that is known.
    fn wait_for(&self, number: usize) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |state: &mut WindowState| number >= state.end && !state.stopped;
        let state = self.moved.wait_while(state, wait);
        !state.unwrap_or_else(PoisonError::into_inner).stopped
    }

    fn move_on(&self) {
        self.change(|state| state.end += 1);
    }

    fn change(&self, change: impl FnOnce(&mut WindowState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }
}

/// No item is taken once this is dropped.
struct Stop<'a>(&'a Window);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.stopped = true);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn all(threads: usize, count: usize) -> Vec<(usize, usize)> {
        let mut had = Vec::new();
        let slow_where_even = |item: &usize| {
            if item.is_multiple_of(2) {
                thread::sleep(Duration::from_millis(1));
            }
            item * 10
        };
        in_order(threads, 8, 0..count, slow_where_even, |item, result| {
            had.push((item, result));
            ControlFlow::Continue(())
        });
        had
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let expected: Vec<_> = (0..100).map(|item| (item, item * 10)).collect();
        assert_eq!(all(4, 100), expected);
        assert_eq!(all(1, 100), expected);
        assert_eq!(all(4, 0), []);
    }

    #[test]
    fn no_more_items_are_taken_ahead_than_allowed() {
        let (taken, had) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items = (0..200).inspect(|_| {
            let ahead = taken.fetch_add(1, Ordering::SeqCst) - had.load(Ordering::SeqCst);
            assert!(ahead < 5, "{ahead} items are ahead");
        });
        in_order(
            3,
            5,
            items,
            |_| (),
            |_, ()| {
                had.fetch_add(1, Ordering::SeqCst);
                ControlFlow::Continue(())
            },
        );
        assert_eq!(had.into_inner(), 200);
    }

    #[test]
    fn it_stops_where_each_breaks() {
        let mut had = 0;
        in_order(
            3,
            5,
            0..,
            |item| *item,
            |item, _| {
                had += 1;
                if item == 20 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        assert_eq!(had, 21);
    }

    fn panics_with(panic: impl FnOnce(&mut Vec<usize>)) -> (String, Vec<usize>) {
        let mut had = Vec::new();
        let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| panic(&mut had)));
        let message = panicked
            .unwrap_err()
            .downcast_ref::<&str>()
            .unwrap()
            .to_string();
        (message, had)
    }

    #[test]
    fn a_panic_of_items_comes_out_after_what_came_before_it() {
        let items = (0..).inspect(|item| {
            if *item == 30 {
                panic!("bad item")
            }
        });
        let (message, had) = panics_with(|had| {
            in_order(
                3,
                5,
                items,
                |_| (),
                |item, ()| {
                    had.push(item);
                    ControlFlow::Continue(())
                },
            );
        });
        assert_eq!(message, "bad item");
        assert_eq!(had, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_of_the_work_or_of_each_does_not_hang() {
        let work = |item: &usize| {
            if *item == 30 {
                panic!("bad work")
            }
        };
        let (message, had) = panics_with(|had| {
            in_order(3, 5, 0.., work, |item, ()| {
                had.push(item);
                ControlFlow::Continue(())
            });
        });
        assert_eq!((message.as_str(), had.len()), ("bad work", 30));
        let (message, _) = panics_with(|_| {
            in_order(
                3,
                5,
                0..,
                |_| (),
                |item, ()| match item {
                    30 => panic!("bad each"),
                    _ => ControlFlow::Continue(()),
                },
            );
        });
        assert_eq!(message, "bad each");
    }
}
