//! Dropout: a product with a random mask.

use rand::Rng;

use super::check_fraction;
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::random;
use crate::shape::Shape;
use crate::tape;
use crate::tensor::TensorBase;

/// A leaf of `scale` with probability `keep`, else 0, by this thread's generator.
fn mask<E: FloatElement>(shape: &Shape, keep: f64, scale: f64) -> Result<TensorBase<E>> {
    // Half of a random word decides over each element, by arithmetic: a branch would be mispredicted half of the time.
    let (limit, scale) = ((keep * 2f64.powi(32)) as u64, E::of(scale));
    let choose = |word: u64| E::of(f64::from(u8::from(word < limit))) * scale;
    tape::with(|tape| {
        let index = tape.push_leaf(shape, |out: &mut [E]| {
            random::with(|generator| {
                for pair in out.chunks_mut(2) {
                    let word = generator.next_u64();
                    pair.iter_mut().zip([word >> 32, word & 0xffff_ffff]).for_each(|(out, half)| *out = choose(half));
                }
            });
        })?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// In training, every element with probability `p` replaced by 0, the others divided by `1 - p`, by this thread's
        /// generator (Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"); else the tensor
        /// itself.
        pub fn dropout | try_dropout(self, p: f64, training: bool) -> TensorBase<E> {
            check_fraction("dropout", "p", p)?;
            if !training || p == 0.0 {
                return Ok(self);
            }
            let scale = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
            self.try_mul(mask::<E>(&self.try_shape()?, 1.0 - p, scale)?)
        }
    }
}
