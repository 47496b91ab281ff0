//! Matrix products of several crates, side by side: prints the tables of `docs/src/gemm.md`.
//!
//! Every candidate computes `c = a b` once per turn, the turns go round, and the fastest turn counts: what else runs on
//! the machine slows some turns of all candidates, and rarely every turn of one. The program runs itself once per number
//! of threads, because `matrixmultiply` reads its number from the environment, once.
//!
//! `cargo run --release -p wengert-benches --features gemm-candidates --bin gemm [-- MILLISECONDS_PER_CELL]`

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wengert_kernels::gemm::{Gemm, MatMut, MatRef};

/// `[m, k, n]`, and whether `a` and `b` are transposed views.
struct Shape {
    dims: [usize; 3],
    transposed: [bool; 2],
}

const NN: [bool; 2] = [false, false];
const NT: [bool; 2] = [false, true];
const TN: [bool; 2] = [true, false];

/// Squares, the layers of the benchmark networks forward (`x w`, `x w^T`) and backward (`g w^T`, `x^T g`), and vectors.
const SHAPES: [([usize; 3], [bool; 2]); 23] = [
    ([16, 16, 16], NN),
    ([32, 32, 32], NN),
    ([64, 64, 64], NN),
    ([128, 128, 128], NN),
    ([256, 256, 256], NN),
    ([512, 512, 512], NN),
    ([1024, 1024, 1024], NN),
    ([32, 2, 16], NN),
    ([32, 16, 16], NN),
    ([32, 16, 16], NT),
    ([16, 32, 16], TN),
    ([64, 784, 128], NN),
    ([64, 784, 128], NT),
    ([784, 64, 128], TN),
    ([64, 128, 10], NN),
    ([128, 784, 512], NN),
    ([128, 512, 512], NT),
    ([784, 128, 512], TN),
    ([256, 1024, 4096], NN),
    ([1024, 256, 4096], TN),
    ([1, 784, 128], NN),
    ([256, 1024, 1], NN),
    ([256, 1, 256], NN),
];

/// One product on contiguous data; a transposed operand is stored as its transpose.
struct Call<'a, E> {
    shape: &'a Shape,
    threads: usize,
    a: &'a [E],
    b: &'a [E],
    c: &'a mut [E],
}

impl<E> Call<'_, E> {
    /// The row and column strides of `a`, `b` and `c`.
    fn strides(&self) -> [[usize; 2]; 3] {
        let [m, k, n] = self.shape.dims;
        let [at, bt] = self.shape.transposed;
        [if at { [1, m] } else { [k, 1] }, if bt { [1, k] } else { [n, 1] }, [n, 1]]
    }
}

/// An element type, with every candidate's product of it.
trait Element: Gemm + 'static {
    const NAME: &'static str;
    const ONE: Self;
    const ZERO: Self;
    const FAER: private_gemm_x86::DType;
    fn of(x: f32) -> Self;
    fn matrixmultiply(call: Call<'_, Self>);
}

macro_rules! element {
    ($t:ident, $faer:ident, $matrixmultiply:path) => {
        impl Element for $t {
            const NAME: &'static str = stringify!($t);
            const ONE: Self = 1.0;
            const ZERO: Self = 0.0;
            const FAER: private_gemm_x86::DType = private_gemm_x86::DType::$faer;
            fn of(x: f32) -> Self {
                x.into()
            }
            fn matrixmultiply(call: Call<'_, Self>) {
                let [m, k, n] = call.shape.dims;
                let [[ar, ac], [br, bc], [cr, cc]] = call.strides().map(|s| s.map(|s| s as isize));
                let (a, b, c) = (call.a.as_ptr(), call.b.as_ptr(), call.c.as_mut_ptr());
                // SAFETY: the operands have the lengths of contiguous matrices with these strides.
                unsafe { $matrixmultiply(m, k, n, 1.0, a, ar, ac, b, br, bc, 0.0, c, cr, cc) }
            }
        }
    };
}
element!(f32, F32, matrixmultiply::sgemm);
element!(f64, F64, matrixmultiply::dgemm);

fn gemm_crate<E: Element>(call: Call<'_, E>) {
    let [m, k, n] = call.shape.dims;
    let [[ar, ac], [br, bc], [cr, cc]] = call.strides().map(|s| s.map(|s| s as isize));
    let (a, b, c) = (call.a.as_ptr(), call.b.as_ptr(), call.c.as_mut_ptr());
    let threads = if call.threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(call.threads) };
    // SAFETY: the operands have the lengths of contiguous matrices with these strides.
    unsafe {
        gemm::gemm(m, n, k, c, cc, cr, false, a, ac, ar, b, bc, br, E::ZERO, E::ONE, false, false, false, threads);
    }
}

fn faer_kernels<E: Element>(call: Call<'_, E>) {
    use private_gemm_x86::{Accum, DstKind, IType, InstrSet};
    use std::ptr::{from_ref, null};
    let wide = std::arch::is_x86_feature_detected!("avx512f");
    let isa = if wide { InstrSet::Avx512 } else { InstrSet::Avx256 };
    let [m, k, n] = call.shape.dims;
    let [[ar, ac], [br, bc], [cr, cc]] = call.strides().map(|s| s.map(|s| s as isize));
    let (a, b, c) = (call.a.as_ptr().cast(), call.b.as_ptr().cast(), call.c.as_mut_ptr().cast());
    let (full, replace, one) = (DstKind::Full, Accum::Replace, from_ref(&E::ONE).cast());
    // SAFETY: the operands have the lengths of contiguous matrices with these strides; index lists are absent.
    unsafe {
        private_gemm_x86::gemm(
            E::FAER,
            IType::U64,
            isa,
            m,
            n,
            k,
            c,
            cr,
            cc,
            null(),
            null(),
            full,
            replace,
            a,
            ar,
            ac,
            false,
            null(),
            0,
            b,
            br,
            bc,
            false,
            one,
            call.threads,
        );
    }
}

fn wengert<E: Element>(call: Call<'_, E>) {
    let [m, k, n] = call.shape.dims;
    let [a, b, c] = call.strides();
    let (a, b) = (MatRef::new(call.a, [m, k], a), MatRef::new(call.b, [k, n], b));
    wengert_kernels::gemm::gemm(E::ONE, a, b, E::ZERO, MatMut::new(call.c, [m, n], c));
}

type Candidate<E> = (&'static str, fn(Call<'_, E>));

fn candidates<E: Element>() -> [Candidate<E>; 4] {
    [
        ("gemm", gemm_crate),
        ("faer's kernels", faer_kernels),
        ("matrixmultiply", E::matrixmultiply),
        ("wengert", wengert),
    ]
}

/// The shortest time of one call and the heap allocations of one call, per candidate.
fn measure<E: Element>(shape: &Shape, threads: usize, budget: Duration) -> [(Duration, usize); 4] {
    let [m, k, n] = shape.dims;
    let noise = |len: usize| (0..len).map(|i| E::of((i * 37 % 101) as f32 / 101.0 - 0.5)).collect::<Vec<E>>();
    let (a, b, mut c) = (noise(m * k), noise(k * n), noise(m * n));
    let mut turn = |run: fn(Call<'_, E>), calls: u32| {
        let start = Instant::now();
        for _ in 0..calls {
            run(Call { shape, threads, a: black_box(&a), b: black_box(&b), c: black_box(&mut c) });
        }
        start.elapsed() / calls
    };
    let mut best = candidates::<E>().map(|(_, run)| {
        turn(run, 1);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let once = turn(run, 8).min(turn(run, 8));
        (once, (ALLOCATIONS.load(Ordering::Relaxed) - before) / 16)
    });
    let start = Instant::now();
    while start.elapsed() < budget * 4 {
        for ((best, _), (_, run)) in best.iter_mut().zip(candidates::<E>()) {
            // Some 50 microseconds a turn: long for the clock, short between two interruptions.
            let calls = (50_000 / best.as_nanos().max(1)).clamp(1, 10_000) as u32;
            *best = turn(run, calls).min(*best);
        }
    }
    best
}

fn table<E: Element>(threads: usize, budget: Duration) {
    let names = candidates::<E>().map(|(name, _)| name).join(" | ");
    println!("\n{}, {threads} thread(s), GFLOP/s (ns per call below 10 us; * allocates)\n", E::NAME);
    println!("| m x k x n | {names} |\n| --- | ---: | ---: | ---: | ---: |");
    for (dims, transposed) in SHAPES {
        let [m, k, n] = dims;
        let flops = 2.0 * (m * k * n) as f64;
        let cells = measure::<E>(&Shape { dims, transposed }, threads, budget).map(|(time, allocations)| {
            let nanos = time.as_secs_f64() * 1e9;
            let star = if allocations > 0 { "*" } else { "" };
            let time = if nanos < 1e4 { format!(" ({nanos:.0})") } else { String::new() };
            format!("{:.1}{time}{star}", flops / nanos)
        });
        let [a, b] = transposed.map(|t| if t { "^T" } else { "" });
        println!("| {m}{a} x {k} x {n}{b} | {} |", cells.join(" | "));
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let budget = args.first().map_or(60, |ms| ms.parse().expect("milliseconds per cell"));
    if let Some(threads) = args.get(1) {
        let threads = threads.parse().expect("a number of threads");
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the first use of the pool");
        table::<f32>(threads, Duration::from_millis(budget));
        table::<f64>(threads, Duration::from_millis(budget));
        return;
    }
    for threads in ["1", "2"] {
        let this = std::env::current_exe().expect("this program's path");
        let status =
            Command::new(this).args([&budget.to_string(), threads]).env("MATMUL_NUM_THREADS", threads).status();
        assert!(status.expect("a second run of this program").success());
    }
}

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
