//! Pooling over planes.
//!
//! The largest elements are found as indices, which are kept in a leaf; values and gradients are moved by [`MaxPool2d`] and
//! [`MaxPoolBackward`], each the other's adjoint. So are [`AvgPool2d`] and [`AvgPoolBackward`].

use wengert_kernels::pool as kernels;
use wengert_kernels::window::Window;

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use super::window::{IntoPair, places};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tape::Handle;
use crate::tensor::{IndexTensor, TensorBase};

/// How [`TensorBase::max_pool2d_with`] moves its window; each pair is `[rows, columns]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaxPool {
    /// How far the window moves; `None` for as far as it is long.
    pub stride: Option<[usize; 2]>,
    /// How far it reaches over each edge, at most half of its length; what lies there is never the largest.
    pub padding: [usize; 2],
    /// How far apart the elements under it are; `None` for side by side.
    pub dilation: Option<[usize; 2]>,
    /// Whether what is left at the end of a row or column, too short for the window, has a place too.
    pub ceil_mode: bool,
}

/// How [`TensorBase::avg_pool2d_with`] moves its window and divides; each pair is `[rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool {
    /// How far the window moves; `None` for as far as it is long.
    pub stride: Option<[usize; 2]>,
    /// How far it reaches over each edge, at most half of its length, where it sees zeros.
    pub padding: [usize; 2],
    /// Whether what is left at the end of a row or column, too short for the window, has a place too.
    pub ceil_mode: bool,
    /// Whether these zeros count in the mean.
    pub count_include_pad: bool,
    /// What sums are divided by in place of the number of elements; not 0.
    pub divisor_override: Option<f64>,
}

impl Default for AvgPool {
    fn default() -> Self {
        Self { stride: None, padding: [0; 2], ceil_mode: false, count_include_pad: true, divisor_override: None }
    }
}

/// The elements of `x` at the indices of each plane, operand 1.
pub(crate) struct MaxPool2d;

/// Zeros with the elements of `g` added at the indices of each plane, operand 1.
pub(crate) struct MaxPoolBackward;

/// The means under the window.
pub(crate) struct AvgPool2d;

/// Every element, divided, under its window.
pub(crate) struct AvgPoolBackward;

/// The window, and what sums are divided by.
#[derive(Clone, Copy)]
pub(crate) struct Pool {
    window: Window,
    divisor: kernels::Divisor,
}

/// The planes' dimensions replaced.
fn with_plane(shape: &[usize], plane: [usize; 2]) -> Shape {
    shape[..shape.len() - 2].iter().copied().chain(plane).collect()
}

/// Stamps one of the four: names, the kernel and the plane that it makes.
macro_rules! operations {
    ($($rule:ident $name:literal $grad_fn:literal $plane:ident, $kernel:expr, $cases:expr;)+) => { $(
        impl Operation for $rule {
            const OP: Structured = Structured::$rule;
            const NAME: &'static str = $name;
            const GRAD_FN: &'static str = $grad_fn;
            type Attrs = Pool;

            fn cases() -> Vec<Case> {
                $cases
            }
        }

        impl<E: FloatElement> Compute<E> for $rule {
            fn output(inputs: &[&Layout], pool: &Pool) -> Result<Shape> {
                Ok(with_plane(inputs[0].shape(), pool.window.$plane))
            }

            fn forward(inputs: &[Input<'_>], pool: &Pool, out: &mut [E]) {
                $kernel(inputs, pool, out);
            }
        }
    )+ };
}
operations! {
    MaxPool2d "max_pool2d" "MaxPool2DWithIndicesBackward0" output, |inputs: &[Input<'_>], pool: &Pool, out: &mut [E]| {
        kernels::pick(inputs[0].slice(), inputs[1].slice(), &pool.window, out);
    }, vec![
        Case::new("side by side", &[&[2, 1, 4, 4]], |x| x[0].max_pool2d(2)),
        Case::new("with what is left", &[&[1, 5, 4]], |x| {
            x[0].max_pool2d_with(3, MaxPool { stride: Some([2, 2]), ceil_mode: true, ..Default::default() })
        }),
        Case::new("overlapping, padded", &[&[2, 5, 5]], |x| {
            x[0].max_pool2d_with(3, MaxPool { stride: Some([2, 1]), padding: [1, 0], ..Default::default() })
        }),
    ];
    MaxPoolBackward "max_pool2d_backward" "MaxPool2DWithIndicesBackwardBackward0" input,
    |inputs: &[Input<'_>], pool: &Pool, out: &mut [E]| {
        kernels::put_back(inputs[0].slice(), inputs[1].slice(), &pool.window, out);
    }, vec![
        Case::new("side by side", &[&[1, 2, 2]], |x| {
            let pool = max_pool("max_pool2d", &[1, 4, 4], [2, 2], MaxPool::default()).expect("a window that fits");
            let indices = IndexTensor::new([[[0, 6], [13, 10]]]);
            record::<MaxPoolBackward, f64>(&[x[0].handle(), indices.handle()], pool).expect("indices in the plane")
        }),
    ];
    AvgPool2d "avg_pool2d" "AvgPool2DBackward0" output, |inputs: &[Input<'_>], pool: &Pool, out: &mut [E]| {
        kernels::means(inputs[0].slice(), &pool.window, pool.divisor, out);
    }, vec![
        Case::new("side by side", &[&[2, 1, 4, 4]], |x| x[0].avg_pool2d(2)),
        Case::new("with what is left", &[&[1, 4, 5]], |x| {
            let padding = [1, 0];
            x[0].avg_pool2d_with([3, 2], AvgPool { stride: Some([2, 2]), padding, ceil_mode: true, ..Default::default() })
        }),
        Case::new("overlapping, without padding in the mean", &[&[2, 5, 5]], |x| {
            let padding = [1, 1];
            x[0].avg_pool2d_with(3, AvgPool { stride: Some([2, 1]), padding, count_include_pad: false, ..Default::default() })
        }),
    ];
    AvgPoolBackward "avg_pool2d_backward" "AvgPool2DBackwardBackward0" input,
    |inputs: &[Input<'_>], pool: &Pool, out: &mut [E]| {
        kernels::spread_means(inputs[0].slice(), &pool.window, pool.divisor, out);
    }, vec![
        Case::new("overlapping", &[&[1, 3, 3]], |x| {
            let options = AvgPool { stride: Some([1, 1]), ..Default::default() };
            let pool = avg_pool("avg_pool2d", &[1, 4, 4], [2, 2], options).expect("a window that fits");
            record::<AvgPoolBackward, f64>(&[x[0].handle()], pool).expect("a plane that fits")
        }),
    ];
}

/// Records `R` on `x` with the indices of operand 1.
fn moved<R, E>(x: TensorBase<E>, indices: IndexTensor, pool: &Pool) -> Result<TensorBase<E>>
where
    R: Compute<E> + Operation<Attrs = Pool>,
    E: FloatElement,
{
    record::<R, E>(&[x.try_contiguous()?.handle(), indices.handle()], *pool)
}

/// Stamps the derivatives of an operation that moves elements by indices, with its adjoint.
macro_rules! moves {
    ($($rule:ident $adjoint:ident;)+) => { $(
        impl<E: FloatElement> Derivative<E> for $rule {
            fn backward(cx: &mut Backward<'_, E>, pool: &Pool) -> Result<()> {
                cx.add(0, moved::<$adjoint, E>(cx.grad(), cx.operand(1)?, pool)?)
            }

            fn tangent(cx: &Forward<E>, pool: &Pool) -> Result<TensorBase<E>> {
                moved::<$rule, E>(cx.tangent_or_zeros(0)?, cx.operand(1)?, pool)
            }
        }
    )+ };
}
moves! {
    MaxPool2d MaxPoolBackward;
    MaxPoolBackward MaxPool2d;
}

/// Stamps the derivatives of a linear operation, with its adjoint.
macro_rules! linear {
    ($($rule:ident $adjoint:ident;)+) => { $(
        impl<E: FloatElement> Derivative<E> for $rule {
            fn backward(cx: &mut Backward<'_, E>, pool: &Pool) -> Result<()> {
                cx.add(0, record::<$adjoint, E>(&[cx.grad().try_contiguous()?.handle()], *pool)?)
            }

            fn tangent(cx: &Forward<E>, pool: &Pool) -> Result<TensorBase<E>> {
                record::<$rule, E>(&[cx.tangent_or_zeros(0)?.try_contiguous()?.handle()], *pool)
            }
        }
    )+ };
}
linear! {
    AvgPool2d AvgPoolBackward;
    AvgPoolBackward AvgPool2d;
}

/// A window of `kernel` over the planes of `shape`.
fn window(
    op: &str,
    shape: &[usize],
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil: bool,
) -> Result<Window> {
    let &[.., rows, columns] = shape else {
        return Err(error!(Shape, "{op}: a tensor of shape {shape:?} has no planes; expected [.., rows, columns]"));
    };
    if !(3..=4).contains(&shape.len()) {
        return Err(error!(
            Shape,
            "{op}: shape {shape:?} needs 3 dimensions, [channels, rows, columns], or 4 with a batch"
        ));
    }
    if padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2 {
        return Err(error!(Value, "{op}: padding {padding:?} is more than half of the kernel {kernel:?}"));
    }
    let stride = stride.unwrap_or(kernel);
    let mut window = Window { input: [rows, columns], output: [0; 2], kernel, stride, padding, dilation };
    window.output = places(op, &window, ceil)?;
    Shape::new(op, &with_plane(shape, window.output))?;
    Ok(window)
}

fn max_pool(op: &str, shape: &[usize], kernel: [usize; 2], options: MaxPool) -> Result<Pool> {
    let MaxPool { stride, padding, dilation, ceil_mode } = options;
    let window = window(op, shape, kernel, stride, padding, dilation.unwrap_or([1; 2]), ceil_mode)?;
    Ok(Pool { window, divisor: kernels::Divisor::Number(1.0) })
}

fn avg_pool(op: &str, shape: &[usize], kernel: [usize; 2], options: AvgPool) -> Result<Pool> {
    let window = window(op, shape, kernel, options.stride, options.padding, [1; 2], options.ceil_mode)?;
    let divisor = match options.divisor_override {
        Some(0.0) => return Err(error!(Value, "{op}: divisor_override is 0")),
        Some(number) => kernels::Divisor::Number(number),
        // What lies behind the padding never counts.
        None if options.count_include_pad && options.ceil_mode => kernels::Divisor::Padded,
        None if options.count_include_pad => kernels::Divisor::Number(window.taps() as f64),
        None => kernels::Divisor::Inside,
    };
    Ok(Pool { window, divisor })
}

/// The indices of the largest elements, each counted in its plane.
fn find_largest<E: FloatElement>(x: Handle, shape: &[usize], pool: &Pool) -> Result<IndexTensor> {
    compute_leaf(&[x], &with_plane(shape, pool.window.output), |inputs, out| {
        kernels::max_indices(inputs[0].slice::<E>(), &pool.window, out);
        Ok(())
    })
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The largest element of each `kernel` (`[rows, columns]`, or one number for both) of planes `[.., channels, rows,
        /// columns]`, side by side. The gradient goes to the first of equals.
        pub fn max_pool2d | try_max_pool2d<K: IntoPair>(self, kernel: K) -> TensorBase<E> {
            self.try_max_pool2d_with(kernel, MaxPool::default())
        }

        /// [`Self::max_pool2d`] with another stride, padding or dilation, or with what is left at the end.
        ///
        /// ```
        /// # use wengert::{Tensor, options::MaxPool};
        /// let x = Tensor::new([[[1.0, 2.0, 3.0]]]);
        /// let pool = MaxPool { ceil_mode: true, ..Default::default() };
        /// assert_eq!(x.max_pool2d_with([1, 2], pool).to_vec(), [2.0, 3.0]);
        /// ```
        pub fn max_pool2d_with | try_max_pool2d_with<K: IntoPair>(self, kernel: K, options: MaxPool) -> TensorBase<E> {
            Ok(self.try_max_pool2d_with_indices(kernel, options)?.0)
        }

        /// [`Self::max_pool2d_with`], and where the elements lie: `row * columns + column` in their planes.
        pub fn max_pool2d_with_indices | try_max_pool2d_with_indices<K: IntoPair>(self, kernel: K, options: MaxPool)
            -> (TensorBase<E>, IndexTensor)
        {
            let x = self.try_contiguous()?;
            let shape = x.try_shape()?;
            let pool = max_pool("max_pool2d", &shape, kernel.into_pair(), options)?;
            let indices = find_largest::<E>(x.handle(), &shape, &pool)?;
            Ok((record::<MaxPool2d, E>(&[x.handle(), indices.handle()], pool)?, indices))
        }

        /// The mean of each `kernel` (`[rows, columns]`, or one number for both) of planes `[.., channels, rows, columns]`, side by
        /// side.
        pub fn avg_pool2d | try_avg_pool2d<K: IntoPair>(self, kernel: K) -> TensorBase<E> {
            self.try_avg_pool2d_with(kernel, AvgPool::default())
        }

        /// [`Self::avg_pool2d`] with another stride or divisor, padding, or what is left at the end.
        pub fn avg_pool2d_with | try_avg_pool2d_with<K: IntoPair>(self, kernel: K, options: AvgPool) -> TensorBase<E> {
            let x = self.try_contiguous()?;
            let pool = avg_pool("avg_pool2d", &x.try_shape()?, kernel.into_pair(), options)?;
            record::<AvgPool2d, E>(&[x.handle()], pool)
        }
    }
}
