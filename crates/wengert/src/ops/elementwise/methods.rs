//! The methods of tensors that record rows of the table.

use super::{Elementwise, IntoOperand, Operand, binary, choose, ternary, unary};
use crate::element::FloatElement;
use crate::error::{twins, unwrap};
use crate::tensor::TensorBase;

/// Stamps the methods of the unary rows, with the rows' own doc lines.
macro_rules! unary_methods {
    ($($variant:ident $name:ident $try_name:ident $doc:literal;)+) => {
        twins! {
            impl[E: FloatElement] TensorBase<E> { $(
                #[doc = $doc]
                pub fn $name | $try_name(self) -> TensorBase<E> {
                    unary(Elementwise::$variant, self)
                }
            )+ }
        }
    };
}
unary_methods! {
    Abs abs try_abs "`|x|`, with derivative 0 at 0.";
    Sign sign try_sign "-1, 0 or 1 by the sign of each element, and 0 for NaN; the derivative is 0.";
    Floor floor try_floor "The largest integer not above each element; the derivative is 0.";
    Ceil ceil try_ceil "The smallest integer not below each element; the derivative is 0.";
    Round round try_round "The nearest integer, halves to even; the derivative is 0.";
    Trunc trunc try_trunc "Each element without its fraction; the derivative is 0.";
    Square square try_square "`x²`.";
    Sqrt sqrt try_sqrt "`√x`; the derivative at 0 is infinite.";
    Cbrt cbrt try_cbrt "The cube root, negative for negative numbers; the derivative at 0 is infinite.";
    Rsqrt rsqrt try_rsqrt "`1 / √x`.";
    Reciprocal reciprocal try_reciprocal "`1 / x`.";
    Exp exp try_exp "`e^x`.";
    Exp2 exp2 try_exp2 "`2^x`.";
    Expm1 expm1 try_expm1 "`e^x - 1`, accurate near 0.";
    Ln ln try_ln "The natural logarithm; `log` is the same.";
    Ln log try_log "The natural logarithm, by PyTorch's name.";
    Log2 log2 try_log2 "The logarithm to base 2.";
    Log10 log10 try_log10 "The logarithm to base 10.";
    Log1p log1p try_log1p "`ln(1 + x)`, accurate near 0.";
    Sin sin try_sin "The sine of `x` radians.";
    Cos cos try_cos "The cosine of `x` radians.";
    Tan tan try_tan "The tangent of `x` radians.";
    Asin asin try_asin "The arc sine in radians; NaN outside of -1 to 1.";
    Acos acos try_acos "The arc cosine in radians; NaN outside of -1 to 1.";
    Atan atan try_atan "The arc tangent in radians.";
    Sinh sinh try_sinh "The hyperbolic sine.";
    Cosh cosh try_cosh "The hyperbolic cosine.";
    Tanh tanh try_tanh "The hyperbolic tangent.";
    Asinh asinh try_asinh "The inverse hyperbolic sine.";
    Acosh acosh try_acosh "The inverse hyperbolic cosine; NaN below 1.";
    Atanh atanh try_atanh "The inverse hyperbolic tangent; NaN outside of -1 to 1.";
    Sigmoid sigmoid try_sigmoid "The logistic function `1 / (1 + e^-x)`.";
    LogSigmoid log_sigmoid try_log_sigmoid "`ln σ(x)` without overflow.";
    Relu relu try_relu "`max(x, 0)`, with derivative 0 at 0.";
    Selu selu try_selu "The scaled exponential linear unit (Klambauer et al. 2017).";
    Silu silu try_silu "`x σ(x)`, also called swish.";
    Mish mish try_mish "`x tanh(ln(1 + e^x))` (Misra 2019).";
    Gelu gelu try_gelu "`x Φ(x)` with the normal distribution function (Hendrycks and Gimpel 2016).";
    GeluTanh gelu_tanh try_gelu_tanh "GELU by its hyperbolic-tangent approximation.";
    Erf erf try_erf "The error function.";
    Erfc erfc try_erfc "`1 - erf(x)`, accurate for large `x`.";
}

/// Stamps the methods of the binary rows: the other operand is a tensor that broadcasts, or a number.
macro_rules! binary_methods {
    ($($variant:ident $name:ident $try_name:ident $doc:literal;)+) => {
        twins! {
            impl[E: FloatElement] TensorBase<E> { $(
                #[doc = $doc]
                ///
                /// `other` is a tensor whose shape broadcasts with this one, or a number.
                pub fn $name | $try_name<O: IntoOperand<E>>(self, other: O) -> TensorBase<E> {
                    binary(Elementwise::$variant, self, other)
                }
            )+ }
        }
    };
}
binary_methods! {
    Add add try_add "`self + other`.";
    Sub sub try_sub "`self - other`.";
    Mul mul try_mul "`self * other`.";
    Div div try_div "`self / other`.";
    Pow pow try_pow "`self^other` as C's `pow`: right for negative bases and integral exponents; the derivative of `x^0` is 0.";
    Atan2 atan2 try_atan2 "The angle in radians of the point `(other, self)`.";
    Hypot hypot try_hypot "`√(self² + other²)` without needless overflow.";
    Xlogy xlogy try_xlogy "`self ln(other)`, 0 where `self` is 0 (unless `other` is NaN).";
    Minimum minimum try_minimum "The smaller one, NaN if either is; the gradient of a tie is shared evenly.";
    Maximum maximum try_maximum "The larger one, NaN if either is; the gradient of a tie is shared evenly.";
    Fmin fmin try_fmin "The smaller one, NaN only if both are; the gradient of a tie is shared evenly.";
    Fmax fmax try_fmax "The larger one, NaN only if both are; the gradient of a tie is shared evenly.";
    Copysign copysign try_copysign "`|self|` with the sign of `other`, whose derivative is 0, as is that at 0.";
    Fmod fmod try_fmod "C's `fmod`: the remainder of `self / other` with the sign of `self`.";
    Remainder remainder try_remainder "Python's `%`: the remainder of `self / other` with the sign of `other`.";
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// `-x`; the operator `-` is the same.
        pub fn neg | try_neg(self) -> TensorBase<E> {
            unary(Elementwise::Neg, self)
        }

        /// `x^n` for an integer `n`.
        pub fn powi | try_powi(self, n: i32) -> TensorBase<E> {
            match n {
                2 => unary(Elementwise::Square, self),
                _ => binary(Elementwise::Pow, self, n),
            }
        }

        /// `self + weight (end - self)`, exact at both ends; `weight` is a tensor or a number.
        pub fn lerp | try_lerp<O: IntoOperand<E>>(self, end: TensorBase<E>, weight: O) -> TensorBase<E> {
            ternary(Elementwise::Lerp, self, end, weight)
        }

        /// Each element limited to `min ..= max`, tensors or numbers; NaN stays NaN. The derivative at limits that are numbers
        /// is 0; with tensors, the gradient of a tie is shared evenly. Where `min > max` the result is `max`.
        pub fn clamp | try_clamp<L: IntoOperand<E>, H: IntoOperand<E>>(self, min: L, max: H) -> TensorBase<E> {
            match (min.operand(), max.operand()) {
                (min @ Operand::Number(_), max @ Operand::Number(_)) => ternary(Elementwise::Clamp, self, min, max),
                (min, max) => ternary(Elementwise::ClampTensor, self, min, max),
            }
        }

        /// Each element limited from below, by a tensor or a number. The derivative is as for [`Self::clamp`].
        pub fn clamp_min | try_clamp_min<L: IntoOperand<E>>(self, min: L) -> TensorBase<E> {
            match min.operand() {
                min @ Operand::Number(_) => binary(Elementwise::ClampMin, self, min),
                min => binary(Elementwise::ClampMinTensor, self, min),
            }
        }

        /// Each element limited from above, by a tensor or a number. The derivative is as for [`Self::clamp`].
        pub fn clamp_max | try_clamp_max<H: IntoOperand<E>>(self, max: H) -> TensorBase<E> {
            match max.operand() {
                max @ Operand::Number(_) => binary(Elementwise::ClampMax, self, max),
                max => binary(Elementwise::ClampMaxTensor, self, max),
            }
        }

        /// Each element limited to `min ..= max`, with a derivative of 0 at the limits.
        pub fn hardtanh | try_hardtanh(self, min: f64, max: f64) -> TensorBase<E> {
            ternary(Elementwise::Hardtanh, self, min, max)
        }

        /// `ln(1 + e^x)` without overflow.
        pub fn softplus | try_softplus(self) -> TensorBase<E> {
            self.try_softplus_with(1.0, 20.0)
        }

        /// `ln(1 + e^(beta x)) / beta`, and `x` itself where `beta x > threshold`.
        pub fn softplus_with | try_softplus_with(self, beta: f64, threshold: f64) -> TensorBase<E> {
            ternary(Elementwise::Softplus, self, beta, threshold)
        }

        /// `x` where positive, else `slope x`; PyTorch's default slope is 0.01.
        pub fn leaky_relu | try_leaky_relu(self, slope: f64) -> TensorBase<E> {
            binary(Elementwise::LeakyRelu, self, slope)
        }

        /// `x` where positive, else `alpha (e^x - 1)`; PyTorch's default alpha is 1.
        pub fn elu | try_elu(self, alpha: f64) -> TensorBase<E> {
            binary(Elementwise::Elu, self, alpha)
        }
    }
}

twins! {
    impl[] TensorBase<bool> {
        /// `yes` where the mask holds, else `no`: `x.gt(0.0).where_(x, y)`; tensors broadcast, numbers do too, but one of the two
        /// must be a tensor. What is not chosen gets a gradient of 0; if computing it gave infinity or NaN, choose a harmless
        /// operand *before* that computation as well, since 0 times infinity is NaN in its own derivative.
        pub fn where_ | try_where_<E: FloatElement, Y: IntoOperand<E>, N: IntoOperand<E>>(self, yes: Y, no: N) -> TensorBase<E> {
            choose(self, yes.operand(), no.operand())
        }
    }
}

/// `base^exponent`, either of which may be a number: `pow(2.0, x)`.
///
/// # Panics
/// If the shapes do not broadcast, or both are numbers; see [`TensorBase::pow`](crate::TensorBase::pow).
#[track_caller]
pub fn pow<E: FloatElement>(base: impl IntoOperand<E>, exponent: impl IntoOperand<E>) -> TensorBase<E> {
    unwrap(binary(Elementwise::Pow, base, exponent))
}

/// `a ln b`, either of which may be a number, and 0 where `a` is 0 (unless `b` is NaN).
///
/// # Panics
/// If the shapes do not broadcast, or both are numbers; see [`TensorBase::xlogy`](crate::TensorBase::xlogy).
#[track_caller]
pub fn xlogy<E: FloatElement>(a: impl IntoOperand<E>, b: impl IntoOperand<E>) -> TensorBase<E> {
    unwrap(binary(Elementwise::Xlogy, a, b))
}
