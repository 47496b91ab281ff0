//! One pass over a parameter, its gradient and its buffers.

use wengert::FloatElement;
use wengert_kernels::parallel::{self, Part};
use wengert_kernels::simd::{self, Kernel};

/// What happens to one element, and to its `N` buffered numbers.
pub(crate) trait Formula<E, const N: usize>: Copy + Sync {
    /// The new value and buffered numbers; mark the implementation `#[inline(always)]`.
    fn at(self, value: E, grad: E, buffered: [E; N]) -> (E, [E; N]);
}

/// Applies a formula to every element.
///
/// # Panics
/// If the slices differ in length.
pub(crate) fn pass<E: FloatElement, const N: usize>(
    formula: impl Formula<E, N>,
    values: &mut [E],
    grad: &[E],
    buffers: [&mut [E]; N],
) {
    assert_eq!(values.len(), grad.len(), "slices of one length");
    assert!(buffers.iter().all(|buffer| buffer.len() == grad.len()), "slices of one length");
    parallel::in_parts(grad.len(), COST, 1, Share { values, buffers }, |range, Share { values, buffers }| {
        simd::run(Pass { formula, values, grad: &grad[range], buffers });
    });
}

/// What an element costs in vectorised additions: it is read and written in memory.
const COST: usize = 4;

/// The part of a parameter and its buffers that one thread writes.
struct Share<'a, E, const N: usize> {
    values: &'a mut [E],
    buffers: [&'a mut [E]; N],
}

impl<E: Send, const N: usize> Part for Share<'_, E, N> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (head, tail) = self.values.split_at_mut(at);
        let mut tails = [const { None }; N];
        let mut tail_of = tails.iter_mut();
        let heads = self.buffers.map(|buffer| {
            let (head, tail) = buffer.split_at_mut(at);
            *tail_of.next().expect("a tail for every buffer") = Some(tail);
            head
        });
        let tails = tails.map(|tail| tail.expect("a tail for every buffer"));
        (Self { values: head, buffers: heads }, Self { values: tail, buffers: tails })
    }
}

struct Pass<'a, E, F, const N: usize> {
    formula: F,
    values: &'a mut [E],
    grad: &'a [E],
    buffers: [&'a mut [E]; N],
}

impl<E: FloatElement, F: Formula<E, N>, const N: usize> Kernel for Pass<'_, E, F, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { formula, values, grad, mut buffers } = self;
        // Slices cut to one length need no check in the loop, which is vectorised then.
        let n = grad.len();
        let values = &mut values[..n];
        let mut buffers = buffers.each_mut().map(|buffer| &mut buffer[..n]);
        for i in 0..n {
            let new;
            (values[i], new) = formula.at(values[i], grad[i], std::array::from_fn(|k| buffers[k][i]));
            for (buffer, new) in buffers.iter_mut().zip(new) {
                buffer[i] = new;
            }
        }
    }
}

/// The direction to descend: the gradient or, to maximise, its negative, with an L2 penalty's gradient added.
#[derive(Clone, Copy)]
pub(crate) struct Direction<E> {
    sign: E,
    decay: E,
    decays: bool,
}

impl<E: FloatElement> Direction<E> {
    pub(crate) fn new(maximize: bool, weight_decay: f64) -> Self {
        let sign = E::of(if maximize { -1.0 } else { 1.0 });
        Self { sign, decay: E::of(weight_decay), decays: weight_decay != 0.0 }
    }

    #[inline(always)]
    pub(crate) fn at(self, value: E, grad: E) -> E {
        let grad = self.sign * grad;
        E::select(self.decays, grad + self.decay * value, grad)
    }
}
