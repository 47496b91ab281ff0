//! Gradient checking for wengert: derivatives against central differences, in 64-bit arithmetic.
//!
//! ```
//! use wengert::Tensor64;
//! use wengert_check::gradcheck;
//!
//! let x = Tensor64::new([0.3, -1.2, 2.0]).requires_grad_(true);
//! gradcheck(|x| (x.sin() * x).sum(), x).unwrap();
//! ```
//!
//! [`gradcheck`] and [`gradgradcheck`] are named as in `torch.autograd`; [`GradCheck`] has their options. What is compared:
//!
//! | | |
//! | --- | --- |
//! | backward | with central differences, for every element |
//! | forward mode | with differences, and closely with backward |
//! | backward from a random seed, and from zeros | with the sum of single rows, and zeros: it must be linear in the gradient that comes in |
//! | missing gradients and tangents | one input at a time, as if the others were constants |
//! | strided inputs | values and gradients where inputs are transposed views with gaps |
//! | a second evaluation | with the first: randomness, hidden state |
//! | second derivatives ([`gradgradcheck`]) | all of that for the gradient, as a function of inputs and seed |
//!
//! ```should_panic
//! use wengert::Tensor64;
//! use wengert_check::assert_gradients;
//!
//! let x = Tensor64::new([[1.0, 2.0], [3.0, 4.0]]).requires_grad_(true);
//! assert_gradients!(|x| (x * x.detach()).sum(), x); // half of the derivative is missing
//! ```
//!
//! That panics with
//!
//! ```text
//! gradcheck: 8 of 17 derivatives differ
//!   4 by backward differ from central differences, the worst first:
//!     d output 0 / d input 0 [1, 1]                             4 should be 8              ####################
//! ```
//!
//! and more of the kind. Where a function has a kink, as `relu` at 0, differences say nothing: the report lists such elements
//! ([`Report::kinks`]), and the check does not fail for them.

mod check;
mod comparison;
mod derivative;
mod judge;
mod macros;
mod random;
mod report;
#[cfg(feature = "proptest")]
pub mod strategy;
mod subject;
mod view;

use wengert::{Tensor64, Tensors};

pub use self::check::GradCheck;
pub use self::report::{Check, Failure, Kink, Mismatch, Place, Report};
pub use self::view::View;
#[cfg(feature = "proptest")]
#[doc(hidden)]
pub use proptest;

/// Compares all derivatives of `f` at `inputs` with central differences and with each other, with the defaults of [`GradCheck`].
///
/// `inputs` is a tensor, or an array, tuple or `Vec` of tensors; `f` takes and gives such. The inputs that require a gradient are
/// differentiated, the others are constants.
///
/// ```
/// use wengert::Tensor64;
/// use wengert_check::gradcheck;
///
/// let x = Tensor64::new([[0.5, -1.0], [2.0, 0.0]]).requires_grad_(true);
/// let w = Tensor64::new([1.0, -0.5]).requires_grad_(true);
/// gradcheck(|(x, w)| (x.matmul(w).tanh(), w.exp()), (x, w)).unwrap();
///
/// let report = gradcheck(|x: Tensor64| x.relu(), x).unwrap();
/// assert_eq!(report.kinks[0].input.element, Some(vec![1, 1]));
/// ```
///
/// # Errors
/// [`Failure`]: what differs, or why `f` can't be checked there.
pub fn gradcheck<I, O>(f: impl Fn(I) -> O, inputs: I) -> Result<Report, Failure>
where
    I: Tensors<Element = f64>,
    O: Tensors<Element = f64>,
{
    GradCheck::new().check(f, inputs)
}

/// [`gradcheck`], and the same for the gradient as a function of the inputs and of random seeds: the second derivatives, in reverse over
/// reverse and forward over reverse.
///
/// ```
/// use wengert::Tensor64;
/// use wengert_check::gradgradcheck;
///
/// let x = Tensor64::new([0.5, -1.5]).requires_grad_(true);
/// gradgradcheck(|x| x.exp() * x.sum(), x).unwrap();
/// ```
///
/// # Errors
/// As [`gradcheck`].
pub fn gradgradcheck<I, O>(f: impl Fn(I) -> O, inputs: I) -> Result<Report, Failure>
where
    I: Tensors<Element = f64>,
    O: Tensors<Element = f64>,
{
    GradCheck::new().second(true).check(f, inputs)
}

/// [`gradcheck`] for a function that captures its parameters ([`GradCheck::check_params`]).
///
/// # Errors
/// As [`gradcheck`].
pub fn gradcheck_params<O>(f: impl Fn() -> O, params: &[Tensor64]) -> Result<Report, Failure>
where
    O: Tensors<Element = f64>,
{
    GradCheck::new().check_params(f, params)
}

/// [`gradgradcheck`] for a function that captures its parameters ([`GradCheck::check_params`]).
///
/// # Errors
/// As [`gradcheck`].
pub fn gradgradcheck_params<O>(f: impl Fn() -> O, params: &[Tensor64]) -> Result<Report, Failure>
where
    O: Tensors<Element = f64>,
{
    GradCheck::new().second(true).check_params(f, params)
}
