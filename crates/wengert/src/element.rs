//! The types that tensors hold.

use std::fmt;

use num_traits::{Bounded, Float, FloatConst, FromPrimitive, NumAssign, ToPrimitive};
use wengert_kernels::Real;
use wengert_kernels::gemm::Gemm;

use crate::display::Printable;

/// The type of a tensor's elements, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DType {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
    /// 64-bit signed integers: indices and labels.
    I64,
    /// Truth values: masks.
    Bool,
}

impl DType {
    /// The bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::Bool => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}

/// A type that tensors hold: `f32`, `f64`, `i64`, `bool`. Sealed.
pub trait Element:
    Copy + Default + PartialEq + PartialOrd + fmt::Debug + Send + Sync + Printable + sealed::Sealed + 'static
{
    /// The type as data.
    const DTYPE: DType;
    /// The elements, if they are of this type.
    #[doc(hidden)]
    fn data(data: Data<'_>) -> Option<&[Self]>;
    /// The sum; of truth values whether one of them holds, as PyTorch adds them.
    #[doc(hidden)]
    fn plus(self, other: Self) -> Self;
    /// An integer in the order of the elements: equal ones (0 and -0 too) have the same, NaN has the largest.
    #[doc(hidden)]
    fn sort_key(self) -> u64;
}

/// The key of a float: its bits rise with it if it is positive, and fall if negative. Without a branch on the sign, which nobody
/// can foretell.
fn float_key(x: f64) -> u64 {
    // Adding 0 makes -0 to 0.
    let bits = (x + 0.0).to_bits();
    let key = bits ^ ((bits as i64 >> 63) as u64 | 1 << 63);
    if x.is_nan() { u64::MAX } else { key }
}

/// Elements of a type that is known at run time.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub enum Data<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    Bool(&'a [bool]),
}

/// A type that has derivatives: `f32` or `f64`. Sealed.
pub trait FloatElement:
    Element + Real<Mask = bool> + Gemm + NumAssign + FromPrimitive + ToPrimitive + Into<f64>
{
    /// The formulas' kernels for this type.
    #[doc(hidden)]
    fn kernels(row: &crate::ops::elementwise::Row) -> &crate::ops::elementwise::Kernels<Self>;
    /// This type as a number of `num_traits`; not a bound on `Self`, as its methods have the names of [`Real`]'s.
    #[doc(hidden)]
    type Number: Float + FloatConst + Bounded + fmt::Debug;
    #[doc(hidden)]
    fn number(self) -> Self::Number;
    #[doc(hidden)]
    fn from_number(number: Self::Number) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
    impl Sealed for bool {}
}

macro_rules! elements {
    ($($t:ty = $variant:ident, $plus:expr, $key:expr;)+) => { $(
        impl Element for $t {
            const DTYPE: DType = DType::$variant;
            fn data(data: Data<'_>) -> Option<&[Self]> {
                if let Data::$variant(slice) = data { Some(slice) } else { None }
            }
            fn plus(self, other: Self) -> Self {
                ($plus)(self, other)
            }
            fn sort_key(self) -> u64 {
                ($key)(self)
            }
        }
    )+ };
}
elements! {
    f32 = F32, |a, b| a + b, |x: f32| float_key(x.into());
    f64 = F64, |a, b| a + b, float_key;
    i64 = I64, i64::wrapping_add, |x: i64| (x as u64) ^ 1 << 63;
    bool = Bool, |a, b| a | b, u64::from;
}

impl FloatElement for f32 {
    fn kernels(row: &crate::ops::elementwise::Row) -> &crate::ops::elementwise::Kernels<f32> {
        &row.f32
    }
    type Number = f32;
    fn number(self) -> f32 {
        self
    }
    fn from_number(number: f32) -> f32 {
        number
    }
}
impl FloatElement for f64 {
    fn kernels(row: &crate::ops::elementwise::Row) -> &crate::ops::elementwise::Kernels<f64> {
        &row.f64
    }
    type Number = f64;
    fn number(self) -> f64 {
        self
    }
    fn from_number(number: f64) -> f64 {
        number
    }
}
