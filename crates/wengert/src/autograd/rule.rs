//! What the rule of a structured operation sees in a reverse sweep.

use smallvec::SmallVec;

use super::Sweep;
use crate::element::{Element, FloatElement};
use crate::error::Result;
use crate::ops::linalg::matmul;
use crate::shape::Shape;
use crate::tape::arena::lend;
use crate::tape::{self, Handle, Tape};
use crate::tensor::TensorBase;

/// One entry being passed by a reverse sweep.
pub(crate) struct Backward<'a, E: FloatElement> {
    sweep: &'a mut Sweep,
    index: u32,
    g: TensorBase<E>,
    operands: SmallVec<[u32; 4]>,
}

#[allow(dead_code, reason = "structured operations that land next use all of it")]
impl<'a, E: FloatElement> Backward<'a, E> {
    pub fn new(sweep: &'a mut Sweep, index: u32, g: TensorBase<E>) -> Result<Self> {
        let operands = tape::with(|tape| Ok(tape.operands(index)))?;
        Ok(Self { sweep, index, g, operands })
    }

    /// The entry, and its operands.
    pub fn place(&self) -> (u32, &[u32]) {
        (self.index, &self.operands)
    }

    /// The operation's attributes.
    pub fn attrs<A: Copy + 'static>(&self) -> Result<A> {
        attrs(self.index)
    }

    /// The gradient with respect to the value, of the value's shape.
    pub fn grad(&self) -> TensorBase<E> {
        self.g
    }

    /// How many operands there are.
    pub fn len(&self) -> usize {
        self.operands.len()
    }

    /// Whether operand `k` takes a gradient.
    pub fn needs(&self, k: usize) -> bool {
        tape::with(|tape| Ok(self.sweep.needs(tape, self.operands[k]))).unwrap_or(false)
    }

    /// Operand `k`.
    ///
    /// # Errors
    /// It was overwritten after it was used.
    pub fn operand<T: Element>(&self, k: usize) -> Result<TensorBase<T>> {
        saved(self.operands[k], self.index)
    }

    /// The value.
    ///
    /// # Errors
    /// It was overwritten after it was computed.
    pub fn value(&self) -> Result<TensorBase<E>> {
        saved(self.index, self.index)
    }

    /// The shape of operand `k`, which no write changes.
    pub fn shape(&self, k: usize) -> Result<Shape> {
        tape::with(|tape| Ok(Shape::of(tape.layout(self.operands[k]).shape())))
    }

    /// Whether the gradients will be differentiated in turn, so that they must be made of recorded operations.
    pub fn is_recorded(&self) -> bool {
        self.sweep.is_recorded()
    }

    /// Passes the entries from `start` on, which compute the value anew: from `roots` among them, each with its seed.
    pub fn splice(&mut self, start: u32, roots: &[(Handle, Handle)]) -> Result<()> {
        self.sweep.splice(start, roots)
    }

    /// Adds `value`, of operand `k`'s shape, to that operand's gradient.
    pub fn add(&mut self, k: usize, value: TensorBase<E>) -> Result<()> {
        self.add_other(k, value)
    }

    /// As [`Self::add`], for an operand of another float type.
    pub fn add_other<F: FloatElement>(&mut self, k: usize, value: TensorBase<F>) -> Result<()> {
        self.sweep.add(self.operands[k], value)
    }

    /// Adds to operand `k`'s gradient what is zero at most places: a recorded sweep the tensor that `whole` gives; a plain one
    /// lets `add` write to the gradient itself, which holds zeros if nothing was there.
    pub fn add_sparse(
        &mut self,
        k: usize,
        whole: impl FnOnce() -> Result<TensorBase<E>>,
        add: impl FnOnce(&Tape, &mut [E]),
    ) -> Result<()> {
        let operand = self.operands[k];
        if self.sweep.is_recorded() {
            return self.sweep.add(operand, whole()?);
        }
        tape::with(|tape| {
            let (target, first) = self.sweep.target::<E>(tape, operand)?;
            lend(tape, target, |out: &mut [E], tape| {
                if first {
                    out.fill(E::default());
                }
                add(tape, out);
            });
            Ok(())
        })
    }

    /// Adds the product of two matrices to operand `k`'s gradient; a plain sweep multiplies straight into it.
    pub fn add_product(&mut self, k: usize, a: TensorBase<E>, b: TensorBase<E>) -> Result<()> {
        let operand = self.operands[k];
        if self.sweep.is_recorded() || a.dim() != 2 || b.dim() != 2 {
            return self.sweep.add(operand, a.try_matmul(b)?);
        }
        tape::with(|tape| {
            let (target, first) = self.sweep.target::<E>(tape, operand)?;
            matmul::multiply_into::<E>(tape, a.handle(), b.handle(), target, first)
        })
    }
}

/// The attributes of entry `index`; operations without any keep none.
pub(super) fn attrs<A: Copy + 'static>(index: u32) -> Result<A> {
    tape::with(|tape| match tape.meta(index).attrs {
        Some(attrs) => Ok(*tape.arena.get_erased::<A>(attrs)),
        None => Ok(*tape.arena.get_erased::<A>(tape.arena.put_erased(())?)),
    })
}

/// The value of entry `index`, if it is still what `reader` saw.
pub(crate) fn saved<T: Element>(index: u32, reader: u32) -> Result<TensorBase<T>> {
    tape::with(|tape| {
        tape.check_unchanged(index, reader)?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}
