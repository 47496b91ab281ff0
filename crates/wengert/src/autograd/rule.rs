//! What the rule of a structured operation sees in a reverse sweep.

use smallvec::SmallVec;

use super::Sweep;
use super::many::{add, capture_many};
use crate::element::{Element, FloatElement};
use crate::error::Result;
use crate::ops::linalg::matmul;
use crate::shape::Shape;
use crate::tape::arena::lend;
use crate::tape::{self, Handle, Tape};
use crate::tensor::TensorBase;

/// One entry being passed by a reverse sweep.
pub(crate) struct Backward<'a, E: FloatElement> {
    sink: Sink<'a>,
    index: u32,
    g: TensorBase<E>,
    operands: SmallVec<[u32; 4]>,
}

/// Where the gradients go.
enum Sink<'a> {
    Sweep(&'a mut Sweep),
    Row(&'a mut Row),
}

/// The gradients of one entry's operands, for one of many adjoints.
pub(super) struct Row {
    needs: SmallVec<[bool; 4]>,
    recorded: bool,
    pub found: SmallVec<[Option<Handle>; 4]>,
}

impl Row {
    pub fn new(needs: &[bool], recorded: bool) -> Self {
        Self { needs: SmallVec::from_slice(needs), recorded, found: SmallVec::from_elem(None, needs.len()) }
    }
}

impl<'a, E: FloatElement> Backward<'a, E> {
    pub fn new(sweep: &'a mut Sweep, index: u32, g: TensorBase<E>) -> Result<Self> {
        let operands = tape::with(|tape| Ok(tape.operands(index)))?;
        Ok(Self { sink: Sink::Sweep(sweep), index, g, operands })
    }

    /// For the gradient `g` alone, of many.
    pub(super) fn of_row(row: &'a mut Row, index: u32, g: TensorBase<E>) -> Result<Self> {
        let operands = tape::with(|tape| Ok(tape.operands(index)))?;
        Ok(Self { sink: Sink::Row(row), index, g, operands })
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
        match &self.sink {
            Sink::Sweep(sweep) => tape::with(|tape| Ok(sweep.needs(tape, self.operands[k]))).unwrap_or(false),
            Sink::Row(row) => row.needs[k],
        }
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
        match &self.sink {
            Sink::Sweep(sweep) => sweep.is_recorded(),
            Sink::Row(row) => row.recorded,
        }
    }

    /// The plain sweep, which takes gradients in memory of its own and keeps no tensor that it is given.
    pub fn plain_sweep(&mut self) -> Option<&mut Sweep> {
        match &mut self.sink {
            Sink::Sweep(sweep) if !sweep.is_recorded() => Some(sweep),
            _ => None,
        }
    }

    /// Passes the entries from `start` on, which compute the value anew: from `roots` among them, each with its seed.
    pub fn splice(&mut self, start: u32, roots: &[(Handle, Handle)]) -> Result<()> {
        let row = match &mut self.sink {
            Sink::Sweep(sweep) => return sweep.splice(start, roots),
            Sink::Row(row) => row,
        };
        let needed: SmallVec<[usize; 4]> = (0..self.operands.len()).filter(|&k| row.needs[k]).collect();
        let wanted = tape::with(|tape| {
            Ok(needed.iter().map(|&k| tape.handle(self.operands[k])).collect::<SmallVec<[Handle; 4]>>())
        })?;
        let mut seeds = SmallVec::<[(Handle, Handle); 4]>::new();
        for &(root, seed) in roots {
            seeds.push((root, TensorBase::<E>::from_handle(seed).try_unsqueeze(0)?.handle()));
        }
        let found = capture_many(&seeds, &wanted, 1, start)?;
        for (k, found) in needed.into_iter().zip(found) {
            if let Some(found) = found {
                add(&mut row.found[k], TensorBase::<E>::from_handle(found).try_select(0, 0)?)?;
            }
        }
        Ok(())
    }

    /// Adds `value`, of operand `k`'s shape, to that operand's gradient.
    pub fn add(&mut self, k: usize, value: TensorBase<E>) -> Result<()> {
        self.add_other(k, value)
    }

    /// As [`Self::add`], for an operand of another float type.
    pub fn add_other<F: FloatElement>(&mut self, k: usize, value: TensorBase<F>) -> Result<()> {
        debug_assert_eq!(value.shape(), self.shape(k)?, "a gradient has the shape of its operand");
        match &mut self.sink {
            Sink::Sweep(sweep) => sweep.add(self.operands[k], value),
            Sink::Row(row) => add(&mut row.found[k], value),
        }
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
        let Some(sweep) = self.plain_sweep() else { return self.add(k, whole()?) };
        tape::with(|tape| {
            let (target, first) = sweep.target::<E>(tape, operand)?;
            lend(tape, target, |out: &mut [E], tape| {
                if first {
                    out.fill(E::default());
                }
                add(tape, out);
            });
            Ok(())
        })
    }

    /// Adds `a b` to operand `k`'s gradient, summed over the dimensions that the operand does not have. A plain sweep multiplies
    /// straight into a gradient of as many elements.
    pub fn add_product(&mut self, k: usize, a: TensorBase<E>, b: TensorBase<E>) -> Result<()> {
        let operand = self.operands[k];
        let fits = tape::with(|tape| {
            let (a, b) = (tape.locate(a.handle())?, tape.locate(b.handle())?);
            let product = matmul::product_shape(tape.layout(a).shape(), tape.layout(b).shape())?;
            Ok(product.numel() == tape.layout(operand).numel())
        })?;
        match self.plain_sweep() {
            Some(sweep) if fits => tape::with(|tape| {
                let (target, first) = sweep.target::<E>(tape, operand)?;
                matmul::multiply_into::<E>(tape, a.handle(), b.handle(), target, first)
            }),
            _ => {
                let (product, shape) = (a.try_matmul(b)?, self.shape(k)?);
                self.add(k, if fits { product.try_reshape(shape)? } else { product.try_sum_to(&shape)? })
            }
        }
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
