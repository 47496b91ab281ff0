//! Every function against oracles, in units in the last place, through the dispatched loops that users run.

use crate::Real;
use crate::map::{Map3, map3};

/// A function of one operand, in both formats, with its oracle and the error that it may have.
struct Unary {
    name: &'static str,
    single: fn(&[f32], &mut [f32]),
    double: fn(&[f64], &mut [f64]),
    /// The function outside of a dispatched loop, compiled for the baseline.
    baseline_single: fn(f32) -> f32,
    baseline_double: fn(f64) -> f64,
    oracle: fn(f64) -> f64,
    max_ulp: [f64; 2],
}

/// As [`Unary`], of two operands.
struct Binary {
    name: &'static str,
    single: fn(&[f32], &[f32], &mut [f32]),
    double: fn(&[f64], &[f64], &mut [f64]),
    oracle: fn(f64, f64) -> f64,
    max_ulp: [f64; 2],
}

macro_rules! unary {
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

        const UNARY: &[Unary] = &[$(Unary {
            name: stringify!($name),
            single: |x, out| map3($name, x, x, x, out),
            double: |x, out| map3($name, x, x, x, out),
            baseline_single: |x| Real::$name(x),
            baseline_double: |x| Real::$name(x),
            oracle: $oracle,
            max_ulp: $max_ulp,
        }),+];
    };
}

macro_rules! binary {
    ($($name:ident = $oracle:expr, $max_ulp:expr;)+) => {
        $(
            #[derive(Clone, Copy)]
            #[allow(non_camel_case_types)]
            struct $name;

            impl<E: Real> Map3<E> for $name {
                #[inline(always)]
                fn at(self, x: E, y: E, _: E) -> E {
                    x.$name(y)
                }
            }
        )+

        const BINARY: &[Binary] = &[$(Binary {
            name: stringify!($name),
            single: |x, y, out| map3($name, x, y, y, out),
            double: |x, y, out| map3($name, x, y, y, out),
            oracle: $oracle,
            max_ulp: $max_ulp,
        }),+];
    };
}

unary!(
    exp = f64::exp, [1.1, 1.1];
    exp2 = f64::exp2, [1.1, 1.1];
    expm1 = f64::exp_m1, [1.5, 1.5];
    ln = f64::ln, [1.0, 1.0];
    log2 = f64::log2, [0.51, 1.0];
    log10 = f64::log10, [0.51, 1.0];
    log1p = f64::ln_1p, [1.8, 1.8];
    sin = f64::sin, [0.51, 1.0];
    cos = f64::cos, [0.51, 1.0];
    tan = f64::tan, [0.51, 1.0];
    asin = f64::asin, [0.51, 1.0];
    acos = f64::acos, [0.51, 1.0];
    atan = f64::atan, [0.51, 1.0];
    sinh = f64::sinh, [0.51, 1.5];
    cosh = f64::cosh, [0.51, 1.5];
    tanh = f64::tanh, [1.5, 2.0];
    asinh = f64::asinh, [0.51, 1.5];
    acosh = f64::acosh, [0.51, 1.5];
    atanh = f64::atanh, [0.51, 1.5];
    sigmoid = |x| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }, [2.0, 2.0];
    erf = libm::erf, [1.5, 1.5];
    erfc = libm::erfc, [0.51, 2.0];
    sqrt = f64::sqrt, [0.5, 0.5];
    abs = f64::abs, [0.0, 0.0];
    floor = f64::floor, [0.0, 0.0];
    ceil = f64::ceil, [0.0, 0.0];
    round = f64::round_ties_even, [0.0, 0.0];
    trunc = f64::trunc, [0.0, 0.0];
    sign = |x| if x == 0.0 || x.is_nan() { 0.0 } else { x.signum() }, [0.0, 0.0];
);

binary!(
    pow = f64::powf, [0.51, 1.0];
    atan2 = f64::atan2, [0.51, 1.0];
    hypot = f64::hypot, [0.51, 1.0];
    fmod = |x, y| x % y, [0.0, 0.0];
    minimum = |x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { x.min(y) }, [0.0, 0.0];
    maximum = |x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { x.max(y) }, [0.0, 0.0];
);

const SPECIAL: [f64; 22] = [
    0.0,
    -0.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1.0,
    -1.0,
    2.0,
    -2.0,
    3.0,
    -3.0,
    0.5,
    -0.5,
    2.5,
    -2.5,
    1e-45,
    -1e-45,
    3.4e38,
    -3.4e38,
    1e300,
    -1e300,
    5e-324,
];

/// Whether two numbers are the same, for infinite, zero and NaN ones with their signs; NaN has none.
fn same_class(got: f64, want: f64) -> bool {
    got.is_nan() && want.is_nan() || got == want && got.is_sign_negative() == want.is_sign_negative()
}

/// The distance of `got` from `want` in units of the last `f32` place of `want`.
fn ulps(got: f32, want: f64) -> f64 {
    let nearest = want as f32;
    if same_class(got.into(), nearest.into()) && !nearest.is_normal() {
        return 0.0;
    }
    if !nearest.is_finite() || !got.is_finite() || want == 0.0 {
        return f64::INFINITY;
    }
    let exponent = ((want.abs().to_bits() >> 52) as i32 - 1023).max(-126);
    (f64::from(got) - want).abs() / f64::powi(2.0, exponent - 23)
}

/// The largest error of a function, and where it is.
struct Worst {
    name: &'static str,
    error: f64,
    case: String,
}

impl Worst {
    fn new(name: &'static str) -> Self {
        Self { name, error: 0.0, case: String::new() }
    }

    fn note(&mut self, error: f64, case: impl FnOnce() -> String) {
        if error > self.error || error.is_nan() {
            (self.error, self.case) = (error, case());
        }
    }

    /// Prints the error; gives the name back if it is too large.
    fn verdict(self, max_ulp: f64) -> Option<&'static str> {
        println!("{:8} {:5.2} ulp: {}", self.name, self.error, self.case);
        (self.error.is_nan() || self.error > max_ulp).then_some(self.name)
    }
}

/// Checks every `stride`-th `f32`, of the functions that the variable `ULP_FUNCTIONS` names, or of all.
fn check_singles(stride: usize) {
    const BLOCK: u64 = 4096;
    let asked = std::env::var("ULP_FUNCTIONS").ok();
    let chosen = |unary: &&Unary| asked.as_ref().is_none_or(|asked| asked.split(',').any(|name| name == unary.name));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong = UNARY.iter().filter(chosen).filter_map(|unary| {
        // Threads take the blocks in turns: the costs of functions differ from range to range.
        let part = |thread: usize| {
            let mut worst = Worst::new(unary.name);
            for start in (0..1 << 32).step_by(stride * BLOCK as usize).skip(thread).step_by(threads) {
                let bits = (start..1 << 32).step_by(stride).take(BLOCK as usize);
                let x: Vec<f32> = bits.map(|bits: u64| f32::from_bits(bits as u32)).collect();
                let mut out = vec![0.0; x.len()];
                (unary.single)(&x, &mut out);
                for (&x, &got) in x.iter().zip(&out) {
                    let want = (unary.oracle)(x.into());
                    worst.note(ulps(got, want), || format!("of {x:e} is {got:e}, not {want:e}"));
                }
            }
            worst
        };
        let worst = std::thread::scope(|scope| {
            let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
            let worsts = parts.into_iter().map(|part| part.join().expect("a thread without a panic"));
            worsts.reduce(|a, b| if b.error > a.error || b.error.is_nan() { b } else { a })
        });
        worst.expect("a thread or more").verdict(unary.max_ulp[0])
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0], "functions with more than the accepted error");
}

#[test]
fn f32_functions_are_accurate() {
    check_singles(65_521);
}

#[test]
#[ignore = "minutes: every 101st f32; run by `just ulp-f32`"]
fn many_f32_arguments_are_accurate() {
    check_singles(101);
}

#[test]
#[ignore = "half an hour or more: every f32 there is; run by `just ulp-f32`"]
fn all_f32_arguments_are_accurate() {
    check_singles(1);
}

#[test]
fn f32_functions_of_two_operands_are_accurate() {
    let wrong = BINARY.iter().filter_map(|binary| {
        let mut worst = Worst::new(binary.name);
        for turn in 0..64u32 {
            let bits = |i: u32, factor: u32| f32::from_bits((turn * 4096 + i).wrapping_mul(factor));
            let mut x: Vec<f32> = (0..4096).map(|i| bits(i, 2_654_435_769)).collect();
            let mut y: Vec<f32> = (0..4096).map(|i| bits(i, 1_640_531_527)).collect();
            if turn % 2 == 0 {
                x.iter_mut().for_each(|x| *x = (*x % 64.0).abs());
                y.iter_mut().for_each(|y| *y %= 32.0);
            }
            let mut out = vec![0.0; x.len()];
            (binary.single)(&x, &y, &mut out);
            for ((&x, &y), &got) in x.iter().zip(&y).zip(&out) {
                let want = (binary.oracle)(x.into(), y.into());
                worst.note(ulps(got, want), || format!("of {x:e}, {y:e} is {got:e}, not {want:e}"));
            }
        }
        worst.verdict(binary.max_ulp[0])
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0], "functions with more than the accepted error");
}

/// The table that `tools/reference/elementary.py` makes, or a larger one named by the variable `ULP_TABLE`.
#[test]
fn f64_functions_are_accurate() {
    let larger = std::env::var("ULP_TABLE").map(|path| std::fs::read_to_string(path).expect("a readable table"));
    let table = larger.as_deref().unwrap_or(include_str!("reference.txt"));
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(' ').collect()).collect();
    let number = |text: &str| f64::from_bits(u64::from_str_radix(text, 16).expect("hexadecimal bits"));
    let wrong = rows.chunk_by(|a, b| a[0] == b[0]).filter_map(|rows| {
        let column = |i: usize| rows.iter().map(|row| number(row[i])).collect::<Vec<f64>>();
        let mut out = vec![0.0; rows.len()];
        let (x, y) = (column(1), column(2));
        let unary = UNARY.iter().find(|unary| unary.name == rows[0][0]);
        let binary = BINARY.iter().find(|binary| binary.name == rows[0][0]);
        let (name, max_ulp) = match (unary, binary) {
            (Some(f), _) => {
                (f.double)(&x, &mut out);
                (f.name, f.max_ulp)
            }
            (None, Some(f)) => {
                (f.double)(&x, &y, &mut out);
                (f.name, f.max_ulp)
            }
            _ => panic!("no function is called {}", rows[0][0]),
        };
        let mut worst = Worst::new(name);
        for (row, got) in rows.iter().zip(out) {
            let [.., want, offset] = row[..] else { panic!("a row of at least two columns") };
            let places = got.to_bits().wrapping_sub(number(want).to_bits()) as i64;
            let error = places as f64 - offset.parse::<f64>().expect("a number") / 1000.0;
            worst.note(error.abs(), || format!("{row:?} is {got:e}, not {:e}", number(want)));
        }
        worst.verdict(max_ulp[1])
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0], "functions with more than the accepted error");
}

#[test]
fn special_values_are_those_of_the_standard_library() {
    let close = |got: f64, want: f64| same_class(got, want) || (got - want).abs() <= 1e-15 * want.abs();
    for x in SPECIAL {
        let single = x as f32;
        for f in UNARY {
            let (mut double, mut narrow) = ([0.0], [0.0]);
            (f.double)(&[x], &mut double);
            (f.single)(&[single], &mut narrow);
            let (got, want) = (double[0], (f.oracle)(x));
            assert!(close(got, want), "{}({x:e}) is {got:e}, not {want:e}", f.name);
            let (got, want) = (narrow[0], (f.oracle)(single.into()));
            assert!(ulps(got, want) <= f.max_ulp[0], "{}({single:e}) is {got:e}, not {want:e}", f.name);
        }
        for (f, y) in BINARY.iter().flat_map(|f| SPECIAL.map(|y| (f, y))) {
            let (mut double, mut narrow) = ([0.0], [0.0]);
            (f.double)(&[x], &[y], &mut double);
            (f.single)(&[single], &[y as f32], &mut narrow);
            let (got, want) = (double[0], (f.oracle)(x, y));
            assert!(close(got, want) || got == want && got == 0.0, "{}({x:e}, {y:e}) is {got:e}, not {want:e}", f.name);
            let (got, want) = (narrow[0], (f.oracle)(single.into(), (y as f32).into()));
            let fine = ulps(got, want) <= f.max_ulp[0] || f64::from(got) == want;
            assert!(fine, "{}({single:e}, {:e}) is {got:e}, not {want:e}", f.name, y as f32);
        }
    }
}

/// Vector loops, their scalar ends and the baseline give the same bits.
#[test]
fn bits_do_not_depend_on_the_length() {
    let single: Vec<f32> = (0..1003u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_769))).collect();
    let double: Vec<f64> = single.iter().map(|&x| f64::from(x) * 1.1).collect();
    for f in UNARY {
        let (mut narrow, mut wide) = (vec![0.0; 1003], vec![0.0; 1003]);
        (f.single)(&single, &mut narrow);
        (f.double)(&double, &mut wide);
        for i in 0..1003 {
            let (mut one, mut one_wide) = ([0.0], [0.0]);
            (f.single)(&[single[i]], &mut one);
            (f.double)(&[double[i]], &mut one_wide);
            let long = (f64::from(narrow[i]), wide[i]);
            assert!(same_class(one[0].into(), long.0), "{}({:e})", f.name, single[i]);
            assert!(same_class((f.baseline_single)(single[i]).into(), long.0), "{}({:e})", f.name, single[i]);
            assert!(same_class(one_wide[0], long.1), "{}({:e})", f.name, double[i]);
            assert!(same_class((f.baseline_double)(double[i]), long.1), "{}({:e})", f.name, double[i]);
        }
    }
}
