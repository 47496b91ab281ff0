//! Memory that a loop needs while it runs, kept by its thread for the next one.

use std::cell::Cell;

/// Element types that a thread keeps scratch memory of: `f32` and `f64`.
pub trait Scratch: Copy + 'static {
    /// Runs `f` with `len` elements of arbitrary values. Allocates only when it needs more than any before it on its thread; a
    /// call inside of `f` has memory of its own, which is kept likewise.
    #[doc(hidden)]
    fn scratch<R>(len: usize, f: impl FnOnce(&mut [Self]) -> R) -> R;
}

/// Makes room for `len` elements in all.
///
/// # Panics
/// If the system has no more memory: a loop has no other way to say so, and a `Vec` would end the process.
pub(crate) fn reserve<T>(memory: &mut Vec<T>, len: usize) {
    let more = len - memory.len();
    let reserved = memory.try_reserve_exact(more);
    assert!(reserved.is_ok(), "the tape: {} bytes of scratch memory could not be allocated", more * size_of::<T>());
}

macro_rules! scratch {
    ($($t:ty)+) => { $(
        impl Scratch for $t {
            fn scratch<R>(len: usize, f: impl FnOnce(&mut [Self]) -> R) -> R {
                thread_local! {
                    /// Of the loop that comes next, and of one inside of it.
                    static KEPT: Cell<[Vec<$t>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
                }
                let [mut memory, inner] = KEPT.take();
                KEPT.set([inner, Vec::new()]);
                if memory.len() < len {
                    reserve(&mut memory, len);
                    memory.resize(len, 0.0);
                }
                let result = f(&mut memory[..len]);
                let [inner, _] = KEPT.take();
                KEPT.set([memory, inner]);
                result
            }
        }
    )+ };
}
scratch!(f32 f64);
