//! `==`, `<` and their kin, by value.

use std::cmp::Ordering;

use super::single;
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, unwrap};
use crate::tensor::TensorBase;

/// Whether `same` holds for all pairs of elements of two tensors of one shape; tensors of one element are numbers, whatever their
/// shape.
pub(super) fn all_pairs<E: Element>(a: TensorBase<E>, b: TensorBase<E>, same: impl Fn(&E, &E) -> bool) -> Result<bool> {
    if let (Some(a), Some(b)) = (single(a)?, single(b)?) {
        return Ok(same(&a, &b));
    }
    if a.try_shape()? != b.try_shape()? {
        return Ok(false);
    }
    Ok(a.try_to_vec()?.iter().zip(&b.try_to_vec()?).all(|(a, b)| same(a, b)))
}

/// `==`: whether two tensors have the same shape and elements, which compare as numbers do (NaN equals nothing, 0 equals -0).
/// Tensors of one element are equal if their values are, whatever their shape. The mask of equal elements is `x.eq(y)`.
///
/// # Panics
/// If a handle is stale.
impl<E: Element> PartialEq for TensorBase<E> {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        unwrap(all_pairs(*self, *other, E::eq))
    }
}

/// `<`, `<=`, `>`, `>=` on tensors of one element, by value: false for NaN. The mask of elements that compare is `x.lt(y)`.
///
/// # Panics
/// If one has several elements or none, so that the truth is ambiguous; if a handle is stale.
impl<E: FloatElement> PartialOrd for TensorBase<E> {
    #[track_caller]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let numbers = match (single(*self), single(*other)) {
            (Ok(Some(a)), Ok(Some(b))) => Ok((a, b)),
            _ => ambiguous_slow(*self, *other),
        };
        let (a, b) = unwrap(numbers);
        a.partial_cmp(&b)
    }
}

/// Why two tensors do not compare as numbers.
#[cold]
fn ambiguous_slow<E: FloatElement, R>(a: TensorBase<E>, b: TensorBase<E>) -> Result<R> {
    ambiguous(&a.try_shape()?, &b.try_shape()?)
}

fn ambiguous<R>(a: &[usize], b: &[usize]) -> Result<R> {
    Err(error!(
        Shape,
        "comparison: the truth value of tensors of shapes {a:?} and {b:?} is ambiguous, as they have not one element each; \
         `x.lt(y)`, `x.le(y)`, `x.gt(y)` and `x.ge(y)` give masks, which `all` and `any` reduce"
    ))
}

/// The number that a tensor is compared with.
impl<E: FloatElement> PartialEq<E> for TensorBase<E> {
    /// Whether this is a tensor of one element of that value.
    #[track_caller]
    fn eq(&self, other: &E) -> bool {
        unwrap(single(*self)) == Some(*other)
    }
}
impl<E: FloatElement> PartialOrd<E> for TensorBase<E> {
    /// As between tensors.
    #[track_caller]
    fn partial_cmp(&self, other: &E) -> Option<Ordering> {
        match unwrap(single(*self)) {
            Some(value) => value.partial_cmp(other),
            None => unwrap(self.try_shape().and_then(|shape| ambiguous(&shape, &[]))),
        }
    }
}
