//! Anomaly mode: the first NaN or infinity that an operation makes of finite numbers is an error that names it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::element::{DType, FloatElement};
use crate::error::{Error, Result, error};
use crate::ops::Op;
use crate::shape::Layout;
use crate::tape::{Entry, Flags, Tape};
use crate::trace::{self, Line};

/// How many guards of all threads are alive: while there is none, every check ends here.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many guards this thread holds.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Whether derivatives are being computed, whose results are checked as a whole.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
    /// The latest anomaly that was found under [`try_detect_anomaly`].
    static FOUND: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Whether some thread is in anomaly mode.
#[inline(always)]
pub(crate) fn is_anywhere() -> bool {
    GUARDS.load(Ordering::Relaxed) > 0
}

/// Whether this thread checks what operations compute.
#[inline]
pub(crate) fn is_on() -> bool {
    is_anywhere() && DEPTH.get() > 0 && !PAUSED.get()
}

/// Whether this thread is in anomaly mode, by [`detect_anomaly`] or [`DetectAnomaly`].
pub fn is_anomaly_enabled() -> bool {
    DEPTH.get() > 0
}

/// Runs `f` in anomaly mode: the first NaN or infinity that an operation produces from finite operands, forward or backward, is
/// an error (a panic in the plain forms) that names the operation, the shape, the element and the line of the code that
/// recorded it. For backward it names the operation whose derivative it was, for which operand, and the line where that operation
/// was recorded.
///
/// As `torch.autograd.detect_anomaly`, which looks at NaN in backward only. Values that the program itself makes of NaN or infinity
/// (a leaf, a number as an operand, [`TensorBase::update`](crate::TensorBase::update)), and all that follows from them, are no
/// anomalies. In release builds, lines are known of what was recorded in anomaly mode. Every value is read once more, and lines are
/// kept, so it is for finding errors. The mode is this thread's; it nests, and ends with `f`, also when that panics.
///
/// ```should_panic
/// use wengert::{detect_anomaly, Tensor};
/// let x = Tensor::from_slice(&[1.0, 0.0], [2]).requires_grad_(true);
/// // detect_anomaly: `ln` produced -inf at element [1] of shape [2], from finite operands (0); recorded at src/main.rs:4:26
/// detect_anomaly(|| x.ln().sum().backward());
/// ```
pub fn detect_anomaly<R>(f: impl FnOnce() -> R) -> R {
    let _mode = DetectAnomaly::enter();
    f()
}

/// [`detect_anomaly`], with the anomaly returned as an error, also if it was an operator in `f` that panicked with it. Any other
/// panic goes on. (The panic is caught, so the program's panic hook has printed it.)
///
/// ```
/// use wengert::{try_detect_anomaly, Tensor};
/// let x = Tensor::scalar(0.0).requires_grad_(true);
/// let error = try_detect_anomaly(|| x.sqrt().backward()).unwrap_err();
/// assert!(error.to_string().contains("the derivative of `sqrt` with respect to operand 0 is inf"), "{error}");
/// ```
///
/// # Errors
/// Of kind [`ErrorKind::Anomaly`](crate::ErrorKind::Anomaly), the one that ended `f`.
pub fn try_detect_anomaly<R>(f: impl FnOnce() -> R) -> Result<R> {
    // The tape is usable after a panic at any place, and `f` is gone.
    catch_unwind(AssertUnwindSafe(|| detect_anomaly(f))).map_err(|payload| {
        let found = FOUND.take();
        match (found, text_of(&*payload)) {
            (Some(error), Some(text)) if error.to_string() == text => error,
            _ => resume_unwind(payload),
        }
    })
}

fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str)
}

/// The guard form of [`detect_anomaly`].
///
/// ```
/// use wengert::{DetectAnomaly, Tensor};
/// let _mode = DetectAnomaly::enter();
/// let error = Tensor::scalar(1e30).try_square().unwrap_err();
/// assert!(error.to_string().starts_with("detect_anomaly: `square` produced inf"));
/// ```
#[must_use = "the mode ends when its guard is dropped"]
#[derive(Debug)]
pub struct DetectAnomaly {
    /// The mode is that of the thread which entered it.
    local: PhantomData<*const ()>,
}

impl DetectAnomaly {
    /// Starts the mode.
    pub fn enter() -> Self {
        GUARDS.fetch_add(1, Ordering::Relaxed);
        DEPTH.set(DEPTH.get() + 1);
        Self { local: PhantomData }
    }
}

impl Drop for DetectAnomaly {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        GUARDS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends a change of [`PAUSED`].
pub(crate) struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        PAUSED.set(self.0);
    }
}

/// Leaves the operations of a derivative's rule unchecked.
pub(crate) fn pause() -> Restore {
    Restore(PAUSED.replace(true))
}

/// Checks the value of `entry`, which is about to be recorded.
///
/// # Errors
/// An element is not finite, and all operands are.
#[cold]
pub(crate) fn check_value(tape: &Tape, entry: &Entry) -> Result<()> {
    // Made of given numbers; or the same elements as another entry's, which was checked.
    if entry.op == Op::Leaf || entry.flags.has(Flags::SHARES) {
        return Ok(());
    }
    let layout = &tape.arena.get(entry.meta).layout;
    let Some(bad) = first_bad(tape, entry, layout) else { return Ok(()) };
    if !has_finite_operands(tape, entry) {
        return Ok(());
    }
    Err(report(error!(
        Anomaly,
        "detect_anomaly: `{}` produced {}, from finite operands{}; {}",
        tape.name(entry),
        bad.text(layout),
        operands_at(tape, entry, &bad.place(layout)),
        recorded_at(trace::line()),
    )))
}

/// The error of a derivative for operand `k` of entry `index` that is not finite.
pub(crate) fn derivative_error(tape: &Tape, index: u32, k: usize, operand: u32, bad: &Bad) -> Error {
    let layout = Layout::contiguous(tape.layout(operand).shape());
    let entry = tape.entry(index);
    report(error!(
        Anomaly,
        "detect_anomaly: the derivative of `{}` with respect to operand {k} is {}, from a finite gradient and finite operands{}; \
         `{0}` was {}",
        tape.name(entry),
        bad.text(&layout),
        operands_at(tape, entry, &bad.place(&layout)),
        recorded_at(tape.line(index)),
    ))
}

/// The error of a hook on entry `index` whose gradient is not finite.
pub(crate) fn hook_error(tape: &Tape, index: u32, bad: &Bad) -> Error {
    let layout = Layout::contiguous(tape.layout(index).shape());
    report(error!(
        Anomaly,
        "detect_anomaly: a hook on the result of `{}` returned {}, for a finite gradient; `{0}` was {}",
        tape.name(tape.entry(index)),
        bad.text(&layout),
        recorded_at(tape.line(index)),
    ))
}

/// Remembers an error for [`try_detect_anomaly`].
fn report(error: Error) -> Error {
    FOUND.set(Some(error.clone()));
    error
}

/// Where an entry was recorded, as text.
fn recorded_at(line: Line) -> String {
    match line {
        Some(line) => format!("recorded at {line}"),
        None => "recorded at an unknown line, outside of anomaly mode".into(),
    }
}

/// An element that is not finite: where it is, counted row-major, and its value.
pub(crate) struct Bad {
    row_major: usize,
    value: f64,
}

impl Bad {
    /// Value, index and shape.
    fn text(&self, layout: &Layout) -> String {
        match layout.shape() {
            [] => format!("{} of shape []", self.value),
            shape => format!("{} at element {:?} of shape {shape:?}", self.value, self.place(layout)),
        }
    }

    /// Its index along each dimension.
    fn place(&self, layout: &Layout) -> Vec<usize> {
        let mut rest = self.row_major;
        let mut place: Vec<usize> = layout.shape().iter().rev().map(|&n| (rest % n, rest /= n).0).collect();
        place.reverse();
        place
    }
}

/// The first element of a block that is not finite; integers and masks are.
pub(crate) fn first_bad(tape: &Tape, entry: &Entry, layout: &Layout) -> Option<Bad> {
    if entry.is_deferred() {
        // Recorded outside of anomaly mode.
        return None;
    }
    match entry.dtype() {
        DType::F32 => first_bad_of::<f32>(tape.elements(entry), layout),
        DType::F64 => first_bad_of::<f64>(tape.elements(entry), layout),
        DType::I64 | DType::Bool => None,
    }
}

/// The first element of `layout` in a block that is not finite.
pub(crate) fn first_bad_of<E: FloatElement>(block: &[E], layout: &Layout) -> Option<Bad> {
    let data = &block[layout.offset()..];
    let is_bad = |value: &E| !num_traits::Float::is_finite(Into::<f64>::into(*value));
    if layout.is_contiguous() {
        let data = &data[..layout.numel()];
        let row_major = data.iter().position(is_bad)?;
        return Some(Bad { row_major, value: data[row_major].into() });
    }
    let at = |row_major: usize| data[place_of(layout, row_major)];
    let row_major = (0..layout.numel()).find(|&row_major| is_bad(&at(row_major)))?;
    Some(Bad { row_major, value: at(row_major).into() })
}

/// How far element `row_major` lies from the first one.
fn place_of(layout: &Layout, mut row_major: usize) -> usize {
    let mut place = 0;
    for (&length, &stride) in layout.shape().iter().zip(layout.strides()).rev() {
        place += row_major % length * stride;
        row_major /= length;
    }
    place
}

/// The first element of an entry's value that is not finite.
pub(crate) fn first_bad_of_entry(tape: &Tape, index: u32) -> Option<Bad> {
    let entry = tape.entry(index);
    first_bad(tape, entry, tape.layout(index))
}

/// Whether the value of entry `index` is finite.
pub(crate) fn is_finite(tape: &Tape, index: u32) -> bool {
    first_bad_of_entry(tape, index).is_none()
}

/// Whether all that an operation was given is finite.
pub(crate) fn has_finite_operands(tape: &Tape, entry: &Entry) -> bool {
    tape.operands_of(entry).all(|operand| is_finite(tape, operand))
        && tape.numbers_of(entry).iter().all(|number| number.is_finite())
}

/// What the operands of an elementwise operation hold where its result has an element, as text.
fn operands_at(tape: &Tape, entry: &Entry, place: &[usize]) -> String {
    let Op::Elementwise(_) = entry.op else { return String::new() };
    let at = |operand: u32| -> Option<String> {
        let own = tape.entry(operand);
        let layout = tape.layout(operand);
        if own.is_deferred() {
            return None;
        }
        // A derivative's place may be one of a smaller operand, which stands for several of the result.
        let lead = place.len().checked_sub(layout.rank())?;
        let dims = || place[lead..].iter().zip(layout.shape()).zip(layout.strides());
        if dims().any(|((&i, &n), _)| n != 1 && i >= n) {
            return None;
        }
        let offset = layout.offset() + dims().map(|((&i, &n), &stride)| i.min(n - 1) * stride).sum::<usize>();
        match own.dtype() {
            DType::F32 => Some(number_text(tape.elements::<f32>(own)[offset])),
            DType::F64 => Some(number_text(tape.elements::<f64>(own)[offset])),
            DType::Bool => Some(tape.elements::<bool>(own)[offset].to_string()),
            DType::I64 => None,
        }
    };
    let Some(mut values) = tape.operands_of(entry).map(at).collect::<Option<Vec<String>>>() else {
        return String::new();
    };
    values.extend(tape.numbers_of(entry).iter().map(number_text));
    if entry.flags.has(Flags::CONST_A) {
        values.reverse();
    }
    if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) }
}

/// A number in few characters: 2, 0.5, 1e300.
pub(crate) fn number_text(number: impl std::fmt::Debug) -> String {
    let text = format!("{number:?}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
