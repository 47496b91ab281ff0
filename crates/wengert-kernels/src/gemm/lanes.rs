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

    /// Stamps `impl Lanes`: the register, its instruction set, its elements, its intrinsics, and how the first `n` lanes are
    /// read and written.
    macro_rules! lanes {
        ($register:ty, $features:literal, [$elem:ty; $count:literal],
         $splat:ident $load:ident $store:ident $mul:ident $fma:ident,
         |$from:ident, $n:ident| $load_first:expr, |$to:ident, $m:ident, $v:ident| $store_first:expr) => {
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
                    unsafe { $load_first }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $elem) {
                    // SAFETY: the caller has the instruction set and the elements.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn store_first(self, $to: *mut $elem, $m: usize) {
                    let $v = self;
                    // SAFETY: the caller has the instruction set and `n` elements; masked lanes are not touched.
                    unsafe { $store_first }
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
        |from, n| {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane))
        },
        |to, n, v| store_first_f32(to, n, v)
    );
    lanes!(
        __m256d,
        "avx2,fma",
        [f64; 4],
        _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_mul_pd _mm256_fmadd_pd,
        |from, n| {
            let lane = _mm256_setr_epi64x(0, 1, 2, 3);
            _mm256_maskload_pd(from, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), lane))
        },
        |to, n, v| store_first_f64(to, n, v)
    );
    lanes!(
        __m512,
        "avx512f",
        [f32; 16],
        _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_mul_ps _mm512_fmadd_ps,
        |from, n| _mm512_maskz_loadu_ps(((1_u32 << n) - 1) as __mmask16, from),
        |to, n, v| _mm512_mask_storeu_ps(to, ((1_u32 << n) - 1) as __mmask16, v)
    );
    lanes!(
        __m512d,
        "avx512f",
        [f64; 8],
        _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_mul_pd _mm512_fmadd_pd,
        |from, n| _mm512_maskz_loadu_pd(((1_u32 << n) - 1) as __mmask8, from),
        |to, n, v| _mm512_mask_storeu_pd(to, ((1_u32 << n) - 1) as __mmask8, v)
    );

    /// Writes the first `n` lanes in pieces of 8, 4, 2 and 1: AVX2's masked store takes longer on some machines.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store_first_f32(to: *mut f32, n: usize, v: __m256) {
        // SAFETY: the caller has `n` elements, and the pieces end at the `n`th.
        unsafe {
            if n >= 8 {
                return _mm256_storeu_ps(to, v);
            }
            let (mut to, mut rest) = (to, _mm256_castps256_ps128(v));
            if n & 4 != 0 {
                _mm_storeu_ps(to, rest);
                rest = _mm256_extractf128_ps::<1>(v);
                to = to.add(4);
            }
            if n & 2 != 0 {
                _mm_storel_epi64(to.cast(), _mm_castps_si128(rest));
                rest = _mm_movehl_ps(rest, rest);
                to = to.add(2);
            }
            if n & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
    }

    /// Writes the first `n` lanes in pieces of 4, 2 and 1, for the same reason.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store_first_f64(to: *mut f64, n: usize, v: __m256d) {
        // SAFETY: the caller has `n` elements, and the pieces end at the `n`th.
        unsafe {
            if n >= 4 {
                return _mm256_storeu_pd(to, v);
            }
            let (mut to, mut rest) = (to, _mm256_castpd256_pd128(v));
            if n & 2 != 0 {
                _mm_storeu_pd(to, rest);
                rest = _mm256_extractf128_pd::<1>(v);
                to = to.add(2);
            }
            if n & 1 != 0 {
                _mm_store_sd(to, rest);
            }
        }
    }
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
