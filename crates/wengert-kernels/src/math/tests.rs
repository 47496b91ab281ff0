//! Every function against oracles, in units in the last place, through the dispatched loops that users run.

use crate::Real;
use crate::map::{Map3, map3};

/// A function, as a loop in both formats, with its oracle for `f32` and the error that it may have.
struct Case {
    name: &'static str,
    single: fn(&[f32], &mut [f32]),
    #[allow(dead_code)]
    double: fn(&[f64], &mut [f64]),
    oracle: fn(f64) -> f64,
    max_ulp: f64,
}

macro_rules! cases {
    ($($name:ident = $oracle:expr, $max_ulp:expr;)+) => {
        $(
            #[derive(Clone, Copy)]
            #[allow(non_camel_case_types)]
            struct $name;

            impl<E: Real> Map3<E> for $name {
                #[inline(always)]
                fn at(self, x: E, _: E, _: E) -> E {
                    x.$name()
                }
            }
        )+

        const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            single: |x, out| map3($name, x, x, x, out),
            double: |x, out| map3($name, x, x, x, out),
            oracle: $oracle,
            max_ulp: $max_ulp,
        }),+];
    };
}

cases!(
    exp = f64::exp, 1.0;
    exp2 = f64::exp2, 1.0;
    expm1 = f64::exp_m1, 1.8;
    ln = f64::ln, 1.0;
    log1p = f64::ln_1p, 1.8;
    tanh = f64::tanh, 1.5;
    sigmoid = |x| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }, 2.0;
    erf = libm::erf, 1.5;
);

/// The distance of `got` from `want` in units of the last `f32` place of `want`.
fn ulps(got: f32, want: f64) -> f64 {
    let nearest = want as f32;
    let same = if nearest.is_nan() {
        got.is_nan()
    } else {
        got == nearest && (got != 0.0 || got.to_bits() == nearest.to_bits())
    };
    if same && !nearest.is_normal() {
        return 0.0;
    }
    if !nearest.is_finite() || !got.is_finite() {
        return if same { 0.0 } else { f64::INFINITY };
    }
    let exponent = ((want.abs().to_bits() >> 52) as i32 - 1023).max(-126);
    (f64::from(got) - want).abs() / f64::powi(2.0, exponent - 23)
}

/// Checks every `stride`-th `f32`, and prints the largest errors.
fn check_singles(stride: usize) {
    let mut failures = String::new();
    for case in CASES {
        let mut worst = (0.0, 0.0, 0.0);
        for start in (0..1 << 32).step_by(stride * 4096) {
            let bits = (start..1 << 32).step_by(stride).take(4096);
            let x: Vec<f32> = bits.map(|bits: u64| f32::from_bits(bits as u32)).collect();
            let mut out = vec![0.0; x.len()];
            (case.single)(&x, &mut out);
            for (&x, &got) in x.iter().zip(&out) {
                let error = ulps(got, (case.oracle)(x.into()));
                if error > worst.0 || error.is_nan() {
                    worst = (error, x, got);
                }
            }
        }
        let (error, x, got) = worst;
        println!("{:8} {error:5.2} ulp: {}({x:e}) = {got:e}, not {:e}", case.name, case.name, (case.oracle)(x.into()));
        if error.is_nan() || error > case.max_ulp {
            failures += &format!(" {}", case.name);
        }
    }
    assert!(failures.is_empty(), "more than the accepted error:{failures}");
}

#[test]
fn f32_functions_are_accurate() {
    check_singles(65_521);
}

#[test]
#[ignore = "hours: every f32 there is"]
fn all_f32_arguments_are_accurate() {
    check_singles(1);
}

#[test]
#[ignore = "minutes: every 101st f32"]
fn many_f32_arguments_are_accurate() {
    check_singles(101);
}
