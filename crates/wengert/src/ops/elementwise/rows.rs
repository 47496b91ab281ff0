//! The table of elementwise operations: one row each.
//!
//! ```text
//! /// Hyperbolic tangent.                                 the doc line of the method
//! Tanh "TanhBackward0" tanh(a) = a.tanh();               variant, name in print, method, value
//!     da: (g, y) g - g * y * y;                          vector-Jacobian product for each operand that has one
//!     [-3.0..3.0];                                       where its gradient is tested, an interval per operand
//! ```
//!
//! Formulas are generic over [`Real`]: with floats they are the kernels, with tensors the recorded derivative that
//! `create_graph` needs, and as they are linear in `g`, the tangent rule of forward mode. A product sees only the values named
//! before it, of `g` (incoming), `a b c` (operands) and `y` (value); naming one is what makes the sweep check that it was not
//! overwritten. The gradient conventions are those of PyTorch's `derivatives.yaml`.

use wengert_kernels::Real;

use super::{Formula, IntoOperand, Needs, Row, Vals, needs, row};
use crate::element::FloatElement;
use crate::error::unwrap;
use crate::tensor::TensorBase;

/// `2 / sqrt(pi)`
const TWO_OVER_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;
const LN_2: f64 = std::f64::consts::LN_2;
const LN_10: f64 = std::f64::consts::LN_10;
/// Klambauer et al. 2017, "Self-Normalizing Neural Networks", equation 14.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2.
const GELU_CUBIC: f64 = 0.044715;

/// `1`
fn one<R: Real>() -> R {
    R::of(1.0)
}

/// `ln(1 + e^x)` without overflow.
#[inline(always)]
fn softplus<R: Real>(x: R) -> R {
    x.maximum(R::of(0.0)) + (-x.abs()).exp().log1p()
}

/// The argument of the hyperbolic tangent in the approximate GELU.
#[inline(always)]
fn gelu_inner<R: Real>(a: R) -> R {
    R::of((2.0 / std::f64::consts::PI).sqrt()) * (a + R::of(GELU_CUBIC) * a * a * a)
}

macro_rules! rows {
    ($(
        $(#[doc = $doc:literal])*
        $variant:ident $grad_fn:literal $name:ident($($operand:ident),+) = $value:expr;
        $($of:ident: ($($needs:ident),*) $vjp:expr;)*
        [$($domain:expr),+];
    )+) => {
        /// An elementwise operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Elementwise { $(
            $(#[doc = $doc])*
            $variant
        ),+ }

        /// Every row, in the order of [`Elementwise`].
        pub(super) static ROWS: &[Row] = &[$(row::<formulas::$variant>()),+];

        mod formulas {
            use super::*;
            $(
                #[derive(Clone, Copy)]
                pub struct $variant;

                impl Formula for $variant {
                    const OP: Elementwise = Elementwise::$variant;
                    const NAME: &'static str = stringify!($name);
                    const GRAD_FN: &'static str = $grad_fn;
                    const DOC: &'static str = concat!($($doc),*);
                    const ARITY: usize = [$(stringify!($operand)),+].len();
                    const NEEDS: [Option<Needs>; 3] = needs(&[
                        $((stringify!($of), &[$(stringify!($needs)),*])),*
                    ]);
                    const DOMAIN: &'static [std::ops::Range<f64>] = &[$($domain),+];

                    #[inline(always)]
                    #[allow(clippy::redundant_closure_call)]
                    fn value<R: Real>(v: Vals<R>) -> R {
                        $(let $operand = v.$operand;)+
                        $value
                    }

                    #[inline(always)]
                    #[allow(unused_variables)]
                    fn vjp<const K: usize, R: Real>(v: Vals<R>) -> R {
                        $(
                            if stringify!($of).as_bytes()[1] == b'a' + K as u8 {
                                $(let $needs = v.$needs;)*
                                return $vjp;
                            }
                        )*
                        R::of(0.0)
                    }
                }
            )+
        }
    };
}

rows! {
    /// `a + b`.
    Add "AddBackward0" add(a, b) = a + b;
        da: (g) g;
        db: (g) g;
        [-3.0..3.0, -3.0..3.0];
    /// `a - b`.
    Sub "SubBackward0" sub(a, b) = a - b;
        da: (g) g;
        db: (g) -g;
        [-3.0..3.0, -3.0..3.0];
    /// `a * b`.
    Mul "MulBackward0" mul(a, b) = a * b;
        da: (g, b) g * b;
        db: (g, a) g * a;
        [-3.0..3.0, -3.0..3.0];
    /// `a / b`.
    Div "DivBackward0" div(a, b) = a / b;
        da: (g, b) g / b;
        db: (g, b, y) -g * y / b;
        [-3.0..3.0, 0.5..3.0];
    /// `a^b` as C's `pow`: right for negative bases and integral exponents; the derivative of `x^0` is 0 everywhere.
    Pow "PowBackward0" pow(a, b) = a.pow(b);
        da: (g, a, b) R::select(b.eq(R::of(0.0)), R::of(0.0), g * b * a.pow(b - one()));
        db: (g, a, b, y) R::select(a.eq(R::of(0.0)) & R::of(0.0).le(b), R::of(0.0), g * y * a.ln());
        [0.3..3.0, -2.0..2.0];
    /// The angle in radians of the point `(b, a)`.
    Atan2 "Atan2Backward0" atan2(a, b) = a.atan2(b);
        da: (g, a, b) g * b / (a * a + b * b);
        db: (g, a, b) -g * a / (a * a + b * b);
        [0.3..3.0, 0.3..3.0];
    /// `√(a² + b²)` without needless overflow.
    Hypot "HypotBackward0" hypot(a, b) = a.hypot(b);
        da: (g, a, y) g * (a / y);
        db: (g, b, y) g * (b / y);
        [0.3..3.0, 0.3..3.0];
    /// `a ln b`, 0 where `a` is 0 (unless `b` is NaN).
    Xlogy "XlogyBackward0" xlogy(a, b) =
            R::select(b.is_nan(), b, R::select(a.eq(R::of(0.0)), R::of(0.0), a * b.ln()));
        da: (g, a, b) R::select(a.eq(R::of(0.0)) & b.le(R::of(0.0)), R::of(0.0), g * b.ln());
        db: (g, a, b) g * a / b;
        [0.3..3.0, 0.3..3.0];
    /// The smaller one, NaN if either is; the gradient of a tie is shared evenly.
    Minimum "MinimumBackward0" minimum(a, b) = a.minimum(b);
        da: (g, a, b) R::select(b.lt(a), R::of(0.0), R::select(a.eq(b), g * R::of(0.5), g));
        db: (g, a, b) R::select(a.lt(b), R::of(0.0), R::select(a.eq(b), g * R::of(0.5), g));
        [-3.0..3.0, -3.0..3.0];
    /// The larger one, NaN if either is; the gradient of a tie is shared evenly.
    Maximum "MaximumBackward0" maximum(a, b) = a.maximum(b);
        da: (g, a, b) R::select(a.lt(b), R::of(0.0), R::select(a.eq(b), g * R::of(0.5), g));
        db: (g, a, b) R::select(b.lt(a), R::of(0.0), R::select(a.eq(b), g * R::of(0.5), g));
        [-3.0..3.0, -3.0..3.0];
    /// C's `fmod`: the remainder of `a / b` with the sign of `a`.
    Fmod "FmodBackward0" fmod(a, b) = a.fmod(b);
        da: (g) g;
        db: (g, a, b) -g * (a / b).trunc();
        [2.2..2.8, 0.6..0.7];
    /// Python's `%`: the remainder of `a / b` with the sign of `b`.
    Remainder "RemainderBackward0" remainder(a, b) = {
            let m = a.fmod(b);
            let wrong = !m.eq(R::of(0.0)) & ((b.lt(R::of(0.0)) & R::of(0.0).lt(m)) | (R::of(0.0).lt(b) & m.lt(R::of(0.0))));
            R::select(wrong, m + b, m)
        };
        da: (g) g;
        db: (g, a, b) -g * (a / b).floor();
        [2.2..2.8, 0.6..0.7];
    /// `a + c (b - a)`, exact at `c` = 0 and 1.
    Lerp "LerpBackward0" lerp(a, b, c) =
            R::select(c.abs().lt(R::of(0.5)), a + c * (b - a), b - (b - a) * (one::<R>() - c));
        da: (g, c) g * (one::<R>() - c);
        db: (g, c) g * c;
        dc: (g, a, b) g * (b - a);
        [-3.0..3.0, -3.0..3.0, 0.1..0.4];
    /// `b` where the mask `a` holds, else `c`; what is not chosen gets a gradient of 0, never NaN.
    Where "WhereBackward0" where_(a, b, c) = R::select(a.eq(R::of(0.0)), c, b);
        db: (g, a) R::select(a.eq(R::of(0.0)), R::of(0.0), g);
        dc: (g, a) R::select(a.eq(R::of(0.0)), g, R::of(0.0));
        [0.0..1.0, -3.0..3.0, -3.0..3.0];
    /// `a` limited to `b ..= c`.
    Clamp "ClampBackward1" clamp(a, b, c) = a.maximum(b).minimum(c);
        da: (g, a, b, c) R::select(b.le(a) & a.le(c), g, R::of(0.0));
        db: (g, a, b, c) R::select(a.lt(b) & b.lt(c), g, R::of(0.0));
        dc: (g, a, b, c) R::select(c.lt(a) | c.lt(b), g, R::of(0.0));
        [-3.0..3.0, -1.0..-0.5, 0.5..1.0];
    /// `a` limited to `b ..= c`, with a derivative of 0 at the limits.
    Hardtanh "HardtanhBackward0" hardtanh(a, b, c) = a.maximum(b).minimum(c);
        da: (g, a, b, c) R::select(b.lt(a) & a.lt(c), g, R::of(0.0));
        [-3.0..3.0, -1.0..-0.5, 0.5..1.0];
    /// `ln(1 + e^(a b)) / b`, and `a` itself where `a b > c`.
    Softplus "SoftplusBackward0" softplus(a, b, c) = R::select(c.lt(a * b), a, softplus(a * b) / b);
        da: (g, a, b, c) R::select(c.lt(a * b), g, g * (a * b).sigmoid());
        [-3.0..3.0, 0.5..2.0, 20.0..21.0];
    /// `a` where positive, else `a b`.
    LeakyRelu "LeakyReluBackward0" leaky_relu(a, b) = R::select(R::of(0.0).lt(a), a, a * b);
        da: (g, a, b) R::select(R::of(0.0).lt(a), g, g * b);
        [-3.0..3.0, 0.01..0.5];
    /// `a` where positive, else `b (e^a - 1)`.
    Elu "EluBackward0" elu(a, b) = R::select(R::of(0.0).lt(a), a, b * a.expm1());
        da: (g, a, b) R::select(R::of(0.0).lt(a), g, g * b * a.exp());
        [-3.0..3.0, 0.5..2.0];
    /// `-a`.
    Neg "NegBackward0" neg(a) = -a;
        da: (g) -g;
        [-3.0..3.0];
    /// `|a|`, with derivative 0 at 0.
    Abs "AbsBackward0" abs(a) = a.abs();
        da: (g, a) g * a.sign();
        [-3.0..3.0];
    /// -1, 0 or 1; the derivative is 0.
    Sign "SignBackward0" sign(a) = a.sign();
        da: (g) g * R::of(0.0);
        [0.1..3.0];
    /// The largest integer not above `a`; the derivative is 0.
    Floor "FloorBackward0" floor(a) = a.floor();
        da: (g) g * R::of(0.0);
        [0.1..0.9];
    /// The smallest integer not below `a`; the derivative is 0.
    Ceil "CeilBackward0" ceil(a) = a.ceil();
        da: (g) g * R::of(0.0);
        [0.1..0.9];
    /// The nearest integer, halves to even; the derivative is 0.
    Round "RoundBackward0" round(a) = a.round();
        da: (g) g * R::of(0.0);
        [0.6..1.4];
    /// `a` without its fraction; the derivative is 0.
    Trunc "TruncBackward0" trunc(a) = a.trunc();
        da: (g) g * R::of(0.0);
        [0.1..0.9];
    /// `a²`.
    Square "PowBackward0" square(a) = a * a;
        da: (g, a) g * (a + a);
        [-3.0..3.0];
    /// `√a`; the derivative at 0 is infinite.
    Sqrt "SqrtBackward0" sqrt(a) = a.sqrt();
        da: (g, y) g / (y + y);
        [0.3..3.0];
    /// `1 / √a`.
    Rsqrt "RsqrtBackward0" rsqrt(a) = one::<R>() / a.sqrt();
        da: (g, y) R::of(-0.5) * g * y * y * y;
        [0.3..3.0];
    /// `1 / a`.
    Reciprocal "ReciprocalBackward0" reciprocal(a) = one::<R>() / a;
        da: (g, y) -g * y * y;
        [0.5..3.0];
    /// `e^a`.
    Exp "ExpBackward0" exp(a) = a.exp();
        da: (g, y) g * y;
        [-3.0..3.0];
    /// `2^a`.
    Exp2 "Exp2Backward0" exp2(a) = a.exp2();
        da: (g, y) g * y * R::of(LN_2);
        [-3.0..3.0];
    /// `e^a - 1`, accurate near 0.
    Expm1 "Expm1Backward0" expm1(a) = a.expm1();
        da: (g, y) g * (y + one());
        [-3.0..3.0];
    /// The natural logarithm; also called `log`.
    Ln "LogBackward0" ln(a) = a.ln();
        da: (g, a) g / a;
        [0.3..3.0];
    /// The logarithm to base 2.
    Log2 "Log2Backward0" log2(a) = a.log2();
        da: (g, a) g / (a * R::of(LN_2));
        [0.3..3.0];
    /// The logarithm to base 10.
    Log10 "Log10Backward0" log10(a) = a.log10();
        da: (g, a) g / (a * R::of(LN_10));
        [0.3..3.0];
    /// `ln(1 + a)`, accurate near 0.
    Log1p "Log1PBackward0" log1p(a) = a.log1p();
        da: (g, a) g / (a + one());
        [-0.5..3.0];
    /// The sine of `a` radians.
    Sin "SinBackward0" sin(a) = a.sin();
        da: (g, a) g * a.cos();
        [-3.0..3.0];
    /// The cosine of `a` radians.
    Cos "CosBackward0" cos(a) = a.cos();
        da: (g, a) -g * a.sin();
        [-3.0..3.0];
    /// The tangent of `a` radians.
    Tan "TanBackward0" tan(a) = a.tan();
        da: (g, y) g + g * y * y;
        [-1.0..1.0];
    /// The arc sine in radians.
    Asin "AsinBackward0" asin(a) = a.asin();
        da: (g, a) g / (one::<R>() - a * a).sqrt();
        [-0.8..0.8];
    /// The arc cosine in radians.
    Acos "AcosBackward0" acos(a) = a.acos();
        da: (g, a) -g / (one::<R>() - a * a).sqrt();
        [-0.8..0.8];
    /// The arc tangent in radians.
    Atan "AtanBackward0" atan(a) = a.atan();
        da: (g, a) g / (a * a + one());
        [-3.0..3.0];
    /// The hyperbolic sine.
    Sinh "SinhBackward0" sinh(a) = a.sinh();
        da: (g, a) g * a.cosh();
        [-3.0..3.0];
    /// The hyperbolic cosine.
    Cosh "CoshBackward0" cosh(a) = a.cosh();
        da: (g, a) g * a.sinh();
        [-3.0..3.0];
    /// The hyperbolic tangent.
    Tanh "TanhBackward0" tanh(a) = a.tanh();
        da: (g, y) g * (one::<R>() - y * y);
        [-3.0..3.0];
    /// The inverse hyperbolic sine.
    Asinh "AsinhBackward0" asinh(a) = a.asinh();
        da: (g, a) g / (a * a + one()).sqrt();
        [-3.0..3.0];
    /// The inverse hyperbolic cosine.
    Acosh "AcoshBackward0" acosh(a) = a.acosh();
        da: (g, a) g / (a * a - one()).sqrt();
        [1.5..3.0];
    /// The inverse hyperbolic tangent.
    Atanh "AtanhBackward0" atanh(a) = a.atanh();
        da: (g, a) g / (one::<R>() - a * a);
        [-0.8..0.8];
    /// The logistic function `1 / (1 + e^-a)`.
    Sigmoid "SigmoidBackward0" sigmoid(a) = a.sigmoid();
        da: (g, y) g * y * (one::<R>() - y);
        [-3.0..3.0];
    /// `ln(1 / (1 + e^-a))` without overflow.
    LogSigmoid "LogSigmoidBackward0" log_sigmoid(a) = -softplus(-a);
        da: (g, a) g * (-a).sigmoid();
        [-3.0..3.0];
    /// `max(a, 0)`, with derivative 0 at 0.
    Relu "ReluBackward0" relu(a) = R::select(a.le(R::of(0.0)), R::of(0.0), a);
        da: (g, y) R::select(y.le(R::of(0.0)), R::of(0.0), g);
        [-3.0..3.0];
    /// The scaled exponential linear unit (Klambauer et al. 2017).
    Selu "EluBackward0" selu(a) =
            R::of(SELU_SCALE) * R::select(R::of(0.0).lt(a), a, R::of(SELU_ALPHA) * a.expm1());
        da: (g, a) R::select(R::of(0.0).lt(a), g * R::of(SELU_SCALE), g * R::of(SELU_SCALE * SELU_ALPHA) * a.exp());
        [-3.0..3.0];
    /// `a σ(a)`, also called swish.
    Silu "SiluBackward0" silu(a) = a * a.sigmoid();
        da: (g, a) {
            let s = a.sigmoid();
            g * s * (one::<R>() + a * (one::<R>() - s))
        };
        [-3.0..3.0];
    /// `a tanh(ln(1 + e^a))` (Misra 2019).
    Mish "MishBackward0" mish(a) = a * softplus(a).tanh();
        da: (g, a) {
            let t = softplus(a).tanh();
            g * (t + a * a.sigmoid() * (one::<R>() - t * t))
        };
        [-3.0..3.0];
    /// `a Φ(a)` with the normal distribution function (Hendrycks and Gimpel 2016).
    Gelu "GeluBackward0" gelu(a) = a * R::of(0.5) * (one::<R>() + (a * R::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
        da: (g, a) {
            let cdf = R::of(0.5) * (one::<R>() + (a * R::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
            let density = R::of(0.5 * TWO_OVER_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2) * (a * a * R::of(-0.5)).exp();
            g * (cdf + a * density)
        };
        [-3.0..3.0];
    /// GELU by its hyperbolic-tangent approximation (Hendrycks and Gimpel 2016, section 2).
    GeluTanh "GeluBackward0" gelu_tanh(a) = a * R::of(0.5) * (one::<R>() + gelu_inner(a).tanh());
        da: (g, a) {
            let t = gelu_inner(a).tanh();
            let slope = R::of((2.0 / std::f64::consts::PI).sqrt()) * (one::<R>() + R::of(3.0 * GELU_CUBIC) * a * a);
            g * R::of(0.5) * (one::<R>() + t + a * (one::<R>() - t * t) * slope)
        };
        [-3.0..3.0];
    /// The error function.
    Erf "ErfBackward0" erf(a) = a.erf();
        da: (g, a) g * R::of(TWO_OVER_SQRT_PI) * (-a * a).exp();
        [-2.0..2.0];
    /// `1 - erf(a)`, accurate for large `a`.
    Erfc "ErfcBackward0" erfc(a) = a.erfc();
        da: (g, a) -g * R::of(TWO_OVER_SQRT_PI) * (-a * a).exp();
        [-2.0..2.0];
}

/// Stamps the methods of the unary rows, with the rows' own doc lines.
macro_rules! unary_methods {
    ($($variant:ident $name:ident $try_name:ident $doc:literal;)+) => {
        crate::error::twins! {
            impl[E: crate::FloatElement] crate::TensorBase<E> { $(
                #[doc = $doc]
                pub fn $name | $try_name(self) -> crate::TensorBase<E> {
                    super::unary(Elementwise::$variant, self)
                }
            )+ }
        }
    };
}
unary_methods! {
    Abs abs try_abs "`|x|`, with derivative 0 at 0.";
    Sign sign try_sign "-1, 0 or 1 by the sign of each element; the derivative is 0.";
    Floor floor try_floor "The largest integer not above each element; the derivative is 0.";
    Ceil ceil try_ceil "The smallest integer not below each element; the derivative is 0.";
    Round round try_round "The nearest integer, halves to even; the derivative is 0.";
    Trunc trunc try_trunc "Each element without its fraction; the derivative is 0.";
    Square square try_square "`x²`.";
    Sqrt sqrt try_sqrt "`√x`; the derivative at 0 is infinite.";
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
        crate::error::twins! {
            impl[E: crate::FloatElement] crate::TensorBase<E> { $(
                #[doc = $doc]
                ///
                /// `other` is a tensor whose shape broadcasts with this one, or a number.
                pub fn $name | $try_name<O: super::IntoOperand<E>>(self, other: O) -> crate::TensorBase<E> {
                    super::binary(Elementwise::$variant, self, other)
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
    Fmod fmod try_fmod "C's `fmod`: the remainder of `self / other` with the sign of `self`.";
    Remainder remainder try_remainder "Python's `%`: the remainder of `self / other` with the sign of `other`.";
}

crate::error::twins! {
    impl[E: crate::FloatElement] crate::TensorBase<E> {
        /// `-x`; the operator `-` is the same.
        pub fn neg | try_neg(self) -> crate::TensorBase<E> {
            super::unary(Elementwise::Neg, self)
        }

        /// `x^n` for an integer `n`.
        pub fn powi | try_powi(self, n: i32) -> crate::TensorBase<E> {
            match n {
                2 => super::unary(Elementwise::Square, self),
                _ => super::binary(Elementwise::Pow, self, n),
            }
        }

        /// `self + weight (end - self)`, exact at both ends; `weight` is a tensor or a number.
        pub fn lerp | try_lerp<O: super::IntoOperand<E>>(self, end: crate::TensorBase<E>, weight: O) -> crate::TensorBase<E> {
            super::ternary(Elementwise::Lerp, self, end, weight)
        }

        /// Each element limited to `min ..= max`, tensors or numbers; NaN stays NaN. The derivative at the limits is 1, and
        /// where `min > max` the result is `max`.
        pub fn clamp | try_clamp<L: super::IntoOperand<E>, H: super::IntoOperand<E>>(self, min: L, max: H) -> crate::TensorBase<E> {
            super::ternary(Elementwise::Clamp, self, min, max)
        }

        /// Each element limited from below.
        pub fn clamp_min | try_clamp_min<L: super::IntoOperand<E>>(self, min: L) -> crate::TensorBase<E> {
            super::ternary(Elementwise::Clamp, self, min, f64::INFINITY)
        }

        /// Each element limited from above.
        pub fn clamp_max | try_clamp_max<H: super::IntoOperand<E>>(self, max: H) -> crate::TensorBase<E> {
            super::ternary(Elementwise::Clamp, self, f64::NEG_INFINITY, max)
        }

        /// Each element limited to `min ..= max`, with a derivative of 0 at the limits.
        pub fn hardtanh | try_hardtanh(self, min: f64, max: f64) -> crate::TensorBase<E> {
            super::ternary(Elementwise::Hardtanh, self, min, max)
        }

        /// `ln(1 + e^x)` without overflow.
        pub fn softplus | try_softplus(self) -> crate::TensorBase<E> {
            self.try_softplus_with(1.0, 20.0)
        }

        /// `ln(1 + e^(beta x)) / beta`, and `x` itself where `beta x > threshold`.
        pub fn softplus_with | try_softplus_with(self, beta: f64, threshold: f64) -> crate::TensorBase<E> {
            super::ternary(Elementwise::Softplus, self, beta, threshold)
        }

        /// `x` where positive, else `slope x`; PyTorch's default slope is 0.01.
        pub fn leaky_relu | try_leaky_relu(self, slope: f64) -> crate::TensorBase<E> {
            super::binary(Elementwise::LeakyRelu, self, slope)
        }

        /// `x` where positive, else `alpha (e^x - 1)`; PyTorch's default alpha is 1.
        pub fn elu | try_elu(self, alpha: f64) -> crate::TensorBase<E> {
            super::binary(Elementwise::Elu, self, alpha)
        }
    }
}

crate::error::twins! {
    impl[] crate::TensorBase<bool> {
        /// `yes` where the mask holds, else `no`: `x.gt(0.0).where_(x, y)`; tensors broadcast, numbers do too, but one of the two
        /// must be a tensor. What is not chosen gets a gradient of 0; if computing it gave infinity or NaN, choose a harmless
        /// operand *before* that computation as well, since 0 times infinity is NaN in its own derivative.
        pub fn where_ | try_where_<E: crate::FloatElement, Y: super::IntoOperand<E>, N: super::IntoOperand<E>>(self, yes: Y, no: N) -> crate::TensorBase<E> {
            super::choose(self, yes.operand(), no.operand())
        }
    }
}

/// `base^exponent`, either of which may be a number: `pow(2.0, x)`.
///
/// # Panics
/// If the shapes do not broadcast, or both are numbers; see [`TensorBase::pow`](crate::TensorBase::pow).
#[track_caller]
pub fn pow<E: FloatElement>(base: impl IntoOperand<E>, exponent: impl IntoOperand<E>) -> TensorBase<E> {
    unwrap(super::binary(Elementwise::Pow, base, exponent))
}

/// `a ln b`, either of which may be a number, and 0 where `a` is 0 (unless `b` is NaN).
///
/// # Panics
/// If the shapes do not broadcast, or both are numbers; see [`TensorBase::xlogy`](crate::TensorBase::xlogy).
#[track_caller]
pub fn xlogy<E: FloatElement>(a: impl IntoOperand<E>, b: impl IntoOperand<E>) -> TensorBase<E> {
    unwrap(super::binary(Elementwise::Xlogy, a, b))
}
