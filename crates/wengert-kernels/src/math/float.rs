//! What the two formats have in common: their bits, and the polynomials of their precision.

use super::poly::poly;
use crate::Real;

/// `f32` or `f64`, for algorithms that are the same for both.
///
/// `tools/minimax.py` makes the coefficients.
pub(crate) trait Float: Real<Mask = bool> {
    /// Adding and subtracting this rounds numbers below a quarter of it to the nearest integer.
    const ROUNDER: Self;
    /// The smallest normal number.
    const MIN_POSITIVE: Self;
    /// `ln 2`, split so that [`Float::LN2_HI`] times an exponent is exact.
    const LN2_HI: Self;
    /// The rest of `ln 2`.
    const LN2_LO: Self;
    /// A power of two that makes subnormal numbers normal.
    const LIFT: Self;
    /// The binary logarithm of [`Float::LIFT`], half the exponents of the format.
    const LIFT_EXPONENT: Self;
    /// Arguments whose exponential is 0.
    const EXP_ZERO: Self;
    /// Arguments whose exponential is infinite.
    const EXP_INFINITE: Self;

    /// `self * factor + term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `2^k` for an integral `k` whose power is a normal number.
    fn pow2(k: Self) -> Self;
    /// `(k, m)` where the positive normal `self` is `2^k m` and `m` is near 1.
    fn decompose(self) -> (Self, Self);
    /// `(e^r - 1 - r) / r²` for `|r| <= ln 2 / 2`.
    fn exp_tail(r: Self) -> Self;
    /// `ln(1 + f) - f`, for `1 + f` in the range of [`Float::decompose`].
    fn log1p_tail(f: Self) -> Self;
}

impl Float for f32 {
    const ROUNDER: Self = 1.5 * (1 << 23) as f32;
    const MIN_POSITIVE: Self = Self::MIN_POSITIVE;
    const LN2_HI: Self = 0.693_359_4;
    const LN2_LO: Self = -2.121_944_4e-4;
    const LIFT: Self = (1u64 << 63) as f32 * 2.0;
    const LIFT_EXPONENT: Self = 64.0;
    const EXP_ZERO: Self = -104.0;
    const EXP_INFINITE: Self = 89.0;

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
    #[inline(always)]
    fn pow2(k: Self) -> Self {
        // The sum's last bits are the biased exponent.
        Self::from_bits((k + (Self::ROUNDER + 127.0)).to_bits() << 23)
    }
    #[inline(always)]
    fn decompose(self) -> (Self, Self) {
        const LOW: u32 = (2.0f32 / 3.0).to_bits();
        let bits = self.to_bits().wrapping_add(1f32.to_bits() - LOW);
        let k = Self::from_bits((bits >> 23) | Self::ROUNDER.to_bits()) - (Self::ROUNDER + 127.0);
        (k, Self::from_bits((bits & 0x007f_ffff) + LOW))
    }
    #[inline(always)]
    fn exp_tail(r: Self) -> Self {
        poly(r, EXP_F32)
    }
    #[inline(always)]
    fn log1p_tail(f: Self) -> Self {
        f * f * f.mul_add(poly(f, LN_F32), -0.5)
    }
}

impl Float for f64 {
    const ROUNDER: Self = 1.5 * (1u64 << 52) as f64;
    const MIN_POSITIVE: Self = Self::MIN_POSITIVE;
    const LN2_HI: Self = 0.693_147_180_369_123_8;
    const LN2_LO: Self = 1.908_214_929_270_587_7e-10;
    const LIFT: Self = Self::from_bits((1023 + 512) << 52);
    const LIFT_EXPONENT: Self = 512.0;
    const EXP_ZERO: Self = -746.0;
    const EXP_INFINITE: Self = 710.0;

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
    #[inline(always)]
    fn pow2(k: Self) -> Self {
        Self::from_bits((k + (Self::ROUNDER + 1023.0)).to_bits() << 52)
    }
    #[inline(always)]
    fn decompose(self) -> (Self, Self) {
        const LOW: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
        let bits = self.to_bits().wrapping_add(1f64.to_bits() - LOW);
        let k = Self::from_bits((bits >> 52) | Self::ROUNDER.to_bits()) - (Self::ROUNDER + 1023.0);
        (k, Self::from_bits((bits & 0x000f_ffff_ffff_ffff) + LOW))
    }
    #[inline(always)]
    fn exp_tail(r: Self) -> Self {
        poly(r, EXP_F64)
    }
    #[inline(always)]
    fn log1p_tail(f: Self) -> Self {
        // 2 artanh(s) = ln(1 + f), and 2 s = f - s f.
        let s = f / (2.0 + f);
        let z = s * s;
        let half_square = 0.5 * f * f;
        s.mul_add(z.mul_add(poly(z, LN_F64), half_square), -half_square)
    }
}

const EXP_F32: [f32; 5] = [4.9999997e-01, 1.6666539e-01, 4.166775e-02, 8.3670905e-03, 1.3837909e-03];

const LN_F32: [f32; 8] = [
    3.3333215e-01,
    -2.4999803e-01,
    2.0010458e-01,
    -1.6680193e-01,
    1.4004967e-01,
    -1.21888734e-01,
    1.3989168e-01,
    -1.2869334e-01,
];

const EXP_F64: [f64; 11] = [
    5.0e-01,
    1.6666666666666677e-01,
    4.16666666666667e-02,
    8.33333333332178e-03,
    1.3888888888872629e-03,
    1.984126988448387e-04,
    2.4801587307394895e-05,
    2.7557246987564133e-06,
    2.7557332900316587e-07,
    2.5107742111762364e-08,
    2.088232827510006e-09,
];

const LN_F64: [f64; 7] = [
    6.666666666666734e-01,
    3.9999999999417085e-01,
    2.8571428741875854e-01,
    2.22221986239333e-01,
    1.818356176479062e-01,
    1.5314114362075976e-01,
    1.4795327104833336e-01,
];
