//! A tensor of one element as a number: what generic numeric code asks of its scalars.
//!
//! Values are those of the element type; operations are recorded through the rows of the table, so that a function of
//! `T: Float` is differentiated unchanged. Operations work element by element where a row does, whatever the shape; what asks
//! for *one* value (comparisons by `<`, conversions to `f64`, `is_nan`, ..) is refused for several elements. Constants are leaves
//! of rank 0 that require no gradient.
//!
//! Inherent methods of the same names have PyTorch's meaning, and win where the type is known to be a tensor: `x.max()` reduces,
//! `x.lt(y)` is a mask. Generic code sees the traits alone.

#[cfg(feature = "approx")]
mod approx;
mod cast;
mod compare;
mod float;
#[cfg(feature = "ndarray")]
mod ndarray;
mod num;
#[cfg(feature = "nalgebra")]
mod simba;

use super::TensorBase;
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, unwrap};
use crate::tape;

/// The value of a tensor of one element, `None` for others.
fn single<E: Element>(x: TensorBase<E>) -> Result<Option<E>> {
    if let Some(number) = x.number() {
        return Ok(Some(number));
    }
    tape::with(|tape| {
        let index = tape.resolve(x.handle())?;
        Ok((tape.layout(index).numel() == 1).then(|| tape.data::<E>(index)[0]))
    })
}

/// The value of a tensor of one element, which `what` asks for.
#[track_caller]
fn value<E: FloatElement>(what: &str, x: TensorBase<E>) -> E {
    let found = single(x).and_then(|value| match value {
        Some(value) => Ok(value),
        None => Err(error!(
            Shape,
            "{what}: a tensor of shape {:?} is not one number; take an element by `select`, or reduce it",
            x.try_shape()?
        )),
    });
    unwrap(found)
}

/// A constant: a leaf of rank 0 that requires no gradient.
#[track_caller]
fn constant<E: FloatElement>(number: E::Number) -> TensorBase<E> {
    TensorBase::scalar(E::from_number(number))
}

impl<E: Element> Default for TensorBase<E> {
    /// 0 (or `false`), of rank 0.
    #[track_caller]
    fn default() -> Self {
        TensorBase::scalar(E::default())
    }
}

impl<E: FloatElement> From<E> for TensorBase<E> {
    /// A tensor of rank 0.
    #[track_caller]
    fn from(value: E) -> Self {
        TensorBase::scalar(value)
    }
}
