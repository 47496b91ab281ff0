//! Comparisons with tolerances, by value, as `==` compares.

use approx::{AbsDiffEq, RelativeEq, UlpsEq};

use super::compare::all_pairs;
use super::value;
use crate::element::FloatElement;
use crate::error::unwrap;
use crate::tensor::TensorBase;

/// Whether two tensors of one shape (or of one element) differ by at most `epsilon` in each element.
impl<E: FloatElement + AbsDiffEq<Epsilon = E>> AbsDiffEq for TensorBase<E> {
    type Epsilon = Self;

    #[track_caller]
    fn default_epsilon() -> Self {
        TensorBase::scalar(E::default_epsilon())
    }
    #[track_caller]
    fn abs_diff_eq(&self, other: &Self, epsilon: Self) -> bool {
        let epsilon = value("abs_diff_eq", epsilon);
        unwrap(all_pairs(*self, *other, |a, b| a.abs_diff_eq(b, epsilon)))
    }
}

impl<E: FloatElement + RelativeEq<Epsilon = E>> RelativeEq for TensorBase<E> {
    #[track_caller]
    fn default_max_relative() -> Self {
        TensorBase::scalar(E::default_max_relative())
    }
    #[track_caller]
    fn relative_eq(&self, other: &Self, epsilon: Self, max_relative: Self) -> bool {
        let (epsilon, max_relative) = (value("relative_eq", epsilon), value("relative_eq", max_relative));
        unwrap(all_pairs(*self, *other, |a, b| a.relative_eq(b, epsilon, max_relative)))
    }
}

impl<E: FloatElement + UlpsEq<Epsilon = E>> UlpsEq for TensorBase<E> {
    fn default_max_ulps() -> u32 {
        E::default_max_ulps()
    }
    #[track_caller]
    fn ulps_eq(&self, other: &Self, epsilon: Self, max_ulps: u32) -> bool {
        let epsilon = value("ulps_eq", epsilon);
        unwrap(all_pairs(*self, *other, |a, b| a.ulps_eq(b, epsilon, max_ulps)))
    }
}
