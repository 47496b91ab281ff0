//! How many elements are not zero, along the middle axis of `[outer, n, inner]`.

use crate::simd::{self, Kernel};

/// `out[o, j]` counts the `k` at which `x[o, k, j]` is not `zero`; NaN is not zero.
///
/// # Panics
/// If `x` does not have `outer * n * inner` elements or `out` not `outer * inner`.
pub fn count_nonzero_axis<T: Copy + PartialEq>(x: &[T], zero: T, [outer, n, inner]: [usize; 3], out: &mut [i64]) {
    assert_eq!(x.len(), outer * n * inner, "an operand of outer * n * inner elements");
    assert_eq!(out.len(), outer * inner, "a result of outer * inner elements");
    simd::run(Count { x, zero, size: n * inner, inner, out });
}

struct Count<'a, T> {
    x: &'a [T],
    zero: T,
    size: usize,
    inner: usize,
    out: &'a mut [i64],
}

impl<T: Copy + PartialEq> Kernel for Count<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.out.fill(0);
        if self.size == 0 {
            return;
        }
        for (x, out) in self.x.chunks_exact(self.size).zip(self.out.chunks_exact_mut(self.inner)) {
            if let [out] = out {
                *out = x.iter().map(|&x| i64::from(x != self.zero)).sum();
                continue;
            }
            for row in x.chunks_exact(self.inner) {
                for (out, &x) in out.iter_mut().zip(row) {
                    *out += i64::from(x != self.zero);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_naive_loop() {
        for [outer, n, inner] in [[1, 1, 1], [0, 3, 2], [2, 0, 3], [2, 3, 0], [3, 70, 1], [2, 7, 3], [1, 9, 300]] {
            let of = |i: usize| if i % 31 == 17 { f32::NAN } else { (i * 7 % 5) as f32 - 2.0 };
            let x: Vec<f32> = (0..outer * n * inner).map(of).collect();
            let mut got = vec![-1; outer * inner];
            count_nonzero_axis(&x, 0.0, [outer, n, inner], &mut got);
            for (i, &got) in got.iter().enumerate() {
                let line = (0..n).map(|k| x[(i / inner * n + k) * inner + i % inner]);
                assert_eq!(got, line.filter(|&x| x != 0.0).count() as i64, "[{outer}, {n}, {inner}] at {i}");
            }
        }
    }
}
