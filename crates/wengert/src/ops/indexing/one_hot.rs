//! Integers as rows of a unit matrix.

use crate::error::{error, twins};
use crate::shape::Shape;
use crate::tape;
use crate::tensor::TensorBase;

twins! {
    impl[] TensorBase<i64> {
        /// For each integer a row of `num_classes` zeros with a 1 at its position: shape `[self.., num_classes]`. With `None` there
        /// are as many classes as the largest integer asks for.
        pub fn one_hot | try_one_hot<N: Into<Option<usize>>>(self, num_classes: N) -> TensorBase<i64> {
            let labels = self.try_to_vec()?;
            let needed = labels.iter().max().map(|&largest| largest.saturating_add(1).max(0) as usize);
            let classes = match num_classes.into().or(needed) {
                Some(classes) if classes > 0 || labels.is_empty() => classes,
                _ => return Err(error!(Value, "one_hot: the number of classes can't be told from no labels; it must be at least 1")),
            };
            if let Some(wrong) = labels.iter().find(|&&label| label < 0 || label >= classes as i64) {
                return Err(error!(Index, "one_hot: label {wrong} is out of range for {classes} classes"));
            }
            let shape = Shape::new("one_hot", &self.try_shape()?.iter().copied().chain([classes]).collect::<Vec<_>>())?;
            tape::with(|tape| {
                let index = tape.push_leaf(&shape, |out: &mut [i64]| {
                    out.fill(0);
                    let rows = out.chunks_exact_mut(classes.max(1)).zip(labels);
                    rows.for_each(|(row, label)| row[label as usize] = 1);
                })?;
                Ok(TensorBase::from_handle(tape.handle(index)))
            })
        }
    }
}
