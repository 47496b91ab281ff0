//! Gradient checking for wengert: derivatives against central differences, in 64-bit arithmetic.
//!
//! ```
//! use wengert::Tensor64;
//! use wengert_check::gradcheck;
//!
//! let x = Tensor64::new([0.3, -1.2, 2.0]);
//! gradcheck(|x| (x[0].sin() * x[0]).sum(), &[x]).unwrap();
//! ```

use std::fmt;

use wengert::{GradOptions, Tensor64, enable_grad, grad_with, no_grad};

/// How [`gradcheck_with`] compares; the defaults are those of `torch.autograd.gradcheck`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Step of the central differences.
    pub eps: f64,
    /// Absolute error that is allowed.
    pub atol: f64,
    /// Error that is allowed relative to the numeric derivative.
    pub rtol: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { eps: 1e-6, atol: 1e-5, rtol: 1e-3 }
    }
}

/// One element of a Jacobian, by both methods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mismatch {
    /// Which input.
    pub input: usize,
    /// Which of its elements, row-major.
    pub element: usize,
    /// Which element of the output, row-major.
    pub output: usize,
    /// The derivative by backward.
    pub analytic: f64,
    /// The derivative by central differences.
    pub numeric: f64,
}

impl Mismatch {
    fn error(&self) -> f64 {
        let error = (self.analytic - self.numeric).abs();
        if error.is_nan() { f64::INFINITY } else { error }
    }
}

/// What [`gradcheck`] found: how many derivatives differ, the worst first.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Derivatives that were compared.
    pub compared: usize,
    /// Those that differ by more than the tolerances, the worst first.
    pub mismatches: Vec<Mismatch>,
}

/// How many mismatches a report prints.
const SHOWN: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} derivatives differ from central differences", self.mismatches.len(), self.compared)?;
        for m in self.mismatches.iter().take(SHOWN) {
            let Mismatch { input, element, output, analytic, numeric } = m;
            write!(f, "\n  d output[{output}] / d input {input}[{element}]: analytic {analytic}, numeric {numeric}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// Compares every derivative of every element of `f(inputs)` by backward with central differences. The inputs' values are
/// taken as they are; whether they require a gradient does not matter.
///
/// # Errors
/// The report, if a derivative differs by more than the default tolerances.
pub fn gradcheck(f: impl Fn(&[Tensor64]) -> Tensor64, inputs: &[Tensor64]) -> Result<Report, Report> {
    gradcheck_with(f, inputs, Options::default())
}

/// [`gradcheck`] with other tolerances.
///
/// # Errors
/// The report, if a derivative differs by more than the tolerances.
pub fn gradcheck_with(
    f: impl Fn(&[Tensor64]) -> Tensor64,
    inputs: &[Tensor64],
    options: Options,
) -> Result<Report, Report> {
    let analytic = analytic(&f, inputs);
    let numeric = numeric(&f, inputs, options.eps);
    let mut report = Report { compared: 0, mismatches: Vec::new() };
    for (input, (analytic, numeric)) in analytic.iter().zip(&numeric).enumerate() {
        let outputs = if inputs[input].numel() == 0 { 0 } else { analytic.len() / inputs[input].numel() };
        for (place, (&analytic, &numeric)) in analytic.iter().zip(numeric).enumerate() {
            let (element, output) = (place / outputs, place % outputs);
            let found = Mismatch { input, element, output, analytic, numeric };
            report.compared += 1;
            if found.error() > options.atol + options.rtol * numeric.abs() || found.error().is_infinite() {
                report.mismatches.push(found);
            }
        }
    }
    report.mismatches.sort_by(|a, b| b.error().total_cmp(&a.error()));
    if report.mismatches.is_empty() { Ok(report) } else { Err(report) }
}

/// For each input its Jacobian by backward, `[element][output]`.
fn analytic(f: &impl Fn(&[Tensor64]) -> Tensor64, inputs: &[Tensor64]) -> Vec<Vec<f64>> {
    enable_grad(|| {
        let leaves: Vec<Tensor64> = inputs.iter().map(|x| x.detach().copy().requires_grad_(true)).collect();
        let y = f(&leaves);
        let outputs = y.numel();
        let mut jacobians: Vec<Vec<f64>> = leaves.iter().map(|x| vec![0.0; x.numel() * outputs]).collect();
        if !y.requires_grad() {
            return jacobians;
        }
        for output in 0..outputs {
            let mut seed = vec![0.0; outputs];
            seed[output] = 1.0;
            let seed = Tensor64::from_slice(&seed, y.shape());
            let options = GradOptions { allow_unused: true, ..GradOptions::default() };
            let grads = grad_with(y, &leaves, Some(seed), options).unwrap_or_else(|error| panic!("{error}"));
            for (jacobian, grad) in jacobians.iter_mut().zip(grads) {
                let Some(grad) = grad else { continue };
                for (element, value) in grad.to_vec().into_iter().enumerate() {
                    jacobian[element * outputs + output] = value;
                }
            }
        }
        jacobians
    })
}

/// For each input its Jacobian by central differences, `[element][output]`.
fn numeric(f: &impl Fn(&[Tensor64]) -> Tensor64, inputs: &[Tensor64], eps: f64) -> Vec<Vec<f64>> {
    let values: Vec<Vec<f64>> = inputs.iter().map(|x| x.to_vec()).collect();
    let at = |input: usize, element: usize, step: f64| {
        no_grad(|| {
            let moved = |(k, x): (usize, &Tensor64)| {
                let mut value = values[k].clone();
                if k == input {
                    value[element] += step;
                }
                Tensor64::from_slice(&value, x.shape())
            };
            let moved: Vec<Tensor64> = inputs.iter().enumerate().map(moved).collect();
            f(&moved).to_vec()
        })
    };
    let column = |input: usize, element: usize| {
        let (above, below) = (at(input, element, eps), at(input, element, -eps));
        above.into_iter().zip(below).map(move |(above, below)| (above - below) / (2.0 * eps)).collect::<Vec<_>>()
    };
    (0..inputs.len())
        .map(|input| (0..values[input].len()).flat_map(|element| column(input, element)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_derivatives_pass_and_are_all_compared() {
        let (a, b) = (Tensor64::new([[0.5, 1.5], [2.5, -0.5]]), Tensor64::new([1.0, -2.0]));
        let report = gradcheck(|x| x[0].matmul(x[1]).tanh(), &[a, b]).unwrap();
        assert_eq!(report.compared, 4 * 2 + 2 * 2);
    }

    #[test]
    fn wrong_derivatives_are_rejected() {
        let x = Tensor64::new([0.5, 1.5, -2.0]);
        // What is detached counts for the value and not for the derivative.
        let missing_term = |x: &[Tensor64]| x[0] * x[0].detach();
        let report = gradcheck(missing_term, &[x]).unwrap_err();
        assert_eq!(report.mismatches.len(), 3);
        assert_eq!((report.mismatches[0].element, report.mismatches[0].analytic), (2, -2.0));
        let scaled = |x: &[Tensor64]| x[0].exp() + (x[0].exp() * 0.002).detach();
        assert!(gradcheck_with(scaled, &[x], Options { rtol: 1e-4, ..Options::default() }).is_err());
        let constant = |x: &[Tensor64]| x[0].detach() * 2.0;
        assert!(gradcheck(constant, &[x]).is_err());
    }
}
