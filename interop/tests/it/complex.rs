//! num-complex: complex numbers with tensors as parts.

use num_complex::Complex;
use num_traits::{Float, FloatConst};

use crate::differentiate;

/// The modulus and the angle of `f` at `x[0] + i x[1]`, weighed.
fn parts<T: Float + FloatConst>(x: &[T], f: impl Fn(Complex<T>) -> Complex<T>) -> T {
    let w = f(Complex::new(x[0], x[1]));
    w.norm() * x[2] + w.arg() + w.re * w.im
}

/// Stamps a test of functions of a complex number.
macro_rules! functions {
    ($($name:ident |$z:ident| $value:expr;)+) => {
        $(fn $name<T: Float + FloatConst>(x: &[T]) -> T {
            parts(x, |$z| $value)
        })+

        #[test]
        fn functions() {
            $(differentiate!($name at [0.7, 0.4, 1.3]);)+
        }
    };
}
functions! {
    exp |z| z.exp();
    ln |z| z.ln();
    sqrt |z| z.sqrt();
    cbrt |z| z.cbrt();
    sin |z| z.sin();
    cos |z| z.cos();
    tan |z| z.tan();
    asin |z| z.asin();
    acos |z| z.acos();
    atan |z| z.atan();
    sinh |z| z.sinh();
    tanh |z| z.tanh();
    asinh |z| z.asinh();
    acosh |z| z.acosh();
    atanh |z| z.atanh();
    powf |z| z.powf(z.re + z.im);
    powc |z| z.powc(z);
    powi |z| z.powi(-3) + z.powu(4);
    logarithm |z| z.log(z.im + T::one());
    quotient |z| (z * z + z.conj()) / (z - Complex::i()) + z.inv() * z.re;
    polar |z| Complex::from_polar(z.re, z.im) + Complex::cis(z.re);
}

/// One Newton fractal orbit: 8 steps towards a root of z³ - c.
fn orbit<T: Float + FloatConst>(x: &[T]) -> T {
    let (c, three) = (Complex::new(x[2], x[3]), T::from(3.0).unwrap());
    let mut z = Complex::new(x[0], x[1]);
    for _ in 0..8 {
        z = z - (z * z * z - c) / (z * z).scale(three);
    }
    z.re + z.im * z.im
}

/// By the modulus squared: d|z|²/d(x, y) = (2x, 2y), which `norm_sqr` and the product with the conjugate must both give.
fn modulus<T: Float + FloatConst>(x: &[T]) -> T {
    let z = Complex::new(x[0], x[1]);
    (z.norm_sqr() + (z * z.conj()).re) / (T::one() + T::one())
}

#[test]
fn iterations_and_closed_forms() {
    differentiate!(orbit at [1.0, 0.2, 1.4, 0.5]);
    differentiate!(modulus at [0.6, -1.7], gradient = [1.2, -3.4]);
}
