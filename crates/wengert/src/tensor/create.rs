//! Constructors.

use super::TensorBase;
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, reserve, unwrap};
use crate::random;
use crate::shape::{IntoShape, Shape, shape_of};
use crate::tape;
use crate::trace;

/// Stamps pairs of constructors, as [`crate::error::twins`] does for methods.
macro_rules! constructors {
    (impl[$($generics:tt)*] $ty:ty { $(
        $(#[$doc:meta])*
        pub fn $name:ident | $try_name:ident ($($arg:ident : $argty:ty),* $(,)?) $(where Some = $short:block)? $body:block
    )* }) => {
        impl<$($generics)*> $ty { $(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("With the text of the error that [`Self::", stringify!($try_name), "`] returns.")]
            #[track_caller]
            #[inline]
            #[allow(clippy::should_implement_trait, reason = "`from_iter` is FromIterator's, which can't return an error")]
            pub fn $name ($($arg: $argty),*) -> Self {
                $(if let Some(done) = $short {
                    return done;
                })?
                unwrap(Self::$try_name($($arg),*))
            }

            #[doc = concat!("[`Self::", stringify!($name), "`], with the error returned.")]
            ///
            /// # Errors
            /// A shape that is too large or does not fit the data; an argument outside of its range.
            #[track_caller]
            pub fn $try_name ($($arg: $argty),*) -> Result<Self> {
                let _line = trace::note();
                $body
            }
        )* }
    };
}

/// A tensor of `shape` whose elements `fill` writes.
fn leaf<E: Element>(shape: &Shape, fill: impl FnOnce(&mut [E])) -> Result<TensorBase<E>> {
    tape::with(|tape| {
        let index = tape.push_leaf(shape, fill)?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}

constructors! {
    impl[E: Element] TensorBase<E> {
        /// A tensor of `shape` with the elements of `data`, row-major.
        ///
        /// ```
        /// # use wengert::Tensor;
        /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2]);
        /// assert_eq!(x.shape(), [2, 2]);
        /// ```
        pub fn from_slice | try_from_slice(data: &[E], shape: impl IntoShape) {
            let shape = shape_of("from_slice", shape)?;
            if shape.numel() != data.len() {
                return Err(error!(
                    Shape,
                    "from_slice: {} elements do not fill shape {shape:?}, which has {}",
                    data.len(),
                    shape.numel()
                ));
            }
            leaf(&shape, |out| out.copy_from_slice(data))
        }

        /// A tensor of `shape` with every element equal to `value`.
        pub fn full | try_full(shape: impl IntoShape, value: E) {
            leaf(&shape_of("full", shape)?, |out| out.fill(value))
        }

        /// A tensor of rank 0.
        pub fn scalar | try_scalar(value: E)
            where Some = { tape::with_free(|tape| tape.push_scalar_quick(value).map(TensorBase::from_handle)) }
        {
            tape::with(|tape| tape.push_scalar(value).map(TensorBase::from_handle))
        }

        /// A tensor of rank 1 with the iterator's elements.
        pub fn from_iter | try_from_iter(values: impl IntoIterator<Item = E>) {
            let (values, mut all) = (values.into_iter(), Vec::new());
            // A hint may be wrong; what is there is not.
            reserve(&mut all, values.size_hint().0)?;
            for value in values {
                reserve(&mut all, 1)?;
                all.push(value);
            }
            let values = all;
            Self::try_from_slice(&values, [values.len()])
        }

        /// A tensor from nested arrays: `Tensor::new([[1.0, 2.0], [3.0, 4.0]])`. Of a number, rank 0.
        pub fn new | try_new(nested: impl NestedArray<E>) {
            let mut shape = Shape::default();
            nested.shape(&mut shape);
            let mut values = Vec::new();
            reserve(&mut values, shape.numel())?;
            nested.elements(&mut values);
            Self::try_from_slice(&values, Shape::new("new", &shape)?)
        }
    }
}

/// Nested arrays of numbers, and numbers themselves: what [`TensorBase::new`] takes.
pub trait NestedArray<E> {
    /// Appends the lengths, outermost first.
    fn shape(&self, shape: &mut Shape);
    /// Appends the elements, row-major.
    fn elements(&self, elements: &mut Vec<E>);
}
impl<E: Element> NestedArray<E> for E {
    fn shape(&self, _: &mut Shape) {}
    fn elements(&self, elements: &mut Vec<E>) {
        elements.push(*self);
    }
}
impl<E: Element, A: NestedArray<E>, const N: usize> NestedArray<E> for [A; N] {
    fn shape(&self, shape: &mut Shape) {
        shape.dims_mut().push(N);
        if let Some(first) = self.first() {
            first.shape(shape);
        }
    }
    fn elements(&self, elements: &mut Vec<E>) {
        self.iter().for_each(|inner| inner.elements(elements));
    }
}

constructors! {
    impl[E: FloatElement] TensorBase<E> {
        /// A tensor of zeros.
        pub fn zeros | try_zeros(shape: impl IntoShape) {
            leaf(&shape_of("zeros", shape)?, |out| out.fill(E::of(0.0)))
        }

        /// A tensor of ones.
        pub fn ones | try_ones(shape: impl IntoShape) {
            leaf(&shape_of("ones", shape)?, |out| out.fill(E::of(1.0)))
        }

        /// The identity matrix of `n` rows.
        pub fn eye | try_eye(n: usize) {
            leaf(&shape_of("eye", [n, n])?, |out: &mut [E]| {
                out.fill(E::of(0.0));
                out.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal = E::of(1.0));
            })
        }

        /// `start`, `start + step`, .. up to but not including `end`.
        pub fn arange | try_arange(start: f64, end: f64, step: f64) {
            let count = ((end - start) / step).ceil();
            if !count.is_finite() || count < 0.0 {
                return Err(error!(Value, "arange: {end} can't be reached from {start} in steps of {step}"));
            }
            leaf(&shape_of("arange", [count as usize])?, |out| {
                out.iter_mut().enumerate().for_each(|(i, value)| *value = E::of(start + i as f64 * step));
            })
        }

        /// `steps` numbers from `start` to `end`, both included, evenly spaced.
        pub fn linspace | try_linspace(start: f64, end: f64, steps: usize) {
            let step = if steps > 1 { (end - start) / (steps - 1) as f64 } else { 0.0 };
            leaf(&shape_of("linspace", [steps])?, |out| {
                // Counting from the nearer end makes both ends exact.
                out.iter_mut().enumerate().for_each(|(i, value)| {
                    *value = E::of(if 2 * i < steps { start + i as f64 * step } else { end - (steps - 1 - i) as f64 * step });
                });
            })
        }

        /// Independent numbers, uniform from 0 up to but not including 1, by this thread's generator.
        pub fn rand | try_rand(shape: impl IntoShape) {
            leaf(&shape_of("rand", shape)?, |out: &mut [E]| {
                random::with(|generator| out.iter_mut().for_each(|value| *value = below_one(random::uniform(generator))));
            })
        }

        /// Independent numbers from the normal distribution of mean 0 and variance 1, by this thread's generator.
        pub fn randn | try_randn(shape: impl IntoShape) {
            leaf(&shape_of("randn", shape)?, |out: &mut [E]| {
                random::with(|generator| {
                    for pair in out.chunks_mut(2) {
                        let (first, second) = random::normal_pair(generator);
                        pair.iter_mut().zip([first, second]).for_each(|(value, normal)| *value = E::of(normal));
                    }
                });
            })
        }

        /// For each probability of `p` (0 to 1), 1 with that probability, else 0.
        pub fn bernoulli | try_bernoulli(p: TensorBase<E>) {
            let probabilities = p.try_to_vec()?;
            if let Some(wrong) = probabilities.iter().find(|&&p| !(0.0..=1.0).contains(&p.into())) {
                return Err(error!(Value, "bernoulli: {wrong:?} is no probability; expected 0 to 1"));
            }
            leaf(&p.try_shape()?, |out: &mut [E]| {
                random::with(|generator| {
                    for (value, &p) in out.iter_mut().zip(&probabilities) {
                        *value = E::of(if random::uniform(generator) < p.into() { 1.0 } else { 0.0 });
                    }
                });
            })
        }
    }
}

/// `x` in the type `E`, below 1 even where rounding would give 1.
fn below_one<E: FloatElement>(x: f64) -> E {
    let rounded = E::of(x);
    if rounded.into() < 1.0 { rounded } else { E::of(0.999_999_94) }
}

constructors! {
    impl[] TensorBase<i64> {
        /// Independent integers, uniform from `low` up to but not including `high`, by this thread's generator.
        pub fn randint | try_randint(low: i64, high: i64, shape: impl IntoShape) {
            if low >= high {
                return Err(error!(Value, "randint: no integer lies from {low} up to but not including {high}"));
            }
            leaf(&shape_of("randint", shape)?, |out: &mut [i64]| {
                random::with(|generator| out.iter_mut().for_each(|value| *value = random::integer(generator, low, high)));
            })
        }

        /// The integers from 0 up to but not including `n`, in random order.
        pub fn randperm | try_randperm(n: usize) {
            leaf(&shape_of("randperm", [n])?, |out: &mut [i64]| {
                out.iter_mut().enumerate().for_each(|(i, value)| *value = i as i64);
                random::with(|generator| {
                    for i in (1..n).rev() {
                        out.swap(i, random::integer(generator, 0, i as i64 + 1) as usize);
                    }
                });
            })
        }

        /// `start`, `start + step`, .. up to but not including `end`.
        pub fn arange | try_arange(start: i64, end: i64, step: i64) {
            let span = if step > 0 { end as i128 - start as i128 } else { start as i128 - end as i128 };
            if step == 0 || span < 0 {
                return Err(error!(Value, "arange: {end} can't be reached from {start} in steps of {step}"));
            }
            let count = (span as u128).div_ceil(step.unsigned_abs().into()) as usize;
            leaf(&shape_of("arange", [count])?, |out| {
                out.iter_mut().enumerate().for_each(|(i, value)| *value = start + i as i64 * step);
            })
        }
    }
}

crate::error::twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// Zeros of this tensor's shape.
        pub fn zeros_like | try_zeros_like(self) -> TensorBase<E> {
            TensorBase::try_zeros(self.try_shape()?)
        }
        /// Ones of this tensor's shape.
        pub fn ones_like | try_ones_like(self) -> TensorBase<E> {
            TensorBase::try_ones(self.try_shape()?)
        }
        /// `value` in this tensor's shape.
        pub fn full_like | try_full_like(self, value: E) -> TensorBase<E> {
            TensorBase::try_full(self.try_shape()?, value)
        }
        /// [`Self::rand`] of this tensor's shape.
        pub fn rand_like | try_rand_like(self) -> TensorBase<E> {
            TensorBase::try_rand(self.try_shape()?)
        }
        /// [`Self::randn`] of this tensor's shape.
        pub fn randn_like | try_randn_like(self) -> TensorBase<E> {
            TensorBase::try_randn(self.try_shape()?)
        }
    }
}
