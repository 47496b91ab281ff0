//! Convolutions in one and two dimensions, and their two adjoints, which are operations too.
//!
//! The three are bilinear, and every derivative of one is another of them, so that any order of derivative is fused.

use smallvec::SmallVec;
use wengert_kernels::conv as kernels;
use wengert_kernels::window::Window;

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::window::places;
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tape::Handle;
use crate::tape::profile;
use crate::tensor::TensorBase;

/// How [`TensorBase::conv1d`] moves its window.
#[derive(Clone, Copy, Debug)]
pub struct Conv1d<E: FloatElement> {
    /// A number per output channel, which is added.
    pub bias: Option<TensorBase<E>>,
    /// How far the window moves.
    pub stride: usize,
    /// Zeros on both sides.
    pub padding: usize,
    /// How far apart the taps are.
    pub dilation: usize,
    /// Groups that the channels are divided into; each output channel sees those of its group.
    pub groups: usize,
}

impl<E: FloatElement> Default for Conv1d<E> {
    fn default() -> Self {
        Self { bias: None, stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// How [`TensorBase::conv2d`] moves its window; each pair is `[rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<E: FloatElement> {
    /// A number per output channel, which is added.
    pub bias: Option<TensorBase<E>>,
    /// How far the window moves.
    pub stride: [usize; 2],
    /// Zeros on all sides.
    pub padding: [usize; 2],
    /// How far apart the taps are.
    pub dilation: [usize; 2],
    /// Groups that the channels are divided into; each output channel sees those of its group.
    pub groups: usize,
}

impl<E: FloatElement> Default for Conv2d<E> {
    fn default() -> Self {
        Self { bias: None, stride: [1; 2], padding: [0; 2], dilation: [1; 2], groups: 1 }
    }
}

/// The convolution of operands `x`, `w` and, if there is one, the bias.
pub(crate) struct Conv;

/// The gradient of `x`, of the value's gradient and `w`.
pub(crate) struct ConvInput;

/// The gradient of `w`, of `x` and the value's gradient.
pub(crate) struct ConvWeight;

/// The sizes, and which of the dimensions there are.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    conv: kernels::Conv,
    /// 1 or 2; of one dimension, the kernels see one row.
    spatial: usize,
    batched: bool,
    bias: bool,
}

impl Geometry {
    fn image(&self, channels: usize, plane: [usize; 2]) -> Shape {
        let images = self.batched.then_some(self.conv.images);
        images.into_iter().chain([channels]).chain(plane[2 - self.spatial..].iter().copied()).collect()
    }

    fn x(&self) -> Shape {
        self.image(self.conv.groups * self.conv.inputs, self.conv.window.input)
    }

    fn y(&self) -> Shape {
        self.image(self.conv.groups * self.conv.outputs, self.conv.window.output)
    }

    fn w(&self) -> Shape {
        let channels = [self.conv.groups * self.conv.outputs, self.conv.inputs];
        channels.into_iter().chain(self.conv.window.kernel[2 - self.spatial..].iter().copied()).collect()
    }

    /// The dimensions of the value that the bias is the same along.
    fn beside_channels(&self) -> SmallVec<[isize; 3]> {
        let channel = isize::from(self.batched);
        (0..=channel + self.spatial as isize).filter(|&d| d != channel).collect()
    }
}

/// Stamps one of the three: names, operands, kernel and its result's shape.
macro_rules! operations {
    ($($rule:ident $name:literal $grad_fn:literal $shape:ident $kernel:expr, $cases:expr;)+) => { $(
        impl Operation for $rule {
            const OP: Structured = Structured::$rule;
            const NAME: &'static str = $name;
            const GRAD_FN: &'static str = $grad_fn;
            type Attrs = Geometry;

            fn grad_fn(geometry: &Geometry) -> &'static str {
                if geometry.batched { $grad_fn } else { "SqueezeBackward1" }
            }

            fn cases() -> Vec<Case> {
                $cases
            }
        }

        impl<E: FloatElement> Compute<E> for $rule {
            fn output(_: &[&Layout], geometry: &Geometry) -> Result<Shape> {
                Ok(geometry.$shape())
            }

            fn forward(inputs: &[Input<'_>], geometry: &Geometry, out: &mut [E]) {
                profile::count_flops(geometry.conv.flops());
                $kernel(&geometry.conv, inputs, out);
            }
        }
    )+ };
}
operations! {
    Conv "conv2d" "ConvolutionBackward0" y |conv: &_, inputs: &[Input<'_>], out: &mut [E]| {
        let bias = inputs.get(2).map(|bias| bias.slice());
        kernels::forward(conv, inputs[0].slice(), inputs[1].slice(), bias, out);
    }, vec![
        Case::new("with a bias", &[&[2, 2, 3, 4], &[3, 2, 2, 2], &[3]], |x| {
            x[0].conv2d(x[1], Conv2d { bias: Some(x[2]), ..Default::default() })
        }),
        Case::new("strided, padded, dilated", &[&[1, 1, 5, 5], &[2, 1, 2, 3]], |x| {
            x[0].conv2d(x[1], Conv2d { stride: [2, 1], padding: [1, 2], dilation: [1, 2], ..Default::default() })
        }),
        Case::new("groups", &[&[2, 4, 3, 3], &[2, 2, 2, 2], &[2]], |x| {
            x[0].conv2d(x[1], Conv2d { bias: Some(x[2]), groups: 2, ..Default::default() })
        }),
        Case::new("one image, one tap", &[&[2, 3, 2], &[3, 2, 1, 1]], |x| x[0].conv2d(x[1], Conv2d::default())),
        Case::new("one dimension", &[&[2, 2, 5], &[3, 2, 3], &[3]], |x| {
            x[0].conv1d(x[1], Conv1d { bias: Some(x[2]), stride: 2, padding: 1, ..Default::default() })
        }),
    ];
    ConvInput "conv2d_input" "ConvolutionBackwardBackward0" x |conv: &_, inputs: &[Input<'_>], out: &mut [E]| {
        kernels::input_gradient(conv, inputs[0].slice(), inputs[1].slice(), out);
    }, vec![
        Case::new("strided, padded", &[&[2, 3, 2, 2], &[3, 2, 2, 2]], |x| {
            let options = Conv2d::<f64> { stride: [2, 2], padding: [1, 1], ..Default::default() };
            let geometry = geometry("conv2d", &[2, 2, 2, 3], &[3, 2, 2, 2], &options, 2).expect("shapes that fit");
            record::<ConvInput, f64>(&[x[0].handle(), x[1].handle()], geometry).expect("shapes that fit")
        }),
    ];
    ConvWeight "conv2d_weight" "ConvolutionBackwardBackward0" w |conv: &_, inputs: &[Input<'_>], out: &mut [E]| {
        kernels::weight_gradient(conv, inputs[0].slice(), inputs[1].slice(), out);
    }, vec![
        Case::new("strided, padded", &[&[2, 2, 2, 3], &[2, 3, 2, 2]], |x| {
            let options = Conv2d::<f64> { stride: [2, 2], padding: [1, 1], ..Default::default() };
            let geometry = geometry("conv2d", &[2, 2, 2, 3], &[3, 2, 2, 2], &options, 2).expect("shapes that fit");
            record::<ConvWeight, f64>(&[x[0].handle(), x[1].handle()], geometry).expect("shapes that fit")
        }),
    ];
}

/// Records one of the three on contiguous operands, without a bias.
fn product<R: Compute<E> + Operation<Attrs = Geometry>, E: FloatElement>(
    a: TensorBase<E>,
    b: TensorBase<E>,
    geometry: &Geometry,
) -> Result<TensorBase<E>> {
    let operands = [a.try_contiguous()?.handle(), b.try_contiguous()?.handle()];
    record::<R, E>(&operands, Geometry { bias: false, ..*geometry })
}

/// The tangent of one of the three: the product with each tangent in turn.
fn product_tangent<R: Compute<E> + Operation<Attrs = Geometry>, E: FloatElement>(
    cx: &Forward<E>,
    geometry: &Geometry,
) -> Result<[Option<Result<TensorBase<E>>>; 2]> {
    let (a, b) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
    let of_a = cx.tangent(0).map(|da| product::<R, E>(da, b, geometry));
    let of_b = cx.tangent(1).map(|db| product::<R, E>(a, db, geometry));
    Ok([of_a, of_b])
}

impl<E: FloatElement> Derivative<E> for Conv {
    fn backward(cx: &mut Backward<'_, E>, geometry: &Geometry) -> Result<()> {
        let g = cx.grad();
        if cx.needs(0) {
            cx.add(0, product::<ConvInput, E>(g, cx.operand(1)?, geometry)?)?;
        }
        if cx.needs(1) {
            cx.add(1, product::<ConvWeight, E>(cx.operand(0)?, g, geometry)?)?;
        }
        if geometry.bias && cx.needs(2) {
            cx.add(2, g.try_sum_dims(&geometry.beside_channels()[..], false)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, geometry: &Geometry) -> Result<TensorBase<E>> {
        let products = product_tangent::<Conv, E>(cx, geometry)?;
        let bias = if geometry.bias { cx.tangent(2) } else { None };
        let of_bias = bias.map(|db| {
            let channels = db.try_shape()?[0];
            let ones = (0..geometry.spatial).map(|_| 1);
            db.try_reshape([channels].into_iter().chain(ones).collect::<Shape>())?.try_expand(geometry.y())
        });
        cx.sum(products.into_iter().flatten().chain(of_bias))
    }
}

impl<E: FloatElement> Derivative<E> for ConvInput {
    fn backward(cx: &mut Backward<'_, E>, geometry: &Geometry) -> Result<()> {
        let h = cx.grad();
        if cx.needs(0) {
            cx.add(0, product::<Conv, E>(h, cx.operand(1)?, geometry)?)?;
        }
        if cx.needs(1) {
            cx.add(1, product::<ConvWeight, E>(h, cx.operand(0)?, geometry)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, geometry: &Geometry) -> Result<TensorBase<E>> {
        cx.sum(product_tangent::<ConvInput, E>(cx, geometry)?.into_iter().flatten())
    }
}

impl<E: FloatElement> Derivative<E> for ConvWeight {
    fn backward(cx: &mut Backward<'_, E>, geometry: &Geometry) -> Result<()> {
        let h = cx.grad();
        if cx.needs(0) {
            cx.add(0, product::<ConvInput, E>(cx.operand(1)?, h, geometry)?)?;
        }
        if cx.needs(1) {
            cx.add(1, product::<Conv, E>(cx.operand(0)?, h, geometry)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, geometry: &Geometry) -> Result<TensorBase<E>> {
        cx.sum(product_tangent::<ConvWeight, E>(cx, geometry)?.into_iter().flatten())
    }
}

/// The sizes of a convolution of `x` and `w` over `spatial` dimensions.
fn geometry<E: FloatElement>(
    op: &str,
    x: &[usize],
    w: &[usize],
    options: &Conv2d<E>,
    spatial: usize,
) -> Result<Geometry> {
    let batched = x.len() == spatial + 2;
    if !(batched || x.len() == spatial + 1) || w.len() != spatial + 2 {
        return Err(error!(
            Shape,
            "{op}: shapes {x:?} and {w:?} do not fit: the operand needs {} dimensions, or {} with a batch, the weight {}",
            spatial + 1,
            spatial + 2,
            spatial + 2
        ));
    }
    let (lead, plane) = x.split_at(x.len() - spatial);
    let (channels, kernel) = w.split_at(2);
    let (&[.., inputs], &[outputs, own], groups) = (lead, channels, options.groups) else {
        unreachable!("both have channels")
    };
    // Groups may be any number, and a product beyond what fits is not the channels' number.
    let needed = own.saturating_mul(groups);
    if groups == 0 || outputs % groups != 0 || inputs != needed {
        return Err(error!(
            Shape,
            "{op}: shapes {x:?} and {w:?} do not fit: with {groups} groups, a weight of {own} channels each needs {needed} input \
             channels and a multiple of {groups} output channels, not {inputs} and {outputs}"
        ));
    }
    let pair = |lengths: &[usize]| if let &[columns] = lengths { [1, columns] } else { [lengths[0], lengths[1]] };
    let mut window = Window {
        input: pair(plane),
        output: [0; 2],
        kernel: pair(kernel),
        stride: options.stride,
        padding: options.padding,
        dilation: options.dilation,
    };
    window.output = places(op, &window, false)?;
    let images = if batched { lead[0] } else { 1 };
    let conv = kernels::Conv { images, groups, inputs: own, outputs: outputs / groups, window };
    let geometry = Geometry { conv, spatial, batched, bias: options.bias.is_some() };
    match options.bias.map(|bias| bias.try_shape()).transpose()? {
        Some(bias) if bias != [outputs] => {
            Err(error!(Shape, "{op}: the bias has shape {bias:?}; expected [{outputs}], one per output channel"))
        }
        _ => Ok(geometry),
    }
}

fn convolve<E: FloatElement>(
    op: &str,
    x: TensorBase<E>,
    w: TensorBase<E>,
    options: &Conv2d<E>,
    spatial: usize,
) -> Result<TensorBase<E>> {
    let geometry = geometry(op, &x.try_shape()?, &w.try_shape()?, options, spatial)?;
    let mut operands =
        SmallVec::<[Handle; 3]>::from_slice(&[x.try_contiguous()?.handle(), w.try_contiguous()?.handle()]);
    if let Some(bias) = options.bias {
        operands.push(bias.try_contiguous()?.handle());
    }
    record::<Conv, E>(&operands, geometry)
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The convolution (in networks' sense: without flipping the weight) of `[channels, length]` or a batch of them with
        /// `weight` of shape `[outputs, channels / groups, taps]`.
        pub fn conv1d | try_conv1d(self, weight: TensorBase<E>, options: Conv1d<E>) -> TensorBase<E> {
            let Conv1d { bias, stride, padding, dilation, groups } = options;
            let options = Conv2d { bias, stride: [1, stride], padding: [0, padding], dilation: [1, dilation], groups };
            convolve("conv1d", self, weight, &options, 1)
        }

        /// The convolution (in networks' sense: without flipping the weight) of `[channels, rows, columns]` or a batch of them with
        /// `weight` of shape `[outputs, channels / groups, rows, columns]`.
        ///
        /// ```
        /// # use wengert::{options::Conv2d, Tensor};
        /// let (images, weight) = (Tensor::ones([4, 1, 8, 8]), Tensor::ones([6, 1, 5, 5]));
        /// let y = images.conv2d(weight, Conv2d { padding: [2, 2], ..Default::default() });
        /// assert_eq!(y.shape(), [4, 6, 8, 8]);
        /// ```
        pub fn conv2d | try_conv2d(self, weight: TensorBase<E>, options: Conv2d<E>) -> TensorBase<E> {
            convolve("conv2d", self, weight, &options, 2)
        }
    }
}
