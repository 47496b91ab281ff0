//! Where the time of recording and of sweeping goes, by operation.
//!
//! An operation that is under way holds a [`Span`]. Spans nest: a derivative records the operations that its rule is made of. Time,
//! bytes and multiply-adds count for the outermost one; the trace shows all.

use std::cell::RefCell;
use std::fmt;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use smallvec::{SmallVec, smallvec};
use wengert_kernels::gemm::{MatMut, MatRef, gemm};

/// How many threads are being profiled.
static PROFILED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PROFILER: RefCell<Option<Profiler>> = const { RefCell::new(None) };
}

/// When an operation ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// When it was recorded, or its deferred value was computed.
    Forward,
    /// When a sweep passed it.
    Backward,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        })
    }
}

/// What one kind of operation took.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    /// The operation's name, as that of the method.
    pub op: &'static str,
    /// When it ran.
    pub phase: Phase,
    /// How often it ran.
    pub calls: u64,
    /// The time that it took. Elementwise operations that were computed together share theirs by what they cost.
    pub time: Duration,
    /// Bytes of operands and results, each counted once; of gradients too in backward.
    pub bytes: u64,
    /// Floating-point operations of matrix products and convolutions, two per multiply-add; 0 for others.
    pub flops: u64,
}

/// What the machine can do at most, with the threads that kernels use; measured when the profile begins.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that are copied between memory and memory per second, read and written ones.
    pub bandwidth: f64,
    /// Floating-point operations per second of a product of `f32` matrices of 512 rows and columns.
    pub flops: f64,
}

/// What [`profile`] saw.
#[derive(Clone, Debug)]
pub struct Profile {
    /// By kind and phase, the longest time first.
    pub rows: Vec<ProfileRow>,
    /// From begin to end, with what is no operation.
    pub total: Duration,
    /// What the machine can do.
    pub limits: Limits,
    events: Vec<Event>,
}

/// One span, for the trace.
#[derive(Clone, Debug)]
struct Event {
    ops: SmallVec<[&'static str; 2]>,
    phase: Phase,
    start: Duration,
    time: Duration,
}

/// What one operation of a span does.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub op: &'static str,
    /// Its phase, if that is another than the span's.
    pub phase: Option<Phase>,
    pub bytes: usize,
    /// Its share of the span's time.
    pub cost: u32,
}

struct Profiler {
    begin: Instant,
    /// Spans under way.
    depth: usize,
    /// Of the outermost span.
    flops: u64,
    rows: Vec<ProfileRow>,
    events: Vec<Event>,
}

/// Runs `f` and tells where the time of its operations went, on this thread: calls, time, bytes, and the share of what the machine can
/// do, by operation, forward and backward. It prints as a table.
///
/// Looking at the clock takes tens of nanoseconds an operation, by which the figures of small tensors are too large. Operations on single
/// numbers are the row `numbers` in backward, and left out when they are recorded. So is what other threads record; kernels may use several
/// threads.
///
/// ```
/// use wengert::{Tensor, tape};
/// let w = Tensor::randn([64, 64]).requires_grad_(true);
/// let (loss, profile) = tape::profile(|| {
///     let loss = Tensor::ones([8, 64]).matmul(w).tanh().sum();
///     loss.backward();
///     loss
/// });
/// assert!(loss.item().is_finite());
/// let matmul = profile.rows.iter().find(|row| row.op == "matmul").unwrap();
/// assert_eq!((matmul.calls, matmul.flops), (1, 2 * 8 * 64 * 64));
/// println!("{profile}");
/// ```
///
/// # Panics
/// Inside of itself; and if `f` does.
pub fn profile<R>(f: impl FnOnce() -> R) -> (R, Profile) {
    let limits = Limits::measured();
    assert!(PROFILER.with_borrow(Option::is_none), "profile: this thread is being profiled already");
    let profiler = Profiler { begin: Instant::now(), depth: 0, flops: 0, rows: Vec::new(), events: Vec::new() };
    PROFILER.set(Some(profiler));
    PROFILED.fetch_add(1, Ordering::Relaxed);
    let running = Running;
    let result = f();
    let Profiler { begin, mut rows, events, .. } = running.finish().expect("this function put it there");
    let total = begin.elapsed();
    rows.sort_by_key(|row| std::cmp::Reverse(row.time));
    (result, Profile { rows, total, limits, events })
}

/// A profile under way; ends it when `f` panics.
struct Running;

impl Running {
    fn finish(self) -> Option<Profiler> {
        PROFILER.take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        PROFILED.fetch_sub(1, Ordering::Relaxed);
        PROFILER.set(None);
    }
}

/// An operation under way.
pub(crate) struct Span {
    phase: Phase,
    start: Instant,
    works: SmallVec<[Work; 2]>,
}

/// Begins a span, whose works `works` lists, if this thread is being profiled.
#[inline]
pub(crate) fn span<I: IntoIterator<Item = Work>>(phase: Phase, works: impl FnOnce() -> I) -> Option<Span> {
    if PROFILED.load(Ordering::Relaxed) == 0 { None } else { span_slow(phase, works) }
}

#[cold]
fn span_slow<I: IntoIterator<Item = Work>>(phase: Phase, works: impl FnOnce() -> I) -> Option<Span> {
    PROFILER.with_borrow_mut(|profiler| {
        let profiler = profiler.as_mut()?;
        profiler.depth += 1;
        Some(Span { phase, works: works().into_iter().collect(), start: Instant::now() })
    })
}

/// Notes floating-point operations of the span under way.
#[inline]
pub(crate) fn count_flops(flops: usize) {
    if PROFILED.load(Ordering::Relaxed) > 0 {
        PROFILER.with_borrow_mut(|profiler| {
            if let Some(profiler) = profiler {
                profiler.flops += flops as u64;
            }
        });
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let time = self.start.elapsed();
        PROFILER.with_borrow_mut(|profiler| {
            if let Some(profiler) = profiler {
                profiler.end(self, time);
            }
        });
    }
}

impl Profiler {
    fn end(&mut self, span: &Span, time: Duration) {
        let ops = span.works.iter().map(|work| work.op).collect();
        let start = span.start.saturating_duration_since(self.begin);
        self.events.push(Event { ops, phase: span.phase, start, time });
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 {
            return;
        }
        let cost: u32 = span.works.iter().map(|work| work.cost).sum();
        let mut flops = std::mem::take(&mut self.flops);
        for work in &span.works {
            let row = self.row(work.op, work.phase.unwrap_or(span.phase));
            row.calls += 1;
            row.time += time.mul_f64(f64::from(work.cost) / f64::from(cost.max(1)));
            row.bytes += work.bytes as u64;
            row.flops += std::mem::take(&mut flops);
        }
    }

    fn row(&mut self, op: &'static str, phase: Phase) -> &mut ProfileRow {
        let place = self.rows.iter().position(|row| (row.op, row.phase) == (op, phase)).unwrap_or_else(|| {
            self.rows.push(ProfileRow { op, phase, calls: 0, time: Duration::ZERO, bytes: 0, flops: 0 });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }
}

impl Limits {
    /// Measured once in the life of the process.
    fn measured() -> Self {
        static LIMITS: OnceLock<Limits> = OnceLock::new();
        *LIMITS.get_or_init(|| {
            const WORDS: usize = 4 << 20;
            const N: usize = 512;
            let (from, mut to) = (vec![1f32; WORDS], vec![0f32; WORDS]);
            let bandwidth = rate(2 * size_of::<f32>() * WORDS, || {
                wengert_kernels::parallel::in_parts(WORDS, 1, 1024, &mut to[..], |range, to| {
                    to.copy_from_slice(black_box(&from[range]));
                });
            });
            let (a, mut c) = (vec![1f32; N * N], vec![0f32; N * N]);
            let flops = rate(2 * N * N * N, || {
                let a = MatRef::row_major(&a, [N, N]);
                gemm(1.0, a, a, 0.0, MatMut::row_major(&mut c, [N, N]));
            });
            Limits { bandwidth, flops }
        })
    }

    /// The least time for so much memory traffic and so many floating-point operations, both at once.
    fn least_time(&self, bytes: u64, flops: u64) -> Duration {
        Duration::from_secs_f64((bytes as f64 / self.bandwidth).max(flops as f64 / self.flops))
    }
}

/// The best of a few rates at which `f` does `work`, per second.
fn rate(work: usize, mut f: impl FnMut()) -> f64 {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    });
    work as f64 / times.fold(f64::INFINITY, f64::min)
}

impl Profile {
    /// The share of what the machine can do that a row reached, 0 to 1: the time that its memory traffic, or its floating-point operations,
    /// take at least, over the time that it took. It is above 1 where elements are in cache or never in memory, as those between operations
    /// that are computed together. The work of functions such as `tanh` is not counted.
    pub fn share(&self, row: &ProfileRow) -> f64 {
        self.limits.least_time(row.bytes, row.flops).as_secs_f64() / row.time.as_secs_f64().max(1e-9)
    }

    /// Writes every operation's begin and end in Chrome's trace event format, which `chrome://tracing` and Perfetto show.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn export_chrome_trace(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut file = io::BufWriter::new(std::fs::File::create(path)?);
        self.write_chrome_trace(&mut file)?;
        file.flush()
    }

    /// As [`Self::export_chrome_trace`], to a writer.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_chrome_trace(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(to, "{{\"traceEvents\":[")?;
        for (place, event) in self.events.iter().enumerate() {
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            let comma = if place + 1 < self.events.len() { "," } else { "" };
            // Names of user-defined functions are Rust paths, which need no escapes.
            writeln!(
                to,
                "{{\"name\":\"{}\",\"cat\":\"{}\",\"ph\":\"X\",\"ts\":{:.3},\"dur\":{:.3},\"pid\":1,\"tid\":1}}{comma}",
                event.ops.join(" "),
                event.phase,
                micros(event.start),
                micros(event.time)
            )?;
        }
        writeln!(to, "]}}")
    }
}

/// A number of some unit with its prefix: `1.5 M`.
fn with_prefix(number: f64) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match prefixes.iter().find(|(size, _)| number >= *size) {
        Some((size, prefix)) => format!("{:.1} {prefix}", number / size),
        None => format!("{number:.0} "),
    }
}

/// A share of the limit in per cent; what exceeds it did not come from memory.
fn of_limit(share: f64) -> String {
    if share > 1.0 { "cache".into() } else { format!("{:.0} %", 100.0 * share) }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.op.len()).max().unwrap_or(0).max("operation".len());
        writeln!(
            f,
            "{:width$}  {:8}  {:>8}  {:>12}  {:>6}  {:>9}  {:>9}  {:>8}",
            "operation", "phase", "calls", "time", "share", "bytes", "flops", "of limit"
        )?;
        for row in &self.rows {
            let of_total = 100.0 * row.time.as_secs_f64() / self.total.as_secs_f64().max(1e-9);
            writeln!(
                f,
                "{:width$}  {:8}  {:>8}  {:>9.3} ms  {:>4.1} %  {:>8}B  {:>9}  {:>8}",
                row.op,
                row.phase,
                row.calls,
                row.time.as_secs_f64() * 1e3,
                of_total,
                with_prefix(row.bytes as f64),
                with_prefix(row.flops as f64),
                of_limit(self.share(row))
            )?;
        }
        let inside: Duration = self.rows.iter().map(|row| row.time).sum();
        write!(
            f,
            "operations {:.3} ms of {:.3} ms; limits: {}B/s of memory, {}flop/s",
            inside.as_secs_f64() * 1e3,
            self.total.as_secs_f64() * 1e3,
            with_prefix(self.limits.bandwidth),
            with_prefix(self.limits.flops)
        )
    }
}

/// The work of one operation that takes the whole span.
pub(crate) fn whole(op: &'static str, bytes: usize) -> SmallVec<[Work; 2]> {
    smallvec![Work { op, phase: None, bytes, cost: 1 }]
}
