//! Another order of the dimensions.

use smallvec::SmallVec;

use super::super::{Case, Derivative, Operation, Structured, View, record_view};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{IntoDimList, Layout, MAX_RANK, wrap_dim};
use crate::tensor::TensorBase;

/// Result dimension `d` is operand dimension `order[d]`.
pub(crate) struct Permute;

/// The order.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    dims: [u8; MAX_RANK],
    /// By which method it was asked for, as print shows it.
    grad_fn: &'static str,
}

impl Order {
    /// The order that undoes this one of `rank` dimensions.
    fn inverse(&self, rank: usize) -> Self {
        let mut dims = [0; MAX_RANK];
        for (d, &from) in self.dims.iter().enumerate().take(rank) {
            dims[from as usize] = d as u8;
        }
        Self { dims, ..*self }
    }

    /// The same order of dimensions after one more leading one, which stays.
    fn later(&self) -> Self {
        let dims = std::array::from_fn(|d| if d == 0 { 0 } else { self.dims[d - 1] + 1 });
        Self { dims, ..*self }
    }
}

impl Operation for Permute {
    const OP: Structured = Structured::Permute;
    const NAME: &'static str = "permute";
    const GRAD_FN: &'static str = "PermuteBackward0";
    type Attrs = Order;

    fn grad_fn(order: &Order) -> &'static str {
        order.grad_fn
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("three dimensions", &[&[2, 3, 4]], |x| x[0].permute([2, 0, 1])),
            Case::new("movedim", &[&[2, 3, 4]], |x| x[0].movedim([0, 1], [2, 0])),
            Case::new("transpose", &[&[2, 3]], |x| x[0].t()),
        ]
    }
}

impl View for Permute {
    fn layout(input: &Layout, order: &Order) -> Result<Layout> {
        let rank = input.rank();
        let pick = |of: &[usize]| -> [usize; MAX_RANK] {
            std::array::from_fn(|d| if d < rank { of[order.dims[d] as usize] } else { 0 })
        };
        let (shape, strides) = (pick(input.shape()), pick(input.strides()));
        Ok(Layout::strided(&shape[..rank], &strides[..rank], input.offset()))
    }
}

impl<E: FloatElement> Derivative<E> for Permute {
    fn backward(cx: &mut Backward<'_, E>, order: &Order) -> Result<()> {
        let g = record_view::<Permute, E>(cx.grad(), order.inverse(cx.shape(0)?.len()))?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, order: &Order) -> Result<TensorBase<E>> {
        record_view::<Permute, E>(cx.tangent_or_zeros(0)?, *order)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, order: &Order) -> Result<bool> {
        let g = record_view::<Permute, E>(cx.grads(), order.inverse(cx.shape(0)?.len()).later())?;
        cx.add(0, g)?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, order: &Order) -> Result<Option<TensorBase<E>>> {
        record_view::<Permute, E>(cx.tangents_or_zeros(0)?, order.later()).map(Some)
    }
}

/// The identity order with two dimensions exchanged.
fn exchanged(a: usize, b: usize, grad_fn: &'static str) -> Order {
    let mut dims = std::array::from_fn(|d| d as u8);
    dims.swap(a, b);
    Order { dims, grad_fn }
}

/// The dimensions by number, each named once.
fn wrap_each(dims: &[isize], rank: usize) -> Result<SmallVec<[usize; MAX_RANK]>> {
    let mut wrapped = SmallVec::new();
    for &given in dims {
        let dim = wrap_dim("movedim", given, rank)?;
        if wrapped.contains(&dim) {
            return Err(error!(Dim, "movedim: dimension {given} is named twice in {dims:?}"));
        }
        // A tensor of rank 0 has a dimension 0 by name only.
        if rank > 0 {
            wrapped.push(dim);
        }
    }
    Ok(wrapped)
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// A view with the dimensions in the order `dims`, which names each once.
        pub fn permute | try_permute<D: AsRef<[isize]>>(self, dims: D) -> TensorBase<E> {
            let (dims, rank) = (dims.as_ref(), self.try_shape()?.len());
            let mut order: [u8; MAX_RANK] = std::array::from_fn(|d| d as u8);
            let mut seen = [false; MAX_RANK];
            for (d, &given) in dims.iter().enumerate().take(MAX_RANK) {
                let dim = wrap_dim("permute", given, rank)?;
                order[d] = dim as u8;
                seen[dim] = true;
            }
            if dims.len() != rank || seen[..rank].contains(&false) {
                return Err(error!(
                    Dim,
                    "permute: {dims:?} does not name each of the {rank} dimensions of shape {:?} once",
                    self.shape()
                ));
            }
            record_view::<Permute, E>(self, Order { dims: order, grad_fn: Permute::GRAD_FN })
        }

        /// A view in which the dimensions `source` (one number, an array) are at the places `destination`; the others keep their
        /// order.
        pub fn movedim | try_movedim<S: IntoDimList, D: IntoDimList>(self, source: S, destination: D) -> TensorBase<E> {
            let rank = self.try_shape()?.len();
            let (source, destination) = (source.into_dim_list(), destination.into_dim_list());
            let (from, to) = (wrap_each(&source, rank)?, wrap_each(&destination, rank)?);
            if from.len() != to.len() {
                return Err(error!(
                    Dim,
                    "movedim: {source:?} and {destination:?} name different numbers of dimensions; each source needs a place"
                ));
            }
            let mut rest = (0..rank).filter(|d| !from.contains(d));
            let dims: SmallVec<[isize; MAX_RANK]> = (0..rank)
                .map(|d| match to.iter().position(|&place| place == d) {
                    Some(k) => from[k] as isize,
                    None => rest.next().expect("as many dimensions stay as places") as isize,
                })
                .collect();
            self.try_permute(&dims[..])
        }

        /// A view with two dimensions exchanged.
        pub fn transpose | try_transpose(self, dim0: isize, dim1: isize) -> TensorBase<E> {
            let rank = self.try_shape()?.len();
            let (a, b) = (wrap_dim("transpose", dim0, rank)?, wrap_dim("transpose", dim1, rank)?);
            record_view::<Permute, E>(self, exchanged(a, b, "TransposeBackward0"))
        }

        /// The transpose of a matrix; tensors of rank 0 and 1 stay as they are.
        pub fn t | try_t(self) -> TensorBase<E> {
            match self.try_shape()?.len() {
                0 | 1 => record_view::<Permute, E>(self, exchanged(0, 0, "TBackward0")),
                2 => record_view::<Permute, E>(self, exchanged(0, 1, "TBackward0")),
                rank => Err(error!(Shape, "t: a tensor of {rank} dimensions is no matrix; use `transpose`")),
            }
        }
    }
}
