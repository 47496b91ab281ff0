//! Padding, repetition, rolling and reversal: each coordinate of the result shows a coordinate of the operand.

use smallvec::SmallVec;
use wengert_kernels::remap::{Axis, Rule, remap, remap_add};

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{IntoDimList, IntoDims, IntoShape, Layout, MAX_RANK, Shape, wrap_dim};
use crate::tensor::TensorBase;

/// What the axes show of operand 0, and operand 1, a number, where they show nothing (zero if there is none).
pub(crate) struct Remap;

/// The adjoint of [`Remap`]: each element added to the one that it shows.
pub(crate) struct RemapAdd;

/// One axis per dimension of the result.
#[derive(Clone, Copy)]
pub(crate) struct Axes {
    axes: [Axis; MAX_RANK],
    rank: u8,
    /// The shape of operand and result, where the one axis goes through their flat elements.
    flat: Option<Layout>,
    /// By which method it was asked for, as print shows it.
    grad_fn: &'static str,
}

impl Axes {
    /// Axes that leave every dimension of `shape` as it is.
    fn same(shape: &[usize], grad_fn: &'static str) -> Self {
        let axes = std::array::from_fn(|d| Axis::same(shape.get(d).copied().unwrap_or(1)));
        Self { axes, rank: shape.len() as u8, flat: None, grad_fn }
    }

    fn get(&self) -> &[Axis] {
        &self.axes[..self.rank as usize]
    }

    fn source(&self) -> Shape {
        self.flat.map_or_else(|| self.get().iter().map(|axis| axis.from).collect(), |flat| Shape::of(flat.shape()))
    }

    fn result(&self) -> Shape {
        self.flat.map_or_else(|| self.get().iter().map(|axis| axis.to).collect(), |flat| Shape::of(flat.shape()))
    }
}

impl Operation for Remap {
    const OP: Structured = Structured::Remap;
    const NAME: &'static str = "pad";
    const GRAD_FN: &'static str = "ConstantPadNdBackward0";
    type Attrs = Axes;

    fn grad_fn(axes: &Axes) -> &'static str {
        axes.grad_fn
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("with a number", &[&[2, 3]], |x| x[0].pad([1, 0, -1, 2], PadMode::Constant(1.5))),
            Case::new("reflected", &[&[2, 4]], |x| x[0].pad([2, 3], PadMode::Reflect)),
            Case::new("replicated", &[&[2, 2, 3]], |x| x[0].pad([2, 1, 0, 3], PadMode::Replicate)),
            Case::new("circular", &[&[2, 4]], |x| x[0].pad([2, 3], PadMode::Circular)),
            Case::new("repeat", &[&[2, 3]], |x| x[0].repeat([2, 2, 1])),
            Case::new("repeat, more dimensions", &[&[3]], |x| x[0].repeat([2, 1, 2])),
            Case::new("flip", &[&[2, 3, 2]], |x| x[0].flip([0, -2])),
            Case::new("roll", &[&[2, 3]], |x| x[0].roll([1, -2], [0, 1])),
            Case::new("roll of a transpose, flat", &[&[2, 3]], |x| x[0].t().roll(4, ())),
        ]
    }
}

impl<E: Element> Compute<E> for Remap {
    fn output(_: &[&Layout], axes: &Axes) -> Result<Shape> {
        Ok(axes.result())
    }

    fn forward(inputs: &[Input<'_>], axes: &Axes, out: &mut [E]) {
        let fill = inputs.get(1).map_or(E::default(), |fill| fill.slice()[0]);
        remap(inputs[0].slice(), axes.get(), fill, out);
    }
}

impl<E: FloatElement> Derivative<E> for Remap {
    fn backward(cx: &mut Backward<'_, E>, axes: &Axes) -> Result<()> {
        let g = record::<RemapAdd, E>(&[cx.grad().try_contiguous()?.handle()], *axes)?;
        // `repeat` takes an operand of fewer dimensions than it names.
        cx.add(0, g.try_reshape(cx.shape(0)?)?)
    }

    fn tangent(cx: &Forward<E>, axes: &Axes) -> Result<TensorBase<E>> {
        remapped(cx.tangent_or_zeros(0)?, *axes)
    }
}

impl Operation for RemapAdd {
    const OP: Structured = Structured::RemapAdd;
    const NAME: &'static str = "pad_backward";
    const GRAD_FN: &'static str = "PadBackwardBackward0";
    type Attrs = Axes;

    fn cases() -> Vec<Case> {
        vec![Case::new("reflected", &[&[2, 5]], |x| {
            let mut axes = Axes::same(&[2, 3], Remap::GRAD_FN);
            axes.axes[1] = Axis { from: 3, to: 5, shift: -1, rule: Rule::Reflect };
            record::<RemapAdd, f64>(&[x[0].handle()], axes).expect("the axes' shape")
        })]
    }
}

impl<E: FloatElement> Compute<E> for RemapAdd {
    fn output(_: &[&Layout], axes: &Axes) -> Result<Shape> {
        Ok(axes.source())
    }

    fn forward(inputs: &[Input<'_>], axes: &Axes, out: &mut [E]) {
        out.fill(E::default());
        remap_add(inputs[0].slice(), axes.get(), out);
    }
}

impl<E: FloatElement> Derivative<E> for RemapAdd {
    fn backward(cx: &mut Backward<'_, E>, axes: &Axes) -> Result<()> {
        let g = remapped(cx.grad(), *axes)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, axes: &Axes) -> Result<TensorBase<E>> {
        record::<RemapAdd, E>(&[cx.tangent_or_zeros(0)?.try_contiguous()?.handle()], *axes)
    }
}

/// What `axes` show of `x`, and zero elsewhere.
fn remapped<E: Element>(x: TensorBase<E>, axes: Axes) -> Result<TensorBase<E>> {
    record::<Remap, E>(&[x.try_contiguous()?.handle()], axes)
}

/// What [`TensorBase::pad`] puts beside the elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode<E> {
    /// A number.
    Constant(E),
    /// The elements mirrored at the border, which is not repeated.
    Reflect,
    /// The nearest element.
    Replicate,
    /// The elements from the other end.
    Circular,
}

impl<E> PadMode<E> {
    /// The rule, and the names in print for 1, 2 and 3 padded dimensions.
    fn rule(&self) -> (Rule, [&'static str; 3]) {
        match self {
            Self::Constant(_) => (Rule::Fill, [Remap::GRAD_FN; 3]),
            Self::Reflect => {
                (Rule::Reflect, ["ReflectionPad1DBackward0", "ReflectionPad2DBackward0", "ReflectionPad3DBackward0"])
            }
            Self::Replicate => {
                (Rule::Clamp, ["ReplicationPad1DBackward0", "ReplicationPad2DBackward0", "ReplicationPad3DBackward0"])
            }
            // PyTorch writes the parts into a new tensor.
            Self::Circular => (Rule::Wrap, ["CopySlices"; 3]),
        }
    }
}

/// One padded dimension.
fn padded(rule: Rule, n: usize, [before, after]: [isize; 2]) -> Result<Axis> {
    let to = (n as isize).checked_add(before).and_then(|sum| sum.checked_add(after)).filter(|&to| to >= 0);
    let Some(to) = to else {
        return Err(error!(Shape, "pad: {before} and {after} elements more make a length of {n} negative"));
    };
    let reach = match rule {
        Rule::Reflect => n as isize - 1,
        Rule::Wrap => n as isize,
        _ if n == 0 && to > 0 && rule != Rule::Fill => -1,
        _ => isize::MAX,
    };
    if before.max(after) > reach {
        return Err(error!(
            Shape,
            "pad: {} elements can't be taken from a dimension of size {n}; at most {}",
            before.max(after),
            reach.max(0)
        ));
    }
    Ok(Axis { from: n, to: to as usize, shift: -before, rule })
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// Elements put beside those of the last dimensions: `padding` has two numbers per padded dimension, before and after, from the
        /// last dimension on. Negative numbers take elements away, before others are repeated. `PadMode::Reflect`, `Replicate` and `Circular` pad at most 3
        /// dimensions; the first by less than the length, the last by at most the length.
        ///
        /// ```
        /// # use wengert::{PadMode, Tensor};
        /// let x = Tensor::new([1.0, 2.0, 3.0]);
        /// assert_eq!(x.pad([1, 2], PadMode::Constant(0.0)).to_vec(), [0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
        /// assert_eq!(x.pad([1, 2], PadMode::Reflect).to_vec(), [2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        /// ```
        pub fn pad | try_pad<P: IntoDimList>(self, padding: P, mode: PadMode<E>) -> TensorBase<E> {
            let (shape, padding) = (self.try_shape()?, padding.into_dim_list());
            let (rule, names) = mode.rule();
            let count = padding.len() / 2;
            let most = if let PadMode::Constant(_) = mode { shape.len() } else { shape.len().min(3) };
            let least = usize::from(rule != Rule::Fill);
            if padding.len() % 2 != 0 || count > most || count < least {
                return Err(error!(
                    Shape,
                    "pad: {padding:?} does not fit shape {shape:?}: it needs two numbers for each of {least} to {most} dimensions"
                ));
            }
            if rule == Rule::Wrap && padding.iter().any(|&n| n < 0) {
                // What goes is not what comes round, as in PyTorch.
                let cut: SmallVec<[isize; 6]> = padding.iter().map(|&n| n.min(0)).collect();
                let rest: SmallVec<[isize; 6]> = padding.iter().map(|&n| n.max(0)).collect();
                return self.try_pad(&cut[..], PadMode::Replicate)?.try_pad(&rest[..], mode);
            }
            let mut axes = Axes::same(&shape, names[count.clamp(1, 3) - 1]);
            for (k, pair) in padding.chunks_exact(2).enumerate() {
                let dim = shape.len() - 1 - k;
                axes.axes[dim] = padded(rule, shape[dim], [pair[0], pair[1]])?;
            }
            Shape::new("pad", &axes.result())?;
            let x = self.try_contiguous()?;
            match mode {
                PadMode::Constant(value) => record::<Remap, E>(&[x.handle(), TensorBase::try_scalar(value)?.handle()], axes),
                _ => remapped(x, axes),
            }
        }

        /// Copies of this tensor side by side: `repeats` counts them per dimension, and may have more dimensions in front.
        pub fn repeat | try_repeat<R: IntoShape>(self, repeats: R) -> TensorBase<E> {
            let (own, repeats) = (self.try_shape()?, repeats.into_dims());
            let Some(lead) = repeats.len().checked_sub(own.len()) else {
                return Err(error!(Shape, "repeat: {repeats:?} has fewer numbers than shape {own:?} has dimensions"));
            };
            let length = |d: usize| if d < lead { 1 } else { own[d - lead] };
            let lengths: Vec<usize> = repeats.iter().enumerate().map(|(d, n)| n.saturating_mul(length(d))).collect();
            let shape = Shape::new("repeat", &lengths)?;
            let mut axes = Axes::same(&shape, "RepeatBackward0");
            for (d, axis) in axes.axes.iter_mut().enumerate().take(shape.len()) {
                *axis = Axis { from: length(d), to: shape[d], shift: 0, rule: Rule::Wrap };
            }
            remapped(self, axes)
        }

        /// A copy in reverse order along `dims`.
        pub fn flip | try_flip<D: IntoDimList>(self, dims: D) -> TensorBase<E> {
            let (shape, dims) = (self.try_shape()?, dims.into_dim_list());
            let mut axes = Axes::same(&shape, "FlipBackward0");
            if dims.is_empty() {
                return remapped(self, axes);
            }
            let set = (&dims[..]).into_dim_set("flip", shape.len())?;
            for d in (0..shape.len()).filter(|&d| set.contains(d)) {
                axes.axes[d].rule = Rule::Reverse;
            }
            remapped(self, axes)
        }

        /// A copy with the elements moved by `shifts` along `dims`, one for each; those that leave at the end come in at the start.
        /// With `()` as `dims` by one shift through the flat elements.
        pub fn roll | try_roll<S: IntoDimList, D: IntoDimList>(self, shifts: S, dims: D) -> TensorBase<E> {
            let (shape, shifts, dims) = (self.try_shape()?, shifts.into_dim_list(), dims.into_dim_list());
            let name = "RollBackward0";
            if dims.is_empty() && shifts.len() == 1 {
                let mut axes = Axes { flat: Some(Layout::contiguous(&shape)), ..Axes::same(&[shape.numel()], name) };
                axes.axes[0] = rolled(shape.numel(), shifts[0]);
                return remapped(self, axes);
            }
            if shifts.len() != dims.len() {
                return Err(error!(Dim, "roll: shifts {shifts:?} and dimensions {dims:?} are not as many; each shift needs its dimension"));
            }
            let mut axes = Axes::same(&shape, name);
            for (&shift, &dim) in shifts.iter().zip(&dims) {
                let dim = wrap_dim("roll", dim, shape.len())?;
                if let Some(&n) = shape.get(dim) {
                    axes.axes[dim] = rolled(n, turns(n, shift) - axes.axes[dim].shift);
                }
            }
            remapped(self, axes)
        }
    }
}

/// A rolled dimension.
fn rolled(n: usize, shift: isize) -> Axis {
    Axis { from: n, to: n, shift: -turns(n, shift), rule: Rule::Wrap }
}

/// What is left of a shift without whole lengths.
fn turns(n: usize, shift: isize) -> isize {
    shift.checked_rem(n as isize).unwrap_or(0)
}
