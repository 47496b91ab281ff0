//! What the machine can do at most: multiply-adds and memory traffic, measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use wengert_kernels::simd::{self, Isa, Kernel};

/// The limits of all threads together.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Floating-point operations per second: `f32` multiply-adds in registers, two operations each.
    pub flops: f64,
    /// Bytes per second between the cores and memory: the better of reading and of copying (read and written bytes), 64 MB a thread.
    pub bandwidth: f64,
}

impl Machine {
    /// Measures for about `time`, with the threads of the current rayon pool.
    pub fn measure(time: Duration) -> Self {
        let share = time / 3;
        // Each thread's best: when others keep a core busy, no turn is everybody's best.
        let flops = rayon::broadcast(|_| best(share, multiply_adds)).into_iter().sum();
        let mut buffers: Vec<_> = (0..rayon::current_num_threads()).map(|_| Buffers::new()).collect();
        let read = best(share, || buffers.par_iter().map(Buffers::read).sum());
        let copy = best(share, || buffers.par_iter_mut().map(Buffers::copy).sum());
        Self { flops, bandwidth: read.max(copy) }
    }

    /// The least time in seconds for `flops` operations and `bytes` of traffic, if both run at once.
    pub fn least_time(&self, flops: f64, bytes: f64) -> f64 {
        (flops / self.flops).max(bytes / self.bandwidth)
    }
}

/// The best rate of `f`, which returns the amount of work that it did, over `time`.
fn best(time: Duration, mut f: impl FnMut() -> f64) -> f64 {
    let begin = Instant::now();
    let mut best = 0.0;
    while begin.elapsed() < time {
        let start = Instant::now();
        let work = f();
        best = f64::max(best, work / start.elapsed().as_secs_f64());
    }
    best
}

/// Memory that no cache holds.
struct Buffers {
    from: Vec<f32>,
    to: Vec<f32>,
}

impl Buffers {
    const LENGTH: usize = 16 << 20;

    fn new() -> Self {
        Self { from: vec![1.0; Self::LENGTH], to: vec![0.0; Self::LENGTH] }
    }

    fn read(&self) -> f64 {
        black_box(simd::run(Sum(&self.from)));
        (Self::LENGTH * 4) as f64
    }

    fn copy(&mut self) -> f64 {
        self.to.copy_from_slice(black_box(&self.from));
        (Self::LENGTH * 8) as f64
    }
}

struct Sum<'a>(&'a [f32]);

impl Kernel for Sum<'_> {
    type Output = f32;
    #[inline(always)]
    fn run(self) -> f32 {
        let mut sums = [0.0; 64];
        for chunk in self.0.as_chunks::<64>().0 {
            (0..64).for_each(|i| sums[i] += chunk[i]);
        }
        sums.iter().sum()
    }
}

/// As many chains of multiply-adds as hide their latency, in registers of `LANES` numbers.
struct MultiplyAdds<const LANES: usize>;

const CHAINS: usize = 12;
const STEPS: usize = 200_000;

impl<const LANES: usize> Kernel for MultiplyAdds<LANES> {
    type Output = f32;
    #[inline(always)]
    fn run(self) -> f32 {
        let mut chains = [[0.5f32; LANES]; CHAINS];
        let (factor, term) = (black_box([0.999f32; LANES]), black_box([0.001f32; LANES]));
        for _ in 0..STEPS {
            for chain in &mut chains {
                for lane in 0..LANES {
                    chain[lane] = chain[lane].mul_add(factor[lane], term[lane]);
                }
            }
        }
        chains.iter().flatten().sum()
    }
}

/// Runs multiply-adds and returns the number of operations.
fn multiply_adds() -> f64 {
    let lanes = if simd::isa() == Isa::Avx512 { 16 } else { 8 };
    black_box(if lanes == 16 { simd::run(MultiplyAdds::<16>) } else { simd::run(MultiplyAdds::<8>) });
    (2 * lanes * CHAINS * STEPS) as f64
}
