//! What survives the end of a scope.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use super::{Entry, Flags, Frame, Handle, Meta, Tape, Value, with, with_forgetting};
use crate::element::{DType, Element};
use crate::error::{Result, error, reserve, unwrap};
use crate::ops::Op;
use crate::shape::Layout;
use crate::tensor::TensorBase;
use crate::trace::Line;

/// Values that can leave a [`crate::scope`]. Tensors of the ending scope are copied into the parent scope as leaves (a leaf
/// that requires a gradient still does); tensors of outer scopes and plain data pass as they are.
///
/// For a type of your own: without tensors, `impl Escape for Mine {}`; with tensors, let each field escape.
///
/// ```
/// # use wengert::{scope, Escape, ScopeExit, Tensor};
/// struct Fit { slope: Tensor, steps: usize }
/// impl Escape for Fit {
///     fn escape(self, exit: &mut ScopeExit) -> Self {
///         Fit { slope: self.slope.escape(exit), ..self }
///     }
/// }
/// let fit = scope(|| Fit { slope: Tensor::ones([2]) * 3.0, steps: 7 });
/// assert_eq!(fit.slope.to_vec(), [3.0, 3.0]);
/// ```
pub trait Escape: Sized {
    /// Moves what lives in the ending scope into its parent.
    fn escape(self, _exit: &mut ScopeExit) -> Self {
        self
    }
}

/// A scope that is about to end, for [`Escape`].
#[derive(Debug)]
pub struct ScopeExit {
    /// The scope that ends, and the one that its tensors move to.
    ending: u32,
    parent: Option<u32>,
    /// The leaves to be, in the order of their future indices.
    pending: Vec<(Handle, Pending)>,
    /// The output of a user-defined function in the scope that ends, and in its parent.
    output: Option<(Handle, Handle)>,
    /// The tensors that have passed since the output.
    passed: Vec<Passed>,
}

/// A tensor that a user-defined function saved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub handle: Handle,
    /// A float tensor that was made in the scope and left its history there.
    pub is_cut: bool,
}

#[derive(Clone, Copy)]
struct Pending {
    entry: Entry,
    /// The line that computed it.
    line: Line,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("dtype", &self.entry.dtype()).finish_non_exhaustive()
    }
}

impl ScopeExit {
    /// Ends the scopes inside of `ending`, whose guards were forgotten.
    pub(super) fn new(ending: u32) -> Result<Self> {
        let parent = with_forgetting(|tape| {
            tape.rewind_to(ending);
            Ok(tape.ending(ending).ok().map(|(_, parent)| parent))
        })?;
        Ok(Self { ending, parent, pending: PENDING.take(), output: None, passed: Vec::new() })
    }

    /// Lets the output of a user-defined function escape. From here on, the exit notes what passes, and keeps the identity of
    /// the output.
    pub(crate) fn output<E: Element>(&mut self, tensor: TensorBase<E>) -> Result<TensorBase<E>> {
        let out = self.tensor(tensor)?;
        self.output = Some((tensor.handle(), out.handle()));
        Ok(out)
    }

    /// What has passed since the output.
    pub(crate) fn passed(&mut self) -> Vec<Passed> {
        std::mem::take(&mut self.passed)
    }

    fn tensor<E: Element>(&mut self, tensor: TensorBase<E>) -> Result<TensorBase<E>> {
        let Some((within, outside)) = self.output else { return self.moved(tensor) };
        let out = if tensor.handle() == within { TensorBase::from_handle(outside) } else { self.moved(tensor)? };
        let is_cut = !out.is(tensor) && out.handle() != outside && matches!(E::DTYPE, DType::F32 | DType::F64);
        self.passed.push(Passed { handle: out.handle(), is_cut });
        Ok(out)
    }

    fn moved<E: Element>(&mut self, tensor: TensorBase<E>) -> Result<TensorBase<E>> {
        let handle = tensor.handle();
        reserve(&mut self.pending, 1)?;
        let next = self.pending.len() as u32;
        let moved = with(|tape| {
            let index = tape.resolve(handle)?;
            let (start, parent) = tape.ending(self.ending)?;
            if index < start {
                return Ok(None);
            }
            let pending = tape.copy_to_parent::<E>(index, parent, start + next)?;
            Ok(Some((Handle { scope: parent, index: start + next }, pending)))
        })?;
        Ok(match moved {
            None => tensor,
            Some((to, pending)) => {
                self.pending.push((to, pending));
                TensorBase::from_handle(to)
            }
        })
    }

    /// Makes the leaves, now that the scope has ended.
    pub(super) fn finish(mut self) {
        if self.pending.is_empty() {
            PENDING.set(self.pending);
            return;
        }
        unwrap(with(|tape| {
            // The blocks lie in the parent's level: an `escape` that ended the parent too has lost them.
            assert_eq!(Some(tape.scope_id()), self.parent, "`Escape::escape` must not end scopes that it did not open");
            for (handle, Pending { entry, line }) in self.pending.drain(..) {
                let index = tape.push(entry)?;
                if line.is_some() {
                    tape.note_line(index, line);
                }
                assert_eq!(index, handle.index, "leaves are made in the order in which they escaped");
            }
            Ok(())
        }));
        PENDING.set(self.pending);
    }
}

thread_local! {
    /// An empty list for the next exit, kept so that a steady state allocates nothing.
    static PENDING: Cell<Vec<(Handle, Pending)>> = const { Cell::new(Vec::new()) };
}

impl Tape {
    /// Where the innermost scope begins, which is `id`, and its parent's id.
    ///
    /// # Errors
    /// It is another one.
    fn ending(&self, id: u32) -> Result<(u32, u32)> {
        match self.frames[..] {
            [.., Frame { id: parent, .. }, Frame { id: innermost, entries, .. }] if innermost == id => {
                Ok((entries, parent))
            }
            _ => Err(error!(
                Stale,
                "escape: the scope that ends must be the innermost one; tensors can't leave from within a scope that was \
                 opened since, nor after it was ended by its parent's guard"
            )),
        }
    }

    /// Copies the value of entry `index` into the parent's level, for the coming entry `to` of the scope `parent`.
    fn copy_to_parent<E: Element>(&mut self, index: u32, parent: u32, to: u32) -> Result<Pending> {
        let entry = *self.entry(index);
        let mut flags = Flags::default();
        flags.set(Flags::GRAD, entry.op == Op::Leaf && entry.flags.has(Flags::GRAD));
        if let Some(&[number]) = entry.inline::<E>() {
            let entry = Entry::new(parent, Op::Leaf, flags, Value::Inline(number), self.rank0()?);
            return Ok(Pending { entry, line: self.line(index) });
        }
        let layout = *self.layout(index);
        let level = self.arena.depth() - 1;
        let mut fresh = self.arena.alloc_at::<E>(level, layout.numel(), to)?;
        wengert_kernels::strided::pack(self.data::<E>(index), layout.shape(), layout.strides(), 0, fresh.slice());
        let value = Value::<E>::Block(fresh.publish());
        let meta = self.arena.put_at(level, Meta::plain(Layout::contiguous(layout.shape())))?;
        Ok(Pending { entry: Entry::new(parent, Op::Leaf, flags, value, meta), line: self.line(index) })
    }
}

impl<E: Element> Escape for TensorBase<E> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        unwrap(exit.tensor(self))
    }
}

macro_rules! plain {
    ($($t:ty),+ $(,)?) => { $(impl Escape for $t {})+ };
}
plain!(
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    String,
    &'static str,
    std::time::Duration,
    std::time::Instant,
    std::io::Error,
    std::path::PathBuf,
    Box<str>,
    Box<dyn std::error::Error>,
    Box<dyn std::error::Error + Send + Sync>,
    crate::Error,
    crate::Shape,
);

macro_rules! tuples {
    ($($($name:ident)+;)+) => { $(
        impl<$($name: Escape),+> Escape for ($($name,)+) {
            #[allow(non_snake_case)]
            fn escape(self, exit: &mut ScopeExit) -> Self {
                let ($($name,)+) = self;
                ($($name.escape(exit),)+)
            }
        }
    )+ };
}
tuples! { A; A B; A B C; A B C D; A B C D F; A B C D F G; A B C D F G H; A B C D F G H I; }

impl<T: Escape, const N: usize> Escape for [T; N] {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        self.map(|value| value.escape(exit))
    }
}
impl<T: Escape> Escape for Vec<T> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        self.into_iter().map(|value| value.escape(exit)).collect()
    }
}
impl<T: Escape> Escape for VecDeque<T> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        self.into_iter().map(|value| value.escape(exit)).collect()
    }
}
/// The values; keys can't be tensors.
impl<K: Eq + Hash, T: Escape, S: BuildHasher + Default> Escape for HashMap<K, T, S> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        self.into_iter().map(|(key, value)| (key, value.escape(exit))).collect()
    }
}
/// The values; keys can't be tensors.
impl<K: Ord, T: Escape> Escape for BTreeMap<K, T> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        self.into_iter().map(|(key, value)| (key, value.escape(exit))).collect()
    }
}
impl<T: Escape> Escape for Box<T> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        Box::new((*self).escape(exit))
    }
}
impl<T: Escape> Escape for Option<T> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        self.map(|value| value.escape(exit))
    }
}
impl<T: Escape, F: Escape> Escape for std::result::Result<T, F> {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        match self {
            Ok(value) => Ok(value.escape(exit)),
            Err(error) => Err(error.escape(exit)),
        }
    }
}
