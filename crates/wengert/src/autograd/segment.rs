//! Backward over a part of the tape.

use smallvec::SmallVec;

use super::Sweep;
use super::api::check_root;
use super::hooks::run_accumulated;
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, unwrap};
use crate::tape::{self, Flags, Handle, Position, Tape};
use crate::tensor::TensorBase;
use crate::trace;

/// A tensor with its adjoint: the derivative of the result with respect to it.
type WithAdjoint<E> = (TensorBase<E>, TensorBase<E>);

/// The entries between two [positions](tape::position) of the tape, which can be differentiated on their own.
///
/// A recurrent network whose gradients are cut after each chunk of steps (truncated back-propagation through time):
///
/// ```
/// # use wengert::{scope, tape, Tensor};
/// let w = Tensor::full([4, 4], 0.1).requires_grad_(true);
/// let mut h = Tensor::ones([1, 4]);
/// scope(|| {
///     for _chunk in 0..3 {
///         let start = tape::position();
///         for _step in 0..5 {
///             h = (h.matmul(w)).tanh();
///         }
///         let loss = h.square().sum();
///         // Into w.grad(), but not into the chunks before.
///         tape::Segment::since(start).backward(&[(loss, Tensor::scalar(1.0))], &[]);
///     }
/// });
/// assert!(w.grad().is_some());
/// ```
///
/// A computation in stages, where the adjoints at the end of each are carried to the one before it ([`Self::pull_back`]):
///
/// ```
/// # use wengert::{tape, Tensor};
/// let x = Tensor::new([0.5, 2.0]).requires_grad_(true);
/// let (a, y, b) = (tape::position(), x * x, tape::position());
/// let z = (y.sin() * x).sum();
/// let upper = tape::Segment::since(b);
/// let adjoints = upper.pull_back(&[(z, Tensor::scalar(1.0))]); // of x, as far as it is read here, and of y
/// let lower = tape::Segment::between(a, b);
/// lower.backward(&adjoints, &[]);
/// let whole = wengert::grad(z, &[x])[0];
/// assert_eq!(x.grad().unwrap().to_vec(), whole.to_vec());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    from: Position,
    to: Position,
}

impl crate::Escape for Segment {}

/// Stamps the plain form of a method that fails: it panics with the error's text.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident = $try_name:ident<$E:ident: $bound:ident>($($arg:ident: $ty:ty),*) -> $ret:ty;)+) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("With the text of the error that [`Self::", stringify!($try_name), "`] returns.")]
        #[track_caller]
        pub fn $name<$E: $bound>(self, $($arg: $ty),*) -> $ret {
            unwrap(self.$try_name($($arg),*))
        }
    )+ };
}

impl Segment {
    /// The entries from `from` up to `to`.
    ///
    /// # Panics
    /// With the text of the error that [`Self::try_between`] returns.
    #[track_caller]
    pub fn between(from: Position, to: Position) -> Self {
        unwrap(Self::try_between(from, to))
    }

    /// [`Self::between`], with the error returned.
    ///
    /// # Errors
    /// A position whose scope has ended, or of another thread; `to` lies before `from`.
    pub fn try_between(from: Position, to: Position) -> Result<Self> {
        let segment = Self { from, to };
        tape::with(|tape| segment.range(tape))?;
        Ok(segment)
    }

    /// What was recorded since `from`, up to now.
    ///
    /// # Panics
    /// If the position's scope has ended, or it is of another thread.
    #[track_caller]
    pub fn since(from: Position) -> Self {
        Self::between(from, tape::position())
    }

    /// The entries as a table, as [`tape::dump`] shows them; the error as text, if the positions do not hold any more.
    pub fn dump(self) -> String {
        let text = tape::with(|tape| {
            let (from, to) = self.range(tape)?;
            Ok(tape.dump(from..to))
        });
        text.unwrap_or_else(|error| format!("<{error}>\n"))
    }

    plain! {
        /// The tensors recorded before the segment that it reads and that derivatives flow to, leaves too, in the order of their
        /// recording: those whose adjoints [`Self::pull_back`] gives. Tensors of another element type are left out.
        inputs = try_inputs<E: FloatElement>() -> Vec<TensorBase<E>>;

        /// Sweeps over the segment alone. `seeds` are tensors at its upper end (recorded before it ends) with their adjoints. Adds to
        /// the gradients of the leaves that the segment reads, as [`TensorBase::backward`] does, and gives the adjoints of `wanted`, in
        /// their order; `None` where no path leads within the segment. A leaf among `wanted` is left out of accumulation. Derivatives that flow to
        /// other tensors before the segment are dropped.
        ///
        /// A tensor that was written in place is meant as it was at the segment's end, and among `wanted`, if it was recorded before the
        /// segment, as it was at its beginning.
        backward = try_backward<E: FloatElement>(seeds: &[(TensorBase<E>, TensorBase<E>)], wanted: &[TensorBase<E>])
            -> Vec<Option<TensorBase<E>>>;

        /// As [`Self::backward`], recording the derivative itself, so that the adjoints can be differentiated.
        backward_create_graph = try_backward_create_graph<E: FloatElement>(seeds: &[(TensorBase<E>, TensorBase<E>)], wanted: &[TensorBase<E>])
            -> Vec<Option<TensorBase<E>>>;

        /// Carries adjoints over the segment: from those of tensors at its upper end to those at its lower end, of all [`Self::inputs`] that
        /// a path leads to, and of tensors among `seeds` from before the segment. No gradient changes, leaves are carried like others. So
        /// the result is what the segment before takes as seeds, and the first one by [`Self::backward`]; the gradients are then bit for
        /// bit those of one sweep over all.
        pull_back = try_pull_back<E: FloatElement>(seeds: &[(TensorBase<E>, TensorBase<E>)]) -> Vec<(TensorBase<E>, TensorBase<E>)>;
    }

    /// [`Self::inputs`], with the error returned.
    ///
    /// # Errors
    /// A position that does not hold any more.
    pub fn try_inputs<E: FloatElement>(self) -> Result<Vec<TensorBase<E>>> {
        tape::with(|tape| {
            let (from, to) = self.range(tape)?;
            Ok(inputs::<E>(tape, from, to)
                .into_iter()
                .map(|index| TensorBase::from_handle(tape.handle(index)))
                .collect())
        })
    }

    /// [`Self::backward`], with the error returned.
    ///
    /// # Errors
    /// A position that does not hold any more; a seed of another shape than its tensor; a tensor that does not require a gradient, or
    /// that was recorded after the segment.
    #[track_caller]
    pub fn try_backward<E: FloatElement>(
        self,
        seeds: &[WithAdjoint<E>],
        wanted: &[TensorBase<E>],
    ) -> Result<Vec<Option<TensorBase<E>>>> {
        let _line = trace::note();
        tape::all_or_nothing(|| self.sweep(seeds, wanted, false))
    }

    /// [`Self::backward_create_graph`], with the error returned.
    ///
    /// # Errors
    /// As [`Self::try_backward`].
    #[track_caller]
    pub fn try_backward_create_graph<E: FloatElement>(
        self,
        seeds: &[WithAdjoint<E>],
        wanted: &[TensorBase<E>],
    ) -> Result<Vec<Option<TensorBase<E>>>> {
        let _line = trace::note();
        tape::all_or_nothing(|| self.sweep(seeds, wanted, true))
    }

    /// [`Self::pull_back`], with the error returned.
    ///
    /// # Errors
    /// As [`Self::try_backward`].
    #[track_caller]
    pub fn try_pull_back<E: FloatElement>(self, seeds: &[WithAdjoint<E>]) -> Result<Vec<WithAdjoint<E>>> {
        let _line = trace::note();
        tape::all_or_nothing(|| {
            let wanted = tape::with(|tape| {
                let (from, to) = self.range(tape)?;
                let mut wanted = inputs::<E>(tape, from, to);
                for (x, _) in seeds {
                    let index = before(tape, x.handle(), to)?;
                    if index < from {
                        wanted.push(index);
                    }
                }
                wanted.sort_unstable();
                wanted.dedup();
                Ok(wanted)
            })?;
            let tensors = tape::with(|tape| {
                Ok(wanted.iter().map(|&index| TensorBase::<E>::from_handle(tape.handle(index))).collect::<Vec<_>>())
            })?;
            let found = self.sweep_to(seeds, wanted.into(), false)?;
            Ok(tensors.into_iter().zip(found).filter_map(|(x, adjoint)| Some((x, adjoint?))).collect())
        })
    }

    fn sweep<E: FloatElement>(
        self,
        seeds: &[WithAdjoint<E>],
        wanted: &[TensorBase<E>],
        recorded: bool,
    ) -> Result<Vec<Option<TensorBase<E>>>> {
        let places = tape::with(|tape| {
            let (from, to) = self.range(tape)?;
            wanted.iter().map(|x| wanted_at(tape, x.handle(), from, to)).collect::<Result<SmallVec<[u32; 4]>>>()
        })?;
        let mut ascending = places.clone();
        ascending.sort_unstable();
        ascending.dedup();
        let found = self.sweep_to(seeds, ascending.clone(), recorded)?;
        let of = |index: &u32| found[ascending.binary_search(index).expect("one of them")];
        Ok(places.iter().map(of).collect())
    }

    /// Sweeps with the adjoints of the entries `wanted`, in ascending order, kept.
    fn sweep_to<E: FloatElement>(
        self,
        seeds: &[WithAdjoint<E>],
        wanted: SmallVec<[u32; 4]>,
        recorded: bool,
    ) -> Result<Vec<Option<TensorBase<E>>>> {
        let (from, to) = tape::with(|tape| self.range(tape))?;
        let mut roots = SmallVec::<[(Handle, Handle); 4]>::new();
        for &(x, adjoint) in seeds {
            let adjoint = check_root("Segment::backward", x, Some(adjoint))?;
            roots.push(tape::with(|tape| {
                let index = before(tape, x.handle(), to)?;
                Ok((tape.handle(index), adjoint.handle()))
            })?);
        }
        let (found, leaves) = Sweep::accumulate_from(from, &roots, wanted, recorded)?;
        run_accumulated(&leaves)?;
        Ok(found.into_iter().map(|handle| handle.map(TensorBase::from_handle)).collect())
    }

    /// The indices of the first entry and past the last one.
    fn range(self, tape: &Tape) -> Result<(u32, u32)> {
        let (from, to) = (tape.index_of(self.from)?, tape.index_of(self.to)?);
        if from > to {
            return Err(error!(
                Value,
                "a segment of the tape can't end at {to}, before it begins at {from}; swap the positions"
            ));
        }
        Ok((from, to))
    }
}

/// The entries before `from` that derivatives flow to from the entries up to `to`.
fn inputs<E: Element>(tape: &Tape, from: u32, to: u32) -> Vec<u32> {
    let tracked = (from..to).filter(|&index| tape.entry(index).flags.has(Flags::GRAD));
    let mut found: Vec<u32> = tracked.flat_map(|index| tape.operands(index)).collect();
    found.retain(|&x| x < from && tape.entry(x).flags.has(Flags::GRAD) && tape.entry(x).dtype() == E::DTYPE);
    found.sort_unstable();
    found.dedup();
    found
}

/// The entry that a handle meant when the tape ended at `end`.
///
/// # Errors
/// The handle is stale; what it names was recorded later.
fn before(tape: &mut Tape, handle: Handle, end: u32) -> Result<u32> {
    let mut index = tape.locate(handle)?;
    while index >= end && tape.entry(index).op.is_version() {
        index = tape.operands(index)[0];
    }
    if index < end {
        return Ok(index);
    }
    Err(error!(
        Value,
        "Segment::backward: a tensor of shape {:?} was recorded after the segment, or shows one that was written in place since",
        tape.layout(index).shape()
    ))
}

/// The entry of a wanted tensor: as it was where the segment begins, if it was recorded before that, else where it ends.
fn wanted_at(tape: &mut Tape, handle: Handle, from: u32, to: u32) -> Result<u32> {
    let end = if tape.check(handle)? < from { from } else { to };
    let index = before(tape, handle, end)?;
    if tape.entry(index).flags.has(Flags::GRAD) {
        return Ok(index);
    }
    Err(error!(
        Grad,
        "Segment::backward: the adjoint of a tensor of shape {:?} is asked for that does not require a gradient; call \
         `requires_grad_(true)` on it first",
        tape.layout(index).shape()
    ))
}
