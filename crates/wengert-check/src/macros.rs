//! Assertions for tests.

/// Panics with the report if a derivative of a function is wrong: [`crate::gradcheck`], with options by name.
///
/// ```
/// use wengert::Tensor64;
/// use wengert_check::assert_gradients;
///
/// let (x, w) = (Tensor64::new([0.5, 2.0]), Tensor64::new([1.5, -1.0]));
/// let (x, w) = (x.requires_grad_(true), w.requires_grad_(true));
/// assert_gradients!(|x| x.sin(), x);
/// assert_gradients!(|(x, w)| (x * w).sum(), (x, w), second = true, rtol = 1e-6);
/// assert_gradients!(params: || (x * w).exp(), &[x, w]); // captured leaves
/// ```
#[macro_export]
macro_rules! assert_gradients {
    (params: $f:expr, $params:expr $(, $option:ident = $value:expr)* $(,)?) => {
        if let Err(failure) = $crate::GradCheck::new()$(.$option($value))*.check_params($f, $params) {
            panic!("{failure}")
        }
    };
    ($f:expr, $inputs:expr $(, $option:ident = $value:expr)* $(,)?) => {
        if let Err(failure) = $crate::GradCheck::new()$(.$option($value))*.check($f, $inputs) {
            panic!("{failure}")
        }
    };
}

/// [`assert_gradients!`] for closures of proptest: in place of panicking, returns the failure as that of the test case.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::Tensor64;
/// use wengert_check::{prop_assert_gradients, strategy};
///
/// proptest!(|(x in strategy::tensors(strategy::shapes(0..=3, 12), strategy::Domain::between(0.5, 2.0)))| {
///     let x: Tensor64 = x.tensor().requires_grad_(true);
///     prop_assume!(x.numel() > 0);
///     prop_assert_gradients!(|x| x.ln() * x, x, fast = true);
/// });
/// ```
#[cfg(feature = "proptest")]
#[macro_export]
macro_rules! prop_assert_gradients {
    (params: $f:expr, $params:expr $(, $option:ident = $value:expr)* $(,)?) => {
        if let Err(failure) = $crate::GradCheck::new()$(.$option($value))*.check_params($f, $params) {
            return Err($crate::proptest::test_runner::TestCaseError::fail(failure.to_string()));
        }
    };
    ($f:expr, $inputs:expr $(, $option:ident = $value:expr)* $(,)?) => {
        if let Err(failure) = $crate::GradCheck::new()$(.$option($value))*.check($f, $inputs) {
            return Err($crate::proptest::test_runner::TestCaseError::fail(failure.to_string()));
        }
    };
}
