//! rustfft: transforms of complex tensors.

use num_complex::Complex;
use num_traits::Float;
use rustfft::{FftNum, FftPlanner};

use crate::differentiate;

/// The transform of the real signal `x`.
fn transform<T: FftNum + Float>(x: &[T]) -> Vec<Complex<T>> {
    let mut signal: Vec<_> = x.iter().map(|&x| Complex::new(x, T::zero())).collect();
    FftPlanner::new().plan_fft_forward(signal.len()).process(&mut signal);
    signal
}

/// The energy of the spectrum, which is `n Σ x²` (Parseval).
fn energy<T: FftNum + Float>(x: &[T]) -> T {
    transform(x).iter().fold(T::zero(), |sum, z| sum + z.norm_sqr())
}

/// The spectral centroid: the mean frequency, weighed by power.
fn centroid<T: FftNum + Float>(x: &[T]) -> T {
    let spectrum = transform(x);
    let power = spectrum[1..=x.len() / 2].iter().map(Complex::norm_sqr).enumerate();
    let (moment, total) = power.fold((T::zero(), T::zero()), |(moment, total), (k, p)| {
        (moment + p * T::from_usize(k + 1).unwrap(), total + p)
    });
    moment / total
}

/// A round trip through frequencies, cut above the third: a smoothed signal's roughness.
fn smoothed<T: FftNum + Float>(x: &[T]) -> T {
    let mut spectrum = transform(x);
    let n = x.len();
    (4..=n - 4).for_each(|k| spectrum[k] = Complex::new(T::zero(), T::zero()));
    FftPlanner::new().plan_fft_inverse(n).process(&mut spectrum);
    let at = |i: usize| spectrum[i].re / T::from_usize(n).unwrap();
    (1..n).fold(T::zero(), |sum, i| sum + (at(i) - at(i - 1)) * (at(i) - at(i - 1)) * x[i])
}

/// Lengths by every kind of algorithm: powers of two, mixed radices, primes.
#[test]
fn transforms() {
    for n in [8, 12, 15, 17, 37] {
        let x: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7).sin() + 0.3 * (i as f64 * 0.4).cos()).collect();
        let expected: Vec<f64> = x.iter().map(|x| 2.0 * n as f64 * x).collect();
        differentiate!(energy at x, gradient = expected);
        differentiate!(centroid at x);
        if n > 8 {
            differentiate!(smoothed at x);
        }
    }
}
