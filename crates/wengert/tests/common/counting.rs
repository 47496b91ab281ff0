//! An allocator that counts, and refuses on request, for the tests that say what allocates. A test that uses it is a binary of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Bytes that are allocated.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// Whether to say where the next allocation comes from.
    static TRACE: Cell<bool> = const { Cell::new(false) };
    static REFUSE: Cell<Refuse> = const { Cell::new(Refuse::Nothing) };
}

/// Which allocations of this thread fail.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(dead_code, reason = "some binaries only count")]
pub enum Refuse {
    Nothing,
    /// Of those that have at least so many bytes, the one after so many, and then none.
    One {
        after: usize,
        least: usize,
    },
    /// The same, and all that follow.
    All {
        after: usize,
        least: usize,
    },
}

fn count() {
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    if TRACE.try_with(|trace| trace.replace(false)).unwrap_or(false) {
        let before = COUNT.get();
        eprintln!("allocated at:\n{}", std::backtrace::Backtrace::force_capture());
        COUNT.set(before);
    }
}

fn add_live(bytes: isize) {
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

/// Whether an allocation of `size` bytes fails.
fn refuses(size: usize) -> bool {
    let next = |refuse| match refuse {
        Refuse::One { least, .. } | Refuse::All { least, .. } if size < least => (refuse, false),
        Refuse::Nothing => (refuse, false),
        Refuse::One { after: 0, .. } => (Refuse::Nothing, true),
        Refuse::One { after, least } => (Refuse::One { after: after - 1, least }, false),
        Refuse::All { after: 0, .. } => (refuse, true),
        Refuse::All { after, least } => (Refuse::All { after: after - 1, least }, false),
    };
    REFUSE
        .try_with(|refuse| {
            let (after, refused) = next(refuse.get());
            refuse.set(after);
            refused
        })
        .unwrap_or(false)
}

// SAFETY: every call is passed on to the system's allocator, or refused, as any may be.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        add_live(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        add_live(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        if refuses(size) {
            return std::ptr::null_mut();
        }
        add_live(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of this thread while `f` runs; the first says where it comes from.
#[allow(dead_code, reason = "used by some binaries")]
pub fn allocations(f: impl FnOnce()) -> usize {
    let before = COUNT.get();
    TRACE.set(true);
    f();
    TRACE.set(false);
    COUNT.get() - before
}

/// Bytes that this thread has allocated and not given back.
#[allow(dead_code, reason = "used by some binaries")]
pub fn live() -> isize {
    LIVE.get()
}

/// Runs `f` while allocations of this thread are refused; whether the first was reached.
#[allow(dead_code, reason = "used by some binaries")]
pub fn refusing<R>(refuse: Refuse, f: impl FnOnce() -> R) -> (R, bool) {
    REFUSE.set(refuse);
    let result = f();
    (result, matches!(REFUSE.replace(Refuse::Nothing), Refuse::Nothing | Refuse::All { after: 0, .. }))
}
