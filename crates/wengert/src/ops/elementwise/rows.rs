//! The table of elementwise operations: one row each.
//!
//! ```text
//! /// Hyperbolic tangent.                                 the doc line of the method
//! Tanh "TanhBackward0" tanh(a) = a.tanh();               variant, name in print, method, value
//! Pow "PowBackward1", b: "PowBackward0" pow(a, b) = ..    and the name in print where `b` is a number
//!     da: (g, y) g - g * y * y;                          vector-Jacobian product for each operand that has one
//!     [-3.0..3.0];                                       where its gradient is tested, an interval per operand
//! ```
//!
//! Formulas are generic over [`Real`]: with floats they are the kernels, with tensors the recorded derivative that
//! `create_graph` needs, and as they are linear in `g`, the tangent rule of forward mode. A product sees only the values named
//! before it, of `g` (incoming), `a b c` (operands) and `y` (value); naming one is what makes the sweep check that it was not
//! overwritten. The gradient conventions are those of PyTorch's `derivatives.yaml`.

use wengert_kernels::Real;

use super::formula::{Formula, Needs, Row, Vals, needs, row};

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

/// `x / (a² + b²)`, 0 at the origin.
#[inline(always)]
fn over_square<R: Real>(x: R, a: R, b: R) -> R {
    let square = a * a + b * b;
    R::select(square.eq(R::of(0.0)), R::of(0.0), x / square)
}

/// Whether the remainder `m` is not 0 and has not the sign of `b`.
#[inline(always)]
fn has_other_sign<R: Real>(m: R, b: R) -> R::Mask {
    (b.lt(R::of(0.0)) & R::of(0.0).lt(m)) | (R::of(0.0).lt(b) & m.lt(R::of(0.0)))
}

/// Python's `a // b`, by the exact remainder, as the rounded quotient can be wrong by one.
#[inline(always)]
fn floor_div<R: Real>(a: R, b: R) -> R {
    let m = a.fmod(b);
    let quotient = (a - m) / b;
    let quotient = R::select(has_other_sign(m, b), quotient - one(), quotient);
    R::select(b.eq(R::of(0.0)), a / b, quotient.round())
}

/// Whether `x` has a minus sign, as -0 has; false for NaN.
#[inline(always)]
fn is_negative<R: Real>(x: R) -> R::Mask {
    x.lt(R::of(0.0)) | (x.eq(R::of(0.0)) & (one::<R>() / x).lt(R::of(0.0)))
}

/// The cube root: that of the power function, improved by a step of Newton's method.
#[inline(always)]
fn cbrt<R: Real>(x: R) -> R {
    let size = x.abs();
    let near = size.pow(R::of(1.0 / 3.0));
    let root = near - (near - size / (near * near)) / R::of(3.0);
    // At 0 and infinity, where the step gives NaN, the power is exact, but for the sign of 0.
    let root = R::select(root.is_nan(), near, root);
    R::select(x.eq(R::of(0.0)), x, root * x.sign())
}

/// The share of `g` of an operand that is chosen where `wins`, and shares evenly in a tie.
#[inline(always)]
fn share<R: Real>(wins: R::Mask, ties: R::Mask, g: R) -> R {
    R::select(ties, g * R::of(0.5), R::select(wins, g, R::of(0.0)))
}

macro_rules! rows {
    ($(
        $(#[doc = $doc:literal])*
        $variant:ident $grad_fn:literal $(, $number:ident: $with_number:literal)* $name:ident($($operand:ident),+) = $value:expr;
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

        pub(crate) mod formulas {
            use super::*;
            $(
                #[derive(Clone, Copy)]
                pub struct $variant;

                impl Formula for $variant {
                    const OP: Elementwise = Elementwise::$variant;
                    const NAME: &'static str = stringify!($name);
                    const GRAD_FN: &'static str = $grad_fn;
                    const WITH_NUMBER: &'static [(&'static str, &'static str)] = &[$((stringify!($number), $with_number)),*];
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
    Sub "SubBackward0", a: "RsubBackward1" sub(a, b) = a - b;
        da: (g) g;
        db: (g) -g;
        [-3.0..3.0, -3.0..3.0];
    /// `a * b`.
    Mul "MulBackward0" mul(a, b) = a * b;
        da: (g, b) g * b;
        db: (g, a) g * a;
        [-3.0..3.0, -3.0..3.0];
    /// `a / b`.
    Div "DivBackward0", a: "MulBackward0" div(a, b) = a / b;
        da: (g, b) g / b;
        db: (g, b, y) -g * y / b;
        [-3.0..3.0, 0.5..3.0];
    /// `a^b` as C's `pow`: right for negative bases and integral exponents; the derivative of `x^0` is 0 everywhere.
    Pow "PowBackward1", a: "PowBackward2", b: "PowBackward0" pow(a, b) = a.pow(b);
        da: (g, a, b) R::select(b.eq(R::of(0.0)), R::of(0.0), g * b * a.pow(b - one()));
        db: (g, a, b, y) R::select(a.eq(R::of(0.0)) & R::of(0.0).le(b), R::of(0.0), g * y * a.ln());
        [0.3..3.0, -2.0..2.0];
    /// The angle in radians of the point `(b, a)`; the derivative at the origin is 0.
    Atan2 "Atan2Backward0" atan2(a, b) = a.atan2(b);
        da: (g, a, b) over_square(g * b, a, b);
        db: (g, a, b) over_square(-g * a, a, b);
        [0.3..3.0, 0.3..3.0];
    /// `√(a² + b²)` without needless overflow.
    Hypot "HypotBackward0" hypot(a, b) = a.hypot(b);
        da: (g, a, y) g * (a / y);
        db: (g, b, y) g * (b / y);
        [0.3..3.0, 0.3..3.0];
    /// `a ln b`, 0 where `a` is 0 (unless `b` is NaN).
    Xlogy "XlogyBackward0", a: "XlogyBackward1", b: "XlogyBackward2" xlogy(a, b) =
            R::select(b.is_nan(), b, R::select(a.eq(R::of(0.0)), R::of(0.0), a * b.ln()));
        da: (g, a, b) R::select(a.eq(R::of(0.0)) & b.le(R::of(0.0)), R::of(0.0), g * b.ln());
        db: (g, a, b) g * a / b;
        [0.3..3.0, 0.3..3.0];
    /// The smaller one, NaN if either is; the gradient of a tie is shared evenly.
    Minimum "MinimumBackward0" minimum(a, b) = a.minimum(b);
        da: (g, a, b) share(!b.lt(a), a.eq(b), g);
        db: (g, a, b) share(!a.lt(b), a.eq(b), g);
        [-3.0..3.0, -3.0..3.0];
    /// The larger one, NaN if either is; the gradient of a tie is shared evenly.
    Maximum "MaximumBackward0" maximum(a, b) = a.maximum(b);
        da: (g, a, b) share(!a.lt(b), a.eq(b), g);
        db: (g, a, b) share(!b.lt(a), a.eq(b), g);
        [-3.0..3.0, -3.0..3.0];
    /// The smaller one, NaN only if both are; the gradient of a tie is shared evenly.
    Fmin "FminBackward0" fmin(a, b) = R::select(a.is_nan() | b.lt(a), b, a);
        da: (g, a, b) share(a.lt(b) | b.is_nan(), a.eq(b), g);
        db: (g, a, b) share(!(a.le(b) | b.is_nan()), a.eq(b), g);
        [-3.0..3.0, -3.0..3.0];
    /// The larger one, NaN only if both are; the gradient of a tie is shared evenly.
    Fmax "FmaxBackward0" fmax(a, b) = R::select(a.is_nan() | a.lt(b), b, a);
        da: (g, a, b) share(b.lt(a) | b.is_nan(), a.eq(b), g);
        db: (g, a, b) share(!(b.le(a) | b.is_nan()), a.eq(b), g);
        [-3.0..3.0, -3.0..3.0];
    /// `|a|` with the sign of `b`, whose derivative is 0, as is that at `a` = 0.
    Copysign "CopysignBackward0" copysign(a, b) = R::select(is_negative(b), -a.abs(), a.abs());
        da: (g, a, y) R::select(a.eq(R::of(0.0)), R::of(0.0), g * (y / a));
        db: (g) g * R::of(0.0);
        [0.3..3.0, -3.0..-0.3];
    /// C's `fmod`: the remainder of `a / b` with the sign of `a`.
    Fmod "FmodBackward1", b: "FmodBackward0" fmod(a, b) = a.fmod(b);
        da: (g) g;
        db: (g, a, b) -g * (a / b).trunc();
        [2.2..2.8, 0.6..0.7];
    /// Python's `%`: the remainder of `a / b` with the sign of `b`.
    Remainder "RemainderBackward1", b: "RemainderBackward0" remainder(a, b) = {
            let m = a.fmod(b);
            R::select(has_other_sign(m, b), m + b, m)
        };
        da: (g) g;
        db: (g, a, b) -g * floor_div(a, b);
        [2.2..2.8, 0.6..0.7];
    /// `a + c (b - a)`, exact at `c` = 0 and 1.
    Lerp "LerpBackward1", c: "LerpBackward0" lerp(a, b, c) =
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
    /// `a` limited to the numbers `b ..= c`, with a derivative of 0 at the limits.
    Clamp "ClampBackward1" clamp(a, b, c) = a.maximum(b).minimum(c);
        da: (g, a, b, c) R::select(b.lt(a) & a.lt(c), g, R::of(0.0));
        [-3.0..3.0, -1.0..-0.5, 0.5..1.0];
    /// `a` limited to the tensors `b ..= c`; the gradient of a tie is shared evenly.
    ClampTensor "ClampBackward0" clamp(a, b, c) = a.maximum(b).minimum(c);
        da: (g, a, b, c) share(!(a.lt(b) | c.lt(a)), b.lt(c) & (a.eq(b) | a.eq(c)), g);
        db: (g, a, b, c) share(a.lt(b) & b.lt(c), a.eq(b) & b.lt(c), g);
        dc: (g, a, b, c) share((c.lt(a) & b.lt(c)) | c.lt(b), a.eq(c) & b.lt(c), g);
        [-3.0..3.0, -1.0..-0.5, 0.5..1.0];
    /// `a` limited from below by the number `b`, with a derivative of 0 at the limit.
    ClampMin "ClampMinBackward0" clamp_min(a, b) = a.maximum(b);
        da: (g, a, b) R::select(b.lt(a), g, R::of(0.0));
        [-3.0..3.0, -1.0..1.0];
    /// `a` limited from below by the tensor `b`; the gradient of a tie is shared evenly.
    ClampMinTensor "ClampMinBackward1" clamp_min(a, b) = a.maximum(b);
        da: (g, a, b) share(!a.lt(b), a.eq(b), g);
        db: (g, a, b) share(!b.lt(a), a.eq(b), g);
        [-3.0..3.0, -1.0..1.0];
    /// `a` limited from above by the number `b`, with a derivative of 0 at the limit.
    ClampMax "ClampMaxBackward0" clamp_max(a, b) = a.minimum(b);
        da: (g, a, b) R::select(a.lt(b), g, R::of(0.0));
        [-3.0..3.0, -1.0..1.0];
    /// `a` limited from above by the tensor `b`; the gradient of a tie is shared evenly.
    ClampMaxTensor "ClampMaxBackward1" clamp_max(a, b) = a.minimum(b);
        da: (g, a, b) share(!b.lt(a), a.eq(b), g);
        db: (g, a, b) share(!a.lt(b), a.eq(b), g);
        [-3.0..3.0, -1.0..1.0];
    /// `a` limited to the numbers `b ..= c`, with a derivative of 0 at the limits and 1 at NaN.
    Hardtanh "HardtanhBackward0" hardtanh(a, b, c) = a.maximum(b).minimum(c);
        da: (g, a, b, c) R::select(a.le(b) | c.le(a), R::of(0.0), g);
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
        da: (g, a, b) R::select(a.le(R::of(0.0)), g * b * a.exp(), g);
        [-3.0..3.0, 0.5..2.0];
    /// `-a`.
    Neg "NegBackward0" neg(a) = -a;
        da: (g) -g;
        [-3.0..3.0];
    /// `|a|`, with derivative 0 at 0.
    Abs "AbsBackward0" abs(a) = a.abs();
        da: (g, a) g * a.sign();
        [-3.0..3.0];
    /// -1, 0 or 1, and 0 for NaN; the derivative is 0.
    Sign "SignBackward0" sign(a) = a.sign();
        da: (g) g * R::of(0.0);
        [0.1..3.0];
    /// -1 or 1 by the sign of `a` (-1 for -0), and NaN for NaN; the derivative is 0.
    Signum "SignBackward0" signum(a) = R::select(a.is_nan(), a, R::select(is_negative(a), -one::<R>(), one()));
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
    /// The nearest integer, halves away from 0; the derivative is 0.
    RoundHalfAway "RoundBackward0" round_half_away(a) = {
            let whole = a.trunc();
            R::select((a - whole).abs().lt(R::of(0.5)), whole, whole + a.sign())
        };
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
    /// The cube root, negative for negative numbers; the derivative at 0 is infinite.
    Cbrt "CbrtBackward0" cbrt(a) = cbrt(a);
        da: (g, y) g / (R::of(3.0) * y * y);
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
    Relu "ReluBackward0" relu(a) = R::select(a.lt(R::of(0.0)), R::of(0.0), a);
        da: (g, y) R::select(y.le(R::of(0.0)), R::of(0.0), g);
        [-3.0..3.0];
    /// The scaled exponential linear unit (Klambauer et al. 2017).
    Selu "EluBackward0" selu(a) =
            R::of(SELU_SCALE) * R::select(R::of(0.0).lt(a), a, R::of(SELU_ALPHA) * a.expm1());
        da: (g, a) R::of(SELU_SCALE) * R::select(a.le(R::of(0.0)), g * R::of(SELU_ALPHA) * a.exp(), g);
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
