//! Elements written to, or added at, places that an index names.

use smallvec::SmallVec;
use wengert_kernels::index;
use wengert_kernels::strided::pack;

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::gather::{gathered, places_along, places_of_slices};
use super::places::Places;
use super::{IntoSource, Source};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, filled, twins};
use crate::shape::{Layout, Shape, broadcast};
use crate::tape::Handle;
use crate::tensor::{IndexTensor, TensorBase};

/// Operand 2, or zeros if there is none, with the elements of operand 1 added at the places that operand 0 names.
pub(crate) struct ScatterAdd;

/// Operand 0 with the elements of operand 2 written to the places that operand 1 names; of several for one place the last stays,
/// and alone gets a gradient.
pub(crate) struct Scatter;

fn ids<const N: usize>(ids: [i64; N]) -> IndexTensor {
    IndexTensor::new(ids)
}

impl Operation for ScatterAdd {
    const OP: Structured = Structured::ScatterAdd;
    const NAME: &'static str = "scatter_add";
    const GRAD_FN: &'static str = "ScatterAddBackward0";
    type Attrs = Places;

    fn grad_fn(places: &Places) -> &'static str {
        places.grad_fn
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("repeated", &[&[2, 3], &[2, 3]], |x| {
                x[0].scatter_add(1, IndexTensor::new([[0, 0, 2], [1, 1, 1]]), x[1])
            }),
            Case::new("index_add", &[&[2, 3], &[2, 4]], |x| x[0].index_add(1, ids([2, 2, 0, 1]), x[1], 0.5)),
            Case::new("index_put, accumulated", &[&[2, 3], &[]], |x| {
                x[0].index_put(&[ids([0, 1, 0]), ids([2, 0, 2])], x[1], true)
            }),
            Case::new("onto zeros", &[&[3]], |x| {
                onto_zeros(x[0], ids([1, 0, 1]), Places::along(&[2], 0, &[3], Self::GRAD_FN)).expect("places inside")
            }),
        ]
    }
}

/// Adds `source` to `out` at `places`.
pub(crate) fn add_at<E: Element>(out: &mut [E], places: &Places, index: &Input<'_>, source: &Input<'_>) {
    let add = |to: &mut E, value: E| *to = to.plus(value);
    index::scatter_with(out, places.read(index), source.strided(), source.layout.strides(), add);
}

impl<E: Element> Compute<E> for ScatterAdd {
    fn output(_: &[&Layout], places: &Places) -> Result<Shape> {
        Ok(Shape::of(places.outer.shape()))
    }

    fn forward(inputs: &[Input<'_>], places: &Places, out: &mut [E]) {
        match inputs.get(2) {
            Some(onto) => pack(onto.strided(), onto.layout.shape(), onto.layout.strides(), 0, out),
            None => out.fill(E::default()),
        }
        add_at(out, places, &inputs[0], &inputs[1]);
    }
}

impl<E: FloatElement> Derivative<E> for ScatterAdd {
    fn backward(cx: &mut Backward<'_, E>, places: &Places) -> Result<()> {
        let g = cx.grad();
        if cx.needs(1) {
            cx.add(1, gathered(g, cx.operand(0)?, *places)?)?;
        }
        if cx.len() > 2 && cx.needs(2) {
            cx.add(2, g)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, places: &Places) -> Result<TensorBase<E>> {
        let onto = if cx.len() > 2 { Some(cx.tangent_or_zeros(2)?) } else { None };
        added(onto, cx.tangent_or_zeros(1)?, cx.operand(0)?, *places)
    }
}

impl Operation for Scatter {
    const OP: Structured = Structured::Scatter;
    const NAME: &'static str = "scatter";
    const GRAD_FN: &'static str = "ScatterBackward0";
    type Attrs = Places;

    fn grad_fn(places: &Places) -> &'static str {
        places.grad_fn
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("repeated", &[&[2, 3], &[2, 3]], |x| {
                x[0].scatter(1, IndexTensor::new([[0, 0, 2], [1, 1, 1]]), x[1])
            }),
            Case::new("part of a longer source", &[&[3, 2], &[2, 3]], |x| {
                x[0].scatter(0, IndexTensor::new([[2, 0]]), x[1].t())
            }),
            Case::new("a number", &[&[2, 3]], |x| x[0].scatter(1, IndexTensor::new([[0, 2], [1, 1]]), 1.5)),
            Case::new("index_put, repeated", &[&[3], &[4]], |x| x[0].index_put(&[ids([1, -2, 0, 1])], x[1], false)),
            Case::new("index_put of rows", &[&[3, 2], &[2]], |x| x[0].index_put(&[ids([2, 0])], x[1], false)),
        ]
    }
}

impl<E: Element> Compute<E> for Scatter {
    fn output(_: &[&Layout], places: &Places) -> Result<Shape> {
        Ok(Shape::of(places.outer.shape()))
    }

    fn forward(inputs: &[Input<'_>], places: &Places, out: &mut [E]) {
        let (onto, source) = (&inputs[0], &inputs[2]);
        pack(onto.strided(), onto.layout.shape(), onto.layout.strides(), 0, out);
        let put = |to: &mut E, value: E| *to = value;
        index::scatter_with(out, places.read(&inputs[1]), source.strided(), source.layout.strides(), put);
    }
}

impl<E: FloatElement> Derivative<E> for Scatter {
    fn backward(cx: &mut Backward<'_, E>, places: &Places) -> Result<()> {
        let (g, index) = (cx.grad(), cx.operand(1)?);
        if cx.needs(0) {
            let zeros = TensorBase::try_zeros(())?.try_expand(places.shape())?;
            cx.add(0, written(g, zeros, index, *places)?)?;
        }
        if cx.needs(2) {
            let lost = losers(index, *places)?;
            cx.add(2, gathered(g, index, *places)?.try_masked_fill(lost, E::default())?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, places: &Places) -> Result<TensorBase<E>> {
        written(cx.tangent_or_zeros(0)?, cx.tangent_or_zeros(2)?, cx.operand(1)?, *places)
    }
}

/// Which elements of a source are overwritten by a later one for the same place.
fn losers(index: IndexTensor, places: Places) -> Result<TensorBase<bool>> {
    let shape = places.shape();
    let order = IndexTensor::try_arange(0, shape.numel() as i64, 1)?.try_reshape(&shape)?;
    let nobody = IndexTensor::try_full(places.outer.shape(), -1)?;
    let winners = gathered(written(nobody, order, index, places)?, index, places)?;
    let lost: Vec<bool> = order.try_to_vec()?.into_iter().zip(winners.try_to_vec()?).map(|(a, b)| a != b).collect();
    TensorBase::try_from_slice(&lost, shape)
}

/// Zeros with `source` added at `places`: the adjoint of [`gathered`].
pub(crate) fn onto_zeros<E: FloatElement>(
    source: TensorBase<E>,
    index: IndexTensor,
    places: Places,
) -> Result<TensorBase<E>> {
    added(None, source, index, places)
}

fn added<E: Element>(
    onto: Option<TensorBase<E>>,
    source: TensorBase<E>,
    index: IndexTensor,
    places: Places,
) -> Result<TensorBase<E>> {
    let mut operands: SmallVec<[Handle; 3]> = SmallVec::new();
    operands.extend([index.try_contiguous()?.handle(), source.handle()]);
    operands.extend(onto.map(TensorBase::handle));
    record::<ScatterAdd, E>(&operands, places)
}

fn written<E: Element>(
    onto: TensorBase<E>,
    source: TensorBase<E>,
    index: IndexTensor,
    places: Places,
) -> Result<TensorBase<E>> {
    record::<Scatter, E>(&[onto.handle(), index.try_contiguous()?.handle(), source.handle()], places)
}

/// The part of `source` that an index of `shape` uses: its start along each dimension.
fn part<E: Element>(op: &str, source: TensorBase<E>, shape: &[usize]) -> Result<TensorBase<E>> {
    let own = source.try_shape()?;
    if own.len() != shape.len() || own.iter().zip(shape).any(|(n, m)| n < m) {
        return Err(error!(
            Shape,
            "{op}: a source of shape {own:?} does not fit an index of shape {shape:?}: it needs the same rank, and no \
             dimension may be shorter"
        ));
    }
    let mut part = source;
    for (d, &length) in shape.iter().enumerate().filter(|&(d, &length)| length < own[d]) {
        part = part.try_narrow(d as isize, 0, length)?;
    }
    Ok(part)
}

/// The indices of `index_put` as one: of the shape they broadcast to, it counts parts of a tensor of `shape`.
fn joint_index(op: &str, shape: &[usize], indices: &[IndexTensor]) -> Result<IndexTensor> {
    if indices.is_empty() || indices.len() > shape.len() {
        return Err(error!(
            Index,
            "{op}: {} indices do not fit a tensor of shape {shape:?}; at least one, and no more than its rank",
            indices.len()
        ));
    }
    let mut common = Shape::default();
    for index in indices {
        common = broadcast(op, &common, &index.try_shape()?)?;
    }
    let mut joint = filled(0, common.numel())?;
    for (dim, index) in indices.iter().enumerate() {
        let size = shape[dim] as i64;
        for (to, i) in joint.iter_mut().zip(index.stretched(&common)?.try_to_vec()?) {
            if i < -size || i >= size {
                return Err(error!(Index, "{op}: index {i} is out of range for dimension {dim} of size {size}"));
            }
            *to = *to * size + if i < 0 { i + size } else { i };
        }
    }
    IndexTensor::try_from_slice(&joint, common)
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// A copy in which, for each integer of `index`, the element at that position of `dim`, elsewhere at the integer's own
        /// coordinates, is that of `source`: `out[index[i][j]][j] = source[i][j]` for `dim` 0. `source` is a tensor at least
        /// as long as `index` in every dimension, or a number. Of several for one place the last stays, and alone gets a gradient.
        pub fn scatter | try_scatter<S: IntoSource<E>>(self, dim: isize, index: TensorBase<i64>, source: S) -> TensorBase<E> {
            let shape = index.try_shape()?;
            let (source, grad_fn) = match source.into_source() {
                Source::Tensor(source) => (part("scatter", source, &shape)?, Scatter::GRAD_FN),
                Source::Number(value) => (TensorBase::try_scalar(value)?.stretched(&shape)?, "ScatterBackward1"),
            };
            let places = places_along("scatter", &self.try_shape()?, dim, index, grad_fn)?;
            written(self, source, index, places)
        }

        /// A copy in which the elements of `source` are added where [`Self::scatter`] would write them.
        pub fn scatter_add | try_scatter_add(self, dim: isize, index: TensorBase<i64>, source: TensorBase<E>) -> TensorBase<E> {
            let op = "scatter_add";
            let source = part(op, source, &index.try_shape()?)?;
            let places = places_along(op, &self.try_shape()?, dim, index, ScatterAdd::GRAD_FN)?;
            added(Some(self), source, index, places)
        }

        /// A copy with `values` written to the places of `indices`: one index per leading dimension, which broadcast, and
        /// negative ones count from the end. `values`, a tensor or a number, broadcasts to the indices' shape followed by the
        /// dimensions that have none. Of several for one place the last stays, and alone gets a gradient; with `accumulate` they
        /// are added to what is there.
        pub fn index_put | try_index_put<S: IntoSource<E>>(self, indices: &[TensorBase<i64>], values: S, accumulate: bool) -> TensorBase<E> {
            let op = "index_put";
            let shape = self.try_shape()?;
            let index = joint_index(op, &shape, indices)?;
            Shape::new(op, &index.shape().iter().chain(&shape[indices.len()..]).copied().collect::<Vec<_>>())?;
            let places = Places::parts(&shape, indices.len(), &index.try_shape()?, "IndexPutBackward0");
            let values = match values.into_source() {
                Source::Tensor(values) => values,
                Source::Number(value) => TensorBase::try_scalar(value)?,
            };
            let (own, needed) = (values.try_shape()?, places.shape());
            if broadcast(op, &own, &needed)? != needed {
                return Err(error!(Shape, "{op}: values of shape {own:?} do not broadcast to the indexed shape {needed:?}"));
            }
            let values = values.stretched(&needed)?;
            if accumulate { added(Some(self), values, index, places) } else { written(self, values, index, places) }
        }
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// A copy in which `alpha` times the parts of `source` along `dim` are added to the parts at the positions `index`.
        pub fn index_add | try_index_add(self, dim: isize, index: TensorBase<i64>, source: TensorBase<E>, alpha: f64) -> TensorBase<E> {
            let op = "index_add";
            let places = places_of_slices(op, &self.try_shape()?, dim, index, "IndexAddBackward0")?;
            let (own, needed) = (source.try_shape()?, places.shape());
            if own != needed {
                return Err(error!(Shape, "{op}: a source of shape {own:?} does not fit the indexed shape {needed:?}; they must be equal"));
            }
            let source = if alpha == 1.0 { source } else { source.try_mul(alpha)? };
            added(Some(self), source, index, places)
        }
    }
}
