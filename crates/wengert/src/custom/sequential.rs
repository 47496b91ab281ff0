//! Checkpoints along a chain of functions, cut by number or by memory.

use std::ops::Range;
use std::rc::Rc;

use super::checkpoint::try_checkpoint;
use crate::autograd::Sweep;
use crate::element::FloatElement;
use crate::error::{Result, error, unwrap};
use crate::is_grad_enabled;
use crate::random::{self, Replay};
use crate::tape::{self, Escape, Recording, Scope, guarded};
use crate::tensor::TensorBase;
use crate::trace;

/// The name in errors.
const NAME: &str = "checkpoint_sequential";

/// How [`checkpoint_sequential`] cuts a chain of functions into segments. The last segment is no checkpoint: backward begins with
/// it, so it would be computed again at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segments {
    /// This many, of equal numbers of functions, or one more in the first ones.
    Count(usize),
    /// As few as possible so that the graph takes this many bytes at most, by [`Segments::within`]. Each call measures anew, which
    /// costs as much as a step; call `within` once instead where the shapes stay.
    Budget(usize),
    /// These numbers of functions, in order.
    Lengths(Vec<usize>),
}

impl From<usize> for Segments {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl Segments {
    /// The fewest segments, hence the fewest functions that are computed twice, whose graph takes `budget` bytes at most.
    ///
    /// Each function is run once, forward and backward in a scope of its own, to measure the bytes that it records, gives, and takes in
    /// backward. For 1, 2, .. segments, cut so that the largest is as small as possible, the peak is
    ///
    /// ```text
    /// outputs of the checkpoints + record of the last segment + record of the largest checkpoint + adjoints of one function
    /// ```
    ///
    /// In a tape's first steps, blocks that do not fit into the end of a slab may add a few per cent. Not counted: the input, parameters and their gradients, which stay (and as much again if they are
    /// accumulated without `zero_grad`); and what the caller does with the result. Random numbers
    /// that the functions draw are drawn again afterwards, as if nothing had been measured.
    ///
    /// # Errors
    /// No number of segments fits into the budget.
    pub fn within<E, F>(budget: usize, functions: &[F], input: TensorBase<E>) -> Result<Self>
    where
        E: FloatElement,
        F: Fn(TensorBase<E>) -> TensorBase<E>,
    {
        let costs = measure(functions, input)?;
        let mut least = usize::MAX;
        for count in 1..=costs.len().max(1) {
            let lengths = balanced(&costs, count);
            let peak = peak(&costs, &lengths);
            if peak <= budget {
                return Ok(Self::Lengths(lengths));
            }
            least = least.min(peak);
        }
        Err(error!(
            Memory,
            "{NAME}: a chain of {} functions takes at least {least} bytes however it is cut, and the budget is {budget}; raise it, or make \
             single functions smaller",
            functions.len()
        ))
    }

    fn lengths<E, F>(self, functions: &[F], input: TensorBase<E>) -> Result<Vec<usize>>
    where
        E: FloatElement,
        F: Fn(TensorBase<E>) -> TensorBase<E>,
    {
        let n = functions.len();
        match self {
            Self::Count(count) if count == 0 || count > n.max(1) => Err(error!(
                Value,
                "{NAME}: {n} functions can't be cut into {count} segments; take from 1 to {}",
                n.max(1)
            )),
            Self::Count(count) => Ok((0..count).map(|k| n / count + usize::from(k < n % count)).collect()),
            Self::Budget(bytes) => Self::within(bytes, functions, input)?.lengths(functions, input),
            Self::Lengths(lengths) if lengths.iter().sum::<usize>() == n => Ok(lengths),
            Self::Lengths(lengths) => Err(error!(
                Value,
                "{NAME}: segments of {lengths:?} functions do not make up {n}; their sum must be that"
            )),
        }
    }
}

/// `input` through the functions, one after another, in segments that are [`super::checkpoint()`]s but for the last one. Named as
/// `torch.utils.checkpoint.checkpoint_sequential`.
///
/// ```
/// use std::rc::Rc;
/// use wengert::{checkpoint_sequential, options::Segments, Tensor};
///
/// let layers: Rc<[_]> = (0..16)
///     .map(|_| {
///         let w = (Tensor::randn([8, 8]) * 0.3).requires_grad_(true);
///         move |x: Tensor| x + x.matmul(w).tanh()
///     })
///     .collect();
/// let x = Tensor::randn([32, 8]);
/// checkpoint_sequential(layers.clone(), 4, x).sum().backward();
///
/// // Or by memory: measured once, used in every step.
/// let segments = Segments::within(40_000, &layers, x).unwrap();
/// checkpoint_sequential(layers, segments, x).sum().backward();
/// ```
///
/// # Panics
/// With the errors of [`try_checkpoint_sequential`], and if a function does.
#[track_caller]
pub fn checkpoint_sequential<E, F>(
    functions: impl Into<Rc<[F]>>,
    segments: impl Into<Segments>,
    input: TensorBase<E>,
) -> TensorBase<E>
where
    E: FloatElement,
    F: Fn(TensorBase<E>) -> TensorBase<E> + 'static,
{
    unwrap(try_checkpoint_sequential(functions, segments, input))
}

/// [`checkpoint_sequential`], with the error returned.
///
/// # Errors
/// Segments that do not make up the functions, or a budget that is too small; else as [`crate::try_checkpoint`].
#[track_caller]
pub fn try_checkpoint_sequential<E, F>(
    functions: impl Into<Rc<[F]>>,
    segments: impl Into<Segments>,
    input: TensorBase<E>,
) -> Result<TensorBase<E>>
where
    E: FloatElement,
    F: Fn(TensorBase<E>) -> TensorBase<E> + 'static,
{
    let _line = trace::note();
    let functions: Rc<[F]> = functions.into();
    tape::all_or_nothing(|| {
        let lengths = match is_grad_enabled() {
            true => segments.into().lengths(&functions, input)?,
            false => vec![functions.len()],
        };
        let mut x = input;
        let mut start = 0;
        for (k, &length) in lengths.iter().enumerate() {
            let range = start..start + length;
            start = range.end;
            if k + 1 == lengths.len() {
                x = guarded(NAME, || Ok(chain(&functions[range], x)))?;
            } else {
                let functions = functions.clone();
                x = try_checkpoint(move |x| chain(&functions[range.clone()], x), x)?;
            }
        }
        Ok(x)
    })
}

fn chain<E, F: Fn(TensorBase<E>) -> TensorBase<E>>(functions: &[F], x: TensorBase<E>) -> TensorBase<E> {
    functions.iter().fold(x, |x, f| f(x))
}

/// Bytes of one function.
struct Cost {
    /// What it records, with its result.
    record: usize,
    output: usize,
    /// What backward takes beside.
    sweep: usize,
}

/// Runs each function forward and backward, from the value of the one before.
fn measure<E: FloatElement, F: Fn(TensorBase<E>) -> TensorBase<E>>(
    functions: &[F],
    input: TensorBase<E>,
) -> Result<Vec<Cost>> {
    let _around = Scope::enter();
    let _recording = Recording::start()?;
    let _replay = Replay::from(random::state());
    let mut x = input;
    let mut costs = Vec::with_capacity(functions.len());
    for f in functions {
        let tracked = x.try_detach()?.try_requires_grad_(true)?;
        let used = || tape::with(|tape| Ok(tape.arena.used()));
        let before = used()?;
        let scope = Scope::enter();
        let y = guarded(NAME, || Ok(f(tracked)))?;
        tape::with(|tape| tape.resolve(y.handle()))?;
        let recorded = used()?;
        let seed = y.try_ones_like()?;
        let seeded = used()?;
        let peak = tape::with(|tape| Ok(tape.begin_peak()))?;
        if y.try_requires_grad()? {
            Sweep::capture(&[(y.handle(), seed.handle())], &[tracked.handle()], false)?;
        }
        let swept = tape::with(|tape| Ok(tape.end_peak(peak)))?;
        costs.push(Cost {
            record: recorded - before,
            output: y.try_numel()? * size_of::<E>(),
            sweep: swept.saturating_sub(seeded),
        });
        x = scope.leave_with(|exit| Ok(y.try_detach()?.escape(exit)))?;
    }
    Ok(costs)
}

/// The bytes of a graph that is cut like this, at most.
fn peak(costs: &[Cost], lengths: &[usize]) -> usize {
    let mut start = 0;
    let segments: Vec<&[Cost]> = lengths
        .iter()
        .map(|&length| {
            let range: Range<usize> = start..start + length;
            start = range.end;
            &costs[range]
        })
        .collect();
    let record = |segment: &[Cost]| segment.iter().map(|cost| cost.record).sum::<usize>();
    let Some((last, checkpoints)) = segments.split_last() else { return 0 };
    let outputs: usize = checkpoints.iter().filter_map(|segment| segment.last()).map(|cost| cost.output).sum();
    let largest = checkpoints.iter().map(|segment| record(segment)).max().unwrap_or(0);
    let sweep = costs.iter().map(|cost| cost.sweep).max().unwrap_or(0);
    outputs + record(last) + largest + sweep
}

/// Lengths of at most `count` segments of which the largest records as little as possible.
fn balanced(costs: &[Cost], count: usize) -> Vec<usize> {
    let largest = costs.iter().map(|cost| cost.record).max().unwrap_or(0);
    let total = costs.iter().map(|cost| cost.record).sum::<usize>();
    let (mut low, mut high) = (largest, total);
    while low < high {
        let middle = low + (high - low) / 2;
        if filled(costs, middle).len() <= count { high = middle } else { low = middle + 1 }
    }
    filled(costs, low)
}

/// Lengths of segments that record up to `room` bytes, each filled before the next begins.
fn filled(costs: &[Cost], room: usize) -> Vec<usize> {
    let mut lengths = vec![0];
    let mut bytes = 0;
    for cost in costs {
        if bytes + cost.record > room && bytes > 0 {
            lengths.push(0);
            bytes = 0;
        }
        bytes += cost.record;
        *lengths.last_mut().expect("the first is there") += 1;
    }
    lengths
}
