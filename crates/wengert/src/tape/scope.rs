//! Scopes: what is recorded inside is forgotten at the end, also when it unwinds.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use super::{Escape, ScopeExit, with, with_forgetting};
use crate::error::{ErrorKind, Result, error, unwrap};
use crate::trace;

/// Where a scope began.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    /// The id of this activation, unique across threads.
    pub id: u32,
    pub entries: u32,
    pub constants: u32,
    pub nodes: u32,
    /// The mode to restore.
    pub grad_enabled: bool,
}

/// The scopes that are open, outermost first; the root scope always is.
pub(crate) struct Frames {
    list: Vec<Frame>,
    /// The id of the last one, which every entry is stamped with.
    innermost: u32,
}

impl Frames {
    pub fn new() -> Self {
        let root = Frame { id: next_id(), entries: 0, constants: 0, nodes: 0, grad_enabled: true };
        Self { list: vec![root], innermost: root.id }
    }

    #[inline]
    pub fn innermost(&self) -> u32 {
        self.innermost
    }

    /// Makes room for one more.
    pub fn reserve(&mut self) -> Result<()> {
        crate::error::reserve(&mut self.list, 1)
    }

    pub fn push(&mut self, frame: Frame) {
        self.innermost = frame.id;
        self.list.push(frame);
    }

    /// Takes the frames from number `start` on.
    ///
    /// # Panics
    /// If the root scope is among them.
    pub fn split_off(&mut self, start: usize) -> SmallVec<[Frame; 4]> {
        assert!(start > 0, "the root scope stays");
        let taken = self.list.drain(start..).collect();
        self.innermost = self.list[self.list.len() - 1].id;
        taken
    }

    /// Takes the innermost frame.
    pub fn pop(&mut self) -> Frame {
        let [.., parent, last] = self.list[..] else { panic!("the root scope stays") };
        self.innermost = parent.id;
        self.list.truncate(self.list.len() - 1);
        last
    }
}

impl std::ops::Deref for Frames {
    type Target = [Frame];
    fn deref(&self) -> &[Frame] {
        &self.list
    }
}

/// Ids are drawn from the global counter in blocks, so that a scope costs no shared write.
const BLOCK: u32 = 64;

/// An id for a scope activation that no other activation of any thread has had, until 2^32 of them were drawn
/// (`docs/safety.md` says what follows then).
pub(crate) fn next_id() -> u32 {
    static NEXT_BLOCK: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static NEXT: Cell<u32> = const { Cell::new(0) };
    }
    NEXT.with(|next| {
        let mut id = next.get();
        if id % BLOCK == 0 {
            id = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed).wrapping_mul(BLOCK);
        }
        next.set(id.wrapping_add(1));
        id
    })
}

/// An open scope, for code that can't use the closure form [`scope`]: entries recorded while it lives are forgotten when it
/// is dropped. Dropping a guard ends the scopes inside of it too; their guards then have nothing left to do.
///
/// ```
/// # use wengert::{Scope, Tensor};
/// let w = Tensor::ones([3]).requires_grad_(true);
/// {
///     let _scope = Scope::enter();
///     (w * 2.0).sum().backward();
/// }
/// assert_eq!(w.grad().unwrap().to_vec(), [2.0, 2.0, 2.0]);
/// ```
#[must_use = "the scope ends when its guard is dropped"]
pub struct Scope {
    id: u32,
    /// A guard belongs to the thread of its tape.
    local: PhantomData<*const ()>,
}

impl Scope {
    /// Opens a scope.
    pub fn enter() -> Self {
        Self::open(|grad_enabled| grad_enabled)
    }

    /// Opens a scope whose mode of recording follows from the current one.
    pub(crate) fn open(mode: impl FnOnce(bool) -> bool) -> Self {
        let id = unwrap(with(|tape| {
            tape.enter(mode(tape.grad_enabled))?;
            Ok(tape.scope_id())
        }));
        Self { id, local: PhantomData }
    }

    /// Ends the scope and keeps `value`: its tensors are copied out as leaves of the parent scope.
    pub(crate) fn leave<R: Escape>(self, value: R) -> R {
        unwrap(self.leave_with(|exit| Ok(value.escape(exit))))
    }

    /// Ends the scope when `f` has let escape what survives.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn leave_with<R>(self, f: impl FnOnce(&mut ScopeExit) -> Result<R>) -> Result<R> {
        let mut exit = ScopeExit::new(self.id)?;
        let value = f(&mut exit)?;
        drop(self);
        exit.finish();
        Ok(value)
    }
}

impl Scope {
    /// Ends the scope and keeps what it recorded, as if its parent had.
    pub(crate) fn merge(self) -> Result<()> {
        with_forgetting(|tape| tape.merge(self.id))
    }
}

impl Drop for Scope {
    /// Ends this scope, and inner ones whose guards were forgotten.
    fn drop(&mut self) {
        let rewound = with_forgetting(|tape| {
            tape.rewind_through(self.id);
            Ok(())
        });
        // During the teardown of a thread the tape is gone, and there is nothing to rewind.
        if let Err(error) = rewound
            && error.kind() == ErrorKind::Busy
            && !std::thread::panicking()
        {
            panic!("{error}");
        }
    }
}

/// Runs `f`, then forgets what it recorded, so that a loop's memory is flat. What `f` returns survives: tensors in it are
/// copied out as leaves of the parent scope ([`Escape`]). Scopes nest; a panic rewinds too.
///
/// ```
/// # use wengert::{scope, Tensor};
/// let w = Tensor::ones([3]).requires_grad_(true);
/// let loss = scope(|| {
///     let loss = (w * w).sum();
///     loss.backward();
///     loss
/// });
/// assert_eq!(loss.item(), 3.0);
/// assert_eq!(w.grad().unwrap().to_vec(), [2.0, 2.0, 2.0]);
/// ```
pub fn scope<R: Escape>(f: impl FnOnce() -> R) -> R {
    let open = Scope::enter();
    let value = f();
    open.leave(value)
}

/// A scope in which no derivatives are recorded: results do not require a gradient, and leaves may be changed in place.
/// The mode is restored after a panic too.
///
/// ```
/// # use wengert::{no_grad, Tensor};
/// let x = Tensor::ones([2]).requires_grad_(true);
/// let y = no_grad(|| x + 2.0);
/// assert!(!y.requires_grad());
/// ```
pub fn no_grad<R: Escape>(f: impl FnOnce() -> R) -> R {
    let open = NoGrad::enter();
    let value = f();
    open.0.leave(value)
}

/// A scope in which derivatives are recorded, inside of a [`no_grad`].
pub fn enable_grad<R: Escape>(f: impl FnOnce() -> R) -> R {
    let open = EnableGrad::enter();
    let value = f();
    open.0.leave(value)
}

/// The guard form of [`no_grad`].
#[must_use = "the scope ends when its guard is dropped"]
pub struct NoGrad(Scope);

impl NoGrad {
    /// Opens a scope in which no derivatives are recorded.
    pub fn enter() -> Self {
        Self(Scope::open(|_| false))
    }
}

/// The guard form of [`enable_grad`].
#[must_use = "the scope ends when its guard is dropped"]
pub struct EnableGrad(Scope);

impl EnableGrad {
    /// Opens a scope in which derivatives are recorded.
    pub fn enter() -> Self {
        Self(Scope::open(|_| true))
    }
}

/// While it lives, derivatives are recorded in the current scope.
pub(crate) struct Recording {
    before: bool,
}

impl Recording {
    pub fn start() -> Result<Self> {
        with(|tape| Ok(Self { before: std::mem::replace(&mut tape.grad_enabled, true) }))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // When this fails, the thread is ending.
        let _ = with(|tape| {
            tape.grad_enabled = self.before;
            Ok(())
        });
    }
}

/// Runs the code `f` of the user's function `name`, and ends the scopes that it left open.
///
/// # Errors
/// Those of `f`; it ended a scope that it did not open.
pub(crate) fn guarded<R>(name: &str, f: impl FnOnce() -> Result<R>) -> Result<R> {
    let id = with(|tape| Ok(tape.scope_id()))?;
    let lines = trace::pause();
    let result = f();
    drop(lines);
    with_forgetting(|tape| {
        tape.rewind_to(id);
        if tape.scope_id() == id {
            return Ok(());
        }
        Err(error!(
            Stale,
            "{name}: the function ended a scope that was open when it was called; drop guards where they were made"
        ))
    })?;
    result
}

/// Whether operations record derivatives now.
pub fn is_grad_enabled() -> bool {
    with(|tape| Ok(tape.grad_enabled)).unwrap_or(true)
}
