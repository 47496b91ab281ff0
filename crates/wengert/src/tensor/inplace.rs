//! In-place methods: they end in `_`, write to the tensor's memory, and follow PyTorch's rules.

use super::TensorBase;
use crate::element::{Element, FloatElement};
use crate::error::{Result, twins};
use crate::ops::elementwise::{Elementwise, IntoOperand, Operand, record, unary};
use crate::ops::movement::assign::assign;

/// The first operand of an operation that will overwrite it: a copy, if a derivative will need the value from before.
fn saved_operand<E: FloatElement>(op: Elementwise, before: TensorBase<E>, other: Operand<E>) -> Result<TensorBase<E>> {
    let tracked = match other {
        Operand::Tensor(other) => before.try_requires_grad()? || other.try_requires_grad()?,
        _ => before.try_requires_grad()?,
    };
    if tracked && crate::is_grad_enabled() && op.row().reads_first() { before.try_copy() } else { Ok(before) }
}

/// Stamps in-place forms of binary rows.
macro_rules! binary_in_place {
    ($($row:ident $name:ident $try_name:ident $doc:literal;)+) => {
        twins! {
            impl[E: FloatElement] TensorBase<E> { $(
                #[doc = $doc]
                ///
                /// In place: every handle and view of this tensor sees it. `other` is a tensor that broadcasts to this shape, or a
                /// number.
                pub fn $name | $try_name<O: IntoOperand<E>>(self, other: O) -> TensorBase<E> {
                    assign(stringify!($name), self, |before| {
                        let other = other.operand();
                        let before = saved_operand(Elementwise::$row, before, other)?;
                        record(Elementwise::$row, &[Operand::Tensor(before), other])
                    })
                }
            )+ }
        }
    };
}
binary_in_place! {
    Add add_ try_add_ "`self + other`.";
    Sub sub_ try_sub_ "`self - other`.";
    Mul mul_ try_mul_ "`self * other`.";
    Div div_ try_div_ "`self / other`.";
    Pow pow_ try_pow_ "`self^other`.";
}

/// Stamps in-place forms of unary rows.
macro_rules! unary_in_place {
    ($($row:ident $name:ident $try_name:ident $doc:literal;)+) => {
        twins! {
            impl[E: FloatElement] TensorBase<E> { $(
                #[doc = $doc]
                ///
                /// In place: every handle and view of this tensor sees it.
                pub fn $name | $try_name(self) -> TensorBase<E> {
                    assign(stringify!($name), self, |before| {
                        let before = saved_operand(Elementwise::$row, before, Operand::Number(0.0))?;
                        unary(Elementwise::$row, before)
                    })
                }
            )+ }
        }
    };
}
unary_in_place! {
    Neg neg_ try_neg_ "`-x`.";
    Abs abs_ try_abs_ "`|x|`.";
    Exp exp_ try_exp_ "`e^x`.";
    Sqrt sqrt_ try_sqrt_ "`√x`.";
    Relu relu_ try_relu_ "`max(x, 0)`.";
    Sigmoid sigmoid_ try_sigmoid_ "The logistic function.";
    Tanh tanh_ try_tanh_ "The hyperbolic tangent.";
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// Writes `source`, whose shape broadcasts to this one, to this tensor's memory.
        ///
        /// Derivatives flow to `source`, and no longer to what was overwritten. A leaf that requires a gradient can be written
        /// under [`crate::no_grad`] only.
        pub fn copy_ | try_copy_(self, source: TensorBase<E>) -> TensorBase<E> {
            assign("copy_", self, |_| Ok(source))
        }

        /// Writes `value` to every element.
        pub fn fill_ | try_fill_(self, value: E) -> TensorBase<E> {
            assign("fill_", self, |_| TensorBase::try_scalar(value))
        }

        /// Writes 0 (`false`) to every element.
        pub fn zero_ | try_zero_(self) -> TensorBase<E> {
            assign("zero_", self, |_| TensorBase::try_scalar(E::default()))
        }
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// Limits each element to `min ..= max`, in place.
        pub fn clamp_ | try_clamp_(self, min: f64, max: f64) -> TensorBase<E> {
            assign("clamp_", self, |before| before.try_clamp(min, max))
        }
    }
}
