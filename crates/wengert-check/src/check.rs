//! What users call: options, and the entries to a check.

use wengert::{Tensor64, Tensors};

use crate::comparison::Comparison;
use crate::random::Random;
use crate::report::{Failure, Report};
use crate::subject::{Input, Restore, Subject};

/// How derivatives are checked: what is compared, and how closely.
///
/// ```
/// use wengert::Tensor64;
/// use wengert_check::GradCheck;
///
/// let x = Tensor64::linspace(-2.0, 2.0, 1000).requires_grad_(true);
/// GradCheck::new().fast(true).rtol(1e-6).check(|x| (x.sin() * x).sum(), x).unwrap();
/// ```
///
/// The options are those of `torch.autograd.gradcheck`. The tolerances are closer than there, as 64-bit differences are good to about
/// nine digits and a rule that is wrong by a factor of 1.001 should not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct GradCheck {
    pub(crate) eps: f64,
    pub(crate) atol: f64,
    pub(crate) rtol: f64,
    pub(crate) nondet_tol: f64,
    pub(crate) undefined: bool,
    pub(crate) forward: bool,
    pub(crate) strided: bool,
    pub(crate) fast: bool,
    pub(crate) second: bool,
    pub(crate) seed: u64,
}

impl Default for GradCheck {
    fn default() -> Self {
        Self {
            eps: 1e-6,
            atol: 1e-6,
            rtol: 1e-5,
            nondet_tol: 0.0,
            undefined: true,
            forward: true,
            strided: true,
            fast: false,
            second: false,
            seed: 0,
        }
    }
}

/// Stamps the options, a method each.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $ty:ty;)+) => { $(
        $(#[$doc])*
        pub fn $name(mut self, $name: $ty) -> Self {
            self.$name = $name;
            self
        }
    )+ };
}

/// A random seed in an arbitrary but fixed place of the sequence, so that directions of one check differ from those of another.
const SECOND_ORDER: u64 = 0x5eed;

impl GradCheck {
    /// Everything that applies is compared, element by element.
    pub fn new() -> Self {
        Self::default()
    }

    options! {
        /// Step of the differences, relative to elements above 1; 1e-6 by default.
        eps: f64;
        /// Absolute error that is allowed; 1e-6 by default. What rounding of the value does to differences is allowed besides.
        atol: f64;
        /// Error that is allowed relative to the numeric derivative; 1e-5 by default.
        rtol: f64;
        /// By how much two evaluations at one point may differ; 0 by default.
        nondet_tol: f64;
        /// Whether to check what happens where gradients or tangents are missing: seeds of zeros, a single input that requires a
        /// gradient, a single one that has a tangent; on by default.
        undefined: bool;
        /// Whether to check forward mode; on by default. It has to be off for functions that have no forward mode.
        forward: bool;
        /// Whether to check inputs that are transposed views with gaps, among second derivatives incoming gradients too; on by default.
        strided: bool;
        /// Random projections in place of single elements: two evaluations and a sweep for each input, however large. If they
        /// differ, or hit a kink, all elements (up to 4,096) are checked in order to name those. Off by default.
        fast: bool;
        /// Whether to check second derivatives after the first ones; off by default. [`crate::gradgradcheck`] sets it.
        second: bool;
        /// Which random directions and seeds are drawn; 0 by default.
        seed: u64;
    }

    /// Checks `f` at `inputs`: a tensor, or an array, tuple or `Vec` of tensors. Those that require a gradient are differentiated, the
    /// others are constants. `f` gives the same choice of tensors, and is called often: on copies of the inputs, inside of scopes.
    ///
    /// # Errors
    /// [`Failure`]: what differs, or why `f` can't be checked there.
    pub fn check<I, O>(&self, f: impl Fn(I) -> O, inputs: I) -> Result<Report, Failure>
    where
        I: Tensors<Element = f64>,
        O: Tensors<Element = f64>,
    {
        let described = described("input", &inputs.list())?;
        self.run(Subject::of_inputs(|x| f(I::of(x)).list().to_vec(), described))
    }

    /// Checks a function that captures its parameters, leaves that require a gradient: with respect to those. They are changed in
    /// place meanwhile, and put back. Forward mode and strided inputs do not apply.
    ///
    /// ```
    /// use wengert::Tensor64;
    /// use wengert_check::GradCheck;
    ///
    /// let x = Tensor64::new([[0.5, -1.0], [2.0, 0.3]]);
    /// let w = Tensor64::new([0.2, -0.7]).requires_grad_(true);
    /// let b = Tensor64::scalar(0.1).requires_grad_(true);
    /// let loss = || (x.matmul(w) + b).tanh().square().mean();
    /// GradCheck::new().check_params(loss, &[w, b]).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_params<O>(&self, f: impl Fn() -> O, params: &[Tensor64]) -> Result<Report, Failure>
    where
        O: Tensors<Element = f64>,
    {
        let described = described("parameter", params)?;
        if let Some(k) = params.iter().position(|p| !p.is_leaf()) {
            let text = format!(
                "parameter {k} was computed, so it can't be changed in place; give the leaves that it was made of"
            );
            return Err(Failure::Input(text));
        }
        let _restore = Restore::new(params, &described);
        self.run(Subject::of_parameters(|| f().list().to_vec(), params.to_vec(), described))
    }

    fn run(&self, subject: Subject<'_>) -> Result<Report, Failure> {
        check_inputs(&subject.inputs)?;
        let mut random = Random::new(self.seed);
        let (mut report, outputs) = Comparison::run(self, &subject, &mut random, false)?;
        if self.second {
            let mut random = Random::new(self.seed ^ SECOND_ORDER);
            let second = subject.second(&outputs.kinds, |count| random.numbers(count));
            let first = report.compared;
            report = Comparison::run(self, &second, &mut random, true)?.0;
            report.compared += first;
        }
        Ok(report)
    }
}

/// The inputs with the names that reports use.
fn described(what: &str, inputs: &[Tensor64]) -> Result<Vec<Input>, Failure> {
    let described = |(k, &x): (usize, &Tensor64)| Input::of(format!("{what} {k}"), x);
    inputs.iter().enumerate().map(described).collect::<wengert::Result<_>>().map_err(refused("reading the inputs"))
}

pub(crate) fn refused(what: &'static str) -> impl Fn(wengert::Error) -> Failure {
    move |error| Failure::Refused { what, error }
}

/// # Errors
/// There is nothing to differentiate by, or a value that is not finite.
fn check_inputs(inputs: &[Input]) -> Result<(), Failure> {
    if inputs.is_empty() {
        return Err(Failure::Input("there is nothing to differentiate with respect to: no tensor was given".into()));
    }
    if !inputs.iter().any(|input| input.tracked) {
        let text =
            "none of the inputs requires a gradient; call `requires_grad_(true)` on those that should be checked";
        return Err(Failure::Input(text.into()));
    }
    for Input { name, shape, values, .. } in inputs {
        if let Some(place) = values.iter().position(|x| !x.is_finite()) {
            let (element, value) = (unravel(place, shape), values[place]);
            let text = format!("{name} has the value {value} at {element:?}; derivatives are checked at finite points");
            return Err(Failure::Input(text));
        }
    }
    Ok(())
}

/// The index per dimension of an element that is the `place`th.
pub(crate) fn unravel(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape.iter().rev().map(|&length| (place % length, place /= length).0).collect();
    index.reverse();
    index
}
