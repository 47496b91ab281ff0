//! Angles in quarter turns, for every finite argument.
//!
//! `x 2/π` loses everything for large `x` unless `2/π` has hundreds of bits, of which all but a window are whole turns
//! (Payne and Hanek, "Radian Reduction for Trigonometric Functions", 1983). So a table row per exponent of `x` holds the
//! window: `2^e 2/π mod 4`, in pieces short enough that their products with (half of) the integer `x / 2^e` are exact.
//! Exponents for which nothing is left out share row 0.

use super::dd::{Dd, fast_two_sum, split, two_sum};

/// The first bits of `2/π`.
const TWO_OVER_PI: [u64; 21] = [
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
    0xa9e3_9161_5ee6_1b08,
];

/// Bits `start..start + count` after the binary point of `2/π`, at their value in `2^exponent 2/π`.
const fn bits(start: i32, count: i32, exponent: i32) -> f64 {
    let window = if start < 0 {
        TWO_OVER_PI[0] >> -start
    } else {
        let (word, shift) = (start as usize / 64, start % 64);
        (TWO_OVER_PI[word] << shift) | ((TWO_OVER_PI[word + 1] >> 1) >> (63 - shift))
    };
    (window >> (64 - count)) as f64 * power_of_two(exponent - start - count)
}

const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `2^e 2/π mod 4` with `length` bits in each piece but the last.
const fn row<const PIECES: usize>(e: i32, length: i32) -> [f64; PIECES] {
    let mut pieces = [0.0; PIECES];
    let mut i = 0;
    while i < PIECES {
        let start = e - 2 + i as i32 * length;
        pieces[i] = bits(start, if i + 1 == PIECES { 53 } else { length }, e);
        i += 1;
    }
    pieces
}

const DOUBLE_ROWS: usize = 1024;
static DOUBLE: [[f64; 6]; DOUBLE_ROWS] = {
    let mut rows = [[0.0; 6]; DOUBLE_ROWS];
    let mut e = 0;
    while e < 973 {
        rows[e] = row(e as i32, 26);
        e += 1;
    }
    rows
};

const SINGLE_ROWS: usize = 128;
static SINGLE: [[f64; 2]; SINGLE_ROWS] = {
    let mut rows = [[0.0; 2]; SINGLE_ROWS];
    let mut e = 0;
    while e < SINGLE_ROWS {
        rows[e] = row(e as i32, 29);
        e += 1;
    }
    rows
};

/// `1.5 · 2^52`: a sum with it is rounded to an integer, whose last bits are the sum's.
const ROUNDER: f64 = 1.5 * power_of_two(52);

/// The quadrant of `x` in the last two bits, and the angle from its middle in quarter turns, within ±1/2.
#[inline(always)]
pub(super) fn quarter_turns_f32(x: f32) -> (u64, f64) {
    // An integral x below 2^24 times 2^e, or a smaller x and e = 0.
    const LAST: u32 = 127 + 23;
    let exponent = (x.to_bits() >> 23) & 0xff;
    let e = (if exponent < LAST { LAST } else { exponent }) - LAST;
    let [high, low] = SINGLE[e as usize % SINGLE_ROWS];
    let mantissa = f64::from(f32::from_bits(x.to_bits() - (e << 23)));
    // Infinity and NaN have a finite mantissa here; 0 times them is NaN.
    let (product, rest) = (mantissa * high, mantissa * (low + f64::from(0.0 * x)));
    let rounded = (product + rest) + ROUNDER;
    (rounded.to_bits(), (product - (rounded - ROUNDER)) + rest)
}

/// The quadrant of `x` in the last two bits, and the angle from its middle in quarter turns, within ±1/2.
#[inline(always)]
pub(super) fn quarter_turns(x: f64) -> (u64, Dd) {
    const LAST: u64 = 1023 + 52;
    let exponent = (x.to_bits() >> 52) & 0x7ff;
    let e = (if exponent < LAST { LAST } else { exponent }) - LAST;
    let [a, b, c, d, f, g] = DOUBLE[e as usize % DOUBLE_ROWS];
    let mantissa = f64::from_bits(x.to_bits() - (e << 52));
    let (high, low) = split(mantissa);
    // Products from large to small: the first are whole turns but for a few bits.
    let sum = two_sum(modulo_turn(high * a), modulo_turn(low * a));
    let (sum, error) = add(sum.hi, modulo_turn(high * b), sum.lo);
    let (sum, error) = add(sum, low * b, error);
    let (sum, error) = add(sum, high * c, error);
    let rounded = sum + ROUNDER;
    let sum = sum - (rounded - ROUNDER);
    let (sum, error) = add(sum, low * c, error);
    let (sum, error) = add(sum, high * d, error);
    let (sum, error) = add(sum, low * d, error);
    let (sum, error) = add(sum, high * f, error);
    let error = error + (low * f + mantissa * g) + 0.0 * x;
    (rounded.to_bits(), fast_two_sum(sum, error))
}

/// `sum + term`, and `error` with what that rounded off.
#[inline(always)]
fn add(sum: f64, term: f64, error: f64) -> (f64, f64) {
    let sum = two_sum(sum, term);
    (sum.hi, error + sum.lo)
}

/// `x` without whole turns, for `|x|` up to 2^55.
#[inline(always)]
fn modulo_turn(x: f64) -> f64 {
    const TURN_ROUNDER: f64 = 1.5 * power_of_two(54);
    x - ((x + TURN_ROUNDER) - TURN_ROUNDER)
}
