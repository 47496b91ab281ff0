//! Unevaluated sums of two `f64`, about 106 bits.
//!
//! Error-free transformations of Knuth and Dekker (Ogita, Rump and Oishi, "Accurate Sum and Dot Product", 2005, section
//! 2), with fused multiply-adds.

/// `hi + lo`, where `lo` is at most about an ulp of `hi`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dd {
    pub(super) hi: f64,
    pub(super) lo: f64,
}

/// `a + b`, exactly.
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> Dd {
    let hi = a + b;
    let kept = hi - a;
    Dd { hi, lo: (a - (hi - kept)) + (b - kept) }
}

/// `a + b`, exactly if `|a| >= |b|` or `a` is a multiple of `b`'s ulp.
#[inline(always)]
pub(super) fn fast_two_sum(a: f64, b: f64) -> Dd {
    let hi = a + b;
    Dd { hi, lo: b - (hi - a) }
}

/// The upper 26 bits of `a` and the other 27.
#[inline(always)]
pub(super) fn split(a: f64) -> (f64, f64) {
    let hi = f64::from_bits(a.to_bits() & !((1 << 27) - 1));
    (hi, a - hi)
}

/// `a * b`, exactly unless it underflows.
#[inline(always)]
pub(super) fn two_prod(a: f64, b: f64) -> Dd {
    let hi = a * b;
    Dd { hi, lo: a.mul_add(b, -hi) }
}

impl Dd {
    /// `a / b`.
    #[inline(always)]
    pub(super) fn quotient(a: Dd, b: Dd) -> Dd {
        let hi = a.hi / b.hi;
        let rest = (-hi).mul_add(b.hi, a.hi);
        Dd { hi, lo: (rest + (-hi).mul_add(b.lo, a.lo)) / b.hi }
    }

    /// `√a` for positive `a`, 0 at 0.
    #[inline(always)]
    pub(super) fn sqrt(self) -> Dd {
        let hi = self.hi.sqrt();
        let lo = ((-hi).mul_add(hi, self.hi) + self.lo) / (2.0 * hi);
        Dd { hi, lo: if hi > 0.0 { lo } else { 0.0 } }
    }

    /// `self * b`.
    #[inline(always)]
    pub(super) fn times(self, b: Dd) -> Dd {
        let product = two_prod(self.hi, b.hi);
        fast_two_sum(product.hi, self.hi.mul_add(b.lo, self.lo.mul_add(b.hi, product.lo)))
    }

    /// `self + b` where `|self| >= |b|`.
    #[inline(always)]
    pub(super) fn plus_smaller(self, b: Dd) -> Dd {
        let sum = fast_two_sum(self.hi, b.hi);
        fast_two_sum(sum.hi, sum.lo + (self.lo + b.lo))
    }

    /// The nearest `f64`.
    #[inline(always)]
    pub(super) fn value(self) -> f64 {
        self.hi + self.lo
    }
}

impl From<f64> for Dd {
    #[inline(always)]
    fn from(hi: f64) -> Self {
        Self { hi, lo: 0.0 }
    }
}

impl std::ops::Neg for Dd {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { hi: -self.hi, lo: -self.lo }
    }
}

/// `yes` where `mask` holds, `no` elsewhere.
#[inline(always)]
pub(super) fn select(mask: bool, yes: Dd, no: Dd) -> Dd {
    Dd { hi: if mask { yes.hi } else { no.hi }, lo: if mask { yes.lo } else { no.lo } }
}
