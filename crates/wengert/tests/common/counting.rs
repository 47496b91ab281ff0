//! An allocator that counts, for the tests that say what allocates. A test that uses it is a binary of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Whether to say where the next allocation comes from.
    static TRACE: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    if TRACE.try_with(|trace| trace.replace(false)).unwrap_or(false) {
        let before = COUNT.get();
        eprintln!("allocated at:\n{}", std::backtrace::Backtrace::force_capture());
        COUNT.set(before);
    }
}

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of this thread while `f` runs; the first says where it comes from.
pub fn allocations(f: impl FnOnce()) -> usize {
    let before = COUNT.get();
    TRACE.set(true);
    f();
    TRACE.set(false);
    COUNT.get() - before
}
