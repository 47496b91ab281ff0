//! Data out of tensors.

use wengert_kernels::strided::pack;

use super::TensorBase;
use crate::element::Element;
use crate::error::{Result, error, filled, reserve, twins};
use crate::tape;

twins! {
    impl[E: Element] TensorBase<E> {
        /// The value of a tensor of one element.
        pub fn item | try_item(self) -> E where Some = { self.number() } {
            tape::with(|tape| {
                let index = tape.resolve(self.handle())?;
                match tape.layout(index).numel() {
                    1 => Ok(tape.data::<E>(index)[0]),
                    _ => Err(error!(
                        Shape,
                        "item: a tensor of shape {:?} can't be converted to one number; use `to_vec`",
                        tape.layout(index).shape()
                    )),
                }
            })
        }

        /// The elements, row-major.
        pub fn to_vec | try_to_vec(self) -> Vec<E> {
            tape::with(|tape| {
                let index = tape.resolve(self.handle())?;
                let layout = tape.layout(index);
                let data = tape.data::<E>(index);
                if layout.is_contiguous() {
                    let mut out = Vec::new();
                    reserve(&mut out, layout.numel())?;
                    out.extend_from_slice(&data[..layout.numel()]);
                    return Ok(out);
                }
                let mut out = filled(E::default(), layout.numel())?;
                pack(data, layout.shape(), layout.strides(), 0, &mut out);
                Ok(out)
            })
        }

        /// Copies the elements, row-major, into `out`, which has as many.
        pub fn copy_to_slice | try_copy_to_slice(self, out: &mut [E]) -> () {
            tape::with(|tape| {
                let index = tape.resolve(self.handle())?;
                let layout = tape.layout(index);
                if layout.numel() != out.len() {
                    return Err(error!(
                        Shape,
                        "copy_to_slice: a tensor of shape {:?} has {} elements, the slice {}",
                        layout.shape(),
                        layout.numel(),
                        out.len()
                    ));
                }
                pack(tape.data::<E>(index), layout.shape(), layout.strides(), 0, out);
                Ok(())
            })
        }
    }
}

impl<E: Element> TensorBase<E> {
    /// The value, if it is a number that its entry holds.
    #[inline]
    pub(crate) fn number(self) -> Option<E> {
        tape::with_free(|tape| tape.find(self.handle())?.1.inline::<E>().map(|number| number[0]))
    }

    /// Calls `f` with the elements, row-major, without a copy if they are contiguous.
    ///
    /// The tape is in use meanwhile: `f` must not call tensor operations.
    ///
    /// # Panics
    /// If the handle is stale, or `f` panics.
    #[track_caller]
    pub fn with_data<R>(self, f: impl FnOnce(&[E]) -> R) -> R {
        crate::error::unwrap(self.try_with_data(f))
    }

    /// [`Self::with_data`], with the error returned.
    ///
    /// # Errors
    /// A stale handle.
    pub fn try_with_data<R>(self, f: impl FnOnce(&[E]) -> R) -> Result<R> {
        if !self.try_is_contiguous()? {
            return Ok(f(&self.try_to_vec()?));
        }
        tape::with(|tape| {
            let index = tape.resolve(self.handle())?;
            let numel = tape.layout(index).numel();
            Ok(f(&tape.data::<E>(index)[..numel]))
        })
    }
}
