//! Run-time choice of the instruction set.
//!
//! A [`Kernel`] is a loop as a value. [`run`] inlines it into a function compiled for the widest instruction set that
//! the machine has, so that one scalar source is vectorised three ways. Everything that a kernel calls in its loop must
//! be `#[inline(always)]`: a call that is not inlined is compiled for the baseline.

use std::sync::atomic::{AtomicU8, Ordering};

/// A loop to be compiled once per instruction set.
pub trait Kernel {
    /// What the loop gives back.
    type Output;
    /// Runs the loop; mark the implementation `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

/// An instruction set that [`run`] compiles for, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Isa {
    /// What the target triple guarantees.
    Baseline = 1,
    /// AVX2 with fused multiply-add.
    Avx2 = 2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512 = 3,
}

/// The widest instruction set that this machine has, detected once.
#[inline]
pub fn isa() -> Isa {
    static DETECTED: AtomicU8 = AtomicU8::new(0);
    match DETECTED.load(Ordering::Relaxed) {
        1 => Isa::Baseline,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        _ => detect_slow(&DETECTED),
    }
}

#[cold]
fn detect_slow(cache: &AtomicU8) -> Isa {
    let isa = detect();
    cache.store(isa as u8, Ordering::Relaxed);
    isa
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (fma, wide) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        _ => Isa::Baseline,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Isa {
    Isa::Baseline
}

/// Runs `kernel` compiled for the widest instruction set of this machine.
#[inline]
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    match isa() {
        // A debug build does without the widest instance, which would lengthen every build of the tests by a third; tests in
        // release run it.
        // SAFETY: `detect` saw avx512f, bw, dq, vl, avx2 and fma on this machine.
        #[cfg(not(debug_assertions))]
        Isa::Avx512 => return unsafe { run_avx512(kernel) },
        // SAFETY: `detect` saw avx2 and fma on this machine.
        #[cfg_attr(not(debug_assertions), allow(unreachable_patterns, reason = "the widest instance is taken above"))]
        Isa::Avx2 | Isa::Avx512 => return unsafe { run_avx2(kernel) },
        Isa::Baseline => {}
    }
    kernel.run()
}

#[cfg(all(target_arch = "x86_64", not(debug_assertions)))]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
