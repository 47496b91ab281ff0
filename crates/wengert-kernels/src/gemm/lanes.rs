//! Registers of several elements, as the tiles of a product use them.

use crate::simd::Kernel;

/// One SIMD register.
///
/// # Safety
/// Every function needs the instruction set that the implementing type belongs to, and pointers to as many elements as
/// it reads or writes. Mark implementations `#[inline(always)]`: they must be inlined into a function compiled for that
/// instruction set.
pub(super) trait Lanes: Copy {
    /// The element type.
    type Elem: num_traits::Float;
    /// Elements in a register.
    const COUNT: usize;

    /// Runs `kernel` in a function of its own, compiled for the instruction set.
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output;
    /// `x` in every lane.
    unsafe fn splat(x: Self::Elem) -> Self;
    /// The elements from `from` on.
    unsafe fn load(from: *const Self::Elem) -> Self;
    /// The first `count` elements from `from` on, zeros in the other lanes. `count` is at most [`Self::COUNT`].
    unsafe fn load_first(from: *const Self::Elem, count: usize) -> Self;
    /// Writes all lanes to `to`.
    unsafe fn store(self, to: *mut Self::Elem);
    /// Writes the first `count` lanes to `to`. `count` is at most [`Self::COUNT`].
    unsafe fn store_first(self, to: *mut Self::Elem, count: usize);
    /// `self * by`.
    unsafe fn times(self, by: Self) -> Self;
    /// `self + a * b`, rounded once where the instruction set can.
    unsafe fn plus(self, a: Self, b: Self) -> Self;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;
    use crate::simd::Kernel;

    /// Stamps `impl Lanes`: the register, its instruction set, its elements, its intrinsics, and how to make a mask of the first `count` lanes.
    macro_rules! lanes {
        ($register:ty, $features:literal, [$elem:ty; $count:literal], $splat:ident $load:ident $store:ident $mul:ident $fma:ident,
         |$n:ident| $mask:expr, |$from:ident, $lm:ident| $load_first:expr, |$to:ident, $sm:ident, $v:ident| $store_first:expr) => {
            impl Lanes for $register {
                type Elem = $elem;
                const COUNT: usize = $count;
                #[inline(always)]
                unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
                    #[target_feature(enable = $features)]
                    #[inline(never)]
                    fn wide<K: Kernel>(kernel: K) -> K::Output {
                        kernel.run()
                    }
                    // SAFETY: the caller has the instruction set.
                    unsafe { wide(kernel) }
                }
                #[inline(always)]
                unsafe fn splat(x: $elem) -> Self {
                    // SAFETY: the caller has the instruction set.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(from: *const $elem) -> Self {
                    // SAFETY: the caller has the instruction set and the elements.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn load_first($from: *const $elem, $n: usize) -> Self {
                    // SAFETY: the caller has the instruction set and `n` elements; masked lanes are not touched.
                    unsafe {
                        let $lm = $mask;
                        $load_first
                    }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $elem) {
                    // SAFETY: the caller has the instruction set and the elements.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn store_first(self, $to: *mut $elem, $n: usize) {
                    let $v = self;
                    // SAFETY: the caller has the instruction set and `n` elements; masked lanes are not touched.
                    unsafe {
                        let $sm = $mask;
                        $store_first
                    }
                }
                #[inline(always)]
                unsafe fn times(self, by: Self) -> Self {
                    // SAFETY: the caller has the instruction set.
                    unsafe { $mul(self, by) }
                }
                #[inline(always)]
                unsafe fn plus(self, a: Self, b: Self) -> Self {
                    // SAFETY: the caller has the instruction set.
                    unsafe { $fma(a, b, self) }
                }
            }
        };
    }

    lanes!(
        __m256,
        "avx2,fma",
        [f32; 8],
        _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_mul_ps _mm256_fmadd_ps,
        |n| _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
        |from, mask| _mm256_maskload_ps(from, mask),
        |to, mask, v| _mm256_maskstore_ps(to, mask, v)
    );
    lanes!(
        __m256d,
        "avx2,fma",
        [f64; 4],
        _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_mul_pd _mm256_fmadd_pd,
        |n| _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)),
        |from, mask| _mm256_maskload_pd(from, mask),
        |to, mask, v| _mm256_maskstore_pd(to, mask, v)
    );
    lanes!(
        __m512,
        "avx512f",
        [f32; 16],
        _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_mul_ps _mm512_fmadd_ps,
        |n| ((1_u32 << n) - 1) as __mmask16,
        |from, mask| _mm512_maskz_loadu_ps(mask, from),
        |to, mask, v| _mm512_mask_storeu_ps(to, mask, v)
    );
    lanes!(
        __m512d,
        "avx512f",
        [f64; 8],
        _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_mul_pd _mm512_fmadd_pd,
        |n| ((1_u32 << n) - 1) as __mmask8,
        |from, mask| _mm512_maskz_loadu_pd(mask, from),
        |to, mask, v| _mm512_mask_storeu_pd(to, mask, v)
    );
}

/// 16 bytes of elements in plain Rust, which every 64-bit target has as a register.
macro_rules! array_lanes {
    ($elem:ty, $count:literal) => {
        impl Lanes for [$elem; $count] {
            type Elem = $elem;
            const COUNT: usize = $count;
            #[inline(never)]
            unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
                kernel.run()
            }
            #[inline(always)]
            unsafe fn splat(x: $elem) -> Self {
                [x; $count]
            }
            #[inline(always)]
            unsafe fn load(from: *const $elem) -> Self {
                // SAFETY: the caller has the elements.
                unsafe { from.cast::<Self>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn load_first(from: *const $elem, count: usize) -> Self {
                let mut lanes = [0.0; $count];
                for (i, lane) in lanes.iter_mut().enumerate().take(count) {
                    // SAFETY: the caller has `count` elements.
                    *lane = unsafe { *from.add(i) };
                }
                lanes
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: the caller has the elements.
                unsafe { to.cast::<Self>().write_unaligned(self) }
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $elem, count: usize) {
                for (i, lane) in self.into_iter().enumerate().take(count) {
                    // SAFETY: the caller has `count` elements.
                    unsafe { *to.add(i) = lane };
                }
            }
            #[inline(always)]
            unsafe fn times(self, by: Self) -> Self {
                std::array::from_fn(|i| self[i] * by[i])
            }
            #[inline(always)]
            unsafe fn plus(self, a: Self, b: Self) -> Self {
                // Without the instruction, a fused multiply-add is a library call.
                if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
                    std::array::from_fn(|i| a[i].mul_add(b[i], self[i]))
                } else {
                    std::array::from_fn(|i| self[i] + a[i] * b[i])
                }
            }
        }
    };
}

array_lanes!(f32, 4);
array_lanes!(f64, 2);
