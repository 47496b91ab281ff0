//! Conversions between numbers and tensors of one element.
//!
//! A number that leaves the tape is a constant: what is computed from it has no gradient.

use num_traits::{AsPrimitive, FromPrimitive, NumCast, ToPrimitive};

use super::{constant, single, value};
use crate::element::FloatElement;
use crate::error::unwrap;
use crate::tensor::TensorBase;

/// Stamps the conversions from and to the primitive types.
macro_rules! casts {
    ($($number:ident $from:ident $to:ident;)+) => {
        /// The constant that a number is, as the float type converts it.
        impl<E: FloatElement> FromPrimitive for TensorBase<E> { $(
            #[track_caller]
            fn $from(n: $number) -> Option<Self> {
                E::$from(n).map(TensorBase::scalar)
            }
        )+ }

        /// The value of a tensor of one element, as the float type converts it; `None` for several.
        impl<E: FloatElement> ToPrimitive for TensorBase<E> { $(
            #[track_caller]
            fn $to(&self) -> Option<$number> {
                unwrap(single(*self))?.$to()
            }
        )+ }

        $(
            impl<E: FloatElement> AsPrimitive<$number> for TensorBase<E> {
                /// The value of a tensor of one element, as `as` converts it.
                #[track_caller]
                fn as_(self) -> $number {
                    let value: f64 = value("as_", self).into();
                    value as $number
                }
            }
            impl<E: FloatElement> AsPrimitive<TensorBase<E>> for $number {
                /// A constant.
                #[track_caller]
                fn as_(self) -> TensorBase<E> {
                    TensorBase::scalar(E::of(self as f64))
                }
            }
        )+
    };
}
casts! {
    i8 from_i8 to_i8;
    i16 from_i16 to_i16;
    i32 from_i32 to_i32;
    i64 from_i64 to_i64;
    i128 from_i128 to_i128;
    isize from_isize to_isize;
    u8 from_u8 to_u8;
    u16 from_u16 to_u16;
    u32 from_u32 to_u32;
    u64 from_u64 to_u64;
    u128 from_u128 to_u128;
    usize from_usize to_usize;
    f32 from_f32 to_f32;
    f64 from_f64 to_f64;
}

impl<E: FloatElement> AsPrimitive<TensorBase<E>> for TensorBase<E> {
    /// The same tensor, with its gradient.
    fn as_(self) -> Self {
        self
    }
}

impl<E: FloatElement> NumCast for TensorBase<E> {
    /// The constant nearest to `n`. `n` counts by its value alone: `T::from(x)` of a tensor `x` has no gradient.
    #[track_caller]
    fn from<T: ToPrimitive>(n: T) -> Option<Self> {
        <E::Number as NumCast>::from(n).map(constant)
    }
}
