//! Operations that choose elements by index or mask, and that order them.
//!
//! All of them that read are one operation, [`gather`], at [`places::Places`] of one kind or another, and all that write are one
//! of the two in [`scatter`]; they differ in their names and in how an index becomes places.

pub(crate) mod gather;
pub(crate) mod mask;
pub(crate) mod one_hot;
pub(crate) mod places;
pub(crate) mod scatter;
pub(crate) mod sort;

use crate::element::Element;
use crate::tensor::TensorBase;

/// What elements are overwritten with: a tensor, or one number for all.
#[derive(Clone, Copy, Debug)]
pub enum Source<E: Element> {
    /// A tensor.
    Tensor(TensorBase<E>),
    /// A number.
    Number(E),
}

/// What can be given as a [`Source`]: a tensor, or a number.
pub trait IntoSource<E: Element> {
    /// The source.
    fn into_source(self) -> Source<E>;
}

impl<E: Element> IntoSource<E> for TensorBase<E> {
    fn into_source(self) -> Source<E> {
        Source::Tensor(self)
    }
}

impl<E: Element> IntoSource<E> for Source<E> {
    fn into_source(self) -> Source<E> {
        self
    }
}

impl<E: Element> IntoSource<E> for E {
    fn into_source(self) -> Source<E> {
        Source::Number(self)
    }
}

macro_rules! numbers {
    ($($from:ty => $($to:ty)+;)+) => { $($(
        impl IntoSource<$to> for $from {
            fn into_source(self) -> Source<$to> {
                Source::Number(self as $to)
            }
        }
    )+)+ };
}
numbers! {
    f64 => f32;
    f32 => f64;
    i32 => f32 f64 i64;
}
